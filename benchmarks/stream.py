"""How fast the stream is: one symbol from Python, a thousand symbols, and the history it starts from.

    python benchmarks/stream.py [--quick] [--markdown] [--json FILE]

Everything runs on one thread, in turns, so that a busy machine slows all alike; limits are held against the best round,
because other processes only ever add to the time. A limit that does not hold is marked and never an error; outputs that
differ from those of `atc` are one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import Neighbours, Report, Table, against, command_line, in_turns, walk

from atc_plugin import AtcStream, atc, precompile

MODES = ("sma", "hull")
SYMBOLS = 1_000
LONG = {f"{type_}_len": 500 for type_ in ("ema", "hma", "wma", "dema", "lsma", "kama")}


def one_symbol(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Updates a second, a call of Python each."""
    rounds, bars = (40 if quick else 400), 1_000
    close = walk(2_000 + bars)
    live = close[2_000:].tolist()
    tasks: dict[str, tuple[Callable[[], object], int, float | None]] = {}

    def updated(stream: AtcStream) -> None:
        for price in live:
            stream.update(price)

    def read_out(stream: AtcStream) -> None:
        for price in live:
            bar = stream.update(price)
            _ = bar.average, bar.direction, bar.signals, bar.weights

    def replaced(stream: AtcStream) -> None:
        for price in live:
            stream.replace(price)

    def recomputed(mode: str) -> None:
        for t in range(1_500, 1_504):
            result = atc(close[:t], hma_mode=mode)
            _ = result.average[-1], result.direction[-1]

    for mode in MODES:
        stream = AtcStream(history=close[:2_000], hma_mode=mode)
        tasks[f"update, {mode}"] = (lambda s=stream: updated(s), bars, 150_000)
        tasks[f"update, everything read, {mode}"] = (lambda s=stream: read_out(s), bars, None)
        tasks[f"replace, {mode}"] = (lambda s=stream: replaced(s), bars, None)
        tasks[f"instead: atc on 1,500 bars, {mode}"] = (lambda m=mode: recomputed(m), 4, None)
    stream = AtcStream(history=close[:2_000], **LONG)
    tasks["update, all lengths 500"] = (lambda s=stream: updated(s), bars, None)
    notes = "From Python, the symbol's state in the first-level cache."
    return rates("One symbol", tasks, rounds, notes)


def many_symbols(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Symbol-updates a second, an array a call."""
    rounds, bars = (10 if quick else 100), 20
    noise = np.random.default_rng(5).normal(0, 0.002, (100 + bars, SYMBOLS))
    close = 100 * np.exp(np.cumsum(noise, axis=0))
    gaps = np.where(np.random.default_rng(6).random(close.shape) < 0.1, np.nan, close)
    tasks: dict[str, tuple[Callable[[], object], int, float | None]] = {}

    def updated(stream: AtcStream, prices: Any, replacing: bool) -> None:
        take = stream.replace if replacing else stream.update
        for row in prices:
            take(row)

    for mode in MODES:
        stream = AtcStream(history=close[:100], hma_mode=mode)
        for name, prices, replacing, limit in (
            ("update", close[100:], False, 3_000_000),
            ("replace", close[100:], True, None),
            ("update, a tenth of the bars missing", gaps[100:], False, None),
        ):
            work = (lambda s=stream, p=prices, r=replacing: updated(s, p, r), bars * SYMBOLS, limit)
            tasks[f"{name}, {mode}"] = work
    kilobytes = stream._layout.fresh.nbytes / 1024
    notes = f"On one core; the state of a symbol takes {kilobytes:.0f} KB, which is more than its own cache for all."
    return rates(f"{SYMBOLS:,} symbols", tasks, rounds, notes)


def rates(
    title: str, tasks: dict[str, tuple[Callable[[], object], int, float | None]], rounds: int, notes: str
) -> tuple[Table, dict[str, Any]]:
    """A table of updates a second; `tasks` are what is done, how many updates that is, and the limit."""
    rows = []
    figures = {}
    taken = in_turns(rounds, *(work for work, _, _ in tasks.values()))
    for (name, (_, updates, limit)), seconds in zip(tasks.items(), taken, strict=True):
        best, median = min(seconds) / updates, statistics.median(seconds) / updates
        figures[name] = {"best_ns": best * 1e9, "median_ns": median * 1e9}
        cells = (f"{best * 1e9:,.0f}", f"{median * 1e9:,.0f}", f"{1 / best:,.0f}")
        rows.append(
            (name, *cells, *((f">= {limit:,.0f}", against(1 / best, at_least=limit)[1]) if limit else ("", "")))
        )
    header = ("what", "best, ns an update", "median", "updates a second", "limit", "holds")
    return Table(title, header, rows, notes), figures


def history(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Starting from past prices, and keeping and restoring what is known."""
    bars = 100_000
    close = walk(bars)
    snapshots = {mode: AtcStream(history=close[:2_000], hma_mode=mode).snapshot() for mode in MODES}
    rows = []
    figures = {}
    for mode in MODES:
        works: dict[str, Callable[[], object]] = {
            f"history of {bars:,} bars": lambda m=mode: AtcStream(history=close, hma_mode=m),
            "no history": lambda m=mode: AtcStream(hma_mode=m),
            "restore": lambda m=mode: AtcStream.restore(snapshots[m]),
        }
        for (name, _), seconds in zip(works.items(), in_turns(3 if quick else 20, *works.values()), strict=True):
            figures[f"{name}, {mode}"] = {"best_s": min(seconds), "median_s": statistics.median(seconds)}
            cells = (f"{min(seconds) * 1e3:.3f}", f"{statistics.median(seconds) * 1e3:.3f}")
            rows.append((f"{name}, {mode}", *cells))
    notes = f"A snapshot of one symbol has {len(snapshots['sma']):,} bytes."
    return Table("Starting", ("from", "best, ms", "median"), rows, notes), figures


def agreement() -> str:
    """The stream gives the bits of `atc`; an AssertionError if not."""
    close = walk(3_000)
    for mode in MODES:
        stream = AtcStream(history=close[:1_000], hma_mode=mode)
        made = np.array([stream.update(price).average for price in close[1_000:]])
        assert (made == atc(close, hma_mode=mode).average[1_000:]).all(), mode
    return "The averages of 2,000 updates are those of atc to the bit.\n"


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "few rounds").parse_args()
    report = Report(asked)
    precompile()
    neighbours = Neighbours()
    print(agreement(), flush=True)
    for name, measure in (("one_symbol", one_symbol), ("many_symbols", many_symbols), ("history", history)):
        table, report.figures[name] = measure(asked.quick)
        report.show(table)
    report.end(neighbours.words())


if __name__ == "__main__":
    main()
