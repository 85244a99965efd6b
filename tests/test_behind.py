"""Work behind the caller: in order, bounded, and done before the process ends, however it does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from atc_plugin.cache import behind as module
from atc_plugin.cache.behind import Behind
from atc_plugin.cache.waiting import Waiting

PATIENCE = 30.0


@pytest.fixture
def behind() -> Iterator[Behind]:
    behind = Behind()
    yield behind
    behind.flush()


class Gate:
    """Work that says when it has begun, and ends when it is let."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(PATIENCE)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_work_is_done_in_order_and_no_thread_is_left(behind: Behind) -> None:
    done: list[int] = []
    for i in range(50):
        assert behind.add(lambda i=i: done.append(i), 1, leisurely=i % 2 == 0)  # type: ignore[misc]
    behind.flush()
    assert done == list(range(50))
    until(lambda: behind._thread is None)
    assert not [thread for thread in threading.enumerate() if thread.name == "atc_plugin cache"]
    assert behind._nbytes == 0
    behind.flush()


def test_work_is_done_without_a_flush(behind: Behind) -> None:
    done = threading.Event()
    behind.add(done.set, 1, leisurely=True)
    assert done.wait(PATIENCE)
    until(lambda: behind._thread is None)
    done.clear()
    behind.add(done.set, 1, leisurely=False)
    assert done.wait(PATIENCE)


def test_work_that_fails_stops_no_other(behind: Behind) -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("broken")

    for i in range(3):
        behind.add(fail, 1, leisurely=False)
        behind.add(lambda i=i: done.append(i), 1, leisurely=False)  # type: ignore[misc]
    behind.flush()
    assert done == [0, 1, 2]
    behind.add(fail, 1, leisurely=False)
    until(lambda: behind._thread is None)
    behind.add(lambda: done.append(3), 1, leisurely=False)
    until(lambda: done[-1] == 3)


def test_leisurely_work_is_dropped_where_too_much_waits(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 100)
    gate, done = Gate(), list[str]()
    behind.add(gate, 60, leisurely=False)
    assert gate.begun.wait(PATIENCE)
    assert behind.add(lambda: done.append("first"), 500, leisurely=True)  # one may always wait
    assert not behind.add(lambda: done.append("dropped"), 1, leisurely=True)
    waiter = in_thread(lambda: behind.add(lambda: done.append("patient"), 1, leisurely=False))
    waiter.join(0.3)
    assert waiter.is_alive()
    gate.open.set()
    waiter.join(PATIENCE)
    behind.flush()
    assert done == ["first", "patient"]


def test_much_waits_for_no_better_moment(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 1e6)
    monkeypatch.setattr(module, "_PRESSING", 100)
    done: list[int] = []
    behind.add(lambda: done.append(1), 60, leisurely=True)
    time.sleep(0.05)
    assert done == []
    behind.add(lambda: done.append(2), 60, leisurely=True)
    until(lambda: done == [1])  # what is left presses no more
    behind.flush()
    assert done == [1, 2]


