"""Questions to a sweep on the command line: where designs cross, what a figure hangs on, what differs between two.

Covers: accelsim.explore.crossover, accelsim.explore.sensitivity, accelsim.explore.compare_runs.
"""

import os
import tempfile
from pathlib import Path

from accelsim.cli import main

STACKS_OR_SMS = """
[question]
text = "Llama-2-7B: ten HBM3 stacks and 84 SMs, or five and 132?"

[fixed]
model = "llama-2-7b"
fidelity = "roofline"
prompt = 1024
generate = 32

[axes]
chip = [
    { base = "h100-sxm", name = "stacks", sm.count = 84, memory.bandwidth = "6.7 TB/s", memory.capacity = "160 GB" },
    { base = "h100-sxm", name = "SMs" },
]
batch = { powers_of_two = [1, 128] }
weights = ["bf16", "int4_g128"]

[objectives]
tokens_per_s = "max"
"""

NEIGHBOURS = """
[fixed]
model = "llama-2-7b"
chip = "h100-sxm"
fidelity = "roofline"
prompt = 1024
generate = 2

[axes]
sm.count = [66, 99, 132]
memory.bandwidth = { log_range = ["1.675 TB/s", "6.7 TB/s"], count = 5 }
batch = { powers_of_two = [1, 16] }
weights = ["bf16", "fp8_e4m3", "int4_g128"]

[objectives]
time_per_output_token_s = "min"
"""


def ask(*arguments: str) -> None:
    """One command and its answer."""
    print("$ accelsim", *arguments, flush=True)
    main(arguments)
    print(flush=True)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    Path("stacks_or_sms.toml").write_text(STACKS_OR_SMS)
    Path("neighbours.toml").write_text(NEIGHBOURS)
    ask("crossover", "stacks_or_sms.toml")
    ask("sensitivity", "neighbours.toml")
    ask("sensitivity", "neighbours.toml", "--method", "sobol", "--count", "256")
    ask("sensitivity", "neighbours.toml", "--method", "permutation", "--metric", "energy_per_token_j")
    ask("compare", "h100-sxm", "h200-sxm", "--model", "llama-2-7b", "--generate", "16", "--top", "5")
    os.chdir("/")
