"""The components of a sweep against one configuration at a time, to the bit, and each of them made exactly once."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid
from atc_plugin.engine import component, layers
from atc_plugin.law import components as law_components
from atc_plugin.law.components import Wanted, arrange, make_components
from atc_plugin.law.growth import growth_table
from atc_plugin.law.turns import Components
from atc_plugin.law.window_averages import BARS
from atc_plugin.params import HMA_AVERAGES, TYPES
from atc_plugin.prices import read_prices
from atc_plugin.sweeps.components import as_components, components_of
from atc_plugin.sweeps.planning import Plan, plan

EXAMPLES = 5 if DISABLE_JIT else 60
LENGTHS = [f"{type_.lower()}_len" for type_ in TYPES]


def walk(n: int, seed: int = 0) -> np.ndarray:
    return np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.012, n))), 2)


def assert_components_are_the_engines(
    grid: list[AtcParams], close: np.ndarray, source: np.ndarray | None = None, planned: Plan | None = None
) -> Components:
    """Every combination's six components against `engine.layers` of its parameters."""
    planned = plan(ParamGrid.points(grid)) if planned is None else planned
    got = components_of(planned, close, close if source is None else source)
    n = close.size
    assert got.signals.shape == got.weights.shape == (len(planned.components), n)
    table = read_prices(close, source)
    for row, params in zip(planned.ids(0, planned.size), grid, strict=True):
        expected = layers(table, params.replace(strategy_mode=False))
        cutout = min(params.cutout, n)
        for k, type_ in enumerate(TYPES):
            name = f"{type_} of {params}"
            hundredths = np.nan_to_num(np.round(expected.signals[0, k] * 100)).astype(np.int8)
            hundredths[:cutout] = 0
            assert_same_bits(got.signals[row[k]], hundredths, f"signal {name}")
            assert_same_bits(got.signals[row[k], cutout:] / 100 + 0.0, np.nan_to_num(expected.signals[0, k])[cutout:])
            assert_same_bits(got.weights[row[k]], expected.weights[0, k], f"weight {name}")
            assert got.starts[row[k]] == cutout
            assert got.sound[row[k]] == np.isfinite(expected.weights[0, k, cutout:]).all()
    return got


@st.composite
def combinations(draw: st.DrawFn) -> AtcParams:
    params: dict[str, Any] = {name: draw(st.sampled_from([9, 10, 13, 28, 40, 500])) for name in LENGTHS}
    params["robustness"] = draw(st.sampled_from(["Narrow", "Medium", "Wide"]))
    params["hma_mode"] = draw(st.sampled_from(list(HMA_AVERAGES)))
    for name in ("ema_w", "wma_w", "kama_w"):
        params[name] = draw(st.sampled_from([1.0, 0.1, 0.25, 2.5]))
    params["lambda_"] = draw(st.sampled_from([0.02, 0.02, 0.0, 5.0, 0.3]))
    params["decay"] = draw(st.sampled_from([0.03, 0.03, 0.0, 5.0]))
    params["cutout"] = draw(st.sampled_from([0, 0, 1, 30, 63, 64, 65, 300, 10_000]))
    params["strategy_mode"] = draw(st.booleans())
    return AtcParams(**params)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_components_are_the_engines(data: st.DataObject) -> None:
    close = data.draw(prices(max_bars=70 if DISABLE_JIT else 300))
    source = data.draw(source_for(close))
    grid = data.draw(st.lists(combinations(), min_size=1, max_size=2 if DISABLE_JIT else 6, unique=True))
    assert_components_are_the_engines(grid, close, source)


@pytest.mark.parametrize("n", [1, 2, 9, 27, 28, BARS - 1, BARS, BARS + 1, 2 * BARS + 7])
def test_lengths_of_series_around_the_tile(n: int) -> None:
    grid = [AtcParams(cutout=cutout, hma_mode=mode) for cutout in (0, 5) for mode in ("sma", "hull")]
    assert_components_are_the_engines(grid, walk(n, n))


