"""Whether a GPU can be used here, and if not, what is missing."""

from __future__ import annotations

_INSTALL = "pip install 'atc_plugin[cuda12]', or 'atc_plugin[cuda13]' for a driver of CUDA 13"


def available() -> bool:
    """Whether a GPU can be used here."""
    return not why_not()


def why_not() -> str:
    """Why no GPU can be used here and what to do about it; an empty text where one can.

    Asks CuPy itself, whose distributions have many names: it is importable without a driver, and finds a device without
    having a compiler.
    """
    try:
        import cupy
        from cupy_backends.cuda.libs import nvrtc
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: {_INSTALL}"
    except Exception as error:  # a broken installation fails in its own ways
        return f"CuPy cannot be imported ({type(error).__name__}: {error}): {_INSTALL}"
    if not cupy.cuda.is_available():
        return f"CuPy {cupy.__version__} finds no CUDA device: nvidia-smi tells whether there is one, and its driver"
    try:
        nvrtc.getVersion()
    except Exception as error:  # the library is found on first use
        return f"CUDA's compiler NVRTC is missing ({type(error).__name__}: {error}): {_INSTALL}"
    return ""


def is_device_fault(error: BaseException) -> bool:
    """Whether an error is one of a device, its driver or its memory, which another engine would not have."""
    return isinstance(error, MemoryError) or type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends")
