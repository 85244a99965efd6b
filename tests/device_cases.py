"""Results of a GPU against those of the CPU, to the bit: for a device that is none and for a real one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from price_strategies import atc_params, prices, source_for
from same_bits import assert_same_bits

from atc_plugin import AtcResult, atc
from atc_plugin.params import TYPES

OUTPUTS = ("average", "direction", "entries", "exits")


class Asked(NamedTuple):
    """What a call is given."""

    close: Any
    source: Any
    params: dict[str, Any]

    def on_cpu(self) -> AtcResult:
        return atc(self.close, self.source, self.params, backend="cpu", cache=False)


@st.composite
def asked(draw: st.DrawFn, kinds: tuple[str, ...] = ("1-D", "2-D", "frame"), gaps: bool = True) -> Asked:
    """Prices of one to five columns, with bars missing or none, with a source or without."""
    kind = draw(st.sampled_from(kinds))
    with_gaps = gaps and draw(st.booleans())
    columns = [draw(prices(max_bars=150, nan_gaps=with_gaps))]
    bars = columns[0].size
    for _ in range(0 if kind == "1-D" else draw(st.integers(0, 4))):
        more = draw(prices(min_bars=bars, max_bars=bars, nan_gaps=with_gaps))
        columns.append(more)
    sources = [draw(source_for(close, nan_gaps=with_gaps)) for close in columns]
    close = np.stack(columns, axis=1)
    source = np.stack([c if s is None else s for c, s in zip(columns, sources, strict=True)], axis=1)
    if all(one is None for one in sources):
        source = None
    params = draw(atc_params())
    params["strategy_mode"] = draw(st.booleans())

    def shaped(values: np.ndarray | None) -> Any:
        if values is None or kind == "2-D":
            return values
        return values[:, 0].copy() if kind == "1-D" else pd.DataFrame(values, columns=list("ABCDE"[: values.shape[1]]))

    return Asked(shaped(close), shaped(source), params)


def assert_same_result(xp: Any, got: AtcResult, expected: AtcResult, *, on_device: bool = False) -> None:
    """The same outputs in the same types; with `on_device` CuPy's arrays of the same shapes and dtypes."""
    for name in OUTPUTS:
        ours, theirs = getattr(got, name), getattr(expected, name)
        if on_device:
            assert type(ours).__module__ == "cupy", name
            ours, theirs = xp.asnumpy(ours), np.asarray(theirs)
            assert ours.flags.c_contiguous, name
        assert type(ours) is type(theirs), name
        if isinstance(ours, pd.DataFrame):
            assert ours.index.equals(theirs.index), name
            assert ours.columns.equals(theirs.columns), name
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.dtype == theirs.dtype, name
        assert_same_bits(ours, theirs, name)


def assert_same_layers(xp: Any, got: AtcResult, expected: AtcResult) -> None:
    """All that is not the verdict, as CuPy's arrays."""
    for output in ("signals", "weights", "moving_averages", "states", "equities"):
        for type_ in TYPES:
            ours = getattr(got, output)[type_]
            assert type(ours).__module__ == "cupy"
            assert_same_bits(xp.asnumpy(ours), np.asarray(getattr(expected, output)[type_]), f"{output} of {type_}")
    assert got.growth == expected.growth
    assert repr(got) == repr(expected)


def assert_on_gpu_is_on_cpu(xp: Any, case: Asked) -> None:
    """Prices of the host: brought in their own type, or left on the device."""
    expected = case.on_cpu()
    result = atc(case.close, case.source, case.params, backend="gpu", cache=False)
    assert_same_result(xp, result, expected)
    result = atc(case.close, case.source, case.params, backend="gpu", output="device")
    assert_same_result(xp, result, expected, on_device=True)


def assert_there_is_on_cpu(xp: Any, case: Asked) -> None:
    """Prices that are on the device: with a GPU or without, CuPy's arrays come back."""
    expected = case.on_cpu()
    close, source = (None if values is None else xp.asarray(values) for values in case[:2])
    for backend in ("gpu", "auto", "cpu"):
        result = atc(close, source, case.params, backend=backend)
        for name in OUTPUTS:
            ours = getattr(result, name)
            assert type(ours).__module__ == "cupy", name
            assert_same_bits(xp.asnumpy(ours), np.asarray(getattr(expected, name)), f"{name} with {backend}")
