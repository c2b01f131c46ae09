"""Number formats by name: the catalogue's descriptions, brought to life by `numerics`."""

from __future__ import annotations

import os

from accelsim import catalog
from accelsim.errors import RequestError
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
