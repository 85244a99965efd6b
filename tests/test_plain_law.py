"""The plain law against the golden files, to the bit, and against rarely used words of the law, worked by hand."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import GOLDEN, load_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_averages import dema, ema, hma_hull, kama, lsma, rsum, sma, wma
from plain_law import PlainResult, average, direction, equity, growth_table, plain_atc, returns, round2, trend_state
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits

NAN = math.nan
FIELDS = tuple(PlainResult.__dataclass_fields__)
WALK = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 150)))


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    params, arrays = load_golden(name)
    result = plain_atc(arrays["close"], arrays.get("source"), **params)
    names = {"layer1_signals": "signals", "layer2_equities": "weights"}
    compared = [key for key in arrays if key not in ("close", "source")]
    assert len(compared) == 7
    for key in compared:
        assert_same_bits(getattr(result, names.get(key, key)), arrays[key], f"{name} {key}")


def test_golden_files_are_there() -> None:
    assert len(GOLDEN) == 8


# Moving averages.


def test_rsum_rebaselines() -> None:
    # a tick grid; the machine starts afresh at bars 4, 12, 19 and 21, and without that 17 of the 20 sums differ
    x = floats(
        *(1.0, 0.9, 0.9, 0.9, 1.0, 1.0, 0.9, 0.9, 0.9, 0.8, 0.9, 1.0),
        *(1.0, 0.9, 0.8, 0.9, 0.8, 0.8, 0.9, 1.0, 0.9, 1.0, 1.0, 0.9),
    )
    by_pynecore = (
        "0x1.2ccccccccccccp+2 0x1.2ccccccccccccp+2 0x1.2ccccccccccccp+2 0x1.2ccccccccccccp+2 0x1.2ccccccccccccp+2 "
        "0x1.1ffffffffffffp+2 0x1.1999999999998p+2 0x1.1ffffffffffffp+2 0x1.2666666666667p+2 0x1.2666666666667p+2 "
        "0x1.2666666666667p+2 0x1.2666666666667p+2 0x1.199999999999bp+2 0x1.0cccccccccccep+2 0x1.0cccccccccccep+2 "
        "0x1.199999999999ap+2 0x1.199999999999ap+2 0x1.2666666666666p+2 0x1.3333333333333p+2 0x1.3333333333332p+2"
    )
    expected = floats(*[NAN] * 4, *map(float.fromhex, by_pynecore.split()))
    assert_same_bits(rsum(x, 5), expected)
    assert_same_bits(sma(x, 5), expected / 5)


def test_length_one() -> None:
    for of_length_one in (rsum, sma, ema, wma, lsma):
        assert_same_bits(of_length_one(WALK, 1), WALK, str(of_length_one))
    assert_same_bits(dema(WALK, 1), 2 * WALK - WALK)
    k, expected = 0.0, []
    for t, x in enumerate(WALK.tolist()):
        ratio = 0.0 if t == 0 else 1.0  # one step is all the noise there is
        m = ratio * (0.666 - 0.064) + 0.064
        k = k + m * m * (x - k)
        expected.append(k)
    assert_same_bits(kama(WALK, 1), floats(*expected))


def test_shortest_hull() -> None:
    # length 2: both WMA(x, L//2) and the outer average have length 1
    two = (WALK[:-1] * 1 + WALK[1:] * 2) / 3
    assert_same_bits(hma_hull(WALK, 2), np.concatenate([[NAN], 2 * WALK[1:] - two]))


def test_kama_without_noise() -> None:
    # no ratio on a flat price: k moves by 0.064 squared alone
    k, expected = 0.0, []
    for _ in range(9):
        k = k + 0.064 * 0.064 * (7.5 - k)
        expected.append(k)
    assert_same_bits(kama(np.full(9, 7.5), 3), floats(*expected))


@pytest.mark.parametrize(
    ("of", "length", "first"),
    [(rsum, 9, 8), (sma, 9, 8), (ema, 9, 8), (wma, 9, 8), (lsma, 9, 8), (dema, 9, 16), (hma_hull, 9, 10), (kama, 9, 0)],
)
def test_first_defined_bar(of: Any, length: int, first: int) -> None:
    for n in (0, 1, first, first + 1, 60):
        assert_same_bits(np.isnan(of(WALK[:n], length)), np.arange(n) < first, f"{n} bars")


# States, equities, layers.


def test_trend_state_over_ties() -> None:
    m = floats(NAN, 5, 5, 5, 5, 5, 5, NAN, 5, 5, 5, 5)
    close = floats(6, 6, 5, 5, 6, 5, 4, 9, 5, 6, 6, 4)
    # not +1 at bar 1: nothing came before; a tie is both "was_le" and "was_ge"; the gap keeps what was
    assert_same_bits(trend_state(close, m), np.array([0, 0, 0, 0, 1, 1, -1, -1, -1, 1, 1, -1], np.int8))


def test_direction_over_ties() -> None:
    avg = floats(NAN, 0.1, 0.1, 0.2, 0.1, -0.1, -0.1, -0.2, NAN, -0.1, 0.1, 0.1, 0.3, -0.3)
    expected = floats(0, 0, 0, 1, 1, 1, 1, -1, -1, -1, -1, -1, 1, -1)
    assert_same_bits(direction(avg, 0.1, -0.1), expected)


def test_direction_needs_a_bar_before() -> None:
    assert_same_bits(direction(floats(0.5, 0.5, -0.5), 0.1, -0.1), floats(0, 0, -1))


def equity_of(
    signal: np.ndarray,
    close: np.ndarray,
    start: float = 1.0,
    cutout: int = 0,
    decay: float = 0.0,
    lambda_: float = 0.0,
) -> np.ndarray:
    growth = growth_table(close.size, lambda_, cutout)
    return equity(signal, start, returns(close), growth, 1 - decay / 100, cutout)


@pytest.mark.parametrize("pause", [0.0, NAN])
def test_equity_keeps_its_last_value(pause: float) -> None:
    close = floats(100, 110, 99, 105)
    # set at bar `cutout` from the signal before it, then kept: the same return is earned twice more
    got = equity_of(floats(1, pause, pause, pause), close, cutout=1, lambda_=0.02)
    r = (110.0 - 100.0) / 100.0
    assert_same_bits(got, floats(NAN, 1, 1 + r, (1 + r) * (1 + r)))


def test_equity_before_any_signal() -> None:
    assert_same_bits(equity_of(floats(0, NAN, 0, 1), floats(100, 110, 99, 105)), floats(1, 1, 1, 1))


def test_equity_short() -> None:
    # halved at bar 1 already, where nothing was held yet
    r = (99.0 - 110.0) / 110.0 * math.e ** (0.02 / 1000 * 2)
    expected = np.float64(2.0 * 0.5 * 0.5 * (1 - r))
    assert_same_bits(equity_of(floats(NAN, -1, 0), floats(100, 110, 99), 2.0, decay=50.0, lambda_=0.02)[2], expected)


@pytest.mark.parametrize("start", [0.1, 0.25, 1e-300])
def test_equity_starts_at_a_quarter_at_least(start: float) -> None:
    # 0.25 halves and comes back to 0.25
    assert_same_bits(equity_of(np.zeros(3), floats(1, 2, 1), start=start, decay=50.0), floats(0.25, 0.25, 0.25))


def test_equity_keeps_nan() -> None:
    close = floats(1e-200, 1e-200, 1e150, 1e-200, 1.0)
    assert_same_bits(equity_of(np.ones(5), close), floats(1, 1, math.inf, NAN, NAN))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-0.004, 0.0),
        (-0.0, 0.0),
        (0.004, 0.0),
        (0.005, 0.01),
        (-0.005, -0.01),
        (0.285, 0.29),  # 0.285 * 100 is a little less than 28.5
        (0.4949999999, 0.49),
        (0.495, 0.5),
        (1.0, 1.0),
        (-1.0, -1.0),
        (NAN, NAN),
    ],
)
def test_round2(value: float, expected: float) -> None:
    assert_same_bits(np.float64(round2(value)), np.float64(expected))


def test_average_multiplies_by_zero() -> None:
    signals, weights = np.full((6, 3), 0.3), np.ones((6, 3))
    signals[5] = floats(0.49, 0.5, -0.5)
    weights[0, 0] = math.inf
    assert_same_bits(average(signals, weights), floats(NAN, 1 / 6, -1 / 6))


def test_growth_is_one_at_cutout() -> None:
    lam = 0.3 / 1000
    expected = [math.e ** (lam * -2), math.e ** (lam * -1), 1.0, math.e**lam, math.e ** (lam * 2)]
    assert_same_bits(growth_table(5, 0.3, 2), floats(*expected))


def test_growth_that_overflows() -> None:
    assert_same_bits(growth_table(3, 1e6, 1), floats(math.e**-1000.0, 1, math.inf))


# One configuration.


def test_cutout_beyond_the_end() -> None:
    result = plain_atc(WALK, cutout=150)
    for what in (result.equities, result.signals, result.weights, result.average):
        assert np.isnan(what).all()
    assert_same_bits(result.direction, np.zeros(150))
    assert not result.entries.any()
    assert not result.exits.any()
    assert np.unique(result.states).tolist() == [-1, 0, 1]
    assert np.isnan(plain_atc(WALK, cutout=149).average).tolist() == [True] * 149 + [False]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_bars(n: int) -> None:
    result = plain_atc(WALK[:n], ema_w=0.1)
    assert result.states.shape == (6, 9, n)
    assert_same_bits(result.equities, np.ones((6, 9, n)) * (1 - 0.03 / 100) ** np.arange(n))
    assert_same_bits(result.weights[0], np.full(n, 0.25))
    assert_same_bits(result.average, np.zeros(n))
    assert_same_bits(result.direction, np.zeros(n))
    assert_same_bits(result.entries, np.zeros(n, np.bool_))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_bar_with_nan_is_no_bar(data: st.DataObject) -> None:
    close = data.draw(prices(nan_gaps=True), "close")
    source = data.draw(source_for(close, nan_gaps=True), "source")
    params = data.draw(atc_params(), "params") | {"strategy_mode": data.draw(st.booleans())}
    result = plain_atc(close, source, **params)
    is_bar = ~np.isnan(close) if source is None else ~np.isnan(close) & ~np.isnan(source)
    on_bars = plain_atc(close[is_bar], None if source is None else source[is_bar], **params)
    for field in FIELDS:
        values = getattr(result, field)
        assert_same_bits(values[..., is_bar], getattr(on_bars, field), field)
        gaps = values[..., ~is_bar]
        assert np.isnan(gaps).all() if gaps.dtype == np.float64 else not gaps.any(), field


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_longer_series_begins_the_same(data: st.DataObject) -> None:
    close = data.draw(prices(nan_gaps=True), "close")
    params = data.draw(atc_params(), "params")
    n = data.draw(st.integers(0, close.size), "bars")
    whole, beginning = plain_atc(close, **params), plain_atc(close[:n], **params)
    for field in FIELDS:
        assert_same_bits(getattr(beginning, field), getattr(whole, field)[..., :n], field)


def test_strategy_mode_delays_by_one_own_bar() -> None:
    close = np.insert(WALK, [0, 40, 90], NAN)
    is_bar = ~np.isnan(close)
    plain, strategy = plain_atc(close), plain_atc(close, strategy_mode=True)
    for field in ("average", "signals", "direction"):
        first = 0.0 if field == "direction" else NAN
        got, now = getattr(strategy, field)[..., is_bar], getattr(plain, field)[..., is_bar]
        assert_same_bits(got[..., 1:], now[..., :-1], field)
        assert_same_bits(got[..., 0], np.full_like(got[..., 0], first), field)
    for field in ("weights", "equities", "states", "moving_averages"):
        assert_same_bits(getattr(strategy, field), getattr(plain, field), field)
    assert plain.entries.any()
    assert plain.exits.any()
    assert_same_bits(strategy.entries[is_bar][1:], plain.entries[is_bar][:-1])
    assert_same_bits(strategy.exits[is_bar][1:], plain.exits[is_bar][:-1])


def test_entries_and_exits() -> None:
    result = plain_atc(WALK)
    before = np.concatenate([[0.0], result.direction[:-1]])
    assert_same_bits(result.entries, (result.direction == 1) & (before != 1))
    assert_same_bits(result.exits, (result.direction == -1) & (before != -1))


def test_same_bits_without_the_compiler(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from plain_law import plain_atc; close = np.load(sys.argv[1])\n"
        "np.savez(sys.argv[2], **vars(plain_atc(close, hma_mode='hull', cutout=3, decay=0.1)))"
    )
    np.save(tmp_path / "close.npy", WALK)
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", code, str(tmp_path / "close.npy"), str(tmp_path / "result.npz")]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parent)
    compiled = plain_atc(WALK, hma_mode="hull", cutout=3, decay=0.1)
    with np.load(tmp_path / "result.npz") as interpreted:
        for field in FIELDS:
            assert_same_bits(interpreted[field], getattr(compiled, field), field)


# The comparison itself.


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (floats(1, 0.0), floats(1, -0.0), r"first at \(1,\): 0.0 \(0x0.0p\+0\), expected -0.0 \(-0x0.0p\+0\)"),
        (floats(1, 0.1 + 0.2), floats(1, 0.3), "1 of 2 differ"),
        (floats(1, NAN), floats(1, 1), "expected 1.0"),
        (np.float64(1), np.float64(2), r"1 of 1 differ, first at \(\)"),
        (np.ones((2, 3)), np.ones((3, 2)), "shape"),
        (np.ones(2), np.ones(2, np.float32), "dtype"),
        (np.array([1, 2], np.int8), np.array([1, 3], np.int8), r"first at \(1,\): 2, expected 3"),
    ],
)
def test_same_bits_tells_apart(got: Any, expected: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        assert_same_bits(got, expected, "what")


def test_same_bits_takes_any_nan() -> None:
    other_nan = np.array([0x7FF8000000000123, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert_same_bits(other_nan, floats(NAN, NAN))
