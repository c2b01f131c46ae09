"""Streams that come again on channels in the same state: how a kernel begins and ends hardly depends on its shape."""

from __future__ import annotations

from functools import lru_cache

from accelsim.timing.hbm_pim.channel import Access, Channel
from accelsim.timing.hbm_pim.controller_kernels import CYCLE, DUE_0, DUE_1
from accelsim.timing.hbm_pim.rules import Rules

_HORIZON = 1000
"""Cycles from which on a refresh is too far away to matter, unless the stream turns out to be longer."""
_PAST = -4096
"""Older than any rule looks back, with which all earlier cycles are as good."""

Frozen = tuple[tuple[int, ...], ...]


def serve(
    channel: Channel, stream: tuple[Access, ...], rules: Rules, *, queued: int = 0, stop: int = -1
) -> tuple[int, ...]:
    """What `Channel.serve` does, remembered by the state relative to the cycle at which it begins.

    Returns:
        How many READ, WRITE, ACT, PRE and REF were issued, and rows opened.
    """
    since = channel.cycle
    far = [channel.state[due] - since > _HORIZON for due in (DUE_0, DUE_1)]
    served = _relative(_freeze(channel), stream, rules, queued, stop)
    if served is None:
        return tuple(channel.serve(stream, rules, queued=queued, stop=stop)[0])
    after, counts = served
    dues = [channel.state[due] for due in (DUE_0, DUE_1)]
    channel.state, *channel.banks, channel.window = _shift(after, since)
    for due, is_far, absolute in zip((DUE_0, DUE_1), far, dues, strict=True):
        if is_far:
            channel.state[due] = absolute
    return counts


@lru_cache(maxsize=512)
def _relative(
    frozen: Frozen, stream: tuple[Access, ...], rules: Rules, queued: int, stop: int
) -> tuple[Frozen, tuple[int, ...]] | None:
    """The state after a stream, both relative to its beginning; None if a refresh was assumed to be too far away."""
    state, *banks, window = _shift(frozen, 0)
    channel = Channel(state, banks, window)
    far = [due for due in (state[DUE_0], state[DUE_1]) if due > _HORIZON]
    counts, _ = channel.serve(stream, rules, queued=queued, stop=stop)
    if far and channel.cycle > _HORIZON:
        return None
    return tuple(map(tuple, (channel.state, *channel.banks, channel.window))), tuple(counts)


def _freeze(channel: Channel) -> Frozen:
    since = channel.cycle
    state = list(channel.state)
    state[CYCLE] = 0
    for due in (DUE_0, DUE_1):
        state[due] = min(state[due] - since, _HORIZON + 1)
    status, rows, *times = channel.banks
    idle = tuple(at - since if at > 0 else 0 for at in times[-1])
    kept = [tuple(max(at - since, _PAST) for at in field) for field in times[:-1]]
    window = tuple(max(at - since, _PAST) for at in channel.window)
    return (tuple(state), tuple(status), tuple(rows), *kept, idle, window)


def _shift(frozen: Frozen, by: int) -> list[list[int]]:
    """Cycles of a relative state made absolute."""
    state, status, rows, *times, idle, window = map(list, frozen)
    for at in (CYCLE, DUE_0, DUE_1):
        state[at] += by
    fields = [[at + by for at in field] for field in times]
    return [state, status, rows, *fields, [at + by if at > 0 else 0 for at in idle], [at + by for at in window]]
