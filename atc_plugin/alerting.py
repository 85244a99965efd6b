"""The alerts of the published indicator, long or short, from the average or from any type: of a result, of a stream.

The average alerts where the direction turns. A type alerts the same way on its layer-1 signal, with the levels beyond
which it votes in the place of the thresholds: long where the signal crosses over 0.49, short where it crosses under
-0.49, and not again before it has alerted to the other side.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy import bool_, float64, int8
from numpy.typing import NDArray

from .law.voting import direction_of_average
from .many_columns import Column, Said, columns_of, said_of
from .names import found
from .params import TYPES, AtcParams
from .prices import read_prices
from .result import AtcResult
from .scanner import VOTE
from .stream import AtcStream, Bar

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("average", *TYPES)
"""What alerts."""


class Alert(NamedTuple):
    """Something turned long or short at a bar."""

    symbol: Hashable  # None in a stream of one symbol
    of: str  # "average", or the type whose signal it was
    side: Literal["long", "short"]
    value: float  # the average or the signal


def alerts(result: AtcResult, of: str | Iterable[str] = SOURCES) -> pd.DataFrame:
    """All alerts of a result.

    Args:
        result: of any number of columns.
        of: "average", types such as "EMA", or several of them; all by default.

    Returns:
        A row an alert: `bar` (label in the index, position where there is none), `symbol`, `of`, `side` ("long" or
        "short") and `value`, in the order of the bars, then of the columns.

    Raises:
        ValueError: for something that does not alert.

    >>> import numpy as np
    >>> from atc_plugin import atc
    >>> found = alerts(atc(100 + 10 * np.sin(np.arange(400) / 30)), of=["average", "KAMA"])
    >>> found[["bar", "of", "side"]].tail(2).values.tolist()
    [[332, 'KAMA', 'long'], [338, 'average', 'long']]
    """
    import pandas as pd

    chosen = _sources(of)
    rows = []
    columns = columns_of(result._prices)
    for order, (column, said) in enumerate(said_of(columns, result.params, False)):
        positions = column.positions()
        for place, (levels, states) in enumerate(_lanes(said)):
            if SOURCES[place] not in chosen:
                continue
            for bar in np.flatnonzero(np.diff(states, prepend=0)):
                position = int(positions[bar])
                alert = Alert(column.symbol, SOURCES[place], _side(states[bar]), float(levels[bar]))
                rows.append((position, order, place, column.label(position), *alert))
    rows.sort(key=lambda row: row[:3])
    return pd.DataFrame([row[3:] for row in rows], columns=["bar", *Alert._fields])


class AlertStream:
    """The alerts of prices as they come in: those that `alerts` gives for the whole series.

    Args:
        params: As in `AtcStream`, like all others but `of`.
        history: Past prices. They alert no more, but what they said decides what alerts next.
        source_history: What the averages are taken of.
        symbols: How many symbols, or their names.
        of: What is to alert, as in `alerts`.
        **overrides: Single parameters, on top of `params`.

    >>> import numpy as np
    >>> close = 100 + 10 * np.sin(np.arange(400) / 30)
    >>> stream = AlertStream(history=close[:300], of="average")
    >>> [(bar, alert.side) for bar in range(300, 400) for alert in stream.update(close[bar])]
    [(338, 'long')]
    """

    def __init__(
        self,
        params: AtcParams | Mapping[str, Any] | None = None,
        *,
        history: Any = None,
        source_history: Any = None,
        symbols: int | Iterable[Hashable] | None = None,
        of: str | Iterable[str] = SOURCES,
        **overrides: Any,
    ) -> None:
        self._chosen = _sources(of)
        self._stream = AtcStream(params, history=history, source_history=source_history, symbols=symbols, **overrides)
        self._now = _States(self._stream)
        self._before = copy.deepcopy(self._now)
        if self._stream.last is not None:
            self._begin(columns_of(read_prices(history, source_history)))

    @property
    def symbols(self) -> tuple[Hashable, ...] | None:
        """Names of the symbols; None for a stream of one."""
        return self._stream.symbols

    @property
    def last(self) -> Bar | None:
        """All that the indicator says at the last bar."""
        return self._stream.last

    def update(self, price: Any, source: Any = None) -> list[Alert]:
        """Take in the next bar, as `AtcStream.update` does; what alerts at it, by symbol."""
        bar = self._stream.update(price, source)
        self._before = self._now
        return self._step(bar)

    def replace(self, price: Any, source: Any = None) -> list[Alert]:
        """Take in the last bar once more, as `AtcStream.replace` does; what alerts at it instead of what did."""
        return self._step(self._stream.replace(price, source))

    def _step(self, bar: Bar) -> list[Alert]:
        levels = np.vstack([np.atleast_1d(bar.average), bar.signals.reshape(len(TYPES), -1)])
        self._now, turned = self._before.after(levels)
        if not turned.any():
            return []
        symbols = self.symbols or (None,)
        return [
            Alert(symbols[at], SOURCES[place], _side(self._now.states[place, at]), float(levels[place, at]))
            for at, place in np.argwhere(turned.T)
            if SOURCES[place] in self._chosen
        ]

    def _begin(self, columns: list[Column]) -> None:
        """From past prices, whose last bar may still be replaced."""
        for at, (column, said) in enumerate(said_of(columns, self._stream.params, False)):
            bars = column.bars
            ends_with_bar = bars > 0 and column.positions()[-1] == column.prices.close.shape[1] - 1
            lanes = list(_lanes(said))
            self._now.set(at, lanes, bars)
            self._before.set(at, lanes, bars - 1 if ends_with_bar else bars)


class _States:
    """Where the average and the signals stand, (7, symbols) each: the side that alerted last, and the last value."""

    def __init__(self, stream: AtcStream) -> None:
        shape = (len(SOURCES), 1 if stream.symbols is None else len(stream.symbols))
        params = stream.params
        self._over = np.full((len(SOURCES), 1), VOTE)
        self._under = np.full((len(SOURCES), 1), -VOTE)
        self._over[0], self._under[0] = params.long_threshold, params.short_threshold
        self.states: NDArray[int8] = np.zeros(shape, np.int8)
        self.levels: NDArray[float64] = np.full(shape, np.nan)

    def after(self, levels: NDArray[float64]) -> tuple[_States, NDArray[bool_]]:
        """The states one bar later, and where they turned; NaN, no bar or no value, leaves all as it was."""
        later = copy.copy(self)
        over = (levels > self._over) & (self.levels <= self._over)
        under = (levels < self._under) & (self.levels >= self._under)
        later.states = np.where(over, 1, np.where(under, -1, self.states)).astype(np.int8)
        later.levels = np.where(np.isnan(levels), self.levels, levels)
        return later, later.states != self.states

    def set(self, at: int, lanes: list[tuple[NDArray[float64], NDArray[int8]]], bars: int) -> None:
        """Those of a symbol after so many bars."""
        for place, (levels, states) in enumerate(lanes):
            if bars:
                self.states[place, at] = states[bars - 1]
                known = levels[:bars][~np.isnan(levels[:bars])]
                self.levels[place, at] = known[-1] if known.size else np.nan


def _lanes(said: Said) -> Iterator[tuple[NDArray[float64], NDArray[int8]]]:
    """What alerts, over the bars of a column, each with the side that alerted last, in the order of `SOURCES`."""
    yield said.average, said.direction
    for signal in said.signals:
        yield signal, direction_of_average(signal, VOTE, -VOTE)


def _side(state: Any) -> Literal["long", "short"]:
    return "long" if state > 0 else "short"


def _sources(of: str | Iterable[str]) -> frozenset[str]:
    return frozenset(found(name, SOURCES, "source of alerts", "of") for name in ([of] if isinstance(of, str) else of))
