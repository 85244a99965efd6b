"""SweepResult: its rows are the grid's, its ranking a plain sort, its plots a groupby, its portfolios vectorbt's."""

from __future__ import annotations

import itertools
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid, atc
from atc_plugin.law.accumulators import judge
from atc_plugin.law.metrics import metrics_of
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.prices import read_prices
from atc_plugin.sweeps.ranking import best_rows
from atc_plugin.sweeps.result import SweepResult

DATES = pd.date_range("2020-01-01", periods=260, freq="D")
WALK = 50 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, (260, 3)), axis=0))
CLOSE = pd.DataFrame(WALK, index=DATES, columns=["AAA", "BBB", "CCC"])
CLOSE.iloc[100:105, 1] = np.nan

PRODUCT = ParamGrid(
    ema_len=[30, 10, 200], decay=[0.03, 0.01], robustness=["Wide", "Narrow"], strategy_mode=[False, True]
)
GRIDS = {
    "product": PRODUCT,
    "where": ParamGrid(ema_len=range(10, 20), wma_len=[12, 16], where=lambda p: p.ema_len < p.wma_len),
    "points": ParamGrid.points([{"ema_len": 10, "hma_mode": "hull"}, {"cutout": 300}, {"kama_len": 40_000}]),
    "slice": PRODUCT[3:17:2],
    "union": PRODUCT[:5] | ParamGrid(ema_len=[10, 200], lambda_=0.05),
    "union with where": ParamGrid(ema_len=range(7, 11), where=lambda p: p.ema_len != 8) | ParamGrid(wma_len=[9, 10]),
    "defaults": ParamGrid(),
    "none": ParamGrid(ema_len=[9, 10], where=lambda p: False),
}


def made(grid: ParamGrid, close: Any = CLOSE, *, top: int | None = None, seed: int = 0, **fields: Any) -> SweepResult:
    """A result with random metrics, among them NaN, infinities, ties and rows without trades."""
    rng = np.random.default_rng(seed)
    prices = read_prices(close)
    size, symbols = len(grid), len(prices.labels)
    rows = size * symbols
    columns = positions = None
    if top is not None:
        parts = [np.sort(rng.permutation(size)[:top]) for _ in range(symbols)]
        positions = np.concatenate(parts)
        columns = np.repeat(np.arange(symbols, dtype=np.int32), list(map(len, parts)))
        rows = positions.size
    ratio = np.round(rng.normal(0, 2, rows), 1)
    ratio[rng.random(rows) < 0.15] = np.nan
    ratio[rng.random(rows) < 0.15] = np.inf
    metrics = {"sharpe_ratio": ratio, "max_drawdown": -rng.random(rows)}
    windows = ((0, 100), (100, 260))
    return SweepResult(
        grid=grid,
        prices=prices,
        metrics=metrics,
        trades=rng.integers(0, 5, rows),
        columns=columns,
        positions=positions,
        windows=windows,
        window_metrics={name: rng.normal(size=(rows, 2)) for name in metrics},
        freq=pd.Timedelta("1D"),
        **fields,
    )


# ---------------------------------------------------------------- the table
@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("top", [None, 4])
def test_rows_are_the_combinations_symbol_after_symbol(kind: str, top: int | None) -> None:
    grid = GRIDS[kind]
    result = made(grid, top=top)
    everything = list(grid)
    if top is None:
        expected = list(itertools.product(CLOSE.columns, everything))
    else:
        assert result.columns is not None
        assert result.positions is not None
        pairs = zip(result.columns, result.positions, strict=True)
        expected = [(CLOSE.columns[column], everything[position]) for column, position in pairs]
    frame = result.frame
    assert len(result) == len(frame) == len(expected)
    assert isinstance(frame.index, pd.RangeIndex)
    assert list(frame) == ["symbol", *result.rows.names, "sharpe_ratio", "max_drawdown"]
    for name in result.rows.names:
        assert frame[name].tolist() == [getattr(params, name) for _, params in expected]
    assert frame["symbol"].tolist() == [symbol for symbol, _ in expected]
    for name, values in result.metrics.items():
        assert_same_bits(frame[name], values)
    assert [result.params(row) for row in range(len(frame))] == [params for _, params in expected]


