"""Outputs of single configurations out of the store: the bits of computing, whichever way they come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import items, walks, worth
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AtcParams, AtcResult, ParamGrid, atc, cache, engine, kept_components, kept_results, warm
from atc_plugin.cache.store import Store
from atc_plugin.params import TYPES

LONG = 400 if DISABLE_JIT else 25_000


def walk(bars: int, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.005, bars)))


def assert_same_outputs(got: AtcResult, expected: AtcResult, *, layers: bool = True) -> None:
    for name in ("average", "direction", "entries", "exits"):
        assert_same_bits(np.asarray(getattr(got, name)), np.asarray(getattr(expected, name)), name)
    for type_ in TYPES if layers else ():
        assert_same_bits(np.asarray(got.signals[type_]), np.asarray(expected.signals[type_]), f"signal of {type_}")
        assert_same_bits(np.asarray(got.weights[type_]), np.asarray(expected.weights[type_]), f"weight of {type_}")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of every engine function that is called."""
    calls: list[str] = []
    for name in ("verdict", "layers", "all_of_it", "resumable"):
        function = getattr(engine, name)

        def counting(*args: Any, _name: str = name, _function: Any = function) -> Any:
            calls.append(_name)
            return _function(*args)

        monkeypatch.setattr(engine, name, counting)
    return calls


# ---------------------------------------------------------------- hits
@pytest.mark.parametrize("params", [{}, {"strategy_mode": True, "cutout": 7, "hma_mode": "hull"}])
@pytest.mark.parametrize("from_disk", [False, True])
def test_a_second_call_computes_nothing(
    params: dict[str, Any], from_disk: bool, tmp_path: Path, computed: list[str]
) -> None:
    close = walks()
    expected = atc(close, cache=False, **params)
    assert_same_outputs(atc(close, cache=tmp_path, **params), expected)
    if from_disk:
        cache.settings.forget()
    computed.clear()
    again = atc(close, cache=tmp_path, **params)
    assert_same_outputs(again, atc(close, cache=tmp_path, **params))
    assert_same_outputs(again, expected)
    assert "resumable" not in computed


def test_a_short_result_is_held_in_memory_alone(
    computed: list[str], default_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_results, "BRIEF", 300)
    atc(walk(100), cache=False)  # the engine is loaded from here on
    for _ in range(2):
        atc(walk(299))  # too short even for that
    assert computed == ["verdict"] * 3
    assert cache.stats().hit_rate is None
    computed.clear()
    first, second = atc(walk(300)), atc(walk(300).tolist())
    assert computed == ["verdict"]
    assert_same_outputs(second, first, layers=False)
    assert items(default_cache) == []
    stats = cache.stats()
    assert [(row.level, row.kind, row.hits) for row in stats.rows] == [("recent", "result", 1)]


def test_a_long_result_is_kept_where_that_is_worth_it(
    computed: list[str], default_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_results, "LONG", LONG)
    worth(monkeypatch, 0)
    close = walk(LONG)
    first = atc(close)
    assert len(items(default_cache)) == 2  # the result, and where to find it for longer columns
    cache.settings.forget()
    computed.clear()
    assert_same_outputs(atc(close), first, layers=False)
    assert computed == []
    worth(monkeypatch, 1e9)
    atc(walk(LONG, seed=1))
    assert len(items(default_cache)) == 2


def test_what_is_handed_out_is_the_users_own(tmp_path: Path) -> None:
    close = walk(300)
    expected = atc(close, cache=False)
    for _ in range(3):
        result = atc(close, cache=tmp_path)
        assert_same_outputs(result, expected)
        result.average[:] = 7.0
        result.direction[:] = 7.0
        result.weights["EMA"][:] = 7.0
    for _ in range(3):  # in memory alone
        result = atc(close)
        assert_same_outputs(result, expected)
        result.average[:] = 7.0
        result.direction[:] = 7.0


def test_what_is_still_to_be_written_is_not_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_results, "LONG", 200)
    worth(monkeypatch, 0)
    close = walk(300)
    expected = atc(close, cache=False)
    for _ in range(2):
        result = atc(close)
        result.average[:] = 7.0
        result.direction[:] = 7.0
        result.one_column().direction[:] = 7
        result.one_column().close[:] = 7.0
        for array in result._kept.verdict():
            assert not array.flags.writeable
        cache.settings.forget()
    assert_same_outputs(atc(close), expected)


def test_what_is_held_in_memory_is_not_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_results, "BRIEF", 100)
    close = walk(300)
    expected = atc(close, cache=False)
    for _ in range(3):
        result = atc(close)
        assert_same_outputs(result, expected, layers=False)
        result.average[:] = 7.0
        result.one_column().direction[:] = 7
        for array in result._kept.verdict():
            assert not array.flags.writeable


def test_where_columns_end_belongs_to_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_results, "BRIEF", 100)
    gone = pd.DataFrame({"A": walk(300), "B": walk(300, seed=1)})
    gone.loc[299, "B"] = np.nan  # packed, the row ends with 1.0
    there = gone.fillna(1.0)
    for close in (gone, there, gone):
        assert_same_outputs(atc(close), atc(close, cache=False), layers=False)


def test_another_way_of_rounding_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = walk(300)
    atc(close, cache=tmp_path)
    for module in (kept_results, kept_components):
        monkeypatch.setattr(module, "platform_key", lambda: "growth=another")
    cache.reset_stats(cache=tmp_path)
    atc(close, cache=tmp_path)
    assert cache.stats(cache=tmp_path).hits == 0


def test_what_was_warmed_for_others_is_still_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    close = walk(5000 if not DISABLE_JIT else 300)
    monkeypatch.setattr(kept_results, "BRIEF", 100)
    warm(close, ParamGrid(ema_len=[10, 14]))
    cache.reset_stats()
    for _ in range(5):
        atc(close, ema_len=77)
    assert (cache.stats().hits, cache.stats().misses) == (4, 1)


