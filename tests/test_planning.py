"""The plan of a sweep: every component once, every combination made of the right ones, nothing listed needlessly."""

from __future__ import annotations

import itertools
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from atc_plugin import AtcParams, ParamGrid
from atc_plugin.engine import Regime, component
from atc_plugin.params import TYPES
from atc_plugin.sweeps import component_ids, estimates
from atc_plugin.sweeps.combinations import Chosen, Product
from atc_plugin.sweeps.planning import Component, Levels, Plan, check_memory, plan

LENGTHS = [f"{type_.lower()}_len" for type_ in TYPES]
HUGE = ParamGrid(**{name: range(10, 50) for name in LENGTHS})

# Values that fit together in any combination, of every parameter.
VALUES: dict[str, list[Any]] = {
    **{name: [9, 10, 11, 12, 14] for name in LENGTHS},
    "ema_w": [0.1, 1.0, 1e22],
    "hma_w": [0.5, 1.0],
    "kama_w": [1 / 3, 2.0],
    "lambda_": [0.0, 0.02, 0.5],
    "decay": [0.0, 0.01, 1 / 3],
    "cutout": [0, 1, 3],
    "robustness": ["Narrow", "Medium", "Wide"],
    "hma_mode": ["sma", "hull"],
    "long_threshold": [0.1, 0.2, 0.3],
    "short_threshold": [-0.1, 0.0, 0.1],
    "strategy_mode": [False, True],
}


@st.composite
def products(draw: st.DrawFn) -> dict[str, list[Any]]:
    names = draw(st.permutations(sorted(VALUES)))[: draw(st.integers(0, 6))]
    return {name: draw(st.permutations(VALUES[name]))[: draw(st.integers(1, 3))] for name in names}


def some(params: AtcParams) -> bool:
    return (params.ema_len + params.kama_len + params.cutout + (params.hma_mode == "sma")) % 3 > 0


@st.composite
def grids(draw: st.DrawFn) -> ParamGrid:
    grid = ParamGrid(**draw(products()))
    match draw(st.sampled_from(["product", "where", "slice", "sample", "sample of a slice", "points", "union"])):
        case "where":
            return ParamGrid(**grid.axes, where=some)
        case "slice":
            return grid[draw(st.slices(len(grid)))]
        case "sample":
            return grid.sample(draw(st.integers(1, len(grid))), seed=draw(st.integers(0, 9)))
        case "sample of a slice":
            part = grid[draw(st.slices(len(grid)))][draw(st.slices(len(grid)))]
            return part.sample(draw(st.integers(1, len(part)))) if part else part
        case "points":
            return ParamGrid.points(draw(st.permutations(list(grid)[:20])))
        case "union":
            union = grid | ParamGrid(**draw(products()), where=draw(st.sampled_from([None, some])))
            return union[draw(st.slices(len(union)))] if draw(st.booleans()) else union
    return grid


def made_of(params: AtcParams) -> tuple[list[tuple[Any, ...]], Levels]:
    """What a combination is made of, said by the parameters themselves."""
    regime = Regime(params.lambda_, params.decay, params.cutout)
    components = [(*component(params, type_), params.weight(type_), regime) for type_ in TYPES]
    return components, Levels(params.long_threshold, params.short_threshold, params.strategy_mode)


def decoded(planned: Plan, first: int, last: int) -> list[tuple[list[tuple[Any, ...]], Levels]]:
    """What the ids of a plan say that combinations are made of."""
    kept = [(*c[:3], planned.regimes[c.regime]) for c in planned.components]
    return [([kept[i] for i in row[:6]], planned.levels[row[6]]) for row in planned.ids(first, last).tolist()]


def assert_plans(planned: Plan, combinations: list[AtcParams]) -> None:
    """That a plan is right, holds everything once and nothing that no combination needs."""
    expected = [made_of(params) for params in combinations]
    assert planned.size == len(combinations)
    assert decoded(planned, 0, planned.size) == expected
    ids = planned.ids(0, planned.size)
    assert ids.dtype == np.int32
    assert ids.shape == (planned.size, 7)
    assert ids.flags.c_contiguous
    assert set(ids[:, :6].ravel()) == set(range(len(planned.components)))
    assert set(ids[:, 6]) == set(range(len(planned.levels)))
    assert {c.regime for c in planned.components} == set(range(len(planned.regimes)))
    for distinct in (planned.components, planned.levels, planned.regimes):
        assert len(set(distinct)) == len(distinct)
    assert planned.members == len({(c[0], length) for row, _ in expected for c in row for length in c[1]})


