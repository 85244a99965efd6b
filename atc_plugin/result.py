"""`AtcResult`: what one configuration says about its prices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from . import engine
from .law.growth import growth_table
from .params import TYPES, AtcParams
from .prices import Prices

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

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
    """One output of each type, by the type's name."""

    def __init__(self, output: Callable[[str], Any]) -> None:
        self._output = output

    def __getitem__(self, type_: str) -> Any:
        if type_ not in TYPES:
            raise KeyError(f"no type {type_!r}; the types are {', '.join(TYPES)}")
        return self._output(type_)

    def __iter__(self) -> Iterator[str]:
        return iter(TYPES)

    def __len__(self) -> int:
        return len(TYPES)

    def __repr__(self) -> str:
        return f"<one output for each of {', '.join(TYPES)}>"


class OneColumn(NamedTuple):
    """One column of a result on its own bars, as plain arrays over time."""

    label: Any
    params: AtcParams
    bars: NDArray[Any]  # their index labels, or positions
    close: NDArray[float64]
    average: NDArray[float64]
    direction: NDArray[int8]
    entries: NDArray[np.bool_]
    exits: NDArray[np.bool_]
    signals: NDArray[float64]  # (6, n)
    weights: NDArray[float64]  # (6, n)
    members: Callable[[str], engine.Members]  # of a type: (9, n) each


class AtcResult:
    """Average, direction and all that leads to them, in the type, index and columns of the prices that came in.

    Average and direction are computed at once, all else when it is first asked for, from a copy of the prices.
    Float outputs are NaN and entries and exits False where a column has no bar.
    """

    def __init__(self, prices: Prices, params: AtcParams) -> None:
        self.params = params
        self._prices = prices
        self._verdict = engine.verdict(prices, params)
        self._made: dict[tuple[str, str], Any] = {}

    # ------------------------------------------------------------ the verdict
    @cached_property
    def average(self) -> Any:
        """The average signal, -1 to 1: six votes weighted by their layer-2 equities. NaN before `cutout`."""
        return self._prices.wrap(self._prices.unpack(self._verdict.average, np.nan))

    @cached_property
    def direction(self) -> Any:
        """0 until the average first crosses a threshold, then +1 (long) or -1 (short). Floats."""
        return self._prices.wrap(self._prices.unpack(self._verdict.direction.astype(np.float64), np.nan))

    @cached_property
    def entries(self) -> Any:
        """Bars at which the direction turned +1. Booleans."""
        return self._prices.wrap(self._prices.unpack(self._turns(1), False))

    @cached_property
    def exits(self) -> Any:
        """Bars at which the direction turned -1. Booleans."""
        return self._prices.wrap(self._prices.unpack(self._turns(-1), False))

    def _turns(self, to: int) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = self._verdict.direction == to
        turns = there.copy()
        turns[:, 1:] &= ~there[:, :-1]
        return turns

    # ------------------------------------------------------------ the layers
    @property
    def signals(self) -> Mapping[str, Any]:
        """Layer-1 signal of each type, -1 to 1 in hundredths: ``result.signals["EMA"]``."""
        return self._per_type("signals", lambda t: self._of_layers(self._layers.signals, t))

    @property
    def weights(self) -> Mapping[str, Any]:
        """Layer-2 equity of each type, its weight in the average: ``result.weights["EMA"]``."""
        return self._per_type("weights", lambda t: self._of_layers(self._layers.weights, t))

    def _of_layers(self, packed: NDArray[float64], type_: str) -> Any:
        # A copy: what is handed out is the user's to change, what the table is made from is not.
        return self._prices.wrap(self._prices.unpack(packed[:, TYPES.index(type_)].copy(), np.nan))

    @cached_property
    def _layers(self) -> engine.Layers:
        return engine.layers(self._prices, self.params)

    # ------------------------------------------------------------ the calibration view
    @property
    def moving_averages(self) -> Mapping[str, Any]:
        """The nine averages of each type, bars x 9 (bars x columns x 9), named by length, base length first."""
        return self._per_type("moving_averages", lambda t: self._wide(t, self._members(t).moving_averages, np.nan))

    @property
    def states(self) -> Mapping[str, Any]:
        """The nine trend states of each type, -1, 0 or 1 as int8; 0 where a column has no bar."""
        return self._per_type("states", lambda t: self._wide(t, self._members(t).states, 0))

    @property
    def equities(self) -> Mapping[str, Any]:
        """The nine layer-1 equities of each type, never below 0.25. NaN before `cutout`."""
        return self._per_type("equities", lambda t: self._wide(t, self._members(t).equities, np.nan))

    def _members(self, type_: str) -> engine.Members:
        made: engine.Members = self._once("members", type_, lambda t: engine.members(self._prices, self.params, t))
        return made

    def _per_type(self, output: str, make: Callable[[str], Any]) -> PerType:
        """Made anew on each access: kept, it and this result would hold each other until the next collection."""
        return PerType(lambda type_: self._once(output, type_, make))

    def _once(self, output: str, type_: str, make: Callable[[str], Any]) -> Any:
        if (output, type_) not in self._made:
            self._made[output, type_] = make(type_)
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
        rows = []
        for i, type_ in enumerate(TYPES):
            equities = view.members(type_).equities
            before = equities[:, -2] if equities.shape[1] > 1 else np.full(len(equities), np.nan)
            rows.append((_vote(view.signals[i, -1]), view.weights[i, -1], *before))
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
        """Everything about one column, the only one by default, on its own bars or the last of them."""
        if column is None:
            if len(self.columns) > 1:
                raise ValueError(f"choose one of {len(self.columns)} columns: column={self.columns[0]!r}, ...")
            column = self.columns[0]
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; the columns are {', '.join(map(repr, self.columns))}")
        at = self.columns.index(column)
        n = int(self._prices.counts[at])
        if n == 0:
            raise ValueError(f"column {column!r} has no bars")
        if last is not None and last < 1:
            raise ValueError(f"last must be a number of bars >= 1; got {last!r}")
        shown = slice(0 if last is None else max(n - last, 0), n)

        def members(type_: str) -> engine.Members:
            return self._members(type_).pick((at, slice(None), shown))

        return OneColumn(
            label=column,
            params=self.params,
            bars=self._prices.bar_labels(at)[shown],
            close=self._prices.close[at, shown],
            average=self._verdict.average[at, shown],
            direction=self._verdict.direction[at, shown],
            entries=self._turns(1)[at, shown],
            exits=self._turns(-1)[at, shown],
            signals=self._layers.signals[at, :, shown],
            weights=self._layers.weights[at, :, shown],
            members=members,
        )

    def _wide(self, type_: str, packed: NDArray[Any], fill: Any) -> Any:
        spread = np.stack([self._prices.unpack(packed[:, k], fill) for k in range(packed.shape[1])], axis=1)
        return self._prices.wrap_wide(spread, self.params.lengths(type_))

    def __getstate__(self) -> dict[str, Any]:
        """What was computed on demand can be again."""
        return {"params": self.params, "_prices": self._prices, "_verdict": self._verdict, "_made": {}}

    def __repr__(self) -> str:
        columns, bars = self._prices.close.shape
        ends = zip(self._verdict.direction, self._prices.counts, strict=True)
        last = np.array([row[count - 1] for row, count in ends if count])
        names = {1: "long", -1: "short", 0: "without direction"}
        now = ", ".join(f"{(last == turned).sum()} {name}" for turned, name in names.items())
        return f"<AtcResult of {bars} bars x {columns} columns; at the last bar {now}>"


def _vote(signal: float) -> str:
    return "long" if signal > 0.49 else "short" if signal < -0.49 else "neutral"
