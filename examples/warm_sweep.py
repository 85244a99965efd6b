"""Warm the cache for a grid of ATC parameters, then search the grid and backtest the winner, all out of the cache.

    python examples/warm_sweep.py                                      # the bundled stocks, 256 combinations
    python examples/warm_sweep.py --csv prices.csv --symbols AAPL,MSFT --grid ema_len=10:50:4 robustness=Narrow,Wide
    python examples/warm_sweep.py --csv AAPL.csv MSFT.csv --parquet others.parquet --grid-file grid.toml
    python examples/warm_sweep.py --ticker AAPL,MSFT                   # where yfinance is installed
    python examples/warm_sweep.py --warm-only --background --report    # at night, for whoever sweeps tomorrow
    python examples/warm_sweep.py --check && echo "nothing left to warm"

Only what is not kept yet is computed. What is kept, any process finds: a sweep of these prices and combinations with
these fees and this direction, and vbt.ATC and backtrader's ATC over these prices with parameters of the grid.

environment, where no option says otherwise:
  ATC_CACHE=off      no cache, and so nothing to warm; --cache-dir switches it on
  ATC_CACHE_DIR, ATC_CACHE_SIZE, ATC_CACHE_TTL, ATC_CACHE_SHARED
                     as --cache-dir, --cache-size, --cache-ttl and --shared
  ATC_JOBS           as --jobs

exit status:
  0  done; with --check: all of it is warmed
  1  not finished: ended by Ctrl-C, failed, or not all of it could be kept
  2  bad arguments, prices or grid
  3  with --check: not all of it is warmed
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from warm_options import check_options, options_parser, read_grid, read_prices, settle_cache

from atc_plugin import AtcParams, SweepResult, cache, register, sweep, warm
from atc_plugin.cache.findings import Thresholds
from atc_plugin.warm_jobs import Warmed, WarmJob

HELD = {"longonly": ("long only", 0, 1), "shortonly": ("short only", -1, 0), "both": ("long and short", -1, 1)}
INVESTED = 0.95  # in backtrader, where an order's fees are paid from what is left
SHOWN = 5


# ---------------------------------------------------------------- steps
def wait_for(job: WarmJob) -> Warmed:
    """Say how far warming is until it is done; a program of yours would do its own work meanwhile."""
    try:
        while not job.done():
            with contextlib.suppress(TimeoutError):
                job.exception(timeout=1.0)
            print(f"warming: {job.progress:.0%}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        job.cancel()
        raise
    return job.result()


def backtest(result: SweepResult, combination: int) -> pd.DataFrame:
    """What vectorbt makes of a combination, a row for each stock; the same as the sweep has in its rows."""
    each = len(result) // len(result.symbols)
    rows = {}
    for column, symbol in enumerate(result.symbols):
        portfolio = result.portfolio(column * each + combination)
        rows[symbol] = {
            "total_return": portfolio.total_return(),
            "sharpe_ratio": portfolio.sharpe_ratio(),
            "max_drawdown": portfolio.max_drawdown(),
            "total_trades": portfolio.trades.count(),
        }
    return pd.DataFrame(rows).T.rename_axis("symbol")


def vectorbt_directions(close: pd.DataFrame, params: AtcParams) -> pd.Series:
    """What vectorbt's indicator says at the last bar, by stock."""
    import vectorbt as vbt

    indicator = vbt.ATC.run(close, **params.as_dict())
    last = pd.Series(indicator.direction.iloc[-1].to_numpy(), close.columns)
    return last.map({1: "long", -1: "short", 0: "neither"})


def backtrader_returns(close: pd.DataFrame, params: AtcParams, direction: str, fees: float) -> pd.Series:
    """What a strategy that follows the direction earns in backtrader, by stock."""
    import backtrader as bt

    _, lowest, highest = HELD[direction]

    class Follow(bt.Strategy):
        def __init__(self) -> None:
            self.atc = bt.ind.ATC(self.data, **params.as_dict())
            self.held = 0.0

        def next(self) -> None:
            wanted = min(max(self.atc.direction[0], lowest), highest)
            if wanted != self.held:
                self.held = wanted
                self.order_target_percent(target=INVESTED * wanted)

    returns = {}
    for symbol, prices in close.items():
        bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices.dropna()))
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=bars, volume=None, openinterest=None))
        cerebro.addstrategy(Follow)
        cerebro.broker.setcommission(fees)
        money = cerebro.broker.getvalue()
        cerebro.run()
        returns[symbol] = cerebro.broker.getvalue() / money - 1
    return pd.Series(returns)


# ---------------------------------------------------------------- what they found in the cache
def told(hits: int, misses: int, seconds: float) -> dict[str, Any]:
    """A step's hits and misses, and how long it took."""
    asked = hits + misses
    return {"hits": hits, "misses": misses, "hit_rate": hits / asked if asked else None, "seconds": seconds}


def told_of(warmed: Warmed) -> dict[str, Any]:
    """What was there before warming, and what was not."""
    pairs = {"blocks": warmed.blocks, "components": warmed.components, "results": warmed.results}
    there, count = (sum(pair[place] for pair in pairs.values()) for place in (0, 1))
    return told(there, count - there, warmed.seconds) | pairs


def counted(step: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, dict[str, Any]]:
    """What a step gives, and what it found."""
    before, since = cache.stats(), time.perf_counter()
    given = step(*arguments, **named)
    seconds, after = time.perf_counter() - since, cache.stats()
    return given, told(after.hits - before.hits, after.misses - before.misses, seconds)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows in JSON's types: what is not finite is null."""
    rows: list[dict[str, Any]] = json.loads(table.reset_index().to_json(orient="records", double_precision=15))
    return rows


