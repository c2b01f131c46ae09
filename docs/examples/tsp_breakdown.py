"""What a decode step of Llama-2-70B spends where on 576 chips, and what it would be with other formats."""

from accelsim.validation.tsp import breakdown

MEANINGS = {
    "chip.vxm.convert": "int8 to fp16, ALUs of the vector slice",
    "chip.turnaround": "between operators: the fitted constant",
    "chip.pipeline": "ways through slices and tiles (N + d_func + hops)",
    "chip.mxm.load": "weights into the planes",
    "chip.mxm": "products",
    "chip.vxm": "other vector work",
    "chip.sram": "reading and writing memory slices",
    "chip.stream": "streams",
    "chip.link.local": "links within a node",
    "chip.link.local.flight": "their latency",
    "chip.link.global": "links between nodes",
    "chip.link.global.flight": "their latency",
}

usual = breakdown()
step = sum(pace for pace, _ in usual.values())
print("| what | sets the pace for, us | share | would take on its own, us |")
print("|---|---|---|---|")
for name, meaning in MEANINGS.items():
    pace, alone = usual[name]
    print(f"| {meaning} (`{name}`) | {1e6 * pace:.1f} | {100 * pace / step:.1f} % | {1e6 * alone:.1f} |")
print(f"| decode step | {1e6 * step:.1f} | 100 % | |")
print()
print("| formats | step | tokens/s | share of the fitted constant |")
print("|---|---|---|---|")
for label, request in (
    ("int8 weights, fp16 activations and KV cache", {}),
    ("int8 throughout", {"activations": "int8", "kv_cache": "int8"}),
    ("fp16 throughout, on 656 chips", {"weights": "fp16", "chips": 656}),
):
    found = breakdown(**request)
    step = sum(pace for pace, _ in found.values())
    fitted = found["chip.turnaround"][0] / step
    print(f"| {label} | {1e3 * step:.2f} ms | {1 / step:.0f} | {100 * fitted:.0f} % |")
