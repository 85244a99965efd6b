"""The CPU engine: from prices and parameters to the law's arrays, columns on threads.

Arrays here are packed as in `Prices`: (columns, bars) with each column's own bars at the front of its row; what lies
beyond is unspecified.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from .law.growth import growth_table
from .law.layout import Component, Layout, lay_out
from .law.tiles import Outputs, evaluate
from .params import TYPES, AtcParams
from .threads import share

if TYPE_CHECKING:
    from .prices import Prices

BACKENDS = ("auto", "cpu")

_THREAD_BARS = 20_000
"""Bars worth a thread of their own: less is done before a pool has started."""


class Verdict(NamedTuple):
    """What most callers want; the direction as int8."""

    average: NDArray[float64]
    direction: NDArray[int8]


class Layers(NamedTuple):
    """What the six types say, (columns, 6, bars): layer-1 signals and layer-2 equities."""

    signals: NDArray[float64]
    weights: NDArray[float64]


class AllOfIt(NamedTuple):
    """What the law says at each bar, from one pass; the direction as int8."""

    verdict: Verdict
    layers: Layers


class Members(NamedTuple):
    """The nine members of one type, (columns, 9, bars): the calibration view."""

    moving_averages: NDArray[float64]
    states: NDArray[int8]
    equities: NDArray[float64]

    def pick(self, where: Any) -> Members:
        """The same part of each."""
        return Members(self.moving_averages[where], self.states[where], self.equities[where])


_V = TypeVar("_V", Verdict, Layers)


def check_backend(backend: str | None) -> None:
    """Raise for an engine that is not here; None or "auto" leaves the choice to `ATC_BACKEND`, then to us.

    An `ATC_BACKEND` of worker processes is for sweeps and leaves a single configuration where it is.
    """
    asked = backend
    if backend in (None, "auto"):
        asked = os.environ.get("ATC_BACKEND") or "auto"
        asked = "auto" if asked in ("loky", "dask") else asked
    if asked not in BACKENDS:
        raise ValueError(
            f"backend {asked!r} cannot compute a single configuration here; allowed are "
            f"{' and '.join(repr(name) for name in BACKENDS)}, both of which use this process and its threads"
        )


def job_count() -> int:
    """How many threads columns may run on: `ATC_JOBS`, or else as many as there are processors for us.

    `NUMBA_NUM_THREADS` counts too: joblib sets it in its workers to each one's share of the processors.
    """
    asked = os.environ.get("ATC_JOBS") or os.environ.get("NUMBA_NUM_THREADS") or "-1"
    try:
        jobs = int(asked)
    except ValueError:
        jobs = 0
    if jobs == 0 or jobs < -1:
        raise ValueError(f"ATC_JOBS must be a whole number >= 1, or -1 for all processors; got {asked!r}")
    return jobs if jobs > 0 else _processors()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def component(params: AtcParams, type_: str) -> Component:
    """The average a type takes and its nine lengths."""
    average = {"sma": "SMA", "hull": "HULL"}[params.hma_mode] if type_ == "HMA" else type_
    return average, params.lengths(type_)


def component_type(average: str) -> str:
    """The type that takes an average."""
    return "HMA" if average in ("SMA", "HULL") else average


@functools.lru_cache(maxsize=1024)
def _layout(params: AtcParams, types: tuple[str, ...], bars: int | None) -> Layout:
    """Room for the averages of these types, none longer than one bar more than the series has.

    Such an average is never defined, however long it is.
    """
    components = [component(params, type_) for type_ in types]
    if bars is not None:
        components = [(average, tuple(min(length, bars + 1) for length in lengths)) for average, lengths in components]
    return lay_out(tuple(components))


def verdict(prices: Prices, params: AtcParams) -> Verdict:
    """Average and direction of every column."""
    out = _room_for_verdict(prices)
    _run(prices, params, TYPES, **out._asdict())
    return _delayed(out) if params.strategy_mode else out


def layers(prices: Prices, params: AtcParams) -> Layers:
    """Layer-1 signals and layer-2 equities of every column."""
    out = _room_for_layers(prices)
    _run(prices, params, TYPES, **out._asdict())
    return _delayed(out) if params.strategy_mode else out


def all_of_it(prices: Prices, params: AtcParams) -> AllOfIt:
    """Both, for one pass instead of two."""
    out = AllOfIt(_room_for_verdict(prices), _room_for_layers(prices))
    _run(prices, params, TYPES, **out.verdict._asdict(), **out.layers._asdict())
    return AllOfIt(_delayed(out.verdict), _delayed(out.layers)) if params.strategy_mode else out


def members(prices: Prices, params: AtcParams, type_: str) -> Members:
    """Averages, trend states and equities of the nine members of one type."""
    columns, bars = prices.close.shape
    shape = (columns, len(params.lengths(type_)), bars)
    out = Members(np.empty(shape), np.empty(shape, np.int8), np.empty(shape))
    order = _run(prices, params, (type_,), **out._asdict())[0]
    return out.pick((slice(None), order))


def _room_for_verdict(prices: Prices) -> Verdict:
    shape = prices.close.shape
    return Verdict(np.empty(shape), np.empty(shape, np.int8))


def _room_for_layers(prices: Prices) -> Layers:
    columns, bars = prices.close.shape
    return Layers(np.empty((columns, len(TYPES), bars)), np.empty((columns, len(TYPES), bars)))


def _delayed(out: _V) -> _V:
    """One bar later, in place; the weights stay where they are."""
    for name, array in out._asdict().items():
        if name != "weights":
            array[..., 1:] = array[..., :-1]
            array[..., 0] = 0 if name == "direction" else np.nan
    return out


_FLAT, _DEEP = (0, 0), (0, 0, 0)
_NOTHING = Outputs(
    average=np.empty(_FLAT),
    direction=np.empty(_FLAT, np.int8),
    signals=np.empty(_DEEP),
    weights=np.empty(_DEEP),
    moving_averages=np.empty(_DEEP),
    states=np.empty(_DEEP, np.int8),
    equities=np.empty(_DEEP),
)


def _run(prices: Prices, params: AtcParams, types: tuple[str, ...], **wanted: NDArray[Any]) -> NDArray[int64]:
    """Fill the arrays in `wanted`; returns which members of the pass the nine of each type are."""
    columns, bars = prices.close.shape
    longest = max(map(params.longest, types))
    layout = _layout(params, types, bars if longest > bars else None)
    weights = np.array([params.weight(type_) for type_ in types])
    cutout = min(params.cutout, bars)
    growth = growth_table(bars - cutout, params.lambda_ / 1000)
    out = _NOTHING._replace(**wanted)

    def work(first: int, last: int) -> None:
        evaluate(  # type: ignore[no-untyped-call]
            prices.close,
            prices.source,
            prices.counts,
            growth,
            cutout,
            1 - params.decay / 100,
            params.long_threshold,
            params.short_threshold,
            layout,
            weights,
            first,
            last,
            out,
        )

    jobs = min(columns, job_count()) if columns * bars >= 2 * _THREAD_BARS else 1
    # Not more parts than threads: each call makes a workspace, and the pages it touches cost more than it saves.
    share(work, columns, jobs, -(-columns // jobs))
    return layout.components