def test_columns_take_as_little_memory_as_they_can() -> None:
    dtypes = made(PRODUCT).frame.dtypes
    assert dtypes["ema_len"] == np.int16
    assert dtypes["decay"] == np.float64
    assert dtypes["strategy_mode"].kind == "b"
    assert list(dtypes["robustness"].categories) == ["Narrow", "Medium", "Wide"]
    assert list(dtypes["symbol"].categories) == ["AAA", "BBB", "CCC"]
    assert made(GRIDS["points"]).frame.dtypes["kama_len"] == np.int32
    assert made(ParamGrid(ema_len=[10**30])).frame["ema_len"].tolist() == [1e30] * 3
    assert made(GRIDS["none"]).frame.dtypes["ema_len"] == np.int8


@pytest.mark.parametrize(
    ("close", "symbols"),
    [
        (WALK[:, 0].copy(), [0]),
        (WALK, [0, 1, 2]),
        (CLOSE["AAA"], ["AAA"]),
        (CLOSE.set_axis(["A", "A", "B"], axis=1), ["A", "A", "B"]),
        (
            CLOSE.set_axis(pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)]), axis=1),
            [("x", 1), ("x", 2), ("y", 1)],
        ),
        (CLOSE.set_axis(["A", None, 3], axis=1), ["A", "", 3]),
    ],
)
def test_every_kind_of_prices_has_symbols(close: Any, symbols: list[Any]) -> None:
    result = made(ParamGrid(ema_len=[10, 20]), close)
    assert result.frame["symbol"].tolist() == [symbol for symbol in symbols for _ in range(2)]
    assert len(result.symbols) == len(symbols)


def test_what_is_done_to_the_frame_does_no_harm() -> None:
    result = made(PRODUCT)
    before = {name: values.copy() for name, values in result.metrics.items()}
    frame = result.frame
    frame.loc[:, "sharpe_ratio"] = 1.0
    frame.iloc[0, 1] = 99
    frame["mine"] = 2
    assert result.frame is frame
    for name, values in before.items():
        assert_same_bits(result.metrics[name], values)
    assert result.params(0).ema_len == 30


def test_it_says_what_it_is() -> None:
    whole = repr(made(PRODUCT, seconds=1.23456, reused=(3, 4), fees=0.001))
    assert "3 symbols x 24 combinations of ema_len, decay, robustness, strategy_mode" in whole
    assert "sharpe_ratio, max_drawdown in 2 windows" in whole
    assert "fees=0.001" in whole
    assert "1.23 s; 3 of 4 blocks" in whole
    best = repr(made(PRODUCT, CLOSE["AAA"], top=5))
    assert "5 rows, the best of each of 1 symbol over ema_len" in best


def test_it_is_pickled_without_what_was_made_of_it() -> None:
    result = made(PRODUCT)
    size = len(pickle.dumps(result))
    assert len(result.frame) == 72
    again = pickle.loads(pickle.dumps(result))
    assert len(pickle.dumps(result)) == size
    pd.testing.assert_frame_equal(again.frame, result.frame)


def test_arrays_that_do_not_fit_are_refused() -> None:
    fields: dict[str, Any] = {"grid": PRODUCT, "prices": read_prices(CLOSE), "metrics": {}}
    with pytest.raises(ValueError, match="69 rows are not all combinations of 3 symbols over <ParamGrid of 24"):
        SweepResult(**fields, trades=np.ones(69))
    with pytest.raises(ValueError, match="14 rows are not all"):
        SweepResult(**{**fields, "grid": GRIDS["where"]}, trades=np.ones(14))
    with pytest.raises(ValueError, match=r"there are 3 rows, but arrays of \[2\]"):
        SweepResult(**{**fields, "metrics": {"total_return": np.ones(2)}}, trades=np.ones(3))
    with pytest.raises(ValueError, match="both or not at all"):
        SweepResult(**fields, trades=np.ones(3), columns=np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="no direction 'long'"):
        SweepResult(**fields, trades=np.ones(3), direction="long")


# ---------------------------------------------------------------- ranking
def sorted_rows(values: NDArray[Any], trades: NDArray[Any], k: int, min_trades: float) -> list[int]:
    rows = [row for row, value in enumerate(values) if np.isfinite(value) and trades[row] >= min_trades]
    return sorted(rows, key=lambda row: -values[row])[:k]  # sorted is stable


