"""A series that has grown, computed from where it was left: the bits of the whole at the cost of what is new."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid, engine
from atc_plugin.engine import Regime, component
from atc_plugin.law.components import Wanted
from atc_plugin.law.window_averages import BARS
from atc_plugin.params import TYPES
from atc_plugin.prices import Prices, read_prices
from atc_plugin.sweeps import components as sweep_components
from atc_plugin.sweeps.components import components_of, resumable_components, wanted_by
from atc_plugin.sweeps.planning import plan

EXAMPLES = 5 if DISABLE_JIT else 150
MOST_BARS = 200 if DISABLE_JIT else 700


def walk(n: int, seed: int = 0) -> np.ndarray:
    return np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n))), 2)


def last_tile(bars: int, *cutouts: int) -> int:
    """Where the last tile of so many bars starts: tiles are as long as they may be, and end before a cutout."""
    first = 0
    while True:
        end = min([first + BARS, *(cutout for cutout in cutouts if cutout > first)])
        if end >= bars:
            return first
        first = end


def as_arrays(record: engine.Resumable) -> dict[str, np.ndarray]:
    layers = {} if record.layers is None else record.layers._asdict()
    return {**record.verdict._asdict(), **layers, "states": record.states}


def assert_same_record(got: engine.Resumable, expected: engine.Resumable, table: Prices, what: object = "") -> None:
    """All of it, as far as columns have bars."""
    ours, theirs = as_arrays(got), as_arrays(expected)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if name == "states":
            assert_same_bits(ours[name], theirs[name], f"{name} {what}")
            continue
        for column, count in enumerate(table.counts):
            mine, other = ours[name][column, ..., :count], theirs[name][column, ..., :count]
            assert_same_bits(mine, other, f"{name} of column {column} {what}")


# ---------------------------------------------------------------- one configuration
@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray | None]:
    """Close and source of a few columns, (bars, columns), with NaN bars."""
    close = draw(prices(max_bars=MOST_BARS, nan_gaps=True))
    source = draw(source_for(close, nan_gaps=True))
    columns = draw(st.integers(1, 3))
    if columns > 1:  # the same bars, each from another one on
        close = np.stack([np.roll(close, 61 * k) for k in range(columns)], axis=1)
        source = None if source is None else np.stack([np.roll(source, 61 * k) for k in range(columns)], axis=1)
    return close, source


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_a_series_resumed_is_the_whole_series(data: st.DataObject) -> None:
    close, source = data.draw(tables(), "prices")
    params = AtcParams(**data.draw(atc_params(), "params"), strategy_mode=data.draw(st.booleans(), "strategy_mode"))
    splits = data.draw(st.lists(st.integers(1, len(close)), min_size=1, max_size=3), "splits")
    with_layers = data.draw(st.booleans(), "with layers")
    earlier = None
    for n in [*sorted(splits), len(close)]:
        table = read_prices(close[:n], None if source is None else source[:n])
        earlier = engine.resumable(table, params, earlier, with_layers)
        assert_same_record(earlier, engine.resumable(table, params, None, with_layers), table, f"at {n}")
        enough = max(map(params.longest, TYPES)) <= n
        expected = [last_tile(count, params.cutout) if enough else 0 for count in table.counts]
        assert earlier.begins.tolist() == expected
        verdict, layers = earlier.verdict, earlier.layers
        if params.strategy_mode:
            verdict, layers = engine.delayed(verdict), None if layers is None else engine.delayed(layers)
        whole = engine.Resumable(
            engine.verdict(table, params),
            engine.layers(table, params) if with_layers else None,
            earlier.states,
        )
        assert_same_record(earlier._replace(verdict=verdict, layers=layers), whole, table, f"without states, at {n}")


@pytest.mark.skipif(DISABLE_JIT, reason="too many passes for Python")
@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("cutout", [0, 5, BARS + 1, 10_000])
def test_bar_by_bar(cutout: int, hma_mode: str) -> None:
    params = AtcParams(cutout=cutout, hma_mode=hma_mode, robustness="Wide", kama_len=40, wma_len=20)
    close = walk(3 * BARS + 9)
    earlier = None
    for n in range(1, close.size + 1):
        table = read_prices(close[:n])
        earlier = engine.resumable(table, params, earlier, True)
        assert_same_record(earlier, engine.resumable(table, params, None, True), table, f"at {n}")


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("n", [BARS, BARS + 1, 2 * BARS, 2 * BARS + 1])
def test_series_that_end_around_the_end_of_a_tile(n: int, hma_mode: str) -> None:
    params = AtcParams(hma_mode=hma_mode)
    close = walk(n + 140)
    earlier = engine.resumable(read_prices(close[:n]), params, with_layers=True)
    assert earlier.begins[0] == (n - 1) // BARS * BARS
    table = read_prices(close)
    whole = engine.resumable(table, params, with_layers=True)
    assert_same_record(engine.resumable(table, params, earlier, True), whole, table)


@pytest.mark.parametrize("hma_len", [28, 119])  # a Hull average of 125 bars looks back further than one tile
@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
def test_only_what_is_new_is_computed(hma_mode: str, hma_len: int) -> None:
    """Neither what was said before `begins` nor prices further back than two windows are computed or looked at."""
    params = AtcParams(hma_mode=hma_mode, hma_len=hma_len, ema_len=50, dema_len=45)
    n = 6 * BARS
    close = 100 + np.random.default_rng(0).normal(0, 1, n)  # crosses its averages all the time
    earlier = engine.resumable(read_prices(close[: n - 50]), params, with_layers=True)
    begin = int(earlier.begins[0])
    assert begin == 5 * BARS
    whole = engine.resumable(read_prices(close), params, with_layers=True)
    marked = earlier._replace(
        verdict=earlier.verdict._replace(average=np.full((1, n - 50), -7.0)),
        layers=engine.Layers(np.full((1, 6, n - 50), -8.0), np.full((1, 6, n - 50), -9.0)),
    )
    altered = close.copy()
    altered[: begin - 2 * (max(map(params.longest, TYPES)) + 8)] = 1e9 * walk(n, 1)[0]
    got = engine.resumable(read_prices(altered), params, marked, True)
    assert got.layers is not None
    assert whole.layers is not None
    for array, other, mark in (
        (got.verdict.average, whole.verdict.average, -7.0),
        (got.layers.signals, whole.layers.signals, -8.0),
        (got.layers.weights, whole.layers.weights, -9.0),
    ):
        assert (array[..., :begin] == mark).all()
        assert_same_bits(array[..., begin:], other[..., begin:])
    assert_same_bits(got.states, whole.states)


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
def test_every_number_of_a_state_is_looked_at(hma_mode: str) -> None:
    """While nothing has crossed yet all of them count: but for equities, which start here, an altered one shows."""
    params = AtcParams(cutout=70, hma_mode=hma_mode)
    close = np.concatenate([100 + np.arange(80.0) ** 2 / 100, walk(140, 5)])
    earlier = engine.resumable(read_prices(close[:90]), params)
    assert earlier.begins.tolist() == [70]
    size = earlier.states.size
    assert size == (805 if hma_mode == "sma" else 535)
    table = read_prices(close)
    whole = engine.resumable(table, params)
    assert whole.begins.tolist() == [70 + BARS]
    assert_same_record(engine.resumable(table, params, earlier), whole, table)
    members = size - 12 - 4 * 54
    equities = {*range(members, members + 54), *range(size - 12, size - 6)}
    for place in range(1, size, 40 if DISABLE_JIT else 1):
        shows = False
        for value in (1e3, -1e3):
            states = earlier.states.copy()
            states[0, place] = value
            got = engine.resumable(table, params, earlier._replace(states=states))
            shows |= not np.array_equal(got.states, whole.states, equal_nan=True)
        assert shows != (place in equities), f"number {place} of {size}"


def test_thresholds_and_delay_are_no_part_of_it() -> None:
    params = AtcParams(robustness="Narrow")
    other = params.replace(long_threshold=0.4, short_threshold=-0.3, strategy_mode=True)
    table, beginning = read_prices(walk(300)), read_prices(walk(300)[:200])
    got = engine.resumable(table, other, engine.resumable(beginning, params))
    assert got.begins[0] == 2 * BARS
    assert_same_record(got, engine.resumable(table, other), table)
    verdict = engine.verdict(table, other)
    assert_same_bits(engine.delayed(got.verdict).average, verdict.average)
    assert_same_bits(engine.delayed(got.verdict).direction, verdict.direction)


def test_the_delay_leaves_what_it_delays_alone() -> None:
    made = engine.resumable(read_prices(walk(60)), AtcParams(), with_layers=True)
    before = {name: array.copy() for name, array in as_arrays(made).items()}
    assert made.layers is not None
    late, later = engine.delayed(made.verdict), engine.delayed(made.layers)
    for name, array in as_arrays(made).items():
        assert_same_bits(array, before[name], name)
    assert_same_bits(late.average[:, 1:], made.verdict.average[:, :-1])
    assert (np.isnan(late.average[0, 0]), late.direction[0, 0]) == (True, 0)
    assert_same_bits(later.weights, made.layers.weights)


def test_averages_longer_than_the_series_are_computed_from_the_start_until_there_are_bars_enough() -> None:
    params = AtcParams(ema_len=150, kama_len=10**15)
    table = read_prices(walk(140))
    earlier = engine.resumable(table, params)
    assert (earlier.begins.tolist(), earlier.states.size) == ([0], 0)
    shorter = params.replace(kama_len=28)
    earlier = engine.resumable(table, shorter)
    assert (earlier.begins.tolist(), earlier.states.size) == ([0], 0)
    table = read_prices(walk(300))
    got = engine.resumable(table, shorter, earlier)
    assert got.begins[0] == 2 * BARS
    assert_same_record(got, engine.resumable(table, shorter), table)


def test_what_cannot_be_resumed_is_an_error() -> None:
    params, table = AtcParams(), read_prices(walk(300))
    earlier = engine.resumable(table, params)
    with pytest.raises(ValueError, match=r"earlier: states of shape \(1, 805\) are not those"):
        engine.resumable(table, params.replace(robustness="Wide", hma_mode="hull"), earlier)
    with pytest.raises(ValueError, match="are not those of these parameters and columns"):
        engine.resumable(read_prices(np.stack([walk(300), walk(300, 1)], axis=1)), params, earlier)
    with pytest.raises(ValueError, match="column 0 is to be resumed at bar 256; it has 256 bars, and had 300"):
        engine.resumable(read_prices(walk(256)), params, earlier)
    with pytest.raises(ValueError, match="column 0 is to be resumed at bar -1"):
        engine.resumable(table, params, earlier._replace(states=np.full((1, 805), -1.0)))
    with pytest.raises(ValueError, match="without layers"):
        engine.resumable(table, params, earlier, with_layers=True)


# ---------------------------------------------------------------- the components of a sweep
def assert_same_components(
    got: sweep_components.Resumable, expected: sweep_components.Resumable, what: object = ""
) -> None:
    assert got.begin == expected.begin
    for name in ("signals", "weights", "state"):
        assert_same_bits(getattr(got, name), getattr(expected, name), f"{name} {what}")


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_components_resumed_are_those_of_the_whole_series(data: st.DataObject) -> None:
    close = data.draw(prices(max_bars=MOST_BARS), "close")
    source = data.draw(source_for(close), "source")
    source = close if source is None else source
    few = st.lists(atc_params(), min_size=1, max_size=2 if DISABLE_JIT else 4)
    planned = plan(ParamGrid.points(list(dict.fromkeys(AtcParams(**params) for params in data.draw(few, "params")))))
    wanted, regimes = wanted_by(planned), planned.regimes
    splits = data.draw(st.lists(st.integers(1, close.size), min_size=1, max_size=3), "splits")
    longest = max(length for one in wanted for length in one.signal[1])
    earlier = None
    for n in [*sorted(splits), close.size]:
        earlier = resumable_components(wanted, regimes, close[:n], source[:n], earlier)
        assert_same_components(earlier, resumable_components(wanted, regimes, close[:n], source[:n]), f"at {n}")
        assert earlier.begin == (last_tile(n, *(r.cutout for r in regimes)) if longest <= n else 0)
        whole = components_of(planned, close[:n], source[:n])
        assert_same_bits(earlier.signals, whole.signals)
        assert_same_bits(earlier.weights, whole.weights)


def block_of_emas() -> list[Wanted]:
    """Sixteen EMA lengths in a row."""
    return [Wanted(component(AtcParams(ema_len=length), "EMA"), 1.0, 0) for length in range(20, 36)]


def test_a_state_is_small() -> None:
    regime = Regime(0.02, 0.03, 0)
    made = resumable_components(block_of_emas(), [regime], walk(300), walk(300))
    members = 16 + 12
    assert made.state.size == 1 + 5 * members + 2 * 16
    kama = [Wanted(component(AtcParams(kama_len=length), "KAMA"), 1.0, 0) for length in range(28, 44)]
    made = resumable_components(kama, [regime], walk(300), walk(300))
    rings = sum(range(28 - 6, 44 + 6))
    assert made.state.size == 1 + rings + (3 + 4) * members + 2 * 16


def test_only_new_bars_of_components_are_computed() -> None:
    grid = ParamGrid(hma_mode=["sma", "hull"], ema_len=[28, 40], decay=[0.03, 0.5], cutout=[0, 77])
    planned = plan(grid)
    wanted, regimes = wanted_by(planned), planned.regimes
    close = walk(6 * BARS)
    earlier = resumable_components(wanted, regimes, close[:-60], close[:-60])
    assert earlier.begin == 77 + 4 * BARS
    whole = resumable_components(wanted, regimes, close, close)
    marked = earlier._replace(signals=np.full_like(earlier.signals, -7), weights=np.full_like(earlier.weights, -8.0))
    altered = close.copy()
    altered[: earlier.begin - 2 * (46 + 8)] = 1e9
    got = resumable_components(wanted, regimes, altered, altered, marked)
    for array, other, mark in ((got.signals, whole.signals, -7), (got.weights, whole.weights, -8.0)):
        assert (array[:, : earlier.begin] == mark).all()
        assert_same_bits(array[:, earlier.begin :], other[:, earlier.begin :])
    assert_same_bits(got.state, whole.state)
    state = np.concatenate([earlier.state[:1], earlier.state[1:] + 1.0])
    other_state = resumable_components(wanted, regimes, close, close, earlier._replace(state=state))
    assert not np.array_equal(other_state.weights, whole.weights, equal_nan=True)


def test_components_longer_than_the_series_cannot_be_resumed() -> None:
    wanted = [Wanted(("EMA", tuple(range(150, 159))), 1.0, 0), Wanted(("KAMA", (10**15,) * 9), 1.0, 0)]
    regimes = [Regime(0.02, 0.03, 0)]
    close = walk(300)
    made = resumable_components(wanted, regimes, close, close)
    assert (made.begin, made.state.size) == (0, 0)
    made = resumable_components(wanted[:1], regimes, close[:158], close[:158])
    assert made.begin == BARS
    assert_same_components(
        resumable_components(wanted[:1], regimes, close, close, made),
        resumable_components(wanted[:1], regimes, close, close),
    )


def test_components_of_something_else_are_an_error() -> None:
    wanted, regimes = block_of_emas(), [Regime(0.02, 0.03, 0)]
    close = walk(300)
    earlier = resumable_components(wanted, regimes, close, close)
    asked: list[tuple[list[Wanted], int, Any, str]] = [
        (wanted[:5], 300, earlier, "16 components with a state of 173 numbers are not these 5 with one of 96"),
        (wanted, 256, earlier, "to be resumed at bar 256; there are 256 bars, and were 300"),
        (wanted, 300, earlier._replace(state=-earlier.state), "to be resumed at bar -256"),
        (wanted, 300, earlier._replace(state=earlier.state[1:]), "with a state of 172 numbers"),
    ]
    for these, n, before, message in asked:
        with pytest.raises(ValueError, match=f"earlier: .*{message}"):
            resumable_components(these, regimes, close[:n], close[:n], before)
