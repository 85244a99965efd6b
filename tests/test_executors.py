"""Tasks on worker processes: all of them are computed, whatever dies, and what kills is named."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.parallel import BACKENDS, ThreadingBackend, register_parallel_backend

from atc_plugin.engine import job_count
from atc_plugin.sweeps import executors
from atc_plugin.sweeps.executors import Task, WorkerDied, halves, run_tasks
from atc_plugin.sweeps.resolving import resolve

TASKS = [Task(3, first, first + 64) for first in range(0, 64 * 40, 64)]
CULPRIT = 64 * 20 + 13


def answer(task: Task) -> np.ndarray:
    return np.arange(task.first, task.last)


def pid(task: Task) -> int:
    time.sleep(0.01)
    return os.getpid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once(marker: Path, task: Task) -> np.ndarray:
    time.sleep(0.01)
    if task.first <= CULPRIT < task.last and not marker.exists():
        marker.touch()
        die()
    return answer(task)


def dies_always(task: Task) -> np.ndarray:
    time.sleep(0.002)
    if task.first <= CULPRIT < task.last:
        die()
    return answer(task)


def dies_when_large(task: Task) -> np.ndarray:
    if task.column == 1 and task.last - task.first > 20:
        die()
    return answer(task)


class TwoArguments(Exception):  # noqa: N818
    """Cannot be read back from a pickle."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)


def fails(error: type[Exception], arguments: tuple[Any, ...], task: Task) -> None:
    time.sleep(0.02)
    if task == TASKS[5]:
        raise error(*arguments)


def writes(log: Path, task: Task) -> int:
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.1)
    return os.getpid()


def large(task: Task) -> np.ndarray:
    return np.full(2**20, float(task.first))


def lines(log: Path) -> int:
    return len(log.read_text().splitlines())


def describe(task: Task) -> str:
    return f"combinations {task.first} to {task.last - 1} of column {task.column}"


def run(work: Any, tasks: Iterable[Task] = TASKS, **options: Any) -> Generator[tuple[Task, Any]]:
    options = {"backend": "loky", "jobs": 2, "timeout": 60} | options
    return run_tasks(work, tasks, split=halves, describe=describe, **options)


def check_complete(answers: Iterable[tuple[Task, Any]], tasks: Iterable[Task] = TASKS) -> None:
    """Each combination once, and each with its own result."""
    answers = list(answers)
    for task, result in answers:
        assert np.array_equal(result, answer(task))
    combinations = sorted((task.column, int(c)) for task, result in answers for c in result)
    assert combinations == sorted((task.column, c) for task in tasks for c in range(task.first, task.last))


# Where to compute


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATC_BACKEND", raising=False)
    monkeypatch.delenv("ATC_JOBS", raising=False)


def test_by_default_the_caller_chooses_and_all_processors_work() -> None:
    assert resolve() == resolve(None, None) == resolve("auto") == ("auto", job_count())


@pytest.mark.parametrize("name", ["cpu", "loky"])
def test_what_is_asked_for_comes_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_BACKEND", "dask")
    monkeypatch.setenv("ATC_JOBS", "7")
    with joblib.parallel_config(backend="threading", n_jobs=5):
        assert resolve(name, 3) == (name, 3)


def test_the_environment_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_BACKEND", "loky")
    monkeypatch.setenv("ATC_JOBS", "7")
    assert resolve("auto") == ("loky", 7)
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert resolve() == ("cpu", 3)


@pytest.mark.parametrize(
    ("theirs", "ours"), [("loky", "loky"), ("multiprocessing", "loky"), ("threading", "cpu"), ("sequential", "cpu")]
)
def test_a_parallel_config_comes_third(theirs: str, ours: str) -> None:
    with joblib.parallel_config(backend=theirs):
        assert resolve() == (ours, 1 if theirs == "sequential" else job_count())
    with joblib.parallel_config(backend=theirs, n_jobs=5):
        assert resolve() == (ours, 5)
        assert resolve("auto", 6) == (ours, 6)
    with joblib.parallel_backend(theirs, n_jobs=4):
        assert resolve() == (ours, 4)
    assert resolve() == ("auto", job_count())


def test_a_parallel_config_may_leave_the_backend_open() -> None:
    with joblib.parallel_config(n_jobs=5):
        assert resolve() == ("auto", 5)
    with joblib.parallel_config(prefer="threads"):
        assert resolve() == ("cpu", job_count())