@pytest.mark.parametrize(
    "values",
    [
        {"cutout": [0, 1, BARS - 1, BARS, BARS + 1, 2 * BARS, 200, 10**30]},
        {"lambda_": [0.0, 0.02, 5.0, 2000.0], "decay": [0.03, 0.1], "cutout": [0, 3, 77]},
        {"ema_w": [1.0, 0.1, 0.25, 3.0], "lsma_w": [1.0, 2.0], "decay": [0.03, 1.0]},
        {"hma_mode": ["sma", "hull"], "hma_len": [9, 28, 30], "robustness": ["Narrow", "Wide"]},
        {"robustness": ["Narrow", "Medium", "Wide"], "wma_len": range(9, 15), "dema_len": [9, 28]},
        {"kama_len": [9, 100, 199, 200, 201, 400, 5000], "lsma_len": [150, 300], "wma_len": [250]},
        {"ema_len": range(9, 60), "cutout": [0, 20]},  # more than a vector of members
        {"long_threshold": [0.1, 0.2], "strategy_mode": [False, True]},  # not a matter of components
    ],
)
def test_grids(values: dict[str, Any]) -> None:
    grid = ParamGrid(**values)
    if DISABLE_JIT and len(grid) > 6:
        grid = grid[:: len(grid) // 4]
    close = walk(80 if DISABLE_JIT else 200, 3)
    assert_components_are_the_engines(list(grid), close, planned=plan(grid))


def test_the_shortest_lengths() -> None:
    """Averages of one bar, which need no window."""
    grid = list(ParamGrid(**dict.fromkeys(LENGTHS, (5, 6)), robustness="Narrow"))[:: 21 if DISABLE_JIT else 5]
    assert_components_are_the_engines(grid, walk(100))


def test_components_that_overflow_are_not_sound() -> None:
    got = assert_components_are_the_engines([AtcParams(lambda_=2000.0), AtcParams()], walk(400))
    assert got.sound.any()
    assert not got.sound.all()
    planned = plan(ParamGrid())
    weights = np.ones((6, 5))
    weights[1, 2], weights[3, 4] = np.inf, np.nan
    made = as_components(planned, np.zeros((6, 5), np.int8), weights)
    assert made.sound.tolist() == [True, False, True, False, True, True]
    late = as_components(plan(ParamGrid(cutout=3)), np.zeros((6, 5), np.int8), weights)
    assert late.sound.tolist() == [True, True, True, False, True, True]
    assert late.starts.tolist() == [3] * 6


# ---------------------------------------------------------------- each exactly once
COUNTED = ParamGrid(
    ema_len=[9, 10, 12], wma_len=[20, 21], kama_len=[9, 28], kama_w=[1.0, 2.0], decay=[0.03, 0.1], cutout=[0, 30]
)


class Counted(np.ndarray):
    """Counts how often each place is written."""

    writes: np.ndarray

    def __setitem__(self, key: Any, value: Any) -> None:
        self.writes[key] += 1
        super().__setitem__(key, value)


def passes(monkeypatch: pytest.MonkeyPatch, planned: Plan, close: np.ndarray) -> list[tuple[Any, ...]]:
    """What `components_of` asks of the pass over the bars."""
    from atc_plugin.sweeps import components as module

    asked: list[tuple[Any, ...]] = []

    def recording(*args: Any) -> None:
        asked.append(args)
        make_components(*args)

    monkeypatch.setattr(module, "make_components", recording)
    components_of(planned, close, close)
    return asked


@pytest.mark.parametrize(
    "grid",
    [
        COUNTED,
        COUNTED.sample(9, seed=0),
        ParamGrid(**{name: range(20, 24) for name in LENGTHS}, hma_mode=["sma", "hull"]),
        ParamGrid(ema_len=range(20, 40), robustness=["Narrow", "Medium", "Wide"]),
        ParamGrid(long_threshold=[0.1, 0.2], strategy_mode=[False, True]),
    ],
)
def test_each_member_and_each_component_is_made_exactly_once(grid: ParamGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass over the bars a column, whose layout holds every member once and whose regimes every signal once."""
    planned = plan(grid)
    asked = passes(monkeypatch, planned, walk(60))
    assert len(asked) == 1
    _, _, growth, layout, regimes, state, signals, weights = asked[0]
    assert state.size == 0  # nothing is resumed or saved

    members = {(component(params, type_)[0], length) for params in grid for type_ in TYPES for length in
               component(params, type_)[1]}  # fmt: skip
    assert layout.members == planned.members == len(members)
    made = [layout.ema_lengths, layout.dema_lengths, layout.sma_lengths, layout.kama_lengths]
    made += [layout.windows.lengths, layout.windows.hull_lengths]
    assert all(np.unique(lengths).size == lengths.size for lengths in made)
    assert layout.member_rows.size + sum(lengths.size for lengths in made[:4]) == layout.members
    assert set(layout.components.ravel()) == set(range(layout.members))

    said = {(component(p, type_), p.weight(type_), (p.lambda_, p.decay, p.cutout)) for p in grid for type_ in TYPES}
    rates = {regime for _, _, regime in said}
    assert len(signals) == len(weights) == len(said) == len(planned.components)
    assert len(growth) == len({rate for rate, _, _ in rates})
    assert regimes.cutout.size == regimes.keep.size == regimes.growth.size == len(rates)
    assert sorted(regimes.row) == list(range(len(said)))
    for r, regime in enumerate(planned.regimes):
        signals_here = {signal for signal, _, ours in said if ours == tuple(regime)}
        start, stop = regimes.signal_starts[r], regimes.signal_starts[r + 1]
        rows = regimes.signals[start:stop]
        assert len(rows) == len(np.unique(rows, axis=0)) == len(signals_here)
        used = regimes.members[regimes.member_starts[r] : regimes.member_starts[r + 1]]
        assert used.size == len({(average, length) for average, lengths in signals_here for length in lengths})
        assert set(rows.ravel()) == set(range(used.size))


@pytest.mark.skipif(not DISABLE_JIT, reason="machine code cannot be counted")
def test_every_bar_of_every_component_is_written_exactly_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in Python: the averages of a tile once, each regime's equities once a tile, each value once."""
    close = walk(BARS + 20)
    planned = plan(COUNTED)
    *args, signals, weights = passes(monkeypatch, planned, close)[0]
    counted = []
    for array in (signals, weights):
        view = array.view(Counted)
        view.writes = np.zeros(array.shape, int)
        counted.append(view)
    calls: dict[str, int] = {"make_averages": 0, "_regime": 0, "layer_one": 0}

    def counting(name: str, kernel: Any) -> Any:
        def counted_kernel(*given: Any) -> None:
            calls[name] += 1
            kernel(*given)

        return counted_kernel

    for name in calls:
        monkeypatch.setattr(law_components, name, counting(name, getattr(law_components, name)))
    make_components(*args, *counted)
    for view in counted:
        assert (view.writes == 1).all()
    tiles = 3  # from the first bar, from the cutout at 30, and from there after BARS at most
    assert calls == {"make_averages": tiles - 1, "_regime": 4 * (tiles - 1), "layer_one": 4 * (tiles - 1)} or (
        calls == {"make_averages": tiles, "_regime": 4 * tiles, "layer_one": 4 * tiles}
    )


def test_nothing_is_left_unwritten() -> None:
    """Whatever was in memory before."""
    planned = plan(COUNTED)
    close = walk(130)
    wanted = [Wanted((one.average, one.lengths), one.weight, one.regime) for one in planned.components]
    layout, regimes = arrange(
        wanted, [0] * 4, [one.cutout for one in planned.regimes], [1 - one.decay / 100 for one in planned.regimes]
    )  # fmt: skip
    growth = growth_table(close.size, planned.regimes[0].lambda_ / 1000)[np.newaxis].copy()
    made = []
    for filling in (0, -7):
        signals = np.full((len(wanted), close.size), filling, np.int8)
        weights = np.full(signals.shape, float(filling))
        make_components(close, close, growth, layout, regimes, np.empty(0), signals, weights)
        made.append((signals, weights))
    for first, second in zip(*made, strict=True):
        assert_same_bits(first, second)
    expected = components_of(planned, close, close)
    assert_same_bits(made[0][0], expected.signals)
    assert_same_bits(made[0][1], expected.weights)


def test_what_is_arranged_names_each_component_by_its_own_average() -> None:
    """Through the layout, of every component: the nine lengths that it votes with, in their order."""
    lengths = [tuple(range(first, first + 9)) for first in (3, 5, 20)]
    signals = list(itertools.product(("EMA", "SMA", "KAMA"), lengths))
    wanted = [Wanted(signal, weight, regime) for regime in (1, 0) for signal in signals for weight in (1.0, 2.0)]
    layout, regimes = arrange(wanted, [0, 0], [0, 5], [0.9, 0.8])
    names = [
        *(("EMA", n) for n in layout.ema_lengths),
        *(("SMA", n) for n in layout.sma_lengths),
        *(("KAMA", n) for n in layout.kama_lengths),
    ]
    assert layout.members == len(names)
    for r in (0, 1):
        members = regimes.members[regimes.member_starts[r] : regimes.member_starts[r + 1]]
        for place in range(regimes.component_starts[r], regimes.component_starts[r + 1]):
            one = wanted[regimes.row[place]]
            assert (one.regime, one.weight) == (r, regimes.start_weight[place])
            voters = regimes.signals[regimes.signal_starts[r] + regimes.signal_of[place]]
            assert [names[m] for m in members[voters]] == [(one.signal[0], n) for n in one.signal[1]]
