"""Turns of combinations on an engine against the CPU's, to the bit: for the kernels on the host and on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from kernel_stages import columns_of, largest_of
from made_components import THRESHOLDS, WEIGHTS, Column, Threshold, column_of, made_components, some_ids
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params
from same_bits import assert_same_bits
from turn_ways import fast_way, plain_way, relied_on

from atc_plugin import AtcParams, ParamGrid
from atc_plugin.accel.averages import averages_on
from atc_plugin.accel.engines import Columns, Engine, tables_on
from atc_plugin.accel.layers import Components, components_on, equities_on
from atc_plugin.accel.tables import RegimeTables, pass_tables
from atc_plugin.accel.turns import WORD, Images, LevelTables, Turns, images_on, level_tables, turns_on
from atc_plugin.law.turns import TYPES, scales_of
from atc_plugin.law.turns import Components as SweepComponents
from atc_plugin.prices import Prices
from atc_plugin.sweeps.components import components_of, wanted_by
from atc_plugin.sweeps.judge import _draw
from atc_plugin.sweeps.planning import Plan, plan


class Found(NamedTuple):
    """What an engine found, brought to the host."""

    components: Components
    images: Images
    turns: Turns


class Made(NamedTuple):
    """Columns of made up components, each of its own length, as an engine takes them."""

    columns: list[Column]
    regimes: RegimeTables
    levels: LevelTables
    ids: np.ndarray


# ---------------------------------------------------------------- from prices
def plan_levels(planned: Plan) -> LevelTables:
    long, short, delayed = zip(*planned.levels, strict=True)
    return level_tables(long, short, delayed)


def run_turns(engine: Engine, table: Prices, planned: Plan) -> Found:
    """From prices to the turns of all of a plan's combinations."""
    tables = tables_on(engine, pass_tables(wanted_by(planned), planned.regimes, table.close.shape[1]))
    levels = tables_on(engine, plan_levels(planned))
    columns = columns_of(engine, table)
    equities = equities_on(engine, columns, averages_on(engine, columns, tables.averages), tables.regimes)
    components = components_on(engine, columns, equities, tables.regimes)
    images = images_on(engine, columns, components, tables.regimes, levels)
    ids = engine.taken(planned.ids(0, planned.size))
    return brought(
        engine, components, images, turns_on(engine, columns, components, tables.regimes, levels, images, ids)
    )


def brought(engine: Engine, components: Components, images: Images, turns: Turns) -> Found:
    return Found(
        Components(*map(engine.brought, components)),
        Images(*map(engine.brought, images)),
        Turns(*map(engine.brought, turns)),
    )


def assert_turns_are_the_sweeps(engine: Engine, table: Prices, grid: ParamGrid) -> None:
    """Every combination of a grid on every column."""
    planned = plan(grid)
    got = run_turns(engine, table, planned)
    regimes = pass_tables(wanted_by(planned), planned.regimes, table.close.shape[1]).regimes
    groups = groups_in(regimes)
    for place, count in enumerate(table.counts):
        if not count:
            assert not got.turns.relied[place].any()
            assert not got.turns.masks[place].any()
            continue
        close, source = table.own(place)
        components = components_of(planned, close, source)
        images, levels = _draw(planned, components, True)
        column = Column(close, components, groups, images, levels)
        assert_column_is(got, place, column, plan_levels(planned), planned.ids(0, planned.size))


# ---------------------------------------------------------------- from components
def groups_in(regimes: RegimeTables) -> np.ndarray:
    """Regime and type of each component, read back from the tables."""
    groups = np.full((regimes.starts.size, 2), -1)
    stops = [*regimes.type_starts.reshape(-1)[1:], regimes.starts.size]
    for place, (start, stop) in enumerate(zip(regimes.type_starts.reshape(-1), stops, strict=True)):
        groups[regimes.by_type[start:stop]] = divmod(place, TYPES)
    return groups


def made_regimes(groups: np.ndarray, cutouts: Sequence[int], signal_rows: np.ndarray) -> RegimeTables:
    """As much of the tables as finding turns reads."""
    nothing = np.zeros(0, np.int64)
    places = groups[:, 0] * TYPES + groups[:, 1]
    by_type = np.argsort(places, kind="stable")
    return RegimeTables(
        growth=np.zeros((0, 0)),
        growth_rows=nothing,
        cutouts=np.array(cutouts, np.int64),
        keeps=np.zeros(0),
        members=nothing,
        member_regimes=nothing,
        voters=nothing,
        signal_rows=signal_rows,
        component_regimes=groups[:, 0].copy(),
        starts=np.ones(len(groups)),
        by_type=by_type,
        type_starts=np.searchsorted(places[by_type], np.arange(len(cutouts) * TYPES)).reshape(-1, TYPES),
    )


