"""The guards of a backtester: how much history is needed, and that nothing repaints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numba.core.config import DISABLE_JIT

from atc_plugin import AtcParams, atc, check

N = 600
VALUES = np.round(100 * np.exp(np.cumsum(np.random.default_rng(4).normal(0, 0.02, (N, 2)), axis=0)), 2)
FRAME = pd.DataFrame(VALUES, pd.date_range("2020-01-01", periods=N), ["A", "B"])


@pytest.fixture(autouse=True)
def few_where_kernels_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    if DISABLE_JIT:
        monkeypatch.setattr(check, "_ENDS", 1)
        monkeypatch.setattr(check, "_STEPS", 5)


# ---------------------------------------------------------------- recursive
def test_averages_of_windows_need_their_window() -> None:
    found = check.recursive(FRAME, hma_len=20, wma_len=30, lsma_len=24, histories=[19, 20, 25, 26, 29, 30, 31, 280])
    worst = found.table["worst"]
    assert worst["HMA", "average of 20"] == 20
    assert worst["HMA", "average of 26"] == 26
    assert worst["WMA", "average of 30"] == 30
    assert worst["LSMA", "average of 30"] == 30
    assert found.params == AtcParams(hma_len=20, wma_len=30, lsma_len=24)


def test_recursive_averages_need_several_times_their_length() -> None:
    worst = check.recursive(FRAME, tolerance=1e-5, histories=[28, 64, 128, 200, 256, 290, 299]).table["worst"]
    assert 28 < worst["EMA", "average of 28"] <= N / 2
    assert worst["EMA", "average of 28"] <= worst["EMA", "average of 34"]


def test_settled_is_where_the_last_change_was() -> None:
    """Against the definition: each history computed on its own, by `atc`."""
    found = check.recursive(FRAME["A"], ema_len=10, tolerance=0.01)
    most = found.histories[-1]
    ends = np.unique(np.linspace(most, N, check._ENDS).astype(int))
    assert found.cases == len(ends)
    needed, differs = [], []
    for end in ends:
        last = [atc(FRAME["A"].iloc[end - h : end], ema_len=10).average.iloc[-1] for h in found.histories]
        changed = [abs(value - last[-1]) > 0.01 for value in last]
        differs.append(changed)
        after = max((k for k, differ in enumerate(changed) if differ), default=-1) + 1
        needed.append(found.histories[after] if after < len(changed) - 1 else np.inf)
    row = found.table.loc[("ATC", "average")]
    assert row["worst"] == max(needed)
    assert row["median"] == np.median(needed)
    assert row["settled"] == np.isfinite(needed).mean()
    np.testing.assert_array_equal(found.changes["ATC", "average"], np.mean(differs, axis=0))


def test_a_change_that_comes_back_counts() -> None:
    assert check._settled(np.array([1.0, 2.0, 1.0, 1.0]), [10, 20, 30, 40], 0.0) == 30
    assert check._settled(np.array([1.0, 1.0, 2.0, 1.0]), [10, 20, 30, 40], 0.0) == np.inf
    assert check._settled(np.array([np.nan, 1.0, 1.0]), [10, 20, 30], 0.0) == 20
    assert check._settled(np.array([np.nan, np.nan, np.nan]), [10, 20, 30], 0.0) == 10


def test_columns_that_are_too_short_are_left_out() -> None:
    short = FRAME.copy()
    short.iloc[:500, 1] = np.nan
    assert check.recursive(short).cases == check.recursive(FRAME["A"]).cases
    assert "bars of history" in repr(check.recursive(short))


@pytest.mark.parametrize("histories", [[10], [0, 20], [10, N + 1]])
def test_histories_that_make_no_sense(histories: list[int]) -> None:
    with pytest.raises(ValueError, match="histories needs two lengths or more"):
        check.recursive(FRAME, histories=histories)


def test_too_few_bars() -> None:
    with pytest.raises(ValueError, match="128 bars are needed"):
        check.recursive(FRAME.iloc[:100])


# ---------------------------------------------------------------- lookahead
@pytest.mark.parametrize("close", [FRAME, FRAME["A"], VALUES], ids=["frame", "series", "array"])
@pytest.mark.parametrize("params", [{}, {"strategy_mode": True, "cutout": 20, "hma_mode": "hull"}])
def test_atc_does_not_repaint(close: Any, params: dict[str, Any]) -> None:
    found = check.lookahead(close, params, prefixes=3 if DISABLE_JIT else 20)
    assert not found.repaints
    assert (found.table["values"] > 0).all()
    assert {"average", "direction", "EMA signal", "KAMA weight"} <= set(found.table.index)
    assert "nothing repaints" in repr(found)


def test_atc_with_gaps_does_not_repaint() -> None:
    gaps = FRAME.copy()
    gaps.iloc[:40, 0] = np.nan
    gaps.iloc[300:310, 1] = np.nan
    assert not check.lookahead(gaps, prefixes=range(1, 600, 200 if DISABLE_JIT else 37)).repaints


REPAINTING = {
    "centred": (lambda close: close.rolling(5, center=True).mean(), 2),
    "shifted back": (lambda close: close.shift(-1), 1),
    "scaled by the whole": (lambda close: close / close.iloc[-1], None),
    "booleans": (lambda close: close == close.max(), None),
    "filled backwards": (lambda close: close.rolling(10).mean().bfill(), None),
}


@pytest.mark.parametrize("name", REPAINTING)
def test_repainting_is_seen(name: str) -> None:
    indicator, reach = REPAINTING[name]
    found = check.lookahead(FRAME["A"], indicator=indicator, prefixes=[5, 8, 300, 301, 599])
    assert found.repaints
    assert "REPAINTS" in repr(found)
    if reach is not None:
        assert found.table.loc["value", "reach"] == reach - 1
        assert found.table.loc["value", "first"] == 5 - reach


def test_only_what_repaints_is_named() -> None:
    def two(close: pd.Series) -> dict[str, Any]:
        return {"good": close.ewm(span=5).mean(), "bad": close - close.mean()}

    table = check.lookahead(FRAME["A"], indicator=two).table
    assert table.loc["good", "changed"] == 0
    assert table.loc["bad", "changed"] > 0


def test_a_tolerance_forgives_rounding() -> None:
    noisy = np.random.default_rng(0)
    found = check.lookahead(VALUES[:, 0], indicator=lambda close: close + noisy.normal(0, 1e-9, len(close)))
    assert found.repaints
    assert not check.lookahead(
        VALUES[:, 0], indicator=lambda close: close + noisy.normal(0, 1e-9, len(close)), tolerance=1e-6
    ).repaints


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="an indicator of your own"):
        check.lookahead(FRAME, indicator=lambda close: close, ema_len=3)
    with pytest.raises(ValueError, match=r"gave \(597, 2\) for 'value', from 600 bars"):
        check.lookahead(FRAME, indicator=lambda close: close.iloc[3:])
    with pytest.raises(ValueError, match="prefixes must be from 1 to 600"):
        check.lookahead(FRAME, prefixes=[0, 7])
    with pytest.raises(ValueError, match="from a prefix where all bars have"):
        check.lookahead(FRAME, indicator=lambda close: close if len(close) == N else close["A"])
    with pytest.raises(TypeError, match="Did you mean 'ema_len'"):
        check.lookahead(FRAME, ema_lem=3)
