"""Blocks computed by GPUs."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy import int32
from numpy.typing import NDArray

from ..accel.devices import is_device_fault
from ..accel.engines import Engine
from ..accel.launch import every_device
from ..accel.pipeline import run_in_slots
from ..accel.slots import SlotEngine
from ..kept_components import components_for
from .accumulated import Judged
from .blocks import Blocks
from .device_columns import Columns, Folded, Sweep, Tables
from .device_components import planned_bytes
from .estimates import BLOCK
from .here import judge_blocks, judge_of
from .judge import Judge, is_regular
from .open_blocks import OpenBlocks
from .pieces import Piece, pieces_of
from .ready_columns import ReadyColumns

log = logging.getLogger("atc_plugin")

_SLOTS = 3
_LEAST = 4096
"""Combinations in a piece for which it is still worth while to have several on a device."""

_ANSWER = 2**27
"""Bytes of a piece's answer at most: it comes into memory that is pinned for it, in every slot."""

_PLAIN_BYTES = 2**28  # of components that the host keeps for what the fast form is not sure of

_TOO_HIGH = 1e8
"""A close from which on the fast form is sure of nothing (`law.judging`): orders would come near the least size."""

_COMBINATIONS = 2**17
"""Combinations times columns in a piece: enough to fill a large card, few enough that pieces overlap."""

_COLUMNS = 32
"""Columns of a piece, where there are as many and memory allows: a warp reads them side by side."""


def judge_on_devices(
    blocks: Blocks, missing: Iterator[tuple[int, list[tuple[int, int]]]], jobs: int, insist: bool
) -> None:
    """The missing blocks of columns, on all devices.

    Columns that the fast form does not take are left to threads of this process; so is, unless we `insist`, what is not
    done when a device fails.
    """
    todo = _Todo(blocks, missing)
    open_blocks = OpenBlocks(BLOCK, blocks.plan.size)
    plain_way = _PlainWay(blocks, jobs)
    with contextlib.closing(_results(blocks, todo)) as results:
        while True:
            try:
                piece, folds = next(results)
            except StopIteration:
                break
            except Exception as fault:
                if insist or not is_device_fault(fault):
                    raise
                log.warning("the GPU failed; threads go on: %s: %s", type(fault).__name__, fault)
                break
            done = [
                (column, first, whole)
                for column, folded in zip(piece.columns, folds, strict=True)
                for first, whole in open_blocks.add(column, piece.first, plain_way.completed(column, piece, folded))
            ]
            seconds = open_blocks.seconds() / len(done) if done else 0.0
            for column, first, whole in done:
                blocks.done(column, first, whole, seconds, jobs)
                todo.done(column, first)
    for column, left in todo.left():
        judge_blocks(blocks, column, left, jobs)


def _results(blocks: Blocks, todo: _Todo) -> Generator[tuple[Piece, list[Folded]], None, None]:
    """Every piece with what came out of its columns; devices are asked for nothing before the first is drawn."""
    engines = every_device()
    sweep = Sweep(blocks.prices, blocks.plan, blocks.question)
    layout = _layout(sweep, engines, len(blocks.prices.counts))
    pieces = pieces_of(todo.of_devices(), layout.columns, layout.combinations)

    def ready_on(engine: Engine, tables: Tables, columns: tuple[int, ...]) -> Columns:
        return Columns(engine, sweep, tables, columns, layout.ages)

    with ReadyColumns(engines, sweep.tables, ready_on) as ready:

        def begin(engine: Engine, piece: Piece) -> Callable[[], list[Folded]]:
            return ready.on(engine, piece.columns).judged(_ids(blocks, piece))

        yield from run_in_slots(pieces, begin, engines=engines, slots=layout.slots)


def _ids(blocks: Blocks, piece: Piece) -> NDArray[int32]:
    """What the combinations of a piece are made of."""
    size, end = BLOCK, blocks.plan.size
    parts = [
        blocks.ids(start, min(start + size, end))[max(piece.first - start, 0) : piece.last - start]
        for start in range(piece.first // size * size, piece.last, size)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _PlainWay:
    """Judges what the fast form is not sure of on threads of the host, while devices go on."""

    def __init__(self, blocks: Blocks, jobs: int) -> None:
        self._blocks, self._jobs = blocks, jobs
        each = 9 * len(blocks.plan.components) * int(blocks.prices.counts.max(initial=1))
        self._judge_of = functools.lru_cache(maxsize=max(1, _PLAIN_BYTES // each))(self._made)

    def completed(self, column: int, piece: Piece, folded: Folded) -> Judged:
        """The accumulators of a piece on one column, none missing."""
        if not folded.plainly.size:
            return folded.judged
        ids = _ids(self._blocks, piece)[folded.plainly]
        return folded.complete(self._judge_of(column).judge(ids, self._jobs))

    def _made(self, column: int) -> Judge:
        components = components_for(self._blocks.store, self._blocks.plan, *self._blocks.prices.own(column))
        return judge_of(self._blocks, column, components, plainly=True)


class _Todo:
    """Blocks that are missing: those that are not handed out yet, and those that are and are not done."""

    def __init__(self, blocks: Blocks, missing: Iterator[tuple[int, list[tuple[int, int]]]]) -> None:
        self._blocks, self._missing = blocks, missing
        self._open: dict[int, dict[int, int]] = {}

    def of_devices(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Columns that devices can judge, with their missing blocks."""
        for column, todo in self._missing:
            self._open[column] = dict(todo)
            close, _ = self._blocks.prices.own(column)
            if is_regular(close, self._blocks.question.trading) and close.max() < _TOO_HIGH:
                yield column, todo

    def done(self, column: int, first: int) -> None:
        """Strike out a block."""
        del self._open[column][first]

    def left(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """All that is not done."""
        for column, todo in self._open.items():
            if todo:
                yield column, list(todo.items())
        yield from self._missing


class _Layout(NamedTuple):
    """How much a piece has, and how many are on a device at a time."""

    slots: int
    columns: int
    combinations: int
    ages: int


def _layout(sweep: Sweep, engines: Sequence[SlotEngine], columns: int) -> _Layout:
    """Pieces that fit into the memory of every device; fewer slots where they would be too small."""
    memory = planned_bytes(engines)
    for slots in range(_SLOTS, 0, -1):
        layout = _with_slots(sweep, memory, slots, columns, len(engines))
        if layout.combinations >= min(sweep.plan.size, _LEAST):
            break
    return layout


def _with_slots(sweep: Sweep, memory: int, slots: int, columns: int, engines: int) -> _Layout:
    """The slots of a device share what is made of the same columns; of other columns each has its own."""
    size = sweep.plan.size
    few = min(size, BLOCK)
    wide = max(_COLUMNS, -(-columns // (slots * engines)))
    least = sweep.column_bytes + sweep.stretch_bytes(1)
    fits = max(1, memory // slots // (least + min(few, _LEAST) * sweep.combination_bytes))
    together = min(columns, wide, max(_COMBINATIONS // few, _COLUMNS), fits)
    at_once = min(slots, -(-columns // together))  # groups of columns that are on a device
    ages = sweep.ages(size, memory // at_once // together)
    rest = memory // together - at_once * (sweep.column_bytes + sweep.stretch_bytes(ages))
    most = min(rest // slots // sweep.combination_bytes, _ANSWER // (together * sweep.answer_bytes))
    combinations = max(min(size, _LEAST), min(max(_COMBINATIONS // together, few), most))
    return _Layout(slots, together, combinations // BLOCK * BLOCK or combinations, ages)
