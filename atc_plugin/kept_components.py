"""Components in the store: matrices of a type's layer-1 signals and layer-2 equities for aligned ranges of lengths.

A block holds the components of one column that differ in their base length alone, within 16 lengths; a grid of any step
finds what another has left. Its components are computed in one pass, which can be resumed once the column has grown.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from . import engine
from .cache.store import Looked, Store
from .growing import earlier_lengths, is_warmed, mark_as_warmed
from .keys import begun, column_key, column_name, platform_key
from .params import TYPES, AtcParams
from .records import as_record

if TYPE_CHECKING:
    from .law.turns import Components
    from .sweeps.planning import Plan

KIND = "components"

LONG = 20_000
"""Bars from which on components of a column that has grown are resumed."""

_RANGE = 16  # base lengths of a block
_FORMAT = 1


class Spec(NamedTuple):
    """What a component depends on beside the prices."""

    average: str  # as `engine.component` names it
    lengths: tuple[int, ...]  # the base length first
    weight: float
    lambda_: float
    decay: float
    cutout: int

    def block(self) -> Block:
        """The block that it is in."""
        base = self.lengths[0]
        offsets = tuple(length - base for length in self.lengths)
        return Block(self.average, base // _RANGE, offsets, self.weight, self.lambda_, self.decay, self.cutout)


class Block(NamedTuple):
    """What the components of a block share."""

    average: str
    place: int  # of its lengths among ranges
    offsets: tuple[int, ...]
    weight: float
    lambda_: float
    decay: float
    cutout: int

    def key(self, column: str) -> str:
        """The text it is kept under."""
        words = " ".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{KIND} {_FORMAT} {platform_key()} {column} {words}"

    def spec(self, base: int) -> Spec:
        """Its component of this base length."""
        lengths = tuple(base + offset for offset in self.offsets)
        return Spec(self.average, lengths, self.weight, self.lambda_, self.decay, self.cutout)


class Row(NamedTuple):
    """A component's series over the bars of a column; not to be written to."""

    signals: NDArray[int8]  # layer 1 in hundredths
    weights: NDArray[float64]  # layer 2


class Obtained(NamedTuple):
    """Components in the order in which they were asked for, and where their blocks came from."""

    rows: list[Row]
    there: int  # blocks that were kept of this very column
    resumed: int  # continued from a column of fewer bars
    made: int  # computed from the start


def specs_of(params: AtcParams) -> list[Spec]:
    """The six components of a configuration, in the order of the types."""
    specs = []
    for type_ in TYPES:
        average, lengths = engine.component(params, type_)
        specs.append(Spec(average, lengths, params.weight(type_), params.lambda_, params.decay, params.cutout))
    return specs


def are_kept(store: Store, column: str, specs: Iterable[Spec], thoroughly: bool) -> bool:
    """Whether other processes find all of these; `thoroughly`: with all lengths, which takes reading the blocks."""
    for block, bases in _by_block(specs).items():
        if not thoroughly:
            if not store.is_kept(block.key(column)):
                return False
            continue
        kept = store.read_kept(block.key(column))
        if kept is None or not bases <= _bases(kept):
            return False
    return True


def components_for(store: Store | None, plan: Plan, close: NDArray[float64], source: NDArray[float64]) -> Components:
    """All components of a plan over one column: out of the store if this was warmed, otherwise computed in one pass.

    Computing them takes about as long as reading them, so that nothing is kept without being asked; and less time than
    resuming them, unless the column is long.
    """
    from .sweeps.components import as_components, components_of

    if store is None or not store.disk.warmed:
        return components_of(plan, close, source)
    specs = specs_of_plan(plan)
    if close.size >= LONG and is_warmed(store, close, source):
        rows: list[Row] | None = find_or_make(store, specs, close, source).rows
    else:
        rows = find_warmed(store, specs, close, source)
    if rows is None:
        return components_of(plan, close, source)
    return as_components(plan, np.stack([row.signals for row in rows]), np.stack([row.weights for row in rows]))


def find_warmed(
    store: Store, specs: Sequence[Spec], close: NDArray[float64], source: NDArray[float64]
) -> list[Row] | None:
    """Components of a column from the store, where that was warmed and has all of them; looks nowhere otherwise."""
    if not store.disk.warmed or column_name(column := column_key(close, source)) not in store.disk.warmed:
        return None
    return find_components(store, column, specs)


def specs_of_plan(plan: Plan) -> list[Spec]:
    """The components of a plan, in its order."""
    return [Spec(one.average, one.lengths, one.weight, *plan.regimes[one.regime]) for one in plan.components]


