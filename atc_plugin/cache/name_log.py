"""A file of names that only grows: what was evicted, which columns were warmed; read by any process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable

from .forking import anew_in_forks

_WIDTH = 16
_GLANCE = 0.5  # seconds
_MOST = 2**20  # bytes, from which on the older half is dropped


class NameLog:
    """A set of 16-byte names, given as 32 hexadecimal digits, in a file that several processes append to.

    A hint, not a truth: names may be lost, and old ones are dropped.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.begin_anew()
        anew_in_forks(self)

    def begin_anew(self) -> None:
        self._seen: tuple[int, int] | None = None  # size and time of the file that was read
        self._names: frozenset[bytes] = frozenset()
        self._next_look = 0.0
        self._lock = threading.Lock()

    def add(self, names: Iterable[str]) -> None:
        """Append names; whatever goes wrong is let go."""
        data = b"".join(bytes.fromhex(name) for name in names)
        if not data:
            return
        with contextlib.suppress(OSError), self._lock:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            try:
                odd = os.fstat(file).st_size % _WIDTH  # bytes of a name that was cut short
                os.write(file, bytes(-odd % _WIDTH) + data)  # at once: other processes append too
                size = os.fstat(file).st_size
            finally:
                os.close(file)
            self._next_look = 0.0
            if size > _MOST:
                self._shorten()

    def __contains__(self, name: str) -> bool:
        with self._lock:
            self._read_again()
            return bool(self._names) and bytes.fromhex(name) in self._names

    def which(self, names: Iterable[str]) -> set[str]:
        """Those of these names that are there."""
        with self._lock:
            self._read_again()
            return {name for name in names if bytes.fromhex(name) in self._names} if self._names else set()

    def had(self, name: str) -> bool:
        """Whether a name was there half a second ago: every call of `atc` asks."""
        return bool(self) and bytes.fromhex(name) in self._names

    def __bool__(self) -> bool:
        """Whether there were any half a second ago."""
        now = time.monotonic()
        with self._lock:
            if now >= self._next_look:
                self._next_look = now + _GLANCE
                self._read_again()
            return bool(self._names)

    def clear(self) -> None:
        """Forget all names."""
        with contextlib.suppress(OSError), self._lock:
            self._next_look = 0.0
            os.unlink(self._path)  # noqa: PTH108

    def _read_again(self) -> None:
        try:
            there = os.stat(self._path)  # noqa: PTH116
            if (there.st_size, there.st_mtime_ns) != self._seen:
                self._names = frozenset(self._read())
                self._seen = there.st_size, there.st_mtime_ns
        except OSError:
            self._names, self._seen = frozenset(), None

    def _read(self) -> list[bytes]:
        with open(self._path, "rb") as file:  # noqa: PTH123
            data = file.read()
        return [data[at : at + _WIDTH] for at in range(0, len(data) - len(data) % _WIDTH, _WIDTH)]

    def _shorten(self) -> None:
        names = self._read()
        folder, name = os.path.split(self._path)
        rest = os.path.join(folder, f".{name}.{os.getpid()}.tmp")  # noqa: PTH118
        with open(rest, "wb") as file:  # noqa: PTH123
            file.write(b"".join(names[len(names) // 2 :]))
        os.replace(rest, self._path)  # noqa: PTH105
