"""`AtcResult`: what one configuration says about its prices."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from . import engine
from .kept_results import KeptResults
from .law.growth import growth_table
from .params import TYPES, AtcParams
from .prices import Prices

if TYPE_CHECKING:
    import os

    import pandas as pd
    import plotly.graph_objects as go

    from .cache.store import Store

HIGH_GROWTH, TOO_HIGH_GROWTH = 1.1, 1.25


class Growth(NamedTuple):
    """How much more the last bar counts than the first, and what the published table says to it."""

    factor: float  # of the column with the most bars
    level: Literal["normal", "high", "too high"]

    @property
    def advice(self) -> str:
        """What to do about it; empty where nothing need be done."""
        return "" if self.level == "normal" else "reduce lambda_ or raise cutout"


class PerType(Mapping[str, Any]):
    """One output of each type, by the type's name; computed when it is first asked for."""

    def __init__(self, result: AtcResult, output: str) -> None:
        self._result = result
        self._output = output

    def __getitem__(self, type_: str) -> Any:
        if type_ not in TYPES:
            raise KeyError(f"no type {type_!r}; the types are {', '.join(TYPES)}")
        return self._result._once(self._output, type_)

    def __iter__(self) -> Iterator[str]:
        return iter(TYPES)

    def __len__(self) -> int:
        return len(TYPES)

    def __repr__(self) -> str:
        return f"<{self._output} of each of {', '.join(TYPES)}>"


class OneColumn:
    """One column of a result over some of its own bars, as plain arrays over time."""

    def __init__(self, label: Any, params: AtcParams, prices: Prices, direction: NDArray[int8], shown: slice) -> None:
        self.label = label
        self.params = params
        self.bars: NDArray[Any] = prices.bar_labels(0)[shown]  # dates, numbers or texts
        self.close: NDArray[float64] = prices.close[0, shown].copy()  # the user's own, as all here
        self.direction: NDArray[int8] = direction[0, shown].copy()
        self.entries: NDArray[np.bool_] = _turns(direction, 1)[0, shown]
        self.exits: NDArray[np.bool_] = _turns(direction, -1)[0, shown]
        self._prices = prices
        self._shown = shown

    @cached_property
    def average(self) -> NDArray[float64]:
        """Computed again: the one of the result is the user's."""
        return engine.verdict(self._prices, self.params).average[0, self._shown]

    def layers(self) -> engine.Layers:
        """Signals and weights of the six types, (6, n) each."""
        return engine.Layers(*(array[0][:, self._shown] for array in engine.layers(self._prices, self.params)))

    def members(self, type_: str) -> engine.Members:
        """Averages, states and equities of a type's nine members, (9, n) each."""
        return engine.members(self._prices, self.params, type_).pick((0, slice(None), self._shown))