@given(
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 1.0, 2.5, 1e300]), max_size=30),
    st.integers(0, 35),
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
def test_best_rows_are_those_of_a_plain_sort(values: list[float], k: int, min_trades: int, seed: int) -> None:
    trades = np.random.default_rng(seed).choice([0.0, 1.0, 2.0, 3.0, np.nan], len(values))
    rows = best_rows(np.array(values, dtype=np.float64), trades, k, min_trades)
    assert rows.dtype == np.int64
    assert rows.tolist() == sorted_rows(np.array(values), trades, k, min_trades)


@pytest.mark.parametrize("top", [None, 9])
def test_best_of_each_symbol(top: int | None) -> None:
    result = made(PRODUCT, top=top)
    frame, values, trades = result.frame, result.metrics["sharpe_ratio"], result.trades
    for n, min_trades in ((1, 1), (4, 2), (100, 0)):
        expected = []
        for symbol in CLOSE.columns:
            rows = np.flatnonzero(frame["symbol"] == symbol)
            expected += rows[sorted_rows(values[rows], trades[rows], n, min_trades)].tolist()
        best = result.best("sharpe_ratio", n, min_trades=min_trades)
        assert best.index.tolist() == expected
        pd.testing.assert_frame_equal(best, frame.loc[expected], check_index_type=False)
    everywhere = result.best(n=5, per_symbol=False)
    assert everywhere.index.tolist() == sorted_rows(values, trades, 5, 1)
    worst = result.best("max_drawdown", 3, per_symbol=False, ascending=True)
    assert worst.index.tolist() == sorted_rows(-result.metrics["max_drawdown"], trades, 3, 1)


def test_where_nothing_counts_there_is_nothing_best() -> None:
    for result in (made(PRODUCT), made(GRIDS["none"])):
        nothing = result.best(n=3, min_trades=99)
        assert len(nothing) == 0
        assert nothing.dtypes.equals(result.frame.dtypes)
        assert list(result.best(across="mean", min_trades=99)) == list(result.frame)[1:]


@pytest.mark.parametrize("how", ["median", "mean", "min", "max"])
@pytest.mark.parametrize("ascending", [False, True])
def test_best_across_symbols(how: str, ascending: bool) -> None:
    result = made(PRODUCT, seed=1)
    frame = result.frame.assign(place=np.tile(np.arange(24), 3), trades=result.trades)
    frame.loc[frame["trades"] < 1, "sharpe_ratio"] = np.nan
    table = frame.pivot(index="place", columns="symbol", values="sharpe_ratio").replace(np.inf, np.nan).dropna()
    expected = getattr(table, how)(axis=1).sort_values(ascending=ascending, kind="stable").head(5)
    best = result.best(n=5, across=how, ascending=ascending)
    assert best.index.name == "combination"
    np.testing.assert_allclose(best["sharpe_ratio"], expected)
    assert best.index.tolist() == expected.index.tolist()
    drawdowns = frame.groupby("place")["max_drawdown"].agg(how)[best.index]
    np.testing.assert_allclose(best["max_drawdown"], drawdowns)
    assert list(best) == ["ema_len", "decay", "robustness", "strategy_mode", "sharpe_ratio", "max_drawdown"]
    assert result.params(best.iloc[0]) == PRODUCT[int(expected.index[0])]


def test_a_symbol_in_which_nothing_counts_takes_no_part() -> None:
    result = made(PRODUCT)
    result.metrics["max_drawdown"][24:48] = np.nan
    result.trades[:] = 1
    expected = result.metrics["max_drawdown"].reshape(3, 24)[[0, 2]].mean(axis=0)
    best = result.best("max_drawdown", across="mean")
    assert best.index.tolist() == [expected.argmax()]
    assert best["max_drawdown"].tolist() == [expected.max()]


def test_wrong_questions_are_answered_with_what_is_there() -> None:
    result = made(PRODUCT)
    with pytest.raises(
        ValueError, match=r"no metric 'sharp_ratio'; there are: sharpe_ratio, .*Did you mean 'sharpe_ratio'"
    ):
        result.best("sharp_ratio")
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        result.best(n=0)
    with pytest.raises(ValueError, match=r"across: .*'average'; there are: max, min, mean, median"):
        result.best(across="average")
    with pytest.raises(ValueError, match=r"kept the best alone \(top=\)"):
        made(PRODUCT, top=3).best(across="mean")


