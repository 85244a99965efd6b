"""Sweeps from end to end: every row is what vectorbt finds, however it is asked for."""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import (
    MODES,
    Bar,
    assert_near,
    assert_same_result,
    frames,
    grids,
    judged_blocks,
    one_at_a_time,
    small_blocks,
    walks,
)
from numba.core.config import DISABLE_JIT
from price_strategies import source_for
from same_bits import assert_same_bits
from test_fills import metrics_of_portfolio, portfolio

from atc_plugin import AtcParams, ParamGrid, SweepResult, atc, load_prices, plan, sweep
from atc_plugin.law.metrics import METRICS
from atc_plugin.sweeps import components, here

STOCKS = Path(__file__).parents[1] / "examples" / "data" / "us_stocks.csv.gz"
CLOSE = walks()
GRID = ParamGrid(
    ema_len=[10, 28], kama_len=[9, 15, 30], robustness=["Narrow", "Wide"], long_threshold=[0.1, 0.4], cutout=[0, 20]
)
if DISABLE_JIT:
    GRID = GRID[::6]
COSTS = {"fees": 0.001, "slippage": 0.0005}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATC_BACKEND", raising=False)
    monkeypatch.delenv("ATC_JOBS", raising=False)
    monkeypatch.setenv("ATC_CACHE_DIR", str(tmp_path / "cache"))


def swept(close: Any = CLOSE, grid: ParamGrid = GRID, metrics: Any = METRICS, **options: Any) -> SweepResult:
    return sweep(close, grid, metrics=metrics, **{"freq": "1D", "cache": False, **options})


# ---------------------------------------------------------------- against the field
def fielded(close: np.ndarray, turns: list[Any], direction: str, **costs: Any) -> dict[str, np.ndarray]:
    """vectorbt's metrics of some results on one column of prices, as one wide portfolio.

    Never of one column or one bar: numba would compile vectorbt once more for arrays that are flat.
    """
    up, down = (
        np.stack([np.asarray(getattr(turn, side)) for turn in (turns[0], *turns)], axis=1)
        for side in ("entries", "exits")
    )
    pf = portfolio(close, up, down, MODES[direction], freq="1D", init_cash=100.0, **costs)
    return {name: values[1:] for name, values in metrics_of_portfolio(pf).items()}


def assert_as_vectorbt(result: SweepResult, close: pd.DataFrame, **costs: Any) -> None:
    """Every row is the metrics of a portfolio on the column's own bars; NaN where vectorbt raises."""
    combinations = list(result.grid)
    for column, label in enumerate(close):
        own = close[label].dropna().to_numpy()
        rows = slice(column * len(combinations), (column + 1) * len(combinations))
        ours = {name: values[rows] for name, values in result.metrics.items()}
        impossible = np.isnan(ours["total_trades"])
        if own.size == 0:
            assert impossible.all()
        if own.size < 2:
            continue
        turns = np.array([atc(own, params=params) for params in combinations])
        assert all(np.isnan(values[impossible]).all() for values in ours.values())
        for turn in turns[impossible][:2]:
            with pytest.raises(ValueError, match=r"must be finite|must be greater|infinitely|cannot be NaN"):
                fielded(own, [turn], result.direction, **costs)
        if not impossible.all():
            theirs = fielded(own, list(turns[~impossible]), result.direction, **costs)
            assert_near({name: values[~impossible] for name, values in ours.items()}, theirs, label)


@settings(max_examples=3 if DISABLE_JIT else 40)
@given(close=frames(), grid=grids(), direction=st.sampled_from(list(MODES)), data=st.data())
def test_rows_are_vectorbts(close: pd.DataFrame, grid: ParamGrid, direction: str, data: st.DataObject) -> None:
    costs = {
        "fees": data.draw(st.sampled_from([0.0, 0.001, 0.3, 0.5])),
        "slippage": data.draw(st.sampled_from([0.0, 0.002])),
    }
    result = swept(close, grid, direction=direction, **costs)
    assert_as_vectorbt(result, close, **costs)


