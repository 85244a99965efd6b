"""Combinations judged the fast way: within 1e-9 of the plain way and of vectorbt, the same bits however cut up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_components import (
    FAMILIES,
    LEAN,
    Asked,
    Column,
    assert_close_metrics,
    column_of,
    components_from,
    every_id,
    family,
    judged,
    relative,
    some_ids,
    types_of,
)
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits
from test_fills import metrics_of_portfolio, portfolio
from test_turns import plain_way

from atc_plugin.law import judging
from atc_plugin.law.accumulators import judge
from atc_plugin.law.judging import KEPT_OF_CROSSING, KEPT_OF_RUN
from atc_plugin.law.metrics import (
    ACCUMULATORS,
    DOWNSIDE,
    GAINS,
    IN_MARKET,
    LOSSES,
    METRICS,
    SUM,
    TRADES,
    WINS,
    metrics_of,
)
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY

EXAMPLES = 5 if DISABLE_JIT else 100
COMBINATIONS = 4 if DISABLE_JIT else 60
MODES = (BOTH, LONG_ONLY, SHORT_ONLY)
FEES, SLIPPAGES = (0.0, 0.001, 0.01, 0.2), (0.0, 0.001, 0.02)
OF_TRADES = [DOWNSIDE, IN_MARKET, WINS, GAINS, LOSSES]  # what is not made if it is not asked for
OF_RETURNS = [k for k in range(len(ACCUMULATORS)) if k not in OF_TRADES]


def cases(name: str, rounds: int) -> list[tuple[np.random.Generator, Asked, bool]]:
    """Every mode, fee and slippage, delayed or not, with ages and tiles at random; a few of them without a compiler."""
    made = []
    for k, (mode, fees, slippage, delayed) in enumerate(itertools.product(MODES, FEES, SLIPPAGES, (False, True))):
        for rep in range(rounds):
            rng = np.random.default_rng([*map(ord, name), k, rep])
            ages = int(rng.choice([1, 2, 7, 63, 127]))
            cuts = tuple(range(0, 700, 64 * int(rng.integers(1, 4))))[1:] if rng.random() < 0.5 else ()
            order = tuple(int(place) for place in rng.permutation(6))
            made.append((rng, Asked(mode, fees, slippage, ages, cuts, order=order), delayed))
    if DISABLE_JIT:
        made = made[ord(name[1]) % 7 :: len(made) // 3]
    return made


# ---------------------------------------------------------------- against the plain way
@pytest.mark.parametrize("name", FAMILIES)
def test_the_fast_way_is_within_1e_9_of_the_plain_way(name: str) -> None:
    all_of_them = plainly = 0
    for rng, asked, delayed in cases(name, rounds=1 if DISABLE_JIT else 5):
        column, sizes = family(name, rng, delayed)
        ids = some_ids(rng, sizes, 1, COMBINATIONS)
        fast = judged(column, ids, asked)
        plain = judged(column, ids, asked._replace(ages=0, cuts=()))
        assert plain.plainly == len(ids)
        assert_close_metrics(fast.whole, plain.whole, column.close.size, what=(name, asked, delayed))
        all_of_them += len(ids)
        plainly += fast.plainly
    assert DISABLE_JIT or plainly < (0.8 if name in ("moon", "crash", "fine", "dear") else 0.5) * all_of_them


@pytest.mark.parametrize("name", ["ticks", "mixed", "crash"])
def test_without_trades_the_metrics_that_need_none_are_within_1e_9(name: str) -> None:
    for rng, asked, delayed in cases(name, rounds=1)[::2]:
        column, sizes = family(name, rng, delayed)
        ids = some_ids(rng, sizes, 1, COMBINATIONS)
        lean = judged(column, ids, asked._replace(trades=False))
        plain = judged(column, ids, asked._replace(ages=0, cuts=()))
        assert_close_metrics(lean.whole, plain.whole, column.close.size, LEAN, (name, asked, delayed))


@pytest.mark.skipif(DISABLE_JIT, reason="too many bars for Python")
@pytest.mark.parametrize("mode", MODES)
def test_a_long_series(mode: int) -> None:
    rng = np.random.default_rng(mode)
    column, sizes = family("mixed", rng, bars=[20_000])
    ids = some_ids(rng, sizes, 1, 40)
    fast = judged(column, ids, Asked(mode, 0.0001, 0.0, 255, tuple(range(2048, 20_000, 2048))))
    plain = judged(column, ids, Asked(mode, 0.0001, 0.0, 0))
    assert_close_metrics(fast.whole, plain.whole, 20_000)


# ---------------------------------------------------------------- against vectorbt
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("fees", "slippage"), [(0.0, 0.0), (0.001, 0.0), (0.01, 0.02)])
def test_metrics_are_vectorbts(mode: int, fees: float, slippage: float) -> None:
    for name in ("like real", "ticks") if DISABLE_JIT else FAMILIES:
        rng = np.random.default_rng([*map(ord, name), mode])
        column, sizes = family(name, rng, bars=[65] if DISABLE_JIT else [300])
        ids = some_ids(rng, sizes, 1, 4 if DISABLE_JIT else 40)
        fast = judged(column, ids, Asked(mode, fees, slippage, 63))
        up, down = plain_way(column, ids)
        pf = portfolio(column.close, up.T, down.T, mode, fees=fees, slippage=slippage, freq="1D", init_cash=100.0)
        ours = metrics_of(fast.whole, column.close.size, 365.0)
        for metric, theirs in metrics_of_portfolio(pf).items():
            worst = relative(ours[metric], theirs).max()
            assert worst <= 1e-9, (name, metric, worst)


# ---------------------------------------------------------------- the same bits however it is cut up
@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from(FAMILIES),
    st.integers(0, 2**32 - 1),
    st.sampled_from(MODES),
    st.sampled_from([(0.0, 0.0), (0.001, 0.0), (0.01, 0.02), (0.2, 0.001)]),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_bits_do_not_depend_on_how_the_work_is_cut_up(name, seed, mode, charges, trades, delayed, data) -> None:
    rng = np.random.default_rng(seed)
    thresholds = [(0.1, -0.1, delayed), (0.3, -0.2, False), (0.1, -0.2, True)]
    column, sizes = family(name, rng, thresholds=thresholds)
    ids = some_ids(rng, sizes, len(thresholds), 6 if DISABLE_JIT else 40)
    m, n = len(ids), column.close.size
    asked = Asked(mode, *charges, 63, trades=trades)
    expected = judged(column, ids, asked)
    cuts = tuple(sorted(64 * cut for cut in data.draw(st.sets(st.integers(1, max(1, (n - 1) // 64))))))
    other = asked._replace(
        ages=data.draw(st.sampled_from([1, 2, 9, 255])), cuts=cuts, order=tuple(data.draw(st.permutations(range(6))))
    )
    got = judged(column, ids, other, rng.permutation(m), data.draw(st.integers(1, m)))
    assert_same_bits(got.whole, expected.whole)
    assert got.plainly == expected.plainly


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(FAMILIES), st.integers(0, 2**32 - 1), st.sampled_from(MODES), st.sampled_from([0.0, 0.001, 0.2]))
def test_without_trades_the_rest_is_the_same(name, seed, mode, fees) -> None:
    """To the bit where both went the same way; the fast way alone leaves the accumulators of trades at zero."""
    rng = np.random.default_rng(seed)
    column, sizes = family(name, rng)
    ids = some_ids(rng, sizes, 1, 6 if DISABLE_JIT else 40)
    full = judged(column, ids, Asked(mode, fees), chunk=1)
    lean = judged(column, ids, Asked(mode, fees, trades=False), chunk=1)
    assert (lean.flags <= full.flags).all()
    alike = lean.flags == full.flags
    assert_same_bits(lean.whole[alike][:, OF_RETURNS], full.whole[alike][:, OF_RETURNS])
    assert_same_bits(lean.whole[lean.flags == 1], judged(column, ids, Asked(mode, fees, ages=0)).whole[lean.flags == 1])
    assert not lean.whole[lean.flags == 0][:, OF_TRADES[1:]].any()
    assert_close_metrics(lean.whole, full.whole, column.close.size, LEAN)


# ---------------------------------------------------------------- what goes the plain way
def one_combination(sides: list[int], close: list[float], long_threshold: float = 0.1) -> tuple[Column, np.ndarray]:
    """A column whose only combination has these averages, 1, 0 or -1 a bar."""
    signals = np.tile(100 * np.array(sides), (6, 1)).astype(np.int8)
    components = components_from(signals, np.ones((6, len(sides))), 0)
    column = column_of(np.array(close, float), components, types_of([1] * 6), [(long_threshold, -0.1, False)])
    return column, every_id([1] * 6)


def turning(*bars: int, n: int, first: int = 1) -> list[int]:
    """Averages that turn at these bars, up first."""
    sides, now = [0] * n, 0
    for t in range(n):
        if t in bars:
            now = first if now == 0 else -now
        sides[t] = now
    return sides


CLOSES = list(100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.002, 0.03, 40))))


def plain_metrics(column: Column, ids: np.ndarray, asked: Asked) -> dict[str, np.ndarray]:
    return metrics_of(judged(column, ids, asked._replace(ages=0)).whole, column.close.size, 365.0)


@pytest.mark.parametrize(
    ("what", "sides", "close", "asked", "plainly"),
    [
        ("nothing special", turning(3, 9, 20, n=40), CLOSES, Asked(), 0),
        ("no turn", [0] * 40, CLOSES, Asked(), 0),
        ("always up: nothing is crossed", [1] * 40, CLOSES, Asked(), 0),
        ("one turn, at the last bar", turning(39, n=40), CLOSES, Asked(fees=0.01), 0),
        ("only a turn that long-only cannot take", turning(5, n=40, first=-1), CLOSES, Asked(LONG_ONLY), 0),
        ("only a turn that short-only cannot take", turning(5, n=40), CLOSES, Asked(SHORT_ONLY), 0),
        ("short while the price trebles", turning(1, n=5, first=-1), [1, 1, 2, 3, 1.5], Asked(), 1),
        ("short while the price doubles, then long", turning(1, 3, n=5, first=-1), [1, 1, 1.9995, 2, 3], Asked(), 1),
        ("no risk at all", turning(1, n=5), [1, 1, 2, 3, 4], Asked(), 1),
        ("no move at all", turning(1, 3, n=5), [2] * 5, Asked(), 1),
        ("break-even", turning(1, 3, n=6), [9, 10, 12, 10, 11, 9], Asked(LONG_ONLY), 1),
        ("a return of next to nothing", turning(1, n=5), [1, 1, 1 - 1e-3, 1 + 1e-3, 1 + 1e-5], Asked(), 1),
        ("orders of next to nothing", turning(1, 3, n=6), [1e9, 1e9, 9e8, 8e8, 9e8, 7e8], Asked(LONG_ONLY), 1),
    ],
)  # fmt: skip
def test_which_way_is_taken(what: str, sides: list[int], close: list[float], asked: Asked, plainly: int) -> None:
    column, ids = one_combination(sides, close)
    for trades in (True, False):
        got = judged(column, ids, asked._replace(trades=trades))
        plain = judged(column, ids, asked._replace(ages=0))
        if trades:
            assert got.plainly == plainly, what
        if got.plainly:
            assert_same_bits(got.whole, plain.whole)
        assert_close_metrics(got.whole, plain.whole, len(close), METRICS if trades else LEAN, what)


def test_components_that_are_not_sound_go_the_plain_way_alone() -> None:
    rng = np.random.default_rng(5)
    column, _ = family("like real", rng, bars=[128])
    components = column.components
    equities = components.weights.copy()
    equities[2, 100] = np.inf
    column = column_of(
        column.close,
        components_from(components.signals, equities, int(components.starts[0])),
        column.groups,
        [(0.1, -0.1, False)],
    )
    types = column.groups[:, 1]
    ids = np.array([[*six, 0] for six in itertools.product(*(np.flatnonzero(types == k) for k in range(6)))], np.int32)
    ids = rng.permutation(ids)[:30]
    unsound = (ids[:, :6] == 2).any(axis=1)
    assert unsound.any()
    assert not unsound.all()
    got, plain = (judged(column, ids, Asked(BOTH, 0.001, ages=ages), chunk=1) for ages in (63, 0))
    assert got.flags[unsound].all()
    assert_same_bits(got.whole[unsound], plain.whole[unsound])
    assert_close_metrics(got.whole, plain.whole, column.close.size)
    assert judged(column, ids, Asked(BOTH, 0.001), rng.permutation(30), 7).plainly == got.plainly
    tiled = judged(column, ids, Asked(BOTH, 0.001, cuts=(64,)))
    assert_same_bits(tiled.whole, got.whole)


@pytest.mark.parametrize("close", [0.0, -5.0, np.inf, np.nan])
@pytest.mark.parametrize("mode", MODES)
def test_without_ages_prices_may_be_anything(close: float, mode: int) -> None:
    """The plain way is `accumulators.judge` of the plain turns, to the bit."""
    column, sizes = family("like real", np.random.default_rng(2), bars=[65])
    prices = column.close.copy()
    prices[40] = close
    column = column._replace(close=prices)
    ids = some_ids(np.random.default_rng(3), sizes, 1, 5)
    got = judged(column, ids, Asked(mode, 0.5, 0.01, ages=0))
    assert got.plainly == 5
    for row, up, down in zip(got.whole, *plain_way(column, ids), strict=True):
        assert_same_bits(row, judge(prices, up, down, mode, 0.5, 0.01, 100.0)[1])


# ---------------------------------------------------------------- snaps of vectorbt's that the fast way has to see
def test_cash_that_comes_near_what_it_started_with() -> None:
    """vectorbt's total return counts cash from zero, and what is next to zero is zero from then on."""
    for off in (1e-10, 1e-9, 3e-9, 5e-9, 1e-8):
        close = [100.0, 100.0, 130.0, 100.0 * (1 + off), 90.0, 120.0, 150.0, 120.12]
        column, ids = one_combination(turning(1, 3, 5, 7, n=8), close)
        for mode in (BOTH, LONG_ONLY):
            got, plain = judged(column, ids, Asked(mode)), judged(column, ids, Asked(mode, ages=0))
            assert_close_metrics(got.whole, plain.whole, 8, what=off)


