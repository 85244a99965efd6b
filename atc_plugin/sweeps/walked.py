"""WalkForward: what was chosen in every fold, what it earned, and how far it wandered."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..params import ROWS, AtcParams
from ..prices import Prices
from .columns import as_array
from .folds import Fold
from .grid import ParamGrid
from .rows import Rows, categorical

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    import plotly.graph_objects as go

    from .stitched import Traded


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WalkForward:
    """What `walk_forward` found: a row for each symbol and fold, and one portfolio for each symbol through all tests.

    Args:
        grid: the combinations.
        prices: what they ran over.
        folds: rows of the prices to train on and to test on, the same for all symbols.
        metric: what was chosen by.
        positions: (symbols, folds), the winner's place in the grid; -1 where no combination counted.
        traded: what following them came to.
        fees: a share of each order.
        slippage: a share of the price.
        direction: "both", "longonly" or "shortonly".
        freq: the time of a bar, a pandas Timedelta; None where no metric needed it.
        seconds: how long it took.
        reused: how many of how many blocks of the pass over the grid were there already.
    """

    grid: ParamGrid
    prices: Prices
    folds: tuple[Fold, ...]
    metric: str
    positions: NDArray[int64]
    traded: Traded
    fees: float
    slippage: float
    direction: str
    freq: pd.Timedelta | None
    seconds: float
    reused: tuple[int, int]

    @property
    def symbols(self) -> tuple[Any, ...]:
        """Names of the price columns; positions where there are none."""
        return self.prices.labels

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is reported, `metric` first."""
        return tuple(self.traded.test)

    # ------------------------------------------------------------ tables
    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each symbol and fold: its ranges, the combination that was followed, and what it was worth.

        Ranges are first and last bars, by their labels. "chosen" is False where no combination counted, so that the one
        before went on; folds before the first winner have no row. Then the parameters that the grid sets, each metric
        as "train_..." (of the combination alone, over the training range) and "test_..." (of the one portfolio that
        follows all winners, over the test range), and "efficiency": the test's `metric` over the training's, where that
        is above 0.
        """
        import pandas as pd

        columns, places = self._followed
        train, test = (
            {f"{side}_{name}": values[columns, places] for name, values in metrics.items()}
            for side, metrics in (("train", self.traded.train), ("test", self.traded.test))
        )
        ranges = {
            f"{side}_{end}": self._labels(np.array([getattr(fold, side)[k] - k for fold in self.folds], int64))[places]
            for side in ("train", "test")
            for k, end in enumerate(("first", "last"))
        }
        table = self._rows.table()
        symbol = table.pop("symbol")
        chosen = self.positions[columns, places] >= 0
        inside, outside = train[f"train_{self.metric}"], test[f"test_{self.metric}"]
        efficiency = _ratio(outside, inside)
        return pd.DataFrame(
            {"symbol": symbol, "fold": places, **ranges, "chosen": chosen, **table, **train, **test}
            | {"efficiency": efficiency}
        )

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each symbol: what all tests came to, beside what training had promised.

        Each metric over all tested bars; "train" and "test", the means of `metric` over the folds where both are
        finite; "efficiency", the test's by the training's, where that is above 0; "profitable", the share of test
        ranges that gained; "changes", how many folds followed another combination than the one before; "distance", how
        far they went, as `drift` measures it, on average.
        """
        import pandas as pd

        train, test = self.traded.train[self.metric], self.traded.test[self.metric]
        known = np.isfinite(train) & np.isfinite(test)
        count = np.maximum(known.sum(axis=1), 1)
        means = {}
        for name, values in (("train", train), ("test", test)):
            means[name] = np.where(known.any(axis=1), np.where(known, values, 0.0).sum(axis=1) / count, np.nan)
        columns, _ = self._followed
        later = self.drift["distance"].notna().to_numpy()
        size = len(self.symbols)
        steps = np.bincount(columns[later], minlength=size)
        changes = np.bincount(columns[later & (self.drift["changed"].to_numpy() > 0)], minlength=size)
        far = np.bincount(columns[later], self.drift["distance"].to_numpy()[later], size)
        return pd.DataFrame(
            {
                "symbol": categorical(np.arange(len(self.symbols)), self.symbols),
                "folds": (self.traded.held >= 0).sum(axis=1),
                **self.traded.whole,
                **means,
                "efficiency": _ratio(means["test"], means["train"]),
                "profitable": self._profitable(),
                "changes": changes,
                "distance": _ratio(far, steps),
            }
        )

    @cached_property
    def drift(self) -> pd.DataFrame:
        """How the combinations that were followed wandered: a row for each symbol and fold, as in `frame`.

        The parameters that the grid varies, "changed", how many of them differ from the fold before, and "distance",
        how far they went: the steps between the two values among all values of the parameter, over the most there
        could be (0 or 1 for texts and flags), averaged over the parameters. 0 stays, 1 goes from corner to corner. A
        symbol's first row has nothing before it: 0 and NaN.
        """
        import pandas as pd

        columns, places = self._followed
        table = self._rows.table()
        varied = [name for name in self._rows.names if len(self.grid.values(name)) > 1]
        changed, distance = np.zeros(columns.size, int64), np.zeros(columns.size)
        follows = np.zeros(columns.size, np.bool_)
        follows[1:] = columns[1:] == columns[:-1]
        for name in varied:
            values = self._rows.parameter(name)
            known = np.unique(as_array(name, self.grid.values(name)))
            ranks = np.searchsorted(known, values)
            moved = np.zeros(columns.size)
            moved[1:] = np.abs(np.diff(ranks))
            changed += moved > 0
            single = bool(ROWS[name].choices) or ROWS[name].kind is bool
            distance += np.minimum(moved, 1.0) if single else moved / (known.size - 1)
        if varied:
            distance /= len(varied)
        return pd.DataFrame(
            {"symbol": table["symbol"], "fold": places}
            | {name: table[name] for name in varied}
            | {"changed": np.where(follows, changed, 0), "distance": np.where(follows, distance, np.nan)}
        )

    # ------------------------------------------------------------ series
    @cached_property
    def returns(self) -> Any:
        """The return of every tested bar, a column for each symbol; a Series for prices of one column.

        NaN where a symbol has no bar.
        """
        return self._series(self.traded.returns)

    @cached_property
    def equity(self) -> Any:
        """What 1 became by the end of every tested bar, in the shape of `returns`; flat where a symbol has no bar."""
        return self._series(np.cumprod(1 + np.nan_to_num(self.traded.returns, nan=0.0), axis=1))

    @cached_property
    def directions(self) -> Any:
        """What the winner of the day said, 1, -1 or 0, in the shape of `returns`: its turns are the orders."""
        return self._series(self.traded.directions.astype(float64))

    def params(self, fold: int, symbol: Any = None) -> AtcParams:
        """The combination that was followed in a fold.

        Raises:
            IndexError: for a fold that is not there, or in which none was.
            ValueError: for an unknown symbol, and for none where there are several.
        """
        column = self._column(symbol)
        if not 0 <= fold < len(self.folds):
            raise IndexError(f"no fold {fold}; folds are 0 to {len(self.folds) - 1}")
        columns, places = self._followed
        rows = np.flatnonzero((columns == column) & (places == fold))
        if not rows.size:
            raise IndexError(f"no combination had been chosen by fold {fold}")
        return self._rows.params(int(rows[0]))

    # ------------------------------------------------------------ plots
    def plot(self, symbol: Any = None, **layout: Any) -> go.Figure:
        """The equity of all tests beside buying and holding, folds marked; below, `metric` in training and in test.

        Args:
            symbol: one symbol; where there are several, all their equities and the medians over them by default.
            **layout: passed on to plotly's ``Figure.update_layout``.

        Raises:
            ModuleNotFoundError: where plotly is not installed (``pip install "atc_plugin[plot]"``).
            ValueError: for an unknown symbol.
        """
        return _pictures().equity_of(self, None if symbol is None else self._column(symbol), layout)

    def plot_drift(self, symbol: Any = None, **layout: Any) -> go.Figure:
        """The parameters that were followed, fold by fold, a panel each; arguments and errors as those of `plot`.

        Raises:
            ValueError: where the grid varies nothing, too.
        """
        return _pictures().drift_of(self, None if symbol is None else self._column(symbol), layout)

    # ------------------------------------------------------------ inside
    @cached_property
    def _followed(self) -> tuple[NDArray[int64], NDArray[int64]]:
        """Symbol and fold of every row."""
        columns, places = np.nonzero(self.traded.held >= 0)
        return columns, places

    @cached_property
    def _rows(self) -> Rows:
        columns, _ = self._followed
        positions = self.traded.held[self.traded.held >= 0]
        return Rows(self.grid, self.symbols, columns.size, columns.astype(np.int32), positions)

    def _profitable(self) -> NDArray[float64]:
        starts = np.searchsorted(self.traded.rows, [fold.test[0] for fold in self.folds])
        gains = np.multiply.reduceat(1 + np.nan_to_num(self.traded.returns, nan=0.0), starts, axis=1) > 1
        followed = self.traded.held >= 0
        return _ratio((gains & followed).sum(axis=1), followed.sum(axis=1))

    def _labels(self, rows: NDArray[int64]) -> Any:
        index = self.prices.container.index
        return rows if index is None else index[rows]

    def _series(self, values: NDArray[Any]) -> Any:
        import pandas as pd

        index = pd.Index(self._labels(self.traded.rows))
        container = self.prices.container
        if len(container.shape) == 1:
            return pd.Series(values[0], index=index, name=container.name)
        columns = self.symbols if container.columns is None else container.columns
        return pd.DataFrame(values.T.copy(), index=index, columns=columns)

    def _column(self, symbol: Any) -> int:
        if symbol is None:
            if len(self.symbols) > 1:
                raise ValueError(f"symbol must be one of {', '.join(map(str, self.symbols))}")
            return 0
        return self._rows.column(symbol)

    def __getstate__(self) -> dict[str, Any]:
        """What was handed out, or computed on demand, can be computed again."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        symbols = f"{len(self.symbols):,} symbol{'s' * (len(self.symbols) != 1)}"
        folds = f"{len(self.folds):,} fold{'s' * (len(self.folds) != 1)}"
        first, last = (str(label).split(" 00:00:00")[0] for label in self._labels(self.traded.rows[[0, -1]]))
        lines = [
            f"WalkForward of {symbols} x {folds}, chosen by {self.metric}; tested on {first}..{last}",
            f"direction={self.direction!r}, fees={self.fees:g}, slippage={self.slippage:g}, freq={self.freq}",
            f"took {self.seconds:.3g} s; {self.reused[0]:,} of {self.reused[1]:,} blocks were there already",
        ]
        return "<" + "\n  ".join(lines) + ">"


def _ratio(test: NDArray[Any], train: NDArray[Any]) -> NDArray[float64]:
    """The one by the other, where that is above 0."""
    with np.errstate(all="ignore"):
        return np.where(train > 0, test / train, np.nan)


def _pictures() -> ModuleType:
    try:
        from . import walk_pictures
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f'plots need {missing.name}: pip install "atc_plugin[plot]"', name=missing.name
        ) from missing
    return walk_pictures
