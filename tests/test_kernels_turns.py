"""The kernels that find turns, compiled for the host, against the CPU's: to the bit, in any order of threads."""

from __future__ import annotations

import numpy as np
import pytest
from host_kernels import HostEngine, has_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_stages import Drawn, price_tables
from kernel_turns import (
    Made,
    assert_made_turns_are_the_cpus,
    assert_turns_are_the_sweeps,
    find_made_turns,
    groups_in,
    made_columns,
    made_of,
    plan_levels,
    run_turns,
    turned,
    turning_grids,
)
from made_components import Threshold, column_of, components_from, every_id, made_components, types_of
from numba.core.config import DISABLE_JIT
from price_strategies import REGIMES
from same_bits import assert_same_bits
from turn_ways import fast_way

from atc_plugin import AtcParams, ParamGrid
from atc_plugin.accel.tables import pass_tables
from atc_plugin.accel.turns import level_tables
from atc_plugin.law.turns import TYPES, average_of_combination
from atc_plugin.prices import read_prices
from atc_plugin.sweeps.components import wanted_by
from atc_plugin.sweeps.planning import plan

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

EXAMPLES = 3 if DISABLE_JIT else 120


@st.composite
def host_engines(draw: st.DrawFn) -> HostEngine:
    return HostEngine(
        block=draw(st.sampled_from([1, 3, 32, 128])),
        order=draw(st.sampled_from(["forward", "reversed", "shuffled"])),
        seed=draw(st.integers(0, 2**32)),
    )


# ---------------------------------------------------------------- any prices, any components
@settings(max_examples=EXAMPLES)
@given(price_tables(max_bars=60 if DISABLE_JIT else 200), turning_grids(), host_engines())
def test_turns_are_the_sweeps(drawn: Drawn, grid: ParamGrid, host: HostEngine) -> None:
    assert_turns_are_the_sweeps(host, drawn.table, grid)


@settings(max_examples=EXAMPLES)
@given(made_columns(), host_engines())
def test_turns_of_made_components(made: Made, host: HostEngine) -> None:
    assert_made_turns_are_the_cpus(host, made)


@pytest.mark.parametrize("regime", REGIMES)
def test_every_regime_of_prices(regime: str) -> None:
    bars = 70 if DISABLE_JIT else 300
    close = np.stack([REGIMES[regime](np.random.default_rng(seed), bars) for seed in range(2)], axis=1)
    grid = ParamGrid(ema_len=[9, 12], kama_len=[9, 10], robustness=["Narrow"], strategy_mode=[False, True], cutout=[5])
    assert_turns_are_the_sweeps(HostEngine(64, "shuffled", seed=3), read_prices(close), grid)


def test_combinations_do_turn() -> None:
    """The comparisons above are of something: on a walk every combination turns both ways, and is relied on."""
    close = REGIMES["walk"](np.random.default_rng(0), 120 if DISABLE_JIT else 600)
    grid = ParamGrid(ema_len=[9, 12], wma_len=[9, 10], robustness=["Narrow"])
    found = run_turns(HostEngine(), read_prices(close), plan(grid))
    assert found.turns.relied.all()
    up, down, _ = turned(found.turns, 0, close.size)
    assert up.any(axis=1).all()
    assert down.any(axis=1).all()


@pytest.mark.parametrize("thresholds", [(0.0, 0.0), (0.2, 0.2), (0.25, -0.25), (1.0, 1 / 3), (-1.0, -1.0), (1.0, 1.0)])
@pytest.mark.parametrize("delayed", [False, True])
def test_ties_with_the_threshold(thresholds: tuple[float, float], delayed: bool) -> None:
    """Whole weights: the average is at its level to the bit again and again, and no image can tell."""
    n, sizes = (75 if DISABLE_JIT else 700), [2, 1, 2, 1, 1, 1]
    components = made_components(np.random.default_rng(7), n, sizes, 3, "whole", 0.3)
    column = column_of(np.ones(n), components, types_of(sizes), [(*thresholds, delayed)])
    ids = every_id(sizes)
    average = np.empty(n)
    average_of_combination(components, ids[0], delayed, np.empty(n), average)
    assert DISABLE_JIT or (average == thresholds[0]).any()
    assert_made_turns_are_the_cpus(HostEngine(), made_of([column], [3], [(*thresholds, delayed)], ids))


