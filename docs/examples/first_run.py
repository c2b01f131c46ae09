"""A first answer: how fast Llama-2-7B is on an H100, and where its time goes.

Covers: accelsim.simulate, run.summary, run.operators, run.memory, run.plot.
"""

import accelsim

run = accelsim.simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=128)

print(run)
for name in ("time_to_first_token_s", "time_per_output_token_s", "tokens_per_s", "energy_per_token_j"):
    print(f"{name}: {run.summary[name]:.4g}")

for phase, operators in run.operators.groupby("phase", sort=False):
    print(f"\n{phase}, the three most expensive of {len(operators)} operators")
    for row in operators.nlargest(3, "time_s").itertuples():
        print(f"  {row.name}: {1e3 * row.time_s:.2f} ms, bound by {row.bound}, priced by {row.priced_by}")

print(f"\nmemory at most {run.memory['peak_bytes'].max() / 1e9:.1f} GB, fits: {run.summary['fits']}")
figure = run.plot.roofline()  # run.plot.roofline("roofline.png") writes it
print(f"roofline with {len(figure.axes[0].collections)} phases")
