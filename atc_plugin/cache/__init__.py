"""Results kept on disk between runs and shared between processes; knows keys and arrays, not what they mean.

The functions here look after the cache that calls with ``cache=True`` use.

>>> from atc_plugin import cache
>>> cache.configure(size_limit="5GB").size_limit
5000000000
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .face import (
        Thresholds,
        clear,
        configure,
        contains,
        entries,
        flush,
        prune,
        report,
        reset_stats,
        stats,
        verify,
        watch,
    )
    from .store import Store

__all__ = [
    "Store",
    "Thresholds",
    "clear",
    "configure",
    "contains",
    "entries",
    "flush",
    "prune",
    "report",
    "reset_stats",
    "stats",
    "verify",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Resolve names on first use: whoever imports a module of this package need not load the others."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(".store" if name == "Store" else ".face", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