@given(grids(), st.data())
def test_every_combination_is_made_of_what_its_parameters_say(grid, data) -> None:
    combinations = list(grid)
    if not combinations:
        with pytest.raises(ValueError, match="the grid has no combinations"):
            plan(grid)
        return
    planned = plan(grid)
    assert_plans(planned, combinations)
    assert {name for name in VALUES if len({getattr(params, name) for params in combinations}) > 1} <= set(
        planned.varied
    )
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, planned.size)] * 2)))
    assert (planned.ids(first, last) == planned.ids(0, planned.size)[first:last]).all()
    assert planned.key(first, last) == plan(ParamGrid.points(combinations)).key(first, last)
    again = pickle.loads(pickle.dumps(planned))
    assert (again.regimes, again.components, again.levels) == (planned.regimes, planned.components, planned.levels)
    assert (again.ids(0, again.size) == planned.ids(0, planned.size)).all()
    assert again.key(first, last) == planned.key(first, last)


@given(grids())
def test_without_tables_of_numbers_the_plan_is_the_same(grid) -> None:
    if not grid:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(component_ids, "_MOST_NUMBERS", 0)
        assert_plans(plan(grid), list(grid))


@given(grids())
def test_products_of_many_short_tails_and_chunks(grid) -> None:
    if not grid:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(component_ids, "_TAIL", 3)
        patch.setattr(component_ids, "_CHUNK", 5)
        assert_plans(plan(grid), list(grid))


@pytest.mark.parametrize("part", [slice(2**16 - 2, 2**16 + 1), slice(70_000, None, 11), slice(None, None, -3000)])
def test_slices_of_a_larger_product(part) -> None:
    grid = ParamGrid(cutout=[0, 1], **{name: range(10, 16) for name in LENGTHS})[part]
    assert_plans(plan(grid), list(grid))


def test_every_slice_of_a_product_needs_no_more_than_it_holds() -> None:
    grid = ParamGrid(ema_len=[10, 11, 12], decay=[0.01, 0.02], robustness=["Medium"], hma_len=[9, 8], cutout=[0, 1, 2])
    for first, last in itertools.combinations(range(len(grid) + 1), 2):
        assert_plans(plan(grid[first:last]), list(grid[first:last]))


@pytest.mark.parametrize(
    "part", [slice(3, 20), slice(None, None, 3), slice(None, None, -1), slice(1, None, 70), slice(5)]
)
def test_choices_of_a_union(part) -> None:
    union = ParamGrid(ema_len=range(10, 20), decay=[0.01, 0.02]) | ParamGrid(ema_len=range(15, 90))
    assert_plans(plan(union[part]), list(union[part]))
    sample = union.sample(20)
    assert_plans(plan(sample), list(sample))
    assert_plans(plan(sample[::-1]), list(sample[::-1]))


def test_samples_of_samples() -> None:
    sample = HUGE.sample(90)[::-1].sample(40).sample(20)
    assert_plans(plan(sample), list(sample))
    part = HUGE[::-7][3:10_000].sample(20)
    assert_plans(plan(part), list(part))


@given(st.slices(60), st.slices(60))
def test_slices_of_slices(outer, inner) -> None:
    product = Product({"ema_len": tuple(range(10, 70))})
    once = Chosen(product, range(60)[outer])
    twice = Chosen(once, range(once.size)[inner])
    found = component_ids.located(twice)
    assert found == (product, range(60)[outer][inner])


def test_rows_of_more_different_values_than_64_bits_can_count() -> None:
    rng = np.random.default_rng(0)
    columns = [(rng.integers(0, 3, 500), 2**20) for _ in range(5)]
    firsts, which = component_ids._distinct(columns, 500)
    rows = list(zip(*(digits.tolist() for digits, _ in columns), strict=True))
    distinct = list(dict.fromkeys(rows))
    assert [rows[i] for i in firsts] == distinct
    assert [distinct[i] for i in which] == rows


