"""Plotly figures of a walk-forward: what it earned beside what training promised, and how its parameters wandered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy import float64
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from ..params import ROWS
from .columns import as_array, texts

if TYPE_CHECKING:
    from .walked import WalkForward

_TESTED, _TRAINED, _HELD, _ONE = "#1e6fb8", "#b9cfe4", "#9a9a9a", "rgba(30, 111, 184, 0.45)"
_EDGE = "#d0d0d0"
_MOST_TICKS, _MOST_LABELS = 12, 6


def equity_of(walked: WalkForward, column: int | None, layout: dict[str, Any]) -> go.Figure:
    """The figure that `WalkForward.plot` promises."""
    columns = list(range(len(walked.symbols))) if column is None else [column]
    figure = make_subplots(rows=2, cols=1, row_heights=[0.68, 0.32], vertical_spacing=0.13)
    bars, equity = _bars(walked), np.cumprod(1 + np.nan_to_num(walked.traded.returns, nan=0.0), axis=1)
    if len(columns) == 1:
        figure.add_scatter(
            x=bars, y=_holding(walked, columns[0]), name="buy and hold", line={"color": _HELD, "width": 1.2}
        )
        figure.add_scatter(x=bars, y=equity[columns[0]], name="walk-forward", line={"color": _TESTED, "width": 2})
    else:
        for each in columns:
            figure.add_scatter(
                x=bars,
                y=equity[each],
                name=str(walked.symbols[each]),
                line={"color": _ONE, "width": 1},
                showlegend=False,
            )
        middle = np.median(equity[columns], axis=0)
        figure.add_scatter(x=bars, y=middle, name="median over symbols", line={"color": _TESTED, "width": 2.5})
    starts = [int(np.searchsorted(walked.traded.rows, fold.test[0])) for fold in walked.folds]
    for start in starts[1:]:
        figure.add_vline(x=bars[start], line={"color": _EDGE, "width": 1}, layer="below", row=1, col=1)
    for name, values, colour in (
        ("in training", walked.traded.train[walked.metric], _TRAINED),
        ("in test", walked.traded.test[walked.metric], _TESTED),
    ):
        figure.add_bar(
            x=list(range(len(walked.folds))),
            y=_middle(values[columns]),
            name=name,
            marker={"color": colour},
            row=2,
            col=1,
        )
    scale = {"type": "log", "dtick": math.log10(2), "tickformat": ".3~g"} if equity[columns].min() > 0 else {}
    figure.update_yaxes(title={"text": "equity"}, zeroline=False, **scale, row=1, col=1)
    figure.update_yaxes(title={"text": walked.metric}, zeroline=True, zerolinecolor="#888888", row=2, col=1)
    figure.update_xaxes(title={"text": "fold"}, showgrid=False, zeroline=False, **_fold_ticks(walked), row=2, col=1)
    figure.update_xaxes(showgrid=False, row=1, col=1)
    symbols = [f"medians over {len(columns)} symbols"] if len(columns) > 1 else _symbol_words(walked, columns)
    words = [f"{len(walked.folds)} folds", f"equity at the end {_middle(equity[columns][:, -1:])[0]:.3g}"]
    _title(figure, f"Walk-forward by {walked.metric}", [*symbols, *words])
    figure.update_layout(
        width=1000,
        height=680,
        margin={"l": 80, "r": 20, "t": 100, "b": 60},
        bargap=0.25,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_layout(**layout)
    return figure


def drift_of(walked: WalkForward, column: int | None, layout: dict[str, Any]) -> go.Figure:
    """The figure that `WalkForward.plot_drift` promises."""
    drift = walked.drift
    names = [name for name in drift.columns if name in ROWS]
    if not names:
        raise ValueError("there is nothing to show: the grid varies no parameter")
    columns = list(range(len(walked.symbols))) if column is None else [column]
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.3 / (len(names) + 2))
    followed = np.nonzero(walked.traded.held >= 0)[0]  # the symbol of each row
    for place, name in enumerate(names, start=1):
        known = np.unique(as_array(name, walked.grid.values(name)))
        ranks = _ranks(name, drift[name], known)
        for each in columns:
            mine = followed == each
            figure.add_scatter(
                x=drift["fold"][mine],
                y=ranks[mine],
                name=str(walked.symbols[each]),
                mode="lines+markers",
                line={"shape": "hv", "color": _TESTED if len(columns) == 1 else _ONE, "width": 1.5},
                marker={"size": 5},
                customdata=drift[name][mine].astype(str),
                hovertemplate=f"fold %{{x}}<br>{name} %{{customdata}}<extra>%{{fullData.name}}</extra>",
                row=place,
                col=1,
            )
        step = max(1, -(-known.size // _MOST_LABELS))
        figure.update_yaxes(
            title={"text": name},
            tickvals=list(range(0, known.size, step)),
            ticktext=texts(name, known[::step]),
            range=[-0.5, known.size - 0.5],
            zeroline=False,
            row=place,
            col=1,
        )
    figure.update_xaxes(showgrid=False, zeroline=False, **_fold_ticks(walked))
    figure.update_xaxes(title={"text": "fold"}, row=len(names), col=1)
    rows = drift[np.isin(followed, columns)]
    later = rows["distance"].notna()
    words = _symbol_words(walked, columns)
    if later.any():
        changed = int((rows["changed"][later] > 0).sum())
        words += [f"changed in {changed} of {int(later.sum())} folds", f"mean distance {rows['distance'].mean():.2f}"]
    _title(figure, "Parameters that were followed", words)
    figure.update_layout(
        width=1000, height=140 + 130 * len(names), margin={"l": 80, "r": 20, "t": 90, "b": 60}, showlegend=False
    )
    figure.update_layout(**layout)
    return figure


def _ranks(name: str, values: Any, known: NDArray[Any]) -> NDArray[Any]:
    """Places among all values of the grid: steps of one size, whatever the values are."""
    coded = values.cat.codes.to_numpy() if ROWS[name].choices else values.to_numpy()
    ranks: NDArray[Any] = np.searchsorted(known, coded)
    return ranks


def _bars(walked: WalkForward) -> Any:
    index, rows = walked.prices.container.index, walked.traded.rows
    return rows if index is None else index[rows]


def _holding(walked: WalkForward, column: int) -> NDArray[float64]:
    """What 1 became that bought at the first tested bar's close; the last close where there is no bar."""
    prices = walked.prices.pick(column)
    close = prices.unpack(prices.close, np.nan)[0][walked.traded.rows]
    known = np.maximum.accumulate(np.where(np.isnan(close), -1, np.arange(close.size)))
    filled = np.where(known >= 0, close[np.maximum(known, 0)], np.nan)
    first = filled[~np.isnan(filled)][:1]
    return filled / first if first.size else filled


