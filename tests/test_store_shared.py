"""The shared level below a store: one question for many, a hit fills what is above, faults are misses."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from redis_servers import BINARY, RedisServer, free_port, parrot
from same_bits import assert_same_bits

from atc_plugin.cache import upkeep
from atc_plugin.cache.shared import Shared
from atc_plugin.cache.store import MISSING, Store

ARRAY = np.arange(500.0)

needs_redis = pytest.mark.skipif(BINARY is None, reason="there is no redis-server")


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def server(one_server: RedisServer) -> Iterator[RedisServer]:
    yield one_server
    Shared(one_server.url).clear()


def levels(store: Store) -> dict[str, int]:
    return {row["level"]: row["count"] for row in store.statistics.snapshot()["hits"]}


def reasons(store: Store) -> dict[str, int]:
    return {row["reason"]: row["count"] for row in store.statistics.snapshot()["misses"]}


def faults(store: Store) -> dict[tuple[str, str], int]:
    return {(row["level"], row["what"]): row["count"] for row in store.statistics.snapshot()["faults"]}


@needs_redis
@pytest.mark.parametrize("compress", [None, "zstd"])
def test_machines_share_what_one_has_put(server: RedisServer, tmp_path: Path, compress: str | None) -> None:
    one = Store(tmp_path / "one", shared=server.url, compress=compress)
    one.put("a", ARRAY, "result", seconds=0.5)
    one.put_later("b", lambda: ARRAY + 1, ARRAY.nbytes)
    one.flush()
    assert sorted(row["level"] for row in one.statistics.snapshot()["puts"]) == ["disk", "disk", "shared", "shared"]
    two = Store(tmp_path / "two", shared=server.url)
    assert two.contains("a")
    assert not two.contains("never")
    got = two.get("a")
    assert_same_bits(got, ARRAY)
    assert not got.flags.writeable  # type: ignore[union-attr]
    assert levels(two) == {"shared": 1}
    two.get("a")
    assert levels(two) == {"shared": 1, "recent": 1}
    two.flush()
    assert [(kept.key, kept.seconds) for kept in upkeep.entries(two)] == [("1 a", 0.5)]
    server_less = Store(tmp_path / "two")
    assert_same_bits(server_less.get("a"), ARRAY)
    assert levels(server_less) == {"disk": 1}
    assert [row["level"] for row in two.statistics.snapshot()["puts"]] == ["disk"]  # what came from there stays there


@needs_redis
def test_many_are_asked_for_at_once(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Store(tmp_path / "one", shared=server.url)
    for i in range(10):
        one.put(str(i), np.full(5, float(i)))
    two = Store(tmp_path / "two", shared=server.url)
    two.put("0", np.full(5, 0.0))
    asked: list[int] = []
    get_many = Shared.get_many
    monkeypatch.setattr(Shared, "get_many", lambda self, names: asked.append(len(names)) or get_many(self, names))
    got = two.get_many([("0",), ("never", "3"), ("4", "5"), ("neither", "nor"), *((str(i),) for i in range(6, 10))])
    assert asked == [10]
    assert got[3] is MISSING
    assert [float(array[0]) for array in got if array is not MISSING] == [0, 3, 4, 6, 7, 8, 9]  # type: ignore[index]
    assert levels(two) == {"recent": 1, "shared": 6}
    two.flush()
    assert two.get("3") is not MISSING
    assert [float(array[0]) for array in two.get_many([("0",), ("3",)])] == [0, 3]  # type: ignore[index]
    assert asked == [10]
    assert two.get("5", deep=False) is MISSING
    assert asked == [10]


@needs_redis
def test_age_is_that_of_the_array(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time, time.monotonic
    one = Store(tmp_path / "one", shared=server.url, ttl=60.0)
    one.put("a", ARRAY)
    monkeypatch.setattr(time, "time", lambda: now[0]() + 50)
    two = Store(tmp_path / "two", shared=server.url, ttl=60.0)
    assert_same_bits(two.get("a"), ARRAY)
    two.flush()
    monkeypatch.setattr(time, "time", lambda: now[0]() + 61)
    monkeypatch.setattr(time, "monotonic", lambda: now[1]() + 11)
    assert two.get("a") is MISSING
    assert reasons(two) == {"expired": 1}
    assert Store(tmp_path / "two", ttl=60.0).get("a") is MISSING
    assert not Store(tmp_path / "two", ttl=60.0).contains("a")


@needs_redis
@pytest.mark.parametrize("place", [0, 64, 1000, -10])
def test_a_damaged_value_is_a_miss_and_can_be_put_again(server: RedisServer, tmp_path: Path, place: int) -> None:
    one = Store(tmp_path / "one", shared=server.url)
    one.put("a", ARRAY)
    raw = Shared(server.url)
    name = one.disk.name("a")
    (data,) = raw.get_many([name])
    assert data is not None
    spoiled = bytearray(data)
    spoiled[place] ^= 1
    raw.put(name, bytes(spoiled))
    two = Store(tmp_path / "two", shared=server.url)
    assert two.get("a") is MISSING
    assert reasons(two) == {"damaged": 1}
    assert faults(two) == {("shared", "read"): 1}
    two.put("a", ARRAY)
    assert_same_bits(Store(tmp_path / "three", shared=server.url).get("a"), ARRAY)


@needs_redis
@pytest.mark.parametrize("data", [b"", b"text", b"\x80\x04\x95"])
def test_a_foreign_value_is_a_miss(server: RedisServer, tmp_path: Path, data: bytes) -> None:
    store = Store(tmp_path, shared=server.url)
    Shared(server.url).put(store.disk.name("a"), data)
    assert store.get("a") is MISSING


@needs_redis
def test_a_value_under_anothers_name_is_never_given(server: RedisServer, tmp_path: Path) -> None:
    one = Store(tmp_path / "one", shared=server.url)
    one.put("a", ARRAY)
    raw = Shared(server.url)
    (data,) = raw.get_many([one.disk.name("a")])
    assert data is not None
    raw.put(one.disk.name("b"), data)
    assert Store(tmp_path / "two", shared=server.url).get("b") is MISSING
    assert Store(tmp_path / "two", shared=server.url, version="2").get("a") is MISSING


@needs_redis
def test_the_disk_is_cleared_without_the_server_unless_asked(server: RedisServer, tmp_path: Path) -> None:
    store = Store(tmp_path, shared=server.url)
    store.put("a", ARRAY)
    assert upkeep.clear(store) == 1
    assert_same_bits(store.get("a"), ARRAY)
    assert levels(store) == {"shared": 1}
    upkeep.clear(store, shared=True)
    assert store.get("a") is MISSING


@needs_redis
def test_a_server_that_dies_is_a_fault_and_the_disk_goes_on(tmp_path: Path) -> None:
    own = RedisServer(tmp_path)
    try:
        store = Store(tmp_path / "cache", shared=own.url, recent=0)
        store.put("a", ARRAY)
    finally:
        own.kill()
    store.put("b", ARRAY)
    assert_same_bits(store.get("a"), ARRAY)
    assert_same_bits(store.get("b"), ARRAY)
    assert store.get("never") is MISSING
    assert not store.contains("never")
    assert faults(store) == {("shared", "write"): 1, ("shared", "read"): 1, ("shared", "look up"): 1}


def test_a_server_that_is_not_there_is_a_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path, shared=f"redis://:secret@127.0.0.1:{free_port()}/0", recent=0)
    store.put("a", ARRAY)
    for _ in range(3):
        assert store.get("never") is MISSING
    assert_same_bits(store.get("a"), ARRAY)
    assert faults(store) == {("shared", "write"): 1, ("shared", "read"): 3}
    assert len([record for record in caplog.records if "cannot read" in record.getMessage()]) == 1  # once a minute
    assert "secret" not in caplog.text


@pytest.mark.parametrize("answer", [b"+OK\r\n", b"$-1\r\n", b"*1\r\n$4\r\ntext\r\n", b"nonsense\r\n", b"-ERR no\r\n"])
def test_a_server_that_answers_nonsense_is_a_miss(tmp_path: Path, answer: bytes) -> None:
    with parrot(answer) as (port, _):
        store = Store(tmp_path, shared=f"redis://127.0.0.1:{port}/0", recent=0)
        assert store.get("never") is MISSING
        store.put("a", ARRAY)
        assert_same_bits(store.get("a"), ARRAY)
        store.contains("never")


@needs_redis
def test_what_cannot_be_unpacked_here_is_a_miss(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path / "one", shared=server.url, compress="zstd").put("a", ARRAY)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    two = Store(tmp_path / "two", shared=server.url)
    assert two.get("a") is MISSING
    assert faults(two) == {("shared", "read"): 1}
