"""Launches on a device that is none: what is asked of CuPy, and that the path through it gives the host's bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fake_cupy import FakeCupy, install
from host_kernels import HostEngine, has_compiler
from price_strategies import REGIMES
from same_bits import assert_same_bits

from atc_plugin import AtcParams
from atc_plugin import engine as atc_engine
from atc_plugin.accel import available, launch, why_not
from atc_plugin.accel.averages import averages_on
from atc_plugin.accel.engines import Engine, columns_on, tables_on
from atc_plugin.accel.launch import BLOCK, FOLDING_BLOCK, FOLDS, WALKING_BLOCK, WALKS, DeviceEngine
from atc_plugin.accel.layers import components_on, equities_on, verdicts_on
from atc_plugin.accel.signatures import OPTIONS, kernel_signatures, source
from atc_plugin.accel.tables import pass_tables
from atc_plugin.engine import Regime
from atc_plugin.law.components import Wanted
from atc_plugin.params import TYPES


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Modules are built once a process, and here each test is one."""
    launch._module.cache_clear()
    launch._kernel.cache_clear()
    yield
    launch._module.cache_clear()
    launch._kernel.cache_clear()


# ---------------------------------------------------------------- whether there is one
def test_without_cupy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert not available()
    assert "pip install 'atc_plugin[cuda12]'" in why_not()
    with pytest.raises(RuntimeError, match=r"no GPU can be used here: .*cuda12"):
        DeviceEngine()


def test_without_a_device_or_a_compiler_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCupy(devices=0))
    assert why_not().startswith("CuPy 14.0.fake finds no CUDA device")
    install(monkeypatch, FakeCupy(has_compiler=False))
    assert "NVRTC is missing (RuntimeError: libnvrtc.so.12 was not found): pip install" in why_not()
    install(monkeypatch, FakeCupy())
    assert why_not() == ""
    assert available()


def test_a_broken_cupy_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = install(monkeypatch, FakeCupy())
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs", None)
    monkeypatch.setattr(broken, "__version__", "1")
    assert "pip install" in why_not()


def test_nothing_imports_cupy_before_it_is_asked_for() -> None:
    code = (
        "import sys, atc_plugin.accel, atc_plugin.accel.launch, atc_plugin.accel.layers; print(*sys.modules);"
        "assert not {'cupy', 'numba', 'llvmlite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# ---------------------------------------------------------------- what it is asked
def test_every_kernel_has_the_threads_that_it_says() -> None:
    """A walk has no thread for each bar or combination; its comment in the source ends with its axes."""
    for name in kernel_signatures():
        comment = source().partition(f"void {name}(")[0].rpartition("\n\n")[2].replace("\n// ", " ")
        axes = comment.rpartition("Threads: ")[2].partition(".\n")[0].strip("(")
        many = {"bar", "combination"} & set(axes.replace(")", "").split(", "))
        assert bool(many) == (name not in WALKS), (name, axes)
    assert set(kernel_signatures()) > WALKS | FOLDS
    assert not WALKS & FOLDS


def pass_on(engine: Engine, close: np.ndarray) -> list[Any]:
    """Everything that the stages give of some prices, where the engine keeps it."""
    bars, columns = close.shape
    params = AtcParams(hma_mode="hull", cutout=5, ema_len=5, robustness="Narrow")
    wanted = [Wanted(atc_engine.component(params, type_), 1.0, 0) for type_ in TYPES]
    tables = tables_on(engine, pass_tables(wanted, [Regime(0.02, 0.03, 5)], bars))
    prices = columns_on(engine, close, None, np.full(columns, bars))
    averages = averages_on(engine, prices, tables.averages)
    equities = equities_on(engine, prices, averages, tables.regimes)
    components = components_on(engine, prices, equities, tables.regimes)
    ids, long, short = engine.taken_together([np.arange(6)[None], np.array([0.1]), np.array([-0.1])])
    verdicts = verdicts_on(engine, components, tables.regimes, ids, long, short)
    return [averages.sides, *equities, components.signals, components.weights, components.sound, *verdicts]


def through(engine: Engine) -> list[np.ndarray]:
    close = np.stack([REGIMES["ticks"](np.random.default_rng(seed), 80) for seed in range(3)], axis=1)
    return [engine.brought(array) for array in pass_on(engine, close)]


@pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")
def test_a_pass_through_cupy_gives_the_hosts_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = install(monkeypatch, FakeCupy())
    for got, expected in zip(through(DeviceEngine()), through(HostEngine()), strict=True):
        assert_same_bits(got, expected)
    through(DeviceEngine())
    assert cupy.built == [OPTIONS], "one module for the process"
    for name, grid, block, arguments, _ in cupy.asked:
        assert block == (WALKING_BLOCK if name in WALKS else FOLDING_BLOCK if name in FOLDS else BLOCK,)
        assert len(grid) == 1
        assert len(arguments) == len(kernel_signatures()[name].parameters)


@pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")
def test_kernels_are_launched_on_the_engines_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = install(monkeypatch, FakeCupy(devices=2))
    through(DeviceEngine(1))
    assert {device for *_, device in cupy.asked} == {1}
    assert cupy.current == 0


@pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")
def test_an_array_that_is_not_wanted_is_a_null_pointer(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = install(monkeypatch, FakeCupy())
    through(DeviceEngine())
    layer_one = next(arguments for name, _, _, arguments, _ in cupy.asked if name == "layer_one")
    assert isinstance(layer_one[-1], np.uint64)
    assert layer_one[-1] == 0


def test_arguments_are_checked_before_anything_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = install(monkeypatch, FakeCupy())
    close, few = np.ones((4, 2)), np.ones((3, 2))
    with pytest.raises(ValueError, match=r"returns_of\(returns\) takes bars \* columns numbers \(8\), got 6"):
        DeviceEngine().launch("returns_of", 8, close=close, bars=4, columns=2, returns=few)
    DeviceEngine().launch("returns_of", 0, close=close[:0], bars=0, columns=2, returns=close[:0])
    assert not cupy.asked


def test_small_arrays_go_together_and_come_out_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCupy())
    arrays = [
        np.arange(3),
        np.arange(5, dtype=np.int8),
        np.array([[1.5, -0.0], [np.nan, 2.0]]),
        np.empty((0, 4)),
        np.arange(6.0).reshape(2, 3).T,
    ]
    device = DeviceEngine()
    for got, expected in zip(device.taken_together(arrays), arrays, strict=True):
        assert got.flags.c_contiguous
        assert_same_bits(device.brought(got), expected)
