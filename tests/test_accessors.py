"""`close.atc` of pandas and `close.vbt.atc` of vectorbt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from same_bits import assert_same_bits

import atc_plugin.indicators.pandas
from atc_plugin import AtcParams, AtcResult, ParamGrid, SweepResult, atc, sweep

N = 120
VALUES = np.round(100 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.02, (N, 2)), axis=0)), 2)
FRAME = pd.DataFrame(VALUES, pd.date_range("2020-01-01", periods=N), ["A", "B"])


@pytest.mark.parametrize("close", [FRAME, FRAME["A"]], ids=["frame", "series"])
def test_run_is_atc(close: pd.DataFrame | pd.Series) -> None:
    result = close.atc.run(ema_len=14)
    assert isinstance(result, AtcResult)
    assert_same_bits(result.average, atc(close, ema_len=14).average)
    source = close.rolling(2).mean()
    params = AtcParams(kama_len=20)
    assert_same_bits(
        close.atc.run(source, params, decay=0.1).direction, atc(close, source, params, decay=0.1).direction
    )
    with pytest.raises(TypeError, match="Did you mean 'ema_len'"):
        close.atc.run(ema_lem=3)


def test_sweep_is_sweep() -> None:
    grid = ParamGrid(ema_len=[10, 20])
    ours = FRAME.atc.sweep(grid, metrics="total_return", fees=0.001, cache=False)
    assert isinstance(ours, SweepResult)
    theirs = sweep(FRAME, grid, metrics="total_return", fees=0.001, cache=False)
    pd.testing.assert_frame_equal(ours.frame, theirs.frame)
    assert {"sharpe_ratio", "total_trades"} <= set(FRAME["A"].atc.sweep(grid, cache=False).frame)


def test_what_it_is() -> None:
    assert repr(FRAME.atc) == "<ATC of a DataFrame (120, 2): run(...), sweep(...)>"
    assert pd.DataFrame.atc.__doc__
    assert atc_plugin.indicators.pandas.register() == ["Series.atc", "DataFrame.atc"]


def test_of_vectorbt() -> None:
    from atc_plugin.indicators.vectorbt import ATC

    for close in (FRAME, FRAME["A"]):
        ours = close.vbt.atc.run(ema_len=[10, 20], outputs="all")
        assert type(ours) is ATC
        assert_same_bits(ours.kama_weight, ATC.run(close, ema_len=[10, 20], outputs="all").kama_weight)
        fast, slow = close.vbt.atc.run_combs(ema_len=[10, 20])
        assert_same_bits(slow.average, ATC.run_combs(close, ema_len=[10, 20])[1].average)
        assert fast.wrapper.shape_2d == close.to_frame().shape if close.ndim == 1 else close.shape
    source = FRAME.shift(1)
    assert_same_bits(FRAME.vbt.atc.run(source).average, atc(FRAME, source).average)
