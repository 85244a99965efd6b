"""Batches: bounds hold, errors stay with their symbols, and wherever a batch ends nothing is left of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

import atc_plugin.batches as module
from atc_plugin import atc, run_batch_async
from atc_plugin.batches import Batch, BatchItem

BARS = 60 if DISABLE_JIT else 300


def walk(n: int = BARS, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()  # a coroutine that was never awaited says so now
    assert not set(threading.enumerate()) - before


def run(work: Coroutine[Any, Any, Any], collect: bool = True) -> Any:
    """The work on a loop of its own, which has to have nothing to complain of, and no task left when it is done."""
    complaints = []

    async def main() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        try:
            return await work
        finally:
            for _ in range(3):  # a moment for what a `break` leaves to the loop
                await asyncio.sleep(0)
            if collect:  # what was forgotten in cycles complains now
                gc.collect()

    try:
        return asyncio.run(main())
    finally:
        assert complaints == []


class Market:
    """Simulated fetches and computations that count themselves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, compute: Callable[[Any], Any] = lambda prices: prices) -> None:
        self.order: list[Any] = []  # in which fetches began
        self.computed: list[Any] = []
        self.fetching = self.most_fetching = self.fetched = 0
        self.computing = self.most_computing = 0
        self.cancelled: list[Any] = []
        self._compute = compute
        self._lock = threading.Lock()
        monkeypatch.setattr(module, "atc", self.compute)

    def fetch(self, symbol: Any, seconds: float = 0.002) -> Callable[[], Awaitable[Any]]:
        async def fetched() -> Any:
            self.order.append(symbol)
            self.fetching += 1
            self.most_fetching = max(self.most_fetching, self.fetching)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.cancelled.append(symbol)
                raise
            finally:
                self.fetching -= 1
            self.fetched += 1
            return symbol

        return fetched

    def fetches(self, symbols: Any, seconds: float = 0.002) -> dict[Any, Callable[[], Awaitable[Any]]]:
        return {symbol: self.fetch(symbol, seconds) for symbol in symbols}

    def compute(self, prices: Any, **_: Any) -> Any:
        with self._lock:
            self.computing += 1
            self.most_computing = max(self.most_computing, self.computing)
            self.computed.append(prices)
        try:
            return self._compute(prices)
        finally:
            with self._lock:
                self.computing -= 1


async def taken(batch: Batch) -> list[BatchItem]:
    return [item async for item in batch]


# ---------------------------------------------------------------- what comes out
@pytest.mark.parametrize("concurrency", [1, 3, 100])
@pytest.mark.parametrize("jobs", [1, 2, None])
def test_results_are_those_of_atc_wherever_prices_come_from(concurrency: int, jobs: int | None) -> None:
    class Own:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0.001).__await__()
            return walk(seed=4).tolist()

    async def fetched(seed: int) -> np.ndarray:
        await asyncio.sleep(0.001)
        return walk(seed=seed)

    async def main() -> tuple[dict[Any, BatchItem], list[Any]]:
        prices = {
            "plain": walk(seed=0),
            "coroutine": fetched(1),
            "function": lambda: fetched(2),
            3: asyncio.create_task(fetched(3)),
            "own": Own(),
            ("a", "frame"): pd.DataFrame({"A": walk(seed=5), "B": walk(seed=6)}),
        }
        batch = run_batch_async(prices, concurrency=concurrency, jobs=jobs, cache=False, ema_len=21)
        return await batch, list(prices)

    items, symbols = run(main())
    assert list(items) == symbols
    for seed, symbol in enumerate(symbols[:-1]):
        item = items[symbol]
        assert (item.symbol, item.error) == (symbol, None)
        assert item.seconds >= 0
        assert_same_bits(item.result.average, atc(walk(seed=seed), ema_len=21).average)
    assert items["a", "frame"].result.average.columns.tolist() == ["A", "B"]


def test_parameters_reach_atc(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(taken(run_batch_async({"A": walk()}, {"ema_len": 30}, kama_len=20, cache=False)))
    assert (found[0].result.params.ema_len, found[0].result.params.kama_len) == (30, 20)
    monkeypatch.setattr(module, "atc", lambda *_, **named: (named["backend"], named["cache"]))
    assert run(taken(run_batch_async({"A": 1}, backend="cpu", cache="x")))[0].result == ("cpu", "x")


def test_no_symbols() -> None:
    assert run(taken(run_batch_async({}))) == []

    async def main() -> dict[Any, BatchItem]:
        return await run_batch_async({})

    assert run(main()) == {}


def test_results_come_as_they_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)
    prices = {f"{ms} ms": market.fetch(ms, ms / 1000) for ms in (200, 1, 100)}
    assert [item.result for item in run(taken(run_batch_async(prices)))] == [1, 100, 200]


