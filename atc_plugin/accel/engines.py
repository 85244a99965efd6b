"""What launches kernels, and what it is given first: prices and tables.

An engine is a device, or the host in tests. Its arrays are (rows, bars, columns), the column innermost, and stay where
the engine keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

Array = Any
"""An array of the engine's: numpy's or cupy's."""

Mark = Any
"""A place in the order of a stream's work: an event of CUDA's, or nothing where the host does the work at once."""

PLANNED = 0.8
"""How much of the free memory is planned with: the pool rounds up, and may have it in pieces."""

_Tables = TypeVar("_Tables", bound=tuple[Any, ...])


class Engine(Protocol):
    """What launches kernels."""

    def taken(self, array: NDArray[Any]) -> Array:
        """The engine's own of an array of the host's, in C order."""

    def taken_together(self, arrays: list[NDArray[Any]]) -> list[Array]:
        """The same of many small ones, in one transfer."""

    def brought(self, array: Array) -> NDArray[Any]:
        """The host's own of an array of the engine's, once what was launched before has written it."""

    def bringing(self, array: Array) -> Callable[[], NDArray[Any]]:
        """The same, begun without waiting: what it returns waits and gives the array."""

    def room(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array, whatever it holds."""

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        """Run a kernel on at least so many threads, after what was launched before."""

    def free_bytes(self) -> int:
        """How many bytes new arrays may take at most, as far as the engine can tell."""

    def mark(self) -> Mark:
        """A mark behind all that the current stream was given so far."""

    def wait_for(self, mark: Mark) -> None:
        """Let what the current stream is given from now on wait for a mark, of whichever stream; the host goes on."""


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
    on_engine = _bars_first(engine, close)
    returns = engine.room((bars, columns), np.float64)
    engine.launch("returns_of", bars * columns, close=on_engine, bars=bars, columns=columns, returns=returns)
    lead = on_engine if source is None else _bars_first(engine, source)
    return Columns(on_engine, lead, engine.taken(counts), returns)


class Place(NamedTuple):
    """Where in a table a number lies: at `start + bar * bar_step + column * column_step`."""

    start: int
    bar_step: int
    column_step: int


def gathered_on(engine: Engine, table: Array, place: Place, bars: int, columns: int) -> Array:
    """Some columns of the engine's table as (bars, columns), in memory of their own."""
    gathered = engine.room((bars, columns), np.float64)
    engine.launch(
        "columns_of",
        bars * columns,
        values=table,
        bars=bars,
        columns=columns,
        gathered=gathered,
        **place._asdict(),
    )
    return gathered


def _bars_first(engine: Engine, values: Array) -> Array:
    """The engine's own of (bars, columns). CuPy could turn them too, had it CUDA's headers, which are 50 MB."""
    if values.flags.c_contiguous or not values.T.flags.c_contiguous:
        return engine.taken(values)
    bars, columns = values.shape
    return gathered_on(engine, engine.taken(values.T), Place(0, 1, bars), bars, columns)


def tables_on(engine: Engine, tables: _Tables) -> _Tables:
    """The same tables, a NamedTuple, with the engine's arrays."""
    arrays: list[NDArray[Any]] = []
    _each_array(tables, arrays.append)
    on_engine = iter(engine.taken_together(arrays))
    moved: _Tables = _each_array(tables, lambda _: next(on_engine))
    return moved


def _each_array(value: Any, changed: Callable[[NDArray[Any]], Any]) -> Any:
    """A table of tables with each of its arrays changed; numbers stay."""
    if isinstance(value, np.ndarray):
        return changed(value)
    if hasattr(value, "_replace"):
        return value._replace(**{name: _each_array(part, changed) for name, part in value._asdict().items()})
    return value
