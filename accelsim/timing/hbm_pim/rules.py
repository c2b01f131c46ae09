"""Timing rules of one pseudo-channel in cycles, derived from its description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim import controller_kernels as controller


@dataclass(frozen=True)
class Rules:
    """What the controller knows of the DRAM, in cycles; names say which command waits for which.

    Attributes:
        refresh_interval: from one refresh of a rank to the next; 0 if refresh is off.
        read_done: from a read's issue to its data at the controller; a command takes one cycle to the DRAM.
        window: cycles in which at most `window_activates` banks are opened; 0 if that is not enforced.
        activated_together: banks that one ACT opens in all-bank mode.
    """

    read_to_read_long: int
    read_to_read_short: int
    read_to_write: int
    write_to_read: int
    read_to_precharge: int
    write_to_precharge: int
    activate_to_read: int
    activate_to_write: int
    activate_to_precharge: int
    activate_to_activate: int
    other_bank_long: int
    other_bank_short: int
    precharge_to_activate: int
    refresh_time: int
    refresh_interval: int
    read_done: int
    write_done: int
    window: int
    window_activates: int
    activated_together: int
    ranks: int
    queue_depth: int
    enter_row: int
    enter_column: int
    leave_row: int
    register_row: int
    mode_column: int
    park_row: int
    banks: int

    @cached_property
    def table(self) -> list[int]:
        """The rules in the order of `controller_kernels`."""
        return [int(getattr(self, name)) for name in _ORDER]

    def without_refresh(self) -> Rules:
        """The same with refresh off."""
        return replace(self, refresh_interval=0)


_ORDER = tuple(
    name.lower() for name in sorted(
        (name for name in vars(controller) if name.isupper() and name.lower() in Rules.__dataclass_fields__),
        key=lambda name: int(getattr(controller, name)),
    )
)  # fmt: skip


def rules_of(part: HbmPimPart, *, refresh: bool = True, window: bool = False) -> Rules:
    """The rules of a part.

    Args:
        part: its description.
        refresh: whether banks are refreshed.
        window: whether the window of four activations is enforced; an ACT in all-bank mode then counts every bank.
    """
    t, layout, modes = part.timing, part.organization, part.modes
    return Rules(
        read_to_read_long=max(t.nCCDL, t.nBL),
        read_to_read_short=max(t.nCCDS, t.nBL),
        read_to_write=t.nRL + t.nBL + t.nRTRS - t.nWL,
        write_to_read=t.nWL + t.nBL + t.nWTRL,
        read_to_precharge=t.nBL + max(t.nRTPL, t.nCCDL) - t.nCCDL,
        write_to_precharge=t.nWL + t.nBL + t.nWR,
        activate_to_read=t.nRCDRD,
        activate_to_write=t.nRCDWR,
        activate_to_precharge=t.nRAS,
        activate_to_activate=t.nRC,
        other_bank_long=t.nRRDL,
        other_bank_short=t.nRRDS,
        precharge_to_activate=t.nRP,
        refresh_time=t.nRFC,
        refresh_interval=t.nREFI if refresh else 0,
        read_done=t.nCMD + t.nRL + t.nBL,
        write_done=t.nWL + t.nBL,
        window=t.nFAW if window else 0,
        window_activates=t.activates_per_window,
        activated_together=part.pim.blocks,
        ranks=layout.ranks,
        queue_depth=part.controller.queue,
        enter_row=modes.enter_row,
        enter_column=modes.enter_column,
        leave_row=modes.leave_row,
        register_row=modes.register_row,
        mode_column=modes.mode_column,
        park_row=modes.park_row,
        banks=layout.banks_per_rank,
    )
