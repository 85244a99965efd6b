"""What a sweep will cost: work, time and memory, known before any of it is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ..words import bytes_in_words

BLOCK = 65_536
"""Combinations in a block, the unit of caching and of resuming."""

# What `benchmarks/sweep.py` measures on one core.
NANOSECONDS_A_COMBINATION_BAR = 0.45
NANOSECONDS_A_COMPONENT_BAR = 5.0

# Bytes and numbers of what a sweep holds. Only rows grow with the number of columns, and what columns need that are
# worked on at once.
_COMPONENT_BAR = 1 + 8  # layer-1 signal, layer-2 equity
_RUNNING_SUM = 4
_SIDES = 2
_STRETCH = 64
_STRETCH_BARS = 255  # longer stretches have no line in the tables
_TABLE_BARS = 2048 + _STRETCH_BARS  # tables of longer series are made piece by piece
_ACCUMULATORS = 12
_BLOCKS_WAITING = 5  # to be written, besides the one that each job works on
_PART = 13 * 8  # what goes on from tile to tile, for each window and combination
_ROW_LABEL, _VARIED_VALUE = 8, 2

_REMEDIES = {
    "components": "sweep fewer lengths, weights or regimes (lambda_, decay, cutout, robustness) at a time",
    "running_sums": "sweep fewer thresholds, lengths, weights or regimes at a time",
    "stretch_tables": "sweep shorter series",
    "result_rows": "keep only the best with top=, or sweep fewer columns or a slice of the grid at a time",
    "blocks_in_flight": "ask for fewer windows or jobs",
}

_CGROUPS = (  # limit, use, what of the use can be given back at once; version 2, version 1
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


class Memory(NamedTuple):
    """Bytes by what they are for."""

    components: int
    running_sums: int
    stretch_tables: int
    result_rows: int
    blocks_in_flight: int


class Estimate(NamedTuple):
    """The cost of a sweep over so many columns of so many bars."""

    columns: int
    bars: int
    jobs: int
    combination_bars: int
    seconds: float  # on one core
    parts: Memory

    @property
    def memory(self) -> int:
        """Bytes in all."""
        return sum(self.parts)

    def check_memory(self, available: int | None) -> None:
        """Raise MemoryError where more is needed than is available; None knows no limit."""
        if available is None or self.memory <= available:
            return
        part, needed = max(self.parts._asdict().items(), key=lambda item: item[1])
        raise MemoryError(
            f"the sweep needs about {bytes_in_words(self.memory)} of memory and {bytes_in_words(available)} are "
            f"available; {bytes_in_words(needed)} of it are for {part.replace('_', ' ')}: {_REMEDIES[part]}"
        )


def many_columns(columns: int, combinations: int, jobs: int) -> bool:
    """Whether columns are so many, and each so little work, that threads take one each."""
    return columns >= 2 * jobs and combinations <= BLOCK


def estimated(
    combinations: int,
    components: int,
    thresholds: int,
    varied: int,
    *,
    columns: int,
    bars: int,
    metrics: int,
    windows: int,
    top: int | None,
    jobs: int,
) -> Estimate:
    """The cost of a sweep from the numbers that decide it."""
    work = combinations * columns * bars
    nanoseconds = work * NANOSECONDS_A_COMBINATION_BAR + components * columns * bars * NANOSECONDS_A_COMPONENT_BAR
    rows = columns * (combinations if top is None else min(top, combinations))
    judged = 1 + windows
    at_once = min(jobs, columns) if many_columns(columns, combinations, jobs) else 1
    block = min(combinations, BLOCK)
    between_tiles = at_once * block * _PART * (windows + 2) if bars > _TABLE_BARS - _STRETCH_BARS else 0
    parts = Memory(
        components=at_once * _COMPONENT_BAR * components * bars,
        running_sums=at_once * _RUNNING_SUM * components * bars * thresholds,
        stretch_tables=at_once * _SIDES * (min(bars, _TABLE_BARS) + windows + 1) * _STRETCH_BARS * _STRETCH,
        result_rows=rows * (8 * metrics * judged + _ROW_LABEL + _VARIED_VALUE * varied),
        blocks_in_flight=(_BLOCKS_WAITING + jobs) * block * _ACCUMULATORS * 8 * judged + between_tiles,
    )
    return Estimate(columns, bars, jobs, work, nanoseconds / 1e9, parts)


def available_memory() -> int | None:
    """Bytes that this process can still take: of the machine or of its control group; None where nobody tells."""
    found = [_of_the_machine(), _of_the_group(Path("/sys/fs/cgroup"))]
    return min((number for number in found if number is not None), default=None)


def _of_the_machine() -> int | None:
    kilobytes = _field(Path("/proc/meminfo"), "MemAvailable:")
    if kilobytes is not None:
        return 1024 * kilobytes
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_the_group(root: Path) -> int | None:
    for limit, use, spare in _CGROUPS:
        try:
            most, used = (int((root / name).read_text()) for name in (limit, use))
        except (OSError, ValueError):  # not there, or "max"
            continue
        cached = _field((root / use).with_name("memory.stat"), spare) or 0
        return max(0, most - used + cached)
    return None


def _field(path: Path, name: str) -> int | None:
    """The number after a name in a file of lines such as "MemAvailable: 123 kB"."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        return next((int(row[1]) for row in rows if row and row[0] == name), None)
    except (OSError, ValueError, IndexError):
        return None
