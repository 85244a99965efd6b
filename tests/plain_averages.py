"""The moving averages of the ATC law in their plain form; plain_law.py has the rest.

Each takes x, float64 without NaN, and a length, and gives NaN until the first bar that the law gives. A window is
the last L values, oldest first, numbered 1..L.
"""

import math

import numba
import numpy as np

kernel = numba.njit(error_model="numpy")  # never fastmath, no cache


@kernel
def rsum(x, length):
    """Rolling sum of the last `length` values, by the compensated machine; defined from bar length-1."""
    out = np.full(x.size, np.nan)
    s = 0.0
    c = 0.0
    entered = np.zeros(length)  # what each value added to s: taken back out `length` bars later
    h = 0
    for t in range(x.size):
        v = x[t]
        if length == 1:
            out[t] = v
            continue
        fires = False
        if c != 0.0 and v != 0.0:
            shifted = v + abs(c)
            if np.isfinite(shifted) and shifted != 0.0:
                fires = abs(c) - (shifted - v) > 0.0
        if fires:
            s = v
            for k in range(t - 1, max(t - length, -1), -1):  # from the newest to the oldest
                s = x[k] + s
            c = 0.0
            entered[h] = v
        elif t < length:  # the window fills: nothing to take out, and s - c is not rounded on its own
            y = v - c
            ns = s + y
            c = (ns - s) - y
            s = ns
            entered[h] = y
        else:
            old = entered[h]
            y1 = -old - c
            u = s + y1
            e1 = (u - s) - y1
            y2 = v - e1
            ns = u + y2
            c = (ns - u) - y2
            s = ns
            entered[h] = y2
        h = h + 1
        if h == length:
            h = 0
        if t >= length - 1:
            out[t] = s
    return out


@kernel
def sma(x, length):
    """RSUM / L."""
    out = rsum(x, length)
    for t in range(x.size):
        out[t] = out[t] / length
    return out


@kernel
def ema(x, length):
    """Seeded with the SMA of the first `length` values, then e + a*(x - e)."""
    if length == 1:
        return x.copy()
    out = np.full(x.size, np.nan)
    if x.size < length:
        return out
    a = 2 / (length + 1)
    e = sma(x[:length], length)[length - 1]
    out[length - 1] = e
    for t in range(length, x.size):
        e = e + a * (x[t] - e)
        out[t] = e
    return out


@kernel
def dema(x, length):
    """2*e1 - e2, with e2 the EMA over the defined part of e1."""
    out = np.full(x.size, np.nan)
    e1 = ema(x, length)
    e2 = ema(e1[length - 1 :], length)
    for t in range(length - 1, x.size):
        out[t] = 2 * e1[t] - e2[t - (length - 1)]
    return out


@kernel
def wma(x, length):
    """Weights 1..length, the newest heaviest; summed oldest first."""
    out = np.full(x.size, np.nan)
    norm = 0.0
    for k in range(1, length + 1):
        norm = norm + k
    for t in range(length - 1, x.size):
        s = 0.0
        for k in range(1, length + 1):
            s = s + x[t - length + k] * k
        out[t] = s / norm
    return out


@kernel
def hma_hull(x, length):
    """WMA(2*WMA(x, L//2) - WMA(x, L), floor(sqrt(L))), the outer one over the defined part; length >= 2."""
    out = np.full(x.size, np.nan)
    half = wma(x, length // 2)
    whole = wma(x, length)
    first = length - 1
    inner = np.full(max(x.size - first, 0), np.nan)
    for t in range(first, x.size):
        inner[t - first] = 2 * half[t] - whole[t]
    outer = wma(inner, int(math.sqrt(length)))
    for t in range(first, x.size):
        out[t] = outer[t - first]
    return out


@kernel
def lsma(x, length):
    """End of the least-squares line through the window, numbered 1..length."""
    if length == 1:
        return x.copy()
    out = np.full(x.size, np.nan)
    sx = 0.0
    sx2 = 0.0
    for k in range(1, length + 1):
        sx = sx + k
        sx2 = sx2 + float(k) * float(k)
    den = length * sx2 - sx * sx
    for t in range(length - 1, x.size):
        sy = 0.0
        sxy = 0.0
        for k in range(1, length + 1):
            sy = sy + x[t - length + k]
            sxy = sxy + x[t - length + k] * k
        slope = (length * sxy - sx * sy) / den
        icpt = sy / length - slope * sx / length + slope
        out[t] = icpt + slope * (length - 1)
    return out


@kernel
def kama(x, length):
    """Kaufman's average, from bar 0 on and from zero; the efficiency ratio counts from bar `length`."""
    out = np.full(x.size, np.nan)
    steps = np.empty(max(x.size - 1, 0))
    for t in range(1, x.size):
        steps[t - 1] = abs(x[t] - x[t - 1])
    noises = rsum(steps, length)
    k = 0.0
    for t in range(x.size):
        ratio = 0.0
        if t >= length:
            noise = noises[t - 1]
            if not np.isnan(noise) and noise != 0.0:
                ratio = abs(x[t] - x[t - length]) / noise
        m = ratio * (0.666 - 0.064) + 0.064
        m = m * m
        k = k + m * (x[t] - k)
        out[t] = k
    return out
