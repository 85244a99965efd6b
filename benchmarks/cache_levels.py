"""The cache's levels by themselves: files beside joblib's, compression, what is worth a file, and a shared server."""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from cache_calls import FEES, FEES_OF_MANY, Measured, ms, read, swept
from keeping import REDIS, Task, grid_of, in_turns_after, redis_server, use
from measuring import Table, against, in_turns, walk
from numpy.typing import NDArray

from atc_plugin import ParamGrid, cache, warm
from atc_plugin.cache.settings import flush
from atc_plugin.cache.store import Store
from atc_plugin.cache.worth import NEVER, Speed, speed_of

KEY = "result 1 verdict " + "0123456789abcdef" * 12 + " {'ema_len': 28, 'hma_len': 28, 'wma_len': 28} item "
"""As long as real keys are."""


# ---------------------------------------------------------------- beside joblib
def passed_on(key: str, value: Any = None) -> Any:
    """What plain joblib.Memory remembers; the key alone is hashed."""
    if value is None:
        raise KeyError(key)
    return value


def beside_joblib(quick: bool) -> Measured:
    """A file of ours beside one of joblib's own, with the same keys."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    rng = np.random.default_rng(5)
    for nbytes, items, rounds in (
        (12_000, 40, 25),
        (120_000, 40, 15),
        (1_000_000, 10, 20),
        (8_000_000, 2, 20),
        (80_000_000, 1, 12),
    ):
        rounds = max(4, rounds // (5 if quick else 1))
        values = rng.normal(size=nbytes // 8)
        keys = [f"{KEY}{place}" for place in range(items)]
        with tempfile.TemporaryDirectory() as parent:
            store = Store(Path(parent, "ours"), recent=0)
            memory = joblib.Memory(Path(parent, "joblib"), verbose=0).cache(passed_on, ignore=["value"])
            mapped = joblib.Memory(Path(parent, "joblib"), verbose=0, mmap_mode="r").cache(passed_on, ignore=["value"])

            def ours(key: str, store: Store = store) -> Any:
                return store.get(key, "result")

            def put_ours(key: str, store: Store = store, values: Any = values) -> None:
                store.put(key, values, "result", is_owned=True)

            def put_theirs(key: str, memory: Any = memory, values: Any = values) -> None:
                memory.call(key, values)

            def of_all(one: Callable[[str], object], keys: list[str] = keys) -> Callable[[], None]:
                def work() -> None:
                    for key in keys:
                        one(key)

                return work

            memory.check_call_in_cache("")  # has the function recorded, without which nothing would be found
            puts = in_turns(rounds, of_all(put_ours), of_all(put_theirs))
            for key in keys:
                assert ours(key).tobytes() == values.tobytes() == memory(key).tobytes() == mapped(key).tobytes()
            found = {"ours": ours, "joblib": memory, "mapped": mapped}
            each = [of_all(one) for one in found.values()] + [
                of_all(lambda key, one=one: one(key).sum()) for one in found.values()
            ]
            gets = in_turns(rounds, *each)
        put, put_joblib = (statistics.median(taken) / items for taken in puts)
        names = [*found, *(f"{name}, summed" for name in found)]
        best = {name: min(taken) / items for name, taken in zip(names, gets, strict=True)}
        medians = {name: statistics.median(taken) / items for name, taken in zip(names, gets, strict=True)}
        rate = [f"{nbytes / best[name] / 1e9:.2f}" for name in ("ours", "joblib")]
        rows.append(
            (
                f"{nbytes / 1e3:,.0f} KB",
                *(f"{best[name] * 1e6:,.0f}" for name in found),
                f"{best['ours'] / best['joblib']:.2f}",
                *against(best["ours"] / best["joblib"], at_most=1.0),
                *rate,
                *(f"{best[f'{name}, summed'] * 1e6:,.0f}" for name in found),
                *(f"{seconds * 1e6:,.0f}" for seconds in (put, put_joblib)),
                f"{put / put_joblib:.2f}",
                *against(put / put_joblib, at_most=1.0),
            )
        )
        figures[str(nbytes)] = {"best_s": best, "median_s": medians, "put_s": put, "put_joblib_s": put_joblib}
    header = (
        *("size", "hit, us", "joblib", "joblib, mapped", "of joblib", "limit", "holds", "GB/s", "joblib's"),
        *("hit and sum, us", "joblib ", "mapped", "put, us", "joblib's ", "of joblib's", "limit ", "holds "),
    )
    notes = (
        "One thread, files in the system's memory, the same keys in turns. Ours: `Store.get` with nothing in this "
        'process\'s memory, its statistics and checksum included; joblib: `joblib.Memory` with ignore=["value"], as it '
        'is and with mmap_mode="r", which reads nothing before somebody does (sum) and verifies nothing. '
        "Puts replace a file, and are medians: writing one takes the system a time or twice that, whoever writes."
    )
    return Table("The disk level beside plain joblib.Memory", header, rows, notes), figures


# ---------------------------------------------------------------- compression
def kept_items(quick: bool) -> dict[str, NDArray[Any]]:
    """Real items: the largest file of each kind that calls have left."""
    found: dict[str, NDArray[Any]] = {}
    size = 10_000 if quick else 65_536
    for name, kind, bars, grid in (
        ("result, 1,500 bars", "result", 1_500, ParamGrid(ema_len=[28])),
        ("result, 100,000 bars", "result", 100_000, ParamGrid(ema_len=[28])),
        ("16 components, 1,500 bars", "components", 1_500, ParamGrid(ema_len=range(16, 32))),
        ("16 components, 100,000 bars", "components", 100_000, ParamGrid(ema_len=range(16, 32))),
        (f"accumulators of {size:,}", "accumulators", 1_500, grid_of(100_000)[:size]),
    ):
        with tempfile.TemporaryDirectory() as directory:
            store = Store(directory)
            warm(walk(bars), grid, metrics=["total_return"], cache=store, fees=FEES, progress=False)
            largest = max((entry for entry in cache.entries(cache=store) if entry.kind == kind), key=lambda e: e.nbytes)
            array = store.get(largest.key.split(" ", 1)[1], kind)
            assert isinstance(array, np.ndarray), f"{name}: it is not to be found"
            found[name] = np.array(array)
    return found


def compression(quick: bool) -> Measured:
    """What compress="zstd" saves and costs."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    codecs = [None, "zstd"] if find_spec("zstandard") else [None]
    for name, array in kept_items(quick).items():
        with tempfile.TemporaryDirectory() as parent:
            tasks: list[Callable[[], object]] = []
            sizes = {}
            for codec in codecs:
                store = Store(Path(parent, str(codec)), recent=0, compress=codec)
                store.put(KEY, array, is_owned=True)
                found = store.get(KEY)
                assert np.asarray(found).tobytes() == array.tobytes()
                sizes[codec] = next(cache.entries(cache=store)).nbytes
                tasks += [lambda s=store, a=array: s.put(KEY, a, is_owned=True), lambda s=store: s.get(KEY)]
            rounds = 3 if quick else max(5, min(100, int(2e8 / array.nbytes)))
            taken = [min(seconds) for seconds in in_turns(rounds, *tasks)]
        for place, codec in enumerate(codecs):
            put, get = taken[2 * place : 2 * place + 2]
            cells = (f"{sizes[codec] / 1e3:,.1f}", f"{sizes[codec] / sizes[None]:.2f}", ms(put), ms(get))
            rows.append((name, str(codec), *cells))
            figures[f"{name}, {codec}"] = {"nbytes": sizes[codec], "put_s": put, "get_s": get}
    header = ("item", "compress", "KB", "of None", "put, ms", "get, ms")
    notes = "Of real prices' kind (a seeded walk); the files in the system's memory."
    if len(codecs) == 1:
        notes += ' Without "zstd": zstandard is not installed here.'
    return Table("Compression", header, rows, notes), figures


