"""accelsim: how fast, with how much energy and memory traffic, a Transformer runs on a chip.

import accelsim
run = accelsim.simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=128)
run.summary["time_per_output_token_s"]; run.operators; run.plot.roofline()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.catalog import chip, model
    from accelsim.errors import AccelsimError
    from accelsim.execution.run import execute
    from accelsim.explore.pareto import pareto
    from accelsim.explore.sweep import Sweep, load
    from accelsim.formats import dataformat, quantizer
    from accelsim.numerics.policy import Policy, Stochastic
    from accelsim.results import Run
    from accelsim.simulation import simulate, simulate_operator
    from accelsim.spec.infeasible import Infeasible

__version__ = "0.1.0"
__all__ = [
    "AccelsimError",
    "Infeasible",
    "Policy",
    "Run",
    "Stochastic",
    "Sweep",
    "chip",
    "dataformat",
    "execute",
    "load",
    "model",
    "pareto",
    "quantizer",
    "simulate",
    "simulate_operator",
]

# name -> module; loaded on first use, so that `import accelsim` stays fast
_HOME = {
    "AccelsimError": "errors",
    "Infeasible": "spec.infeasible",
    "Policy": "numerics.policy",
    "Run": "results",
    "Stochastic": "numerics.policy",
    "Sweep": "explore.sweep",
    "chip": "catalog",
    "dataformat": "formats",
    "execute": "execution.run",
    "load": "explore.sweep",
    "model": "catalog",
    "pareto": "explore.pareto",
    "quantizer": "formats",
    "simulate": "simulation",
    "simulate_operator": "simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    value = getattr(import_module(f"accelsim.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
