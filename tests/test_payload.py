"""Bytes of an item: any plain array comes back to the bit, and nothing else ever does."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from atc_plugin.cache import payload
from atc_plugin.cache.payload import Damaged, Note, Unreadable, decode, encode, read_note, require_codec

NOTE = Note("1 a key", "result", 1.7e9, 0.25)
ZSTD = NOTE._replace(codec="zstd")
RECORD = np.dtype([("average", "<f8", (5,)), ("direction", "i1", (5,))])

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.array([np.nan, -0.0, np.inf, 5e-324]),
    np.array(7, np.int16),
    np.array(2.5),
    np.zeros((0, 4), np.int8),
    np.zeros(0),
    np.arange(4, dtype=">f8"),
    np.arange(4, dtype=">i2").reshape(2, 2),
    np.array([True, False]),
    np.array([1 + 2j, np.nan]),
    np.array(["2024-02-29", "NaT"], "M8[D]"),
    np.array([3], "m8[ns]"),
    np.array(["ab", "ü"]),
    np.array([b"x\0y"]),
    np.zeros(3, "V0"),
    np.zeros(2, "V7"),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(20.0)[::3],
    np.zeros((), RECORD),
    np.array([(range(5), [1, -1, 1, 0, 1]), (np.full(5, np.nan), np.zeros(5))], RECORD),
    np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    np.ones(2, np.dtype([("a", [("b", ">f4"), ("c", "i8", (2, 2))]), ("d", "?")])),
    np.ones(2, np.dtype([(("title", "name"), "f4"), ("nothing", "i2", (0,))])),
]


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    assert bits(got) == bits(expected)
    assert not got.flags.writeable


def file_of(array: np.ndarray, note: Note = NOTE) -> bytes:
    return b"".join(encode(array, note))


def sealed(front: bytes, note: Any = None, length: int | None = None) -> bytes:
    """A file of anything, whose checksum is right."""
    note = NOTE._asdict() if note is None else note
    text = note if isinstance(note, bytes) else json.dumps(note).encode()
    data = front + text + struct.pack("<I", len(text) if length is None else length)
    return data + xxhash.xxh3_128(data).digest() + b"ATCkept1"


@pytest.mark.parametrize("note", [NOTE, ZSTD], ids=["plain", "zstd"])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_arrays_come_back_to_the_bit(array: np.ndarray, note: Note) -> None:
    got, told = decode(file_of(array, note))
    assert_same(got, array)
    assert told == note


PLAIN = st.one_of(hnp.scalar_dtypes(), hnp.array_dtypes(allow_subarrays=True))


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Any dtype and shape, over any bytes."""
    dtype = np.dtype(draw(PLAIN))
    try:
        repr(dtype).encode("latin1")
    except UnicodeEncodeError:
        reject()  # an .npy header of version 1.0 has no other names
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    size = math.prod(shape) * dtype.itemsize
    data = draw(st.binary(min_size=size, max_size=size))
    return np.ndarray(shape, dtype, data)


@given(arrays(), st.sampled_from([None, "zstd"]), st.text(), st.none() | st.floats(0, 1e9))
def test_any_plain_array_comes_back_to_the_bit(
    array: np.ndarray, codec: str | None, key: str, seconds: float | None
) -> None:
    note = Note(key, "x", 5.5, seconds, codec)
    data = file_of(array, note)
    got, told = decode(data)
    assert_same(got, array)
    assert told == note
    assert read_note(io.BytesIO(data), len(data)) == note


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(arrays(), st.sampled_from([None, "zstd"]), st.data())
def test_one_flipped_bit_or_a_missing_end_is_damage(array: np.ndarray, codec: str | None, data: st.DataObject) -> None:
    whole = file_of(array, NOTE._replace(codec=codec))
    flipped = bytearray(whole)
    place = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(Damaged):
        decode(bytes(flipped))
    with pytest.raises(Damaged):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize("note", [NOTE, ZSTD], ids=["plain", "zstd"])
def test_every_flipped_bit_and_every_length_is_damage(note: Note) -> None:
    whole = file_of(np.arange(3.0), note)
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(Damaged):
            decode(bytes(flipped))
    for length in range(len(whole)):
        with pytest.raises(Damaged):
            decode(whole[:length])
    with pytest.raises(Damaged):
        decode(whole + b"\0")


