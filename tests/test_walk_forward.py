"""Walk-forward: winners of the past alone, followed by one portfolio that vectorbt would have had."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import MODES, odd_or_narrow, small_blocks, walks
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits
from test_fills import portfolio

from atc_plugin import ParamGrid, WalkForward, atc, sweep, walk_forward
from atc_plugin.law.metrics import METRICS
from atc_plugin.sweeps.ranking import best_rows

BARS = 70 if DISABLE_JIT else 400
TRAIN, TEST = (20, 10) if DISABLE_JIT else (120, 40)
GRID = ParamGrid(ema_len=[9, 14, 28], kama_len=[9, 20], robustness=["Narrow", "Wide"])
REPORTED = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades", "exposure")


def walked(close: Any = None, grid: ParamGrid = GRID, **asked: Any) -> WalkForward:
    """A quick one, nothing kept."""
    settings = {"train": TRAIN, "test": TEST, "metrics": REPORTED, "fees": 0.001, "cache": False, "n_jobs": 1}
    return walk_forward(walks(BARS) if close is None else close, grid, **(settings | asked))


def best_of_windows(close: pd.DataFrame, found: WalkForward, **asked: Any) -> np.ndarray:
    """The winners of a sweep that is asked for the training ranges as windows."""
    windows = [slice(*fold.train) for fold in found.folds]
    metrics = list(dict.fromkeys([found.metric, "total_trades"]))
    swept = sweep(close, found.grid, metrics=metrics, windows=windows, cache=False, n_jobs=1, **asked)
    shape = (close.shape[1], -1, len(windows))
    values, trades = (swept.window_metrics[name].reshape(shape) for name in (found.metric, "total_trades"))
    winners = np.full((shape[0], shape[2]), -1)
    for column, fold in np.ndindex(winners.shape):
        some, enough = values[column, :, fold], trades[column, :, fold] >= 1
        best = best_rows(some, trades[column, :, fold], 1)
        if best.size:  # the first of those that are as good
            most = some[best[0]]
            as_good = np.isfinite(some) & (some >= most - 1e-9 * max(1.0, abs(most)))
            winners[column, fold] = np.flatnonzero(enough & as_good)[0]
    return winners


# ---------------------------------------------------------------- choosing
@pytest.mark.parametrize("metric", sorted(set(METRICS) - {"win_rate", "profit_factor"}))
@pytest.mark.parametrize("direction", MODES)
def test_winners_are_those_of_windows(metric: str, direction: str) -> None:
    close = walks(BARS)
    for anchored in (False, True):
        found = walked(close, metric=metric, direction=direction, anchored=anchored)
        assert_same_bits(found.positions, best_of_windows(close, found, direction=direction, fees=0.001))


def test_training_is_what_the_sweep_says_of_it() -> None:
    close = walks(BARS)
    found = walked(close, purge=3)
    windows = [slice(*fold.train) for fold in found.folds]
    swept = sweep(close, GRID, metrics=REPORTED, windows=windows, fees=0.001, cache=False)
    for column, fold in np.argwhere(found.positions >= 0):
        row = column * len(GRID) + found.positions[column, fold]
        for name in REPORTED:
            ours, theirs = found.traded.train[name][column, fold], swept.window_metrics[name][row, fold]
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(max_examples=3 if DISABLE_JIT else 15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(MODES)), st.booleans(), st.integers(0, 5), st.data())
def test_nothing_is_known_before_its_time(seed: int, direction: str, anchored: bool, purge: int, data: Any) -> None:
    """Other prices from a bar on leave all choices trained before it, and all returns, as they were."""
    close = walks(BARS, seed=seed % 1000)
    asked = {"direction": direction, "anchored": anchored, "purge": purge, "metrics": [*REPORTED, "profit_factor"]}
    found = walked(close, **asked)
    cut = data.draw(st.integers(TRAIN, BARS - 1))
    other = close.copy()
    other.iloc[cut:] *= np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.05, other.iloc[cut:].shape), axis=0))
    again = walked(other, **asked)
    before = [place for place, fold in enumerate(found.folds) if fold.train[1] <= cut]
    assert_same_bits(again.positions[:, before], found.positions[:, before])
    for name, values in found.traded.train.items():
        assert_same_bits(again.traded.train[name][:, before], values[:, before], name)
    bars = found.traded.rows < cut
    assert_same_bits(again.traded.returns[:, bars], found.traded.returns[:, bars])
    assert_same_bits(again.traded.directions[:, bars], found.traded.directions[:, bars])


# ---------------------------------------------------------------- following
@pytest.mark.parametrize("direction", MODES)
def test_the_portfolio_is_vectorbts(direction: str) -> None:
    """Of the direction of the winner of the day: its turns are the orders, the first bar's direction is one."""
    close = walks(BARS)
    found = walked(close, direction=direction, slippage=0.002)
    index = found.directions.index
    for column, symbol in enumerate(close):
        prices = close[symbol].reindex(index).dropna()
        followed = np.zeros(len(index))
        for fold, (_, test) in enumerate(found.folds):
            days = close.index[slice(*test)]
            if found.positions[column, : fold + 1].max() >= 0:
                own = atc(close[symbol], params=found.params(fold, symbol)).direction
                followed[index.isin(days)] = own[days].fillna(0.0)
        assert found.directions[symbol].tolist() == followed.tolist()
        held = pd.Series(followed, index)[prices.index].to_numpy()
        before = np.concatenate([[0.0], held[:-1]])
        up, down = (held == 1) & (before != 1), (held == -1) & (before != -1)
        costs = {"fees": 0.001, "slippage": 0.002, "freq": "1D", "init_cash": 100.0}
        theirs = portfolio(prices.to_numpy(), up[:, None], down[:, None], MODES[direction], **costs)
        assert_same_bits(found.returns[symbol][prices.index], theirs.returns().to_numpy()[:, 0])
        assert found.returns[symbol].drop(prices.index).isna().all()
        whole = found.summary.iloc[column]
        np.testing.assert_allclose(found.equity[symbol].iloc[-1], 1 + theirs.total_return()[0], rtol=1e-9)
        np.testing.assert_allclose(whole["sharpe_ratio"], theirs.sharpe_ratio(year_freq="365 days")[0], rtol=1e-9)
        np.testing.assert_allclose(whole["max_drawdown"], theirs.max_drawdown()[0], rtol=1e-9)
        assert whole["total_trades"] == theirs.trades.count()[0]
        assert np.nansum(found.traded.test["total_trades"][column]) == whole["total_trades"]


