"""Energy and area of decoding, encoding, multiplying and converting every number format, per process node.

A format's circuits are counted in cells from its record; what a cell costs is fitted to published figures of the node
(`arch/nodes/`). `docs/format-cost.md` says how well that agrees with published hardware.
"""

from __future__ import annotations

from accelsim.cost.model import FormatCost, of
from accelsim.cost.terms import Term

__all__ = ["FormatCost", "Term", "of"]