def test_what_is_put_together_is_found_whole_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atc_plugin.warming._FEW", 0)
    close = walk(300)
    warm(close, ParamGrid(ema_len=[10, 14]))
    cache.settings.forget()
    for _ in range(3):
        assert_same_outputs(atc(close, ema_len=10), atc(close, ema_len=10, cache=False), layers=False)
    assert [(row.level, row.hits) for row in cache.stats().rows if row.kind == "result"] == [
        ("recent", 2),
        ("components", 1),
    ]


@pytest.mark.parametrize("with_cache", [False, True])
def test_without_a_cache_nothing_is_looked_up(with_cache: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if with_cache:
        cache.configure(enabled=False)
    monkeypatch.setattr(Store, "look", None)
    monkeypatch.setattr(Store, "look_many", None)
    atc(walk(300), cache=with_cache).signals["EMA"]


# ---------------------------------------------------------------- keys
SAME: dict[str, Any] = {
    "another index": lambda close: close.set_axis(pd.date_range("1999", periods=len(close))),
    "other names": lambda close: close.set_axis(["X", "Y", "Z"], axis=1),
    "a copy": lambda close: close.copy(),
    "column-major": lambda close: pd.DataFrame(np.asfortranarray(close.to_numpy()), close.index, close.columns),
    "an array": lambda close: close.to_numpy(),
    "one column": lambda close: close["B"].dropna(),
    "other gaps": lambda close: close.reindex(pd.date_range(close.index[0], periods=2 * len(close))),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_values_are_found(how: str, tmp_path: Path, computed: list[str]) -> None:
    close = walks()
    atc(close, cache=tmp_path, ema_len=28)
    computed.clear()
    for ema_len in (28, 28.0, np.int64(28)):
        got = atc(SAME[how](close), cache=tmp_path, ema_len=ema_len)
        assert_same_outputs(got, atc(SAME[how](close), cache=False), layers=False)
    assert "resumable" not in computed


def test_single_precision_of_the_same_values_is_found(tmp_path: Path, computed: list[str]) -> None:
    close = np.round(walk(300)).astype(np.float32)
    atc(close.astype(np.float64), cache=tmp_path)
    computed.clear()
    atc(close, cache=tmp_path)
    assert computed == []


@pytest.mark.parametrize(
    "other",
    [
        {"close": np.nextafter(walk(300), 0)},
        {"source": walk(300) + 1},
        {"ema_len": 27},
        {"decay": 0.030000000000000002},
        {"long_threshold": 0.2},
        {"strategy_mode": True},
    ],
    ids=str,
)
def test_what_differs_is_computed(other: dict[str, Any], tmp_path: Path, computed: list[str]) -> None:
    atc(walk(300), cache=tmp_path)
    computed.clear()
    changed = {"close": walk(300), **other}
    assert_same_outputs(atc(**changed, cache=tmp_path), atc(**changed, cache=False), layers=False)
    assert computed.count("resumable") == 1


def test_another_law_finds_nothing(tmp_path: Path, computed: list[str]) -> None:
    old, new = Store(tmp_path, version="0"), Store(tmp_path)
    atc(walk(300), cache=old)
    computed.clear()
    atc(walk(300), cache=new)
    assert "resumable" in computed
    assert new.statistics.snapshot()["misses"][0]["reason"] == "other law version"
    assert old.statistics.snapshot()["misses"][0]["reason"] == "never stored"


# ---------------------------------------------------------------- growing
@settings(max_examples=8 if DISABLE_JIT else 60)
@given(data=st.data(), params=atc_params(), strategy_mode=st.booleans())
def test_a_column_that_begins_with_a_kept_one_is_continued(
    data: st.DataObject, params: dict[str, Any], strategy_mode: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    configuration = AtcParams(**params, strategy_mode=strategy_mode)
    close = data.draw(prices(min_bars=2, max_bars=120 if DISABLE_JIT else 700))
    source = data.draw(source_for(close))
    cuts = sorted(data.draw(st.sets(st.integers(1, close.size), max_size=3)) | {close.size})
    folder = tmp_path_factory.mktemp("cache")
    with_layers = data.draw(st.booleans())
    for bars in cuts:
        led = None if source is None else source[:bars]
        got = atc(close[:bars], led, configuration, cache=folder)
        expected = atc(close[:bars], led, configuration, cache=False)
        assert_same_outputs(got, expected, layers=with_layers)
    shutil.rmtree(folder)


def test_only_new_bars_are_computed(tmp_path: Path) -> None:
    close = walk(LONG + 3)
    store = Store(tmp_path, size_limit=None)
    atc(close[:-3], cache=store)
    for bars in (LONG + 1, LONG + 3):
        assert_same_outputs(atc(close[:bars], cache=store), atc(close[:bars], cache=False), layers=False)
    hits = store.statistics.snapshot()["hits"]
    assert [(row["level"], row["count"]) for row in hits if row["kind"] == "result"] == [("earlier", 2)]


def test_a_column_that_differs_in_a_bar_is_none_that_has_grown(tmp_path: Path, computed: list[str]) -> None:
    close = walk(600)
    atc(close[:-1], cache=tmp_path)
    changed = close.copy()
    changed[500] = np.nextafter(changed[500], 0)
    assert_same_outputs(atc(changed, cache=tmp_path), atc(changed, cache=False), layers=False)
    assert cache.stats(cache=tmp_path).hits == 0


def test_columns_without_bars(tmp_path: Path) -> None:
    close = walks().assign(B=np.nan)
    for _ in range(2):
        assert_same_outputs(atc(close, cache=tmp_path), atc(close, cache=False))