# ---------------------------------------------------------------- what is worth a file
def break_even(quick: bool) -> Measured:
    """From which size on calls keep something on disk without being asked."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    cases: list[tuple[str, str, Callable[..., object]]] = []
    for bars in (1_500, 10_000, 20_000, 50_000, 100_000, 200_000, *(() if quick else (1_000_000,))):
        close = walk(bars)
        cases.append((f"atc, {bars:,} bars", "result", lambda c=close, **asked: read(c, **asked)))
    for combinations in (10, 100, 300, 1_000, 3_000, 10_000, *(() if quick else (30_000, 100_000))):
        short, grid = walk(1_500), grid_of(combinations)
        cases.append(
            (
                f"sweep, {combinations:,} x 1,500 bars",
                "accumulators",
                lambda c=short, g=grid, **asked: swept(c, g, **asked),
            )
        )
    for combinations in (1, 10, *(() if quick else (100, 1_000))):
        long, grid = walk(100_000), grid_of(combinations)
        name = f"sweep, {combinations:,} x 100,000 bars"
        cases.append((name, "accumulators", lambda c=long, g=grid, **asked: swept(c, g, fees=FEES_OF_MANY, **asked)))
    with tempfile.TemporaryDirectory() as parent:
        first = Path(parent, "speed")
        speed = speed_of(use(first).disk)
        figures["speed"] = told = json.loads(Path(first, "speed.json").read_text())
        for name, kind, call in cases:
            kept = []
            (seconds,) = in_turns(1 if quick else 3, lambda c=call: c(cache=False))
            for _ in range(1 if quick else 3):
                store = use(tempfile.mkdtemp(dir=parent))
                Path(store.directory, "speed.json").write_text(json.dumps(told))
                call()
                flush()
                kept.append([entry for entry in cache.entries() if entry.kind == kind])
            times = sum(1 for each in kept if each)
            largest = max((entry.nbytes for each in kept for entry in each), default=0)
            cost = speed.cost(largest) if largest else None
            cells = (ms(min(seconds)), f"{largest / 1e3:,.0f}" if largest else "", ms(cost) if cost else "")
            times_cost = f"{min(seconds) / cost:.1f}" if cost else ""
            rows.append((name, *cells, times_cost, f"{times} of {len(kept)}"))
            figures[name] = {"seconds": min(seconds), "nbytes": largest, "cost_s": cost, "kept": times}
    header = ("call", "computing, ms", "KB", "write and read, ms", "times that", "kept")
    notes = (
        f"In a folder for temporary files: a file costs {speed.once * 1e6:,.0f} us and {speed.a_byte * 1e9:.2f} ns a "
        f"byte to write and read back (speed.json), so that {_smallest(speed)}. Nothing below {NEVER * 1e3:g} ms is "
        "offered to the disk. Kept: how many of the runs left a file."
    )
    return Table("What is worth a file", header, rows, notes), figures


def _smallest(speed: Speed) -> str:
    """From how many bars on `atc` is worth a file at 70 ns a bar and 9 bytes of it."""
    worth = (bars for bars in itertools.count(1_000, 1_000) if speed.is_worth(9 * bars, bars * 7e-8))
    bars = next(itertools.takewhile(lambda bars: bars <= 10**7, worth), None)
    return f"by that alone atc is worth one from {bars:,} bars on" if bars else "by that atc is never worth one"


# ---------------------------------------------------------------- a shared server
def shared(quick: bool) -> Measured:
    """A server's hits beside the disk's and computing."""
    header = ("what", "from", "best, ms", "of computing")
    if REDIS is None or not find_spec("redis"):
        notes = "Not measured: redis-server or the package redis is not here."
        return Table("A shared server", header, [("", "", "", "")], notes), {}
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    rounds = 5 if quick else 40
    with redis_server() as url, tempfile.TemporaryDirectory() as parent:
        near = Store(Path(parent, "near"))
        far = Store(Path(parent, "far"), shared=url)
        empty = Store(Path(parent, "empty"), shared=url)

        def as_new() -> Store:
            empty.flush()
            cache.clear(cache=empty)
            return empty

        def forgotten() -> Store:
            near.forget()
            return near

        grid = grid_of(10_000)
        cases: list[tuple[str, Callable[[Any], object]]] = []
        for bars in (1_500, 100_000, *(() if quick else (1_000_000,))):
            close = walk(bars)
            cases.append((f"atc, {bars:,} bars", lambda kept, c=close: read(c, cache=kept)))
        prices = walk(1_500)
        cases.append(("sweep, 10,000 x 1,500 bars", lambda kept: swept(prices, grid, cache=kept)))
        for name, call in cases:
            for store in (near, far):
                call(store)
            tasks = {
                "computing": Task(lambda: False, call),
                "disk": Task(forgotten, call),
                "shared": Task(as_new, call),
            }
            near.statistics.reset()
            empty.statistics.reset()
            taken = in_turns_after(max(3, rounds // (1 if "1,500 bars" in name else 4)), tasks)
            for store in (near, empty):
                stats = cache.stats(cache=store)
                assert stats.hits > stats.misses == 0, f"{name}: {stats.misses_by_reason}"
            best = {what: min(seconds) for what, seconds in taken.items()}
            for what, seconds in best.items():
                rows.append((name, what, ms(seconds), f"{seconds / best['computing']:.2f}"))
            figures[name] = best
        items = {f"{KEY}{place}": np.arange(1_500.0) + place for place in range(240)}
        for store in (near, far):
            for key, array in items.items():
                store.put(key, array)
        requests = [(key,) for key in items]

        def many(store: Store) -> None:
            found = store.get_many(requests)
            assert all(isinstance(each, np.ndarray) for each in found)

        def one_by_one(store: Store) -> None:
            for key in items:
                assert isinstance(store.get(key), np.ndarray)

        tasks = {
            "disk, get_many": Task(forgotten, many),
            "shared, get_many": Task(as_new, many),
            "shared, one by one": Task(as_new, one_by_one),
        }
        for what, seconds_of_all in in_turns_after(max(3, rounds // 4), tasks).items():
            rows.append(("240 items of 12 KB", what, ms(min(seconds_of_all)), ""))
            figures[f"240 items, {what}"] = min(seconds_of_all)
        for store in (near, far, empty):
            store.flush()
    notes = (
        "redis-server on loopback. Disk: nothing in memory; shared: nothing in memory or on disk, to which the hit is "
        "written behind. A `Store` of its own for each. Computing: cache=False."
    )
    return Table("A shared server", header, rows, notes), figures
