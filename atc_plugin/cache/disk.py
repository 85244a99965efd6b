"""The disk level: items over `joblib.Memory`, each a file of its own that `payload` describes.

joblib finds the place of an item by its key, the one argument of a frozen function that it hashes; our store backend
says what a file looks like.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import joblib
from numpy.typing import NDArray

from .backend import BACKEND, SUFFIX, Found, Item, NpyBackend, kept_1
from .name_log import NameLog
from .naming import name_of
from .payload import Damaged, Note, Unreadable, encode, read_note

_TOUCH = 60.0  # seconds in which an item's use is recorded once
_ABANDONED = 3600.0  # seconds after which a temporary file has no writer any more
_JOBLIBS = re.compile(r"func_code\.py\.[0-9a-f]{32}-.*")  # joblib's own temporary files
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Entry(NamedTuple):
    """A file of the level."""

    name: str
    path: str
    nbytes: int
    used: float  # seconds since the epoch, as we recorded it

    def note(self) -> Note:
        """What is noted in it; raises OSError or Damaged."""
        with open(self.path, "rb") as file:  # noqa: PTH123
            return read_note(file, self.nbytes)

    def remove(self) -> bool:
        """Remove the file unless it was used or replaced since it was listed; raises OSError, also if it is gone."""
        now = os.stat(self.path)  # noqa: PTH116
        if now.st_mtime != self.used or now.st_size != self.nbytes:
            return False
        os.unlink(self.path)  # noqa: PTH108
        return True


class Disk:
    """Arrays under a directory, for any number of processes and versions of what computes them.

    Methods raise OSError where the disk does not do what it should, and Unreadable for a codec that is not installed.
    """

    def __init__(self, directory: str, version: str) -> None:
        if not _VERSION.fullmatch(version):
            raise ValueError(f"version must be of letters, digits and the signs . _ + -; got {version!r}")
        self.directory = directory
        self.version = version
        self.evicted = NameLog(os.path.join(directory, "evicted"))  # noqa: PTH118
        self.warmed = NameLog(os.path.join(directory, "warmed"))  # noqa: PTH118
        self.beginnings = NameLog(os.path.join(directory, "beginnings"))  # noqa: PTH118
        self._kept: Any = None
        self._used: dict[str, float] = {}
        self._others: tuple[int, tuple[str, ...]] = (-1, ())
        self._is_declared = False

    # ------------------------------------------------------------ places
    def _function(self) -> Any:
        """joblib's memorized function; made at first use, which makes the directory."""
        if self._kept is None:
            memory = joblib.Memory(self.directory, backend=BACKEND, verbose=0)
            self._kept = memory.cache(kept_1, ignore=["value"])
        return self._kept

    def _call_id(self, key: str, version: str | None = None) -> tuple[str, str]:
        return self._function().func_id, self.name(key, version)

    def name(self, key: str, version: str | None = None) -> str:
        """What joblib calls the item of a key, 32 hexadecimal digits."""
        return name_of(self.full(key, version))

    def full(self, key: str, version: str | None = None) -> str:
        """The key that joblib is given: the version belongs to it."""
        return f"{version or self.version} {key}"

    @property
    def _folder(self) -> str:
        """Where all files lie."""
        return os.path.join(self.directory, "joblib", self._function().func_id)  # noqa: PTH118

    @property
    def _backend(self) -> NpyBackend:
        backend: NpyBackend = self._function().store_backend
        return backend

    # ------------------------------------------------------------ items
    def contains(self, key: str, ttl: float | None = None) -> bool:
        """Whether there is a file of this key that is not too old."""
        call_id = self._call_id(key)
        if not self._backend.contains_item(call_id):
            return False
        if ttl is None:
            return True
        path = self._backend.path(call_id)
        try:
            return not is_expired(Entry("", path, os.stat(path).st_size, 0.0).note().created, ttl)  # noqa: PTH116
        except (FileNotFoundError, Damaged):
            return False

    def get(self, key: str, ttl: float | None) -> Found | str:
        """What is kept, or the reason why there is nothing."""
        call_id = self._call_id(key)
        try:
            found = self._backend.read(call_id)
        except FileNotFoundError:
            return self._why_missing(key, call_id[1])
        except Damaged:
            return "damaged"
        if found.note.key != self.full(key):  # it was moved here
            with contextlib.suppress(OSError):
                self._backend.clear_item(call_id)
            return "damaged"
        if is_expired(found.note.created, ttl):
            return "expired"
        self._record_use(call_id)
        return found

    def _why_missing(self, key: str, name: str) -> str:
        if name in self.evicted:
            return "evicted"
        for version in self._other_versions():
            if self._backend.contains_item(self._call_id(key, version)):
                return "other law version"
        return "never stored"

    def put(
        self,
        key: str,
        array: NDArray[Any],
        kind: str,
        seconds: float | None,
        codec: str | None,
        created: float | None = None,
    ) -> int:
        """Keep an array, computed now if not said otherwise; how many bytes its file has."""
        full = self.full(key)
        item = Item(encode(array, Note(full, kind, time.time() if created is None else created, seconds, codec)))
        if not self._is_declared:
            self._declare()
        try:
            self._function().call(full, item)
        except FileNotFoundError:  # the directory was removed
            self._declare()
            self._function().call(full, item)
        return sum(map(len, item.parts))

    def _declare(self) -> None:
        """Make the directories, and what tells others of us; raises OSError where there can be none."""
        os.makedirs(self._folder, exist_ok=True)  # noqa: PTH103
        with contextlib.suppress(OSError):
            if not os.path.isfile(os.path.join(self._folder, "func_code.py")):  # noqa: PTH113, PTH118
                # Without joblib's record of the source joblib itself finds nothing; this removes nothing, see above.
                self._function().clear(warn=False)
        with contextlib.suppress(OSError):
            versions = Path(self.directory, "versions")
            versions.mkdir(exist_ok=True)
            Path(versions, self.version).touch()
        self._is_declared = True

    def remove(self, key: str) -> None:
        """Remove what is kept under a key."""
        self._backend.clear_item(self._call_id(key))

    def _other_versions(self) -> tuple[str, ...]:
        """Versions beside ours that have kept something here."""
        folder = os.path.join(self.directory, "versions")  # noqa: PTH118
        try:
            changed = os.stat(folder).st_mtime_ns  # noqa: PTH116
            if changed != self._others[0]:
                self._others = changed, tuple(name for name in os.listdir(folder) if name != self.version)  # noqa: PTH208
        except OSError:
            return ()
        return self._others[1]

    def _record_use(self, call_id: tuple[str, str]) -> None:
        """Set the time of the file: what file systems record themselves is not to be relied on."""
        now = time.monotonic()
        name = call_id[1]
        if now - self._used.get(name, -_TOUCH) < _TOUCH:
            return
        if len(self._used) > 100_000:
            self._used.clear()
        self._used[name] = now
        with contextlib.suppress(OSError):  # a directory for reading alone keeps no record
            os.utime(self._backend.path(call_id))

    # ------------------------------------------------------------ all of it
    def entries(self) -> Iterator[Entry]:
        """All files, in no order; what vanishes meanwhile is left out."""
        try:
            with os.scandir(self._folder) as files:
                for file in files:
                    if file.name.endswith(SUFFIX) and not file.name.startswith(".") and file.is_file():
                        with contextlib.suppress(FileNotFoundError):
                            now = file.stat()
                            yield Entry(file.name[: -len(SUFFIX)], file.path, now.st_size, now.st_mtime)
        except FileNotFoundError:
            return

    def verify(self) -> tuple[int, tuple[str, ...]]:
        """Read all files and remove those that are not what their names say; how many are good, and the bad ones."""
        good, bad = 0, []
        for entry in list(self.entries()):
            try:
                found = self._backend.read((self._function().func_id, entry.name))
                if name_of(found.note.key) == entry.name:
                    good += 1
                    continue
                entry.remove()
                bad.append(entry.name)
            except FileNotFoundError:
                continue
            except Unreadable:  # here
                good += 1
            except Damaged:
                bad.append(entry.name)
        return good, tuple(bad)

    def clear(self) -> int:
        """Remove all files of all versions; how many."""
        removed = 0
        for entry in list(self.entries()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.path)  # noqa: PTH108
                removed += 1
        self.sweep_temporary()
        for log in (self.evicted, self.warmed, self.beginnings):
            log.clear()
        return removed

    def sweep_temporary(self) -> int:
        """Remove what killed writers have left, as far as that is allowed; how many files."""
        removed = 0
        for folder in (self.directory, self._folder):
            with contextlib.suppress(OSError), os.scandir(folder) as files:
                for file in files:
                    if (file.name.startswith(".") and file.name.endswith(".tmp")) or _JOBLIBS.fullmatch(file.name):
                        with contextlib.suppress(OSError):
                            if abs(time.time() - file.stat().st_mtime) > _ABANDONED:
                                os.unlink(file.path)  # noqa: PTH108
                                removed += 1
        return removed


def is_expired(created: float, ttl: float | None) -> bool:
    """Whether something is too old; or dated so far ahead, by a clock that was wrong, that its age cannot be told."""
    return ttl is not None and abs(time.time() - created) > ttl
