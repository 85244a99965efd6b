"""`AtcStream`: the indicator one bar at a time, for prices that are still coming in."""

from __future__ import annotations

import json
import numbers
import struct
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from .law import VERSION
from .law.stream import OUTPUTS, advance
from .law.stream_layout import BARS, HEADER, LONGEST, PENDING, SIDE, StreamLayout, lay_out_stream
from .params import HMA_AVERAGES, LENGTH_NAMES, TYPES, AtcParams, as_params
from .prices import read_prices


class Bar:
    """What the indicator says at one bar: numbers of one symbol, or arrays (symbols,).

    `average` and `direction` are those of `AtcResult`; NaN where the call brought no bar.
    """

    __slots__ = ("_values",)

    def __init__(self, values: list[float] | NDArray[float64]) -> None:
        self._values = values  # average, direction, turn, nothing, signals, weights: each a number or (symbols,)

    @property
    def average(self) -> Any:
        """The average signal, -1 to 1; NaN before `cutout`."""
        return self._values[0]

    @property
    def direction(self) -> Any:
        """0 until the average first crosses a threshold, then 1 or -1."""
        return self._values[1]

    @property
    def entered(self) -> Any:
        """Whether the direction turned 1 at this bar."""
        return self._values[2] == 1.0

    @property
    def exited(self) -> Any:
        """Whether the direction turned -1 at this bar."""
        return self._values[2] == -1.0

    @property
    def signals(self) -> NDArray[float64]:
        """Layer-1 signals in the order of `TYPES`, (6,) or (6, symbols)."""
        return np.array(self._values[4:10])

    @property
    def weights(self) -> NDArray[float64]:
        """Layer-2 equities in the order of `TYPES`, (6,) or (6, symbols)."""
        return np.array(self._values[10:16])

    def __repr__(self) -> str:
        if isinstance(self._values, list):
            return f"Bar(average={self.average!r}, direction={self.direction!r})"
        return f"<Bar of {self._values.shape[1]} symbols>"


