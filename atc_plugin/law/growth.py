"""The growth table: the only transcendental of the law, computed once on the host and handed to every engine."""

from __future__ import annotations

import functools
import hashlib
import math

import numpy as np
from numpy import float64
from numpy.typing import NDArray

_STEP = 4096


@functools.lru_cache(maxsize=2)
def _table(size: int, lam: float) -> NDArray[float64]:
    """math.e ** (lam * i), by the C library's pow as Python calls it; `np.power` rounds differently."""
    with np.errstate(over="ignore", under="ignore"):  # beyond the doubles: inf, where Python would raise
        table: NDArray[float64] = np.float_power(math.e, lam * np.arange(size))
    return table


def growth_table(n: int, lam: float) -> NDArray[float64]:
    """Growth factors of the bars 0..n-1 after the cutout, `lam` the growth rate a bar; not to be written to.

    Kept for the two rates used last (a table is as long as a series), in whole steps, so that a growing series finds
    its table ready.
    """
    return _table(-(-max(n, 1) // _STEP) * _STEP, lam)[:n]


@functools.cache
def growth_probe() -> str:
    """Fingerprint of a fixed table: the same wherever the platform's pow rounds alike, so it belongs in cache keys."""
    return hashlib.sha256(growth_table(_STEP, 2e-5).tobytes()).hexdigest()[:16]
