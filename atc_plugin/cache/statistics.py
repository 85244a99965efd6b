"""Counting what a store does, cheaply enough for its fastest path; counts of several processes add up."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .forking import anew_in_forks

REASONS: Final = ("never stored", "expired", "evicted", "damaged", "other law version", "not worth storing")
"""Why something was not there."""

BUCKETS_AN_OCTAVE: Final = 8

BOUNDS: Final = tuple(1e-7 * 2 ** (place / BUCKETS_AN_OCTAVE) for place in range(267))
"""Seconds at which the buckets of a histogram end, 100 ns to 1000 s; one bucket more takes what is longer."""

_FORMAT = 1  # of a snapshot

_NAMES = {
    "hits": ("level", "kind"),
    "misses": ("kind", "reason"),
    "puts": ("level", "kind"),
    "declined": ("kind",),
    "evictions": ("level", "kind", "hot"),
}

_LONGEST_MESSAGE = 300


class Statistics:
    """Counts of hits, misses, puts, evictions and faults, with the latencies of the first three.

    Any number of threads may count. A copy that goes to another process, by pickling or by a fork, begins at nothing,
    so that what a worker drains and its parent merges is counted once.

    Durations are the caller's, by a clock that never goes back; one that is negative, or no number, counts as none.
    The time of day is only shown.

    >>> statistics = Statistics()
    >>> statistics.hit("disk", "result", 12_000, 0.0002)
    >>> statistics.miss("result", "expired")
    >>> statistics.snapshot()["hits"]
    [{'level': 'disk', 'kind': 'result', 'count': 1, 'bytes': 12000, 'nanoseconds': 200000, 'buckets': {'88': 1}}]
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.begin_anew()
        anew_in_forks(self)

    def __reduce__(self) -> tuple[type[Statistics], tuple[Callable[[], float]]]:
        return Statistics, (self._clock,)

    def hit(self, level: str, kind: str, nbytes: int, seconds: float) -> None:
        """Something was there, and was read in so many seconds."""
        with self._lock:
            self._counts.tallies["hits"][level, kind].timed(nbytes, seconds)

    def miss(self, kind: str, reason: str, seconds: float = 0.0) -> None:
        """Something was on no level, for one of `REASONS`. Without a duration it is counted and has no latency."""
        if reason not in REASONS:
            raise ValueError(f"a miss is for one of {', '.join(map(repr, REASONS))}; got {reason!r}")
        with self._lock:
            tally = self._counts.tallies["misses"][kind, reason]
            if seconds:
                tally.timed(0, seconds)
            else:
                tally.counted(0)

    def put(self, level: str, kind: str, nbytes: int, seconds: float) -> None:
        """Something was written in so many seconds."""
        with self._lock:
            self._counts.tallies["puts"][level, kind].timed(nbytes, seconds)

    def declined(self, kind: str, nbytes: int) -> None:
        """Something was computed that is not worth storing."""
        with self._lock:
            self._counts.tallies["declined"][(kind,)].counted(nbytes)

    def evicted(self, level: str, kind: str, nbytes: int, hot: bool = False) -> None:
        """Something was removed to make room; hot if it had been used within the last hour."""
        with self._lock:
            self._counts.tallies["evictions"][level, kind, bool(hot)].counted(nbytes)

    def fault(self, level: str, what: str, error: BaseException | str) -> None:
        """Something went wrong on a level while it did what is named, such as "read"; the last message is kept."""
        message = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        message = " ".join(message.split())[:_LONGEST_MESSAGE]
        at = float(self._clock())
        with self._lock:
            fault = self._counts.faults[level, what]
            fault.count += 1
            fault.message, fault.at = message, at

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add the counts of a snapshot; in which order and in which groups makes no difference."""
        counts = _Counts.of_snapshot(other)
        with self._lock:
            self._counts.add(counts)

    def snapshot(self) -> dict[str, Any]:
        """The counts so far, as JSON has them: a table for each kind of event, and since when they are counted."""
        with self._lock:
            return self._counts.snapshot()

    def drain(self) -> dict[str, Any]:
        """The counts so far, which begin at nothing again; no event is lost or counted twice."""
        counts = _Counts(float(self._clock()))
        with self._lock:
            self._counts, counts = counts, self._counts
        return counts.snapshot()

    def reset(self) -> None:
        """Begin at nothing again."""
        self.drain()

    def begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._counts = _Counts(float(self._clock()))


def percentile(buckets: Mapping[str, int], percent: int) -> float | None:
    """The seconds within which so many percent of what a histogram counts lie; None of nothing.

    It is the end of the bucket where they end, so never too short, and too long by less than a bucket's width, 9 %.
    What lies outside 100 ns to 1000 s counts as these.

    >>> percentile({"8": 90, "16": 10}, 50), percentile({"8": 90, "16": 10}, 95)
    (2e-07, 4e-07)
    """
    rank = -(-percent * sum(buckets.values()) // 100)
    if not rank:
        return None
    for place, count in sorted((int(place), count) for place, count in buckets.items()):
        rank -= count
        if rank <= 0:
            return BOUNDS[min(place, len(BOUNDS) - 1)]
    raise AssertionError("a rank is never above the sum")


def added(histograms: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """One histogram of several.

    >>> added([{"8": 2}, {"8": 1, "9": 1}])
    {'8': 3, '9': 1}
    """
    total: defaultdict[str, int] = defaultdict(int)
    for histogram in histograms:
        for place, count in histogram.items():
            total[place] += count
    return dict(total)


class _Tally:
    """Events of one sort. Durations add up as whole nanoseconds, since sums of floats depend on their order."""

    __slots__ = ("buckets", "bytes", "count", "nanoseconds")

    def __init__(self) -> None:
        self.count = self.bytes = self.nanoseconds = 0
        self.buckets: defaultdict[int, int] = defaultdict(int)

    def counted(self, nbytes: int) -> None:
        self.count += 1
        self.bytes += nbytes

    def timed(self, nbytes: int, seconds: float) -> None:
        self.count += 1
        self.bytes += nbytes
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        if 0.0 < seconds < 1e9:
            self.nanoseconds += int(seconds * 1e9 + 0.5)

    def add(self, other: _Tally) -> None:
        self.count += other.count
        self.bytes += other.bytes
        self.nanoseconds += other.nanoseconds
        for place, count in other.buckets.items():
            self.buckets[place] += count

    def row(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "bytes": int(self.bytes),  # numpy's integers are not JSON's
            "nanoseconds": self.nanoseconds,
            "buckets": {str(place): self.buckets[place] for place in sorted(self.buckets)},
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> _Tally:
        tally = cls()
        tally.count, tally.bytes, tally.nanoseconds = int(row["count"]), int(row["bytes"]), int(row["nanoseconds"])
        tally.buckets.update((int(place), int(count)) for place, count in row["buckets"].items())
        return tally


class _Fault:
    __slots__ = ("at", "count", "message")

    def __init__(self, count: int = 0, message: str = "", at: float = 0.0) -> None:
        self.count, self.message, self.at = count, message, at

    def add(self, other: _Fault) -> None:
        self.at, self.message = max((self.at, self.message), (other.at, other.message))
        self.count += other.count


class _Counts:
    """All that is counted since some time."""

    __slots__ = ("faults", "since", "tallies")

    def __init__(self, since: float) -> None:
        self.since = since
        self.tallies = {table: defaultdict[tuple[Any, ...], _Tally](_Tally) for table in _NAMES}
        self.faults = defaultdict[tuple[str, str], _Fault](_Fault)

    def add(self, other: _Counts) -> None:
        self.since = min(self.since, other.since)
        for table, tallies in other.tallies.items():
            for key, tally in tallies.items():
                self.tallies[table][key].add(tally)
        for place, fault in other.faults.items():
            if place in self.faults:
                self.faults[place].add(fault)
            else:  # not to one of no time, which would be later than a time before 1970
                self.faults[place] = fault

    def snapshot(self) -> dict[str, Any]:
        tables = {
            table: [
                dict(zip(_NAMES[table], key, strict=True)) | tally.row()
                for key, tally in sorted(tallies.items(), key=lambda item: item[0])
            ]
            for table, tallies in self.tallies.items()
        }
        faults = [
            {"level": level, "what": what, "count": fault.count, "message": fault.message, "at": fault.at}
            for (level, what), fault in sorted(self.faults.items(), key=lambda item: item[0])
        ]
        return {"format": _FORMAT, "since": self.since, **tables, "faults": faults}

    @classmethod
    def of_snapshot(cls, snapshot: Mapping[str, Any]) -> _Counts:
        try:
            if snapshot["format"] != _FORMAT:
                raise ValueError(f"its format is {snapshot['format']!r}, and {_FORMAT} is known")
            counts = cls(float(snapshot["since"]))
            for table, names in _NAMES.items():
                for row in snapshot[table]:
                    counts.tallies[table][tuple(row[name] for name in names)] = _Tally.of_row(row)
            for row in snapshot["faults"]:
                fault = _Fault(int(row["count"]), str(row["message"]), float(row["at"]))
                counts.faults[row["level"], row["what"]] = fault
        except (AttributeError, KeyError, TypeError, ValueError) as fault_of_it:
            raise ValueError(f"this is no snapshot of statistics: {fault_of_it!r}") from fault_of_it
        return counts