# ---------------------------------------------------------------- one run
class Run:
    """What is asked for, and in `said` what was found of it so far; raises what is wrong with the options."""

    def __init__(self, options: argparse.Namespace) -> None:
        check_options(options)
        settle_cache(options)
        self.options = options
        self.close, self.grid = read_prices(options), read_grid(options)
        self.asked: dict[str, Any] = {
            "metrics": options.metrics.split(","),
            "direction": options.direction,
            "fees": options.fees,
            "backend": options.backend,
            "n_jobs": options.jobs,
        }
        bars, stocks = self.close.shape
        first, last = (f"{day:%Y-%m-%d}" for day in self.close.index[[0, -1]])
        self.said: dict[str, Any] = {
            "prices": {"symbols": list(self.close.columns), "bars": bars, "first": first, "last": last},
            "grid": {"combinations": len(self.grid), **{name: self.grid.values(name) for name in self.grid.varied}},
        }
        self.say(f"{len(self.grid)} combinations x {stocks} stocks x {bars} bars, {first} to {last}")
        self.say(f"kept in {cache.configure().directory}")

    def say(self, text: str) -> None:
        """Print, unless nothing but JSON is wanted."""
        if not self.options.json:
            print(text, flush=True)

    def tell(self, step: str, found: dict[str, Any]) -> None:
        """A line of the table of steps."""
        self.said[step] = found
        asked, rate = found["hits"] + found["misses"], found["hit_rate"]
        share = "-" if rate is None else f"{rate:.1%}"
        self.say(f"{step:<10}{asked:>11,}{found['hits']:>9,}{share:>9}{found['seconds']:>9.2f} s")

    def check(self) -> bool:
        """Whether there is nothing left to warm."""
        there: bool = cache.contains(self.close, self.grid, **self.asked)
        self.said["is_warmed"] = there
        self.say("all of it is warmed" if there else "not all of it is warmed")
        return there

    def warm(self) -> None:
        """Compute and keep what is not kept yet."""
        if self.options.background:
            warmed = wait_for(warm(self.close, self.grid, background=True, **self.asked))
        else:
            warmed = warm(self.close, self.grid, **self.asked)
        self.say(f"\n{'':<10}{'looked for':>11}{'found':>9}{'share':>9}")
        self.tell("warmed", told_of(warmed))

    def is_kept(self) -> bool:
        """Whether all of it could be kept on disk; what is off is logged. That warming misses is in order."""
        off = {finding.name for finding in cache.watch(thresholds=Thresholds(min_hit_rate=None))}
        return off.isdisjoint({"faults of disk", "hot evictions"})

    def sweep(self) -> tuple[SweepResult, pd.DataFrame]:
        """Judge all combinations, and rank them over all stocks together."""
        result, found = counted(sweep, self.close, self.grid, **self.asked)
        self.tell("sweep", found)
        best = result.best(self.asked["metrics"][0], SHOWN, across="median")
        self.said["best"] = records(best)
        return result, best

    def winner(self, result: SweepResult, best: pd.DataFrame) -> None:
        """The best combination where it will be used, stock by stock."""
        if best.empty:
            self.say("\nNo combination ever held a stock.")
            return
        number, metric = int(best.index[0]), self.asked["metrics"][0]
        params, direction, fees = self.grid[number], self.asked["direction"], self.asked["fees"]
        stocks = pd.DataFrame(index=pd.Index(self.close.columns, name="symbol"))
        if self.options.vectorbt or self.options.backtrader:
            register()  # from here on there are vbt.ATC and bt.ind.ATC
        if self.options.vectorbt:
            stocks["now"], found = counted(vectorbt_directions, self.close, params)
            self.tell("vectorbt", found)
        if self.options.backtrader:
            stocks["in_backtrader"], found = counted(backtrader_returns, self.close, params, direction, fees)
            self.tell("backtrader", found)

        self.say(f"\nThe best by their median {metric} over the stocks, {HELD[direction][0]}, fees {fees:.2%}:")
        self.say(best[[*self.grid.varied, *result.metrics]].round(3).to_string(index=False))
        if importlib.util.find_spec("vectorbt") is None:
            self.say('\nvectorbt would backtest the first of them: pip install "atc_plugin[vectorbt]"')
        else:
            stocks = backtest(result, number).join(stocks)
            self.say("\nThe first of them in vectorbt:")
        if not stocks.empty:
            self.say(stocks.round(3).to_string())
        self.said["stocks"] = records(stocks)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # says so when the first call compiles
    logging.getLogger("atc_plugin").addFilter(lambda record: "were there" not in record.msg)  # our table says that
    parser = options_parser(str(__doc__))
    options = parser.parse_args()
    status = 0
    try:
        try:
            run = Run(options)
            if options.check:
                status = 0 if run.check() else 3
            else:
                run.warm()
                status = 0 if run.is_kept() else 1
        except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
            if isinstance(error, TimeoutError):  # of workers: nothing is wrong with the arguments
                raise
            parser.error(str(error))
        if not (options.check or options.warm_only):
            run.winner(*run.sweep())
    except KeyboardInterrupt:
        print("ended; what was finished is kept, and the next run goes on from there", file=sys.stderr)
        return 1
    if options.report:
        print(f"\n{cache.report()}", file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(run.said | {"cache": cache.stats().to_dict()}, allow_nan=False))
    return status


if __name__ == "__main__":
    sys.exit(main())
