"""How the law is compiled: the two decorators, what they promise, and the word given when compiling takes time.

A *kernel* is compiled into whatever calls it. An *entry* is called from Python, so its machine code is kept on disk.
Neither allows fast-math or contraction, and both release the GIL.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import config, event
from numba.core.options import DefaultOptions

log = logging.getLogger("atc_plugin")
log.addHandler(logging.NullHandler())

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

_entries: set[Any] = set()


def kernel(function: _F) -> _F:
    """A function of the law that numba compiles into its callers."""
    return njit(**_OPTIONS)(function)  # type: ignore[no-any-return]


def uncounted_kernel(function: _F) -> _F:
    """A kernel that allocates nothing, compiled without reference counts: they cost a quarter of short inner loops.

    numba has the option for itself; without it this is a plain kernel.
    """
    bare: dict[str, Any] = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}
    return njit(**_OPTIONS, **bare)(function)  # type: ignore[no-any-return]


def entry(function: _F) -> _F:
    """A kernel that Python calls: compiled once a machine, kept beside the source or in numba's cache folder."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    try:
        made: Any = njit(**_OPTIONS, cache=True)(function)
        _also_stamp_the_rest_of_the_law(made)
    except RuntimeError as error:  # no folder to write to: an installation can be read-only
        log.warning("the compiled kernels cannot be kept and will be compiled in every process: %s", error)
        made = njit(**_OPTIONS)(function)
    _entries.add(made)
    return made  # type: ignore[no-any-return]


@functools.cache
def _law_digest() -> bytes:
    """What the sources of all kernels say."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).digest()


def _also_stamp_the_rest_of_the_law(made: Any) -> None:
    """Make cached machine code stale when any file of the law changes.

    numba looks only at the file of the entry itself (documented limitation, seen in 0.68), and would go on serving
    the old bits of a kernel that lives in another file. There is no public way to say so.
    """
    try:
        index = made._cache._cache_file
        index._source_stamp = (index._source_stamp, _law_digest())
    except AttributeError as error:
        raise RuntimeError("this numba keeps its cache in another way") from error


class _Announcer(event.Listener):
    """Tells the log that an entry is being compiled, so that a first call's pause has a reason."""

    def __init__(self) -> None:
        self._since: dict[Any, float] = {}

    def on_start(self, event: event.Event) -> None:
        made = event.data["dispatcher"]
        if made in _entries:
            self._since[made] = time.perf_counter()
            log.info("compiling %s: once for this machine and version", made.__name__)

    def on_end(self, event: event.Event) -> None:
        made = event.data["dispatcher"]
        if made in self._since:
            log.info("compiled %s in %.1f s", made.__name__, time.perf_counter() - self._since.pop(made))


event.register("numba:compile", _Announcer())
