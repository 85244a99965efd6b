"""Arrays by key on disk, over `joblib.Memory`."""

from __future__ import annotations

import logging
import os
from enum import Enum
from typing import Any, Final

import joblib
from numpy.typing import NDArray

log = logging.getLogger("atc_plugin")
log.addHandler(logging.NullHandler())


class Missing(Enum):
    """The type of `MISSING`, which is false."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""What `Store.get` gives where nothing is kept."""


def default_directory() -> str:
    """Where things are kept if nobody says where: `ATC_CACHE_DIR`, or the platform's folder for caches."""
    if asked := os.environ.get("ATC_CACHE_DIR"):
        return asked
    from platformdirs import user_cache_dir

    return user_cache_dir("atc_plugin", appauthor=False)


def _kept_1(key: str, value: NDArray[Any] | None = None) -> NDArray[Any]:
    """What joblib.Memory remembers. Frozen: its source is part of the cache, so a new format takes a new name."""
    if value is None:
        raise KeyError(key)
    return value


class Store:
    """Arrays kept under a directory, each by a key that says all that it depends on.

    Any number of processes may use one directory. A fault of the disk never fails a computation: what cannot be read
    is missing, what cannot be written is not kept, and both are logged.

    The items are joblib's, pickles among them: use a directory that only people you trust can write to.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     store = Store(directory)
    ...     store.put("a key", np.arange(3.0))
    ...     store.contains("a key"), store.get("a key"), store.get("another")
    (True, array([0., 1., 2.]), <Missing.MISSING: 'missing'>)
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self._kept: Any = None
        try:
            # The key alone is hashed. With an array given `_kept_1` is a `put`; without, a `get` that never computes.
            self._kept = joblib.Memory(self.directory, verbose=0).cache(_kept_1, ignore=["value"])
        except OSError as fault:
            log.warning("cache: nothing can be kept in %s: %r", self.directory, fault)
        self.contains("")  # writes joblib's record of the source, without which the first `get` would miss

    def contains(self, key: str) -> bool:
        """Whether something is kept under this key, without reading it."""
        if self._kept is None:
            return False
        try:
            return bool(self._kept.check_call_in_cache(key))
        except Exception as fault:
            log.warning("cache: cannot look up in %s: %r", self.directory, fault)
            return False

    def get(self, key: str) -> NDArray[Any] | Missing:
        """The array kept under this key, or `MISSING`."""
        if not self.contains(key):
            return MISSING
        try:
            found: NDArray[Any] = self._kept(key)
        except Exception as fault:  # joblib lets through whatever a damaged item raises
            log.warning("cache: cannot read from %s: %r", self.directory, fault)
            return MISSING
        return found

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep an array under this key."""
        if self._kept is None:
            return
        try:
            self._kept.call(key, array)
            if not self.contains(key):  # joblib warns of a full disk and goes on
                raise OSError("joblib could not write it")
        except Exception as fault:
            log.warning("cache: cannot write to %s: %r", self.directory, fault)