class AtcResult:
    """Average, direction and all that leads to them, in the type, index and columns of the prices that came in.

    Average and direction are computed at once, all else when it is first asked for, from a copy of the prices. What is
    handed out is the user's to change: nothing else is made from it. Float outputs are NaN and entries and exits False
    where a column has no bar.
    """

    def __init__(self, prices: Prices, params: AtcParams, cache: bool | str | os.PathLike[str] | Store = False) -> None:
        self.params = params
        self._prices = prices
        self._made: dict[tuple[str, str], Any] = {}
        self._kept = KeptResults(prices, params, cache)
        self._average, self._direction = self._kept.verdict()

    # ------------------------------------------------------------ the verdict
    @cached_property
    def average(self) -> Any:
        """The average signal, -1 to 1: six votes weighted by their layer-2 equities. NaN before `cutout`."""
        return self._wrap(np.require(self._average, requirements="W"), np.nan)  # a copy where the store has it too

    @cached_property
    def _average(self) -> NDArray[float64]:
        return self._kept.verdict().average

    @cached_property
    def _direction(self) -> NDArray[int8]:
        return self._kept.verdict().direction

    @cached_property
    def _kept(self) -> KeptResults:
        return KeptResults(self._prices, self.params, False)

    @cached_property
    def direction(self) -> Any:
        """0 until the average first crosses a threshold, then +1 (long) or -1 (short). Floats."""
        return self._wrap(self._direction.astype(np.float64), np.nan)

    @cached_property
    def entries(self) -> Any:
        """Bars at which the direction turned +1. Booleans."""
        return self._wrap(_turns(self._direction, 1), False)

    @cached_property
    def exits(self) -> Any:
        """Bars at which the direction turned -1. Booleans."""
        return self._wrap(_turns(self._direction, -1), False)

    # ------------------------------------------------------------ the layers
    @property
    def signals(self) -> Mapping[str, Any]:
        """Layer-1 signal of each type, -1 to 1 in hundredths: ``result.signals["EMA"]``."""
        return PerType(self, "signals")

    @property
    def weights(self) -> Mapping[str, Any]:
        """Layer-2 equity of each type, its weight in the average: ``result.weights["EMA"]``."""
        return PerType(self, "weights")

    # ------------------------------------------------------------ the calibration view
    @property
    def moving_averages(self) -> Mapping[str, Any]:
        """The nine averages of each type, bars x 9 (bars x columns x 9), named by length, base length first."""
        return PerType(self, "moving_averages")

    @property
    def states(self) -> Mapping[str, Any]:
        """The nine trend states of each type, -1, 0 or 1 as int8; 0 where a column has no bar."""
        return PerType(self, "states")

    @property
    def equities(self) -> Mapping[str, Any]:
        """The nine layer-1 equities of each type, never below 0.25. NaN before `cutout`."""
        return PerType(self, "equities")

    def _once(self, output: str, type_: str) -> Any:
        """An output of a type, kept. What comes out of the same pass is made with it."""
        if (output, type_) not in self._made:
            if output in engine.Layers._fields:
                layers = self._kept.layers()
                for name, packed in layers._asdict().items():
                    for i, each in enumerate(TYPES):
                        self._made[name, each] = self._wrap(packed[:, i].copy(), np.nan)
            else:
                members = engine.members(self._prices, self.params, type_)
                for name, packed in members._asdict().items():
                    self._made[name, type_] = self._wide(type_, packed, 0 if name == "states" else np.nan)
        return self._made[output, type_]

    # ------------------------------------------------------------ summaries
    @cached_property
    def growth(self) -> Growth:
        """The growth factor at the last bar with the published warnings: above 1.1 high, above 1.25 too high."""
        bars = int(self._prices.counts.max()) - self.params.cutout
        factor = float(growth_table(bars, self.params.lambda_ / 1000)[bars - 1]) if bars > 0 else 1.0
        level: Literal["normal", "high", "too high"] = "normal"
        if factor > HIGH_GROWTH:
            level = "too high" if factor > TOO_HIGH_GROWTH else "high"
        return Growth(factor, level)

    def table(self, column: Any = None) -> pd.DataFrame:
        """The published weight table of one column at its last bar.

        One row a type: `trend` ("long", "short" or "neutral", how the type votes), `equity` (layer 2), and the nine
        layer-1 equities of the bar before, named by their distance from the base length. With several columns name
        the one you want.
        """
        import pandas as pd

        view = self.one_column(column)
        layers = view.layers()
        rows = []
        for i, type_ in enumerate(TYPES):
            equities = view.members(type_).equities
            before = equities[:, -2] if equities.shape[1] > 1 else np.full(len(equities), np.nan)
            rows.append((_vote(layers.signals[i, -1]), layers.weights[i, -1], *before))
        offsets = [length - self.params.ema_len for length in self.params.lengths("EMA")]
        names = [f"L{offset:+d}" if offset else "L" for offset in offsets]
        return pd.DataFrame(rows, index=pd.Index(TYPES, name="type"), columns=["trend", "equity", *names])

    def plot(self, column: Any = None, ma: str | None = None, *, last: int | None = None, **layout: Any) -> go.Figure:
        """Price coloured by direction with the six averages, entries and exits; the average below.

        Args:
            column: Which column, where there are several.
            ma: A type such as "EMA": show its nine averages and their equities instead, the calibration view.
            last: Show only so many bars, the last ones.
            **layout: Passed on to plotly's ``Figure.update_layout``.

        Raises:
            ModuleNotFoundError: where plotly is not installed (``pip install "atc_plugin[plot]"``).
        """
        try:
            from .plots import plot_column
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError(
                f'plots need {missing.name}: pip install "atc_plugin[plot]"', name=missing.name
            ) from missing
        return plot_column(self.one_column(column, last), ma, layout)

    # ------------------------------------------------------------ columns and containers
    @property
    def columns(self) -> tuple[Any, ...]:
        """Names of the price columns; positions where they have none."""
        return self._prices.labels

    def one_column(self, column: Any = None, last: int | None = None) -> OneColumn:
        """One column, the only one by default, on its own bars or the last of them; computed for it alone."""
        names = self.columns
        if column is None:
            if len(names) > 1:
                raise ValueError(f"choose one of {len(names)} columns: column={names[0]!r}, ...")
            column = names[0]
        if column not in names:
            hint = f"; did you mean ma={column!r}?" if column in TYPES else ""
            raise KeyError(f"no column {column!r}; the columns are {', '.join(map(repr, names))}{hint}")
        if names.count(column) > 1:
            raise ValueError(f"{names.count(column)} columns are called {column!r}; rename them first")
        if last is not None and (not isinstance(last, numbers.Integral) or last < 1):
            raise ValueError(f"last must be a whole number of bars >= 1; got {last!r}")
        at = names.index(column)
        n = int(self._prices.counts[at])
        if n == 0:
            raise ValueError(f"column {column!r} has no bars")
        shown = slice(0 if last is None else max(n - last, 0), n)
        return OneColumn(column, self.params, self._prices.pick(at), self._direction[at : at + 1], shown)

    def _wrap(self, packed: NDArray[Any], fill: Any) -> Any:
        return self._prices.wrap(self._prices.unpack(packed, fill))

    def _wide(self, type_: str, packed: NDArray[Any], fill: Any) -> Any:
        spread = np.stack([self._prices.unpack(packed[:, k], fill) for k in range(packed.shape[1])], axis=1)
        return self._prices.wrap_wide(spread, self.params.lengths(type_))

    def __getstate__(self) -> dict[str, Any]:
        """What was handed out, or computed on demand, can be computed again."""
        return {"params": self.params, "_prices": self._prices, "_direction": self._direction, "_made": {}}

    def __repr__(self) -> str:
        columns, bars = self._prices.shape
        ends = zip(self._direction, self._prices.counts, strict=True)
        last = np.array([row[count - 1] for row, count in ends if count])
        names = {1: "long", -1: "short", 0: "without direction"}
        now = ", ".join(f"{(last == turned).sum()} {name}" for turned, name in names.items())
        return f"<AtcResult of {bars} bars x {columns} columns; at the last bar {now}>"


def _turns(direction: NDArray[int8], to: int) -> NDArray[np.bool_]:
    """Where directions, (columns, bars), turned this way."""
    there: NDArray[np.bool_] = direction == to
    turns = there.copy()
    turns[:, 1:] &= ~there[:, :-1]
    return turns


def _vote(signal: float) -> str:
    return "long" if signal > 0.49 else "short" if signal < -0.49 else "neutral"
