"""`atc()` and `AtcResult` as a user meets them."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pandas as pd
import polars as pl
import psutil
import pytest
from numba import config
from plain_law import plain_atc
from same_bits import assert_same_bits

from atc_plugin import AtcParams, AtcResult, atc
from atc_plugin.engine import job_count
from atc_plugin.params import TYPES

N = 200
DATES = pd.date_range("2020-01-01", periods=N, freq="D", name="day")
VALUES = np.round(100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, (N, 3)), axis=0)), 2)
FRAME = pd.DataFrame(VALUES, index=DATES, columns=pd.Index(["A", "B", "C"], name="symbol"))
OF_ONE = plain_atc(VALUES[:, 0])


# ---------------------------------------------------------------- what comes out is what went in
def test_a_series_gives_series() -> None:
    result = atc(FRAME["A"])
    for name in ("average", "direction", "entries", "exits"):
        output = getattr(result, name)
        assert isinstance(output, pd.Series)
        assert output.name == "A"
        assert output.index is FRAME.index or output.index.equals(FRAME.index)
        assert_same_bits(output, getattr(OF_ONE, name))
    assert_same_bits(result.signals["LSMA"], OF_ONE.signals[4])
    assert_same_bits(result.weights["KAMA"], OF_ONE.weights[5])
    averages = result.moving_averages["HMA"]
    assert list(averages.columns) == list(result.params.lengths("HMA"))
    assert_same_bits(averages, OF_ONE.moving_averages[1].T)
    assert_same_bits(result.states["EMA"], OF_ONE.states[0].T)
    assert_same_bits(result.equities["DEMA"], OF_ONE.equities[3].T)


def test_a_frame_gives_frames() -> None:
    result = atc(FRAME)
    assert result.columns == ("A", "B", "C")
    for output in (result.average, result.entries, result.weights["EMA"]):
        assert output.columns.equals(FRAME.columns)
        assert output.index.equals(FRAME.index)
    assert result.entries.dtypes.eq(bool).all()
    wide = result.equities["WMA"]
    assert wide.columns.names == ["symbol", None]
    assert wide["A"].columns.tolist() == list(result.params.lengths("WMA"))
    assert_same_bits(wide["A"], OF_ONE.equities[2].T)


def test_a_frame_with_levels_keeps_them() -> None:
    frame = FRAME.set_axis(pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)], names=["group", "n"]), axis=1)
    result = atc(frame)
    assert result.average.columns.equals(frame.columns)
    assert result.states["EMA"].columns.names == ["group", "n", None]
    assert_same_bits(result.states["EMA"]["x", 1], OF_ONE.states[0].T)
    assert result.table(("x", 1)).loc["EMA", "equity"] == OF_ONE.weights[0, -1]


def test_arrays_lists_and_polars() -> None:
    for close, expected in ((VALUES[:, 0], np.ndarray), (VALUES[:, 0].tolist(), list)):
        result = atc(close)
        assert type(result.average) is expected
        assert_same_bits(np.array(result.direction), OF_ONE.direction)
        assert_same_bits(np.array(result.moving_averages["EMA"]), OF_ONE.moving_averages[0].T)
    result = atc(VALUES)
    assert result.average.shape == (N, 3)
    assert result.equities["EMA"].shape == (N, 3, 9)
    assert_same_bits(result.equities["EMA"][:, 0], OF_ONE.equities[0].T)
    nested = atc(VALUES.tolist()).equities["EMA"]
    assert_same_bits(np.array(nested), result.equities["EMA"])
    series = atc(pl.Series("A", VALUES[:, 0]))
    assert series.average.name == "A"
    assert series.equities["EMA"].columns == [str(length) for length in series.params.lengths("EMA")]
    frame = atc(pl.DataFrame(dict(zip("ABC", VALUES.T, strict=True))))
    assert frame.entries.columns == ["A", "B", "C"]
    assert frame.states["EMA"].columns[:2] == ["A_28", "A_29"]
    assert_same_bits(frame.equities["EMA"]["A_28"].to_numpy(), OF_ONE.equities[0][0])


def test_gaps_are_nan_false_and_zero() -> None:
    close = FRAME["A"].copy()
    close.iloc[[0, 50, 51, 199]] = np.nan
    result, expected = atc(close), plain_atc(close.to_numpy())
    gaps = close.isna()
    assert result.average[gaps].isna().all()
    assert result.signals["EMA"][gaps].isna().all()
    assert not result.entries[gaps].any()
    assert (result.states["EMA"][gaps] == 0).all().all()
    assert_same_bits(result.direction, expected.direction)
    assert_same_bits(result.equities["KAMA"], expected.equities[5].T)
    empty = atc(close * np.nan)
    assert empty.average.isna().all()
    assert "0 long, 0 short" in repr(empty)


# ---------------------------------------------------------------- memory of its own
@pytest.mark.parametrize("gaps", [False, True])
def test_changing_what_went_in_or_came_out_changes_nothing_else(gaps: bool) -> None:
    close = VALUES[:, 0].copy()
    close[100:103] = np.nan if gaps else close[100:103]
    before, expected = close.copy(), plain_atc(close)
    result = atc(close)
    result.direction[:] = 0
    result.average[:] = 7
    assert_same_bits(close, before)
    close[:] = 1
    assert_same_bits(result.entries, expected.entries)
    assert_same_bits(result.weights["EMA"], expected.weights[0])
    result.weights["EMA"][:] = 0
    assert result.table().loc["EMA", "equity"] == expected.weights[0, -1]
    assert_same_bits(result.one_column().average, expected.average[~np.isnan(before)])
    assert_same_bits(pickle.loads(pickle.dumps(result)).average, expected.average)


def test_a_result_pickles_with_all_it_can_still_compute() -> None:
    result = atc(FRAME)
    result.weights["EMA"], result.moving_averages["EMA"]
    copy = pickle.loads(pickle.dumps(result))
    assert isinstance(copy, AtcResult)
    pd.testing.assert_frame_equal(copy.average, result.average)
    pd.testing.assert_frame_equal(copy.entries, result.entries)
    pd.testing.assert_frame_equal(copy.equities["KAMA"], result.equities["KAMA"])
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(result.weights))["EMA"], result.weights["EMA"])


def test_one_column_of_many_is_computed_alone() -> None:
    result = atc(FRAME)
    result.table("B"), result.plot("B"), result.plot("C", ma="EMA")
    assert not result._made


@pytest.mark.skipif(
    config.DISABLE_JIT or not sys.platform.startswith("linux"), reason="reads compiled code's peak memory"
)
@pytest.mark.parametrize(("wasted", "fits"), [(0, True), (12, False)])
def test_average_and_direction_of_a_million_bars_need_few_arrays(wasted: int, fits: bool) -> None:
    code = f"""
