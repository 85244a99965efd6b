"""Windows out of marks: the same as by folding over parts, but for the rounding of a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_components import FAMILIES, Asked, Verdicts, family, judged, some_ids
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits
from test_judging import MODES, cases, one_combination, turning
from test_windows import ranges, some_ranges

from atc_plugin.law import judging
from atc_plugin.law.marks import NOT_MADE, judge_marked
from atc_plugin.law.metrics import DOWNSIDE, GROWTH, IN_MARKET, RETURNS, SPREAD, SUM, TOTAL_RETURN, TRADES
from atc_plugin.law.modes import BOTH

COMBINATIONS = 4 if DISABLE_JIT else 40


def marked(monkeypatch: pytest.MonkeyPatch, column: Any, ids: np.ndarray, asked: Asked, *how: Any) -> Verdicts:
    """`judged`, by marks."""

    def by_marks(shared, table, batch, first, last, trades, windows, parts, windows_out):  # type: ignore[no-untyped-def]
        out = np.zeros((*windows_out.shape[1:], len(windows_out)))
        plainly = judge_marked(shared, table, batch, first, last, trades, windows, parts, out)
        if table.bars[1] == column.close.size:
            rows = batch.sequence[first:last]
            windows_out[rows] = out.transpose(2, 0, 1)[rows]
        return plainly

    with monkeypatch.context() as context:
        context.setattr(judging, "judge_tile", by_marks)
        return judged(column, ids, asked, *how)


def assert_as_good(got: Verdicts, expected: Verdicts, what: object = "") -> None:
    """Counts alike; sums within 1e-9 of the risk, which is what ratios are made of."""
    ours, theirs = got.windows, expected.windows
    assert (ours[:, :, NOT_MADE] == 0).all()
    for k in (RETURNS, TRADES, IN_MARKET):
        assert_same_bits(ours[:, :, k], theirs[:, :, k], f"{what} {k}")
    with np.errstate(all="ignore"):
        squares = theirs[:, :, SPREAD] + theirs[:, :, SUM] ** 2 / np.maximum(theirs[:, :, RETURNS], 1)
        for k, scale in ((SUM, np.sqrt(squares)), (SPREAD, squares), (DOWNSIDE, squares), (GROWTH, 1.0)):
            apart = np.abs(ours[:, :, k] - theirs[:, :, k])
            alike = (
                (apart <= 1e-9 * scale)
                | (ours[:, :, k] == theirs[:, :, k])
                | (np.isnan(ours[:, :, k]) & np.isnan(theirs[:, :, k]))
            )
            alike |= apart <= 1e-9 * np.abs(theirs[:, :, k])  # what has grown by orders of magnitude
            alike |= apart <= 1e-15  # an order without costs: vectorbt's return has a last bit, ours none
            assert alike.all(), (what, k, ours[:, :, k][~alike], theirs[:, :, k][~alike])
    both = np.isfinite(ours[:, :, GROWTH])
    assert_same_bits(ours[:, :, TOTAL_RETURN][both], ours[:, :, GROWTH][both] - 1.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_marks_are_as_good_as_parts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for rng, asked, delayed in cases(name, rounds=1):
        column, sizes = family(name, rng, delayed)
        ids = some_ids(rng, sizes, 1, COMBINATIONS)
        some = asked._replace(windows=some_ranges(rng, column.close.size), trades=True)
        got = marked(monkeypatch, column, ids, some)
        assert_as_good(got, judged(column, ids, some._replace(ages=0, cuts=())), (name, some))
        assert_same_bits(got.whole, judged(column, ids, some._replace(windows=None)).whole)


@settings(max_examples=5 if DISABLE_JIT else 60)
@given(st.sampled_from(FAMILIES), st.integers(0, 2**32 - 1), st.sampled_from(MODES), st.booleans(), st.data())
def test_marks_do_not_depend_on_how_the_work_is_cut_up(name, seed, mode, trades, data) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    column, sizes = family(name, rng, bool(rng.integers(0, 2)))
    ids = some_ids(rng, sizes, 1, 6 if DISABLE_JIT else 30)
    m, n = len(ids), column.close.size
    asked = Asked(mode, 0.001, 0.0, 63, trades=trades, windows=some_ranges(rng, n))
    cuts = tuple(sorted(64 * cut for cut in data.draw(st.sets(st.integers(1, max(1, (n - 1) // 64))))))
    other = asked._replace(ages=data.draw(st.sampled_from([1, 2, 9, 255])), cuts=cuts)
    chunk = data.draw(st.integers(1, m))
    with pytest.MonkeyPatch.context() as patch:
        expected = marked(patch, column, ids, asked)
        got = marked(patch, column, ids, other, rng.permutation(m), chunk)
    assert_same_bits(got.whole, expected.whole)
    assert_same_bits(got.windows, expected.windows)


def test_every_window_of_a_short_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that begin and end before, at and behind every turn."""
    close = [100.0, 102.0, 99.0, 103.0, 107.0, 101.0, 98.0, 104.0, 110.0, 106.0, 108.0, 112.0]
    n = len(close)
    windows = ranges(*((a, b) for a in range(n + 1) for b in range(a, n + 1)))
    for mode in MODES:
        for bars in ((3, 7, 10), (3, 4, 5), (11,), (1, 11)):
            column, ids = one_combination(turning(*bars, n=n), close)
            asked = Asked(mode, 0.001, 0.001, windows=windows)
            assert_as_good(marked(monkeypatch, column, ids, asked), judged(column, ids, asked), (mode, bars))


def test_a_quiet_window_behind_a_wild_one_is_judged_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is a difference of has no digits left for it."""
    rng = np.random.default_rng(0)
    moves = np.concatenate([rng.normal(0, 0.3, 30), rng.normal(0, 1e-6, 30), rng.normal(0, 0.1, 10)])
    column, ids = one_combination(turning(2, 40, n=70), list(100 * np.exp(np.cumsum(moves))))
    asked = Asked(BOTH, windows=ranges((31, 60)))
    got = marked(monkeypatch, column, ids, asked)
    assert got.plainly == 1
    assert_as_good(got, judged(column, ids, asked._replace(ages=0)))
