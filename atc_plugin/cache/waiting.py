"""What is still to be written: found like anything else that is kept, and written behind the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from .behind import Behind
from .forking import anew_in_forks
from .recent import as_read_only

Make = Callable[[], NDArray[Any]]


class Waiting:
    """Arrays by key that wait to be written, each made when it is first needed.

    Args:
        tell: called with what a writer raises.
    """

    def __init__(self, tell: Callable[[Exception], object]) -> None:
        self._tell = tell
        self._behind = Behind()
        self.begin_anew()
        anew_in_forks(self)  # the parent will write it

    def begin_anew(self) -> None:
        self._arrays: dict[str, _Once] = {}

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def get(self, key: str) -> NDArray[Any] | None:
        """The array of a key, read-only; raises what making it does."""
        array = self._arrays.get(key)
        return None if array is None else array()

    def add(self, key: str, make: Make, nbytes: int, write: Callable[[Make], object], *, leisurely: bool) -> bool:
        """Have an array of so many bytes written by `write`, in place of what waits under this key.

        Leisurely, it may be dropped where too much waits, which gives False; otherwise this waits for room.
        """
        array = self._arrays[key] = _Once(make)

        def work() -> None:
            if self._arrays.get(key) is not array:
                return
            try:
                write(array)
            except Exception as fault:  # such as too little memory: what cannot be kept fails nothing
                self._tell(fault)
            finally:
                self._remove(key, array)

        if self._behind.add(work, nbytes, leisurely=leisurely):
            return True
        self._remove(key, array)
        return False

    def drop(self, key: str) -> None:
        """Write no more what waits under this key."""
        self._arrays.pop(key, None)

    def flush(self) -> None:
        """Return when all that waits now is written."""
        self._behind.flush()

    def _remove(self, key: str, array: _Once) -> None:
        if self._arrays.get(key) is array:  # not a later one
            self._arrays.pop(key, None)


class _Once:
    """Makes an array when it is first asked for, and gives it to whoever asks, not to be written to."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: NDArray[Any] | None = None

    def __call__(self) -> NDArray[Any]:
        with self._lock:
            if self._made is None:
                self._made = as_read_only(self._make(), True)
            return self._made