def test_components_of_different_types_are_different() -> None:
    planned = plan(ParamGrid(hma_mode=["sma", "hull"]))
    assert [c.average for c in planned.components] == ["EMA", "SMA", "HULL", "WMA", "DEMA", "LSMA", "KAMA"]
    assert planned.ids(0, 2).tolist() == [[0, 1, 3, 4, 5, 6, 0], [0, 2, 3, 4, 5, 6, 0]]
    lengths = (28, 29, 30, 32, 34, 27, 26, 24, 22)
    assert planned.components[0] == Component("EMA", lengths, 1.0, 0)
    assert planned.regimes == (Regime(0.02, 0.03, 0),)
    assert planned.levels == (Levels(0.1, -0.1, False),)


def test_what_does_not_matter_to_a_component_does_not_multiply_it() -> None:
    planned = plan(
        ParamGrid(ema_len=range(10, 15), long_threshold=[0.1, 0.2], hma_w=[1, 2], strategy_mode=[False, True])
    )
    assert len(planned.components) == 5 + 2 + 4
    assert len(planned.levels) == 4
    assert planned.varied == ("ema_len", "long_threshold", "hma_w", "strategy_mode")


def test_only_what_is_kept_is_needed_and_where_is_asked_once() -> None:
    asked = []

    def where(params: AtcParams) -> bool:
        asked.append(params)
        return params.decay == 0.03 and params.ema_len <= params.wma_len

    planned = plan(
        ParamGrid(ema_len=range(10, 30), wma_len=range(5, 15), decay=[0.01, 0.03], robustness="Narrow", where=where)
    )
    assert len(asked) == 20 * 10 * 2
    assert len(planned.regimes) == 1
    assert {c.lengths[0] for c in planned.components if c.average == "EMA"} == set(range(10, 15))
    assert {c.lengths[0] for c in planned.components if c.average == "WMA"} == set(range(10, 15))


def test_where_may_leave_out_what_does_not_fit() -> None:
    grid = ParamGrid(ema_len=range(3, 12), robustness=["Wide", "Narrow"], where=lambda p: p.ema_len > 8)
    assert_plans(plan(grid), list(grid))
    with pytest.raises(ValueError, match="`where` keeps a combination that does not fit together"):
        plan(ParamGrid(ema_len=range(3, 12), where=lambda p: True))


def test_a_plan_can_be_pickled_without_the_condition() -> None:
    planned = plan(ParamGrid(ema_len=range(10, 30), where=lambda p: p.ema_len % 2))
    again = pickle.loads(pickle.dumps(planned))
    assert decoded(again, 0, 10) == decoded(planned, 0, 10)
    before = len(pickle.dumps(planned))
    planned.key(0, 10)
    assert len(pickle.dumps(planned)) == before, "what was derived does not travel"


# Grids too large to list


def test_a_huge_grid_is_never_listed() -> None:
    tracemalloc.start()
    planned = plan(HUGE)
    assert planned.size == 40**6
    assert (len(planned.components), planned.members, len(planned.levels)) == (240, 6 * 52, 1)
    for first in (0, 12_345_678_90, 40**6 - 70_000):
        assert len(planned.ids(first, first + 65_536)) == 65_536
        positions = [first, first + 1, first + 39, first + 40, first + 65_535]
        assert [decoded(planned, i, i + 1)[0] for i in positions] == [made_of(HUGE[i]) for i in positions]
    assert decoded(planned, 40**6 - 50, 40**6) == [made_of(params) for params in HUGE[-50:]]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


