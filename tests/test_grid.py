"""ParamGrid: which combinations it holds, in which order, and that it lists none that nobody asked for."""

from __future__ import annotations

import copy
import itertools
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from atc_plugin import AtcParams, ParamGrid
from atc_plugin.params import TYPES

LENGTHS = [f"{type_.lower()}_len" for type_ in TYPES]
HUGE = ParamGrid(**{name: range(10, 50) for name in LENGTHS})

# Values that fit together in any combination.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ema_len": st.integers(9, 14),
    "kama_len": st.integers(9, 12),
    "decay": st.sampled_from([0.0, 0.01, 0.03, 1e-300, 1 / 3, 99.99999999999999]),
    "ema_w": st.sampled_from([0.1, 1, 1e22, 5e-324]),
    "robustness": st.sampled_from(["Narrow", "Medium", "Wide"]),
    "strategy_mode": st.booleans(),
    "long_threshold": st.sampled_from([0.1, 0.2, 0.3]),
}

# Values that may not fit together.
ODD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ema_len": st.integers(4, 10),
    "hma_len": st.integers(4, 10),
    "robustness": VALUES["robustness"],
    "hma_mode": st.sampled_from(["sma", "hull"]),
    "long_threshold": st.sampled_from([0.1, 0.2, 0.3]),
    "short_threshold": st.sampled_from([0.05, 0.15, 0.25]),
}


@st.composite
def axes(draw: st.DrawFn) -> dict[str, list[Any]]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=4))
    return {name: draw(st.lists(VALUES[name], unique=True, min_size=1, max_size=4)) for name in names}


