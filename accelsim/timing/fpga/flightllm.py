"""The cycle model that FlightLLM prints (arXiv 2401.03868, section 3): memory and compute time of one product."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parallelism:
    """Products of a cycle: rows (M) x inputs (K) x columns (N)."""

    m: int
    k: int
    n: int


def memory_time(m: int, k: int, n: int, bandwidth: float) -> float:
    """(M K + K N + M N) / BW; seconds where bandwidth is elements per second, cycles where it is per cycle."""
    return (m * k + k * n + m * n) / bandwidth


def compute_time(m: int, k: int, n: int, parallel: Parallelism) -> float:
    """M K N / (pM pK pN), cycles; decode has M = pM = 1."""
    return m * k * n / (parallel.m * parallel.k * parallel.n)


def bound(m: int, k: int, n: int, parallel: Parallelism, bandwidth_per_cycle: float) -> str:
    """What bounds a product: "compute" where its loads hide behind it (T_mem < T_cmp), else "memory"."""
    hidden = memory_time(m, k, n, bandwidth_per_cycle) < compute_time(m, k, n, parallel)
    return "compute" if hidden else "memory"
