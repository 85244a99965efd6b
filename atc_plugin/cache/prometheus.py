"""The counts of a cache in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .statistics import BOUNDS, BUCKETS_AN_OCTAVE

_COUNTERS = (  # name, help, table, column, labels
    ("hits", "Requests that a level could answer.", "hits", "count", ("level", "kind")),
    ("misses", "Requests that no level could answer.", "misses", "count", ("kind", "reason")),
    ("read_bytes", "Bytes of what was asked for and there.", "hits", "bytes", ("level", "kind")),
    ("puts", "Items written.", "puts", "count", ("level", "kind")),
    ("written_bytes", "Bytes of items written.", "puts", "bytes", ("level", "kind")),
    ("declined", "Items computed and not worth storing.", "declined", "count", ("kind",)),
    ("declined_bytes", "Bytes of items not worth storing.", "declined", "bytes", ("kind",)),
    ("evictions", "Items removed to make room.", "evictions", "count", ("level", "kind", "hot")),
    ("evicted_bytes", "Bytes of items removed to make room.", "evictions", "bytes", ("level", "kind", "hot")),
    ("faults", "What went wrong.", "faults", "count", ("level", "what")),
)
_HISTOGRAMS = (
    ("hit_seconds", "Time that a hit took.", "hits", ("level", "kind")),
    ("miss_seconds", "Time that it took to find nothing.", "misses", ("kind", "reason")),
    ("put_seconds", "Time that a put took.", "puts", ("level", "kind")),
)
_GAUGES = (
    ("kept_bytes", "Bytes kept.", "bytes_kept"),
    ("entries", "Items kept.", "entries"),
    ("size_limit_bytes", "Bytes that may be kept.", "size_limit"),
    ("disk_free_bytes", "Bytes left on the disk.", "free_bytes"),
)
_EDGES = range(0, len(BOUNDS), 2 * BUCKETS_AN_OCTAVE)  # two octaves each: all 267 would be a burden to Prometheus


def exposition(counted: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    """Pieces of the text: of a snapshot of `Statistics`, and of facts by name, each of which may be None."""
    for name, meaning, table, column, names in _COUNTERS:
        if rows := counted[table]:
            yield _header(f"{name}_total", meaning, "counter")
            for row in rows:
                yield f"atc_cache_{name}_total{_labels(row, names)} {row[column]}\n"
    for name, meaning, table, names in _HISTOGRAMS:
        if rows := [row for row in counted[table] if row["buckets"]]:
            yield _header(name, meaning, "histogram")
            for row in rows:
                yield from _histogram(f"atc_cache_{name}", row, names)
    for name, meaning, fact in _GAUGES:
        if (number := facts[fact]) is not None:
            yield _header(name, meaning, "gauge")
            yield f"atc_cache_{name} {number}\n"


def _histogram(name: str, row: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for edge in _EDGES:
        within = sum(count for place, count in row["buckets"].items() if int(place) <= edge)
        yield f"{name}_bucket{_labels(row, names, le=repr(BOUNDS[edge]))} {within}\n"
    count = sum(row["buckets"].values())
    yield f"{name}_bucket{_labels(row, names, le='+Inf')} {count}\n"
    yield f"{name}_sum{_labels(row, names)} {row['nanoseconds'] / 1e9!r}\n"
    yield f"{name}_count{_labels(row, names)} {count}\n"


def _header(name: str, meaning: str, sort: str) -> str:
    return f"# HELP atc_cache_{name} {meaning}\n# TYPE atc_cache_{name} {sort}\n"


def _labels(row: Mapping[str, Any], names: Sequence[str], **more: str) -> str:
    values = {name: str(row[name]).lower() if isinstance(row[name], bool) else row[name] for name in names} | more
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
