"""Which member lives where: from components to the rows and lanes of a pass over the bars."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy import int64
from numpy.typing import NDArray

from .window_averages import WindowPlan

AVERAGES = ("EMA", "SMA", "HULL", "WMA", "DEMA", "LSMA", "KAMA")
"""The averages of the law by name; which of them the type HMA is, SMA or HULL, is the caller's to say."""

WINDOWS = ("WMA", "LSMA")
"""Those made in rows that are filed under the bar where their window starts."""

Component = tuple[str, tuple[int, ...]]
"""An average and the nine lengths whose trend states it votes with."""


class Layout(NamedTuple):
    """Where a pass keeps what. Members come first by rows, then EMA, DEMA, SMA and KAMA, each by ascending length."""

    history: int  # bars a tile reaches back, a multiple of 8
    windows: WindowPlan
    member_rows: NDArray[int64]  # of each member made in rows: its row
    member_lags: NDArray[int64]  # and how many bars back it is filed
    ema_lengths: NDArray[int64]
    dema_lengths: NDArray[int64]
    sma_lengths: NDArray[int64]
    kama_lengths: NDArray[int64]
    members: int
    components: NDArray[int64]  # (components, 9): the members of each


def _integers(values: object) -> NDArray[int64]:
    return np.array(values, dtype=np.int64)


@functools.lru_cache(maxsize=1024)
def lay_out(components: tuple[Component, ...]) -> Layout:
    """Give every distinct member of the components its place. Pure: the same components give the same layout."""
    wanted: dict[str, set[int]] = {name: set() for name in (*AVERAGES, "BAR", "DOUBLED")}
    for average, lengths in components:
        for length in lengths:
            wanted[_made_as(average, length)].add(length)
    by = {name: sorted(lengths) for name, lengths in wanted.items()}

    # Rows: windows (the Hull averages need WMAs too), the averages of one bar, then two for each Hull average.
    wma_lengths = sorted({*by["WMA"], *by["HULL"], *(length // 2 for length in by["HULL"])})
    rows: dict[tuple[str, int], int] = {}
    for name in (*WINDOWS, "BAR", "DOUBLED"):
        for length in wma_lengths if name == "WMA" else by[name]:
            rows[name, length] = len(rows)
    hull_rows = []
    for i, length in enumerate(by["HULL"]):
        raw = len(rows) + i  # each Hull average adds its own row and one for what it is made from
        hull_rows.append((rows["WMA", length // 2], rows["WMA", length], raw, raw + 1))
        rows["HULL", length] = raw + 1
    chain = sorted({*wma_lengths, *by["LSMA"]})
    windows = WindowPlan(
        lengths=_integers(chain),
        wma_rows=_integers([rows.get(("WMA", length), -1) for length in chain]),
        lsma_rows=_integers([rows.get(("LSMA", length), -1) for length in chain]),
        bar_rows=_integers([rows.get(("BAR", 1), -1), rows.get(("DOUBLED", 1), -1)]),
        hull_lengths=_integers(by["HULL"]),
        hull_rows=_integers(hull_rows).reshape(-1, 4),
        rows=len(rows) + len(hull_rows),
    )

    in_rows = [(name, length) for name in (*WINDOWS, "BAR", "DOUBLED", "HULL") for length in by[name]]
    in_lanes = [(name, length) for name in ("EMA", "DEMA", "SMA", "KAMA") for length in by[name]]
    lane = {member: i for i, member in enumerate((*in_rows, *in_lanes))}
    longest = max(length for _, lengths in components for length in lengths)
    return Layout(
        history=longest // 8 * 8 + 8,
        windows=windows,
        member_rows=_integers([rows[member] for member in in_rows]),
        member_lags=_integers([length - 1 if name in WINDOWS else 0 for name, length in in_rows]),
        ema_lengths=_integers(by["EMA"]),
        dema_lengths=_integers(by["DEMA"]),
        sma_lengths=_integers(by["SMA"]),
        kama_lengths=_integers(by["KAMA"]),
        members=len(lane),
        components=_integers([[lane[_made_as(a, n), n] for n in lengths] for a, lengths in components]),
    )


def _made_as(average: str, length: int) -> str:
    """How a member is made: the averages of one bar need no window."""
    if length == 1 and average in ("EMA", "SMA", "LSMA"):
        return "BAR"
    return "DOUBLED" if length == 1 and average == "DEMA" else average
