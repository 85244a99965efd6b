"""The kernels' source and what it says each kernel takes, for whatever launches them: a device, or tests on the host.

Each parameter stands on a line of its own, a pointer followed by its shape in names of the kernel's integers:

    const double* __restrict__ x,  // bars columns
    double* __restrict__ averages  // ? bars columns or none

`?` is any number. An array `or none` may be empty, and is then handed over as a null pointer.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FILES = (
    "common.cu",
    "window_averages.cu",
    "recursive_averages.cu",
    "adaptive.cu",
    "turns.cu",
    "stretches.cu",
    "judging.cu",
    "windows.cu",
    "placing.cu",
)
"""The source is these, one after the other: what the first defines the others use."""

OPTIONS = ("--fmad=false", "--std=c++17")
"""What NVRTC is told. Without the first it fuses multiplications with additions, and the bits are others."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "double": np.dtype(np.float64),
    "i64": np.dtype(np.int64),
    "i32": np.dtype(np.int32),
    "u32": np.dtype(np.uint32),
    "i8": np.dtype(np.int8),
}
_KERNEL = re.compile(r'^extern "C" __global__ void (\w+)\(\n(.*?)\n\) \{$', re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"^ +(const )?(double|i64|i32|u32|i8)(\*)? (?:__restrict__ )?(\w+),?(?:  // (.+))?$")


class Parameter(NamedTuple):
    """One parameter of a kernel; a scalar has no shape, and an array's is the product of integers and others' names."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[str, ...] | None
    is_written: bool
    may_be_none: bool


class Signature(NamedTuple):
    """What a kernel takes, in its order."""

    kernel: str
    parameters: tuple[Parameter, ...]

    def arranged(self, arguments: Mapping[str, Any]) -> list[Any]:
        """The arguments in the kernel's order, scalars as numpy's; None for an array that is not there.

        Arrays are numpy's or cupy's.

        Raises:
            TypeError: a name, type, dtype or memory layout is not the kernel's.
            ValueError: an array has another size than the kernel reads or writes.
        """
        names = [parameter.name for parameter in self.parameters]
        if set(arguments) != set(names):
            missing, unknown = sorted(set(names) - set(arguments)), sorted(set(arguments) - set(names))
            raise TypeError(f"{self.kernel}: missing arguments {missing}, unknown arguments {unknown}")
        scalars = {
            parameter.name: _scalar(f"{self.kernel}({parameter.name})", parameter.dtype, arguments[parameter.name])
            for parameter in self.parameters
            if parameter.shape is None
        }
        return [
            scalars[parameter.name]
            if parameter.shape is None
            else self._array(parameter, arguments[parameter.name], scalars)
            for parameter in self.parameters
        ]

    def _array(self, parameter: Parameter, value: Any, scalars: Mapping[str, np.generic]) -> Any:
        where = f"{self.kernel}({parameter.name})"
        shape = parameter.shape or ()
        if not hasattr(value, "dtype") or not hasattr(value, "flags"):
            raise TypeError(f"{where} takes an array of {parameter.dtype}, got {type(value).__name__}")
        if value.dtype != parameter.dtype:
            raise TypeError(f"{where} takes an array of {parameter.dtype}, got one of {value.dtype}")
        if not value.flags.c_contiguous:
            raise TypeError(f"{where} takes an array in C order without gaps")
        if value.size == 0 and parameter.may_be_none:
            return None
        one = math.prod(int(factor) if factor.isdigit() else int(scalars[factor]) for factor in shape if factor != "?")
        if value.size != one and not ("?" in shape and one and value.size % one == 0):
            raise ValueError(f"{where} takes {' * '.join(shape)} numbers ({one:,}), got {value.size:,}")
        return value


def _scalar(where: str, dtype: np.dtype[Any], value: Any) -> np.generic:
    kinds = (int, np.integer) if dtype.kind == "i" else (float, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"{where} takes one {dtype}, got {value!r}")
    scalar: np.generic = dtype.type(value)
    return scalar


@functools.cache
def source() -> str:
    """The source of all kernels as one text."""
    folder = Path(__file__).parent / "kernels"
    return "\n".join((folder / name).read_text() for name in FILES)


@functools.cache
def kernel_signatures() -> dict[str, Signature]:
    """What each kernel takes, by its name."""
    return signatures_in(source())


def signatures_in(text: str) -> dict[str, Signature]:
    """What the kernels in a source take.

    Raises:
        ValueError: a kernel or a parameter is not written as the module's docstring says.
    """
    found = {name: Signature(name, tuple(_parameters(name, lines))) for name, lines in _KERNEL.findall(text)}
    if len(found) != text.count("__global__"):
        raise ValueError(f"{text.count('__global__')} kernels are declared, of which these can be read: {list(found)}")
    return found


def _parameters(kernel: str, lines: str) -> list[Parameter]:
    parameters = []
    for line in lines.split("\n"):
        match = _PARAMETER.match(line)
        if match is None or (match[3] is None) != (match[5] is None):
            raise ValueError(f"{kernel}: {line.strip()!r} is not a parameter with its shape")
        constant, type_, pointer, name, words = match.groups()
        may_be_none = bool(words) and words.endswith(" or none")
        shape = tuple(words.removesuffix(" or none").split()) if pointer else None
        parameters.append(Parameter(name, _DTYPES[type_], shape, bool(pointer) and not constant, may_be_none))
    integers = {p.name for p in parameters if p.shape is None and p.dtype.kind == "i"}
    for parameter in parameters:
        unknown = [f for f in parameter.shape or () if f != "?" and not f.isdigit() and f not in integers]
        if unknown:
            raise ValueError(f"{kernel}({parameter.name}): {unknown} are no integers of this kernel")
    return parameters
