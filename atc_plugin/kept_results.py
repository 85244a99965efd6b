"""One configuration's outputs out of the store, as far as it has them: whole, put together of components, or grown.

Records are of single columns and never delayed; what a column lacks is computed, and kept where that is worth it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import engine
from .cache.settings import store_of
from .cache.store import Looked, Store
from .column_results import from_records, layers_record, one_column, side_by_side, some_columns, verdict_record
from .growing import earlier_lengths, is_warmed, mark_as_warmed, remember
from .kept_components import find_components, specs_of
from .keys import begun, column_key, column_name, platform_key
from .law.voting import average_of_components, direction_of_average, is_tame
from .params import TYPES, AtcParams
from .prices import Prices

KIND = "result"

LONG = 20_000
"""Bars from which on a column is worth a look at the disk, unless it was warmed: below, computing is as quick."""

BRIEF = 4_000
"""Bars, of all columns together, below which a look in memory that finds nothing would cost more than 5 percent."""

_SECONDS_A_BAR = 7e-8
_FORMAT = 1
_V = TypeVar("_V", engine.Verdict, engine.Layers)


class Found(NamedTuple):
    """What the store has of average and direction, and what it would like to have."""

    whole: engine.Verdict | None  # of all columns, delayed where that is asked
    parts: dict[int, engine.Verdict]  # of single columns (1, own bars), never delayed
    missing: list[int]  # columns that neither says anything of
    keep: Callable[[engine.Verdict], None] | None  # takes those, never delayed, side by side as `some_columns` has them
    takes_all: bool  # whether it wants them even if nobody else does


class KeptResults:
    """Outputs of one configuration for all columns of prices, from the store where it has them.

    Args:
        prices: the columns.
        params: the configuration.
        cache: True for the store of this machine, which takes what is worth it, False for none; a directory or a
            `Store` takes all.
    """

    def __init__(self, prices: Prices, params: AtcParams, cache: bool | str | os.PathLike[str] | Store) -> None:
        self._prices, self._params = prices, params
        self._store, self._takes_all = store_of(cache)

    def verdict(self) -> engine.Verdict:
        """Average and direction; they may not be written to."""
        store = self._store
        if store is None:
            return engine.verdict(self._prices, self._params)
        if not self._may_be_on_disk(store):
            if self._prices.close.size < BRIEF:
                return engine.verdict(self._prices, self._params)
            return self._in_memory(store)
        out = _Columns(self._prices, self._params, store, self._takes_all, False).outputs().verdict
        return engine.delayed(out) if self._params.strategy_mode else out

    def look(self) -> Found:
        """Average and direction as far as they are there, for whoever computes the rest elsewhere."""
        store, every = self._store, list(range(len(self._prices.counts)))
        if store is None:
            return Found(None, {}, every, None, False)
        if self._may_be_on_disk(store):
            columns = _Columns(self._prices, self._params, store, self._takes_all, False)
            parts, missing = columns.found()
            verdicts = {column: said.verdict for column, said in parts.items()}
            return Found(None, verdicts, missing, columns.keep_verdicts(missing), self._takes_all)
        if self._prices.close.size < BRIEF:
            return Found(None, {}, every, None, False)
        key = self._frame_key()
        held = self._held(store, key)
        if held is not None:
            return Found(held, {}, [], None, False)
        store.statistics.miss(KIND, "not worth storing")

        def keep(made: engine.Verdict) -> None:
            out = engine.delayed(made) if self._params.strategy_mode else made
            store.recent.put(key, engine.piece_of(out), KIND)

        return Found(None, {}, every, keep, False)

    def all_of_it(self) -> engine.AllOfIt:
        """Average, direction, signals and weights; they may not be written to."""
        store = self._store
        if store is None or not self._may_be_on_disk(store):
            return engine.all_of_it(self._prices, self._params)
        out = _Columns(self._prices, self._params, store, self._takes_all, True).outputs()
        assert out.layers is not None
        if self._params.strategy_mode:
            return engine.AllOfIt(engine.delayed(out.verdict), engine.delayed(out.layers))
        return engine.AllOfIt(out.verdict, out.layers)

    def layers(self) -> engine.Layers:
        """Signals and weights; they may not be written to."""
        is_quick = not self._takes_all and self._prices.close.shape[1] < LONG and engine.is_loaded()
        if self._store is None or is_quick or not self._may_be_on_disk(self._store):
            return engine.layers(self._prices, self._params)
        return self.all_of_it().layers

    def _may_be_on_disk(self, store: Store) -> bool:
        if self._takes_all or self._prices.close.shape[1] >= LONG or not engine.is_loaded():
            return True
        warmed = store.disk.warmed
        if not warmed:
            return False
        names = (column_name(column_key(*self._prices.own(column))) for column in range(len(self._prices.counts)))
        return any(map(warmed.had, names))

    def _in_memory(self, store: Store) -> engine.Verdict:
        """Short columns are computed in less time than a file takes; all of them together are held in memory.

        Every microsecond counts here: computing takes a hundred of them.
        """
        key = self._frame_key()
        held = self._held(store, key)
        if held is not None:
            return held
        out = engine.verdict(self._prices, self._params)
        store.statistics.miss(KIND, "not worth storing")
        store.recent.put(key, engine.piece_of(out), KIND)
        return _frozen(out)

    def _held(self, store: Store, key: str) -> engine.Verdict | None:
        started = time.perf_counter()
        held = store.recent.get(key)
        if held is None:
            return None
        store.statistics.hit("recent", KIND, held.nbytes, time.perf_counter() - started)
        return engine.in_piece(held, self._prices.close.shape)

    def _frame_key(self) -> str:
        prices = self._prices
        ends = "" if prices.valid is None else prices.counts.tobytes().hex()
        columns = column_key(prices.close, prices.source)
        return f"{KIND} {_FORMAT} frame {columns} {prices.close.shape} {ends} {self._params.canonical()}"


def keep_results(prices: Prices, params: AtcParams, store: Store) -> tuple[int, int]:
    """Keep average and direction of every column, computing what is not there; how many were there, and of how many."""
    columns = _Columns(prices, params, store, True, False)
    missing = columns.missing()
    if missing:
        columns.outputs(whole=True)
    return len(columns) - len(missing), len(columns)


def are_results_kept(prices: Prices, params: AtcParams, store: Store) -> bool:
    """Whether average and direction of every column are kept."""
    return not _Columns(prices, params, store, True, False).missing()


class _Columns:
    """Columns one by one: found, put together, grown, or else computed all at once."""

    def __init__(self, prices: Prices, params: AtcParams, store: Store, takes_all: bool, with_layers: bool) -> None:
        self._prices, self._params, self._store = prices, params, store
        self._takes_all, self._with_layers = takes_all, with_layers
        self._columns = [column for column, count in enumerate(prices.counts) if count]
        self._keys: dict[int, str] = {}  # of those, once they were looked for

    def __len__(self) -> int:
        return len(self._columns)

    def missing(self) -> list[int]:
        """Columns of which no record is kept; counts as no use."""
        return [
            column
            for column in self._columns
            if not self._store.is_kept(self._key(column_key(*self._prices.own(column))))
        ]

    def outputs(self, whole: bool = False) -> engine.Resumable:
        """What the law says of every column, without delay; with `whole` not put together of components."""
        parts, missing = self.found(whole)
        if missing:
            made = engine.resumable(some_columns(self._prices, missing), self._params, None, self._with_layers)
            parts |= self._keep_all(missing, made)
        if self._takes_all:
            self._store.flush()
        return side_by_side(parts, self._prices.close.shape, self._with_layers)

    def found(self, whole: bool = False) -> tuple[dict[int, engine.Resumable], list[int]]:
        """What can be had of columns without computing them from the start, and the columns of which nothing can."""
        self._keys = {column: column_key(*self._prices.own(column)) for column in self._columns}
        said = zip(self._columns, self._found(list(self._keys.values()), whole), strict=True)
        parts = {column: one for column, one in said if one is not None}
        return parts, [column for column in self._columns if column not in parts]

    def keep_verdicts(self, missing: list[int]) -> Callable[[engine.Verdict], None]:
        """What takes the columns that were missing, computed elsewhere; they can be found, and not be resumed."""

        def keep(made: engine.Verdict) -> None:
            self._keep_all(missing, engine.Resumable(made, None, np.empty((len(missing), 0))))
            if self._takes_all:
                self._store.flush()

        return keep

    def _keep_all(self, missing: list[int], made: engine.Resumable) -> dict[int, engine.Resumable]:
        parts = {}
        for place, column in enumerate(missing):
            parts[column] = one_column(made, place, int(self._prices.counts[column]))
            self._keep(column, self._keys[column], parts[column], False)
        return parts

    def _found(self, keys: list[str], whole: bool) -> Iterator[engine.Resumable | None]:
        """What can be had of each column without computing it from the start."""
        verdicts = self._store.look_many([(self._key(key),) for key in keys], KIND)
        layers = []
        if self._with_layers:
            layers = self._store.look_many([(self._key(key, "layers"),) for key in keys], KIND)
        for place, (column, key) in enumerate(zip(self._columns, keys, strict=True)):
            looked = [verdicts[place], *layers[place : place + 1]]
            started = time.perf_counter()
            said = None
            if all(each.array is not None for each in looked):
                said = from_records(*(each.array for each in looked))
            elif (said := self._grown(column)) is not None:
                looked = [Looked("earlier", said.verdict.average, "", time.perf_counter() - started)]
            elif not whole and (said := self._put_together(column, key)) is not None:
                looked = [Looked("components", said.verdict.average, "", time.perf_counter() - started)]
            worst = next((each for each in looked if each.array is None), looked[0])
            self._store.count(worst, KIND)
            yield said

    def _put_together(self, column: int, key: str) -> engine.Resumable | None:
        """From six components, if the column was warmed and all are kept."""
        if not (warmed := self._store.disk.warmed) or column_name(key) not in warmed:
            return None
        close, _ = self._prices.own(column)
        params = self._params
        if self._with_layers and not is_tame(close, [params.lambda_], max(map(params.weight, TYPES))):
            return None  # hundredths in a byte cannot say what overflow leads to
        rows = find_components(self._store, key, specs_of(params))
        if rows is None:
            return None
        hundredths = np.stack([row.signals for row in rows])
        weights = np.stack([row.weights for row in rows])
        average = average_of_components(hundredths, weights)
        direction = direction_of_average(average, params.long_threshold, params.short_threshold)
        layers = None
        if self._with_layers:
            signals = hundredths / 100.0
            signals[:, : params.cutout] = np.nan
            layers = engine.Layers(signals[np.newaxis], weights[np.newaxis])
        verdict = engine.Verdict(average[np.newaxis], direction[np.newaxis])
        said = engine.Resumable(verdict, layers, np.empty((1, 0)))
        self._keep(column, key, said, False)  # the next time it is found whole
        return said

    def _grown(self, column: int) -> engine.Resumable | None:
        """From what is kept of a column that this one begins with."""
        close, source = self._prices.own(column)
        for bars in earlier_lengths(self._store, close):
            before = begun(close, source, bars)
            old = column_key(*before)
            records = [self._store.look(self._key(old)).array]
            if self._with_layers:
                records.append(self._store.look(self._key(old, "layers")).array)
            if any(record is None for record in records):
                continue
            earlier = from_records(*records)
            if not earlier.begins.any():
                continue
            try:
                said = engine.resumable(some_columns(self._prices, [column]), self._params, earlier, self._with_layers)
            except ValueError:  # of another version of ours
                continue
            said = one_column(said, 0, close.size)
            self._keep(column, column_key(close, source), said, is_warmed(self._store, *before))
            return said
        return None

    def _keep(self, column: int, key: str, said: engine.Resumable, warmed: bool) -> None:
        """Have a column written behind the caller's back if that is worth it."""
        _frozen(said.verdict)
        if said.layers is not None:
            _frozen(said.layers)
        close, source = self._prices.own(column)
        store, always = self._store, self._takes_all or warmed
        seconds = close.size * _SECONDS_A_BAR

        def verdict() -> NDArray[Any]:  # where it is written, runs when it has been decided that it is worth it
            if warmed:
                mark_as_warmed(store, close, source)
            elif said.states.size:
                remember(store, close)
            return verdict_record(said)

        def layers() -> NDArray[Any]:
            assert said.layers is not None
            return layers_record(said.layers)

        parts = [("verdict", verdict, 9)] + [("layers", layers, 54)] * (said.layers is not None)
        for part, make, width in parts:
            name = self._key(key, part)
            if always or close.size >= LONG:
                store.put_later(name, make, width * close.size, KIND, seconds=seconds, if_worth=not always)
            elif part == "verdict" and store.recent.takes(width * close.size):
                store.recent.put(name, verdict_record(said), KIND)

    def _key(self, column: str, part: str = "verdict") -> str:
        return f"{KIND} {_FORMAT} {part} {platform_key()} {column} {self._params.canonical()}"


def _frozen(kept: _V) -> _V:
    """Not ours alone from here on: whoever hands it out has to copy."""
    for array in kept:
        array.flags.writeable = False
    return kept