def listed(axes: dict[str, list[Any]]) -> list[AtcParams]:
    return [AtcParams(**dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


@st.composite
def grids(draw: st.DrawFn, with_where: bool = True) -> tuple[ParamGrid, list[AtcParams]]:
    """A grid of any kind, with the combinations it should hold."""
    values = draw(axes())
    whole = listed(values)
    kinds = ["product", "points", "slice", "sample"] + (["where"] if with_where else [])
    match draw(st.sampled_from(kinds)):
        case "points":
            rows = draw(st.lists(st.sampled_from(whole), unique=True, min_size=1))
            return ParamGrid.points(rows), rows
        case "slice":
            part = draw(st.slices(len(whole)))
            return ParamGrid(**values)[part], whole[part]
        case "sample":
            grid = ParamGrid(**values).sample(draw(st.integers(1, len(whole))), seed=draw(st.integers(0, 9)))
            return grid, list(grid)
        case "where":
            return ParamGrid(**values, where=even), [params for params in whole if even(params)]
    return ParamGrid(**values), whole


def even(params: AtcParams) -> bool:
    return (params.ema_len + params.kama_len) % 2 == 0


def keep_none(params: AtcParams) -> bool:
    return False


# What it holds


@given(axes())
def test_a_product_is_in_the_order_of_itertools(values) -> None:
    grid, expected = ParamGrid(**values), listed(values)
    assert len(grid) == grid.size_before_where == len(expected)
    assert list(grid) == expected
    assert [grid[i] for i in range(len(grid))] == expected
    assert [hash(params) for params in grid] == [hash(params) for params in expected]
    assert [pickle.dumps(params.as_dict()) for params in grid] == [pickle.dumps(p.as_dict()) for p in expected]
    assert dict(grid.axes) == {name: tuple(listed) for name, listed in values.items()}
    assert grid.varied == tuple(name for name in values if len(values[name]) > 1)
    assert all(grid.values(name) == tuple(values[name]) for name in values)


@given(grids(), st.data())
def test_every_kind_answers_like_a_list(made, data) -> None:
    grid, expected = made
    assert list(grid) == expected
    assert len(grid) == len(expected)
    assert bool(grid) == bool(expected)
    assert grid.size_before_where >= len(grid)
    assert all(params in grid for params in expected)
    assert AtcParams(cutout=7) not in grid
    part = data.draw(st.slices(len(expected)))
    assert list(grid[part]) == expected[part]
    assert len(grid[part]) == len(expected[part])
    assert list(grid[part][::-1]) == expected[part][::-1]
    assert [grid[i] for i in range(-len(expected), len(expected))] == expected * 2
    for outside in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError, match=rf"position {outside} of a grid of {len(expected)} combinations"):
            grid[outside]
    if grid.where is None:
        for name in ("ema_len", "cutout"):
            assert grid.values(name) == tuple(dict.fromkeys(getattr(params, name) for params in expected))
    assert repr(grid).startswith("<ParamGrid of ")


@given(st.lists(grids(), min_size=1, max_size=4), st.data())
def test_a_union_holds_what_its_parts_hold_once(made, data) -> None:
    union, expected = made[0]
    for grid, combinations in made[1:]:
        union, expected = union | grid, expected + combinations
    expected = list(dict.fromkeys(expected))
    assert list(union) == expected
    assert len(union) == len(expected)
    assert [union[i] for i in range(len(expected))] == expected
    assert all(params in union for params in expected)
    assert AtcParams(cutout=7) not in union
    part = data.draw(st.slices(len(expected)))
    assert list(union[part]) == expected[part]
    if expected:
        n = data.draw(st.integers(1, len(expected)))
        assert set(union.sample(n, seed=1)) <= set(expected)
    assert union == pickle.loads(pickle.dumps(union))
    assert hash(union) == hash(pickle.loads(pickle.dumps(union)))


def test_a_union_is_grouped_as_one_likes() -> None:
    a, b, c = ParamGrid(ema_len=range(10, 20)), ParamGrid(ema_len=range(15, 30, 3)), ParamGrid(wma_len=[20, 28])
    assert (a | b) | c == a | (b | c)
    assert list((a | b) | c) == list(a | (b | c))
    assert (a | a) == a
    with pytest.raises(TypeError, match="unsupported operand"):
        a | [AtcParams()]


@given(grids(), st.data())
def test_a_sample_is_distinct_in_grid_order_and_reproducible(made, data) -> None:
    grid, expected = made
    if not expected:
        return
    n, seed = data.draw(st.integers(1, len(expected))), data.draw(st.integers(0, 99))
    sample = grid.sample(n, seed=seed)
    assert len(sample) == n
    places = [expected.index(params) for params in sample]
    assert places == sorted(set(places))
    assert sample == grid.sample(n, seed)
    assert sample.where is None
    assert list(grid.sample(len(expected), seed)) == expected


def test_samples_stay_the_same_and_depend_on_the_seed() -> None:
    grid = ParamGrid(ema_len=range(10, 1010))
    assert [params.ema_len for params in grid.sample(4)] == [405, 788, 874, 924]
    assert grid.sample(4, seed=1) != grid.sample(4, seed=2)


def test_samples_are_even() -> None:
    grid = ParamGrid(ema_len=range(10, 20))
    counts = dict.fromkeys(range(10, 20), 0)
    for seed in range(1000):
        for params in grid.sample(3, seed):
            counts[params.ema_len] += 1
    assert all(230 < count < 370 for count in counts.values()), counts


def test_a_huge_grid_is_never_listed() -> None:
    assert len(HUGE) == 40**6
    assert HUGE[0] == AtcParams(**dict.fromkeys(LENGTHS, 10))
    assert HUGE[-1] == HUGE[40**6 - 1] == AtcParams(**dict.fromkeys(LENGTHS, 49))
    assert HUGE[41].kama_len == 11
    assert HUGE[41].lsma_len == 11
    assert len(HUGE[5::7]) == len(range(5, 40**6, 7))
    assert HUGE[5::7][-1] == HUGE[range(5, 40**6, 7)[-1]]
    assert len(set(HUGE.sample(1000))) == 1000
    assert AtcParams(ema_len=50) not in HUGE
    assert AtcParams() in HUGE
    assert AtcParams() in HUGE[5:]
    assert copy.deepcopy(HUGE) == HUGE
    assert len(pickle.dumps(HUGE)) < 5000
    assert next(iter(HUGE[10**9 :])) == HUGE[10**9]


def test_unions_of_huge_grids_are_counted_not_listed() -> None:
    longer = ParamGrid(**{name: range(20, 60) for name in LENGTHS}, decay=[0.01, 0.03])
    point = AtcParams(decay=0.2)
    union = HUGE | longer | ParamGrid.points([AtcParams(), point]) | HUGE.sample(10)
    assert len(union) == 40**6 + 2 * 40**6 - 30**6 + 1
    assert union[-1] == point
    assert union[40**6] == longer[0]
    assert list(union[40**6 - 1 : 40**6 + 2]) == [HUGE[-1], longer[0], longer[2]]
    assert len(union.sample(100)) == 100
    assert len(HUGE | HUGE) == 40**6
    first = ParamGrid.points([AtcParams(), point]) | HUGE
    assert len(first) == 40**6 + 1
    assert first[2] == HUGE[0]
    assert len(ParamGrid.points([HUGE[0]]) | HUGE[:1000] | HUGE) == 40**6
    assert union.size_before_where == len(union)


def test_a_union_of_which_long_stretches_are_there_already() -> None:
    first, second = ParamGrid(ema_len=range(10, 510)), ParamGrid(cutout=[1, 0, 2], ema_len=range(10, 512))
    union, new = first | second, [params for params in second if params not in first]
    assert list(union) == [*first, *new]
    assert list(union[499:1200]) == [*first, *new][499:1200]
    assert union.values("cutout") == (0, 1, 2)
    assert union.varied == ("ema_len", "cutout")
    assert first in (union[:500], union[: -len(new)])
    assert first[7] in union[5:600:2]
    assert first[8] not in union[5:600:2]
    assert len(union[5:600] | second) == len(set(union[5:600]) | set(second))


def test_a_union_under_where_is_counted_one_by_one() -> None:
    union = ParamGrid(ema_len=range(10, 20), where=even) | ParamGrid(ema_len=range(10, 15))
    lengths = [10, 12, 14, 16, 18, 11, 13]
    assert [params.ema_len for params in union] == lengths
    assert union.size_before_where == 15
    assert len(union) == 7
    assert [union[i].ema_len for i in range(-7, 7)] == lengths * 2
    assert [params.ema_len for params in union[1:6:2]] == lengths[1:6:2]
    assert len(union.sample(7)) == 7
    assert union.where is None
    assert union.axes is None
    assert ParamGrid(ema_len=10, where=even)[0] in union


def test_a_grid_of_more_than_len_can_tell() -> None:
    weights = {name.replace("len", "w"): range(1, 41) for name in LENGTHS}
    grid = ParamGrid(**{name: range(10, 50) for name in LENGTHS}, **weights)
    assert grid.size_before_where == 40**12 > sys.maxsize
    with pytest.raises(OverflowError):
        len(grid)
    assert grid[40**12 - 1] == grid[-1]
    assert len(grid.sample(20)) == 20
    assert grid[1:].size_before_where == 40**12 - 1
    assert grid[::-1][0] == grid[-1]
    assert "16,777,216,000,000,000,000 combinations" in repr(grid)


# Conditions


def test_where_is_asked_lazily() -> None:
    asked = []

    def where(params: AtcParams) -> bool:
        asked.append(params.ema_len)
        return params.ema_len <= params.wma_len

    grid = ParamGrid(ema_len=range(10, 50), wma_len=[20, 40], where=where)
    assert grid.size_before_where == 80
    assert grid.where is where
    assert grid.varied == ("ema_len", "wma_len")
    assert repr(grid) == (
        "<ParamGrid of at most 80 combinations: ema_len=[10, 11, ..., 49] (40), wma_len=[20, 40], "
        "where=test_where_is_asked_lazily.<locals>.where>"
    )
    assert not asked
    assert grid[3].ema_len == 11
    assert len(asked) == 4
    assert len(grid[:4]) == 4
    assert len(asked) < 10
    asked.clear()
    assert len(grid) == len(grid) == 11 + 31
    assert len(asked) == 80, "the count is kept"


def test_a_sample_under_where_of_a_huge_grid_tries_at_random() -> None:
    def rising(params: AtcParams) -> bool:
        return params.ema_len < params.hma_len < params.wma_len

    grid = ParamGrid(**{name: range(10, 50) for name in LENGTHS}, where=rising)
    sample = grid.sample(500, seed=3)
    assert len(set(sample)) == 500
    assert all(map(rising, sample))
    assert sample == grid.sample(500, seed=3)


def test_a_sample_where_little_is_kept_goes_through_all() -> None:
    grid = ParamGrid(ema_len=range(10, 210), wma_len=range(10, 210), where=lambda p: p.ema_len == p.wma_len)
    assert len(grid.sample(200)) == 200
    assert grid.sample(150, 1) == grid.sample(150, 1) != grid.sample(150, 2)


def test_where_may_leave_out_what_does_not_fit() -> None:
    grid = ParamGrid(ema_len=[7, 8], robustness=["Wide", "Medium"], where=lambda p: min(p.lengths("EMA")) >= 1)
    assert [(params.ema_len, params.robustness) for params in grid] == [(7, "Medium"), (8, "Wide"), (8, "Medium")]
    message = "`where` keeps a combination that does not fit together, ema_len=7, robustness='Wide': ema_len must be at"
    careless = ParamGrid(ema_len=[8, 7], robustness=["Medium", "Wide"], where=lambda p: True)
    assert careless[2].ema_len == 7
    with pytest.raises(ValueError, match=message):
        len(careless)
    with pytest.raises(ValueError, match=message):
        careless.sample(4)


def test_an_error_of_where_tells_the_combination() -> None:
    grid = ParamGrid(ema_len=[10, 20], where=lambda p: p.ema_length > 3)
    with pytest.raises(AttributeError, match="ema_length") as caught:
        list(grid)
    assert caught.value.__notes__ == ["`where` was asked about ema_len=10"]


# What it takes


@pytest.mark.parametrize(
    "values",
    [
        [10, 20, 30],
        (10, 20, 30),
        range(10, 31, 10),
        np.array([10, 20, 30]),
        np.array([10.0, 20.0, 30.0]),
        [np.int64(10), np.float32(20), 30.0],
        pd.Series([10, 20, 30]),
        pd.Index([10, 20, 30]),
        (value for value in [10, 20, 30]),
        {10: "a", 20: "b", 30: "c"}.keys(),
    ],
)
def test_values_come_in_any_list(values: Any) -> None:
    grid = ParamGrid(ema_len=values)
    assert grid.values("ema_len") == (10, 20, 30)
    assert all(type(value) is int for value in grid.values("ema_len"))


def test_one_value_needs_no_list() -> None:
    one = AtcParams(ema_len=12, robustness="Wide", strategy_mode=True)
    for length in (12, np.int64(12), np.array(12), [12]):
        assert list(ParamGrid(ema_len=length, robustness="Wide", strategy_mode=np.True_)) == [one]
    assert list(ParamGrid()) == [AtcParams()]
    assert ParamGrid(ema_len=12).varied == ()
    assert repr(ParamGrid()) == "<ParamGrid of 1 combinations: the defaults>"


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"emalen": [1]}, TypeError, r"ATC has no parameter 'emalen'. Did you mean 'ema_len'"),
        ({"ema_len": [10, 0]}, ValueError, r"ema_len must be a whole number >= 1; got 0$"),
        ({"ema_len": [10, "20"]}, TypeError, r"ema_len must be a whole number >= 1; got '20'$"),
        ({"ema_len": "28"}, TypeError, r"ema_len must be a whole number >= 1; got '28'$"),
        ({"ema_len": b"28"}, TypeError, r"got b'28'$"),
        ({"ema_len": None}, TypeError, r"got None$"),
        ({"ema_len": {"start": 10}}, TypeError, r"got {'start': 10}$"),
        ({"ema_len": np.ones((2, 2))}, TypeError, r"got \[1.0, 1.0\]$"),
        ({"decay": [0.01, math.nan]}, ValueError, r"decay must be a finite number >= 0 and < 100; got nan$"),
        ({"robustness": "Wyde"}, ValueError, r"Did you mean 'Wide'"),
        ({"ema_len": []}, ValueError, r"ema_len has no values; leave it out for its default, 28"),
        ({"ema_len": range(0)}, ValueError, r"ema_len has no values"),
        ({"ema_len": [10, 20, 10.0, 20, 30]}, ValueError, r"ema_len lists 10, 20 more than once$"),
        ({"decay": [0.0, -0.0]}, ValueError, r"decay lists 0.0 more than once$"),
        ({"ema_len": {10, 20}}, TypeError, r"ema_len must list its values in a definite order; got set: sort it"),
        ({"ema_len": [10], "where": 3}, TypeError, r"where must be a function of AtcParams; got 3"),
        (
            {"decay": [0.1, 0.2], "ema_len": [20, 7], "robustness": ["Medium", "Wide"]},
            ValueError,
            r"combination 3 of the grid does not fit together, decay=0.1, ema_len=7, robustness='Wide': "
            r"ema_len must be at least 8 with robustness='Wide'",
        ),
        (
            {"long_threshold": [0.3, 0.1], "short_threshold": [-0.1, 0.2]},
            ValueError,
            r"combination 3 .*long_threshold=0.1, short_threshold=0.2: short_threshold must not lie above",
        ),
        ({"long_threshold": -0.5}, ValueError, r"combination 0 .*short_threshold must not lie above"),
        ({"hma_len": 7, "hma_mode": ["sma", "hull"]}, ValueError, r"combination 1 .*hma_len must be at least 8"),
    ],
)
def test_errors_come_before_any_work(values, error, message) -> None:
    with pytest.raises(error, match=message):
        ParamGrid(**values)


