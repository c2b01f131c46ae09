"""Mixtures of experts of the Llama kind: Mixtral, Qwen2-MoE and Qwen3-MoE."""

from __future__ import annotations

from accelsim.spec.huggingface.common import About
from accelsim.spec.huggingface.fields import ACTIVE, EXPERTS, INTERMEDIATE, Fields
from accelsim.spec.huggingface.llama import gated_mlp, read_llama_like
from accelsim.spec.model import Mlp, Model, Moe

_WIDTH = ("moe_intermediate_size",)
_SHARED_WIDTH = ("shared_expert_intermediate_size",)


def read_mixtral(fields: Fields, about: About) -> Model:
    """Every layer has `num_local_experts` experts as wide as a dense feed-forward."""

    def blocks(fields: Fields, layers: int) -> list[Mlp | Moe]:
        return [mixture(fields, gated_mlp(fields, "mixtral"))] * layers

    return read_llama_like(fields, about, "mixtral", blocks)


def read_qwen_moe(fields: Fields, about: About) -> Model:
    """Experts in every `decoder_sparse_step`-th layer that `mlp_only_layers` does not name; Qwen2 adds a shared one."""
    family = str(fields.get("model_type"))

    def blocks(fields: Fields, layers: int) -> list[Mlp | Moe]:
        step, dense_layers = fields.size(("decoder_sparse_step",), 1), fields.numbers("mlp_only_layers")
        shared = gated_mlp(fields, family, _SHARED_WIDTH) if family == "qwen2_moe" else None
        sparse = mixture(fields, gated_mlp(fields, family, _WIDTH), shared, shared_gate=shared is not None)
        chosen = [(number + 1) % step == 0 and number not in dense_layers for number in range(layers)]
        # a model whose layers are all sparse need not say how wide a dense layer would be
        dense = sparse if all(chosen) else gated_mlp(fields, family, INTERMEDIATE)
        return [sparse if is_sparse else dense for is_sparse in chosen]

    return read_llama_like(fields, about, family, blocks)


def mixture(
    fields: Fields, expert: Mlp, shared: Mlp | None = None, *, shared_gate: bool = False, router_bias: bool = False
) -> Moe:
    """Experts and how many of them a token takes, with the check that it takes no more than there are."""
    experts, active = fields.size(EXPERTS), fields.size(ACTIVE)
    if fields.sound(EXPERTS, ACTIVE) and active > experts:
        fields.fault(ACTIVE[0], f"a token takes {active} experts, but there are only {experts}", active)
    return Moe(
        experts=experts, active=min(active, experts), expert=expert, shared=shared, shared_gate=shared_gate,
        router_bias=router_bias,
    )  # fmt: skip
