"""Prices and components of columns on a device: what all that is computed of combinations there begins with."""

from __future__ import annotations

from collections.abc import Sequence

from ..accel.averages import averages_on
from ..accel.engines import PLANNED, Columns, Engine, columns_on
from ..accel.layers import Components, components_on, equities_on
from ..accel.tables import PassTables
from ..prices import Prices


def prices_and_components_on(
    engine: Engine, prices: Prices, columns: Sequence[int], bars: int, tables: PassTables
) -> tuple[Columns, Components]:
    """Some columns and all their components, over so many bars; `tables` are the engine's own."""
    rows = list(columns)
    close, source = (values[rows, :bars].T for values in (prices.close, prices.source))
    on_engine = columns_on(engine, close, None if prices.source is prices.close else source, prices.counts[rows])
    averages, regimes = tables
    sides = averages_on(engine, on_engine, averages)
    return on_engine, components_on(engine, on_engine, equities_on(engine, on_engine, sides, regimes), regimes)


def planned_bytes(engines: Sequence[Engine]) -> int:
    """How much may be planned to be taken on every device."""
    return int(min(engine.free_bytes() for engine in engines) * PLANNED)
