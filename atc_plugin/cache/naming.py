"""What joblib calls the item of a key: the digits of `joblib.hash`, without a pickler for each of them."""

from __future__ import annotations

import functools
import hashlib
import struct
from typing import Any

import joblib
from joblib.hashing import Hasher

_SAMPLES = ("", "k", "é" * 200, "k" * 70_000)


def name_of(full_key: str) -> str:
    """The 32 hexadecimal digits under which joblib keeps what was called with ``key=full_key``."""
    around = _around()
    return _plainly(full_key) if around is None else _between(full_key, *around)


def _plainly(full_key: str) -> str:
    digits: str = joblib.hash({"key": full_key})
    return digits


def _between(full_key: str, before: Any, after: bytes) -> str:
    """joblib hashes a pickle: what stands before the key, its length, the key, and what stands after it."""
    total = before.copy()
    text = full_key.encode("utf-8", "surrogatepass")
    total.update(struct.pack("<I", len(text)) + text + after)
    digits: str = total.hexdigest()
    return digits


@functools.cache
def _around() -> tuple[Any, bytes] | None:
    """The digest of what stands before a key's length, and what stands after the key; None if that is not so."""
    try:
        hasher, mark = Hasher("md5"), "a key that occurs nowhere else"
        hasher.dump({"key": mark})
        before, after = hasher.stream.getvalue().split(mark.encode())
        around = hashlib.md5(before[:-4], usedforsecurity=False), after
        if all(_between(sample, *around) == _plainly(sample) for sample in _SAMPLES):
            return around
    except Exception:  # of another joblib, whatever it may be
        return None
    return None