def _middle(values: NDArray[Any]) -> NDArray[float64]:
    """The median over symbols of what is finite, (symbols, n) to (n,)."""
    made = np.full(values.shape[1], np.nan)
    for place, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if known.size:
            made[place] = np.median(known)
    return made


def _fold_ticks(walked: WalkForward) -> dict[str, Any]:
    """Folds by the first bar they are tested on."""
    index = walked.prices.container.index
    places = range(0, len(walked.folds), max(1, -(-len(walked.folds) // _MOST_TICKS)))
    starts = [walked.folds[place].test[0] for place in places]
    labels = [str(start if index is None else index[start]).split(" 00:00:00")[0] for start in starts]
    return {"tickvals": list(places), "ticktext": [f"{k}<br>{label}" for k, label in zip(places, labels, strict=True)]}


def _symbol_words(walked: WalkForward, columns: list[int]) -> list[str]:
    if len(columns) > 1:
        return [f"{len(columns)} symbols"]
    label = walked.symbols[columns[0]]
    return [] if isinstance(label, int) and len(walked.symbols) == 1 else [str(label)]


def _title(figure: go.Figure, text: str, words: list[str]) -> None:
    title = {"text": text, "x": 0.02, "subtitle": {"text": "; ".join(words), "font": {"color": "#555555"}}}
    figure.update_layout(title=title, template="plotly_white")
