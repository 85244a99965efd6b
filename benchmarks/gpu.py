"""What a GPU takes: kernel by kernel, sweep by sweep, with one slot and with several, beside threads of this machine.

    python benchmarks/gpu.py [--quick] [--markdown] [--json FILE]

Needs a GPU and CuPy (docs/gpu.md); without one it says so and measures nothing. What is compared runs in turns, and
figures are of the best round. A limit that does not hold is marked and never an error; results that differ from the
CPU's are one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measuring import Report, Table, against, command_line, in_turns, machine, walk
from numpy.typing import NDArray

from atc_plugin import ParamGrid, SweepResult, atc, sweep
from atc_plugin.accel import why_not
from atc_plugin.accel.engines import tables_on
from atc_plugin.accel.launch import DeviceEngine, every_device
from atc_plugin.law.metrics import ACCUMULATORS
from atc_plugin.prices import read_prices
from atc_plugin.sweeps import on_devices
from atc_plugin.sweeps.blocks import Blocks
from atc_plugin.sweeps.collecting import Everything
from atc_plugin.sweeps.device_columns import Columns, Sweep
from atc_plugin.sweeps.planning import plan
from atc_plugin.sweeps.prepared import prepare
from atc_plugin.sweeps.question import question_of

BARS = 1_500
TYPES = ("ema_len", "hma_len", "wma_len", "dema_len", "lsma_len", "kama_len")
LENGTHS = range(10, 60, 5)
FOUR = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")
FEES = 0.001
SMALL_CARD = 16e9
"""Bytes of the card that the last table makes of this one."""

GIGA = 1e9
Measured = tuple[Table, dict[str, Any]]


def grid_of(combinations: int) -> ParamGrid:
    """Ten lengths of as many types as it takes."""
    types = next(k for k in range(1, len(TYPES) + 1) if len(LENGTHS) ** k >= combinations)
    return ParamGrid(**dict.fromkeys(TYPES[:types], LENGTHS))[:combinations]


def made_up(symbols: int, bars: int) -> NDArray[np.float64]:
    """Prices of stocks, (bars, symbols)."""
    moves = np.random.default_rng(3).normal(0.0002, 0.015, (bars, symbols))
    return 50 * np.exp(np.cumsum(moves, axis=0))


def swept(close: Any, grid: ParamGrid, backend: str) -> SweepResult:
    """From prices to metrics, nothing kept."""
    return sweep(close, grid, metrics=FOUR, fees=FEES, freq="1D", backend=backend, cache=False, progress=False)


def accumulated(close: Any, grid: ParamGrid) -> int:
    """From prices on the host to accumulators on the host: a sweep without its metrics; how many bytes came."""
    prepared = prepare(close, grid, metrics=FOUR, fees=FEES, freq="1D", backend="gpu")
    columns = len(prepared.prices.counts)
    nbytes = 0
    with Blocks(prepared, Everything(prepared.question, 0, 0), False, False) as blocks:
        missing = ((column, list(blocks.plan.blocks)) for column in range(columns))
        with contextlib.closing(on_devices._results(blocks, on_devices._Todo(blocks, missing))) as results:
            for _, folded in results:
                nbytes += sum(one.judged.whole.nbytes for one in folded)
    assert nbytes == columns * len(grid) * len(ACCUMULATORS) * 8
    return nbytes


def assert_same(ours: SweepResult, theirs: SweepResult) -> None:
    """Every metric to the bit, NaN and infinities alike."""
    for name, values in theirs.metrics.items():
        assert np.array_equal(ours.metrics[name].view(np.int64), values.view(np.int64)), name


# ---------------------------------------------------------------- kernels
class Watched(DeviceEngine):
    """A device that does one thing at a time, and how long each kernel takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self.nbytes: dict[str, int] = {}

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        """Wait before and after."""
        self.synchronize()
        started = time.perf_counter()
        super().launch(kernel, threads, **arguments)
        self.synchronize()
        self.seconds[kernel] = self.seconds.get(kernel, 0.0) + time.perf_counter() - started
        arrays = {id(value): value.nbytes for value in arguments.values() if hasattr(value, "nbytes")}
        self.nbytes[kernel] = self.nbytes.get(kernel, 0) + sum(arrays.values())


