"""`atc()` on a GPU that is none: bits, types, what crosses the bus, what is kept, and what happens where it fails."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
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
from fake_arrays import Array, ArrayCupy
from fake_cupy import install
from host_kernels import HostEngine, has_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import items
from numba.core.config import DISABLE_JIT
from price_strategies import REGIMES
from same_bits import assert_same_bits

from atc_plugin import AtcParams, AtcResult, AtcStream, ParamGrid, atc, cache, check, choosing, engine, indicator, sweep
from atc_plugin.accel import launch
from atc_plugin.accel.placing import placed_on, places_of
from atc_plugin.accel.single import bytes_a_column, columns_at_once, single_tables, verdicts_in_parts
from atc_plugin.cache.store import Store
from atc_plugin.device_results import DeviceResult
from atc_plugin.prices import read_prices

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

EXAMPLES = 3 if DISABLE_JIT else 100
BARS = 120
CLOSE = np.stack([REGIMES["ticks"](np.random.default_rng(seed), BARS) for seed in range(4)], axis=1)
GAPS = np.where(np.random.default_rng(1).random(CLOSE.shape) < 0.1, np.nan, CLOSE)
FRAME = pd.DataFrame(CLOSE, index=pd.date_range("2024", periods=BARS), columns=list("ABCD"))


@pytest.fixture(autouse=True)
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArrayCupy]:
    monkeypatch.delenv("ATC_BACKEND", raising=False)
    launch._module.cache_clear()
    launch._kernel.cache_clear()
    yield install(monkeypatch, ArrayCupy())  # type: ignore[misc]
    launch._module.cache_clear()
    launch._kernel.cache_clear()


def read(result: AtcResult, *names: str) -> None:
    for name in names:
        getattr(result, name)


def on_cpu(close: Any = CLOSE, **more: Any) -> AtcResult:
    return atc(close, backend="cpu", cache=False, **more)


# ---------------------------------------------------------------- bits and types
@settings(max_examples=EXAMPLES)
@given(asked())
def test_the_bits_and_types_are_those_of_the_cpu(case: Asked) -> None:
    assert_on_gpu_is_on_cpu(sys.modules["cupy"], case)


@settings(max_examples=EXAMPLES)
@given(asked(kinds=("1-D", "2-D")))
def test_prices_that_are_there_give_the_same(case: Asked) -> None:
    assert_there_is_on_cpu(sys.modules["cupy"], case)


@settings(max_examples=EXAMPLES)
@given(
    asked(kinds=("2-D",)),
    st.sampled_from(["forward", "reversed", "shuffled"]),
    st.integers(1, 5),
    st.booleans(),
)
def test_parts_give_the_same_in_any_order_of_threads(case: Asked, order: str, at_once: int, there: bool) -> None:
    host = HostEngine(3, order)
    params, prices = AtcParams(**case.params), read_prices(case.close, case.source)
    columns, bars = prices.shape
    has_source = prices.source is not prices.close
    each = bytes_a_column(single_tables(params, bars), bars, has_source)
    close, source = prices.close.T, prices.source.T if has_source else None
    if there:  # as the engine's own table
        close, source = np.ascontiguousarray(close), None if source is None else np.ascontiguousarray(source)
    free = int(each * at_once / 0.8) + 2 + 9 * bars * columns
    parts = verdicts_in_parts(host, close, source, prices.counts, params, free)
    assert len(parts) == -(-columns // min(at_once, columns)) or at_once < columns
    assert [part.first for part in parts] == list(range(0, columns, parts[0].average.shape[1]))
    assert max(part.average.shape[1] for part in parts) <= at_once
    expected, places = case.on_cpu(), places_of(prices.valid)
    for name in OUTPUTS:
        placed = placed_on(host, name, parts, places, params.strategy_mode)
        assert_same_bits(placed, getattr(expected, name), name)
        assert placed.dtype == getattr(expected, name).dtype


@pytest.mark.parametrize(
    "close",
    [
        pl.DataFrame({"A": CLOSE[:, 0], "B": CLOSE[:, 1]}),
        pl.Series("A", CLOSE[:, 0]),
        FRAME["A"],
        CLOSE.tolist(),
        CLOSE[:, 0].tolist(),
        CLOSE[:1],
        CLOSE[:, :1],
        CLOSE.astype(np.float32),
        np.asfortranarray(CLOSE),
    ],
)
def test_every_type_comes_back(close: Any, cupy: ArrayCupy) -> None:
    assert_same_result(cupy, atc(close, backend="gpu", cache=False), on_cpu(close))


@pytest.mark.parametrize("close", [CLOSE, np.asfortranarray(CLOSE), CLOSE[:, 0], CLOSE[:1], CLOSE.astype(np.float32)])
@pytest.mark.parametrize("at_once", [1, 3, 10])
def test_prices_that_are_there_in_any_layout_and_dtype(close: np.ndarray, at_once: int, cupy: ArrayCupy) -> None:
    bars, columns = close.reshape(len(close), -1).shape
    cupy.free = int(bytes_a_column(single_tables(AtcParams(), bars), bars, False) * at_once / 0.8) + 9 * close.size + 2
    result = atc(cupy.array(close), backend="gpu")
    assert_same_result(cupy, result, on_cpu(close), on_device=True)
    assert cupy.said.count("direction") == -(-columns // min(at_once, columns))


def test_a_column_without_a_bar(cupy: ArrayCupy) -> None:
    close = CLOSE.copy()
    close[:, 1] = np.nan
    for values in (close, close[:, 1:2]):
        assert_same_result(cupy, atc(values, backend="gpu"), on_cpu(values))
        assert_same_result(cupy, atc(values, backend="gpu", output="device"), on_cpu(values), on_device=True)


# ---------------------------------------------------------------- what crosses the bus
def test_a_result_brings_what_is_asked_for_and_once(cupy: ArrayCupy) -> None:
    result = atc(FRAME, backend="gpu", cache=False)
    assert isinstance(result, DeviceResult)
    assert cupy.downloads == []
    assert sum(nbytes == CLOSE.nbytes for nbytes in cupy.uploads) == 1
    read(result, "entries", "exits", "direction", "entries")
    assert cupy.downloads == [CLOSE.size]
    read(result, "average", "average", "growth", "columns")
    assert result.signals["EMA"].shape == CLOSE.shape
    assert "4 columns" in repr(result)
    assert cupy.downloads == [CLOSE.size, CLOSE.nbytes]
    assert result._there is None, "nothing more can be asked of the device, so it holds nothing more"


def test_a_result_that_stays_brings_nothing(cupy: ArrayCupy) -> None:
    result = atc(FRAME, backend="gpu", output="device")
    for name in OUTPUTS:
        assert getattr(result, name) is getattr(result, name)
    read(result, "growth", "columns")
    assert cupy.downloads == []
    assert "4 columns" in repr(result)
    assert cupy.downloads == [CLOSE.size]


def test_prices_that_are_there_are_not_brought_before_the_cpu_reads_them(cupy: ArrayCupy) -> None:
    close = cupy.array(CLOSE)
    result = atc(close, backend="gpu")
    read(result, "average", "direction", "growth", "columns")
    assert cupy.downloads == [1], "whether they are sound"
    assert CLOSE.nbytes not in cupy.uploads
    close[:] = 1.0  # the user's, as ever
    result.average[:] = 7.0
    assert_same_layers(cupy, result, on_cpu())
    assert cupy.downloads.count(CLOSE.nbytes) == 1 + 6 * 2, "the prices, and the layers that the test looks at"


def test_prices_of_the_host_that_stay(cupy: ArrayCupy) -> None:
    result = atc(FRAME, backend="gpu", output="device", hma_mode="hull")
    assert_same_layers(cupy, result, on_cpu(hma_mode="hull"))
    pd.testing.assert_frame_equal(result.table("B"), on_cpu(FRAME, hma_mode="hull").table("B"))
    assert result.plot("B").data
    assert result.one_column("B").bars[0] == FRAME.index.to_numpy()[0]


# ---------------------------------------------------------------- streams
def test_outputs_wait_for_the_stream_that_computes_them_and_it_for_their_making(cupy: ArrayCupy) -> None:
    with cupy.stream("a"):
        result = atc(FRAME, backend="gpu", output="device")
    cupy.said.clear()
    with cupy.stream("b"):
        read(result, "average")
    assert cupy.said == ["b waits for a", "placed_averages", "a waits for b", "b waits for b"]
    cupy.said.clear()
    with cupy.stream("c"):
        read(result, "average")
    assert cupy.said == ["c waits for b"]


def test_prices_that_are_brought_in_another_stream(cupy: ArrayCupy) -> None:
    with cupy.stream("a"):
        result = atc(cupy.array(CLOSE), backend="gpu")
    cupy.said.clear()
    with cupy.stream("b"):
        result.signals["EMA"]
    assert cupy.said == ["b waits for a", "a waits for b"]


def test_a_result_is_brought_in_another_stream(cupy: ArrayCupy) -> None:
    with cupy.stream("a"):
        result = atc(FRAME, backend="gpu", cache=False)
    cupy.said.clear()
    with cupy.stream("b"):
        read(result, "direction")
    assert cupy.said == ["b waits for a", "a waits for b"]


def test_columns_are_halved_where_the_memory_is_short(cupy: ArrayCupy, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the driver has said."""
    cupy.shortages = 1
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        result = atc(CLOSE, backend="gpu", cache=False)
    assert "device 0 has too little memory for 4 columns at a time: Out of memory" in caplog.text
    assert cupy.said.count("the pool is emptied") == 1
    assert cupy.said.count("average_of_votes") == 2
    assert_same_bits(result.average, atc(CLOSE, backend="cpu", cache=False).average)
    cupy.shortages = 10
    with pytest.raises(MemoryError, match=r"a column of 120 bars needs about .* backend='cpu' computes it"):
        atc(CLOSE[:, 0], backend="gpu", cache=False)