def test_changing_over_costs_nothing_where_both_hold_the_same() -> None:
    """Two combinations that never differ take turns: the same returns as either alone."""
    close = walks(BARS, columns=1)
    alike = ParamGrid(ema_len=[14], cutout=[0, 1])  # both have long been started
    one = walked(close, alike[:1])
    found = walked(close, alike)
    assert_same_bits(found.returns, one.returns)
    assert found.summary["total_trades"].tolist() == one.summary["total_trades"].tolist()


def test_the_first_bar_is_entered_at_its_close() -> None:
    close = walks(BARS, columns=1)
    found = walked(close, direction="both")
    assert found.directions.iloc[0, 0] != 0
    assert found.returns.iloc[0, 0] == pytest.approx(-0.001, rel=0.01)  # the fee, and nothing of the bar's move


def test_between_tests_that_leave_a_gap_there_is_cash() -> None:
    close = walks(BARS, columns=1)
    found = walked(close, test=TEST // 2, step=TEST)
    alone = [walked(close.iloc[: fold.test[1]], test=TEST // 2, step=TEST) for fold in found.folds]
    for place, (fold, one) in enumerate(zip(found.folds, alone, strict=True)):
        days = close.index[slice(*fold.test)]
        assert_same_bits(found.returns.loc[days], one.returns.loc[days])
        assert found.traded.test["total_trades"][0, place] >= 1  # each begins in cash, and enters
    np.testing.assert_allclose(found.equity.iloc[-1], (1 + found.returns).prod(), rtol=1e-12)


def test_where_nothing_counts_the_one_before_goes_on() -> None:
    close = walks(BARS, columns=1)
    quiet = slice(TRAIN + TEST, TRAIN + TEST + 2 * TRAIN)
    close.iloc[quiet] = close.iloc[quiet.start]
    found = walked(close, train=TRAIN // 2)
    chosen = found.positions[0] >= 0
    assert chosen[0]
    assert not chosen.all()
    assert (found.traded.held[0] >= 0).all()
    gone_on = np.flatnonzero(~chosen)
    assert_same_bits(found.traded.held[0, gone_on], found.traded.held[0, gone_on - 1])
    assert found.frame["chosen"].tolist() == chosen.tolist()
    never = walked(close, min_trades=10**6)
    assert len(never.frame) == len(never.drift) == 0
    assert (never.returns == 0).all(axis=None)
    assert never.summary[["folds", "changes"]].to_numpy().tolist() == [[0, 0]]
    assert np.isnan(never.summary["sharpe_ratio"]).all()
    with pytest.raises(IndexError, match="no combination had been chosen by fold 0"):
        never.params(0)


def test_symbols_that_are_not_there() -> None:
    """Not listed yet, delisted, or without a single bar."""
    close = walks(BARS).assign(D=np.nan)
    close.iloc[: TRAIN + TEST, 1] = np.nan
    found = walked(close)
    assert found.positions[1, 0] == -1
    assert (found.positions[3] == -1).all()
    assert found.returns["D"].isna().all()
    assert (found.equity["D"] == 1).all()
    alone = walked(close[["B"]])
    assert_same_bits(alone.positions[0], found.positions[1])
    assert_same_bits(alone.returns["B"], found.returns["B"])


# ---------------------------------------------------------------- how it is computed
def test_blocks_threads_workers_and_the_cache_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = walked()
    small_blocks(monkeypatch, 5)
    for asked in ({"n_jobs": 2}, {"cache": tmp_path}, {"cache": tmp_path}):
        found = walked(**asked)
        assert_same_bits(found.positions, expected.positions)
        assert_same_bits(found.returns, expected.returns)
        for name, values in expected.traded.test.items():
            assert_same_bits(found.traded.test[name], values)
    assert found.reused == (9, 9)
    assert walked(cache=tmp_path, metric="total_return").reused == (9, 9)
    windows = [slice(*fold.train) for fold in expected.folds]
    assert sweep(walks(BARS), GRID, windows=windows, fees=0.001, cache=tmp_path).reused == (0, 9)  # not by marks


@pytest.mark.skipif(DISABLE_JIT, reason="workers compile for themselves")
def test_worker_processes(tmp_path: Path) -> None:
    expected = walked()
    found = walked(backend="loky", n_jobs=2, cache=tmp_path)
    assert_same_bits(found.positions, expected.positions)
    assert_same_bits(found.returns, expected.returns)


@pytest.mark.parametrize("grid", [
    ParamGrid(ema_len=[9, 14, 17, 28], robustness=["Narrow", "Wide"], where=odd_or_narrow),
    ParamGrid.points([{"ema_len": 9}, {"kama_len": 20}, {"lambda_": 0.05}]),
    GRID[1::2],
])  # fmt: skip
def test_grids_of_every_kind(grid: ParamGrid) -> None:
    close = walks(BARS)
    found = walked(close, grid)
    assert_same_bits(found.positions, best_of_windows(close, found, fees=0.001))
    everything = list(grid)
    row = found.frame.iloc[0]
    params = found.params(int(row["fold"]), row["symbol"])
    assert params == everything[found.positions[0, 0]]
    assert row["ema_len"] == params.ema_len if "ema_len" in row else True


def test_sources_and_arrays() -> None:
    close = walks(BARS, columns=1)["A"]
    source = close.rolling(3, min_periods=1).mean()
    asked = {"source": source, "freq": "1D"}
    found = walked(close, **asked)
    assert isinstance(found.equity, pd.Series)
    assert found.equity.name == "A"
    plain = walked(close.to_numpy(), source=source.to_numpy(), freq="1D")
    assert_same_bits(plain.equity, found.equity)
    assert plain.equity.index.tolist() == plain.traded.rows.tolist()
    assert plain.frame["test_first"].tolist() == [fold.test[0] for fold in plain.folds]
    assert (
        walked(close).positions.tolist() != found.positions.tolist() or (walked(close).returns != found.returns).any()
    )


# ---------------------------------------------------------------- tables
def test_the_frame_and_the_summary() -> None:
    close = walks(BARS)
    found = walked(close)
    frame, summary = found.frame, found.summary
    columns = ["symbol", "fold", "train_first", "train_last", "test_first", "test_last", "chosen", "ema_len"]
    assert list(frame)[:8] == columns
    assert list(frame)[-1] == "efficiency"
    assert frame["test_first"].iloc[0] == close.index[found.folds[0].test[0]]
    assert frame["train_last"].iloc[0] == close.index[found.folds[0].train[1] - 1]
    above = frame["train_sharpe_ratio"] > 0
    expected = (frame["test_sharpe_ratio"] / frame["train_sharpe_ratio"]).where(above)
    np.testing.assert_allclose(frame["efficiency"], expected)
    for column, symbol in enumerate(close):
        rows = frame[frame["symbol"] == symbol]
        known = np.isfinite(rows["train_sharpe_ratio"]) & np.isfinite(rows["test_sharpe_ratio"])
        one = summary.iloc[column]
        np.testing.assert_allclose(one["train"], rows["train_sharpe_ratio"][known].mean())
        np.testing.assert_allclose(one["test"], rows["test_sharpe_ratio"][known].mean())
        ratio = one["test"] / one["train"] if one["train"] > 0 else np.nan
        np.testing.assert_allclose(one["efficiency"], ratio)
        assert one["folds"] == len(rows)
        bars = {
            row["fold"]: found.returns[symbol].loc[row["test_first"] : row["test_last"]] for _, row in rows.iterrows()
        }
        assert one["profitable"] == pytest.approx(np.mean([(1 + r.fillna(0)).prod() > 1 for r in bars.values()]))
    assert found.metrics[0] == "sharpe_ratio"


def test_drift_is_steps_over_what_there_could_be() -> None:
    grid = ParamGrid(ema_len=[40, 10, 20, 12, 80], robustness=["Wide", "Narrow"], decay=[0.01, 0.03, 0.05], wma_len=[9])
    found = walked(walks(BARS, columns=1), grid)
    drift, frame = found.drift, found.frame
    assert list(drift) == ["symbol", "fold", "ema_len", "robustness", "decay", "changed", "distance"]
    ranks = pd.DataFrame(
        {
            "ema_len": frame["ema_len"].map({10: 0, 12: 1, 20: 2, 40: 3, 80: 4}) / 4,
            "robustness": (frame["robustness"] == "Wide").astype(float),
            "decay": frame["decay"].map({0.01: 0, 0.03: 1, 0.05: 2}) / 2,
        }
    )
    moved = ranks.diff().abs()
    np.testing.assert_allclose(drift["distance"], moved.mean(axis=1, skipna=False))
    assert drift["changed"].tolist() == (moved.fillna(0) > 0).sum(axis=1).tolist()
    assert found.summary["changes"].tolist() == [(drift["changed"] > 0).sum()]
    np.testing.assert_allclose(found.summary["distance"], drift["distance"].mean())


def test_it_says_what_it_is_and_travels() -> None:
    found = walked()
    text = repr(found)
    assert f"WalkForward of 3 symbols x {len(found.folds)} folds, chosen by sharpe_ratio; tested on 2020-" in text
    assert "fees=0.001" in text
    size = len(pickle.dumps(found))
    _ = found.frame, found.summary, found.equity
    again = pickle.loads(pickle.dumps(found))
    assert len(pickle.dumps(found)) == size
    pd.testing.assert_frame_equal(again.frame, found.frame)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"metric": "sharp"}, ValueError, r"metric: no metric 'sharp'.*Did you mean 'sharpe_ratio'"),
        ({"metric": "profit_factor"}, ValueError, "would look ahead: a trade is valued where it ends"),
        ({"train": 10**6}, ValueError, "no fold fits"),
        ({"window": 3}, TypeError, "walk_forward takes no argument 'window'"),
        ({"top": 3}, TypeError, "walk_forward takes no argument 'top'"),
        ({"fees": -1}, ValueError, "fees must be"),
        ({"metrics": ["x"]}, ValueError, "no metric 'x'"),
    ],
)
def test_wrong_questions_are_answered_before_any_work(
    asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        walked(**asked)


def test_wrong_questions_to_a_result() -> None:
    found = walked()
    with pytest.raises(IndexError, match="no fold 99; folds are 0 to"):
        found.params(99, "A")
    with pytest.raises(ValueError, match="symbol must be one of A, B, C"):
        found.params(0)
    with pytest.raises(ValueError, match="no symbol 'Z'"):
        found.plot("Z")


# ---------------------------------------------------------------- plots
def test_plots() -> None:
    close = walks(BARS)
    found = walked(close)
    figure = found.plot("A", title_text="mine")
    assert isinstance(figure, go.Figure)
    assert figure.layout.title.text == "mine"
    shown = {trace.name: trace for trace in figure.data}
    assert_same_bits(np.asarray(shown["walk-forward"].y), found.equity["A"])
    tested = close["A"].iloc[found.traded.rows]
    np.testing.assert_allclose(np.asarray(shown["buy and hold"].y), tested / tested.iloc[0])
    np.testing.assert_allclose(np.asarray(shown["in test"].y), found.traded.test["sharpe_ratio"][0])
    assert len(figure.layout.shapes) == len(found.folds) - 1
    everyone = {trace.name: trace for trace in found.plot().data}
    assert {"A", "B", "C"} < set(everyone)
    np.testing.assert_allclose(np.asarray(everyone["median over symbols"].y), found.equity.median(axis=1))
    drift = found.plot_drift("B")
    rows = found.drift[found.drift["symbol"] == "B"]
    assert [trace.customdata.tolist() for trace in drift.data] == [
        rows[name].astype(str).tolist() for name in ("ema_len", "kama_len", "robustness")
    ]
    assert len(found.plot_drift().data) == 9
    with pytest.raises(ValueError, match="the grid varies no parameter"):
        walked(close, ParamGrid()).plot_drift()


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    found = walked()
    for name in ("plotly", "plotly.graph_objects", "plotly.subplots"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "atc_plugin.sweeps.walk_pictures", raising=False)
    monkeypatch.delattr("atc_plugin.sweeps.walk_pictures", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[plot\]"'):
        found.plot()


# ---------------------------------------------------------------- ties
@given(
    st.lists(
        st.sampled_from([0.5, 1.0, 1.0 + 4e-10, 1.0 + 8e-10, 1.0 + 1e-8, np.inf, np.nan]), min_size=1, max_size=12
    ),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_rounding_does_not_choose(values: list[float], size: int, seed: int) -> None:
    """The earliest of those that are as good as the best, in whatever order blocks come."""
    from atc_plugin.prices import read_prices
    from atc_plugin.sweeps.collecting import Scores
    from atc_plugin.sweeps.question import question_of
    from atc_plugin.sweeps.winners import Winners

    asked = {"direction": "both", "fees": 0.0, "slippage": 0.0, "freq": None, "windows": 1, "top": None}
    question = question_of(read_prices([1.0, 2.0]), ("total_return", "total_trades"), **asked)
    winners = Winners(question, 1, 1)
    trades = np.random.default_rng(seed).integers(0, 3, len(values)).astype(float)
    blocks = [slice(first, first + size) for first in range(0, len(values), size)]
    for place in np.random.default_rng(seed).permutation(len(blocks)).tolist():
        some = np.array([values, trades])[:, blocks[place], np.newaxis]
        winners.add(0, blocks[place].start, Scores(some[:, :, 0], trades[blocks[place]].astype(np.int32), some), None)
    counts = [k for k, value in enumerate(values) if np.isfinite(value) and trades[k] >= 1]
    best = max((values[k] for k in counts), default=0.0)
    expected = next((k for k in counts if values[k] >= best - 1e-9 * max(1.0, best)), -1)
    assert winners.positions.tolist() == [[expected]]
