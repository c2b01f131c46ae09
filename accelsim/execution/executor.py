"""A model ready to run: its graphs, its plan, its weights; prefill and decode steps over one growing cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.evaluate.phases import Work
from accelsim.execution import walk
from accelsim.execution.cache import KvCache
from accelsim.execution.changes import TokenGroups, in_token_groups, with_outliers
from accelsim.execution.plan import NumericsPlan, Target, attending, plan_of
from accelsim.execution.rules import Pass
from accelsim.execution.static import StaticScales
from accelsim.execution.targets import ExactSums
from accelsim.execution.weights import Weights
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Graph, Role
from accelsim.graph.routing import Routing
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.model import Model

Array = NDArray[Any]
Tokens = NDArray[np.int64]

DYNAMIC: Final = "dynamic"
"""Scales of activations are found when they are quantised."""

STATIC: Final = "static"
"""Scales of activations are those of calibration text."""

CALIBRATION_CHUNK: Final = 1024
"""Tokens of calibration text that run together."""

_FIRST: Final = 1
"""Step of decode that follows the prompt."""


@dataclass(frozen=True)
class Setting:
    """What decides the graphs.

    Attributes:
        formats: of storage.
        unrounded: roles without a storage format of their own.
        overrides: storage formats of single tensors; see `accelsim.graph.overrides`.
        fuse: merged projections, fused attention and element-wise chains, as `accelsim.simulate` has them.
        scales: "dynamic" has passes of their own that quantise what products take, as `accelsim.simulate` prices
            them on GPUs; with "static" ones, which `Executor.calibrate` finds, operators write what products take;
            None leaves activations narrow between operators, too.
        outliers_from: columns of inputs that are multiplied apart have a magnitude from here on; None for none.
        token_groups: caches that are rounded in groups of tokens; None rounds every token when it is appended.
        as_decode: prefill computes every position as decode of one sequence does, so that one pass judges what decode
            makes of every position.
    """

    formats: Formats
    unrounded: tuple[Role, ...] = ()
    overrides: tuple[tuple[str, Format], ...] = ()
    fuse: bool = True
    scales: str | None = None
    outliers_from: float | None = None
    token_groups: TokenGroups | None = None
    as_decode: bool = False


class Executor:
    """Runs one model in one plan.

    Args:
        model: its shape and values.
        weights: of it.
        setting: formats and fusion.
        target: who computes.

    Attributes:
        plan: of the shortest prompt and step, for what holds at every length; why there is none.
        clipped: elements beyond the range of their format.

    Raises:
        RequestError: a family that is not executed, or an override that names nothing.
    """

    def __init__(self, model: Model, weights: Weights, setting: Setting, target: Target) -> None:
        self.model, self._weights, self._setting, self._target = model, weights, setting, target
        self._plans: dict[tuple[str, int, int], NumericsPlan] = {}
        found = self._made((self.prefill_graph(1, 2), self.decode_graph(1, 2)))
        self.plan: NumericsPlan | Infeasible = found
        self.clipped: dict[tuple[str, str], tuple[int, int]] = {}
        self._scales: StaticScales | None = None

    def with_exact_sums(self) -> Executor:
        """The same formats and conversions with exact sums; see `accelsim.execution.targets.ExactSums`."""
        made = Executor(self.model, self._weights, self._setting, ExactSums(self._target))
        made._scales = self._scales
        return made

    @property
    def overrides(self) -> Mapping[str, Format]:
        """Formats of single tensors, those of a quantised checkpoint among them."""
        return dict(self._setting.overrides)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers must know, clipped tensors among it."""
        assert isinstance(self.plan, NumericsPlan)
        clipped = [
            f"{operator}, {tensor}: {100 * count / of:.3g} % of the elements are beyond the range of their format"
            for (operator, tensor), (count, of) in self.clipped.items()
        ]
        forms = {t.storage for _, t in self.plan.lines() if t.role is Role.WEIGHT}
        weights = [
            f"{name}: {count:,} of {of:,} weights are beyond the range of {form.name}; try one with scales"
            for (name, form), (count, of) in self._weights.clipped.items()
            if form in forms
        ]
        return (*self.plan.warnings, *weights, *clipped)

    def calibrate(self, tokens: Tokens) -> None:
        """Find static scales: the largest magnitude of every activation on [windows, positions] of text."""
        found = self._scales = StaticScales()
        step = max(1, CALIBRATION_CHUNK // tokens.shape[1])
        for at in range(0, len(tokens), step):
            self.start(tokens[at : at + step])
        found.learns = False
        self.clipped.clear()

    def prefill_graph(self, batch: int, prompt: int) -> Graph:
        """The graph that is priced for a prompt."""
        return self._work(batch, prompt).prefill()

    def decode_graph(self, batch: int, past: int) -> Graph:
        """The graph that is priced for one more token after `past` positions."""
        return self._work(batch, past).decode(_FIRST)

    def _work(self, batch: int, prompt: int) -> Work:
        at = self._setting
        return Work(
            self.model, at.formats, batch, prompt, 2, "all", Routing(), at.fuse, at.scales, overrides=at.overrides
        )

    def planned(self, batch: int, prompt: int, past: Iterable[int] = ()) -> NumericsPlan:
        """The plan of a prompt, then of decode steps after so many positions each; attention names the positions.

        Raises:
            RequestError: the target has no way to compute in these formats.
        """
        if isinstance(self.plan, Infeasible):
            raise RequestError(self.plan.reason)
        made, steps = self._prefill(batch, prompt), list(past)
        if not steps:
            return made
        found = attending(self._decode(batch, steps[0]), (self.decode_graph(batch, at) for at in steps), self._target)
        return replace(made, operators=(*made.operators, *found.operators))

    def _prefill(self, batch: int, prompt: int) -> NumericsPlan:
        key = ("prefill", batch, prompt)
        if key not in self._plans:
            graph = self.prefill_graph(batch, prompt)
            self._plans[key] = self._as_decode(graph, prompt) if self._setting.as_decode else self._plan(graph)
        return self._plans[key]

    def _decode(self, batch: int, past: int) -> NumericsPlan:
        key = ("decode", batch, past)
        if key not in self._plans:
            graph, first = self.decode_graph(batch, past), ("decode", batch, 0)
            if first not in self._plans:
                self._plans[first] = self._plan(graph)
            self._plans[key] = attending(self._plans[first], (graph,), self._target)
        return self._plans[key]

    def _as_decode(self, graph: Graph, prompt: int) -> NumericsPlan:
        """Every operator of a prompt as decode steps of one sequence have it; attention by position."""
        steps = (self.decode_graph(1, at) for at in range(prompt))
        found = attending(self._decode(1, 0), steps, self._target)
        own, named = self._plan(graph), {op.name: replace(op, phase=graph.phase) for op in found.operators}
        return replace(own, operators=tuple(named.get(op.name, op) for op in own.operators))

    def _plan(self, graph: Graph) -> NumericsPlan:
        found = self._made((graph,))
        assert isinstance(found, NumericsPlan)
        return found

    def _made(self, graphs: Sequence[Graph]) -> NumericsPlan | Infeasible:
        """The plan of some phases, with what methods change in it."""
        at = self._setting
        found = plan_of(graphs, self._target, at.unrounded)
        if isinstance(found, Infeasible):
            return found
        if at.token_groups is not None:
            found = in_token_groups(found, at.token_groups)
        if at.outliers_from is not None:
            found = with_outliers(found, graphs, self._target, at.outliers_from)
        return replace(found, static=True) if at.scales == STATIC else found

    def start(self, tokens: Tokens, observe: walk.Observer | None = None) -> tuple[Array, State]:
        """Prefill.

        Args:
            tokens: [batch, positions].
            observe: sees every tensor that is written.

        Returns:
            Logits [batch, positions, vocabulary], and what decode goes on from.
        """
        state = State(KvCache(len(tokens)), 0)
        numbers = self._prefill(*tokens.shape)
        return self._run(self.prefill_graph(*tokens.shape), numbers, tokens, state, observe)

    def step(self, tokens: Tokens, state: State, observe: walk.Observer | None = None) -> tuple[Array, State]:
        """One decode step for [batch, 1] tokens; logits [batch, 1, vocabulary]."""
        numbers = self._decode(len(tokens), state.past)
        return self._run(self.decode_graph(len(tokens), state.past), numbers, tokens, state, observe)

    def _run(
        self, graph: Graph, numbers: NumericsPlan, tokens: Tokens, state: State, observe: walk.Observer | None
    ) -> tuple[Array, State]:
        at = Pass(self.model, self._weights, state.cache, tokens, state.past, clipped=self.clipped, scales=self._scales)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is counted, or refused with its operator
            logits = walk.run(graph, numbers, at, observe)
        return logits.reshape(*tokens.shape, -1), State(state.cache, state.past + tokens.shape[1])


@dataclass(frozen=True)
class State:
    """Where a sequence stands.

    Attributes:
        cache: keys and values; it grows in place, so that only the latest state may go on.
        past: positions in it.
    """

    cache: KvCache
    past: int
