"""What many runs share: graphs by what was asked for, devices by what they are made of.

Building a graph and mapping it onto a chip cost more than running the kernels. A sweep hands one `Memo` to all runs of
a process: a run that meets the same request finds its graph, and on the same chip its kernels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from accelsim.devices.base import Device
from accelsim.evaluate.phases import Work

T = TypeVar("T")

KEPT: Final = 32
"""Works and devices that are kept; the ones that were not used for longest go first."""


class Memo:
    """Graphs and devices of earlier runs. Nothing that it keeps has state that a run could leave behind."""

    def __init__(self) -> None:
        self._works: OrderedDict[Hashable, Work] = OrderedDict()
        self._devices: OrderedDict[Hashable, Device] = OrderedDict()

    def work(self, asked: Work) -> Work:
        """The same work, with its graphs if it was asked for before."""
        return _kept(self._works, asked, lambda: asked)

    def device(self, key: tuple[Any, ...], work: Work, make: Callable[[], Device]) -> Device:
        """The device of a chip, with the kernels of the work if it ran there before.

        Args:
            key: all that the device is made of.
            work: kernels are kept by operator, so that those of another work would only pile up.
            make: makes the device.
        """
        return _kept(self._devices, (work, key), make)


def _kept(store: OrderedDict[Hashable, T], key: Hashable, make: Callable[[], T]) -> T:
    found = store.get(key)
    if found is None:
        found = store[key] = make()
        if len(store) > KEPT:
            store.popitem(last=False)
    else:
        store.move_to_end(key)
    return found
