"""`atc` and `sweep` awaited: threads compute, which release the GIL, while the event loop goes on.

A call that is cancelled ends once its thread has let go: what computes cannot be torn away from its arrays.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .cache.forking import anew_in_forks
from .engine import job_count
from .indicator import atc

if TYPE_CHECKING:
    from .cache.store import Store
    from .params import AtcParams
    from .result import AtcResult
    from .sweeps.grid import ParamGrid
    from .sweeps.result import SweepResult
    from .sweeps.series import SweepSeries

T = TypeVar("T")


async def atc_async(
    close: Any,
    source: Any = None,
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    backend: str = "auto",
    cache: bool | str | os.PathLike[str] | Store = True,
    output: str = "host",
    **overrides: Any,
) -> AtcResult:
    """What `atc` gives, without holding up the event loop; arguments and errors as there.

    However many are awaited together, as many compute at once as there are processors for us (`ATC_JOBS`). One that is
    cancelled before its turn never starts. For many symbols whose prices have to be fetched see `run_batch_async`.

    >>> import asyncio
    >>> import numpy as np
    >>> close = 100 + 10 * np.sin(np.arange(400) / 30)
    >>> result = asyncio.run(atc_async(close, hma_mode="hull"))  # in a notebook: await atc_async(...)
    >>> float(result.direction[-1]), int(result.entries.sum())
    (1.0, 2)
    """
    work = functools.partial(atc, close, source, params, backend=backend, cache=cache, output=output, **overrides)
    with _threads as pool:
        return await on_thread(pool, work)


@overload
async def sweep_async(
    close: Any, grid: ParamGrid, source: Any = ..., metrics: Iterable[str] | str | None = ..., *,
    progress: bool | Callable[[int, int], object] = ..., output: Literal["metrics"] = ..., **options: Any,
) -> SweepResult: ...  # fmt: skip
@overload
async def sweep_async(
    close: Any, grid: ParamGrid, source: Any = ..., metrics: Iterable[str] | str | None = ..., *,
    progress: bool | Callable[[int, int], object] = ..., output: Literal["average", "direction"], **options: Any,
) -> SweepSeries: ...  # fmt: skip
async def sweep_async(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    metrics: Iterable[str] | str | None = None,
    *,
    progress: bool | Callable[[int, int], object] = True,
    **options: Any,
) -> SweepResult | SweepSeries:
    """What `sweep` gives, without holding up the event loop; arguments and errors as there.

    Cancelled, it ends after what is in progress, a column's components and a block of combinations. What was finished
    by then is in the cache, as far as `sweep` keeps it, and the same sweep goes on from there. A
    `joblib.parallel_config` around the call counts as it does for `sweep`.

    Args:
        close: prices.
        grid: the combinations.
        source: what the averages are of; close by default.
        metrics: the usual ones by default.
        progress: a function is called from a thread; to reach what lives on the event loop it uses
            ``loop.call_soon_threadsafe``.
        **options: all other arguments of `sweep`.

    >>> import asyncio
    >>> import numpy as np
    >>> from atc_plugin import ParamGrid
    >>> close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 500)))
    >>> grid = ParamGrid(ema_len=[14, 28], kama_len=[14, 28])
    >>> found = asyncio.run(sweep_async(close, grid, metrics=["total_return", "total_trades"], cache=False))
    >>> found.frame.shape
    (4, 5)
    """
    configuration: Callable[[], Any] = nullcontext
    if "joblib" in sys.modules:  # else nobody has configured it
        from .sweeps.resolving import configuration_here

        configuration = configuration_here()
    if metrics is not None:
        options["metrics"] = metrics
    watch = _Watch(progress)

    def work() -> Any:
        from .sweeps.run import sweep  # here: the loop need not wait for imports

        with configuration():
            try:
                return sweep(close, grid, source, progress=watch, **options)
            finally:
                watch.close()

    with ThreadPoolExecutor(1, thread_name_prefix="atc_plugin sweep") as pool:
        return await on_thread(pool, work, watch.stop)


async def on_thread(pool: ThreadPoolExecutor, work: Callable[[], T], stop: Callable[[], object] = bool) -> T:
    """What `work` gives, computed by a thread of the pool in the context of the caller.

    Where the caller is cancelled, `stop` is called, and the cancellation goes on once the thread is done with the work.
    """
    running = pool.submit(contextvars.copy_context().run, _called, work)
    future = asyncio.wrap_future(running)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])  # unlike awaiting the future, leaves it alone when cancelled
        except asyncio.CancelledError as fault:
            cancelled = fault
            running.cancel()  # if it still waits for its turn
            stop()
    if cancelled is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # looked at, so that nobody is told of it
    raise cancelled


def _called(work: Callable[[], T]) -> T:
    try:
        return work()
    except StopIteration as fault:  # no future takes one, so that nobody would hear of the end
        raise RuntimeError("StopIteration was raised in a thread") from fault


class _Threads:
    """A pool for all calls in flight, of every event loop; the last of them joins its threads."""

    def __init__(self) -> None:
        self.begin_anew()
        anew_in_forks(self)  # the threads stay with the parent

    def begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(job_count(), thread_name_prefix="atc_plugin atc")
            self._calls += 1
            return self._pool

    def __exit__(self, *fault: object) -> None:
        with self._lock:
            self._calls = max(self._calls - 1, 0)  # a call of the parent may end in the child of a fork
            if self._calls == 0 and self._pool is not None:
                self._pool.shutdown()
                self._pool = None


_threads = _Threads()


class _StoppedError(Exception):
    """Ends a sweep that nobody waits for any more."""


class _Watch:
    """The progress of a sweep: passed on to whoever watches, and the place where it can be stopped."""

    def __init__(self, progress: bool | Callable[[int, int], object]) -> None:
        self._progress = progress
        self._bar: Any = None
        self._said = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def __call__(self, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        if self._bar is None:
            from .sweeps.progress import bar_of

            self._bar = bar_of(total, self._progress, "combinations")
        self._bar.update(done - self._said)
        self._said = done

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
