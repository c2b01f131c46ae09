"""Cycles of an IPU's vertices and exchanges."""