def test_what_does_not_fit_is_found_in_a_huge_grid() -> None:
    lengths = {name: range(10, 50) for name in LENGTHS} | {"kama_len": [*range(8, 48), 7]}
    with pytest.raises(ValueError, match=r"combination 40 of .*ema_len=10, .*kama_len=7: kama_len must be at least 8"):
        ParamGrid(robustness="Wide", **lengths)


@given(
    st.permutations(sorted(ODD_VALUES)),
    st.fixed_dictionaries(
        {name: st.lists(some, unique=True, min_size=1, max_size=3) for name, some in ODD_VALUES.items()}
    ),
)
def test_the_first_combination_that_does_not_fit_is_named(order, lists) -> None:
    values = {name: lists[name] for name in order}
    misfit = None
    for position, row in enumerate(itertools.product(*values.values())):
        try:
            AtcParams(**dict(zip(values, row, strict=True)))
        except ValueError as error:
            misfit = f"combination {position} of the grid", f"{row[-1]!r}: {error}"
            break
    if misfit is None:
        assert len(ParamGrid(**values)) == math.prod(map(len, values.values()))
        return
    with pytest.raises(ValueError, match="does not fit together") as caught:
        ParamGrid(**values)
    assert str(caught.value).startswith(misfit[0])
    assert str(caught.value).endswith(misfit[1])