def test_prices_on_another_device_are_computed_there(cupy: ArrayCupy) -> None:
    two = ArrayCupy(devices=2)
    sys.modules["cupy"] = two  # the fixture takes it away again
    result = atc(two.array(CLOSE, device=1), backend="gpu")
    assert two.launched_on == {1}
    assert result.average.device.id == result.signals["EMA"].device.id == 1
    assert_same_result(two, result, on_cpu(), on_device=True)
    two.downloads.clear()
    result = atc(two.array(CLOSE, device=1), two.array(CLOSE + 1), backend="gpu")
    assert two.downloads == [CLOSE.nbytes] * 2, "no kernel reads another device's memory"
    assert_same_bits(two.asnumpy(result.average), on_cpu(source=CLOSE + 1).average)


# ---------------------------------------------------------------- a result as any other
@pytest.mark.parametrize("output", ["host", "device"])
@pytest.mark.parametrize("there", [False, True])
def test_it_pickles_as_a_result_of_the_cpu(output: str, there: bool, cupy: ArrayCupy) -> None:
    result = atc(cupy.array(GAPS) if there else GAPS, backend="gpu", output=output, strategy_mode=True)
    for again in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert type(again) is AtcResult
        assert_same_result(cupy, again, on_cpu(GAPS, strategy_mode=True), on_device=there or output == "device")
    assert isinstance(result, AtcResult)


