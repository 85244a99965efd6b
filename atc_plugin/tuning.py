"""`tune`: measure from where on threads, worker processes, the GPU and the disk pay on this machine."""

from __future__ import annotations

import math
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor

from .accel.devices import is_device_fault, why_not
from .cache.settings import default_store
from .cache.worth import Speed, speed_of
from .crossovers import Crossovers, Line, keep, processors, tuning_folder
from .params import LENGTH_NAMES
from .precompiling import precompile
from .sweeps.estimates import NANOSECONDS_A_COMBINATION_BAR
from .sweeps.grid import ParamGrid
from .sweeps.run import sweep
from .words import bytes_in_words, latency_in_words, time_in_words

_BARS = 1500
_WORK_EACH, _MOST_WORK = 0.75, 30.0  # seconds of work on one core: a job's in the larger sweep, and of it in all
_SMALLER = 0.2  # of the larger sweep
_ROUNDS = 3
_ENOUGH = 1.03  # more threads have to be faster than so
_SIZES = (10**4, 10**6, 10**8)  # bytes for which the disk's break-even is told


class Trial(NamedTuple):
    """A sweep to be timed."""

    backend: str
    jobs: int
    work: float  # seconds that it is estimated to take on one core
    cold: bool = False  # with workers that are started for it


Timer = Callable[[Trial], float]


class Tuning(NamedTuple):
    """What `tune` measured."""

    crossovers: Crossovers
    disk: Speed | None  # in the folder of the cache, noted in its speed.json
    missing: dict[str, str]  # what was not measured, and why
    processors: int
    seconds: float
    file: Path | None  # where it is kept; None where it is not

    def to_dict(self) -> dict[str, Any]:
        """Everything in JSON's types; a crossover that is never reached is null."""
        return {
            **self.crossovers.to_dict(),
            "processors": self.processors,
            "disk_break_even": None if self.disk is None else {str(n): self.disk.break_even(n) for n in _SIZES},
            "missing": self.missing,
            "seconds": self.seconds,
            "file": None if self.file is None else str(self.file),
        }

    def __str__(self) -> str:
        rows = []
        if self.disk is not None:
            even = (f"{bytes_in_words(n)} from {latency_in_words(self.disk.break_even(n))} on" for n in _SIZES)
            rows.append(("disk", f"computing is worth a file: {', '.join(even)}"))
        rows += [(name, f"not measured: {why}") for name, why in self.missing.items()]
        rows.append(("kept", "no" if self.file is None else str(self.file)))
        return "\n".join([str(self.crossovers), *(f"{name:<8} {text}" for name, text in rows)])


def tune(seconds: float = 45.0, *, save: bool = True, progress: Callable[[str], object] | None = None) -> Tuning:
    """Measure this machine, and let "auto" and the number of jobs follow what was found.

    Best run while the machine has nothing else to do. Kernels that were never compiled are compiled first, which is not
    part of the time. Worker processes of joblib's that wait for work in this process are ended.

    Args:
        seconds: how long it may take, about; the least it needs is some seconds.
        save: keep it, for all processes of this user from now on.
        progress: called with a line at each step.

    Returns:
        What was measured; docs/tuning.md says what each figure means.

    Raises:
        ValueError: for a time that is none.
        OSError: where the file cannot be written.
    """
    if not (isinstance(seconds, (int, float)) and 0 < seconds < math.inf):
        raise ValueError(f"seconds must be a number above 0; got {seconds!r}")
    tell = progress or (lambda _: None)
    if save:  # better now than when all is measured
        Path(tuning_folder()).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=tuning_folder()).close()
    tell("loading the kernels")
    precompile()
    began = time.perf_counter()
    tell("the disk")
    disk, missing = _disk()
    crossovers, others = measured(timed_sweeps(), job_candidates(), why_not(), seconds, tell)
    took = time.perf_counter() - began
    path = keep(crossovers, tuning_folder()) if save else None
    return Tuning(crossovers, disk, missing | others, processors(), took, path)