@pytest.mark.parametrize("step", [1, -1, 7])
def test_a_slice_of_a_huge_grid_is_never_listed(step) -> None:
    grid = HUGE[40**5 - 7 : 2 * 40**5 + 7][::step]
    planned = plan(grid)
    assert planned.size == len(grid)
    assert {c.lengths[0] for c in planned.components if c.average == "EMA"} == {10, 11, 12}
    assert len(planned.components) == 203
    for i in (0, 1, 5, 6, len(grid) // 2, len(grid) - 1):
        assert decoded(planned, i, i + 1) == [made_of(grid[i])]


def test_grids_longer_than_64_bits() -> None:
    grid = ParamGrid(**{name: range(10, 50) for name in LENGTHS}, **{f"{t.lower()}_w": range(1, 41) for t in TYPES})
    assert grid.size_before_where == 40**12
    planned = plan(grid)
    assert len(planned.components) == 6 * 1600
    last = 40**12 - 3
    assert decoded(planned, last, last + 3) == [made_of(grid[last + i]) for i in range(3)]
    assert planned.blocks[-1][1] == 40**12
    for few in (grid[last:], grid.sample(50), grid[:: 10**17], grid[5:][::-1][:3]):
        assert_plans(plan(few), list(few))


def test_a_sample_of_a_grid_with_more_components_than_anyone_could_hold() -> None:
    wide = ParamGrid(
        lambda_=np.linspace(0, 1, 1000), decay=np.linspace(0, 1, 1000), **{n: range(10, 50) for n in LENGTHS}
    )
    sample = wide.sample(200, seed=3)
    assert_plans(plan(sample), list(sample))
    longer = ParamGrid(**wide.axes, cutout=range(1000), ema_w=range(1, 11))
    assert longer.size_before_where > 2**63
    assert_plans(plan(longer[-20_050:]), list(longer[-20_050:]))
    message = "240,000,000 distinct components, more than the 4,194,304 that a plan holds; sweep fewer lengths"
    for grid in (wide, wide[: 10**12]):
        with pytest.raises(MemoryError, match=message):
            plan(grid)


@given(st.integers(2, 4), st.integers(1, 3), st.integers(0, 30), st.integers(0, 30))
def test_boxes_hold_a_stretch_of_a_product(a, b, one, other) -> None:
    lengths = (a, b, 2)
    low, high = sorted(position % (2 * a * b) for position in (one, other))
    cells = np.zeros(lengths, int)
    for box in component_ids._boxes(lengths, low, high):
        cells[tuple(box)] = 1
    assert np.flatnonzero(cells).tolist() == list(range(low, high + 1))


# Keys


def test_a_key_stands_for_the_content_in_its_order() -> None:
    grid = ParamGrid(ema_len=range(10, 20), decay=[0.01, 0.03], long_threshold=[0.1, 0.2])
    same = [
        ParamGrid(ema_len=range(10, 30), decay=[0.01, 0.03], long_threshold=[0.1, 0.2]),
        ParamGrid.points([*grid, AtcParams(ema_len=50)]),
        ParamGrid(ema_len=range(5, 30), robustness="Narrow") | grid,
        ParamGrid(
            ema_len=range(10, 20), decay=[0.01, 0.02, 0.03], long_threshold=[0.1, 0.2], where=lambda p: p.decay != 0.02
        ),
    ]
    key = plan(grid).key(4, 40)
    assert len(key) == 32
    assert [plan(other).key(4, 40) for other in same[:2]] == [key] * 2
    assert plan(same[2]).key(29, 65) == key
    assert plan(same[3]).key(4, 40) == key
    whole = list(grid)
    changed = [
        ParamGrid.points([*whole[:20], AtcParams(ema_len=99), *whole[21:]]),
        ParamGrid.points([*whole[:20], whole[21], whole[20], *whole[22:]]),
        *(
            ParamGrid.points([*whole[:20], whole[20].replace(**{name: value}), *whole[21:]])
            for name, value in {
                "kama_w": 2,
                "lambda_": 0.03,
                "decay": 0.02,
                "cutout": 1,
                "robustness": "Wide",
                "hma_mode": "hull",
                "long_threshold": 0.3,
                "short_threshold": -0.3,
                "strategy_mode": True,
            }.items()
        ),
        ParamGrid(long_threshold=[0.1, 0.2], ema_len=range(10, 20), decay=[0.01, 0.03]),
    ]
    keys = [plan(other).key(4, 40) for other in changed]
    assert len({key, *keys}) == 1 + len(changed)
    assert plan(grid).key(4, 39) != plan(grid).key(4, 40) != plan(grid).key(5, 40)


def test_keys_are_the_same_tomorrow() -> None:
    assert plan(HUGE).key(10**9, 10**9 + 65_536) == "086a9271f5db28bdc3d75fdcbbfdde1a"
    assert plan(ParamGrid()).key(0, 1) == "495798cdf976920cd51668b15eed9c90"


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (0, 41), (3, 2)])
def test_combinations_outside_the_plan(first, last) -> None:
    planned = plan(ParamGrid(ema_len=range(10, 50)))
    for ask in (planned.ids, planned.key):
        with pytest.raises(IndexError, match=f"combinations {first} to {last} of a plan of 40"):
            ask(first, last)
    assert planned.ids(40, 40).shape == (0, 7)