def test_a_short_of_half_the_cash_comes_near_it_too() -> None:
    """Going short doubles the cash: from a half to what it started with."""
    for off in (0.0, 1e-10, 1e-9, 5e-9, 1e-8):
        close = [100.0, 100.0, 80.0, 50.0 * (1 + off), 45.0, 30.0, 25.0, 30.0, 33.37]
        column, ids = one_combination(turning(1, 3, 6, n=9), close)
        got, plain = judged(column, ids, Asked(BOTH)), judged(column, ids, Asked(BOTH, ages=0))
        assert_close_metrics(got.whole, plain.whole, 9, what=off)


@pytest.mark.parametrize("mode", MODES)
def test_cash_so_large_that_what_it_started_with_is_lost_in_it(mode: int) -> None:
    """Less the initial cash, it is near what is paid for shares; vectorbt then counts on from zero."""
    factors = [
        1,
        1,
        1e3,
        1.01e3,
        1e6,
        9.9e5,
        1e9,
        1.02e9,
        1e10,
        9e9,
        3e8,
        3.1e8,
        1e7,
        1.1e7,
        5e5,
        4e5,
        2e4,
        2.1e4,
        1e3,
        9e2,
    ]
    column, ids = one_combination(turning(*range(1, 19), n=20), [1e-13 * factor for factor in factors])
    got, plain = judged(column, ids, Asked(mode)), judged(column, ids, Asked(mode, ages=0))
    assert_close_metrics(got.whole, plain.whole, 20)


