"""The scanner against what `atc` says bar by bar."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params, prices
from same_bits import assert_same_bits

from atc_plugin import AtcParams, atc, many_columns, scan
from atc_plugin.params import TYPES
from atc_plugin.prices import read_prices

BARS = 50 if DISABLE_JIT else 200


def walk(n: int = BARS, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


def frame_of(count: int = 8, n: int = BARS) -> pd.DataFrame:
    return pd.DataFrame({f"S{seed}": walk(n, seed) for seed in range(count)}, pd.date_range("2024", periods=n))


@settings(max_examples=4 if DISABLE_JIT else 60)
@given(st.data())
def test_a_row_is_what_atc_says_at_the_last_bar(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, BARS))
    columns = [data.draw(prices(min_bars=n, max_bars=n, nan_gaps=True)) for _ in range(data.draw(st.integers(1, 4)))]
    params = AtcParams(
        **data.draw(atc_params(max_len=20 if DISABLE_JIT else 40)), strategy_mode=data.draw(st.booleans())
    )
    within = data.draw(st.integers(1, 60))
    index = pd.date_range("2024", periods=n)
    frame = pd.DataFrame(dict(enumerate(columns)), index)
    source = frame * 1.01 if data.draw(st.booleans()) else None
    found = scan(frame, params, source=source, within=within, sort_by="given")
    assert [row.symbol for row in found] == list(frame)
    result = atc(frame, source, params)
    for row in found:
        own = result.direction[row.symbol].dropna()
        if own.empty:
            assert (row.direction, row.turned, row.age, row.bar, row.behind) == (0, "", 0, None, n)
            assert math.isnan(row.strength)
            assert math.isnan(row.close)
            continue
        assert row.bar == own.index[-1]
        assert row.behind == n - 1 - index.get_loc(own.index[-1])
        assert row.direction == own.iloc[-1]
        assert_same_bits(row.close, frame[row.symbol][row.bar])
        assert_same_bits(row.strength, float(result.average[row.symbol][row.bar]))
        for type_, signal, vote in zip(TYPES, row.signals, row.votes, strict=True):
            assert_same_bits(signal, float(result.signals[type_][row.symbol][row.bar]), type_)
            assert vote == (1 if signal > 0.49 else -1 if signal < -0.49 else 0)
        turns = result.entries[row.symbol] | result.exits[row.symbol]
        last = np.flatnonzero(turns[own.index])
        assert row.age == (own.size - last[-1] if last.size else 0)
        has_turned = bool(turns.iloc[-within:].any())
        assert row.turned == ({1: "long", -1: "short"}[row.direction] if has_turned else "")


@pytest.mark.parametrize("at_once", [1, 450, 10**9])
def test_prices_of_any_kind_give_the_same_rows(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_columns, "_AT_ONCE", at_once)
    frame = frame_of()
    frame.iloc[:30, 2] = frame.iloc[-9:, 3] = frame.iloc[:, 5] = np.nan
    expected = scan(frame, within=20, ema_len=21)
    assert len(expected) == 8
    apart = {str(name): column.dropna() if name != "S5" else column for name, column in frame.items()}
    for got in (scan(atc(frame, ema_len=21), within=20), scan(dict(frame.items()), within=20, ema_len=21)):
        assert repr(got.rows) == repr(expected.rows)  # NaN is NaN there
    got, ends = scan(apart, within=20, ema_len=21, sort_by="given"), scan(frame, ema_len=21, sort_by="given")
    assert [(row.symbol, row.age, row.bar) for row in got] == [(row.symbol, row.age, row.bar) for row in ends]
    assert_same_bits([row.strength for row in got], [row.strength for row in ends])
    plain = scan(frame.to_numpy(), within=20, ema_len=21)
    assert [f"S{row.symbol}" for row in plain] == [row.symbol for row in expected]
    assert [row.bar for row in plain if row.symbol == 3] == [BARS - 10]
    polars = scan(pl.from_pandas(frame), within=20, ema_len=21)
    assert [row.strength for row in polars][:7] == [row.strength for row in expected][:7]


def test_columns_are_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_columns, "_AT_ONCE", 100)
    lengths = [10, 40, 30, 250, 20, 20, 60, 1, 1]
    columns = [many_columns.columns_of(read_prices(np.ones(n)))[0] for n in lengths]
    groups = [[column.bars for column in some] for some in many_columns._together(columns)]
    assert groups == [[10, 40], [30], [250], [20, 20], [60], [1, 1]]


def test_a_mapping_of_different_lengths() -> None:
    found = scan({"long": walk(BARS), "short": walk(40, 1), 7: walk(BARS - 10, 2).tolist()}, sort_by="given", ema_len=9)
    for row, (seed, n) in zip(found, ((0, BARS), (1, 40), (2, BARS - 10)), strict=True):
        assert_same_bits(row.strength, float(atc(walk(n, seed), ema_len=9).average[-1]))
        assert row.bar == n - 1
    assert [row.symbol for row in found] == ["long", "short", 7]
    assert len(scan({})) == 0


def test_one_series() -> None:
    (row,) = scan(frame_of()["S2"])
    assert row.symbol == "S2"
    assert scan(walk()).rows[0].symbol == 0


def test_the_delisted_have_not_turned() -> None:
    close = frame_of(1)
    turned = np.flatnonzero(atc(close).entries["S0"] | atc(close).exits["S0"])[-1]
    cut = close.iloc[: turned + 1]
    assert scan(cut).rows[0].turned != ""
    gone = cut.reindex(close.index[: turned + 6])
    (row,) = scan(gone)
    assert (row.turned, row.age, row.behind) == ("", 1, 5)
    assert scan(gone, within=5).rows[0].turned == ""
    assert scan(gone, within=6).rows[0].turned != ""


def test_bars_that_a_symbol_lacks_count_for_who_has_just_turned() -> None:
    close = frame_of(1)
    turned = np.flatnonzero(atc(close).entries["S0"] | atc(close).exits["S0"])[-1]
    cut = close.iloc[: turned + 7].copy()
    cut.iloc[turned + 1 : -1] = np.nan
    cut.iloc[-1] = cut.iloc[turned]
    (row,) = scan(cut, within=6)
    assert (row.turned, row.age, row.behind) == ("", 2, 0)
    assert scan(cut, within=7).rows[0].turned != ""


def test_orders_and_filters() -> None:
    close = frame_of(40)
    found = scan(close, within=15)
    whole = scan(close, within=15, sort_by="given")
    assert set(found) == set(whole)
    assert [row.symbol for row in whole] == list(close)
    keys: dict[str, Any] = {
        "strength": lambda row: -abs(row.strength),
        "average": lambda row: -row.strength,
        "age": lambda row: (row.direction == 0, row.age),
        "turned": lambda row: (row.turned == "", row.age if row.turned else 0, -abs(row.strength)),
    }
    for order, key in keys.items():
        rows = scan(close, within=15, sort_by=order).rows
        assert list(rows) == sorted(rows, key=key), order
    assert {row.direction for row in found.long()} == {1}
    assert {row.direction for row in found.short()} == {-1}
    assert len(found.long()) + len(found.short()) + sum(row.direction == 0 for row in found) == 40
    assert 0 < len(found.turned()) < 40
    assert set(found.turned()) == set(found.turned("long")) | set(found.turned("short"))
    assert all(row.age <= 15 for row in found.turned())
    strong = scan(close, min_strength=0.5)
    assert {row.symbol for row in strong} == {row.symbol for row in found if abs(row.strength) >= 0.5}
    assert 0 < len(strong) < 40
    assert repr(found).startswith(f"<Scan of 40 symbols: {len(found.long())} long, ")


def test_thresholds_decide() -> None:
    close = frame_of(20)
    strict = scan(close, long_threshold=0.9, short_threshold=-0.9, sort_by="given")
    for row, (_, direction) in zip(
        strict, atc(close, long_threshold=0.9, short_threshold=-0.9).direction.items(), strict=True
    ):
        assert row.direction == direction.iloc[-1]
    assert strict.params.long_threshold == 0.9
    assert [row.direction for row in strict] != [row.direction for row in scan(close, sort_by="given")]


def test_the_frame() -> None:
    found = scan(frame_of())
    frame = found.frame
    assert frame.columns[:8].tolist() == ["symbol", "direction", "turned", "age", "strength", "close", "bar", "behind"]
    assert frame.columns[8:12].tolist() == ["ema_signal", "ema_vote", "hma_signal", "hma_vote"]
    assert frame["symbol"].tolist() == [row.symbol for row in found]
    assert_same_bits(frame["kama_signal"], np.array([row.signals[5] for row in found]))
    assert frame["bar"].dtype.kind == "M"
    assert found.turned("long").frame.columns.tolist() == frame.columns.tolist()


def test_json(tmp_path: Path) -> None:
    close = frame_of(3).assign(NONE=np.nan)
    found = scan(close, {"ema_len": 21}, within=2)
    text = found.to_json(tmp_path / "scan.json")
    read = json.loads(text)
    assert json.loads((tmp_path / "scan.json").read_text()) == read
    assert read["params"]["ema_len"] == 21
    assert read["within"] == 2
    assert [row["symbol"] for row in read["symbols"]] == [row.symbol for row in found]
    last = read["symbols"][-1]
    assert (last["symbol"], last["strength"], last["bar"], last["ema_signal"]) == ("NONE", None, None, None)
    assert read["symbols"][0]["bar"] == close.index[-1].isoformat()
    assert read["symbols"][0]["strength"] == found.rows[0].strength
    odd = {("NYSE", "IBM"): walk(), pd.Timestamp("2024"): walk(), np.int64(3): walk(), None: walk()}
    names = [row["symbol"] for row in json.loads(scan(odd, sort_by="given").to_json())["symbols"]]
    assert names == ["('NYSE', 'IBM')", "2024-01-01T00:00:00", 3, None]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"within": 0}, ValueError, "within must be a whole number of bars >= 1; got 0"),
        ({"within": 1.5}, ValueError, "within must be"),
        ({"within": True}, ValueError, "within must be"),
        ({"min_strength": 2}, ValueError, "min_strength must be a number from 0 to 1; got 2"),
        ({"min_strength": "0.1"}, ValueError, "min_strength must be"),
        ({"min_strength": float("nan")}, ValueError, "min_strength must be"),
        ({"sort_by": "strenght"}, ValueError, "Did you mean 'strength'"),
        ({"emalen": 3}, TypeError, "emalen"),
        ({"ema_len": 3}, ValueError, "ema_len"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        scan("no prices are looked at", **arguments)


def test_bad_prices() -> None:
    with pytest.raises(ValueError, match="column 0 is zero at bar 1") as caught:
        scan({"A": walk(), "B": [1.0, 0.0]})
    assert caught.value.__notes__ == ["these are the prices of 'B'"]
    with pytest.raises(ValueError, match="has one column; this one has 2"):
        scan({"A": np.ones((3, 2))})
    with pytest.raises(ValueError, match="a mapping of symbols has no place for one"):
        scan({"A": walk()}, source={"A": walk()})
    for arguments in ({"params": AtcParams()}, {"ema_len": 9}, {"source": walk()}):
        with pytest.raises(ValueError, match="an AtcResult has a configuration"):
            scan(atc(walk()), **arguments)
    with pytest.raises(ValueError, match="side must be 'long', 'short' or None"):
        scan(walk()).turned("up")
    with pytest.raises(TypeError, match="prices cannot be read"):
        scan("AAPL")
