"""Search a grid of ATC parameters over many stocks, keep the results, and backtest the winner in vectorbt.

    python examples/warm_sweep.py                                  # the bundled stocks, 256 combinations
    python examples/warm_sweep.py --csv prices.csv --grid ema_len=20,28 robustness=Narrow,Wide
    python examples/warm_sweep.py --ticker AAPL,MSFT               # where yfinance is installed

Combinations are computed by worker processes and kept on disk by the prices and the parameters they depend on, so a
second run reads them all.
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

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

import atc_plugin
from atc_plugin.cache.store import MISSING, Store
from atc_plugin.law import VERSION
from atc_plugin.law.growth import growth_probe
from atc_plugin.prices import fingerprint

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
DEFAULT_GRID = {
    "ema_len": [14, 21, 28, 42],
    "dema_len": [14, 21, 28, 42],
    "kama_len": [14, 21, 28, 42],
    "decay": [0.01, 0.03],
    "hma_mode": ["sma", "hull"],
}
TRADING_DAYS = 252


def sharpe_ratios(close: pd.DataFrame, params: atc_plugin.AtcParams) -> np.ndarray:
    """Sharpe ratio a year of holding each stock on the days after the direction was long, without fees."""
    held = atc_plugin.atc(close, params=params).direction.shift() == 1
    returns = (close.pct_change(fill_method=None) * held).iloc[1:]
    return (returns.mean() / returns.std() * np.sqrt(TRADING_DAYS)).to_numpy()


def sweep(close: pd.DataFrame, points: list[atc_plugin.AtcParams], store: Store, jobs: int) -> tuple[pd.DataFrame, int]:
    """Sharpe ratios (combinations x stocks), and how many of the combinations were already kept."""
    data = f"{close.shape} {fingerprint(np.ascontiguousarray(close.to_numpy(dtype=np.float64)))}"
    keys = [f"sharpe_ratios law={VERSION} growth={growth_probe()} prices={data} {p.canonical()}" for p in points]
    ratios = {key: store.get(key) for key in keys}
    missing = [(key, params) for key, params in zip(keys, points, strict=True) if ratios[key] is MISSING]

    def compute(key: str, params: atc_plugin.AtcParams) -> tuple[str, np.ndarray]:
        return key, sharpe_ratios(close, params)

    if missing:
        atc_plugin.precompile()  # once here, not once in every worker
    parallel = joblib.Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered")
    results = parallel(joblib.delayed(compute)(key, params) for key, params in missing)
    hits = len(points) - len(missing)
    with tqdm(total=len(points), initial=hits, unit="combination", disable=None) as progress:
        for key, found in results:
            store.put(key, found)
            ratios[key] = found
            progress.update()
    return pd.DataFrame([ratios[key] for key in keys], columns=close.columns), hits


def backtest(close: pd.DataFrame, params: atc_plugin.AtcParams) -> pd.DataFrame:
    """What vectorbt makes of the entries and exits, a row for each stock."""
    import vectorbt as vbt

    result = atc_plugin.atc(close, params=params)
    portfolio = vbt.Portfolio.from_signals(close, entries=result.entries, exits=result.exits, fees=0.001, freq="1D")
    return pd.DataFrame(
        {
            "total return": portfolio.total_return(),
            "Sharpe ratio": portfolio.sharpe_ratio(),
            "max drawdown": portfolio.max_drawdown(),
            "trades": portfolio.trades.count(),
        }
    )


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
    parser.add_argument("--grid", nargs="+", metavar="NAME=V,V", help="values of each parameter to combine")
    parser.add_argument("--jobs", type=int, default=-1, help="worker processes (default: as many as processors)")
    parser.add_argument("--cache-dir", default=".atc_cache", help="where results are kept (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if importlib.util.find_spec("vectorbt") is None:
        parser.error('the backtest needs vectorbt: pip install "atc_plugin[vectorbt]"')
    if options.jobs == 0:
        parser.error("--jobs must be 1 or more, or -1 for all processors")
    try:
        grid = read_grid(options.grid) if options.grid else DEFAULT_GRID
        points = list(atc_plugin.ParamGrid(**grid))
        close = atc_plugin.load_prices(options.ticker or options.csv or BUNDLED)
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.error(str(error))

    bars, stocks = close.shape
    span = f"{close.index[0]:%Y-%m-%d} to {close.index[-1]:%Y-%m-%d}"
    print(f"{len(points)} combinations x {stocks} stocks x {bars} bars, {span}")
    since = time.perf_counter()
    ratios, hits = sweep(close, points, Store(options.cache_dir), options.jobs)
    took = time.perf_counter() - since
    print(
        f"{hits} hits, {len(points) - hits} misses ({hits / len(points):.0%} from {options.cache_dir}) in {took:.2f} s"
    )

    ranked = ratios.median(axis=1).dropna().sort_values(ascending=False, kind="stable").head(5)
    if ranked.empty:
        print("\nNo combination ever held a stock.")
        return 0
    varied = [name for name in grid if len(grid[name]) > 1]
    table = pd.DataFrame([{name: getattr(points[i], name) for name in varied} for i in ranked.index])
    print("\nThe best by their median Sharpe ratio over the stocks, long only, without fees:")
    print(table.assign(**{"Sharpe ratio": ranked.to_numpy()}).round(3).to_string(index=False))
    print("\nThe first of them in vectorbt, long only, 0.1 % fees an order:")
    print(backtest(close, points[ranked.index[0]]).round(3).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