@pytest.mark.parametrize("off", [0.0, 1e-9, 1e-8, 1e-7, 1e-6])
def test_a_large_short_that_ends_near_what_it_started_with(off: float) -> None:
    """How near counts by what the cover costs, a hundred times the initial cash."""
    close, bars, value = [100.0, 100.0], [1], 1.0
    for _ in range(7):  # shorts that win nearly all there is to win
        close += [close[-1] * 0.05] * 2
        bars += [len(close) - 2, len(close) - 1]
        value *= 1.95
    top = close[-1] * (2 - (1 + off) / value)
    close += [top * 0.7, top, top * 1.1, top * 1.2, top, top * 0.9, top * 1.05]
    column, ids = one_combination(turning(*bars, 17, 19, 21, n=len(close), first=-1), close)
    got, plain = (judged(column, ids, Asked(SHORT_ONLY, ages=ages)) for ages in (63, 0))
    assert_close_metrics(got.whole, plain.whole, len(close))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [1e-11, 1e-10, 5e-10, 1e-9, 2e-9, 1e-8])
def test_exits_next_to_their_entries(mode: int, step: float) -> None:
    """vectorbt takes their values for equal; what is left are fees."""
    rng = np.random.default_rng(int(1 / step))
    moves = np.where(rng.random(120) < 0.1, rng.normal(0, 0.02, 120), rng.normal(0, step, 120))
    close = 100 * np.exp(np.cumsum(moves))
    for charges in ((0.0, 0.0), (0.001, 0.0), (1e-8, 0.0), (0.001, step)):
        bars = np.flatnonzero(rng.random(120) < 0.3)
        column, ids = one_combination(turning(*bars, n=120), list(close))
        got, plain = (judged(column, ids, Asked(mode, *charges, ages)) for ages in (63, 0))
        assert_close_metrics(got.whole, plain.whole, 120, what=charges)


