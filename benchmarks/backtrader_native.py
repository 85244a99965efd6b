"""What ATC costs in backtrader, over its own loop and beside its own KAMA and EMA.

    python benchmarks/backtrader_native.py [--quick] [--markdown] [--json FILE]

Needs backtrader (`pip install "atc_plugin[backtrader]"`). A run is one Cerebro with one feed and a strategy that does
nothing but make the indicator; what the same run takes without an indicator is taken off. All take turns, so that a
busy machine slows all alike, and the processor's time is counted, so that waiting for it is not. A limit that does not
hold is marked and never an error; lines that differ from those of `atc` are one.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from measuring import Neighbours, Report, Table, against, command_line, machine, walk

from atc_plugin import atc, precompile
from atc_plugin.indicators.backtrader import ATC, ATCSignal

Indicator = Callable[[Any], Any]


class FourteenLines(bt.Indicator):
    """As many lines as ATC has and nothing in them: what backtrader itself takes to keep them."""

    lines = ATC.lines.getlinealiases()

    def next(self) -> None:
        """Nothing."""

    def once(self, start: int, end: int) -> None:
        """Nothing."""


INDICATORS: dict[str, Indicator | None] = {
    "no indicator": None,
    "ATC, 14 lines": lambda data: ATC(data),
    "ATC, 14 lines, hull": lambda data: ATC(data, hma_mode="hull"),
    "ATCSignal, 2 lines": lambda data: ATCSignal(data),
    "14 lines, nothing in them": lambda data: FourteenLines(data),
    "bt.ind.KAMA": lambda data: bt.ind.KAMA(data),
    "bt.ind.EMA": lambda data: bt.ind.EMA(data),
}
MODES = {"all bars at once": {"runonce": True}, "bar by bar": {"runonce": False}}
LIMITS = {"all bars at once": 10.0, "bar by bar": 15.0}


class Watching(bt.Strategy):
    """Makes the indicator and does nothing."""

    params = (("make", None),)

    def __init__(self) -> None:
        self.made = self.p.make(self.data) if self.p.make else None


def run(prices: pd.DataFrame, make: Indicator | None, mode: dict[str, Any]) -> Any:
    """One run; the indicator."""
    cerebro = bt.Cerebro(stdstats=False, **mode)
    cerebro.adddata(bt.feeds.PandasData(dataname=prices))
    cerebro.addstrategy(Watching, make=make)
    return cerebro.run()[0].made


def in_turns(rounds: int, tasks: list[Callable[[], object]]) -> list[list[float]]:
    """Seconds of the processor that each task took, one of every round; the first call of each is not counted."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for done in range(-1, rounds):
        for task, taken in zip(tasks, seconds, strict=True):
            start = time.process_time()
            task()
            if done >= 0:
                taken.append(time.process_time() - start)
    return seconds


def check(prices: pd.DataFrame, mode: dict[str, Any]) -> None:
    """Raise where a line is not what `atc` says."""
    made = run(prices, INDICATORS["ATC, 14 lines"], mode)
    result = atc(prices.close.to_numpy())
    expected = (result.average, result.direction, *result.signals.values(), *result.weights.values())
    for name, line, values in zip(ATC.lines.getlinealiases(), made.lines, expected, strict=True):
        if not np.array_equal(np.array(line.array), values, equal_nan=True):
            raise AssertionError(f"{name} is not what atc says in {mode}")


def costs(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Microseconds a bar over the same run without an indicator."""
    bars, rounds = 2_000, 4 if quick else 20
    close = walk(bars)
    prices = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close))
    prices.index = pd.date_range("2000-01-03", periods=bars, freq="B")
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    neighbours = Neighbours()
    for mode, keywords in MODES.items():
        check(prices, keywords)
        tasks = [lambda m=make, k=keywords: run(prices, m, k) for make in INDICATORS.values()]
        taken = [np.array(seconds) / bars * 1e6 for seconds in in_turns(rounds, tasks)]
        for name, each in zip(INDICATORS, taken, strict=True):
            over = each - taken[0] if INDICATORS[name] else each
            median, best = statistics.median(over), float(each.min() - (taken[0].min() if INDICATORS[name] else 0))
            figures[f"{mode}, {name}"] = {"median_us": median, "of_best_us": best}
            limit = against(median, at_most=LIMITS[mode]) if name == "ATC, 14 lines" else ("", "")
            what = name if INDICATORS[name] else "no indicator: backtrader's own loop"
            rows.append((mode, what, f"{median:.1f}", f"{best:.1f}", *limit))
    notes = (
        f"{rounds} rounds of {bars:,} bars. Median: of the differences to the run without an indicator in the same "
        f"round; of the best: least less least. {neighbours.words()}"
    )
    header = ("mode", "what", "median, us a bar", "of the best", "limit", "holds")
    return Table("What an indicator costs a bar, over backtrader's own loop", header, rows, notes.strip()), figures


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "few rounds").parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="backtrader")
    report = Report(asked, f"{machine()[:-1]}, backtrader {bt.__version__}.")
    precompile()
    table, figures = costs(asked.quick)
    report.figures.update(figures)
    report.show(table)
    report.end()


if __name__ == "__main__":
    main()
