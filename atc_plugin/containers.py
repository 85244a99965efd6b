"""What prices come in, and the way back out: pandas, polars, arrays and lists as float64 rows, one a column.

pandas and polars are considered only if the user has imported them; neither is imported for a caller without them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .device_arrays import is_on_gpu, on_device, on_host

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ALLOWED = (
    "a pandas Series or DataFrame, a polars Series or DataFrame, a 1-D or 2-D numpy array (bars x columns), "
    "a list of numbers or a list of lists (bars x columns), or an array on a GPU"
)
NUMERIC = "iuf"  # numpy's kinds of dtype that are prices as they stand: signed and unsigned integers, floats


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """What a user's object was apart from its numbers: enough to name a bar and to write results back."""

    kind: Literal["pandas", "polars", "array", "list", "cupy"]
    shape: tuple[int, ...]  # (bars,) or (bars, columns)
    labels: tuple[Any, ...]  # names of the columns, positions where there are none
    index: pd.Index[Any] | None = None
    columns: pd.Index[Any] | None = None
    name: Any = None  # of a Series
    device: int = 0  # of CuPy's arrays

    def column(self, position: int) -> str:
        """A column as messages name it."""
        return f"column {self.labels[position]!r}"

    def bar(self, position: int) -> str:
        """A bar as messages name it: its position, and its index label where that says more."""
        if self.index is None or str(label := self.index[position]) == str(position):
            return f"bar {position}"
        levels = label if isinstance(label, tuple) else (label,)
        return f"bar {position} ({', '.join(str(level).removesuffix(' 00:00:00') for level in levels)})"

    def wrap(self, values: NDArray[Any]) -> Any:
        """`values` (columns, bars) of any dtype as what came in; shares their memory where the type can."""
        return _WRITERS[self.kind, len(self.shape)](self, values)

    def wrap_wide(self, values: NDArray[Any], names: tuple[Any, ...]) -> Any:
        """`values` (columns, k, bars), k named series of each column, as the k-fold of what came in.

        A Series becomes a frame of k columns; a frame one whose columns gain `names` as their last level (polars:
        "column_name"); an array (bars, k) or (bars, columns, k), a list the same nested.
        """
        return _WIDE_WRITERS[self.kind, len(self.shape)](self, values, names)


def unwrap(prices: object, what: str) -> tuple[Container, NDArray[np.float64]]:
    """The container and a fresh C-contiguous (columns, bars) of its numbers, NaN where one is missing.

    Errors (TypeError for wrong types, ValueError for wrong values) name `what`, the column and the bar.
    """
    if is_on_gpu(prices):
        array, device = on_host(prices)
        container = array_container(array, what, "cupy", device)
        return container, _numbers(array, container, what)
    if isinstance(prices, np.ndarray):
        return _unwrap_array(prices, what, "array")
    if isinstance(prices, list):
        return _unwrap_list(prices, what)
    # A module still being imported by another thread lacks its names: then the object is not one of its own.
    for module, name, reader in _READERS:
        if isinstance(prices, getattr(sys.modules.get(module), name, ())):
            return reader(prices, what)
    kind = type(prices)
    raise TypeError(f"{what}: prices cannot be read from {kind.__module__}.{kind.__qualname__}; allowed: {ALLOWED}")


def array_container(array: Any, what: str, kind: Literal["array", "list", "cupy"], device: int = 0) -> Container:
    """The container of an array, of numpy's or CuPy's, whose shape and dtype are those of prices."""
    if array.ndim not in (1, 2):
        noun = "list" if kind == "list" else "array"
        raise ValueError(f"{what}: this {noun} has {array.ndim} dimensions; allowed: 1 (bars) or 2 (bars x columns)")
    shape = tuple(array.shape)
    _require_bars(shape, what)
    container = Container(kind, shape, (0,) if array.ndim == 1 else tuple(range(shape[1])), device=device)
    if array.dtype.kind not in NUMERIC + "O":
        raise _wrong_dtype(array.dtype, container, what, 0)
    return container


def _unwrap_array(
    array: NDArray[Any], what: str, kind: Literal["array", "list"]
) -> tuple[Container, NDArray[np.float64]]:
    container = array_container(array, what, kind)
    return container, _numbers(array, container, what)


