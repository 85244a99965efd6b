"""Parts of the bars out of the same pass: within 1e-9 of the plain way and of vectorbt, the whole range untouched."""

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
    Verdicts,
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
from test_fills import portfolio
from test_judging import MODES, cases, one_combination, turning
from test_turns import plain_way

from atc_plugin.law.accumulators import judge
from atc_plugin.law.metrics import (
    GROWTH,
    IN_MARKET,
    MAX_DRAWDOWN,
    METRICS,
    RETURNS,
    SPREAD,
    SUM,
    TOTAL_RETURN,
    TRADES,
    metrics_of,
)
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.law.windows import FIELDS, windows_of

EXAMPLES = 5 if DISABLE_JIT else 100
COMBINATIONS = 4 if DISABLE_JIT else 40
Ranges = tuple[np.ndarray, np.ndarray]


def ranges(*pairs: tuple[int, int]) -> Ranges:
    starts, stops = zip(*pairs, strict=True)
    return np.array(starts), np.array(stops)


def some_ranges(rng: np.random.Generator, n: int) -> Ranges:
    """Windows of every kind: anywhere, overlapping, of no bar, of one, of all, or side by side."""
    if rng.random() < 0.4:
        edges = np.linspace(0, n, min(n, int(rng.integers(2, 18)))).astype(int)
        if len(edges) > 1:
            return edges[:-1], edges[1:]
    pairs = [tuple(sorted(pair)) for pair in rng.integers(0, n + 1, (int(rng.integers(1, 8)), 2)).tolist()]
    at = int(rng.integers(0, n))
    pairs += [(at, at), (at, at + 1), (0, n), (0, 0), (n, n), (n - 1, n), (0, 1)][int(rng.integers(0, 8)) :]
    return ranges(*pairs)


def assert_close_windows(
    got: Verdicts, expected: Verdicts, windows: Ranges, names: tuple[str, ...] = METRICS, what: object = ""
) -> None:
    assert got.windows.shape == expected.windows.shape
    for k, (start, stop) in enumerate(zip(*windows, strict=True)):
        if stop > start:
            assert_close_metrics(got.windows[:, k], expected.windows[:, k], stop - start, names, (what, start, stop))
        else:  # nothing happened to nothing
            for verdicts in (got, expected):
                empty = np.zeros(12)
                empty[GROWTH] = 1.0
                assert (verdicts.windows[:, k] == empty).all()


# ---------------------------------------------------------------- against the plain way
@pytest.mark.parametrize("name", FAMILIES)
def test_windows_are_within_1e_9_of_the_plain_way(name: str) -> None:
    all_of_them = plainly = 0
    for rng, asked, delayed in cases(name, rounds=1 if DISABLE_JIT else 2):
        column, sizes = family(name, rng, delayed)
        ids = some_ids(rng, sizes, 1, COMBINATIONS)
        windows = some_ranges(rng, column.close.size)
        trades = bool(rng.random() < 0.7)
        fast = judged(column, ids, asked._replace(windows=windows, trades=trades))
        plain = judged(column, ids, asked._replace(windows=windows, ages=0, cuts=()))
        names = METRICS if trades else LEAN
        assert_close_windows(fast, plain, windows, names, (name, asked, delayed))
        assert_close_metrics(fast.whole, plain.whole, column.close.size, names)
        without = judged(column, ids, asked._replace(trades=trades))
        assert_same_bits(fast.whole, without.whole)
        assert fast.plainly >= without.plainly
        all_of_them += len(ids)
        plainly += fast.plainly
    assert DISABLE_JIT or name not in ("like real", "mixed", "random") or plainly < 0.9 * all_of_them