class AtcStream:
    """Adaptive Trend Classification of prices as they come in, to the bit what `atc` gives for the whole series.

    A bar costs as much as the longest average has bars, however many came before. One stream is for one thread.

    Args:
        params: The configuration; the published defaults by default.
        history: Past prices to start from, as `atc` takes them. A frame or 2-D array makes a stream of many symbols,
            one a column. The last bar of the history is one that `replace` replaces.
        source_history: What the averages are taken of, aligned with `history`; `history` itself by default.
        symbols: How many symbols, or their names, for a stream of many. None: one symbol, numbers in and out.
        **overrides: Single parameters, on top of `params`.

    Raises:
        TypeError: for what are not prices, or an unknown parameter.
        ValueError: for an infinite price, a zero close, a parameter out of bounds, or an average too long to be kept.

    >>> import numpy as np
    >>> from atc_plugin import AtcStream, atc
    >>> close = 100 + 10 * np.sin(np.arange(400) / 30)
    >>> stream = AtcStream(history=close[:300], ema_len=21)
    >>> for price in close[300:]:
    ...     bar = stream.update(price)
    >>> bar.average == float(atc(close, ema_len=21).average[-1]), bar.direction, stream.bars
    (True, 1.0, 400)
    """

    def __init__(
        self,
        params: AtcParams | Mapping[str, Any] | None = None,
        *,
        history: Any = None,
        source_history: Any = None,
        symbols: int | Iterable[Hashable] | None = None,
        **overrides: Any,
    ) -> None:
        self.params = as_params(params, overrides)
        if source_history is not None and history is None:
            raise ValueError("source_history needs a history that it is aligned with")
        past = None if history is None else _Past(history, source_history)
        self.symbols = _names(symbols, past)
        self._layout = _layout(self.params)
        self._make_room()
        self.reset()
        if past is not None and past.close.size:
            self._advance(past.close, past.source, False)

    # ------------------------------------------------------------ bars
    def update(self, price: Any, source: Any = None) -> Bar:
        """Take in the next bar.

        Args:
            price: Its close: a number, or for many symbols an array (symbols,). NaN: no bar, and nothing changes.
            source: What the averages are taken of; the close by default. NaN as for the close.

        Raises:
            TypeError: for what are not numbers.
            ValueError: for an infinite price, a zero close, or not as many prices as symbols. Nothing changes then.
        """
        if self.symbols is None:
            self._price[0] = price if type(price) is float else _number(price, "price")
            if source is None:
                return self._advance(self._close, self._close, False)
            self._lead[0] = _number(source, "source")
            return self._advance(self._close, self._source, False)
        close = self._column(price, "price")
        return self._advance(close, close if source is None else self._column(source, "source"), False)

    def replace(self, price: Any, source: Any = None) -> Bar:
        """Take in the last bar once more, as if the last update had been this one; arguments and errors as there.

        For a bar in progress: any number of times, and from and to NaN.
        """
        if self.last is None:
            raise ValueError("there is no bar to replace yet")
        if self.symbols is None:
            self._price[0] = _number(price, "price")
            self._lead[0] = self._price[0] if source is None else _number(source, "source")
            return self._advance(self._close, self._source, True)
        close = self._column(price, "price")
        return self._advance(close, close if source is None else self._column(source, "source"), True)

    def reset(self) -> None:
        """Forget all bars, those of the history too."""
        self._state[:] = np.tile(self._layout.fresh, self._count)
        self.last: Bar | None = None

    # ------------------------------------------------------------ what it knows
    @property
    def bars(self) -> Any:
        """How many bars it has seen; for many symbols an array (symbols,)."""
        bars = self._state[BARS :: self._layout.fresh.size].astype(np.int64)
        return int(bars[0]) if self.symbols is None else bars

    @property
    def initialized(self) -> Any:
        """Whether there were bars enough for an average; for many symbols an array (symbols,)."""
        return self.bars > self.params.cutout + self.params.strategy_mode

    # ------------------------------------------------------------ snapshots
    def snapshot(self) -> bytes:
        """All it knows as bytes, for `restore`; it goes on to the same bits."""
        from xxhash import xxh3_128_digest

        header = {
            "law": VERSION,
            "params": self.params.as_dict(),
            "symbols": None if self.symbols is None else [_as_json(name) for name in self.symbols],
            "started": self.last is not None,
        }
        text = json.dumps(header, allow_nan=False).encode()
        body = _MAGIC + struct.pack("<HI", _FORMAT, len(text)) + text + self._state.astype("<f8").tobytes()
        return body + xxh3_128_digest(body)

    @classmethod
    def restore(cls, data: bytes) -> AtcStream:
        """The stream that `snapshot` was asked of.

        Names of symbols come back as they were if they are texts, numbers, or tuples of such; others as texts.

        Raises:
            ValueError: for bytes that are damaged, incomplete, no snapshot, or of another version of the law.
        """
        header, rows = _unpack(data)
        names = header["symbols"]
        names = None if names is None else [_from_json(name) for name in names]
        try:
            stream = cls(header["params"], symbols=names)
        except TypeError as error:
            raise ValueError(f"this snapshot is of another version: {error}") from error
        if rows.size != stream._state.size:
            raise ValueError("this snapshot is damaged: its state does not fit its parameters")
        header_of = rows.reshape(-1, stream._layout.fresh.size)[:, :HEADER]
        flags, bars = header_of[:, [PENDING, SIDE]], header_of[:, BARS]
        if not (np.isin(flags, (0.0, 1.0)).all() and ((bars >= 0) & (bars < 2.0**53)).all()):
            raise ValueError("this snapshot is damaged: its state is not one of a stream")
        stream._state[:] = rows
        if header["started"]:
            nothing = np.empty((stream._count, 0))
            stream._advance(nothing, nothing, False)
        return stream

    def __reduce__(self) -> Any:
        return _unpickled, (self.snapshot(), self.symbols)

    def __repr__(self) -> str:
        if self.symbols is None:
            return f"<AtcStream after {self.bars} bars>"
        return f"<AtcStream of {len(self.symbols)} symbols>"

    # ------------------------------------------------------------ the kernel's arguments
    def _make_room(self) -> None:
        self._count = 1 if self.symbols is None else len(self.symbols)
        size = self._count * self._layout.fresh.size
        room = np.empty(size + 8)
        skip = -room.ctypes.data % 64 // 8  # a vector that straddles two cache lines costs double
        self._state: NDArray[float64] = room[skip : skip + size]
        if self.symbols is None:
            self._close, self._source, self._out = np.empty((1, 1)), np.empty((1, 1)), np.empty((1, OUTPUTS))
            self._price, self._lead, self._values = self._close.ravel(), self._source.ravel(), self._out.ravel()

    def _advance(self, close: NDArray[float64], source: NDArray[float64], replacing: bool) -> Bar:
        layout = self._layout
        one = self.symbols is None
        out = self._out if one else np.empty((self._count, OUTPUTS))
        bad = advance(  # type: ignore[no-untyped-call]
            self._state, layout.integers, layout.floats, close, source, replacing, out
        )
        if bad >= 0:
            raise self._bad_price(bad, close[bad], source[bad])
        self.last = bar = Bar(self._values.tolist() if one else out.T)
        return bar

    def _column(self, prices: Any, what: str) -> NDArray[float64]:
        """Prices of all symbols, (symbols, 1), in memory of their own."""
        index = getattr(prices, "index", None)
        if index is not None and not callable(index) and tuple(index) != self.symbols:
            raise ValueError(f"{what}: its index names other symbols, or in another order, than this stream has")
        values = np.asarray(prices)
        if values.dtype.kind not in "iuf":
            raise TypeError(f"{what}: expected an array of {self._count} numbers; got {values.dtype}")
        if values.shape != (self._count,):
            raise ValueError(f"{what}: expected {self._count} numbers, one a symbol; got shape {values.shape}")
        return np.array(values, dtype=np.float64).reshape(-1, 1)

    def _bad_price(self, symbol: int, close: NDArray[float64], source: NDArray[float64]) -> ValueError:
        what, fault = "price", "zero; a close may be negative but not zero"
        if np.isinf(close).any() or np.isinf(source).any():
            what = "price" if np.isinf(close).any() else "source"
            fault = "infinite; prices must be finite, NaN where there is no bar"
        where = "" if self.symbols is None else f" of symbol {self.symbols[symbol]!r}"
        return ValueError(f"{what}{where} is {fault}")


