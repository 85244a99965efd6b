"""What goes to a device at a time, and blocks put together again, whatever the parts and their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_bits import assert_same_bits

from atc_plugin.law.metrics import ACCUMULATORS
from atc_plugin.sweeps.accumulated import Judged
from atc_plugin.sweeps.open_blocks import OpenBlocks
from atc_plugin.sweeps.pieces import Piece, pieces_of

Todo = list[tuple[int, list[tuple[int, int]]]]


@st.composite
def missing_blocks(draw: st.DrawFn) -> tuple[int, int, Todo]:
    """The size of a block, of the sweep, and of each column which blocks it lacks."""
    size, end = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    blocks = [(first, min(first + size, end)) for first in range(0, end, size)]
    column = st.lists(st.sampled_from(blocks), min_size=1, unique=True).map(sorted)
    columns = draw(st.lists(column | st.just(blocks), min_size=1, max_size=6))
    return size, end, list(enumerate(columns))


@given(missing_blocks(), st.integers(1, 4), st.integers(1, 50))
def test_pieces_are_all_that_is_missing_once(drawn: tuple[int, int, Todo], columns: int, combinations: int) -> None:
    _, _, todo = drawn
    pieces = list(pieces_of(iter(todo), columns, combinations))
    assert all(len(piece.columns) <= columns and piece.last - piece.first <= combinations for piece in pieces)
    got = sorted((column, n) for piece in pieces for column in piece.columns for n in range(piece.first, piece.last))
    assert got == [(column, n) for column, blocks in todo for first, last in blocks for n in range(first, last)]


def test_columns_that_lack_the_same_go_together() -> None:
    whole, half = [(0, 4), (4, 8)], [(4, 8)]
    todo: Todo = [(0, whole), (1, whole), (2, half), (3, half), (4, half), (6, whole)]
    assert list(pieces_of(iter(todo), 2, 100)) == [
        Piece((0, 1), 0, 8),
        Piece((2, 3), 4, 8),
        Piece((4,), 4, 8),
        Piece((6,), 0, 8),
    ]


def test_blocks_that_do_not_follow_each_other_stay_apart() -> None:
    todo: Todo = [(0, [(0, 4), (8, 12), (12, 14)])]
    assert list(pieces_of(iter(todo), 1, 100)) == [Piece((0,), 0, 4), Piece((0,), 8, 14)]


def test_nothing_is_drawn_before_it_is_needed() -> None:
    """Columns are looked up in the store while others are on the device."""
    asked = []

    def todo() -> object:
        for column in range(6):
            asked.append(column)
            yield column, [(0, 4)]

    pieces = pieces_of(todo(), 2, 100)  # type: ignore[arg-type]
    assert next(pieces) == Piece((0, 1), 0, 4)
    assert asked == [0, 1, 2]


@given(st.integers(1, 7), st.integers(0, 50), st.integers(1, 50))
def test_halves_are_the_whole(columns: int, first: int, size: int) -> None:
    def cut(piece: Piece) -> list[Piece]:
        halves = piece.halves()
        assert len(halves) in (0, 2)
        return [part for half in halves for part in cut(half)] or [piece]

    parts = cut(Piece(tuple(range(columns)), first, first + size))
    assert [(part.columns, part.first, part.last) for part in parts] == [
        ((column,), n, n + 1) for column in range(columns) for n in range(first, first + size)
    ]


def test_many_combinations_are_halved_before_columns() -> None:
    """Pieces of the same columns follow each other, so that what is made of these is made once."""
    assert Piece((0, 1), 0, 8192).halves() == [Piece((0, 1), 0, 4096), Piece((0, 1), 4096, 8192)]
    assert Piece((0, 1), 0, 4096).halves() == [Piece((0,), 0, 4096), Piece((1,), 0, 4096)]
    assert Piece((1,), 0, 4096).halves() == [Piece((1,), 0, 2048), Piece((1,), 2048, 4096)]


def judged(column: int, first: int, last: int, plainly: int = 0) -> Judged:
    """Accumulators that say whose they are."""
    numbers = 1000.0 * column + np.arange(first, last)[:, None] + np.arange(len(ACCUMULATORS)) / 100
    return Judged(numbers, np.stack([numbers + 0.5, numbers + 0.7], axis=1), plainly)


@given(missing_blocks(), st.integers(1, 4), st.integers(1, 50), st.randoms())
def test_blocks_come_whole_from_parts_in_any_order(
    drawn: tuple[int, int, Todo], columns: int, combinations: int, random: object
) -> None:
    size, end, todo = drawn
    parts = [
        (column, piece.first, piece.last)
        for piece in pieces_of(iter(todo), columns, combinations)
        for column in piece.columns
    ]
    random.shuffle(parts)  # type: ignore[attr-defined]
    blocks = OpenBlocks(size, end)
    got = {}
    for column, first, last in parts:
        for start, whole in blocks.add(column, first, judged(column, first, last, plainly=1)):
            assert (column, start) not in got
            got[column, start] = whole
    assert set(got) == {(column, first) for column, lacking in todo for first, _ in lacking}
    for (column, start), whole in got.items():
        expected = judged(column, start, min(start + size, end))
        assert_same_bits(whole.whole, expected.whole)
        assert_same_bits(whole.windows, expected.windows)
    assert sum(whole.plainly for whole in got.values()) == len(parts)


def test_a_block_that_comes_in_one_part_is_not_copied() -> None:
    part = judged(0, 0, 8)
    (start, whole), (second, _) = OpenBlocks(4, 8).add(0, 0, part)
    assert (start, second) == (0, 4)
    assert np.shares_memory(whole.whole, part.whole)


def test_time_is_counted_from_block_to_block(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 13.0, 14.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    blocks = OpenBlocks(4, 8)
    assert (blocks.seconds(), blocks.seconds()) == (3.0, 1.0)
