"""Lines of the table: the same walked, and what orders and metrics say of a portfolio that goes through a stretch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_components import Asked, costs_for, table_for
from numba.core.config import DISABLE_JIT
from price_strategies import prices
from same_bits import assert_same_bits

from atc_plugin.law.accumulators import fold_trades, judge, returns_of_orders
from atc_plugin.law.metrics import GAINS, LOSSES
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.law.stretches import (
    DOWNSIDE,
    FACTOR,
    HIGH,
    INNER,
    LINE,
    LONG,
    LOW,
    PROFIT,
    SHORT,
    SQUARES,
    SUM,
    costs_of,
    fill_held,
    walked_exit,
    write_held,
)

EXAMPLES = 8 if DISABLE_JIT else 200
MODES = [BOTH, LONG_ONLY, SHORT_ONLY]
ROWS = [FACTOR, HIGH, LOW, INNER, SUM, SQUARES, DOWNSIDE, PROFIT]

# Everything that moves by itself and stays above zero.
positive = prices(
    min_bars=3, max_bars=30 if DISABLE_JIT else 120, regimes=("walk", "flat", "ticks", "volatile", "constant", "huge")
)
charged = st.tuples(
    st.sampled_from([0.0, 0.001, 0.01, 0.2]) | st.floats(0, 0.39),
    st.sampled_from([0.0, 0.001, 0.02]) | st.floats(0, 0.39),
)


def sides_of(mode: int) -> list[int]:
    return {BOTH: [LONG, SHORT], LONG_ONLY: [LONG], SHORT_ONLY: [SHORT]}[mode]


# ---------------------------------------------------------------- table and walk
@settings(max_examples=EXAMPLES)
@given(positive, st.sampled_from(MODES), charged, st.sampled_from([1, 2, 5, 7, 31, 300]), st.data())
def test_a_line_is_the_same_walked(close, mode, charges, ages, data) -> None:
    n = close.size
    costs = costs_of(mode, *charges)
    first_bar, last_bar = sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True)))
    table = table_for(close, costs, ages, (first_bar, last_bar))
    lines = table.lines.reshape(2, table.rows, ages, LINE)
    scratch = np.empty(LINE)
    for side in (LONG, SHORT):
        for row in range(table.rows):
            entry = table.first + row
            for age in range(ages):
                line, bar = lines[side, row, age], entry + age
                if age > 0 and first_bar <= bar < last_bar:
                    assert_same_bits(np.array(walked_exit(close, costs, side, entry, bar, scratch)), line)
                else:
                    assert (line == -7.0).all(), "nothing is written for exits outside of the tile"


@settings(max_examples=EXAMPLES)
@given(positive, charged, st.sampled_from([1, 2, 7, 300]), st.data())
def test_held_lines_are_the_same_walked(close, charges, ages, data) -> None:
    costs = costs_of(BOTH, *charges)
    ends = np.array(data.draw(st.lists(st.integers(0, close.size - 1), min_size=1, max_size=3)))
    held = np.full(ends.size * 2 * ages * LINE, -7.0)
    fill_held(close, costs, ends, ages, held)
    walked = np.empty(LINE)
    for k, end in enumerate(ends):
        for side in (LONG, SHORT):
            for age in range(ages):
                line = held.reshape(ends.size, 2, ages, LINE)[k, side, age]
                if age > end:
                    assert (line == -7.0).all()
                    continue
                write_held(close, costs, side, end - age, end, walked, 0)
                assert_same_bits(walked, line)


# ---------------------------------------------------------------- against orders and metrics
def portfolio(close: np.ndarray, mode: int, side: int, bars: list[int], charges: tuple[float, float]):
    """Returns and orders of a portfolio that turns at these bars, to `side` at the first."""
    up, down = np.zeros((2, close.size), bool)
    for k, bar in enumerate(bars):
        (up if (side == LONG) == (k % 2 == 0) else down)[bar] = True
    orders, accumulators = judge(close, up, down, mode, *charges, 100.0)
    assert orders.bar.tolist() == bars
    returns = np.empty(close.size)
    returns_of_orders(close, orders, len(orders.bar), 100.0, returns)
    return returns, orders, accumulators


def expected_line(close, mode, side, entry, last, charges, before, left):
    """What a line says, from the orders: of a stretch from `entry` on, after one of the other side from `before` on."""
    bars = [bar for bar in (before, entry) if bar is not None] + ([last] if left else [])
    first_side = side if before is None else 1 - side
    returns, orders, _ = portfolio(close[: last + 1], mode, first_side, bars, charges)
    trades = np.zeros(12)
    fold_trades(close[: last + 1], orders, len(orders.bar), entry, entry + 1, trades)
    at_entry = np.prod(1 + returns[: entry + 1])
    ours = returns[entry + 1 :]
    values = np.cumprod(1 + ours)
    peaks = np.maximum.accumulate(values)
    return np.array(
        [
            values[-1],
            values.max(),
            values.min(),
            min(1.0, (values / peaks).min()),
            ours.sum(),
            (ours**2).sum(),
            (np.minimum(ours, 0) ** 2).sum(),
            (trades[GAINS] + trades[LOSSES]) / (100.0 * at_entry),
        ]
    )


@settings(max_examples=EXAMPLES)
@given(positive, st.sampled_from(MODES), charged, st.data())
def test_a_line_is_what_orders_and_metrics_say(close, mode, charges, data) -> None:
    side = data.draw(st.sampled_from(sides_of(mode)))
    close = close / 2.0 ** np.floor(np.log2(close[0]))  # shares enough for orders; the lines are the same
    bars = data.draw(st.lists(st.integers(0, close.size - 1), min_size=3, max_size=3, unique=True).map(sorted))
    before, entry, last = bars
    if mode != BOTH or data.draw(st.booleans()):
        before = None
    costs, scratch = costs_of(mode, *charges), np.empty(LINE)
    if before is not None and np.isnan(walked_exit(close, costs, 1 - side, before, entry, scratch)[FACTOR]):
        before = None  # a reversal that could not be paid
    for left in (True, False):
        if left:
            line = np.array(walked_exit(close, costs, side, entry, last, scratch))
        else:
            write_held(close, costs, side, entry, last, scratch, 0)
            line = scratch
        if np.isnan(line[FACTOR]):
            continue
        expected = expected_line(close, mode, side, entry, last, charges, before, left)
        # sums and a profit are what is left of larger numbers; so are prices next to those of a ruined portfolio
        size = np.array([1, 1, 1, 1, 0, 0, 0, 0]) * np.abs(expected) + np.array([0, 0, 0, 0, 1, 1, 1, 1])
        size = size * max(1.0, line[HIGH], 1 / line[LOW]) ** 2
        bought, sold = 1 + charges[1], 1 - charges[1]
        paid, got = (bought, sold if left else 1) if side == LONG else (sold, bought if left else 1)
        apart = abs(got * close[last] / close[entry] - paid) / paid
        if np.isnan(line[PROFIT]):  # too near to nothing to say
            assert abs(expected[PROFIT]) < 1e-7 * size[PROFIT] or apart < 2.1e-9
            expected[PROFIT] = np.nan
        for row in ROWS:
            close_enough = abs(line[row] - expected[row]) <= 1e-12 * size[row]
            assert close_enough or np.isnan(line[row]), (row, left, line[row], expected[row])


@pytest.mark.parametrize("charges", [(0.0, 0.0), (0.001, 0.0), (0.01, 0.02), (0.2, 0.0), (0.0, 0.1)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("left", [True, False])
def test_lines_to_twelve_digits(mode: int, left: bool, charges: tuple[float, float]) -> None:
    """A quiet walk, where nothing is left of larger numbers."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0.001, 0.02, 60)))
    costs, line = costs_for(Asked(mode, *charges)), np.empty(LINE)
    for side in sides_of(mode):
        for entry, last in ((0, 1), (3, 4), (3, 17), (20, 59)):
            if left:
                line = np.array(walked_exit(close, costs, side, entry, last, np.empty(LINE)))
            else:
                write_held(close, costs, side, entry, last, line, 0)
            expected = expected_line(close, mode, side, entry, last, charges, None, left)
            np.testing.assert_allclose(line, expected, rtol=1e-12, atol=1e-14)


