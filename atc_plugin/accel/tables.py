"""What the kernels read beside prices: the places and constants of a pass's members, regimes and components.

Made on the host from the arrangement that the CPU's pass has, so both engines make the same members, each once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..engine import component_type
from ..law.growth import growth_table
from ..params import TYPES

if TYPE_CHECKING:
    from ..engine import Regime
    from ..law.components import Regimes, Wanted
    from ..law.layout import Layout


class Places(NamedTuple):
    """Averages of one kind: ascending lengths, rows among members, rows among the averages that are kept (-1: none)."""

    size: int  # how many there are
    lengths: NDArray[int64]
    rows: NDArray[int64]
    kept: NDArray[int64]
    alphas: NDArray[float64]  # what an EMA of each length takes of a new value
    slots: NDArray[int64]  # where each begins in an array that has as many slots for each as its length says
    all_slots: int  # how many slots that array has


def _places(lengths: NDArray[int64], rows: NDArray[int64], kept: NDArray[int64]) -> Places:
    alphas = np.array([2 / (length + 1) for length in lengths.tolist()], np.float64)
    slots = (np.cumsum(lengths) - lengths).astype(np.int64)
    return Places(lengths.size, lengths, rows, kept, alphas, slots, int(lengths.sum()))


class AverageTables(NamedTuple):
    """Where every average of a layout goes."""

    members: int
    kept_rows: int  # rows of averages that are kept
    wma: Places  # of all windows: the same lengths here and there, -1 where not wanted
    lsma: Places
    bar: tuple[int, int]  # row and kept row of x itself, -1: not wanted
    doubled: tuple[int, int]  # and of 2x - x
    hull: Places
    hull_outer: NDArray[int64]  # floor(sqrt(L)) of each
    hull_halves: NDArray[int64]  # kept rows of the WMAs that each is made of
    hull_fulls: NDArray[int64]
    longest_ema: int  # of EMAs and DEMAs, 0 without any
    first_lengths: NDArray[int64]  # (1,): the same
    ema: Places
    dema: Places
    sma: Places
    kama: Places


def average_tables(layout: Layout, keep_all: bool) -> AverageTables:
    """Where the averages of a layout go.

    Args:
        layout: of the CPU's pass; members keep their numbers.
        keep_all: keep every member's average, in the row of its number; otherwise only those that others are made of.
    """
    windows = layout.windows
    member_of = {row: member for member, row in enumerate(layout.member_rows.tolist())}
    kept = dict(member_of) if keep_all else {}
    kept_rows = layout.members if keep_all else 0
    for row in np.unique(windows.hull_rows[:, :2]).tolist():
        if row not in kept:
            kept[row] = kept_rows
            kept_rows += 1

    def in_rows(lengths: NDArray[int64], rows: NDArray[int64]) -> Places:
        return _places(lengths, _looked_up(member_of, rows), _looked_up(kept, rows))

    def one_bar(row: int) -> tuple[int, int]:
        return member_of.get(row, -1), kept.get(row, -1)

    lanes = []
    at = layout.member_rows.size
    for lengths in (layout.ema_lengths, layout.dema_lengths, layout.sma_lengths, layout.kama_lengths):
        rows = np.arange(at, at + lengths.size, dtype=np.int64)
        lanes.append(_places(lengths, rows, rows if keep_all else np.full(lengths.size, -1, np.int64)))
        at += lengths.size
    ema, dema, sma, kama = lanes
    longest_ema = max([0, *layout.ema_lengths.tolist(), *layout.dema_lengths.tolist()])
    return AverageTables(
        members=layout.members,
        kept_rows=kept_rows,
        wma=in_rows(windows.lengths, windows.wma_rows),
        lsma=in_rows(windows.lengths, windows.lsma_rows),
        bar=one_bar(int(windows.bar_rows[0])),
        doubled=one_bar(int(windows.bar_rows[1])),
        hull=in_rows(windows.hull_lengths, windows.hull_rows[:, 3]),
        hull_outer=np.array([math.isqrt(length) for length in windows.hull_lengths.tolist()], np.int64),
        hull_halves=_looked_up(kept, windows.hull_rows[:, 0]),
        hull_fulls=_looked_up(kept, windows.hull_rows[:, 1]),
        longest_ema=longest_ema,
        first_lengths=np.array([longest_ema], np.int64),
        ema=ema,
        dema=dema,
        sma=sma,
        kama=kama,
    )


def _looked_up(places: dict[int, int], rows: NDArray[int64]) -> NDArray[int64]:
    return np.array([places.get(row, -1) for row in rows.tolist()], np.int64)


class RegimeTables(NamedTuple):
    """What equities and layers need: of each regime, the members in all regimes, the signals, the components."""

    growth: NDArray[float64]  # (rates, bars): factors of the bars from a cutout on
    growth_rows: NDArray[int64]
    cutouts: NDArray[int64]
    keeps: NDArray[float64]
    members: NDArray[int64]  # of all regimes one after the other
    member_regimes: NDArray[int64]
    voters: NDArray[int64]  # (signals, 9): places among all regimes' members
    signal_rows: NDArray[int64]  # of each component in its order: its signal
    component_regimes: NDArray[int64]
    starts: NDArray[float64]  # of each component its starting weight
    by_type: NDArray[int64]  # components by regime, and within one by type
    type_starts: NDArray[int64]  # (regimes, 6): where those of each type begin among them


def regime_tables(regimes: Regimes, growth: NDArray[float64], types: NDArray[int64]) -> RegimeTables:
    """The tables of the regimes that `law.components.arrange` gave; `growth` (rates, bars), each component's type."""
    numbers = np.arange(regimes.cutout.size, dtype=np.int64)
    of_signals = np.repeat(numbers, np.diff(regimes.signal_starts))
    of_components = np.repeat(numbers, np.diff(regimes.component_starts))
    in_order = np.argsort(regimes.row)  # the arrangement lists components by regime
    signal_rows = regimes.signal_of + regimes.signal_starts[of_components]
    groups = of_components[in_order] * len(TYPES) + types
    by_type = np.argsort(groups, kind="stable")
    return RegimeTables(
        growth=growth,
        growth_rows=regimes.growth,
        cutouts=regimes.cutout,
        keeps=regimes.keep,
        members=regimes.members,
        member_regimes=np.repeat(numbers, np.diff(regimes.member_starts)),
        voters=regimes.signals + regimes.member_starts[of_signals][:, None],
        signal_rows=signal_rows[in_order],
        component_regimes=of_components[in_order],
        starts=regimes.start_weight[in_order],
        by_type=by_type,
        type_starts=np.searchsorted(groups[by_type], np.arange(numbers.size * len(TYPES))).reshape(-1, len(TYPES)),
    )


