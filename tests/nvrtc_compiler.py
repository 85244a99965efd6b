"""NVRTC without a GPU and without CuPy: from a source to PTX, through the library that pip installs."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
from pathlib import Path
from typing import Any

PACKAGES = ("nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc")


@functools.cache
def library() -> Any:
    """NVRTC, or None where neither package is installed."""
    for package in PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if Path(file.name).match("libnvrtc.so.*"):
                return ctypes.CDLL(str(file.locate()))
    return None


def _asked(function: str, *arguments: Any) -> None:
    code = library()[function](*arguments)
    if code:
        library().nvrtcGetErrorString.restype = ctypes.c_char_p
        raise RuntimeError(f"{function}: {library().nvrtcGetErrorString(code).decode()}")


def architectures() -> list[int]:
    """What this NVRTC compiles for: 75 is sm_75."""
    count = ctypes.c_int()
    _asked("nvrtcGetNumSupportedArchs", ctypes.byref(count))
    found = (ctypes.c_int * count.value)()
    _asked("nvrtcGetSupportedArchs", found)
    return list(found)


def ptx(text: str, options: tuple[str, ...]) -> str:
    """The PTX of a source.

    Raises:
        RuntimeError: it does not compile; the message holds NVRTC's log.
    """
    program = ctypes.c_void_p()
    _asked("nvrtcCreateProgram", ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None)
    try:
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        try:
            _asked("nvrtcCompileProgram", program, len(options), words)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{_text(program, 'ProgramLog')}") from None
        return _text(program, "PTX")
    finally:
        _asked("nvrtcDestroyProgram", ctypes.byref(program))


def _text(program: ctypes.c_void_p, what: str) -> str:
    size = ctypes.c_size_t()
    _asked(f"nvrtcGet{what}Size", program, ctypes.byref(size))
    room = ctypes.create_string_buffer(size.value)
    _asked(f"nvrtcGet{what}", program, room)
    return room.value.decode()
