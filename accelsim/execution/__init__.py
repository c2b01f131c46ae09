"""Execution with real values: the operator graph that is priced, in the formats and with the sums of a machine.

Start at `run.execute`; `plan` says in which numbers, `rules` what every operator does, `walk` in which order.
"""
