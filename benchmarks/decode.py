"""One decode step of Llama-2-7B on memories that compute, the refresh carried from kernel to kernel."""

from __future__ import annotations

from collections.abc import Callable

from accelsim import catalog
from accelsim.devices.families import kernel_device
from accelsim.devices.pim.base import KernelDevice, Prepared
from accelsim.spec.system import System

LAYERS = 32
CONTEXT = 2048
HEADS, WIDTH = 32, 128
PRODUCTS = {"qkv": (12288, 4096), "o": (4096, 4096), "gate_up": (22016, 4096), "down": (4096, 11008)}
HEAD = (32000, 4096)


def prepare(name: str) -> dict[str, Prepared]:
    """The products of a step, mapped: those of weights on all channels, those of a head on its share of them."""
    system = catalog.chip(name)
    assert isinstance(system, System)
    part = catalog.part(system)
    share = system.with_({"count": max(1, system.count // HEADS)})
    whole, few = kernel_device(system, part), kernel_device(share, part)

    def product(device: KernelDevice, n: int, k: int) -> Prepared:
        made = device.prepared(
            "matmul", {"m": 1, "n": n, "k": k}, scope="physical", variant=device.variants["matmul"][0]
        )
        assert isinstance(made, Prepared)
        return made

    made = {key: product(whole, *sizes) for key, sizes in PRODUCTS.items()}
    made |= {"scores": product(few, CONTEXT, WIDTH), "contexts": product(few, WIDTH, CONTEXT)}
    return made | {"head": product(whole, *HEAD)}


def step(name: str) -> Callable[[], int]:
    """Runs a step, mapping included; gives its picoseconds. Each call starts where the one before has ended."""
    now = 0

    def run() -> int:
        nonlocal now
        made, since = prepare(name), now
        for _ in range(LAYERS):
            for key in ("qkv", "scores", "contexts", "o", "gate_up", "down"):
                now += made[key].time_ps(now)
        now += made["head"].time_ps(now)
        return now - since

    return run
