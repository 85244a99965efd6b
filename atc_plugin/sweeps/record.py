"""What a sweep leaves behind: one value a row for each metric, and what the rows are."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy import float64, int32, int64
from numpy.typing import NDArray

from ..names import found
from ..prices import Prices
from .grid import ParamGrid
from .portfolios import DIRECTIONS
from .rows import Rows

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SweepRecord:
    """The metrics of every combination of a grid on every symbol, symbol after symbol and in grid order, or of some.

    Args:
        grid: the combinations.
        prices: what they ran over; None where a file was read without them: `run` and `portfolio` need them.
        metrics: (rows,) each, by name, in the order asked for.
        trades: (rows,), how many trades each row has.
        columns: (rows,), the symbol of each row; with `positions`, where not every combination is there.
        positions: (rows,), the place in the grid of each row.
        windows: (start, stop) bars of the input, `stop` excluded.
        window_metrics: (rows, windows) each, by name.
        fees: how orders were filled, as in vectorbt: a share of each order.
        slippage: a share of the price.
        direction: "both", "longonly" or "shortonly".
        init_cash: in the currency of the prices.
        freq: the time of a bar, a pandas Timedelta; None where no metric needed it.
        seconds: how long the sweep took.
        reused: how many of how many blocks were there already.
        symbols: names of the price columns; those of `prices` by default.
        window_names: first and last bar of each window; from the index of `prices` by default.
        fingerprint: of the prices, where they are not there.

    Raises:
        ValueError: for arrays of different lengths, or of another than all combinations of all symbols have.
    """

    grid: ParamGrid
    prices: Prices | None
    metrics: dict[str, NDArray[float64]]
    trades: NDArray[Any]
    columns: NDArray[int32] | None = None
    positions: NDArray[int64] | None = None
    windows: tuple[tuple[int, int], ...] = ()
    window_metrics: dict[str, NDArray[float64]] = dataclasses.field(default_factory=dict)
    fees: float = 0.0
    slippage: float = 0.0
    direction: str = "both"
    init_cash: float = 100.0
    freq: pd.Timedelta | None = None
    seconds: float | None = None
    reused: tuple[int, int] | None = None
    symbols: tuple[Any, ...] = ()
    window_names: tuple[str, ...] = ()
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if self.prices is not None:
            object.__setattr__(self, "symbols", self.prices.labels)
            object.__setattr__(self, "window_names", _window_names(self.prices, self.windows))
        found(self.direction, DIRECTIONS, "direction", "fills")
        rows = len(self.trades)
        given = [*self.metrics.values(), *self.window_metrics.values(), self.columns, self.positions]
        if any(array is not None and len(array) != rows for array in given):
            raise ValueError(f"there are {rows} rows, but arrays of {[len(a) for a in given if a is not None]}")
        if (self.columns is None) != (self.positions is None):
            raise ValueError("columns and positions are given both or not at all")
        if self.positions is None:
            combinations, symbols = self.grid.combinations, len(self.symbols)
            if rows % symbols if not combinations.exact else rows != combinations.size * symbols:
                raise ValueError(f"{rows} rows are not all combinations of {symbols} symbols over {self.grid!r}")

    def __len__(self) -> int:
        return len(self.trades)

    @cached_property
    def rows(self) -> Rows:
        """Which symbol and which combination each row is."""
        return Rows(self.grid, self.symbols, len(self), self.columns, self.positions)

    def metric_called(self, name: str | None) -> tuple[str, NDArray[float64]]:
        """The name and values of a metric, the first that was asked for by default."""
        if name is None:
            name = next(iter(self.metrics), "")
        return name, self.metrics[found(name, self.metrics, "metric", "this sweep")]

    def table(self, rows: NDArray[int64] | None) -> pd.DataFrame:
        """The frame of all rows, which shares the memory of the metrics, or of some."""
        import pandas as pd

        metrics = self.metrics if rows is None else {name: values[rows] for name, values in self.metrics.items()}
        return pd.DataFrame({**self.rows.table(rows), **metrics}, index=rows, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        """What was handed out, or computed on demand, can be computed again."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        symbols = f"{len(self.symbols):,} symbol{'s' * (len(self.symbols) != 1)}"
        names = ", ".join(self.rows.names) or "the defaults"
        if self.positions is None:
            what = f"{symbols} x {self.rows.each:,} combinations of {names}"
        else:
            what = f"{len(self):,} rows, the best of each of {symbols} over {names}"
        windows = f" in {len(self.windows)} windows" if self.window_metrics else ""
        lines = [
            f"SweepResult of {what}",
            f"{', '.join(self.metrics)}{windows}",
            f"direction={self.direction!r}, fees={self.fees:g}, slippage={self.slippage:g}, freq={self.freq}",
        ]
        if self.seconds is not None:
            kept = f"; {self.reused[0]:,} of {self.reused[1]:,} blocks were there already" if self.reused else ""
            lines.append(f"took {self.seconds:.3g} s{kept}")
        return "<" + "\n  ".join(lines) + ">"


def _window_names(prices: Prices, windows: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    """First and last bar of each window, by their index labels."""
    index = prices.container.index

    def named(bar: int) -> str:
        return str(bar) if index is None else str(index[bar]).split(" 00:00:00")[0]

    return tuple(f"{named(start)}..{named(stop - 1)}" for start, stop in windows)