# ---------------------------------------------------------------- starting
class _Past:
    """A history as the kernel takes it: (symbols, bars), NaN where there is no bar."""

    def __init__(self, history: Any, source: Any) -> None:
        shape = (len(history),) if isinstance(history, list) else getattr(history, "shape", None)
        if shape and shape[0] == 0:  # no bars; names of columns it may have
            self.is_one = len(shape) == 1
            self.labels = tuple(getattr(history, "columns", range(shape[-1])))
            self.close = self.source = np.empty((0, 0))
            return
        prices = read_prices(history, source)
        self.is_one = len(prices.container.shape) == 1
        self.labels = prices.labels
        self.close = prices.unpack(prices.close, np.nan)
        self.source = self.close if prices.source is prices.close else prices.unpack(prices.source, np.nan)


def _names(symbols: int | Iterable[Hashable] | None, past: _Past | None) -> tuple[Hashable, ...] | None:
    """Names of the symbols; None for a stream of one."""
    names: tuple[Hashable, ...] | None
    if symbols is None:
        return None if past is None or past.is_one else past.labels
    if isinstance(symbols, (int, np.integer)):
        names = tuple(range(int(symbols)))
        if past is not None and not past.is_one and len(past.labels) == len(names):
            names = past.labels
    elif isinstance(symbols, Iterable) and not isinstance(symbols, str):
        names = tuple(symbols)
    else:
        raise TypeError(f"symbols must be how many there are, or a list of names; got {symbols!r}")
    if not names:
        raise ValueError("symbols: a stream needs at least one symbol")
    if past is not None and (past.is_one or len(past.labels) != len(names)):
        got = "1-D" if past.is_one else f"{len(past.labels)} columns"
        raise ValueError(f"history: expected a column for each of {len(names)} symbols; got {got}")
    return names


def _layout(params: AtcParams) -> StreamLayout:
    for type_ in TYPES:
        if params.longest(type_) > LONGEST:
            raise ValueError(
                f"{LENGTH_NAMES[type_]}: a stream keeps as many bars as its longest average, {LONGEST:,} at most; "
                f"got {getattr(params, LENGTH_NAMES[type_])}"
            )
    return lay_out_stream(
        lengths=tuple(map(params.lengths, TYPES)),
        hma_average=HMA_AVERAGES[params.hma_mode].average,
        weights=tuple(map(params.weight, TYPES)),
        lam=params.lambda_ / 1000,
        keep=1 - params.decay / 100,
        cutout=params.cutout,
        thresholds=(params.long_threshold, params.short_threshold),
        is_delayed=params.strategy_mode,
    )


def _number(value: Any, what: str) -> float:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{what} must be a number; got {value!r}")


# ---------------------------------------------------------------- snapshots
_MAGIC = b"ATCstream"
_FORMAT = 1
_CHECK = 16


def _unpack(data: bytes) -> tuple[dict[str, Any], NDArray[float64]]:
    """Header and state of a snapshot that is whole and ours."""
    from xxhash import xxh3_128_digest

    data = bytes(data)
    if not data.startswith(_MAGIC):
        raise ValueError("this is no snapshot of an AtcStream")
    body = data[:-_CHECK]
    start = len(_MAGIC) + struct.calcsize("<HI")
    if len(body) < start or xxh3_128_digest(body) != data[-_CHECK:]:
        raise ValueError("this snapshot is damaged or incomplete")
    form, size = struct.unpack("<HI", body[len(_MAGIC) : start])
    if form != _FORMAT:
        raise ValueError(f"this snapshot has format {form}; this version reads format {_FORMAT}")
    header = json.loads(body[start : start + size])
    if header["law"] != VERSION:
        raise ValueError(f"this snapshot is of law version {header['law']}; this is version {VERSION}")
    return header, np.frombuffer(body, "<f8", offset=start + size)


def _as_json(name: Hashable) -> Any:
    if isinstance(name, tuple):
        return [_as_json(part) for part in name]
    return name if name is None or type(name) in (str, int, float, bool) else str(name)


def _from_json(name: Any) -> Hashable:
    return tuple(map(_from_json, name)) if isinstance(name, list) else name


def _unpickled(snapshot: bytes, symbols: tuple[Any, ...] | None) -> AtcStream:
    """A pickled stream, whose symbols need not be texts."""
    stream = AtcStream.restore(snapshot)
    stream.symbols = symbols
    return stream