# ---------------------------------------------------------------- windows
def test_a_metric_in_every_window() -> None:
    result = made(PRODUCT)
    frame = result.window_frame("max_drawdown")
    assert list(frame) == ["2020-01-01..2020-04-09", "2020-04-10..2020-09-16"]
    assert_same_bits(frame, result.window_metrics["max_drawdown"])
    assert list(made(PRODUCT, WALK).window_frame()) == ["0..99", "100..259"]
    with pytest.raises(ValueError, match="no metric 'x'"):
        result.window_frame("x")
    without = SweepResult(
        grid=PRODUCT, prices=None, symbols=("A", "B", "C"), metrics=result.metrics, trades=result.trades
    )
    with pytest.raises(ValueError, match="no windows were asked for"):
        without.window_frame()


# ---------------------------------------------------------------- one row
HONEST = ParamGrid(ema_len=[10, 28], long_threshold=[0.1, 0.4])
MODES = {"both": BOTH, "longonly": LONG_ONLY, "shortonly": SHORT_ONLY}


def honest(direction: str, close: Any = CLOSE, source: Any = None) -> SweepResult:
    """A result as a sweep computes it, by the plain kernels."""
    fees, slippage = 0.001, 0.002
    prices = read_prices(close, source)
    parts: list[dict[str, NDArray[np.float64]]] = []
    for column in range(len(prices.labels)):
        for params in HONEST:
            view = atc(close, source, params).one_column(prices.labels[column])
            _, values = judge(view.close, view.entries, view.exits, MODES[direction], fees, slippage, 100.0)
            parts.append(metrics_of(values, view.close.size, 365.0))
    metrics = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    return SweepResult(
        grid=HONEST,
        prices=prices,
        metrics=metrics,
        trades=metrics["total_trades"],
        fees=fees,
        slippage=slippage,
        direction=direction,
        freq=pd.Timedelta("1D"),
    )


