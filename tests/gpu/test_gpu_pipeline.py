"""Pieces of work in slots of a real device: the same bits, with and without memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from same_bits import assert_same_bits
from slot_pieces import BARS, Returns, Stretch, prices, returns, stretches

from atc_plugin.accel import why_not
from atc_plugin.accel.launch import DeviceEngine
from atc_plugin.accel.pipeline import SlotCounts, run_in_slots
from atc_plugin.accel.slots import DeviceMemoryError

pytestmark = pytest.mark.skipif(why_not() != "", reason=f"no GPU can be used here: {why_not()}")

COLUMNS, OF = 1 << 16, 1 << 13
CLOSE = prices(COLUMNS)
EXPECTED = returns(CLOSE)


@pytest.fixture
def limit() -> Iterator[int]:
    """Memory for the arrays of a piece and a half, as CuPy's pool limits it."""
    import cupy

    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before, limit = pool.get_limit(), pool.used_bytes() + Stretch(0, OF).nbytes * 3 // 2
    pool.set_limit(size=limit)
    yield limit
    pool.set_limit(size=before)


def assert_all_returns(done: list[tuple[Stretch, np.ndarray]]) -> None:
    ends = [0, *(piece.end for piece, _ in done)]
    assert [piece.first for piece, _ in done] == ends[:-1]
    assert ends[-1] == COLUMNS
    for piece, got in done:
        assert_same_bits(got, EXPECTED[:, piece.first : piece.end])


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_pieces_come_in_order_with_their_results(slots: int) -> None:
    done = list(run_in_slots(stretches(COLUMNS, OF), Returns(CLOSE), engines=[DeviceEngine()], slots=slots))
    assert len(done) == COLUMNS // OF
    assert_all_returns(done)


def test_pieces_are_divided_where_memory_is_short(limit: int) -> None:
    counts = SlotCounts()
    engine = DeviceEngine()
    assert engine.free_bytes() <= limit
    assert_all_returns(list(run_in_slots(stretches(COLUMNS, OF), Returns(CLOSE), engines=[engine], counts=counts)))
    assert counts.halvings > 0


def test_what_does_not_fit_says_so(limit: int) -> None:
    too_large = [Stretch(0, 2 * OF, is_whole=True)]
    assert limit < BARS * 2 * OF * 8 * 2
    with pytest.raises(DeviceMemoryError, match=r"which cannot be divided"):
        list(run_in_slots(too_large, Returns(CLOSE), engines=[DeviceEngine()]))
