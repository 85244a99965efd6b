"""What keys of kept results say of prices and of this machine; names and dates of bars are no part of them."""

from __future__ import annotations

from functools import cache

from numpy import float64
from numpy.typing import NDArray

from .law.growth import growth_probe
from .prices import fingerprint


@cache
def platform_key() -> str:
    """Text that differs where the platform's pow rounds otherwise; the law's version is the store's to add."""
    return f"growth={growth_probe()}"


def column_key(close: NDArray[float64], source: NDArray[float64]) -> str:
    """Text that stands for a column's own bars: the same wherever their values are, whatever their index."""
    ours = fingerprint(close)
    if source is close:
        return ours
    theirs = fingerprint(source)
    return ours if ours == theirs else f"{ours} {theirs}"


def begun(close: NDArray[float64], source: NDArray[float64], bars: int) -> tuple[NDArray[float64], NDArray[float64]]:
    """The first so many bars of a column; one object where close is the source."""
    first = close[:bars]
    return first, first if source is close else source[:bars]


def column_name(key: str) -> str:
    """32 hexadecimal digits for a column key."""
    from xxhash import xxh3_128_hexdigest

    return key if len(key) == 32 else xxh3_128_hexdigest(key.encode())
