"""The engine against the plain law, to the bit, and the properties that the law promises."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import Any

import numpy as np
import pytest
from fast_law import fast_atc
from golden_files import GOLDEN, load_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from plain_law import PlainResult, plain_atc
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AtcParams, atc
from atc_plugin.law import growth
from atc_plugin.law.growth import growth_probe, growth_table
from atc_plugin.law.layout import lay_out
from atc_plugin.law.stream import growth_factor
from atc_plugin.law.window_averages import BARS
from atc_plugin.params import OFFSETS, TYPES

FIELDS = [field.name for field in dataclasses.fields(PlainResult)]
EXAMPLES = 5 if config.DISABLE_JIT else 300


def assert_equal_results(got: PlainResult, expected: PlainResult, what: str = "") -> None:
    for name in FIELDS:
        assert_same_bits(getattr(got, name), getattr(expected, name), f"{what} {name}")


def walk(n: int, seed: int = 0, digits: int = 2) -> np.ndarray:
    return np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n))), digits)


# ---------------------------------------------------------------- against outside results and the plain law
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    params, arrays = load_golden(name)
    got = fast_atc(arrays["close"], arrays.get("source"), **params)
    names = {"layer1_signals": "signals", "layer2_equities": "weights"}
    for key, expected in arrays.items():
        if key not in ("close", "source"):
            assert_same_bits(getattr(got, names.get(key, key)), expected, f"{name} {key}")


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_the_engine_is_the_plain_law(data: st.DataObject) -> None:
    close = data.draw(prices(max_bars=400, nan_gaps=True), "close")
    source = data.draw(source_for(close, nan_gaps=True), "source")
    params = data.draw(atc_params(), "params")
    params["strategy_mode"] = data.draw(st.booleans(), "strategy_mode")
    assert_equal_results(fast_atc(close, source, **params), plain_atc(close, source, **params))


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("n", [1, 2, 5, 27, 28, 29, BARS - 1, BARS, BARS + 1, 3 * BARS + 7])
def test_lengths_of_series_around_the_tile(n: int, hma_mode: str) -> None:
    close = walk(n, seed=n)
    assert_equal_results(fast_atc(close, hma_mode=hma_mode), plain_atc(close, hma_mode=hma_mode), f"{n} bars")


@pytest.mark.parametrize("cutout", [1, 2, BARS - 1, BARS, BARS + 1, 300, 499, 500, 501, 10**30])
def test_cutouts_around_the_tile(cutout: int) -> None:
    close = walk(500)
    assert_equal_results(
        fast_atc(close, cutout=cutout, lambda_=3.0), plain_atc(close, cutout=min(cutout, 10**6), lambda_=3.0)
    )


@pytest.mark.skipif(config.DISABLE_JIT, reason="too many bars for Python")
@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
def test_a_long_series(hma_mode: str) -> None:
    close = walk(60_000, digits=1)
    params = {"hma_mode": hma_mode, "ema_len": 200, "kama_len": 150, "dema_len": 177, "hma_len": 133, "lsma_len": 8}
    assert_equal_results(fast_atc(close, **params), plain_atc(close, **params))


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("robustness", OFFSETS)
def test_lengths_at_the_legal_minimum(robustness: str, hma_mode: str) -> None:
    least = OFFSETS[robustness][-1] + 1
    lengths = {f"{type_.lower()}_len": least for type_ in TYPES}
    lengths["hma_len"] += hma_mode == "hull"
    params = {**lengths, "robustness": robustness, "hma_mode": hma_mode}
    for close in (walk(300), np.round(walk(300) / 10, 1)):
        assert_equal_results(fast_atc(close, **params), plain_atc(close, **params), robustness)
    source = np.where(np.arange(300) % 7 == 0, -0.0, walk(300, 4))  # a source may be zero, of either sign
    assert_equal_results(fast_atc(walk(300), source, **params), plain_atc(walk(300), source, **params), robustness)


def test_a_length_of_many_times_the_series() -> None:
    close = walk(200)
    huge, long = (
        {"ema_len": 10**18, "kama_len": 10**12, "lsma_len": 10**9},
        dict.fromkeys(["ema_len", "kama_len", "lsma_len"], 5000),
    )
    assert_same_bits(atc(close, **huge).average, atc(close, **long).average)
    assert_equal_results(fast_atc(close, **long), plain_atc(close, **long))


def test_prices_near_the_ends_of_the_doubles() -> None:
    params = {"dema_len": 7, "lsma_len": 7, "ema_len": 7}
    for scale in (1.2e306, 1.5e308 / 150, 1e-308, 1e-320):
        close = walk(300, digits=6) * scale
        assert_equal_results(fast_atc(close, **params), plain_atc(close, **params), f"{scale}")


# ---------------------------------------------------------------- words of the law that are rarely used
def test_ties_of_close_and_average_keep_the_state() -> None:
    close = np.concatenate([walk(60), np.full(80, 101.5), walk(60, 1), np.full(60, 99.0)])
    got = fast_atc(close)
    assert_equal_results(got, plain_atc(close))
    ties = got.moving_averages == close
    assert ties.sum() > 500
    assert np.isin(got.states[ties], [-1, 1]).any()


def test_a_constant_price_never_gets_a_state() -> None:
    got = fast_atc(np.full(300, 7.25))
    assert_equal_results(got, plain_atc(np.full(300, 7.25)))
    assert not got.states[:5].any()  # KAMA starts at 0, so it crosses
    assert_same_bits(got.signals[:5], np.zeros((5, 300)))


def test_a_start_below_the_floor_starts_at_the_floor() -> None:
    got = fast_atc(walk(100), ema_w=0.01)
    assert got.weights[0, 0] == 0.25


def test_rsum_rebaselines_often_on_a_tick_grid() -> None:
    close = np.round(walk(3000 if not config.DISABLE_JIT else 300) / 100, 3)
    assert_equal_results(fast_atc(close), plain_atc(close))


def test_equities_that_overflow_stay_the_law_s() -> None:
    close = 10.0 ** (100 * np.sin(np.arange(300) / 9))
    params = {"lambda_": 1e6, "decay": 0.0}
    got = fast_atc(close, **params)
    assert_equal_results(got, plain_atc(close, **params))
    assert np.isnan(got.average[50:]).any()


# ---------------------------------------------------------------- properties
@settings(max_examples=max(EXAMPLES // 5, 2))
@given(prices(min_bars=2, max_bars=400, nan_gaps=True), atc_params(), st.floats(0, 1))
def test_nothing_repaints(close: np.ndarray, params: dict[str, Any], share: float) -> None:
    n = max(1, int(share * close.size))
    whole, beginning = fast_atc(close, **params), fast_atc(close[:n], **params)
    for name in FIELDS:
        assert_same_bits(getattr(whole, name)[..., :n], getattr(beginning, name), name)


@settings(max_examples=max(EXAMPLES // 5, 2))
@given(prices(max_bars=300, nan_gaps=True), atc_params())
def test_a_nan_bar_is_not_a_bar(close: np.ndarray, params: dict[str, Any]) -> None:
    bars = ~np.isnan(close)
    whole = fast_atc(close, **params)
    assert np.isnan(whole.average[~bars]).all()
    assert np.isnan(whole.direction[~bars]).all()
    assert not whole.entries[~bars].any()
    if bars.any():
        packed = fast_atc(close[bars], **params)
        for name in FIELDS:
            assert_same_bits(getattr(whole, name)[..., bars], getattr(packed, name), name)


@settings(max_examples=max(EXAMPLES // 10, 2))
@given(st.data(), atc_params())
def test_columns_are_independent(data: st.DataObject, params: dict[str, Any]) -> None:
    n = data.draw(st.integers(1, 200))
    columns = [data.draw(prices(min_bars=n, max_bars=n, nan_gaps=True)) for _ in range(data.draw(st.integers(1, 4)))]
    together = atc(np.stack(columns, axis=1), **params)
    for c, close in enumerate(columns):
        alone = atc(close, **params)
        assert_same_bits(together.average[:, c], alone.average)
        assert_same_bits(together.direction[:, c], alone.direction)
        assert_same_bits(together.weights["KAMA"][:, c], alone.weights["KAMA"])
        assert_same_bits(together.equities["DEMA"][:, c], alone.equities["DEMA"])


@settings(max_examples=max(EXAMPLES // 10, 2))
@given(prices(regimes=("walk", "flat", "ticks", "crossing")), atc_params(), st.integers(-60, 60))
def test_scaling_by_a_power_of_two_changes_no_signal(close: np.ndarray, params: dict[str, Any], power: int) -> None:
    scaled, plain = fast_atc(close * 2.0**power, **params), fast_atc(close, **params)
    for name in FIELDS:
        if name != "moving_averages":
            assert_same_bits(getattr(scaled, name), getattr(plain, name), name)


def test_many_columns_on_threads_are_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    n, k = (150, 7) if config.DISABLE_JIT else (2000, 50)
    frame = np.stack([walk(n, seed) for seed in range(k)], axis=1)
    frame[::11, 3] = np.nan
    monkeypatch.setattr("atc_plugin.engine._THREAD_BARS", 1)
    outputs = []
    for jobs in ("1", "2", "7", "100"):
        monkeypatch.setenv("ATC_JOBS", jobs)
        result = atc(frame)
        outputs.append((result.average, result.direction, result.weights["WMA"], result.states["HMA"]))
    for others in outputs[1:]:
        for got, expected in zip(others, outputs[0], strict=True):
            assert_same_bits(got, expected)


# ---------------------------------------------------------------- growth and layout
@pytest.mark.parametrize("lam", [2e-5, 0.0, 5e-4, 1e-9, 0.123])
def test_growth_is_python_s_power(lam: float) -> None:
    table = growth_table(5000, lam)
    assert_same_bits(table, np.array([math.e ** (lam * i) for i in range(5000)]))


def test_growth_beyond_the_doubles_is_infinite() -> None:
    assert math.isinf(growth_table(1000, 1.0)[-1])
    assert growth_table(1000, -1.0)[-1] == 0.0


@pytest.mark.parametrize("lam", [2e-5, 0.0, 0.0123, 0.2])
def test_the_stream_grows_by_the_same_table(lam: float) -> None:
    table = growth_table(4096, lam)
    assert_same_bits(np.array([growth_factor(i, lam) for i in range(table.size)]), table)


def test_growth_probe_tells_one_rounding_of_the_table_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = growth_probe()
    powers = np.array([math.pow(math.e, 2e-5 * i) for i in range(4096)])
    assert ours == hashlib.sha256(powers.tobytes()).hexdigest()[:16]
    table = growth_table(4096, 2e-5).copy()
    monkeypatch.setattr(growth, "growth_table", lambda n, lam: table)
    growth_probe.cache_clear()
    assert growth_probe() == ours
    table[1234] = np.nextafter(table[1234], 2)
    growth_probe.cache_clear()
    assert growth_probe() != ours
    growth_probe.cache_clear()


def test_layout_gives_each_distinct_member_one_lane() -> None:
    lengths = AtcParams().lengths("EMA")
    longer = AtcParams(ema_len=29).lengths("EMA")
    places = lay_out((("EMA", lengths), ("EMA", longer), ("HULL", lengths), ("WMA", lengths)))
    distinct = len({*lengths, *longer})
    assert places.members == distinct + 18
    assert {*places.components[0]} & {*places.components[1]}
    assert sorted({*places.components.ravel()}) == list(range(places.members))
