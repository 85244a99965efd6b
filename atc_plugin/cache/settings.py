"""What the cache is set to, by the environment and by `configure`, and the store that calls use by default."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import lru_cache
from numbers import Real
from typing import Any

from ..names import suggestion
from ..profiles import profile_named_by
from .behind import flush_all
from .payload import require_codec
from .recent import POLICIES
from .shared import Shared
from .statistics import Statistics
from .store import RECENT, SIZE_LIMIT, Store

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_TIMES = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ON = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}
_NONE = ("", "none", "unlimited")


@dataclass(frozen=True)
class Settings:
    """How calls with ``cache=True`` keep results.

    Attributes:
        enabled: whether they do at all; `ATC_CACHE`.
        directory: where files lie; `ATC_CACHE_DIR`, or the platform's folder for caches.
        size_limit: bytes on disk, None for any number; `ATC_CACHE_SIZE`.
        ttl: seconds that a result is good for, None for ever; `ATC_CACHE_TTL`.
        shared: a Redis server for machines without a common disk; `ATC_CACHE_SHARED`.
        compress: None, or "zstd" for smaller files.
        recent: bytes held in memory.
        policy: which of these go first: "lru", "lfu" or "ttl".
    """

    enabled: bool
    directory: str
    size_limit: int | None = SIZE_LIMIT
    ttl: float | None = None
    shared: str | None = None
    compress: str | None = None
    recent: int = RECENT
    policy: str = "lru"

    def store_settings(self) -> dict[str, Any]:
        """What a `Store` takes of them, the directory aside."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _OF_CALLS}


_OF_CALLS = ("enabled", "directory")

_lock = threading.RLock()
_now: Settings | None = None
_default: tuple[Settings, Store | None] | None = None


def current() -> Settings:
    """The settings; read from the environment when they are first asked for."""
    global _now
    with _lock:
        if _now is None:
            _now = from_environment(os.environ)
        return _now


def configure(**changes: Any) -> Settings:
    """Change settings of this process for all calls from now on; returns them. Without arguments, only that.

    Args:
        **changes: `enabled`, `directory`, `size_limit` ("2GB", bytes, None), `ttl` ("7d", "12h", seconds, a timedelta,
            None), `shared` ("redis://host:port/db"), `compress` (None, "zstd"), `recent` (bytes in memory) and `policy`
            ("lru", "lfu", "ttl"). docs/cache.md says what each is for.

    Raises:
        TypeError: for an unknown setting, or a value of the wrong type.
        ValueError: for a value that is not allowed.
        ModuleNotFoundError: for `shared` or `compress` where what they need is not installed.

    After an error nothing is changed.
    """
    global _now
    checked = {name: _checked(name, value, name) for name, value in changes.items()}
    with _lock:
        _now = _whole(replace(current(), **checked))
        return _now


def flush() -> None:
    """Return when all that waits to be written in this process is."""
    flush_all()


def forget() -> None:
    """Read the environment again when settings are next asked for, and open stores anew."""
    global _now, _default
    flush_all()
    with _lock:
        _now = _default = None
        _opened.cache_clear()
        _counted.cache_clear()


def _in_child() -> None:
    """Another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings that environment variables ask for; an error names the variable."""
    asked: dict[str, Any] = {"enabled": True}
    if (profile := profile_named_by(environment)) is not None:
        asked |= {"size_limit": profile.size_limit, "recent": profile.recent}
    for variable, name in _VARIABLES.items():
        text = environment.get(variable)
        if text is None or (text == "" and name in ("enabled", "directory")):
            continue
        asked[name] = _checked(name, text, variable)
        if asked["enabled"] is False:
            break  # what the others say does not matter then
    if "directory" not in asked:
        asked["directory"] = default_directory()
    return _whole(Settings(**asked))


_VARIABLES = {
    "ATC_CACHE": "enabled",
    "ATC_CACHE_DIR": "directory",
    "ATC_CACHE_SIZE": "size_limit",
    "ATC_CACHE_TTL": "ttl",
    "ATC_CACHE_SHARED": "shared",
}


def default_directory() -> str:
    """The platform's folder for caches."""
    from platformdirs import user_cache_dir

    return user_cache_dir("atc_plugin", appauthor=False)