import numpy as np
from pathlib import Path
from atc_plugin import atc

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

close = np.random.default_rng(0).normal(0, 1e-3, 1_000_000)  # in place: what is freed here must not serve the call
np.cumsum(close, out=close)
close += 100
atc(close[:100]).average
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = status("VmRSS")
result = atc(close)
result.average, result.direction, np.ones(({wasted}, close.size))
print((status("VmHWM") - before) / close.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "clear_refs" in done.stderr:
        pytest.skip("this Linux does not let a process forget its peak")
    assert (float(done.stdout) < 12) == fits


@pytest.mark.skipif(config.DISABLE_JIT, reason="as many calls take too long in Python")
def test_many_calls_do_not_grow_the_process() -> None:
    close, process = np.tile(VALUES, (3, 1)), psutil.Process()

    def soak(calls: int) -> int:
        for i in range(calls):
            result = atc(close, ema_len=20 + i % 40, lambda_=0.001 * (i % 30), cutout=i % 7)
            result.weights["EMA"], result.states["KAMA"]
        gc.collect()
        return process.memory_info().rss

    settled = soak(500)
    assert soak(2000) - settled < 12e6  # a leak of one output a call would be 28 MB


def test_a_result_goes_as_soon_as_nobody_holds_it() -> None:
    gc.disable()
    try:
        result = atc(FRAME)
        gone = weakref.ref(result)
        result.weights["EMA"], result.equities["EMA"], result.entries, result.table("A"), result.growth
        del result
        assert gone() is None
    finally:
        gc.enable()


# ---------------------------------------------------------------- summaries
def test_table() -> None:
    table = atc(VALUES[:, 0]).table()
    assert list(table.index) == list(TYPES)
    assert list(table.columns) == ["trend", "equity", "L", "L+1", "L+2", "L+4", "L+6", "L-1", "L-2", "L-4", "L-6"]
    for i, type_ in enumerate(TYPES):
        signal = OF_ONE.signals[i, -1]
        assert table.loc[type_, "trend"] == ("long" if signal > 0.49 else "short" if signal < -0.49 else "neutral")
        assert table.loc[type_, "equity"] == OF_ONE.weights[i, -1]
        assert_same_bits(table.loc[type_, "L":].to_numpy(np.float64), OF_ONE.equities[i, :, -2])


def test_table_of_one_bar_and_of_a_column() -> None:
    assert atc([5.0]).table()["L"].isna().all()
    result = atc(FRAME)
    assert result.table("B").loc["EMA", "equity"] == result.weights["EMA"]["B"].iloc[-1]
    with pytest.raises(ValueError, match="choose one of 3 columns: column='A'"):
        result.table()
    with pytest.raises(KeyError, match="no column 'D'; the columns are 'A', 'B', 'C'"):
        result.table("D")
    with pytest.raises(ValueError, match="column 'A' has no bars"):
        atc(FRAME[["A"]] * np.nan).table()
    with pytest.raises(KeyError, match=r"no column 'EMA'.*did you mean ma='EMA'"):
        result.plot("EMA")
    twice = atc(FRAME.set_axis(["A", "B", "A"], axis=1))
    assert twice.table("B") is not None
    with pytest.raises(ValueError, match="2 columns are called 'A'; rename them first"):
        twice.table("A")


@pytest.mark.parametrize(
    ("lambda_", "level", "advice"),
    [
        (0.02, "normal", ""),
        (1.0, "high", "reduce lambda_ or raise cutout"),
        (2.0, "too high", "reduce lambda_ or raise cutout"),
    ],
)
def test_growth(lambda_: float, level: str, advice: str) -> None:
    growth = atc(VALUES[:, 0], lambda_=lambda_).growth
    assert growth.factor == np.e ** (lambda_ / 1000 * (N - 1))
    assert (growth.level, growth.advice) == (level, advice)


def test_growth_counts_a_column_s_own_bars_after_the_cutout() -> None:
    assert atc(VALUES[:, 0], lambda_=2.0, cutout=N - 1).growth.factor == 1.0
    assert atc(VALUES[:, 0], lambda_=2.0, cutout=N + 5).growth.factor == 1.0
    gaps = np.where(np.arange(N) % 2, VALUES[:, 0], np.nan)
    assert atc(gaps, lambda_=2.0).growth.factor == np.e ** (2e-3 * (N // 2 - 1))


def test_strategy_mode_delays_the_verdict_and_not_the_weights() -> None:
    plain, delayed = atc(FRAME), atc(FRAME, strategy_mode=True)
    pd.testing.assert_frame_equal(delayed.average, plain.average.shift())
    pd.testing.assert_frame_equal(delayed.direction, plain.direction.shift(fill_value=0))
    pd.testing.assert_frame_equal(delayed.entries, plain.entries.shift(fill_value=False))
    pd.testing.assert_series_equal(delayed.signals["EMA"]["A"], plain.signals["EMA"]["A"].shift())
    pd.testing.assert_frame_equal(delayed.weights["EMA"], plain.weights["EMA"])


def test_what_there_is() -> None:
    result = atc(FRAME)
    assert "200 bars x 3 columns" in repr(result)
    assert len(result.signals) == 6
    assert list(result.weights) == list(TYPES)
    assert "EMA, HMA" in repr(result.signals)
    with pytest.raises(KeyError, match="no type 'SMA'; the types are EMA, HMA"):
        result.signals["SMA"]


# ---------------------------------------------------------------- what a call may say
def test_parameters_of_a_call() -> None:
    params = AtcParams(ema_len=20, hma_mode="hull")
    results = [atc(VALUES, params=p, **o) for p, o in ((params, {}), ({"ema_len": 20}, {"hma_mode": "hull"}))]
    assert results[0].params == results[1].params == params
    assert_same_bits(results[0].average, results[1].average)
    with pytest.raises(TypeError, match=r"no parameter 'emalen'. Did you mean 'ema_len'"):
        atc(VALUES, emalen=3)


def test_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    source = np.round(VALUES[:, 0] * 1.01, 2)
    assert_same_bits(atc(VALUES[:, 0], source).average, plain_atc(VALUES[:, 0], source).average)


@pytest.mark.parametrize("backend", ["loky", "dask", "numba", 7])
def test_a_backend_that_is_not_there(backend: object) -> None:
    with pytest.raises(ValueError, match="allowed are 'auto', 'cpu' and 'gpu'"):
        atc(VALUES, backend=backend)  # type: ignore[arg-type]


def test_backend_and_jobs_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_BACKEND", "tpu")
    with pytest.raises(ValueError, match="ATC_BACKEND 'tpu' cannot compute"):
        atc(VALUES)
    atc(VALUES, backend="cpu")
    monkeypatch.setenv("ATC_BACKEND", "cpu")
    atc(VALUES)
    monkeypatch.setattr("atc_plugin.engine._THREAD_BARS", 1)
    for wrong in ("0", "-2", "two"):
        monkeypatch.setenv("ATC_JOBS", wrong)
        with pytest.raises(ValueError, match=f"ATC_JOBS must be a whole number >= 1, or -1.*; got '{wrong}'"):
            atc(VALUES, cache=False)
    monkeypatch.setenv("ATC_JOBS", "-1")
    atc(VALUES)


def test_workers_of_joblib_keep_to_their_share_of_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATC_JOBS", raising=False)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")  # as joblib sets it in each of its workers
    assert job_count() == 1
    monkeypatch.setenv("ATC_JOBS", "3")
    assert job_count() == 3


def test_bad_prices_are_refused_before_any_work() -> None:
    bad = FRAME.copy()
    bad.iloc[17, 1] = np.inf
    with pytest.raises(ValueError, match=r"close: column 'B' is infinite at bar 17 \(2020-01-18\)"):
        atc(bad)