@pytest.mark.parametrize("direction", MODES)
def test_the_portfolio_of_a_row_has_its_metrics(direction: str) -> None:
    result = honest(direction)
    for row in (0, 5, 11):
        portfolio = result.portfolio(row)
        theirs = {
            **{name: getattr(portfolio, name)() for name in list(result.metrics)[:6]},
            "total_trades": portfolio.trades.count(),
            "win_rate": portfolio.trades.win_rate(),
            "profit_factor": portfolio.trades.profit_factor(),
            "exposure": portfolio.position_coverage(),
        }
        for name, value in theirs.items():
            np.testing.assert_allclose(result.frame.loc[row, name], value, rtol=1e-9, err_msg=name)
        symbol = CLOSE.columns[row // 4]
        pd.testing.assert_series_equal(portfolio.close, CLOSE[symbol].dropna(), check_freq=False)
    assert result.portfolio(0, init_cash=500.0).init_cash == 500
    assert result.trades.min() > 0


def test_a_portfolio_of_prices_without_an_index() -> None:
    close = CLOSE["BBB"].to_numpy()
    result = honest("both", close)
    portfolio = result.portfolio(1)
    assert portfolio.close.index.tolist() == np.flatnonzero(~np.isnan(close)).tolist()
    np.testing.assert_allclose(portfolio.total_return(), result.metrics["total_return"][1], rtol=1e-9)


def test_run_gives_the_whole_result_of_the_row() -> None:
    source = CLOSE * np.linspace(1, 2, len(CLOSE))[:, None]
    result = SweepResult(
        grid=HONEST, prices=read_prices(CLOSE, source), metrics={"total_return": np.arange(12.0)}, trades=np.ones(12)
    )
    expected = atc(CLOSE["BBB"], source["BBB"], HONEST[2])
    for row in (6, np.int64(6), result.frame.iloc[6], result.frame.loc[[6]]):
        run = result.run(row)
        assert run.params == HONEST[2]
        assert run.columns == ("BBB",)
        pd.testing.assert_series_equal(run.average, expected.average)
        pd.testing.assert_series_equal(run.entries, expected.entries)
    assert result.run(result.best(per_symbol=False)).params == HONEST[3]


@pytest.mark.parametrize("kind", ["polars", "polars series", "array", "list", "series"])
def test_run_gives_the_type_that_came_in(kind: str) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(CLOSE.fillna(1.0).reset_index(drop=True).to_dict("list"))
    close = {
        "polars": frame,
        "polars series": frame["AAA"],
        "array": WALK,
        "list": WALK.tolist(),
        "series": CLOSE["AAA"],
    }[kind]
    average = made(HONEST, close).run(0).average
    expected = {"array": np.ndarray, "list": list, "series": pd.Series}.get(kind, polars.Series)
    assert type(average) is expected
    assert_same_bits(average, atc(CLOSE["AAA"], params=HONEST[0]).average)


def test_a_row_that_is_not_there() -> None:
    result = made(HONEST)
    for wrong in (12, -1):
        with pytest.raises(IndexError, match=f"no row {wrong}; rows are 0 to 11"):
            result.params(wrong)
    with pytest.raises(IndexError, match="there are no rows"):
        made(GRIDS["none"]).run(0)
    with pytest.raises(ValueError, match="one row at a time; got a frame of 12"):
        result.run(result.frame)
    for wrong in ("AAA", 1.5, None):
        with pytest.raises(TypeError, match="a row is its number in the frame"):
            result.run(wrong)


def test_without_vectorbt_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vectorbt", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[vectorbt\]"'):
        made(HONEST).portfolio(0)


# ---------------------------------------------------------------- plots
def drawn(figure: go.Figure) -> pd.DataFrame:
    """The table that a figure shows, by the texts of its axes."""
    trace = figure.data[0]
    return pd.DataFrame(np.asarray(trace.z), index=list(map(str, trace.y)), columns=list(map(str, trace.x)))


@pytest.mark.parametrize("how", ["max", "min", "mean", "median"])
@pytest.mark.parametrize("symbol", [None, "BBB"])
@pytest.mark.parametrize("top", [None, 20])
def test_heatmap_and_surface_are_a_groupby(how: str, symbol: str | None, top: int | None) -> None:
    result = made(PRODUCT, top=top)
    frame = result.frame.assign(trades=result.trades)
    frame = frame[np.isfinite(frame["sharpe_ratio"]) & (frame["trades"] >= 2)]
    if symbol is not None:
        frame = frame[frame["symbol"] == symbol]
    expected = frame.groupby(["robustness", "ema_len"], observed=True)["sharpe_ratio"].agg(how).unstack()
    arguments: dict[str, Any] = {"reduce": how, "symbol": symbol, "min_trades": 2}
    figure = result.heatmap("ema_len", "robustness", **arguments)
    table = drawn(figure)
    assert list(table.index) == ["Narrow", "Wide"]
    assert list(table) == ["10", "30", "200"]
    np.testing.assert_allclose(table, expected.loc[table.index])
    star = figure.data[1]
    assert table.loc[star.y[0], star.x[0]] == np.nanmax(table)
    assert f"best {np.nanmax(table):.4g} at ema_len {star.x[0]}" in figure.layout.title.subtitle.text
    assert how in figure.layout.title.subtitle.text
    if how in ("max", "min"):
        rows = np.asarray(figure.data[0].customdata)
        for (line, column), row in np.ndenumerate(rows):
            if row >= 0:
                cell = frame[
                    (frame["ema_len"] == int(table.columns[column])) & (frame["robustness"] == table.index[line])
                ]
                assert row == cell.index[cell["sharpe_ratio"] == table.iloc[line, column]][0]
    surface = result.surface("ema_len", "robustness", **arguments)
    np.testing.assert_array_equal(surface.data[0].z, table)
    assert list(surface.layout.scene.yaxis.ticktext) == ["Narrow", "Wide"]
    assert surface.data[1].z[0] == np.nanmax(table)


def test_even_steps_are_a_scale_and_others_are_listed() -> None:
    result = made(ParamGrid(ema_len=range(10, 40), decay=[0.01, 0.02, 0.1], strategy_mode=[False, True]))
    figure = result.heatmap("ema_len", "decay", title_text="mine", width=500)
    assert figure.layout.xaxis.type is None
    assert figure.layout.yaxis.type == "category"
    assert list(figure.data[0].y) == ["0.01", "0.02", "0.1"]
    assert figure.layout.title.text == "mine"
    assert list(result.heatmap("strategy_mode", "decay").data[0].x) == ["False", "True"]
    assert list(result.heatmap("decay", "strategy_mode").data[0].y) == ["False", "True"]


def test_colours_part_at_zero_where_values_have_both_signs() -> None:
    both = made(PRODUCT).heatmap("ema_len", "decay", reduce="mean", min_trades=3).layout.coloraxis
    assert both.cmin == -both.cmax < 0
    assert made(PRODUCT).heatmap("ema_len", "decay", "max_drawdown").layout.coloraxis.cmin is None


def test_what_a_plot_cannot_show() -> None:
    result = made(PRODUCT)
    for wrong, message in (
        (("ema_len", "wma_len"), r"no parameter 'wma_len'; there are: ema_len, decay, .*Did you mean 'ema_len'"),
        (("ema_len", "ema_len"), "two parameters; got 'ema_len' twice"),
    ):
        with pytest.raises(ValueError, match=message):
            result.heatmap(*wrong)
        with pytest.raises(ValueError, match=message):
            result.surface(*wrong)
    with pytest.raises(ValueError, match=r"no reduction 'best'; there are: max, min, mean, median"):
        result.heatmap("ema_len", "decay", reduce="best")
    with pytest.raises(ValueError, match=r"no symbol 'BB'; there are: AAA, BBB, CCC. Did you mean 'BBB'"):
        result.heatmap("ema_len", "decay", symbol="BB")
    with pytest.raises(ValueError, match="2 columns are called 'A'"):
        made(PRODUCT, CLOSE.set_axis(["A", "A", "B"], axis=1)).heatmap("ema_len", "decay", symbol="A")
    with pytest.raises(ValueError, match="no row has a finite sharpe_ratio and at least 99 trades"):
        result.heatmap("ema_len", "decay", min_trades=99)
    with pytest.raises(ValueError, match="no row has a finite"):
        made(GRIDS["none"]).parallel_coordinates()
    with pytest.raises(ValueError, match="n must be at least 1"):
        result.parallel_coordinates(n=0)


def test_parallel_coordinates_are_the_best_rows() -> None:
    result = made(ParamGrid(ema_len=range(10, 30), robustness=["Wide", "Narrow"], decay=0.01))
    figure = result.parallel_coordinates(n=15)
    best = result.best(n=15, per_symbol=False).iloc[::-1]
    symbol, length, spread, metric = figure.data[0].dimensions
    assert (symbol.label, length.label, spread.label, metric.label) == (
        "symbol",
        "ema_len",
        "robustness",
        "sharpe_ratio",
    )
    assert list(metric.values) == list(figure.data[0].line.color) == best["sharpe_ratio"].tolist()
    ticks = dict(zip(spread.tickvals, spread.ticktext, strict=True))
    assert [ticks[value] for value in spread["values"]] == best["robustness"].tolist()
    assert list(symbol["values"]) == best["symbol"].cat.codes.tolist()
    one = result.parallel_coordinates("max_drawdown", symbol="CCC", height=300)
    assert [dimension.label for dimension in one.data[0].dimensions] == ["ema_len", "robustness", "max_drawdown"]
    assert one.layout.height == 300
    assert "CCC" in one.layout.title.subtitle.text


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "atc_plugin.sweeps.pictures", raising=False)
    monkeypatch.delattr("atc_plugin.sweeps.pictures", raising=False)
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[plot\]"'):
        made(PRODUCT).heatmap("ema_len", "decay")