def test_points() -> None:
    rows = [{"ema_len": 10, "decay": 0.01}, {"wma_len": 20.0}, {}]
    grid = ParamGrid.points(rows)
    assert list(grid) == [AtcParams(**row) for row in rows]
    assert grid.axes is None
    assert grid.where is None
    assert grid.varied == ("ema_len", "decay", "wma_len")
    assert grid.values("decay") == (0.01, 0.03)
    assert grid.values("cutout") == (0,)
    assert repr(grid) == "<ParamGrid of 3 combinations: points, ema_len, decay, wma_len>"
    assert ParamGrid.points(grid) == grid


def test_points_of_a_frame() -> None:
    frame = pd.DataFrame({"ema_len": [10, 20], "robustness": ["Wide", "Narrow"], "strategy_mode": [True, False]})
    grid = ParamGrid.points(frame)
    assert list(grid) == [
        AtcParams(ema_len=10, robustness="Wide", strategy_mode=True),
        AtcParams(ema_len=20, robustness="Narrow"),
    ]
    assert ParamGrid.points(pytest.importorskip("polars").from_dict(frame.to_dict("list"))) == grid
    with pytest.raises(ValueError, match="columns of the points must differ; got ema_len, ema_len"):
        ParamGrid.points(frame[["ema_len", "ema_len"]])


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"ema_len": 10}, {"emalen": 10}], TypeError, r"row 1: ATC has no parameter 'emalen'. Did you mean"),
        ([{}, {}], ValueError, r"row 1: repeats row 0 \(all defaults\)"),
        ([{"decay": 0.03}, {"ema_len": 7}, {"ema_len": 28.0}], ValueError, r"row 2: repeats row 0 \(ema_len=28.0\)"),
        ([{"ema_len": 10}, {"ema_len": 5}], ValueError, r"row 1: ema_len must be at least 7 with robustness='Medium'"),
        ([{"decay": "1"}], TypeError, r"row 0: decay must be a finite number"),
        ([{3: 4}], TypeError, r"row 0: ATC has no parameter 3"),
        ([{}, 5], TypeError, r"row 1: must be a mapping of parameters or AtcParams; got 5"),
        (pd.DataFrame({"ema_len": [10, None]}), ValueError, r"row 1: ema_len must be a whole number >= 1; got nan"),
        ([], ValueError, r"the points have no rows"),
        ({"ema_len": [10]}, TypeError, r"points takes rows, each a mapping .* or a DataFrame; got dict"),
        (5, TypeError, r"points takes rows.*; got int"),
    ],
)
def test_errors_of_points_name_the_row(rows, error, message) -> None:
    with pytest.raises(error, match=message):
        ParamGrid.points(rows)


