"""The figures say what the result says."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from atc_plugin import atc

N = 300
DATES = pd.date_range("2021-01-01", periods=N, freq="D")
CLOSE = pd.Series(100 + 10 * np.sin(np.arange(N) / 15) + np.arange(N) / 20, index=DATES, name="SINE")
RESULT = atc(CLOSE, long_threshold=0.2, short_threshold=-0.3)


def traces(figure: go.Figure) -> dict[str, list[go.Scatter]]:
    found: dict[str, list[go.Scatter]] = {}
    for trace in figure.data:
        found.setdefault(trace.name, []).append(trace)
    return found


def test_the_verdict() -> None:
    figure = RESULT.plot(title_font_size=11)
    by_name = traces(figure)
    for type_ in ("EMA", "KAMA"):
        np.testing.assert_array_equal(by_name[type_][0].y, RESULT.moving_averages[type_].iloc[:, 0])
    entries = by_name["entry"][0]
    assert list(entries.x) == list(RESULT.entries[RESULT.entries].index.to_numpy())
    np.testing.assert_array_equal(entries.y, CLOSE[RESULT.entries])
    assert len(by_name["exit"][0].x) == RESULT.exits.sum() > 0
    price, average = by_name["long"]
    long = (RESULT.direction == 1).to_numpy()
    np.testing.assert_array_equal(np.asarray(price.y)[long], CLOSE[long])
    np.testing.assert_array_equal(np.asarray(average.y)[long], RESULT.average[long])
    assert {shape.y0 for shape in figure.layout.shapes} == {0.2, -0.3}
    assert figure.layout.title.font.size == 11
    assert "SINE" in figure.layout.title.text


def test_each_bar_has_one_colour_and_stretches_meet() -> None:
    by_name = traces(RESULT.plot())
    shown = sum(~np.isnan(np.asarray(by_name[name][0].y)) for name in ("long", "short", "no direction yet"))
    turns = (RESULT.direction != RESULT.direction.shift()).to_numpy(copy=True)
    turns[0] = False
    np.testing.assert_array_equal(shown, np.where(turns, 2, 1))


def test_the_calibration_view() -> None:
    by_name = traces(RESULT.plot(ma="DEMA"))
    for k, length in enumerate(RESULT.params.lengths("DEMA")):
        average, equity = by_name[f"DEMA {length}"]
        np.testing.assert_array_equal(average.y, RESULT.moving_averages["DEMA"].iloc[:, k])
        np.testing.assert_array_equal(equity.y, RESULT.equities["DEMA"].iloc[:, k])
    with pytest.raises(ValueError, match=r"ma must be one of 'EMA', 'HMA', .*; got 'SMA'"):
        RESULT.plot(ma="SMA")


def test_the_last_bars_alone() -> None:
    by_name = traces(RESULT.plot(last=40))
    assert len(by_name["EMA"][0].x) == 40
    late = RESULT.entries[-40:]
    assert len(by_name["entry"][0].x) == late.sum()
    with pytest.raises(ValueError, match="last must be a number of bars >= 1; got 0"):
        RESULT.plot(last=0)


def test_one_column_of_several_without_its_gaps() -> None:
    frame = pd.DataFrame({"A": CLOSE, "B": CLOSE.where(np.arange(N) % 10 > 0)})
    figure = atc(frame).plot("B")
    assert len(traces(figure)["EMA"][0].x) == N - N // 10
    with pytest.raises(ValueError, match="choose one of 2 columns"):
        atc(frame).plot()


def test_prices_without_dates_are_plotted_by_bar() -> None:
    assert list(traces(atc(CLOSE.to_numpy()).plot())["EMA"][0].x) == list(range(N))


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "atc_plugin.plots", raising=False)
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[plot\]"'):
        RESULT.plot()
