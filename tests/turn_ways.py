"""The turns of combinations by the law's plain way and by its fast one, as arrays that can be compared."""

from __future__ import annotations

import numpy as np
from made_components import Column
from numba import njit

from atc_plugin.law.turns import TYPES, find_turns, no_crossing, plain_turns, room_for_sums, update_sums


@njit
def found(components, images, levels, ids, order, cuts, shared, up, down):
    """Fast turns of combinations into `up` and `down` (m, n), tile by tile; False if the sums were not theirs."""
    m = len(ids)
    right = True
    crossings = [no_crossing() for _ in range(m)]
    for tile in range(len(cuts) - 1):
        first_bar, last_bar = cuts[tile], cuts[tile + 1]
        bars = (last_bar - first_bar + 63) // 64 * 64
        turns = np.empty(bars, np.int64)
        sums = room_for_sums(bars)
        for i in range(m):
            if not shared:
                sums = room_for_sums(bars)
            update_sums(sums, images, levels, ids[i], order, first_bar, bars)
            if shared:
                fresh = room_for_sums(bars)
                update_sums(fresh, images, levels, ids[i], order, first_bar, bars)
                right &= np.array_equal(fresh.above, sums.above) and np.array_equal(fresh.below, sums.below)
            count, crossing = find_turns(
                components, images, levels, sums, ids[i], order, first_bar, last_bar, crossings[i], turns
            )
            crossings[i] = crossing
            for k in range(count):  # they alternate: the direction after the last tells that after each
                to = crossing.direction if (count - 1 - k) % 2 == 0 else -crossing.direction
                (up if to > 0 else down)[i, turns[k]] += 1
    return right


@njit
def plainly(components, levels, ids, up, down):
    n = components.weights.shape[1]
    room, average, directions = np.empty(n), np.empty(n), np.empty(n, np.int8)
    for i in range(len(ids)):
        plain_turns(components, levels, ids[i], room, average, directions, up[i], down[i])


def plain_way(column: Column, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    up, down = (np.zeros((len(ids), column.close.size), bool) for _ in range(2))
    plainly(column.components, column.levels, ids, up, down)
    return up, down


def fast_way(
    column: Column, ids: np.ndarray, order: np.ndarray, cuts: list[int], shared: bool
) -> tuple[np.ndarray, np.ndarray]:
    up, down = (np.zeros((len(ids), column.close.size), np.int8) for _ in range(2))
    assert found(column.components, column.images, column.levels, ids, order, np.array(cuts), shared, up, down)
    return up, down


def relied_on(column: Column, ids: np.ndarray) -> np.ndarray:
    return np.array([column.images.sound[row[TYPES], row[:TYPES]].all() for row in ids], bool)