# ---------------------------------------------------------------- made by hand
def voting(signals: np.ndarray, threshold: Threshold, start: int = 0, equities: np.ndarray | None = None) -> Made:
    """One column with one combination, whose six components all say `signals` (n,), or each its own (6, n)."""
    signals = np.broadcast_to(signals, (TYPES, np.shape(signals)[-1])).astype(np.int8)
    equities = np.ones(signals.shape) if equities is None else equities
    components = components_from(signals, equities, start)
    column = column_of(np.ones(signals.shape[1]), components, types_of([1] * TYPES), [threshold])
    return made_of([column], [start], [threshold], every_id([1] * TYPES))


def bars_turned(made: Made) -> tuple[list[int], list[int], int]:
    """Bars where it turns up, where down, and its first direction."""
    found = find_made_turns(HostEngine(), made)
    assert found.turns.relied.all()
    up, down, beyond = turned(found.turns, 0, made.columns[0].close.size)
    assert not beyond.any()
    return np.flatnonzero(up[0]).tolist(), np.flatnonzero(down[0]).tolist(), int(found.turns.first.item())


@pytest.mark.parametrize("n", [65, 95, 96, 97, 128])
@pytest.mark.parametrize("bar", [1, 30, 31, 32, 33, 62, 63, 64])
def test_a_delay_carries_over_the_end_of_a_word(bar: int, n: int) -> None:
    signals = np.where(np.arange(n) < bar, -100, 100)
    assert bars_turned(voting(signals, (0.1, -0.1, False))) == ([bar], [], 1)
    late = [bar + 1] if bar + 1 < n else []
    assert bars_turned(voting(signals, (0.1, -0.1, True))) == (late, [], 1 if late else 0)
    assert bars_turned(voting(-signals, (0.1, -0.1, True))) == ([], late, -1 if late else 0)


@pytest.mark.parametrize("n", [2, 31, 32, 33, 63, 64, 65])
def test_a_turn_at_the_last_bar_is_delayed_out_of_the_column(n: int) -> None:
    signals = np.where(np.arange(n) < n - 1, -100, 100)
    assert bars_turned(voting(signals, (0.1, -0.1, False))) == ([n - 1], [], 1)
    assert bars_turned(voting(signals, (0.1, -0.1, True))) == ([], [], 0)


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("n", [33, 64, 70])
def test_a_delay_at_every_bar(n: int, delayed: bool) -> None:
    """The votes change at each bar, so both sides carry over each end of a word."""
    signals = np.where(np.arange(n) % 2 == 0, -100, 100)
    up, down, first = bars_turned(voting(signals, (0.1, -0.1, delayed)))
    assert first == 1
    assert up == list(range(1 + delayed, n, 2))
    assert down == list(range(2 + delayed, n, 2))


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("bar", [1, 5, 31, 32])
@pytest.mark.parametrize("before", [100, -100])
def test_the_first_turn_comes_where_the_average_is_above_and_below(before: int, bar: int, delayed: bool) -> None:
    """Only levels the wrong way round allow that, which no parameters have; even so it is what the CPU finds."""
    n = 70
    signals = np.full((TYPES, n), before)
    signals[:, bar:] = np.array([100, 100, 100, -100, -100, -100])[:, None]  # an average of 0
    signals[:, bar + 20 :] = -before
    made = voting(signals, (-0.5, 0.5, delayed))
    found = bars_turned(made)
    up, down = fast_way(made.columns[0], made.ids, np.arange(TYPES), [0, n], False)
    assert found[:2] == (np.flatnonzero(up[0]).tolist(), np.flatnonzero(down[0]).tolist())
    turns = [bar + delayed], []
    assert found == ((*turns, 1) if before < 0 else (*turns[::-1], -1))


@pytest.mark.parametrize("bar", [1, 31, 32, 40])
def test_bars_in_doubt_are_decided_by_the_average(bar: int) -> None:
    """An average of exactly its level, then a step off it that no image sees."""
    n = 50
    signals = np.full((TYPES, n), 100)
    signals[0] = -100
    equities = np.ones((TYPES, n))
    equities[:2] = 1.5  # (1.5 + 4 - 1.5) / 7
    level = 4 / 7
    assert bars_turned(voting(signals, (level, level, False), equities=equities)) == ([], [], 0)
    equities[1, bar:] = 1.5 + 2**-40
    made = voting(signals, (level, level, False), equities=equities)
    average = np.empty(n)
    average_of_combination(made.columns[0].components, made.ids[0], False, np.empty(n), average)
    assert average[bar - 1] == level < average[bar]
    image = made.columns[0].images.above.reshape(TYPES, -1).sum(axis=0)
    assert abs(image[bar]) <= 3, "or the images would have seen it"
    assert bars_turned(made) == ([bar], [], 1)
    equities[1, bar:] = 1.5 - 2**-40
    assert bars_turned(voting(signals, (level, level, True), equities=equities)) == ([], [bar + 1], -1)


