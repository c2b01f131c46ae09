"""Which tensors a GPU keeps in the memory of its host, from what a caller names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from accelsim import catalog
from accelsim.errors import RequestError, UnknownNameError
from accelsim.mapping.gpu.offload import ROLES, HostTier
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.system import System
from accelsim.units import show

TO_HOST: Final = "pcie"
"""Names of links that lead to a host begin so."""


def tier(chip: Chip, offload: str | Sequence[str], host: str | None) -> HostTier | None:
    """The host's memory as a chip reaches it, or None where nothing is kept there.

    Args:
        chip: a GPU with a link to a host.
        offload: names of what the host keeps, "weights" or "kv_cache"; one name may stand alone.
        host: the host's description.

    Raises:
        UnknownNameError: something else to keep.
        RequestError: no host, a host that is no processor with a memory, or a chip that cannot fetch from one.
    """
    names = (offload,) if isinstance(offload, str) else tuple(offload)
    keeps = tuple(dict.fromkeys(name for name in names if name))
    for name in keeps:
        if name not in ROLES:
            raise UnknownNameError("offload", name, ROLES, hint=f"offload: {', '.join(ROLES)}")
    if not keeps:
        return None
    if isinstance(chip, System) or not isinstance(chip, GpuChip) or chip.family != "gpu":
        raise RequestError(f"offload = {', '.join(keeps)}: GPUs fetch from a host, {chip.name} does not")
    if host is None:
        raise RequestError(
            f"offload = {', '.join(keeps)}: name the host that keeps it, such as host = 'xeon-silver-4215-2s'"
        )
    found = catalog.chip(host)
    if not isinstance(found, GpuChip) or found.family != "cpu":
        raise RequestError(f"host = {host!r}: a host is a chip of family cpu; see `accelsim list arch`")
    links = [link.bandwidth_bytes_per_s for link in chip.link if link.name.startswith(TO_HOST)]
    if not links:
        raise RequestError(
            f"offload: {chip.name} has no link to a host: [[link]] named {TO_HOST}...; "
            f"it has {', '.join(link.name for link in chip.link) or 'no links'}"
        )
    rate = min(max(links), found.memory.bandwidth_bytes_per_s)
    return HostTier(found.name, keeps, rate, found.memory.capacity_bytes)


def told(tier: HostTier) -> str:
    """A sentence for the run."""
    return (
        f"{' and '.join(tier.keeps)} are kept by {tier.host} and fetched for each use at "
        f"{show(tier.link_bytes_per_s, 'B/s')}: peak data rates of link and memory, no protocol overhead"
    )
