"""What is kept between processes: four modes of one sweep, and hits in processes of their own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cache_calls import FEES, PUBLISHED, Measured, check_bits, swept
from keeping import LENGTHS, Task, grid_of, in_new_process, in_turns_after, use
from measuring import STOCKS, Table, against, walk

from atc_plugin import ParamGrid, cache, load_prices, warm
from atc_plugin.cache.settings import flush
from atc_plugin.cache.store import Store

AT_ONCE = 150
"""Milliseconds in which a hit in a new process has to be there."""


# ---------------------------------------------------------------- four modes
def modes(quick: bool) -> Measured:
    """Cold, warmed, parallel, warmed and parallel; and what other processes find of it."""
    combinations, rounds = (1_000, 2) if quick else (100_000, 5)
    close, grid = load_prices(STOCKS), grid_of(combinations)
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    plain = swept(close, grid, cache=False, n_jobs=2)
    with tempfile.TemporaryDirectory() as parent:
        store = use(Path(parent, "warmed"))
        took = warm(close, grid, fees=FEES, freq="1D", n_jobs=2, progress=False).seconds
        counts: dict[str, list[int]] = {}

        def empty() -> Store:
            flush()
            return use(tempfile.mkdtemp(dir=parent))

        def warmed() -> Store:
            flush()
            use(store.directory).forget()
            return store

        def run(name: str, jobs: int, store: Store) -> None:
            store.statistics.reset()
            made = swept(close, grid, n_jobs=jobs)
            stats = cache.stats()
            counts[name] = [stats.hits, stats.hits + stats.misses]
            check_bits(name, made, plain)

        tasks = {}
        for name, before, jobs in (
            ("cold", empty, 1),
            ("warmed", warmed, 1),
            ("parallel", empty, 2),
            ("warmed + parallel", warmed, 2),
        ):
            tasks[name] = Task(before, lambda store, n=name, j=jobs: run(n, j, store))
        done = {name: min(taken) for name, taken in in_turns_after(rounds, tasks).items()}
        flush()
        for name, code, jobs in (
            ("warmed, a new process", _SWEPT, 1),
            ("warmed + parallel, a new process", _SWEPT, 2),
            ("vectorbt, a new process", _VECTORBT, 1),
            ("backtrader, a new process", _BACKTRADER, 1),
        ):
            asked = (str(STOCKS), {name: [*LENGTHS] for name in grid.varied}, jobs)
            said = in_new_process(code, store.directory, *asked, FEES)
            assert said["same"], f"{name}: other bits than without the cache"
            counts[name] = said["hits"], said["asked"]
            done[name] = said["seconds"]
            figures[name] = said
        for name, seconds in done.items():
            hits, asked_for = counts[name]
            rate = hits / asked_for if asked_for else 0.0
            compared = name if name in tasks or name.startswith("warmed") else ""
            times = f"{done['cold'] / seconds:,.1f}" if compared else ""
            limit = against(rate, at_least=1.0) if name not in ("cold", "parallel") else ("", "")
            limit = (">= 100 %", limit[1]) if limit[1] else limit
            rows.append((name, f"{seconds:.3f}", times, f"{hits} of {asked_for}", f"{rate:.0%}", *limit))
            figures[name] = figures.get(name, {}) | {"seconds": seconds, "hit_rate": rate}
    header = ("mode", "s", "times cold", "hits", "rate", "limit", "holds")
    notes = (
        f"{combinations:,} combinations x {close.shape[1]} stocks x {len(close):,} bars; warming all of it took "
        f"{took:.2f} s with two threads. Cold: an empty directory each time, what is kept written behind, the rest of "
        "that outside the time; warmed: nothing in memory, all from disk. Parallel: two threads. In new processes "
        "prices and grid are made anew, and the time is after the imports, numba's and the kernels' aside; vectorbt: "
        "`vbt.ATC.run` of 100 combinations x 3 stocks; backtrader: 3 combinations x 3 stocks, all bars at once, each a "
        "Cerebro. Hits are of `cache.stats()`."
    )
    return Table("Four modes", header, rows, notes), figures


_READ = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, joblib
from atc_plugin import ParamGrid, atc, cache, load_prices, sweep
path, lists, jobs, fees = json.loads(sys.argv[1])
close, grid = load_prices(path), ParamGrid(**lists)

def told(seconds, stats, same):
    print(json.dumps({"seconds": seconds, "hits": stats.hits, "asked": stats.hits + stats.misses, "same": bool(same),
                      "reasons": stats.misses_by_reason}))
"""
_SWEPT = f"""{_READ}
settings = dict(fees=fees, freq="1D", n_jobs=jobs, progress=False)
start = time.perf_counter()
made = sweep(close, grid, **settings).metrics
seconds = time.perf_counter() - start
stats = cache.stats()
plain = sweep(close, grid, cache=False, **settings).metrics
told(seconds, stats, all(made[name].tobytes() == plain[name].tobytes() for name in plain))
"""
_VECTORBT = f"""{_READ}
import vectorbt as vbt
from atc_plugin.indicators.vectorbt import ATC
some = list(grid.sample(100, seed=0))
lists = {{name: [getattr(params, name) for params in some] for name in lists}}
start = time.perf_counter()
made = ATC.run(close.iloc[:, :3], outputs="light", **lists)
seconds = time.perf_counter() - start
stats = cache.stats()
cache.configure(enabled=False)
plain = ATC.run(close.iloc[:, :3], outputs="light", **lists)
told(seconds, stats, all(getattr(made, name).to_numpy().tobytes() == getattr(plain, name).to_numpy().tobytes()
                         for name in ("average", "direction", "entries", "exits")))
"""
_BACKTRADER = f"""{_READ}
import backtrader as bt
from atc_plugin.indicators.backtrader import ATC

class Watching(bt.Strategy):
    params = (("asked", None),)
    def __init__(self):
        self.made = ATC(self.data, **self.p.asked)

def run(prices, asked):
    cerebro = bt.Cerebro(stdstats=False, runonce=True)
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices))))
    cerebro.addstrategy(Watching, asked=asked)
    return [np.array(line.array) for line in cerebro.run()[0].made.lines]

some = [{{name: getattr(params, name) for name in lists}} for params in grid.sample(3, seed=0)]
start = time.perf_counter()
made = [run(close.iloc[:, place], asked) for place in range(3) for asked in some]
seconds = time.perf_counter() - start
stats = cache.stats()
cache.configure(enabled=False)
plain = [run(close.iloc[:, place], asked) for place in range(3) for asked in some]
told(seconds, stats, all(a.tobytes() == b.tobytes() for mine, one in zip(made, plain) for a, b in zip(mine, one)))
"""


