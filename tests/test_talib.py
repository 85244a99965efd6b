"""The moving averages against TA-Lib's, where the definitions coincide: the same numbers, rounded in another order."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from atc_plugin import atc

CLOSE = np.round(100 * np.exp(np.cumsum(np.random.default_rng(8).normal(0, 0.01, 600))), 2)
RESULT = {mode: atc(CLOSE, hma_mode=mode) for mode in ("sma", "hull")}


def hull(close: np.ndarray, length: int) -> np.ndarray:
    raw = 2 * talib.WMA(close, length // 2) - talib.WMA(close, length)
    return talib.WMA(raw, int(length**0.5))


@pytest.mark.parametrize(
    ("type_", "hma_mode", "theirs"),
    [
        ("EMA", "sma", talib.EMA),
        ("HMA", "sma", talib.SMA),
        ("HMA", "hull", hull),
        ("WMA", "sma", talib.WMA),
        ("DEMA", "sma", talib.DEMA),
        ("LSMA", "sma", talib.LINEARREG),
    ],
)
def test_moving_averages(type_: str, hma_mode: str, theirs) -> None:
    result = RESULT[hma_mode]
    for k, length in enumerate(result.params.lengths(type_)):
        expected = theirs(CLOSE, length)
        np.testing.assert_allclose(result.moving_averages[type_][:, k], expected, rtol=1e-11, err_msg=f"{length}")
        assert np.isnan(expected).sum() < 70
