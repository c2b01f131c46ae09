"""The SimPy side: integer picoseconds, shared ports, a log, and exact replay of what recurs."""
