"""Every stage of an engine against the CPU's law, to the bit: for the kernels on the host and on a device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from price_strategies import prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid
from atc_plugin import engine as cpu
from atc_plugin.accel.averages import Averages, averages_on
from atc_plugin.accel.engines import Columns, Engine, columns_on, tables_on
from atc_plugin.accel.layers import Components, Equities, Verdicts, components_on, equities_on, verdicts_on
from atc_plugin.accel.tables import PassTables, pass_tables
from atc_plugin.engine import Regime
from atc_plugin.law.components import Wanted
from atc_plugin.law.turns import Components as SweepComponents
from atc_plugin.params import HMA_AVERAGES, TYPES
from atc_plugin.prices import Prices, read_prices
from atc_plugin.sweeps.components import components_of, wanted_by
from atc_plugin.sweeps.planning import plan

LENGTHS = [f"{type_.lower()}_len" for type_ in TYPES]


class Stages(NamedTuple):
    """What every stage gave."""

    averages: Averages
    equities: Equities
    components: Components
    verdicts: Verdicts


class Drawn(NamedTuple):
    """Prices that a failing example can show: in full where they are few."""

    table: Prices

    def __repr__(self) -> str:
        with np.printoptions(threshold=60):
            return repr(self.table)


@st.composite
def price_tables(draw: st.DrawFn, max_bars: int = 450) -> Drawn:
    """Prices of one to four columns of different regimes and lengths, rubbish behind the shorter ones."""
    columns = [draw(prices(max_bars=max_bars)) for _ in range(draw(st.integers(1, 4)))]
    sources = [draw(source_for(close)) for close in columns]
    close, source = (np.full((max(map(len, columns)), len(columns)), np.nan) for _ in range(2))
    for column, values in enumerate(columns):
        given_source = sources[column]
        close[: values.size, column] = values
        source[: values.size, column] = values if given_source is None else given_source
    table = read_prices(close, None if all(one is None for one in sources) else source)
    rubbish = draw(st.sampled_from([1.0, 0.0, np.nan, -np.inf, 5e-324]))
    for column, count in enumerate(table.counts):
        table.close[column, count:] = rubbish
        table.source[column, count:] = rubbish
    return Drawn(table)


def columns_of(engine: Engine, table: Prices) -> Columns:
    source = None if table.source is table.close else table.source.T
    return columns_on(engine, table.close.T, source, table.counts)


def run_stages(
    engine: Engine, table: Prices, tables: PassTables, ids: np.ndarray, levels: list[tuple[float, float]]
) -> Stages:
    """From prices to directions, with all that can be asked for on the way."""
    columns = columns_of(engine, table)
    on_engine = tables_on(engine, tables)
    long, short = (np.array(thresholds, np.float64) for thresholds in zip(*levels, strict=True))
    voting = engine.taken_together([ids.astype(np.int64), long, short])
    averages = averages_on(engine, columns, on_engine.averages)
    equities = equities_on(engine, columns, averages, on_engine.regimes)
    components = components_on(engine, columns, equities, on_engine.regimes, with_series=True)
    verdicts = verdicts_on(engine, components, on_engine.regimes, *voting)
    return Stages(
        Averages(*map(engine.brought, averages)),
        Equities(*map(engine.brought, equities)),
        Components(*map(engine.brought, components)),
        Verdicts(*map(engine.brought, verdicts)),
    )


def configuration(params: AtcParams, bars: int) -> PassTables:
    """The tables of one configuration, every average kept."""
    wanted = [Wanted(cpu.component(params, type_), params.weight(type_), 0) for type_ in TYPES]
    return pass_tables(wanted, [Regime(params.lambda_, params.decay, params.cutout)], bars, keep_all=True)


def assert_stages_are_the_engines(engine: Engine, table: Prices, params: AtcParams) -> None:
    """Members, layers and verdict of one configuration."""
    bars = table.close.shape[1]
    tables = configuration(params, bars)
    levels = [(params.long_threshold, params.short_threshold)]
    got = run_stages(engine, table, tables, np.arange(6)[None], levels)
    for k, type_ in enumerate(TYPES):
        expected = cpu.members(table, params, type_)
        voters = tables.regimes.voters[tables.regimes.signal_rows[k]]
        of_layout = tables.regimes.members[voters]
        for column, count in enumerate(table.counts):
            name = f"{type_}, column {column}, {params}"
            for what, ours, theirs in (
                ("averages", got.averages.values[of_layout], expected.moving_averages),
                ("states", got.equities.states[voters], expected.states),
                ("equities", got.equities.equities[voters], expected.equities),
            ):
                assert_same_bits(ours[:, :count, column], theirs[column, :, :count], f"{what} of {name}")
    layers, verdict = cpu.layers(table, params), cpu.verdict(table, params)
    signals = got.components.series[tables.regimes.signal_rows]
    for column, count in enumerate(table.counts):
        name = f"column {column}, {params}"
        assert_same_bits(signals[:, :count, column], layers.signals[column, :, :count], f"signals of {name}")
        assert_same_bits(
            got.components.weights[:, :count, column], layers.weights[column, :, :count], f"weights of {name}"
        )
        assert_same_bits(got.verdicts.average[0, :count, column], verdict.average[column, :count], f"average of {name}")
        assert_same_bits(got.verdicts.direction[0, :count, column], verdict.direction[column, :count], name)


@st.composite
def combinations(draw: st.DrawFn) -> AtcParams:
    params: dict[str, Any] = {name: draw(st.sampled_from([9, 10, 13, 28, 40, 500])) for name in LENGTHS}
    params["robustness"] = draw(st.sampled_from(["Narrow", "Medium", "Wide"]))
    params["hma_mode"] = draw(st.sampled_from(list(HMA_AVERAGES)))
    for name in ("ema_w", "wma_w", "kama_w"):
        params[name] = draw(st.sampled_from([1.0, 0.1, 0.25, 2.5]))
    params["lambda_"] = draw(st.sampled_from([0.02, 0.02, 0.0, 5.0, 0.3, 2000.0]))
    params["decay"] = draw(st.sampled_from([0.03, 0.03, 0.0, 5.0, 99.9]))
    params["cutout"] = draw(st.sampled_from([0, 0, 1, 30, 63, 64, 65, 300, 10_000]))
    params["long_threshold"] = draw(st.sampled_from([0.1, 0.5, 1.0, 0.0]))
    params["short_threshold"] = draw(st.sampled_from([-0.1, 0.0, -1.0]))
    return AtcParams(**params)


def largest_of(components: SweepComponents) -> np.ndarray:
    """The largest weight of each component, 0 where there is none or not all are finite."""
    return np.array(
        [
            weights[start:].max(initial=0.0) if sound else 0.0
            for weights, start, sound in zip(components.weights, components.starts, components.sound, strict=True)
        ]
    )


def assert_components_are_the_sweeps(engine: Engine, table: Prices, grid: list[AtcParams]) -> None:
    """Components, as a sweep's pass makes them, and each combination's verdict."""
    planned = plan(ParamGrid.points(grid))
    tables = pass_tables(wanted_by(planned), planned.regimes, table.close.shape[1])
    ids = planned.ids(0, planned.size)[:, :6]
    levels = [(params.long_threshold, params.short_threshold) for params in grid]
    got = run_stages(engine, table, tables, ids, levels)
    for column, count in enumerate(table.counts):
        if not count:
            continue
        expected = components_of(planned, *table.own(column))
        signals = got.components.signals[tables.regimes.signal_rows]
        assert_same_bits(signals[:, :count, column], expected.signals, f"signals of column {column}, {grid}")
        assert_same_bits(got.components.weights[:, :count, column], expected.weights, f"weights {column}, {grid}")
        assert_same_bits(got.components.sound[:, column] == 1, expected.sound, f"soundness of column {column}, {grid}")
        assert_same_bits(got.components.largest[:, column], largest_of(expected), f"largest of {column}, {grid}")
    for combination, params in enumerate(grid):
        expected_verdict = cpu.verdict(table, params)
        for column, count in enumerate(table.counts):
            for what, ours, theirs in (
                ("average", got.verdicts.average, expected_verdict.average),
                ("direction", got.verdicts.direction, expected_verdict.direction),
            ):
                assert_same_bits(ours[combination, :count, column], theirs[column, :count], f"{what} of {params}")
