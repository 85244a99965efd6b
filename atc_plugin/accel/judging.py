"""Combinations judged on an engine: turns folded over lines of stretches, over all bars and over windows of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from ..law.metrics import ACCUMULATORS
from .engines import Array, Columns, Engine

if TYPE_CHECKING:
    from ..law.stretches import Costs
    from ..law.windows import Windows

_LINE = 8
"""Numbers of a line."""

_FIELDS, _FIELDS_OF_TRADES = 10, 3
"""What is kept of each part of the bars, and how much more where metrics of trades are asked for."""


# ---------------------------------------------------------------- on the host
class WindowTables(NamedTuple):
    """Windows of each column's own bars, and the parts that they are made of."""

    ends: NDArray[int64]  # (columns, parts): last bar of each part; -1 behind those that a column has
    part_counts: NDArray[int64]  # (columns,)
    first_parts: NDArray[int64]  # (columns, windows)
    last_parts: NDArray[int64]  # excluded
    starts: NDArray[int64]  # (columns, windows): first bar
    stops: NDArray[int64]  # excluded


class JudgingTables(NamedTuple):
    """What judging reads beside prices and turns."""

    costs: NDArray[float64]  # (8,): `law.stretches.Costs`
    regular: NDArray[int8]  # (columns,): where 0 the plain way has to judge
    highest: NDArray[float64]  # (columns,): close
    trades: int  # 1 where accumulators that only metrics of trades need are made
    windows: WindowTables


def window_tables(windows: Sequence[Windows]) -> WindowTables:
    """The windows of every column, as `law.windows.windows_of` gives a column's; all columns have as many."""
    parts = max([1, *(one.ends.size for one in windows)])
    ends = np.full((len(windows), parts), -1, np.int64)
    for row, one in zip(ends, windows, strict=True):
        row[: one.ends.size] = one.ends
    return WindowTables(
        ends,
        np.array([one.ends.size for one in windows], np.int64),
        np.stack([one.first_part for one in windows]),
        np.stack([one.last_part for one in windows]),
        np.stack([one.starts for one in windows]),
        np.stack([one.stops for one in windows]),
    )


def no_windows(counts: NDArray[int64]) -> WindowTables:
    """All bars of each column as its one part, and no window."""
    none = np.zeros((counts.size, 0), np.int64)
    return WindowTables(counts[:, None] - 1, (counts > 0).astype(np.int64), none, none, none, none)


def judging_tables(
    costs: Costs,
    regular: NDArray[int8],
    highest: NDArray[float64],
    windows: WindowTables,
    *,
    trades: bool = True,
) -> JudgingTables:
    """The tables for judging combinations.

    Args:
        costs: made by `law.stretches.costs_of`, of fees and slippage below one half.
        regular: (columns,) whether combinations may be judged the fast way: prices above zero, fees and slippage that
            the law's judge takes. A column without bars is none.
        highest: (columns,) the highest close of each.
        windows: `window_tables(...)` or `no_windows(...)`.
        trades: whether accumulators that only metrics of trades need are made.
    """
    return JudgingTables(
        np.array(costs, np.float64),
        ((regular != 0) & (windows.part_counts > 0)).astype(np.int8),
        highest,
        int(trades),
        windows,
    )


# ---------------------------------------------------------------- on the engine
class Turns(Protocol):
    """Where the direction of every combination turns."""

    @property
    def masks(self) -> Array:
        """(columns, words, combinations) uint32: bit k of word w is set where it turns at the bar 32*w + k."""

    @property
    def first(self) -> Array:
        """(columns, combinations) int8: the direction after the first turn, +1 or -1; 0 without turns."""

    @property
    def relied(self) -> Array:
        """(columns, combinations) int8: 0 where the plain way has to judge."""


class Stretches(NamedTuple):
    """What happens between two turns, a line of eight numbers each; where there is no such stretch, anything."""

    lines: Array  # (columns, 2, bars, ages, 8): by side, entry and age, left by an order
    held: Array  # (columns, parts, 2, ages, 8): by side and age, still open at the end of a part
    ages: int


