"""Components kept by worker processes: they read the prices of a column from files and write into the store."""

from __future__ import annotations

import contextlib
import functools
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .cache.store import Store
from .kept_components import Spec, find_or_make
from .sweeps.executors import Task, run_tasks
from .sweeps.prepared import Prepared
from .sweeps.workers import shared_place

_PATIENCE = 600.0  # seconds without a result


def keep_on_workers(
    prepared: Prepared, store: Store, specs: Sequence[Spec], columns: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """Have the components of columns kept; of each, as it is done, how many blocks were there, resumed and made.

    What workers count is added to the statistics of `store`.
    """
    place = shared_place(store, prepared.backend)
    with tempfile.TemporaryDirectory(prefix="atc_warm_", dir=place, ignore_cleanup_errors=True) as folder:
        with (Path(folder) / "task").open("wb") as file:
            pickle.dump((store, list(specs)), file)
        for column in columns:
            close, source = prepared.prices.own(column)
            same = prepared.prices.source is prepared.prices.close
            np.save(Path(folder) / f"{column}.npy", np.stack([close] if same else [close, source]))
        answers = run_tasks(
            functools.partial(_keep_column, folder),
            [Task(column, 0, 1) for column in columns],
            backend=prepared.backend,
            jobs=prepared.jobs,
            split=lambda task: [],
            describe=lambda task: f"components of {prepared.prices.labels[task.column]}",
            timeout=prepared.timeout or _PATIENCE,
        )
        with contextlib.closing(answers):
            for _, (blocks, counted) in answers:
                store.statistics.merge(counted)
                yield blocks


def _keep_column(folder: str, task: Task) -> tuple[tuple[int, int, int], dict[str, Any]]:
    store, specs = _task(folder)
    rows = np.load(Path(folder) / f"{task.column}.npy")
    _, *blocks = find_or_make(store, specs, rows[0], rows[-1])
    store.flush()
    return (blocks[0], blocks[1], blocks[2]), store.statistics.drain()


@functools.lru_cache(maxsize=1)
def _task(folder: str) -> tuple[Store, list[Spec]]:
    with (Path(folder) / "task").open("rb") as file:
        store, specs = pickle.load(file)
    return store, specs
