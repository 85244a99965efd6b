"""Looking after a store: what it holds, whether that is whole, and how it does."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import NamedTuple

from .counted import CacheStats
from .payload import Damaged
from .store import Store


class Kept(NamedTuple):
    """An item on disk."""

    key: str
    kind: str
    nbytes: int
    created: float  # seconds since the epoch
    used: float
    seconds: float | None  # that it took to compute


class Verified(NamedTuple):
    """What `verify` found."""

    good: int
    damaged: tuple[str, ...]  # names of the files that were removed


def entries(store: Store) -> Iterator[Kept]:
    """What is kept on disk, one after the other, of all versions of the law."""
    store.flush()
    for entry in store.disk.entries():
        with contextlib.suppress(OSError, Damaged):
            note = entry.note()
            yield Kept(note.key, note.kind, entry.nbytes, note.created, entry.used, note.seconds)


def verify(store: Store) -> Verified:
    """Read every file and remove those that are damaged, or not what their names say."""
    store.flush()
    return Verified(*store.disk.verify())


def clear(store: Store, *, shared: bool = False) -> int:
    """Remove everything of all versions, and what the shared server keeps only if asked; how many files.

    Raises:
        OSError: where something cannot be removed.
    """
    store.flush()
    store.forget()
    removed = store.disk.clear()
    if shared:
        store.clear_shared()
    return removed


def stats_of(store: Store) -> CacheStats:
    """What was asked of a store since this process began, or `reset`; and how full it is."""
    count = nbytes = free = None
    with contextlib.suppress(OSError):
        sizes = [entry.nbytes for entry in store.disk.entries()]
        count, nbytes = len(sizes), sum(sizes)
        free = shutil.disk_usage(store.directory).free
    return CacheStats(
        counted=store.statistics.snapshot(),
        directory=store.directory,
        bytes_kept=nbytes,
        entries=count,
        size_limit=store.size_limit,
        free_bytes=free,
    )
