"""`atc doctor`: what is installed, what works, and what is wrong."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..words import bytes_in_words
from .answers import Answer, Answering, say

OK, OFF, WRONG = "ok", "off", "wrong"
"""States of a check: it works; it is not there and need not be; it should work and does not."""

_REQUIRED = ("numpy", "pandas", "numba", "llvmlite", "joblib", "cachetools", "click", "platformdirs", "tqdm", "xxhash")
_OPTIONAL = {
    "vectorbt": "vectorbt",
    "backtrader": "backtrader",
    "plotly": "plot",
    "kaleido": "png",
    "polars": "polars",
    "distributed": "dask",
    "redis": "redis",
    "zstandard": "zstd",
}
"""Distributions and the extras that install them."""
_OTHERS = ("pyarrow", "yfinance")


class Check(NamedTuple):
    """Something that was looked at."""

    section: str
    name: str
    state: str
    text: str


@click.command("doctor", cls=Answering)
def command() -> Answer:
    """Say what is installed, what works and why the rest does not.

    Versions, processors and settings, kernels, the cache, engines. Status 1 if something is wrong; what is not
    installed and need not be is not.
    """
    checks: list[Check] = []
    for section, look in _SECTIONS.items():
        say(f"looking at {section}")
        try:
            checks += (Check(section, *found) for found in look())
        except Exception as error:  # what is broken must not keep the doctor from the rest
            checks.append(Check(section, "-", WRONG, f"{type(error).__name__}: {error}"))
    wrong = [check for check in checks if check.state == WRONG]
    width = max(len(check.name) for check in checks)
    lines = []
    for section in _SECTIONS:
        rows = [check for check in checks if check.section == section]
        lines += [section, *(f"  {check.state:<5}  {check.name:<{width}}  {check.text}" for check in rows), ""]
    lines.append("all is well" if not wrong else f"{len(wrong)} of {len(checks)} are wrong")
    document = {"healthy": not wrong, "checks": [check._asdict() for check in checks]}
    return Answer(document, "\n".join(lines), 1 if wrong else 0)


_Found = tuple[str, str, str]


def _versions() -> Iterator[_Found]:
    from .. import __version__

    yield "atc_plugin", OK, __version__
    yield "python", OK, f"{platform.python_version()} ({platform.python_implementation()})"
    least = _least_versions()
    for name in _REQUIRED:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, WRONG, f"not installed: pip install {name}"
            continue
        old = name in least and _numbers(version) < _numbers(least[name])
        yield name, WRONG if old else OK, f"{version}, {least[name]} or later is needed" if old else version
    for name in (*_OPTIONAL, *_OTHERS):
        how = f'"atc_plugin[{_OPTIONAL[name]}]"' if name in _OPTIONAL else name
        try:
            yield name, OK, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, OFF, f"not installed: pip install {how}"


def _least_versions() -> dict[str, str]:
    """What the installed package asks for; nothing where it runs from a folder."""
    try:
        asked = metadata.requires("atc_plugin") or []
    except metadata.PackageNotFoundError:
        return {}
    found = (re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement) for requirement in asked)
    return {match[1]: match[2] for match in found if match}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _machine() -> Iterator[_Found]:
    from ..crossovers import found_in, hardware, tuning_folder
    from ..engine import job_count
    from ..profiles import preferred_backend

    here = hardware()
    yield "processor", OK, f"{here['cpu']}, {here['architecture']}, {here['system']}"
    yield "processors", OK, f"{here['processors']} for this process, {here['share']} by its share"
    yield "jobs", OK, f"{job_count()}"
    yield "backend", OK, preferred_backend()
    why_not = found_in(tuning_folder()).why_not
    yield "tuned", OFF if why_not else OK, why_not or "yes"
    for name, value in sorted(os.environ.items()):
        if name.startswith("ATC_") or name in ("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT"):
            yield name, OK, _without_password(value)


def _without_password(text: str) -> str:
    return re.sub(r"(://[^/@]*:)[^/@]*@", r"\1***@", text)


def _kernels() -> Iterator[_Found]:
    import numpy as np
    from numba.core import config

    from ..indicator import atc
    from ..stream import AtcStream

    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        yield "compiled", WRONG, "NUMBA_DISABLE_JIT is set: kernels run as Python, thousands of times slower"
        return
    close = 100 + 10 * np.sin(np.arange(300) / 20)
    result, stream = atc(close, cache=False), AtcStream(history=close)
    bar = stream.last
    same = bar is not None and result.average[-1] == bar.average and result.direction[-1] == bar.direction
    yield "compiled", OK, "they load and run"
    yield "parity", OK if same else WRONG, f"column and stream give {'the same bits' if same else 'other bits'}"
    yield "threading", OK, "threads of Python's, for kernels release the GIL; numba's own threading layer is not used"


def _cache() -> Iterator[_Found]:
    from ..cache import face
    from ..cache.settings import default_store
    from ..cache.worth import speed_of

    store = default_store()
    if store is None:
        yield "cache", OFF, "switched off: ATC_CACHE=on switches it on"
        return
    stats = face.stats()
    try:
        Path(store.directory).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=store.directory).close()
        speed = speed_of(store.disk)
    except OSError as error:
        yield "directory", WRONG, f"{store.directory} cannot be written: {error}"
    else:
        rate = "" if not speed.a_byte else f", {bytes_in_words(1 / speed.a_byte)} a second written and read"
        yield "directory", OK, f"{store.directory} can be written{rate}"
    yield "kept", OK, str(stats)
    for finding in face.watch():
        yield finding.name, WRONG, finding.advice
    if (url := face.configure().shared) is not None:
        yield _of_shared(url)


def _of_shared(url: str) -> _Found:
    from ..cache.shared import Shared

    server = Shared(url)
    try:
        server.contains_many(["doctor"])
    except OSError as error:
        return "shared", WRONG, str(error)
    finally:
        server.close()
    return "shared", OK, f"{server} answers"  # its text hides the password


def _engines() -> Iterator[_Found]:
    from ..accel import why_not
    from ..profiles import preferred_backend
    from ..sweeps.resolving import resolve

    yield "cpu", OK, "threads of this process"
    fault = _why_no_workers()
    yield "loky", WRONG if fault else OK, fault or "worker processes start and answer"
    yield _of_dask()
    reason = why_not()
    yield "gpu", OFF if reason else OK, reason or "can be used"
    if preferred_backend() != "dask":  # the client is of the program that will sweep
        resolve()  # raises for an ATC_BACKEND that cannot be


def _why_no_workers() -> str:
    """What keeps worker processes from starting, or from answering within a minute; an empty text where they do."""
    from ..sweeps.executors import run_tasks

    try:
        asked: dict[str, Any] = {"backend": "loky", "jobs": 2, "timeout": 60.0}
        answers = dict(run_tasks(abs, [-1], split=lambda task: (), describe=str, **asked))
    except Exception as error:  # no semaphores, no memory, no temporary folder...
        return f"{type(error).__name__}: {error}"
    return "" if answers == {-1: 1} else f"a worker process answered {answers}"


def _of_dask() -> _Found:
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        return "dask", OFF, 'not installed: pip install "atc_plugin[dask]"'
    return "dask", OK, "installed; it needs a client, on this machine or of a cluster"


_SECTIONS: dict[str, Callable[[], Iterator[_Found]]] = {
    "versions": _versions,
    "machine": _machine,
    "kernels": _kernels,
    "cache": _cache,
    "engines": _engines,
}
