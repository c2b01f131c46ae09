"""What is asked of a model: how many sequences, how long, in which formats, counted how."""

from __future__ import annotations

from dataclasses import dataclass

FIDELITIES = ("event", "roofline")
CONVENTIONS = ("corrected", "llm-viewer")
LOGITS = ("last", "all")
STREAMS = ("one", "graph")
SCALES = ("dynamic", "static")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run, all names resolved.

    Attributes:
        model: name of the model.
        chip: name of the chip.
        batch: sequences.
        prompt: tokens per sequence.
        generate: tokens generated per sequence; the first comes from prefill.
        weights: format of linear layers and experts.
        activations: format between operators.
        kv_cache: format of keys and values.
        fidelity: "event" or "roofline".
        convention: "corrected" or "llm-viewer".
        logits: positions that lm_head covers in prefill, "last" or "all".
        routing: popularity of experts.
        fuse: merged projections, fused attention and element-wise chains.
        streams: kernels one after the other, or each as soon as its tensors are there ("graph").
        fold: recurring segments are replayed.
        seed: of everything drawn.
        scope: what is counted on memories that compute: "physical" is everything, the only choice elsewhere.
        variant: the way to compute an operator, where a family has several.
        library: whose kernels run on a GPU, "default" where none was named.
        residency: what the L2 of a GPU holds when a kernel starts.
        clock: "burst" or "sustained".
        launch: "graph" or "stream".
        scales: of activations in a narrow format: "dynamic" or "static".
        offload: what lies in the memory of the host: "weights", "kv_cache", "weights+kv_cache" or "none".
        host: the host that keeps it; "none" where nothing is kept.
        tensor_formats: of single tensors, as `name=format` with commas, or "none".
    """

    model: str
    chip: str
    batch: int
    prompt: int
    generate: int
    weights: str
    activations: str
    kv_cache: str
    fidelity: str = "event"
    convention: str = "corrected"
    logits: str = "last"
    routing: str = "uniform"
    fuse: bool = True
    streams: str = "one"
    fold: bool = True
    seed: int = 0
    scope: str = "physical"
    variant: str = "plain"
    library: str = "default"
    residency: str = "cold"
    clock: str = "burst"
    launch: str = "graph"
    scales: str = "dynamic"
    offload: str = "none"
    host: str = "none"
    tensor_formats: str = "none"
