"""Words of sixty-four bars, and eight floats at once: compiled form against Python form, which says what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit
from numba.core.config import DISABLE_JIT
from numba.core.errors import TypingError
from same_bits import assert_same_bits

from atc_plugin.law.bits import WORD, compare64, first_bit
from atc_plugin.law.simd import unpack8

LEAST, MOST = -(2**31), 2**31 - 1


@njit
def compiled_compare(a, i, b, j, more_than, less_than):
    return compare64(a, i, b, j, more_than, less_than)


@njit
def compiled_first_bit(words, k):
    return first_bit(words[k])


@njit
def compiled_unpack(array, i):
    return unpack8(array, i)


def assert_compared(a: np.ndarray, i: int, b: np.ndarray, j: int, more_than: int, less_than: int) -> None:
    """Compiled, Python and spelt out with integers of any size."""
    sums = [int(x) + int(y) for x, y in zip(a[i : i + WORD], b[j : j + WORD], strict=True)]
    assert all(LEAST <= total <= MOST for total in sums), "the callers' images leave room for their sum"
    more = sum(1 << k for k, total in enumerate(sums) if total > more_than)
    between = sum(1 << k for k, total in enumerate(sums) if 0 <= total < less_than)
    for form in (compiled_compare, compare64):
        assert tuple(map(int, form(a, i, b, j, more_than, less_than))) == (more, between)


# Sums around the band of doubt (as turns.py asks for it: above 6, and 0 .. 6) and at the ends of what int32 holds.
TOTALS = st.sampled_from([-1, 0, 1, 3, 5, 6, 7, 8, -2, -1000, -5997, LEAST, LEAST + 1, MOST, MOST - 1]) | st.integers(
    LEAST, MOST
)


@given(
    st.lists(TOTALS, min_size=WORD, max_size=WORD),
    st.integers(0, 2**32 - 1),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([(6, 7), (0, 1), (-1, 3), (MOST, MOST), (LEAST, 1), (6, 0)]),
)
@example([6] * WORD, 0, 0, 0, (6, 7))
@example([7] * WORD, 0, 1, 2, (6, 7))
@example([-1] * WORD, 0, 0, 3, (6, 7))
@example([MOST] * WORD, 1, 0, 0, (6, 7))
@example([LEAST] * WORD, 1, 0, 0, (6, 7))
def test_comparing_gives_a_bit_a_bar(totals, seed, i, j, bounds) -> None:
    rng = np.random.default_rng(seed)
    total = np.array(totals, np.int64)
    # any split into two int32, often near the ends
    low, high = np.maximum(LEAST, total - MOST), np.minimum(MOST, total - LEAST)
    part = rng.integers(low, high, endpoint=True)
    part = np.where(rng.random(WORD) < 0.2, low, np.where(rng.random(WORD) < 0.2, high, part))
    a, b = np.full(WORD + i + 3, 12345, np.int32), np.full(WORD + j, -12345, np.int32)
    a[i : i + WORD] = part
    b[j : j + WORD] = total - part
    assert_compared(a, i, b, j, *bounds)


@pytest.mark.parametrize("k", range(WORD))
def test_each_bar_has_its_bit(k: int) -> None:
    row, none = np.full(WORD, -1, np.int32), np.zeros(WORD, np.int32)
    row[k] = 7
    assert tuple(map(int, compiled_compare(row, 0, none, 0, 6, 7))) == (1 << k, 0)
    row[k] = 6
    assert tuple(map(int, compiled_compare(row, 0, none, 0, 6, 7))) == (0, 1 << k)
    assert_compared(row, 0, none, 0, 6, 7)


@given(st.integers(1, 2**64 - 1), st.integers(0, 63))
@example(1, 63)
@example(2**64 - 1, 0)
def test_the_lowest_bit(word: int, shift: int) -> None:
    for value in (word, (word << shift) % 2**64 or 1):
        expected = f"{value:064b}"[::-1].index("1")
        words = np.array([value], np.uint64)
        assert first_bit(words[0]) == expected
        assert compiled_first_bit(words, 0) == expected


@given(st.lists(st.floats(width=64), min_size=8, max_size=20), st.data())
def test_eight_floats_at_once(values: list[float], data: st.DataObject) -> None:
    array = np.array(values)
    i = data.draw(st.integers(0, len(values) - 8))
    for form in (unpack8, compiled_unpack):
        eight = form(array, i)
        assert isinstance(eight, tuple)
        assert_same_bits(np.array(eight), array[i : i + 8])


@pytest.mark.skipif(DISABLE_JIT, reason="Python checks no types")
@pytest.mark.parametrize(
    ("form", "args"),
    [
        (compiled_compare, (np.zeros(64, np.int64), 0, np.zeros(64, np.int32), 0, 6, 7)),
        (compiled_compare, (np.zeros(64, np.int32), 0, np.zeros(128, np.int32)[::2], 0, 6, 7)),
        (compiled_compare, (np.zeros((1, 64), np.int32), 0, np.zeros(64, np.int32), 0, 6, 7)),
        (compiled_first_bit, (np.ones(1, np.int64), 0)),
        (compiled_unpack, (np.zeros(8, np.float32), 0)),
        (compiled_unpack, (np.zeros((1, 8)), 0)),
        (compiled_unpack, (np.zeros(16)[::2], 0)),
        (compiled_unpack, (np.zeros(8), 0.0)),
    ],
)
def test_what_does_not_fit_does_not_compile(form, args) -> None:
    with pytest.raises(TypingError):
        form(*args)