# ---------------------------------------------------------------- a new process
_NEW = """
import hashlib, json, sys, time
import numpy as np, pandas as pd, joblib
path, lists = json.loads(sys.argv[1])
close = np.load(path)
start = time.perf_counter()
if lists:
    from atc_plugin import ParamGrid, sweep
    result = sweep(close, ParamGrid(**lists), fees=0.001, freq="1D", n_jobs=1, progress=False)
    made = list(result.metrics.values())
else:
    from atc_plugin import atc
    result = atc(close)
    made = [result.average, result.direction]
seconds = time.perf_counter() - start
with_numba = "numba" in sys.modules
if lists:
    result.frame
framed = time.perf_counter() - start
from atc_plugin import cache
stats = cache.stats()
print(json.dumps({"seconds": seconds, "framed": framed, "numba": with_numba, "hits": stats.hits,
                  "misses": stats.misses, "bits": hashlib.sha256(b"".join(map(bytes, made))).hexdigest()}))
"""


def new_process(quick: bool) -> Measured:
    """From "numpy, pandas and joblib are imported" to the result in hand."""
    rounds = 2 if quick else 12
    lists = {name: [*LENGTHS] for name in grid_of(10_000).varied}
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as parent:
        use(Path(parent, "warmed"))
        for name, bars, asked in (
            ("atc, 1,500 bars", 1_500, {}),
            ("atc, 1,000,000 bars", 1_000_000, {}),
            ("sweep, 10,000 x 1,500 bars", 1_500, lists),
        ):
            path, close = Path(parent, f"{bars}.npy"), walk(bars)
            np.save(path, close)
            warm(close, ParamGrid(**asked) if asked else PUBLISHED, fees=FEES, freq="1D", progress=False)
            said: dict[str, list[dict[str, Any]]] = {"cold": [], "warmed": []}
            for place in range(rounds):
                for mode, directory in (("cold", tempfile.mkdtemp(dir=parent)), ("warmed", Path(parent, "warmed"))):
                    if quick and mode == "cold" and place:
                        continue
                    said[mode].append(in_new_process(_NEW, directory, str(path), asked))
            for each in said["warmed"]:
                assert each["hits"] > each["misses"] == 0, f"{name}: not all hit in a new process: {each}"
                assert not each["numba"], f"{name}: numba was imported for a hit"
                assert each["bits"] == said["cold"][0]["bits"], f"{name}: other bits in a new process"
            best = {mode: min(each["seconds"] for each in several) for mode, several in said.items()}
            for mode, seconds in best.items():
                median = float(np.median([each["seconds"] for each in said[mode]]))
                limit = against(seconds * 1e3, at_most=AT_ONCE) if mode == "warmed" else ("", "")
                limit = (f"{limit[0]} ms", limit[1]) if limit[1] else limit
                numba = "yes" if said[mode][0]["numba"] else "no"
                ratio = f"{seconds / best['cold']:.3f}"
                rows.append((name, mode, f"{seconds * 1e3:,.1f}", f"{median * 1e3:,.1f}", ratio, numba, *limit))
            figures[name] = said
    header = ("call", "cache", "best, ms", "median", "of cold", "imports numba", "limit", "holds")
    notes = (
        f"Of {rounds} processes each, from after `import numpy, pandas, joblib` to the result: our own imports, the "
        "first look at the directory, reading. Cold: an empty directory, kernels compiled before."
    )
    return Table("A new process", header, rows, notes), figures
