"""The level in this process's memory: what was used lately, bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import cachetools
import numpy as np
from numpy.typing import NDArray

from .forking import anew_in_forks

POLICIES = ("lru", "lfu", "ttl")

_SHARE = 4  # an array of more than this part of the room would push out too much
_EXTRA = 200  # bytes that a key and its places take


class Held(NamedTuple):
    """An array in memory."""

    array: NDArray[Any]  # not to be written to
    kind: str
    since: float  # by the monotonic clock: when it was computed, as far as we know


class Recent:
    """Arrays by key, the least wanted of which go when there is no room; for any number of threads.

    Args:
        room: bytes; 0 keeps nothing.
        policy: which goes first: "lru" the one longest unused, "lfu" the one least often used, "ttl" the oldest.
        ttl: seconds after which an array is not given any more, whatever the policy.
        tell: called with (kind, bytes) of each array that had to go for lack of room.
    """

    def __init__(
        self,
        room: int,
        policy: str = "lru",
        ttl: float | None = None,
        tell: Callable[[str, int], object] = lambda kind, nbytes: None,
    ) -> None:
        self.room = room
        self._policy, self._ttl, self._tell = policy, ttl, tell
        self.begin_anew()
        anew_in_forks(self)

    def begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._held = _made(self._policy, self.room, self._ttl, self._tell)

    def get(self, key: str) -> NDArray[Any] | None:
        """The array of a key, read-only."""
        with self._lock:
            try:
                held: Held = self._held.peek(key) if self._policy == "ttl" else self._held[key]
            except KeyError:
                return None
            if self._is_good(held):
                return held.array
            self._held.pop(key, None)
            return None

    def contains(self, key: str) -> bool:
        """Whether `get` would give something; counts as no use."""
        with self._lock:
            return key in self._held and self._is_good(self._held.peek(key))

    def _is_good(self, held: Held) -> bool:
        return self._ttl is None or time.monotonic() - held.since <= self._ttl

    def takes(self, nbytes: int) -> bool:
        """Whether an array of this size is kept at all."""
        return (nbytes + _EXTRA) * _SHARE <= self.room

    def put(self, key: str, array: NDArray[Any], kind: str, age: float = 0.0) -> None:
        """Hold an array that nobody writes to, computed `age` seconds ago."""
        if self.takes(array.nbytes):
            array = array.view()
            array.flags.writeable = False
            with self._lock:
                self._held[key] = Held(array, kind, time.monotonic() - age)

    def remove(self, key: str) -> None:
        """Forget one."""
        with self._lock:
            self._held.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._held.clear()

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        with self._lock:
            return int(self._held.currsize)

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)


def _size(held: Held) -> int:
    return held.array.nbytes + _EXTRA


def _made(policy: str, room: int, ttl: float | None, tell: Callable[[str, int], object]) -> Any:
    """A cache of cachetools that tells what has to go, and with `peek`, which counts as no use."""

    def told(of: Any) -> Any:
        class Telling(of):  # type: ignore[misc]
            def popitem(self) -> tuple[str, Held]:
                key, held = super().popitem()
                tell(held.kind, held.array.nbytes)
                return key, held

            def peek(self, key: str) -> Held:
                held: Held = cachetools.Cache.__getitem__(self, key)
                return held

        return Telling

    if policy == "lru":
        return told(cachetools.LRUCache)(room, getsizeof=_size)
    if policy == "lfu":
        return told(cachetools.LFUCache)(room, getsizeof=_size)
    if policy == "ttl":
        if ttl is None:
            raise ValueError('the policy "ttl" needs a ttl')
        return told(cachetools.TTLCache)(room, ttl, time.monotonic, getsizeof=_size)
    raise ValueError(f"policy must be one of {', '.join(map(repr, POLICIES))}; got {policy!r}")


def as_read_only(array: NDArray[Any], is_owned: bool) -> NDArray[Any]:
    """The array if nobody else writes to it, otherwise a copy."""
    kept = array.view() if is_owned else np.array(array, order="C")
    kept.flags.writeable = False
    return kept