def measured(
    timer: Timer,
    candidates: Sequence[int],
    without_gpu: str,
    seconds: float,
    tell: Callable[[str], object],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Crossovers, dict[str, str]]:
    """The crossovers that timed sweeps show, and what was not measured and why.

    Args:
        timer: seconds that a trial takes.
        candidates: numbers of jobs to choose from.
        without_gpu: why there is none; empty where there is one.
        seconds: what may be spent by `clock`; the threads are measured in any case.
        tell: takes a line at each step.
        clock: seconds since whenever.
    """
    until = clock() + seconds
    large = min(_WORK_EACH * max(candidates), _MOST_WORK)
    small = _SMALLER * large

    def rounds_of(trials: Sequence[Trial]) -> list[list[float]]:
        """The times of each trial, all of them in turns, as many rounds as there is time for."""
        rounds: list[list[float]] = []
        while len(rounds) < _ROUNDS:
            since = clock()
            rounds.append([timer(trial) for trial in trials])
            if 2 * clock() - since > until:  # another would take as long
                break
        return [list(times) for times in zip(*rounds, strict=True)]

    tell(f"threads: {', '.join(map(str, candidates))}")
    times = list(map(min, rounds_of([Trial("cpu", jobs, large) for jobs in candidates])))
    jobs = next(n for n, took in zip(candidates, times, strict=True) if took <= _ENOUGH * min(times))
    missing = {"gpu": without_gpu} if without_gpu else {}
    if jobs == 1:
        missing["loky"] = "one thread is as fast as more"
    starts: dict[str, float] = {}
    for backend, what in (("loky", "worker processes"), ("gpu", "the GPU")):
        if backend in missing:
            continue
        if clock() >= until:
            missing[backend] = f"{time_in_words(seconds)} were over: give it more"
            continue
        tell(f"starting {what}")
        try:
            starts[backend] = timer(Trial(backend, jobs, small, cold=True))
        except Exception as error:  # no semaphores, no memory on the device, ...
            if not (isinstance(error, (ImportError, OSError, RuntimeError)) or is_device_fault(error)):
                raise
            missing[backend] = f"{type(error).__name__}: {error}"
    pairs: list[tuple[str, Trial, Trial]] = []
    rounds: list[list[float]] = []
    while not rounds:
        tell(f"beside each other: {', '.join(['threads', *starts])}")
        pairs = [(name, Trial(name, jobs, small), Trial(name, jobs, large)) for name in ("cpu", *starts)]
        try:
            rounds = rounds_of([trial for _, *both in pairs for trial in both])
        except Exception as error:  # the larger sweep was too much for the device
            if "gpu" not in starts or not is_device_fault(error):
                raise
            del starts["gpu"]
            missing["gpu"] = f"{type(error).__name__}: {error}"
    taken = iter(rounds)
    lines = {}
    for name, *_ in pairs:
        # Of threads the best round counts, of what is to beat them the worst: others may be using the machine. The
        # usual short one: with the best or worst the slope would be that of chance.
        short, long = median(next(taken)), (min if name == "cpu" else max)(next(taken))
        each = (long - short) / (large - small) if long > short else long / large
        lines[name] = Line(max(short - each * small, 0.0), each)
    if "loky" in lines:
        start = starts["loky"] - lines["loky"].each * small
        lines["loky"] = lines["loky"]._replace(start=max(start, lines["loky"].start))
    return Crossovers(jobs, lines["cpu"], lines.get("loky"), lines.get("gpu")), missing


def job_candidates() -> list[int]:
    """Numbers of threads that may be best: a core each, what a container may use, and every processor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # where cores cannot be told from processors
        numbers = {joblib.cpu_count(only_physical_cores=True), joblib.cpu_count(), processors()}
    return sorted({min(number, processors()) for number in numbers})


def timed_sweeps() -> Timer:
    """Times sweeps over a random walk."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, _BARS)))
    lengths: dict[str, Any] = {name: range(10, 50) for name in LENGTH_NAMES.values()}
    grid = ParamGrid(**lengths)

    def timer(trial: Trial) -> float:
        """Cold GPUs load their kernels, which is not part of their line: later processes find them compiled."""
        some = grid[: max(1, int(trial.work / (_BARS * NANOSECONDS_A_COMBINATION_BAR * 1e-9)))]
        if trial.cold and trial.backend == "loky":
            get_reusable_executor().shutdown(wait=True)
        started = time.perf_counter()
        asked: dict[str, Any] = {"backend": trial.backend, "n_jobs": trial.jobs, "cache": False, "progress": False}
        sweep(close, some, metrics="total_return", top=100, **asked)
        return time.perf_counter() - started

    return timer


def _disk() -> tuple[Speed | None, dict[str, str]]:
    """How fast the cache's folder is, measured anew; or why it cannot be told."""
    store = default_store()
    if store is None:
        return None, {"disk": "the cache is switched off"}
    try:
        return speed_of(store.disk, anew=True), {}
    except OSError as error:
        return None, {"disk": f"{store.directory}: {error}"}
