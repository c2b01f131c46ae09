"""Costs that need no events: rooflines, links, tiles and DRAM commands in closed form."""
