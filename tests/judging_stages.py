"""Combinations judged on an engine against the CPU's law, to the bit: for the kernels on the host and on a device.

Turns are made here, by numpy at random or by the CPU's law from a sweep's components, and handed to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from kernel_stages import columns_of
from made_components import FAMILIES, Asked, costs_for, family, table_for
from numpy.random import Generator
from price_strategies import REGIMES
from same_bits import assert_same_bits

from atc_plugin import ParamGrid
from atc_plugin.accel.engines import Engine, tables_on
from atc_plugin.accel.judging import (
    Accumulators,
    JudgingTables,
    Stretches,
    accumulators_on,
    judging_tables,
    no_windows,
    stretches_on,
    window_tables,
    windows_on,
)
from atc_plugin.law import judging, windows
from atc_plugin.law.metrics import ACCUMULATORS
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.law.stretches import LINE, fill_held, held_line
from atc_plugin.law.turns import TYPES, plain_turns
from atc_plugin.law.windows import FIELDS, Windows, windows_of
from atc_plugin.prices import Prices
from atc_plugin.sweeps.components import components_of
from atc_plugin.sweeps.judge import Judge
from atc_plugin.sweeps.planning import plan
from atc_plugin.sweeps.question import Trading

AGES = (1, 3, 31, 255)
MODES = (BOTH, LONG_ONLY, SHORT_ONLY)
Ranges = tuple[np.ndarray, np.ndarray]


class Turns(NamedTuple):
    """What kernels that find turns would hand on."""

    masks: np.ndarray  # (columns, words, combinations) uint32
    first: np.ndarray  # (columns, combinations) int8
    relied: np.ndarray  # (columns, combinations) int8


class JudgedOn(NamedTuple):
    """What an engine gave."""

    stretches: Stretches
    whole: Accumulators
    windows: Accumulators | None


class Expected(NamedTuple):
    """What the CPU's law folds one combination to."""

    whole: np.ndarray  # (12,)
    sure: bool
    windows: np.ndarray  # (windows, 12)
    windows_sure: bool


