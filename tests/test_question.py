"""What a sweep is asked for: read as it is meant, or refused before any work with words that help."""

from __future__ import annotations

import datetime
import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atc_plugin import ParamGrid, sweep
from atc_plugin.law.metrics import METRICS
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.prices import Prices, read_prices
from atc_plugin.sweeps import blocks, here, planning, series, workers
from atc_plugin.sweeps.grid import ParamGrid as Grid
from atc_plugin.sweeps.question import Question, Top, question_of

BARS = 50
DAYS = pd.date_range("2020-01-01", periods=BARS)
CLOSE = pd.DataFrame(
    50 + np.random.default_rng(0).normal(0, 1, (BARS, 2)).cumsum(axis=0), index=DAYS, columns=["A", "B"]
)
GRID = ParamGrid(ema_len=[10, 20])


def asked(close: Any = CLOSE, metrics: Any = ("sharpe_ratio", "total_return"), **options: Any) -> Question:
    prices = close if isinstance(close, Prices) else read_prices(close)
    defaults = {"direction": "both", "fees": 0.0, "slippage": 0.0, "freq": None, "windows": None, "top": None}
    return question_of(prices, metrics, **{**defaults, **options})


# ---------------------------------------------------------------- read as it is meant
def test_metrics_keep_their_order() -> None:
    assert asked(metrics="exposure").metrics == ("exposure",)
    assert asked(metrics=iter(["exposure", "win_rate"])).metrics == ("exposure", "win_rate")
    assert asked(metrics=METRICS[::-1]).metrics == METRICS[::-1]


@pytest.mark.parametrize("metric", METRICS)
def test_accumulators_of_trades_are_for_those_who_need_them(metric: str) -> None:
    assert asked(metrics=metric).trades == (metric in ("sortino_ratio", "win_rate", "profit_factor", "exposure"))


def test_how_orders_are_filled() -> None:
    modes = {"both": BOTH, "longonly": LONG_ONLY, "shortonly": SHORT_ONLY}
    for direction, mode in modes.items():
        trading = asked(direction=direction, fees=np.float32(0.5), slippage=0, metrics="win_rate").trading
        assert trading == (mode, 0.5, 0.0, True, False)
        assert type(trading.fees) is type(trading.slippage) is float
    assert asked(fees=3).fees == 3.0  # vectorbt takes them too


@pytest.mark.parametrize(("top", "expected"), [(3, ("sharpe_ratio", 3)), (("total_return", np.int64(7)), None)])
def test_top(top: Any, expected: Any) -> None:
    assert asked(top=top).top == Top(*(expected or top))
    assert asked().top is None


# ---------------------------------------------------------------- the time of a bar
def indexed(index: Any) -> pd.Series:
    return pd.Series(10.0 + np.arange(len(index)), index=index)


SESSIONS = DAYS[DAYS.day_of_week < 5]
HOURS = pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in SESSIONS for h in range(10, 17)])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (DAYS, "1D"),
        (SESSIONS, "1D"),  # three gaps in ten are weekends
        (SESSIONS.delete([3, 11, 12]), "1D"),
        (pd.date_range("2020-01-01", periods=9, freq="h"), "1h"),
        (HOURS, "1h"),  # and the nights
        (HOURS.tz_localize("America/New_York"), "1h"),
        (pd.date_range("2020-01-01", periods=9, freq="W"), "7D"),
        (pd.date_range("2020-01-01", periods=2, freq="90s"), "90s"),
        (DAYS.astype("datetime64[s]"), "1D"),
    ],
)
def test_the_usual_step_of_dates_is_the_time_of_a_bar(index: pd.DatetimeIndex, expected: str) -> None:
    question = asked(indexed(index))
    assert question.freq == pd.Timedelta(expected)
    assert question.bars_per_year == pd.Timedelta(days=365) / pd.Timedelta(expected)


@pytest.mark.parametrize(
    "freq", ["4h", pd.Timedelta("4h"), np.timedelta64(4, "h"), datetime.timedelta(hours=4), pd.offsets.Hour(4)]
)
def test_what_is_said_comes_first(freq: Any) -> None:
    assert asked(freq=freq).freq == pd.Timedelta("4h")
    assert asked(CLOSE.to_numpy(), freq=freq).bars_per_year == 365 * 6


