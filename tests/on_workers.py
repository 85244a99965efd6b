"""What worker processes run in place of a task; a module of its own, for they import it each time one starts."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from atc_plugin.sweeps import components
from atc_plugin.sweeps.executors import Task
from atc_plugin.sweeps.materials import judge_task

CULPRIT = 200
"""The combination of the second column that `deadly` dies of."""


def noted(log: Path, seconds: float, folder: str, task: Task) -> np.ndarray:
    """The task, after a line that says who does it."""
    with log.open("a") as file:
        file.write(f"{os.getpid()} {task.column} {task.first} {task.last}\n")
    time.sleep(seconds)
    return judge_task(folder, task)


def deadly(folder: str, task: Task) -> np.ndarray:
    time.sleep(0.005)
    if task.column == 1 and task.first <= CULPRIT < task.last:
        os.kill(os.getpid(), signal.SIGKILL)
    return judge_task(folder, task)


def without_components(folder: str, task: Task) -> np.ndarray:
    make, components.make_components = components.make_components, None
    try:
        return judge_task(folder, task)
    finally:
        components.make_components = make  # workers live on


def faulty(folder: str, task: Task) -> np.ndarray:
    raise ZeroDivisionError("no")