def test_contexts_reach_fetches_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    who = contextvars.ContextVar("who", default="nobody")
    Market(monkeypatch, lambda prices: (prices, who.get()))

    async def fetched() -> str:
        return who.get()

    async def main() -> Any:
        who.set("me")
        return (await run_batch_async({"A": fetched}))["A"].result

    assert run(main()) == ("me", "me")


# ---------------------------------------------------------------- bounds and order
@pytest.mark.parametrize(("concurrency", "jobs"), [(1, 1), (4, 1), (8, 2), (3, 4)])
def test_so_many_fetches_and_computations_at_a_time(
    concurrency: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(monkeypatch, lambda prices: time.sleep(0.004))
    found = run(taken(run_batch_async(market.fetches(range(40)), concurrency=concurrency, jobs=jobs)))
    assert len(found) == 40
    assert market.most_fetching == min(concurrency, 40)
    assert market.most_computing == jobs


def test_fetching_waits_for_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    open_, reached = threading.Event(), threading.Event()

    def stuck(prices: Any) -> None:
        reached.set()
        assert open_.wait(60)

    market = Market(monkeypatch, stuck)

    async def main() -> None:
        async with run_batch_async(market.fetches(range(100)), concurrency=5, jobs=2) as batch:
            first = asyncio.ensure_future(anext(aiter(batch)))
            while not reached.is_set() or market.fetched < 7:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.03)
            assert (market.fetched, market.fetching, len(market.order)) == (7, 0, 7)
            open_.set()
            await first

    run(main())
    assert len(market.order) < 20


def test_computing_waits_for_whoever_takes_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)

    async def main() -> None:
        count = 0
        async for _ in run_batch_async(market.fetches(range(60), 0), concurrency=4, jobs=2):
            count += 1
            await asyncio.sleep(0.002)
            assert len(market.order) <= count + 4 + 2
        assert count == 60

    run(main())


@pytest.mark.parametrize("as_function", [False, True])
def test_priorities(as_function: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)
    of = {"c": 5, "e": -1, "b": 5.5, "d": float("inf")}
    priority = (lambda symbol: of.get(symbol, 0)) if as_function else of
    run(taken(run_batch_async(market.fetches("abcdef"), concurrency=1, jobs=1, priority=priority)))
    assert market.order == list("dbcafe")
    assert market.computed == list("dbcafe")


def test_of_what_is_fetched_the_highest_is_computed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = threading.Event()
    market = Market(monkeypatch, lambda prices: open_.wait(60))

    async def main() -> list[BatchItem]:
        prices = market.fetches("abcd", 0.001)
        prices["b"] = market.fetch("b", 0.01)  # the last to come
        batch = asyncio.create_task(taken(run_batch_async(prices, jobs=1, priority={"a": 9, "b": 8, "d": 7})))
        while market.fetched < 4:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        open_.set()
        return await batch

    run(main())
    assert market.computed[1:] == [symbol for symbol in "bdc" if symbol != market.computed[0]] or (
        market.computed == list("abdc")
    )


def test_in_the_order_given_without_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)
    run(taken(run_batch_async(market.fetches(range(50)), concurrency=3)))
    assert market.order == list(range(50))


# ---------------------------------------------------------------- errors
async def fails(fault: BaseException) -> None:
    await asyncio.sleep(0)
    raise fault


def test_errors_stay_with_their_symbols() -> None:
    class OddError(Exception):
        pass

    async def cancelled_elsewhere() -> None:
        raise asyncio.CancelledError

    async def main() -> dict[Any, BatchItem]:
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        return await run_batch_async(
            {
                "good": walk(),
                "fetch": lambda: fails(OddError("no such symbol")),
                "zero": [1.0, 0.0],
                "type": "prices",
                "blocks": lambda: walk(),
                "raises": lambda: 1 / 0,
                "task": task,
                "timeout": asyncio.wait_for(asyncio.sleep(60), 0.01),
                "cancelled": cancelled_elsewhere(),
                "last": walk(),
            },
            concurrency=2,
            cache=False,
        )

    items = run(main())
    assert [symbol for symbol, item in items.items() if item.error is None] == ["good", "last"]
    assert all((item.result is None) == (item.error is not None) for item in items.values())
    kinds = {symbol: type(item.error) for symbol, item in items.items() if item.error is not None}
    assert kinds == {
        "fetch": OddError,
        "zero": ValueError,
        "type": TypeError,
        "blocks": TypeError,
        "raises": ZeroDivisionError,
        "task": asyncio.CancelledError,
        "timeout": TimeoutError,
        "cancelled": asyncio.CancelledError,
    }
    assert items["fetch"].error.__notes__ == ["while fetching 'fetch'"]
    assert items["zero"].error.__notes__ == ["while computing 'zero'"]
    assert "asyncio.to_thread" in str(items["blocks"].error)


