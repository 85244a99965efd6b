"""The disk level as the store uses it: kept to its limits, and what goes wrong is told, never raised."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from .backend import Found
from .disk import Disk
from .faults import FAULTS, Faults
from .limits import Limits, Pruned
from .statistics import Statistics

_SLOW = 0.05  # seconds, from which on a fault takes too long to be had at every look
_REST = 50  # times as long as it took, the disk is not asked


class Guarded:
    """A disk whose faults are misses, and that is pruned when it has grown too large.

    Args:
        disk: where things are kept.
        size_limit: bytes, None for any number.
        ttl: seconds that an item is good for, None for ever.
        codec: how files are compressed.
        statistics: where puts and evictions are counted.
        faults: told of each.
    """

    def __init__(
        self,
        disk: Disk,
        size_limit: int | None,
        ttl: float | None,
        codec: str | None,
        statistics: Statistics,
        faults: Faults,
    ) -> None:
        self._disk, self._ttl, self._codec, self._statistics, self._faults = disk, ttl, codec, statistics, faults
        self._limits = Limits(
            disk,
            size_limit,
            ttl,
            lambda kind, nbytes, hot: statistics.evicted("disk", kind, nbytes, hot),
            lambda fault: faults.tell("disk", "prune", fault),
        )
        self._rests_until = 0.0

    def get(self, key: str) -> Found | str:
        """What is kept, or the reason why there is nothing."""
        started = time.monotonic()
        if started < self._rests_until:
            return "never stored"
        try:
            found = self._disk.get(key, self._ttl)
        except FAULTS as fault:
            self._faults.tell("disk", "read", fault)
            took = time.monotonic() - started
            if took > _SLOW:
                self._rests_until = started + _REST * took
            return "never stored"
        if found == "damaged":
            self._faults.tell("disk", "read", f"an item was damaged and is removed; its key was {key!r}")
        return found

    def contains(self, key: str) -> bool:
        """Whether something is kept."""
        try:
            return self._disk.contains(key, self._ttl)
        except FAULTS as fault:
            self._faults.tell("disk", "look up", fault)
            return False

    def put(
        self, key: str, array: NDArray[Any], kind: str, seconds: float | None, created: float | None = None
    ) -> None:
        """Keep an array."""
        started = time.perf_counter()
        try:
            nbytes = self._disk.put(key, array, kind, seconds, self._codec, created)
        except FAULTS as fault:
            self._faults.tell("disk", "write", fault)
            return
        self._statistics.put("disk", kind, nbytes, time.perf_counter() - started)
        self._rests_until = 0.0
        with self._telling_of_pruning():
            self._limits.written(nbytes)

    def prune(self) -> Pruned:
        """Bring it within its limits now."""
        done = Pruned(0, 0, 0, 0)
        with self._telling_of_pruning():
            done = self._limits.prune()
        return done

    def forget(self) -> None:
        """Look anew at how much is there."""
        self._limits.forget()

    @contextlib.contextmanager
    def _telling_of_pruning(self) -> Iterator[None]:
        try:
            yield
        except FAULTS as fault:
            self._faults.tell("disk", "prune", fault)