def test_work_may_add_work_and_flush(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    done: list[int] = []

    def more() -> None:
        for i in range(3):
            behind.add(lambda i=i: done.append(i), 8, leisurely=False)  # type: ignore[misc]
        behind.flush()
        done.append(-1)

    behind.add(more, 8, leisurely=False)
    behind.flush()
    behind.flush()
    assert done == [-1, 0, 1, 2]


def test_a_flush_ends_though_others_go_on(behind: Behind) -> None:
    stop = threading.Event()

    def again() -> None:
        if not stop.is_set():
            behind.add(again, 1, leisurely=False)

    behind.add(again, 1, leisurely=False)
    behind.flush()
    stop.set()


def test_threads_may_flush_at_once(behind: Behind) -> None:
    done: list[int] = []
    together: list[int] = []
    lock = threading.Lock()

    def work(i: int) -> None:
        assert lock.acquire(blocking=False)  # one at a time
        done.append(i)
        lock.release()

    def adding(first: int) -> None:
        for i in range(first, first + 100):
            behind.add(lambda i=i: work(i), 1, leisurely=i % 3 == 0)  # type: ignore[misc]
            if i % 10 == 0:
                behind.flush()
                together.append(i)
                assert i in done

    threads = [in_thread(lambda first=first: adding(first)) for first in (0, 100, 200, 300)]  # type: ignore[misc]
    for thread in threads:
        thread.join(PATIENCE)
    behind.flush()
    assert sorted(done) == list(range(400))
    assert len(together) == 40


def test_without_a_thread_the_callers_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(module, "_MOST", 10)
    behind, done = Behind(), list[int]()
    for i in range(5):
        assert behind.add(lambda i=i: done.append(i), 8, leisurely=False)  # type: ignore[misc]
    assert done == [0, 1, 2, 3]
    assert not behind.add(lambda: done.append(-1), 8, leisurely=True)
    behind.flush()
    assert done == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------- what waits
def test_what_waits_is_found_and_made_once() -> None:
    waiting = Waiting(lambda fault: pytest.fail(str(fault)))
    gate, made, written = Gate(), list[int](), list[np.ndarray]()
    source = np.arange(3.0)

    def make() -> np.ndarray:
        made.append(1)
        return source

    assert waiting.get("a") is None
    waiting.add("gate", make, 1, lambda array: gate(), leisurely=False)
    assert gate.begun.wait(PATIENCE)
    waiting.add("a", make, 1, lambda array: written.append(array()), leisurely=False)
    assert "a" in waiting
    assert len(waiting) == 2
    got = waiting.get("a")
    assert got is not None
    assert not got.flags.writeable  # or what is written could still be changed
    gate.open.set()
    waiting.flush()
    assert made == [1]
    assert np.array_equal(written[0], np.arange(3.0))
    assert len(waiting) == 0


def test_the_last_array_of_a_key_is_written() -> None:
    waiting = Waiting(lambda fault: pytest.fail(str(fault)))
    gate, written = Gate(), list[float]()
    waiting.add("gate", lambda: np.ones(1), 1, lambda array: gate(), leisurely=False)
    assert gate.begun.wait(PATIENCE)
    for value in (1.0, 2.0):
        waiting.add("a", lambda v=value: np.array(v), 1, lambda array: written.append(float(array())), leisurely=False)  # type: ignore[misc]
        waiting.add("b", lambda v=value: np.array(v), 1, lambda array: written.append(float(array())), leisurely=False)  # type: ignore[misc]
    waiting.drop("b")
    waiting.drop("c")
    assert float(waiting.get("a")) == 2.0  # type: ignore[arg-type]
    gate.open.set()
    waiting.flush()
    assert written == [2.0]
    assert len(waiting) == 0


def test_what_cannot_be_made_or_written_is_told_and_gone() -> None:
    told: list[Exception] = []
    waiting = Waiting(told.append)

    def broken(*_: object) -> np.ndarray:
        raise MemoryError("too large")

    waiting.add("a", broken, 1, lambda array: array(), leisurely=False)
    waiting.add("b", lambda: np.ones(1), 1, broken, leisurely=False)
    waiting.flush()
    assert [str(fault) for fault in told] == ["too large", "too large"]
    assert len(waiting) == 0


def test_what_is_dropped_for_lack_of_room_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 1)
    waiting, gate = Waiting(lambda fault: None), Gate()
    waiting.add("gate", lambda: np.ones(1), 1, lambda array: gate(), leisurely=False)
    assert gate.begun.wait(PATIENCE)
    assert waiting.add("a", lambda: np.ones(1), 1, lambda array: None, leisurely=True)
    assert not waiting.add("b", lambda: np.ones(1), 1, lambda array: None, leisurely=True)
    assert "a" in waiting
    assert "b" not in waiting
    gate.open.set()
    waiting.flush()


# ---------------------------------------------------------------- how processes end
def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


STORE = "import sys, os, numpy as np; from atc_plugin.cache.store import Store; store = Store(sys.argv[1])\n"
LATER = "store.put_later({!r}, lambda: np.arange(5.0), 40)\n"


def kept(directory: Path) -> set[str]:
    from atc_plugin.cache.store import Store

    store = Store(directory, recent=0)
    return {key for key in ("a", "b", "c") if np.array_equal(store.get(key), np.arange(5.0))}


