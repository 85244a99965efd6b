"""What the vectorbt indicator draws and counts: price and average by direction, weights, `stats()` and `plots()`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from vectorbt.utils.figure import make_figure, make_subplots

from ..params import TYPES
from ..plots import _TYPE_COLOURS, FLAT, LONG, SHORT
from .not_computed import NotComputed

_COLOURS = ((1, "Long", LONG), (-1, "Short", SHORT), (0, "Neutral", FLAT))


class Plots:
    """The plots of an indicator with columns of `close`, `average`, `direction`, `entries` and `exits`."""

    def plot(
        self: Any,
        column: Any = None,
        close_trace_kwargs: dict[str, Any] | None = None,
        average_trace_kwargs: dict[str, Any] | None = None,
        threshold_trace_kwargs: dict[str, Any] | None = None,
        entry_trace_kwargs: dict[str, Any] | None = None,
        exit_trace_kwargs: dict[str, Any] | None = None,
        add_trace_kwargs: dict[str, Any] | None = None,
        fig: Any = None,
        **layout_kwargs: Any,
    ) -> Any:
        """Plot price and average over each other, coloured by direction, with entries, exits and thresholds.

        Args:
            column (str): Name of the column to plot.
            close_trace_kwargs (dict): Keyword arguments passed to `plotly.graph_objects.Scatter` for the price.
            average_trace_kwargs (dict): Keyword arguments passed to `plotly.graph_objects.Scatter` for the average.
            threshold_trace_kwargs (dict): Keyword arguments passed to `plotly.graph_objects.Scatter` for thresholds.
            entry_trace_kwargs (dict): Keyword arguments passed to `plotly.graph_objects.Scatter` for entries.
            exit_trace_kwargs (dict): Keyword arguments passed to `plotly.graph_objects.Scatter` for exits.
            add_trace_kwargs (dict): Keyword arguments passed to `add_trace`, beside the row.
            fig (Figure or FigureWidget): Figure with two rows at least, as `vbt.make_subplots` makes them.
            **layout_kwargs: Keyword arguments for layout.

        Usage:
            >>> import numpy as np
            >>> from atc_plugin.indicators.vectorbt import ATC
            >>> figure = ATC.run(100 + 10 * np.sin(np.arange(400) / 30)).plot()
            >>> sorted({trace.name for trace in figure.data})
            ['Entry', 'Exit', 'Long', 'Neutral', 'Short', 'Threshold']
        """
        one = self.select_one(column=column)
        if fig is None:
            fig = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.05)
            fig.update_layout(height=520)
        elif not fig._has_subplots() or len(fig._grid_ref) < 2:
            raise ValueError("plot draws into two rows: pass fig=vbt.make_subplots(rows=2, cols=1) or use plot_average")
        price, average = ({"col": 1, **(add_trace_kwargs or {}), "row": row} for row in (1, 2))
        one.plot_price(
            close_trace_kwargs=close_trace_kwargs,
            entry_trace_kwargs=entry_trace_kwargs,
            exit_trace_kwargs=exit_trace_kwargs,
            add_trace_kwargs=price,
            fig=fig,
        )
        one.plot_average(
            average_trace_kwargs={"showlegend": False, **(average_trace_kwargs or {})},
            threshold_trace_kwargs=threshold_trace_kwargs,
            add_trace_kwargs=average,
            fig=fig,
        )
        fig.update_yaxes(title_text="Price", row=1, col=price["col"])
        fig.update_yaxes(title_text="Average", row=2, col=average["col"])
        fig.update_layout(**layout_kwargs)
        return fig

    def plot_price(
        self: Any,
        column: Any = None,
        close_trace_kwargs: dict[str, Any] | None = None,
        entry_trace_kwargs: dict[str, Any] | None = None,
        exit_trace_kwargs: dict[str, Any] | None = None,
        add_trace_kwargs: dict[str, Any] | None = None,
        fig: Any = None,
        **layout_kwargs: Any,
    ) -> Any:
        """Plot the price, coloured by direction, with entries and exits; arguments as of `plot`."""
        one = self.select_one(column=column)
        fig = make_figure() if fig is None else fig
        where = add_trace_kwargs or {}
        close = one.close
        _by_direction(fig, close, _directions(one), where, close_trace_kwargs)
        for output, name, symbol, colour, kwargs in (
            ("entries", "Entry", "triangle-up", LONG, entry_trace_kwargs),
            ("exits", "Exit", "triangle-down", SHORT, exit_trace_kwargs),
        ):
            if isinstance(getattr(one, f"_{output}"), NotComputed):
                continue
            turned = getattr(one, output)
            marker = {"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1, "color": "white"}}
            trace = {"mode": "markers", "name": name, "marker": marker, **(kwargs or {})}
            fig.add_scatter(x=close.index[turned], y=close[turned], **trace, **where)
        fig.update_layout(**layout_kwargs)
        return fig

    def plot_average(
        self: Any,
        column: Any = None,
        average_trace_kwargs: dict[str, Any] | None = None,
        threshold_trace_kwargs: dict[str, Any] | None = None,
        add_trace_kwargs: dict[str, Any] | None = None,
        fig: Any = None,
        **layout_kwargs: Any,
    ) -> Any:
        """Plot the average, coloured by direction, with both thresholds; arguments as of `plot`."""
        one = self.select_one(column=column)
        fig = make_figure() if fig is None else fig
        where = add_trace_kwargs or {}
        _by_direction(fig, one.average, _directions(one), where, average_trace_kwargs)
        params = one.params()
        for level, colour in ((params.long_threshold, LONG), (params.short_threshold, SHORT)):
            line = {"color": colour, "width": 1, "dash": "dot"}
            trace = {"mode": "lines", "name": "Threshold", "line": line, "showlegend": False, "hoverinfo": "skip"}
            fig.add_scatter(
                x=one.wrapper.index[[0, -1]], y=[level, level], **trace | (threshold_trace_kwargs or {}), **where
            )
        fig.update_layout(**layout_kwargs)
        return fig

    def plot_weights(
        self: Any,
        column: Any = None,
        share: bool = True,
        weight_trace_kwargs: dict[str, Any] | None = None,
        add_trace_kwargs: dict[str, Any] | None = None,
        fig: Any = None,
        **layout_kwargs: Any,
    ) -> Any:
        """Plot how much the vote of each type weighs, over time.

        Args:
            column (str): Name of the column to plot.
            share (bool): Whether to stack the weights as parts of their sum, or draw them as they are.
            weight_trace_kwargs (dict): Keyword arguments passed to `plotly.graph_objects.Scatter` for each type.
            add_trace_kwargs (dict): Keyword arguments passed to `add_trace`.
            fig (Figure or FigureWidget): Figure to add traces to.
            **layout_kwargs: Keyword arguments for layout.

        Usage:
            >>> import numpy as np
            >>> from atc_plugin.indicators.vectorbt import ATC
            >>> atc = ATC.run(100 + 10 * np.sin(np.arange(400) / 30), outputs="all")
            >>> [trace.name for trace in atc.plot_weights().data]
            ['EMA', 'HMA', 'WMA', 'DEMA', 'LSMA', 'KAMA']
        """
        one = self.select_one(column=column)
        fig = make_figure() if fig is None else fig
        weights = pd.DataFrame({type_: getattr(one, f"{type_.lower()}_weight") for type_ in TYPES}).dropna()
        if share:
            weights = weights.div(weights.sum(axis=1), axis=0)
            fig.update_yaxes(range=[0, 1], **{k: v for k, v in (add_trace_kwargs or {}).items() if k in ("row", "col")})
        for type_, colour in _TYPE_COLOURS.items():
            trace = {"name": type_, "mode": "lines", "line": {"color": colour, "width": 1.5}}
            trace |= {"stackgroup": "weights", "line": {"color": colour, "width": 0.5}} if share else {}
            fig.add_scatter(
                x=weights.index, y=weights[type_], **trace | (weight_trace_kwargs or {}), **(add_trace_kwargs or {})
            )
        fig.update_layout(**layout_kwargs)
        return fig


def _directions(one: Any) -> NDArray[Any]:
    """The directions of a column, flat where they were not computed."""
    if isinstance(one._direction, NotComputed):
        return np.zeros(len(one.wrapper.index))
    return one.direction.to_numpy()  # type: ignore[no-any-return]


def _by_direction(
    fig: Any, line: pd.Series[Any], directions: NDArray[Any], where: dict[str, Any], kwargs: dict[str, Any] | None
) -> None:
    """One trace a direction, over the bars that there are."""
    there = line.notna().to_numpy()
    x, y, directions = line.index[there], line.to_numpy()[there], directions[there]
    for turned, name, colour in _COLOURS:
        at = np.fromiter(_strokes(directions == turned), np.int64)
        if at.size:
            values = np.where(at < 0, np.nan, y[at])
            trace = {"name": name, "mode": "lines", "line": {"color": colour, "width": 2}, "legendgroup": name}
            fig.add_scatter(x=x[at], y=values, **trace | (kwargs or {}), **where)


def _strokes(ours: NDArray[np.bool_]) -> Iterator[int]:
    """Bars of the strokes of a pen that is down while a direction holds and on to the next bar; -1 lifts it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ours, [False]])))
    for first, end in edges.reshape(-1, 2):
        yield from range(first, min(end + 1, ours.size))
        yield -1