def test_jobs_are_counted_as_joblib_does() -> None:
    processors = joblib.cpu_count()
    assert resolve(n_jobs=-1) == ("auto", processors)
    assert resolve(n_jobs=-2) == ("auto", max(processors - 1, 1))
    assert resolve(n_jobs=-1000) == ("auto", 1)


@pytest.mark.parametrize("jobs", [0, 1.5, "many"])
def test_senseless_jobs_are_refused(jobs: Any) -> None:
    with pytest.raises(ValueError, match=f"n_jobs must be a whole number.*got {jobs!r}"):
        resolve("cpu", jobs)


def test_an_unknown_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"backend 'fpga' cannot.*'auto', 'cpu', 'gpu', 'loky', 'dask'"):
        resolve("fpga")
    monkeypatch.setenv("ATC_BACKEND", "ray")
    with pytest.raises(ValueError, match="ATC_BACKEND 'ray' cannot"):
        resolve()


class Registered(ThreadingBackend):
    """Stands for a backend that others register, Ray's for one."""


@pytest.fixture
def _registered() -> Generator[None]:
    register_parallel_backend("registered", Registered)
    yield
    del BACKENDS["registered"]


@pytest.mark.usefixtures("_registered")
def test_a_backend_of_others_is_used_through_joblib() -> None:
    with joblib.parallel_config(backend="registered", n_jobs=3):
        assert resolve() == ("registered", 3)
        check_complete(run(answer, backend="registered", jobs=3))
    with joblib.parallel_config(backend=Registered()):
        assert resolve() == ("registered", 1)
    check_complete(run(answer, backend="registered", jobs=3))


# loky


def test_all_results_come_and_nothing_runs_here() -> None:
    check_complete(run(answer))
    pids = {result for _, result in run(pid)}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_one_job_is_one_worker_at_a_time_and_not_this_process(tmp_path: Path) -> None:
    started = time.perf_counter()
    pids = {result for _, result in run(functools.partial(writes, tmp_path / "log"), TASKS[:4], jobs=1)}
    assert time.perf_counter() - started > 0.4
    assert os.getpid() not in pids


def test_no_tasks() -> None:
    assert list(run(answer, [])) == []


def test_workers_compute_with_one_thread() -> None:
    assert {result for _, result in run(threads)} == {1}


def threads(task: Task) -> int:
    return job_count()


def test_many_small_tasks() -> None:
    tasks = [Task(0, first, first + 1) for first in range(3000)]
    check_complete(run(answer, tasks), tasks)


def test_results_that_nobody_takes_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(executors, "_ROOM", 5 * 8 * 2**20)
    tasks = [Task(0, first, first + 1) for first in range(100)]
    done = []
    for task, result in run(functools.partial(logged_large, tmp_path / "log"), tasks):
        if not done:
            time.sleep(1)
            assert lines(tmp_path / "log") < 50  # joblib has drawn some batches before the room was seen to be full
        assert (result == task.first).all()
        done.append(task)
    assert sorted(done) == tasks


def logged_large(log: Path, task: Task) -> np.ndarray:
    with log.open("a") as file:
        file.write("line\n")
    return large(task)


def test_a_worker_that_dies_costs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        check_complete(run(functools.partial(dies_once, tmp_path / "marker")))
    assert "a worker process died; " in caplog.text
    assert "tasks are computed again" in caplog.text


def test_the_combination_that_kills_is_named() -> None:
    got: list[Any] = []
    with pytest.raises(WorkerDied, match=f"^combinations {CULPRIT} to {CULPRIT} of column 3 killed.* 3 times"):
        got.extend(run(dies_always, retries=2))  # list.extend keeps what came before the error
    done = [task for task, _ in got]
    assert {task for task in TASKS if task.last <= CULPRIT - 64} <= set(done)
    assert sum(task.last - task.first for task in done) > CULPRIT - 64
    check_complete(run(answer))


def test_a_task_too_large_for_a_worker_is_computed_in_parts() -> None:
    tasks = [*TASKS[:3], Task(1, 0, 64), Task(1, 64, 70)]
    check_complete(run(dies_when_large, tasks), tasks)


