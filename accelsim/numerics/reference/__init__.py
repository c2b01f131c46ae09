"""Exact, slow and readable: what every code means and which code a number gets, with integers and fractions only.

Nothing here knows the array path. `grid.py` has the rules that all formats share; one file per kind has the rest.
"""
