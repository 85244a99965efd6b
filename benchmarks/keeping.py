"""What benchmarks of the cache share: caches of their own, new processes, a Redis server, and work before each turn."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from atc_plugin import ParamGrid, cache
from atc_plugin.cache.settings import default_store
from atc_plugin.cache.store import Store

TYPES = ("ema_len", "hma_len", "wma_len", "dema_len", "lsma_len", "kama_len")
LENGTHS = range(10, 60, 5)

REDIS = shutil.which("redis-server")


def without_settings_of_the_user() -> None:
    """Let no variable of the environment reach the cache; before it is first used."""
    for name in [name for name in os.environ if name.startswith("ATC_CACHE")]:
        del os.environ[name]


def use(directory: str | Path) -> Store:
    """Have calls from now on keep their results there."""
    cache.configure(directory=directory)
    store = default_store()
    assert store is not None
    return store


def grid_of(combinations: int) -> ParamGrid:
    """Ten lengths of each of k types, for 10^k combinations."""
    types = next(k for k in range(1 + len(TYPES)) if len(LENGTHS) ** k >= combinations)
    whole = ParamGrid(**dict.fromkeys(TYPES[:types], LENGTHS)) if types else ParamGrid(ema_len=LENGTHS[:1])
    return whole if len(whole) == combinations else whole[:combinations]


class Task(NamedTuple):
    """A call that is timed, and what has to be done before it, which is not."""

    before: Callable[[], Any]
    call: Callable[[Any], object]  # is given what `before` gave


def in_turns_after(rounds: int, tasks: dict[str, Task]) -> dict[str, list[float]]:
    """Seconds of each task, one of every round, after a first call of each that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for done in range(-1, rounds):
        for name, (before, call) in tasks.items():
            given = before()
            start = time.perf_counter()
            call(given)
            if done >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


# ---------------------------------------------------------------- processes
def in_new_process(code: str, directory: str | Path, *asked: Any) -> dict[str, Any]:
    """What a process of its own prints as JSON, with its cache in `directory`; `asked` is in sys.argv[1] as JSON."""
    environment = os.environ | {"ATC_CACHE_DIR": str(directory)}
    command = [sys.executable, "-P", "-c", code, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"a process of this benchmark failed:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


# ---------------------------------------------------------------- Redis
@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a server on loopback that keeps nothing on disk, and ends with the context."""
    assert REDIS is not None
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [REDIS, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", "", "--appendonly"]
        server = subprocess.Popen([*command, "no"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            if not any("eady to accept connections" in line for line in server.stdout):
                raise RuntimeError("redis-server did not start")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
