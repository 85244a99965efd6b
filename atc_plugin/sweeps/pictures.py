"""Plotly figures of a sweep: a metric over two parameters, flat or as a surface, and its best rows as lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy import int64
from numpy.typing import NDArray

from ..names import found
from ..params import ROWS
from .cells import Cells, Shown, cells_of
from .columns import texts
from .ranking import REDUCTIONS, best_rows

_SEQUENTIAL = "Viridis"
_DIVERGING = "RdBu"  # red below zero, blue above: told apart with any colour vision
_LINES = "Viridis_r"  # on white the best must be the dark ones
_MARK = "#d81b60"
_NOTHING = "#e2e2e2"  # where no value is: white is the middle of what diverges
_GRID = {"gridcolor": "#c8c8c8", "showbackground": True, "backgroundcolor": "#f7f7f7"}
_MOST_TICKS = 12
_MOST_NAMES = 5  # in a title


def heatmap_of(shown: Shown, x: str, y: str, how: str, layout: dict[str, Any]) -> go.Figure:
    """The figure that `SweepResult.heatmap` promises."""
    cells = _cells(shown, x, y, how)
    row, column = cells.best
    along, up = _flat_axis(x, cells.x), _flat_axis(y, cells.y)
    hover = f"{x} %{{x}}<br>{y} %{{y}}<br>{shown.metric} %{{z:.5g}}"
    figure = go.Figure()
    figure.add_heatmap(
        x=along["values"],
        y=up["values"],
        z=cells.table,
        customdata=cells.rows,
        hovertemplate=hover + ("<br>row %{customdata}" if cells.rows is not None else "") + "<extra></extra>",
        hoverongaps=False,
        coloraxis="coloraxis",
    )
    figure.add_scatter(
        x=[along["values"][column]],
        y=[up["values"][row]],
        name="best",
        mode="markers",
        marker={"symbol": "star", "size": 17, "color": _MARK, "line": {"width": 1.5, "color": "white"}},
        hoverinfo="skip",
    )
    figure.update_xaxes(**along["axis"])
    figure.update_yaxes(**up["axis"])
    _dress(figure, shown, cells, x, y, how, height=640)
    figure.update_layout(plot_bgcolor=_NOTHING)
    figure.update_layout(**layout)
    return figure


def surface_of(shown: Shown, x: str, y: str, how: str, layout: dict[str, Any]) -> go.Figure:
    """The figure that `SweepResult.surface` promises."""
    cells = _cells(shown, x, y, how)
    row, column = cells.best
    along, up = _deep_axis(x, cells.x), _deep_axis(y, cells.y)
    figure = go.Figure()
    figure.add_surface(
        x=cells.x,
        y=cells.y,
        z=cells.table,
        hovertemplate=f"{x} %{{x}}<br>{y} %{{y}}<br>{shown.metric} %{{z:.5g}}<extra></extra>",
        coloraxis="coloraxis",
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05},
    )
    figure.add_scatter3d(
        x=[cells.x[column]],
        y=[cells.y[row]],
        z=[cells.table[row, column]],
        name="best",
        mode="markers",
        marker={"symbol": "circle", "size": 7, "color": _MARK, "line": {"width": 1, "color": "white"}},
        hoverinfo="skip",
    )
    _dress(figure, shown, cells, x, y, how, height=680)
    figure.update_layout(
        margin={"l": 10, "b": 10},
        coloraxis_colorbar_len=0.7,
        scene={
            "xaxis": along,
            "yaxis": up,
            "zaxis": {"title": {"text": shown.metric}, **_GRID},
            "aspectmode": "manual",
            "aspectratio": {"x": 1.2, "y": 1.2, "z": 0.75},
            "camera": {"eye": {"x": -1.25, "y": -1.5, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.2}},
        },
    )
    figure.update_layout(**layout)
    return figure


def parallel_coordinates_of(shown: Shown, n: int, layout: dict[str, Any]) -> go.Figure:
    """The figure that `SweepResult.parallel_coordinates` promises."""
    places = best_rows(shown.values, shown.counts, n)[::-1]  # the best is drawn last, over the others
    numbers, values = shown.numbers[places], shown.values[places]
    dimensions = [
        _line_axis(name, shown.rows.parameter(name, numbers), np.unique(shown.parameter(name)))
        for name in shown.varied()
    ]
    if len(shown.symbols) > 1:
        symbols = {place: str(label) for place, label in enumerate(shown.symbols)}
        dimensions.insert(0, _text_axis("symbol", shown.rows.symbol(numbers), symbols))
    dimensions.append({"label": shown.metric, "values": values})
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line={"color": values, "coloraxis": "coloraxis"}))
    fonts = {"labelfont": {"size": 13}, "tickfont": {"size": 11}, "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"}}
    figure.update_traces(**fonts)
    of = f" of {np.count_nonzero(shown.counts):,}"
    best = f"best {values[-1]:.4g}, row {numbers[-1]}"
    _title(figure, f"The {places.size:,} best{of} by {shown.metric}", [*_symbol_words(shown), best])
    colours = {"colorscale": _LINES, "colorbar": _colour_bar(shown.metric)}
    figure.update_layout(coloraxis=colours, width=1100, height=560, margin={"l": 70, "r": 40, "t": 130, "b": 30})
    figure.update_layout(title={"y": 0.95, "yanchor": "top"})
    figure.update_layout(**layout)
    return figure


def _cells(shown: Shown, x: str, y: str, how: str) -> Cells:
    for name in (x, y):
        found(name, shown.rows.names, "parameter", "the grid of this sweep")
    if x == y:
        raise ValueError(f"x and y must be two parameters; got {x!r} twice")
    return cells_of(shown, x, y, found(how, REDUCTIONS, "reduction", "reduce"))


# ---------------------------------------------------------------- axes
def _is_scale(name: str, values: NDArray[Any]) -> bool:
    """Whether values are numbers at even steps, so that a scale of numbers is as good as a list."""
    if ROWS[name].choices or ROWS[name].kind is bool or values.size < 2:
        return False
    steps = np.diff(values.astype(np.float64))
    return bool(np.allclose(steps, steps[0], rtol=1e-6))


def _flat_axis(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """Cells of one size: numbers at even steps are a scale, all else is listed."""
    axis: dict[str, Any] = {"title": {"text": name}, "showgrid": False, "zeroline": False, "ticks": "outside"}
    if not _is_scale(name, values):
        return {"values": texts(name, values), "axis": {**axis, "type": "category", "range": [-0.5, values.size - 0.5]}}
    half = (float(values[1]) - float(values[0])) / 2
    axis["range"] = [float(values[0]) - half, float(values[-1]) + half]  # a mark at the edge would widen it
    if values.size <= _MOST_TICKS:
        axis |= {"tickvals": values, "ticktext": texts(name, values)}
    return {"values": values, "axis": axis}


def _deep_axis(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """Numbers where they are; texts, and True and False, at their places."""
    axis: dict[str, Any] = {"title": {"text": name}, **_GRID}
    if ROWS[name].choices or ROWS[name].kind is bool:
        axis |= {"tickvals": values.astype(int64), "ticktext": texts(name, values)}
    return axis


def _line_axis(name: str, values: NDArray[Any], all_values: NDArray[Any]) -> dict[str, Any]:
    """An axis over all values that were searched, so that it shows which of them the best have."""
    if ROWS[name].choices or ROWS[name].kind is bool or all_values.size <= _MOST_TICKS:
        return _text_axis(name, values, dict(zip(all_values.tolist(), texts(name, all_values), strict=True)))
    return {"label": name, "values": values, "range": [all_values[0], all_values[-1]]}


def _text_axis(label: str, values: NDArray[Any], ticks: dict[Any, str]) -> dict[str, Any]:
    return {
        "label": label,
        "values": values.astype(np.float64),
        "tickvals": list(ticks),
        "ticktext": list(ticks.values()),
        "range": [min(ticks), max(ticks)],
    }


# ---------------------------------------------------------------- words and colours
def _symbol_words(shown: Shown) -> list[str]:
    if len(shown.symbols) > 1:
        return [f"{len(shown.symbols)} symbols"]
    (label,) = shown.symbols
    if isinstance(label, int):  # columns of an array have no names, and a single one needs none
        return [f"symbol {label}"] if len(shown.rows.symbols) > 1 else []
    return [str(label)]


def _dress(figure: go.Figure, shown: Shown, cells: Cells, x: str, y: str, how: str, *, height: int) -> None:
    """Title, colours and size of a figure of cells."""
    row, column = cells.best
    others = [name for name in shown.varied() if name not in (x, y)]
    over = [*others, *(["symbols"] if len(shown.symbols) > 1 else [])]
    words = _symbol_words(shown)
    if over:
        words.append(f"{how} over {', '.join(over) if len(over) <= _MOST_NAMES else f'{len(over)} others'}")
    where = f"{x} {texts(x, cells.x[[column]])[0]}, {y} {texts(y, cells.y[[row]])[0]}"
    known = f", row {cells.rows[row, column]}" if cells.rows is not None else ""
    words.append(f"best {cells.table[row, column]:.4g} at {where}{known}")
    _title(figure, f"{shown.metric} by {x} and {y}", words)
    colours = _colours(shown.metric, cells.table[np.isfinite(cells.table)])
    figure.update_layout(coloraxis=colours, width=860, height=height, margin={"l": 80, "r": 20, "t": 90, "b": 70})


def _title(figure: go.Figure, text: str, words: list[str]) -> None:
    title = {"text": text, "x": 0.02, "subtitle": {"text": "; ".join(words), "font": {"color": "#555555"}}}
    figure.update_layout(title=title, template="plotly_white", showlegend=False)


def _colours(metric: str, values: NDArray[Any]) -> dict[str, Any]:
    """Values of both signs diverge from zero; others run from the least to the most."""
    bar = _colour_bar(metric)
    if values.min() < 0 < values.max():
        most = float(np.abs(values).max())
        return {"colorscale": _DIVERGING, "cmin": -most, "cmax": most, "colorbar": bar}
    return {"colorscale": _SEQUENTIAL, "colorbar": bar}


def _colour_bar(metric: str) -> dict[str, Any]:
    return {"title": {"text": metric, "side": "right"}, "thickness": 18, "outlinewidth": 0}