@pytest.mark.parametrize("rise", [2e-8, 1e-7, 1e-6])
def test_gains_that_are_little_more_than_rounding(rise: float) -> None:
    close = [100.0, 99.0, 99.0 * 1.1, 99.0 * (1 + rise), 97.0, 99.0, 80.0, 81.0, 60.0]
    column, ids = one_combination(turning(1, 3, 5, 6, n=9), close)
    for scale in (1.0, 1.0 / 3, 7.7e-3):
        scaled = column._replace(close=column.close * scale)
        got, plain = (judged(scaled, ids, Asked(LONG_ONLY, ages=ages)) for ages in (63, 0))
        assert_close_metrics(got.whole, plain.whole, 9, what=scale)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_left_of_a_portfolio_is_left_of_larger_numbers(mode: int) -> None:
    """Worn down by fees to next to nothing, its last returns carry the rounding of its first."""
    rng = np.random.default_rng(11)
    close = list(1e-6 * np.exp(np.cumsum(rng.normal(0, 0.02, 130))))
    for turns in range(4, 120, 24 if DISABLE_JIT else 2):
        column, ids = one_combination(turning(*range(1, turns + 1), n=130), close)
        got, plain = (judged(column, ids, Asked(mode, 0.2, ages=ages)) for ages in (63, 0))
        assert_close_metrics(got.whole, plain.whole, 130, what=turns)


