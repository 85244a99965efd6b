"""A CUDA device that is none, as strict as one may be: memory, streams and arrays on the host.

Work is done as late as possible: a stream only queues it, and does it when somebody waits for it. Queues keep addresses
and no arrays. Freed memory turns to rubbish in the order of its own stream and is given out again there at once. So
what is read before it is written, or kept too short for another stream, comes out as other numbers.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

UNIT = 512  # bytes to which sizes are rounded up
RUBBISH = 0xFF  # no number, and as an index next to what it indexes
LOCK = threading.RLock()
"""Of all devices: memory may be freed wherever Python collects garbage, and kernels of the host run one at a time."""


class CUDARuntimeError(RuntimeError):
    __module__ = "cupy_backends.cuda.api.runtime"  # errors are told by where they come from

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CUDADriverError(CUDARuntimeError):
    __module__ = "cupy_backends.cuda.api.driver"


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


def out_of_memory() -> CUDARuntimeError:
    return CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory")


class Block:
    """Bytes that numpy keeps alive as long as it looks at them; then they are freed."""

    def __init__(self, raw: np.ndarray, freed: Callable[[np.ndarray], None]) -> None:
        self._raw, self._freed = raw, freed
        self.__array_interface__ = raw.__array_interface__

    def __del__(self) -> None:
        self._freed(self._raw)


class DeviceMemory:
    """A device's memory and CuPy's pool on it, with an arena for each stream."""

    def __init__(self, device: FakeDevice, size: int, said_free: int | None) -> None:
        self._device, self.size, self._said_free = device, size, said_free
        self.limit = 0
        self.used = 0
        self.peak = 0
        self.allocations = 0
        self.refused: Callable[[int, int], bool] = lambda nth, size: False
        self._arenas: dict[int, list[np.ndarray]] = defaultdict(list)

    def __repr__(self) -> str:
        return f"{self.used:,} bytes used, {self.kept:,} kept of {self.size:,}"

    @property
    def kept(self) -> int:
        return sum(raw.nbytes for arena in self._arenas.values() for raw in arena)

    def info(self) -> tuple[int, int]:
        """What the driver says is free, and all there is."""
        free = self.size - self.used - self.kept
        return (free if self._said_free is None else self._said_free - self.used - self.kept), self.size

    def allocated(self, nbytes: int, stream: FakeStream) -> np.ndarray:
        """Bytes for work of a stream, whatever they hold."""
        size = -(-nbytes // UNIT) * UNIT
        self.allocations += 1
        if self.refused(self.allocations, size):
            raise OutOfMemoryError(size, self.used + self.kept)
        arena = self._arenas[stream.ptr]
        fitting = [place for place, raw in enumerate(arena) if raw.nbytes >= size]
        if fitting:
            place = min(reversed(fitting), key=lambda place: arena[place].nbytes)
            raw = arena.pop(place)  # whole: the rest of it is lost
        else:
            raw = self._from_the_driver(size)
            raw[:] = RUBBISH
        self.used += raw.nbytes
        self.peak = max(self.peak, self.used)
        held = Block(raw, lambda raw: self._freed(raw, stream))
        return np.asarray(held)[:nbytes]

    def _from_the_driver(self, size: int) -> np.ndarray:
        total = self.used + self.kept
        if self.limit and total + size > self.limit:
            raise OutOfMemoryError(size, total, self.limit)
        if total + size > self.size:
            self.free_all_blocks()
            if self.used + size > self.size:
                raise OutOfMemoryError(size, total)
        return np.empty(size, np.uint8)

    def _freed(self, raw: np.ndarray, stream: FakeStream) -> None:
        with LOCK:
            self.used -= raw.nbytes
            stream.put("free", lambda: raw.fill(RUBBISH))
            self._arenas[stream.ptr].append(raw)

    def free_all_blocks(self, stream: FakeStream | None = None) -> None:
        with LOCK:
            self._device.synchronize()  # as cudaFree does
            if stream is None:
                self._arenas.clear()
            else:
                self._arenas.pop(stream.ptr, None)


class FakeDevice:
    """A device: its memory, its streams and what goes wrong on it."""

    def __init__(self, id: int, memory: int, said_free: int | None, is_current: Callable[[int], bool]) -> None:
        self.id, self.is_current = id, is_current
        self.streams: list[FakeStream] = []
        self.null = FakeStream(self)
        self.memory = DeviceMemory(self, memory, said_free)
        self.others_first = False  # whether the other streams are ahead of one that is waited for, or behind it
        self.broken: Exception | None = None  # as all of it is after a kernel has failed
        self.in_flight: list[int] = []  # whenever the host waited: the streams with a download to come
        self._thread = threading.local()

    @property
    def entered(self) -> list[FakeStream]:
        """The streams that this thread made current, one within the other."""
        if not hasattr(self._thread, "entered"):
            self._thread.entered = [self.null]
        entered: list[FakeStream] = self._thread.entered
        return entered

    def synchronize(self) -> None:
        for stream in self.streams:
            stream.work()


class FakeStream:
    """Work in its order, done when somebody waits for it."""

    _numbers = itertools.count()

    def __init__(self, device: FakeDevice, non_blocking: bool = False) -> None:
        self.device, self.device_id, self.is_non_blocking = device, device.id, non_blocking
        self.ptr = next(self._numbers)
        self._queue: deque[tuple[str, Callable[[], Any]]] = deque()
        self._put = self._done = 0
        device.streams.append(self)

    def __enter__(self) -> FakeStream:
        assert self.device.is_current(self.device_id), "a stream is made current on its own device alone"
        self.device.entered.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.device.entered.pop()

    def put(self, what: str, work: Callable[[], Any]) -> None:
        with LOCK:
            self._queue.append((what, work))
            self._put += 1

    @property
    def to_come(self) -> int:
        """How much of its work is still to be done."""
        return self._put - self._done

    def has_download(self) -> bool:
        return any(what == "download" for what, _ in self._queue)

    def work(self, until: int | None = None) -> None:
        """Do what was put, or so many of all that were ever put."""
        while self._queue and (until is None or self._done < until):
            what, work = self._queue.popleft()
            self._done += 1
            if self.device.broken is None or what == "free":
                try:
                    work()
                except Exception as error:
                    self.device.broken = error.with_traceback(None)  # whose frames keep arrays

    def synchronize(self, until: int | None = None) -> None:
        with LOCK:
            self.device.in_flight.append(sum(stream.has_download() for stream in self.device.streams))
            if self.device.others_first:
                for stream in self.device.streams:
                    if stream is not self:
                        stream.work()
            self.work(until)
            if self.device.broken is not None:
                raise self.device.broken.with_traceback(None)

    def record(self, event: FakeEvent) -> FakeEvent:
        event.stream, event.place = self, self._put
        return event

    def wait_event(self, event: FakeEvent) -> None:
        stream, place = event.stream, event.place
        if stream is not None:
            self.put("wait", lambda: stream.work(place))


class FakeEvent:
    stream: FakeStream | None = None
    place = 0

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.synchronize(self.place)


class FakeArray:
    """An array on a device: its address and shape. Only kernels and transfers get at what it holds."""

    __array_ufunc__ = None

    def __init__(self, on_device: np.ndarray, device: FakeDevice) -> None:
        self._on_device, self.device = on_device, device
        self.shape, self.dtype, self.size = on_device.shape, on_device.dtype, on_device.size
        self.nbytes, self.ndim, self.flags = on_device.nbytes, on_device.ndim, on_device.flags

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __len__(self) -> int:
        return len(self._on_device)

    def __getitem__(self, where: Any) -> FakeArray:
        return FakeArray(self._on_device[where], self.device)

    def reshape(self, *shape: Any) -> FakeArray:
        return FakeArray(self._on_device.reshape(*shape), self.device)

    def view(self, dtype: Any) -> FakeArray:
        return FakeArray(self._on_device.view(dtype), self.device)

    @property
    def T(self) -> FakeArray:  # noqa: N802
        return FakeArray(self._on_device.T, self.device)

    def address(self) -> np.uint64:
        return np.uint64(self._on_device.ctypes.data)

    def get(self, *, stream: FakeStream, out: np.ndarray, blocking: bool = True) -> np.ndarray:
        assert out.dtype == self.dtype
        assert out.shape == self.shape
        assert out.flags.c_contiguous
        assert self.flags.c_contiguous, "the fake brings arrays in C order alone"
        copy, block = copying(int(self.address()), out.ctypes.data, self.nbytes), pinned_block(out)
        if block is None:
            stream.put("download", copy)
            stream.synchronize()
            return out
        kept = weakref.ref(block)

        def brought() -> None:
            assert kept() is not None, "memory of the host was given back before the device had written it"
            copy()

        stream.put("download", brought)
        if blocking:
            stream.synchronize()
        return out


def copying(source: int, target: int, nbytes: int) -> Callable[[], None]:
    """A transfer between addresses; whatever lies there when it is done."""
    return lambda: ctypes.memmove(target, source, nbytes) and None


class PinnedPool:
    """Pinned memory of the host, in blocks of powers of two: freed ones turn to rubbish and are given out at once."""

    def __init__(self) -> None:
        self.size = 2**34
        self.used = 0
        self._free: dict[int, list[np.ndarray]] = defaultdict(list)

    def allocated(self, nbytes: int) -> np.ndarray:
        with LOCK:
            size = max(UNIT, 1 << (nbytes - 1).bit_length())
            if self.used + size > self.size:
                raise out_of_memory()
            raw = self._free[size].pop() if self._free[size] else np.full(size, RUBBISH, np.uint8)
            self.used += size
            return np.asarray(PinnedBlock(raw, self._freed))

    def _freed(self, raw: np.ndarray) -> None:
        with LOCK:
            self.used -= raw.nbytes
            raw[:] = RUBBISH
            self._free[raw.nbytes].append(raw)


class PinnedBlock(Block):
    """Those of pinned memory."""


def pinned_block(array: Any) -> PinnedBlock | None:
    """The pinned memory that an array of the host lies in, if any."""
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.obj if isinstance(array, memoryview) else array.base
    return array if isinstance(array, PinnedBlock) else None