def test_prices_of_any_scale_give_the_same_lines() -> None:
    """Powers of two: to the bit."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(6).normal(0, 0.02, 30)))
    for side in (LONG, SHORT):
        costs = costs_of(BOTH, 0.001, 0.002)
        lines = [np.array(walked_exit(c, costs, side, 2, 25, np.empty(LINE))) for c in (close, close * 2.0**-80)]
        assert_same_bits(*lines)


def test_a_stretch_of_one_bar_sees_only_its_exit() -> None:
    close = np.array([100.0, 110.0])
    line = np.array(walked_exit(close, costs_of(LONG_ONLY, 0.0, 0.0), LONG, 0, 1, np.empty(LINE)))
    np.testing.assert_allclose(line, [1.1, 1.1, 1.1, 1.0, 0.1, 0.01, 0.0, 0.1], rtol=1e-14)
    line = np.array(walked_exit(close, costs_of(SHORT_ONLY, 0.0, 0.0), SHORT, 0, 1, np.empty(LINE)))
    np.testing.assert_allclose(line, [0.9, 0.9, 0.9, 1.0, -0.1, 0.01, 0.01, -0.1], rtol=1e-14)


def test_a_stretch_still_open_at_its_entry_is_all_costs() -> None:
    close = np.array([100.0, 110.0])
    line = np.empty(LINE)
    for side in (LONG, SHORT):
        write_held(close, costs_of(BOTH, 0.01, 0.02), side, 1, 1, line, 0)
        assert line[FACTOR] == 1.0
        assert (line[HIGH], line[LOW], line[INNER]) == (0.0, np.inf, 1.0)  # no bar of its own
        assert line[SUM] == line[SQUARES] == line[DOWNSIDE] == 0.0
        assert line[PROFIT] < 0.0
        write_held(close, costs_of(BOTH, 0.0, 0.0), side, 1, 1, line, 0)
        assert line[PROFIT] == 0.0


# ---------------------------------------------------------------- what is left to fills.py
@pytest.mark.parametrize("mode", [BOTH, SHORT_ONLY])
@pytest.mark.parametrize(("top", "ruined"), [(199.8, False), (199.95, True), (250.0, True)])
def test_a_ruined_short_has_no_line(mode: int, top: float, ruined: bool) -> None:
    for close in ([100.0, top, 90.0, 80.0], [100.0, 90.0, 80.0, top]):
        values, line = np.array(close), np.empty(LINE)
        costs = costs_of(mode, 0.0, 0.0)
        write_held(values, costs, SHORT, 0, 3, line, 0)
        assert np.isnan(line[FACTOR]) == ruined
        assert np.isnan(walked_exit(values, costs, SHORT, 0, 3, np.empty(LINE))[FACTOR]) == ruined
        before_top = walked_exit(values, costs, SHORT, 0, 1, np.empty(LINE))[FACTOR]
        assert np.isnan(before_top) == (ruined and close[1] == top)


def test_a_long_that_is_worn_out_has_no_line() -> None:
    close = np.array([100.0, 50.0, 0.05, 1000.0])
    for last, ruined in ((1, False), (2, True), (3, True)):
        assert np.isnan(walked_exit(close, costs_of(BOTH, 0, 0), LONG, 0, last, np.empty(LINE))[FACTOR]) == ruined


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_break_even_trades(side: int) -> None:
    """Without costs and at the same close, nothing; next to nothing is not decided here."""
    line = np.empty(LINE)
    free = costs_of(BOTH, 0.0, 0.0)
    for last, expected in ((100.0, 0.0), (100.0 * (1 + 5e-9), np.nan), (100.0 * (1 - 5e-9), np.nan)):
        close = np.array([100.0, 120.0, last])
        assert_same_bits(walked_exit(close, free, side, 0, 2, np.empty(LINE))[PROFIT], np.float64(expected))
        write_held(close, free, side, 0, 2, line, 0)
        assert_same_bits(line[PROFIT], np.float64(expected))
    for last in (100.0 * (1 + 2e-8), 100.0 * (1 - 2e-8)):
        profit = walked_exit(np.array([100.0, 120.0, last]), free, side, 0, 2, np.empty(LINE))[PROFIT]
        assert (profit > 0) == ((last > 100) == (side == LONG))
        assert abs(profit) == pytest.approx(2e-8, rel=1e-6)
    for charges in ((0.01, 0.0), (0.0, 0.01), (0.02, 0.03)):
        costs = costs_of(BOTH, *charges)
        even = costs.covered / costs.sold if side == LONG else costs.sold / costs.covered  # where costs are earned
        assert np.isnan(walked_exit(np.array([1.0, 2.0, even]), costs, side, 0, 2, np.empty(LINE))[PROFIT])
        held_even = costs.covered if side == LONG else costs.sold / 1.0
        write_held(np.array([1.0, 1.5, held_even]), costs, side, 0, 2, line, 0)
        assert np.isnan(line[PROFIT])
        same = walked_exit(np.array([1.0, 2.0, 1.0]), costs, side, 0, 2, np.empty(LINE))[PROFIT]
        assert same < 0  # the same close, but not without costs