def _unwrap_list(rows: list[Any], what: str) -> tuple[Container, NDArray[np.float64]]:
    """A ragged list numpy would take for one of objects, a list of Series for one of bars: both refused before."""
    nested = [isinstance(row, (list, tuple)) for row in rows]
    leaves: Iterable[Any] = rows
    if any(nested):
        if not all(nested):
            raise ValueError(
                f"{what}: bar {nested.index(False)} is not a list but bar {nested.index(True)} is; "
                "allowed: a list of numbers, or a list of lists (bars x columns)"
            )
        widths = [len(row) for row in rows]
        bar = next((bar for bar, width in enumerate(widths) if width != widths[0]), None)
        if bar is not None:
            raise ValueError(
                f"{what}: bar {bar} has {widths[bar]} columns and bar 0 has {widths[0]}; all bars need as many"
            )
        leaves = chain.from_iterable(rows)
    types = set(map(type, leaves))
    for leaf in types:
        if hasattr(leaf, "__len__") and not issubclass(leaf, (str, bytes, list, tuple)):
            raise TypeError(
                f"{what}: a list holds numbers, or lists of numbers (bars x columns), not {leaf.__qualname__}; "
                "pass columns as a DataFrame or a 2-D array"
            )
    return _unwrap_array(np.array(rows, dtype=None if types <= {int, float, np.float64} else object), what, "list")


def _unwrap_pandas_series(series: pd.Series[Any], what: str) -> tuple[Container, NDArray[np.float64]]:
    _require_bars(series.shape, what)
    name = series.name
    container = Container("pandas", series.shape, (0 if name is None else name,), series.index, name=name)
    return container, _pandas_numbers(series, container, what)


def _unwrap_pandas_frame(frame: pd.DataFrame, what: str) -> tuple[Container, NDArray[np.float64]]:
    _require_bars(frame.shape, what)
    columns = frame.columns
    container = Container("pandas", frame.shape, tuple(columns.tolist()), frame.index, columns)
    if all(isinstance(dtype, np.dtype) and dtype.kind in NUMERIC for dtype in set(frame.dtypes)):
        with np.errstate(all="ignore"):
            return container, _numbers(frame.to_numpy(dtype=np.float64), container, what)
    rows = [_pandas_numbers(frame.iloc[:, c], container, what, c) for c in range(frame.shape[1])]
    return container, np.concatenate(rows)


def _pandas_numbers(series: pd.Series[Any], container: Container, what: str, column: int = 0) -> NDArray[np.float64]:
    dtype: Any = series.dtype
    if isinstance(dtype, np.dtype):
        return _numbers(series.to_numpy(), container, what, column)
    # Nullable, pyarrow and sparse dtypes; pandas counts booleans and complex numbers as numeric, we do not.
    if not sys.modules["pandas"].api.types.is_numeric_dtype(dtype) or dtype.kind in "bc":
        raise _wrong_dtype(dtype, container, what, column)
    return _numbers(series.to_numpy(dtype=np.float64, na_value=np.nan), container, what, column)


def _unwrap_polars_series(series: pl.Series, what: str) -> tuple[Container, NDArray[np.float64]]:
    _require_bars(series.shape, what)
    container = Container("polars", series.shape, (series.name or 0,), name=series.name)
    return container, _polars_numbers(series, container, what)


def _unwrap_polars_frame(frame: pl.DataFrame, what: str) -> tuple[Container, NDArray[np.float64]]:
    _require_bars(frame.shape, what)
    container = Container("polars", frame.shape, tuple(frame.columns))
    rows = [_polars_numbers(series, container, what, c) for c, series in enumerate(frame.iter_columns())]
    return container, np.concatenate(rows)


def _polars_numbers(series: pl.Series, container: Container, what: str, column: int = 0) -> NDArray[np.float64]:
    polars = sys.modules["polars"]
    if not series.dtype.is_numeric() and series.dtype != polars.Null:
        raise _wrong_dtype(series.dtype, container, what, column)
    return _numbers(series.cast(polars.Float64).to_numpy(), container, what, column)


def _require_bars(shape: tuple[int, ...], what: str) -> None:
    if 0 in shape:
        missing = "bars" if shape[0] == 0 else "columns"
        raise ValueError(f"{what}: there are no {missing} (shape {shape}); at least one bar and one column are needed")


def _wrong_dtype(dtype: object, container: Container, what: str, column: int) -> TypeError:
    remedy = "; select the price columns first" if len(container.shape) == 2 else ""
    return TypeError(f"{what}: {container.column(column)} has dtype {dtype}; prices must be integers or floats{remedy}")


def _numbers(array: NDArray[Any], container: Container, what: str, column: int = 0) -> NDArray[np.float64]:
    """A fresh C-contiguous (columns, bars) of (bars,) or (bars, columns), whose first column is number `column`."""
    kind = array.dtype.kind
    if kind not in NUMERIC and kind != "O":
        raise _wrong_dtype(array.dtype, container, what, column)
    if isinstance(array, np.ma.MaskedArray):
        masked: Any = array.astype(object if kind == "O" else np.float64)
        array = masked.filled(np.nan)
    if kind == "O":
        table = array.reshape(len(array), -1).T
        rows = [[_number(x, container, what, column + c, t) for t, x in enumerate(row)] for c, row in enumerate(table)]
        return np.array(rows, dtype=np.float64)
    with np.errstate(all="ignore"):  # a long double may overflow: an infinity, refused by name later
        return np.array(array.T, dtype=np.float64, order="C", ndmin=2)


