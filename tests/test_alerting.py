"""Alerts of a result and of a stream: the same for the same prices, and those of the directions."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AlertStream, AtcParams, AtcStream, alerts, atc
from atc_plugin.params import TYPES

EXAMPLES = 4 if DISABLE_JIT else 100
BARS = 50 if DISABLE_JIT else 250
COLUMNS = ["bar", "symbol", "of", "side", "value"]


def walk(n: int = BARS, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


def crossed(levels: np.ndarray, over: float, under: float) -> list[tuple[int, str]]:
    """Where and how levels turn, told plainly: a bar at a time, NaN skipped."""
    found, side, before = [], "", None
    for t, level in enumerate(levels.tolist()):
        if level != level:
            continue
        now = side
        if before is not None and level > over and before <= over:
            now = "long"
        if before is not None and level < under and before >= under:
            now = "short"
        if now != side:
            found.append((t, now))
        side, before = now, level
    return found


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray | None, AtcParams]:
    close = draw(prices(max_bars=BARS, nan_gaps=True))
    params = draw(atc_params(max_len=20 if DISABLE_JIT else 40))
    return close, draw(source_for(close, nan_gaps=True)), AtcParams(**params, strategy_mode=draw(st.booleans()))


@settings(max_examples=EXAMPLES)
@given(questions())
def test_alerts_are_where_average_and_signals_turn(question: Any) -> None:
    close, source, params = question
    result = atc(close, source, params)
    found = alerts(result)
    assert found.columns.tolist() == COLUMNS
    expected = {"average": crossed(result.average, params.long_threshold, params.short_threshold)}
    expected |= {type_: crossed(result.signals[type_], 0.49, -0.49) for type_ in TYPES}
    for of, turns in expected.items():
        rows = found[found["of"] == of]
        assert list(zip(rows["bar"], rows["side"], strict=True)) == turns
        levels = result.average if of == "average" else result.signals[of]
        assert_same_bits(rows["value"].to_numpy(float), levels[rows["bar"].to_numpy(int)])
    average = found[found["of"] == "average"]
    assert average["bar"][average["side"] == "long"].tolist() == np.flatnonzero(result.entries).tolist()
    assert average["bar"][average["side"] == "short"].tolist() == np.flatnonzero(result.exits).tolist()
    assert found["bar"].is_monotonic_increasing


@settings(max_examples=EXAMPLES)
@given(questions(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_stream_alerts_as_a_result_does(question: Any, share: float, seed: int) -> None:
    close, source, params = question
    rng = np.random.default_rng(seed)
    split = int(share * close.size)

    def lead(t: Any) -> Any:
        return None if source is None else source[t]

    stream = (
        AlertStream(params, history=close[:split], source_history=lead(slice(split))) if split else AlertStream(params)
    )
    heard: list[tuple[Any, ...]] = []
    if split and rng.random() < 0.3:  # the last bar of the history is still in progress
        wrong = close[:split].copy()
        wrong[-1] = rng.choice([17.0, np.nan])
        stream = AlertStream(params, history=wrong, source_history=lead(slice(split)))
        heard += [(split - 1, *alert) for alert in stream.replace(close[split - 1], lead(split - 1))]
        first = split - 1
    else:
        first = split
    for t in range(split, close.size):
        take = stream.update
        for _ in range(int(rng.choice([0, 0, 1, 3]))):
            take(float(rng.choice([close[t] * 1.05, close[t] * 0.9, np.nan, 1e-3])))
            take = stream.replace
        if rng.random() < 0.1:
            stream = rng.choice([copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])(stream)
            take = getattr(stream, take.__name__)
        heard += [(t, *alert) for alert in take(close[t], lead(t))]
    expected = alerts(atc(close, source, params))
    expected = expected[expected["bar"] >= first]
    assert [(t, of, side) for t, _, of, side, _ in heard] == list(
        expected[["bar", "of", "side"]].itertuples(index=False, name=None)
    )
    assert_same_bits(np.array([value for *_, value in heard], float), expected["value"].to_numpy(float))


@pytest.mark.parametrize("wrong", [17.0, 1000.0, np.nan])
def test_the_last_bar_of_a_history_is_still_in_progress(wrong: float) -> None:
    close = walk(BARS, 5)
    expected = alerts(atc(close))
    for end in range(BARS // 2, BARS):
        past = np.append(close[: end - 1], wrong)
        stream = AlertStream(history=past)
        heard = [(end - 1, *alert) for alert in stream.replace(close[end - 1])]
        if end < BARS:
            heard += [(end, *alert) for alert in stream.update(close[end])]
        those = expected[expected["bar"].isin([end - 1, end])]
        assert [(bar, of, side) for bar, _, of, side, _ in heard] == list(
            those[["bar", "of", "side"]].itertuples(index=False, name=None)
        )


@settings(max_examples=max(EXAMPLES // 4, 2))
@given(st.data())
def test_a_stream_of_many_symbols_alerts_as_a_result_does(data: st.DataObject) -> None:
    n, count = data.draw(st.integers(2, BARS)), data.draw(st.integers(1, 4))
    columns = [data.draw(prices(min_bars=n, max_bars=n, nan_gaps=True)) for _ in range(count)]
    params = AtcParams(**data.draw(atc_params(max_len=20 if DISABLE_JIT else 40)))
    frame = pd.DataFrame(dict(zip("ABCD", columns, strict=False)), pd.date_range("2024", periods=n))
    split = data.draw(st.integers(0, n - 1))
    stream = AlertStream(params, history=frame[:split], symbols=list(frame))
    heard = []
    for day, row in frame[split:].iterrows():
        if data.draw(st.booleans()):
            stream.update(row.to_numpy() * 1.1)
            heard += [(day, *alert) for alert in stream.replace(row)]
        else:
            heard += [(day, *alert) for alert in stream.update(row)]
    expected = alerts(atc(frame, params=params))
    expected = expected[expected["bar"] >= frame.index[split]]
    assert heard == list(expected.itertuples(index=False, name=None))
    assert stream.symbols == tuple(frame)


def test_only_what_is_asked_for() -> None:
    short = {f"{type_.lower()}_len": 9 for type_ in TYPES}
    close = np.round(100 + 10 * np.sin(np.arange(BARS) / 4), 2)
    result = atc(pd.DataFrame({"A": close, "B": close[::-1]}), params=short)
    whole = alerts(result)
    assert set(whole["of"]) == {"average", *TYPES}
    for of in ("average", ["KAMA", "EMA"], []):
        names = [of] if isinstance(of, str) else of
        pd.testing.assert_frame_equal(
            alerts(result, of), whole[whole["of"].isin(names)].reset_index(drop=True), check_dtype=False
        )
        stream = AlertStream(short, of=of)
        heard = [alert.of for price in close.tolist() for alert in stream.update(price)]
        assert set(heard) == set(names)
    for bad in (lambda: alerts(result, "EMAS"), lambda: AlertStream(of=["average", "EMAS"])):
        with pytest.raises(ValueError, match=r"no source of alerts 'EMAS'.*Did you mean 'EMA'"):
            bad()


def test_a_signal_that_falls_back_within_the_levels_alerts_no_second_time() -> None:
    signal = np.array([np.nan, 0.6, 0.49, 0.5, 0.1, 0.6, -0.49, -0.5, np.nan, 0.2, -0.8, 0.7])
    assert crossed(signal, 0.49, -0.49) == [(3, "long"), (7, "short"), (11, "long")]  # of the plain form above


def test_what_the_stream_refuses_changes_nothing() -> None:
    stream, untouched = AlertStream(history=walk(80)), AlertStream(history=walk(80))
    for take in (stream.update, stream.replace):
        with pytest.raises(ValueError, match="infinite"):
            take(float("inf"))
        with pytest.raises(TypeError, match="must be a number"):
            take("1")
    for price in walk(BARS, 3):
        assert stream.update(price) == untouched.update(price)
    with pytest.raises(ValueError, match="no bar to replace"):
        AlertStream().replace(1.0)


def test_the_bar_behind_the_alerts() -> None:
    stream, plain = AlertStream(history=walk(80), ema_len=21), AtcStream(history=walk(80), ema_len=21)
    stream.update(101.5)
    assert stream.last.average == plain.update(101.5).average
    assert AlertStream().last is None
    assert AlertStream().symbols is None


def test_empty_results() -> None:
    found = alerts(atc(np.full(30, 5.0)))
    assert found.empty
    assert found.columns.tolist() == COLUMNS
    assert alerts(atc(np.full((30, 2), np.nan))).empty
