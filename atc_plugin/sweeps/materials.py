"""What worker processes read: a plan and the components of each column, in files that they map into memory."""

from __future__ import annotations

import contextlib
import functools
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from ..prices import Prices
from .accumulated import packed
from .components import as_components
from .executors import Task
from .judge import Judge
from .planning import Plan
from .question import Question

if TYPE_CHECKING:
    from ..law.turns import Components


def lay_out_plan(folder: str, plan: Plan, question: Question) -> None:
    """Write what all tasks share."""
    with (Path(folder) / "plan").open("wb") as file:
        pickle.dump((plan, question), file)


def lay_out_column(folder: str, prices: Prices, column: int, components: Components, question: Question) -> int:
    """Write a column's components with its prices; returns how many bytes."""
    close, _ = prices.own(column)
    windows = question.own_windows(prices, column) or (np.empty(0, np.int64), np.empty(0, np.int64))
    arrays: dict[str, NDArray[Any]] = {
        "close": close,
        "signals": components.signals,
        "weights": components.weights,
        "windows": np.array(windows),
    }
    for name, array in arrays.items():
        np.save(_file(folder, column, name), array)
    return sum(array.nbytes for array in arrays.values())


def remove_column(folder: str, column: int) -> None:
    """Remove the files of a column; workers that still map them keep what they see."""
    for name in ("close", "signals", "weights", "windows"):
        with contextlib.suppress(OSError):  # what is still mapped goes with the folder, or stays
            _file(folder, column, name).unlink()


def judge_task(folder: str, task: Task) -> NDArray[float64]:
    """The accumulators of a task's combinations, as `accumulated.packed` has them: what a worker process runs."""
    plan, question = _plan(folder)
    judged = _judge(folder, task.column).judge(plan.ids(task.first, task.last))
    return packed(judged, question.trades)


def _file(folder: str, column: int, name: str) -> Path:
    return Path(folder) / f"{column}.{name}.npy"


@functools.lru_cache(maxsize=1)
def _plan(folder: str) -> tuple[Plan, Question]:
    path = Path(folder) / "plan"
    try:
        with path.open("rb") as file:
            plan, question = pickle.load(file)
    except FileNotFoundError as fault:
        raise FileNotFoundError(
            f"this worker does not see {path}: workers on other machines need a cache directory that all machines "
            'share, sweep(..., cache="/shared/folder")'
        ) from fault
    return plan, question


@functools.lru_cache(maxsize=1)
def _judge(folder: str, column: int) -> Judge:
    plan, question = _plan(folder)

    def array(name: str) -> NDArray[Any]:
        # Copy-on-write: kernels would be compiled once more for arrays that cannot be written to.
        mapped: NDArray[Any] = np.load(_file(folder, column, name), mmap_mode="c")
        return mapped.view(np.ndarray)

    components = as_components(plan, array("signals"), array("weights"))
    windows = (array("windows")[0], array("windows")[1]) if question.windows else None
    return Judge(array("close"), components, plan, question.trading, windows)
