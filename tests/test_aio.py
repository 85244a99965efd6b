"""`atc` and `sweep` awaited: the same results, a loop that goes on, and no thread left behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

import atc_plugin.aio as module
from atc_plugin import ParamGrid, atc, atc_async, sweep, sweep_async
from atc_plugin.sweeps.resolving import resolve

BARS = 60 if DISABLE_JIT else 400
GRID = ParamGrid(ema_len=[14, 28], kama_len=[14, 28])


def walk(n: int = BARS, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not set(threading.enumerate()) - before


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The work on a loop of its own, which has to have nothing to complain of."""
    complaints = []

    async def main() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        try:
            return await work
        finally:
            gc.collect()  # what was forgotten complains now

    try:
        return asyncio.run(main())
    finally:
        assert complaints == []


class Gate:
    """Work that waits in its thread until it is let go, and tells how often it was begun and ended."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = self.ended = 0
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any, **named: Any) -> str:
        with self._lock:
            self.begun += 1
        assert self.open.wait(60)
        with self._lock:
            self.ended += 1
        return "done"

    async def reached(self, count: int = 1) -> None:
        while self.begun < count:
            await asyncio.sleep(0.001)

    def open_soon(self) -> None:
        asyncio.get_running_loop().call_later(0.02, self.open.set)


# ---------------------------------------------------------------- atc
@pytest.mark.parametrize("params", [{}, {"hma_mode": "hull", "ema_len": 21, "strategy_mode": True}])
def test_atc_async_gives_what_atc_gives(params: dict[str, Any]) -> None:
    close = pd.DataFrame({"A": walk(), "B": walk(seed=1)})
    source = close * 1.01
    got = run(atc_async(close, source, cache=False, **params))
    expected = atc(close, source, cache=False, **params)
    assert got.params == expected.params
    for output in ("average", "direction", "entries", "exits"):
        assert_same_bits(getattr(got, output), getattr(expected, output), output)
    assert_same_bits(got.signals["KAMA"], expected.signals["KAMA"])


def test_many_at_once_are_computed_by_as_many_threads_as_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_JOBS", "2")
    monkeypatch.setattr(module, "atc", gate := Gate())

    async def main() -> list[str]:
        calls = asyncio.gather(*(atc_async(walk()) for _ in range(20)))
        await gate.reached(2)
        await asyncio.sleep(0.02)
        assert gate.begun == 2
        assert sum(thread.name.startswith("atc_plugin atc") for thread in threading.enumerate()) == 2
        gate.open.set()
        return await calls

    assert run(main()) == ["done"] * 20
    assert gate.ended == 20


def test_errors_are_those_of_atc() -> None:
    with pytest.raises(ValueError, match="column 0 is zero at bar 1"):
        run(atc_async([10.0, 0.0]))
    with pytest.raises(TypeError, match="ema_length"):
        run(atc_async(walk(), ema_length=3))
    with pytest.raises(ValueError, match="backend 'fpga'"):
        run(atc_async(walk(), backend="fpga"))


def test_the_loop_goes_on_and_what_is_cancelled_before_its_turn_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_JOBS", "1")
    monkeypatch.setattr(module, "atc", gate := Gate())

    async def main() -> None:
        first = asyncio.create_task(atc_async(walk()))
        await gate.reached()
        second = asyncio.create_task(atc_async(walk()))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not first.done()
        gate.open.set()
        assert await first == "done"

    run(main())
    assert gate.begun == gate.ended == 1


@pytest.mark.parametrize("cancels", [1, 3])
def test_a_cancelled_call_ends_when_its_thread_has_let_go(cancels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "atc", gate := Gate())

    async def main() -> None:
        call = asyncio.create_task(atc_async(walk()))
        await gate.reached()
        for _ in range(cancels):
            call.cancel()
            await asyncio.sleep(0.01)
            assert not call.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert gate.ended == 1
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("atc_plugin atc")]

    run(main())


def test_an_error_after_a_cancellation_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    def fails(*arguments: Any, **named: Any) -> None:
        gate()
        raise ValueError("too late")

    monkeypatch.setattr(module, "atc", fails)

    async def main() -> None:
        call = asyncio.create_task(atc_async(walk()))
        await gate.reached()
        call.cancel()
        gate.open_soon()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(main())
    assert gate.ended == 1


def test_a_timeout_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "atc", gate := Gate())

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.1, gate.open.set)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(atc_async(walk()), 0.02)

    run(main())
    assert gate.ended == gate.begun == 1


def test_the_context_of_the_caller_is_that_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    who = contextvars.ContextVar("who", default="nobody")
    monkeypatch.setattr(module, "atc", lambda *_, **__: who.get())

    async def main() -> tuple[str, str]:
        who.set("me")
        first = await atc_async(walk())
        with np.errstate(divide="raise"):
            monkeypatch.setattr(module, "atc", lambda *_, **__: np.geterr()["divide"])
            return first, await atc_async(walk())

    assert run(main()) == ("me", "raise")


def test_loops_on_several_threads_share_one_pool() -> None:
    found: list[Any] = []

    def elsewhere(seed: int) -> None:
        found.append((seed, asyncio.run(atc_async(walk(seed=seed), cache=False)).average))

    threads = [threading.Thread(target=elsewhere, args=[seed]) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for seed, average in found:
        assert_same_bits(average, atc(walk(seed=seed), cache=False).average)


def test_a_fork_in_the_middle_of_a_call_begins_anew() -> None:
    threads = module._Threads()
    with threads as pool:
        threads.begin_anew()  # what a child does
        with threads as own:
            assert own is not pool
        assert threads._pool is None
        pool.shutdown()
    assert threads._calls == 0


# ---------------------------------------------------------------- sweep
def test_sweep_async_takes_the_arguments_of_sweep() -> None:
    theirs, ours = inspect.signature(sweep).parameters, inspect.signature(sweep_async).parameters
    positional = [name for name, each in theirs.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert [name for name, each in ours.items() if each.kind is each.POSITIONAL_OR_KEYWORD] == positional
    assert set(ours) - set(positional) == {"progress", "options"}
    theirs, ours = inspect.signature(atc).parameters, inspect.signature(atc_async).parameters
    assert [(each.name, each.kind, each.default) for each in ours.values()] == [
        (each.name, each.kind, each.default) for each in theirs.values()
    ]


def test_sweep_async_gives_what_sweep_gives() -> None:
    close = pd.DataFrame({"A": walk(), "B": walk(seed=1)})
    for asked in ({}, {"fees": 0.001, "top": 2, "metrics": "total_return"}):
        asked = {"metrics": ["total_return", "total_trades"], "cache": False, **asked}
        expected = sweep(close, GRID, **asked)
        got = run(sweep_async(close, GRID, **asked))
        pd.testing.assert_frame_equal(got.frame, expected.frame, check_exact=True)
    series = run(sweep_async(close, GRID, output="average", cache=False))
    assert type(series) is type(sweep(close, GRID, output="average", cache=False))
    with pytest.raises(TypeError, match="fee"):
        run(sweep_async(close, GRID, fee=0.1))
    with pytest.raises(ValueError, match="direction"):
        run(sweep_async(close, GRID, direction="up"))


def test_progress_of_a_sweep_is_told_and_its_errors_end_it() -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    close = pd.DataFrame({"A": walk(), "B": walk(seed=1)})
    run(sweep_async(close, GRID, None, ["total_return"], progress=tell, cache=False))
    assert told == [(4, 8), (8, 8)]

    def fail(done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(sweep_async(close, GRID, metrics=["total_return"], progress=fail, cache=False))

    def stop(done: int, total: int) -> None:
        raise StopIteration  # which futures do not take

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(sweep_async(close, GRID, metrics=["total_return"], progress=stop, cache=False))


def test_a_cancelled_sweep_ends_at_its_next_block() -> None:
    close = pd.DataFrame({str(seed): walk(seed=seed) for seed in range(6)})
    told: list[int] = []
    let_go = threading.Event()

    async def main() -> None:
        loop, first = asyncio.get_running_loop(), asyncio.Event()

        def tell(done: int, total: int) -> None:
            told.append(done)
            loop.call_soon_threadsafe(first.set)
            assert let_go.wait(60)

        asked = {"metrics": ["total_return"], "progress": tell, "cache": False, "n_jobs": 1}
        call = asyncio.create_task(sweep_async(close, GRID, **asked))
        await first.wait()
        call.cancel()
        await asyncio.sleep(0.01)
        assert not call.done()
        let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(main())
    assert told == [4]  # of 24


def test_a_configuration_of_joblib_counts_in_the_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atc_plugin.sweeps.run.sweep", lambda *_, **__: resolve())

    async def main() -> list[tuple[str, int]]:
        found = [await sweep_async(walk(), GRID)]
        with joblib.parallel_config(n_jobs=3):
            found.append(await sweep_async(walk(), GRID))
        with joblib.parallel_config("loky", n_jobs=5):
            found.append(await sweep_async(walk(), GRID))
        with joblib.parallel_config(prefer="threads"):
            found.append(await sweep_async(walk(), GRID))
        return found

    plain, *configured = run(main())
    assert plain == resolve()
    assert configured[:2] == [("auto", 3), ("loky", 5)]
    with joblib.parallel_config(prefer="threads"):
        assert configured[2] == resolve()


# ---------------------------------------------------------------- inside of a loop that runs
def test_inside_of_a_loop_that_others_run() -> None:
    """As in a notebook, whose loop has been running for long when a cell awaits something."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for seed in range(3):
            call = asyncio.run_coroutine_threadsafe(atc_async(walk(seed=seed), cache=False), loop)
            assert_same_bits(call.result(60).average, atc(walk(seed=seed), cache=False).average)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
