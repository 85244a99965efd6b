"""Many independent tasks on worker processes, through joblib: what a worker's death took is computed again.

joblib's generators are wrapped, not replaced. What it leaves open is closed here: a process that dies fails the whole
call, on Dask a task that kills its workers is waited for without end, and results that nobody takes pile up.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import pickle
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from .cluster import KilledError, TaskError, dask_backend
from .resolving import active_backend, name_of

log = logging.getLogger("atc_plugin")
log.addHandler(logging.NullHandler())

_ROOM = 128 * 2**20
"""Bytes of results that may wait to be taken before no more tasks are handed out."""

_PARTS = 64
"""Pieces a task that kills its worker is cut in: a death costs as much time as some hundred small tasks."""

T = TypeVar("T")


class Task(NamedTuple):
    """Combinations `first` to `last - 1` of one symbol."""

    column: int
    first: int
    last: int


def halves(task: Task) -> list[Task]:
    """A task in two, or nothing where it is a single combination."""
    middle = (task.first + task.last) // 2
    return [task._replace(last=middle), task._replace(first=middle)] if task.first < middle else []


class WorkerDied(RuntimeError):  # noqa: N818
    """A task kills the process that computes it, every time."""


def run_tasks(
    work: Callable[[T], Any],
    tasks: Iterable[T],
    *,
    backend: str,
    jobs: int,
    split: Callable[[T], Sequence[T]],
    describe: Callable[[T], str],
    timeout: float | None = None,
    retries: int = 1,
) -> Generator[tuple[T, Any]]:
    """Compute tasks on worker processes and give each with its result as it is done, in any order.

    Tasks that were lost with a worker are computed again; the suspects alone, and one that goes on killing workers is
    split until the culprit is found. So parts may come in place of a task. Close the generator to stop
    (`contextlib.closing`): then, and after any error, no task is left waiting nor, on this machine, running.

    Args:
        work: Takes a task; picklable, and leaves the other processors alone.
        tasks: Distinct, hashable and picklable.
        backend: "loky", "dask" or another of joblib's, as from `resolve`.
        jobs: Workers; on Dask the cluster's.
        split: The parts of a task; fewer than two where it cannot be split.
        describe: Names a task in errors.
        timeout: Seconds without any result after which to give up; also what the search for a culprit may take.
        retries: Deaths forgiven to a task that runs alone. Dask has its own count, `allowed-failures`.

    Raises:
        WorkerDied: A task that cannot be split kills its worker every time, or the search for one took too long.
        TimeoutError: No result in `timeout` seconds.
        Exception: Whatever `work` raises, with a note that names the task.
    """
    if backend == "dask":
        from distributed.protocol import pickle as dask_pickle

        # Here, because what cannot be sent would later be logged only, and waited for.
        dask_pickle.dumps(work)  # type: ignore[no-untyped-call]
    run = _Run(work, backend, jobs, split, describe, timeout, retries)
    waiting = dict.fromkeys(tasks)
    again: dict[T, None] = {}  # lost with a worker: from now on not more of them at a time than workers
    while again or waiting:
        queue = again or waiting
        with contextlib.closing(run.compute(list(queue), "n_jobs" if again else None)) as answers:
            try:
                for task, result in answers:
                    del queue[task]
                    yield task, result
                continue
            except _DEATHS as fault:
                death = fault
        suspects = [task for task in run.suspects(death) if task in queue]
        _tell(len(suspects))
        for task in suspects:
            del queue[task]
        # Dask has tried these several times already.
        if queue is again or len(suspects) == 1 or isinstance(death, KilledError):
            yield from run.search(suspects)
        else:
            again.update(dict.fromkeys(suspects))


def _tell(tasks: int) -> None:
    log.warning("a worker process died; %d tasks are computed again", tasks)


class _ClosedError(Exception):
    """Thrown into joblib's generator to end it: its `close` would warn of results that nobody takes."""


class _StalledError(TimeoutError):
    """No result in `timeout` seconds; a class of its own, for `work` may raise TimeoutError too."""


_DEATHS = (TerminatedWorkerError, KilledError)


