"""Arrays by key in levels: this process's memory, the disk, and a server that machines share."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from ..law import VERSION
from .backend import MAPPED, Found
from .disk import Disk
from .faults import Faults
from .guarded import Guarded
from .limits import Pruned
from .payload import require_codec, require_plain
from .recent import Recent, as_read_only
from .shared import Shared
from .sharing import Sharing
from .statistics import Statistics
from .waiting import Make, Waiting
from .worth import Worth

SIZE_LIMIT = 2 * 10**9
RECENT = 64 * 2**20


class Missing(Enum):
    """The type of `MISSING`, which is false."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""What `Store.get` gives where nothing is kept."""


class Looked(NamedTuple):
    """What was found under a key."""

    level: str  # "recent", "waiting", "disk" or "shared"; empty where there is nothing
    array: NDArray[Any] | None  # not to be written to
    reason: str  # why there is nothing
    seconds: float  # that looking took


class Store:
    """Arrays kept under a directory, each by a key that says all that it depends on.

    Any number of threads and processes may use one directory. A fault never fails a computation: what cannot be read
    is missing, what cannot be written is not kept, and both are counted and logged. Files are plain arrays with a
    checksum; nothing that lies there is ever executed.

    Args:
        directory: where files lie; made when it is first used.
        size_limit: bytes on disk, None for any number.
        ttl: seconds that an item is good for, None for ever.
        shared: a Redis server, "redis://host:port/db".
        compress: None or "zstd".
        recent: bytes held in memory.
        policy: which of these go first: "lru", "lfu" or "ttl".
        version: of what computes the arrays; items of another version are never given.
        statistics: where to count; anew by default.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     store = Store(directory)
    ...     store.put("a key", np.arange(3.0))
    ...     store.contains("a key"), store.get("a key"), store.get("another")
    (True, array([0., 1., 2.]), <Missing.MISSING: 'missing'>)
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        size_limit: int | None = SIZE_LIMIT,
        ttl: float | None = None,
        shared: str | None = None,
        compress: str | None = None,
        recent: int = RECENT,
        policy: str = "lru",
        version: str = VERSION,
        statistics: Statistics | None = None,
    ) -> None:
        if size_limit is not None and not size_limit >= 0:
            raise ValueError(f"size_limit must be a number of bytes, or None; got {size_limit!r}")
        if ttl is not None and not 0 < ttl < math.inf:
            raise ValueError(f"ttl must be a number of seconds above 0, or None; got {ttl!r}")
        if not recent >= 0:
            raise ValueError(f"recent must be a number of bytes; got {recent!r}")
        require_codec(compress)
        self.directory = os.path.abspath(os.fsdecode(directory))  # noqa: PTH100  # a later chdir must not move it
        self._given: dict[str, Any] = {
            "directory": self.directory,
            "size_limit": size_limit,
            "ttl": ttl,
            "shared": shared,
            "compress": compress,
            "recent": recent,
            "policy": policy,
            "version": version,
        }
        self.size_limit = size_limit
        self.ttl = ttl
        self._is_of_others = False
        self.statistics = Statistics() if statistics is None else statistics
        self.recent = Recent(recent, policy, ttl, lambda kind, nbytes: self.statistics.evicted("recent", kind, nbytes))
        self.disk = Disk(self.directory, version)
        self._faults = Faults(self.statistics, self.directory)
        self._guarded = Guarded(self.disk, size_limit, ttl, compress, self.statistics, self._faults)
        self._sharing = None
        if shared is not None:
            self._sharing = Sharing(Shared(shared), self.disk, ttl, compress, self.statistics, self._faults)
        self._waiting = Waiting(lambda fault: self._faults.tell("disk", "write", fault))
        self._worth = Worth(self.disk)

    def __reduce__(self) -> Any:
        return functools.partial(Store, **self._given), ()

    def __repr__(self) -> str:
        return f"Store({self.directory!r})"

    # ------------------------------------------------------------ reading
    def get(self, key: str, kind: str = "array", *, deep: bool = True) -> NDArray[Any] | Missing:
        """The array kept under this key, read-only, or `MISSING`.

        Args:
            key: what was given to `put`.
            kind: for the statistics.
            deep: whether to look further than this process's memory.
        """
        looked = self.look(key, kind, deep=deep)
        self.count(looked, kind)
        return MISSING if looked.array is None else looked.array

    def get_many(self, requests: Sequence[Sequence[str]], kind: str = "array") -> list[NDArray[Any] | Missing]:
        """What many requests find, in their order, each of which any of its keys will do for, the first best.

        A shared server is asked once for all of them.
        """
        all_looked = self.look_many(requests, kind)
        for looked in all_looked:
            self.count(looked, kind)
        return [MISSING if looked.array is None else looked.array for looked in all_looked]

    def look(self, key: str, kind: str = "array", *, deep: bool = True) -> Looked:
        """As `get`, for who counts it himself."""
        started = time.perf_counter()
        array = None if self._is_of_others else self.recent.get(key)
        if array is not None:
            return Looked("recent", array, "", time.perf_counter() - started)
        if deep or self._waiting:
            return self.look_many([(key,)], kind, deep)[0]
        return Looked("", None, self._why(key, "never stored"), time.perf_counter() - started)

    def look_many(self, requests: Sequence[Sequence[str]], kind: str = "array", deep: bool = True) -> list[Looked]:
        """As `get_many`, for who counts it himself."""
        found = [self._near(keys, kind, deep) for keys in requests]
        if deep and self._sharing is not None:
            self._ask_far(requests, kind, found)
        return found

    def read_kept(self, key: str) -> NDArray[Any] | None:
        """What other processes would find under this key; counts as nothing, and is not held in memory."""
        found = self._guarded.get(key)
        if isinstance(found, str) and self._sharing is not None:
            (found,) = self._sharing.get_many([key])
        return None if isinstance(found, str) else found.array

    def is_kept(self, key: str) -> bool:
        """Whether other processes would find something under this key, without reading it."""
        return self._guarded.contains(key) or (self._sharing is not None and self._sharing.contains(key))

    def of_others(self) -> Store:
        """This store as other processes find it: what is in memory alone is not there, and looks are not counted.

        What it writes is counted.
        """
        same = object.__new__(Store)
        same.__dict__.update(self.__dict__, _is_of_others=True)
        return same

    def count(self, looked: Looked, kind: str) -> None:
        """Put what a look has found into the statistics."""
        if self._is_of_others:
            return
        if looked.array is None:
            self.statistics.miss(kind, looked.reason, looked.seconds)
        else:
            self.statistics.hit(looked.level, kind, looked.array.nbytes, looked.seconds)

    def _near(self, keys: Sequence[str], kind: str, deep: bool) -> Looked:
        """What this machine has of the first of these keys that it has; otherwise the first reason there is."""
        started = time.perf_counter()
        reason = "never stored"
        for key in keys:
            level, found = self._nearest(key, kind, deep)
            if not isinstance(found, str):
                return Looked(level, found, "", time.perf_counter() - started)
            if reason == "never stored":
                reason = self._why(key, found)
        return Looked("", None, reason, time.perf_counter() - started)

    def _nearest(self, key: str, kind: str, deep: bool) -> tuple[str, NDArray[Any] | str]:
        """What this machine has: the level and the array, or why there is none."""
        array = None if self._is_of_others else self.recent.get(key)
        if array is not None:
            return "recent", array
        try:
            array = None if self._is_of_others else self._waiting.get(key)
        except Exception as fault:  # of whatever makes it
            self._faults.tell("waiting", "read", fault)
        if array is not None:
            return "waiting", array
        found = self._guarded.get(key) if deep else "never stored"
        if isinstance(found, str):
            return "", found
        if found.note.codec or found.nbytes < MAPPED:  # what is mapped is in memory anyhow
            self._remember(key, found, kind)
        return "disk", found.array

    def _remember(self, key: str, found: Found, kind: str) -> None:
        self.recent.put(key, found.array, kind, max(time.time() - found.note.created, 0.0))

    def _ask_far(self, requests: Sequence[Sequence[str]], kind: str, looked: list[Looked]) -> None:
        """Ask the shared server for all that is missing at once, and fill the levels above with what it has."""
        assert self._sharing is not None
        asked = [(place, key) for place, keys in enumerate(requests) if looked[place].array is None for key in keys]
        if not asked:
            return
        started = time.perf_counter()
        answers = self._sharing.get_many([key for _, key in asked])
        each = (time.perf_counter() - started) / len(asked)
        for (place, key), found in zip(asked, answers, strict=True):
            before = looked[place]
            if before.array is not None:  # an earlier key did
                continue
            seconds = before.seconds + each
            if isinstance(found, str):
                reason = before.reason if found == "never stored" else found
                looked[place] = Looked("", None, reason, seconds)
                continue
            looked[place] = Looked("shared", found.array, "", seconds)
            self._remember(key, found, kind)
            self._fill_disk(key, found, kind)

    def _fill_disk(self, key: str, found: Found, kind: str) -> None:
        """Have what the server had written to disk, unless too much waits."""

        def write(array: Make) -> None:
            self._guarded.put(key, array(), kind, found.note.seconds, found.note.created)

        self._waiting.add(key, lambda: found.array, found.array.nbytes, write, leisurely=True)

    def _why(self, key: str, reason: str) -> str:
        return "not worth storing" if reason == "never stored" and self._worth.was_declined(key) else reason

    def contains(self, key: str) -> bool:
        """Whether something is kept under this key in any level, without reading it."""
        if key in self._waiting or self.recent.contains(key) or self._guarded.contains(key):
            return True
        return self._sharing is not None and self._sharing.contains(key)

    # ------------------------------------------------------------ writing
    def put(
        self,
        key: str,
        array: NDArray[Any],
        kind: str = "array",
        *,
        seconds: float | None = None,
        if_worth: bool = False,
        is_owned: bool = False,
    ) -> None:
        """Keep an array under this key.

        Args:
            key: says all that the array depends on.
            array: of any plain dtype.
            kind: for the statistics.
            seconds: that it took to compute.
            if_worth: keep it on disk only if that is longer than it takes to write and read it, and write it later, at
                the latest when the process ends; otherwise it is written when this returns.
            is_owned: nobody will write to the array any more, so it need not be copied.

        Raises:
            TypeError: for an array of Python objects.
        """
        require_plain(array.dtype)
        is_short = if_worth and self._worth.is_too_cheap(array.nbytes, seconds)
        if not is_short or self.recent.takes(array.nbytes):
            array = as_read_only(array, is_owned)
            self.recent.put(key, array, kind)
        if is_short:
            self._decline(key, kind, array.nbytes)
        elif if_worth:
            self._later(key, lambda: array, array.nbytes, kind, seconds, if_worth=True)
        else:
            self._waiting.drop(key)
            self._write(key, array, kind, seconds)

    def put_later(
        self,
        key: str,
        make: Make,
        nbytes: int,
        kind: str = "array",
        *,
        seconds: float | None = None,
        if_worth: bool = False,
    ) -> None:
        """Keep an array of so many bytes that `make` will give, at the latest when the process ends.

        With `if_worth`, as for `put`, also only if not too much waits to be written; otherwise this waits.
        """
        if if_worth and self._worth.is_too_cheap(nbytes, seconds):
            self._decline(key, kind, nbytes)
        else:
            self._later(key, make, nbytes, kind, seconds, if_worth=if_worth)

    def _later(self, key: str, make: Make, nbytes: int, kind: str, seconds: float | None, *, if_worth: bool) -> None:
        def write(made: Make) -> None:
            if if_worth and not self._worth.is_worth(nbytes, seconds):
                self._decline(key, kind, nbytes)
                return
            array = made()
            self.recent.put(key, array, kind)
            self._write(key, array, kind, seconds)

        if not self._waiting.add(key, make, nbytes, write, leisurely=if_worth):
            self._decline(key, kind, nbytes)

    def _write(self, key: str, array: NDArray[Any], kind: str, seconds: float | None) -> None:
        self._worth.accept(key)
        self._guarded.put(key, array, kind, seconds)
        if self._sharing is not None:
            self._sharing.put(key, array, kind, seconds)

    def _decline(self, key: str, kind: str, nbytes: int) -> None:
        self._worth.decline(key)
        self.statistics.declined(kind, nbytes)

    def flush(self) -> None:
        """Return when everything that waits to be written is."""
        self._waiting.flush()

    def forget(self) -> None:
        """Let go what is in memory."""
        self.recent.clear()
        self._worth.forget()
        self._guarded.forget()

    def clear_shared(self) -> None:
        """Remove what the shared server keeps of ours. Raises OSError."""
        if self._sharing is not None:
            self._sharing.server.clear()

    def prune(self) -> Pruned:
        """Bring the disk level within its limits, and remove what killed writers left."""
        return self._guarded.prune()
