"""The stream against `atc` on the whole series, to the bit: however the bars came, were replaced, kept and restored."""

from __future__ import annotations

import copy
import pickle
import struct
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import REGIMES, atc_params, prices, source_for
from same_bits import assert_same_bits
from xxhash import xxh3_128_digest

from atc_plugin import AtcParams, AtcStream, atc
from atc_plugin.law import stream_layout as layout
from atc_plugin.law.growth import growth_table
from atc_plugin.law.stream import advance
from atc_plugin.params import OFFSETS, TYPES

EXAMPLES = 4 if DISABLE_JIT else 150
BARS = 50 if DISABLE_JIT else 300
PRICES = {"max_bars": BARS, "nan_gaps": True}


def walk(n: int, seed: int = 0, digits: int = 2) -> np.ndarray:
    return np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n))), digits)


class Outputs(NamedTuple):
    """What a stream and `atc` both give, bars in the last axis."""

    average: np.ndarray
    direction: np.ndarray
    entered: np.ndarray
    exited: np.ndarray
    signals: np.ndarray
    weights: np.ndarray

    def pick(self, where: Any) -> Outputs:
        return Outputs(*(values[..., where] for values in self))


def of_atc(close: np.ndarray, source: np.ndarray | None, params: Any) -> Outputs:
    r = atc(close, source, params)
    layers = (np.stack([outputs[type_] for type_ in TYPES]) for outputs in (r.signals, r.weights))
    return Outputs(r.average, r.direction, r.entries, r.exits, *layers)


def of_bars(bars: list[Any]) -> Outputs:
    return Outputs(*(np.stack([np.asarray(getattr(b, name)) for b in bars], axis=-1) for name in Outputs._fields))


def assert_same(got: Outputs, expected: Outputs) -> None:
    for name, ours, theirs in zip(Outputs._fields, got, expected, strict=True):
        assert_same_bits(ours, theirs, name)


def at(source: np.ndarray | None, t: Any) -> Any:
    return None if source is None else source[t]


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray | None, AtcParams]:
    """Prices, perhaps a source, and parameters."""
    close = draw(prices(**PRICES))
    params = draw(atc_params(max_len=20 if DISABLE_JIT else 60))
    return close, draw(source_for(close, nan_gaps=True)), AtcParams(**params, strategy_mode=draw(st.booleans()))


# ---------------------------------------------------------------- one symbol
@settings(max_examples=EXAMPLES)
@given(questions(), st.floats(0, 1))
def test_any_split_into_history_and_updates(question: Any, share: float) -> None:
    close, source, params = question
    expected = of_atc(close, source, params)
    split = int(share * close.size)
    history = {"history": close[:split], "source_history": at(source, slice(split))}
    stream = AtcStream(params, **(history if split or share > 0.5 else {}))
    if split:
        assert_same(of_bars([stream.last]), expected.pick([split - 1]))
    bars = [stream.update(close[t], at(source, t)) for t in range(split, close.size)]
    if bars:
        assert_same(of_bars(bars), expected.pick(slice(split, None)))
        assert stream.last is bars[-1]
    is_bar = ~np.isnan(close if source is None else close + source)
    assert stream.bars == is_bar.sum()
    assert stream.initialized == (stream.bars > params.cutout + params.strategy_mode)


