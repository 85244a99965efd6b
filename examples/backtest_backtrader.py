"""A strategy that follows ATC in backtrader: orders, analyzers, and a chart.

    python examples/backtest_backtrader.py [SYMBOL] [CSV]      # default: AAPL of the bundled stocks

Writes out/SYMBOL_backtrader.png. Needs backtrader and matplotlib: pip install "atc_plugin[backtrader]".
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import backtrader.plot  # before matplotlib.use: it chooses a backend that wants a screen
import matplotlib as mpl
import pandas as pd

import atc_plugin.indicators.backtrader  # noqa: F401  (from here on there is bt.ind.ATC)
from atc_plugin import load_prices

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
CASH, COMMISSION, SHARE = 10_000.0, 0.001, 0.95
SHOWN = timedelta(days=3 * 365)


class FollowATC(bt.Strategy):
    """Long while the direction is 1, short while it is -1, if shorts are wanted; flat before the first turn."""

    params = (("shorts", False), ("hma_mode", "hull"))

    def __init__(self) -> None:
        self.atc = bt.ind.ATC(self.data, hma_mode=self.p.hma_mode)
        self.direction = 0.0

    def next(self) -> None:
        direction = self.atc.direction[0]
        if direction != self.direction:
            self.direction = direction
            self.order_target_percent(target=SHARE * max(direction, -1.0 if self.p.shorts else 0.0))


def feed(close: pd.Series) -> bt.feeds.PandasData:
    """Only closes are bundled, so an order is filled at the close of the bar after it."""
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close.dropna()))
    return bt.feeds.PandasData(dataname=bars, name=close.name, volume=None, openinterest=None)


def backtest(close: pd.Series, **parameters: Any) -> tuple[bt.Cerebro, dict[str, float]]:
    """Run the strategy; what it earned, in percent."""
    cerebro = bt.Cerebro()
    cerebro.adddata(feed(close))
    cerebro.addstrategy(FollowATC, **parameters)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(COMMISSION)
    cerebro.addanalyzer(bt.analyzers.Returns, _name="returns", tann=252)
    cerebro.addanalyzer(bt.analyzers.SharpeRatio_A, _name="sharpe", timeframe=bt.TimeFrame.Days, riskfreerate=0.0)
    cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    (strategy,) = cerebro.run()
    told = strategy.analyzers
    trades = told.trades.get_analysis()
    return cerebro, {
        "return": 100 * (cerebro.broker.getvalue() / CASH - 1),
        "a year": told.returns.get_analysis()["rnorm100"],
        "sharpe": told.sharpe.get_analysis()["sharperatio"] or 0.0,
        "drawdown": told.drawdown.get_analysis().max.drawdown,
        "trades": trades.total.total,
        "won": trades.get("won", {}).get("total", 0),
    }


def draw(cerebro: bt.Cerebro, path: Path, since: Any) -> None:
    """backtrader's own chart as a PNG."""
    mpl.use("Agg")
    ((figure,),) = cerebro.plot(iplot=False, start=since, volume=False, fmt_x_ticks="%Y-%m-%d")
    figure.set_size_inches(16, 10)
    figure.axes[-1].tick_params(labelbottom=True)  # matplotlib has hidden them since 3.9
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)


def main(symbol: str = "AAPL", csv: str | Path = BUNDLED) -> None:
    close = load_prices(csv, symbols=[symbol])[symbol].dropna()
    cerebro, long_only = backtest(close)
    _, both = backtest(close, shorts=True)
    hold = 100 * (close.iloc[-1] / close.iloc[0] - 1)

    print(f"{symbol}, {len(close)} days, {close.index[0]:%Y-%m-%d} to {close.index[-1]:%Y-%m-%d}; held: {hold:.0f}%")
    print(pd.DataFrame({"long only": long_only, "long and short": both}).T.round(2).to_string())
    path = Path("out") / f"{symbol}_backtrader.png"
    draw(cerebro, path, (close.index[-1] - SHOWN).date())
    print(f"chart: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