@pytest.mark.parametrize(
    ("grid", "n", "seed", "error", "message"),
    [
        (HUGE, 0, 0, ValueError, r"a sample needs n of at least 1; got 0"),
        (HUGE, 40**6 + 1, 0, ValueError, r"a sample of 4,096,000,001 is more than the 4,096,000,000 combinations"),
        (HUGE, 1.5, 0, TypeError, r"'float' object cannot be interpreted as an integer"),
        (HUGE, 5, None, TypeError, r"'NoneType' object cannot be interpreted as an integer"),
        (
            ParamGrid(ema_len=range(10, 20), where=even),
            6,
            0,
            ValueError,
            r"a sample of 6 is more than the 5 combinations that `where` keeps",
        ),
    ],
)
def test_errors_of_samples(grid, n, seed, error, message) -> None:
    with pytest.raises(error, match=message):
        grid.sample(n, seed)


def test_errors_of_positions_and_names() -> None:
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        HUGE[0.5]
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        HUGE[::0]
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        ParamGrid(ema_len=[10], where=even)[::0]
    with pytest.raises(TypeError, match="no parameter 'ema'"):
        HUGE.values("ema")


# A value among values


def test_it_does_not_change() -> None:
    with pytest.raises(AttributeError, match="a ParamGrid does not change: cannot set 'axes'"):
        HUGE.axes = {}
    with pytest.raises(AttributeError, match="a ParamGrid does not change: cannot delete '_combinations'"):
        del HUGE._combinations
    with pytest.raises(TypeError, match="does not support item assignment"):
        HUGE.axes["ema_len"] = (1,)


