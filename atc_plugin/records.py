"""Several arrays as one: what the store keeps of a column together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_record(**parts: NDArray[Any]) -> NDArray[np.void]:
    """Named arrays as one of length 1; ``record["name"][0]`` is a view of each. Give those of large items first."""
    record = np.empty(1, [(name, part.dtype, part.shape) for name, part in parts.items()])
    for name, part in parts.items():
        record[name][0] = part
    return record
