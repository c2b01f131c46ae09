"""How many links join nodes, and how many hops it is from one to another.

A Dragonfly: nodes of a group have `group_links` links to each other, and groups have links to each other. Systems of
any size are cabled as parts of the largest one, so that a larger system is not slower for what fits a smaller one.
"""

from __future__ import annotations

from accelsim.spec.tsp import Fabric


def links(fabric: Fabric, nodes: int) -> int:
    """Links between a node and the next one of a pipeline of `nodes`; 0 where there is none.

    Where the pipeline goes from group to group, the groups have more links than that; they are taken for no faster.
    """
    if nodes < 2:
        return 0
    return min(fabric.group_links, fabric.ports)


def hops(fabric: Fabric, apart: int) -> int:
    """Links on the shortest way between nodes that are `apart` places apart in the pipeline."""
    if not apart:
        return 0
    if apart < fabric.group:
        return 1
    return 3  # to the node of the group that has the link, over it, and on to the node
