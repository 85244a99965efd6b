"""A CuPy that works at once, with arrays that tests can tell and read; `fake_cupy.py` has the one that lags behind."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from fake_cupy import CurrentDevice
from fake_device import CUDADriverError, CUDARuntimeError
from host_kernels import HostModule


class Array(np.ndarray):
    """CuPy's array by its name, numpy's by what it does."""

    __module__ = "cupy"
    device_id = 0

    def __array_finalize__(self, parent: Any) -> None:
        self.device_id = getattr(parent, "device_id", 0)

    @property
    def device(self) -> FakeArrayDevice:
        return FakeArrayDevice(self.device_id)


class FakeArrayDevice:
    def __init__(self, id: int) -> None:
        self.id = id

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Stream:
    def __init__(self, cupy: ArrayCupy, name: str) -> None:
        self._cupy, self.name = cupy, name

    def wait_event(self, event: Event) -> None:
        self._cupy.said.append(f"{self.name} waits for {event.recorded_in}")

    def record(self, event: Event) -> Event:
        event.recorded_in = self.name
        return event

    def __enter__(self) -> Stream:
        self._cupy.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._cupy.streams.pop()


class Event:
    """Notes what was asked of it; `fails` is what its stream failed with."""

    recorded_in = "nothing"

    def __init__(self, cupy: ArrayCupy) -> None:
        self._cupy = cupy

    def synchronize(self) -> None:
        if self._cupy.fails is not None:
            raise self._cupy.fails


class ArrayCupy(ModuleType):
    """A module `cupy` whose arrays are its own, and which notes every transfer and wait."""

    __version__ = "14.0.fake"

    def __init__(self, devices: int = 1, has_compiler: bool = True) -> None:
        super().__init__("cupy")
        self.__spec__ = ModuleSpec("cupy", None)
        self.current = 0
        self.uploads: list[int] = []  # bytes
        self.downloads: list[int] = []
        self.said: list[str] = []  # waits and launches
        self.launched_on: set[int] = set()  # devices
        self.free = 2**40
        self.limit = 0
        self.used = 0
        self.shortages = 0  # so many allocations fail
        self.fails: Exception | None = None
        self.streams = [Stream(self, "null")]
        self.cuda = SimpleNamespace(
            is_available=lambda: devices > 0,
            Device=lambda id=None: CurrentDevice(self, self.current if id is None else id),  # type: ignore[arg-type]
            Event=lambda disable_timing: Event(self),
            get_current_stream=lambda: self.streams[-1],
            runtime=SimpleNamespace(memGetInfo=lambda: (self.free, 2**40), CUDARuntimeError=CUDARuntimeError),
            driver=SimpleNamespace(CUDADriverError=CUDADriverError),
        )
        self.nvrtc = ModuleType("nvrtc")
        self.nvrtc.getVersion = lambda: (12, 9)  # type: ignore[attr-defined]

    def RawModule(self, *, code: str, options: tuple[str, ...], backend: str) -> Any:  # noqa: N802
        compiled = HostModule(text=code)

        def get_function(name: str) -> Any:
            def run(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
                self.said.append(name)
                self.launched_on.add(self.current)
                assert all(type(value) is not np.ndarray for value in arguments), f"{name} reads the host"
                compiled.launch(name, grid[0], block[0], arguments)

            return run

        return SimpleNamespace(get_function=get_function)

    def get_default_memory_pool(self) -> Any:
        return SimpleNamespace(
            free_bytes=lambda: 0,
            get_limit=lambda: self.limit,
            used_bytes=lambda: self.used,
            free_all_blocks=lambda stream=None: self.said.append("the pool is emptied"),
        )

    @contextmanager
    def stream(self, name: str) -> Any:
        with Stream(self, name):
            yield

    def array(self, values: Any, device: int = 0) -> Any:
        """An array that is on the device already."""
        there = np.array(values, order="K").view(Array)
        there.device_id = device
        return there

    def asarray(self, values: Any) -> Any:
        if isinstance(values, Array):
            return values
        there = self.array(values, self.current)
        self.uploads.append(there.nbytes)
        return there

    def asnumpy(self, array: Any) -> np.ndarray:
        assert isinstance(array, Array)
        self.downloads.append(array.nbytes)
        return np.array(array.view(np.ndarray))

    def ascontiguousarray(self, array: Any) -> Any:
        assert array.flags.c_contiguous, "CuPy copies by a kernel of its own, which needs CUDA's headers"
        return array

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        if self.shortages:
            self.shortages -= 1
            raise MemoryError("Out of memory allocating")
        there = np.empty(shape, dtype)
        there.reshape(-1).view(np.uint8)[:] = 0xA5
        return self.array(there, self.current)