def test_grids_with_the_same_combinations_are_equal() -> None:
    grid = ParamGrid(ema_len=[10, 20], decay=[0.01, 0.03], cutout=0)
    same = [
        ParamGrid(cutout=[0], ema_len=(10.0, 20), decay=[0.01, 0.03], ema_w=1),
        ParamGrid.points(list(grid)),
        ParamGrid(ema_len=[10, 20, 30], decay=[0.01, 0.03])[:4],
        ParamGrid(ema_len=10, decay=[0.01, 0.03]) | ParamGrid(ema_len=[10, 20], decay=[0.01, 0.03]),
    ]
    for other in same:
        assert other == grid
        assert hash(other) == hash(grid)
    different = [
        ParamGrid(decay=[0.01, 0.03], ema_len=[10, 20]),
        ParamGrid(ema_len=[20, 10], decay=[0.01, 0.03]),
        ParamGrid(ema_len=[10, 20], decay=[0.01, 0.03], cutout=1),
        ParamGrid(ema_len=[10, 20], decay=[0.01, 0.03], where=even),
        grid[:3],
        [*grid],
    ]
    for other in different:
        assert other != grid


def test_a_condition_is_equal_to_itself() -> None:
    grid = ParamGrid(ema_len=[10, 11], where=even)
    assert grid == ParamGrid(ema_len=[10, 11], where=even)
    assert hash(grid) == hash(ParamGrid(ema_len=[10, 11], where=even))
    assert grid != ParamGrid(ema_len=[10, 11], where=keep_none)
    assert grid | HUGE == ParamGrid(ema_len=[10, 11], where=even) | HUGE
    assert grid | HUGE != grid | HUGE[:10] | HUGE