class PassTables(NamedTuple):
    """All that a pass over columns of `bars` bars reads beside their prices."""

    averages: AverageTables
    regimes: RegimeTables


def pass_bytes(tables: PassTables, bars: int, has_source: bool) -> int:
    """What a pass over one column allocates, all stages together; memory that is freed on the way is not counted on."""
    averages, regimes = tables
    each_bar = (
        8 * (3 + 2 * has_source)  # prices as they came and turned around, returns
        + averages.members
        + 8 * averages.kept_rows
        + 8 * (averages.sma.size + averages.kama.size + 1)  # sums of windows, moves
        + (8 + 1) * regimes.members.size
        + len(regimes.voters)
        + 8 * regimes.starts.size
    )
    slots = averages.dema.all_slots + averages.sma.all_slots + averages.kama.all_slots
    return bars * each_bar + 8 * (slots + 2 * min(bars, averages.longest_ema))


def pass_tables(wanted: Sequence[Wanted], regimes: Sequence[Regime], bars: int, keep_all: bool = False) -> PassTables:
    """The tables of a pass.

    Args:
        wanted: components, in the order of the pass's output; their `regime` is a place in `regimes`.
        regimes: what those places mean.
        bars: of the longest column.
        keep_all: keep every member's average.
    """
    from ..law.components import arrange  # here: it brings numba

    # An average of more bars than there are is never defined, however long it is.
    cut = [
        one._replace(signal=(one.signal[0], tuple(min(length, bars + 1) for length in one.signal[1]))) for one in wanted
    ]
    rates = list(dict.fromkeys(regime.lambda_ for regime in regimes))
    layout, arranged = arrange(
        cut,
        [rates.index(regime.lambda_) for regime in regimes],
        [min(regime.cutout, bars) for regime in regimes],
        [1 - regime.decay / 100 for regime in regimes],
    )
    growth = np.stack([growth_table(bars, rate / 1000) for rate in rates])
    types = np.array([TYPES.index(component_type(one.signal[0])) for one in wanted], np.int64)
    return PassTables(average_tables(layout, keep_all), regime_tables(arranged, growth, types))
