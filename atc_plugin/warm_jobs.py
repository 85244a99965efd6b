"""What `warm` gives: what was done, or a job that will tell."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import NamedTuple

_GRACE = 2.0
"""Seconds that the end of the process leaves a job."""


class Warmed(NamedTuple):
    """What warming found and did."""

    columns: int
    combinations: int
    blocks: tuple[int, int]  # of judged combinations: how many were there, and of how many
    components: tuple[int, int]  # blocks of components, likewise
    resumed: int  # of those that were not there: continued from a column of fewer bars
    results: tuple[int, int]  # whole results of single configurations, likewise
    seconds: float
    kept: bool  # whether other processes find all of it now

    @property
    def found(self) -> int:
        """How many items were there."""
        return sum(there for there, _ in (self.blocks, self.components, self.results))

    @property
    def items(self) -> int:
        """How many there are, or would be if something could not be kept."""
        return sum(count for _, count in (self.blocks, self.components, self.results))

    @property
    def already_there(self) -> float:
        """The share of all items that needed no work."""
        return self.found / self.items if self.items else 1.0

    def __str__(self) -> str:
        parts = [
            f"{there:,} of {count:,} {what} were there already"
            for what, (there, count) in (
                ("blocks of combinations", self.blocks),
                ("blocks of components", self.components),
                ("results", self.results),
            )
            if count
        ]
        head = f"{self.combinations:,} combinations x {self.columns:,} columns warmed in {self.seconds:.3g} s"
        if not self.kept:
            parts.append("not all of it could be kept: cache.report() may say why")
        return "; ".join([head, *parts])


class WarmJob:
    """Warming on a thread of its own; the end of the process ends it, and what was finished by then stays kept."""

    def __init__(
        self, work: Callable[[Callable[[int, int], None]], Warmed], tell: Callable[[int, int], object] | None = None
    ) -> None:
        self._tell = tell
        self._future: Future[Warmed] = Future()
        self._progress = 0.0
        self._stop = threading.Event()
        self._work = work
        # A daemon: the end of the process takes joblib's workers away, for which it would wait in vain.
        self._thread = threading.Thread(target=self._run, name="atc_plugin warm", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def _run(self) -> None:
        try:
            warmed = self._work(self._watch)
        except CancelledError:
            self._future.cancel()
            self._future.set_running_or_notify_cancel()
        except BaseException as fault:
            self._future.set_exception(fault)
        else:
            self._progress = 1.0
            self._future.set_result(warmed)
        finally:
            atexit.unregister(self._end)

    def _end(self) -> None:
        """With the process: what is in progress may still be finished."""
        self._stop.set()
        self._thread.join(_GRACE)

    def _watch(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise CancelledError
        self._progress = done / max(total, 1)
        if self._tell is not None:
            self._tell(done, total)

    @property
    def progress(self) -> float:
        """The share that is done, 0 to 1."""
        return self._progress

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._future.done()

    def cancelled(self) -> bool:
        """Whether it was ended by `cancel`."""
        return self._future.cancelled()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, so many seconds at most; whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def result(self, timeout: float | None = None) -> Warmed:
        """What was done, once it is; raises what warming raised, CancelledError, or TimeoutError."""
        return self._future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What warming raised, once it has ended; None where all went well."""
        return self._future.exception(timeout)

    def cancel(self) -> bool:
        """End it after what is in progress, a column's components or a block of combinations, and wait for that.

        What is finished stays kept. False if it had ended.
        """
        if self._future.done():
            return False
        self._stop.set()
        self._thread.join()
        return self._future.cancelled()

    def __repr__(self) -> str:
        state = f"{self.progress:.0%}"
        if self.done():
            state = "cancelled" if self.cancelled() else "failed" if self.exception() else "done"
        return f"<WarmJob {state}>"
