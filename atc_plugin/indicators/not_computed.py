"""An array that stands for an output nobody asked for: it has a shape, and takes no memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class NotComputed(np.ndarray):
    """Zeros of one byte without strides, that stay so when indexed, copied and pickled.

    >>> NotComputed.of((2000, 10_000))[500:, [1, 2, 3]].shape
    (1500, 3)
    """

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> NotComputed:
        """One of this shape."""
        return np.broadcast_to(np.int8(0), shape).view(cls)

    def __getitem__(self, key: Any) -> Any:
        return NotComputed.of(np.shape(super().__getitem__(key)))

    def __copy__(self) -> NotComputed:
        return self

    def __deepcopy__(self, memo: object) -> NotComputed:
        return self

    def copy(self, order: Any = "C") -> NotComputed:
        """Itself: there is nothing to write to."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return NotComputed.of, (self.shape,)


def stands_for_nothing(values: NDArray[Any]) -> bool:
    """Whether values are a placeholder, also after a framework has made a plain array of it: no output has int8."""
    return isinstance(values, NotComputed) or values.dtype == np.int8
