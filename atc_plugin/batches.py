"""`run_batch_async`: many symbols whose prices are still to be fetched, computed while others are being fetched."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import numbers
import operator
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .accel.devices import why_not
from .aio import on_thread
from .choosing import choose
from .engine import job_count
from .indicator import atc
from .names import suggestion
from .params import as_params

if TYPE_CHECKING:
    from .cache.store import Store
    from .params import AtcParams
    from .result import AtcResult


class BatchItem(NamedTuple):
    """What became of a symbol: its result, or the error in the place of one."""

    symbol: Hashable
    result: AtcResult | None
    error: BaseException | None
    seconds: float  # from the beginning of its fetch, waiting for others included


def run_batch_async(
    prices: Mapping[Any, Any],
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    concurrency: int = 8,
    jobs: int | None = None,
    priority: Mapping[Any, float] | Callable[[Any], float] | None = None,
    on_error: Literal["return", "raise"] = "return",
    backend: str = "auto",
    cache: bool | str | os.PathLike[str] | Store = True,
    **overrides: Any,
) -> Batch:
    """`atc` of many symbols, fetching some while others are computed.

    Nothing begins before the batch is iterated or awaited. Whatever ends it, the end, an error, a cancellation, a
    timeout or a `break`, fetches under way are cancelled, computations under way are waited for, what waits never
    starts, and no thread stays behind.

    Args:
        prices: for each symbol its prices as `atc` takes them, or what they come from: an awaitable, or a function
            without arguments that returns one, called when it is the symbol's turn.
        params: The configuration; the published defaults by default.
        concurrency: fetches under way at a time. A symbol is not fetched before there is room for it: as many as
            `concurrency` and `jobs` together are being fetched, computed, or waiting to be computed or taken.
        jobs: computations at a time, each in a thread; as many as there are processors for us (`ATC_JOBS`) by default.
        priority: of each symbol, by a mapping or a function: higher ones are fetched, and of those fetched computed,
            first. 0 where a mapping has none; in the order of `prices` among equals.
        on_error: "return" errors of fetching and computing with their symbol, or "raise" the first, which ends the
            batch. Either way their notes name the symbol.
        backend: As in `atc`.
        cache: As in `atc`.
        **overrides: Single parameters, on top of `params`.

    Returns:
        A `Batch`: ``async for item in batch`` gives a `BatchItem` for each symbol as it is done, ``await batch`` all of
        them by symbol, in the order of `prices`.

    Raises:
        TypeError, ValueError: for bad arguments, at once.
        RuntimeError: for a GPU that cannot be used.

    >>> import asyncio
    >>> import numpy as np
    >>> async def fetch(seed):
    ...     await asyncio.sleep(0.01)
    ...     return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 300)))
    >>> async def main():
    ...     return await run_batch_async({"A": fetch(1), "B": fetch(2), "C": [1.0, 0.0]}, ema_len=21)
    >>> items = asyncio.run(main())  # in a notebook: await run_batch_async(...)
    >>> items["A"].result.average.shape, items["C"].error.__notes__
    ((300,), ["while computing 'C'"])
    """
    try:
        if not isinstance(prices, Mapping):
            hint = "; of a frame: dict(frame.items())" if hasattr(prices, "items") else ""
            raise TypeError(f"prices must be a mapping of symbols to prices; got {type(prices).__name__}{hint}")
        configuration = as_params(params, overrides)
        if choose(backend) == "gpu" and (reason := why_not()):
            raise RuntimeError(f"backend 'gpu': no GPU can be used here: {reason}")
        if on_error not in ("return", "raise"):
            raise ValueError(f"on_error must be 'return' or 'raise'; got {on_error!r}")
        work = functools.partial(atc, params=configuration, backend=backend, cache=cache)
        most = _number("concurrency", concurrency), job_count() if jobs is None else _number("jobs", jobs)
        return Batch(prices, work, _ranked(list(prices), priority), *most, on_error == "raise")
    except BaseException:
        for value in prices.values() if isinstance(prices, Mapping) else ():
            _give_up(value)
        raise


class Batch:
    """A batch that runs once: iterated as its symbols are done, or awaited as a whole.

    To leave it early, ``async with run_batch_async(...) as batch`` waits on the way out until all has ended. After a
    plain `break` the event loop sees to that a moment later.
    """

    def __init__(
        self,
        prices: Mapping[Any, Any],
        work: Callable[[Any], AtcResult],
        order: list[Any],
        concurrency: int,
        jobs: int,
        raises: bool,
    ) -> None:
        self._symbols = list(prices)
        self._todo = deque((rank, symbol, prices[symbol]) for rank, symbol in enumerate(order))
        self._work = work
        most = max(len(order), 1)
        self._fetchers, self._jobs, self._raises = min(concurrency, most), min(jobs, most), raises
        self._fetched: asyncio.PriorityQueue[tuple[int, _Fetched | None]] = asyncio.PriorityQueue()
        self._done: asyncio.Queue[BatchItem | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(concurrency + jobs)
        self._has_begun = False
        self._running: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ its user's side
    def __aiter__(self) -> AsyncGenerator[BatchItem]:
        if self._has_begun:
            raise RuntimeError("a batch runs once; call run_batch_async again")
        self._has_begun = True
        return self._items()

    def __await__(self) -> Generator[Any, None, dict[Any, BatchItem]]:
        return self._all().__await__()

    async def __aenter__(self) -> Batch:
        return self

    async def __aexit__(self, *fault: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it; done when nothing of it is left."""
        self._has_begun = True
        cancelled: asyncio.CancelledError | None = None
        if self._running is not None:
            self._running.cancel()
            while not self._running.done():
                try:
                    await asyncio.wait([self._running])
                except asyncio.CancelledError as fault:
                    cancelled = fault
            if not self._running.cancelled():
                self._running.exception()  # looked at: whoever is there to hear of it has been told
        while self._todo:
            _give_up(self._todo.popleft()[-1])
        if cancelled is not None:
            raise cancelled

    async def _all(self) -> dict[Any, BatchItem]:
        async with aclosing(aiter(self)) as items:
            found = {item.symbol: item async for item in items}
        return {symbol: found[symbol] for symbol in self._symbols}

    async def _items(self) -> AsyncGenerator[BatchItem]:
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(lambda _: self._done.put_nowait(None))
        try:
            while (item := await self._done.get()) is not None:
                self._room.release()
                if self._raises and item.error is not None:
                    raise item.error
                yield item
            if self._running.cancelled():
                raise RuntimeError("the batch was closed while its items were waited for")
            self._running.result()  # a fault of ours
        finally:
            await self.aclose()

    # ------------------------------------------------------------ its own tasks
    async def _run(self) -> None:
        """All of it in one task: no other task, and no thread, outlives it."""
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="atc_plugin batch") as pool:
            async with asyncio.TaskGroup() as tasks:  # one: a cancellation has to reach all of them at once
                for _ in range(self._jobs):
                    tasks.create_task(self._compute(pool))
                for _ in range(self._fetchers):
                    tasks.create_task(self._fetch())

    async def _fetch(self) -> None:
        while self._todo and not _is_cancelled():  # a fetch may have kept that to itself
            await self._room.acquire()
            if not self._todo:  # others took the last while this one waited
                self._room.release()
                break
            rank, symbol, value = self._todo.popleft()
            started = time.perf_counter()
            try:
                prices = await _prices_of(value)
            except (Exception, asyncio.CancelledError) as fault:
                if isinstance(fault, asyncio.CancelledError) and _is_cancelled():
                    raise
                self._failed(symbol, "fetching", fault, started)
            else:
                self._fetched.put_nowait((rank, _Fetched(symbol, prices, started)))
        self._fetchers -= 1
        if self._fetchers == 0:
            for place in range(self._jobs):
                self._fetched.put_nowait((len(self._symbols) + place, None))

    async def _compute(self, pool: ThreadPoolExecutor) -> None:
        while (fetched := (await self._fetched.get())[1]) is not None:
            symbol, prices, started = fetched
            try:
                result = await on_thread(pool, functools.partial(self._work, prices))
            except Exception as fault:
                self._failed(symbol, "computing", fault, started)
            else:
                self._done.put_nowait(BatchItem(symbol, result, None, time.perf_counter() - started))

    def _failed(self, symbol: Hashable, step: str, fault: BaseException, started: float) -> None:
        fault.add_note(f"while {step} {symbol!r}")
        self._done.put_nowait(BatchItem(symbol, None, fault, time.perf_counter() - started))


