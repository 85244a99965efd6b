"""The averages of a window, WMA, LSMA and HMA, with time in the lanes.

A *row* holds one quantity over time: `history` past bars, then the bars of the tile. The law adds a window's values
oldest first, so the sums of all lengths that start at one bar are one chain, and each length is a snapshot of it. A
row is therefore filed under the bar where the window starts; readers look `length - 1` bars back. Lanes are different
start bars, so no lane's order of additions changes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import int64
from numpy.typing import NDArray

from .compiling import kernel
from .simd import load32, splat32, store

BARS = 128
"""Bars of a tile. A multiple of 32; larger ones leave the first-level cache."""


class WindowPlan(NamedTuple):
    """Which window averages are wanted, and in which rows they go (-1: not wanted)."""

    lengths: NDArray[int64]  # ascending lengths of the chain
    wma_rows: NDArray[int64]  # for each of them: the row of its WMA
    lsma_rows: NDArray[int64]  # and of its LSMA
    bar_rows: NDArray[int64]  # (2,): the row of x itself, and of 2x - x: the averages of one bar
    hull_lengths: NDArray[int64]
    hull_rows: NDArray[int64]  # (n, 4): WMA(L//2), WMA(L), twice the first less the second, HMA
    rows: int


@kernel
def wma_and_lsma(x, history, plan, rows, stride):
    """WMA = sum x_k*k / norm and LSMA = the end of the least-squares line, of all lengths, from every start bar."""
    for start in range(history, history + BARS, 32):
        sy = splat32(0.0)
        sxy = splat32(0.0)
        k = 0
        sx2 = 0.0
        for i in range(plan.lengths.size):
            length = plan.lengths[i]
            while k < length:
                value = load32(x, start + k)
                k += 1
                sy = sy + value
                sxy = sxy + value * float(k)
                sx2 += float(k) * float(k)
            sx = 0.5 * length * (length + 1)  # whole numbers below 2**53: exact, in any order
            if plan.wma_rows[i] >= 0:
                store(rows, plan.wma_rows[i] * stride + start, sxy / sx)
            if plan.lsma_rows[i] >= 0:
                n = float(length)
                slope = (sxy * n - sy * sx) / (n * sx2 - sx * sx)
                intercept = sy / n - slope * sx / n + slope
                store(rows, plan.lsma_rows[i] * stride + start, intercept + slope * (n - 1.0))


@kernel
def averages_of_one_bar(x, history, plan, rows, stride):
    """Length 1: EMA, SMA and LSMA are the bar itself, DEMA is 2x - x."""
    for t in range(history, history + BARS, 32):
        value = load32(x, t)
        if plan.bar_rows[0] >= 0:
            store(rows, plan.bar_rows[0] * stride + t, value)
        if plan.bar_rows[1] >= 0:
            store(rows, plan.bar_rows[1] * stride + t, value * 2.0 - value)


@kernel
def hma(history, plan, rows, stride):
    """HMA = WMA(2*WMA(x, L//2) - WMA(x, L), floor(sqrt(L))); its rows are filed under the bar where it is defined."""
    for i in range(plan.hull_lengths.size):
        length = plan.hull_lengths[i]
        half = plan.hull_rows[i, 0] * stride - (length // 2 - 1)
        full = plan.hull_rows[i, 1] * stride - (length - 1)
        raw = plan.hull_rows[i, 2] * stride
        for t in range(history, history + BARS, 32):
            store(rows, raw + t, load32(rows, half + t) * 2.0 - load32(rows, full + t))
    for i in range(plan.hull_lengths.size):
        outer = int(math.sqrt(plan.hull_lengths[i]))
        first = plan.hull_rows[i, 2] * stride - (outer - 1)
        result = plan.hull_rows[i, 3] * stride
        norm = 0.5 * outer * (outer + 1)
        for t in range(history, history + BARS, 32):
            total = splat32(0.0)
            for k in range(outer):
                total = total + load32(rows, first + t + k) * float(k + 1)
            store(rows, result + t, total / norm)


@kernel
def make_rows(x, history, plan, rows, stride):
    """All window averages of a tile."""
    wma_and_lsma(x, history, plan, rows, stride)
    averages_of_one_bar(x, history, plan, rows, stride)
    hma(history, plan, rows, stride)


@kernel
def newest_first_sums(v, history, lengths, sums, stride):
    """Plain sums, newest value first, of all `lengths` (ascending) ending at every bar: what RSUM restarts from."""
    for t in range(0, BARS, 32):
        total = splat32(0.0)
        k = 0
        for i in range(lengths.size):
            while k < lengths[i]:
                total = load32(v, history + t - k) + total
                k += 1
            store(sums, i * stride + t, total)