def test_what_is_handed_out_is_the_users_own(cupy: ArrayCupy) -> None:
    for output in ("host", "device"):
        result, expected = atc(CLOSE, backend="gpu", output=output), on_cpu()
        for name in OUTPUTS:
            getattr(result, name)[:] = 0
        assert_same_result(cupy, pickle.loads(pickle.dumps(result)), expected, on_device=output == "device")
        assert result.one_column(1).entries.sum() == expected.entries[:, 1].sum()


# ---------------------------------------------------------------- what is refused
def test_a_gpu_that_cannot_be_used_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch, cupy: ArrayCupy) -> None:
    monkeypatch.setattr(engine, "verdict", None)
    install(monkeypatch, ArrayCupy(devices=0))
    for more in ({"backend": "gpu"}, {"output": "device"}):
        with pytest.raises(RuntimeError, match=r"no GPU can be used here: CuPy .* finds no CUDA device"):
            atc(CLOSE, **more)
    monkeypatch.setenv("ATC_BACKEND", "gpu")
    with pytest.raises(RuntimeError, match="no GPU can be used here"):
        atc(CLOSE)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match="cupy is not installed: pip install 'atc_plugin"):
        atc(CLOSE)
    with pytest.raises(ImportError, match="read by CuPy, or hand over a copy on the host: cupy is not installed"):
        atc(cupy.array(CLOSE), backend="cpu")


