"""The kinds of descriptions, where their files lie, and how a file shows what it describes."""

from __future__ import annotations

from typing import Final, Literal, get_args

Kind = Literal["arch", "nodes", "calibrations", "dram", "models", "formats", "sweeps"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""What the catalogue holds: chips, process nodes, constants of kernels, DRAM, models, formats and experiments."""

FOLDERS: Final[dict[Kind, tuple[str, str]]] = {
    "nodes": ("arch/nodes", "*.toml"),  # before arch, whose folder they and DRAM lie in
    "calibrations": ("arch/calibrations", "*.toml"),
    "dram": ("arch/dram", "**/*.toml"),
    "arch": ("arch", "**/*.toml"),
    "models": ("workloads/models", "**/*.toml"),
    "formats": ("dataformats", "**/*.toml"),
    "sweeps": ("sweeps", "*.toml"),
}
NOUNS: Final[dict[Kind, str]] = {
    "arch": "chip", "nodes": "node", "calibrations": "calibration", "dram": "DRAM",
    "models": "model", "formats": "format", "sweeps": "sweep",
}  # fmt: skip

# Keys that only one kind of file has at its top level, to recognise a file outside of the catalogue.
TELLTALE: Final[dict[Kind, frozenset[str]]] = {
    "arch": frozenset({"family", "reference_clock", "native", "clock", "sm", "peak", "memory", "energy"}),
    "nodes": frozenset({"feature_nm", "cells", "operation", "sram"}),
    "calibrations": frozenset({"chip", "library", "default_for", "gemm", "provenance"}),
    "dram": frozenset({"standard", "protocol", "organization", "timing", "controller"}),
    "models": frozenset({"config", "model_type", "hidden_size", "parameters_published"}),
    "formats": frozenset({"kind", "alias_of", "bits", "exponent_bits", "element", "length", "scale"}),
}
