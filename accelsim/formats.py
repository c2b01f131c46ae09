"""Number formats by name: the catalogue's descriptions, brought to life by `numerics`."""

from __future__ import annotations

import os

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.numerics import quantization
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy
from accelsim.spec.format import Format


def dataformat(
    source: str | os.PathLike[str] | Format, policy: Policy | str | None = None, **parameters: object
) -> DataFormat:
    """A number format that converts arrays.

    Args:
        source: a name of the catalogue or of a family (`fp8_e4m3`, `posit6`, `int4_g128`), the path of a TOML file,
            or a record.
        policy: rounding, overflow and the like, or the name of a preset; the format's usual one by default.
        parameters: keys of its description to other values, such as `exponent_bias=11`.

    Raises:
        UnknownNameError: no such format, key or preset.
        DescriptionError: every fault of the file, or impossible parameters.
        RequestError: no name, path or record, or a policy that the format cannot express.
    """
    if not isinstance(source, (str, os.PathLike, Format)):
        raise RequestError(
            f"{source!r} is no format: give a name such as 'fp8_e4m3', the path of a TOML file or a record"
        )
    return DataFormat(catalog.format_(source, parameters or None), policy)


def quantizer(
    element: str | os.PathLike[str] | Format,
    granularity: quantization.Granularity = "tensor",
    rule: quantization.Rule = "absmax",
    *,
    length: int | None = None,
    percentile: float | None = None,
    zero_point: str | Format | None = None,
    scale: str | Format | None = None,
    policy: Policy | str | None = None,
) -> DataFormat:
    """A format that scales the elements of another one; formats by name, path or record.

    `accelsim.numerics.quantization.quantizer` says what the parameters are.

    Raises:
        RequestError: an unknown granularity or rule.
        DescriptionError: parameters that do not go together, such as a group without a length.
    """
    return quantization.quantizer(
        catalog.format_(element), granularity, rule, length=length, percentile=percentile, policy=policy,
        zero_point=None if zero_point is None else catalog.format_(zero_point),
        scale=None if scale is None else catalog.format_(scale),
    )  # fmt: skip
