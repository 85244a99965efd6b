"""The one comparison of results in this project's tests: equal to the bit."""

from typing import Any

import numpy as np


def assert_same_bits(got: Any, expected: Any, what: str = "") -> None:
    """Same shape, same dtype, NaN at the same places (whichever NaN), all else equal to the bit, zeros' signs too.

    Takes scalars, arrays, Series and DataFrames. On failure the AssertionError says what, how many values differ and
    the first of them, in hexadecimal.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    name = what or "values"
    if got.dtype != expected.dtype:
        raise AssertionError(f"{name}: dtype {got.dtype}, expected {expected.dtype}")
    if got.shape != expected.shape:
        raise AssertionError(f"{name}: shape {got.shape}, expected {expected.shape}")
    if got.dtype.kind == "f":
        bits = np.dtype(f"i{got.dtype.itemsize}")
        same = np.ascontiguousarray(got).view(bits) == np.ascontiguousarray(expected).view(bits)
        same = same.reshape(got.shape) | (np.isnan(got) & np.isnan(expected))
    else:
        same = got == expected
    if np.all(same):
        return
    differ = np.argwhere(~np.atleast_1d(same))
    index = tuple(int(i) for i in differ[0][: got.ndim])
    raise AssertionError(
        f"{name}: {len(differ)} of {got.size} differ, first at {index}: "
        f"{_exact(got[index])}, expected {_exact(expected[index])}"
    )


def _exact(value: Any) -> str:
    """A value as it reads, and its bits if it is a float."""
    value = value.item()
    return f"{value!r} ({value.hex()})" if isinstance(value, float) else repr(value)