# ---------------------------------------------------------------- files
@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("top", [None, 4])
def test_what_is_written_is_read(kind: str, top: int | None, tmp_path: Path) -> None:
    file = tmp_path / "sweep.parquet"
    written = made(GRIDS[kind], top=top, fees=0.001, slippage=1 / 3, direction="longonly", seconds=2.5, reused=(1, 2))
    written.to_parquet(file)
    read = SweepResult.read_parquet(file)
    pd.testing.assert_frame_equal(read.frame, written.frame)
    pd.testing.assert_frame_equal(read.best(n=3), written.best(n=3))
    for name in written.metrics:
        assert_same_bits(read.metrics[name], written.metrics[name])
        pd.testing.assert_frame_equal(read.window_frame(name), written.window_frame(name))
    assert_same_bits(read.trades, written.trades)
    assert [read.params(row) for row in range(len(read))] == [written.params(row) for row in range(len(read))]
    for name in ("fees", "slippage", "direction", "init_cash", "freq", "seconds", "reused", "windows", "symbols"):
        assert getattr(read, name) == getattr(written, name), name
    if kind != "none":
        assert repr(read) == repr(written)
    again = tmp_path / "again.parquet"
    read.to_parquet(again)
    assert [*map(repr, SweepResult.read_parquet(again, CLOSE).grid)] == [*map(repr, read.grid)]