def streamed(engine: DeviceEngine, rounds: int) -> float:
    """Bytes a second of the kernel that does least beside reading and writing: the roof of the others."""
    size = 2**23
    close, returns = engine.room((size, 1), np.float64), engine.room((size, 1), np.float64)

    def once() -> None:
        engine.launch("returns_of", size, close=close, bars=size, columns=1, returns=returns)
        engine.synchronize()

    return 2 * 8 * size / min(in_turns(rounds, once)[0])


def kernels(quick: bool) -> Measured:
    """Every kernel of a sweep alone, with the bytes that it has to move at least."""
    rounds = 2 if quick else 10
    close, grid = walk(BARS), grid_of(10_000 if quick else 100_000)
    prices = read_prices(close)
    planned = plan(grid, columns=1, bars=BARS)
    question = question_of(prices, FOUR, direction="both", fees=FEES, slippage=0.0, freq="1D", windows=None, top=None)
    asked = Sweep(prices, planned, question)
    ids = planned.ids(0, planned.size)
    best: dict[str, float] = {}
    nbytes: dict[str, int] = {}
    for _ in range(rounds + 1):
        engine = Watched()
        tables = tables_on(engine, asked.tables)
        columns = Columns(engine, asked, tables, (0,), asked.ages(planned.size, engine.free_bytes()))
        columns.judged(ids)()
        nbytes = engine.nbytes
        for kernel, seconds in engine.seconds.items():
            best[kernel] = min(best.get(kernel, seconds), seconds)
    roof = streamed(DeviceEngine(), rounds)
    rows = []
    for kernel, seconds in best.items():
        share = nbytes[kernel] / seconds / roof
        rate = ""
        if "combinations" in kernel:
            rate = f"{planned.size * BARS / seconds / GIGA:.1f}"
        rows.append((kernel, f"{seconds * 1e6:.0f}", f"{nbytes[kernel] / 1e6:.1f}", f"{share:.1%}", rate))
    table = Table(
        f"Kernels of a sweep of {planned.size:,} combinations x {BARS:,} bars",
        ("kernel", "us", "MB of its arrays", "of the roof", "G combination-bars/s"),
        rows,
        f"Each waits for the one before. The roof is {roof / GIGA:.0f} GB/s, what the kernel of returns moves on long "
        "arrays; the bytes are those of the arrays, each counted once.",
    )
    return table, {"seconds": best, "nbytes": nbytes, "roof": roof}


# ---------------------------------------------------------------- sweeps
def sizes(quick: bool) -> Measured:
    """Sweeps of all sizes, beside threads."""
    cases = [(1, 1_000, BARS), (1, 10_000, BARS), (8, 1_000, BARS)]
    if not quick:
        cases += [
            (1, 100_000, BARS),
            (1, 1_000_000, BARS),
            (1, 100_000, 10_000),
            (99, 10_000, BARS),
            (1_000, 100, BARS),
        ]
    rows, figures = [], {}
    for symbols, combinations, bars in cases:
        close, grid = made_up(symbols, bars), grid_of(combinations)
        assert_same(swept(close, grid, "gpu"), swept(close, grid, "cpu"))
        seconds = [
            min(taken)
            for taken in in_turns(
                1 if quick else 5,
                lambda c=close, g=grid: accumulated(c, g),
                lambda c=close, g=grid: swept(c, g, "gpu"),
                lambda c=close, g=grid: swept(c, g, "cpu"),
            )
        ]
        device, whole, threads = seconds
        limit = against(device * 1e3, at_most=50) if combinations == 1_000_000 else ("", "")
        rows.append(
            (
                f"{symbols:,}",
                f"{bars:,}",
                f"{combinations:,}",
                f"{device * 1e3:.1f}",
                f"{symbols * combinations * bars / device / GIGA:.1f}",
                f"{whole * 1e3:.1f}",
                f"{threads * 1e3:.1f}",
                f"{threads / whole:.1f}",
                *limit,
            )
        )
        figures[f"{symbols} x {combinations} x {bars}"] = seconds
    table = Table(
        "Sweeps on the GPU and on threads",
        (
            "symbols", "bars", "combinations", "to accumulators, ms", "G combination-bars/s", "to metrics, ms",
            "threads, ms", "times", "limit, ms", "",
        ),
        rows,
        "From prices on the host to accumulators of every combination on the host, and to four metrics; results are "
        "compared first, to the bit.",
    )  # fmt: skip
    return table, figures


@contextlib.contextmanager
def slots(count: int) -> Iterator[None]:
    """So many pieces on the device at a time."""
    before, on_devices._SLOTS = on_devices._SLOTS, count
    try:
        yield
    finally:
        on_devices._SLOTS = before