def test_blocks() -> None:
    planned = plan(HUGE[:150_000])
    assert list(planned.blocks) == planned.blocks[:] == [(0, 65_536), (65_536, 131_072), (131_072, 150_000)]
    assert len(planned.blocks) == 3
    assert planned.blocks[-1] == (131_072, 150_000)
    with pytest.raises(IndexError):
        planned.blocks[3]
    assert list(itertools.islice(plan(HUGE).blocks, 2)) == [(0, 65_536), (65_536, 131_072)]


# Estimates


def test_columns_on_threads_of_their_own_each_take_memory() -> None:
    grid = ParamGrid(ema_len=range(10, 50))
    one, four = (plan(grid, columns=16, bars=1000, jobs=jobs).estimate.parts for jobs in (1, 4))
    assert four.stretch_tables == 4 * one.stretch_tables
    assert four.components == 4 * one.components
    few = plan(grid, columns=3, bars=1000, jobs=4).estimate.parts  # too few: their combinations are shared out
    assert few.stretch_tables == one.stretch_tables


def test_an_estimate_needs_columns_and_bars() -> None:
    assert plan(HUGE).estimate is None
    assert plan(HUGE, columns=2).estimate is None
    close = np.full((90, 2), 10.0)
    close[:40, 1] = np.nan
    assert plan(HUGE, close).estimate == plan(HUGE, columns=2, bars=90).estimate
    with pytest.raises(ValueError, match="the plan has no estimate"):
        check_memory(plan(HUGE))


def test_the_estimate_adds_up() -> None:
    grid = ParamGrid(ema_len=range(10, 50), long_threshold=[0.1, 0.2], short_threshold=[-0.1, -0.2, -0.3])
    cost = plan(grid, columns=3, bars=1000, metrics=5, windows=2, jobs=2).estimate
    assert cost.combination_bars == 240 * 3 * 1000
    assert cost.seconds == pytest.approx((240 * 0.45 + 45 * 5) * 3000 / 1e9)
    assert cost.parts == (
        45 * 1000 * 9,
        45 * 1000 * 4 * 5,
        2 * (1000 + 3) * 255 * 64,
        720 * (5 * 8 * 3 + 14),
        240 * 96 * 7 * 3,
    )
    assert cost.memory == sum(cost.parts)
    kept = plan(grid, columns=3, bars=10**6, metrics=5, windows=2, top=7).estimate
    assert kept.parts.result_rows == 21 * (5 * 8 * 3 + 14)
    assert kept.parts.stretch_tables == 2 * (2303 + 3) * 255 * 64


def test_the_description_reads_well() -> None:
    assert plan(ParamGrid(ema_len=[10, 11], where=lambda p: True)).describe() == (
        "combinations          2\n"
        "distinct components   7\n"
        "members              59 different averages\n"
        "regimes               1 of lambda_, decay and cutout\n"
        "levels                1 of thresholds and strategy_mode\n"
        "blocks                1 of 65,536 combinations"
    )
    described = plan(HUGE, columns=1, bars=1500, jobs=2).describe()
    for words in ("combination-bars     6,144,000,000,000", "46.1 minutes on one core", "23.0 minutes with 2 jobs"):
        assert words in described


