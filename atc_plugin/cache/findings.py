"""What is off with a cache: one list of checks for the report's advice and for warnings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from ..words import bytes_in_words, latency_in_words, number_of, share_in_words
from .counted import CacheStats, level_order, total
from .statistics import added, percentile

log = logging.getLogger("atc_plugin")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on something is off; None never is."""

    min_hit_rate: float | None = 0.5
    max_p95_seconds: float | None = 0.25
    """What 95 percent of a level's hits must take at most, unless it is their size that takes so long."""
    min_bytes_a_second: float = 50e6
    """At this speed and above a level is not slow, however long it takes."""
    min_free_bytes: int | None = 500_000_000
    max_faults: int | None = 0
    max_hot_evictions: int | None = 0
    """Of items that had been used within the hour before. What leaves `recent` does not count: it may be on disk."""
    min_requests: int = 100
    """With fewer than these the hit rate and the speed are not judged."""

    def __post_init__(self) -> None:
        for one in fields(self):
            limit = getattr(self, one.name)
            may_be_none = one.name not in ("min_bytes_a_second", "min_requests")
            if limit is None and may_be_none:
                continue
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0:
                raise ValueError(f"{one.name} must be a number from 0 on{', or None' * may_be_none}; got {limit!r}")
        if self.min_hit_rate is not None and self.min_hit_rate > 1:
            raise ValueError(f"min_hit_rate is a share, at most 1; got {self.min_hit_rate!r}")


USUAL = Thresholds()


class Finding(NamedTuple):
    """Something that is off: a name that stays the same while it is, and what to do about it in one line."""

    name: str
    advice: str


def _faults(stats: CacheStats, thresholds: Thresholds) -> Iterator[Finding]:
    for level in sorted({row.level for row in stats.faults}, key=level_order):
        rows = [row for row in stats.faults if row.level == level]
        count, last = sum(row.times for row in rows), max(rows, key=lambda row: row.at)
        if thresholds.max_faults is not None and count > thresholds.max_faults:
            remedies = {
                "disk": f"see that {stats.directory or 'its directory'} can be read and written",
                "shared": "see that its server runs and can be reached",
            }
            remedy = f"; {remedies[level]}" if level in remedies else ""
            times = number_of("fault", "faults", count)
            yield Finding(
                f"faults of {level}", f"{times} of the {level} level, the last in {last.what}: {last.message}{remedy}"
            )


def _full_disk(stats: CacheStats, thresholds: Thresholds) -> Iterator[Finding]:
    if stats.free_bytes is None or thresholds.min_free_bytes is None or stats.free_bytes >= thresholds.min_free_bytes:
        return
    where = f"the disk of {stats.directory}" if stats.directory else "the cache's disk"
    yield Finding(
        "full disk", f"{where} has only {bytes_in_words(stats.free_bytes)} left: make room, or lower size_limit"
    )


def _hot_evictions(stats: CacheStats, thresholds: Thresholds) -> Iterator[Finding]:
    rows = [row for row in stats.rows if row.level != "recent"]
    hot, of = sum(row.hot_evictions for row in rows), sum(row.evictions for row in rows)
    if thresholds.max_hot_evictions is None or hot <= thresholds.max_hot_evictions:
        return
    now = "" if stats.size_limit is None else f", now {bytes_in_words(stats.size_limit)}"
    evicted = f"{hot:,} of {of:,} evicted items had been used within the hour before"
    yield Finding("hot evictions", f"{evicted}: raise size_limit{now}")


def _low_hit_rate(stats: CacheStats, thresholds: Thresholds) -> Iterator[Finding]:
    rate = stats.hit_rate
    if rate is None or thresholds.min_hit_rate is None or rate >= thresholds.min_hit_rate:
        return
    if stats.hits + stats.misses < thresholds.min_requests:
        return
    reason, count = next(iter(stats.misses_by_reason.items()))
    remedies = {
        "never stored": "warm() the same prices and parameters first",
        "expired": "give a longer ttl",
        "evicted": "raise size_limit",
        "damaged": "they are computed and stored again, but the disk may be failing",
        "other law version": "warm() again with this version",
        "not worth storing": "nothing to do, they are cheaper to compute than to read",
    }
    remedy = f": {remedies[reason]}" if reason in remedies else ""
    yield Finding(
        "low hit rate",
        f"only {share_in_words(rate)} of the requests hit; {count:,} of {stats.misses:,} misses were {reason}{remedy}",
    )


def _slow_level(stats: CacheStats, thresholds: Thresholds) -> Iterator[Finding]:
    remedies = {"disk": "put the cache's directory on a faster disk", "shared": "take a nearer server, or none"}
    for level, remedy in remedies.items():
        rows = [row for row in stats.counted["hits"] if row["level"] == level]
        p95 = percentile(added(row["buckets"] for row in rows), 95)
        if p95 is None or thresholds.max_p95_seconds is None or p95 <= thresholds.max_p95_seconds:
            continue
        seconds = total(rows, "nanoseconds") / 1e9
        speed = total(rows, "bytes") / max(seconds, p95)
        if total(rows) >= thresholds.min_requests and speed < thresholds.min_bytes_a_second:
            slowness = f"95 % of its hits take up to {latency_in_words(p95)}, at {bytes_in_words(speed)}/s"
            yield Finding(f"slow {level}", f"the {level} level is slow: {slowness}: {remedy}")


_Check = Callable[[CacheStats, Thresholds], Iterator[Finding]]
_CHECKS: tuple[_Check, ...] = (_faults, _full_disk, _hot_evictions, _low_hit_rate, _slow_level)  # most important first


def what_is_off(stats: CacheStats, thresholds: Thresholds = USUAL) -> list[Finding]:
    """What is off, the most important first."""
    return [finding for check in _CHECKS for finding in check(stats, thresholds)]


class Watch:
    """What was off when `warn_if_off` last looked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._off: set[str] = set()

    def fresh(self, found: Sequence[Finding]) -> list[Finding]:
        """Those findings that were not there the last time."""
        with self._lock:
            fresh = [finding for finding in found if finding.name not in self._off]
            self._off = {finding.name for finding in found}
        return fresh


def warn_if_off(stats: CacheStats, thresholds: Thresholds = USUAL, watch: Watch | None = None) -> list[Finding]:
    """Log a warning for each thing that is off, and give all that is.

    With a watch a thing is warned of again only after it was fine in between. Counts go on until they are drained or
    reset: one fault stays one until then.
    """
    found = what_is_off(stats, thresholds)
    for finding in found if watch is None else watch.fresh(found):
        log.warning("cache: %s", finding.advice)
    return found
