"""Launches of the kernels on a CUDA device, through CuPy: the engine there."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .devices import why_not
from .signatures import OPTIONS, kernel_signatures, source

WALKS = frozenset(
    {
        "sums_from_the_start",
        "ema",
        "dema",
        "sma",
        "kama",
        "equities_of_averages",
        "equities_of_signals",
        "direction",
    }
)
"""Kernels with a thread for each row and column, which walks along the bars; the others have one for each bar too."""

WALKING_BLOCK = 32
"""Threads of a block of those. There are few of them and each waits for itself: a warp a block spreads them widest."""

BLOCK = 256
"""Threads of a block of the others."""

_WORD = 8  # bytes to which each of many arrays in one transfer is aligned


class DeviceEngine:
    """Kernels on one device.

    All work goes, in order, to the stream that is current when it is asked for, and so does the memory for it; arrays
    of the host that are being read must stay as they are until that stream has come by.

    Args:
        device: number of the device; None is the current one.

    Raises:
        RuntimeError: no GPU can be used here; the message says why.
    """

    def __init__(self, device: int | None = None) -> None:
        if reason := why_not():
            raise RuntimeError(f"no GPU can be used here: {reason}")
        import cupy

        self._cupy = cupy
        self.device = int(cupy.cuda.Device().id if device is None else device)

    def taken(self, array: NDArray[Any]) -> Any:
        """The device's own of an array; one that is there already is itself."""
        with self._cupy.cuda.Device(self.device):
            return self._cupy.ascontiguousarray(self._cupy.asarray(array))

    def taken_together(self, arrays: list[NDArray[Any]]) -> list[Any]:
        """The same of many small ones, in one transfer."""
        sizes = [-(-array.nbytes // _WORD) * _WORD for array in arrays]
        packed = np.zeros(sum(sizes), np.uint8)
        starts = np.cumsum([0, *sizes]).tolist()
        for array, start in zip(arrays, starts, strict=False):
            packed[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        there = self.taken(packed)
        return [
            there[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
            for array, start in zip(arrays, starts, strict=False)
        ]

    def brought(self, array: Any) -> NDArray[Any]:
        """The host's own of an array of the device's; waits for the current stream."""
        with self._cupy.cuda.Device(self.device):
            there: NDArray[Any] = self._cupy.asnumpy(array)
        return there

    def room(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A new array on the device, whatever it holds."""
        with self._cupy.cuda.Device(self.device):
            return self._cupy.empty(shape, dtype)

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        """Run a kernel on at least so many threads, after what the current stream was given before."""
        arranged = kernel_signatures()[kernel].arranged(arguments)
        if threads == 0:
            return
        block = WALKING_BLOCK if kernel in WALKS else BLOCK
        # A pointer to nothing is eight bytes of zeros; a device's empty array may point anywhere.
        words = tuple(np.uint64(0) if value is None else value for value in arranged)
        with self._cupy.cuda.Device(self.device):
            _kernel(kernel, self.device)((-(-threads // block),), (block,), words)


@functools.cache
def _module() -> Any:
    """The kernels, compiled by CuPy when a device first asks for one, and kept by it in memory and on disk."""
    import cupy

    return cupy.RawModule(code=source(), options=OPTIONS, backend="nvrtc")


@functools.cache
def _kernel(name: str, device: int) -> Any:
    """A kernel as the current device, which is `device`, has it loaded."""
    return _module().get_function(name)
