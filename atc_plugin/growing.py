"""Columns that begin with a column of which something was kept: yesterday's prices in today's.

Prefixes are told by their fingerprints at a few lengths, eight an octave: a column is filed under the longest of these
that it reaches, and one that has grown by less than a quarter finds it there, for it looks at its own last four.
"""

from __future__ import annotations

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from .cache.store import Store
from .keys import begun, column_key, column_name

KIND = "columns"

_STEPS = 8  # lengths an octave
_LOOKED_AT = 4
_MOST = 16  # columns remembered of a beginning


def remember(store: Store, close: NDArray[float64]) -> None:
    """Note that something is kept of this column, for longer ones that begin with it."""
    for bars, name in _beginnings(close, 1):
        key = _key(bars, name)
        known = store.look(key).array
        lengths = [] if known is None else known.tolist()
        if close.size not in lengths:
            lengths = [close.size, *lengths][:_MOST]
            store.put(key, np.array(lengths, np.int64), KIND)
        if name not in store.disk.beginnings:
            store.disk.beginnings.add([name])


def earlier_lengths(store: Store, close: NDArray[float64]) -> list[int]:
    """How many bars the columns have that this one may begin with, the longest first; nothing for most columns."""
    if not store.disk.beginnings:
        return []
    found: set[int] = set()
    beginnings = _beginnings(close, _LOOKED_AT)
    there = store.disk.beginnings.which(name for _, name in beginnings)
    for bars, name in beginnings:
        known = store.look(_key(bars, name)).array if name in there else None
        if known is not None:
            found.update(length for length in known.tolist() if length < close.size)
    return sorted(found, reverse=True)


def mark_as_warmed(store: Store, close: NDArray[float64], source: NDArray[float64]) -> None:
    """Note that everything kept of this column is to be found, in longer ones that begin with it too."""
    remember(store, close)
    name = column_name(column_key(close, source))
    if name not in store.disk.warmed:
        store.disk.warmed.add([name])


def is_warmed(store: Store, close: NDArray[float64], source: NDArray[float64]) -> bool:
    """Whether `warm` was asked for this column, or for one that it begins with."""
    warmed = store.disk.warmed
    if not warmed:
        return False
    if column_name(column_key(close, source)) in warmed:
        return True
    return any(column_name(column_key(*begun(close, source, bars))) in warmed for bars in earlier_lengths(store, close))


def _key(bars: int, name: str) -> str:
    return f"{KIND} that begin with {bars} bars {name}"


def _beginnings(close: NDArray[float64], count: int) -> list[tuple[int, str]]:
    """The last so many of the lengths that columns are filed under, with the fingerprint of the bars before."""
    from xxhash import xxh3_128

    total, done, out = xxh3_128(), 0, []
    for bars in reversed(_lengths(close.size, count)):
        total.update(close[done:bars].data)
        done = bars
        out.append((bars, total.hexdigest()))
    return out


def _lengths(bars: int, count: int) -> list[int]:
    """The longest lengths that a column of so many bars reaches: m * 2**j with m from 8 to 15, falling."""
    out: list[int] = []
    octave = max(bars.bit_length() - 4, 0)
    part = bars >> octave
    while len(out) < count and part >= _STEPS:
        out.append(part << octave)
        part -= 1
        if part < _STEPS and octave:
            octave -= 1
            part = 2 * _STEPS - 1
    return out