@pytest.mark.parametrize(
    ("freq", "expected"), [("D", "1D"), ("h", "1h"), ("min", "1min"), ("1D", "1D"), ("90s", "90s")]
)
def test_words_for_the_time_of_a_bar(freq: str, expected: str) -> None:
    assert asked(CLOSE.to_numpy(), freq=freq).freq == pd.Timedelta(expected)


MONTHS = pd.DatetimeIndex(["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30", "2020-05-31", "2020-06-29"])


@pytest.mark.parametrize(
    ("close", "fault"),
    [
        (CLOSE.to_numpy(), "is not one of dates"),
        (CLOSE.reset_index(drop=True), "is not one of dates"),
        (indexed([f"day {k:03}" for k in range(9)]), "is not one of dates"),
        (indexed(MONTHS), "has no usual step"),
        (indexed(DAYS[:1]), "has no usual step"),
    ],
)
def test_where_nothing_tells_it_is_asked_for(close: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^freq: sharpe_ratio count by the year.*index of the prices {fault}.*'?4h"):
        asked(close)
    needed = ["annualized_return", "calmar_ratio", "sharpe_ratio", "sortino_ratio"]
    for metric in METRICS:
        if metric in needed:
            with pytest.raises(ValueError, match=f"freq: {metric} count"):
                asked(close, metric)
        else:
            question = asked(close, metric)
            assert question.freq is None
            assert math.isnan(question.bars_per_year)
    with pytest.raises(ValueError, match=f"freq: {', '.join(needed)} count"):
        asked(close, METRICS)
    assert asked(close, METRICS, freq="1D").freq == pd.Timedelta("1D")


@pytest.mark.parametrize(
    "freq", ["B", "ME", "nope", "", "NaT", pd.NaT, 0, -1, 1, 1.5, True, "-1D", [1], {}, pd.offsets.MonthEnd()]
)
def test_what_is_no_time_of_a_bar(freq: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"or a Timedelta; got {freq!r}")):
        asked(freq=freq)


# ---------------------------------------------------------------- windows
@pytest.mark.parametrize("count", [1, 2, 7, BARS, np.int8(3)])
def test_equal_windows_cover_all_bars(count: int) -> None:
    windows = asked(windows=count).windows
    assert len(windows) == count
    assert windows[0][0] == 0
    assert windows[-1][1] == BARS
    assert all(one[1] == two[0] for one, two in itertools.pairwise(windows))
    lengths = [stop - start for start, stop in windows]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (slice(None), (0, 50)),
        (slice(3, 9), (3, 9)),
        (slice(3, 9, 1), (3, 9)),
        (slice(np.int64(3), None), (3, 50)),
        (slice(-5, None), (45, 50)),
        (slice(10, 1000), (10, 50)),
        (slice("2020-01-05", "2020-01-10"), (4, 10)),  # as in pandas, the last one too
        (slice("2020-02", None), (31, 50)),
        (slice(None, "2020-01"), (0, 31)),
        (slice("1999", "2030"), (0, 50)),
        (slice(pd.Timestamp("2020-01-03"), datetime.datetime(2020, 1, 4)), (2, 4)),
    ],
)
def test_slices_of_positions_and_labels(window: slice, expected: tuple[int, int]) -> None:
    assert asked(windows=[window, slice(0, 1)]).windows == (expected, (0, 1))


def test_labels_of_other_kinds() -> None:
    words = indexed([f"{k:03}" for k in range(9)])
    assert asked(words, "total_return", windows=(slice("002", "004"),)).windows == ((2, 5),)
    numbers = indexed([10, 20, 30])
    assert asked(numbers, "total_return", windows=[slice(1, 2)]).windows == ((1, 2),)  # numbers are positions


def test_windows_in_the_bars_that_a_column_has() -> None:
    close = CLOSE.copy()
    close.iloc[:10, 1] = np.nan
    close.iloc[20, 1] = np.nan
    prices = read_prices(close)
    question = asked(prices, windows=[slice(0, 10), slice(5, 21), slice(21, None)])
    assert [edges.tolist() for edges in question.own_windows(prices, 0)] == [[0, 5, 21], [10, 21, 50]]
    assert [edges.tolist() for edges in question.own_windows(prices, 1)] == [[0, 0, 10], [0, 10, 39]]
    assert asked(prices).own_windows(prices, 1) is None
    whole = read_prices(CLOSE)
    assert [edges.tolist() for edges in asked(whole, windows=2).own_windows(whole, 1)] == [[0, 25], [25, 50]]