def made_of(columns: list[Column], cutouts: Sequence[int], thresholds: Sequence[Threshold], ids: np.ndarray) -> Made:
    """Columns whose components are alike in all but their numbers."""
    rows = np.random.default_rng(0).permutation(len(columns[0].groups))  # signals in an order of their own
    regimes = made_regimes(columns[0].groups, cutouts, rows)
    return Made(columns, regimes, level_tables(*zip(*thresholds, strict=True)), ids)


def find_made_turns(engine: Engine, made: Made) -> Found:
    """The turns of made up components, rubbish behind each column's own bars."""
    counts = np.array([column.close.size for column in made.columns], np.int64)
    bars, count = int(counts.max()), len(made.columns[0].groups)
    signals = np.full((count, bars, counts.size), 100, np.int8)
    weights = np.full((count, bars, counts.size), 3.0)
    for place, column in enumerate(made.columns):
        signals[made.regimes.signal_rows, : counts[place], place] = column.components.signals
        weights[:, : counts[place], place] = column.components.weights
    sound = np.stack([column.components.sound for column in made.columns], axis=1).astype(np.int8)
    largest = np.stack([largest_of(column.components) for column in made.columns], axis=1)
    none = engine.room((0, 0, 0), np.float64)
    components = Components(
        engine.taken(signals), none, engine.taken(weights), engine.taken(sound), engine.taken(largest)
    )
    close = engine.room((bars, counts.size), np.float64)
    columns = Columns(close, close, engine.taken(counts), none)
    regimes, levels = tables_on(engine, made.regimes), tables_on(engine, made.levels)
    images = images_on(engine, columns, components, regimes, levels)
    ids = engine.taken(made.ids)
    return brought(engine, components, images, turns_on(engine, columns, components, regimes, levels, images, ids))


def assert_made_turns_are_the_cpus(engine: Engine, made: Made) -> None:
    got = find_made_turns(engine, made)
    for place, column in enumerate(made.columns):
        assert_column_is(got, place, column, made.levels, made.ids)