def test_the_first_error_ends_it_where_it_is_to_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)
    prices = market.fetches(range(100)) | {3: lambda: fails(KeyError("gone"))}
    for use in (taken, asyncio.ensure_future):
        market.order.clear()

        async def main(use: Any = use) -> None:
            await use(run_batch_async(prices, concurrency=2, on_error="raise"))

        with pytest.raises(KeyError, match="gone") as caught:
            run(main())
        assert "while fetching 3" in caught.value.__notes__
        assert len(market.order) < 20


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"concurrency": 0}, ValueError, "concurrency must be a whole number >= 1; got 0"),
        ({"concurrency": 2.5}, ValueError, "concurrency must be a whole number"),
        ({"jobs": -1}, ValueError, "jobs must be a whole number >= 1"),
        ({"jobs": True}, ValueError, "jobs must be"),
        ({"on_error": "ignore"}, ValueError, "on_error must be 'return' or 'raise'"),
        ({"priority": {"AAPLE": 1}}, ValueError, "no symbol 'AAPLE'. Did you mean 'AAPL'"),
        ({"priority": 3}, TypeError, "priority must be a mapping or a function"),
        ({"priority": lambda symbol: symbol}, ValueError, "that of 'AAPL' must be a number; got 'AAPL'"),
        ({"priority": lambda symbol: float("nan")}, ValueError, "must be a number"),
        ({"backend": "gpu"}, RuntimeError, "backend 'gpu'"),
        ({"backend": "fpga"}, ValueError, "backend 'fpga'"),
        ({"emalen": 3}, TypeError, "emalen"),
        ({"ema_len": 3}, ValueError, "ema_len"),
        ({"params": 3}, TypeError, "params must be"),
    ],
)
def test_bad_arguments_are_told_at_once(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run_batch_async({"AAPL": fails(ValueError())}, **arguments)  # no warning of what is never awaited


def test_only_mappings() -> None:
    with pytest.raises(TypeError, match=r"got DataFrame; of a frame: dict\(frame.items\(\)\)"):
        run_batch_async(pd.DataFrame({"A": walk()}))
    with pytest.raises(TypeError, match="got list"):
        run_batch_async([walk()])


def test_a_batch_runs_once() -> None:
    async def main() -> None:
        batch = run_batch_async({"A": walk()}, cache=False)
        assert len(await batch) == 1
        for again in (taken(batch), batch):
            with pytest.raises(RuntimeError, match="a batch runs once"):
                await again

    run(main())


# ---------------------------------------------------------------- ends
async def no_thread_of(batch: Batch) -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("atc_plugin batch")]
    assert batch._running is None or batch._running.done()


@settings(max_examples=10 if DISABLE_JIT else 60)
@given(
    after=st.floats(0, 0.03),
    concurrency=st.integers(1, 10),
    jobs=st.integers(1, 3),
    how=st.sampled_from(["cancel", "cancel twice", "timeout", "await", "close"]),
    kind=st.sampled_from(["function", "coroutine", "task", "plain"]),
)
def test_cancelled_at_any_point_nothing_is_left(after: float, concurrency: int, jobs: int, how: str, kind: str) -> None:
    before = set(threading.enumerate())
    under_way = 0
    tasks: list[asyncio.Task[Any]] = []

    async def fetched(seed: int) -> np.ndarray:
        nonlocal under_way
        under_way += 1
        try:
            await asyncio.sleep(0.001 * (seed % 4))
            return walk(100, seed)
        finally:
            under_way -= 1

    def source(seed: int) -> Any:
        if kind == "task":
            tasks.append(asyncio.create_task(fetched(seed)))
            return tasks[-1]
        return {"function": lambda: fetched(seed), "plain": walk(100, seed)}.get(kind) or fetched(seed)

    def sources() -> dict[int, Any]:
        if kind == "plain":
            return {seed: walk(100, seed) for seed in range(40)}
        return {seed: source(seed) for seed in range(40)}

    async def main() -> None:
        batch = run_batch_async(sources(), concurrency=concurrency, jobs=jobs, cache=False)

        async def use() -> int:
            if how == "await":
                return len(await batch)
            return len([item async for item in batch])

        ended = False
        if how == "timeout":
            try:
                async with asyncio.timeout(after):
                    ended = await use() == 40
            except TimeoutError:
                pass
        else:
            call = asyncio.create_task(use())
            await asyncio.sleep(after)
            if how == "close":
                await batch.aclose()
            else:
                call.cancel()
            if how == "cancel twice":
                await asyncio.sleep(0)
                call.cancel()
            try:
                ended = await call == 40
            except asyncio.CancelledError:
                pass
            except RuntimeError:  # closed by another
                assert how == "close"
        if not ended:
            await batch.aclose()  # a task that is cancelled before its first step never got to the batch
        await no_thread_of(batch)
        assert under_way == 0 or kind == "task"
        await asyncio.sleep(0)
        assert all(task.done() for task in tasks)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main(), collect=False)  # the fixture does: it takes longer than an example
    assert set(threading.enumerate()) <= before