def find_or_make(store: Store, specs: Sequence[Spec], close: NDArray[float64], source: NDArray[float64]) -> Obtained:
    """Components of a column from the store, and those that it lacks computed and kept, block by block.

    Blocks are asked for together. One that is kept of a column that this one begins with costs its new bars. What was
    computed is written behind the caller.
    """
    found = _Blocks(store, column_key(close, source), specs)
    resumed, made = found.make(close, source)
    found.count()
    return Obtained(found.rows(specs), len(found.wanted) - resumed - made, resumed, made)


def find_components(store: Store, column: str, specs: Sequence[Spec]) -> list[Row] | None:
    """Components of a column (by its `keys.column_key`) from the store, where it has all of them."""
    found = _Blocks(store, column, specs)
    if not all(map(found.has, found.wanted)):
        return None
    found.count()
    return found.rows(specs)


class _Blocks:
    """The blocks of some components of one column."""

    def __init__(self, store: Store, column: str, specs: Sequence[Spec]) -> None:
        self._store, self._column = store, column
        self.wanted = _by_block(specs)
        keys = [(block.key(column),) for block in self.wanted]
        self._looked = dict(zip(self.wanted, store.look_many(keys, KIND), strict=True))
        self._records = {block: looked.array for block, looked in self._looked.items()}

    def has(self, block: Block) -> bool:
        """Whether a block has all components that are wanted of it."""
        record = self._records[block]
        return record is not None and self.wanted[block] <= _bases(record)

    def count(self) -> None:
        """Put what was found into the statistics."""
        for looked in self._looked.values():
            self._store.count(looked, KIND)

    def rows(self, specs: Sequence[Spec]) -> list[Row]:
        """The components in this order."""
        rows = []
        for spec in specs:
            record = self._records[spec.block()]
            assert record is not None
            place = record["lengths"][0].tolist().index(spec.lengths[0])
            rows.append(Row(record["signals"][0, place], record["weights"][0, place]))
        return rows

    def make(self, close: NDArray[float64], source: NDArray[float64]) -> tuple[int, int]:
        """Compute and keep what is not there; how many blocks from where a shorter column left them, how many anew."""
        missing = [block for block in self.wanted if not self.has(block)]
        if not missing:
            return 0, 0
        shorter = [column_key(*begun(close, source, bars)) for bars in earlier_lengths(self._store, close)]
        resumed = 0
        for block in missing:
            started = time.perf_counter()
            earlier = self._earlier(block, shorter)
            record = self._computed(block, earlier, close, source)
            seconds = time.perf_counter() - started
            key = block.key(self._column)
            self._store.put_later(key, functools.partial(_same, record), record.nbytes, KIND, seconds=seconds)
            if earlier is not None:
                resumed += 1
                self._looked[block] = Looked("earlier", record, "", seconds)
            elif self._looked[block].array is not None:  # it is there, but not all that is wanted
                self._looked[block] = Looked("", None, "never stored", seconds)
            self._records[block] = record
        if resumed:
            mark_as_warmed(self._store, close, source)
        return resumed, len(missing) - resumed

    def _earlier(self, block: Block, shorter: list[str]) -> NDArray[Any] | None:
        """What is kept of it of a column that this one begins with, if that can be resumed."""
        for column in shorter:
            record = self._store.look(block.key(column)).array
            if record is not None and record["state"].size and self.wanted[block] <= _bases(record):
                return record
        return None

    def _computed(
        self, block: Block, earlier: NDArray[Any] | None, close: NDArray[float64], source: NDArray[float64]
    ) -> NDArray[np.void]:
        """The record of a block, with the lengths that it has already."""
        from .law.components import Wanted
        from .sweeps.components import Resumable, resumable_components

        there = self._records[block]
        bases = sorted(self.wanted[block] | (set() if there is None else _bases(there)))
        before = None
        if earlier is not None and {*bases} <= _bases(earlier):
            bases = earlier["lengths"][0].tolist()
            before = Resumable(earlier["signals"][0], earlier["weights"][0], earlier["state"][0])
        wanted = [Wanted((spec.average, spec.lengths), spec.weight, 0) for spec in map(block.spec, bases)]
        regimes = [engine.Regime(block.lambda_, block.decay, block.cutout)]
        said = resumable_components(wanted, regimes, close, source, before)
        return as_record(
            weights=said.weights, lengths=np.array(bases, np.int64), state=said.state, signals=said.signals
        )


def _by_block(specs: Iterable[Spec]) -> dict[Block, set[int]]:
    """The base lengths wanted of each block."""
    blocks: dict[Block, set[int]] = {}
    for spec in specs:
        blocks.setdefault(spec.block(), set()).add(spec.lengths[0])
    return blocks


def _same(record: NDArray[Any]) -> NDArray[Any]:
    return record


def _bases(record: NDArray[Any]) -> set[int]:
    return set(record["lengths"][0].tolist())
