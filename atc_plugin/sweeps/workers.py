"""Blocks computed by worker processes, which are sent tasks and read files."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..cache.store import Store
from ..kept_components import components_for
from .accumulated import unpacked
from .blocks import Blocks
from .estimates import BLOCK, NANOSECONDS_A_COMBINATION_BAR
from .executors import Task, halves, run_tasks
from .grid import ParamGrid
from .here import judge_of
from .materials import judge_task, lay_out_column, lay_out_plan, remove_column
from .open_blocks import OpenBlocks

_FILES = 2 * 2**30
"""Bytes of components that are laid out for workers at a time."""

_TASK = 0.2  # seconds that a task should take: far above what sending it costs
_PATIENCE = 60.0  # seconds without a result, beside fifty times what a task should take


def judge_columns(
    blocks: Blocks,
    missing: Iterator[tuple[int, list[tuple[int, int]]]],
    grid: ParamGrid,
    backend: str,
    jobs: int,
    timeout: float | None,
) -> None:
    """The missing blocks of columns, as many columns at a time as there should be files of."""
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

    place = shared_place(blocks.store, backend)
    # Workers may still map files when these are removed, which some file systems refuse.
    with tempfile.TemporaryDirectory(prefix="atc_sweep_", dir=place, ignore_cleanup_errors=True) as folder:
        lay_out_plan(folder, plan, blocks.question)
        for one in missing:
            laid_out: list[int] = []
            tasks: list[Task] = []
            open_blocks = OpenBlocks(BLOCK, plan.size)
            written = 0
            for column, todo in itertools.chain([one], missing):
                components = components_for(blocks.store, plan, *prices.own(column))
                if not laid_out:  # compiled here, once, and not in every worker
                    judge_of(blocks, column, components, 1).judge(plan.ids(0, 1))
                written += lay_out_column(folder, prices, column, components, blocks.question)
                laid_out.append(column)
                for first, last in todo:
                    cuts = [*range(first, last, size), last]
                    tasks += [Task(column, a, b) for a, b in itertools.pairwise(cuts)]
                if written >= _FILES:
                    break
            work = functools.partial(judge_task, folder)
            results = run_tasks(
                work, tasks, backend=backend, jobs=jobs, split=halves, describe=describe, timeout=patience
            )
            with contextlib.closing(results):
                for task, part in results:
                    for first, judged in open_blocks.add(task.column, task.first, unpacked(part)):
                        blocks.done(task.column, first, judged, open_blocks.seconds(), 1)
            for column in laid_out:
                remove_column(folder, column)


def shared_place(store: Store | None, backend: str) -> str | None:
    """Where the files lie: for workers of this machine in its folder for temporary files, else where all can see it."""
    if backend == "loky" or store is None:
        return None
    with contextlib.suppress(OSError):
        Path(store.directory).mkdir(parents=True, exist_ok=True)
    # A fault of the cache fails nothing.
    return store.directory if os.access(store.directory, os.W_OK | os.X_OK) and os.path.isdir(store.directory) else None  # noqa: PTH112
