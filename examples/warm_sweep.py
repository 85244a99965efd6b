"""Search a grid of ATC parameters over many stocks, keep the results, and backtest the winner in vectorbt.

    python examples/warm_sweep.py                                  # the bundled stocks, 256 combinations
    python examples/warm_sweep.py --csv prices.csv --grid ema_len=20,28 robustness=Narrow,Wide
    python examples/warm_sweep.py --grid-file grid.toml            # a larger grid, as ParamGrid.to_file writes it
    python examples/warm_sweep.py --ticker AAPL,MSFT               # where yfinance is installed

Every combination is judged as vectorbt would judge it, and kept on disk by the prices and the parameters it depends on,
so a second run of the same grid reads them all.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

import atc_plugin

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
DEFAULT_GRID = {
    "ema_len": [14, 21, 28, 42],
    "dema_len": [14, 21, 28, 42],
    "kama_len": [14, 21, 28, 42],
    "decay": [0.01, 0.03],
    "hma_mode": ["sma", "hull"],
}
METRICS = ["sharpe_ratio", "total_return", "max_drawdown", "total_trades"]
FEES = 0.001


def backtest(result: atc_plugin.SweepResult, combination: int) -> pd.DataFrame:
    """What vectorbt makes of a combination, a row for each stock; the same as the sweep has in its rows."""
    each = len(result) // len(result.symbols)
    rows = {}
    for column, symbol in enumerate(result.symbols):
        portfolio = result.portfolio(column * each + combination)
        rows[symbol] = {
            "total return": portfolio.total_return(),
            "Sharpe ratio": portfolio.sharpe_ratio(),
            "max drawdown": portfolio.max_drawdown(),
            "trades": portfolio.trades.count(),
        }
    return pd.DataFrame(rows).T


def value(text: str) -> Any:
    """A number, True or False where the text is one, otherwise the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def read_grid(texts: list[str]) -> dict[str, list[Any]]:
    """`name=value,value` each."""
    grid = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values or name in grid:
            raise ValueError(f"--grid takes NAME=VALUE,VALUE..., each name once; got {text!r}")
        grid[name] = [value(part) for part in values.split(",")]
    return grid


def main() -> int:
    parser = argparse.ArgumentParser(description="Search a grid of ATC parameters and backtest the winner.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--csv", help="prices, one column a symbol or one OHLC file (default: the bundled stocks)")
    where.add_argument("--ticker", help="symbols to fetch with yfinance, such as AAPL,MSFT")
    grids = parser.add_mutually_exclusive_group()
    grids.add_argument("--grid", nargs="+", metavar="NAME=V,V", help="values of each parameter to combine")
    grids.add_argument("--grid-file", help="a grid as TOML or JSON")
    parser.add_argument("--backend", help="cpu for threads, loky for processes, dask (default: threads)")
    parser.add_argument("--jobs", type=int, default=-1, help="threads or workers (default: as many as processors)")
    parser.add_argument("--cache-dir", default=".atc_cache", help="where results are kept (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if importlib.util.find_spec("vectorbt") is None:
        parser.error('the backtest needs vectorbt: pip install "atc_plugin[vectorbt]"')
    if options.jobs == 0:
        parser.error("--jobs must be 1 or more, or -1 for all processors")
    try:
        values = read_grid(options.grid) if options.grid else DEFAULT_GRID
        grid = (
            atc_plugin.ParamGrid.from_file(options.grid_file) if options.grid_file else atc_plugin.ParamGrid(**values)
        )
        close = atc_plugin.load_prices(options.ticker or options.csv or BUNDLED)
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.error(str(error))

    bars, stocks = close.shape
    span = f"{close.index[0]:%Y-%m-%d} to {close.index[-1]:%Y-%m-%d}"
    print(f"{len(grid)} combinations x {stocks} stocks x {bars} bars, {span}")
    since = time.perf_counter()
    result = atc_plugin.sweep(
        close,
        grid,
        metrics=METRICS,
        direction="longonly",
        fees=FEES,
        freq="1D",
        backend=options.backend,
        n_jobs=options.jobs,
        cache=options.cache_dir,
    )
    took = time.perf_counter() - since
    hits, blocks = result.reused
    share = f"{hits / blocks:.0%} from {options.cache_dir}"
    print(f"{hits} hits, {blocks - hits} misses among the blocks of combinations ({share}) in {took:.2f} s")

    best = result.best("sharpe_ratio", 5, across="median")
    if best.empty:
        print("\nNo combination ever held a stock.")
        return 0
    shown = [*grid.varied, *METRICS]
    print(f"\nThe best by their median Sharpe ratio over the stocks, long only, {FEES:.1%} fees an order:")
    print(best[shown].round(3).to_string(index=False))
    print("\nThe first of them in vectorbt:")
    print(backtest(result, best.index[0]).round(3).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
