"""Search parameters with optuna: thousands of trials a second, kept in a file that a second run goes on from.

    python examples/tune_optuna.py                       # the bundled stocks; run it again to go on
    python examples/tune_optuna.py --csv prices.csv --trials 5000 --storage sqlite:///mine.db

First a random search of many trials in memory, of which the best are kept in the storage; then a guided one (TPE) that
starts from those and stops combinations that do badly on the first years. Figures go to out/.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from atc_plugin import AtcParams, ParamGrid, load_prices, sweep
from atc_plugin.optimize import Objective, in_memory, objective

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
SYMBOLS = ["AAPL", "MSFT", "XOM"]
OUT = Path("out")
FEES = 0.001
SPACE = {
    **{f"{name}_len": (10, 60) for name in ("ema", "hma", "wma", "dema", "lsma", "kama")},
    "robustness": ["Narrow", "Medium", "Wide"],
    "hma_mode": ["sma", "hull"],
    "long_threshold": (0.0, 0.4, 0.05),
    "short_threshold": (-0.4, 0.0, 0.05),
}


def run(study: optuna.Study, search: Objective, trials: int, keep: int | None = None) -> None:
    """So many more trials, run in memory, and what they took."""
    before = len(study.trials)
    started = time.perf_counter()
    with in_memory(study, keep) as quick:
        quick.optimize(search, n_trials=trials)
        seconds = time.perf_counter() - started
    pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in quick.trials[before:])
    name = type(study.sampler).__name__
    print(f"{name}: {trials:,} trials on top of {before:,} in {seconds:.1f} s, {trials / seconds:,.0f} a second;")
    print(f"  {pruned:,} pruned, {len(study.trials) - before:,} handed to the storage, best {study.best_value:.3f}")


def draw(study: optuna.Study) -> list[Path]:
    """optuna's own figures."""
    OUT.mkdir(exist_ok=True)
    shown = optuna.visualization
    lengths = ["ema_len", "kama_len"]
    figures = {
        "history": shown.plot_optimization_history(study, target_name="mean Sharpe ratio"),
        "slice": shown.plot_slice(study, params=[*lengths, "robustness", "hma_mode"], target_name="mean Sharpe ratio"),
        "contour": shown.plot_contour(study, params=lengths, target_name="mean Sharpe ratio"),
        "windows": shown.plot_intermediate_values(study),
    }
    paths = []
    for name, figure in figures.items():
        paths.append(OUT / f"tune_{name}.html")
        figure.write_html(paths[-1], include_plotlyjs="cdn")
    return paths


def chosen(params: AtcParams) -> list[tuple[str, Any]]:
    """What was searched for, by name."""
    return [(name, getattr(params, name)) for name in SPACE]


def main() -> int:
    parser = argparse.ArgumentParser(description="Search ATC's parameters with optuna.")
    parser.add_argument("--csv", help="prices, one column a symbol (default: three of the bundled stocks)")
    parser.add_argument("--trials", type=int, default=2000, help="of the random search (default: %(default)s)")
    parser.add_argument("--guided", type=int, default=100, help="trials of TPE (default: %(default)s)")
    parser.add_argument("--storage", default="sqlite:///out/tune.db", help="default: %(default)s")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line a trial costs more than the trial
    try:
        close = load_prices(options.csv) if options.csv else load_prices(BUNDLED, symbols=SYMBOLS)
        past = close.iloc[: int(len(close) * 0.7)]
        search = objective(past, SPACE, fees=FEES, direction="longonly", windows=4)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    OUT.mkdir(exist_ok=True)

    def opened(sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner) -> optuna.Study:
        return optuna.create_study(
            study_name="atc",
            storage=options.storage,
            load_if_exists=True,
            direction="maximize",
            sampler=sampler,
            pruner=pruner,
        )

    print(f"{past.shape[1]} stocks x {len(past)} bars, long only, {FEES:.1%} fees an order\n")
    nothing = optuna.pruners.NopPruner()  # chance learns nothing from a trial that was stopped
    run(opened(optuna.samplers.RandomSampler(), nothing), search, options.trials, keep=50)
    run(opened(optuna.samplers.TPESampler(), optuna.pruners.PercentilePruner(75.0)), search, options.guided)

    study = optuna.load_study(study_name="atc", storage=options.storage)  # as another process would find it
    params = search.params(study.best_trial)
    words = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in chosen(params)]
    print(f"\nBest of {len(study.trials):,}: {', '.join(words)}")
    made, nbytes = search.components
    print(f"{made:,} components were computed for all trials; {nbytes / 1e6:.1f} MB are held")

    two = ParamGrid.points([{}, params.as_dict()])
    metrics = ["sharpe_ratio", "total_return", "max_drawdown"]
    both = {}
    for name, prices in (("searched", past), ("after", close.iloc[len(past) :])):
        judged = sweep(prices, two, metrics=metrics, fees=FEES, direction="longonly", cache=False).frame
        parameters = ["defaults", "best"] * past.shape[1]
        both[name] = judged[metrics].groupby(parameters, sort=False).mean()
    print("\nMeans over the stocks, on the bars searched and on those after, ATC starting anew on each:")
    print(pd.concat(both, axis=1).round(2).to_string())
    print("\nOpen in a browser:", *draw(study), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