def test_an_empty_grid_is_a_grid() -> None:
    for empty in (HUGE[:0], ParamGrid(ema_len=[10, 11], where=keep_none), HUGE[:0] | HUGE[5:5]):
        assert len(empty) == 0
        assert not empty
        assert list(empty) == []
    assert HUGE[:0] == HUGE[5:5]
    assert hash(HUGE[:0]) == hash(HUGE[5:5])
    assert HUGE[:0].values("ema_len") == ()


@given(grids())
def test_it_can_be_pickled(made) -> None:
    grid, expected = made
    len(grid)
    assert grid == pickle.loads(pickle.dumps(grid)) == copy.copy(grid)
    assert list(pickle.loads(pickle.dumps(grid))) == expected


def test_what_was_derived_does_not_travel() -> None:
    grid = ParamGrid.points([{"ema_len": length} for length in range(10, 100)])
    before = len(pickle.dumps(grid))
    assert AtcParams() in grid
    assert len(pickle.dumps(grid)) == before


def test_grids_load_no_other_library() -> None:
    code = "import sys; from atc_plugin import ParamGrid; len(ParamGrid(ema_len=range(9, 12))); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "numba"} & set(loaded)


# Files


@given(st.lists(grids(with_where=False), min_size=1, max_size=3), st.sampled_from([".toml", ".json"]))
def test_a_file_gives_the_grid_back(tmp_path_factory, made, suffix) -> None:
    grid = made[0][0]
    for other, _ in made[1:]:
        grid = grid | other
    path = tmp_path_factory.mktemp("grid") / f"grid{suffix}"
    if not all(expected for _, expected in made):
        with pytest.raises(ValueError, match="a grid without combinations cannot be written"):
            grid.to_file(path)
        return
    grid.to_file(path)
    back = ParamGrid.from_file(path)
    assert back == grid
    assert [params.canonical() for params in back] == [params.canonical() for params in grid]
    if grid.axes is not None:
        assert dict(back.axes) == dict(grid.axes)


