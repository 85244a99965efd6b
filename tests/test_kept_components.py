"""Components in the store: any configuration of a warmed grid is put together of them, to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits
from test_kept_results import assert_same_outputs, walk

from atc_plugin import AtcParams, ParamGrid, atc, engine, plan
from atc_plugin.cache.store import Store
from atc_plugin.growing import earlier_lengths, is_warmed, mark_as_warmed, remember
from atc_plugin.kept_components import are_kept, components_for, find_components, find_or_make, specs_of, specs_of_plan
from atc_plugin.keys import column_key
from atc_plugin.law.voting import average_of_components, direction_of_average
from atc_plugin.sweeps.components import components_of

GRID = ParamGrid(ema_len=[9, 10, 17, 40], kama_len=[12, 28], hma_mode=["sma", "hull"], decay=[0.03, 0.3])
BARS = 120 if DISABLE_JIT else 600


def test_what_is_made_is_found_and_has_the_bits_of_one_pass(tmp_path: Path) -> None:
    close, planned = walk(BARS), plan(GRID)
    expected = components_of(planned, close, close)
    specs = specs_of_plan(planned)
    store = Store(tmp_path)
    assert not are_kept(store, column_key(close, close), specs, True)
    rows, *blocks = find_or_make(store, specs, close, close)
    store.flush()
    assert blocks == [0, 0, 20]  # 10 ranges of lengths in two regimes
    for again in (
        rows,
        find_components(store, column_key(close, close), specs),
        find_components(Store(tmp_path), column_key(close, close), specs),
    ):
        assert again is not None
        assert_same_bits(np.stack([row.signals for row in again]), expected.signals)
        assert_same_bits(np.stack([row.weights for row in again]), expected.weights)
    assert are_kept(store, column_key(close, close), specs, True)
    assert find_or_make(store, specs[::-1], close, close)[1:] == (20, 0, 0)


def test_a_block_takes_further_lengths_and_keeps_those_it_has(tmp_path: Path) -> None:
    close, store = walk(BARS), Store(tmp_path)
    few, more = (specs_of_plan(plan(ParamGrid(ema_len=lengths))) for lengths in ([16, 18], [17, 20, 31]))
    find_or_make(store, few, close, close)
    assert not are_kept(store, column_key(close, close), more, True)
    assert find_components(store, column_key(close, close), more) is None
    assert find_or_make(store, more, close, close)[1:] == (5, 0, 1)
    store.flush()
    assert are_kept(store, column_key(close, close), [*few, *more], True)
    expected = components_of(plan(ParamGrid(ema_len=[16, 18])), close, close)
    assert_same_bits(np.stack([row.weights for row in find_or_make(store, few, close, close)[0]]), expected.weights)


def test_only_warmed_columns_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close, planned, store = walk(BARS), plan(GRID), Store(tmp_path)
    expected = components_of(planned, close, close)
    assert_same_bits(components_for(store, planned, close, close).weights, expected.weights)
    assert_same_bits(components_for(None, planned, close, close).weights, expected.weights)
    assert store.statistics.snapshot()["misses"] == []
    mark_as_warmed(store, close, close)
    assert_same_bits(components_for(store, planned, close, close).weights, expected.weights)
    assert store.statistics.snapshot()["hits"] == []  # there are none yet
    find_or_make(store.of_others(), specs_of_plan(planned), close, close)
    for _ in range(2):
        got = components_for(store, planned, close, close)
        for name, values in expected._asdict().items():
            assert_same_bits(getattr(got, name), values, name)
    assert sum(row["count"] for row in store.statistics.snapshot()["hits"]) == 2 * 20


@settings(max_examples=5 if DISABLE_JIT else 60)
@given(data=st.data(), params=atc_params(), strategy_mode=st.booleans())
def test_outputs_are_put_together_and_continued(
    data: st.DataObject, params: dict[str, Any], strategy_mode: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    configuration = AtcParams(**params, strategy_mode=strategy_mode)
    close = data.draw(prices(max_bars=120 if DISABLE_JIT else 500))
    source = data.draw(source_for(close))
    led = close if source is None else source
    folder = tmp_path_factory.mktemp("cache")
    store = Store(folder)
    bars = data.draw(st.integers(1, close.size))
    find_or_make(store, specs_of(configuration), close[:bars], led[:bars])
    mark_as_warmed(store, close[:bars], led[:bars])
    for end in (bars, close.size):
        given_source = None if source is None else source[:end]
        got = atc(close[:end], given_source, configuration, cache=store)
        assert_same_outputs(got, atc(close[:end], given_source, configuration, cache=False))
    store.flush()
    shutil.rmtree(folder)


@settings(max_examples=5 if DISABLE_JIT else 100)
@given(close=prices(max_bars=300), params=atc_params())
def test_votes_in_numpy_have_the_bits_of_the_kernels(close: np.ndarray, params: dict[str, Any]) -> None:
    configuration = AtcParams(**params)
    read = atc(close, params=configuration, cache=False)._prices
    said = engine.all_of_it(read, configuration)
    signals, weights = said.layers.signals[0], said.layers.weights[0]
    if np.isnan(signals[:, configuration.cutout :]).any():
        return  # bytes cannot say so
    hundredths = np.rint(np.nan_to_num(signals) * 100).astype(np.int8)
    average = average_of_components(hundredths, weights)
    assert_same_bits(average, said.verdict.average[0])
    direction = direction_of_average(average, configuration.long_threshold, configuration.short_threshold)
    assert_same_bits(direction, said.verdict.direction[0])


# ---------------------------------------------------------------- columns that grow
@pytest.mark.parametrize("bars", [8, 9, 100, 1500, 100_000])
def test_a_column_is_found_by_longer_ones_until_it_has_grown_by_a_quarter(bars: int, tmp_path: Path) -> None:
    store, close = Store(tmp_path), walk(2 * bars)
    remember(store, close[:bars])
    assert earlier_lengths(store, close[:bars]) == []
    for longer in (bars + 1, bars + bars // 8, bars + bars // 4):
        assert earlier_lengths(store, close[:longer]) == [bars]
    assert earlier_lengths(store, close) == []
    changed = close.copy()
    changed[bars // 4] += 1
    assert earlier_lengths(store, changed[: bars + 1]) == []
    remember(store, close[: bars + 1])
    assert earlier_lengths(store, close[: bars + 2]) == [bars + 1, bars]
    assert earlier_lengths(Store(tmp_path), close[: bars + 2]) == [bars + 1, bars]


def test_fewer_than_eight_bars_are_not_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path)
    remember(store, walk(7))
    remember(store, walk(0))
    assert earlier_lengths(store, walk(9)) == []


def test_what_was_warmed_stays_so_as_it_grows(tmp_path: Path) -> None:
    store, close = Store(tmp_path), walk(300)
    assert not is_warmed(store, close, close)
    mark_as_warmed(store, close[:260], close[:260])
    assert is_warmed(store, close[:260], close[:260])
    assert is_warmed(store, close, close)
    assert not is_warmed(store, close, close + 1)
    assert not is_warmed(store, close[:259], close[:259])


def test_what_overflows_is_not_put_together(tmp_path: Path) -> None:
    swing = 250 * np.sin(np.arange(BARS) / 9)  # over 500 decades: equities become infinite, signals NaN
    close = 10.0 ** (swing + np.random.default_rng(0).normal(0, 0.3, BARS))
    store, configuration = Store(tmp_path), AtcParams()
    find_or_make(store.of_others(), specs_of(configuration), close, close)
    store.flush()
    mark_as_warmed(store, close, close)
    got, expected = (atc(close, cache=kept)._kept.all_of_it() for kept in (store, False))
    assert np.isnan(expected.layers.signals).any()
    for name, values in expected.layers._asdict().items():
        assert_same_bits(getattr(got.layers, name), values, name)