def test_computations_under_way_are_waited_for_and_others_never_start(monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = threading.Event()
    market = Market(monkeypatch, lambda prices: open_.wait(60))

    async def main() -> None:
        batch = run_batch_async(market.fetches(range(50)), concurrency=4, jobs=2)
        call = asyncio.create_task(taken(batch))
        while market.computing < 2 or market.fetched < 6:
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.sleep(0.02)
        assert not call.done()
        assert market.computing == 2
        open_.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (market.computing, len(market.computed)) == (0, 2)
        await no_thread_of(batch)

    run(main())


def test_fetches_under_way_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)

    async def main() -> None:
        call = asyncio.create_task(taken(run_batch_async(market.fetches(range(9), 60), concurrency=3)))
        while market.fetching < 3:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(main())
    assert sorted(market.cancelled) == market.order == [0, 1, 2]


def test_a_fetch_that_keeps_its_cancellation_to_itself_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)

    async def stubborn() -> str:
        market.order.append("stubborn")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "stubborn"

    async def main() -> None:
        call = asyncio.create_task(taken(run_batch_async({1: stubborn, **market.fetches(range(2, 9))}, concurrency=1)))
        while not market.order:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(main())
    assert market.order == ["stubborn"]
    assert market.computed == []


@pytest.mark.parametrize("with_", [False, True])
@pytest.mark.parametrize("after", [1, 7])
def test_break_ends_it(after: int, with_: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)

    async def main() -> None:
        batch = run_batch_async({**market.fetches(range(50)), "never": fails(ValueError())}, concurrency=4, jobs=2)
        count = 0
        if with_:
            async with batch:
                async for _ in batch:
                    count += 1
                    if count == after:
                        break
        else:
            async for _ in batch:
                count += 1
                if count == after:
                    break
            while not batch._running.done() or batch._todo:  # the loop sees to it
                await asyncio.sleep(0.001)
        await no_thread_of(batch)
        assert market.fetching == 0
        assert len(market.order) <= after + 4 + 2

    run(main())


def test_the_end_of_the_loop_ends_a_batch_that_was_left_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)
    kept = []

    async def main() -> None:
        items = aiter(run_batch_async(market.fetches(range(50)), concurrency=4, jobs=2))
        kept.append(items)
        await anext(items)

    asyncio.run(main())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("atc_plugin batch")]


def test_an_error_of_whoever_takes_the_results_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)

    async def main() -> None:
        async with run_batch_async(market.fetches(range(50)), concurrency=4) as batch:
            async for item in batch:
                raise LookupError(item.symbol)

    with pytest.raises(LookupError):
        run(main())
    assert len(market.order) < 20


def test_a_batch_that_is_never_begun_gives_its_coroutines_up() -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        async with run_batch_async({"A": fails(ValueError()), "B": task}):
            pass
        await asyncio.sleep(0)
        assert task.cancelled()

    run(main())


def test_whoever_waits_is_told_that_another_closed_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(monkeypatch)

    async def main() -> None:
        for steps in (*range(1, 5), None):
            batch = run_batch_async(market.fetches(range(9), 60))
            call = asyncio.create_task(taken(batch))
            for _ in range(steps or 0):
                await asyncio.sleep(0)
            while steps is None and not market.fetching:
                await asyncio.sleep(0.001)
            await batch.aclose()
            with pytest.raises(RuntimeError, match="closed while its items were waited for"):
                await asyncio.wait_for(call, 60)

    run(main())


def test_a_fault_of_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Batch) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr(Batch, "_fetch", broken)
    with pytest.raises(ExceptionGroup) as caught:
        run(taken(run_batch_async({"A": walk()})))
    assert caught.group_contains(AssertionError, match="ours")


def test_inside_of_a_loop_that_others_run() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def cell(seed: int) -> Any:
        return (await run_batch_async({"A": walk(seed=seed)}, cache=False))["A"].result.average

    try:
        for seed in range(3):
            got = asyncio.run_coroutine_threadsafe(cell(seed), loop).result(60)
            assert_same_bits(got, atc(walk(seed=seed), cache=False).average)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