@st.composite
def made_columns(draw: st.DrawFn) -> Made:
    """One to three columns of components of one or two regimes, and combinations of them in grid order or in none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    most = 70 if DISABLE_JIT else 200
    lengths = draw(st.lists(st.sampled_from([1, 2, 31, 32, 33, 64, 65]) | st.integers(1, most), min_size=1, max_size=3))
    bars = max(lengths)
    sizes = [[int(size) for size in rng.integers(1, 4, TYPES)] for _ in range(draw(st.integers(1, 2)))]
    cutouts = [
        min(draw(st.sampled_from([0, 0, 1, 30, 31, 32, 33, 63, 64]) | st.integers(0, bars)), bars) for _ in sizes
    ]
    thresholds = draw(st.lists(st.sampled_from(THRESHOLDS), min_size=1, max_size=3, unique=True))
    thresholds.append(tuple(sorted((draw(st.floats(-1, 1)), draw(st.floats(-1, 1))), reverse=True)))
    levels = list(dict.fromkeys((float(a), float(b), draw(st.booleans())) for a, b in thresholds))
    groups = np.concatenate(
        [
            np.stack([np.full(sum(each), regime), np.repeat(np.arange(TYPES), each)], axis=1)
            for regime, each in enumerate(sizes)
        ]
    )
    columns = []
    for n in lengths:
        kind, held = draw(st.sampled_from(WEIGHTS)), draw(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
        parts = [
            made_components(rng, n, each, min(start, n), kind, held) for each, start in zip(sizes, cutouts, strict=True)
        ]
        components = SweepComponents(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        broken = rng.random(len(groups)) < draw(st.sampled_from([0.0, 0.0, 0.1]))
        broken &= components.starts < n
        components.weights[broken, -1] = np.inf
        components.sound[broken] = False
        columns.append(column_of(np.ones(n), components, groups, levels))
    firsts = np.cumsum([0, *map(sum, sizes)])
    ids = np.concatenate(
        [
            some_ids(rng, each, len(levels), 12) + np.array([first] * TYPES + [0], np.int32)
            for each, first in zip(sizes, firsts, strict=False)
        ]
    ).astype(np.int32)
    ids = ids[np.lexsort(ids.T[::-1])] if draw(st.booleans()) else ids
    return made_of(columns, cutouts, levels, ids)


# ---------------------------------------------------------------- the comparison
def assert_column_is(got: Found, place: int, column: Column, levels: LevelTables, ids: np.ndarray) -> None:
    """Scales, images, what is relied on and turns of one column, as the CPU has them."""
    n, count = column.close.size, len(column.groups)
    words = got.turns.masks.shape[1]
    regimes = got.images.above_scales.shape[1]
    for side, thresholds, rows, scales, images in (
        ("above", levels.above, column.levels.above, got.images.above_scales, got.images.above),
        ("below", levels.below, column.levels.below, got.images.below_scales, got.images.below),
    ):
        drawn = column.images.above if side == "above" else column.images.below
        level_rows = levels.above_rows if side == "above" else levels.below_rows
        assert rows.tolist() == (level_rows * count).tolist(), "the CPU lists thresholds in another order"
        for row, level in enumerate(thresholds):
            name = f"{side} {level} in column {place}"
            expected = scales_of(column.components, column.groups, float(level))
            ours = scales[row, :, place]
            for regime in range(regimes):
                theirs = np.unique(expected[column.groups[:, 0] == regime])
                assert theirs.size == 1
                assert_same_bits(ours[regime], theirs[0], f"scale of regime {regime} {name}")
            there = drawn.reshape(-1, count, column.images.width)[row, :, :n].T
            sure = column.components.sound & (expected > 0)
            image = images[place, row]
            assert image.shape == (words * WORD, count)
            assert_same_bits(image[:n, sure], there[:, sure], f"images {name}")
            assert (image[n:] == -1000).all()
            assert (image[:, ~sure] == -1000).all()
    relied = relied_on(column, ids)
    assert_same_bits(got.turns.relied[place], relied.astype(np.int8), f"what is relied on in column {place}")
    assert not got.turns.masks[place][:, ~relied].any()
    assert not got.turns.first[place][~relied].any()
    up, down, beyond = turned(got.turns, place, n)
    assert not beyond.any()
    ours = up[relied], down[relied]
    sure_ids = ids[relied]
    plain, fast = plain_way(column, sure_ids), fast_way(column, sure_ids, np.arange(TYPES), [0, n], False)
    for name, mine, law, cpu in zip(("up", "down"), ours, plain, fast, strict=True):
        assert_same_bits(mine, law, f"turns {name} in column {place} by the law")
        assert_same_bits(mine, cpu.astype(bool), f"turns {name} in column {place} by words of 64")
    # what has no turn has no direction, and the other way round
    assert_same_bits(got.turns.first[place] != 0, (up | down).any(axis=1))


def turned(turns: Turns, place: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bars where combinations turn up and down, bool (combinations, n); and the bits behind a column's own bars."""
    masks = np.ascontiguousarray(turns.masks[place].T)
    bits = np.unpackbits(masks.astype("<u4").view(np.uint8), axis=1, bitorder="little").astype(bool)
    after = np.where(bits.cumsum(axis=1) % 2 == 1, 1, -1) * turns.first[place][:, None]
    return (bits & (after == 1))[:, :n], (bits & (after == -1))[:, :n], bits[:, n:]


# ---------------------------------------------------------------- grids
TIES = st.sampled_from([0.0, 0.0, 0.5, 1.0, 0.1, 1 / 3])


@st.composite
def turning_grids(draw: st.DrawFn) -> ParamGrid:
    """Products over lengths, thresholds on which averages lie, strategy_mode and regimes; or unlike points."""
    if draw(st.booleans()):
        points = draw(st.lists(atc_params(max_len=40), min_size=1, max_size=5))
        delays = draw(st.lists(st.booleans(), min_size=5, max_size=5))
        rows = [AtcParams(**row, strategy_mode=late) for row, late in zip(points, delays, strict=False)]
        return ParamGrid.points(list(dict.fromkeys(rows)))
    lengths = st.lists(st.sampled_from([9, 10, 13, 20, 28]), min_size=1, max_size=2, unique=True)
    values: dict[str, Any] = {name: draw(lengths) for name in ("ema_len", "hma_len", "kama_len")}
    values["robustness"] = ["Narrow"]
    values["strategy_mode"] = draw(st.sampled_from([[False], [True], [False, True]]))
    values["cutout"] = draw(st.sampled_from([[0], [0, 31], [1, 32], [33, 64], [10_000, 0]]))
    values["long_threshold"] = list({draw(TIES), draw(TIES)})
    values["short_threshold"] = list({-draw(TIES), -draw(TIES)})
    values["lambda_"] = draw(st.sampled_from([[0.02], [0.0], [5.0], [2000.0]]))
    values["decay"] = draw(st.sampled_from([[0.03], [0.0], [99.9]]))
    if draw(st.booleans()):
        values["ema_w"] = draw(st.sampled_from([[1.0], [0.25, 2.5]]))
    return ParamGrid(**values)
