"""How fast one configuration is: `atc` beside TA-Lib's C and beside ATC as people write it in pandas.

    python benchmarks/single.py [--quick] [--markdown] [--json FILE]

Needs TA-Lib (`pip install "atc_plugin[test]"`). What is compared runs in turns, so that a busy machine slows all alike;
ratios are of medians. A limit that does not hold is marked and never an error. docs/performance.md explains the tables.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from floor import MODES, floor_table
from measuring import STOCKS, Report, Table, against, command_line, in_turns, walk
from moving_averages_in_c import moving_averages_in_c
from straightforward import straightforward_atc

from atc_plugin import AtcParams, atc, load_prices, precompile

PEER = "TA-Lib, its 54 moving averages alone"
BARS = 1_500
COLUMNS = 99
CALLS = 5
"""Of ours a round on many columns, together as long as one in pandas: a sleeping processor wakes in the first."""


def read_out(close: Any, **asked: Any) -> None:
    """Whole ATC as most callers use it: average and direction, read out."""
    result = atc(close, **asked)
    _ = result.average
    _ = result.direction


# ---------------------------------------------------------------- one column, beside TA-Lib
def one_column(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Nanoseconds a bar on one thread."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    limits = {1_500: 0.6, 100_000: 0.85}
    rounds = {1_500: 200, 100_000: 5, 1_000_000: 1} if quick else {1_500: 3_000, 100_000: 100, 1_000_000: 15}
    for bars in rounds:
        close = walk(bars)
        ours: dict[str, Callable[[], object]] = {}
        for mode in MODES:
            ours[f"atc, {mode}"] = lambda c=close, m=mode: read_out(c, hma_mode=m)
        if bars == BARS:
            series = pd.Series(close, pd.date_range("2020-01-01", periods=bars, name="Date"))
            for mode in MODES:
                made = AtcParams(hma_mode=mode)
                ours[f"atc, {mode}, pandas Series"] = lambda s=series, m=mode: read_out(s, hma_mode=m)
                ours[f"atc, {mode}, AtcParams made before"] = lambda c=close, p=made: read_out(c, params=p)
        # TA-Lib before each of ours: all find the caches as another's call left them.
        tasks = chain.from_iterable((lambda c=close: moving_averages_in_c(c), task) for task in ours.values())
        taken = [[s / bars * 1e9 for s in seconds] for seconds in in_turns(rounds[bars], *tasks)]
        theirs = list(chain.from_iterable(taken[::2]))
        peer = statistics.median(theirs)
        rows.append((f"{bars:,}", PEER, f"{peer:.1f}", f"{min(theirs):.1f}", "1", "", ""))
        figures[f"{bars} bars, {PEER}"] = {"median_ns": peer, "min_ns": min(theirs)}
        for name, ns in zip(ours, taken[1::2], strict=True):
            median = statistics.median(ns)
            figures[f"{bars} bars, {name}"] = {"median_ns": median, "min_ns": min(ns), "ratio": median / peer}
            limit = limits.get(bars) if name.count(",") == 1 else None
            cells = (f"{median:.1f}", f"{min(ns):.1f}", f"{median / peer:.2f}", *against(median / peer, at_most=limit))
            rows.append((f"{bars:,}", name, *cells))
    header = ("bars", "what", "median, ns a bar", "min", "ratio of medians", "limit", "holds")
    return Table("One column, one thread", header, rows), figures


# ---------------------------------------------------------------- many columns, beside pandas
def stocks() -> pd.DataFrame:
    """99 columns of 1,500 real bars: five overlapping stretches of each of the bundled stocks."""
    prices = load_prices(STOCKS)
    starts = np.linspace(0, len(prices) - BARS, 5).astype(int)
    parts = {f"{s} {a}": prices[s].to_numpy()[a : a + BARS] for a in starts for s in prices}
    return pd.DataFrame(parts, prices.index[:BARS]).iloc[:, :COLUMNS]


def many_columns(quick: bool) -> tuple[Table, dict[str, Any]]:
    """A frame of 99 columns on one and two threads; each round also times one column in pandas."""
    frame = stocks()
    rounds = 6 if quick else COLUMNS
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    notes = []

    def on_threads(jobs: int, mode: str) -> None:
        os.environ["ATC_JOBS"] = str(jobs)
        for _ in range(CALLS):
            read_out(frame, hma_mode=mode)

    before = os.environ.get("ATC_JOBS")
    for mode in MODES:
        columns = iter([frame.iloc[:, 0], *(frame.iloc[:, c] for c in range(rounds))])  # the first is the warm-up
        made: list[tuple[pd.Series, pd.Series]] = []
        tasks = (
            lambda cs=columns, out=made, m=mode: out.append(straightforward_atc(next(cs), m)),
            lambda m=mode: on_threads(1, m),
            lambda m=mode: on_threads(2, m),
        )
        pandas, one, two = in_turns(rounds, *tasks)
        peer = statistics.median(pandas) * COLUMNS
        note, agreement = agreement_with(frame, made[1:], mode)
        notes.append(note)
        figures[mode] = {"straightforward_s": peer, "columns_timed": rounds, **agreement}
        cells = (f"{peer * 1e3:,.0f}", f"{min(pandas) * COLUMNS * 1e3:,.0f}", "1", "", "")
        rows.append((mode, "straightforward pandas", *cells))
        for jobs, together in ((1, one), (2, two)):
            taken = [seconds / CALLS for seconds in together]
            median = statistics.median(taken)
            times = peer / median
            figures[mode] |= {f"atc_{jobs}_threads_s": median, f"times_faster_{jobs}_threads": times}
            held = against(times, at_least=1000) if jobs == 2 else ("", "")
            name = f"atc, {jobs} thread{'s' * (jobs > 1)}"
            rows.append((mode, name, f"{median * 1e3:.2f}", f"{min(taken) * 1e3:.2f}", f"{times:,.0f}", *held))
    os.environ.pop("ATC_JOBS")
    if before is not None:
        os.environ["ATC_JOBS"] = before
    notes.insert(
        0, f"Pandas: {COLUMNS} times the median (min) of {rounds} columns, one a round; atc: {CALLS} calls a round."
    )
    header = ("hma_mode", "what", "median, ms", "min", "times faster", "limit", "holds")
    return Table(f"{COLUMNS} columns x {BARS:,} bars, a DataFrame", header, rows, " ".join(notes)), figures


def agreement_with(
    frame: pd.DataFrame, made: list[tuple[pd.Series, pd.Series]], mode: str
) -> tuple[str, dict[str, float]]:
    """Whether both did the same work: what the columns of the two have in common after 250 bars."""
    ours = atc(frame, hma_mode=mode)
    average, direction = ours.average.to_numpy()[250:], ours.direction.to_numpy()[250:]
    alike = [np.corrcoef(a.to_numpy()[250:], average[:, c])[0, 1] for c, (a, _) in enumerate(made)]
    same = [float((d.to_numpy()[250:] == direction[:, c]).mean()) for c, (_, d) in enumerate(made)]
    note = (
        f"{mode}: after bar 250 the averages correlate by {min(alike):.4f} or more, "
        f"and the direction is the same at {min(same):.1%} of the bars or more."
    )
    return note, {"least_correlation": float(min(alike)), "least_same_direction": min(same)}


# ---------------------------------------------------------------- a new process
_IMPORT = """
import time
start = time.perf_counter()
import atc_plugin
print(time.perf_counter() - start)
"""

_FIRST_CALL = """
import sys, time
import atc_plugin, numpy
close = numpy.linspace(100, 200, 1500)
start = time.perf_counter()
result = atc_plugin.atc(close)
result.average, result.direction
print(time.perf_counter() - start, time.time() - float(sys.argv[1]))
"""

_COMPILE = """
import time
import atc_plugin
start = time.perf_counter()
atc_plugin.precompile()
print(time.perf_counter() - start)
"""


def in_new_process(program: str, **environment: str) -> list[float]:
    """The numbers a program prints; it is told when it was started."""
    command = [sys.executable, "-c", program, str(time.time())]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def new_process(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Import, first call, and compiling from nothing; best of several where a run is short."""
    runs = 3 if quick else 15
    compiled = None
    if quick:  # what this machine keeps compiled anyway
        imports = [in_new_process(_IMPORT)[0] for _ in range(runs)]
        calls = [in_new_process(_FIRST_CALL) for _ in range(runs)]
    else:
        with tempfile.TemporaryDirectory() as folder:
            compiled = in_new_process(_COMPILE, NUMBA_CACHE_DIR=folder)[0]
            imports = [in_new_process(_IMPORT)[0] for _ in range(runs)]
            calls = [in_new_process(_FIRST_CALL, NUMBA_CACHE_DIR=folder) for _ in range(runs)]
    after, whole = ([call[i] for call in calls] for i in (0, 1))
    rows = []
    for name, taken, limit in (
        ("import atc_plugin", imports, 0.06),
        ("first atc(), from the start of the process", whole, 1.0),
        ("first atc(), after the imports", after, None),
        ("compiling, once a machine", [compiled] if compiled else [], 60.0),
    ):
        if taken:
            cells = (f"{min(taken):.3f}", f"{statistics.median(taken):.3f}", *against(min(taken), at_most=limit))
        else:
            cells = ("not with --quick", "", f"<= {limit:g}", "")
        rows.append((name, *cells))
    figures = {"import_s": imports, "first_call_from_start_s": whole, "first_call_s": after, "compile_s": compiled}
    header = ("what", "best, s", "median, s", "limit", "holds")
    notes = "First call: `import atc_plugin, numpy`, then 1,500 bars; most of it is importing numba."
    return Table("A new process", header, rows, notes), figures


