"""Who may use a memory that has modes: normal accesses side by side, or one holder alone.

A holder waits until what is under way on its memory has been served; whoever comes after its request waits
until it lets go. Requests are served in the order in which they came: nobody passes an earlier request that
stands in its way, and what has begun is never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import simpy


@dataclass(slots=True, eq=False)
class Request:
    """Someone who wants memories, until it may go.

    Attributes:
        label: its kernel, for messages.
        uses: resources that it draws on and does not hold itself.
        holds: the memory that it wants for itself; None for a normal access.
        begin: called when it may go.
        blocker: the resource whose mode it waits for, since `since`.
    """

    label: str
    uses: tuple[str, ...]
    holds: str | None
    begin: Callable[[], None]
    blocker: str = ""
    since: int = 0


class Modes:
    """Holders of memories and those who wait, first come, first served.

    Args:
        env: the SimPy environment.
        busy: whether a flow is under way on a resource.

    Attributes:
        blocked_ps: by resource, time spent waiting for its mode, summed over those who waited.
    """

    def __init__(self, env: simpy.Environment, busy: Callable[[str], bool]) -> None:
        self._env, self._busy = env, busy
        self._held: set[str] = set()
        self._waiting: list[Request] = []
        self.blocked_ps: dict[str, int] = {}

    def ask(self, request: Request) -> None:
        """Calls `request.begin` now, or when its turn has come."""
        blocker = self._blocker(request, self._waiting)
        if blocker is None:
            self._go(request)
        else:
            request.blocker, request.since = blocker, int(self._env.now)
            self._waiting.append(request)

    def release(self, resource: str) -> None:
        """The holder of a memory lets it go."""
        self._held.remove(resource)
        self.admit()

    def admit(self) -> None:
        """Lets go whoever may go now; called when flows have ended as well."""
        left: list[Request] = []
        for request in self._waiting:
            blocker = self._blocker(request, left)
            if blocker != request.blocker:
                self._book(request)
                request.blocker = blocker or ""
            if blocker is None:
                self._go(request)
            else:
                left.append(request)
        self._waiting = left

    def stuck(self) -> Request | None:
        """The first of those who still wait."""
        return self._waiting[0] if self._waiting else None

    def _go(self, request: Request) -> None:
        if request.holds is not None:
            self._held.add(request.holds)
        request.begin()

    def _book(self, request: Request) -> None:
        now = int(self._env.now)
        if now > request.since:
            self.blocked_ps[request.blocker] = self.blocked_ps.get(request.blocker, 0) + now - request.since
        request.since = now

    def _blocker(self, request: Request, earlier: list[Request]) -> str | None:
        """The resource for whose mode a request has to wait; None if it may go."""
        held = [name for name in request.uses if name in self._held]
        wanted = request.holds
        if wanted is not None and (wanted in self._held or self._busy(wanted)):
            held.append(wanted)
        if held:
            return held[0]
        for other in earlier:
            if other.holds is not None and (other.holds == wanted or other.holds in request.uses):
                return other.holds
            if wanted is not None and wanted in other.uses:
                return wanted
        return None
