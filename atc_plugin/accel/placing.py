"""What the law says on an engine, put on the bars that prices came with: outputs as a result hands them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import int32
from numpy.typing import NDArray

from .engines import Array, Engine
from .single import Part


def places_of(valid: NDArray[np.bool_] | None) -> NDArray[int32]:
    """A bar's number among its column's own, -1 where it is none of them, (bars, columns); empty where all are.

    `valid` is (columns, bars).
    """
    if valid is None:
        return np.empty((0, 0), int32)
    numbers = np.cumsum(valid, axis=1, dtype=int32) - 1
    return np.ascontiguousarray(np.where(valid, numbers, int32(-1)).T)


def placed_on(engine: Engine, output: str, parts: Sequence[Part], places: Array, late: bool) -> Array:
    """The output "average", "direction", "entries" or "exits" of all columns, (bars, columns), numbers or booleans.

    `late` is one bar later.
    """
    bars = parts[0].average.shape[0]
    width = sum(part.average.shape[1] for part in parts)
    if output in ("average", "direction"):
        placed = engine.room((bars, width), np.float64)
    else:
        placed = engine.room((bars, width), np.int8)
    for part in parts:
        columns = part.average.shape[1]
        more: dict[str, Any] = {"average": part.average} if output == "average" else {"direction": part.direction}
        if output in ("entries", "exits"):
            more["to"] = 1 if output == "entries" else -1
        engine.launch(
            {"average": "placed_averages", "direction": "placed_directions"}.get(output, "placed_turns"),
            bars * columns,
            bars=bars,
            columns=columns,
            places=places,
            first=part.first,
            width=width,
            late=int(late),
            placed=placed,
            **more,
        )
    return placed if output in ("average", "direction") else placed.view(np.bool_)


def are_sound_on(engine: Engine, values: Array, zeros: bool) -> bool:
    """Whether the engine's numbers are all finite and, where zeros count, none is zero; waits for the answer."""
    found = engine.taken(np.zeros(1, np.int8))
    engine.launch("find_unsound", values.size, values=values, size=values.size, zeros=int(zeros), found=found)
    return not engine.brought(found)[0]
