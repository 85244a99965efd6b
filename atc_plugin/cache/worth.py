"""What is worth a file: what takes longer to compute than to write and read back, as measured in the very directory."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .disk import Disk

_MARGIN = 4
"""How many times longer computing has to take: the writing is to be a small part of it, and a reader not in sight."""

NEVER = 2e-3
"""Seconds of computing for which no disk is worth asking: handing it over would be felt."""

_SMALL, _LARGE = 2**12, 2**22
_ROUNDS = 3
_DECLINED = 4096  # keys that are remembered


class Speed(NamedTuple):
    """What a file costs in seconds: writing and reading it back, once and a byte."""

    once: float
    a_byte: float

    def cost(self, nbytes: int) -> float:
        """Seconds for a file of this size."""
        return self.once + self.a_byte * nbytes

    def break_even(self, nbytes: int) -> float:
        """Seconds of computing from which a file of this size is worth it."""
        return _MARGIN * self.cost(nbytes)

    def is_worth(self, nbytes: int, seconds: float) -> bool:
        """Whether to keep what took so long to compute."""
        return seconds >= self.break_even(nbytes)


class Worth:
    """What is worth a file under a directory, and which keys were not."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._speed: Speed | None = None
        self._declined: OrderedDict[str, None] = OrderedDict()

    def is_too_cheap(self, nbytes: int, seconds: float | None) -> bool:
        """Whether it is plain at once that it is not worth a file; measures nothing."""
        if seconds is None or seconds < NEVER:
            return True
        return self._speed is not None and not self._speed.is_worth(nbytes, seconds)

    def is_worth(self, nbytes: int, seconds: float | None) -> bool:
        """Whether to keep what took so long to compute. Raises OSError where nothing can be written."""
        if seconds is None:
            return False
        if self._speed is None:
            self._speed = speed_of(self._disk)
        return self._speed.is_worth(nbytes, seconds)

    def decline(self, key: str) -> None:
        """Remember that a key was not worth it."""
        self._declined[key] = None
        with contextlib.suppress(KeyError):  # where other threads remove them, too
            while len(self._declined) > _DECLINED:
                self._declined.popitem(last=False)

    def accept(self, key: str) -> None:
        """Forget that it was not."""
        self._declined.pop(key, None)

    def was_declined(self, key: str) -> bool:
        """Whether a key was not worth it."""
        return key in self._declined

    def forget(self) -> None:
        """Forget all of them."""
        self._declined.clear()


def speed_of(disk: Disk, anew: bool = False) -> Speed:
    """How fast its directory is: measured once, or `anew`, and noted there.

    Raises OSError where nothing can be written.
    """
    note = Path(disk.directory, "speed.json")
    if not anew and (noted := _noted(note)) is not None:
        return noted
    speed = _measured(disk)
    beside = Path(disk.directory, f".speed.{os.getpid()}-{threading.get_ident()}.tmp")
    with contextlib.suppress(OSError):  # it will be measured again
        try:
            beside.write_text(json.dumps(speed._asdict()))
            beside.replace(note)
        finally:
            beside.unlink(missing_ok=True)
    return speed


def _noted(note: Path) -> Speed | None:
    """What was measured; None where it cannot be."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        told = json.loads(note.read_text())
        speed = Speed(float(told["once"]), float(told["a_byte"]))
        if 0 < speed.once < 3600 and 0 <= speed.a_byte < 1:
            return speed
    return None


def _measured(disk: Disk) -> Speed:
    """Best of a few files, small and large: a machine that is busy now will not be so always."""
    small = min(_seconds(disk, _SMALL) for _ in range(_ROUNDS))
    large = min(_seconds(disk, _LARGE) for _ in range(_ROUNDS))
    return Speed(small, max(large - small, 0.0) / (_LARGE - _SMALL))


def _seconds(disk: Disk, size: int) -> float:
    """To write a file of this size and read it back."""
    values = np.arange(size // 8, dtype=np.float64)
    key = f"speed {os.getpid()} {threading.get_ident()} {size}"
    started = time.perf_counter()
    disk.put(key, values, "speed", None, None)
    disk.get(key, None)
    took = time.perf_counter() - started
    disk.remove(key)
    return took