@pytest.mark.parametrize(
    "end",
    ["", "sys.exit(0)", "raise SystemExit", "import threading; threading.Thread(target=lambda: None).start()"],
)
def test_a_process_that_ends_finishes_its_work(tmp_path: Path, end: str) -> None:
    run(STORE + "import atc_plugin.cache.behind as b; b._PAUSE = 1e6\n" + LATER.format("a") + end, str(tmp_path))
    assert kept(tmp_path) == {"a"}


def test_handlers_at_exit_may_still_put(tmp_path: Path) -> None:
    before = "import atexit, sys, numpy as np\n"
    early = "@atexit.register\ndef runs_last():\n    " + LATER.format("a") + "    assert store.get('a') is not None\n"
    late = "@atexit.register\ndef runs_first():\n    " + LATER.format("b") + LATER.format("c")
    run(before + early + STORE + late, str(tmp_path))
    assert kept(tmp_path) == {"a", "b", "c"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_finish_their_work(tmp_path: Path, method: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys, time, numpy as np\n"
        "from atc_plugin.cache.store import Store\n"
        "def work(directory, key):\n"
        "    Store(directory).put_later(key, lambda: (time.sleep(0.5), np.arange(5.0))[1], 40)\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    for key in 'ab':\n"
        "        process = context.Process(target=work, args=(sys.argv[1], key))\n"
        "        process.start()\n"
        "        process.join()\n"
        "        assert process.exitcode == 0\n"
    )
    subprocess.run([sys.executable, program, str(tmp_path / "cache")], check=True, timeout=PATIENCE)
    assert kept(tmp_path / "cache") == {"a", "b"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_takes_no_work_along(tmp_path: Path) -> None:
    code = (
        STORE
        + "import threading, time\n"
        + "made = []\n"
        + "begun, going = threading.Event(), threading.Event()\n"
        + "def make():\n    begun.set(); going.wait(20); made.append(os.getpid()); return np.arange(5.0)\n"
        + "store.put_later('a', make, 40)\n"
        + "store.put_later('b', make, 40)\n"
        + "begun.wait(20)\n"
        + "child = os.fork()\n"
        + "if child == 0:\n"
        + "    assert not store.get('a', deep=False) and not store._waiting\n"
        + "    store.put('c', np.arange(5.0))\n"
        + "    "
        + LATER.format("c")
        + "    store.flush()\n"
        + "    os._exit(0 if made == [] else 1)\n"
        + "assert os.waitpid(child, 0)[1] == 0\n"
        + "going.set()\n"
        + "store.flush()\n"
        + "assert made == [os.getpid()] * 2\n"
    )
    run(code, str(tmp_path))
    assert kept(tmp_path) == {"a", "b", "c"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forks_amid_busy_threads_work(tmp_path: Path) -> None:
    code = (
        STORE
        + "import threading, warnings; from atc_plugin.cache.settings import configure, current\n"
        + "warnings.simplefilter('ignore', DeprecationWarning)\n"  # of forks with threads, from Python 3.12 on
        + "configure(directory=sys.argv[1])\n"
        + "going = True\n"
        + "def busy(n):\n"
        + "    i = 0\n"
        + "    while going:\n"
        + "        i += 1; key = str((i + n) % 7)\n"
        + "        array = np.full(10, float(key))\n"
        + "        store.put(key, array) if i % 3 else store.put_later(key, lambda array=array: array, 80)\n"
        + "        got = store.get(key); current(); key in store.disk.evicted; store.statistics.snapshot()\n"
        + "threads = [threading.Thread(target=busy, args=[n]) for n in range(3)]\n"
        + "[thread.start() for thread in threads]\n"
        + "try:\n"
        + "    for _ in range(30):\n"
        + "        child = os.fork()\n"
        + "        if child == 0:\n"
        + "            current(); ('0' * 32) in store.disk.evicted\n"
        + "            for key in '0123456':\n"
        + "                got = store.get(key)\n"
        + "                assert not isinstance(got, np.ndarray) or (got == float(key)).all()\n"
        + "                store.put_later(key, lambda k=key: np.full(10, float(k)), 80)\n"
        + "            store.flush()\n"
        + "            os._exit(0 if all((store.get(key) == float(key)).all() for key in '0123456') else 1)\n"
        + "        assert os.waitpid(child, 0)[1] == 0\n"
        + "finally:\n"
        + "    going = False\n"
    )
    run(code, str(tmp_path))
