"""Work done behind the caller's back: in order, on one thread, and finished before the process ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .forking import anew_in_forks

_MOST = 256 * 2**20
"""Bytes that may wait."""

_PRESSING = 64 * 2**20
"""Bytes from which on nothing waits for a better moment."""

_PAUSE = 0.3
"""Seconds that leisurely work waits for: what computes now is done then, more often than not."""

_LINGER = 1.0
"""Seconds for which the thread waits for more: starting one takes a tenth of a millisecond."""


class _Job(NamedTuple):
    work: Callable[[], None]
    nbytes: int
    due: float


class Behind:
    """A queue of work and a thread that appears when there is some.

    Work tells of its faults itself: an exception that it lets out is let go.
    """

    def __init__(self) -> None:
        self.begin_anew()
        anew_in_forks(self)  # the thread stays with the parent, and so does its work
        _all.add(self)

    def begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._nbytes = 0  # of the jobs, and of the one in work
        self._added = self._done = 0  # how many ever
        self._worker: int | None = None  # which thread is at a piece of work; one at a time
        self._thread: threading.Thread | None = None
        self._is_to_end = False  # the thread, instead of waiting for more

    def add(self, work: Callable[[], None], nbytes: int, *, leisurely: bool) -> bool:
        """Queue work; False where too much is waiting already.

        Leisurely work is dropped then, and begins a moment later otherwise; other work waits for room. When the
        interpreter is ending, work is done at once.
        """
        while True:
            with self._changed:
                if not self._is_full(nbytes):
                    self._jobs.append(_Job(work, nbytes, time.monotonic() + (_PAUSE if leisurely else 0.0)))
                    self._nbytes += nbytes
                    self._added += 1
                    self._have_it_done(leisurely)
                    break
                if leisurely:
                    return False
                if self._thread is not None or self._worker is not None:
                    self._changed.wait(0.1)
                    continue
            self._do_one()  # nobody else will
        if _is_ending:
            self.flush()
        return True

    def _is_full(self, nbytes: int) -> bool:
        """Whether to wait for room; work that adds work would wait for itself."""
        return bool(self._jobs) and self._nbytes + nbytes > _MOST and self._worker != threading.get_ident()

    def _have_it_done(self, leisurely: bool) -> None:
        self._is_to_end = False
        if self._thread is not None:
            if not leisurely or self._nbytes >= _PRESSING or len(self._jobs) == 1:
                self._changed.notify_all()
            return
        if _is_ending:
            return
        _finish_with_process()
        self._thread = threading.Thread(target=self._run, name="atc_plugin cache", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # there are too many, or the interpreter is about to end: `flush` will do it
            self._thread = None

    def flush(self) -> None:
        """Return when all that waits now is done; does it in this thread where no other is at it."""
        with self._changed:
            until = self._added
        while True:
            with self._changed:
                if self._worker == threading.get_ident():
                    return  # work cannot wait for itself
                while self._worker is not None and self._done < until:
                    self._changed.wait(0.1)
                if self._done >= until:
                    thread = None if self._jobs else self._thread
                    self._is_to_end = not self._jobs
                    self._changed.notify_all()
                    break
            self._do_one()
        if thread is not None:
            thread.join(1.0)  # it has nothing left to do

    def _do_one(self) -> None:
        """The next piece of work, unless another thread is at one or there is none."""
        with self._changed:
            if self._worker is not None or not self._jobs:
                return
            job = self._jobs.popleft()
            self._worker = threading.get_ident()
        try:
            with contextlib.suppress(Exception):
                job.work()
        finally:
            with self._changed:
                self._worker = None
                self._done += 1
                self._nbytes -= job.nbytes
                self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._jobs:
                    if not self._is_to_end and self._changed.wait(_LINGER):
                        continue
                    if not self._jobs:
                        self._thread = None
                        return
                wait = self._jobs[0].due - time.monotonic()
                if self._worker is not None or (wait > 0 and self._nbytes < _PRESSING):
                    self._changed.wait(max(wait, 0.01))
                    continue
            self._do_one()


_all: weakref.WeakSet[Behind] = weakref.WeakSet()
_is_ending = False
_finishing = 0  # the process that multiprocessing will have finished


def flush_all() -> None:
    """Finish all work of this process."""
    for each in list(_all):
        each.flush()


def _finish_with_process() -> None:
    """Have the work of a process of multiprocessing finished, too: those that were forked leave out `atexit`."""
    global _finishing
    processes = sys.modules.get("multiprocessing.process")
    if _finishing == os.getpid() or processes is None or processes.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    _finishing = os.getpid()
    Finalize(None, flush_all, exitpriority=1)


@atexit.register
def _finish() -> None:
    """Finish all work, and do what other handlers add from now on at once: there will be no later."""
    global _is_ending
    _is_ending = True
    flush_all()
