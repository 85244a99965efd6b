"""Arrays that lie on a GPU: CuPy's, and what other libraries offer as such. CuPy is imported for those alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_KNOWN = ("numpy", "builtins", "pandas", "polars")
_CUDA = (2, 13)  # DLPack's numbers of memory on a CUDA device, and of memory that moves there


def is_on_gpu(prices: object) -> bool:
    """Whether this is an array on a CUDA device: CuPy's, or one with `__cuda_array_interface__` or through DLPack.

    >>> is_on_gpu([1.0, 2.0])
    False
    """
    home = type(prices).__module__.partition(".")[0]
    if home in _KNOWN:
        return False
    return home == "cupy" or _is_on_cuda_by_dlpack(prices) or hasattr(prices, "__cuda_array_interface__")


def _is_on_cuda_by_dlpack(prices: Any) -> bool:
    device = getattr(prices, "__dlpack_device__", None)
    return callable(device) and device()[0] in _CUDA


def as_cupy(prices: Any) -> Any:
    """CuPy's array of an array on a GPU, of the same memory.

    Raises:
        ImportError: CuPy is not there to read it.
    """
    try:
        import cupy
    except ImportError as missing:
        from .accel.devices import why_not

        reason = f"an array on a GPU is read by CuPy, or hand over a copy on the host: {why_not()}"
        raise ImportError(reason) from missing
    if type(prices).__module__.partition(".")[0] == "cupy":
        return prices
    # DLPack first: through it PyTorch's stream is waited for, which its other interface says nothing of.
    return cupy.from_dlpack(prices) if _is_on_cuda_by_dlpack(prices) else cupy.asarray(prices)


def on_host(prices: Any) -> tuple[NDArray[Any], int]:
    """A copy of an array on a GPU as numpy's, and the number of the device."""
    array = as_cupy(prices)
    import cupy

    with array.device:
        copy: NDArray[Any] = cupy.asnumpy(array)
    return copy, int(array.device.id)


def on_device(values: NDArray[Any], device: int) -> Any:
    """A copy on a device, as CuPy's array."""
    import cupy

    with cupy.cuda.Device(device):
        return cupy.asarray(np.ascontiguousarray(values))
