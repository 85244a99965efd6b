"""ATC as a signal in backtrader: no strategy to write, `add_signal` trades the direction.

    python examples/signals_backtrader.py [SYMBOL ...]      # default: three of the bundled stocks

Writes out/signals_backtrader.png, the chart of the first. Needs backtrader and matplotlib:
pip install "atc_plugin[backtrader]".
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import backtrader as bt
import backtrader.plot  # before matplotlib.use: it chooses a backend that wants a screen
import matplotlib as mpl
import pandas as pd

from atc_plugin import load_prices
from atc_plugin.indicators.backtrader import ATCSignal

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
CASH, COMMISSION = 10_000.0, 0.001
SIGNALS = {"long only": bt.SIGNAL_LONG, "long and short": bt.SIGNAL_LONGSHORT}


def run(close: pd.Series, signal: int) -> tuple[bt.Cerebro, dict[str, float]]:
    """Trade one stock by the signal; the return in percent, the deepest drawdown and the number of trades."""
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close))  # only closes are bundled
    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=bars, name=close.name, volume=None, openinterest=None))
    cerebro.add_signal(signal, ATCSignal, hma_mode="hull", long_threshold=0.3, short_threshold=-0.3)
    cerebro.addsizer(bt.sizers.PercentSizer, percents=95)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(COMMISSION)
    cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    (strategy,) = cerebro.run()
    return cerebro, {
        "return": 100 * (cerebro.broker.getvalue() / CASH - 1),
        "drawdown": strategy.analyzers.drawdown.get_analysis().max.drawdown,
        "trades": strategy.analyzers.trades.get_analysis().total.total,
    }


def main(*symbols: str) -> None:
    prices = load_prices(BUNDLED, symbols=list(symbols or ("AAPL", "JPM", "XOM")))
    rows = {}
    for symbol in prices:
        close = prices[symbol].dropna()
        ran = {name: run(close, signal) for name, signal in SIGNALS.items()}
        rows[symbol] = {("held", "return"): 100 * (close.iloc[-1] / close.iloc[0] - 1)}
        rows[symbol] |= {(name, figure): value for name, (_, told) in ran.items() for figure, value in told.items()}
        if len(rows) == 1:
            shown = ran["long only"][0], (close.index[-1] - timedelta(days=2 * 365)).date()
    print(f"{prices.index[0]:%Y-%m-%d} to {prices.index[-1]:%Y-%m-%d}, in percent:")
    print(pd.DataFrame(rows).T.round(1).to_string())

    mpl.use("Agg")
    cerebro, since = shown
    ((figure,),) = cerebro.plot(iplot=False, start=since, volume=False, fmt_x_ticks="%Y-%m-%d")
    figure.set_size_inches(16, 10)
    figure.axes[-1].tick_params(labelbottom=True)  # matplotlib has hidden them since 3.9
    path = Path("out") / "signals_backtrader.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)
    print(f"chart: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