# ---------------------------------------------------------------- stores
def default_store() -> Store | None:
    """The store of calls with ``cache=True``; None where it is switched off."""
    global _default
    settings = current()
    known = _default
    if known is None or known[0] is not settings:  # every call asks: finding the store again takes microseconds
        known = _default = settings, (_open(settings.directory, settings) if settings.enabled else None)
    return known[1]


def store_of(cache: bool | str | os.PathLike[str] | Store) -> tuple[Store | None, bool]:
    """The store that a call's `cache` names, and whether it takes everything: one that was named does.

    Raises:
        TypeError: for what is no such thing.
        ValueError: for an empty directory.
    """
    if isinstance(cache, bool):
        return (default_store() if cache else None), False
    if isinstance(cache, Store):
        return cache, True
    if isinstance(cache, (str, os.PathLike)):
        return _open(_directory(cache, "cache"), current()), True
    raise TypeError(f"cache must be True, False, a directory or a Store; got {cache!r}")


def _open(directory: str, settings: Settings) -> Store:
    with _lock:  # otherwise two threads might be given two
        return _opened(directory, tuple(settings.store_settings().items()))


@lru_cache(maxsize=64)
def _opened(directory: str, settings: tuple[tuple[str, Any], ...]) -> Store:
    """One store for all calls that mean the same, so that they share what is in memory."""
    return Store(directory, **dict(settings), statistics=_counted(directory))


@lru_cache(maxsize=64)
def _counted(directory: str) -> Statistics:
    """What is asked of a directory, whatever the other settings."""
    return Statistics()


# ---------------------------------------------------------------- values
def _checked(name: str, value: Any, said: str) -> Any:
    """A setting's value, from a text too; `said` is what the user called it."""
    known = [field.name for field in fields(Settings)]
    if name not in known:
        raise TypeError(f"the cache has no setting {name!r}{suggestion(name, known)}; there are {', '.join(known)}")
    if name == "enabled":
        return _switch(value, said)
    if name == "directory":
        return _directory(value, said)
    if name == "recent":
        return _size(value, said)
    if name == "policy":
        if value not in POLICIES:
            raise ValueError(f"{said} must be one of {', '.join(map(repr, POLICIES))}; got {value!r}")
        return value
    if _is_none(value):
        return None
    if name == "size_limit":
        return _size(value, said)
    if name == "ttl":
        return _seconds(value, said)
    if name == "compress":
        require_codec(value)
    if name == "shared":
        _require_server(value, said)
    return value


def _whole(settings: Settings) -> Settings:
    """Settings that fit each other."""
    if settings.policy == "ttl" and settings.ttl is None:
        raise ValueError('policy "ttl" needs a ttl, such as ttl="12h"')
    return settings


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _NONE)


def _switch(value: Any, said: str) -> bool:
    known = value if isinstance(value, bool) else _ON.get(str(value).strip().lower())
    if known is None:
        raise ValueError(f"{said} must be on or off (1, true, yes; 0, false, no); got {value!r}")
    return known


def _directory(value: Any, said: str) -> str:
    if not isinstance(value, (str, os.PathLike)) or not (path := os.fspath(value)) or not isinstance(path, str):
        raise ValueError(f"{said} must be the path of a folder; got {value!r}")
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111


def _require_server(value: Any, said: str) -> None:
    try:
        Shared(value).close()  # never connects: only looks at the address
    except ValueError as fault:
        raise ValueError(f"{said}: {fault}") from None


def _size(value: Any, said: str) -> int:
    number: float | None = None
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", value.lower())
        if found and found[2] in _UNITS:
            number = float(found[1]) * _UNITS[found[2]]
    elif isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
    if number is None or not 0 <= number < 2**62:
        raise ValueError(f'{said} must be a number of bytes, or a text such as "500MB" or "2GB"; got {value!r}')
    return int(number)


def _seconds(value: Any, said: str) -> float:
    number: float | None = None
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", value.lower())
        if found and (found[2] or "s") in _TIMES:
            number = float(found[1]) * _TIMES[found[2] or "s"]
    elif isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
    if number is None or not 0 < number < float("inf"):
        raise ValueError(f'{said} must be a time above 0: seconds, or a text such as "12h" or "7d"; got {value!r}')
    return number
