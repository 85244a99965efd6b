"""What 10,000 combinations cost through vectorbt: `vbt.ATC.run` beside the same indicator made with `from_apply_func`.

    python benchmarks/vectorbt_native.py [--quick] [--markdown] [--json FILE]

Each row runs in a process of its own, compiled before it is timed. The indicator made with `from_apply_func` calls
`atc` for one combination after the other; with --quick it runs on a part of them, and its time is extrapolated.
docs/vectorbt.md has the tables. A limit that does not hold is marked and never an error.
"""

# Not called vectorbt.py: scripts in this folder would import it in the place of the library.

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from measuring import Report, Table, against, command_line

BARS = 2_000
LENGTHS = range(10, 50, 4)
TYPES = ("ema_len", "wma_len", "dema_len", "kama_len")
COMBINATIONS = len(LENGTHS) ** len(TYPES)
COPY = 8 * BARS * COMBINATIONS

_RUN = """
import itertools, json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, vectorbt as vbt
from atc_plugin import AtcParams, atc
from atc_plugin.indicators.vectorbt import ATC

what, combinations, rounds, bars, types, lengths = json.loads(sys.argv[1])
close = pd.Series(100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.02, bars))))
rows = list(itertools.islice(itertools.product(lengths, repeat=len(types)), combinations))
lists = dict(zip(types, map(list, zip(*rows))))

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

defaults = AtcParams().as_dict()
factory = dict(short_name="atc", input_names=["close"], param_names=list(defaults), output_names=["average"])
if what == "from_apply_func":
    def one(close, *params):
        return atc(close, params=dict(zip(defaults, params))).average
    run = vbt.IndicatorFactory(**factory).from_apply_func(one, **defaults).run
elif what == "nothing":
    def nothing(close, *lists):
        return np.zeros((len(close), len(lists[0])))
    run = vbt.IndicatorFactory(**factory).from_custom_func(nothing, **defaults).run
else:
    def run(close, **lists):
        return ATC.run(close, outputs=what, **lists)

run(close, **{name: values[-2:] for name, values in lists.items()})
seconds, peak = [], None
for _ in range(rounds):
    try:
        with open("/proc/self/clear_refs", "w") as switch:
            switch.write("5")
        before = status("VmRSS")
    except OSError:
        before = None
    start = time.perf_counter()
    made = run(close, **lists)
    seconds.append(time.perf_counter() - start)
    peak = max(peak or 0, status("VmHWM") - before) if before is not None else None
    del made
selected = {}
if what == "average":
    for name, more in (("as usual", {}), ("column_only_select=True", {"wrapper_kwargs": {"column_only_select": True}})):
        made = run(close, **lists, **more)
        start = time.perf_counter()
        made[rows[len(rows) // 2]]
        selected[name] = time.perf_counter() - start
print(json.dumps([seconds, peak, selected]))
"""


def measured(what: str, combinations: int, rounds: int) -> tuple[list[float], int | None, dict[str, float]]:
    """Seconds of each round, the peak of memory above what was there before, and seconds to select one column."""
    asked = json.dumps([what, combinations, rounds, BARS, TYPES, list(LENGTHS)])
    done = subprocess.run([sys.executable, "-c", _RUN, asked], capture_output=True, text=True, check=True)
    seconds, peak, selected = json.loads(done.stdout)
    return seconds, peak, selected


def all_at_once(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Time and memory of one call with all combinations."""
    rounds = 2 if quick else 7
    part = 100 if quick else COMBINATIONS
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for name, what, combinations, outputs, limited in (
        ("vbt.ATC.run, the average", "average", COMBINATIONS, 1, True),
        ("vbt.ATC.run, average, direction, entries and exits", "light", COMBINATIONS, 2.25, True),
        ("from_apply_func over atc, the average", "from_apply_func", part, 1, False),
        ("vectorbt around an indicator that computes nothing", "nothing", COMBINATIONS, 1, False),
    ):
        seconds, peak, selected = measured(what, combinations, 1 if what == "from_apply_func" else rounds)
        whole = [taken * COMBINATIONS / combinations for taken in seconds]
        copies = None if peak is None else peak / COPY * COMBINATIONS / combinations
        median = statistics.median(whole)
        figures[what] = {"seconds": whole, "copies": copies, "outputs": outputs, "selected": selected}
        held = against(median, at_most=3.0) if limited else ("", "")
        memory = "" if copies is None else f"{copies:.2f}"
        within = against(copies, at_most=3.0) if limited and copies is not None else ("", "")
        note = "" if combinations == COMBINATIONS else f"x{COMBINATIONS // combinations} of {combinations:,}"
        rows.append((name, f"{median:.2f}", f"{min(whole):.2f}", note, *held, memory, *within))
    header = ("what", "median, s", "min", "extrapolated", "limit", "holds", "peak, copies", "limit ", "holds ")
    notes = (
        f"Peak: resident memory above what it was before the call, in copies of one output ({COPY / 1e6:.0f} MB). "
        "Average and direction take a copy each, entries and exits an eighth."
    )
    return Table(f"{COMBINATIONS:,} combinations x {BARS:,} bars", header, rows, notes), figures


def one_column(selected: dict[str, float]) -> Table:
    """What it costs to select one of all columns."""
    rows = [(name, f"{seconds * 1e3:.1f}") for name, seconds in selected.items()]
    notes = "column_only_select=True, given to run in wrapper_kwargs, selects columns alone."
    return Table(f"One of {COMBINATIONS:,} columns, `indicator[column]`", ("wrapper_kwargs", "ms"), rows, notes)


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "few rounds, a smaller part to extrapolate from").parse_args()
    report = Report(asked)
    table, figures = all_at_once(asked.quick)
    report.figures.update(figures)
    report.show(table)
    report.show(one_column(figures["average"]["selected"]))
    report.end()


if __name__ == "__main__":
    main()