def _number(x: Any, container: Container, what: str, column: int, bar: int) -> float:
    """float() of an object, but None and pandas' NA are NaN, and what float() would read kindly is refused."""
    if x is None or type(x).__name__ == "NAType":
        return float("nan")
    cause: Exception | None = None
    lenient = isinstance(x, (str, bytes, bool, complex)) or (isinstance(x, np.generic) and x.dtype.kind not in NUMERIC)
    if not lenient:
        try:
            return float(x)
        except (TypeError, ValueError, OverflowError) as error:
            cause = error
    wrong = ValueError if isinstance(cause, (ValueError, OverflowError)) else TypeError
    raise wrong(
        f"{what}: {container.column(column)} has {x!r:.50} ({type(x).__qualname__}) at {container.bar(bar)}; "
        "objects must be numbers that float() converts, None where there is no bar"
    ) from cause


def _pandas_series(container: Container, values: NDArray[Any]) -> Any:
    import pandas as pd

    return pd.Series(values[0], index=container.index, name=container.name, copy=False)


def _pandas_frame(container: Container, values: NDArray[Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(values.T, index=container.index, columns=container.columns, copy=False)


def _polars_series(container: Container, values: NDArray[Any]) -> Any:
    import polars as pl

    return pl.Series(container.name, values[0])


def _polars_frame(container: Container, values: NDArray[Any]) -> Any:
    import polars as pl

    return pl.DataFrame([pl.Series(name, row) for name, row in zip(container.labels, values, strict=True)])


_WRITERS: dict[tuple[str, int], Callable[[Container, NDArray[Any]], Any]] = {
    ("pandas", 1): _pandas_series,
    ("pandas", 2): _pandas_frame,
    ("polars", 1): _polars_series,
    ("polars", 2): _polars_frame,
    ("array", 1): lambda _, values: values[0],
    ("array", 2): lambda _, values: values.T,
    ("list", 1): lambda _, values: values[0].tolist(),
    ("list", 2): lambda _, values: values.T.tolist(),
    ("cupy", 1): lambda container, values: on_device(values[0], container.device),
    ("cupy", 2): lambda container, values: on_device(values.T, container.device),
}


def _pandas_wide_series(container: Container, values: NDArray[Any], names: tuple[Any, ...]) -> Any:
    import pandas as pd

    return pd.DataFrame(values[0].T, index=container.index, columns=list(names), copy=False)


def _pandas_wide_frame(container: Container, values: NDArray[Any], names: tuple[Any, ...]) -> Any:
    import pandas as pd

    columns = container.columns
    assert columns is not None
    tuples = [((*label,) if columns.nlevels > 1 else (label,)) + (name,) for label in columns for name in names]
    wide = pd.MultiIndex.from_tuples(tuples, names=[*columns.names, None])
    return pd.DataFrame(values.reshape(len(tuples), -1).T, index=container.index, columns=wide, copy=False)


def _polars_wide(container: Container, values: NDArray[Any], names: tuple[Any, ...]) -> Any:
    import polars as pl

    flat = values.reshape(-1, values.shape[-1])
    plain = len(container.shape) == 1
    labels = [str(name) if plain else f"{label}_{name}" for label in container.labels for name in names]
    return pl.DataFrame([pl.Series(label, row) for label, row in zip(labels, flat, strict=True)])


_WIDE_WRITERS: dict[tuple[str, int], Callable[[Container, NDArray[Any], tuple[Any, ...]], Any]] = {
    ("pandas", 1): _pandas_wide_series,
    ("pandas", 2): _pandas_wide_frame,
    ("polars", 1): _polars_wide,
    ("polars", 2): _polars_wide,
    ("array", 1): lambda _, values, names: values[0].T,
    ("array", 2): lambda _, values, names: values.transpose(2, 0, 1),
    ("list", 1): lambda _, values, names: values[0].T.tolist(),
    ("list", 2): lambda _, values, names: values.transpose(2, 0, 1).tolist(),
    ("cupy", 1): lambda container, values, names: on_device(values[0].T, container.device),
    ("cupy", 2): lambda container, values, names: on_device(values.transpose(2, 0, 1), container.device),
}

_READERS: tuple[tuple[str, str, Callable[[Any, str], tuple[Container, NDArray[np.float64]]]], ...] = (
    ("pandas", "Series", _unwrap_pandas_series),
    ("pandas", "DataFrame", _unwrap_pandas_frame),
    ("polars", "Series", _unwrap_polars_series),
    ("polars", "DataFrame", _unwrap_polars_frame),
)
