"""Trials of a search: the very values of a sweep, components made once, and optuna's rules kept."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_sweeps import VALUES, frames, items, points, walks
from numba.core.config import DISABLE_JIT
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial, FrozenTrial, TrialState
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid, kept_components, sweep, warm
from atc_plugin.law.metrics import METRICS
from atc_plugin.law.turns import scale_of
from atc_plugin.optimize import in_memory, objective
from atc_plugin.params import LENGTH_NAMES
from atc_plugin.prices import read_prices
from atc_plugin.search import pool
from atc_plugin.search.judging import Judging
from atc_plugin.search.space import Space
from atc_plugin.sweeps.question import question_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

CLOSE = walks()
ONE = CLOSE["A"]
LENGTHS = {"ema_len": range(9, 40), "kama_len": (9, 40), "robustness": ["Narrow", "Wide"]}
MANY = 12 if DISABLE_JIT else 300
TRIALS = 6 if DISABLE_JIT else 40


def judging(close: Any, windows: Any = None, room: int = 2**30, source: Any = None, **trading: Any) -> Judging:
    prices = read_prices(close, source)
    asked = {"direction": "both", "fees": 0.0, "slippage": 0.0, "freq": "1D", **trading}
    return Judging(prices, question_of(prices, METRICS, windows=windows, top=None, **asked), None, room)


def assert_as_swept(close: Any, grid: ParamGrid, windows: Any = None, room: int = 2**30, **asked: Any) -> None:
    """Every combination, one at a time and in the order of the grid, has the bits of a sweep."""
    expected = sweep(close, grid, metrics=METRICS, cache=False, windows=windows, **{"freq": "1D", **asked})
    one = judging(close, windows, room, **asked)
    shape = (-1, len(grid))
    found = [one.judge(params) for params in grid]
    for name, values in expected.metrics.items():
        got = np.stack([each.metrics[name] for each in found], axis=1)
        assert_same_bits(got, values.reshape(shape)[one.columns], name)
    trades = expected.trades.reshape(shape)[one.columns]
    assert_same_bits(np.stack([each.trades for each in found], axis=1), trades.astype(float), "trades")
    if windows is not None:
        values, trades_of_windows = (
            np.moveaxis(expected.window_metrics[name].reshape(*shape, len(windows)), 2, 0)[:, one.columns]
            for name in (METRICS[0], "total_trades")
        )
        counts = np.isfinite(values) & (trades_of_windows >= 1)
        got = np.stack([each.windows for each in found], axis=2)
        assert_same_bits(got, np.where(counts, values, np.nan), f"{METRICS[0]} in windows")


def random_points(count: int, seed: int = 0) -> ParamGrid:
    rng = np.random.default_rng(seed)
    rows = [{name: values[rng.integers(len(values))] for name, values in VALUES.items()} for _ in range(count)]
    return ParamGrid.points(list(dict.fromkeys(AtcParams(**row) for row in rows)))


def study_of(sampler: Any = None, **options: Any) -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=sampler or RandomSampler(seed=1), **options)


# ---------------------------------------------------------------- the very values
@pytest.mark.parametrize("direction", ["both", "longonly", "shortonly"])
def test_random_combinations_have_the_bits_of_a_sweep(direction: str) -> None:
    assert_as_swept(CLOSE, random_points(MANY), direction=direction, fees=0.001, slippage=0.0005)


def test_so_have_growing_windows() -> None:
    windows = [slice(0, stop) for stop in (len(CLOSE) // 3, len(CLOSE) // 2, len(CLOSE))]
    assert_as_swept(CLOSE, random_points(MANY // 3, seed=1), windows, fees=0.002)


@settings(max_examples=25)
@given(frames(), points(), st.sampled_from(["both", "longonly", "shortonly"]), st.sampled_from([0.0, 0.002, 0.5]))
def test_so_has_every_kind_of_prices(close: pd.DataFrame, grid: ParamGrid, direction: str, fees: float) -> None:
    assume(close.notna().any(axis=None))
    # A sweep of each: components of astronomic weights decide for all of a grid what can be relied on.
    for params in grid:
        assert_as_swept(close, ParamGrid.points([params]), [slice(0, len(close))], direction=direction, fees=fees)


@pytest.mark.skipif(DISABLE_JIT, reason="too many bars for kernels as Python")
def test_more_bars_than_a_tile_make_no_difference() -> None:
    assert_as_swept(walks(5000, 2), random_points(60, seed=2), [slice(0, 3000), slice(0, 5000)], fees=0.001)


def test_averages_of_another_source() -> None:
    source = CLOSE * 1.01 + 0.3
    assert_as_swept(CLOSE, random_points(MANY // 6, seed=3), source=source, fees=0.001)


def test_scales_that_nothing_can_be_relied_on_with() -> None:
    assert scale_of(0.0, 0.1) == scale_of(np.inf, 0.1) == scale_of(np.nan, 0.1) == scale_of(1e250, 0.1) == 0.0
    assert 0.0 < scale_of(6.0, 0.1) < 2**31 / 6
    assert scale_of(5e-324, 0.1) == 0.0


# ---------------------------------------------------------------- components
def test_components_are_made_once_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    make = pool.resumable_components
    monkeypatch.setattr(
        pool, "resumable_components", lambda wanted, *rest: asked.append(len(wanted)) or make(wanted, *rest)
    )
    search = objective(ONE, LENGTHS)
    search.evaluate(AtcParams(ema_len=10))
    search.evaluate(AtcParams(ema_len=10, long_threshold=0.3, strategy_mode=True))
    search.evaluate(AtcParams(ema_len=11, kama_len=12))
    assert asked == [6, 2]
    assert search.components[0] == 8
    search.evaluate(AtcParams(hma_mode="hull"))
    search.evaluate(AtcParams(decay=0.1))
    assert asked == [6, 2, 2, 6]  # the EMA of 28 and the HMA; everything


@pytest.mark.parametrize("room", [0, 40_000, 90_000])
def test_what_they_take_is_bounded(room: int) -> None:
    grid = ParamGrid(ema_len=range(9, 19), kama_len=range(9, 13))
    if DISABLE_JIT:
        grid = grid[::7]
    assert_as_swept(CLOSE, grid, room=room)
    one = judging(CLOSE, room=room)
    for params in grid:
        one.judge(params)
        assert one.pool.nbytes <= room
    assert (one.pool.nbytes > 0) == (room >= 9 * sum(one._bars) + 1500)


def test_the_longest_unused_go_first() -> None:
    bars = len(ONE)
    one = judging(ONE, room=7 * (9 * bars + 500))
    one.judge(AtcParams(ema_len=10))
    one.judge(AtcParams(ema_len=11))  # seven are held now
    one.judge(AtcParams(ema_len=12))  # ema_len=10 goes
    assert one.pool.made == 8
    one.judge(AtcParams(ema_len=11))
    assert one.pool.made == 8
    one.judge(AtcParams(ema_len=10))
    assert one.pool.made == 9


def test_what_was_warmed_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    grid = ParamGrid(ema_len=[10, 20], kama_len=[9, 30])
    expected = sweep(CLOSE, grid, freq="1D", cache=False)
    warm(CLOSE, grid, freq="1D", cache=tmp_path)
    monkeypatch.setattr(pool, "resumable_components", None)
    search = objective(CLOSE, grid, freq="1D", cache=tmp_path, aggregate="min")
    for place, params in enumerate(grid):
        values = expected.metrics["sharpe_ratio"].reshape(3, 4)[:, place]
        assert search.evaluate(params).metrics["sharpe_ratio"] == values.min()


def test_a_search_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_components, "LONG", 10)
    warm(ONE, ParamGrid(ema_len=[10, 20]), freq="1D", cache=tmp_path)
    kept = items(tmp_path)
    search = objective(ONE, LENGTHS, cache=tmp_path)
    search.evaluate(AtcParams(ema_len=10, decay=0.2))
    assert search.components[0] == 6
    assert items(tmp_path) == kept


def test_a_store_that_has_nothing_is_no_hindrance(tmp_path: Path) -> None:
    search = objective(ONE, LENGTHS, cache=tmp_path)
    assert search.evaluate(AtcParams()) == objective(ONE, LENGTHS, cache=False).evaluate(AtcParams())


# ---------------------------------------------------------------- trials
def test_a_study_finds_what_a_sweep_finds() -> None:
    search = objective(ONE, LENGTHS, fees=0.001)
    study = study_of()
    study.optimize(search, n_trials=TRIALS)
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert len(done) == TRIALS
    for trial in done:
        params = search.params(trial)
        assert params.ema_len == trial.params["ema_len"]
        (row,) = sweep(ONE, ParamGrid.points([params]), fees=0.001, cache=False).frame.to_dict("records")
        assert trial.value == row["sharpe_ratio"]
        assert trial.user_attrs == {name: row[name] for name in ("total_return", "max_drawdown", "total_trades")}
    assert len({search.params(trial) for trial in done}) > TRIALS // 2


@pytest.mark.parametrize(
    ("aggregate", "taken"), [("mean", np.mean), ("median", np.median), ("min", np.min), (np.max, np.max)]
)
def test_columns_taken_together(aggregate: Any, taken: Any) -> None:
    search = objective(CLOSE, LENGTHS, metric="total_return", metrics="exposure", aggregate=aggregate)
    metrics = sweep(CLOSE, ParamGrid(ema_len=20), metrics=["total_return", "exposure"], cache=False).metrics
    found = search.evaluate(AtcParams(ema_len=20))
    assert found.value == taken(metrics["total_return"])
    assert found.metrics == {name: taken(values) for name, values in metrics.items()}


def test_a_function_is_asked_about_one_column_too() -> None:
    found = objective(ONE, LENGTHS, aggregate=lambda values: values.sum() - 1).evaluate(AtcParams())
    assert found.value == objective(ONE, LENGTHS).evaluate(AtcParams()).value - 1


def test_a_column_that_does_not_count_prunes_the_trial() -> None:
    close = CLOSE.assign(flat=5.0)
    study = study_of()
    study.optimize(objective(close, LENGTHS), n_trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED] * 2
    for metric in ("sharpe_ratio", "total_return"):  # infinite and finite
        found = objective(close, LENGTHS, metric=metric).evaluate(AtcParams())
        assert np.isnan(found.value)
        assert found.fault == "flat: no trade"


def test_a_column_without_bars_takes_no_part() -> None:
    with_none = CLOSE.assign(none=np.nan)
    asked = AtcParams(ema_len=12)
    assert objective(with_none, LENGTHS).evaluate(asked) == objective(CLOSE, LENGTHS).evaluate(asked)
    with pytest.raises(ValueError, match="close has no bars"):
        objective(with_none[["none"]], LENGTHS)


def odd(params: AtcParams) -> bool:
    return params.ema_len % 2 == 1


def test_where_leaves_trials_out_before_any_work() -> None:
    search = objective(ONE, ParamGrid(ema_len=range(9, 30), wma_len=[20, 30], where=odd))
    study = study_of()
    study.optimize(search, n_trials=TRIALS)
    for trial in study.trials:
        assert trial.state == (TrialState.COMPLETE if trial.params["ema_len"] % 2 else TrialState.PRUNED)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    kept = {trial.params["ema_len"] for trial in study.trials if trial.state == TrialState.COMPLETE}
    wma = {trial.params["wma_len"] for trial in study.trials if trial.state == TrialState.COMPLETE}
    assert search.components[0] == len(kept) + len(wma) + 4


def test_a_study_must_know_what_is_better() -> None:
    with pytest.raises(ValueError, match="the study minimizes sharpe_ratio, which is better when it is larger"):
        optuna.create_study().optimize(objective(ONE, LENGTHS), n_trials=1)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(objective(ONE, LENGTHS, metric="total_trades"), n_trials=2)
    assert study.best_value == min(trial.value for trial in study.trials if trial.value is not None)


def test_a_fixed_trial_will_do() -> None:
    search = objective(ONE, LENGTHS)
    trial = FixedTrial({"ema_len": 21, "kama_len": 10, "robustness": "Wide"})
    assert search(trial) == search.evaluate(AtcParams(ema_len=21, kama_len=10, robustness="Wide")).value
    assert search.params(trial) == AtcParams(ema_len=21, kama_len=10, robustness="Wide")


def test_threads_find_the_same() -> None:
    search = objective(CLOSE, LENGTHS, memory=60_000)
    study = study_of()
    study.optimize(search, n_trials=TRIALS, n_jobs=4)
    assert len(study.trials) == TRIALS
    alone = objective(CLOSE, LENGTHS)
    assert [trial.value for trial in study.trials] == [alone.evaluate(search.params(t)).value for t in study.trials]


def test_an_objective_travels(tmp_path: Path) -> None:
    search = objective(CLOSE, ParamGrid(ema_len=range(9, 30), where=odd), windows=3, aggregate="median")
    study_of().optimize(search, n_trials=1)
    travelled = pickle.loads(pickle.dumps(search))
    assert travelled.components == (0, 0)
    assert repr(travelled.evaluate(AtcParams())) == repr(search.evaluate(AtcParams()))
    study = study_of()
    study.optimize(travelled, n_trials=3)
    assert search.params(study.trials[0]) == travelled.params(study.trials[0])


# ---------------------------------------------------------------- windows and pruning
class Prunes(BasePruner):
    """Stops a trial after a step, and remembers when it was asked."""

    def __init__(self, step: int) -> None:
        self.step, self.asked = step, []

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        self.asked.append(trial.last_step)
        return trial.last_step == self.step


def test_windows_are_reported_as_they_grow() -> None:
    search = objective(CLOSE, LENGTHS, windows=4)
    study = study_of(pruner=Prunes(99))
    study.optimize(search, n_trials=3)
    bars = len(CLOSE)
    growing = [slice(0, bars * k // 4) for k in range(1, 5)]
    for trial in study.trials:
        one = sweep(CLOSE, ParamGrid.points([search.params(trial)]), windows=growing, cache=False)
        values = one.window_metrics["sharpe_ratio"]
        for step, value in trial.intermediate_values.items():
            own = values[:, step - 1]
            assert value == np.mean(own[np.isfinite(own)])
        assert trial.intermediate_values[4] == pytest.approx(trial.value, rel=1e-9)
    assert 4 not in study.pruner.asked


def test_slices_are_reported_up_to_their_ends() -> None:
    search = objective(ONE, LENGTHS, windows=[slice(200, 300), slice(100, 200)] if not DISABLE_JIT else [slice(40, 60)])
    found = search.evaluate(AtcParams())
    ends = [200, 300] if not DISABLE_JIT else [60]
    expected = sweep(ONE, ParamGrid(), windows=[slice(0, end) for end in ends], cache=False)
    assert_same_bits(np.array(found.windows), expected.window_metrics["sharpe_ratio"][0])


def test_a_pruner_stops_a_trial() -> None:
    study = study_of(pruner=Prunes(2))
    study.optimize(objective(ONE, LENGTHS, windows=4), n_trials=2)
    for trial in study.trials:
        assert trial.state == TrialState.PRUNED
        assert max(trial.intermediate_values) == 2
    study = study_of(pruner=Prunes(2))
    study.optimize(objective(ONE, LENGTHS, windows=4, prune=False), n_trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.pruner.asked == []


def test_a_window_before_a_column_was_listed_has_the_others() -> None:
    late = CLOSE.copy()
    half = len(late) // 2
    late.iloc[:half, 1] = np.nan
    search = objective(late[["A", "B"]], LENGTHS, windows=[slice(0, half), slice(0, len(late))])
    alone = objective(late["A"], LENGTHS, windows=[slice(0, half)])
    quick = AtcParams(**dict.fromkeys(LENGTH_NAMES.values(), 8))
    both, one = (each.evaluate(quick).windows[0] for each in (search, alone))
    assert np.isfinite(one)
    assert both == one


# ---------------------------------------------------------------- spaces
@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("ema_len", range(10, 50, 3), IntDistribution(10, 49, step=3)),
        ("ema_len", [10, 20, 30], IntDistribution(10, 30, step=10)),
        ("ema_len", np.arange(10, 50), IntDistribution(10, 49)),
        ("ema_len", [10, 20, 40], CategoricalDistribution((10, 20, 40))),
        ("ema_len", [30, 20, 10], CategoricalDistribution((30, 20, 10))),
        ("ema_len", (10, 50), IntDistribution(10, 50)),
        ("ema_len", (10, 50, 7), IntDistribution(10, 45, step=7)),
        ("ema_len", IntDistribution(10, 80, log=True), IntDistribution(10, 80, log=True)),
        ("decay", (0.01, 0.05), FloatDistribution(0.01, 0.05)),
        ("decay", (0.0, 0.5, 0.125), FloatDistribution(0.0, 0.5, step=0.125)),
        ("decay", [0.01, 0.02, 0.03], CategoricalDistribution((0.01, 0.02, 0.03))),
        ("decay", FloatDistribution(0.01, 1.0, log=True), FloatDistribution(0.01, 1.0, log=True)),
        ("ema_w", IntDistribution(1, 3), IntDistribution(1, 3)),
        ("hma_mode", ("sma", "hull"), CategoricalDistribution(("sma", "hull"))),
        ("strategy_mode", [False, True], CategoricalDistribution((False, True))),
        ("robustness", CategoricalDistribution(["Wide", "Narrow"]), CategoricalDistribution(("Wide", "Narrow"))),
    ],
)
def test_what_may_be_chosen(name: str, given: Any, expected: Any) -> None:
    space = Space({name: given})
    assert space.distributions == {name: expected}
    trial = study_of().ask()
    params = space.suggest(trial)
    assert trial.distributions == {name: expected}
    assert params == AtcParams(**{name: trial.params[name]})
    assert type(getattr(params, name)) is type(getattr(AtcParams(), name))


def test_a_grid_and_one_value() -> None:
    space = Space(ParamGrid(ema_len=range(10, 20), decay=0.5, robustness=["Wide", "Narrow"]))
    assert space.fixed == {"decay": 0.5}
    assert list(space.distributions) == ["ema_len", "robustness"]
    assert space.suggest(study_of().ask()).decay == 0.5
    assert Space({"ema_len": [12], "wma_len": (9, 20), "robustness": "Wide"}).fixed == {
        "ema_len": 12,
        "robustness": "Wide",
    }


@pytest.mark.parametrize(
    ("space", "fault", "words"),
    [
        ([10, 20], TypeError, "space must be a ParamGrid, or a mapping of parameters; got list"),
        (ParamGrid.points([{"ema_len": 10}]), TypeError, "space must be a product of values"),
        (ParamGrid(ema_len=range(10, 30))[:4], TypeError, "sweep judges all of its combinations"),
        ({}, ValueError, "space leaves nothing to choose"),
        ({"ema_len": 10}, ValueError, "space leaves nothing to choose"),
        ({"ema_lenn": (10, 20)}, TypeError, "ema_len"),
        ({"ema_len": (0, 20)}, ValueError, "ema_len must be a whole number >= 1; got 0"),
        ({"ema_len": (10, 20.5)}, ValueError, "ema_len must be a whole number >= 1; got 20.5"),
        ({"ema_len": (20, 10)}, ValueError, "ema_len must have low <= high"),
        ({"ema_len": (20, 20)}, ValueError, "ema_len must have low < high, or be one value"),
        ({"ema_len": (10, 20, 0)}, ValueError, "ema_len must have a step that is a whole number above 0"),
        ({"ema_len": (10, 20, 0.5)}, ValueError, "ema_len must have a step that is a whole number above 0"),
        ({"ema_len": (10, 20, True)}, ValueError, "ema_len must have a step"),
        ({"decay": (0.1, 0.2, -0.1)}, ValueError, "decay must have a step that is a number above 0"),
        ({"decay": (0.1, 100)}, ValueError, "decay must be a finite number >= 0 and < 100; got 100"),
        ({"decay": (0.1,)}, ValueError, r"decay must be \(low, high\) or \(low, high, step\)"),
        ({"ema_len": (10, 12, 14, 16)}, ValueError, r"ema_len must be \(low, high\) or \(low, high, step\)"),
        ({"ema_len": FloatDistribution(10, 20)}, TypeError, "ema_len must be a whole number >= 1, which Float"),
        ({"ema_len": IntDistribution(-3, 20)}, ValueError, "ema_len must be a whole number >= 1; got -3"),
        ({"robustness": ["Wide", "Wider"]}, ValueError, "robustness must be"),
        ({"robustness": IntDistribution(1, 3)}, TypeError, "robustness must be"),
        ({"ema_len": (5, 20), "robustness": ["Narrow", "Wide"]}, ValueError, "ema_len must be at least 8"),
        ({"ema_len": (5, 20)}, ValueError, "space has combinations that do not fit together"),
        ({"hma_len": (7, 20), "hma_mode": ["sma", "hull"]}, ValueError, "hma_len must be at least 8"),
        ({"long_threshold": (-0.3, 0.3)}, ValueError, "short_threshold must not lie above long_threshold"),
    ],
)
def test_what_may_not(space: Any, fault: type[Exception], words: str) -> None:
    with pytest.raises(fault, match=words):
        objective(ONE, space)


def test_a_trial_of_another_space_is_none() -> None:
    search = objective(ONE, LENGTHS)
    with pytest.raises(ValueError, match="the trial has no kama_len, robustness: it was not run in this space"):
        search.params(
            optuna.trial.create_trial(
                value=1.0, params={"ema_len": 20}, distributions={"ema_len": IntDistribution(9, 40)}
            )
        )


@pytest.mark.parametrize(
    ("options", "fault", "words"),
    [
        ({"metric": "sharp_ratio"}, ValueError, "sharpe_ratio"),
        ({"metric": ["sharpe_ratio"]}, ValueError, "metric: no metric"),
        ({"metrics": ["profit"]}, ValueError, "metric"),
        ({"metrics": None}, TypeError, "metrics must name some of total_return"),
        ({"aggregate": "sum"}, ValueError, "aggregate"),
        ({"memory": -1}, ValueError, "memory must be a whole number of bytes >= 0; got -1"),
        ({"memory": 1.5}, ValueError, "memory must be"),
        ({"fees": -1}, ValueError, "fees"),
        ({"direction": "long"}, ValueError, "direction"),
        ({"windows": 0}, ValueError, "windows"),
        ({"cache": 3}, TypeError, "cache"),
    ],
)
def test_bad_options(options: dict[str, Any], fault: type[Exception], words: str) -> None:
    with pytest.raises(fault, match=words):
        objective(ONE, LENGTHS, **options)


# ---------------------------------------------------------------- studies in memory
def worth(trial: optuna.Trial) -> float:
    return trial.suggest_int("ema_len", 10, 1000)


def test_a_study_in_memory_goes_on_and_hands_over(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'search.db'}"
    for runs in range(2):
        study = study_of(storage=storage, study_name="atc", load_if_exists=True, sampler=RandomSampler(seed=runs))
        with in_memory(study) as quick:
            assert len(quick.trials) == 4 * runs
            assert quick.study_name == "atc"
            quick.optimize(worth, n_trials=4)
    loaded = optuna.load_study(study_name="atc", storage=storage)
    assert [trial.number for trial in loaded.trials] == list(range(8))
    assert [trial.params for trial in loaded.trials] == [trial.params for trial in quick.trials]
    assert loaded.best_value == quick.best_value
    assert loaded.trials[0].datetime_start == quick.trials[0].datetime_start


def test_it_hands_over_the_best() -> None:
    for direction, pick in (("maximize", max), ("minimize", min)):
        study = optuna.create_study(direction=direction, sampler=RandomSampler(seed=3))
        with in_memory(study, keep=3) as quick:
            quick.optimize(worth, n_trials=10)
            quick.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED))
        values = [trial.value for trial in quick.trials if trial.value is not None]
        assert len(values) == 10
        kept = sorted(values, reverse=pick is max)[:3]
        assert sorted(trial.value for trial in study.trials) == sorted(kept)
        assert study.best_value == pick(values)


def test_it_hands_over_after_an_error() -> None:
    study = study_of()

    def failing(trial: optuna.Trial) -> float:
        if trial.number == 3:
            raise KeyboardInterrupt
        return worth(trial)

    with pytest.raises(KeyboardInterrupt), in_memory(study) as quick:
        quick.optimize(failing, n_trials=9)
    assert len(quick.trials) == 4
    assert [trial.state for trial in study.trials[:3]] == [TrialState.COMPLETE] * 3
    assert all(trial.state.is_finished() for trial in study.trials)


@pytest.mark.parametrize("keep", [0, -1, 1.5, True])
def test_it_keeps_some_at_least(keep: Any) -> None:
    with pytest.raises(ValueError, match="keep must be a number of trials of at least 1"), in_memory(study_of(), keep):
        raise AssertionError


def test_it_needs_one_objective_to_rank_by() -> None:
    several = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.raises(ValueError, match="keep needs one objective"), in_memory(several, keep=2):
        raise AssertionError
    with in_memory(several) as quick:
        quick.optimize(lambda trial: (worth(trial), 1.0), n_trials=2)
    assert len(several.trials) == 2


# ---------------------------------------------------------------- without optuna
def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[optuna\]"'):
        objective(ONE, LENGTHS)
    with pytest.raises(ModuleNotFoundError, match="needs optuna"), in_memory(object()):  # type: ignore[arg-type]
        raise AssertionError


def test_importing_it_loads_neither_optuna_nor_numba() -> None:
    code = "import sys, atc_plugin; assert atc_plugin.optimize.objective; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"optuna", "numba", "sqlalchemy"} & set(loaded)
