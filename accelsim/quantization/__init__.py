"""Ways to bring a trained model to few bits with little loss: scales, roundings and transforms chosen from data.

Rounding to nearest needs nothing of this: it is `encode` of any format, at any granularity
(`accelsim.formats.quantizer`). ANT's choice of a type per tensor and OliVe's pairs are formats, too: `ant4`, `olive4`.
What is here:

- `mse_optimal`: the format with scales of least squared error (clipping);
- `gptq`: rounding that makes up for the error of a column in the columns to come;
- `smooth_factors`, `awq_factors`, applied by `accelsim.weights.rescaled`: scales moved between activations and weights;
- `rotated`: a model whose residual stream is turned by a Hadamard matrix;
- `kivi`: keys in groups of tokens for each channel, values for each token;
- `int8_with_outliers`: LLM.int8(), columns with outliers in fp16.

All are numpy on arrays [out, in] and know no chip.
"""

from __future__ import annotations

from accelsim.quantization.cache import KiviCache, kivi
from accelsim.quantization.clipping import mse_optimal
from accelsim.quantization.decomposition import int8_with_outliers
from accelsim.quantization.gptq import gptq
from accelsim.quantization.rotation import hadamard, rotated
from accelsim.quantization.smoothing import awq_factors, smooth_factors

__all__ = [
    "KiviCache", "awq_factors", "gptq", "hadamard", "int8_with_outliers", "kivi", "mse_optimal", "rotated",
    "smooth_factors",
]  # fmt: skip
