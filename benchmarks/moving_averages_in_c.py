"""TA-Lib's C computing the 54 moving averages of one configuration, and nothing else of ATC."""

from __future__ import annotations

import numpy as np
import talib
from numpy.typing import NDArray

LENGTHS = (28, 29, 30, 32, 34, 27, 26, 24, 22)


def moving_averages_in_c(close: NDArray[np.float64]) -> None:
    """Compute and drop them: six types, nine lengths each."""
    for length in LENGTHS:
        talib.EMA(close, length)
        talib.WMA(2 * talib.WMA(close, length // 2) - talib.WMA(close, length), int(length**0.5))  # Hull
        talib.WMA(close, length)
        talib.DEMA(close, length)
        talib.LINEARREG(close, length)
        talib.KAMA(close, length)
