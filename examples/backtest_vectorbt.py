"""Choose ATC's parameters on the past of many stocks, then see in vectorbt what they earn on what came after.

    python examples/backtest_vectorbt.py                     # the bundled stocks
    python examples/backtest_vectorbt.py --csv prices.csv --split 2019-01-01 --stock AAPL

The grid is judged on the bars before the split alone. Not the best combination is taken but the middle of the best
neighbourhood: the median over the stocks, averaged over the combinations one step away. It then trades all bars after
the split, beside the single best combination, the defaults, and buying and holding. Figures go to out/.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt

from atc_plugin import AtcParams, ParamGrid, load_prices, register, sweep

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
OUT = Path("out")
LENGTHS = range(14, 50, 7)
GRID = ParamGrid(ema_len=LENGTHS, dema_len=LENGTHS, kama_len=LENGTHS, robustness=["Narrow", "Medium", "Wide"])
FEES = 0.001
TRADING: dict[str, Any] = {"fees": FEES, "freq": "1D"}


def neighbourhoods(grid: ParamGrid, scores: np.ndarray) -> np.ndarray:
    """The mean score of each combination and of those at most one step away along every axis.

    Beyond the edge of the grid nothing is known, so those count as middling: a corner is no plateau.
    """
    axes = grid.axes or {}
    places = np.array([[axes[name].index(getattr(params, name)) for name in axes] for params in grid])
    near = (np.abs(places[:, np.newaxis] - places) <= 1).all(axis=2)
    known = np.where(np.isnan(scores), np.nanmedian(scores), scores)
    beyond = 3 ** len(axes) - near.sum(axis=1)
    return (near @ known + beyond * np.median(known)) / 3 ** len(axes)


def choose(close: pd.DataFrame) -> tuple[dict[str, AtcParams], pd.DataFrame]:
    """The combinations to compare; and the whole grid with the score of each and of its neighbourhood."""
    judged = sweep(close, GRID, metrics="sharpe_ratio", direction="longonly", **TRADING)
    by_stock = judged.frame["sharpe_ratio"].to_numpy().reshape(close.shape[1], len(GRID))
    scores = np.nanmedian(np.where(np.isfinite(by_stock), by_stock, np.nan), axis=0)
    around = neighbourhoods(GRID, scores)
    chosen = {
        "chosen": GRID[int(np.nanargmax(around))],
        "single best": GRID[int(np.nanargmax(scores))],
        "defaults": AtcParams(),
    }
    table = pd.DataFrame([params.as_dict() for params in GRID]).assign(score=scores, neighbourhood=around)
    return chosen, table


def traded(close: pd.DataFrame, chosen: dict[str, AtcParams], split: pd.Timestamp) -> tuple[Any, dict[str, Any]]:
    """The indicator over all bars, so that it is warm at the split; and a portfolio of each side of the split."""
    names = list(AtcParams().as_dict())
    lists = {name: [getattr(params, name) for params in chosen.values()] for name in names}
    indicator = vbt.ATC.run(close, **lists, hide_params=names[1:])  # one call; a combination may come twice
    keys = pd.MultiIndex.from_product([chosen, close.columns], names=["parameters", "symbol"])
    sides = {}
    for name, rows in (("before", close.index < split), ("after", close.index >= split)):
        prices = pd.concat([close.loc[rows]] * len(chosen), axis=1).set_axis(keys, axis=1)
        entries = indicator.entries.loc[rows].set_axis(keys, axis=1)
        entries.iloc[0] |= indicator.direction.loc[rows].iloc[0].to_numpy() == 1  # long already: get in
        exits = indicator.exits.loc[rows].set_axis(keys, axis=1)
        sides[name] = vbt.Portfolio.from_signals(prices, entries, exits, **TRADING)
    return indicator, sides


def comparison(close: pd.DataFrame, sides: dict[str, Any], split: pd.Timestamp) -> pd.DataFrame:
    """A row for each choice of parameters and for holding: medians over the stocks on either side of the split."""
    columns = {}
    for side, portfolio in sides.items():
        prices = close.loc[close.index < split if side == "before" else close.index >= split]
        holding = vbt.Portfolio.from_holding(prices, **TRADING)
        for what in ("sharpe_ratio", "total_return", "max_drawdown"):
            ours = getattr(portfolio, what)().replace([np.inf, -np.inf], np.nan)
            medians = ours.groupby(level="parameters", sort=False).median()
            medians["buy and hold"] = getattr(holding, what)().median()
            columns[what.replace("_", " "), side] = medians
    return pd.DataFrame(columns)


def draw(indicator: Any, sides: dict[str, Any], table: pd.DataFrame, close: pd.DataFrame, stock: str) -> list[Path]:
    """The stock with the indicator, its portfolio after the split, the wealth of all stocks, and the grid."""
    OUT.mkdir(exist_ok=True)
    stocks = close.shape[1]
    place = list(close.columns).index(stock)  # the first combination is the chosen one
    figures = {}
    figures["indicator"] = indicator.iloc[-500:, place].plot(title=f"{stock}: ATC, the last 500 bars", width=1000)
    figures["portfolio"] = sides["after"]["chosen", stock].plot(title=f"{stock} after the split", width=1000)
    wealth = sides["after"].value().T.groupby(level="parameters", sort=False).mean().T
    figures["wealth"] = (wealth / wealth.iloc[0]).vbt.plot(
        title=f"Mean wealth of {stocks} stocks after the split", width=1000
    )
    scores = table.pivot_table("score", "ema_len", "kama_len", "median")
    figures["grid"] = scores.vbt.heatmap(
        title="Sharpe ratio before the split: median over stocks and all else that varies", width=700, height=500
    )
    figures["grid"].update_layout(xaxis_title="kama_len", yaxis_title="ema_len", margin_t=60)
    paths = []
    for name, figure in figures.items():
        paths.append(OUT / f"backtest_{name}.html")
        figure.write_html(paths[-1], include_plotlyjs="cdn")
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description="Choose parameters on one part of the prices, trade the other.")
    parser.add_argument("--csv", default=BUNDLED, help="prices, one column a symbol (default: the bundled stocks)")
    parser.add_argument("--split", help="the first day to trade (default: after 70%% of the bars)")
    parser.add_argument("--stock", help="which one to draw (default: the first)")
    options = parser.parse_args()
    try:
        close = load_prices(options.csv)
        split = pd.Timestamp(options.split) if options.split else close.index[int(len(close) * 0.7)]
        stock = options.stock or close.columns[0]
        if not close.index[100] < split < close.index[-100]:
            raise ValueError(f"--split must leave 100 bars on either side; got {split:%Y-%m-%d}")
        if stock not in close:
            raise ValueError(f"--stock must be one of {', '.join(close.columns)}; got {stock}")
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    register()

    past = close.loc[close.index < split]
    chosen, table = choose(past)
    spread = table["score"].quantile([0, 0.5, 1])
    print(f"{len(GRID)} combinations x {close.shape[1]} stocks, judged on {len(past)} bars before {split:%Y-%m-%d}")
    print(f"Median Sharpe ratio: {spread[0]:.2f} at worst, {spread[0.5]:.2f} in the middle, {spread[1]:.2f} at best")
    for name in ("chosen", "single best"):
        print(f"{name}: {', '.join(f'{axis}={getattr(chosen[name], axis)!r}' for axis in GRID.varied)}")

    indicator, sides = traded(close, chosen, split)
    print(f"\nMedians over the stocks, long only, {FEES:.1%} fees an order, before and after {split:%Y-%m-%d}:")
    print(comparison(close, sides, split).round(2).to_string())
    print("\nOpen in a browser:", *draw(indicator, sides, table, close, stock), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
