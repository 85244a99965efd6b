"""Sweeps on a GPU against the same on threads, to the bit: for a device that is none and for one that is."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from made_sweeps import MODES, assert_same_result
from same_bits import assert_same_bits

from atc_plugin import ParamGrid, SweepResult, sweep
from atc_plugin.law.metrics import METRICS
from atc_plugin.sweeps.series import SweepSeries

OUTPUTS = ("average", "direction")

ARGUMENTS: dict[str, Any] = {"metrics": METRICS, "fees": 0.001, "cache": False, "progress": False, "freq": "1D"}


@st.composite
def arguments(draw: st.DrawFn, bars: int) -> dict[str, Any]:
    """How to judge."""
    windows = draw(st.sampled_from([None, None, 1, 3]))
    return {
        "direction": draw(st.sampled_from(list(MODES))),
        "fees": draw(st.sampled_from([0.0, 0.001, 0.05, 0.45])),
        "slippage": draw(st.sampled_from([0.0, 0.0005, 0.1])),
        "metrics": draw(st.sampled_from([METRICS, ("total_return", "sharpe_ratio"), ("win_rate",)])),
        "windows": windows if windows is None or windows <= bars else None,
        "top": draw(st.sampled_from([None, None, 2])),
    }


def on_gpu_and_cpu(close: Any, grid: ParamGrid, **changed: Any) -> SweepResult:
    """The result, which is the same on either."""
    asked = ARGUMENTS | changed
    got = sweep(close, grid, backend="gpu", **asked)
    assert_same_result(got, sweep(close, grid, backend="cpu", **asked))
    return got


def series_on_gpu_and_cpu(close: Any, grid: ParamGrid, output: str, source: Any = None) -> SweepSeries:
    """The series, whose blocks are the same on either."""
    made, expected = (sweep(close, grid, source, output=output, backend=backend) for backend in ("gpu", "cpu"))
    for got, block in zip(made, expected, strict=True):
        assert (got.symbol, got.first) == (block.symbol, block.first)
        assert_same_bits(got.values, block.values)
    return made
