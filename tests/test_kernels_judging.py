"""The kernels that judge combinations, compiled for the host, against the CPU's law: to the bit, sure or not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_kernels import HostEngine, Recorder, has_compiler, written_by
from hypothesis import given, settings
from hypothesis import strategies as st
from judging_stages import (
    AGES,
    MODES,
    JudgedOn,
    Ranges,
    assert_fold_is_the_laws,
    assert_folds_are_the_laws,
    assert_lines_are_the_laws,
    assert_sweeps_are_the_judges,
    packed_turns,
    prices_of_families,
    random_turns,
    requests,
    run_judging,
    some_ranges,
)
from kernel_stages import Drawn, columns_of, price_tables
from made_components import Asked, costs_for
from made_sweeps import grids
from numba.core.config import DISABLE_JIT
from price_strategies import REGIMES
from same_bits import assert_same_bits
from test_kernels_law import host_engines, replayed, sanitizer

from atc_plugin import ParamGrid
from atc_plugin.accel.judging import JudgingTables, judging_tables, no_windows, stretches_on
from atc_plugin.law.metrics import GROWTH
from atc_plugin.prices import read_prices

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

EXAMPLES = 3 if DISABLE_JIT else 100
seeds = st.integers(0, 2**32 - 1)


# ---------------------------------------------------------------- turns at random
@settings(max_examples=EXAMPLES)
@given(price_tables(max_bars=300), requests(), seeds, host_engines())
def test_folds_are_the_laws(drawn: Drawn, asked: Asked, seed: int, host: HostEngine) -> None:
    """Of prices of any regime, whatever the turns."""
    assert_folds_are_the_laws(host, drawn.table, np.random.default_rng(seed), asked, None, 6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trades", [False, True])
def test_prices_that_break_shortcuts(mode: int, trades: bool) -> None:
    """Break-even trades, orders next to the smallest there are, ruin."""
    bars = 40 if DISABLE_JIT else 300
    charges = [(0.0, 0.0), (0.001, 0.0), (0.0, 0.002), (0.01, 0.02), (1e-9, 0.0)]
    for seed, (fees, slippage) in enumerate(charges):
        rng = np.random.default_rng(seed)
        table = read_prices(prices_of_families(rng, bars))
        asked = Asked(mode, fees, slippage, AGES[seed % 4], trades=trades)
        host = HostEngine(32, "shuffled", seed)
        assert_folds_are_the_laws(host, table, rng, asked, None, 2 if DISABLE_JIT else 20)


@pytest.mark.skipif(DISABLE_JIT, reason="the CPU's side is not asked here")
@settings(max_examples=EXAMPLES)
@given(price_tables(max_bars=300), requests(), seeds, st.integers(1, 5))
def test_how_large_a_table_is_moves_no_bit(drawn: Drawn, asked: Asked, seed: int, windows: int) -> None:
    rng = np.random.default_rng(seed)
    table = drawn.table
    columns, bars = table.close.shape
    turns, _ = random_turns(rng, table.counts.tolist(), bars, 20)
    ranges = some_ranges(rng, table.counts.tolist(), windows)
    judged = [
        run_judging(HostEngine(), table, turns, asked._replace(ages=ages), np.ones(columns), ranges) for ages in AGES
    ]
    for one in judged[1:]:
        for ours, expected in ((one.whole, judged[0].whole), (one.windows, judged[0].windows)):
            assert ours is not None
            assert expected is not None
            assert_same_bits(ours.values, expected.values)
            assert_same_bits(ours.sure, expected.sure)


# ---------------------------------------------------------------- turns of sweeps
@settings(max_examples=4 if DISABLE_JIT else 60)
@given(price_tables(max_bars=40 if DISABLE_JIT else 300), grids(), requests(), host_engines())
def test_sweeps_are_the_judges(drawn: Drawn, grid: ParamGrid, asked: Asked, host: HostEngine) -> None:
    assert_sweeps_are_the_judges(host, drawn.table, grid[: 2 if DISABLE_JIT else 12], asked, None)


@pytest.mark.parametrize("mode", MODES)
def test_most_of_a_sweep_is_sure(mode: int) -> None:
    """Otherwise the comparisons above would compare little."""
    close = np.stack([REGIMES["walk"](np.random.default_rng(seed), 60 if DISABLE_JIT else 600) for seed in range(3)], 1)
    grid = ParamGrid(ema_len=[9, 20], kama_len=[9, 28], wma_len=[10, 30], strategy_mode=[False, True])
    grid = grid[::8] if DISABLE_JIT else grid
    sure = assert_sweeps_are_the_judges(HostEngine(), read_prices(close), grid, Asked(mode, 0.001, 0.001, 31), None)
    assert DISABLE_JIT or sure > 0.6 * 3 * len(grid)


# ---------------------------------------------------------------- by hand
def by_hand(
    turned_at: list[int], first: int, close: list[float], asked: Asked, windows: list[tuple[int, int]] | None = None
) -> JudgedOn:
    """One combination that turns at these bars, as the law folds it."""
    turned = np.isin(np.arange(len(close)), turned_at)
    table = read_prices(np.array(close))
    one = np.ones((1, 1), np.int8)
    turns = packed_turns([turned[None]], first * one, one, len(close))
    ranges = None if windows is None else [ranges_of(windows)]
    got = run_judging(HostEngine(), table, turns, asked, np.ones(1), ranges)
    assert_fold_is_the_laws(got, table, turns, 0, [turned], asked, ranges)
    return got


def ranges_of(windows: list[tuple[int, int]]) -> Ranges:
    starts, stops = zip(*windows, strict=True)
    return np.array(starts), np.array(stops)


def is_sure(*arguments: Any) -> bool:
    return bool(by_hand(*arguments).whole.sure[0, 0])


def test_growth_of_a_few_bars() -> None:
    """Bits 31 and 32 are of neighbouring bars in two words."""
    close = [float(t + 1) for t in range(40)]
    both, long, short = (Asked(mode, ages=3) for mode in MODES)

    def growth(turned_at: list[int], first: int, asked: Asked) -> float:
        return float(by_hand(turned_at, first, close, asked).whole.values[0, GROWTH, 0])

    assert growth([], 0, both) == 1.0
    assert growth([39], 1, both) == 1.0
    assert growth([31, 32], 1, long) == close[32] / close[31]
    assert growth([31], 1, long) == close[39] / close[31]
    assert growth([0, 31], -1, long) == close[39] / close[31]
    assert growth([0, 31], 1, short) == pytest.approx(1 - (40 - 32) / 32)
    assert growth([31, 32], 1, both) == pytest.approx(33 / 32 * (1 - 7 / 33))


@pytest.mark.parametrize("ages", [1, 3])
def test_what_decides_whether_a_fold_is_sure(ages: int) -> None:
    """Each first case fails by one word of the law alone, which the second keeps."""
    both, long, short = (Asked(mode, ages=ages) for mode in MODES)
    # the cash after going short is the initial cash, where vectorbt's total return snaps
    assert not is_sure([0, 1, 2, 3], -1, [100.0, 150.0, 150.0, 120.0, 90.0], short)
    assert is_sure([0, 1, 2, 3], -1, [100.0, 140.0, 140.0, 120.0, 90.0], short)
    assert not is_sure([0, 1], 1, [100.0, 50.0, 40.0], both)
    assert is_sure([0, 1], 1, [100.0, 55.0, 40.0], both)
    # next to no downside, which only metrics of trades ask for
    hardly_down = [100.0, 150.0, 150.0, 149.97]
    assert not is_sure([0], 1, hardly_down, long)
    assert is_sure([0], 1, hardly_down, long._replace(trades=False))
    # losses that are next to a rounding of what was traded
    assert not is_sure([0, 1, 2, 4], 1, [100.0, 150.0, 150.0, 120.0, 149.99993], long)
    assert is_sure([0, 1, 2, 4], 1, [100.0, 150.0, 150.0, 120.0, 149.9], long)


def test_what_decides_whether_windows_are_sure() -> None:
    long = Asked(MODES[1], ages=3)
    for last, sure in ((99.0, 0), (105.0, 1)):  # returns that add up to nothing
        got = by_hand([0], 1, [100.0, 100.0, 110.0, last, 200.0], long, [(1, 4)])
        assert got.windows is not None
        assert got.windows.sure[0, 0] == sure
        assert got.whole.sure[0, 0]


def test_a_close_that_is_not_a_number_moves_extremes_as_in_python() -> None:
    table = read_prices(np.arange(1.0, 41.0))
    table.close[0, [5, 20]] = np.nan
    for mode in MODES:
        asked = Asked(mode, 0.001, 0.002, 31)
        tables = tables_of(windows=no_windows(table.counts), regular=np.ones(1), highest=np.ones(1), asked=asked)
        got = stretches_on(HostEngine(), columns_of(HostEngine(), table), tables, asked.ages)
        assert_lines_are_the_laws(got, table.close[0], asked, None, 0)


# ---------------------------------------------------------------- what is asked
def tables_of(asked: Asked | None = None, **changed: Any) -> JudgingTables:
    given: dict[str, Any] = {"regular": np.ones(2), "highest": np.ones(2), "windows": no_windows(np.array([3, 0]))}
    return judging_tables(costs_for(asked or Asked()), **(given | changed))


def test_a_column_without_bars_is_not_regular() -> None:
    tables = tables_of()
    assert tables.regular.tolist() == [1, 0]
    assert tables.windows.ends.tolist() == [[2], [-1]]


@pytest.mark.parametrize("windows", [0, 3])
def test_columns_without_bars_among_others(windows: int) -> None:
    close = np.full((45, 4), np.nan)
    close[:, 1] = REGIMES["walk"](np.random.default_rng(0), 45)
    close[7, 3] = 1.0
    table = read_prices(close)
    assert table.counts.tolist() == [0, 45, 0, 1]
    rng = np.random.default_rng(1)
    ranges = some_ranges(rng, table.counts.tolist(), windows) if windows else None
    assert_folds_are_the_laws(HostEngine(), table, rng, Asked(ages=3), ranges, 10)


def test_tables_have_at_least_one_age() -> None:
    prices = columns_of(HostEngine(), read_prices(np.ones(3)))
    with pytest.raises(ValueError, match="ages must be 1 or more, got 0"):
        stretches_on(HostEngine(), prices, tables_of(), 0)


# ---------------------------------------------------------------- out of bounds
@pytest.mark.skipif(has_compiler() and not sanitizer(), reason="this g++ has no AddressSanitizer")
def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    """Run as on a device: each launch reads what those before it wrote."""
    cases = []
    for seed, (counts, ages, block, order) in enumerate(
        (
            ([1], 1, 32, "forward"),
            ([32, 0, 5], 3, 1, "reversed"),
            ([33, 64], 31, 7, "shuffled"),
            ([150, 20, 96], 255, 64, "shuffled"),
            ([150, 149], 2, 128, "reversed"),
        )
    ):
        rng = np.random.default_rng(seed)
        close = np.full((max(counts), len(counts)), np.nan)
        for column, count in enumerate(counts):
            close[:count, column] = REGIMES["ticks"](rng, count)
        table = read_prices(close)
        turns, _ = random_turns(rng, counts, max(counts), 1 + 9 * seed)
        ranges = some_ranges(rng, counts, 1 + seed)
        recorder = Recorder()
        asked = Asked(MODES[seed % 3], 0.001, 0.002, ages, trades=seed % 2 == 0)
        run_judging(recorder, table, turns, asked, np.ones(len(counts)), ranges)
        cases.append((recorder.launches, block, order))
    path = tmp_path / "launches.pickle"
    path.write_bytes(pickle.dumps(cases))
    done = replayed(path)
    assert done.returncode == 0, done.stderr
    watched = pickle.loads(path.read_bytes())
    for (launches, block, order), given_back in zip(cases, watched, strict=True):
        for kernel, threads, arguments in launches:
            HostEngine(block, order, seed=2).launch(kernel, threads, **arguments)
        for array, theirs in zip(written_by(launches), given_back, strict=True):
            assert_same_bits(theirs, array)
