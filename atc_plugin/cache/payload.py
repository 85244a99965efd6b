"""An array as the bytes of a file: plain ``.npy``, a note of what it is, and a checksum; never a pickle.

    .npy header and values | note (JSON) | its length (4 bytes) | xxh3-128 of all before (16) | magic (8)

`numpy.load` reads the front of it and ignores the rest.
"""

from __future__ import annotations

import functools
import io
import json
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128

CODECS = ("zstd",)

_MAGIC = b"ATCkept1"
_DIGEST = 16
_TAIL = struct.calcsize("<I") + _DIGEST + len(_MAGIC)
_PREFIX = 10  # of a .npy header of version 1.0: magic, version, length of what follows


class Damaged(ValueError):  # noqa: N818
    """Bytes that are not what was once written, or never were ours."""


class Unreadable(ValueError):  # noqa: N818
    """Bytes that are whole, and packed in a way that is not installed here."""


class Note(NamedTuple):
    """What is kept beside an array."""

    key: str
    kind: str
    created: float  # seconds since the epoch
    seconds: float | None  # that it took to compute; None where nobody said
    codec: str | None = None


def encode(array: NDArray[Any], note: Note) -> list[bytes | memoryview]:
    """The parts of a file, in their order; they share memory with `array`.

    Raises:
        TypeError: for an array of Python objects, which only a pickle could hold, or of another library's dtype.
    """
    require_plain(array.dtype)
    array = np.asarray(array, order="C")
    header, told = _header_of(array), note._asdict()
    if note.codec:
        told["header"] = header.decode("latin1")
        array = np.frombuffer(_packed(array), np.uint8)
        header = _header_of(array)
    text = json.dumps(told).encode()
    values = array.reshape(-1).view(np.uint8).data if array.nbytes else b""
    parts: list[bytes | memoryview] = [header, values, text + struct.pack("<I", len(text))]
    return [*parts, _digest(parts) + _MAGIC]


def require_plain(dtype: np.dtype[Any]) -> None:
    """Raise TypeError for a dtype of Python objects, which only a pickle could hold, or of another library."""
    if dtype.hasobject or dtype.isbuiltin == 2:  # numpy.save makes bytes without a meaning of the latter
        raise TypeError(f"only plain arrays are kept; got dtype {dtype}")


def decode(data: Any) -> tuple[NDArray[Any], Note]:
    """The array, which shares memory with `data` unless it was compressed, and what was noted of it.

    Raises:
        Damaged: for bytes that differ in a single bit, are cut short, or are none of ours.
        Unreadable: for a codec that is not installed or not known.
    """
    data = memoryview(data)
    if len(data) < _TAIL + _PREFIX or data[-len(_MAGIC) :] != _MAGIC:
        raise Damaged("it does not end as our files do")
    checked = len(data) - _DIGEST - len(_MAGIC)
    if _digest([data[:checked]]) != data[checked : checked + _DIGEST]:
        raise Damaged("its checksum does not fit")
    try:
        (size,) = struct.unpack("<I", data[checked - 4 : checked])
        told = json.loads(bytes(data[checked - 4 - size : checked - 4]))
        note = _note(told)
        array = _array(data[: checked - 4 - size])
        if note.codec:
            array = _unpacked(array, note.codec, *_header(told["header"].encode("latin1")))
    except (Damaged, Unreadable, MemoryError):
        raise
    except Exception as fault:  # a checksum can be made for anything
        raise Damaged(f"it cannot be read: {fault!r}") from fault
    return array, note


def read_note(file: Any, size: int) -> Note:
    """What is noted at the end of an open binary file of this size; its checksum is not looked at.

    Raises:
        Damaged: where that is not to be found there.
    """
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    if len(tail) < _TAIL or not tail.endswith(_MAGIC):
        raise Damaged("it does not end as our files do")
    (length,) = struct.unpack("<I", tail[:4])
    file.seek(max(size - _TAIL - length, 0))
    try:
        return _note(json.loads(file.read(length)))
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise Damaged(f"it has no note: {fault!r}") from fault


