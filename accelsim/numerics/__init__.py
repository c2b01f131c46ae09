"""Number formats, bit by bit: exact references, fast array paths, and the rules of conversion.

To add a kind of format: one record in `accelsim.spec.format` (its `kind` names everything else), one file of numerics
and one TOML in `dataformats/<kind>/`. Nothing is registered; modules are found by the name of the kind.

A kind without scales: `reference/<kind>.py` with `build(record) -> Grid`
    The one file that is needed. A grid knows the value of every code, and for any fraction its two neighbours.
    With at most 16 bits and nothing beyond its ends, subclass `reference.grid.TableGrid` and give `bits` and `value`:
    codes, neighbours and ties (to the even code) follow. Override `even` or `split` and `position` where ties or the
    half-way point are others (posits round their bit string), set `rounds_to_zero = False` where nothing nonzero
    becomes zero, `infinity`, `nan` where there are such codes. `value` returns Special.NAN for unused codes and
    Special.NEGATIVE_ZERO for a second zero. A reference uses integers and fractions and imports nothing of `fast`.
    `fast.grid.GridCodec` turns any such grid into an array path: a proved 64 Ki table or an exact search.

    `fast/<kind>.py` with `build(record, policy, grid) -> ElementCodec` replaces that engine where there is a faster
    way, or another layout in memory; see `fast.codec.ElementCodec` for what a codec offers. It sees flat, contiguous,
    native float32 and float64 arrays and the complete policy. Kernels go into `<kind>_kernels.py`, are plain Python
    and are called as `jit.compiled(kernel)(...)`, only if `jit.enabled()`.

A kind that owns scales (`scaled = True` in its record): both files
    `reference/<kind>.py` with `build(record) -> reference.scaled.ScaledReference`: rows of exact numbers to integers
    and back. `fast/<kind>.py` with `build(record, policy) -> fast.scaled.ScaledCodec`: [rows, n] arrays, the shared
    axis last, to `Parts` and back, with packing and storage. `policy` is what the user gave (Policy, preset name or
    None); the codec completes it for its elements, usually by `registry.element_codec(record.element, policy)`, and
    keeps the result as `self.policy`. A ragged tail is a short block with a scale of its own.

`format.DataFormat` does everything else for both: dtypes, shapes, axes, masks, `out=`, random integers, errors. It is
reached by name through `accelsim.dataformat`. `registry.grid(record)`, `registry.reference(record)`,
`registry.codec(record, policy)` and `registry.element_codec(record, policy)` give the parts; `policy.policy_of`
completes a policy; `packing` has streams of bits, `random.draws` the random integers.

Tests pick a kind up by themselves: `tests/contract/test_formats.py` takes every shipped file and a list of family
names, compares the reference with a search over all decoded values and with the array path on every code, every tie
and its neighbours, all bfloat16 patterns and random floats, and packs and unpacks. A kind without modules stands in
its list `WITHOUT_BEHAVIOUR`, and a test fails when an entry of that list has gained some.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.numerics.accumulator import presets
    from accelsim.numerics.encoded import Encoded
    from accelsim.numerics.format import DataFormat
    from accelsim.numerics.policy import PRESETS, Policy, Stochastic
    from accelsim.numerics.quantization import Errors, measure, searched

__all__ = ["PRESETS", "DataFormat", "Encoded", "Errors", "Policy", "Stochastic", "measure", "presets", "searched"]

# name -> module; loaded on first use
_HOME = {
    "DataFormat": "format",
    "Encoded": "encoded",
    "Errors": "quantization",
    "PRESETS": "policy",
    "Policy": "policy",
    "Stochastic": "policy",
    "measure": "quantization",
    "presets": "accumulator",
    "searched": "quantization",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'accelsim.numerics' has no attribute {name!r}")
    value = getattr(import_module(f"accelsim.numerics.{_HOME[name]}"), name)
    globals()[name] = value
    return value
