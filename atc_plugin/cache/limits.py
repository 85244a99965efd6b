"""Size and age of what is on disk, kept to their limits by the use that we recorded ourselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from .disk import Disk, Entry, is_expired
from .payload import Damaged

_ROOM = 0.9
"""What is left after pruning, as a part of the limit, so that it is not done again at once."""

_HOT = 3600.0
"""Seconds: what was used within them is missed."""

_RECOUNT = 600.0
"""Seconds after which other processes' writing, and age, is looked at again."""

_AGAIN = 60.0
"""Seconds until pruning is tried again where it did not help, for files that may not be removed."""


class Pruned(NamedTuple):
    """What pruning did."""

    removed: int  # items
    nbytes: int  # of them
    temporary: int  # files that killed writers had left
    kept: int  # bytes that are left


class Limits:
    """Prunes a directory where what is written makes it too large.

    Args:
        disk: what is kept to its limits.
        size_limit: bytes, None for no limit.
        ttl: seconds since an item was computed, None for no limit.
        tell: called with (kind, bytes, whether it was used within the last hour) of each that goes for lack of room.
        fault: called with what stands against removing a file.
    """

    def __init__(
        self,
        disk: Disk,
        size_limit: int | None,
        ttl: float | None,
        tell: Callable[[str, int, bool], object] = lambda kind, nbytes, hot: None,
        fault: Callable[[OSError], object] = lambda fault: None,
    ) -> None:
        self._disk, self._size_limit, self._ttl = disk, size_limit, ttl
        self._tell, self._fault = tell, fault
        self._nbytes: int | None = None  # on disk, as far as this process knows
        self._counted = 0.0
        self._not_before = 0.0

    def written(self, nbytes: int) -> None:
        """So many bytes were written: prune if that is too much. Raises OSError."""
        if self._size_limit is None and self._ttl is None:
            return
        now = time.monotonic()
        if self._nbytes is None or now - self._counted > _RECOUNT:
            self._nbytes, self._counted = sum(entry.nbytes for entry in self._disk.entries()), now
            is_due = self._ttl is not None
        else:
            self._nbytes += nbytes
            is_due = False
        is_due |= self._size_limit is not None and self._nbytes > self._size_limit
        if is_due and now >= self._not_before:
            self._not_before = now + _AGAIN
            self.prune()

    def prune(self) -> Pruned:
        """Remove what is too old, then what was longest unused until the rest fits; OSError if nothing can be listed.

        Any number of processes may do this at once: an item that was used or replaced in the meantime stays.
        """
        now = time.time()
        entries = sorted(self._disk.entries(), key=lambda entry: entry.used)
        kept = sum(entry.nbytes for entry in entries)
        removed = nbytes = 0
        limit = self._size_limit
        target = kept if limit is None or kept <= limit else int(limit * _ROOM)
        for entry in entries:
            too_much = kept > target
            if not too_much and self._ttl is None:
                break
            is_old = self._is_old(entry)
            if not (too_much or is_old):
                continue
            kind = _kind(entry)
            try:
                if not entry.remove():
                    continue
            except FileNotFoundError:  # another process prunes, too
                kept -= entry.nbytes
                continue
            except OSError as fault:
                self._fault(fault)
                continue
            removed += 1
            nbytes += entry.nbytes
            kept -= entry.nbytes
            if not is_old:
                self._disk.evicted.add([entry.name])
                self._tell(kind, entry.nbytes, now - entry.used < _HOT)
        self._nbytes = kept
        if limit is None or kept <= limit:
            self._not_before = 0.0
        return Pruned(removed, nbytes, self._disk.sweep_temporary(), kept)

    def forget(self) -> None:
        """Look anew at what is there."""
        self._nbytes = None

    def _is_old(self, entry: Entry) -> bool:
        """Whether it is too old; not where that cannot be told."""
        if self._ttl is None:
            return False
        with contextlib.suppress(OSError, Damaged):
            return is_expired(entry.note().created, self._ttl)
        return False


def _kind(entry: Entry) -> str:
    with contextlib.suppress(OSError, Damaged):
        return entry.note().kind
    return "array"
