"""A model ready to run: its graphs, its plan, its weights; prefill and decode steps over one growing cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.evaluate.phases import Work
from accelsim.execution import walk
from accelsim.execution.cache import KvCache
from accelsim.execution.changes import in_token_groups, with_outliers
from accelsim.execution.plan import NumericsPlan, Target, plan_of
from accelsim.execution.rules import Pass
from accelsim.execution.static import StaticScales
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
        token_groups: keys and values are quantised in groups of tokens.
    """

    formats: Formats
    unrounded: tuple[Role, ...] = ()
    overrides: tuple[tuple[str, Format], ...] = ()
    fuse: bool = True
    scales: str | None = None
    outliers_from: float | None = None
    token_groups: bool = False


class Executor:
    """Runs one model in one plan.

    Args:
        model: its shape and values.
        weights: of it.
        setting: formats and fusion.
        target: who computes.

    Raises:
        RequestError: a family that is not executed, or an override that names nothing.
    """

    def __init__(self, model: Model, weights: Weights, setting: Setting, target: Target) -> None:
        self.model, self._weights, self._setting = model, weights, setting
        graphs = (self.prefill_graph(1, 2), self.decode_graph(1, 2))
        found = plan_of(graphs, target, setting.unrounded)
        if isinstance(found, NumericsPlan) and setting.token_groups:
            found = in_token_groups(found)
        if isinstance(found, NumericsPlan) and setting.outliers_from is not None:
            found = with_outliers(found, graphs, target, setting.outliers_from)
        if isinstance(found, NumericsPlan) and setting.scales == STATIC:
            found = replace(found, static=True)
        self.plan: NumericsPlan | Infeasible = found
        self.clipped: dict[tuple[str, str], tuple[int, int]] = {}
        self._scales: StaticScales | None = None

    @property
    def overrides(self) -> Mapping[str, Format]:
        """Formats of single tensors, those of a quantised checkpoint among them."""
        return dict(self._setting.overrides)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers must know, clipped tensors among it."""
        assert isinstance(self.plan, NumericsPlan)
        clipped = [
            f"{operator}, {tensor}: {100 * count / of:.2g} % of the elements are beyond the range of their format"
            for (operator, tensor), (count, of) in self.clipped.items()
        ]
        return (*self.plan.warnings, *clipped)

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

    def start(self, tokens: Tokens, observe: walk.Observer | None = None) -> tuple[Array, State]:
        """Prefill.

        Args:
            tokens: [batch, positions].
            observe: sees every tensor that is written.

        Returns:
            Logits [batch, positions, vocabulary], and what decode goes on from.
        """
        state = State(KvCache(len(tokens)), 0)
        return self._run(self.prefill_graph(*tokens.shape), tokens, state, observe)

    def step(self, tokens: Tokens, state: State, observe: walk.Observer | None = None) -> tuple[Array, State]:
        """One decode step for [batch, 1] tokens; logits [batch, 1, vocabulary]."""
        return self._run(self.decode_graph(len(tokens), state.past), tokens, state, observe)

    def _run(self, graph: Graph, tokens: Tokens, state: State, observe: walk.Observer | None) -> tuple[Array, State]:
        assert isinstance(self.plan, NumericsPlan)
        at = Pass(self.model, self._weights, state.cache, tokens, state.past, clipped=self.clipped, scales=self._scales)
        logits = walk.run(graph, self.plan, at, observe)
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
