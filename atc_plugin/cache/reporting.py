"""What a cache did as a table for people, with a line of advice."""

from __future__ import annotations

from ..words import bytes_in_words, date_in_words, latency_in_words, share_in_words, table_lines
from .counted import CacheStats, Row, hits_in_words, kept_in_words
from .findings import USUAL, Thresholds, what_is_off


def report(stats: CacheStats, thresholds: Thresholds = USUAL) -> str:
    """What was counted as a table, with one line of advice where something is off."""
    head = f"cache in {stats.directory}" if stats.directory else "cache"
    kept = f": {', '.join(kept_in_words(stats))}" if kept_in_words(stats) else ""
    parts = [[head + kept, f"{hits_in_words(stats)} since {date_in_words(stats.counted['since'])}"]]
    if stats.rows:
        titles = ("level", "kind", "hits", "read", "p50", "p95", "p99", "puts", "written", "put p95", "evicted", "hot")
        parts.append(table_lines(titles, "<<", [_cells(row) for row in stats.rows]))
    if reasons := stats.misses_by_reason:
        shares = [(reason, f"{count:,}", share_in_words(count / stats.misses)) for reason, count in reasons.items()]
        parts.append(table_lines(("misses", "requests", "share"), "<", shares))
    if stats.declined:
        declined = [(row.kind, f"{row.items:,}", bytes_in_words(row.bytes)) for row in stats.declined]
        parts.append(table_lines(("not worth storing", "items", "size"), "<", declined))
    if stats.faults:
        faults = [(row.level, row.what, f"{row.times:,}", date_in_words(row.at), row.message) for row in stats.faults]
        parts.append(table_lines(("faults", "in", "times", "last", "message"), "<<><<", faults))
    if off := what_is_off(stats, thresholds):
        parts.append([f"advice: {off[0].advice}"])
    return "\n\n".join("\n".join(lines) for lines in parts)


def _cells(row: Row) -> list[str]:
    times = [latency_in_words(one) for one in (row.p50, row.p95, row.p99)]
    read, written = bytes_in_words(row.bytes_read), bytes_in_words(row.bytes_written)
    hits, puts, evictions, hot = (f"{count:,}" for count in (row.hits, row.puts, row.evictions, row.hot_evictions))
    return [row.level, row.kind, hits, read, *times, puts, written, latency_in_words(row.put_p95), evictions, hot]
