"""Launches of the kernels on a CUDA device, through CuPy: the engine there."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator
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
        "scales_of_images",
        "lines_of_stretches",
        "lines_of_open_stretches",
    }
)
"""Kernels with a thread for each row and column, which walks along bars or components; the others have one for each
bar too, or for each combination."""

WALKING_BLOCK = 32
"""Threads of a block of those. There are few of them and each waits for itself: a warp a block spreads them widest."""

FOLDS = frozenset({"accumulators_of_combinations", "accumulators_of_windows"})
"""Kernels that hold so much in registers that a smaller block leaves room for more of them."""

FOLDING_BLOCK = 128
"""Threads of a block of those."""

BLOCK = 256
"""Threads of a block of the others."""

_MEMORY_ALLOCATION = 2  # cudaErrorMemoryAllocation, and the driver's CUDA_ERROR_OUT_OF_MEMORY

_WORD = 8  # bytes to which each of many arrays in one transfer is aligned


class DeviceEngine:
    """Kernels on one device.

    All work goes, in order, to the stream that is current when it is asked for, and so does the memory for it: freed,
    it is given out again to that stream alone, and at once. So an array may be dropped while its own stream still has
    work on it, but has to be kept while another's has. CuPy itself stages what it takes from the host in pinned memory
    and does not wait; arrays of the host that lie there already must stay as they are until that stream has come by.

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

    def bringing(self, array: Any) -> Callable[[], NDArray[Any]]:
        """Begin to bring an array to the host, without waiting for it.

        Returns:
            What waits for the stream that is current now and gives the array. The array lies in pinned memory, which
            CuPy uses again when the last reference to it is gone: keep what this returns until then.
        """
        with self._cupy.cuda.Device(self.device):
            stream = self._cupy.cuda.get_current_stream()
            here = self._pinned(array.shape, array.dtype)
            if here.size:
                array.get(stream=stream, out=here, blocking=False)

        def there() -> NDArray[Any]:
            _ = array  # another stream's arena must not have it before this one has read it
            stream.synchronize()
            return here

        return there

    def _pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Memory of the host for a transfer that does not wait; where no more can be pinned, such that waits."""
        size = math.prod(shape)
        if size == 0:
            return np.empty(shape, dtype)
        try:
            memory = self._cupy.cuda.alloc_pinned_memory(size * np.dtype(dtype).itemsize)
        except self._cupy.cuda.runtime.CUDARuntimeError as error:
            if not self.is_out_of_memory(error):
                raise
            return np.empty(shape, dtype)
        return np.frombuffer(memory, dtype, size).reshape(shape)  # there may be more of it

    def room(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A new array on the device, whatever it holds."""
        with self._cupy.cuda.Device(self.device):
            return self._cupy.empty(shape, dtype)

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        """Run a kernel on at least so many threads, after what the current stream was given before."""
        arranged = kernel_signatures()[kernel].arranged(arguments)
        if threads == 0:
            return
        block = WALKING_BLOCK if kernel in WALKS else FOLDING_BLOCK if kernel in FOLDS else BLOCK
        # A pointer to nothing is eight bytes of zeros; a device's empty array may point anywhere.
        words = tuple(np.uint64(0) if value is None else value for value in arranged)
        with self._cupy.cuda.Device(self.device):
            _kernel(kernel, self.device)((-(-threads // block),), (block,), words)

    def free_bytes(self) -> int:
        """How many bytes new arrays may take at most: of the driver and of CuPy's pool, below the pool's limit.

        Fragments and other processes may leave less.
        """
        with self._cupy.cuda.Device(self.device):
            pool = self._cupy.get_default_memory_pool()
            free = int(self._cupy.cuda.runtime.memGetInfo()[0]) + int(pool.free_bytes())
            limit = int(pool.get_limit())
            return max(0, min(free, limit - int(pool.used_bytes()))) if limit else free

    def new_stream(self) -> Any:
        """A stream of its own, which waits for no other."""
        with self._cupy.cuda.Device(self.device):
            return self._cupy.cuda.Stream(non_blocking=True)

    @contextlib.contextmanager
    def streaming(self, stream: Any) -> Iterator[None]:
        """Make the device current, and a stream of `new_stream` on it; None leaves the one that is."""
        with self._cupy.cuda.Device(self.device), contextlib.nullcontext() if stream is None else stream:
            yield

    def mark(self) -> Any:
        """An event behind all that the current stream was given so far."""
        with self._cupy.cuda.Device(self.device):
            event = self._cupy.cuda.Event(disable_timing=True)
            return self._cupy.cuda.get_current_stream().record(event)

    def current_stream(self) -> Any:
        """The stream that is current now."""
        with self._cupy.cuda.Device(self.device):
            return self._cupy.cuda.get_current_stream()

    def wait_for(self, mark: Any, stream: Any = None) -> None:
        """Let a stream, the current one by default, wait for an event before what it is given from now on."""
        with self._cupy.cuda.Device(self.device):
            (self._cupy.cuda.get_current_stream() if stream is None else stream).wait_event(mark)

    def synchronize(self, mark: Any = None) -> None:
        """Wait here until the device has come by an event, or has done all that the current stream was given."""
        with self._cupy.cuda.Device(self.device):
            (self._cupy.cuda.get_current_stream() if mark is None else mark).synchronize()

    def release(self, stream: Any = None) -> None:
        """Give the device back what CuPy's pool keeps without need: all of it, or a stream's."""
        with self._cupy.cuda.Device(self.device):
            self._cupy.get_default_memory_pool().free_all_blocks(stream)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that there is too little memory, on the device or here."""
        runtime, driver = self._cupy.cuda.runtime, self._cupy.cuda.driver
        if isinstance(error, (runtime.CUDARuntimeError, driver.CUDADriverError)):  # a kernel's own memory, say
            return bool(error.status == _MEMORY_ALLOCATION)
        return isinstance(error, MemoryError)

    def __str__(self) -> str:
        return f"device {self.device}"


_loading = threading.Lock()
"""Held while kernels are compiled and loaded, so that threads of several devices do it once."""


@functools.cache
def _module() -> Any:
    """The kernels, compiled by CuPy when a device first asks for one, and kept by it in memory and on disk."""
    import cupy

    return cupy.RawModule(code=source(), options=OPTIONS, backend="nvrtc")


@functools.cache
def _kernel(name: str, device: int) -> Any:
    """A kernel as the current device, which is `device`, has it loaded."""
    with _loading:
        return _module().get_function(name)


def every_device() -> list[DeviceEngine]:
    """An engine for each device of this machine.

    Raises:
        RuntimeError: as of `DeviceEngine`.
    """
    if reason := why_not():
        raise RuntimeError(f"no GPU can be used here: {reason}")
    import cupy

    return [DeviceEngine(number) for number in range(cupy.cuda.runtime.getDeviceCount())]