# ---------------------------------------------------------------- between tiles
def test_what_is_kept_between_tiles_has_room() -> None:
    assert len(judging.Run._fields) == KEPT_OF_RUN == 14
    assert len(judging.Crossing._fields) == KEPT_OF_CROSSING == 5
    run = judging.Run(*range(1, 15))
    numbers, words = np.zeros(KEPT_OF_RUN), np.zeros(KEPT_OF_CROSSING, np.int8)
    crossing = judging.Crossing(np.uint64(1), np.uint64(0), np.uint64(1), np.uint64(0), -1)
    judging._keep(run, crossing, numbers, words)
    assert numbers.tolist() == list(range(1, 15))
    assert words.tolist() == [1, 0, 1, 0, -1]
    assert tuple(judging._kept_run(numbers)) == tuple(run)
    assert tuple(judging._kept_crossing(words)) == tuple(crossing)


def test_a_lean_line_is_counted_like_a_full_one() -> None:
    column, ids = one_combination(turning(3, 9, 20, n=40), CLOSES)
    full, lean = (judged(column, ids, Asked(trades=trades)).whole[0] for trades in (True, False))
    assert full[TRADES] == lean[TRADES] == 3
    assert full[SUM] == lean[SUM] != 0
    assert full[IN_MARKET] == 37
    assert full[WINS] == 3
    assert full[GAINS] > 0 == full[LOSSES]
    assert full[DOWNSIDE] > 0
