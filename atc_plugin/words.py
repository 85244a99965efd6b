"""Numbers, sizes and times in words, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta


def bytes_in_words(number: float) -> str:
    """A number of bytes with a unit that suits it.

    >>> bytes_in_words(999), bytes_in_words(1_234_567), bytes_in_words(5e15)
    ('999 bytes', '1.2 MB', '5,000.0 TB')
    """
    if number < 1000:
        return f"{number:.0f} bytes"
    units = ["TB", "GB", "MB", "kB"]
    unit, number = units.pop(), number / 1000
    while number >= 999.95 and units:
        unit, number = units.pop(), number / 1000
    return f"{number:,.1f} {unit}"


def time_in_words(seconds: float) -> str:
    """A duration with a unit that suits it.

    >>> time_in_words(0.0012), time_in_words(75.04), time_in_words(7200), time_in_words(1e6)
    ('0.001 s', '75.0 s', '2.0 hours', '11.6 days')
    """
    if seconds < 1:
        return f"{seconds:.3f} s"
    for unit, length, most in (("s", 1, 120), ("minutes", 60, 7200), ("hours", 3600, 172_800)):
        if seconds < most:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86_400:,.1f} days"


def latency_in_words(seconds: float | None) -> str:
    """A short time with a unit that suits it; a dash for none.

    >>> latency_in_words(2.5e-5), latency_in_words(0.25), latency_in_words(None)
    ('25 µs', '250 ms', '-')
    """
    if seconds is None:
        return "-"
    for unit, length in (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:,.0f} s"


def number_of(one: str, many: str, number: int) -> str:
    """So many of something."""
    return f"{number:,} {one if number == 1 else many}"


def share_in_words(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.1f} %"


def date_in_words(at: float) -> str:
    """Seconds since the epoch as date and time."""
    # Not fromtimestamp, which fails before 1970 on Windows: a clock may be wrong.
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at):%Y-%m-%d %H:%M:%S} UTC"


def table_lines(titles: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns that are set to these sides, to the right where none is said.

    >>> table_lines(("level", "hits"), "<", [("disk", "7"), ("recent", "12")])
    ['level   hits', 'disk       7', 'recent    12']
    """
    lines = [titles, *([" ".join(cell.split()) for cell in row] for row in rows)]
    columns = list(zip(*lines, strict=True))
    sides = sides.ljust(len(columns), ">")
    cells = [
        [f"{cell:{side}{max(map(len, column))}}" for cell in column]
        for side, column in zip(sides, columns, strict=True)
    ]
    return ["  ".join(line).rstrip() for line in zip(*cells, strict=True)]
