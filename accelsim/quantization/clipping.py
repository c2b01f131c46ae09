"""Scales that clip: smaller than the largest magnitude asks for, where that makes the squared error less."""

from __future__ import annotations

from accelsim.errors import RequestError
from accelsim.numerics.format import DataFormat
from accelsim.spec.format import BlockFormat


def mse_optimal(form: DataFormat) -> DataFormat:
    """The same format with the scale rule `mse`: of 100 %, 99 %, ... 21 % of the largest magnitude's, the best.

    The first candidate is the scale that the format chooses by itself, so that no block gets worse. For the tensor
    scale of NVFP4 or OliVe see `accelsim.numerics.searched`.

    Args:
        form: blocks, channels or a tensor with an absolute-maximum scale and no zero point.

    Raises:
        RequestError: any other format.
    """
    record = form.record
    block = record if isinstance(record, BlockFormat) else None
    if block is None or block.scale_rule != "absmax" or block.zero_point or block.scale_length:
        raise RequestError(
            f"{form.name}: clipping is chosen for block formats of scale_rule 'absmax' without zero points or scales "
            "of scales; for NVFP4 and OliVe there is accelsim.numerics.searched"
        )
    changed = block.model_copy(update={"name": f"{form.name}_mse", "scale_rule": "mse"})
    return DataFormat(changed, form.policy)
