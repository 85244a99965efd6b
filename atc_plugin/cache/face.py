"""`atc_plugin.cache`: settings, statistics and upkeep of the cache that calls use by default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import upkeep
from .counted import CacheStats
from .findings import USUAL, Finding, Watch, warn_if_off
from .findings import Thresholds as Thresholds
from .limits import Pruned
from .reporting import report as _report
from .settings import configure as configure
from .settings import store_of
from .store import Store
from .upkeep import Kept, Verified

if TYPE_CHECKING:
    from ..sweeps.grid import ParamGrid

Cache = bool | str | os.PathLike[str] | Store
"""What names a cache: True for the default, a directory, or a `Store`."""

_seen = Watch()


def contains(close: Any, grid: ParamGrid, source: Any = None, *, cache: Cache = True, **sweep_arguments: Any) -> bool:
    """Whether all that `warm` would keep for these arguments is kept."""
    from ..warming import is_warm

    return is_warm(close, grid, source, cache=cache, **sweep_arguments)


def entries(*, cache: Cache = True) -> Iterator[Kept]:
    """What is kept on disk, one after the other: key, kind, bytes, when it was made and used, what it cost."""
    return upkeep.entries(_required(cache))


def prune(*, cache: Cache = True) -> Pruned:
    """Bring the disk within its limits of size and age now, and remove what killed processes have left there."""
    store = _required(cache)
    store.flush()
    return store.prune()


def flush(*, cache: Cache = True) -> None:
    """Return when all that waits to be written is; the end of the process does it too."""
    _required(cache).flush()


def verify(*, cache: Cache = True) -> Verified:
    """Read every file and remove those that are damaged."""
    return upkeep.verify(_required(cache))


def clear(*, cache: Cache = True, shared: bool = False) -> int:
    """Remove everything, and what the shared server keeps only if asked; how many files. Raises OSError."""
    return upkeep.clear(_required(cache), shared=shared)


def stats(*, cache: Cache = True) -> CacheStats:
    """What was asked of the cache since this process began, its workers included, and how full it is."""
    return upkeep.stats_of(_required(cache))


def reset_stats(*, cache: Cache = True) -> None:
    """Begin counting anew."""
    _required(cache).statistics.reset()


def report(*, cache: Cache = True, thresholds: Thresholds = USUAL) -> str:
    """The statistics as a table, with a line of advice where something is off."""
    return _report(stats(cache=cache), thresholds)


def watch(*, cache: Cache = True, thresholds: Thresholds = USUAL) -> list[Finding]:
    """Warn through ``logging.getLogger("atc_plugin")`` of what is off, once each time it begins; gives all that is."""
    return warn_if_off(stats(cache=cache), thresholds, _seen)


def _required(cache: Cache) -> Store:
    store, _ = store_of(cache)
    if store is None:
        raise ValueError("the cache is switched off: ATC_CACHE=on or cache.configure(enabled=True) switches it on")
    return store