@settings(max_examples=5 if DISABLE_JIT else 120)
@given(close=frames(), grid=grids(), direction=st.sampled_from(list(MODES)), data=st.data())
def test_rows_are_what_one_at_a_time_gives(
    close: pd.DataFrame, grid: ParamGrid, direction: str, data: st.DataObject
) -> None:
    costs = {"fees": data.draw(st.sampled_from([0.0, 0.001, 0.3, 0.5])), "slippage": data.draw(st.floats(0, 0.5))}
    sources = [data.draw(source_for(close[label].to_numpy(), nan_gaps=True)) for label in close]
    source = None
    if any(column is not None for column in sources):
        filled = [close[label].to_numpy() if s is None else s for label, s in zip(close, sources, strict=True)]
        source = pd.DataFrame(np.stack(filled, axis=1), index=close.index, columns=close.columns)
        source = source.mask(~np.isfinite(source))
    result = swept(close, grid, source=source, direction=direction, **costs)
    assert_near(result.metrics, one_at_a_time(close, grid, source, direction=direction, **costs))
    trades = np.nan_to_num(result.metrics["total_trades"])
    assert_same_bits(result.trades, trades.astype(np.int32))


def test_a_row_that_vectorbt_refuses_is_nan() -> None:
    close = walks(columns=1)
    close.iloc[20:60, 0] = -np.linspace(60, 5, 40)  # up, and below zero
    result = swept(close, ParamGrid(ema_len=range(9, 15), cutout=[0, 10_000]))
    assert_as_vectorbt(result, close)
    refused = np.isnan(result.metrics["total_trades"])
    assert refused.any()
    assert not refused.all()  # without orders it does no harm
    assert (result.trades[refused] == 0).all()
    assert not result.best(n=20).index.isin(np.flatnonzero(refused)).any()


# ---------------------------------------------------------------- real prices
@pytest.fixture(scope="module")
def stocks() -> pd.DataFrame:
    close = load_prices(STOCKS)[["AAPL", "XOM", "WMT"]]
    return close.iloc[-120:] if DISABLE_JIT else close


REAL = ParamGrid(ema_len=[14, 28, 50], wma_len=[20, 28], long_threshold=[0.1, 0.3])
if DISABLE_JIT:
    REAL = REAL[::5]