@pytest.mark.parametrize(
    ("error", "arguments", "raised", "text"),
    [
        (ZeroDivisionError, ("no",), ZeroDivisionError, "no"),
        (TimeoutError, ("late",), TimeoutError, "late"),
        (TwoArguments, (1, 2), RuntimeError, "TwoArguments: 1"),
    ],
)
def test_what_a_task_raises_comes_with_its_name(error: Any, arguments: Any, raised: Any, text: str) -> None:
    with pytest.raises(raised, match=text) as caught:
        list(run(functools.partial(fails, error, arguments)))
    assert caught.value.__notes__ == ["while computing combinations 320 to 383 of column 3"]
    assert "in fails" in str(caught.value.__cause__)  # the traceback of the worker


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_what_cannot_be_sent_is_no_death(backend: str) -> None:
    if backend == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(Exception, match="pickle"):
        list(run(functools.partial(answer, threading.Lock()), backend=backend))


def test_an_idle_worker_that_dies_is_nobodys_fault() -> None:
    answers = run(pid, TASKS, jobs=1)
    victims = {result for _, result in run(pid)}
    next(answers)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    assert len(list(answers)) == len(TASKS) - 1


@pytest.mark.parametrize("stop", ["close", "drop", "error", "interrupt"])
def test_nothing_runs_on_when_the_caller_stops(stop: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    answers = run(functools.partial(writes, log))
    next(answers)
    if stop == "close":
        answers.close()
    elif stop == "drop":
        del answers
    else:
        error = ValueError if stop == "error" else KeyboardInterrupt
        with pytest.raises(error):
            answers.throw(error)
    before = lines(log)
    assert before < 10
    time.sleep(0.4)
    assert lines(log) == before


def test_an_interrupt_while_waiting_leaves_nothing_running(tmp_path: Path) -> None:
    log = tmp_path / "log"
    threading.Timer(1.5, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        list(run(functools.partial(writes, log), TASKS * 2))
    before = lines(log)
    time.sleep(0.4)
    assert lines(log) == before


def test_no_result_in_time_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"no task was done in 0\.5 s"):
        list(run(functools.partial(sleeps, 30), timeout=0.5))


def sleeps(seconds: float, task: Task) -> int:
    time.sleep(seconds)
    return 0


# The search for a culprit, with deaths as they rarely come


class Scripted(executors._Run[Task]):
    """Raises what it is told to, with the first of the tasks on a worker, and then computes."""

    def __init__(self, *script: Exception | None, timeout: float = 60) -> None:
        super().__init__(answer, "loky", 2, halves, describe, timeout, 1)
        self.script = list(script)

    def compute(self, tasks: Iterable[Task], at_once: Any, timeout: float | None = None) -> Generator[tuple[Task, Any]]:
        self.given, error = [*tasks][:1], self.script.pop(0) if self.script else None
        if error is not None:
            self.given = self.given if error is not IDLE else []
            raise error
        yield from ((task, answer(task)) for task in tasks)


DEATH = executors.TerminatedWorkerError("one died")
IDLE = executors.TerminatedWorkerError("an idle one died")
KILLED = executors.KilledError([TASKS[0]], 4)
STALLED = executors._StalledError("nobody there")


@pytest.mark.parametrize("script", [(IDLE,) * 5, (DEATH,), (DEATH, DEATH), (DEATH, DEATH, DEATH), (KILLED,)])
def test_deaths_that_end_are_forgiven(script: tuple[Exception, ...]) -> None:
    check_complete(Scripted(*script).search(TASKS))


def test_where_all_workers_are_gone_the_smallest_culprit_known_is_named() -> None:
    with pytest.raises(
        WorkerDied, match="combinations 0 to 63 of column 3 killed its worker process 4 times"
    ) as caught:
        list(Scripted(KILLED, STALLED).search(TASKS))
    assert caught.value.__cause__ is STALLED
    with pytest.raises(WorkerDied, match="combinations 0 to 3 of column 3"):
        list(Scripted(KILLED, KILLED, STALLED).search([Task(3, 0, 256)]))
    with pytest.raises(TimeoutError, match="nobody there"):
        list(Scripted(STALLED).search(TASKS))


def test_a_search_that_takes_too_long_ends_with_what_is_known() -> None:
    with pytest.raises(WorkerDied, match="combinations 0 to 1 of column 3"):
        list(Scripted(DEATH, DEATH, DEATH, timeout=-1).search([Task(3, 0, 2)]))
    with pytest.raises(WorkerDied, match="combinations 0 to 63 of column 3"):
        list(Scripted(KILLED, timeout=-1).search(TASKS))


# Dask


def dask_options() -> dict[str, Any]:
    return {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "memory_limit": 0}


@pytest.fixture
def client() -> Generator[Any]:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.LocalCluster(silence_logs=logging.CRITICAL, **dask_options()) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def on_dask(work: Any, tasks: Iterable[Task] = TASKS, **options: Any) -> Generator[tuple[Task, Any]]:
    return run(work, tasks, backend="dask", **options)


def running(client: Any) -> int:
    """Tasks that the cluster still has to do."""
    states = client.run_on_scheduler(lambda dask_scheduler: [t.state for t in dask_scheduler.tasks.values()])
    return sum(state in ("processing", "queued", "no-worker", "waiting") for state in states)


def settles(client: Any) -> bool:
    end = time.monotonic() + 1
    while running(client) and time.monotonic() < end:
        time.sleep(0.05)
    return not running(client)


def test_dask_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "atc_plugin\[dask\]"'):
        resolve("dask")


def test_dask_needs_a_client() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(ValueError, match=r"needs a client first.*Client"):
        resolve("dask")


def test_dask_computes_elsewhere_and_leaves_nothing(client: Any, tmp_path: Path) -> None:
    assert resolve("dask", 7) == ("dask", 2)
    with joblib.parallel_config(backend="dask"):
        assert resolve() == ("dask", 2)
        check_complete(on_dask(answer))
    pids = {result for _, result in on_dask(pid)}
    assert pids == set(client.run(os.getpid).values())
    tasks = [Task(0, first, first + 1) for first in range(2000)]
    check_complete(on_dask(answer, tasks), tasks)

    with pytest.raises(ZeroDivisionError, match="no") as caught:
        list(on_dask(functools.partial(fails, ZeroDivisionError, ("no",))))
    assert caught.value.__notes__ == ["while computing combinations 320 to 383 of column 3"]
    assert settles(client)

    log = tmp_path / "log"
    answers = on_dask(functools.partial(writes, log))
    next(answers)
    answers.close()
    assert settles(client)
    before = lines(log)
    assert before < 10
    time.sleep(0.4)
    assert lines(log) == before

    with pytest.raises(TimeoutError, match=r"no task was done in 0\.5 s"):
        list(on_dask(functools.partial(sleeps, 3), timeout=0.5))
    assert settles(client)

    answers = on_dask(functools.partial(writes, log))
    next(answers)
    client.restart()
    with pytest.raises(RuntimeError, match="the Dask cluster gave a task up"):
        list(answers)


def test_a_cluster_of_one_thread_computes_elsewhere() -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.LocalCluster(silence_logs=logging.CRITICAL, **dask_options() | {"n_workers": 1}) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert resolve("dask") == ("dask", 1)
        pids = {result for _, result in on_dask(pid)}
        assert pids == set(client.run(os.getpid).values())


def test_dask_workers_that_die_cost_nothing(client: Any, tmp_path: Path) -> None:
    check_complete(on_dask(functools.partial(dies_once, tmp_path / "marker")))
    assert (tmp_path / "marker").exists()
    for victims in (1, 2):
        pids = list(client.run(os.getpid).values())[:victims]
        done = []
        for task, worker in on_dask(functools.partial(writes, tmp_path / "log")):
            if len(done) == 3:
                for victim in pids:
                    os.kill(victim, signal.SIGKILL)
            done.append(task)
            assert worker != os.getpid()
        assert sorted(done) == TASKS


def test_the_combination_that_kills_dask_workers_is_named(client: Any) -> None:
    got: list[Any] = []
    started = time.monotonic()
    with pytest.raises(WorkerDied, match=f"^combinations {CULPRIT} to {CULPRIT} of column 3 killed.* 4 times"):
        got.extend(on_dask(dies_always, timeout=40))
    assert time.monotonic() - started < 40
    assert got
    assert settles(client)


def test_a_cluster_that_is_gone_is_no_hang(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.LocalCluster(silence_logs=logging.CRITICAL, **dask_options()) as cluster,
        distributed.Client(cluster),
    ):
        answers = on_dask(functools.partial(writes, tmp_path / "log"), timeout=2)
        next(answers)
        cluster.scale(0)
        with pytest.raises(TimeoutError, match=r"no task was done in 2 s"):
            list(answers)
