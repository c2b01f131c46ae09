"""The array path: codecs that work on flat, contiguous float32 or float64 arrays.

`codec.py` has what all share, `grid.py` the engine that serves any grid of up to 16 bits; one file per kind that has
a faster way or owns scales. Kernels that numba compiles are in files of their own.
"""
