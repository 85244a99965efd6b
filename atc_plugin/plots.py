"""Plotly figures of a result: the verdict over the price, and the calibration view of one type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .params import TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .result import OneColumn

LONG, SHORT, FLAT = "#00897b", "#d81b60", "#757575"
_TYPE_COLOURS = dict(zip(TYPES, ("#e69f00", "#56b4e9", "#8c6bb1", "#0072b2", "#a6761d", "#999999"), strict=True))
# The base length, then warm colours for the longer four and cold ones for the shorter four, fading with distance.
_FAN = ("#222222", "#b3420c", "#e06a1b", "#f19a53", "#f8c89a", "#0b4f7d", "#2f83b7", "#6fb1d6", "#b3d6ea")


def plot_column(view: OneColumn, ma: str | None, layout: dict[str, Any]) -> go.Figure:
    """The figure that `AtcResult.plot` promises."""
    if ma is not None and ma not in TYPES:
        raise ValueError(f"ma must be one of {', '.join(map(repr, TYPES))}; got {ma!r}")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.04)
    if ma is None:
        _verdict(figure, view)
    else:
        _calibration(figure, view, ma)
    what = "Adaptive Trend Classification" if ma is None else f"the nine {ma} averages and their equities"
    figure.update_layout(
        title={"text": f"{view.label}: {what}", "x": 0.01},
        template="plotly_white",
        width=1100,
        height=680,
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0.0},
        margin={"l": 60, "r": 20, "t": 100, "b": 40},
    )
    figure.update_yaxes(title_text="price", row=1, col=1)
    figure.update_layout(**layout)
    return figure


def _verdict(figure: go.Figure, view: OneColumn) -> None:
    """Price coloured by direction, the six base averages, the turns; the average with its thresholds."""
    for type_ in TYPES:
        base = view.members(type_).moving_averages[0]
        _line(figure, view.bars, base, type_, _TYPE_COLOURS[type_], width=1, opacity=0.75)
    _coloured_by_direction(figure, view, view.close, row=1, width=2.2, legend=True)
    for turned, name, symbol, colour in (
        (view.entries, "entry", "triangle-up", LONG),
        (view.exits, "exit", "triangle-down", SHORT),
    ):
        marker = {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 1, "color": "white"}}
        x, y = view.bars[turned], view.close[turned]
        figure.add_scatter(x=x, y=y, name=name, mode="markers", marker=marker, row=1, col=1)
    _coloured_by_direction(figure, view, view.average, row=2, width=1.8, legend=False)
    for level, colour in ((view.params.long_threshold, LONG), (view.params.short_threshold, SHORT)):
        figure.add_hline(level, line={"color": colour, "width": 1, "dash": "dot"}, row=2, col=1)
    figure.update_yaxes(title_text="average", range=[-1.08, 1.08], row=2, col=1)


def _calibration(figure: go.Figure, view: OneColumn, ma: str) -> None:
    """The nine averages of a type over the price, and below how each has earned its weight."""
    _line(figure, view.bars, view.close, "close", FLAT, width=1.2)
    members = view.members(ma)
    for k, length in enumerate(view.params.lengths(ma)):
        name = f"{ma} {length}"
        width = 2.0 if k == 0 else 1.1
        _line(figure, view.bars, members.moving_averages[k], name, _FAN[k], width=width, group=name)
        _line(figure, view.bars, members.equities[k], name, _FAN[k], row=2, width=width, group=name, showlegend=False)
    figure.update_yaxes(title_text="equity", row=2, col=1)


def _line(
    figure: go.Figure,
    x: NDArray[Any],
    y: NDArray[np.float64],
    name: str,
    colour: str,
    *,
    row: int = 1,
    width: float,
    group: str | None = None,
    **trace: Any,
) -> None:
    line = {"color": colour, "width": width}
    figure.add_scatter(x=x, y=y, name=name, mode="lines", line=line, legendgroup=group, row=row, col=1, **trace)


def _coloured_by_direction(
    figure: go.Figure, view: OneColumn, y: NDArray[np.float64], *, row: int, width: float, legend: bool
) -> None:
    """One trace a direction. A stretch reaches to the first bar of the next; a NaN lifts the pen behind it."""
    turned_at = np.flatnonzero(np.diff(view.direction)) + 1
    stretches = np.split(np.arange(view.direction.size), turned_at)
    for turned, name, colour in ((1, "long", LONG), (-1, "short", SHORT), (0, "no direction yet", FLAT)):
        ours = [stretch for stretch in stretches if view.direction[stretch[0]] == turned]
        if not ours:
            continue
        ends = [min(stretch[-1] + 1, view.direction.size - 1) for stretch in ours]
        at = np.concatenate([part for stretch, end in zip(ours, ends, strict=True) for part in (stretch, [end, end])])
        line = y[at]
        line[np.cumsum([stretch.size + 2 for stretch in ours]) - 1] = np.nan
        _line(figure, view.bars[at], line, name, colour, row=row, width=width, group=name, showlegend=legend)
