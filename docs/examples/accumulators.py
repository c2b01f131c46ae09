"""The accumulators of machines as a Markdown table; docs/arithmetic.md embeds this output.

Covers: accelsim.numerics.accumulator.presets, and a sum that three accumulators see differently.
"""

import numpy as np

import accelsim
from accelsim.numerics.accumulator import Fixed, Fused, Rounded, Staged, presets


def adds(how: object) -> str:
    match how:
        case Fused(promotion=0, fraction_bits=bits):
            cut = "exact" if bits is None else f"cut {bits} bits below the largest exponent"
            return f"{how.group} products and the sum at once, {cut}"
        case Fused():
            return (
                f"{how.group} products and the sum at once, cut at {how.fraction_bits} bits; fp32 after {how.promotion}"
            )
        case Staged():
            return f"{how.group} products, cut at {how.fraction_bits} bits, then the sum"
        case Rounded():
            return f"{how.order} of {how.width}, products {how.product}"
        case Fixed():
            return f"an integer of {1 + how.integer_bits + how.fraction_bits} bits, to {how.overflow} around"
    raise TypeError(how)


def held(how: object) -> str:
    match how:
        case Fused() | Rounded():
            return f"e{how.type.exponent_bits}m{how.type.fraction_bits}, {how.rounding}"
        case Staged():
            return "e8m23, nearest-even"
    return "exact"


print("| preset | adds | holds | status | source |")
print("|---|---|---|---|---|")
for name, how in presets().items():
    print(f"| `{name}` | {adds(how)} | {held(how)} | {how.status} | {how.source} |")

f = accelsim.dataformat("fp8_e4m3")
a, b = np.array([[128.0, 1.0, 0.75]]), np.array([[128.0], [0.75], [0.75]])
print("\n128 x 128 + 1 x 0.75 + 0.75 x 0.75 in fp8_e4m3:")
for name in ("exact", "hopper-fp8", "fp16"):
    made = f.matmul(a, b, accumulator=name)
    print(f"{made.accumulator.name}: {made.values.item()}", end="." if name == "fp16" else ", ")
print()
