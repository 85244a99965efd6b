"""`atc()` on a device: the cases that run without one, and what only a device can show."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from device_cases import (
    OUTPUTS,
    Asked,
    asked,
    assert_on_gpu_is_on_cpu,
    assert_same_layers,
    assert_same_result,
    assert_there_is_on_cpu,
)
from hypothesis import given, settings
from price_strategies import REGIMES
from same_bits import assert_same_bits

from atc_plugin import atc
from atc_plugin.accel import why_not
from atc_plugin.accel.launch import DeviceEngine

pytestmark = pytest.mark.skipif(why_not() != "", reason=f"no GPU can be used here: {why_not()}")

CLOSE = np.stack([REGIMES["walk"](np.random.default_rng(seed), 2000) for seed in range(200)], axis=1)


@settings(max_examples=100)
@given(asked())
def test_the_bits_and_types_are_those_of_the_cpu(case: Asked) -> None:
    import cupy

    assert_on_gpu_is_on_cpu(cupy, case)


@settings(max_examples=100)
@given(asked(kinds=("1-D", "2-D")))
def test_prices_that_are_there_give_the_same(case: Asked) -> None:
    import cupy

    assert_there_is_on_cpu(cupy, case)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_many_columns_in_parts(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    expected = atc(CLOSE, backend="cpu", cache=False)
    monkeypatch.setattr(DeviceEngine, "free_bytes", lambda self: 100_000_000)
    close = cupy.asarray(np.asarray(CLOSE, order=layout))  # type: ignore[call-overload]
    assert_same_result(cupy, atc(close, backend="gpu"), expected, on_device=True)
    assert_same_result(cupy, atc(CLOSE, backend="gpu", cache=False), expected)


def test_all_else_and_what_is_sent_elsewhere() -> None:
    import cupy

    result, expected = atc(cupy.asarray(CLOSE[:, :3]), backend="gpu"), atc(CLOSE[:, :3], backend="cpu", cache=False)
    assert_same_layers(cupy, result, expected)
    assert_same_result(cupy, pickle.loads(pickle.dumps(result)), expected, on_device=True)


def test_outputs_may_be_used_at_once_in_any_stream() -> None:
    """While a stream is kept busy, another asks for what it computes; then memory is let go and taken again."""
    import cupy

    expected = atc(CLOSE, backend="cpu", cache=False)
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(3)]
    for round_ in range(20):
        first, second, third = (streams[(round_ + k) % 3] for k in range(3))
        with first:
            result = atc(CLOSE, backend="gpu", output="device")
        with second:
            copies = {name: cupy.from_dlpack(getattr(result, name)) for name in OUTPUTS}
            brought = {name: cupy.asnumpy(array) for name, array in copies.items()}
        with third:
            again = cupy.asnumpy(result.average)
        del result, copies
        with first:
            cupy.empty(CLOSE.size * 8, np.uint8).view(np.float64)[:] = 7.0
        for name in OUTPUTS:
            assert_same_bits(brought[name], np.asarray(getattr(expected, name)), name)
        assert_same_bits(again, np.asarray(expected.average))


def test_torch_takes_outputs_as_they_are() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    tensor = torch.as_tensor(CLOSE, device="cuda")
    expected = atc(CLOSE, backend="cpu", cache=False)
    result = atc(tensor, backend="gpu")
    assert_same_bits(torch.from_dlpack(result.average).cpu().numpy(), np.asarray(expected.average))
    assert_same_bits(torch.from_dlpack(result.entries).cpu().numpy(), np.asarray(expected.entries))


def test_bad_prices_are_named() -> None:
    import cupy

    bad = CLOSE.copy()
    bad[17, 5] = np.inf
    with pytest.raises(ValueError, match="close: column 5 is infinite at bar 17"):
        atc(cupy.asarray(bad))
