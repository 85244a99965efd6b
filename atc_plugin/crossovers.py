"""What `tune` has measured of this machine, and what "auto" and the number of jobs make of it.

A file a machine, in the folder of the cache. It counts as long as processor and versions are those it was measured
with; without one, "auto" is threads, as many as there are processors.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
import sys
import threading
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from .words import latency_in_words, time_in_words

_MARGIN = 0.9
"""A backend is taken where it needs so much of the threads' time: less would be noise."""

_LIBRARIES = ("numpy", "numba", "joblib")
_FORMAT = 1


class Line(NamedTuple):
    """How long sweeps take on a backend, by the seconds that they are estimated to take on one core."""

    start: float  # seconds before any work
    each: float  # seconds for a second of work

    def seconds(self, work: float) -> float:
        """For so much work."""
        return self.start + self.each * work


class Crossovers(NamedTuple):
    """From where on which backend pays; None where nothing was measured."""

    jobs: int | None = None  # the fewest threads that are as fast as any
    threads: Line | None = None  # with so many jobs
    loky: Line | None = None  # likewise, workers started for it
    gpu: Line | None = None

    def pays_from(self, backend: str) -> float:
        """Seconds of estimated work on one core from which "loky" or "gpu" beats threads clearly; infinity for never.

        >>> Crossovers(2, Line(0.0, 0.5), loky=Line(1.0, 0.4)).pays_from("loky")
        20.0
        """
        line: Line | None = getattr(self, backend)
        if self.threads is None or line is None:
            return math.inf
        start, each = line.start - _MARGIN * self.threads.start, _MARGIN * self.threads.each - line.each
        if start <= 0:
            return 0.0 if each >= 0 else math.inf  # one that falls behind later is not worth a second bound
        return round(start / each, 9) if each > 0 else math.inf

    def backends_for(self, work: float, jobs: int) -> list[str]:
        """Those that pay for so much work, the fastest first; worker processes only with as many as were measured."""
        names = ["gpu", *(["loky"] if jobs == self.jobs else [])]
        return sorted((n for n in names if work >= self.pays_from(n)), key=lambda n: getattr(self, n).seconds(work))

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types; a crossover that is never reached is null."""
        lines = {name: line for name, line in self._lines() if line is not None}
        reached = {name: self.pays_from(name) for name in lines if name != "threads"}
        return {
            "jobs": self.jobs,
            "lines": {name: line._asdict() for name, line in lines.items()},
            "pays_from": {name: work if math.isfinite(work) else None for name, work in reached.items()},
        }

    def __str__(self) -> str:
        rows = [("jobs", "-" if self.jobs is None else str(self.jobs))]
        for name, line in self._lines():
            if line is not None:
                took = f"{latency_in_words(line.start)} and {line.each:.3g} s for each second of work on one core"
                rows.append((name, took + ("" if name == "threads" else f"; {_in_words(self.pays_from(name))}")))
        return "\n".join(f"{name:<8} {text}" for name, text in rows)

    def _lines(self) -> list[tuple[str, Line | None]]:
        return [("threads", self.threads), ("loky", self.loky), ("gpu", self.gpu)]


def _in_words(pays_from: float) -> str:
    if pays_from == math.inf:
        return "never clearly faster than threads"
    return f"faster than threads from {time_in_words(pays_from)} of work on"


class Found(NamedTuple):
    """What was read, and why that is nothing."""

    crossovers: Crossovers
    why_not: str


def tuned() -> Crossovers:
    """What holds for this machine; nothing of it where nothing was measured, or something else."""
    return found_in(tuning_folder()).crossovers


def tuning_folder() -> str:
    """Where the file lies: in the folder of the cache that the environment names, or the platform has."""
    return os.environ.get("ATC_CACHE_DIR") or _platform_folder()


@functools.cache
def _platform_folder() -> str:
    from platformdirs import user_cache_dir

    return user_cache_dir("atc_plugin", appauthor=False)


@functools.lru_cache(maxsize=8)
def found_in(folder: str) -> Found:
    """What the file of this machine in a folder says, read once a process."""
    try:
        told = json.loads(tuning_file(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Found(Crossovers(), "nothing was measured: atc tune")
    except (OSError, ValueError, RecursionError) as error:
        return Found(Crossovers(), f"{tuning_file(folder)} cannot be read ({type(error).__name__}): atc tune")
    try:
        versions, now = told["versions"], versions_here()
        if other := [name for name in {**versions, **now} if versions.get(name) != now.get(name)]:
            return Found(Crossovers(), f"it was measured with another {', '.join(other)}: atc tune")
        return Found(_checked(told["crossovers"]), "")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return Found(Crossovers(), f"{tuning_file(folder)} is none of ours: atc tune")


def keep(crossovers: Crossovers, folder: str) -> Path:
    """Write what holds for this machine from now on; returns the file. Raises OSError."""
    path = tuning_file(folder)
    lines = {name: None if line is None else line._asdict() for name, line in crossovers._lines()}
    told = {"machine": hardware(), "versions": versions_here(), "crossovers": {"jobs": crossovers.jobs, **lines}}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        beside.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
        found_in.cache_clear()
    return path


def forget_tuning(folder: str) -> bool:
    """Remove what holds for this machine; whether there was anything."""
    there = tuning_file(folder).exists()
    tuning_file(folder).unlink(missing_ok=True)
    found_in.cache_clear()
    return there


def tuning_file(folder: str) -> Path:
    """The file of this machine: machines alike share it."""
    words = json.dumps(hardware(), sort_keys=True)
    return Path(folder, f"tuned-{hashlib.sha256(words.encode()).hexdigest()[:12]}.json")


@functools.cache
def _cpu_name() -> str:
    """What the processor calls itself."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processors() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware() -> dict[str, Any]:
    """What tells one machine from another: processor, and how many of them there are for us."""
    import joblib

    return {
        "cpu": _cpu_name(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "processors": processors(),
        "share": joblib.cpu_count(),  # what a container may use of them
    }


@functools.cache
def versions_here() -> dict[str, str]:
    """What makes older measurements stale."""
    from . import __version__
    from .law import VERSION

    known = {name: metadata.version(name) for name in _LIBRARIES}
    python = ".".join(map(str, sys.version_info[:2]))
    return {"format": str(_FORMAT), "python": python, "atc_plugin": __version__, "law": VERSION, **known}


def _checked(told: dict[str, Any]) -> Crossovers:
    """The crossovers that a file tells; an error where they cannot be."""
    jobs = told["jobs"]
    if type(jobs) is not int or not 1 <= jobs <= processors():
        raise ValueError("jobs")
    lines = {}
    for name in ("threads", "loky", "gpu"):
        if (line := told[name]) is not None:
            lines[name] = Line(float(line["start"]), float(line["each"]))
            if not (0 <= lines[name].start < math.inf and 0 < lines[name].each < math.inf):
                raise ValueError(name)
    return Crossovers(jobs, **lines)
