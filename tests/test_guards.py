"""Guards beside the best: what the formulas say of the returns of every combination, bar by bar."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sweeps import judged_blocks, small_blocks, walks
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits
from test_fills import portfolio
from test_walk_forward import MODES

from atc_plugin import ParamGrid, SweepResult, atc, sweep
from atc_plugin.sweeps.guards import moments_of
from atc_plugin.sweeps.neighbourhood import Neighbours, stability_of
from atc_plugin.sweeps.overfitting import (
    Overfitting,
    blocks_of_returns,
    deflated_sharpe_ratio,
    independent_trials,
    probability_of_overfitting,
)

BARS = 70 if DISABLE_JIT else 400
BLOCKS = 4 if DISABLE_JIT else 8
GRID = ParamGrid(ema_len=[9, 14, 28], kama_len=[9, 20], cutout=[0, 1000])  # half of them never trade
SHOWN = ["deflated_sharpe_ratio", "probability_of_overfitting", "stability"]


def swept(close: Any = None, grid: ParamGrid = GRID, **asked: Any) -> SweepResult:
    settings = {"fees": 0.001, "cache": False, "n_jobs": 1}
    return sweep(walks(BARS) if close is None else close, grid, **(settings | asked))


def returns_of(close: Any, grid: ParamGrid, direction: str = "both") -> np.ndarray:
    """Of every combination, (bars, combinations), by vectorbt."""
    close = close.dropna()
    results = [atc(close, params=params) for params in grid]
    up, down = (np.array([getattr(one, name) for one in results]).T for name in ("entries", "exits"))
    made = portfolio(close.to_numpy(), up, down, MODES[direction], fees=0.001, freq="1D", init_cash=100.0)
    return np.asarray(made.returns())


@pytest.mark.parametrize("direction", MODES)
def test_guards_are_the_formulas_on_all_returns(direction: str) -> None:
    close = walks(BARS)
    result = swept(close, direction=direction)
    best = result.best("sharpe_ratio", 2)
    found = result.guards(best, "sharpe_ratio", blocks=BLOCKS)
    assert found.index.tolist() == best.index.tolist()
    for row, guards in found.iterrows():
        column, position = divmod(int(row), len(GRID))
        returns = returns_of(close.iloc[:, column], GRID, direction)
        trading = returns[:, (returns != 0).any(axis=0)]
        ratios = trading.mean(axis=0) / trading.std(axis=0, ddof=1)
        mine = returns[:, position]
        sharpe, away = mine.mean() / mine.std(ddof=1), mine - mine.mean()
        skewness, kurtosis = ((away**k).mean() / mine.std() ** k for k in (3, 4))
        expected = probability_of_overfitting(blocks_of_returns(returns, BLOCKS))
        independent = independent_trials(blocks_of_returns(returns, BLOCKS))
        deflated = [
            deflated_sharpe_ratio(sharpe, mine.size, trials, ratios.var(ddof=1), skewness, kurtosis)
            for trials in (ratios.size, independent)
        ]
        values = np.where(np.isfinite(result.metrics["sharpe_ratio"]), result.metrics["sharpe_ratio"], np.nan)
        values = values.reshape(3, -1)[column]
        around = Neighbours(GRID).of(position)
        for name, value in {
            "bars": mine.size,
            "sharpe_of_a_bar": sharpe,
            "skewness": skewness,
            "kurtosis": kurtosis,
            "trials": ratios.size,
            "deflated_sharpe_ratio": deflated[0],
            "independent_trials": independent,
            "deflated_by_independent": deflated[1],
            "probability_of_overfitting": expected.probability,
            "probability_of_loss": expected.loss,
            "degradation": expected.slope,
            "neighbours": around.size,
            "stability": stability_of(values[position], values[around], float(np.nanmedian(values))),
        }.items():
            assert guards[name] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True), name


def test_best_shows_them() -> None:
    result = swept()
    plain, guarded = result.best("sharpe_ratio", 2), result.best("sharpe_ratio", 2, guards=True)
    assert list(guarded) == [*plain, *SHOWN]
    assert guarded[list(plain)].equals(plain)
    assert_same_bits(guarded[SHOWN], result.guards(plain, "sharpe_ratio")[SHOWN])
    assert result.best("total_return", guards=True)["stability"].tolist() != guarded["stability"].tolist()
    assert list(result.best(min_trades=10**6, guards=True)) == [*plain, *SHOWN]
    for wrong in ({"across": "median"}, {"ascending": True}):
        with pytest.raises(ValueError, match="guards are of the best of one symbol"):
            result.best(guards=True, **wrong)


def test_the_grid_is_gone_through_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = swept(walks(BARS, columns=1))
    size = len(pickle.dumps(result))
    counts = judged_blocks(monkeypatch)
    first = result.guards(cache=tmp_path)
    assert counts == [len(GRID)]
    assert_same_bits(result.guards([3, 1], cache=tmp_path).loc[1:, "trials"], first["trials"])
    assert isinstance(result.overfitting(), Overfitting)
    assert counts == [len(GRID)]
    again = pickle.loads(pickle.dumps(result))  # forgets; the cache does not
    assert len(pickle.dumps(result)) == size
    assert_same_bits(again.guards(cache=tmp_path), first)
    assert counts == [len(GRID)]


def test_top_is_judged_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, few = swept(metrics="sharpe_ratio"), swept(metrics="sharpe_ratio", top=2)
    columns = [name for name in whole.guards() if name != "stability"]
    assert_same_bits(few.guards()[columns], whole.guards()[columns])
    np.testing.assert_allclose(few.guards()["stability"], whole.guards()["stability"], rtol=1e-6)
    small_blocks(monkeypatch, 5)
    assert_same_bits(swept(metrics="sharpe_ratio", top=2).guards(n_jobs=2), few.guards())


def test_a_plateau_and_a_spike() -> None:
    """Of made-up metrics; the middle of the grid is 0."""
    close = walks(BARS, columns=1)
    grid = ParamGrid(ema_len=range(9, 16), kama_len=range(9, 16))
    result = swept(close, grid)
    values = np.zeros((7, 7))
    values[3, 3] = 1.0
    result.metrics["sharpe_ratio"][:] = values.ravel()
    result.trades[:] = 1
    assert result.guards(metric="sharpe_ratio")["stability"].tolist() == [0.0]
    values[2:5, 3] = values[3, 2:5] = 1.0
    result.metrics["sharpe_ratio"][:] = values.ravel()
    assert result.guards([24], "sharpe_ratio")[["neighbours", "stability"]].to_numpy().tolist() == [[4, 1]]
    assert result.guards([17], "sharpe_ratio")["stability"].tolist() == [0.25]  # at the edge of it


def test_moments_of_a_row() -> None:
    close = walks(BARS, columns=2)
    result = swept(close)
    moments = moments_of(result, len(GRID) + 2)
    returns = returns_of(close["B"], GRID)[:, 2]
    assert moments.bars == returns.size == close["B"].count()
    assert moments.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert np.isnan(moments_of(result, 1).sharpe)  # never traded


def test_wrong_questions() -> None:
    result = swept()
    for wrong in (3, 22, 0, True, "12", 2.0):
        with pytest.raises(ValueError, match="blocks must be an even number from 2 to 20"):
            result.guards(blocks=wrong)
    with pytest.raises(ValueError, match="no metric 'sharp'"):
        result.guards(metric="sharp")
    with pytest.raises(IndexError, match="no row 99"):
        result.guards([99])
    with pytest.raises(ValueError, match="symbol must be one of A, B, C"):
        result.overfitting()
    with pytest.raises(ValueError, match=r"blocks=12 need two bars each; 'A' has 20"):
        swept(walks(20)).guards([0])


def test_a_result_without_prices(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    close = walks(BARS, columns=1)
    result = swept(close)
    result.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(ValueError, match="the file holds no prices"):
        SweepResult.read_parquet(tmp_path / "s.parquet").guards()
    read = SweepResult.read_parquet(tmp_path / "s.parquet", close)
    assert_same_bits(read.guards(), result.guards())