def test_files_read_well(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    (ParamGrid(ema_len=range(10, 50, 2), decay=[0.01, 1e-05], robustness="Wide") | HUGE[:2]).to_file(path)
    assert path.read_text() == (
        "[[union]]\n"
        "[union.product]\n"
        "ema_len = {start = 10, stop = 50, step = 2}\n"
        "decay = [0.01, 1e-05]\n"
        'robustness = ["Wide"]\n'
        "[[union]]\n"
        "points = [\n"
        "{ema_len = 10, hma_len = 10, wma_len = 10, dema_len = 10, lsma_len = 10, kama_len = 10},\n"
        "{ema_len = 10, hma_len = 10, wma_len = 10, dema_len = 10, lsma_len = 10, kama_len = 11},\n"
        "]\n"
    )
    path = tmp_path / "grid.JSON"
    ParamGrid(ema_len=range(49, 9, -1), strategy_mode=[True, False]).to_file(str(path))
    assert json.loads(path.read_text()) == {
        "product": {"ema_len": {"start": 49, "stop": 9, "step": -1}, "strategy_mode": [True, False]}
    }


def test_files_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('# mine\n[product]\nema_len = { start = 10, stop = 12 }\nrobustness = "Wide"\ndecay = 0\n')
    assert ParamGrid.from_file(path) == ParamGrid(ema_len=[10, 11], robustness="Wide", decay=0)
    path.write_text("[[points]]\nema_len = 10\n[[points]]\nwma_len = 30\n")
    assert ParamGrid.from_file(path) == ParamGrid.points([{"ema_len": 10}, {"wma_len": 30}])


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("g.toml", "[product", ValueError, r"g.toml is not valid TOML: "),
        ("g.json", "{", ValueError, r"g.json is not valid JSON: "),
        ("g.json", '{"product": {"decay": 0, "decay": 1}}', ValueError, r"g.json is not .*'decay' is there more than"),
        ("g.json", "[]", TypeError, r"g.json: must be a table; got \[\]"),
        ("g.json", "{}", ValueError, r"g.json: one of product, points and union is needed; got none"),
        ("g.json", '{"product": {}, "points": []}', ValueError, r"g.json: one of .*; got product, points"),
        ("g.toml", "[prodcut]", ValueError, r"g.toml: unknown key 'prodcut'. Did you mean 'product'"),
        ("g.json", '{"product": 5}', TypeError, r"g.json: product: must be a table of parameters; got 5"),
        (
            "g.toml",
            "[product]\nemalen = 5",
            TypeError,
            r"g.toml: product.emalen: .*no parameter 'emalen'. Did you mean",
        ),
        ("g.toml", "[product]\nwhere = 'True'", TypeError, r"g.toml: product.where: ATC has no parameter 'where'"),
        ("g.toml", "[product]\nema_len = [5, 0]", ValueError, r"g.toml: product.ema_len: ema_len must be .*; got 0"),
        ("g.json", '{"product": {"decay": NaN}}', ValueError, r"g.json: product.decay: .*; got nan"),
        ("g.toml", "[product]\nema_len = 5", ValueError, r"g.toml: product: combination 0 .*at least 7"),
        ("g.toml", "[product]\nema_len = {start = 5}", ValueError, r"product.ema_len: a range is {start, stop, step}"),
        ("g.toml", "[product]\nema_len = {start = 9, stop = 9.5}", ValueError, r"ema_len: a range is .* whole numbers"),
        ("g.toml", "[product]\nema_len = {start = 9, stop = 9}", ValueError, r"product.ema_len: ema_len has no values"),
        ("g.toml", "[product]\nema_len = {start = 9, stop = 11, step = 0}", ValueError, r"product.ema_len: .*zero"),
        ("g.toml", "[[points]]\nema_len = 10\n[[points]]\nema_len = 1", ValueError, r"g.toml: points: row 1: ema_len"),
        ("g.json", '{"points": {}}', TypeError, r"g.json: points: points takes rows"),
        ("g.json", '{"union": []}', TypeError, r"g.json: union: must be a list of tables; got \[\]"),
        ("g.json", '{"union": [{"product": {}}, 5]}', TypeError, r"g.json: union\[1\]: must be a table; got 5"),
        (
            "g.json",
            '{"union": [{"product": {}}, {"union": [{"product": {"decay": -1}}]}]}',
            ValueError,
            r"g.json: union\[1\].union\[0\].product.decay: decay must be",
        ),
        ("g.yaml", "", ValueError, r"g.yaml: the name of a grid's file must end in .toml or .json"),
    ],
)
def test_errors_of_files_name_file_and_key(tmp_path, name, text, error, message) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(error, match=message):
        ParamGrid.from_file(path)


def test_errors_of_writing(tmp_path: Path) -> None:
    grid = ParamGrid(ema_len=[10, 11, 12], where=even)
    with pytest.raises(ValueError, match=r"a grid with `where` cannot be written.*ParamGrid.points\(grid\)"):
        grid.to_file(tmp_path / "grid.toml")
    with pytest.raises(ValueError, match="a grid with `where` cannot be written"):
        (HUGE | grid).to_file(tmp_path / "grid.toml")
    assert not list(tmp_path.iterdir()), "nothing half written"
    ParamGrid.points(grid).to_file(tmp_path / "grid.toml")
    assert list(ParamGrid.from_file(tmp_path / "grid.toml")) == list(grid)
    with pytest.raises(ValueError, match=r"must end in .toml or .json"):
        HUGE.to_file(tmp_path / "grid.txt")
    with pytest.raises(FileNotFoundError, match=r"none.toml"):
        ParamGrid.from_file(tmp_path / "none.toml")
