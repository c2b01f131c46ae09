"""Options that several commands share, with completion of names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from accelsim.catalog import Kind


def names(kind: Kind) -> Callable[[str], list[str]]:
    """What completes a name of one kind."""

    def complete(incomplete: str) -> list[str]:
        from accelsim import catalog

        return [name for name in catalog.names(kind) if name.startswith(incomplete)]

    return complete


def _format(flag: str, help_: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, metavar="FORMAT", help=help_, autocompletion=names("formats"))
    return option


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A model by name, or the path of a config.json.", autocompletion=names("models")
    ),
]
OnOption = Annotated[
    str, typer.Option("--on", metavar="CHIP", help="A chip by name or path.", autocompletion=names("arch"))
]
HostOption = Annotated[
    str | None,
    typer.Option(
        "--host", metavar="CHIP", help="Beside memories that compute, another host than the system names.",
        autocompletion=names("arch"), show_default=False,
    ),
]  # fmt: skip
BatchOption = Annotated[int, typer.Option("--batch", help="Sequences that run together.")]
PromptOption = Annotated[int, typer.Option("--prompt", help="Tokens of each prompt.")]
GenerateOption = Annotated[
    int | None, typer.Option("--generate", help="Tokens generated per sequence; 128 by default.", show_default=False)
]
WeightsOption = Annotated[str | None, _format("--weights", "Format of the weights; native to the chip by default.")]
ActivationsOption = Annotated[str | None, _format("--activations", "Format between operators.")]
KvCacheOption = Annotated[str | None, _format("--kv-cache", "Format of keys and values.")]
FidelityOption = Annotated[
    str, typer.Option("--fidelity", metavar="event|roofline", help="Simulate events, or price in closed form.")
]
ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope", metavar="physical|peer",
        help="On a memory that computes: count everything, or what its public simulator counts.", show_default=False,
    ),
]  # fmt: skip
LogitsOption = Annotated[
    str, typer.Option("--logits", metavar="last|all", help="Positions of the prompt that lm_head covers.")
]
RoutingOption = Annotated[
    str,
    typer.Option(
        "--routing",
        metavar="ROUTING",
        help="Popularity of experts: uniform, zipf:EXPONENT or a JSON file; :drawn draws.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of everything drawn.")]
UnfusedOption = Annotated[
    bool, typer.Option("--unfused", help="No merged projections, attention or element-wise chains.")
]
StreamsOption = Annotated[
    str,
    typer.Option(
        "--streams", metavar="one|graph", help="Kernels one after the other, or each as soon as its tensors are there."
    ),
]
FoldOption = Annotated[bool, typer.Option("--no-fold", help="Run what recurs again; the numbers are the same.")]
LibraryOption = Annotated[
    str | None,
    typer.Option("--library", help="On GPUs: whose kernels run (`accelsim list calibrations`).", show_default=False),
]
ResidencyOption = Annotated[
    str | None,
    typer.Option(
        "--residency", metavar="cold|steady|harness(R)", help="On GPUs: what L2 holds when a GEMM starts.",
        show_default=False,
    ),
]  # fmt: skip
ClockOption = Annotated[
    str | None,
    typer.Option(
        "--clock", metavar="burst|sustained", show_default=False,
        help="On GPUs: a cool chip (single operators), or one under load (whole models).",
    ),
]  # fmt: skip
LaunchOption = Annotated[
    str,
    typer.Option("--launch", metavar="graph|stream", help="On GPUs: kernels of a graph, or launched one by one."),
]
ScalesOption = Annotated[
    str,
    typer.Option(
        "--scales", metavar="dynamic|static", help="On GPUs: of narrow activations, found by a pass or known before."
    ),
]
ChipsOption = Annotated[str, typer.Option("--chips", metavar="N|auto", help="Number of chips.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Write a picture: .png, .pdf or .svg.")]
PlotKindOption = Annotated[
    str, typer.Option("--plot-kind", metavar="roofline|breakdown|timeline|commands", help="Picture that --plot writes.")
]
ExportOption = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Write all results: .json, or a .csv or .parquet per table."),
]
TopOption = Annotated[int, typer.Option("--top", min=0, help="Operators to list.")]
