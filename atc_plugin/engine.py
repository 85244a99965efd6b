"""The CPU engine: from prices and parameters to the law's arrays, columns on threads.

Arrays here are packed as in `Prices`: (columns, bars) with each column's own bars at the front of its row; what lies
beyond is unspecified.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from .crossovers import processors, tuned
from .law.growth import growth_table
from .params import HMA_AVERAGES, TYPES, AtcParams
from .profiles import preferred_jobs
from .threads import share

if TYPE_CHECKING:
    from .law.layout import Component, Layout
    from .law.tiles import Outputs
    from .prices import Prices

_THREAD_BARS = 20_000
"""Bars worth a thread of their own: less is done before a pool has started."""


_VERDICT = 9  # bytes a bar


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


class Resumable(NamedTuple):
    """What the law says at each bar, never delayed, and where it can be resumed once there are more bars.

    All but the direction is the same whatever the thresholds and `strategy_mode`.
    """

    verdict: Verdict
    layers: Layers | None
    states: NDArray[float64]  # (columns, size); size is 0 where no column can be resumed

    @property
    def begins(self) -> NDArray[int64]:
        """The bar where each column is resumed, (columns,); 0 where it has to be computed from the start."""
        columns, size = self.states.shape
        return self.states[:, 0].astype(np.int64) if size else np.zeros(columns, np.int64)


class Members(NamedTuple):
    """The nine members of one type, (columns, 9, bars): the calibration view."""

    moving_averages: NDArray[float64]
    states: NDArray[int8]
    equities: NDArray[float64]

    def pick(self, where: Any) -> Members:
        """The same part of each."""
        return Members(self.moving_averages[where], self.states[where], self.equities[where])


_V = TypeVar("_V", Verdict, Layers)
_N = TypeVar("_N", bound=np.generic)


def job_count() -> int:
    """How many threads columns may run on: those of a profile, `ATC_JOBS`, what `tune` found best, or all processors.

    `NUMBA_NUM_THREADS` counts too: joblib sets it in its workers to each one's share of the processors.
    """
    asked = preferred_jobs(("ATC_JOBS", "NUMBA_NUM_THREADS"))
    if asked is None:
        return min(tuned().jobs or processors(), processors())
    try:
        jobs = int(asked)
    except ValueError:
        jobs = 0
    if jobs == 0 or jobs < -1:
        raise ValueError(f"ATC_JOBS must be a whole number >= 1, or -1 for all processors; got {asked!r}")
    return jobs if jobs > 0 else processors()


def is_loaded() -> bool:
    """Whether this process has the kernels that a first call has to load, which takes longer than most computing."""
    return "atc_plugin.law.tiles" in sys.modules


class Regime(NamedTuple):
    """What all equities of a combination grow and decay by, and when they start."""

    lambda_: float
    decay: float
    cutout: int


def component(params: AtcParams, type_: str) -> Component:
    """The average a type takes and its nine lengths."""
    average = HMA_AVERAGES[params.hma_mode].average if type_ == "HMA" else type_
    return average, params.lengths(type_)


def component_type(average: str) -> str:
    """The type that takes an average."""
    return "HMA" if any(average == row.average for row in HMA_AVERAGES.values()) else average


@functools.lru_cache(maxsize=1024)
def _layout(params: AtcParams, types: tuple[str, ...], bars: int | None) -> Layout:
    """Room for the averages of these types, none longer than one bar more than the series has.

    Such an average is never defined, however long it is.
    """
    from .law.layout import lay_out

    components = [component(params, type_) for type_ in types]
    if bars is not None:
        components = [(average, tuple(min(length, bars + 1) for length in lengths)) for average, lengths in components]
    return lay_out(tuple(components))


def verdict(prices: Prices, params: AtcParams) -> Verdict:
    """Average and direction of every column."""
    out = _room_for_verdict(prices)
    _run(prices, params, TYPES, **out._asdict())
    return delayed(out) if params.strategy_mode else out


def layers(prices: Prices, params: AtcParams) -> Layers:
    """Layer-1 signals and layer-2 equities of every column."""
    out = _room_for_layers(prices)
    _run(prices, params, TYPES, **out._asdict())
    return delayed(out) if params.strategy_mode else out


def all_of_it(prices: Prices, params: AtcParams) -> AllOfIt:
    """Both, for one pass instead of two."""
    out = AllOfIt(_room_for_verdict(prices), _room_for_layers(prices))
    _run(prices, params, TYPES, **out.verdict._asdict(), **out.layers._asdict())
    return AllOfIt(delayed(out.verdict), delayed(out.layers)) if params.strategy_mode else out


def resumable(
    prices: Prices, params: AtcParams, earlier: Resumable | None = None, with_layers: bool = False
) -> Resumable:
    """The same without the delay of `strategy_mode` (`delayed` adds it), each column from where `earlier` left it.

    Prices of fewer bars than the longest average has cannot be resumed: averages are cut short there.

    Args:
        prices: Begin with the very bars that `earlier` is of, column by column.
        params: As in `earlier`; only thresholds and `strategy_mode` may differ.
        earlier: What this function gave for the beginning of these prices. Only what stands before `begins` is read.
        with_layers: Compute signals and weights too; then `earlier` has to have them.

    Raises:
        ValueError: `earlier` has no layers, or is of other parameters or prices by its shape.
    """
    from .law.resuming import state_size

    layout, is_whole = _layout_for(prices, params, TYPES)
    size = state_size(layout, layout.members, len(layout.components)) if is_whole else 0
    states = np.zeros((len(prices.close), size))
    out = Resumable(_room_for_verdict(prices), _room_for_layers(prices) if with_layers else None, states)
    if earlier is not None and earlier.begins.any():
        _begin_with(earlier, out, prices.counts)
    wanted: dict[str, NDArray[Any]] = out.verdict._asdict()
    if out.layers is not None:
        wanted |= out.layers._asdict()
    _run(prices, params, TYPES, states, **wanted)
    return out


def _begin_with(earlier: Resumable, out: Resumable, counts: NDArray[int64]) -> None:
    """Copy what there was, after a look at whether it can have been of these prices and parameters."""
    if earlier.states.shape != out.states.shape:
        raise ValueError(
            f"earlier: states of shape {earlier.states.shape} are not those of these parameters and columns, "
            f"{out.states.shape}"
        )
    begins, last = earlier.begins, earlier.verdict.average.shape[1]
    beyond = (begins < 0) | ((begins > 0) & (begins >= np.minimum(counts, last)))
    if beyond.any():
        column = int(beyond.argmax())
        raise ValueError(
            f"earlier: column {column} is to be resumed at bar {begins[column]:,}; "
            f"it has {counts[column]:,} bars, and had {last:,} at most"
        )
    if out.layers is not None and earlier.layers is None:
        raise ValueError("earlier: it was computed without layers, so they cannot be resumed")
    out.states[:] = earlier.states
    pairs = [(earlier.verdict.average, out.verdict.average)]
    if out.layers is not None and earlier.layers is not None:
        pairs += zip(earlier.layers, out.layers, strict=True)
    for before, now in pairs:
        for column, begin in enumerate(begins):
            now[column, ..., :begin] = before[column, ..., :begin]


def members(prices: Prices, params: AtcParams, type_: str) -> Members:
    """Averages, trend states and equities of the nine members of one type."""
    columns, bars = prices.close.shape
    shape = (columns, len(params.lengths(type_)), bars)
    out = Members(np.empty(shape), np.empty(shape, np.int8), np.empty(shape))
    order = _run(prices, params, (type_,), **out._asdict())[0]
    return out.pick((slice(None), order))


def _room_for_verdict(prices: Prices) -> Verdict:
    """In one piece of memory, which `piece_of` gives to whoever keeps it."""
    columns, bars = prices.close.shape
    return in_piece(np.empty(columns * bars * _VERDICT, np.uint8), (columns, bars))


def in_piece(piece: NDArray[np.uint8], shape: tuple[int, int]) -> Verdict:
    """Average and direction (columns, bars) that lie in a piece of memory."""
    end = shape[0] * shape[1] * 8
    return Verdict(piece[:end].view(float64).reshape(shape), piece[end:].view(int8).reshape(shape))


def piece_of(verdict: Verdict) -> NDArray[np.uint8]:
    """The piece of memory in which both lie, one after the other; a copy where they do not."""
    piece = verdict.average.base
    if piece is not None and piece is verdict.direction.base and piece.size == verdict.average.size * _VERDICT:
        return piece
    return np.concatenate([part.reshape(-1).view(np.uint8) for part in verdict])


def _room_for_layers(prices: Prices) -> Layers:
    columns, bars = prices.close.shape
    return Layers(np.empty((columns, len(TYPES), bars)), np.empty((columns, len(TYPES), bars)))


def delayed(out: _V) -> _V:
    """One bar later; the weights stay where they are, and are shared."""
    return out._replace(**{name: array if name == "weights" else late(array) for name, array in out._asdict().items()})


def late(array: NDArray[_N]) -> NDArray[_N]:
    """An output one bar later; what comes in first is NaN, or 0 for a direction."""
    later = np.empty_like(array)
    later[..., 1:] = array[..., :-1]
    later[..., 0] = np.nan if array.dtype.kind == "f" else 0
    return later


@functools.cache
def _nothing() -> Outputs:
    """Outputs of which none is wanted."""
    from .law.tiles import Outputs

    flat, deep = (0, 0), (0, 0, 0)
    return Outputs(
        average=np.empty(flat),
        direction=np.empty(flat, np.int8),
        signals=np.empty(deep),
        weights=np.empty(deep),
        moving_averages=np.empty(deep),
        states=np.empty(deep, np.int8),
        equities=np.empty(deep),
    )


def _layout_for(prices: Prices, params: AtcParams, types: tuple[str, ...]) -> tuple[Layout, bool]:
    """The layout of a pass over these prices, and whether it is the one that more bars would have too."""
    bars = prices.close.shape[1]
    longest = max(map(params.longest, types))
    return _layout(params, types, bars if longest > bars else None), longest <= bars


def _run(
    prices: Prices,
    params: AtcParams,
    types: tuple[str, ...],
    to_resume: NDArray[float64] | None = None,  # states of the columns
    **wanted: NDArray[Any],
) -> NDArray[int64]:
    """Fill the arrays in `wanted` from where each column begins; returns which members the nine of each type are."""
    from .law.tiles import evaluate  # here: numba takes half a second, and what is kept needs none of it

    columns, bars = prices.close.shape
    layout, _ = _layout_for(prices, params, types)
    weights = np.array([params.weight(type_) for type_ in types])
    cutout = min(params.cutout, bars)
    growth = growth_table(bars - cutout, params.lambda_ / 1000)
    out = _nothing()._replace(**wanted)
    to_resume = np.empty((columns, 0)) if to_resume is None else to_resume

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
            to_resume,
            out,
        )

    jobs = min(columns, job_count()) if columns * bars >= 2 * _THREAD_BARS else 1
    # Not more parts than threads: each call makes a workspace, and the pages it touches cost more than it saves.
    share(work, columns, jobs, -(-columns // jobs))
    return layout.components
