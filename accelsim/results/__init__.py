"""What a run found: a flat summary, and frames made when they are asked for.

`columns` is the dictionary of all figures, `run` the result itself, `export` its way into files.
"""

from accelsim.results.columns import BOUNDS, COLUMNS, FRAMES, Rows
from accelsim.results.run import SCHEMA, Run, Tables

__all__ = ["BOUNDS", "COLUMNS", "FRAMES", "SCHEMA", "Rows", "Run", "Tables"]
