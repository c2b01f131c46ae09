"""What a launch costs where kernels are not captured in a graph.

`timing.launch` of the chips comes from kernels replayed in graphs. A host that launches each kernel adds a gap, and a
kernel that is shorter than the host's own work for the next launch waits for the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.kernel import Kernel, Resource

STREAM_GAP_S: Final = 0.4e-6
"""Longer than in a graph: 3.8 against 3.4 us for a kernel of 2.9 us (measured on V100: NVIDIA technical blog, Getting
Started with CUDA Graphs, 2019); assumed to hold for other chips."""

HOST_LAUNCH_S: Final = 2.3e-6
"""Host time of one launch from C or C++, assumed: empty kernels take the hosts of A100 and H100 somewhat more than 2 us
(arXiv 2504.11750). Frameworks that dispatch operators from Python take several times as long."""


def in_stream(kernel: Kernel, resources: Mapping[str, Resource]) -> Kernel:
    """The kernel as the host launches it: after a longer gap, and not before the host is there again."""
    work_s = kernel_time_s(kernel, resources) - kernel.launch_s
    return replace(kernel, launch_s=max(kernel.launch_s + STREAM_GAP_S, HOST_LAUNCH_S - work_s))