# ---------------------------------------------------------------- stats() and plots()
def _share(direction: int) -> Any:
    def share(self: Any) -> Any:
        directions = self.direction
        return (directions == direction).sum() / directions.notna().sum() * 100

    return share


METRICS = {
    "start": {"title": "Start", "calc_func": lambda self: self.wrapper.index[0], "agg_func": None, "tags": "wrapper"},
    "end": {"title": "End", "calc_func": lambda self: self.wrapper.index[-1], "agg_func": None, "tags": "wrapper"},
    "period": {
        "title": "Period",
        "calc_func": lambda self: len(self.wrapper.index),
        "apply_to_timedelta": True,
        "agg_func": None,
        "tags": "wrapper",
    },
    "entries": {"title": "Entries", "calc_func": lambda self: self.entries.sum(), "tags": "direction"},
    "exits": {"title": "Exits", "calc_func": lambda self: self.exits.sum(), "tags": "direction"},
    "long": {"title": "Long [%]", "calc_func": _share(1), "tags": "direction"},
    "short": {"title": "Short [%]", "calc_func": _share(-1), "tags": "direction"},
    "last": {
        "title": "Last Direction",
        "calc_func": lambda self: self.direction.ffill().iloc[-1],
        "tags": "direction",
    },
    "average": {"title": "Mean Average", "calc_func": lambda self: self.average.mean(), "tags": "average"},
    "strength": {"title": "Mean |Average|", "calc_func": lambda self: self.average.abs().mean(), "tags": "average"},
}

SUBPLOTS = {
    "price": {
        "title": "Price",
        "yaxis_kwargs": {"title": "Price"},
        "plot_func": "plot_price",
        "pass_add_trace_kwargs": True,
        "tags": "direction",
    },
    "average": {
        "title": "Average",
        "yaxis_kwargs": {"title": "Average"},
        "plot_func": "plot_average",
        "pass_add_trace_kwargs": True,
        "tags": "average",
    },
}
