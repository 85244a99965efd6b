"""The judge of a plan's combinations: as one at a time, whatever the tiles, blocks and threads; and work shared out."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_components import LEAN, assert_close_metrics
from numba.core.config import DISABLE_JIT
from price_strategies import prices
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid, atc, threads
from atc_plugin.law import accumulators, metrics
from atc_plugin.law.metrics import METRICS
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.law.turns import TYPES, room_for_sums, update_sums
from atc_plugin.sweeps import judge as module
from atc_plugin.sweeps.accumulated import Judged
from atc_plugin.sweeps.components import components_of
from atc_plugin.sweeps.judge import Judge, arranged
from atc_plugin.sweeps.planning import Plan, plan
from atc_plugin.sweeps.question import Trading
from atc_plugin.threads import share

MODES = (BOTH, LONG_ONLY, SHORT_ONLY)
EXAMPLES = 4 if DISABLE_JIT else 40
BARS = 80 if DISABLE_JIT else 500
Ranges = tuple[np.ndarray, np.ndarray]

GRIDS = {
    "lengths": {"ema_len": [10, 20, 28], "kama_len": [12, 28], "lsma_len": [9, 30]},
    "thresholds": {"long_threshold": [0.1, 0.3, 0.0], "short_threshold": [-0.1, 0.0], "ema_len": [10, 28]},
    "strategy_mode": {"strategy_mode": [False, True], "wma_len": [10, 28]},
    "regimes": {"lambda_": [0.02, 0.5], "decay": [0.03, 0.2], "cutout": [0, 30, 64, 1000]},
    "averages": {"robustness": ["Narrow", "Medium", "Wide"], "hma_mode": ["sma", "hull"], "hma_len": [12, 28]},
    "weights": {"ema_w": [1.0, 0.1, 3.0], "lsma_w": [1.0, 2.0]},
    "everything": {
        "ema_len": [10, 20],
        "hma_mode": ["sma", "hull"],
        "cutout": [0, 20],
        "strategy_mode": [False, True],
        "long_threshold": [0.1, 0.4],
        "kama_w": [1.0, 2.0],
    },
}


def walk(n: int = BARS, seed: int = 0) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0003, 0.015, n)))


def one_at_a_time(close: np.ndarray, params: AtcParams, trading: Trading) -> np.ndarray:
    """Accumulators of what the indicator says, by the plain law of fills."""
    direction = np.asarray(atc(close, params=params).direction, np.float64)
    before = np.concatenate([[0.0], direction[:-1]])
    up, down = (direction == 1) & (before != 1), (direction == -1) & (before != -1)
    return accumulators.judge(close, up, down, trading.mode, trading.fees, trading.slippage, 100.0)[1]


def judge_of(
    grid: ParamGrid, close: np.ndarray, trading: Trading, windows: Ranges | None = None, combinations: int | None = None
) -> tuple[Judge, Plan]:
    planned = plan(grid)
    components = components_of(planned, close, close)
    return Judge(close, components, planned, trading, windows, combinations), planned


def judged(
    grid: ParamGrid, close: np.ndarray, trading: Trading, windows: Ranges | None = None, jobs: int = 1
) -> Judged:
    judge, planned = judge_of(grid, close, trading, windows)
    return judge.judge(planned.ids(0, planned.size), jobs)


def assert_same_verdicts(got: Judged, expected: Judged) -> None:
    assert_same_bits(got.whole, expected.whole)
    assert_same_bits(got.windows, expected.windows)
    assert got.plainly == expected.plainly


# ---------------------------------------------------------------- as one at a time
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_sweep_is_its_combinations_one_at_a_time(name: str, mode: int) -> None:
    grid = ParamGrid(**GRIDS[name])
    if DISABLE_JIT:
        grid = grid[:: max(1, len(grid) // 3)]
    for seed, trading in enumerate((Trading(mode, 0.0, 0.0, True), Trading(mode, 0.001, 0.002, True))):
        close = walk(seed=seed)
        got = judged(grid, close, trading)
        expected = np.array([one_at_a_time(close, params, trading) for params in grid])
        assert_close_metrics(got.whole, expected, close.size, what=name)
        lean = judged(grid, close, trading._replace(trades=False))
        assert_close_metrics(lean.whole, expected, close.size, LEAN, name)
        assert got.plainly < len(grid) or len(grid) < 8


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_prices(data: st.DataObject) -> None:
    """Of both signs, huge, tiny, explosive, constant, of one bar."""
    close = data.draw(prices(max_bars=60 if DISABLE_JIT else 300))
    name = data.draw(st.sampled_from(sorted(GRIDS)))
    grid = ParamGrid(**GRIDS[name])
    grid = grid[data.draw(st.integers(0, len(grid) - 1)) :][: 2 if DISABLE_JIT else 8]
    fees = data.draw(st.sampled_from([0.0, 0.001, 0.2, 0.399, 0.4, 0.7]))
    trading = Trading(data.draw(st.sampled_from(MODES)), fees, data.draw(st.sampled_from([0.0, 0.01, 0.4])), True)
    got = judged(grid, close, trading)
    expected = np.array([one_at_a_time(close, params, trading) for params in grid])
    assert_close_metrics(got.whole, expected, close.size)
    if got.plainly == len(grid):
        assert_same_bits(got.whole, expected)


@pytest.mark.parametrize(
    ("close", "fees", "slippage"),
    [(-1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (50.0, 0.4, 0.0), (50.0, 0.0, 0.4), (50.0, 0.9, 0.9)],
)
def test_what_is_irregular_is_judged_plainly(close: float, fees: float, slippage: float) -> None:
    grid = ParamGrid(**GRIDS["thresholds"])[:5]
    values = walk(100)
    values[70] = close
    planned = plan(grid)
    components = components_of(planned, walk(100), walk(100))  # a close of 0 is no price to the indicator
    for mode in MODES:
        trading = Trading(mode, fees, slippage, True)
        judge = Judge(values, components, planned, trading)
        assert (judge.ages, judge.tiles) == (0, [(0, 100)])
        got = judge.judge(planned.ids(0, 5))
        assert got.plainly == 5
        for row, params in zip(got.whole, grid, strict=True):
            direction = np.asarray(atc(walk(100), params=params).direction)
            before = np.concatenate([[0.0], direction[:-1]])
            up, down = (direction == 1) & (before != 1), (direction == -1) & (before != -1)
            assert_same_bits(row, accumulators.judge(values, up, down, mode, fees, slippage, 100.0)[1])


def test_just_below_the_limit_is_regular() -> None:
    judge, planned = judge_of(ParamGrid(), walk(100), Trading(BOTH, 0.399, 0.399, True))
    assert judge.ages == 1
    assert judge.column.images.sound.all()
    got = judge.judge(planned.ids(0, 1)).whole
    assert_close_metrics(got, one_at_a_time(walk(100), AtcParams(), Trading(BOTH, 0.399, 0.399, True))[np.newaxis], 100)


def test_components_that_are_not_sound_are_judged_plainly() -> None:
    """A growth rate that overflows: those combinations plainly, the others as ever."""
    grid = ParamGrid(lambda_=[0.02, 2000.0], kama_len=[10, 28])
    close = walk(400)
    trading = Trading(BOTH, 0.001, 0.0, True)
    judge, planned = judge_of(grid, close, trading)
    assert not judge.column.components.sound.all()
    regimes = np.array([one.regime for one in planned.components])
    assert judge.column.images.sound[0, regimes == 0].all()
    assert_same_bits(judge.column.images.sound, judge.column.components.sound[np.newaxis])
    got = judge.judge(planned.ids(0, 4))
    expected = np.array([one_at_a_time(close, params, trading) for params in grid])
    assert_close_metrics(got.whole, expected, 400)
    assert 2 <= got.plainly < 4
    assert_same_bits(got.whole[2:], expected[2:])


def test_images_are_drawn_once_a_threshold() -> None:
    grid = ParamGrid(long_threshold=[0.1, 0.3], short_threshold=[-0.1, 0.0, -0.5], strategy_mode=[False, True])
    judge, planned = judge_of(grid, walk(100), Trading(BOTH, 0.0, 0.0, True))
    count = len(planned.components)
    assert judge.column.images.width == 128
    assert judge.column.images.above.size == 2 * count * 128
    assert judge.column.images.below.size == 3 * count * 128
    assert judge.column.images.sound.shape == (12, count)
    for row, levels in enumerate(planned.levels):
        assert judge.column.levels.above[row] == [0.1, 0.3].index(levels.long_threshold) * count
        assert judge.column.levels.below[row] == [-0.1, 0.0, -0.5].index(levels.short_threshold) * count
        assert judge.column.levels.delayed[row] == levels.delayed
    for array in (judge.column.images.above, judge.column.images.below, judge.column.held):
        assert array.ctypes.data % 64 == 0


def test_a_threshold_beyond_what_images_hold_is_its_own_matter() -> None:
    grid = ParamGrid(long_threshold=[0.1, 1e300], ema_len=[10, 28])
    close, trading = walk(100), Trading(BOTH, 0.001, 0.0, True)
    judge, planned = judge_of(grid, close, trading)
    assert judge.column.images.sound.all(axis=1).tolist() == [levels.long_threshold == 0.1 for levels in planned.levels]
    expected = np.array([one_at_a_time(close, params, trading) for params in grid])
    assert_close_metrics(judge.judge(planned.ids(0, 4)).whole, expected, 100)


@pytest.mark.parametrize(
    ("combinations", "ages"), [(1, 1), (149, 1), (150, 31), (2999, 63), (3000, 127), (20_000, 255), (10**9, 255)]
)
def test_many_combinations_are_worth_a_larger_table(combinations: int, ages: int) -> None:
    grid, trading = ParamGrid(**GRIDS["lengths"]), Trading(BOTH, 0.001, 0.0, True)
    judge, planned = judge_of(grid, walk(70), trading, combinations=combinations)
    assert judge.ages == ages
    got = judge.judge(planned.ids(0, planned.size))
    assert_same_verdicts(got, judged(grid, walk(70), trading))


# ---------------------------------------------------------------- blocks, threads, tiles
WINDOWS = (np.array([0, 10, 30, 40]), np.array([BARS, 40, 31, BARS]))


@pytest.mark.parametrize("windows", [None, WINDOWS], ids=["no windows", "windows"])
@pytest.mark.parametrize("mode", MODES)
def test_bits_do_not_depend_on_threads_blocks_and_tiles(
    mode: int, windows: Ranges | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ParamGrid(**GRIDS["everything"]) if not DISABLE_JIT else ParamGrid(**GRIDS["everything"])[::8]
    close, trading = walk(), Trading(mode, 0.001, 0.0, True)
    expected = judged(grid, close, trading, windows)
    assert expected.windows.shape == (len(grid), 0 if windows is None else 4, 12)
    monkeypatch.setattr(module, "_GRAIN", 1)  # parts of 64 combinations
    rng = np.random.default_rng(mode)
    for tile in (module.TILE, 64, 128, 200):
        monkeypatch.setattr(module, "TILE", tile)
        judge, planned = judge_of(grid, close, trading, windows)
        assert len(judge.tiles) == (1 if tile > BARS else -(-BARS // (-(-BARS // -(-BARS // tile) // 64) * 64)))
        assert all(first % 64 == 0 for first, _ in judge.tiles)
        assert [last for _, last in judge.tiles] == [first for first, _ in judge.tiles[1:]] + [BARS]
        for jobs in (1, 2, 5):
            assert_same_verdicts(judge.judge(planned.ids(0, planned.size), jobs), expected)
        cuts = sorted({0, 1, planned.size, *rng.integers(0, planned.size + 1, 3).tolist()})  # a block of one too
        blocks = [judge.judge(planned.ids(a, b), 2) for a, b in itertools.pairwise(cuts)]
        assert_same_bits(np.concatenate([block.whole for block in blocks]), expected.whole)
        assert_same_bits(np.concatenate([block.windows for block in blocks]), expected.windows)
        ids = planned.ids(0, planned.size)
        shuffled = rng.permutation(planned.size)
        assert_same_bits(judge.judge(ids[shuffled]).whole, expected.whole[shuffled])
    assert judge.judge(planned.ids(3, 3)).whole.shape == (0, 12)


def test_the_table_of_the_only_tile_is_kept() -> None:
    judge, planned = judge_of(ParamGrid(), walk(100), Trading(BOTH, 0.0, 0.0, True))
    judge.judge(planned.ids(0, 1))
    table = judge._table
    judge.judge(planned.ids(0, 1), 2)
    assert judge._table is table


def test_tables_of_tiles_take_turns_in_one_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", 64)
    judge, planned = judge_of(ParamGrid(), walk(200), Trading(BOTH, 0.0, 0.0, True), combinations=800)
    assert judge.ages == 63
    rooms = []
    for bars in judge.tiles:
        table = judge._table_of(*bars, 1)
        assert table.bars == bars
        assert table.first == max(0, bars[0] - 62)
        assert table.rows == bars[1] - table.first
        assert table.lines.ctypes.data % 64 == 0
        rooms.append(table.lines.ctypes.data)
    assert len(set(rooms[1:])) == 1
    assert judge.judge(planned.ids(0, 1)).whole.shape == (1, 12)


# ---------------------------------------------------------------- the order of the work
def sums_made(ids: np.ndarray, order: np.ndarray, sequence: np.ndarray) -> int:
    """How many of five sums are made anew, all told."""
    made = TYPES - 1
    for before, now in zip(ids[sequence], ids[sequence][1:], strict=False):
        held = 0
        while before[TYPES] == now[TYPES] and held < TYPES - 1 and before[order[held]] == now[order[held]]:
            held += 1
        made += TYPES - 1 - held
    return made


@pytest.mark.parametrize(
    "kind", ["grid order", "shuffled", "backwards", "levels fastest", "one", "two", "none", "same"]
)
def test_work_is_arranged_so_that_sums_are_shared(kind: str) -> None:
    rng = np.random.default_rng(0)
    sizes = (2, 3, 2, 2, 3, 4)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*map(np.arange, (*sizes, 2)), indexing="ij")], axis=1)
    ids = {
        "grid order": grid[:, [*range(6), 6]][np.lexsort(grid.T[[5, 4, 3, 2, 1, 0, 6]])],
        "shuffled": rng.permutation(grid),
        "backwards": grid[np.lexsort(grid.T[[0, 1, 2, 3, 4, 5, 6]])],
        "levels fastest": grid,
        "one": grid[:1],
        "two": grid[[0, 100]],
        "none": grid[:0],
        "same": np.repeat(grid[:1], 50, axis=0),
    }[kind].astype(np.int32)
    order, sequence = arranged(ids)
    assert sorted(order) == list(range(6))
    assert sorted(sequence) == list(range(len(ids)))
    assert sums_made(ids, order, sequence) <= TYPES - 1 + 1.5 * len(ids)
    if kind in ("grid order", "same", "one"):
        assert sequence.tolist() == list(range(len(ids)))  # as they come


def test_sums_are_shared_as_counted() -> None:
    """`update_sums` makes as many as that."""
    grid = ParamGrid(**{f"{name}_len": [10, 12] for name in ("ema", "hma", "wma", "dema")})
    judge, planned = judge_of(grid, walk(64), Trading(BOTH, 0.0, 0.0, True))
    ids = planned.ids(0, planned.size)
    order, sequence = arranged(ids)
    sums = room_for_sums(64)
    made = 0
    for row in sequence:
        sums.above[:] = 2**30  # no sum of an image is that large and a multiple of it
        update_sums(sums, judge.column.images, judge.column.levels, ids[row], order, 0, 64)
        made += int((sums.above.reshape(5, 64) != 2**30).all(axis=1).sum())
    assert made == sums_made(ids, order, sequence) < 2 * len(ids)


# ---------------------------------------------------------------- threads
@pytest.mark.parametrize("jobs", [1, 2, 3, 50])
@pytest.mark.parametrize(("count", "grain"), [(0, 1), (1, 1), (10, 3), (100, 1), (7, 100), (64, 64)])
def test_every_part_is_done_once(count: int, grain: int, jobs: int) -> None:
    done: list[tuple[int, int]] = []
    share(lambda first, last: done.append((first, last)), count, jobs, grain)
    assert sorted(done) == [(first, min(first + grain, count)) for first in range(0, count, grain)]


def test_one_job_stays_in_this_thread_and_more_do_not() -> None:
    seen: set[int] = set()
    share(lambda *_: seen.add(threading.get_ident()), 10, 1, 1)
    assert seen == {threading.get_ident()}
    together = threading.Barrier(3, timeout=10)
    share(lambda *_: together.wait() and None, 3, 3, 1)  # passes only with three at work at once
    seen.clear()
    share(lambda *_: seen.add(threading.get_ident()), 1, 8, 1)
    assert seen == {threading.get_ident()}  # nothing to share


def test_a_part_that_another_thread_was_faster_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    class Raced(deque[tuple[int, int]]):
        def popleft(self) -> tuple[int, int]:
            if len(self) == 1:
                self.clear()  # between the look and the grasp
            return super().popleft()

    monkeypatch.setattr(threads, "deque", Raced)
    done: list[int] = []
    share(lambda first, last: done.append(first), 3, 1, 1)
    assert done == [0, 1]


@pytest.mark.parametrize("error", [ValueError("part 5"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_after_an_error_no_part_is_begun(error: BaseException, jobs: int) -> None:
    begun: list[int] = []

    def work(first: int, last: int) -> None:
        begun.append(first)
        if first == 5:
            raise error
        time.sleep(0.001)

    with pytest.raises(type(error)):
        share(work, 1000, jobs, 1)
    assert len(begun) <= 5 + 2 * jobs


def test_an_error_is_raised_when_those_under_way_have_ended() -> None:
    ended = threading.Event()
    started = threading.Event()

    def work(first: int, last: int) -> Any:
        if threading.current_thread() is threading.main_thread():
            assert started.wait(10)
            raise KeyboardInterrupt
        started.set()
        time.sleep(0.05)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        share(work, 100, 2, 1)
    assert ended.is_set()


def test_an_error_in_another_thread_is_raised_here() -> None:
    def work(first: int, last: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("elsewhere")
        time.sleep(0.002)

    with pytest.raises(ValueError, match="elsewhere"):
        share(work, 10_000, 2, 1)


def test_metrics_have_the_names_of_the_plain_ones() -> None:
    got = judged(ParamGrid(), walk(100), Trading(BOTH, 0.0, 0.0, True))
    assert tuple(metrics.metrics_of(got.whole, 100, 365.0)) == METRICS
