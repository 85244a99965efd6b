"""What devices keep ready for the pieces to come."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from ..accel.engines import Engine, Mark, tables_on
from ..accel.slots import SlotEngine

T = TypeVar("T", bound=tuple[Any, ...])
C = TypeVar("C")


class _Kept(Generic[T, C]):
    """What one device has."""

    def __init__(self) -> None:
        self.tables: tuple[T, Mark] | None = None
        self.columns: tuple[tuple[int, ...], C, Mark] | None = None


class ReadyColumns(Generic[T, C]):
    """The tables of a sweep and the columns of the last piece, on each device that was asked for any.

    A context: at its end the devices get their memory back.

    Args:
        engines: the devices.
        tables: what all columns read, on the host.
        make: makes columns ready on a device, in the stream that is current, of its tables and the columns' numbers.
    """

    def __init__(
        self, engines: Sequence[SlotEngine], tables: T, make: Callable[[Engine, T, tuple[int, ...]], C]
    ) -> None:
        self._engines, self._tables, self._make = engines, tables, make
        self._kept: dict[int, _Kept[T, C]] = {}

    def on(self, engine: Engine, columns: tuple[int, ...]) -> C:
        """Columns on a device, for the stream that is current.

        Whoever reads them keeps them until that stream has come by: they may be another stream's.
        """
        kept = self._kept.setdefault(id(engine), _Kept())
        if kept.tables is None:
            kept.tables = tables_on(engine, self._tables), engine.mark()
        tables, mark = kept.tables
        engine.wait_for(mark)
        if kept.columns is None or kept.columns[0] != columns:
            kept.columns = None  # pieces on their way keep what they read
            kept.columns = columns, self._make(engine, tables, columns), engine.mark()
        _, ready, mark = kept.columns
        engine.wait_for(mark)
        return ready

    def __enter__(self) -> ReadyColumns[T, C]:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.clear()
        for engine in self._engines:
            with contextlib.suppress(Exception):  # a device that failed has nothing to give back
                engine.release()
