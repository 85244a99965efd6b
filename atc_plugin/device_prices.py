"""Prices that are on a GPU already: looked at there, and brought only if the host has to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .accel.engines import Place, gathered_on
from .accel.holding import Held
from .accel.placing import are_sound_on
from .containers import Container, array_container
from .device_arrays import as_cupy, is_on_gpu
from .prices import Prices, read_prices

if TYPE_CHECKING:
    from .accel.launch import DeviceEngine


class DevicePrices(Prices):
    """Prices without gaps in a device's memory of their own; `close` and `source` are copies on the host.

    The first who reads either brings both. They pickle as `Prices` of the host.
    """

    __slots__ = ("_brought", "there")
    there: Held[tuple[Any, Any]]  # close and source, each (bars, columns); no source where it is the close
    _brought: tuple[NDArray[float64], NDArray[float64]] | None

    def __init__(self, there: Held[tuple[Any, Any]], container: Container) -> None:
        columns = len(container.labels)
        own = {
            "there": there,
            "container": container,
            "counts": np.full(columns, container.shape[0], int64),
            "valid": None,
            "_brought": None,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def close(self) -> NDArray[float64]:
        """(columns, bars), on the host."""
        return self._on_host()[0]

    @property
    def source(self) -> NDArray[float64]:
        """The same; the very same object where no source was given."""
        return self._on_host()[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Columns and bars."""
        return len(self.container.labels), self.container.shape[0]

    def _on_host(self) -> tuple[NDArray[float64], NDArray[float64]]:
        if self._brought is None:
            with self.there.reading() as arrays:
                close, source = (
                    None if array is None else np.ascontiguousarray(self.there.engine.brought(array).T)
                    for array in arrays
                )
            assert close is not None
            object.__setattr__(self, "_brought", (close, close if source is None else source))
        assert self._brought is not None
        return self._brought

    def __reduce__(self) -> tuple[Any, ...]:
        return Prices, (self.close, self.source, self.counts, self.valid, self.container)


def read_for_device(engine: DeviceEngine, close: Any, source: Any = None) -> Prices:
    """`read_prices` for an engine: what lies on its device stays there, unless it has gaps.

    Errors are those of `read_prices`: the device says only whether there is something to look for, and the host, which
    is then given the prices, finds it or packs the bars around the gaps.
    """
    if not is_on_gpu(close) or not (source is None or is_on_gpu(source)):
        return read_prices(close, source)
    arrays = [as_cupy(close)]
    if source is not None and source is not close:
        arrays.append(as_cupy(source))
    containers = [
        array_container(array, what, "cupy", engine.device)
        for array, what in zip(arrays, ("close", "source"), strict=False)
    ]
    alike = all(
        int(array.device.id) == engine.device and array.shape == arrays[0].shape and array.dtype.kind != "O"
        for array in arrays
    )
    if not alike:
        return read_prices(close, source)
    own = [_own(engine, array) for array in arrays]
    sound = all(are_sound_on(engine, array, zeros=place == 0) for place, array in enumerate(own))
    if not sound:
        return read_prices(close, source)
    return DevicePrices(Held(engine, (own[0], own[1] if len(own) > 1 else None)), containers[0])


def _own(engine: DeviceEngine, array: Any) -> Any:
    """A copy (bars, columns) in C order: what is handed in is the user's to change."""
    table = array.reshape(array.shape[0], -1) if array.ndim == 1 else array
    if table.dtype != np.float64:
        with engine.streaming(None):  # CuPy converts on the device that is current
            table = table.astype(np.float64)
    bars, columns = table.shape
    if table.flags.f_contiguous and not table.flags.c_contiguous:
        return gathered_on(engine, table.T, Place(0, 1, bars), bars, columns)
    return gathered_on(engine, engine.taken(table), Place(0, columns, 1), bars, columns)
