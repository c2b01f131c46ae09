"""What measurements say of the collectives of one library between GPUs of one kind."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from accelsim.spec.base import Record, Time

OPERATIONS: Final = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
"""Operations with constants of their own; a message from one GPU to another goes as an all-gather between two."""

Share = Annotated[float, Field(gt=0, le=1)]


class CollectiveConstants(Record):
    """Constants of one operation; `accelsim.timing.gpu.collective` says how they act.

    NCCL has three protocols. LL sends a flag with every 4 bytes and LL128 one with every 120, so that a receiver never
    waits for a fence; Simple sends whole chunks and fences.

    Attributes:
        operation: one of `OPERATIONS`.
        start_s: of the kernels on all GPUs, with what they tell each other first.
        hop_s: each further GPU of the ring, one way around (all-reduce goes around twice).
        ll_efficiency: part of the link's bandwidth that LL reaches.
        ll128_s: what LL128 takes beyond LL for the shortest message.
        ll128_efficiency: part of the link's bandwidth that LL128 reaches between four GPUs.
        simple_s: what Simple takes beyond LL for the shortest message.
        simple_efficiency: part of the link's bandwidth that Simple reaches between four GPUs.
        growth: power of the number of GPUs by which the efficiencies of LL128 and Simple grow: more GPUs, more rings.
    """

    operation: str
    start_s: Time = Field(alias="start")
    hop_s: Time = Field(alias="hop")
    ll_efficiency: Share
    ll128_s: Time = Field(alias="ll128")
    ll128_efficiency: Share
    simple_s: Time = Field(alias="simple")
    simple_efficiency: Share
    growth: Annotated[float, Field(ge=-1, le=1)]
