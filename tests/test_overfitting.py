"""The formulas against published figures, another implementation, plain loops, and what must hold of them."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atc_plugin.sweeps.grid import ParamGrid
from atc_plugin.sweeps.neighbourhood import Neighbours, stability_of
from atc_plugin.sweeps.overfitting import (
    Blocks,
    Overfitting,
    blocks_of_returns,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    independent_trials,
    probabilistic_sharpe_ratio,
    probability_of_overfitting,
    sharpe_ratios,
)


# ---------------------------------------------------------------- the deflated Sharpe ratio
def test_the_example_of_the_deflated_sharpe_ratio() -> None:
    """Bailey & Lopez de Prado 2014, "A numerical example": 250 bars a year, 1,250 bars, SR 2.5, variance 1/2."""
    sharpe, variance = 2.5 / math.sqrt(250), 0.5 / 250
    assert round(expected_maximum_sharpe(100, variance), 4) == 0.1132
    assert round(deflated_sharpe_ratio(sharpe, 1250, 100, variance, -3, 10), 4) == 0.9004
    assert round(deflated_sharpe_ratio(sharpe, 1250, 46, variance, -3, 10), 4) == 0.9505  # after fewer trials
    assert round(deflated_sharpe_ratio(sharpe, 1250, 88, variance, 0, 3), 4) == 0.9505  # had returns been normal


@pytest.mark.parametrize("trials", [10, 100, 10_000])
def test_the_expected_maximum_is_that_of_normal_draws(trials: int) -> None:
    draws = np.random.default_rng(0).normal(0, 0.3, (2_000_000 // trials, trials)).max(axis=1)
    assert expected_maximum_sharpe(trials, 0.09) == pytest.approx(draws.mean(), rel=0.04)


def test_more_trials_deflate_more() -> None:
    values = [deflated_sharpe_ratio(0.1, 1000, trials, 1e-3) for trials in (1, 2, 10, 1e3, 1e6, 1e9, 1e15)]
    assert all(a > b for a, b in itertools.pairwise(values))
    assert values[0] == probabilistic_sharpe_ratio(0.1, 1000)
    assert deflated_sharpe_ratio(0.1, 1000, 1000, 0.0) == values[0]


def test_without_a_verdict() -> None:
    assert math.isnan(probabilistic_sharpe_ratio(0.1, 1))
    assert math.isnan(probabilistic_sharpe_ratio(math.inf, 100))
    assert math.isnan(probabilistic_sharpe_ratio(1.0, 100, skewness=5.0, kurtosis=3.0))  # no returns have these
    with pytest.raises(ValueError, match="trials must be at least 1"):
        expected_maximum_sharpe(0, 1.0)
    with pytest.raises(ValueError, match="variance must be at least 0"):
        expected_maximum_sharpe(10, math.nan)


def test_of_normal_returns_it_is_the_textbook_s() -> None:
    """Lo 2002: the standard error of a Sharpe ratio is sqrt((1 + SR^2/2)/(T - 1))."""
    expected = NormalDist().cdf(0.2 / math.sqrt((1 + 0.2**2 / 2) / 99))
    assert probabilistic_sharpe_ratio(0.2, 100) == pytest.approx(expected, rel=1e-14)


# ---------------------------------------------------------------- the probability of backtest overfitting
def plainly(returns: np.ndarray, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """Logits and Sharpe ratios in and out of sample as the paper has them: matrices cut up and joined again."""
    parts = np.array_split(returns, blocks)
    logits, inside, outside = [], [], []
    for half in itertools.combinations(range(blocks), blocks // 2):
        sample = np.concatenate([parts[k] for k in half])
        rest = np.concatenate([parts[k] for k in range(blocks) if k not in half])
        ours, theirs = (part.mean(axis=0) / part.std(axis=0, ddof=1) for part in (sample, rest))
        best = int(ours.argmax())
        rank = (theirs < theirs[best]).sum() + ((theirs == theirs[best]).sum() + 1) / 2
        relative = rank / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
        inside.append(ours[best])
        outside.append(theirs[best])
    return logits, inside, outside


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 4, 6]), st.integers(2, 30), st.floats(0, 0.01), st.integers(1, 2))
def test_statistics_of_blocks_say_what_all_returns_say(
    seed: int, blocks: int, trials: int, drift: float, jobs: int
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.01, (blocks * int(rng.integers(5, 30)), trials)) + np.linspace(-drift, drift, trials)
    found = probability_of_overfitting(blocks_of_returns(returns, blocks), jobs)
    logits, inside, outside = plainly(returns, blocks)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.in_sample, inside, rtol=1e-9)
    np.testing.assert_allclose(found.out_of_sample, outside, rtol=1e-9, atol=1e-12)
    assert found.probability == np.mean(np.array(logits) <= 0)
    assert found.loss == np.mean(np.array(outside) < 0)
    if blocks > 2:
        slope, intercept = np.polyfit(inside, outside, 1)
        assert (found.slope, found.intercept) == pytest.approx((slope, intercept), rel=1e-6, abs=1e-9)


# What RiskLabAI 2.0.1 gave (`pip install RiskLabAI`): PBO, sum and deviation of the logits, of
# `probability_of_backtest_overfitting(returns, blocks, 0.0, lambda x, _: x.mean() / x.std(ddof=1))`.
RISKLAB = {
    (1, 0.0, 8): (0.5571428571428572, -25.846488743830843, 1.1038124533349452),
    (2, 0.001, 8): (0.1, 86.62140317210623, 0.9920384701293984),
    (3, 0.002, 10): (0.0, 432.27617064375215, 0.44402301645512343),
}


@pytest.mark.parametrize(("seed", "drift", "blocks"), RISKLAB)
def test_another_implementation_overfits_alike(seed: int, drift: float, blocks: int) -> None:
    returns = np.random.default_rng(seed).normal(0, 0.01, (1000, 40)) + np.linspace(-drift, drift, 40)
    found = probability_of_overfitting(blocks_of_returns(returns, blocks))
    ours = (found.probability, found.logits.sum(), found.logits.std())
    assert ours == pytest.approx(RISKLAB[seed, drift, blocks], rel=1e-12)


def test_another_implementation_deflates_alike() -> None:
    """RiskLabAI 2.0.1: `probabilistic_sharpe_ratio` and `benchmark_sharpe_ratio`."""
    assert probabilistic_sharpe_ratio(0.1, 250) == pytest.approx(0.942261266719699, rel=1e-14)
    assert probabilistic_sharpe_ratio(0.05, 1000, 0.02, -1.5, 8) == pytest.approx(0.8192941734021184, rel=1e-14)
    trials = np.random.default_rng(0).normal(0, 0.05, 200)
    assert expected_maximum_sharpe(200, float(trials.var())) == pytest.approx(0.13290815687536783, rel=1e-9)


def test_noise_is_overfitted_and_skill_is_not() -> None:
    noise = [
        probability_of_overfitting(
            blocks_of_returns(np.random.default_rng(k).normal(0, 0.01, (600, 50)), 8)
        ).probability
        for k in range(40)
    ]
    assert 0.4 < np.mean(noise) < 0.6
    returns = np.random.default_rng(0).normal(0, 0.01, (600, 50))
    returns[:, 7] += 0.005
    skill = probability_of_overfitting(blocks_of_returns(returns, 8))
    assert (skill.probability, skill.loss) == (0.0, 0.0)
    assert (skill.winners == 7).all()


def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_of_returns(np.random.default_rng(0).normal(0, 0.01, (240, 300)), 6)
    expected = probability_of_overfitting(blocks)
    for cells, jobs in ((20, 1), (400, 3), (10**9, 2)):
        monkeypatch.setattr("atc_plugin.sweeps.overfitting._CELLS", cells)
        found = probability_of_overfitting(blocks, jobs)
        np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-12)
        assert found.winners.tolist() == expected.winners.tolist()


def test_trials_that_never_traded_or_could_not_be_judged() -> None:
    returns = np.random.default_rng(0).normal(-0.01, 0.01, (240, 5))  # all of them lose
    idle = np.concatenate([returns, np.zeros((240, 7)), np.full((240, 2), np.nan)], axis=1)
    found = probability_of_overfitting(blocks_of_returns(idle, 6))
    assert set(found.winners.tolist()) <= set(range(5))  # not to trade at all would be better, but is no trial
    assert found.probability == 1.0  # and so the winners rank below those
    assert sharpe_ratios(blocks_of_returns(idle, 6))[5:12].tolist() == [0.0] * 7
    nothing = probability_of_overfitting(blocks_of_returns(np.full((240, 3), np.nan), 6))
    assert math.isnan(nothing.probability)
    assert math.isnan(probability_of_overfitting(blocks_of_returns(returns[:, :1], 6)).probability)
    assert isinstance(nothing, Overfitting)
    assert "0 splits" in repr(nothing)


def test_blocks_that_will_not_do() -> None:
    returns = np.zeros((100, 3))
    for count in (3, 22):
        with pytest.raises(ValueError, match=f"even number of blocks from 2 to 20; got {count}"):
            probability_of_overfitting(blocks_of_returns(returns, count))
    with pytest.raises(ValueError, match="a block needs two bars at least"):
        probability_of_overfitting(blocks_of_returns(returns[:7], 4))


def test_independent_trials() -> None:
    rng = np.random.default_rng(0)
    alone = rng.normal(0, 0.01, (1200, 40))
    assert independent_trials(blocks_of_returns(alone, 12)) > 30
    same = np.repeat(alone[:, :1], 40, axis=1)
    assert independent_trials(blocks_of_returns(same, 12)) == pytest.approx(1.0)
    draws = rng.normal(0, 0.01, (30, 1200, 41))
    half = [independent_trials(blocks_of_returns(draw[:, 1:] + draw[:, :1], 12)) for draw in draws]
    assert 18 < np.mean(half) < 24  # half of each is common to all: rho = 1/2, so 20.5
    assert independent_trials(blocks_of_returns(np.zeros((1200, 3)), 12)) == 0
    against = np.concatenate([same[:, :1], -same[:, :1]], axis=1)
    assert independent_trials(blocks_of_returns(against, 12)) == 2  # no fewer for being opposites


def test_blocks_of_returns() -> None:
    made = blocks_of_returns(np.arange(14.0).reshape(7, 2), 2)
    assert isinstance(made, Blocks)
    assert made.sums.tolist() == [[6, 36], [9, 40]]
    assert made.squares.tolist() == [[20, 344], [35, 420]]
    assert made.bars.tolist() == [3, 4]


# ---------------------------------------------------------------- neighbourhoods
def test_neighbours_are_one_step_away() -> None:
    grid = ParamGrid(ema_len=[30, 10, 20], robustness=["Wide", "Narrow", "Medium"], strategy_mode=[False, True])
    near, combinations = Neighbours(grid), list(grid)
    ranks = {"Narrow": 0, "Medium": 1, "Wide": 2}
    for position, params in enumerate(combinations):
        expected = [
            place
            for place, other in enumerate(combinations)
            if abs(other.ema_len - params.ema_len) // 10
            + abs(ranks[other.robustness] - ranks[params.robustness])
            + (other.strategy_mode != params.strategy_mode)
            == 1
        ]
        assert near.of(position).tolist() == expected


def test_neighbours_of_grids_with_holes() -> None:
    """The next there is, however far."""
    rows = [(10, 0.01), (20, 0.01), (40, 0.01), (20, 0.05), (40, 0.02), (70, 0.5)]
    near = Neighbours(ParamGrid.points([{"ema_len": length, "decay": decay} for length, decay in rows]))
    assert near.of(1).tolist() == [0, 2, 3]
    assert near.of(0).tolist() == [1]
    assert near.of(2).tolist() == [1, 4]
    assert near.of(5).tolist() == []
    assert Neighbours(ParamGrid()).of(0).tolist() == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_stability_is_a_share(around: list[float], value: float, middle: float) -> None:
    stability = stability_of(value, np.array(around), middle)
    assert 0 <= stability <= 1
    if value > middle:
        assert stability_of(value, np.array([value] * 3), middle) == 1
        assert stability_of(value, np.array([middle, -np.inf, np.nan]), middle) == 0
        assert stability_of(value, np.array([*around, middle]), middle) <= stability


def test_stability_of_nothing() -> None:
    assert math.isnan(stability_of(1.0, np.empty(0), 0.0))
    assert math.isnan(stability_of(math.nan, np.ones(2), 0.0))
    assert stability_of(1.0, np.zeros(2), 1.0) == 1.0
