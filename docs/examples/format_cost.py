"""What number formats cost, and how that agrees with published hardware; docs/format-cost.md embeds this output.

Covers: accelsim.cost.
"""

from accelsim import catalog, cost
from accelsim.cost.agreement import rows
from accelsim.cost.fit import fit

SHOWN = """int4 int8 fp4_e2m1 fp6_e2m3 fp6_e3m2 fp8_e4m3 fp8_e5m2 bf16 fp16 tf32 fp32 posit8 posit16 takum8 takum16
hif8 lns8 flint4 dybit4 pot4 nf4 ternary_packed adaptivfloat8 cfloat8_143 ant4 mxfp4 mxfp6_e3m2 mxfp8_e4m3 mxint8 nvfp4
int4_g128 uint4_g128_zp nf4_b64 mx4 mx6 mx9 msfp12 gguf_q4_k gguf_q6_k olive4"""

print("### Constants\n")
print("| node | full adder, fJ | fp add / its cells, energy | fp multiply / its cells, energy | the same, area |")
print("|---|---|---|---|---|")
for name in sorted(catalog.names("nodes"), key=lambda name: -catalog.node(name).feature_nm):
    node = catalog.node(name)
    found = fit(node)
    joules = found.joules_per_m2 * node.cells.full_adder_m2
    energy = [f"{found.energy_factor[style]:.2f}" for style in ("add", "multiply")]
    area = [f"{found.area_factor[style]:.2f}" for style in ("add", "multiply") if style in found.area_factor]
    print(f"| {name} | {joules * 1e15:.2f} | {energy[0]} | {energy[1]} | {', '.join(area) or 'no source'} |")

for group, title in (("fit", "Fitted to"), ("test", "Tested on")):
    print(f"\n### {title}\n")
    print("| what | published | ours | ours / published | source | deviation |")
    print("|---|---|---|---|---|---|")
    for row in rows():
        if row.group == group:
            published = " to ".join(f"{value:.3g}" for value in row.published)
            print(f"| {row.what} | {published} | {row.ours:.3g} | {row.ratio:.2f} | {row.source} | {row.note} |")

print("\n### Formats at 7 nm, and areas at 45 nm\n")
print("| format | accumulator | decode, fJ | encode, fJ | MAC, fJ | to fp32, fJ | um2 of the four | status |")
print("|---|---|---|---|---|---|---|---|")
for name in SHOWN.split():
    new, old = cost.of(name, "7nm"), cost.of(name, "45nm")
    joules = [new.decode_j, new.encode_j, new.mac_j, new.convert_j]
    areas = [old.decode_m2, old.encode_m2, old.mac_m2, old.convert_m2]
    figures = " | ".join(f"{value * 1e15:.1f}" for value in joules)
    um2 = ", ".join("?" if value is None else f"{value * 1e12:.0f}" for value in areas)
    print(f"| {name} | {new.accumulator} | {figures} | {um2} | {new.status} |")