@settings(max_examples=EXAMPLES)
@given(questions(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_any_replaces_snapshots_and_resets_in_between(question: Any, share: float, seed: int) -> None:
    close, source, params = question
    rng = np.random.default_rng(seed)
    split = int(share * close.size)
    stream = AtcStream(params)
    if rng.random() < 0.3:
        for price in walk(int(rng.integers(1, 40)), seed):
            stream.update(price)
        stream.reset()
        assert stream.bars == 0
        assert stream.last is None
    if split:
        past = close[:split].copy()
        wrong = rng.random() < 0.5
        if wrong:
            past[-1] = rng.choice([17.0, np.nan])
        stream = AtcStream(params, history=past, source_history=at(source, slice(split)))
        if wrong:
            stream.replace(close[split - 1], at(source, split - 1))
    bars = [stream.last] if split else []
    for t in range(split, close.size):
        take = stream.update
        for _ in range(int(rng.choice([0, 0, 1, 3]))):
            price = rng.choice([close[t] * 1.01, close[t - 1], np.nan, 1e-3, 1e200])
            take(float(price), rng.choice([None, 5.0, np.nan, -0.0]))
            take = stream.replace
            if rng.random() < 0.1:
                stream = AtcStream.restore(stream.snapshot())
                take = stream.replace
        bars.append(take(close[t], at(source, t)))
        if rng.random() < 0.05:
            stream = AtcStream.restore(stream.snapshot())
            assert_same(of_bars([stream.last]), of_bars(bars[-1:]))
    assert_same(of_bars(bars), of_atc(close, source, params).pick(slice(max(split - 1, 0), None)))


@settings(max_examples=max(EXAMPLES // 4, 2))
@given(questions())
def test_update_then_replace_by_nan_restores_the_exact_state(question: Any) -> None:
    close, source, params = question
    stream = AtcStream(params, history=close, source_history=source)
    bars = stream.bars
    before = of_bars([stream.update(101.0), stream.update(102.5)])
    stream.replace(float("nan"))
    assert stream.bars == bars + 1
    assert np.isnan(stream.last.average)
    again = stream.update(102.5)
    assert_same(of_bars([again]), before.pick([1]))
    stream.update(float("nan"))
    assert stream.bars == bars + 2
    expected = stream.replace(7.0)  # after a call without a bar there is none to take back
    assert stream.bars == bars + 3
    stream.replace(float("nan"))
    assert_same(of_bars([stream.update(7.0)]), of_bars([expected]))


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("robustness", OFFSETS)
def test_lengths_at_the_legal_minimum(robustness: str, hma_mode: str) -> None:
    least = OFFSETS[robustness][-1] + 1
    lengths = {f"{type_.lower()}_len": least for type_ in TYPES}
    lengths["hma_len"] += hma_mode == "hull"
    params = AtcParams(**lengths, robustness=robustness, hma_mode=hma_mode)
    close = np.round(walk(BARS) / 10, 1)
    source = np.where(np.arange(BARS) % 7 == 0, -0.0, walk(BARS, 4))  # a source may be zero, of either sign
    for lead in (None, source):
        stream = AtcStream(params)
        got = of_bars([stream.update(close[t], at(lead, t)) for t in range(BARS)])
        assert_same(got, of_atc(close, lead, params))


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("longest", [15, 16, 17])
def test_rings_hold_the_longest_average_and_the_bar_in_progress(longest: int, hma_mode: str) -> None:
    for only in TYPES:
        lengths = {f"{type_.lower()}_len": longest - 6 if type_ == only else 8 for type_ in TYPES}
        params = AtcParams(hma_mode=hma_mode, **lengths)
        stream, close, bars = AtcStream(params, symbols=1), walk(48), []
        insides = []
        for price in close:
            stream.update([price + 3])
            bars.append(stream.replace([price]))
            insides.append(inside(stream))
        got, whole = of_bars(bars), atc(close, params=params)
        assert_same_bits(got.average[0], whole.average)
        for type_ in TYPES:
            assert_same_bits(np.concatenate([i[f"equities {type_}"] for i in insides]), whole.equities[type_], type_)
        assert_same_bits(np.concatenate([i["KAMA"] for i in insides]), whole.moving_averages["KAMA"])
        if hma_mode == "sma":
            assert_same_bits(np.concatenate([i["HMA"] for i in insides]), whole.moving_averages["HMA"])


@pytest.mark.parametrize("scale", [1.2e306, 1.5e308 / 150, 1e-308, 1e-320])
def test_prices_near_the_ends_of_the_doubles(scale: float) -> None:
    close = walk(BARS, digits=6) * scale
    params = AtcParams(dema_len=7, lsma_len=7, ema_len=7)
    stream = AtcStream(params)
    assert_same(of_bars([stream.update(price) for price in close]), of_atc(close, None, params))


def test_constant_prices_and_equities_that_overflow() -> None:
    for close, params in (
        (np.full(BARS, 7.25), AtcParams()),
        (10.0 ** (100 * np.sin(np.arange(BARS) / 9)), AtcParams(lambda_=1e6, decay=0.0)),
    ):
        stream = AtcStream(params)
        assert_same(of_bars([stream.update(price) for price in close]), of_atc(close, None, params))


@pytest.mark.skipif(DISABLE_JIT, reason="too many bars for Python")
@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
def test_long_averages_and_a_long_series(hma_mode: str) -> None:
    close = walk(20_000, digits=1)
    params = AtcParams(
        hma_mode=hma_mode, ema_len=200, kama_len=150, dema_len=177, hma_len=1_000, lsma_len=8, cutout=999
    )
    stream = AtcStream(params, history=close[:15_000])
    got = of_bars([stream.update(price) for price in close[15_000:]])
    assert_same(got, of_atc(close, None, params).pick(slice(15_000, None)))


@pytest.mark.parametrize("cutout", [0, 1, 2, 31, BARS - 1, BARS, 10**30])
def test_growth_counts_from_the_cutout(cutout: int) -> None:
    params = AtcParams(cutout=cutout, lambda_=3.0)
    close = walk(BARS)
    stream = AtcStream(params)
    assert_same(of_bars([stream.update(price) for price in close]), of_atc(close, None, params))
    assert stream.initialized == (cutout < BARS)
    assert growth_table(2, 3.0)[0] == 1.0


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_an_average_that_comes_from_the_threshold_itself_crosses_it(slope: float) -> None:
    close = np.concatenate([np.full(45, 100.0), 100.0 + slope * np.arange(1, 20)])
    params = AtcParams(long_threshold=0.0, short_threshold=0.0, kama_w=0.25)
    stream = AtcStream(params)
    got = of_bars([stream.update(price) for price in close])
    assert_same(got, of_atc(close, None, params))
    assert got.average[44] == 0.0
    assert got.direction[-1] == slope


# ---------------------------------------------------------------- many symbols
@settings(max_examples=max(EXAMPLES // 3, 2))
@given(st.data(), st.integers(0, 2**32 - 1))
def test_many_symbols_are_as_many_streams(data: st.DataObject, seed: int) -> None:
    params = AtcParams(**data.draw(atc_params(max_len=20 if DISABLE_JIT else 40)))
    n = data.draw(st.integers(1, BARS // 2))
    k = data.draw(st.integers(1, 4))
    columns = [data.draw(prices(min_bars=n, max_bars=n, nan_gaps=True)) for _ in range(k)]
    close = np.stack(columns, axis=1)
    source = np.stack([np.round(column * 1.01, 2) for column in columns], axis=1) if data.draw(st.booleans()) else None
    rng = np.random.default_rng(seed)
    split = int(rng.integers(0, n + 1))
    expected = [of_atc(column, None if source is None else source[:, c], params) for c, column in enumerate(columns)]

    stream = AtcStream(params, symbols=k, history=close[:split], source_history=at(source, slice(split)))
    bars = []
    for t in range(split, n):
        take = stream.update
        if rng.random() < 0.3:
            take(np.where(rng.random(k) < 0.4, np.nan, close[t] * 1.02), at(source, t))
            take = stream.replace
        if rng.random() < 0.1:
            stream = AtcStream.restore(stream.snapshot())
            take = stream.replace if take.__name__ == "replace" else stream.update
        bars.append(take(close[t], at(source, t)))
    if bars:
        got = of_bars(bars)
        for c, each in enumerate(expected):
            column = Outputs(*(values[..., c, :] for values in got))
            assert_same(column, each.pick(slice(split, None)))
    is_bar = ~np.isnan(close if source is None else close + source)
    assert_same_bits(stream.bars, is_bar.sum(axis=0))
    assert_same_bits(stream.initialized, stream.bars > params.cutout)


def inside(stream: AtcStream) -> dict[str, np.ndarray]:
    """What the state holds after the last bar that no output shows the last bits of, (symbols, 9) each."""
    rows = stream._state.reshape(-1, stream._layout.fresh.size)
    copies = rows[:, layout.HEADER : stream._layout.integers[layout.X]].reshape(len(rows), 2, -1)
    newest = copies[np.arange(len(rows)), rows[:, layout.SIDE].astype(int)]
    part = {
        name: newest[:, getattr(layout, name) :][:, :9] for name in ("EMA", "DEMA", "DEMA_SECOND", "KAMA", "HMA_SUM")
    }
    members = newest[:, layout.SIGNED :][:, : layout.MEMBERS].reshape(-1, 9, 8)
    equities = {f"equities {type_}": np.abs(members[:, :, i]) for i, type_ in enumerate(TYPES)}
    with np.errstate(all="ignore"):
        averages = {"EMA": part["EMA"], "DEMA": 2 * part["DEMA"] - part["DEMA_SECOND"], "KAMA": part["KAMA"]}
        if stream.params.hma_mode == "sma":
            full = stream.bars[:, np.newaxis] >= stream.params.lengths("HMA")
            averages["HMA"] = np.where(full, part["HMA_SUM"] / stream.params.lengths("HMA"), np.nan)
    return averages | equities


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("regime", REGIMES)
def test_hundreds_of_series_at_once(regime: str, hma_mode: str) -> None:
    count, n = (2, 45) if DISABLE_JIT else (400, 90)
    rng = np.random.default_rng(7)
    with np.errstate(all="ignore"):
        close = np.stack([REGIMES[regime](rng, n).astype(np.float64) for _ in range(count)], axis=1)
    lengths = dict(zip(TYPES, (9, 23, 17, 8, 8, 21), strict=True))
    params = AtcParams(hma_mode=hma_mode, **{f"{type_.lower()}_len": length for type_, length in lengths.items()})
    stream = AtcStream(params, symbols=count)
    bars, insides = [], []
    for row in close:
        bars.append(stream.update(row))
        insides.append(inside(stream))
    got, whole = of_bars(bars), atc(close, params=params)
    assert_same_bits(got.average, whole.average.T)
    assert_same_bits(got.direction, whole.direction.T)
    for i, type_ in enumerate(TYPES):
        assert_same_bits(got.signals[i], whole.signals[type_].T, type_)
        assert_same_bits(got.weights[i], whole.weights[type_].T, type_)
        assert_same_bits(np.stack([each[f"equities {type_}"] for each in insides]), whole.equities[type_], type_)
        if type_ in insides[0]:
            assert_same_bits(np.stack([each[type_] for each in insides]), whole.moving_averages[type_], type_)


def test_the_last_bar_of_a_filling_sum_of_moves() -> None:
    close = np.array([0.36, 1.14, 3.09, 0.85, 0.62, 1.5])  # at length 3 adding plainly is another sum
    params = AtcParams(kama_len=7)
    stream = AtcStream(params, symbols=1)
    made = []
    for price in close:
        stream.update([price])
        made.append(inside(stream)["KAMA"][0])
    assert_same_bits(np.stack(made), atc(close, params=params).moving_averages["KAMA"])


def test_growth_counts_the_bars_of_each_symbol() -> None:
    close = np.stack([walk(BARS, seed) for seed in range(4)], axis=1)
    close[:10, 1] = close[20:35, 2] = np.nan
    params = AtcParams(lambda_=20.0, cutout=3)
    stream = AtcStream(params, symbols=4)
    got = of_bars([stream.update(row) for row in close])
    for c in range(4):
        assert_same(Outputs(*(values[..., c, :] for values in got)), of_atc(close[:, c], None, params))


def test_a_frame_gives_names_and_shapes() -> None:
    frame = pd.DataFrame({"A": walk(60), "B": walk(60, 1)}, pd.date_range("2024", periods=60))
    stream = AtcStream(history=frame)
    assert stream.symbols == ("A", "B")
    bar = stream.update(pd.Series([100.0, 101.0], ["A", "B"]))
    assert bar.average.shape == bar.direction.shape == bar.entered.shape == (2,)
    assert bar.signals.shape == bar.weights.shape == (6, 2)
    assert repr(bar) == "<Bar of 2 symbols>"
    assert repr(stream) == "<AtcStream of 2 symbols>"
    assert AtcStream.restore(stream.snapshot()).symbols == ("A", "B")
    assert AtcStream(history=frame[:0]).symbols == ("A", "B")
    assert AtcStream(symbols=["A", "B"], history=frame.to_numpy()).symbols == ("A", "B")
    assert AtcStream(symbols=2, history=frame).symbols == ("A", "B")
    assert AtcStream(symbols=2).symbols == (0, 1)
    with pytest.raises(ValueError, match="names other symbols, or in another order"):
        stream.update(pd.Series([100.0, 101.0], ["B", "A"]))
    assert AtcStream(history=frame["A"]).symbols is None
    stream.update([100, 101])  # whole numbers and lists are numbers too
    frozen = np.array([100.0, 101.0])
    frozen.flags.writeable = False
    stream.update(frozen)


def test_names_of_symbols_survive_a_snapshot() -> None:
    names = [("NYSE", "IBM"), 7, None, 2.5, "x", pd.Timestamp("2024-01-01")]
    restored = AtcStream.restore(AtcStream(symbols=names).snapshot())
    assert restored.symbols == (*names[:-1], "2024-01-01 00:00:00")


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("price", "source", "error", "words"),
    [
        (float("inf"), None, ValueError, "price is infinite"),
        (-float("inf"), 1.0, ValueError, "price is infinite"),
        (1.0, float("inf"), ValueError, "source is infinite"),
        (0.0, None, ValueError, "price is zero"),
        (-0.0, None, ValueError, "price is zero"),
        (0, 1.0, ValueError, "price is zero"),
        ("1.0", None, TypeError, "price must be a number"),
        (None, None, TypeError, "price must be a number"),
        (True, None, TypeError, "price must be a number"),
        (np.ones(1), None, TypeError, "price must be a number"),
        (1.0, "x", TypeError, "source must be a number"),
    ],
)
def test_refused_prices_change_nothing(price: Any, source: Any, error: type[Exception], words: str) -> None:
    stream = AtcStream(history=walk(40))
    before, last = stream.snapshot(), stream.last
    for take in (stream.update, stream.replace):
        with pytest.raises(error, match=words):
            take(price, source)
        assert stream.snapshot() == before
        assert stream.last is last


@pytest.mark.parametrize(
    ("price", "error", "words"),
    [
        ([1.0, 2.0], ValueError, r"expected 3 numbers, one a symbol; got shape \(2,\)"),
        ([[1.0, 2.0, 3.0]], ValueError, "expected 3 numbers"),
        (1.0, ValueError, "expected 3 numbers"),
        (["a", "b", "c"], TypeError, "expected an array of 3 numbers"),
        ([1.0, 0.0, 3.0], ValueError, "price of symbol 'B' is zero"),
        ([1.0, 2.0, np.inf], ValueError, "price of symbol 'C' is infinite"),
    ],
)
def test_refused_prices_of_many_symbols_change_nothing(price: Any, error: type[Exception], words: str) -> None:
    stream = AtcStream(symbols=["A", "B", "C"])
    stream.update([1.0, 2.0, 3.0])
    before = stream.snapshot()
    for take in (stream.update, stream.replace):
        with pytest.raises(error, match=words):
            take(price)
        assert stream.snapshot() == before
    with pytest.raises(ValueError, match="source of symbol 'A' is infinite"):
        stream.update([1.0, 2.0, 3.0], [np.inf, 1.0, 1.0])


def test_refused_arguments() -> None:
    for arguments, error, words in (
        ({"symbols": 0}, ValueError, "at least one symbol"),
        ({"symbols": "AAPL"}, TypeError, "a list of names"),
        ({"symbols": 2, "history": walk(9)}, ValueError, "a column for each of 2 symbols; got 1-D"),
        ({"symbols": ["A"], "history": np.ones((9, 2))}, ValueError, "a column for each of 1 symbols; got 2 columns"),
        ({"source_history": walk(9)}, ValueError, "needs a history"),
        ({"history": [1.0, 0.0]}, ValueError, "zero at bar 1"),
        ({"ema_len": 10**12}, ValueError, "ema_len: a stream keeps as many bars as its longest average"),
        ({"emalen": 3}, TypeError, "Did you mean 'ema_len'"),
    ):
        with pytest.raises(error, match=words):
            AtcStream(**arguments)
    with pytest.raises(ValueError, match="no bar to replace"):
        AtcStream().replace(1.0)


# ---------------------------------------------------------------- snapshots
def assert_goes_on_alike(one: AtcStream, other: AtcStream) -> None:
    assert one.params == other.params
    assert one.bars == other.bars
    for price in walk(20, 9):
        assert_same(of_bars([one.update(price)]), of_bars([other.update(price)]))


def test_copies_and_pickles_go_on_alike() -> None:
    stream = AtcStream(history=walk(50), lambda_=1 / 3, strategy_mode=True)
    for other in (copy.deepcopy(stream), pickle.loads(pickle.dumps(stream)), AtcStream.restore(stream.snapshot())):
        assert_same(of_bars([other.last]), of_bars([stream.last]))
        assert_goes_on_alike(other, AtcStream.restore(stream.snapshot()))
    assert repr(stream) == "<AtcStream after 50 bars>"
    fresh = AtcStream.restore(AtcStream().snapshot())
    assert fresh.last is None
    with pytest.raises(ValueError, match="no bar to replace"):
        fresh.replace(1.0)


def test_a_damaged_snapshot_is_refused_at_every_byte() -> None:
    data = AtcStream(ema_len=7, hma_len=7, wma_len=7, dema_len=7, lsma_len=7, kama_len=7, history=walk(20)).snapshot()
    for i in range(0, len(data), 37 if DISABLE_JIT else 1):
        flipped = bytearray(data)
        flipped[i] ^= 1 << i % 8
        with pytest.raises(ValueError, match="snapshot"):
            AtcStream.restore(bytes(flipped))
    for size in [*range(60), *range(60, len(data), 101), len(data) - 1]:
        with pytest.raises(ValueError, match="snapshot"):
            AtcStream.restore(data[:size])
    for foreign in (data + b"\0", b"", b"\0" * 500, pickle.dumps(walk(9)), b"ATCstream" + bytes(40)):
        with pytest.raises(ValueError, match="snapshot"):
            AtcStream.restore(foreign)


def forged(data: bytes, position: int, replacement: bytes) -> bytes:
    """A snapshot with other bytes and the check that goes with them."""
    body = data[:position] + replacement + data[position + len(replacement) : -16]
    return body + xxh3_128_digest(body)


def test_snapshots_of_another_version_or_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = AtcStream(history=walk(50))
    data = stream.snapshot()
    assert_goes_on_alike(AtcStream.restore(forged(data, 0, b"ATC")), AtcStream.restore(data))
    with pytest.raises(ValueError, match="this snapshot has format 7"):
        AtcStream.restore(forged(data, 9, struct.pack("<H", 7)))
    start = 15 + struct.unpack("<I", data[11:15])[0]
    for offset, value in ((0, -1.0), (0, np.nan), (0, np.inf), (8, 0.5), (16, 2.0), (16, np.nan)):
        with pytest.raises(ValueError, match="this snapshot is damaged: its state is not one of a stream"):
            AtcStream.restore(forged(data, start + offset, struct.pack("<d", value)))
    with pytest.raises(ValueError, match="does not fit its parameters"):
        AtcStream.restore(forged(data, data.index(b'"ema_len": 28'), b'"ema_len": 99'))
    with pytest.raises(ValueError, match=r"of another version: .*ema_lem"):
        AtcStream.restore(forged(data, data.index(b'"ema_len": 28'), b'"ema_lem"'))
    monkeypatch.setattr("atc_plugin.stream.VERSION", "another")
    with pytest.raises(ValueError, match="of law version 1; this is version another"):
        AtcStream.restore(data)


# ---------------------------------------------------------------- odds and ends
def test_a_stream_keeps_to_itself() -> None:
    one, other = AtcStream(), AtcStream()
    close = walk(60)
    expected = of_atc(close, None, None)
    bars = []
    for price in close:
        bars.append(one.update(price))
        other.update(price * 2 + 1)
    assert_same(of_bars(bars), expected)
    first = bars[10]
    signals = first.signals
    signals[:] = 9  # what is handed out is the caller's
    assert (first.signals != 9).all()
    assert isinstance(first.average, float)
    assert repr(first).startswith("Bar(average=")


@pytest.mark.skipif(DISABLE_JIT, reason="nothing is compiled")
def test_no_kind_of_prices_compiles_the_kernel_again() -> None:
    close = walk(40)
    frozen = close.copy()
    frozen.flags.writeable = False
    frame = pd.DataFrame({"A": close, "B": close}).astype({"B": "Float64"})
    for past in (close, frozen, close.tolist(), close.astype(np.float32), [], close[::2], pd.Series(frozen)):
        AtcStream(history=past, source_history=past).update(1.5)
        AtcStream(history=past).replace(2, np.float32(1)) if len(past) else None
    for past in (frame, np.asfortranarray(frame.to_numpy(np.float64)), frame[:0], np.broadcast_to(2.0, (9, 2))):
        stream = AtcStream(history=past)
        stream.update(np.broadcast_to(np.float32(1), 2), [3, 4])
        AtcStream.restore(stream.snapshot()).replace(pd.Series([1, 2], stream.symbols))
    assert len(advance.signatures) == 1


def test_streaming_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if DISABLE_JIT:
            warnings.simplefilter("ignore", RuntimeWarning)
        AtcStream(history=walk(5)).update(np.float32(3.5))