@pytest.mark.parametrize(
    ("grid", "asked", "message"),
    [
        (HUGE, {}, r"needs about 213\.\d GB .* 2\.0 GB are available; 213\.0 GB .* for result rows: .* top="),
        (HUGE[:10], {"bars": 10**8}, r"for components: sweep fewer lengths, weights or regimes"),
        (ParamGrid(long_threshold=np.arange(1, 100)), {"bars": 10**7}, r"for running sums: sweep fewer thresholds"),
        (HUGE, {"top": 5, "windows": 1000}, r"for blocks in flight: ask for fewer windows or jobs"),
    ],
)
def test_a_sweep_that_does_not_fit_says_what_to_change(grid, asked, message) -> None:
    with pytest.raises(MemoryError, match=message):
        check_memory(plan(grid, **{"columns": 1, "bars": 1500, **asked}), available=2 * 10**9)


def test_a_sweep_that_fits_is_not_refused(monkeypatch) -> None:
    planned = plan(HUGE, columns=1, bars=1500, top=10)
    check_memory(planned, planned.estimate.memory)
    with pytest.raises(MemoryError, match="for stretch tables: sweep shorter series"):
        check_memory(planned, planned.estimate.memory - 1)
    check_memory(planned)
    monkeypatch.setattr(estimates, "_of_the_machine", lambda: None)
    monkeypatch.setattr(estimates, "_of_the_group", lambda root: None)
    check_memory(plan(HUGE, columns=1, bars=10**9))


def test_available_memory_is_the_least_of_machine_and_group(monkeypatch) -> None:
    assert 0 < estimates.available_memory() < 2**60
    for machine, group, least in [(7, 5, 5), (7, None, 7), (None, 5, 5), (None, None, None)]:
        monkeypatch.setattr(estimates, "_of_the_machine", lambda machine=machine: machine)
        monkeypatch.setattr(estimates, "_of_the_group", lambda root, group=group: group)
        assert estimates.available_memory() == least


def test_what_a_control_group_leaves(tmp_path: Path) -> None:
    assert estimates._of_the_group(tmp_path) is None
    old = tmp_path / "memory"
    old.mkdir()
    (old / "memory.limit_in_bytes").write_text("1000\n")
    (old / "memory.usage_in_bytes").write_text("400\n")
    assert estimates._of_the_group(tmp_path) == 600
    (old / "memory.stat").write_text("cache 9\ntotal_inactive_file 50\n")
    assert estimates._of_the_group(tmp_path) == 650
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert estimates._of_the_group(tmp_path) == 650
    (tmp_path / "memory.max").write_text("300\n")
    (tmp_path / "memory.stat").write_text("file 9\ninactive_file 30\n")
    assert estimates._of_the_group(tmp_path) == 0


def test_what_a_machine_without_proc_leaves(monkeypatch) -> None:
    monkeypatch.setattr(estimates, "_field", lambda path, name: None)
    assert estimates._of_the_machine() is None or estimates._of_the_machine() > 0
    monkeypatch.delattr(estimates.os, "sysconf", raising=False)
    assert estimates._of_the_machine() is None


# Errors


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"ema_len": [10]}, r"a plan takes a ParamGrid; got dict: wrap the values in ParamGrid\(\*\*values\)"),
        ([{"ema_len": 10}], r"a plan takes a ParamGrid; got list: wrap the rows in ParamGrid.points\(rows\)"),
        (5, r"a plan takes a ParamGrid; got int$"),
    ],
)
def test_what_is_not_a_grid(grid, message) -> None:
    with pytest.raises(TypeError, match=message):
        plan(grid)


@pytest.mark.parametrize("grid", [HUGE[:0], ParamGrid(where=lambda p: False), HUGE[:0] | HUGE[5:5], HUGE[:9][:0][::2]])
def test_an_empty_grid(grid) -> None:
    with pytest.raises(ValueError, match="the grid has no combinations"):
        plan(grid)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"columns": -1}, ValueError, "columns must be at least 0; got -1"),
        ({"top": 0}, ValueError, "top must be at least 1; got 0"),
        ({"jobs": 0}, ValueError, "jobs must be at least 1; got 0"),
        ({"metrics": 1.5}, TypeError, "cannot be interpreted as an integer"),
    ],
)
def test_numbers_that_make_no_sense(asked, error, message) -> None:
    with pytest.raises(error, match=message):
        plan(HUGE, **asked)