@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from(FAMILIES),
    st.integers(0, 2**32 - 1),
    st.sampled_from(MODES),
    st.sampled_from([(0.0, 0.0), (0.001, 0.0), (0.01, 0.02)]),
    st.booleans(),
    st.data(),
)
def test_bits_do_not_depend_on_how_the_work_is_cut_up(name, seed, mode, charges, trades, data) -> None:
    rng = np.random.default_rng(seed)
    column, sizes = family(name, rng, bool(rng.integers(0, 2)))
    ids = some_ids(rng, sizes, 1, 6 if DISABLE_JIT else 30)
    m, n = len(ids), column.close.size
    windows = some_ranges(rng, n)
    asked = Asked(mode, *charges, 63, trades=trades, windows=windows)
    expected = judged(column, ids, asked)
    cuts = tuple(sorted(64 * cut for cut in data.draw(st.sets(st.integers(1, max(1, (n - 1) // 64))))))
    other = asked._replace(
        ages=data.draw(st.sampled_from([1, 2, 9, 255])), cuts=cuts, order=tuple(data.draw(st.permutations(range(6))))
    )
    got = judged(column, ids, other, rng.permutation(m), data.draw(st.integers(1, m)))
    assert_same_bits(got.whole, expected.whole)
    assert_same_bits(got.windows, expected.windows)
    assert got.plainly == expected.plainly


def test_one_window_says_the_same_whatever_others_there_are() -> None:
    """Within 1e-9: other windows cut the bars into other parts."""
    rng = np.random.default_rng(4)
    column, sizes = family("like real", rng, bars=[128])
    ids = some_ids(rng, sizes, 1, 20)
    n = column.close.size
    alone = judged(column, ids, Asked(BOTH, 0.001, windows=ranges((30, 100))))
    many = ranges((30, 100), *((k, k + 1) for k in range(n)), *((k, n) for k in range(0, n, 9)))
    among = judged(column, ids, Asked(BOTH, 0.001, windows=many))
    assert_close_metrics(among.windows[:, 0], alone.windows[:, 0], 70)


def test_a_window_of_all_bars_is_the_whole_range() -> None:
    rng = np.random.default_rng(8)
    for name in ("like real", "ticks"):
        column, sizes = family(name, rng, bars=[128])
        n = column.close.size
        ids = some_ids(rng, sizes, 1, 20)
        for mode in MODES:
            got = judged(column, ids, Asked(mode, 0.001, windows=ranges((0, n), (0, 64), (64, n))))
            assert_close_metrics(got.windows[:, 0], got.whole, n)


def test_windows_side_by_side_add_up() -> None:
    rng = np.random.default_rng(9)
    column, sizes = family("mixed", rng, bars=[128])
    ids = some_ids(rng, sizes, 1, 20)
    edges = np.array([0, 5, 6, 40, 64, 100, 128])
    for mode in MODES:
        got = judged(column, ids, Asked(mode, 0.001, windows=(edges[:-1], edges[1:])))
        for k in (RETURNS, TRADES, IN_MARKET):
            assert_same_bits(got.windows[:, :, k].sum(axis=1), got.whole[:, k])
        np.testing.assert_allclose(got.windows[:, :, GROWTH].prod(axis=1), got.whole[:, GROWTH], rtol=1e-12)
        np.testing.assert_allclose(got.windows[:, :, SUM].sum(axis=1), got.whole[:, SUM], rtol=1e-9, atol=1e-13)


def test_one_combination_alone_over_several_tiles() -> None:
    """Its parts are kept between tiles too, though there is but one."""
    rng = np.random.default_rng(3)
    for name in ("like real", "mixed", "ticks"):
        column, sizes = family(name, rng, bars=[200])
        for mode in MODES:
            asked = Asked(mode, 0.001, windows=some_ranges(rng, 200))
            ids = some_ids(rng, sizes, 1, 1)
            expected = judged(column, ids, asked)
            got = judged(column, ids, asked._replace(cuts=(64, 128)))
            assert_same_bits(got.whole, expected.whole)
            assert_same_bits(got.windows, expected.windows)


# ---------------------------------------------------------------- against vectorbt
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("fees", "slippage"), [(0.0, 0.0), (0.001, 0.002)])
def test_windows_are_vectorbts(mode: int, fees: float, slippage: float) -> None:
    """Its returns cut up, and its trades by the bar of their entry."""
    for name in ("like real",) if DISABLE_JIT else ("like real", "mixed", "ticks", "ties", "jumps"):
        rng = np.random.default_rng([*map(ord, name), mode])
        n = 65 if DISABLE_JIT else 200
        column, sizes = family(name, rng, bars=[n])
        ids = some_ids(rng, sizes, 1, 3 if DISABLE_JIT else 20)
        windows = ranges((0, n), (0, n // 2), (n // 3, n), (10, 40), (30, 31), (40, 60), (n - 1, n), (20, 20))
        got = judged(column, ids, Asked(mode, fees, slippage, windows=windows))
        plain = judged(column, ids, Asked(mode, fees, slippage, ages=0, windows=windows))
        up, down = plain_way(column, ids)
        pf = portfolio(column.close, up.T, down.T, mode, fees=fees, slippage=slippage, freq="1D", init_cash=100.0)
        returns, held = pf.returns(), np.asarray(pf.position_mask())
        trades = pf.trades.records
        for k, (a, b) in enumerate(zip(*windows, strict=True)):
            if a == b:
                continue
            theirs = returns.iloc[a:b].vbt.returns(freq="1D", year_freq="365 days")
            inside = trades[(trades["entry_idx"] >= a) & (trades["entry_idx"] < b)]
            pnl = [inside["pnl"][inside["col"] == c].to_numpy() for c in range(len(ids))]
            with np.errstate(all="ignore"):
                expected = {
                    "total_return": theirs.total(),
                    "annualized_return": theirs.annualized(),
                    "sharpe_ratio": theirs.sharpe_ratio(),
                    "sortino_ratio": theirs.sortino_ratio(),
                    "max_drawdown": theirs.max_drawdown(),
                    "calmar_ratio": theirs.calmar_ratio(),
                    "total_trades": [p.size for p in pnl],
                    "win_rate": [np.float64((p > 0).sum()) / p.size for p in pnl],
                    "profit_factor": [np.float64(p[p > 0].sum()) / abs(p[p < 0].sum()) for p in pnl],
                    "exposure": held[a:b].mean(axis=0),
                }
            for verdicts in (got, plain):
                ours = metrics_of(verdicts.windows[:, k], b - a, 365.0)
                for metric, values in expected.items():
                    worst = relative(ours[metric], np.asarray(values, float)).max()
                    assert worst <= 1e-9, (name, a, b, metric, worst)


# ---------------------------------------------------------------- how windows become parts
def test_parts_lie_between_the_edges_of_windows() -> None:
    windows = windows_of(np.array([3, 0, 5, 3, 10, 0]), np.array([7, 10, 5, 4, 10, 0]), 10)
    assert windows.ends.tolist() == [2, 3, 4, 6, 9]
    assert windows.first_part.tolist() == [1, 0, 3, 1, 5, 0]
    assert windows.last_part.tolist() == [4, 5, 3, 2, 5, 0]
    assert (windows.starts.tolist(), windows.stops.tolist()) == ([3, 0, 5, 3, 10, 0], [7, 10, 5, 4, 10, 0])
    assert FIELDS == 13
    assert windows_of(np.array([0]), np.array([1]), 1).ends.tolist() == [0]


def by_hand(close: list[float], sides: list[int], windows: Ranges, asked: Asked) -> tuple[Verdicts, Verdicts]:
    column, ids = one_combination(sides, close)
    fast, plain = (judged(column, ids, asked._replace(windows=windows, ages=ages)) for ages in (63, 0))
    assert_close_windows(fast, plain, windows)
    return fast, plain


CLOSE = [100.0, 102.0, 99.0, 103.0, 107.0, 101.0, 98.0, 104.0, 110.0, 106.0, 108.0, 112.0, 109.0, 105.0, 111.0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trades", [True, False])
def test_every_window_of_a_short_series(mode: int, trades: bool) -> None:
    """Windows that begin and end before, at and behind every turn."""
    n = len(CLOSE)
    windows = ranges(*((a, b) for a in range(n + 1) for b in range(a, n + 1)))
    for bars in ((3, 7, 12), (3, 4, 5), (14,), (1, 14), (2, 13)):
        column, ids = one_combination(turning(*bars, n=n), CLOSE)
        asked = Asked(mode, 0.001, 0.001, windows=windows, trades=trades)
        fast, plain = (judged(column, ids, asked._replace(ages=ages)) for ages in (63, 0))
        assert_close_windows(fast, plain, windows, METRICS if trades else LEAN, bars)
        for window in range(0, len(windows[0]), 5 if DISABLE_JIT else 1):  # the fast way's own, a window at a time
            one = (windows[0][[window]], windows[1][[window]])
            alone = judged(column, ids, asked._replace(windows=one))
            assert_close_windows(alone, Verdicts(plain.whole, plain.windows[:, [window]], 0, plain.flags), one,
                                 METRICS if trades else LEAN, bars)  # fmt: skip


def test_a_trade_belongs_to_the_window_of_its_entry() -> None:
    fast, _ = by_hand(CLOSE, turning(3, 8, n=15), ranges((0, 3), (3, 4), (4, 8), (8, 9), (9, 15)), Asked(BOTH))
    assert fast.windows[0, :, TRADES].tolist() == [0, 1, 0, 1, 0]
    fast, _ = by_hand(CLOSE, turning(3, 8, n=15), ranges((0, 3), (3, 4), (4, 8), (8, 9), (9, 15)), Asked(LONG_ONLY))
    assert fast.windows[0, :, TRADES].tolist() == [0, 1, 0, 0, 0]
    assert fast.windows[0, :, IN_MARKET].tolist() == [0, 1, 4, 0, 0]
    fast, _ = by_hand(CLOSE, turning(3, 8, n=15), ranges((0, 8), (8, 15)), Asked(SHORT_ONLY))
    assert fast.windows[0, :, TRADES].tolist() == [0, 1]


def test_the_drawdown_of_a_window_starts_at_its_first_bar() -> None:
    """What was lost before it, or on its first bar, is no drawdown of the window."""
    close = [100.0, 100.0, 120.0, 90.0, 95.0, 94.0, 99.0]
    fast, plain = by_hand(close, turning(1, n=7), ranges((0, 7), (3, 7), (4, 7)), Asked(BOTH))
    for verdicts in (fast, plain):
        drawdown = verdicts.windows[0, :, MAX_DRAWDOWN]
        np.testing.assert_allclose(drawdown, [90 / 120 - 1, 94 / 95 - 1, 94 / 95 - 1], rtol=1e-12)
        np.testing.assert_allclose(
            verdicts.windows[0, :, TOTAL_RETURN], [99 / 100 - 1, 99 / 120 - 1, 99 / 90 - 1], rtol=1e-12
        )


def test_a_combination_that_is_impossible_is_nan_in_every_window() -> None:
    column, ids = one_combination(turning(3, 8, n=15), CLOSE)
    close = column.close.copy()
    close[8] = -1.0
    got = judged(column._replace(close=close), ids, Asked(BOTH, ages=0, windows=ranges((0, 3), (5, 9), (4, 4))))
    assert np.isnan(got.windows).all()
    assert np.isnan(got.whole).all()


def test_a_window_that_the_fast_way_cannot_be_sure_of_leaves_the_whole_range() -> None:
    """The window alone is judged plainly: nothing but gains in it."""
    windows = ranges((0, 15), (7, 9))
    column, ids = one_combination(turning(3, n=15), CLOSE)
    got, without = judged(column, ids, Asked(BOTH, windows=windows)), judged(column, ids, Asked(BOTH))
    plain = judged(column, ids, Asked(BOTH, ages=0, windows=windows))
    assert (without.plainly, got.plainly) == (0, 1)
    assert_same_bits(got.whole, without.whole)
    assert_same_bits(got.windows, plain.windows)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [1e-3, 1e-4, 1e-5])
def test_a_quiet_window_of_a_stretch_that_has_seen_much(mode: int, step: float) -> None:
    """Next to its sums over the stretch so far, those of the window are nothing."""
    moves = np.random.default_rng(0).normal(step / 10, step, 100)
    moves[20:23] = 0.5, -0.5, 0.6
    close = list(100 * np.exp(np.cumsum(moves)))
    for bars, window in itertools.product([(10, 60, 80), (10,), (10, 99)], [(30, 60), (60, 90), (30, 58), (61, 99)]):
        windows = ranges(window)  # alone: all are judged plainly where one has to be
        by_hand(close, turning(*bars, n=100), windows, Asked(mode))
        column, ids = one_combination(turning(*bars, n=100), close)
        lean, plain = (judged(column, ids, Asked(mode, ages=a, trades=a == 0, windows=windows)) for a in (63, 0))
        assert_close_windows(lean, plain, windows, LEAN)


def ill_conditioned(kind: str, tiny: float, n: int = 60) -> np.ndarray:
    """Returns of the bars 2 .. n - 1 of which one number is next to nothing, beside others that are not."""
    rng = np.random.default_rng(int(-np.log10(tiny) * 10))
    if kind == "drawdown and downside":  # nothing but gains, and one small loss
        moves = np.abs(rng.normal(0, 0.01, n))
        moves[n // 2] = -tiny
    elif kind == "spread":  # always the same loss: without one, the drawdown is next to nothing too
        moves = -0.01 + rng.normal(0, tiny, n)
    else:
        moves = rng.normal(0, 0.01, n)
        moves[-1] = 0.0
        moves[-1] = tiny - moves[2:].sum() if kind == "sum" else (1 + tiny) / np.prod(1 + moves[2:]) - 1
    moves[:2] = 0.0
    return 100 * np.cumprod(1 + moves)


@pytest.mark.parametrize("kind", ["drawdown and downside", "spread", "sum", "growth"])
@pytest.mark.parametrize("tiny", [10.0**-k for k in ((4, 8, 12) if DISABLE_JIT else range(3, 14))])
def test_what_is_next_to_nothing_is_as_exact(kind: str, tiny: float) -> None:
    """Over all bars, and over the window of the returns alone."""
    close = list(ill_conditioned(kind, tiny))
    n = len(close)
    after = [*close, close[-1] * 0.9, close[-1] * 1.1]
    for prices, window in ((close, (2, n)), (after, (2, n)), (close, (0, n)), (after, (n // 2, n))):
        windows = ranges(window)
        for mode, bars, trades in itertools.product((BOTH, LONG_ONLY), [(1,), (1, n - 1)], (True, False)):
            column, ids = one_combination(turning(*bars, n=len(prices)), prices)
            fast = judged(column, ids, Asked(mode, windows=windows, trades=trades))
            plain = judged(column, ids, Asked(mode, ages=0, windows=windows))
            names = METRICS if trades else LEAN
            assert_close_windows(fast, plain, windows, names, (kind, tiny))
            assert_close_metrics(fast.whole, plain.whole, len(prices), names, (kind, tiny))


def test_ruined_combinations_have_windows_too() -> None:
    close = [10.0, 10.0, 25.0, 30.0, 12.0, 8.0, 9.0, 7.0]
    column, ids = one_combination(turning(1, 6, n=8, first=-1), close)
    windows = ranges((0, 8), (2, 4), (3, 6))
    for mode in MODES:
        fast, plain = (judged(column, ids, Asked(mode, ages=ages, windows=windows)) for ages in (63, 0))
        assert fast.plainly == (mode != LONG_ONLY)
        assert_close_windows(fast, plain, windows)


def test_the_plain_windows_are_the_metrics_of_the_part() -> None:
    """Of a portfolio that turns nowhere before the window: a series that begins there."""
    rng = np.random.default_rng(0)
    n, start = 60, 20
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))
    up, down = np.zeros((2, n), bool)
    up[[25, 44]], down[[33, 50]] = True, True
    sides = turning(25, 33, 44, 50, n=n)
    column: Column = column_of(
        close,
        components_from(np.tile(100 * np.array(sides), (6, 1)).astype(np.int8), np.ones((6, n)), 0),
        types_of([1] * 6),
        [(0.1, -0.1, False)],
    )
    for mode in MODES:
        got = judged(column, every_id([1] * 6), Asked(mode, 0.001, ages=0, windows=ranges((start, n))))
        alone = judge(close[start:], up[start:], down[start:], mode, 0.001, 0.0, 100.0)[1]
        assert got.windows[0, 0, SPREAD] == pytest.approx(alone[SPREAD], rel=1e-12)
        assert_close_metrics(got.windows[:, 0], alone[np.newaxis], n - start)