class Accumulators(NamedTuple):
    """Accumulators of combinations, and where they are what the plain way would give but for rounding."""

    values: Array  # (columns, 12, combinations), or (columns, windows, 12, combinations)
    sure: Array  # (columns, combinations) int8


def stretches_on(engine: Engine, prices: Columns, tables: JudgingTables, ages: int) -> Stretches:
    """Lines of all stretches of less than `ages` bars, 128 bytes for each bar and age; longer ones are walked."""
    if ages < 1:
        raise ValueError(f"ages must be 1 or more, got {ages}")
    bars, columns = prices.shape
    parts = tables.windows.ends.shape[1]
    lines = engine.room((columns, 2, bars, ages, _LINE), np.float64)
    engine.launch(
        "lines_of_stretches",
        2 * bars * columns,
        close=prices.close,
        counts=prices.counts,
        bars=bars,
        columns=columns,
        costs=tables.costs,
        ages=ages,
        lines=lines,
    )
    held = engine.room((columns, parts, 2, ages, _LINE), np.float64)
    engine.launch(
        "lines_of_open_stretches",
        parts * 2 * ages * columns,
        close=prices.close,
        columns=columns,
        costs=tables.costs,
        ages=ages,
        ends=tables.windows.ends,
        parts=parts,
        held=held,
    )
    return Stretches(lines, held, ages)


def accumulators_on(
    engine: Engine, prices: Columns, turns: Turns, stretches: Stretches, tables: JudgingTables
) -> Accumulators:
    """Accumulators of every combination over all bars of each column."""
    columns, _, combinations = turns.masks.shape
    out = Accumulators(
        engine.room((columns, len(ACCUMULATORS), combinations), np.float64),
        engine.room((columns, combinations), np.int8),
    )
    engine.launch(
        "accumulators_of_combinations",
        columns * combinations,
        highest=tables.highest,
        **_folded(prices, turns, stretches, tables),
        **out._asdict(),
    )
    return out


def windows_on(
    engine: Engine, prices: Columns, turns: Turns, stretches: Stretches, tables: JudgingTables
) -> Accumulators:
    """Accumulators of every combination over each window; `sure` does not ask whether those over all bars are."""
    columns, _, combinations = turns.masks.shape
    windows = tables.windows
    count, parts = windows.starts.shape[1], windows.ends.shape[1]
    fields = _FIELDS + (_FIELDS_OF_TRADES if tables.trades else 0)
    out = Accumulators(
        engine.room((columns, count, len(ACCUMULATORS), combinations), np.float64),
        engine.room((columns, combinations), np.int8),
    )
    engine.launch(
        "accumulators_of_windows",
        columns * combinations,
        ends=windows.ends,
        first_parts=windows.first_parts,
        last_parts=windows.last_parts,
        starts=windows.starts,
        stops=windows.stops,
        windows=count,
        fields=fields,
        room=engine.room((columns, parts, fields, combinations), np.float64),
        **_folded(prices, turns, stretches, tables),
        **out._asdict(),
    )
    return out


def _folded(prices: Columns, turns: Turns, stretches: Stretches, tables: JudgingTables) -> dict[str, Any]:
    """What both folds read."""
    bars, columns = prices.shape
    _, words, combinations = turns.masks.shape
    return {
        "close": prices.close,
        "counts": prices.counts,
        "bars": bars,
        "columns": columns,
        "regular": tables.regular,
        "costs": tables.costs,
        "lines": stretches.lines,
        "ages": stretches.ages,
        "held": stretches.held,
        "parts": tables.windows.ends.shape[1],
        "part_counts": tables.windows.part_counts,
        "masks": turns.masks,
        "first": turns.first,
        "relied": turns.relied,
        "words": words,
        "combinations": combinations,
        "with_trades": tables.trades,
    }
