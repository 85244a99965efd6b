"""The fast way to a combination's turns against the plain way, exactly, over averages that lie on their thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_components import (
    THRESHOLDS,
    WEIGHTS,
    Column,
    Threshold,
    column_of,
    components_from,
    every_id,
    made_components,
    some_ids,
    types_of,
    votes,
    weights,
)
from numba.core.config import DISABLE_JIT
from plain_law import average as plain_average
from plain_law import direction as plain_direction
from same_bits import assert_same_bits
from turn_ways import fast_way, plain_way, relied_on

from atc_plugin.law.turns import (
    LEVELS,
    TYPES,
    Components,
    average_at,
    average_of_combination,
    room_for_sums,
    scales_of,
    series_of,
    update_sums,
)

EXAMPLES = 8 if DISABLE_JIT else 250
BARS = [1, 2, 63, 64, 65, 127, 128, 129, 192] + ([] if DISABLE_JIT else [256, 300, 333])
COMBINATIONS = 6 if DISABLE_JIT else 40


def assert_turns_agree(column: Column, ids: np.ndarray, order: np.ndarray, cuts: list[int], shared: bool) -> None:
    for got, expected in zip(fast_way(column, ids, order, cuts, shared), plain_way(column, ids), strict=True):
        assert_same_bits(got, expected.astype(np.int8))


def on_the_average(rng: np.random.Generator, components: Components, sizes: list[int], start: int) -> list[float]:
    """Averages that some combination takes at some bar, and the numbers next to them."""
    n = components.weights.shape[1]
    if start == n:
        return [0.1, 0.2]
    six = some_ids(rng, sizes, 1, 1)[0]
    with np.errstate(all="ignore"):
        values = np.unique([float(average_at(components, six, int(t))) for t in rng.integers(start, n, 3)])
    values = values[np.isfinite(values)]
    return sorted({float(v) for value in values for v in (value, np.nextafter(value, 9), np.nextafter(value, -9))})


@st.composite
def columns(draw: st.DrawFn) -> tuple[Column, list[int], list[Threshold], int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from(BARS) | st.integers(1, 100 if DISABLE_JIT else 320))
    start = min(draw(st.sampled_from([0, 0, 1, 62, 63, 64, 65, 127, 128, 191, n - 1, n]) | st.integers(0, n)), n)
    sizes = [int(size) for size in rng.integers(1, 4, TYPES)]
    kind, held = draw(st.sampled_from(WEIGHTS)), draw(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
    components = made_components(rng, n, sizes, start, kind, held)
    levels = draw(st.lists(st.sampled_from(THRESHOLDS), min_size=1, max_size=2))
    levels.append(tuple(sorted((draw(st.floats(-1, 1)), draw(st.floats(-1, 1))), reverse=True)))
    near = on_the_average(rng, components, sizes, start)
    if near:
        levels.append(tuple(sorted(rng.choice(near, 2), reverse=True)))
        levels.append((near[len(near) // 2], near[0]))
    thresholds = list(dict.fromkeys((float(a), float(b), bool(rng.integers(0, 2))) for a, b in levels))
    return column_of(np.ones(n), components, types_of(sizes), thresholds), sizes, thresholds, int(rng.integers(2**32))


@settings(max_examples=EXAMPLES)
@given(columns(), st.permutations(range(TYPES)), st.booleans(), st.data())
def test_the_fast_way_finds_the_turns_of_the_plain_way(made, order, shared, data) -> None:
    column, sizes, thresholds, seed = made
    ids = some_ids(np.random.default_rng(seed), sizes, len(thresholds), COMBINATIONS)
    ids = ids[relied_on(column, ids)]
    n = column.close.size
    words = -(-n // 64)
    inner = data.draw(st.sets(st.integers(1, words - 1))) if words > 1 else set()
    cuts = [0, *(64 * cut for cut in sorted(inner)), n]
    if len(ids):
        assert_turns_agree(column, ids, np.array(order), cuts, shared)


@pytest.mark.parametrize("kind", ["near one", "whole", "wide", "unlike"])
def test_most_images_can_be_relied_on(kind: str) -> None:
    rng = np.random.default_rng(0)
    for long_threshold, short_threshold in THRESHOLDS[:8]:
        sizes = [2] * TYPES
        components = made_components(rng, 100, sizes, 5, kind, 0.5)
        column = column_of(np.ones(100), components, types_of(sizes), [(long_threshold, short_threshold, False)])
        assert column.images.sound.all()


@pytest.mark.parametrize("thresholds", [(0.0, 0.0), (0.2, 0.2), (0.25, -0.25), (1.0, 1 / 3), (-1.0, -1.0), (1.0, 1.0)])
@pytest.mark.parametrize("delayed", [False, True])
def test_ties_with_the_threshold(thresholds: tuple[float, float], delayed: bool) -> None:
    """Whole weights: the average is at its level to the bit again and again."""
    rng = np.random.default_rng(7)
    n = 130 if DISABLE_JIT else 1500
    sizes = [2, 1, 2, 1, 1, 1]
    column = column_of(
        np.ones(n), made_components(rng, n, sizes, 3, "whole", 0.3), types_of(sizes), [(*thresholds, delayed)]
    )
    ids = every_id(sizes)
    average = np.empty(n)
    average_of_combination(column.components, ids[0], delayed, np.empty(n), average)
    assert DISABLE_JIT or (average == thresholds[0]).sum() > 0
    assert_turns_agree(column, ids, np.arange(TYPES), [0, 64, n], True)


def test_all_six_at_one_value_and_no_rounding_to_hide_behind() -> None:
    """Averages of exactly +-1, the least and the greatest there are, at levels of +-1 and just inside."""
    rng = np.random.default_rng(3)
    n = 256
    sides = np.where(rng.random(n) < 0.5, 100, -100).astype(np.int8)
    components = components_from(np.tile(sides, (TYPES, 1)), weights(rng, TYPES, n, "near one"), 0)
    inside = float(np.nextafter(1.0, 0.0))
    for level in [(1.0, -1.0), (inside, -inside), (1.0, 1.0), (-1.0, -1.0)]:
        column = column_of(np.ones(n), components, types_of([1] * TYPES), [(*level, False), (*level, True)])
        assert_turns_agree(column, every_id([1] * TYPES, 2), np.arange(TYPES), [0, 128, n], True)


@pytest.mark.parametrize("n", [1, 2, 64, 65, 128, 200])
def test_starts_at_every_bar(n: int) -> None:
    rng = np.random.default_rng(n)
    signals, equities = votes(rng, TYPES, n, 0.3), weights(rng, TYPES, n, "near one")
    for start in [0, n] if DISABLE_JIT and n > 2 else range(n + 1):
        column = column_of(
            np.ones(n),
            components_from(signals, equities, start),
            types_of([1] * TYPES),
            [(0.1, -0.1, False), (0.1, -0.1, True)],
        )
        ids = every_id([1] * TYPES, 2)
        assert_turns_agree(column, ids, np.arange(TYPES), [*range(0, n, 64), n], False)
        assert_turns_agree(column, ids, np.arange(TYPES), [0, n], False)


@pytest.mark.parametrize("bar", [62, 63, 64, 65, 126, 127, 128, 190, 191])
@pytest.mark.parametrize("delayed", [False, True])
def test_one_turn_at_the_edge_of_a_word(bar: int, delayed: bool) -> None:
    n = 192
    signals = np.full((TYPES, n), -100, np.int8)
    signals[:, bar:] = 100
    column = column_of(
        np.ones(n), components_from(signals, np.ones((TYPES, n)), 0), types_of([1] * TYPES), [(0.1, -0.1, delayed)]
    )
    for cuts in ([0, n], [0, 64, n], [0, 128, n], [0, 64, 128, n]):
        up, down = fast_way(column, every_id([1] * TYPES), np.arange(TYPES), cuts, False)
        expected = [bar + delayed] if bar + delayed < n else []
        assert np.flatnonzero(up[0]).tolist() == expected
        assert not down.any()


def test_sums_are_shared_but_for_what_changed() -> None:
    """Sums of the first k types stay as they are while these stay; only their last is never added."""
    rng = np.random.default_rng(1)
    sizes = [2] * TYPES
    n = 64
    column = column_of(
        np.ones(n), made_components(rng, n, sizes, 0, "near one", 0.5), types_of(sizes), [(0.1, -0.1, False)] * 2
    )
    order = np.array([5, 3, 0, 1, 4, 2])
    ids = every_id(sizes)
    sums = room_for_sums(64)
    update_sums(sums, column.images, column.levels, ids[0], order, 0, 64)
    marked = np.int32(123_456)
    for place in range(TYPES):
        other = ids[0].copy()
        other[order[place]] += 1
        for rows in (sums.above, sums.below):
            rows[:] = marked
        update_sums(sums, column.images, column.levels, other, order, 0, 64)
        for rows in (sums.above, sums.below):
            kept = (rows.reshape(LEVELS, 64) == marked).all(axis=1)
            assert kept.tolist() == [level < place for level in range(LEVELS)]
        sums = room_for_sums(64)
        update_sums(sums, column.images, column.levels, ids[0], order, 0, 64)
    other = ids[0].copy()
    other[TYPES] = 1  # other levels: nothing holds
    sums.above[:] = marked
    update_sums(sums, column.images, column.levels, other, order, 0, 64)
    assert not (sums.above == marked).any()
    assert sums.holds.tolist() == [*other[order[:LEVELS]], 1]


# ---------------------------------------------------------------- the plain way
@settings(max_examples=EXAMPLES)
@given(columns())
def test_the_plain_way_is_the_laws(made) -> None:
    column, sizes, thresholds, seed = made
    ids = some_ids(np.random.default_rng(seed), sizes, len(thresholds), 3)
    up, down = plain_way(column, ids)
    n = column.close.size
    for k, row in enumerate(ids):
        level = thresholds[row[TYPES]]
        with np.errstate(all="ignore"):
            average = plain_average(
                column.components.signals[row[:TYPES]] / 100.0, column.components.weights[row[:TYPES]]
            )
        if level[2]:
            average = np.concatenate([[np.nan], average[:-1]])
        got = np.empty(n)
        average_of_combination(column.components, row, level[2], np.empty(n), got)
        assert_same_bits(got, average)
        sides = np.concatenate([[0.0], plain_direction(average, level[0], level[1])])
        assert_same_bits(up[k], (sides[1:] == 1) & (sides[:-1] != 1))
        assert_same_bits(down[k], (sides[1:] == -1) & (sides[:-1] != -1))


@pytest.mark.parametrize("directions_too", [False, True])
def test_series_of_combinations_on_the_bars_they_have(directions_too: bool) -> None:
    rng = np.random.default_rng(12)
    sizes, n = [2, 1, 1, 1, 1, 1], 100
    thresholds = [(0.1, -0.1, False), (0.2, -0.3, True)]
    components = made_components(rng, n, sizes, 7, "near one", 0.8)
    column = column_of(np.ones(n), components, types_of(sizes), thresholds)
    ids = every_id(sizes, 2)
    bars_at = np.sort(rng.permutation(150)[:n])  # where its own bars lie among all
    out = np.full((len(ids), 150), -7.0)
    series_of(column.components, column.levels, ids, bars_at, directions_too, 1, len(ids), out)
    assert (out[0] == -7).all()  # not asked for
    assert (np.delete(out, bars_at, axis=1) == -7).all()
    for row, series in zip(ids[1:], out[1:, bars_at], strict=True):
        expected = np.empty(n)
        average_of_combination(column.components, row, thresholds[row[TYPES]][2], np.empty(n), expected)
        if directions_too:
            expected = plain_direction(expected, *thresholds[row[TYPES]][:2])
        assert_same_bits(series, expected)


# ---------------------------------------------------------------- what cannot be relied on
def test_scales_leave_room_for_the_largest_of_each_type() -> None:
    """The sum of six images never overflows, and all components of a regime share a scale."""
    rng = np.random.default_rng(0)
    sizes = [3, 1, 2, 1, 1, 2]
    components = made_components(rng, 200, sizes, 10, "wide", 0.5)
    groups = types_of(sizes)
    for level in (0.1, -0.9, 5.0, 0.0):
        scales = scales_of(components, groups, level)
        assert np.unique(scales).size == 1
        largest = np.nanmax(components.weights, axis=1)
        total = sum(largest[groups[:, 1] == type_].max() for type_ in range(TYPES))
        assert scales[0] * (1 + abs(level)) * total == pytest.approx(2**31 - 64, rel=1e-12)


def test_regimes_have_scales_of_their_own() -> None:
    components = components_from(np.full((12, 5), 100, np.int8), np.repeat([[1.0], [1e9]], 6, axis=0) * np.ones(5), 0)
    groups = np.stack([np.repeat([0, 1], 6), np.tile(np.arange(6), 2)], axis=1)
    scales = scales_of(components, groups, 0.1)
    assert np.allclose(scales[:6], scales[6] * 1e9, rtol=1e-12)
    assert np.unique(scales).size == 2


@pytest.mark.parametrize("level", [0.1, 1e300, -1e308])
@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1e300, 1.7e308])
def test_weights_and_levels_beyond_what_images_hold(weight: float, level: float) -> None:
    components = components_from(np.full((6, 4), 100, np.int8), np.full((6, 4), weight), 0)
    scales = scales_of(components, types_of([1] * 6), level)
    with np.errstate(all="ignore"):
        held = 1e-200 < (2.0**31 - 64) / ((1 + abs(level)) * (6 * weight)) < 1e200
    assert (scales > 0).tolist() == [held] * 6
    assert not (scales < 0).any()
    assert np.isfinite(scales).all()


def test_components_that_are_not_sound_take_no_room_and_are_never_above() -> None:
    equities = np.ones((12, 70))
    equities[4, 50] = np.inf
    equities[7, 60] = np.nan
    components = components_from(np.full((12, 70), 100, np.int8), equities, 10)
    sizes = [2] * 6
    assert np.flatnonzero(~components.sound).tolist() == [4, 7]
    column = column_of(np.ones(70), components, types_of(sizes), [(0.1, -0.1, False)])
    assert np.flatnonzero(~column.images.sound[0]).tolist() == [4, 7]
    assert (column.images.above.reshape(12, -1)[[4, 7]] == -1000).all()
    assert (column.images.below.reshape(12, -1)[[4, 7]] == -1000).all()
    ids = every_id(sizes)
    ids = ids[relied_on(column, ids)]
    assert len(ids) == 16
    assert_turns_agree(column, ids, np.arange(TYPES), [0, 64, 70], True)


def test_images_round_votes_and_levels() -> None:
    signals = np.array([[100, 50, 49, 0, -49, -50, -100, 0]], np.int8)
    equities = np.array([[1.0, 2.0, 3.0, 1.5, 1.25, 1.75, 1.0, 1.0]])
    six = components_from(np.tile(signals, (6, 1)), np.tile(equities, (6, 1)), 1)
    column = column_of(np.ones(8), six, types_of([1] * 6), [(0.25, -0.5, False)])
    voted = equities * np.array([1, 1, 0, 0, 0, -1, -1, 0])
    for rows, level, sign in ((column.images.above, 0.25, 1), (column.images.below, -0.5, -1)):
        scale = scales_of(six, types_of([1] * 6), level)[0]
        expected = np.rint(sign * scale * (voted - level * equities))[0].astype(np.int32)
        got = rows.reshape(6, 64)
        assert got[0, 1:8].tolist() == expected[1:].tolist()
        assert (got[:, 0] == -1000).all()  # before the start
        assert (got[:, 8:] == -1000).all()  # padding
