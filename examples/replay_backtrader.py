"""Weekly ATC seen day by day in backtrader: daily bars replayed into weeks, beside the same weeks once they are over.

    python examples/replay_backtrader.py [SYMBOL] [CSV]      # default: MSFT of the bundled stocks

A replayed week changes with each of its days, and the indicator with it: on a Wednesday it says what the weekly chart
says on that Wednesday. A turn in midweek may be gone by Friday, so this counts how many were, and what acting on them
at once earned against waiting for the week to close.

Writes out/SYMBOL_replay.png. Needs backtrader and matplotlib: pip install "atc_plugin[backtrader]".
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import backtrader.plot  # before matplotlib.use: it chooses a backend that wants a screen
import matplotlib as mpl
import pandas as pd

import atc_plugin.indicators.backtrader  # noqa: F401  (from here on there is bt.ind.ATC)
from atc_plugin import atc, load_prices

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
CASH, COMMISSION, SHARE = 10_000.0, 0.001, 0.95
DAYS = 2_000
LENGTHS = dict.fromkeys(("ema_len", "hma_len", "wma_len", "dema_len", "lsma_len", "kama_len"), 13)


class Weekly(bt.Strategy):
    """Long while the weekly direction is 1: as it stands each day, or as it stood when the last week closed."""

    params = (("waits", False),)

    def __init__(self) -> None:
        self.atc = bt.ind.ATC(self.data, **LENGTHS)
        self.seen: list[tuple[int, date, float]] = []  # each day: the number of its week, date, direction
        self.target = 0.0

    def next(self) -> None:
        week = len(self.data)
        direction = self.atc.direction[0]
        if self.p.waits:  # the bar before is the last week that is over
            direction = self.atc.direction[-1] if week > 1 else 0.0
        self.seen.append((week, self.data.datetime.date(0), self.atc.direction[0]))
        target = SHARE * max(direction, 0.0)
        if target != self.target:
            self.target = target
            self.order_target_percent(target=target)


def run(close: pd.Series, **parameters: Any) -> tuple[bt.Cerebro, Weekly]:
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close))  # only closes are bundled
    cerebro = bt.Cerebro()
    daily = bt.feeds.PandasData(dataname=bars, name=close.name, volume=None, openinterest=None)
    cerebro.replaydata(daily, timeframe=bt.TimeFrame.Weeks)
    cerebro.addstrategy(Weekly, **parameters)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(COMMISSION)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    (strategy,) = cerebro.run()
    return cerebro, strategy


def main(symbol: str = "MSFT", csv: str | Path = BUNDLED) -> None:
    close = load_prices(csv, symbols=[symbol])[symbol].dropna().iloc[-DAYS:]
    seen: list[tuple[int, date, float]] = []
    for name, waits in (("each day", False), ("at the end of each week", True)):
        cerebro, strategy = run(close, waits=waits)
        trades = strategy.analyzers.trades.get_analysis().total.total
        print(f"{symbol}, acting {name}: {100 * (cerebro.broker.getvalue() / CASH - 1):.0f}%, {trades} trades")
        if not waits:
            shown, seen = cerebro, strategy.seen

    days = pd.DataFrame(seen, columns=["week", "day", "direction"])
    closed = days.groupby("week").direction.last()
    before = closed.shift(fill_value=0.0)
    turned = days.direction != days.week.map(before)
    gone = turned & (days.week.map(closed) == days.week.map(before))
    print(f"{turned.groupby(days.week).any().sum()} of {len(closed)} weeks turned on some day,")
    print(f"{gone.groupby(days.week).any().sum()} of them back again by their end.")

    weekly = close.groupby(days.week.to_numpy()).last()
    agrees = (atc(weekly, **LENGTHS).direction == closed).all()
    print(f"What it said at the end of each week is what atc says of the weekly closes: {bool(agrees)}")

    mpl.use("Agg")
    ((figure,),) = shown.plot(iplot=False, volume=False, fmt_x_ticks="%Y-%m-%d")
    figure.set_size_inches(16, 10)
    figure.axes[-1].tick_params(labelbottom=True)  # matplotlib has hidden them since 3.9
    path = Path("out") / f"{symbol}_replay.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)
    print(f"chart: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