@pytest.mark.parametrize(
    ("asked_for", "message"),
    [
        ({"backend": "cuda"}, "backend 'cuda' cannot compute a single .* allowed are 'auto', 'cpu' and 'gpu'"),
        ({"backend": "dask"}, "allowed are 'auto', 'cpu' and 'gpu'"),
        ({"output": "gpu"}, "output must be 'host' or 'device'; got 'gpu'"),
        ({"output": None}, "output must be 'host' or 'device'; got None"),
        ({"output": "device", "backend": "cpu"}, "output='device' needs backend='gpu'; backend is 'cpu'"),
    ],
)
def test_words_that_are_none(asked_for: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        atc("no prices", **asked_for)


def test_an_output_that_the_environment_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_BACKEND", "cpu")
    with pytest.raises(ValueError, match="output='device' needs backend='gpu'; ATC_BACKEND is 'cpu'"):
        atc(CLOSE, output="device")
    assert isinstance(atc(CLOSE, output="device", backend="gpu"), DeviceResult)
    monkeypatch.setenv("ATC_BACKEND", "gpu")
    assert isinstance(atc(CLOSE), DeviceResult)
    assert type(atc(CLOSE, backend="cpu")) is AtcResult
    monkeypatch.setenv("ATC_BACKEND", "loky")
    assert type(atc(CLOSE)) is AtcResult


def spoiled(column: int, bar: int, value: float) -> np.ndarray:
    bad = CLOSE.copy()
    bad[bar, column] = value
    return bad


@pytest.mark.parametrize(
    ("close", "source"),
    [
        (spoiled(2, 17, np.inf), None),
        (spoiled(2, 17, -np.inf), None),
        (spoiled(1, 3, 0.0), None),
        (spoiled(1, 3, -0.0), None),
        (np.where(CLOSE > 0, np.inf, spoiled(1, 3, np.nan)), None),
        (CLOSE, spoiled(0, 119, np.inf)),
        (CLOSE, CLOSE[:, :2]),
        (CLOSE, CLOSE[1:]),
        (CLOSE[:0], None),
        (CLOSE[:, :0], None),
        (CLOSE[np.newaxis], None),
        (CLOSE > 1, None),
        (CLOSE + 1j, None),
        (CLOSE, CLOSE > 1),
    ],
)
@pytest.mark.parametrize("backend", ["gpu", "auto", "cpu"])
def test_bad_prices_are_refused_with_the_words_of_the_host(
    close: np.ndarray, source: np.ndarray | None, backend: str, cupy: ArrayCupy, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((TypeError, ValueError)) as expected:
        read_prices(close, source)
    there = cupy.array(close), None if source is None else cupy.array(source)
    with pytest.raises(expected.type) as got:
        atc(*there, backend=backend)
    assert str(got.value) == str(expected.value)
    assert "direction" not in cupy.said
    assert not caplog.records, "no device has failed"


def test_a_zero_source_is_one(cupy: ArrayCupy) -> None:
    source = spoiled(0, 5, 0.0)
    result = atc(cupy.array(CLOSE), cupy.array(source), backend="gpu")
    assert cupy.downloads == [1, 1]
    assert_same_result(cupy, result, on_cpu(source=source), on_device=True)
    for ours, theirs in ((CLOSE, cupy.array(source)), (cupy.array(CLOSE), source)):  # one here and one there
        mixed = atc(ours, theirs, backend="gpu")
        assert_same_bits(np.asarray(mixed.average), on_cpu(source=source).average)


def test_what_else_offers_itself_as_an_array_on_a_gpu(monkeypatch: pytest.MonkeyPatch, cupy: ArrayCupy) -> None:
    class Interface:
        __cuda_array_interface__ = {"version": 3}  # noqa: RUF012

    class DLPack:
        def __init__(self, device: int) -> None:
            self._device = device

        def __dlpack_device__(self) -> tuple[int, int]:
            return self._device, 0

    take = cupy.asarray
    monkeypatch.setattr(
        cupy, "asarray", lambda values: cupy.array(CLOSE) if type(values) is Interface else take(values)
    )
    monkeypatch.setattr(cupy, "from_dlpack", lambda values: cupy.array(CLOSE), raising=False)
    for backend in ("cpu", "auto"):
        for prices in (Interface(), DLPack(2), DLPack(13)):
            assert_same_bits(cupy.asnumpy(atc(prices, backend=backend).average), on_cpu().average)
    with pytest.raises(TypeError, match=r"cannot be read from .*DLPack; allowed: .* or an array on a GPU"):
        atc(DLPack(1))


# ---------------------------------------------------------------- memory
def test_a_column_for_which_there_is_no_room(cupy: ArrayCupy, caplog: pytest.LogCaptureFixture) -> None:
    cupy.free = 50_000
    with pytest.raises(MemoryError, match=r"a column of 120 bars needs about .* kB on the GPU .* and .* kB are free"):
        atc(CLOSE, backend="gpu", cache=False)
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        result = atc(cupy.array(CLOSE))
    assert "computed on the CPU, for the GPU failed (MemoryError: a column of 120 bars" in caplog.text
    assert_same_bits(cupy.asnumpy(result.average), on_cpu().average)


def test_what_is_free_is_what_the_limit_leaves(cupy: ArrayCupy) -> None:
    cupy.free = 1000
    assert launch.DeviceEngine().free_bytes() == 1000
    cupy.limit, cupy.used = 900, 300
    assert launch.DeviceEngine().free_bytes() == 600


class Counting(HostEngine):
    """Counts the bytes that a pass takes, whenever it lets them go."""

    nbytes = 0

    def taken(self, array: np.ndarray) -> np.ndarray:
        self.nbytes += array.nbytes
        return super().taken(array)

    def room(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        made = super().room(shape, dtype)
        self.nbytes += made.nbytes
        return made


@pytest.mark.parametrize("lengths", [{}, {"hma_mode": "hull"}, {"ema_len": 100, "dema_len": 90, "kama_len": 200}])
@pytest.mark.parametrize("has_source", [False, True])
def test_a_pass_takes_no_more_than_is_planned_with(lengths: dict[str, Any], has_source: bool) -> None:
    params, host, columns = AtcParams(**lengths), Counting(), 4
    prices = read_prices(CLOSE, CLOSE + 1 if has_source else None)
    verdicts_in_parts(
        host, prices.close.T, prices.source.T if has_source else None, prices.counts, params, free_bytes=2**40
    )
    tables = single_tables(params, BARS)
    planned = columns * bytes_a_column(tables, BARS, has_source)
    assert planned / 2 < host.nbytes <= planned + 10_000, "what tables take beside is little"


def test_columns_are_shared_out_evenly() -> None:
    assert columns_at_once(100, 1250, 10, 25) == 9  # three times, not 10, 10 and 5
    assert columns_at_once(100, 1250, 10, 5) == 5
    with pytest.raises(MemoryError, match="0 bytes are free"):
        columns_at_once(100, -5, 10, 5)


# ---------------------------------------------------------------- "auto"
def test_auto_takes_a_gpu_where_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(atc(CLOSE, cache=False)) is AtcResult
    monkeypatch.setattr(indicator, "WORTH_A_GPU", CLOSE.size)
    assert type(atc(CLOSE, cache=False)) is DeviceResult
    assert type(atc(CLOSE[1:], cache=False)) is AtcResult
    assert type(atc(CLOSE, cache=False, backend="cpu")) is AtcResult
    install(monkeypatch, ArrayCupy(devices=0))
    assert type(atc(CLOSE, cache=False)) is AtcResult
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert type(atc(CLOSE, cache=False)) is AtcResult
    assert choosing.WORTH_A_GPU >= 1_000_000


@pytest.mark.parametrize("when", ["while it is asked", "while it computes"])
def test_auto_falls_back_and_says_why(
    when: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cupy: ArrayCupy
) -> None:
    monkeypatch.setattr(indicator, "WORTH_A_GPU", CLOSE.size)
    fault = RuntimeError("cudaErrorIllegalAddress")
    if when == "while it computes":
        cupy.fails = fault
    else:
        monkeypatch.setattr(cupy, "RawModule", lambda **_: (_ for _ in ()).throw(fault))
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        result = atc(FRAME, cache=False)
    assert [record.message for record in caplog.records] == [
        "atc: computed on the CPU, for the GPU failed (RuntimeError: cudaErrorIllegalAddress)"
    ]
    assert type(result) is AtcResult
    assert_same_result(cupy, result, on_cpu(FRAME))
    if when == "while it is asked":
        with pytest.raises(RuntimeError, match="cudaErrorIllegalAddress"):
            atc(FRAME, cache=False, backend="gpu")


def test_on_the_cpu_nothing_imports_cupy(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("raise SystemExit('cupy was imported')")
    code = (
        "import numpy as np, pandas as pd, atc_plugin; from atc_plugin import atc\n"
        "for close in (np.ones(9), [1.0, 2.0], pd.Series([1.0, 2.0]), pd.DataFrame({'A': [1.0, 2.0]})):\n"
        "    for backend in ('auto', 'cpu'):\n"
        "        result = atc(close, backend=backend); result.average, result.entries, result.signals['EMA']\n"
        "import sys; print(*sys.modules)"
    )
    path = {"PYTHONPATH": f"{tmp_path}:{Path(engine.__file__).parents[1]}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 0, done.stderr
    assert not {"cupy", "atc_plugin.accel", "atc_plugin.device_results"} & set(done.stdout.split())
    with pytest.raises(subprocess.CalledProcessError):  # the trap snaps
        subprocess.run([sys.executable, "-c", f"{code}; atc([1.0], backend='gpu')"], check=True, env=path)


# ---------------------------------------------------------------- the cache
@pytest.mark.parametrize("params", [{}, {"strategy_mode": True, "hma_mode": "hull"}])
@pytest.mark.parametrize("close", [CLOSE, GAPS, CLOSE[:, 0]])
@pytest.mark.parametrize("first", ["cpu", "gpu"])
def test_what_one_keeps_the_other_finds(
    params: dict[str, Any], close: np.ndarray, first: str, tmp_path: Path, cupy: ArrayCupy
) -> None:
    second = {"cpu": "gpu", "gpu": "cpu"}[first]
    expected = on_cpu(close, **params)
    assert_same_result(cupy, atc(close, backend=first, cache=tmp_path, **params), expected)
    cache.settings.forget()
    launched = len(cupy.said)
    with pytest.MonkeyPatch.context() as patched:
        for name in ("verdict", "resumable"):
            patched.setattr(engine, name, None)  # nothing is computed
        again = atc(close, backend=second, cache=tmp_path, **params)
        assert_same_result(cupy, again, expected)
    assert len(cupy.said) == launched
    again.average[:] = 7.0  # the user's own
    assert_same_result(cupy, atc(close, backend=second, cache=tmp_path, **params), expected)


@pytest.mark.parametrize("params", [{}, {"strategy_mode": True}])
@pytest.mark.parametrize("first", ["cpu", "gpu"])
def test_results_in_memory_are_shared(
    params: dict[str, Any], first: str, monkeypatch: pytest.MonkeyPatch, cupy: ArrayCupy
) -> None:
    monkeypatch.setattr("atc_plugin.kept_results.BRIEF", 100)
    on_cpu(CLOSE[:50])  # loads the engine
    made = atc(CLOSE, backend=first, **params)
    made.average[:] = 7.0  # before the other half is there, and both are kept
    read(made, "direction")
    launched = len(cupy.said)
    monkeypatch.setattr(engine, "verdict", None)
    second = atc(CLOSE, backend={"cpu": "gpu", "gpu": "cpu"}[first], **params)
    monkeypatch.undo()
    assert len(cupy.said) == launched
    assert_same_result(cupy, second, on_cpu(**params))


def test_nothing_is_brought_only_to_be_kept(monkeypatch: pytest.MonkeyPatch, cupy: ArrayCupy) -> None:
    monkeypatch.setattr("atc_plugin.kept_results.BRIEF", 100)
    on_cpu(CLOSE[:50])
    result = atc(CLOSE, backend="gpu")
    assert cupy.downloads == []
    read(result, "direction")
    read(atc(CLOSE, backend="gpu"), "direction")
    assert cupy.downloads == [CLOSE.size] * 2, "half of a result is not kept"
    read(result, "average")
    read(atc(CLOSE, backend="gpu"), "direction")
    assert cupy.downloads == [CLOSE.size] * 2 + [CLOSE.nbytes]


def test_only_what_is_missing_is_computed(tmp_path: Path, cupy: ArrayCupy) -> None:
    store = Store(tmp_path)
    close = np.column_stack([CLOSE, np.full(BARS, np.nan)])
    atc(close[:, [1, 3]], cache=store, backend="cpu", cutout=3)
    kept = len(items(tmp_path))
    result = atc(close, cache=store, backend="gpu", cutout=3)
    assert cupy.downloads == [2 * BARS * 8, 2 * BARS], "a store of the user's takes all, at once"
    assert len(items(tmp_path)) == kept + 2
    assert_same_result(cupy, result, on_cpu(close, cutout=3))
    assert_same_bits(result.weights["EMA"], on_cpu(close, cutout=3).weights["EMA"])


def test_a_column_that_has_grown_goes_on_from_what_the_cpu_kept(tmp_path: Path, cupy: ArrayCupy) -> None:
    close = REGIMES["ticks"](np.random.default_rng(5), 1200)
    atc(close[:1100], cache=tmp_path, backend="cpu")
    assert_same_result(cupy, atc(close, cache=tmp_path, backend="gpu"), on_cpu(close))
    assert "direction" not in cupy.said
    for before in ("gpu", "cpu"):  # and one of a GPU's cannot be resumed, which is seen
        atc(close[:1100], cache=tmp_path / "b", backend=before)
    assert_same_result(cupy, atc(close, cache=tmp_path / "b", backend="cpu"), on_cpu(close))


def test_what_stays_is_neither_looked_for_nor_kept(tmp_path: Path, cupy: ArrayCupy) -> None:
    read(atc(CLOSE, cache=tmp_path, backend="gpu", output="device"), "average")
    read(atc(cupy.array(CLOSE), cache=tmp_path, backend="gpu"), "average")
    assert not list(tmp_path.rglob("*.npy"))
    cupy.said.clear()
    atc(CLOSE, cache=tmp_path, backend="cpu")
    atc(CLOSE, cache=tmp_path, backend="gpu", output="device")
    assert "direction" in cupy.said


# ---------------------------------------------------------------- other ways in
def test_all_that_reads_prices_takes_what_is_on_a_gpu(cupy: ArrayCupy) -> None:
    grid = ParamGrid(ema_len=[14, 28])
    there = sweep(cupy.array(CLOSE), grid, metrics="total_return", cache=False)
    here = sweep(CLOSE, grid, metrics="total_return", cache=False)
    pd.testing.assert_frame_equal(there.frame, here.frame)
    assert isinstance(there.run(0).average, Array)
    streams = [AtcStream(AtcParams(), history=close) for close in (cupy.array(CLOSE[:, 0]), CLOSE[:, 0])]
    assert streams[0].snapshot() == streams[1].snapshot()
    assert check.lookahead(cupy.array(CLOSE), prefixes=2).table.equals(check.lookahead(CLOSE, prefixes=2).table)
