"""joblib's store backend whose items are files of `payload`: what is read is never executed, and damage is noticed.

`joblib.Memory(directory, backend="atc-npy").cache(kept_1, ignore=["value"])(key)` reads what is kept.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from joblib import register_store_backend

# Private, and the only way to what a backend has to be; tests/test_disk.py fails loudly where joblib changes it.
from joblib._store_backends import FileSystemStoreBackend
from numpy.typing import NDArray

from .payload import Damaged, Note, decode

BACKEND = "atc-npy"

SUFFIX = ".npy"

MAPPED = 2**20
"""Bytes from which on a file is mapped into memory instead of read."""

_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe of that name must not wait


class Item(NamedTuple):
    """What the frozen function gives joblib to keep."""

    parts: Sequence[bytes | memoryview]  # of a file


class Found(NamedTuple):
    """An array that was read; not to be written to."""

    array: NDArray[Any]
    note: Note
    nbytes: int  # of its file


def kept_1(key: str, value: Item | None = None) -> Item:
    """What joblib.Memory remembers. Frozen: its source is part of the cache, so another format takes another name."""
    if value is None:
        raise KeyError(key)
    return value


class NpyBackend(FileSystemStoreBackend):  # type: ignore[misc]  # joblib is not typed
    """joblib's file system store with a file of `payload` for each item, and nothing else of it."""

    def configure(self, location: str, verbose: int = 1, backend_options: Any = None) -> None:
        """Make the directory if that is allowed; joblib would warn or raise where there is no writing."""
        self.location, self.verbose, self.compress, self.mmap_mode = location, verbose, False, None
        self.create_location(location)
        folder = Path(location)
        ignored = (folder.parent if folder.name == "joblib" else folder) / ".gitignore"
        with contextlib.suppress(OSError):
            if not ignored.exists():
                ignored.write_text("*\n")

    def create_location(self, location: str) -> None:
        """Make a directory if that is allowed: whoever only reads needs none."""
        with contextlib.suppress(OSError):
            os.makedirs(location, exist_ok=True)  # noqa: PTH103

    def clear_path(self, call_id: Any) -> None:
        """Nothing: joblib removes everything where its record of a function's source is another, or damaged."""

    def path(self, call_id: Any) -> str:
        """Where the file of an item lies."""
        return os.path.join(self.location, *call_id) + SUFFIX  # noqa: PTH118  # this is a hot path

    def contains_item(self, call_id: Any) -> bool:
        """Whether there is a file, without reading it."""
        return os.path.exists(self.path(call_id))  # noqa: PTH110

    def load_item(self, call_id: Any, verbose: int = 1, timestamp: Any = None, metadata: Any = None) -> Any:
        """The array, as joblib's own users find it."""
        return self.read(call_id).array

    def read(self, call_id: Any) -> Found:
        """The array and its note; raises OSError, Unreadable, or Damaged, and then the file is removed."""
        path = self.path(call_id)
        file = os.open(path, _READING)
        try:
            there = os.fstat(file)
            if not stat.S_ISREG(there.st_mode):
                raise Damaged("it is no file")
            return Found(*decode(_content(file, there.st_size)), there.st_size)
        except Damaged:
            _discard(path, there)
            raise
        finally:
            os.close(file)

    def dump_item(self, call_id: Any, item: Item, verbose: int = 1) -> None:
        """Write a file beside its place and move it there: whoever reads finds all of it or nothing."""
        path = self.path(call_id)
        folder, name = os.path.split(path)
        beside = os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(6).hex()}.tmp")  # noqa: PTH118
        try:
            with open(beside, "xb", buffering=0) as file:  # noqa: PTH123
                for part in item.parts:
                    _write(file, part)
            try:
                os.replace(beside, path)  # noqa: PTH105
            except IsADirectoryError:
                shutil.rmtree(path)
                os.replace(beside, path)  # noqa: PTH105
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)  # noqa: PTH108
            raise

    def clear_item(self, call_id: Any) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(call_id))  # noqa: PTH108

    def store_metadata(self, call_id: Any, metadata: Any) -> None:
        """Nothing: a file has its note in itself."""

    def get_metadata(self, call_id: Any) -> dict[str, Any]:
        """Nothing: a file has its note in itself."""
        return {}


register_store_backend(BACKEND, NpyBackend)


def _write(file: Any, part: bytes | memoryview) -> None:
    """All of it: an unbuffered file may take less than it is given."""
    rest = memoryview(part)
    while len(rest):
        rest = rest[file.write(rest) :]


def _content(file: int, size: int) -> Any:
    """All of an open file, mapped where it is large."""
    if size >= MAPPED:
        return mmap.mmap(file, size, access=mmap.ACCESS_READ)
    data = os.read(file, size)
    while len(data) < size and (more := os.read(file, size - len(data))):  # some file systems give less than asked for
        data += more
    return data


def _discard(path: str, there: os.stat_result) -> None:
    """Remove what is damaged, as far as that is allowed, unless it was replaced since."""
    with contextlib.suppress(OSError):
        if not os.path.samestat(os.lstat(path), there):
            return
        if stat.S_ISDIR(there.st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)  # noqa: PTH108