@dataclass
class _Run(Generic[T]):
    work: Callable[[T], Any]
    backend: str
    jobs: int
    split: Callable[[T], Sequence[T]]
    describe: Callable[[T], str]
    timeout: float | None
    retries: int
    given: list[T] = field(default_factory=list)
    """What the last `compute` handed out."""

    def compute(
        self, tasks: Iterable[T], at_once: str | int | None, timeout: float | None = None
    ) -> Generator[tuple[T, Any]]:
        """Give tasks with their results, as they are done; fewer if those who take them lag behind.

        With `at_once`, so many are with the workers at a time, one by one; else as many as keep them busy.
        """
        parallel = self._parallel(at_once, timeout or self.timeout)
        self.given = given = []
        taken, heaviest = 0, 1000

        def calls() -> Generator[Any]:  # joblib draws from it in threads of its own, under its lock
            for task in tasks:
                if (parallel.n_completed_tasks - taken) * heaviest > _ROOM:
                    return
                given.append(task)
                yield joblib.delayed(_answer)(self.work, task)

        answers = None
        try:
            answers = parallel(calls())
            for task, result in answers:
                taken += 1
                heaviest = max(heaviest, getattr(result, "nbytes", 0))
                yield task, result
        except TaskError as failed:
            task, fault = failed.args
            fault.add_note(f"while computing {self.describe(task)}")
            raise fault from failed.__cause__
        except (TimeoutError, multiprocessing.TimeoutError) as fault:  # joblib's is the latter
            raise _StalledError(f"no task was done in {timeout or self.timeout} s; are there workers?") from fault
        finally:
            if answers is not None:
                with contextlib.suppress(_ClosedError):
                    answers.throw(_ClosedError())

    def suspects(self, death: Exception) -> list[T]:
        """What may have been with the worker that died, beside what is done."""
        return death.tasks if isinstance(death, KilledError) else self.given

    def search(
        self, suspects: Iterable[T], culprit: tuple[T, int] | None = None, end: float | None = None
    ) -> Generator[tuple[T, Any]]:
        """Compute tasks one after another and split one that kills its worker, down to the part that does.

        With `culprit` these are its parts, to be done before `end`; with it comes how often it killed.
        """
        queue = dict.fromkeys(suspects)
        kills = dict.fromkeys(queue, 0)
        while queue:
            left = None if end is None else max(end - time.monotonic(), 1.0)
            with contextlib.closing(self.compute(list(queue), 1, left)) as answers:
                try:
                    for task, result in answers:
                        del queue[task]
                        yield task, result
                    continue
                except _StalledError as fault:  # no worker may be left
                    if culprit is None:
                        raise
                    raise self._died(*culprit) from fault
                except _DEATHS as fault:
                    death = fault
            _tell(1)
            killer = next((task for task in self.given if task in queue), None)
            if killer is None:  # an idle worker died
                continue
            kills[killer] += getattr(death, "kills", 1)
            parts = self._parts(killer)
            limit = end or time.monotonic() + (self.timeout or float("inf"))
            again = kills[killer] <= self.retries
            if time.monotonic() > limit or (len(parts) == 1 and not again):
                raise self._died(killer, kills[killer]) from death
            if len(parts) > 1 and (culprit is not None or not again):
                del queue[killer]
                yield from self.search(parts, (killer, kills[killer]), limit)

    def _parts(self, task: T) -> list[T]:
        parts, more = [task], True
        while more and len(parts) < _PARTS:
            finer = [list(self.split(part)) or [part] for part in parts]
            more = any(len(piece) > 1 for piece in finer)
            parts = list(itertools.chain.from_iterable(finer))
        return parts

    def _died(self, task: T, kills: int) -> WorkerDied:
        return WorkerDied(
            f"{self.describe(task)} killed its worker process {kills} times: it may need more memory than a worker "
            "has, or crash a native library (see the workers' logs, dmesg)"
        )

    def _parallel(self, at_once: str | int | None, timeout: float | None) -> Any:
        options: dict[str, Any] = {
            "n_jobs": max(self.jobs, 2),  # for one, joblib would compute in this process
            "return_as": "generator_unordered",
            "timeout": timeout,
        }
        if at_once is not None:
            options["batch_size"] = 1
            options["pre_dispatch"] = at_once
        if self.jobs == 1 and self.backend == "loky":
            options["pre_dispatch"] = 1
        if self.backend == "dask":
            return joblib.Parallel(backend=dask_backend(timeout), **options)
        if self.backend == "loky":
            with joblib.parallel_config(backend="loky", inner_max_num_threads=1, prefer=None, require=None):
                return joblib.Parallel(**options)
        active, _ = active_backend()
        ours = active is not None and name_of(active) == self.backend
        return joblib.Parallel(backend=None if ours else self.backend, **options)


def _answer(work: Callable[[T], Any], task: T) -> tuple[T, Any]:
    """Runs on the worker."""
    try:
        return task, work(task)
    except Exception as fault:
        portable = fault
        try:
            pickle.loads(pickle.dumps(fault))
        except Exception:  # one that cannot be read back would look like a dead worker
            portable = RuntimeError(f"{type(fault).__name__}: {fault}")
        raise TaskError(task, portable) from fault