@given(st.binary(max_size=300))
def test_any_other_bytes_are_damage(data: bytes) -> None:
    for foreign in (data, data + b"ATCkept1", sealed(data), sealed(b"", data), sealed(file_of(np.ones(2))[:128], data)):
        with pytest.raises(Damaged):
            decode(foreign)


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_a_note_is_read_or_damaged_whatever_is_there(data: bytes, length: int) -> None:
    for foreign in (data, data + b"ATCkept1", sealed(b"", data), sealed(b"x", data, length)):
        with pytest.raises(Damaged):
            read_note(io.BytesIO(foreign), len(foreign))


def header(text: str) -> bytes:
    """The front of an .npy file that says this."""
    padded = text.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded


HOSTILE = {
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + pickle.dumps([1]),
    "too large": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }") + bytes(8),
    "negative": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }") + bytes(8),
    "Fortran": header("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }") + bytes(32),
    "an expression": header("__import__('os').system('true')"),
    "deep": header("[" * 5000),
    "no header": b"",
    "later version": b"\x93NUMPY\x02\x00" + bytes(60),
    "too little": header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }") + bytes(16),
    "too much": header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }") + bytes(32),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_right_checksum_does_not_make_it_ours(what: str) -> None:
    with pytest.raises(Damaged):
        decode(sealed(HOSTILE[what]))


@pytest.mark.parametrize(
    "note",
    [
        [],
        {},
        {"key": "k"},
        {**NOTE._asdict(), "key": 3},
        {**NOTE._asdict(), "kind": ["x"]},
        {**NOTE._asdict(), "created": "now"},
        {**NOTE._asdict(), "created": None},
        {**NOTE._asdict(), "created": math.inf},
        {**NOTE._asdict(), "seconds": "1"},
        {**NOTE._asdict(), "codec": 1},
        b"[" * 100_000,
        b"\xff",
        b"1e999",
    ],
    ids=lambda note: str(note)[-30:],
)
def test_a_note_that_we_would_not_write_is_damage(note: Any) -> None:
    data = sealed(file_of(np.ones(2))[:144], note)
    with pytest.raises(Damaged):
        decode(data)
    with pytest.raises(Damaged):
        read_note(io.BytesIO(data), len(data))


def packed_as(codec: str, shape: str) -> bytes:
    """A file that says to hold so many bytes, packed by a codec."""
    told = {**ZSTD._asdict(), "codec": codec}
    told["header"] = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}").decode("latin1")
    return sealed(file_of(np.zeros(10, np.uint8))[:138], told)


def test_what_says_to_be_longer_than_it_is_costs_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Damaged):
            decode(packed_as("zstd", f"({2**40},)"))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_an_unknown_codec_is_whole_but_unreadable() -> None:
    with pytest.raises(Unreadable, match="codec 'later' is not known"):
        decode(packed_as("later", "(10,)"))


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    data = file_of(np.ones(2))
    monkeypatch.setattr(payload, "_array", full)
    with pytest.raises(MemoryError):
        decode(data)


def test_objects_are_not_kept() -> None:
    for array in (np.array([object()]), np.array([{}, 1], object), np.zeros(2, [("a", "O")])):
        with pytest.raises(TypeError, match="only plain arrays are kept; got dtype"):
            encode(array, NOTE)


def test_numpy_reads_the_front_of_a_file() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(np.load(io.BytesIO(file_of(array)), allow_pickle=False), array)


def test_an_array_is_not_copied_to_be_written_or_read() -> None:
    array = np.arange(1000.0)
    parts = encode(array, NOTE)
    assert any(isinstance(part, memoryview) and np.shares_memory(np.asarray(part), array) for part in parts)
    data = b"".join(parts)
    assert np.shares_memory(decode(data)[0], np.frombuffer(data, np.uint8))


def test_a_record_is_packed_field_by_field() -> None:
    record = np.zeros((), np.dtype([("average", "<f8", (5000,)), ("direction", "i1", (5000,))]))
    record["average"] = 100 + np.cumsum(np.random.default_rng(1).normal(size=5000))
    record["direction"] = np.sign(np.sin(np.arange(5000) / 50))
    assert len(file_of(record, ZSTD)) < 0.75 * len(file_of(record))
    assert len(file_of(record["average"], ZSTD)) < 0.85 * record["average"].nbytes


def test_a_codec_is_known_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    require_codec(None)
    require_codec("zstd")
    with pytest.raises(ValueError, match="compress must be None or one of 'zstd'; got 'lz4'"):
        require_codec("lz4")
    data = file_of(np.ones(3), ZSTD)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[zstd\]"'):
        require_codec("zstd")
    with pytest.raises(Unreadable, match=r'pip install "atc_plugin\[zstd\]"'):
        decode(data)