# ---------------------------------------------------------------- refused before any work
WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"metrics": "sharp_ratio"}, ValueError, "no metric 'sharp_ratio'; there are: .*Did you mean 'sharpe_ratio'"),
    ({"metrics": ["total_return", "total_retrun"]}, ValueError, "Did you mean 'total_return'"),
    ({"metrics": ["total_return", 3]}, ValueError, "no metric 3"),
    ({"metrics": []}, ValueError, "metrics must name at least one of total_return, "),
    ({"metrics": ["exposure", "win_rate", "exposure"]}, ValueError, "metrics names exposure more than once"),
    ({"metrics": None}, TypeError, "metrics must name some of total_return"),
    ({"direction": "long"}, ValueError, "no direction 'long'; there are: both, longonly, shortonly.*'longonly'"),
    ({"direction": None}, ValueError, "no direction None"),
    ({"fees": math.nan}, ValueError, "fees must be a finite number >= 0, as a share of the order; got nan"),
    ({"fees": math.inf}, ValueError, "fees must be a finite number >= 0"),
    ({"fees": -0.001}, ValueError, "fees must be .*got -0.001"),
    ({"fees": True}, TypeError, "fees must be .*got True"),
    ({"fees": "0.1%"}, TypeError, "fees must be .*got '0.1%'"),
    ({"fees": None}, TypeError, "fees must be .*got None"),
    ({"fees": [0.1, 0.2]}, TypeError, "fees must be "),
    ({"slippage": 1}, ValueError, "slippage must be a finite number >= 0 and < 1, as a share of the order; got 1"),
    ({"slippage": -1e-9}, ValueError, "slippage must be "),
    ({"slippage": False}, TypeError, "slippage must be .*got False"),
    ({"freq": "nope"}, ValueError, "freq must be the time of a bar, .*got 'nope'"),
    ({"freq": "5"}, ValueError, "freq must be the time of a bar"),
    ({"freq": np.int64(86400)}, ValueError, "freq must be the time of a bar"),
    ({"windows": 0}, ValueError, "windows must be 1 to 50, as many as there are bars; got 0"),
    ({"windows": 51}, ValueError, "windows must be 1 to 50"),
    ({"windows": True}, TypeError, "windows must be a number of equal ranges, or slices; got True"),
    ({"windows": 2.0}, TypeError, "windows must be a number of equal ranges"),
    ({"windows": "2020"}, TypeError, "windows must be .*got '2020'"),
    ({"windows": slice(0, 5)}, TypeError, "windows must be .*slices"),
    ({"windows": []}, ValueError, "windows has no slices; leave it out"),
    ({"windows": [slice(0, 5), (5, 9)]}, TypeError, r"windows\[1\] must be a slice of bars; got \(5, 9\)"),
    ({"windows": [slice(0, 9, 2)]}, ValueError, r"windows\[0\] must take every bar, step 1; got slice\(0, 9, 2\)"),
    ({"windows": [slice(9, 0, -1)]}, ValueError, "step 1"),
    ({"windows": [slice(9, 9)]}, ValueError, r"windows\[0\], slice\(9, 9, None\), has none of the 50 bars"),
    ({"windows": [slice(50, None)]}, ValueError, "has none of the 50 bars"),
    ({"windows": [slice("1999", "2000")]}, ValueError, "has none of the 50 bars"),
    ({"windows": [slice("nope", None)]}, ValueError, r"windows\[0\], .*nope.*, does not fit the index of the prices"),
    ({"windows": [slice(1, "2020-02")]}, ValueError, "does not fit the index"),
    ({"windows": [slice(1.5, None)]}, ValueError, "does not fit the index"),
    ({"top": 0}, ValueError, r'top must be a number of rows .*or \("sharpe_ratio", 100\); got 0'),
    ({"top": -3}, ValueError, "top must be "),
    ({"top": True}, ValueError, "top must be .*got True"),
    ({"top": 1.0}, ValueError, "top must be .*got 1.0"),
    ({"top": "3"}, ValueError, "top must be .*got '3'"),
    ({"top": ("nope", 3)}, ValueError, "top: no metric 'nope'; there are: total_return, sharpe_ratio"),
    ({"top": ("win_rate", 3)}, ValueError, "top: no metric 'win_rate'; there are: total_return"),  # not asked for
    ({"top": ("total_return", 0)}, ValueError, "top must be "),
    ({"top": ("total_return", 3, 4)}, ValueError, "top must be "),
    ({"output": "avrage"}, ValueError, "output must be one of 'metrics', 'average', 'direction'; got 'avrage'"),
    ({"backend": "fpga"}, ValueError, "backend 'fpga' cannot compute sweeps here; allowed are 'auto', 'cpu', 'gpu', "),
    ({"n_jobs": 0}, ValueError, "n_jobs must be a whole number"),
    ({"n_jobs": 1.5}, ValueError, "n_jobs must be a whole number"),
    ({"cache": 3}, TypeError, "cache must be True, False, a directory or a Store; got 3"),
    ({"cache": None}, TypeError, "cache must be .*got None"),
    ({"grid": {"ema_len": [10, 20]}}, TypeError, r"takes a ParamGrid; got dict: wrap the values in ParamGrid\("),
    ({"grid": [{"ema_len": 10}]}, TypeError, r"got list: wrap the rows in ParamGrid\.points"),
    ({"grid": pd.DataFrame({"ema_len": [10]})}, TypeError, r"ParamGrid\.points"),
    ({"grid": Grid(ema_len=[10], where=lambda params: False)}, ValueError, "no combination"),
    ({"close": CLOSE.replace(CLOSE.iloc[3, 1], 0.0)}, ValueError, "close: .*B.* is zero"),
    ({"close": "prices.csv"}, TypeError, "close"),
    ({"source": "total_return"}, TypeError, "source takes prices; name metrics as metrics='total_return'"),
    ({"source": ["total_return"]}, TypeError, r"source takes prices; name metrics as metrics=\['total_return'\]"),
    ({"source": CLOSE[["A"]]}, ValueError, "source: it needs the shape of close"),
]


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fails where anything is computed, shown or written."""

    def work(*rest: object, **options: object) -> None:
        raise AssertionError("work was begun")

    for module in (here, series, workers):
        monkeypatch.setattr(module, "components_for", work)
    for name in ("lay_out_plan", "run_tasks"):
        monkeypatch.setattr(workers, name, work)
    monkeypatch.setattr(blocks, "bar_of", work)
    monkeypatch.setattr(blocks.Store, "put_later", work)
    monkeypatch.setenv("ATC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ATC_BACKEND", raising=False)
    monkeypatch.delenv("ATC_JOBS", raising=False)


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize(("wrong", "error", "message"), WRONG, ids=lambda value: str(value)[:50])
def test_refused_before_any_work(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sweep(**{"close": CLOSE, "grid": GRID, **wrong})


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize("output", ["average", "direction"])
def test_series_refuse_too(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="takes a ParamGrid; got dict"):
        sweep(CLOSE, {}, output=output)
    with pytest.raises(ValueError, match="got backend='loky'"):
        sweep(CLOSE, GRID, output=output, backend="loky")
    monkeypatch.setattr(planning, "available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"sweep needs about .* and 10.0 kB are available"):
        sweep(CLOSE, GRID, output=output)


@pytest.mark.usefixtures("_no_work")
def test_the_work_that_is_forbidden_there_would_be_done() -> None:
    with pytest.raises(AssertionError, match="work was begun"):
        sweep(CLOSE, GRID)


# ---------------------------------------------------------------- memory
SIX = {f"{name}_len": range(10, 50) for name in ("ema", "hma", "wma", "dema", "lsma", "kama")}


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({}, "result rows: keep only the best with top=, or sweep fewer columns or a slice of the grid"),
        ({"windows": 40, "top": 3, "n_jobs": 8}, "blocks in flight: ask for fewer windows or jobs"),
    ],
)
def test_what_does_not_fit_says_what_to_change(
    options: dict[str, Any], remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "available_memory", lambda: 500 * 2**20)
    with pytest.raises(MemoryError, match=f"about .*B of memory and 524.3 MB are available; .* are for {remedy}"):
        sweep(CLOSE, ParamGrid(**SIX), **options)


@pytest.mark.usefixtures("_no_work")
def test_what_fits_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "available_memory", lambda: 500 * 2**20)
    with pytest.raises(AssertionError, match="work was begun"):
        sweep(CLOSE, ParamGrid(**SIX), top=100, cache=False)