# ---------------------------------------------------------------- memory
_PEAK = """
import resource, sys
import numpy as np
from atc_plugin import atc

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

def forget_peak():
    with open("/proc/self/clear_refs", "w") as switch:
        switch.write("5")

def ask(close):
    result = atc(close, hma_mode=sys.argv[1])
    return result.average, result.direction

close = np.random.default_rng(5).normal(0, 0.002, 1_000_000)  # in place: what is freed here must not serve the call
np.cumsum(close, out=close)
np.exp(close, out=close)
ask(close[:100])
try:
    forget_peak()
    before = status("VmRSS")
    kept = ask(close)
    peak = status("VmHWM")
except OSError:  # not Linux: the peak may be older than the call, so that this is the least it can be
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    kept = ask(close)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print((peak - before) / close.nbytes)
"""


def memory() -> tuple[Table, dict[str, Any]]:
    """Peak memory of one call on 1,000,000 bars."""
    rows = []
    figures = {}
    for mode in MODES:
        command = [sys.executable, "-c", _PEAK, mode]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            rows.append((mode, f"not measured: {done.stderr.splitlines()[-1]}", "< 12", ""))
            continue
        arrays = figures[mode] = float(done.stdout)
        rows.append((mode, f"{arrays:.1f}", "< 12", "PASS" if arrays < 12 else "over"))
    header = ("hma_mode", "arrays of 8 MB", "limit", "holds")
    notes = "Peak of the resident memory less what it was before the call, the prices passed in not counted."
    return Table("Memory of atc on 1,000,000 bars, average and direction read", header, rows, notes), figures


# ---------------------------------------------------------------- report
def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "few rounds, no compiling from nothing").parse_args()
    report = Report(asked)
    precompile()
    figures = report.figures
    for name, measure in (
        ("one_column", lambda: one_column(asked.quick)),
        ("floor", lambda: floor_table(figures["one_column"])),
        ("many_columns", lambda: many_columns(asked.quick)),
        ("new_process", lambda: new_process(asked.quick)),
        ("memory", memory),
    ):
        table, figures[name] = measure()
        report.show(table)
    report.end()


if __name__ == "__main__":
    main()