# ---------------------------------------------------------------- turns
def packed_turns(turned: Sequence[np.ndarray], first: np.ndarray, relied: np.ndarray, bars: int) -> Turns:
    """`turned` has for each column a bool array (combinations, own bars)."""
    columns, combinations = first.shape
    every = np.zeros((columns, combinations, -(-bars // 32) * 32), bool)
    for column, ours in enumerate(turned):
        every[column, :, : ours.shape[1]] = ours
    words = np.packbits(every, axis=2, bitorder="little").view("<u4").astype(np.uint32)
    masks = np.ascontiguousarray(words.transpose(0, 2, 1))
    return Turns(masks, first.astype(np.int8), relied.astype(np.int8))


def random_turns(rng: Generator, counts: Sequence[int], bars: int, combinations: int) -> tuple[Turns, list[np.ndarray]]:
    """Turns from none to one a bar, at the first and the last bar too; and the bars of each as bool arrays."""
    often = rng.choice([0.0, 0.01, 0.1, 0.5, 1.0], combinations)[:, None]
    turned = [rng.random((combinations, count)) < often for count in counts]
    for ours in turned:
        ours[:, :1] |= rng.random((combinations, min(1, ours.shape[1]))) < 0.2
        ours[:, -1:] |= rng.random((combinations, min(1, ours.shape[1]))) < 0.2
    some = np.stack([ours.any(axis=1) for ours in turned])
    first = np.where(some, rng.choice([-1, 1], some.shape), 0)
    return packed_turns(turned, first, rng.random(some.shape) < 0.9, bars), turned


# ---------------------------------------------------------------- on the engine
def windows_for(table: Prices, ranges: Sequence[Ranges] | None) -> list[Windows] | None:
    if ranges is None:
        return None
    return [windows_of(*ours, int(count)) for ours, count in zip(ranges, table.counts, strict=True)]


def highest_of(table: Prices) -> np.ndarray:
    return np.array([close[:count].max(initial=0.0) for close, count in zip(table.close, table.counts, strict=True)])


def tables_for(table: Prices, asked: Asked, regular: np.ndarray, ranges: Sequence[Ranges] | None) -> JudgingTables:
    cut = windows_for(table, ranges)
    return judging_tables(
        costs_for(asked),
        regular,
        highest_of(table),
        no_windows(table.counts) if cut is None else window_tables(cut),
        trades=asked.trades,
    )


def run_judging(
    engine: Engine,
    table: Prices,
    turns: Turns,
    asked: Asked,
    regular: np.ndarray,
    ranges: Sequence[Ranges] | None = None,
) -> JudgedOn:
    """Stretches, and the combinations over all bars and over windows."""
    prices = columns_of(engine, table)
    tables = tables_on(engine, tables_for(table, asked, regular, ranges))
    there = Turns(*map(engine.taken, turns))
    stretches = stretches_on(engine, prices, tables, asked.ages)
    whole = accumulators_on(engine, prices, there, stretches, tables)
    of_windows = None if ranges is None else windows_on(engine, prices, there, stretches, tables)
    return JudgedOn(
        Stretches(engine.brought(stretches.lines), engine.brought(stretches.held), stretches.ages),
        Accumulators(*map(engine.brought, whole)),
        None if of_windows is None else Accumulators(*map(engine.brought, of_windows)),
    )


# ---------------------------------------------------------------- on the CPU
def folded(
    close: np.ndarray, asked: Asked, turned: np.ndarray, first: int, cut: Windows | None, table: Any, held: np.ndarray
) -> Expected:
    """The law's own fold over the turns of one combination."""
    n, costs = close.size, costs_for(asked)
    trades = np.empty(0) if asked.trades else None
    turns = np.flatnonzero(turned)
    count = turns.size
    after = first if count % 2 == 1 else -first
    scratch, out = np.empty(LINE), np.full(len(ACCUMULATORS), -7.0)
    fold = judging._fold_reversals if asked.mode == BOTH else judging._fold_round_trips
    run = fold(judging.no_run(), close, costs, table, turns, count, after, scratch, trades)
    if run.entry >= 0:
        last_end = held.size // (2 * asked.ages * LINE) - 1
        line = held_line(close, costs, held, asked.ages, last_end, run.side, run.entry, n - 1, scratch)
        run = judging._apply(run, line, n - run.entry, trades)
    sure = judging._settle(run, n, close.max(), out, trades)
    if cut is None:
        return Expected(out, sure, np.empty((0, len(ACCUMULATORS))), True)
    parts = np.full((cut.ends.size + 1, FIELDS), -7.0)
    windows_out = np.full((cut.starts.size, len(ACCUMULATORS)), -7.0)
    windows.start_parts(parts)
    windows.fold_parts(close, costs, table, cut, held, turns, count, after, parts, scratch, trades)
    windows.end_parts(close, costs, cut, held, asked.ages, parts, scratch, trades)
    windows_sure = windows.windows_of_parts(cut, parts, judging.INIT_CASH, windows_out, trades)
    return Expected(out, bool(sure), windows_out, bool(windows_sure))


def assert_lines_are_the_laws(
    got: Stretches, close: np.ndarray, asked: Asked, cut: Windows | None, column: int
) -> None:
    """Every line that there is."""
    n, ages = close.size, asked.ages
    table = table_for(close, costs_for(asked), ages, (0, n))
    exits = np.arange(n)[:, None] + np.arange(ages)
    there = (np.arange(ages) > 0) & (exits < n)
    expected = table.lines.reshape(2, n, ages, LINE)
    assert_same_bits(got.lines[column, :, :n][:, there], expected[:, there], f"lines of column {column}, {asked}")
    ends = np.array([n - 1]) if cut is None else cut.ends
    held = np.full(ends.size * 2 * ages * LINE, -7.0)
    fill_held(close, costs_for(asked), ends, ages, held)
    expected = held.reshape(ends.size, 2, ages, LINE).swapaxes(1, 2)
    there = np.arange(ages) <= ends[:, None]
    ours = got.held[column, : ends.size].swapaxes(1, 2)
    assert_same_bits(ours[there], expected[there], f"open lines of column {column}, {asked}")


def assert_folds_are_the_laws(
    engine: Engine,
    table: Prices,
    rng: Generator,
    asked: Asked,
    ranges: Sequence[Ranges] | None,
    combinations: int,
) -> None:
    """Lines, accumulators and what is sure, for turns at random; nothing where the plain way is to judge."""
    columns, bars = table.close.shape
    turns, turned = random_turns(rng, table.counts.tolist(), bars, combinations)
    regular = rng.random(columns) < 0.9
    got = run_judging(engine, table, turns, asked, regular, ranges)
    for column, count in enumerate(table.counts.tolist()):
        judged = (turns.relied[column] != 0) & regular[column] & (count > 0)
        for one in (got.whole, got.windows):
            if one is not None:
                assert not one.sure[column, ~judged].any(), f"column {column}, {asked}"
                assert not one.values[column, ..., ~judged].any(), f"column {column}, {asked}"
        if count:
            ours = [one if sound else None for one, sound in zip(turned[column], judged, strict=True)]
            assert_fold_is_the_laws(got, table, turns, column, ours, asked, ranges)


def assert_fold_is_the_laws(
    got: JudgedOn,
    table: Prices,
    turns: Turns,
    column: int,
    turned: Sequence[np.ndarray | None],
    asked: Asked,
    ranges: Sequence[Ranges] | None,
) -> None:
    """One column of what an engine gave: its lines, and each combination's accumulators but for None's."""
    cuts = windows_for(table, ranges)
    cut = None if cuts is None else cuts[column]
    count = int(table.counts[column])
    close, costs = table.close[column, :count].copy(), costs_for(asked)
    assert_lines_are_the_laws(got.stretches, close, asked, cut, column)
    stretches = table_for(close, costs, asked.ages, (0, count))
    ends = np.array([count - 1]) if cut is None else cut.ends
    held = np.full(ends.size * 2 * asked.ages * LINE, -7.0)
    fill_held(close, costs, ends, asked.ages, held)
    for j, one in enumerate(turned):
        if one is None:
            continue
        name = f"column {column}, combination {j}, {asked}"
        expected = folded(close, asked, one, int(turns.first[column, j]), cut, stretches, held)
        assert_same_bits(got.whole.values[column, :, j], expected.whole, name)
        assert got.whole.sure[column, j] == expected.sure, name
        if got.windows is not None:
            assert_same_bits(got.windows.values[column, :, :, j], expected.windows, name)
            assert got.windows.sure[column, j] == expected.windows_sure, name


def assert_sweeps_are_the_judges(
    engine: Engine, table: Prices, grid: ParamGrid, asked: Asked, ranges: Sequence[Ranges] | None
) -> int:
    """Every combination of a sweep as the judge judges it; how many were sure."""
    planned = plan(grid)
    ids = planned.ids(0, planned.size)
    trading = Trading(asked.mode, asked.fees, asked.slippage, asked.trades)
    bars, columns = table.close.shape[1], len(table.counts)
    turned = [np.zeros((len(ids), 0), bool)] * columns
    first, relied = np.zeros((columns, len(ids)), np.int8), np.zeros((columns, len(ids)), bool)
    judges: dict[int, tuple[Judge, Judge]] = {}
    for column, count in enumerate(table.counts.tolist()):
        if count:
            close, source = table.own(column)
            components = components_of(planned, close, source)
            ours = None if ranges is None else ranges[column]
            whole = Judge(close, components, planned, trading)
            judges[column] = whole, Judge(close, components, planned, trading, ours)
            turned[column], first[column] = turns_of(whole, ids)
            sound = whole.column.images.sound
            relied[column] = [all(sound[one[TYPES], one[k]] for k in range(TYPES)) for one in ids]
    regular = np.array([column in judges and judges[column][0].ages > 0 for column in range(columns)])
    got = run_judging(engine, table, packed_turns(turned, first, relied, bars), asked, regular, ranges)
    for column, (whole, among) in judges.items():
        judged, in_windows = whole.judge(ids), among.judge(ids)
        sure = np.array([whole.judge(ids[j : j + 1]).plainly == 0 for j in range(len(ids))])
        name = f"column {column}, {asked}"
        assert_same_bits(got.whole.sure[column] == 1, sure, f"what is sure of {name}")
        assert judged.plainly == (~sure).sum()
        assert_same_bits(got.whole.values[column].T[sure], judged.whole[sure], f"accumulators of {name}")
        if got.windows is not None:
            all_sure = np.array([among.judge(ids[j : j + 1]).plainly == 0 for j in range(len(ids))])
            assert_same_bits(sure & (got.windows.sure[column] == 1), all_sure, f"what is sure of windows of {name}")
            ours = got.windows.values[column].transpose(2, 0, 1)
            assert_same_bits(ours[all_sure], in_windows.windows[all_sure], f"windows of {name}")
    return int(got.whole.sure.sum())


def turns_of(judge: Judge, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each combination turns, the plain way, and the direction after its first turn."""
    components, levels, n = judge.column.components, judge.column.levels, judge.column.close.size
    weight, average = np.empty(n), np.empty(n)
    directions = np.empty(n, np.int8)
    up, down = np.zeros((len(ids), n), bool), np.zeros((len(ids), n), bool)
    for j, combination in enumerate(ids):
        plain_turns(components, levels, combination, weight, average, directions, up[j], down[j])
    turned = up | down
    firsts = turned.argmax(axis=1)
    first = np.where(turned.any(axis=1), np.where(up[np.arange(len(ids)), firsts], 1, -1), 0)
    return turned, first.astype(np.int8)


# ---------------------------------------------------------------- what is asked
@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """Every mode and cost, with tables of all sizes."""
    return Asked(
        draw(st.sampled_from(MODES)),
        draw(st.sampled_from([0.0, 0.0, 1e-9, 0.001, 0.01, 0.2, 0.399])),
        draw(st.sampled_from([0.0, 0.0, 0.001, 0.02, 0.399])),
        draw(st.sampled_from(AGES)),
        trades=draw(st.booleans()),
    )


def some_ranges(rng: Generator, counts: Sequence[int], windows: int) -> list[Ranges]:
    """Windows of each column's own: anywhere, overlapping, of no bar, of one, of all."""
    found = []
    for count in counts:
        edges = np.sort(rng.integers(0, count + 1, (windows, 2)), axis=1)
        kinds = rng.integers(0, 6, windows)
        edges[kinds == 0] = (0, count)
        edges[kinds == 1, 1] = edges[kinds == 1, 0]
        edges[kinds == 2, 1] = np.minimum(edges[kinds == 2, 0] + 1, count)
        found.append((edges[:, 0].copy(), edges[:, 1].copy()))
    return found


def prices_of_families(rng: Generator, bars: int) -> np.ndarray:
    """A column of each of the families that break shortcuts, and of each regime, (bars, columns)."""
    made = [family(name, rng, bars=[bars]).column.close for name in FAMILIES]
    return np.stack([*made, *(regime(rng, bars) for regime in REGIMES.values())], axis=1)
