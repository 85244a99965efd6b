"""What a cache did, as data: hits and misses, sizes, times and faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from ..words import bytes_in_words, number_of, share_in_words
from .prometheus import exposition
from .statistics import added, percentile

if TYPE_CHECKING:
    import pandas as pd

_LEVELS = ("waiting", "recent", "disk", "shared", "components", "earlier")  # the last two: made of what these have


class Row(NamedTuple):
    """What a level did for a kind. Times are seconds within which 50, 95 and 99 percent were done."""

    level: str
    kind: str
    hits: int
    bytes_read: int
    p50: float | None
    p95: float | None
    p99: float | None
    puts: int
    bytes_written: int
    put_p50: float | None
    put_p95: float | None
    put_p99: float | None
    evictions: int
    hot_evictions: int
    bytes_evicted: int


class Missed(NamedTuple):
    """What was asked for of a kind and was nowhere, for one reason."""

    kind: str
    reason: str
    requests: int
    p50: float | None
    p95: float | None
    p99: float | None


class Declined(NamedTuple):
    """What was computed of a kind and not worth storing."""

    kind: str
    items: int
    bytes: int


class Faulty(NamedTuple):
    """What went wrong on a level while it did something: how often, and the last message with its time of day."""

    level: str
    what: str
    times: int
    message: str
    at: float


@dataclass(frozen=True, kw_only=True)
class CacheStats:
    """What was counted, in the form `Statistics.snapshot` has it, and what the store knows of itself, if it does."""

    counted: Mapping[str, Any] = field(repr=False)
    directory: str | None = None
    bytes_kept: int | None = None
    entries: int | None = None
    size_limit: int | None = None
    free_bytes: int | None = None

    @property
    def hits(self) -> int:
        """Requests that some level could answer."""
        return total(self.counted["hits"])

    @property
    def misses(self) -> int:
        """Requests that no level could answer."""
        return total(self.counted["misses"])

    @property
    def hit_rate(self) -> float | None:
        """Hits of all that was asked for; None if nothing was."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    @property
    def misses_by_reason(self) -> dict[str, int]:
        """How many misses have which reason, the most frequent first."""
        counts: Counter[str] = Counter()
        for row in self.counted["misses"]:
            counts[row["reason"]] += row["count"]
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def rows(self) -> list[Row]:
        """What each level did for each kind, in the order in which levels are asked."""
        places = {(row["level"], row["kind"]) for table in ("hits", "puts", "evictions") for row in self.counted[table]}
        return [self._row(*place) for place in sorted(places, key=lambda place: (level_order(place[0]), place[1]))]

    @property
    def missed(self) -> list[Missed]:
        """Misses by kind and reason."""
        return [
            Missed(row["kind"], row["reason"], row["count"], *_percentiles([row])) for row in self.counted["misses"]
        ]

    @property
    def declined(self) -> list[Declined]:
        """What was not worth storing."""
        return [Declined(row["kind"], row["count"], row["bytes"]) for row in self.counted["declined"]]

    @property
    def faults(self) -> list[Faulty]:
        """What went wrong, in the order in which levels are asked."""
        columns = ("level", "what", "count", "message", "at")
        faults = (Faulty(*(row[column] for column in columns)) for row in self.counted["faults"])
        return sorted(faults, key=lambda fault: (level_order(fault.level), fault.what))

    def to_dict(self) -> dict[str, Any]:
        """Everything in JSON's types; times are seconds, times of day seconds since 1970."""
        return {
            **self._facts,
            "since": self.counted["since"],
            "hits": self.hits,
            "misses": self.misses,
            "hit_rate": self.hit_rate,
            "misses_by_reason": self.misses_by_reason,
            "rows": [row._asdict() for row in self.rows],
            "missed": [row._asdict() for row in self.missed],
            "declined": [row._asdict() for row in self.declined],
            "faults": [row._asdict() for row in self.faults],
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_prometheus(self) -> str:
        """The counts in Prometheus' text format, version 0.0.4, to be served or written for its file collector."""
        return "".join(exposition(self.counted, self._facts))

    def frame(self) -> pd.DataFrame:
        """`rows` as a frame by level and kind."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(Row._fields)).set_index(["level", "kind"])

    def __str__(self) -> str:
        faults = sum(row.times for row in self.faults)
        words = [hits_in_words(self), *kept_in_words(self), number_of("fault", "faults", faults) if faults else ""]
        return "cache: " + "; ".join(filter(None, words))

    @property
    def _facts(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "counted"}

    def _row(self, level: str, kind: str) -> Row:
        hits, puts, evictions = (
            [row for row in self.counted[table] if (row["level"], row["kind"]) == (level, kind)]
            for table in ("hits", "puts", "evictions")
        )
        return Row(
            level,
            kind,
            total(hits),
            total(hits, "bytes"),
            *_percentiles(hits),
            total(puts),
            total(puts, "bytes"),
            *_percentiles(puts),
            total(evictions),
            total(row for row in evictions if row["hot"]),
            total(evictions, "bytes"),
        )


def level_order(level: str) -> tuple[int, str]:
    """By which levels are sorted: as they are asked."""
    return (_LEVELS.index(level) if level in _LEVELS else len(_LEVELS)), level


def total(rows: Iterable[Mapping[str, Any]], column: str = "count") -> int:
    """The sum of a column."""
    return sum(row[column] for row in rows)


def _percentiles(rows: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None, float | None]:
    buckets = added(row["buckets"] for row in rows)
    return percentile(buckets, 50), percentile(buckets, 95), percentile(buckets, 99)


def hits_in_words(stats: CacheStats) -> str:
    """How many requests hit."""
    if stats.hit_rate is None:
        return "nothing was asked for"
    return f"{stats.hits:,} of {stats.hits + stats.misses:,} requests hit ({share_in_words(stats.hit_rate)})"


def kept_in_words(stats: CacheStats) -> list[str]:
    """How much is kept, as far as it is known."""
    words = [] if stats.entries is None else [number_of("entry", "entries", stats.entries)]
    if stats.bytes_kept is not None:
        limit = "" if stats.size_limit is None else f" of {bytes_in_words(stats.size_limit)}"
        words.append(bytes_in_words(stats.bytes_kept) + limit)
    return words if stats.free_bytes is None else [*words, f"{bytes_in_words(stats.free_bytes)} free on the disk"]
