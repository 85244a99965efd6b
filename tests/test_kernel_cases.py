"""Words of the law that prices hardly ever call for, put to the kernels directly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_kernels import HostEngine, has_compiler
from same_bits import assert_same_bits

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

BELOW, EQUAL, ABOVE, UNDEFINED = -1, 0, 1, 2


def one(value: Any, dtype: Any = np.int64) -> np.ndarray:
    return np.array([value], dtype)


@pytest.mark.parametrize(
    ("sides", "states"),
    [
        ([BELOW, UNDEFINED, ABOVE], [0, 0, 1]),  # "was" is of the last bar that had an average
        ([ABOVE, UNDEFINED, UNDEFINED, BELOW], [0, 0, 0, -1]),
        ([UNDEFINED, ABOVE, ABOVE], [0, 0, 0]),  # nothing to cross over
        ([EQUAL, ABOVE, EQUAL, ABOVE, EQUAL, BELOW], [0, 1, 1, 1, 1, -1]),
        ([BELOW, ABOVE, UNDEFINED, ABOVE, BELOW], [0, 1, 1, 1, -1]),
    ],
)
def test_states_cross_over_bars_without_an_average(sides: list[int], states: list[int]) -> None:
    n = len(sides)
    out = np.empty((1, n, 1), np.int8)
    HostEngine().launch(
        "equities_of_averages",
        1,
        sides=np.array(sides, np.int8),
        returns=np.zeros(n),
        growth=np.ones(n),
        bars=n,
        columns=1,
        members=one(0),
        regimes=one(0),
        count=1,
        growth_rows=one(0),
        cutouts=one(0),
        keeps=one(1.0, np.float64),
        equities=np.empty((1, n, 1)),
        states=out,
    )
    assert out[0, :, 0].tolist() == states


def test_a_doubled_average_of_one_bar_is_two_bars_less_one() -> None:
    x = np.array([[1.7e308], [-1e308], [3.0]])
    sides, averages = np.empty((1, 3, 1), np.int8), np.empty((1, 3, 1))
    for doubled, expected in ((1, [[np.inf], [-np.inf], [3.0]]), (0, x)):
        HostEngine().launch(
            "averages_of_one_bar",
            3,
            x=x,
            close=np.ones((3, 1)),
            bars=3,
            columns=1,
            doubled=doubled,
            row=0,
            kept=0,
            sides=sides,
            averages=averages,
        )
        assert_same_bits(averages[0], np.array(expected))
        assert sides[0, :, 0].tolist() == [BELOW, ABOVE, BELOW]


@pytest.mark.parametrize(
    ("longs", "shorts", "hundredths"),
    [
        ([100.0, 28.5], [71.5], 29),  # 0.285 * 100 is 28.499999999999996: the tie is up
        ([71.5], [100.0, 28.5], -29),
        ([1.0], [1.0], 0),
        ([1.0], [1.009], 0),  # rounds to zero from below, and has no sign
        ([3.0], [], 100),
        ([], [3.0], -100),
        ([np.inf], [np.inf], 0),  # undefined
    ],
)
def test_layer_one_rounds_ties_away_from_zero(longs: list[float], shorts: list[float], hundredths: int) -> None:
    equities, states = np.zeros(9), np.zeros(9, np.int8)
    equities[: len(longs)], states[: len(longs)] = longs, 1
    equities[9 - len(shorts) :], states[9 - len(shorts) :] = shorts, -1
    signals, series = np.empty((1, 1, 1), np.int8), np.empty((1, 1, 1))
    HostEngine().launch(
        "layer_one",
        1,
        equities=equities,
        states=states,
        bars=1,
        columns=1,
        voters=np.arange(9),
        count=1,
        signals=signals,
        series=series,
    )
    assert signals.item() == hundredths
    expected = np.nan if np.inf in longs else hundredths / 100
    assert_same_bits(series, np.full((1, 1, 1), expected))


@pytest.mark.parametrize(
    ("levels", "directions"),
    [
        ([0.1, 0.2, 0.1, -0.1, -0.2], [0, 1, 1, 1, -1]),  # from the threshold itself it is a cross
        ([-0.1, -0.2, 0.1, 0.1, 0.2], [0, -1, -1, -1, 1]),
        ([np.nan, 0.5, 0.5], [0, 0, 0]),
        ([0.0, np.nan, 0.5], [0, 0, 1]),
    ],
)
def test_direction_turns_where_the_average_leaves_a_threshold(levels: list[float], directions: list[int]) -> None:
    out = np.empty(len(levels), np.int8)
    HostEngine().launch(
        "direction",
        1,
        average=np.array(levels),
        bars=len(levels),
        columns=1,
        long_thresholds=one(0.1, np.float64),
        short_thresholds=one(-0.1, np.float64),
        count=1,
        directions=out,
    )
    assert out.tolist() == directions


def test_no_floor_lifts_what_is_undefined() -> None:
    weights = np.empty((1, 4, 1))
    HostEngine().launch(
        "equities_of_signals",
        1,
        signals=np.full(4, 50, np.int8),
        returns=np.array([-0.9, 0.0, 0.5, 0.0]),
        growth=np.array([1.0, 1.0, np.inf, 1.0]),
        counts=one(4),
        bars=4,
        columns=1,
        signal_rows=one(0),
        regimes=one(0),
        starts=one(1.0, np.float64),
        count=1,
        growth_rows=one(0),
        cutouts=one(0),
        keeps=one(1.0, np.float64),
        weights=weights,
        sound=np.empty((1, 1), np.int8),
        largest=np.empty((1, 1)),
    )
    assert_same_bits(weights[0, :, 0], np.array([1.0, 0.25, np.nan, np.nan]))


@pytest.mark.parametrize(
    ("count", "sound", "largest"), [(4, 0, 0.0), (3, 0, 0.0), (2, 1, 0.25), (1, 1, 0.0), (0, 1, 0.0)]
)
def test_soundness_and_the_largest_are_of_a_columns_own_bars(count: int, sound: int, largest: float) -> None:
    """The equity is infinite from the third bar on, and the cutout is the second."""
    out, most, weights = np.empty((1, 1), np.int8), np.empty((1, 1)), np.empty((1, 4, 1))
    HostEngine().launch(
        "equities_of_signals",
        1,
        signals=np.full(4, 50, np.int8),
        returns=np.full(4, np.inf),
        growth=np.ones(4),
        counts=one(count),
        bars=4,
        columns=1,
        signal_rows=one(0),
        regimes=one(0),
        starts=one(0.1, np.float64),
        count=1,
        growth_rows=one(0),
        cutouts=one(1),
        keeps=one(1.0, np.float64),
        weights=weights,
        sound=out,
        largest=most,
    )
    assert_same_bits(weights[0, :, 0], np.array([np.nan, 0.25, np.inf, np.inf]))
    assert (out.item(), most.item()) == (sound, largest)


def test_rows_beyond_two_to_the_31_are_found() -> None:
    """Memory that nobody touches costs nothing, so the last row of 3 GB can be read."""
    rows, bars = 1_500_000_000, 2
    try:
        signals = np.zeros(rows * bars, np.int8)
    except MemoryError:
        pytest.skip("this machine does not promise 3 GB")
    signals[-bars:] = 50
    weights = np.empty((2, bars, 1))
    HostEngine().launch(
        "equities_of_signals",
        2,
        signals=signals,
        returns=np.array([0.5, 0.0]),
        growth=np.ones(bars),
        counts=one(bars),
        bars=bars,
        columns=1,
        signal_rows=np.array([rows - 1, rows - 2]),
        regimes=np.array([0, 0]),
        starts=np.array([1.0, 1.0]),
        count=2,
        growth_rows=one(0),
        cutouts=one(0),
        keeps=one(1.0, np.float64),
        weights=weights,
        sound=np.empty((2, 1), np.int8),
        largest=np.empty((2, 1)),
    )
    assert weights[:, :, 0].tolist() == [[1.0, 1.5], [1.0, 1.0]]