@pytest.mark.parametrize("direction", ["both", "longonly"])
def test_a_row_its_run_and_its_portfolio_agree(stocks: pd.DataFrame, direction: str) -> None:
    result = swept(stocks, REAL, direction=direction, freq=None, **COSTS)
    assert result.freq == pd.Timedelta("1D")
    combinations = list(REAL)
    for row in (0, len(REAL), 2 * len(REAL) + 1, len(result) - 1):
        label, params = stocks.columns[row // len(REAL)], combinations[row % len(REAL)]
        ours = {name: values[[row]] for name, values in result.metrics.items()}
        pf = result.portfolio(row)
        theirs = {name: np.atleast_1d(values) for name, values in metrics_of_portfolio(pf).items()}
        assert_near(ours, theirs, row)
        run = result.run(row)
        assert result.params(row) == params
        pd.testing.assert_series_equal(run.direction, atc(stocks[label], params=params).direction)
        turns = run.entries.to_numpy() if direction == "longonly" else (run.entries | run.exits).to_numpy()
        orders = pf.orders.records
        if direction == "longonly":
            orders = orders[orders["side"] == 0]
        assert orders["idx"].tolist() == np.flatnonzero(turns).tolist()


def test_the_winner_is_that_of_looping_vectorbt(stocks: pd.DataFrame) -> None:
    metrics = ("sharpe_ratio", "total_return", "max_drawdown")
    result = swept(stocks, REAL, metrics, freq=None, **COSTS)
    found: dict[str, list[tuple[float, str, AtcParams]]] = {name: [] for name in metrics}
    for label, params in itertools.product(stocks, REAL):
        turn = atc(stocks[label], params=params)
        theirs = fielded(stocks[label].to_numpy(), [turn], "both", **COSTS)
        for name in metrics:
            found[name].append((float(theirs[name][0]), label, params))
    for name, values in found.items():
        value, label, params = max(values, key=lambda entry: entry[0])
        best = result.best(name, per_symbol=False)
        assert best["symbol"].tolist() == [label]
        assert result.params(best) == params
        np.testing.assert_allclose(best[name], value, rtol=1e-9)
        for row, (value, *_) in enumerate(values):
            np.testing.assert_allclose(result.metrics[name][row], value, rtol=1e-9)


# ---------------------------------------------------------------- asked in other ways
@pytest.mark.parametrize("windows", [None, 3])
def test_column_by_column_is_the_whole_frame(windows: Any) -> None:
    whole = swept(windows=windows, **COSTS)
    for column, label in enumerate(CLOSE):
        alone = swept(CLOSE[label], windows=windows, **COSTS)
        rows = slice(column * len(GRID), (column + 1) * len(GRID))
        for name in METRICS:
            assert_same_bits(alone.metrics[name], whole.metrics[name][rows], name)
            if windows:
                assert_same_bits(alone.window_metrics[name], whole.window_metrics[name][rows], name)
        assert whole.frame["symbol"][rows].tolist() == [label] * len(GRID)


def test_gaps_are_as_if_they_were_not_there() -> None:
    dropped = CLOSE["B"].dropna()
    assert_same_bits(swept(CLOSE["B"]).metrics["sharpe_ratio"], swept(dropped).metrics["sharpe_ratio"])


MANY = ParamGrid(ema_len=range(9, 41), kama_len=range(9, 21), long_threshold=[0.1, 0.2], lambda_=[0.02, 0.5])
"""Enough for longer tables of stretches than a part of it gets."""


@pytest.mark.parametrize("grid", [GRID, pytest.param(MANY, marks=pytest.mark.skipif(DISABLE_JIT, reason="too slow"))])
def test_parts_of_a_grid_are_those_rows(grid: ParamGrid) -> None:
    close = CLOSE["A"]
    whole = swept(close, grid)
    some = np.array([1, 2, 3, 6, len(grid) - 1])
    parts = {
        "reversed": (grid[::-1], np.arange(len(grid))[::-1]),
        "slice": (grid[1::3], np.arange(1, len(grid), 3)),
        "points": (ParamGrid.points([grid[int(place)] for place in some]), some),
        "one": (grid[5:6], np.array([5])),
        "where": (_where(grid), np.array([k for k, params in enumerate(grid) if params.ema_len > 10])),
    }
    for name, (part, places) in parts.items():
        result = swept(close, part)
        for metric in METRICS:
            assert_same_bits(result.metrics[metric], whole.metrics[metric][places], f"{name}: {metric}")


def _where(grid: ParamGrid) -> ParamGrid:
    return ParamGrid.points([params for params in grid if params.ema_len > 10])


def test_unions_and_conditions() -> None:
    values = {"ema_len": [9, 10, 11], "cutout": [0, 10]}
    whole = swept(grid=ParamGrid(**values))
    odd = swept(grid=ParamGrid(**values, where=lambda params: params.ema_len % 2 == 1))
    union = swept(grid=ParamGrid(ema_len=[9, 10], cutout=[0, 10]) | ParamGrid(ema_len=[9, 11], cutout=[0, 10]))
    assert_same_result(union, whole)
    rows = [row for row, params in enumerate(map(whole.params, range(len(whole)))) if params.ema_len % 2 == 1]
    for name in METRICS:
        assert_same_bits(odd.metrics[name], whole.metrics[name][rows], name)


def test_every_type_of_prices_gives_the_same() -> None:
    close = walks(columns=2).fillna(value=50.0)
    expected = swept(close)
    values = close.to_numpy()
    others = [values, np.asfortranarray(values), pl.DataFrame({label: close[label].to_numpy() for label in close})]
    for other in others:
        assert_same_result(swept(other), expected)
    single = swept(close["A"])
    column = close["A"].to_numpy()
    for series in (column, column.tolist(), pl.Series("A", column), values[:, ::2], column.astype(object).tolist()):
        assert_same_result(swept(series), single)
    assert swept(values).frame["symbol"].unique().tolist() == [0, 1]
    assert swept(pl.Series("A", column)).frame["symbol"].unique().tolist() == ["A"]


def test_the_source_is_close_by_default() -> None:
    expected = swept()
    assert_same_result(swept(source=CLOSE), expected)
    assert_same_result(swept(source=CLOSE.copy()), expected)
    other = swept(source=CLOSE.shift(1).bfill())
    assert not np.array_equal(other.metrics["total_return"], expected.metrics["total_return"])


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_asked_for_alone_are_those_asked_for_together(metric: str) -> None:
    together = swept(windows=2, **COSTS)
    alone = swept(metrics=metric, windows=2, **COSTS)
    assert list(alone.metrics) == [metric]
    assert_same_bits(alone.metrics[metric], together.metrics[metric])
    assert_same_bits(alone.window_metrics[metric], together.window_metrics[metric])
    assert_same_bits(alone.trades, together.trades)
    assert list(alone.frame) == ["symbol", *GRID.combinations.names, metric]


def test_four_metrics_unless_others_are_asked_for() -> None:
    default = sweep(CLOSE, GRID, cache=False)
    assert list(default.metrics) == ["total_return", "sharpe_ratio", "max_drawdown", "total_trades"]
    ordered = swept(metrics=iter(["exposure", "total_return"]))
    assert list(ordered.metrics) == ["exposure", "total_return"]


def test_jobs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from atc_plugin.sweeps import judge

    expected = swept(windows=2, n_jobs=1)
    assert_same_result(swept(windows=2, n_jobs=2), expected)
    monkeypatch.setattr(judge, "_GRAIN", 1)  # parts of 64 combinations, and many of them
    small_blocks(monkeypatch, 7)
    assert_same_result(swept(windows=2, n_jobs=3), expected)
    assert_same_result(swept(windows=2, backend="cpu", n_jobs=-1), expected)


def test_many_short_columns_are_as_one_by_one() -> None:
    rng = np.random.default_rng(4)
    close = 20 * np.exp(np.cumsum(rng.normal(0, 0.03, (60, 5 if DISABLE_JIT else 30)), axis=0))
    close[:40, 1] = np.nan
    close[:, 3] = np.nan
    grid = GRID[:4]
    expected = swept(close, grid, n_jobs=10_000)  # more than columns: these come one after the other
    for jobs in (1, 2, 8):
        assert_same_result(swept(close, grid, n_jobs=jobs), expected)
    assert_same_result(swept(close, grid, top=2, n_jobs=2), swept(close, grid, top=2, n_jobs=10_000))
    alone = swept(np.ascontiguousarray(close[:, 1]), grid)
    assert_same_bits(alone.metrics["sharpe_ratio"], expected.metrics["sharpe_ratio"][len(grid) : 2 * len(grid)])


@pytest.mark.skipif(DISABLE_JIT, reason="5,000 bars take too long")
def test_long_series_come_in_tiles() -> None:
    close = walks(bars=5_000, columns=1)
    grid = ParamGrid(ema_len=[10, 28], wma_len=[12, 40], cutout=[0, 2_047, 2_100])
    result = swept(close, grid, windows=3, n_jobs=2, **COSTS)
    assert_near(result.metrics, one_at_a_time(close, grid, **COSTS))
    assert_same_result(swept(close, grid, windows=3, n_jobs=1, **COSTS), result)


# ---------------------------------------------------------------- top
TIES = ParamGrid(ema_len=[9, 10, 28], long_threshold=[0.1, 0.1000001, 0.3, 2.0], kama_w=[1.0, 1.0000001])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("block", [5, 65_536])
def test_the_top_are_the_best_of_all(metric: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, block)
    full = swept(grid=TIES, windows=2)
    values = full.metrics[metric]
    assert np.unique(values).size < values.size  # there are ties
    for keep in (1, 4, 1000):
        kept = swept(grid=TIES, windows=2, top=(metric, keep))
        expected = full.best(metric, keep)
        rows = expected.index.to_numpy()
        assert rows.tolist() == plainly_best(values, full.trades, keep)
        assert kept.columns is not None
        assert kept.positions is not None
        assert (kept.columns * len(TIES) + kept.positions).tolist() == rows.tolist()
        pd.testing.assert_frame_equal(kept.frame, expected.reset_index(drop=True))
        assert_same_bits(kept.trades, full.trades[rows])
        for name in METRICS:
            assert_same_bits(kept.window_metrics[name], full.window_metrics[name][rows])


def plainly_best(values: np.ndarray, trades: np.ndarray, keep: int) -> list[int]:
    """Of each column the rows of the largest values, of equal ones the earlier."""
    counts = np.flatnonzero(np.isfinite(values) & (trades > 0)).tolist()
    rows: list[int] = []
    for column in range(values.size // len(TIES)):
        own = [row for row in counts if row // len(TIES) == column]
        rows += sorted(own, key=lambda row: (-values[row], row))[:keep]
    return rows


def test_the_top_are_ranked_by_the_first_metric_by_default() -> None:
    by_default = swept(metrics=["max_drawdown", "total_return"], top=3)
    assert_same_result(by_default, swept(metrics=["max_drawdown", "total_return"], top=("max_drawdown", 3)))
    assert [by_default.params(0)] == [by_default.grid[int(by_default.positions[0])]]
    assert by_default.run(0).direction.shape == (len(CLOSE),)


def test_the_top_of_prices_that_never_turn() -> None:
    flat = pd.DataFrame({"flat": 10.0, "A": CLOSE["A"].to_numpy()}, index=CLOSE.index)
    kept = swept(flat, top=2)
    assert kept.frame["symbol"].tolist() == ["A", "A"]
    nothing = swept(flat["flat"], top=2, windows=2)
    assert len(nothing) == len(nothing.frame) == 0
    assert nothing.window_frame().shape == (0, 2)


# ---------------------------------------------------------------- windows
def test_windows_leave_the_whole_as_it_is() -> None:
    without = swept(**COSTS)
    for windows in (1, 4, [slice(5, 30), slice(20, None), slice(0, 1)]):
        asked = swept(windows=windows, **COSTS)
        for name in METRICS:
            assert_same_bits(asked.metrics[name], without.metrics[name], name)


def test_a_window_of_all_bars_is_the_whole() -> None:
    result = swept(CLOSE["A"], windows=[slice(None), slice(0, 50)], **COSTS)
    for name, values in result.metrics.items():
        np.testing.assert_allclose(result.window_metrics[name][:, 0], values, rtol=1e-9, err_msg=name)
    assert result.windows == ((0, len(CLOSE)), (0, 50))


def test_windows_are_of_rows_and_count_the_bars_of_a_column() -> None:
    half = len(CLOSE) // 5
    result = swept(windows=[slice(0, half), slice(half, None), slice(-(len(CLOSE) // 5), None)])
    first, second, last = (result.window_metrics["total_return"].reshape(3, -1, 3)[..., k] for k in range(3))
    assert np.isfinite(first[0]).all()
    assert np.isnan(first[1]).all()  # listed later
    assert np.isfinite(second).all()
    assert np.isnan(last[2]).all()  # delisted before
    trades = result.window_metrics["total_trades"].reshape(3, -1, 3)
    assert_same_bits(trades[1, :, 1], result.metrics["total_trades"].reshape(3, -1)[1])
    alone = swept(CLOSE["B"].dropna(), windows=[slice(0, 20)])
    bar = CLOSE.index.get_loc(CLOSE["B"].dropna().index[20])
    framed = swept(CLOSE["B"], windows=[slice(0, bar)])
    for name in METRICS:
        assert_same_bits(framed.window_metrics[name], alone.window_metrics[name], name)


def test_windows_by_labels_and_by_number() -> None:
    bars = len(CLOSE)
    labels = [slice(None, "2020-01-31"), slice("2020-02", "2020-02"), slice(pd.Timestamp("2020-03-01"), None)]
    positions = [slice(0, 31), slice(31, 60), slice(60, None)]
    assert_same_result(swept(windows=labels), swept(windows=positions))
    assert swept(windows=4).windows == tuple((bars * k // 4, bars * (k + 1) // 4) for k in range(4))
    assert next(iter(swept(windows=2).window_frame())).startswith("2020-01-01..2020-")


# ---------------------------------------------------------------- columns that are hardly there
def test_columns_without_bars_and_with_one() -> None:
    close = CLOSE[["A"]].copy()
    close["none"] = np.nan
    close["one"] = np.nan
    close.iloc[7, 2] = 33.0
    result = swept(close, windows=2)
    rows = {label: slice(k * len(GRID), (k + 1) * len(GRID)) for k, label in enumerate(close)}
    assert all(np.isnan(values[rows["none"]]).all() for values in result.metrics.values())
    assert all(np.isnan(values[rows["none"]]).all() for values in result.window_metrics.values())
    assert (result.trades[rows["none"]] == 0).all()
    assert (result.metrics["total_return"][rows["one"]] == 0).all()
    assert np.isnan(result.metrics["sharpe_ratio"][rows["one"]]).all()
    assert (result.metrics["total_trades"][rows["one"]] == 0).all()
    assert np.isnan(result.window_metrics["total_return"][rows["one"], 1]).all()
    assert (result.window_metrics["total_return"][rows["one"], 0] == 0).all()
    alone = swept(close["A"], windows=2)
    for name in METRICS:
        assert_same_bits(result.metrics[name][rows["A"]], alone.metrics[name])
    assert len(swept(close["none"], top=3)) == 0
    one = swept([5.0])
    assert_same_bits(one.metrics["exposure"], np.zeros(len(GRID)))


# ---------------------------------------------------------------- the time of a bar
def test_the_time_of_a_bar_scales_what_counts_by_the_year() -> None:
    daily, hourly = swept(), swept(freq="1h")
    np.testing.assert_allclose(hourly.metrics["sharpe_ratio"], daily.metrics["sharpe_ratio"] * np.sqrt(24), rtol=1e-12)
    assert_same_bits(hourly.metrics["max_drawdown"], daily.metrics["max_drawdown"])
    assert_same_result(swept(freq=pd.Timedelta("1h")), hourly)
    assert (daily.freq, hourly.freq) == (pd.Timedelta("1D"), pd.Timedelta("1h"))
    index = pd.date_range("2020-01-01", periods=len(CLOSE), freq="h")
    assert_same_result(swept(CLOSE.set_index(index), freq=None), hourly)


def test_without_dates_it_is_asked_for_where_it_is_needed() -> None:
    close = CLOSE["A"].to_numpy()
    free = sweep(close, GRID, metrics=["total_return", "max_drawdown", "profit_factor"], cache=False)
    assert free.freq is None
    assert_same_bits(free.metrics["total_return"], swept(close).metrics["total_return"])
    with pytest.raises(ValueError, match=r"sharpe_ratio count by the year.*is not one of dates"):
        sweep(close, GRID, cache=False)


# ---------------------------------------------------------------- progress
@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    return Bar.put_in_place(monkeypatch)


@pytest.mark.parametrize("top", [None, 2])
@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_adds_up(top: int | None, jobs: int, bars: list[Bar], monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, 5)
    close = pd.concat([CLOSE, CLOSE["A"].rename("none") * np.nan], axis=1)
    swept(close, top=top, n_jobs=jobs)
    (bar,) = bars
    assert bar.total == bar.counted == 4 * len(GRID)
    assert bar.closed
    assert bar.disable is None  # tqdm: unless it is no terminal
    assert bar.options["unit"].strip() == "combinations"


def test_no_progress_unless_wanted(bars: list[Bar]) -> None:
    swept(progress=False)
    assert bars == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("screen", "progress"), [(Terminal(), True), (Terminal(), False), (io.StringIO(), True)])
def test_progress_is_for_terminals(screen: io.StringIO, progress: bool) -> None:
    with contextlib.redirect_stderr(screen):
        swept(progress=progress)
    shown = screen.getvalue()
    if progress and screen.isatty():
        assert f"{len(CLOSE.columns) * len(GRID)}" in shown
        assert "combinations/s" in shown
    else:
        assert shown == ""


def test_a_notebook_has_no_terminal_and_yet_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    Bar.made = []
    monkeypatch.setattr("sys.stderr", io.StringIO())
    swept()
    assert Bar.made == []
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    swept()
    assert len(Bar.made) == 1


def test_without_a_console_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert len(swept()) == len(swept(progress=False))


def test_the_bar_is_closed_after_an_error(bars: list[Bar], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "components_for", lambda *rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        swept()
    assert bars[0].closed


# ---------------------------------------------------------------- what is computed once
def test_components_are_computed_once_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, 7)
    rows: list[int] = []
    make = components.make_components

    def counting(*given: Any) -> None:
        *_, signals, _ = given
        rows.append(len(signals))
        make(*given)

    monkeypatch.setattr(components, "make_components", counting)
    judged = judged_blocks(monkeypatch)
    swept(n_jobs=1)
    distinct = len(distinct_components(GRID))
    assert rows == [distinct] * 3
    assert distinct == len(plan(GRID).components) < 6 * len(GRID)
    assert sum(judged) == 3 * len(GRID)
    rows.clear()
    swept(n_jobs=2, top=1)
    assert rows == [distinct] * 3


def distinct_components(grid: ParamGrid) -> set[tuple[Any, ...]]:
    """By what the law says that a component depends on."""
    return {
        (kind, kind == "HMA" and params.hma_mode, params.lengths(kind), params.weight(kind), regime)
        for params in grid
        for regime in [(params.lambda_, params.decay, params.cutout)]
        for kind in ("EMA", "HMA", "WMA", "DEMA", "LSMA", "KAMA")
    }


def test_the_result_says_how_it_was_made() -> None:
    result = swept(direction="longonly", fees=0.01, slippage=0.002)
    assert (result.direction, result.fees, result.slippage) == ("longonly", 0.01, 0.002)
    assert result.seconds is not None
    assert result.seconds > 0
    assert result.reused == (0, 3)
    assert result.grid is GRID
