"""Series of combinations computed by GPUs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from ..accel.engines import Engine
from ..accel.launch import every_device
from ..accel.layers import Components, average_on, direction_on
from ..accel.pipeline import run_in_slots
from ..accel.tables import PassTables, RegimeTables, pass_bytes, pass_tables
from ..params import TYPES
from ..prices import Prices
from ..threads import share
from .components import wanted_by
from .device_components import planned_bytes, prices_and_components_on
from .pieces import Piece
from .planning import Plan
from .ready_columns import ReadyColumns

_SLOTS = 3
_BYTES = 2**26
"""The averages of a piece at most: enough to fill a card, and little enough that pieces overlap and can be pinned."""

_COLUMNS = 32
"""Columns of a piece, where all their combinations go into one: a warp reads them side by side."""

_GRAIN = 2**18  # numbers that a thread puts into their places at a time, so that they stay near the processor


class SeriesOnDevices:
    """Makes averages or directions of any combinations of a plan, on all devices.

    Components are made there too: what a store keeps of them is not read.

    Args:
        prices: the columns.
        plan: what combinations are made of.
        directions: directions, not averages.
        jobs: threads that put what has come into its place.
    """

    def __init__(self, prices: Prices, plan: Plan, directions: bool, jobs: int) -> None:
        self._prices, self._plan, self._directions, self._jobs = prices, plan, directions, jobs
        levels = plan.levels
        self._long_thresholds = np.array([level.long_threshold for level in levels])
        self._short_thresholds = np.array([level.short_threshold for level in levels])
        self._delayed = np.array([level.delayed for level in levels])
        self._bars = int(prices.counts.max(initial=0))

    @cached_property
    def _tables(self) -> PassTables:
        return pass_tables(wanted_by(self._plan), self._plan.regimes, self._bars)

    def blocks(self, columns: Sequence[int], step: int) -> Generator[tuple[int, int, NDArray[float64]], None, None]:
        """Column, first combination and values (combinations, bars) of blocks of `step` combinations, in order.

        Values are NaN where a column has no bar.

        Raises:
            RuntimeError: no GPU can be used here.
            DeviceMemoryError: there is too little memory for one combination.
        """
        size, rows = self._plan.size, self._prices.close.shape[1]
        with contextlib.closing(self._pieces_done(columns, step)) as done:
            arrived = _Arrived(done)
            for column in columns:
                for first in range(0, size, step):
                    values = np.empty((min(step, size - first), rows))
                    if self._prices.valid is not None:
                        values[:] = np.nan
                    if self._prices.counts[column]:
                        self._fill(column, first, values, arrived)
                    yield column, first, values

    def _pieces_done(self, columns: Sequence[int], step: int) -> Generator[tuple[Piece, NDArray[Any]], None, None]:
        """Pieces and their series (combinations, bars, columns), not delayed; from several devices as they finish.

        Devices are asked for nothing before the first is drawn.
        """
        columns = [column for column in columns if self._prices.counts[column]]
        engines = every_device()
        pieces = self._pieces(columns, step, planned_bytes(engines) // _SLOTS)

        def ready_on(engine: Engine, tables: PassTables, columns: tuple[int, ...]) -> tuple[Components, RegimeTables]:
            _, components = prices_and_components_on(engine, self._prices, columns, self._bars, tables)
            return components, tables.regimes

        with ReadyColumns(engines, self._tables, ready_on) as ready:

            def begin(engine: Engine, piece: Piece) -> Callable[[], NDArray[Any]]:
                return self._begun(engine, *ready.on(engine, piece.columns), piece)

            yield from run_in_slots(pieces, begin, engines=engines, slots=_SLOTS)

    def _begun(
        self, engine: Engine, components: Components, regimes: RegimeTables, piece: Piece
    ) -> Callable[[], NDArray[Any]]:
        """Begin to make a piece's series; what it returns waits for them."""
        ids = self._plan.ids(piece.first, piece.last)
        levels = ids[:, len(TYPES)]
        voters, *thresholds = engine.taken_together(
            [ids[:, : len(TYPES)].astype(np.int64), self._long_thresholds[levels], self._short_thresholds[levels]]
        )
        series = average_on(engine, components, regimes, voters)
        if self._directions:
            series = direction_on(engine, series, *thresholds)
        coming = engine.bringing(series)

        def finish() -> NDArray[Any]:
            _ = components  # another slot's memory is not to be given out again before kernels of this one have read it
            return coming()

        return finish

    def _pieces(self, columns: Sequence[int], step: int, memory: int) -> Iterator[Piece]:
        """Pieces in the order of blocks, none of which is of two blocks of a column, for so much memory."""
        size, bars = self._plan.size, self._bars
        column_bytes, combination_bytes = (
            pass_bytes(self._tables, bars, self._prices.source is not self._prices.close),
            self._combination_bytes,
        )
        several = min(size, step, _BYTES // (8 * bars), (memory - column_bytes) // combination_bytes)
        several = max(several, 1)
        together = 1
        if several == size:
            fit = min(_BYTES // (8 * bars * size), memory // (column_bytes + size * combination_bytes))
            together = max(1, min(_COLUMNS, fit))
        for place in range(0, len(columns), together):
            some = tuple(columns[place : place + together])
            for block in range(0, size, step):
                end = min(block + step, size)
                for first in range(block, end, several):
                    yield Piece(some, first, min(first + several, end))

    @property
    def _combination_bytes(self) -> int:
        """What a combination takes on a device, for each column."""
        return self._bars * (9 if self._directions else 8) + 8 * (len(TYPES) + 2)

    def _fill(self, column: int, first: int, values: NDArray[float64], arrived: _Arrived) -> None:
        """Put combinations from `first` on into `values` (combinations, rows)."""
        done = 0
        while done < len(values):
            series = arrived.taken(column, first + done)
            self._put(column, first + done, series, values[done : done + len(series)])
            done += len(series)

    def _put(self, column: int, first: int, series: NDArray[Any], values: NDArray[float64]) -> None:
        """Put what has come of combinations from `first` on (combinations, bars) onto the bars of their column."""
        bars = int(self._prices.counts[column])
        at = slice(None) if self._prices.valid is None else np.flatnonzero(self._prices.valid[column])
        late = self._delayed[self._plan.ids(first, first + len(series))[:, len(TYPES)]]

        def work(a: int, b: int) -> None:
            own, moved = series[a:b, :bars], late[a:b]
            if moved.any():  # in place: nobody reads it again
                own[moved, 1:] = own[moved, :-1]
                own[moved, 0] = 0 if self._directions else np.nan
            values[a:b, at] = own

        share(work, len(series), self._jobs, max(1, _GRAIN // bars))


class _Arrived:
    """What has come from devices ahead of its turn."""

    def __init__(self, done: Iterator[tuple[Piece, NDArray[Any]]]) -> None:
        self._done = done
        self._waiting: dict[tuple[int, int], NDArray[Any]] = {}  # by column and first combination

    def taken(self, column: int, first: int) -> NDArray[Any]:
        """The series (combinations, bars) of one column in the piece that begins with this combination."""
        while (column, first) not in self._waiting:
            piece, series = next(self._done)
            for place, of_piece in enumerate(piece.columns):
                self._waiting[of_piece, piece.first] = series[:, :, place]
        return self._waiting.pop((column, first))
