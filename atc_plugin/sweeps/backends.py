"""Where a sweep runs: threads of this process, or worker processes that are sent tasks and read files."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from ..threads import share
from .accumulated import unpacked
from .blocks import Blocks
from .components import components_of
from .estimates import BLOCK, NANOSECONDS_A_COMBINATION_BAR, many_columns
from .executors import Task, halves, run_tasks
from .grid import ParamGrid
from .judge import Judge
from .materials import judge_task, lay_out_column, lay_out_plan, remove_column

if TYPE_CHECKING:
    from ..law.turns import Components

_FILES = 2 * 2**30
"""Bytes of components that are laid out for workers at a time."""

_TASK = 0.2  # seconds that a task should take: far above what sending it costs
_PATIENCE = 60.0  # seconds without a result, beside fifty times what a task should take


def run_here(blocks: Blocks, jobs: int) -> None:
    """All blocks on threads: those of one column after the other, or a column each where columns are short work."""
    columns = len(blocks.prices.counts)
    if many_columns(columns, blocks.plan.size, jobs):
        share(lambda column, _: _column(blocks, column, 1), columns, jobs, 1)
    else:
        for column in range(columns):
            _column(blocks, column, jobs)


def _column(blocks: Blocks, column: int, jobs: int) -> None:
    judge = None
    for first, last in blocks.missing(column):
        started = time.perf_counter()
        if judge is None:
            judge = _judge(blocks, column, components_of(blocks.plan, *blocks.prices.own(column)))
        judged = judge.judge(blocks.plan.ids(first, last), jobs)
        blocks.done(column, first, judged, time.perf_counter() - started, jobs)


def _judge(blocks: Blocks, column: int, components: Components, combinations: int | None = None) -> Judge:
    """A judge of a column's combinations."""
    close, _ = blocks.prices.own(column)
    return Judge(close, components, blocks.plan, blocks.question.trading, blocks.own_windows(column), combinations)


# ---------------------------------------------------------------- worker processes
def run_on_workers(blocks: Blocks, grid: ParamGrid, backend: str, jobs: int, timeout: float | None) -> None:
    """All blocks on worker processes, as many columns at a time as there should be files of."""
    prices, plan = blocks.prices, blocks.plan
    bars = int(prices.counts.max(initial=1))
    seconds = bars * NANOSECONDS_A_COMBINATION_BAR * 1e-9
    size = min(BLOCK, max(64, min(int(_TASK / seconds), len(prices.counts) * plan.size // (4 * jobs))))
    patience = timeout if timeout is not None else _PATIENCE + 50 * size * seconds

    def describe(task: Task) -> str:
        what = f"{task.last - task.first:,} combinations from {task.first:,} on"
        if task.last == task.first + 1:
            what = f"combination {task.first:,} ({grid[task.first]!r})"
        return f"{prices.labels[task.column]}: {what}"

    place = _shared_place(blocks, backend)
    # Workers may still map files when these are removed, which some file systems refuse.
    with tempfile.TemporaryDirectory(prefix="atc_sweep_", dir=place, ignore_cleanup_errors=True) as folder:
        lay_out_plan(folder, plan, blocks.question)
        waiting = list(range(len(prices.counts)))
        while waiting:
            laid_out: list[int] = []
            tasks: list[Task] = []
            open_blocks: dict[tuple[int, int], _OpenBlock] = {}
            written = 0
            while waiting and written < _FILES:
                column = waiting.pop(0)
                todo = list(blocks.missing(column))
                if todo:
                    components = components_of(plan, *prices.own(column))
                    if not laid_out:  # compiled here, once, and not in every worker
                        _judge(blocks, column, components, 1).judge(plan.ids(0, 1))
                    written += lay_out_column(folder, prices, column, components, blocks.question)
                    laid_out.append(column)
                for first, last in todo:
                    open_blocks[column, first] = _OpenBlock(first, last)
                    cuts = [*range(first, last, size), last]
                    tasks += [Task(column, a, b) for a, b in itertools.pairwise(cuts)]
            work = functools.partial(judge_task, folder)
            results = run_tasks(
                work, tasks, backend=backend, jobs=jobs, split=halves, describe=describe, timeout=patience
            )
            with contextlib.closing(results):
                for task, part in results:
                    key = (task.column, task.first // BLOCK * BLOCK)
                    if open_blocks[key].add(task, part):
                        block = open_blocks.pop(key)
                        blocks.done(task.column, block.first, unpacked(block.whole()), block.seconds(), 1)
            for column in laid_out:
                remove_column(folder, column)


def _shared_place(blocks: Blocks, backend: str) -> str | None:
    """Where the files lie: for workers of this machine in its folder for temporary files."""
    if backend == "loky" or blocks.store is None:
        return None
    directory = blocks.store.directory
    return directory if os.access(directory, os.W_OK | os.X_OK) else None  # a fault of the cache, which fails nothing


class _OpenBlock:
    """A block of which parts come in, in any order."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self._last = first, last
        self._left = last - first
        self._parts: dict[int, NDArray[float64]] = {}
        self._since = time.perf_counter()

    def add(self, task: Task, part: NDArray[float64]) -> bool:
        """Take a part; whether it was the last."""
        self._parts[task.first] = part
        self._left -= len(part)
        return self._left == 0

    def whole(self) -> NDArray[float64]:
        """All parts in order."""
        return np.concatenate([part for _, part in sorted(self._parts.items())])

    def seconds(self) -> float:
        """Since it was opened."""
        return time.perf_counter() - self._since
