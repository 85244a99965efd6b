"""SweepResult: what a sweep found, as a table, a ranking, plots, and the full result of any row."""

from __future__ import annotations

import dataclasses
import operator
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..names import found
from ..params import AtcParams
from ..prices import Prices
from .cells import Shown
from .ranking import REDUCTIONS, best_rows, countable, over_symbols
from .record import SweepRecord

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    import plotly.graph_objects as go

    from ..cache.store import Store
    from ..result import AtcResult
    from .overfitting import Overfitting

_GUARDS = ("deflated_sharpe_ratio", "probability_of_overfitting", "stability")
"""Those that `best` shows."""


class SweepResult(SweepRecord):
    """The metrics of every combination of a grid on every symbol, or of each symbol's best.

    A row is one combination on one symbol, symbol after symbol, in grid order; after ``top=k`` the k best of each
    symbol, best first. Its number is its label in `frame` and in what `best` returns, and what `params`, `run` and
    `portfolio` take. Of every metric the largest value is the best: drawdowns are not above zero.

    `SweepRecord` lists what it is made of.

    >>> from atc_plugin import ParamGrid
    >>> from atc_plugin.prices import read_prices
    >>> result = SweepResult(
    ...     grid=ParamGrid(ema_len=[10, 20], decay=[0.01, 0.03]),
    ...     prices=read_prices([10.0, 11.0, 12.0]),
    ...     metrics={"total_return": np.array([0.1, 0.4, np.nan, 0.2])},
    ...     trades=np.array([3, 5, 0, 4]),
    ... )
    >>> result.best("total_return", 2)
      symbol  ema_len  decay  total_return
    1      0       10   0.03           0.4
    3      0       20   0.03           0.2
    >>> result.params(3).ema_len
    20
    """

    # ------------------------------------------------------------ the table
    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a symbol and combination: the symbol, the parameters that the grid sets, the metrics asked for.

        "symbol" is categorical, 0 for prices without a name. Whole numbers have the smallest signed type that holds
        them, texts are categoricals of all that a parameter may be. Made when first asked for and kept; yours to
        change: nothing else is made from it.
        """
        made = self.table(None)
        self.__dict__["_kept"] = made  # pandas copies what it changes as long as another frame has it too
        frame: pd.DataFrame = made.copy(deep=False)
        return frame

    def best(
        self,
        metric: str | None = None,
        n: int = 1,
        *,
        min_trades: float = 1,
        per_symbol: bool = True,
        across: str | None = None,
        ascending: bool = False,
        guards: bool = False,
    ) -> pd.DataFrame:
        """The rows with the largest values of a metric, best first; of equal ones the earlier row.

        Values that are not finite are skipped, and so are rows with too few trades: a combination that never trades
        has an infinite Sharpe ratio. Fewer than `n` may be left, or none.

        Args:
            metric: by default the first that was asked for.
            n: how many.
            min_trades: how many trades are enough.
            per_symbol: the `n` best of each symbol, in the order of the symbols; otherwise of all rows together.
            across: "median", "mean", "min" or "max": rank combinations by their metric taken over all symbols. One row
                a combination then, labelled by its position in the grid, its metrics taken over the symbols alike.
                A combination that is skipped in one symbol is left out; a symbol in which all are takes no part.
            ascending: the smallest instead.
            guards: with the deflated Sharpe ratio, the probability of overfitting and the stability of each row beside
                it, as `guards` gives them.

        Raises:
            ValueError: for an unknown metric, for guards of `across` or `ascending`, and for `across` after ``top=``,
                when few combinations are there for all.
        """
        name, values = self.metric_called(metric)
        n = _how_many(n)
        if guards:
            if across is not None or ascending:
                raise ValueError("guards are of the best of one symbol: leave out across and ascending")
            best = self.best(name, n, min_trades=min_trades, per_symbol=per_symbol)
            return best.join(self.guards(best, name)[list(_GUARDS)])
        if across is not None:
            return self._best_across(values, n, across, min_trades, ascending)
        ranked = -values if ascending else values
        if not per_symbol:
            return self.table(best_rows(ranked, self.trades, n, min_trades))
        parts = [np.empty(0, dtype=int64)]
        for column in range(len(self.symbols)):
            rows = self.rows.of_column(column)
            parts.append(rows[best_rows(ranked[rows], self.trades[rows], n, min_trades)])
        return self.table(np.concatenate(parts))

    def _best_across(
        self, values: NDArray[float64], n: int, how: str, min_trades: float, ascending: bool
    ) -> pd.DataFrame:
        found(how, REDUCTIONS, "way to take symbols together", "across")
        if self.positions is not None:
            raise ValueError("across needs every combination of every symbol; this sweep kept the best alone (top=)")
        shape = (len(self.symbols), self.rows.each)
        together, part = over_symbols(values.reshape(shape), self.trades.reshape(shape), how, min_trades)
        places = best_rows(-together if ascending else together, np.ones(self.rows.each), n)
        table = self.table(places).drop(columns="symbol").rename_axis("combination")
        if part.any():
            with np.errstate(invalid="ignore"):  # the other metrics may be infinite
                for name, metric in self.metrics.items():
                    table[name] = REDUCTIONS[how](metric.reshape(shape)[part][:, places], axis=0)
        return table

    # ------------------------------------------------------------ guards
    def guards(
        self,
        rows: Any = None,
        metric: str | None = None,
        *,
        blocks: int = 12,
        backend: str | None = "auto",
        n_jobs: int | None = None,
        cache: bool | str | os.PathLike[str] | Store = True,
        progress: bool | Callable[[int, int], object] = True,
    ) -> pd.DataFrame:
        """How much of the best may be luck of the search: a row for each of `rows`, under its number.

        The grid is gone through once more on each symbol concerned, for the returns of every combination in blocks of
        bars; asked again, it is remembered. docs/overfitting.md explains all columns.

        Args:
            rows: what `best` gave, or numbers of rows; by default ``best(metric)``.
            metric: what `stability` is of; by default the first that was asked for. After ``top=`` it is of the Sharpe
                ratio, which alone is known of all combinations.
            blocks: how many; an even number from 2 to 20.
            backend: as `sweep` takes it; and so `n_jobs`, `cache` and `progress`.
            n_jobs: threads or workers.
            cache: where what is gone through is kept.
            progress: of going through the grid.

        Raises:
            IndexError: for a row that is not there.
            ValueError: for an unknown metric, for other blocks, and for a result that was read without prices.
            MemoryError: where 16 bytes a combination and block would not fit.
        """
        from .guards import guards_of_rows

        name, _ = self.metric_called(metric)
        rows = self.best(name) if rows is None else rows
        if getattr(rows, "ndim", 1) == 2:
            rows = rows.index.tolist()
        several = isinstance(rows, (list, tuple, range, np.ndarray))
        numbers = [self.rows.number(row) for row in (rows if several else [rows])]
        return guards_of_rows(self, numbers, name, blocks, cache, backend, n_jobs, progress)

    def overfitting(self, symbol: Any = None, *, blocks: int = 12, **options: Any) -> Overfitting:
        """What choosing by the Sharpe ratio comes to in all splits of the bars of a symbol into halves.

        Arguments and errors as those of `guards`; the symbol has to be named where there are several.
        """
        if symbol is None and len(self.symbols) > 1:
            raise ValueError(f"symbol must be one of {', '.join(map(str, self.symbols))}")
        from .guards import searched

        return searched(self, 0 if symbol is None else self.rows.column(symbol), blocks, **options).overfitting

    def window_frame(self, metric: str | None = None) -> pd.DataFrame:
        """A metric in every window, rows x windows; columns are named "first bar..last bar".

        Raises:
            ValueError: where no windows were asked for, and for an unknown metric.
        """
        import pandas as pd

        if not self.windows:
            raise ValueError("no windows were asked for: sweep(..., windows=...)")
        name, _ = self.metric_called(metric)
        return pd.DataFrame(self.window_metrics[name], columns=list(self.window_names), copy=True)

    # ------------------------------------------------------------ one row
    def params(self, row: Any) -> AtcParams:
        """The parameters of a row: its number, or the row itself as ``frame.iloc[0]`` and ``best()`` give it.

        Raises:
            IndexError: for a row that is not there.
        """
        return self.rows.params(self.rows.number(row))

    def run(self, row: Any) -> AtcResult:
        """The full result of a row's combination on its symbol, computed again.

        Its outputs have the type and index of the prices; one column of a frame is a Series, of an array 1-D.

        Raises:
            IndexError: for a row that is not there.
            ValueError: for a result that was read from a file without prices.
        """
        from ..result import AtcResult

        return AtcResult(self._prices_of(row), self.params(row))

    def portfolio(self, row: Any, **overrides: Any) -> Any:
        """The `vectorbt.Portfolio` of a row, on the bars that its symbol has; its metrics are the row's.

        Args:
            row: as `run` takes it.
            **overrides: for `Portfolio.from_signals`, on top of the fees, slippage and freq of the sweep.

        Raises:
            ModuleNotFoundError: where vectorbt is not installed (``pip install "atc_plugin[vectorbt]"``).
            IndexError, ValueError: as `run`.
        """
        from .portfolios import portfolio_of

        costs = {"fees": self.fees, "slippage": self.slippage, "init_cash": self.init_cash, "freq": self.freq}
        return portfolio_of(self._prices_of(row), self.params(row), self.direction, {**costs, **overrides})

    def _prices_of(self, row: Any) -> Prices:
        """The prices of a row's symbol, as if they had come in alone."""
        return self.prices_of_column(int(self.rows.symbol(np.array([self.rows.number(row)]))[0]))

    def prices_of_column(self, column: int) -> Prices:
        """The prices of one symbol, as if they had come in alone.

        Raises:
            ValueError: for a result that was read from a file without prices.
        """
        if self.prices is None:
            raise ValueError("the file holds no prices: SweepResult.read_parquet(path, close=...)")
        container, label = self.prices.container, self.symbols[column]
        if len(container.shape) == 2:
            container = dataclasses.replace(
                container, shape=container.shape[:1], labels=(label,), columns=None, name=label
            )
        return dataclasses.replace(self.prices.pick(column), container=container)

    # ------------------------------------------------------------ plots
    def heatmap(
        self,
        x: str,
        y: str,
        metric: str | None = None,
        *,
        reduce: str = "max",
        symbol: Any = None,
        min_trades: float = 1,
        **layout: Any,
    ) -> go.Figure:
        """A metric over two parameters of the grid as a plotly figure, the best cell marked.

        Args:
            x: the parameter to the right.
            y: the parameter upwards.
            metric: by default the first that was asked for.
            reduce: "max", "min", "mean" or "median" over all other parameters, and over symbols where several are
                shown. "min" shows what a cell is worth with the worst of the others.
            symbol: one symbol; all by default.
            min_trades: rows with fewer trades are left out, as are values that are not finite.
            **layout: passed on to plotly's ``Figure.update_layout``.

        Raises:
            ModuleNotFoundError: where plotly is not installed (``pip install "atc_plugin[plot]"``).
            ValueError: for an unknown parameter, metric, reduction or symbol, and where nothing is left to show.
        """
        return _pictures().heatmap_of(self._shown(metric, symbol, min_trades), x, y, reduce, layout)

    def surface(
        self,
        x: str,
        y: str,
        metric: str | None = None,
        *,
        reduce: str = "max",
        symbol: Any = None,
        min_trades: float = 1,
        **layout: Any,
    ) -> go.Figure:
        """The same as `heatmap` in three dimensions."""
        return _pictures().surface_of(self._shown(metric, symbol, min_trades), x, y, reduce, layout)

    def parallel_coordinates(
        self, metric: str | None = None, n: int = 200, *, symbol: Any = None, min_trades: float = 1, **layout: Any
    ) -> go.Figure:
        """The `n` best rows, a line each across the parameters that vary, coloured by the metric.

        Arguments and errors as those of `heatmap`.
        """
        n = _how_many(n)
        return _pictures().parallel_coordinates_of(self._shown(metric, symbol, min_trades), n, layout)

    def _shown(self, metric: str | None, symbol: Any, min_trades: float) -> Shown:
        """The rows that a plot is made of."""
        name, values = self.metric_called(metric)
        numbers = np.arange(len(self)) if symbol is None else self.rows.of_column(self.rows.column(symbol))
        counts = countable(values[numbers], self.trades[numbers], min_trades)
        if not counts.any():
            raise ValueError(f"there is nothing to show: no row has a finite {name} and at least {min_trades:g} trades")
        symbols = self.symbols if symbol is None else (symbol,)
        return Shown(name, values[numbers], counts, numbers, self.rows, symbols)

    # ------------------------------------------------------------ files
    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write everything but the prices to a parquet file, which other programs read as `frame`.

        Raises:
            ModuleNotFoundError: where pyarrow is not installed.
        """
        from .result_files import write_result

        write_result(self, path)

    @classmethod
    def read_parquet(cls, path: str | os.PathLike[str], close: Any = None, source: Any = None) -> SweepResult:
        """What `to_parquet` wrote.

        Args:
            path: the file.
            close: the prices that the sweep ran over, which `run` and `portfolio` need.
            source: as in the sweep.

        Raises:
            ModuleNotFoundError: where pyarrow is not installed.
            ValueError: for a file that `to_parquet` did not write, and for other prices than those of the sweep.
        """
        from .result_files import read_result

        return cls(**read_result(path, close, source))


def _how_many(n: Any) -> int:
    number = operator.index(n)
    if number < 1:
        raise ValueError(f"n must be at least 1; got {n}")
    return number


def _pictures() -> ModuleType:
    try:
        from . import pictures
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f'plots need {missing.name}: pip install "atc_plugin[plot]"', name=missing.name
        ) from missing
    return pictures
