"""Components made before, of all columns, bounded in bytes: what trials share."""

from __future__ import annotations

import operator
import threading
from collections.abc import Sequence
from typing import NamedTuple

import cachetools
import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from ..cache.store import Store
from ..engine import Regime
from ..kept_components import Spec, find_warmed, specs_of
from ..law.components import Wanted
from ..params import LENGTH_NAMES, TYPES, AtcParams
from ..prices import Prices
from ..sweeps.components import resumable_components

_EXTRA = 500  # bytes that a component of a column takes beside its series

# What each type's component depends on. A Spec says it better and takes ten times as long to make.
_READ = [
    operator.attrgetter(
        LENGTH_NAMES[type_],
        f"{type_.lower()}_w",
        "robustness",
        "lambda_",
        "decay",
        "cutout",
        *(["hma_mode"] if type_ == "HMA" else []),
    )
    for type_ in TYPES
]


class Series(NamedTuple):
    """A component over the bars of one column; not to be written to."""

    signals: NDArray[int8]  # layer 1 in hundredths
    weights: NDArray[float64]  # layer 2
    largest: float  # weight from the start on; not finite where one is not


class ComponentPool:
    """Gives the components of combinations; for any number of threads.

    Args:
        prices: the columns.
        columns: which of them.
        store: where components that were warmed are read.
        room: bytes; those longest unused go when there is no more.
    """

    def __init__(self, prices: Prices, columns: Sequence[int], store: Store | None, room: int) -> None:
        self._prices, self._columns, self._store = prices, columns, store
        self._size = sum(9 * int(prices.counts[column]) + _EXTRA for column in columns)
        self._held: cachetools.LRUCache[object, tuple[Series, ...]] = cachetools.LRUCache(room // self._size)
        self._lock = threading.Lock()
        self.made = 0  # components that were not there

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        with self._lock:
            return len(self._held) * self._size

    def six(self, params: AtcParams) -> list[tuple[Series, ...]]:
        """The components of a combination in the order of the types, each over all columns.

        Those that are not there are computed together. Two threads that miss the same one both compute it.
        """
        keys = [(place, *read(params)) for place, read in enumerate(_READ)]
        with self._lock:
            found = [self._held.get(key) for key in keys]
        missing = [place for place, one in enumerate(found) if one is None]
        if missing:
            specs = specs_of(params)
            made = self._make([specs[place] for place in missing])
            with self._lock:
                self.made += len(missing)
                for place, one in zip(missing, made, strict=True):
                    found[place] = one
                    if self._held.maxsize:
                        self._held[keys[place]] = one
        return found  # type: ignore[return-value]

    def _make(self, specs: list[Spec]) -> list[tuple[Series, ...]]:
        """Components of one regime over all columns, out of the store or in one pass a column."""
        columns = []
        regime = Regime(specs[0].lambda_, specs[0].decay, specs[0].cutout)
        for column in self._columns:
            close, source = self._prices.own(column)
            rows = None if self._store is None else find_warmed(self._store, specs, close, source)
            if rows is None:
                wanted = [Wanted((spec.average, spec.lengths), spec.weight, 0) for spec in specs]
                signals, weights, _ = resumable_components(wanted, [regime], close, source)
            else:
                signals, weights = (np.stack(series) for series in zip(*rows, strict=True))
            start = min(regime.cutout, close.size)
            columns.append([_series(*both, start) for both in zip(signals, weights, strict=True)])
        return list(zip(*columns, strict=True))


def _series(signals: NDArray[int8], weights: NDArray[float64], start: int) -> Series:
    """Copies: a row would hold its whole matrix."""
    return Series(signals.copy(), weights.copy(), float(weights[start:].max(initial=0.0)))
