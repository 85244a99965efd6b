"""The one door through which prices enter: float64 columns without NaN bars, and the way back onto the bars."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .containers import Container, unwrap

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Prices as the law takes them, one row a column, in memory of their own.

    A bar where close or source is NaN is not a bar of that column: row c holds the bars it has at its front, in
    order, and 1.0 behind them.
    """

    close: NDArray[np.float64]  # (columns, bars), C-contiguous
    source: NDArray[np.float64]  # the same; the very same object where no source was given
    counts: NDArray[np.int64]  # (columns,): how many bars a column has
    valid: NDArray[np.bool_] | None  # (columns, bars): where they are; None where every bar is one
    container: Container

    @property
    def shape(self) -> tuple[int, int]:
        """Columns and bars."""
        columns, bars = self.close.shape
        return columns, bars

    @property
    def labels(self) -> tuple[Hashable, ...]:
        """Names of the columns; positions where there are none."""
        return self.container.labels

    def unpack(self, packed: NDArray[T], fill: Any) -> NDArray[T]:
        """Values (columns, bars) placed back on their bars, `fill` elsewhere; `packed` itself where all are bars."""
        if self.valid is None:
            return packed
        front = np.arange(packed.shape[1]) < self.counts[:, np.newaxis]
        values = np.full(packed.shape, fill, dtype=packed.dtype)
        values[self.valid] = packed[front]  # as many a row on either side, so each row gets its own
        return values

    def wrap(self, values: NDArray[Any]) -> Any:
        """`values` (columns, bars) of any dtype as the type that came in, with its index, columns and names.

        Shares the memory of `values` where the type can.
        """
        return self.container.wrap(values)

    def wrap_wide(self, values: NDArray[Any], names: tuple[Any, ...]) -> Any:
        """`values` (columns, k, bars), k named series of each column, as the type that came in with k-fold columns."""
        return self.container.wrap_wide(values, names)

    def own(self, column: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Close and source of the bars that a column has, without what stands behind them; they share memory.

        One object where no source was given.
        """
        count = self.counts[column]
        close = self.close[column, :count]
        return close, close if self.source is self.close else self.source[column, :count]

    def pick(self, column: int) -> Prices:
        """One column alone; shares memory."""
        row = slice(column, column + 1)
        close = self.close[row]
        source = close if self.source is self.close else self.source[row]
        valid = None if self.valid is None else self.valid[row]
        return Prices(close, source, self.counts[row], valid, self.container)

    def bar_labels(self, column: int) -> NDArray[Any]:
        """Index labels of a column's own bars, as texts if neither numbers nor dates; positions without an index."""
        index = self.container.index
        if index is None:
            labels: NDArray[Any] = np.arange(self.close.shape[1])
        else:
            labels = index.to_numpy()
            if labels.dtype.kind not in "Miuf":
                labels = np.array([str(label) for label in index])
        return labels if self.valid is None else labels[self.valid[column]]


def read_prices(close: object, source: object = None) -> Prices:
    """Check close and source (default: close) and pack the bars of every column.

    Raises TypeError for what are not prices, ValueError for values the law has no meaning for: an infinite price, a
    zero close, no bars, an index that does not strictly increase, a source that does not align with close.

    >>> prices = read_prices([10.0, float("nan"), 12.0])
    >>> prices.close, prices.counts
    (array([[10., 12.,  1.]]), array([2]))
    >>> prices.wrap(prices.unpack(prices.close, float("nan")))
    [10.0, nan, 12.0]
    """
    container, price = unwrap(close, "close")
    _require_increasing(container, "close")
    if source is None or source is close:
        valid, lead = _bars(price, container, "close"), price
    else:
        origin, lead = unwrap(source, "source")
        _require_alignment(container, origin)
        _require_increasing(origin, "source")
        valid = _bars(price, container, "close")
        if (led := _bars(lead, origin, "source")) is not None:
            valid = led if valid is None else valid & led
    if not price.all():  # NaN counts as true
        raise _bad_bar(price == 0, container, "close", "zero", "a close may be negative but not zero")
    if valid is None:
        return Prices(price, lead, np.full(len(price), price.shape[1], dtype=np.int64), None, container)
    counts = np.count_nonzero(valid, axis=1).astype(np.int64, copy=False)
    _pack(price, valid, counts)
    if lead is not price:
        _pack(lead, valid, counts)
    return Prices(price, lead, counts, valid, container)


def fingerprint(values: NDArray[np.float64]) -> str:
    """xxh3-128 of the bytes of a C-contiguous float64 array, as 32 hexadecimal digits."""
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(values.data)


def _pack(values: NDArray[np.float64], valid: NDArray[np.bool_], counts: NDArray[np.int64]) -> None:
    """Move the bars of each row to its front, in place: a second array of this size costs more than the loop."""
    for row, is_bar, count in zip(values, valid, counts.tolist(), strict=True):
        if count < row.size:
            row[:count] = row[is_bar]
            row[count:] = 1.0


def _bars(values: NDArray[np.float64], container: Container, what: str) -> NDArray[np.bool_] | None:
    """Where values are not NaN, None where none is; an infinite one is an error."""
    finite = np.isfinite(values)
    if finite.all():
        return None
    infinite = np.isinf(values)
    if infinite.any():
        raise _bad_bar(infinite, container, what, "infinite", "prices must be finite, NaN where there is no bar")
    return finite


def _bad_bar(bad: NDArray[np.bool_], container: Container, what: str, fault: str, rule: str) -> ValueError:
    """The error that names the first bad bar of the first column that has one."""
    column, bar = divmod(int(bad.argmax()), bad.shape[1])
    return ValueError(f"{what}: {container.column(column)} is {fault} at {container.bar(bar)}; {rule}")


def _require_increasing(container: Container, what: str) -> None:
    index = container.index
    if index is None:
        return
    flat = index.nlevels == 1  # pandas answers isna for these alone, and finds NaN in the others unordered
    if index.is_monotonic_increasing and index.is_unique and not (flat and index.hasnans):
        return
    rule = "the index must increase strictly, without missing labels; sort it and drop duplicates first"
    if flat and index.hasnans:
        raise ValueError(f"{what}: the index has no label at {container.bar(int(index.isna().argmax()))}; {rule}")
    for bar, (before, label) in enumerate(pairwise(index), start=1):
        try:
            fault = None if label > before else "repeats" if label == before else "goes back in"
        except TypeError:
            fault = "cannot be ordered after the one before in"
        if fault is not None:
            raise ValueError(f"{what}: {container.bar(bar)} {fault} the index; {rule}")
    raise ValueError(f"{what}: the index does not increase in its own order; {rule}")


def _require_alignment(close: Container, source: Container) -> None:
    if source.shape != close.shape:
        raise ValueError(f"source: it needs the shape of close, {close.shape}, but has {source.shape}")
    pairs = (("index", "bar", close.index, source.index), ("columns", "column", close.columns, source.columns))
    for axis, place, ours, theirs in pairs:
        if ours is None or theirs is None or ours is theirs or ours.equals(theirs):
            continue
        rule = f"two pandas objects need the same {axis}; reindex one, or pass a numpy array to go by position"
        for position, (label, other) in enumerate(zip(ours, theirs, strict=True)):
            if label != other:
                raise ValueError(f"source: {place} {position} is {other!r} where close has {label!r}; {rule}")
        raise ValueError(f"source: its {axis} has dtype {theirs.dtype} where close has {ours.dtype}; {rule}")
    if close.kind == source.kind == "polars" and len(close.shape) == 2 and close.labels != source.labels:
        raise ValueError(
            f"source: its columns are {source.labels} where close has {close.labels}; "
            "two polars frames need the same columns"
        )
