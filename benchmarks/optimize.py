"""What a trial of a search costs: optuna's own share, ours, and what others would pay.

    python benchmarks/optimize.py [--quick] [--markdown] [--json FILE]

On one thread, 1,500 bars of a bundled stock, six lengths of 40 values each. The first table has whole studies in
memory: optuna's part is measured by an objective that suggests the same and computes nothing. The second is without
optuna: `Objective.evaluate`, by how much of the components is there. The third shows storages on disk. Tasks take
turns. Seconds of the core that a task got are what it costs; those of the wall are more where others are at work.
docs/performance.md has the tables. A limit that does not hold is marked and never an error.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import vectorbt as vbt
from measuring import STOCKS, Neighbours, Report, Table, against, command_line, in_turns, machine
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from atc_plugin import atc, load_prices
from atc_plugin.optimize import Objective, in_memory, objective

BARS = 1_500
FEES = 0.001
LENGTHS = {f"{name}_len": range(10, 50) for name in ("ema", "hma", "wma", "dema", "lsma", "kama")}
CONTINUOUS = {**LENGTHS, "decay": (0.01, 0.25)}
"""Every trial has a decay of its own, so that no component is ever there."""

Measured = tuple[Table, dict[str, Any]]


def study_of(sampler: optuna.samplers.BaseSampler, **options: Any) -> optuna.Study:
    """A study that is better the larger its values."""
    return optuna.create_study(direction="maximize", sampler=sampler, **options)


def nothing(trial: optuna.Trial) -> float:
    """Suggests what the others do."""
    return float(sum(trial.suggest_int(name, values[0], values[-1]) for name, values in LENGTHS.items()))


def searched(close: Any, space: Any = LENGTHS, **options: Any) -> Objective:
    """Ours, nothing read from disk."""
    return objective(close, space, fees=FEES, freq="1D", cache=False, **options)


def looped(close: Any) -> Callable[[optuna.Trial], float]:
    """What people write: the indicator, then vectorbt, then one of its metrics."""

    def judged(trial: optuna.Trial) -> float:
        lengths = {name: trial.suggest_int(name, values[0], values[-1]) for name, values in LENGTHS.items()}
        result = atc(close, cache=False, **lengths)
        entries, exits = result.entries, result.exits
        portfolio = vbt.Portfolio.from_signals(
            close, entries, exits, fees=FEES, freq="1D", upon_opposite_entry="reverse"
        )
        return float(portfolio.sharpe_ratio())

    return judged


def run(sampler: Callable[[], optuna.samplers.BaseSampler], of: Any, trials: int) -> optuna.Study:
    """A study in memory."""
    study = study_of(sampler())
    study.optimize(of, n_trials=trials)
    return study


class Taken:
    """Seconds a trial, of the wall and of the processor, over the rounds of tasks that took turns."""

    def __init__(self, rounds: int, tasks: dict[str, tuple[Callable[[], object], int]]) -> None:
        processor: dict[str, list[float]] = {name: [] for name in tasks}

        def watched(name: str) -> None:
            start = time.process_time()
            tasks[name][0]()
            processor[name].append(time.process_time() - start)

        walls = in_turns(rounds, *(lambda n=name: watched(n) for name in tasks))
        self.wall, self.processor = {}, {}
        for name, wall in zip(tasks, walls, strict=True):
            self.wall[name] = sorted(seconds / tasks[name][1] for seconds in wall)
            self.processor[name] = sorted(seconds / tasks[name][1] for seconds in processor[name][1:])

    def row(self, name: str, *, at_least: float | None = None) -> tuple[str, ...]:
        """Trials a second of the processor, in the middle, and of the wall, in the middle and at best."""
        middle = statistics.median(self.processor[name])
        limit = against(1 / middle, at_least=at_least) if at_least else ("", "")
        rates = (1 / middle, 1 / statistics.median(self.wall[name]), 1 / self.wall[name][0])
        return (name, f"{middle * 1e6:,.0f}", *(f"{rate:,.0f}" for rate in rates), *limit)


HEADER = ("what", "µs of one core, median", "trials a second of it", "of the wall", "at best", "limit", "holds")


def studies(close: Any, quick: bool) -> Measured:
    """Whole studies in memory."""
    trials, of_tpe, of_loop, rounds = (500, 50, 20, 3) if quick else (2_000, 200, 50, 9)
    warm = searched(close)
    run(lambda: RandomSampler(seed=0), warm, 1_500)
    value_alone = searched(close, metrics=())
    run(lambda: RandomSampler(seed=0), value_alone, 1_500)
    windowed, loop = searched(close, windows=4), looped(close)
    run(lambda: RandomSampler(seed=0), windowed, 1_500)

    def chance() -> RandomSampler:
        return RandomSampler(seed=1)

    def guided() -> TPESampler:
        return TPESampler(seed=1)

    tasks: dict[str, tuple[Callable[[], object], int]] = {
        "RandomSampler, components there": (lambda: run(chance, warm, trials), trials),
        "the same, the value alone (metrics=())": (lambda: run(chance, value_alone, trials), trials),
        "the same, four windows reported": (lambda: run(chance, windowed, trials), trials),
        "cold: from prices on": (lambda: run(chance, searched(close), trials), trials),
        "a decay of its own each: nothing reused": (
            lambda: run(chance, searched(close, CONTINUOUS), trials // 2),
            trials // 2,
        ),
        "RandomSampler alone, an empty objective": (lambda: run(chance, nothing, trials), trials),
        "TPESampler, components there": (lambda: run(guided, warm, of_tpe), of_tpe),
        "TPESampler alone, an empty objective": (lambda: run(guided, nothing, of_tpe), of_tpe),
        "RandomSampler, atc and vectorbt in a loop": (lambda: run(chance, loop, of_loop), of_loop),
    }
    neighbours = Neighbours()
    taken = Taken(rounds, tasks)
    first = next(iter(tasks))
    rows = [taken.row(name, at_least=1_000 if name == first else None) for name in tasks]
    notes = (
        f"Studies of {trials:,} trials, of TPE {of_tpe:,} (the more there were, the longer it thinks), of the loop "
        f"{of_loop}. Each trial notes three metrics beside its value, unless it says otherwise. {neighbours.words()}"
    )
    figures = {"wall": taken.wall, "processor": taken.processor}
    return Table(f"Studies in memory, {BARS:,} bars", HEADER, rows, notes), figures


def objectives(close: Any, quick: bool) -> Measured:
    """Without optuna: what one evaluation costs."""
    count, rounds = (300, 3) if quick else (1_500, 9)
    warm = searched(close)
    study = run(lambda: RandomSampler(seed=2), warm, count)
    some = [warm.params(trial) for trial in study.trials]
    none = searched(close, memory=0)
    windowed = searched(close, windows=4)
    many = load_prices(STOCKS).iloc[-BARS:, :20]
    together = searched(many)
    of_many = some[: count // 10]

    def evaluated(search: Objective, points: list[Any]) -> Callable[[], object]:
        return lambda: [search.evaluate(params) for params in points]

    tasks = {
        "components there": (evaluated(warm, some), count),
        "none there (memory=0)": (evaluated(none, some), count),
        "components there, four windows": (evaluated(windowed, some), count),
        "components there, 20 stocks": (evaluated(together, of_many), len(of_many)),
    }
    neighbours = Neighbours()
    taken = Taken(rounds, tasks)
    rows = [taken.row(name)[:5] for name in tasks]
    figures = {"wall": taken.wall, "processor": taken.processor}
    notes = f"Each an `Objective.evaluate` of four metrics. {neighbours.words()}"
    return Table("Without optuna", HEADER[:5], rows, notes), figures


def storages(close: Any, quick: bool) -> Measured:
    """Storages on disk: a trial at a time, and from memory."""
    each, trials, keep = (10, 300, 20) if quick else (60, 2_000, 100)
    search = searched(close)
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], Any]] = {
            "SQLite": lambda: f"sqlite:///{Path(folder) / 'study.db'}",
            "a journal file": lambda: JournalStorage(JournalFileBackend(str(Path(folder) / "study.log"))),
        }
        for name, storage in kinds.items():
            study = study_of(RandomSampler(seed=0), storage=storage())
            study.optimize(search, n_trials=1)
            start = time.perf_counter()
            study.optimize(search, n_trials=each)
            one_by_one = (time.perf_counter() - start) / each
            start = time.perf_counter()
            with in_memory(study) as quick_study:
                quick_study.optimize(search, n_trials=each)
            handed = (time.perf_counter() - start) / each
            start = time.perf_counter()
            with in_memory(study, keep=keep) as quick_study:
                quick_study.optimize(search, n_trials=trials)
            best_of = (time.perf_counter() - start) / trials
            figures[name] = {"one by one": one_by_one, "in_memory": handed, "keep": best_of}
            rows.append((name, *(f"{1 / seconds:,.0f}" for seconds in (one_by_one, handed, best_of))))
    header = ("storage", "study.optimize", "in_memory, all handed over", f"the best {keep} of {trials:,}")
    return Table("Trials a second with a storage on disk", header, rows, "RandomSampler; one run each."), figures


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "few rounds, shorter studies").parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    report = Report(asked, f"{machine()[:-1]}, optuna {optuna.__version__}, vectorbt {vbt.__version__}.")
    close = load_prices(STOCKS).iloc[-BARS:, 0]
    for name, measure in (("studies", studies), ("evaluations", objectives), ("storages", storages)):
        table, figures = measure(close, asked.quick)
        report.figures[name] = figures
        report.show(table)
    report.end()


if __name__ == "__main__":
    main()