def test_other_programs_read_the_frame(tmp_path: Path) -> None:
    result = made(PRODUCT)
    result.to_parquet(tmp_path / "sweep.parquet")
    plain = pd.read_parquet(tmp_path / "sweep.parquet")
    pd.testing.assert_frame_equal(
        plain[list(result.frame)], result.frame, check_categorical=False, check_index_type=False
    )


def test_texts_are_read_by_what_they_say(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "sweep.parquet"
    written = made(GRIDS["slice"])
    written.to_parquet(file)
    table = parquet.read_table(file)
    place = table.column_names.index("robustness")
    texts = table["robustness"].cast(pyarrow.string())
    other = table.set_column(place, "robustness", texts.dictionary_encode())  # without "Medium"
    assert other["robustness"].chunk(0).dictionary.to_pylist() == ["Narrow", "Wide"]
    parquet.write_table(other, file)
    pd.testing.assert_frame_equal(SweepResult.read_parquet(file).frame, written.frame)
    parquet.write_table(other.slice(0, 5), file)
    with pytest.raises(ValueError, match="5 rows are not all"):
        SweepResult.read_parquet(file)


def test_a_file_of_plain_numbers_and_odd_symbols(tmp_path: Path) -> None:
    file = tmp_path / "sweep.parquet"
    close = CLOSE.set_axis(pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)]), axis=1)
    made(PRODUCT, close).to_parquet(file)
    assert SweepResult.read_parquet(file).symbols == (("x", 1), ("x", 2), ("y", 1))
    bare = SweepResult(grid=PRODUCT, prices=read_prices(WALK[:, 0].copy()), metrics={}, trades=np.arange(24))
    bare.to_parquet(file)
    read = SweepResult.read_parquet(file)
    assert (read.symbols, read.freq, read.windows, read.metrics) == ((0,), None, (), {})
    assert len(read.frame) == 24


def test_a_file_runs_with_the_prices_it_was_made_of(tmp_path: Path) -> None:
    file = tmp_path / "sweep.parquet"
    source = CLOSE + 1
    written = SweepResult(
        grid=HONEST, prices=read_prices(CLOSE, source), metrics={"total_return": np.arange(12.0)}, trades=np.ones(12)
    )
    written.to_parquet(file)
    read = SweepResult.read_parquet(file, CLOSE, source)
    pd.testing.assert_series_equal(read.run(7).average, written.run(7).average)
    with pytest.raises(ValueError, match=r"holds no prices: SweepResult.read_parquet\(path, close=...\)"):
        SweepResult.read_parquet(file).run(7)
    for close, origin in ((CLOSE, None), (CLOSE * 1.01, source), (CLOSE.iloc[:-1], source.iloc[:-1])):
        with pytest.raises(ValueError, match="not the prices that this sweep ran over"):
            SweepResult.read_parquet(file, close, origin)


def test_files_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"other.parquet: is no sweep; SweepResult.to_parquet writes"):
        SweepResult.read_parquet(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("what is this")
    with pytest.raises(ValueError, match=r"text.parquet: not a parquet file"):
        SweepResult.read_parquet(tmp_path / "text.parquet")
    with pytest.raises(FileNotFoundError):
        SweepResult.read_parquet(tmp_path / "none.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pyarrow"):
        made(HONEST).to_parquet(tmp_path / "x.parquet")


def test_a_huge_product_after_top_is_not_listed() -> None:
    names = ("ema_len", "hma_len", "wma_len", "dema_len", "lsma_len", "kama_len")
    grid = ParamGrid(**{name: range(10, 50) for name in names})
    positions = np.array([4_095_999_999, 0, 123_456_789])
    result = SweepResult(
        grid=grid,
        prices=read_prices(CLOSE["AAA"]),
        metrics={"total_return": np.array([3.0, 2.0, 1.0])},
        trades=np.ones(3),
        columns=np.zeros(3, np.int32),
        positions=positions,
    )
    assert [AtcParams(**row) for row in result.frame[list(names)].to_dict("records")] == [
        grid[int(p)] for p in positions
    ]
    assert "combinations" not in repr(result)
    assert len(result.heatmap("ema_len", "hma_len").data[0].x) == 3
