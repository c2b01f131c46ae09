"""Methods that change what is computed: KIVI's groups of tokens, and outlier columns in a product of their own."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import RequestError
from accelsim.quantization.decomposition import THRESHOLD
from accelsim.quantization.method import Asked, Nearest, Serving
from accelsim.spec.format import BlockFormat, IntegerFormat


@dataclass(frozen=True)
class Kivi(Nearest):
    """Keys share scales along tokens for each channel, values along channels for each token."""

    name: str = "kivi"
    source: str = "Liu et al., KIVI, arXiv 2402.02750"

    def serves(self, formats: Asked) -> Serving:
        """KV caches in groups."""
        form = formats.kv_cache
        if not isinstance(form, BlockFormat) or form.granularity != "block":
            raise RequestError(
                f"kivi chooses scales of a KV cache in groups, such as {formats.weights.name}/"
                f"{formats.activations.name}/uint2_g32_zp; this one is {form.name}"
            )
        return Serving(
            formats,
            f"keys in groups of {form.length} tokens for each channel, values for each token; the latest group stays "
            f"in the format of activations, whose further bytes ({form.length} tokens at most) are not priced",
            token_groups=True,
        )


@dataclass(frozen=True)
class Split(Nearest):
    """Columns of activations with outliers are multiplied in fp16."""

    name: str = "split"
    source: str = "Dettmers et al., LLM.int8(), arXiv 2208.07339"
    outliers_from: float = THRESHOLD

    def serves(self, formats: Asked) -> Serving:
        """Integers of weights and activations."""
        for form in (formats.weights, formats.activations):
            if not isinstance(form, IntegerFormat) and not (
                isinstance(form, BlockFormat) and isinstance(form.element, IntegerFormat) and form.zero_point is None
            ):
                raise RequestError(
                    f"split takes outliers out of products of integers, such as int8_channel/int8_channel; {form.name} "
                    "is none"
                )
        return Serving(
            formats,
            f"columns from {self.outliers_from:g} on in fp16, against the stored weights; their products are executed "
            "and not priced",
            outliers_from=self.outliers_from,
        )
