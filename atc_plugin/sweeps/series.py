"""The average or the direction of every combination, block by block: what a sweep gives instead of metrics."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kept_components import components_for
from ..law.turns import Components, series_of
from ..prices import Prices
from ..threads import share
from .grid import ParamGrid
from .judge import level_table
from .planning import check_memory, plan

if TYPE_CHECKING:
    import pandas as pd

    from ..cache.store import Store
    from ..params import AtcParams
    from .series_on_devices import SeriesOnDevices

_BYTES = 2**28
"""What a block of series may take, beside the components."""


class SeriesBlock(NamedTuple):
    """The series of some combinations of one symbol."""

    symbol: Any
    first: int  # position in the grid of the first combination
    values: NDArray[np.float64]  # (bars, combinations); NaN where the symbol has no bar


class SweepSeries:
    """The series of every combination of a grid on every symbol, computed block by block when gone through.

    Going through it gives `SeriesBlock`s, symbol after symbol in grid order, each (bars, combinations) of at most some
    hundred megabytes. A second time computes them again. On GPUs what comes next is on its way meanwhile, so whoever
    stops early closes the iterator, or lets go of it, to give the memory back.

    >>> from atc_plugin import ParamGrid, sweep
    >>> series = sweep([10.0, 11.0, 12.0, 11.0], ParamGrid(ema_len=[14, 28]), output="direction")
    >>> [block.values.shape for block in series], series.shape
    ([(4, 2)], (1, 4, 2))
    """

    def __init__(
        self, prices: Prices, grid: ParamGrid, output: str, jobs: int, store: Store | None, on_devices: bool = False
    ) -> None:
        columns, bars = prices.close.shape
        self.grid, self.prices, self.output = grid, prices, output
        self._jobs, self._store, self._on_devices = jobs, store, on_devices
        self._plan = plan(grid, columns=columns, bars=bars, metrics=0, top=1)
        check_memory(self._plan)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Symbols, bars and combinations."""
        columns, bars = self.prices.close.shape
        return columns, bars, self._plan.size

    def __repr__(self) -> str:
        columns, bars, size = self.shape
        return f"<SweepSeries: {self.output} of {size:,} combinations x {bars:,} bars x {columns:,} symbols>"

    def __len__(self) -> int:
        """How many blocks there are."""
        return self.shape[0] * -(-self._plan.size // self._step())

    def __iter__(self) -> Generator[SeriesBlock, None, None]:
        with contextlib.closing(self._blocks(range(self.shape[0]), self._step())) as blocks:
            for column, first, values in blocks:
                yield SeriesBlock(self.prices.labels[column], first, values.T)

    def _blocks(self, columns: Sequence[int], step: int) -> Generator[tuple[int, int, NDArray[np.float64]], None, None]:
        """Column, first combination and values (combinations, bars) of blocks of `step` combinations, in order."""
        if self._on_devices:
            yield from self._devices.blocks(columns, step)
            return
        _, bars, size = self.shape
        for column in columns:
            components = components_for(self._store, self._plan, *self.prices.own(column))
            for first in range(0, size, step):
                last = min(first + step, size)
                values = np.empty((last - first, bars))
                self._fill(column, components, first, last, values)
                yield column, first, values

    @cached_property
    def _devices(self) -> SeriesOnDevices:
        from .series_on_devices import SeriesOnDevices

        return SeriesOnDevices(self.prices, self._plan, self.output == "direction", self._jobs)

    def frame(self, symbol: Any = None) -> pd.DataFrame:
        """All combinations of one symbol, bars x combinations, under the index of the prices.

        The columns are positions in the grid.

        Raises:
            ValueError: for an unknown symbol, and for none where there are several.
        """
        import pandas as pd

        labels = self.prices.labels
        if symbol is None and len(labels) > 1:
            raise ValueError(f"symbol must be one of {', '.join(map(str, labels))}")
        if symbol is not None and symbol not in labels:
            raise ValueError(f"symbol must be one of {', '.join(map(str, labels))}; got {symbol!r}")
        column = 0 if symbol is None else labels.index(symbol)
        ((_, _, values),) = self._blocks([column], self._plan.size)
        return pd.DataFrame(values.T, index=self.prices.container.index, copy=False)

    def to_memmap(self, path: str | os.PathLike[str]) -> NDArray[np.float64]:
        """Write everything to a `.npy` file, which `numpy.load(path, mmap_mode="r")` opens without reading it.

        Returns:
            The file mapped into memory, (symbols, combinations, bars) float64: a combination's bars lie together.
        """
        from numpy.lib.format import open_memmap

        columns, bars, size = self.shape
        partial = Path(f"{os.fspath(path)}.partial")
        mapped = open_memmap(partial, mode="w+", dtype=np.float64, shape=(columns, size, bars))
        try:
            with contextlib.closing(iter(self)) as blocks:
                for place, block in enumerate(blocks):
                    column = place // (len(self) // columns)
                    mapped[column, block.first : block.first + block.values.shape[1]] = block.values.T
            mapped.flush()
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        found: NDArray[np.float64] = np.load(path, mmap_mode="r+")
        return found

    def params(self, combination: int) -> AtcParams:
        """The parameters of a combination."""
        return self.grid[combination]

    def _step(self) -> int:
        return max(1, _BYTES // (8 * self.shape[1]))

    def _fill(self, column: int, components: Components, first: int, last: int, values: NDArray[np.float64]) -> None:
        """Series of combinations into `values` (combinations, bars)."""
        ids = self._plan.ids(first, last)
        levels = level_table(self._plan)
        count = int(self.prices.counts[column])
        valid = None if self.prices.valid is None else self.prices.valid[column]
        bars_at = np.arange(count) if valid is None else np.flatnonzero(valid)
        if valid is not None:
            values[:] = np.nan

        def work(a: int, b: int) -> None:
            series_of(components, levels, ids, bars_at, self.output == "direction", a, b, values)  # type: ignore[no-untyped-call]

        share(work, last - first, self._jobs, max(1, 1_000_000 // max(count, 1)))
