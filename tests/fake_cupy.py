"""As much of CuPy as the launcher asks for, on devices that are none; kernels run as g++ compiles them for the host."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_device import (
    LOCK,
    CUDADriverError,
    CUDARuntimeError,
    FakeArray,
    FakeDevice,
    FakeEvent,
    FakeStream,
    OutOfMemoryError,
    PinnedPool,
    copying,
    pinned_block,
)
from host_kernels import HostModule

from atc_plugin.accel import launch


class FakeCupy(ModuleType):
    """A module `cupy` that notes what was asked of it.

    Args:
        devices: How many there are.
        has_compiler: Whether NVRTC can be found.
        memory: Bytes of each device.
        said_free: What the driver says of them while nothing is allocated; the truth, if None.

    Attributes:
        asked: Launches: kernel, blocks, threads of a block, arguments (an array's is its address) and device.
        built: Options of every module.
        device: The devices, with their `memory`, `others_first` and `in_flight`.
        pinned: The pool of pinned memory.
        failing: Errors by the name of the kernel that fails with it, when it runs.
        no_streams, no_events: An iterator each of the errors that making one raises next; None raises none.
    """

    __version__ = "14.0.fake"

    def __init__(
        self, devices: int = 1, has_compiler: bool = True, memory: int = 2**33, said_free: int | None = None
    ) -> None:
        super().__init__("cupy")
        self.__spec__ = ModuleSpec("cupy", None)
        self.asked: list[tuple[Any, ...]] = []
        self.built: list[tuple[str, ...]] = []
        self.device = [FakeDevice(number, memory, said_free, self._is_current) for number in range(devices)]
        self.pinned = PinnedPool()
        self.failing: dict[str, Exception] = {}
        self.no_streams: Iterator[Exception | None] = iter(())
        self.no_events: Iterator[Exception | None] = iter(())
        self._thread = threading.local()
        self.cuda = SimpleNamespace(
            is_available=lambda: devices > 0,
            Device=lambda id=None: CurrentDevice(self, self.current if id is None else id),
            Stream=lambda non_blocking=False: self._stream(non_blocking),
            Event=lambda block=False, disable_timing=False: self._event(),
            get_current_stream=self._current_stream,
            alloc_pinned_memory=self.pinned.allocated,
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                memGetInfo=lambda: self._now().memory.info(),
                getDeviceCount=lambda: devices,
                getDeviceProperties=lambda device: {"name": b"a device that is none"},
                runtimeGetVersion=lambda: 12090,
            ),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        )
        self.ndarray = FakeArray
        self.nvrtc = ModuleType("nvrtc")
        self.nvrtc.getVersion = self._version if has_compiler else self._missing  # type: ignore[attr-defined]

    @property
    def current(self) -> int:
        """The number of the device that is current in this thread."""
        return getattr(self._thread, "device", 0)

    @current.setter
    def current(self, device: int) -> None:
        self._thread.device = device

    def _is_current(self, device: int) -> bool:
        return self.current == device

    def _now(self) -> FakeDevice:
        return self.device[self.current]

    def _current_stream(self) -> FakeStream:
        return self._now().entered[-1]

    def _stream(self, non_blocking: bool) -> FakeStream:
        if error := next(self.no_streams, None):
            raise error
        return FakeStream(self._now(), non_blocking)

    def _event(self) -> FakeEvent:
        if error := next(self.no_events, None):
            raise error
        return FakeEvent()

    def empty(self, shape: Any, dtype: Any = float) -> FakeArray:
        device, dtype = self._now(), np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        with LOCK:
            raw = device.memory.allocated(nbytes, self._current_stream()) if nbytes else np.empty(0, np.uint8)
        return FakeArray(raw.view(dtype).reshape(shape), device)

    def asarray(self, array: Any) -> FakeArray:
        """Staged: the host's own may change when this returns, unless it is pinned."""
        if isinstance(array, FakeArray):
            return array
        source = np.ascontiguousarray(array)
        made = self.empty(source.shape, source.dtype)
        staged = source if pinned_block(source) else source.copy()
        moving = copying(staged.ctypes.data, int(made.address()), staged.nbytes)
        self._current_stream().put("upload", lambda staged=staged: moving())
        return made

    def ascontiguousarray(self, array: FakeArray) -> FakeArray:
        assert array.flags.c_contiguous, "the fake takes arrays in C order alone"
        return array

    def asnumpy(self, array: FakeArray) -> np.ndarray:
        return array.get(stream=self._current_stream(), out=np.empty(array.shape, array.dtype))

    def get_default_memory_pool(self) -> Any:
        memory = self._now().memory

        def set_limit(size: int = 0) -> None:
            memory.limit = size

        return SimpleNamespace(
            free_bytes=lambda: memory.kept,
            used_bytes=lambda: memory.used,
            total_bytes=lambda: memory.used + memory.kept,
            get_limit=lambda: memory.limit,
            set_limit=set_limit,
            free_all_blocks=memory.free_all_blocks,
        )

    def RawModule(self, *, code: str, options: tuple[str, ...], backend: str) -> Any:  # noqa: N802
        assert backend == "nvrtc"
        self.built.append(options)
        compiled = HostModule(text=code)

        def get_function(name: str) -> Any:
            def run(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
                for value in arguments:
                    assert isinstance(value, (FakeArray, np.generic)), f"CuPy takes no {type(value)}"
                words = tuple(value.address() if isinstance(value, FakeArray) else value for value in arguments)
                self.asked.append((name, grid, block, words, self.current))

                def work() -> None:
                    if name in self.failing:
                        raise self.failing[name]
                    compiled.launch(name, grid[0], block[0], words)

                self._current_stream().put(name, work)

            return run

        return SimpleNamespace(get_function=get_function)

    def _version(self) -> tuple[int, int]:
        return (12, 9)

    def _missing(self) -> tuple[int, int]:
        raise RuntimeError("libnvrtc.so.12 was not found")


class CurrentDevice:
    def __init__(self, cupy: FakeCupy, id: int) -> None:
        self.id, self._cupy = id, cupy

    def __enter__(self) -> None:
        self._before, self._cupy.current = self._cupy.current, self.id

    def __exit__(self, *_: object) -> None:
        self._cupy.current = self._before


def install(monkeypatch: pytest.MonkeyPatch, cupy: FakeCupy) -> FakeCupy:
    """Make it what `import cupy` finds."""
    for name in ("cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["cupy_backends.cuda.libs"].nvrtc = cupy.nvrtc  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.nvrtc", cupy.nvrtc)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Modules are built once a process, and in here anew; no thread stays."""
    threads = set(threading.enumerate())
    launch._module.cache_clear()
    launch._kernel.cache_clear()
    yield
    launch._module.cache_clear()
    launch._kernel.cache_clear()
    assert {thread for thread in threading.enumerate() if not thread.daemon} <= threads


def assert_nothing_is_left(cupy: FakeCupy) -> None:
    """Nothing takes memory, of the devices or pinned, and no stream is current."""
    gc.collect()
    for device in cupy.device:
        device.synchronize()
        device.memory.free_all_blocks()
        assert device.memory.used == 0
        assert device.entered == [device.null]
    assert cupy.pinned.used == 0
