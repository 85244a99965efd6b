"""As much of CuPy as the launcher asks for, on the host: numpy's arrays, and the kernels as g++ compiles them."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from host_kernels import HostModule


class FakeCupy(ModuleType):
    """A module `cupy` that notes what was asked of it."""

    __version__ = "14.0.fake"

    def __init__(self, devices: int = 1, has_compiler: bool = True) -> None:
        super().__init__("cupy")
        self.asked: list[tuple[Any, ...]] = []
        self.built: list[tuple[str, ...]] = []  # options of every module
        self.current = 0
        self.asarray, self.asnumpy, self.ascontiguousarray, self.empty = (
            np.asarray,
            np.asarray,
            np.ascontiguousarray,
            np.empty,
        )
        self.cuda = SimpleNamespace(is_available=lambda: devices > 0, Device=lambda id=None: FakeDevice(self, id))
        self.nvrtc = ModuleType("nvrtc")
        self.nvrtc.getVersion = self._version if has_compiler else self._missing  # type: ignore[attr-defined]

    def RawModule(self, *, code: str, options: tuple[str, ...], backend: str) -> Any:  # noqa: N802
        assert backend == "nvrtc"
        self.built.append(options)
        compiled = HostModule(text=code)

        def get_function(name: str) -> Any:
            def run(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
                self.asked.append((name, grid, block, arguments, self.current))
                compiled.launch(name, grid[0], block[0], arguments)

            return run

        return SimpleNamespace(get_function=get_function)

    def _version(self) -> tuple[int, int]:
        return (12, 9)

    def _missing(self) -> tuple[int, int]:
        raise RuntimeError("libnvrtc.so.12 was not found")


class FakeDevice:
    def __init__(self, cupy: FakeCupy, id: int | None) -> None:
        self.id, self._cupy = cupy.current if id is None else id, cupy

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