def _note(told: dict[str, Any]) -> Note:
    """A note of what JSON tells, which may be anything."""
    note = Note(*(told[name] for name in Note._fields))
    texts = isinstance(note.key, str) and isinstance(note.kind, str) and isinstance(note.codec, (str, type(None)))
    if not texts or not math.isfinite(note.created) or (note.seconds is not None and not math.isfinite(note.seconds)):
        raise Damaged("its note is none that we write")
    return note


def _digest(parts: Sequence[bytes | memoryview]) -> bytes:
    total = xxh3_128()
    for part in parts:
        total.update(part)
    return total.digest()


# ---------------------------------------------------------------- .npy
def _header_of(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    return file.getvalue()


def _array(data: memoryview) -> NDArray[Any]:
    """The array of an .npy file in memory."""
    end = _PREFIX + int.from_bytes(data[_PREFIX - 2 : _PREFIX], "little")
    shape, dtype = _header(bytes(data[:end]))
    if len(data) - end != math.prod(shape) * dtype.itemsize:
        raise Damaged("it has another size than its .npy header says")
    return np.ndarray(shape, dtype, data[end:])


@functools.lru_cache(maxsize=1024)  # numpy parses it as Python, which takes longer than all the rest
def _header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise Damaged("its .npy header is of another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=2**16)
    if is_fortran or dtype.hasobject:
        raise Damaged("its .npy header is none that we write")
    return shape, dtype


# ---------------------------------------------------------------- compression
def require_codec(codec: str | None) -> None:
    """Raise for a codec that is unknown or not installed."""
    if codec is None:
        return
    if codec not in CODECS:
        raise ValueError(f"compress must be None or one of {', '.join(map(repr, CODECS))}; got {codec!r}")
    try:
        import zstandard  # noqa: F401
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            'compress="zstd" needs zstandard: pip install "atc_plugin[zstd]"', name=missing.name
        ) from missing


def _packed(array: NDArray[Any]) -> bytes:
    import zstandard

    packing = zstandard.ZstdCompressor(level=1).compressobj(size=array.nbytes)
    return b"".join([*(packing.compress(plane.tobytes()) for plane in _planes(array)), packing.flush()])


def _unpacked(packed: NDArray[Any], codec: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if codec not in CODECS:
        raise Unreadable(f"its codec {codec!r} is not known")
    try:
        import zstandard
    except ModuleNotFoundError as missing:
        raise Unreadable('it needs zstandard: pip install "atc_plugin[zstd]"') from missing
    if zstandard.frame_content_size(packed.data) != math.prod(shape) * dtype.itemsize:
        raise Damaged("it has another size than noted")
    raw = np.frombuffer(zstandard.ZstdDecompressor().decompress(packed.data), np.uint8)
    array: NDArray[Any] = np.empty(shape, dtype)
    begin = 0
    for plane in _planes(array):
        plane[...] = raw[begin : begin + plane.size].reshape(plane.shape)
        begin += plane.size
    array.flags.writeable = False
    return array


def _planes(array: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
    """All bytes of a contiguous array, each once, field by field; those of the same significance are side by side.

    For neighbouring doubles share the leading ones.
    """
    if array.nbytes:
        items = array.reshape(-1).view(np.uint8).reshape(array.size, array.itemsize)
        for begin, end, width in _places(array.dtype):
            yield np.moveaxis(items[:, begin:end].reshape(array.size, -1, width), 2, 0)


def _places(dtype: np.dtype[Any]) -> list[tuple[int, int, int]]:
    """Where the fields of an item begin and end, and how many bytes a value has there."""
    whole = [(0, dtype.itemsize, dtype.itemsize)]
    places, end = [], 0
    for name in dtype.names or ():
        field, begin = dtype.fields[name][:2]  # type: ignore[index]  # there are some where there are names
        if begin != end:  # padded
            return whole
        end += field.itemsize
        if field.itemsize:
            places.append((begin, end, field.base.itemsize))
    return places if places and end == dtype.itemsize else whole
