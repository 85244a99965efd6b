"""Rows of a sweep: which symbol and which combination each is, and how they read as a table."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import int32, int64
from numpy.typing import NDArray

from ..names import listing, suggestion
from ..params import ROWS, AtcParams
from .columns import ParameterColumns
from .grid import ParamGrid

if TYPE_CHECKING:
    import pandas as pd


class Rows:
    """Every combination of every symbol, symbol after symbol, or those of `columns` at `positions`."""

    def __init__(
        self,
        grid: ParamGrid,
        symbols: tuple[Any, ...],
        count: int,
        columns: NDArray[int32] | None,
        positions: NDArray[int64] | None,
    ) -> None:
        self.symbols = symbols
        self.each = count // max(len(symbols), 1)  # combinations a symbol; of no meaning with positions
        self._grid, self._count, self._columns, self._positions = grid, count, columns, positions
        self._parameters = ParameterColumns(grid, positions)

    def __len__(self) -> int:
        return self._count

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are set."""
        return self._parameters.names

    def symbol(self, rows: NDArray[int64] | None = None) -> NDArray[Any]:
        """The column of the prices of all rows or of some."""
        if self._columns is not None:
            return self._columns if rows is None else self._columns[rows]
        return np.repeat(np.arange(len(self.symbols)), self.each) if rows is None else rows // self.each

    def position(self, row: int) -> int:
        """The place in the grid of a row."""
        return row % self.each if self._positions is None else int(self._positions[row])

    def parameter(self, name: str, rows: NDArray[int64] | None = None) -> NDArray[Any]:
        """A parameter of all rows or of some, as `ParameterColumns` has it."""
        if self._positions is not None:
            return self._parameters.whole(name) if rows is None else self._parameters.at(name, rows)
        if rows is not None:
            return self._parameters.at(name, rows % max(self.each, 1))
        return np.tile(self._parameters.whole(name), len(self.symbols))

    def column(self, symbol: Any) -> int:
        """The column of a symbol; ValueError where there is none, or more than one."""
        found = [column for column, label in enumerate(self.symbols) if label == symbol]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{len(found)} columns are called {symbol!r}")
        labels = list(map(str, self.symbols))
        raise ValueError(f"this sweep: no symbol {symbol!r}{listing(labels)}{suggestion(symbol, labels)}")

    def of_column(self, column: int) -> NDArray[int64]:
        """The rows of a symbol."""
        if self._columns is not None:
            return np.flatnonzero(self._columns == column).astype(int64, copy=False)
        return np.arange(column * self.each, (column + 1) * self.each)

    def number(self, row: Any) -> int:
        """The number of a row: as it is, or of a row of a frame, or of a frame of one row."""
        given = row
        if hasattr(row, "iloc"):
            if getattr(row, "ndim", 1) == 2:
                if len(row) != 1:
                    raise ValueError(f"one row at a time; got a frame of {len(row)}: frame.iloc[0], ...")
                row = row.index[0]
            else:
                row = row.name
        try:
            number = operator.index(row)
        except TypeError:
            raise TypeError(f"a row is its number in the frame, or a row of the frame; got {given!r}") from None
        if not 0 <= number < self._count:
            allowed = f"rows are 0 to {self._count - 1}" if self._count else "there are no rows"
            raise IndexError(f"no row {number}; {allowed}")
        return number

    def params(self, number: int) -> AtcParams:
        """The combination of a row."""
        if self._grid.combinations.exact:
            return self._grid[self.position(number)]
        columns = {name: self.parameter(name, np.array([number])) for name in self.names}  # all are listed once
        return AtcParams(**{name: readable(name, column)[0] for name, column in columns.items()})

    def table(self, rows: NDArray[int64] | None = None) -> dict[str, Any]:
        """The columns of a DataFrame of all rows or of some: symbol and parameters."""
        return {
            "symbol": categorical(self.symbol(rows), self.symbols),
            **{name: readable(name, self.parameter(name, rows)) for name in self.names},
        }


def categorical(columns: NDArray[Any], labels: tuple[Any, ...]) -> pd.Categorical:
    """Symbols by the labels of their columns; columns of one name are one category."""
    import pandas as pd

    known = ["" if label is None or label != label else label for label in labels]  # categories are never missing
    distinct = list(dict.fromkeys(known))
    if len(distinct) < len(known):
        columns = np.array([distinct.index(label) for label in known])[columns]
    categories = pd.Index(distinct, tupleize_cols=False)
    return pd.Categorical.from_codes(columns, categories=categories)


def readable(name: str, values: NDArray[Any]) -> Any:
    """A parameter's column as a DataFrame has it: texts are categoricals of all that they may be."""
    import pandas as pd

    choices = ROWS[name].choices
    return pd.Categorical.from_codes(values, categories=pd.Index(choices)) if choices else values
