"""Rows of cycle counts of the public simulator, and the same kernels here."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from accelsim import catalog
from accelsim.mapping.pim import hbm_pim as mapping
from accelsim.timing.hbm_pim import kernel
from accelsim.timing.hbm_pim.channel import Channel
from accelsim.timing.hbm_pim.rules import Rules, rules_of

ROOT = Path(__file__).parents[2]
TYPED = ROOT / "tests" / "validation" / "hbm_pim_cycles.csv"
SHARED = ROOT.parent / "shared" / "reference" / "pim" / "cycles.csv"
PART = catalog.chip("hbm-pim")
RULES = rules_of(PART)


class Case(NamedTuple):
    device: str
    channels: int
    kind: str
    outputs: int
    inputs: int
    batch: int
    cycles: int

    def mapped(self) -> mapping.Mapped | mapping.Streamed:
        if self.kind in ("ADD", "MUL", "RELU"):
            kind = self.kind.lower()
            if self.device == "plain":
                found = mapping.plain_elementwise(PART, self.channels, kind, elements=self.outputs)
            else:
                found = mapping.elementwise(PART, self.channels, kind, elements=self.outputs, peer=True)
        else:
            dims = {"m": self.batch, "n": self.outputs, "k": self.inputs}
            if self.device == "plain":
                found = mapping.plain_matmul(PART, self.channels, **dims)
            else:
                found = mapping.matmul(PART, self.channels, **dims, tree=self.kind == "GEMVTREE", peer=True)
        assert isinstance(found, mapping.Mapped | mapping.Streamed), found
        return found

    def ours(self, way: kernel.Way = "runs", rules: Rules = RULES) -> int:
        found = self.mapped()
        if isinstance(found, mapping.Streamed):
            return kernel.serve_plain(PART, rules, self.channels, found.phases).cycles
        channel = Channel.fresh(rules)
        taken = kernel.serve(channel, found.kernel, rules, way).cycles
        if self.device != "readout":
            return taken
        since = channel.cycle
        channel.serve(found.results, rules)
        return channel.cycle - since


def cases(path: Path) -> Iterator[Case]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    for row in csv.DictReader(lines):
        if row["simulator"] != "PIMSimulator":
            continue
        device, channels = re.match(r"HBM2-(\w+) (\d+)pch", row["device"]).groups()
        shape = re.match(r"(\d+)(?:x(\d+)b(\d+))?$", row["shape"])
        outputs, inputs, batch = (int(x or 1) for x in shape.groups())
        yield Case(device, int(channels), row["kernel"], outputs, inputs, batch, int(row["cycles"]))
