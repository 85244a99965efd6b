"""What launches kernels, and what it is given first: prices and tables.

An engine is a device, or the host in tests. Its arrays are (rows, bars, columns), the column innermost, and stay where
the engine keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .tables import PassTables

Array = Any
"""An array of the engine's: numpy's or cupy's."""


class Engine(Protocol):
    """What launches kernels."""

    def taken(self, array: NDArray[Any]) -> Array:
        """The engine's own of an array of the host's, in C order."""

    def taken_together(self, arrays: list[NDArray[Any]]) -> list[Array]:
        """The same of many small ones, in one transfer."""

    def brought(self, array: Array) -> NDArray[Any]:
        """The host's own of an array of the engine's, once what was launched before has written it."""

    def room(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array, whatever it holds."""

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        """Run a kernel on at least so many threads, after what was launched before."""


class Columns(NamedTuple):
    """Prices on an engine, (bars, columns); a column's own bars come first, `counts` of them."""

    close: Array
    source: Array
    counts: Array
    returns: Array  # into the next bar

    @property
    def shape(self) -> tuple[int, int]:
        """Bars and columns."""
        bars, columns = self.close.shape
        return int(bars), int(columns)


def columns_on(
    engine: Engine, close: NDArray[float64], source: NDArray[float64] | None, counts: NDArray[int64]
) -> Columns:
    """Prices (bars, columns) on the engine, with their returns; `source` None where it is the close.

    In whatever order they lie in memory, `Prices.close.T` too: a device turns them around faster than the host.
    """
    bars, columns = close.shape
    on_engine = engine.taken(close)
    returns = engine.room((bars, columns), np.float64)
    engine.launch("returns_of", bars * columns, close=on_engine, bars=bars, columns=columns, returns=returns)
    return Columns(on_engine, on_engine if source is None else engine.taken(source), engine.taken(counts), returns)


def tables_on(engine: Engine, tables: PassTables) -> PassTables:
    """The same tables with the engine's arrays."""
    arrays: list[NDArray[Any]] = []
    _each_array(tables, arrays.append)
    on_engine = iter(engine.taken_together(arrays))
    moved: PassTables = _each_array(tables, lambda _: next(on_engine))
    return moved


def _each_array(value: Any, changed: Callable[[NDArray[Any]], Any]) -> Any:
    """A table of tables with each of its arrays changed; numbers stay."""
    if isinstance(value, np.ndarray):
        return changed(value)
    if hasattr(value, "_replace"):
        return value._replace(**{name: _each_array(part, changed) for name, part in value._asdict().items()})
    return value
