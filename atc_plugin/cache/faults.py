"""Faults are counted, and told of now and then: they never fail a computation."""

from __future__ import annotations

import logging
import time

from .statistics import Statistics

log = logging.getLogger("atc_plugin")
log.addHandler(logging.NullHandler())

FAULTS = (OSError, ValueError, MemoryError, Warning)
"""What a level may raise that cannot do what it should; warnings where they are made errors."""

_REPEAT = 60.0  # seconds until the same fault is told again


class Faults:
    """Counts the faults of the levels of a store, and logs each at most once a minute."""

    def __init__(self, statistics: Statistics, directory: str) -> None:
        self._statistics = statistics
        self._directory = directory
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, level: str, what: str, fault: BaseException | str) -> None:
        """A level cannot do something, such as "read"."""
        self._statistics.fault(level, what, fault)
        now = time.monotonic()
        if now - self._told.get((level, what), -_REPEAT) >= _REPEAT:
            self._told[level, what] = now
            text = fault if isinstance(fault, str) else repr(fault)
            log.warning("cache: the %s level cannot %s (%s): %s", level, what, self._directory, text)