class _Fetched(NamedTuple):
    symbol: Hashable
    prices: Any
    started: float


async def _prices_of(value: Any) -> Any:
    """The prices themselves, or what is awaited for them."""
    if inspect.isawaitable(value):
        return await value
    if not callable(value):
        return value
    awaitable = value()
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"a function that fetches must return an awaitable, not {type(awaitable).__name__}; wrap one that blocks: "
            "lambda: asyncio.to_thread(function)"
        )
    return await awaitable


def _is_cancelled() -> bool:
    """Whether the task that asks is being cancelled, and not what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _give_up(value: Any) -> None:
    """Do not await what was to be awaited."""
    if inspect.iscoroutine(value):
        value.close()
    elif asyncio.isfuture(value):
        value.cancel()


def _number(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number >= 1; got {value!r}")
    return number


def _ranked(symbols: list[Any], priority: Mapping[Any, float] | Callable[[Any], float] | None) -> list[Any]:
    """The symbols, those of the highest priority first."""
    if priority is None:
        return symbols
    if isinstance(priority, Mapping):
        known = set(symbols)
        for symbol in priority:
            if symbol not in known:
                raise ValueError(f"priority: no symbol {symbol!r}{suggestion(symbol, map(str, symbols))}")
        found = {symbol: priority.get(symbol, 0) for symbol in symbols}
    elif callable(priority):
        found = {symbol: priority(symbol) for symbol in symbols}
    else:
        raise TypeError(f"priority must be a mapping or a function of symbols; got {type(priority).__name__}")
    for symbol, value in found.items():
        if not isinstance(value, numbers.Real) or math.isnan(value):
            raise ValueError(f"priority: that of {symbol!r} must be a number; got {value!r}")
    return sorted(symbols, key=lambda symbol: -found[symbol])  # stable
