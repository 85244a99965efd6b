"""Prices that grow by a bar a day: what was warmed yesterday serves today, and only the new bar is computed.

    python examples/cache_daily.py

Leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from atc_plugin import ParamGrid, atc, cache, load_prices, warm

PRICES = Path(__file__).parent / "data" / "us_stocks.csv.gz"
GRID = ParamGrid(ema_len=range(10, 50, 4), kama_len=range(10, 50, 4), robustness=["Narrow", "Wide"])
DAYS = 4


def main(folder: str) -> None:
    cache.configure(directory=folder)
    close = load_prices(PRICES, symbols=["AAPL", "MSFT", "XOM"])
    print(f"{len(GRID)} combinations x {close.shape[1]} stocks, warmed every day. Blocks of their components:\n")
    print(f"{'until':<12}{'bars':>6}{'kept':>8}{'resumed':>10}{'computed':>10}{'seconds':>10}")
    for bars in range(len(close) - DAYS + 1, len(close) + 1):
        today = close.iloc[:bars]
        warmed = warm(today, GRID, fees=0.001)
        there, count = warmed.components
        anew = count - there - warmed.resumed
        print(f"{today.index[-1]:%Y-%m-%d}  {bars:>6}{there:>8}{warmed.resumed:>10}{anew:>10}{warmed.seconds:>10.3f}")

    cache.reset_stats()
    kept = atc(close, params=GRID[0]).average
    hits, misses = cache.stats().hits, cache.stats().misses
    same = kept.equals(atc(close, params=GRID[0], cache=False).average)
    print(f"\natc() of the last day: {hits} hits, {misses} misses; to the bit what computing all bars gives: {same}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(directory)
