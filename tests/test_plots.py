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
    for trace, values in ((price, CLOSE), (average, RESULT.average)):
        drawn = pd.Series(trace.y, pd.DatetimeIndex(trace.x)).dropna()
        assert set(RESULT.direction.index[RESULT.direction == 1]) <= set(drawn.index)
        assert (drawn == values[drawn.index]).all()
    assert {shape.y0 for shape in figure.layout.shapes} == {0.2, -0.3}
    assert figure.layout.title.font.size == 11
    assert "SINE" in figure.layout.title.text


def test_each_step_has_the_colour_of_the_bar_it_leaves() -> None:
    rng = np.random.default_rng(5)
    result = atc(np.round(100 + rng.normal(0, 3, N).cumsum() / 3, 2), ema_len=7, kama_len=7)
    directions = result.direction
    assert np.any((directions[1:-1] != directions[:-2]) & (directions[1:-1] != directions[2:])), "no one-bar stretch"
    drawn = {}
    for turned, name in ((1, "long"), (-1, "short"), (0, "no direction yet")):
        trace = traces(result.plot())[name][0]
        bars, line = np.asarray(trace.x), np.asarray(trace.y)
        for step in np.flatnonzero(~np.isnan(line[:-1]) & ~np.isnan(line[1:]) & (np.diff(bars) == 1)):
            assert bars[step] not in drawn, "two colours"
            drawn[bars[step]] = turned
    assert [drawn[bar] for bar in range(N - 1)] == list(directions[:-1])


def test_labels_that_are_no_dates_are_drawn_as_texts() -> None:
    for index in (pd.period_range("2020-01", periods=N, freq="M"), pd.timedelta_range(0, periods=N, freq="h")):
        figure = atc(CLOSE.set_axis(index)).plot()
        assert len(figure.to_json()) > 1000
        assert traces(figure)["EMA"][0].x[0] == str(index[0])


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
    for wrong in (0, 2.5, "10"):
        with pytest.raises(ValueError, match=f"last must be a whole number of bars >= 1; got {wrong!r}"):
            RESULT.plot(last=wrong)


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
