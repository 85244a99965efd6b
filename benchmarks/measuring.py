"""What all benchmarks share: taking turns, tables with limits, and the words for where they ran."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
import talib
from numpy.typing import NDArray

# What is timed has to be computed; benchmarks/cache.py takes this back.
os.environ["ATC_CACHE"] = "off"

STOCKS = Path(__file__).parent.parent / "examples" / "data" / "us_stocks.csv.gz"


def walk(bars: int) -> NDArray[np.float64]:
    """A price of one stock that cannot be told from another's."""
    return 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.002, bars)))


@dataclasses.dataclass
class Table:
    """Rows of text under a title, and in a few words how they were measured."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: str = ""

    def text(self, markdown: bool) -> str:
        """The table as GitHub writes them, or in aligned columns."""
        columns = []
        for head, *cells in zip(self.header, *self.rows, strict=True):
            width = max(map(len, (head, *cells)))
            numbers = all(cell[:1] in "0123456789<>" for cell in cells)
            rule = "-" * (width - 1) + (":" if numbers else "-")
            column = [head, *([rule] if markdown else []), *cells]
            columns.append([cell.rjust(width) if numbers else cell.ljust(width) for cell in column])
        lines = list(zip(*columns, strict=True))
        notes = textwrap.fill(self.notes, 120, break_on_hyphens=False)
        if markdown:
            body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            return f"### {self.title}\n\n{body}\n\n{notes}".rstrip() + "\n"
        body = "\n".join("  ".join(line).rstrip() for line in lines)
        return f"{self.title}\n{body}\n{notes}".rstrip() + "\n"


def against(value: float, *, at_most: float | None = None, at_least: float | None = None) -> tuple[str, str]:
    """The limit and whether it holds, as two cells."""
    if at_most is not None:
        return f"<= {at_most:g}", "PASS" if value <= at_most else "over"
    if at_least is not None:
        return f">= {at_least:g}", "PASS" if value >= at_least else "under"
    return "", ""


def in_turns(rounds: int, *tasks: Callable[[], object]) -> list[list[float]]:
    """Seconds of each task, one of every round, after a first call of each that is not counted."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for task in tasks:
        task()
    for _ in range(rounds):
        for task, taken in zip(tasks, seconds, strict=True):
            start = time.perf_counter()
            task()
            taken.append(time.perf_counter() - start)
    return seconds


class Neighbours:
    """What others took of the processors since this was made."""

    def __init__(self) -> None:
        self._before = self._seconds()

    def words(self) -> str:
        """In a sentence; nothing where the system does not tell."""
        if self._before is None:
            return ""
        total, busy, stolen, own = np.subtract(self._seconds(), self._before)
        others = max(0.0, busy - own) / total
        return (
            f"Meanwhile other processes took {others:.0%} of the processors, and other machines {stolen / total:.0%}."
        )

    @staticmethod
    def _seconds() -> tuple[float, float, float, float] | None:
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        ticks = [int(word) for word in stat.read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, idle, waiting, irq, softirq, stolen = (each / os.sysconf("SC_CLK_TCK") for each in ticks)
        busy = user + nice + system + irq + softirq
        return busy + idle + waiting + stolen, busy, stolen, sum(os.times()[:4])


def machine() -> str:
    """When and where this ran, with what."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(
            (part.strip() for part in line.split(":", 1)) for line in cpuinfo.read_text().splitlines() if ":" in line
        )
        model = fields.get("model name", model)
        if "cpu family" in fields:
            model += f" (family {fields['cpu family']}, model {fields.get('model', '?')})"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}"
    versions += f", numba {numba.__version__}, TA-Lib {talib.__version__}"
    return f"{datetime.date.today()}, {model}, {cores} cores, {platform.system()}; {versions}."


def command_line(doc: str | None, quick: str) -> argparse.ArgumentParser:
    """The options that all benchmarks take; `quick` says what --quick leaves out."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--markdown", action="store_true", help="print the tables as GitHub markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    return parser


class Report:
    """Tables printed as they come, and their figures kept where asked to."""

    def __init__(self, asked: argparse.Namespace, where: str | None = None) -> None:
        self._asked, self._start = asked, time.perf_counter()
        where = where or machine()
        self.figures: dict[str, Any] = {"where": where, "quick": asked.quick}
        print(where, end="\n\n", flush=True)

    def show(self, table: Table) -> None:
        """Print a table."""
        print(table.text(self._asked.markdown), flush=True)

    def end(self, words: str = "") -> None:
        """Write the figures, and say how long it all took."""
        if self._asked.json:
            self._asked.json.write_text(json.dumps(self.figures, indent=1) + "\n")
        print(f"Measured in {time.perf_counter() - self._start:.0f} s. {words}".rstrip())