def streams(quick: bool) -> Measured:
    """One stream against several."""
    close, grid = made_up(1, BARS), grid_of(20_000 if quick else 1_000_000)

    def with_slots(count: int) -> Callable[[], int]:
        def run() -> int:
            with slots(count):
                return accumulated(close, grid)

        return run

    counts = (1, 2, 3, 4)
    seconds = [min(taken) for taken in in_turns(1 if quick else 5, *map(with_slots, counts))]
    rows = [
        (str(count), f"{one * 1e3:.1f}", f"{seconds[0] / one:.2f}") for count, one in zip(counts, seconds, strict=True)
    ]
    table = Table(
        f"Pieces on the device at a time, {len(grid):,} combinations x {BARS:,} bars",
        ("slots", "ms", "times as fast as one"),
        rows,
    )
    return table, dict(zip(map(str, counts), seconds, strict=True))


# ---------------------------------------------------------------- one configuration
def single(quick: bool) -> Measured:
    """One configuration of many symbols."""
    import cupy

    rows, figures = [], {}
    for symbols, bars in [(99, BARS)] if quick else [(1, BARS), (99, BARS), (1_000, BARS), (1_000, 10_000)]:
        close = made_up(symbols, bars)

        def brought(c: Any = close) -> object:
            result = atc(c, backend="gpu", cache=False)
            return result.average, result.direction

        def staying(c: Any = close) -> None:
            atc(c, backend="gpu", output="device")
            cupy.cuda.get_current_stream().synchronize()

        def on_threads(c: Any = close) -> object:
            return atc(c, backend="cpu", cache=False).direction

        assert np.array_equal(atc(close, backend="gpu", cache=False).direction, on_threads())
        seconds = [min(taken) for taken in in_turns(1 if quick else 10, brought, staying, on_threads)]
        limit = against(seconds[0] * 1e3, at_most=2) if (symbols, bars) == (99, BARS) else ("", "")
        rows.append(
            (
                f"{symbols:,}",
                f"{bars:,}",
                *(f"{one * 1e3:.2f}" for one in seconds),
                f"{seconds[2] / seconds[0]:.1f}",
                *limit,
            )
        )
        figures[f"{symbols} x {bars}"] = seconds
    table = Table(
        "One configuration",
        (
            "symbols",
            "bars",
            "average and direction, ms",
            "left on the device, ms",
            "threads, ms",
            "times",
            "limit, ms",
            "",
        ),
        rows,
        "From prices on the host to outputs on the host.",
    )
    return table, figures


# ---------------------------------------------------------------- memory
def small_card(quick: bool) -> Measured:
    """A sweep that needs more memory than the card is given."""
    import cupy

    symbols, bars, combinations = (20, 2_000, 100) if quick else (1_000, 10_000, 100)
    close, grid = made_up(symbols, bars), grid_of(combinations)
    pool = cupy.get_default_memory_pool()
    before = pool.get_limit()
    pool.free_all_blocks()
    try:
        pool.set_limit(size=int(SMALL_CARD / (1_000 if quick else 1)))
        started = time.perf_counter()
        ours = swept(close, grid, "gpu")
        seconds = time.perf_counter() - started
    finally:
        pool.set_limit(size=before)
    assert_same(ours, swept(close, grid, "cpu"))
    rows = [(f"{symbols:,}", f"{bars:,}", f"{combinations:,}", f"{seconds:.2f}")]
    return Table("A card of 16 GB", ("symbols", "bars", "combinations", "s"), rows), {"seconds": seconds}


def device() -> str:
    """The first device, by its name and what it runs on."""
    import cupy

    runtime = cupy.cuda.runtime
    name = runtime.getDeviceProperties(0)["name"].decode()
    return f"{name} ({len(every_device())} of them), CUDA {runtime.runtimeGetVersion()}, CuPy {cupy.__version__}"


def main(words: list[str] | None = None) -> None:
    """Measure everything, or say why not."""
    asked = command_line(__doc__, "fewer sizes and rounds").parse_args(words)
    if reason := why_not():
        print(f"{machine()}\n\nNothing is measured: {reason}")
        return
    report = Report(asked, f"{machine()} {device()}")
    for measured in (kernels, sizes, streams, single, small_card):
        table, figures = measured(asked.quick)
        report.show(table)
        report.figures[measured.__name__] = figures
    report.end()


if __name__ == "__main__":
    main()