@pytest.mark.parametrize("n", [40, 64, 65, 100])
@pytest.mark.parametrize("start", [0, 1, 15, 30, 31, 32, 33, 39])
def test_nothing_is_crossed_at_the_first_average(start: int, n: int) -> None:
    """Above from the start on is no crossing; below at the next bar is one."""
    signals = np.full(n, 100)
    assert bars_turned(voting(signals, (0.1, -0.1, False), start)) == ([], [], 0)
    signals[start + 1 :] = -100
    expected = ([], [start + 1], -1) if start + 1 < n else ([], [], 0)
    assert bars_turned(voting(signals, (0.1, -0.1, False), start)) == expected
    assert bars_turned(voting(-signals, (0.1, -0.1, False), start)) == (expected[1], [], -expected[2])


def test_a_cutout_beyond_a_shorter_column() -> None:
    """Its own bars end before the regime begins, and the other column's do not."""
    sizes, threshold = [1] * TYPES, (0.1, -0.1, False)
    rng = np.random.default_rng(1)
    columns = [
        column_of(np.ones(n), made_components(rng, n, sizes, min(50, n), "near one", 0.5), types_of(sizes), [threshold])
        for n in (40, 100, 50, 51)
    ]
    made = made_of(columns, [50], [threshold], every_id(sizes))
    assert_made_turns_are_the_cpus(HostEngine(3, "shuffled"), made)
    assert find_made_turns(HostEngine(), made).turns.relied[:, 0].tolist() == [0, 1, 0, 1]


def test_an_unsound_component_spoils_only_its_own_combinations() -> None:
    sizes, threshold = [2] * TYPES, (0.1, -0.1, False)
    rng = np.random.default_rng(2)
    for broken in range(sum(sizes)):
        components = made_components(rng, 40, sizes, 0, "near one", 0.5)
        components.weights[broken, 39] = np.inf
        components.sound[broken] = False
        column = column_of(np.ones(40), components, types_of(sizes), [threshold])
        ids = every_id(sizes)
        made = made_of([column], [0], [threshold], ids)
        relied = find_made_turns(HostEngine(), made).turns.relied[0]
        assert_same_bits(relied == 0, (ids[:, :TYPES] == broken).any(axis=1))
        if broken % 5 == 0 and not DISABLE_JIT:
            assert_made_turns_are_the_cpus(HostEngine(), made)


# ---------------------------------------------------------------- tables
def test_levels_share_images_of_equal_thresholds() -> None:
    tables = level_tables([0.1, 0.2, 0.1, 0.3], [-0.1, -0.1, -0.2, -0.1], [False, True, True, False])
    assert tables.above.tolist() == [0.1, 0.2, 0.3]
    assert tables.above_rows.tolist() == [0, 1, 0, 2]
    assert tables.below.tolist() == [-0.1, -0.2]
    assert tables.below_rows.tolist() == [0, 0, 1, 0]
    assert tables.long_thresholds.tolist() == [0.1, 0.2, 0.1, 0.3]
    assert tables.short_thresholds.tolist() == [-0.1, -0.1, -0.2, -0.1]
    assert tables.delayed.tolist() == [0, 1, 1, 0]
    assert tables.delayed.dtype == np.int8
    with pytest.raises(ValueError, match="got 1, 2 and 1 of them"):
        level_tables([0.1], [-0.1, -0.2], [False])


def test_levels_are_the_plans() -> None:
    grid = ParamGrid(long_threshold=[0.1, 0.2], short_threshold=[-0.1, -0.3], strategy_mode=[True, False])
    planned = plan(grid)
    tables = plan_levels(planned)
    for place, level in enumerate(planned.levels):
        assert tables.above[tables.above_rows[place]] == level.long_threshold
        assert tables.below[tables.below_rows[place]] == level.short_threshold
        assert bool(tables.delayed[place]) == level.delayed


def test_components_are_listed_by_regime_and_type() -> None:
    rows = [AtcParams(cutout=c, hma_mode=m, ema_len=e) for c in (0, 9) for m in ("sma", "hull") for e in (20, 10, 30)]
    planned = plan(ParamGrid.points(rows))
    tables = pass_tables(wanted_by(planned), planned.regimes, 100).regimes
    groups = groups_in(tables)
    assert groups[:, 0].tolist() == [one.regime for one in planned.components]
    for row in planned.ids(0, planned.size):
        assert groups[row[:TYPES], 1].tolist() == list(range(TYPES))
    assert sorted(tables.by_type.tolist()) == list(range(len(planned.components)))
