"""One configuration on an engine: average and direction of all columns, as many at a time as there is memory for."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..engine import Regime, component
from ..params import TYPES, AtcParams
from ..words import bytes_in_words
from .averages import averages_on
from .engines import PLANNED, Array, Columns, Engine, Place, columns_on, gathered_on, tables_on
from .layers import Verdicts, components_on, equities_on, verdicts_on
from .slots import SlotEngine
from .tables import PassTables, pass_bytes, pass_tables

log = logging.getLogger("atc_plugin")

_VERDICT = 8 + 1  # bytes of a bar


class Part(NamedTuple):
    """What the law says of neighbouring columns, not delayed; beyond a column's own bars it means nothing."""

    first: int  # which column is the first
    average: Array  # (bars, columns)
    direction: Array  # the same, int8


def verdicts_in_parts(
    engine: SlotEngine,
    close: Array,
    source: Array | None,
    counts: NDArray[int64],
    params: AtcParams,
    free_bytes: int,
) -> list[Part]:
    """Average and direction of every column, parts in order.

    Where the engine has less memory than it said, columns are halved and it is tried again.

    Args:
        engine: launches the kernels.
        close: (bars, columns), `Prices.close.T` of the host or the engine's own in C order.
        source: the same; None where it is the close.
        counts: how many bars each column has.
        params: the configuration.
        free_bytes: what may be allocated on the engine.

    Raises:
        MemoryError: there is no room for a single column; the message says how much it needs.
    """
    bars, columns = close.shape
    tables = single_tables(params, bars)
    each = bytes_a_column(tables, bars, source is not None)
    step = columns_at_once(each, free_bytes - _VERDICT * bars * columns, bars, columns)
    on_engine = tables_on(engine, tables)
    levels = [np.array([params.long_threshold], float64), np.array([params.short_threshold], float64)]
    voting = engine.taken_together([np.arange(len(TYPES), dtype=int64)[np.newaxis], *levels])
    parts = []
    first, is_last_try = 0, False
    while first < columns:
        last = min(first + step, columns)
        try:
            some = _some_of(engine, close, first, last)
            lead = None if source is None else _some_of(engine, source, first, last)
            said = _verdict_on(engine, columns_on(engine, some, lead, counts[first:last]), on_engine, voting)
        except Exception as shortage:
            if not engine.is_out_of_memory(shortage):
                raise
            if is_last_try:
                raise MemoryError(_shortage(each, engine.free_bytes(), bars)) from shortage
            log.warning("%s has too little memory for %d columns at a time: %s", engine, last - first, shortage)
        else:
            parts.append(Part(first, said.average[0], said.direction[0]))
            first = last
            continue
        engine.release()
        is_last_try, step = last - first == 1, -(-(last - first) // 2)
    return parts


def single_tables(params: AtcParams, bars: int) -> PassTables:
    """The tables of one configuration; its components are the six types in order."""
    from ..law.components import Wanted  # here: it brings numba

    wanted = [Wanted(component(params, type_), params.weight(type_), 0) for type_ in TYPES]
    return pass_tables(wanted, [Regime(params.lambda_, params.decay, params.cutout)], bars)


def bytes_a_column(tables: PassTables, bars: int, has_source: bool) -> int:
    """What one column takes from prices to directions."""
    return pass_bytes(tables, bars, has_source) + _VERDICT * bars


def columns_at_once(each: int, free_bytes: int, bars: int, columns: int) -> int:
    """How many columns of so many bytes each are worked on at a time, parts of one size as far as they go."""
    most = int(free_bytes * PLANNED) // each
    if most < 1:
        raise MemoryError(_shortage(each, free_bytes, bars))
    parts = -(-columns // most)
    return -(-columns // parts)


def _shortage(each: int, free_bytes: int, bars: int) -> str:
    return (
        f"a column of {bars:,} bars needs about {bytes_in_words(each / PLANNED)} on the GPU beside what is kept, and "
        f"{bytes_in_words(max(free_bytes, 0))} are free; backend='cpu' computes it"
    )


def _some_of(engine: Engine, values: Array, first: int, last: int) -> Array:
    """Columns of the host's as they lie there; of the engine's own table in memory of their own."""
    bars, columns = values.shape
    if last - first == columns or not values.flags.c_contiguous:
        return values[:, first:last]
    return gathered_on(engine, engine.taken(values), Place(first, columns, 1), bars, last - first)


def _verdict_on(engine: Engine, prices: Columns, tables: PassTables, voting: list[Any]) -> Verdicts:
    averages = averages_on(engine, prices, tables.averages)
    equities = equities_on(engine, prices, averages, tables.regimes)
    components = components_on(engine, prices, equities, tables.regimes)
    return verdicts_on(engine, components, tables.regimes, *voting)
