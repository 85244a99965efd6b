"""The store: what is put is found, by any process, and a fault of the disk is a miss."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from same_bits import assert_same_bits

from atc_plugin.cache.backend import MAPPED
from atc_plugin.cache.behind import flush_all
from atc_plugin.cache.store import MISSING, Store

ARRAYS = [np.arange(6.0).reshape(2, 3), np.array([np.nan, -0.0, np.inf]), np.array(7), np.zeros((0, 4), np.int8)]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_what_is_put_is_found(tmp_path: Path, array: np.ndarray) -> None:
    store = Store(tmp_path)
    assert store.get("key") is MISSING
    assert not MISSING
    assert not store.contains("key")
    store.put("key", array)
    assert store.contains("key")
    assert_same_bits(store.get("key"), array)
    assert store.get("kez") is MISSING


def test_a_later_put_replaces(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("key", np.zeros(3))
    store.put("key", np.ones(2))
    assert_same_bits(store.get("key"), np.ones(2))


def test_another_process_finds_it(tmp_path: Path) -> None:
    code = (
        f"from atc_plugin.cache.store import Store; import numpy as np; Store({str(tmp_path)!r}).put('k', np.arange(4))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert_same_bits(Store(tmp_path).get("k"), np.arange(4))


def items(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.npy"))


def test_a_damaged_item_is_a_miss_and_can_be_put_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Store(tmp_path).put("key", np.arange(1000.0))
    (item,) = items(tmp_path)
    item.write_bytes(item.read_bytes()[:100])
    store = Store(tmp_path)
    assert store.get("key") is MISSING
    assert "was damaged" in caplog.text
    assert items(tmp_path) == []
    store.put("key", np.arange(3.0))
    assert_same_bits(Store(tmp_path).get("key"), np.arange(3.0))


def test_a_directory_that_vanishes_is_a_miss(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", recent=0)
    store.put("key", np.arange(3.0))
    shutil.rmtree(tmp_path / "cache")
    assert store.get("key") is MISSING
    store.put("key", np.arange(3.0))  # what is missing is made
    assert_same_bits(store.get("key"), np.arange(3.0))


def test_a_fault_while_reading_is_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, recent=0)
    store.put("key", np.arange(3.0))

    def broken(*_: object) -> bool:
        raise OSError("the disk is gone")

    monkeypatch.setattr(store.disk, "contains", broken)
    monkeypatch.setattr(store.disk, "get", broken)
    assert not store.contains("key")
    assert store.get("key") is MISSING
    assert "cannot look up" in caplog.text
    assert "cannot read" in caplog.text


def test_a_place_that_cannot_be_written_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "cache", recent=0)
    store.put("other", np.arange(3.0))
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where the directory was")
    store.put("key", np.arange(3.0))
    assert "cannot write" in caplog.text
    assert store.get("key") is MISSING


def test_a_place_where_nothing_can_be_made_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a directory")
    store = Store(tmp_path / "file" / "cache", recent=0)
    store.put("key", np.arange(3.0))
    assert "cannot write" in caplog.text
    assert not store.contains("key")
    assert store.get("key") is MISSING


def levels(store: Store) -> dict[str, int]:
    return {row["level"]: row["count"] for row in store.statistics.snapshot()["hits"]}


def reasons(store: Store) -> dict[str, int]:
    return {row["reason"]: row["count"] for row in store.statistics.snapshot()["misses"]}


# ---------------------------------------------------------------- levels
def test_a_hit_fills_the_level_above(tmp_path: Path) -> None:
    Store(tmp_path).put("key", np.arange(3.0))
    store = Store(tmp_path)
    assert store.get("key", deep=False) is MISSING
    for _ in range(3):
        assert_same_bits(store.get("key"), np.arange(3.0))
    assert_same_bits(store.get("key", deep=False), np.arange(3.0))
    assert levels(store) == {"disk": 1, "recent": 3}


@pytest.mark.parametrize(("compress", "level"), [(None, "disk"), ("zstd", "recent")])
def test_what_is_mapped_is_not_held_twice(tmp_path: Path, compress: str | None, level: str) -> None:
    array = np.random.default_rng(1).normal(size=MAPPED // 4)
    Store(tmp_path).disk.put("key", array, "x", None, compress)
    store = Store(tmp_path)
    store.get("key")
    assert len(store.recent) == (level == "recent")
    assert_same_bits(store.get("key"), array)
    assert levels(store).keys() == {"disk", level}


def test_what_waits_to_be_written_is_found(tmp_path: Path) -> None:
    store, going = Store(tmp_path, recent=0), threading.Event()
    store.put_later("first", lambda: np.ones(1) if going.wait(30) else np.zeros(1), 8)
    mine = np.arange(3.0)
    store.put_later("key", lambda: mine, 24)
    assert store.contains("key")
    for deep in (True, False):
        got = store.get("key", deep=deep)
        assert_same_bits(got, mine)
        with pytest.raises(ValueError, match="read-only"):
            got[0] = 5.0  # type: ignore[index]
    going.set()
    store.flush()
    assert levels(store) == {"waiting": 2}
    assert store.get("key", deep=False) is MISSING
    assert_same_bits(store.get("key"), mine)
    assert levels(store) == {"waiting": 2, "disk": 1}


def test_a_put_at_once_goes_before_what_waits(tmp_path: Path) -> None:
    store, going = Store(tmp_path), threading.Event()
    store.put_later("first", lambda: np.ones(1) if going.wait(30) else np.zeros(1), 8)
    store.put_later("key", lambda: np.zeros(1), 8)
    store.put("key", np.ones(1))
    going.set()
    store.flush()
    assert_same_bits(Store(tmp_path).get("key"), np.ones(1))
    assert_same_bits(store.get("key"), np.ones(1))


def test_what_cannot_be_made_is_a_miss_and_a_fault(tmp_path: Path) -> None:
    store, going = Store(tmp_path), threading.Event()

    def fail() -> np.ndarray:
        raise MemoryError("too large")

    store.put_later("first", lambda: np.ones(1) if going.wait(30) else np.zeros(1), 8)
    store.put_later("key", fail, 8)
    assert store.get("key") is MISSING
    going.set()
    store.flush()
    assert store.get("key") is MISSING
    told = {(row["level"], row["what"]): row["message"] for row in store.statistics.snapshot()["faults"]}
    assert told == {("waiting", "read"): "MemoryError: too large", ("disk", "write"): "MemoryError: too large"}


def test_of_several_keys_the_first_that_is_kept_is_given(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in "bcd":
        store.put(key, np.array(float(ord(key))))
    got = store.get_many([("a", "b", "c"), ("d",), ("x", "y"), ("c", "a")])
    assert [array if array is MISSING else chr(int(array)) for array in got] == ["b", "d", MISSING, "c"]  # type: ignore[arg-type]
    assert store.get_many([]) == []


def test_the_first_reason_there_is_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.disk.evicted.add([store.disk.name("evicted")])
    store.put("declined", np.zeros(10**7, np.int8), if_worth=True)
    store.recent.clear()
    assert [
        looked.reason for looked in store.look_many([("a", "evicted"), ("evicted", "a"), ("a", "declined"), ("a",)])
    ] == [
        "evicted",
        "evicted",
        "not worth storing",
        "never stored",
    ]
    assert reasons(store) == {}  # who looks counts himself
    store.count(store.look("a"), "x")
    assert reasons(store) == {"never stored": 1}


def test_what_others_would_find_is_not_what_is_in_memory(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("declined", np.ones(1), if_worth=True)
    store.put("kept", np.ones(1))
    assert [store.contains(key) for key in ("declined", "kept", "never")] == [True, True, False]
    assert [store.is_kept(key) for key in ("declined", "kept", "never")] == [False, True, False]
    assert store.read_kept("declined") is None
    store.recent.clear()
    assert_same_bits(store.read_kept("kept"), np.ones(1))
    assert len(store.recent) == 0
    assert (levels(store), reasons(store)) == ({}, {})


def test_a_store_as_others_find_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    same = store.of_others()
    shutil.rmtree(tmp_path)
    store.recent.put("held", np.ones(1), "array")
    assert same.get("held") is MISSING
    same.put("key", np.ones(1))
    assert same.get("never") is MISSING
    assert_same_bits(same.get("key"), np.ones(1))
    assert (levels(store), reasons(store)) == ({}, {})
    assert_same_bits(store.get("key"), np.ones(1))
    assert levels(store) == {"recent": 1}
    assert [row["count"] for row in store.statistics.snapshot()["puts"]] == [1]


def test_forgetting_leaves_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("key", np.ones(2))
    store.forget()
    assert len(store.recent) == 0
    assert_same_bits(store.get("key"), np.ones(2))


# ---------------------------------------------------------------- arrays
@pytest.mark.parametrize("recent", [0, 10**6])
@pytest.mark.parametrize("if_worth", [True, False])
def test_what_the_caller_changes_afterwards_changes_nothing(tmp_path: Path, recent: int, if_worth: bool) -> None:
    (tmp_path / "speed.json").write_text('{"once": 1e-9, "a_byte": 0}')
    store, mine = Store(tmp_path, recent=recent), np.arange(3.0)
    store.put("key", mine, seconds=1.0, if_worth=if_worth)
    mine[:] = 7.0
    store.flush()
    for reader in (store, Store(tmp_path)):
        got = reader.get("key")
        assert_same_bits(got, np.arange(3.0))
        with pytest.raises(ValueError, match="read-only"):
            got[0] = 5.0  # type: ignore[index]


def test_what_is_owned_is_not_copied(tmp_path: Path) -> None:
    store, mine = Store(tmp_path), np.arange(3.0)
    store.put("key", mine, is_owned=True)
    assert np.shares_memory(store.get("key"), mine)  # type: ignore[arg-type]
    assert mine.flags.writeable


@pytest.mark.parametrize("array", [np.array([None]), np.array([{}, "x"], object), np.zeros(1, [("a", "O")])])
@pytest.mark.parametrize("if_worth", [True, False])
def test_objects_are_refused(tmp_path: Path, array: np.ndarray, if_worth: bool) -> None:
    store = Store(tmp_path)
    with pytest.raises(TypeError, match="only plain arrays are kept"):
        store.put("key", array, seconds=1.0, if_worth=if_worth)
    assert not store.contains("key")
    store.put_later("key", lambda: array, 8)
    store.flush()
    assert store.statistics.snapshot()["faults"][0]["message"].startswith("TypeError: only plain arrays are kept")


RECORD = np.dtype([("average", "<f8", (50,)), ("direction", "i1", (50,))])


@pytest.mark.parametrize("compress", [None, "zstd"])
def test_records_are_kept(tmp_path: Path, compress: str | None) -> None:
    record = np.zeros(1, RECORD)
    record["average"] = np.linspace(0, 1, 50)
    record["direction"] = -1
    Store(tmp_path, compress=compress).put("key", record)
    got = Store(tmp_path).get("key")
    assert got.dtype == RECORD  # type: ignore[union-attr]
    assert_same_bits(got["average"], record["average"])  # type: ignore[index]
    assert_same_bits(got["direction"], record["direction"])  # type: ignore[index]


# ---------------------------------------------------------------- stores
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_limit": -1}, "size_limit must be a number of bytes, or None; got -1"),
        ({"size_limit": float("nan")}, "size_limit must be a number of bytes"),
        ({"ttl": 0}, "ttl must be a number of seconds above 0, or None; got 0"),
        ({"ttl": float("inf")}, "ttl must be a number of seconds above 0"),
        ({"recent": -1}, "recent must be a number of bytes; got -1"),
        ({"policy": "fifo"}, "policy must be one of 'lru', 'lfu', 'ttl'; got 'fifo'"),
        ({"policy": "ttl"}, 'the policy "ttl" needs a ttl'),
        ({"compress": "gzip"}, "compress must be None or one of 'zstd'; got 'gzip'"),
        ({"shared": "http://x"}, "does not begin with redis://"),
        ({"version": "a b"}, "version must be of letters, digits"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Store(tmp_path / "cache", **settings)
    assert not (tmp_path / "cache").exists()


def test_a_copy_for_another_process_means_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("cache", size_limit=10**6, ttl=60.0, compress="zstd", recent=10**6, policy="lfu", version="7")
    store.put("key", np.arange(3.0))
    data = pickle.dumps(store)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    other = pickle.loads(data)
    assert (repr(other), other.directory) == (repr(store), str(tmp_path / "cache"))
    assert other._given == store._given
    assert levels(other) == {}
    assert_same_bits(other.get("key"), np.arange(3.0))
    other.put("new", np.arange(2.0))
    assert_same_bits(store.get("new"), np.arange(2.0))


def test_a_process_with_a_fork_of_a_store_shares_the_disk_only(tmp_path: Path) -> None:
    code = (
        "import os, sys, numpy as np; from atc_plugin.cache.store import Store, MISSING\n"
        "store = Store(sys.argv[1])\n"
        "store.put('a', np.ones(2)); store.get('a')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    assert store.statistics.snapshot()['hits'] == [] and len(store.recent) == 0\n"
        "    assert (store.get('a') == 1).all()\n"
        "    store.put('b', np.ones(2)); store.put_later('c', lambda: np.ones(2), 16); store.flush()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert len(store.recent) == 1\n"
        "assert (store.get('b') == 1).all() and (store.get('c') == 1).all()\n"
    )
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork")
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], check=True)


def test_a_store_that_is_let_go_writes_what_waits(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_later("key", lambda: np.arange(3.0), 24)
    del store
    gc.collect()
    flush_all()
    assert_same_bits(Store(tmp_path).get("key"), np.arange(3.0))


# ---------------------------------------------------------------- faults
def test_a_fault_is_told_once_a_minute_and_counted_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, recent=0)

    def broken(*_: object) -> str:
        raise OSError("the disk is gone")

    monkeypatch.setattr(store.disk, "get", broken)
    for _ in range(3):
        assert store.get("key") is MISSING
    assert caplog.text.count("the disk level cannot read") == 1
    assert str(tmp_path) in caplog.text
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 61)
    store.get("key")
    assert caplog.text.count("the disk level cannot read") == 2
    assert store.statistics.snapshot()["faults"][0]["count"] == 4


def test_a_disk_that_is_slow_to_fail_is_let_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked, now = Store(tmp_path, recent=0), list[str](), [1000.0]
    store.put("key", np.ones(1))
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    get = store.disk.get

    def slow(key: str, ttl: float | None) -> Any:
        asked.append(key)
        now[0] += 1.0
        raise OSError("timed out")

    monkeypatch.setattr(store.disk, "get", slow)
    assert [store.get("key") for _ in range(5)] == [MISSING] * 5
    assert len(asked) == 1
    monkeypatch.setattr(store.disk, "get", get)
    now[0] += 60.0
    assert_same_bits(store.get("key"), np.ones(1))
    monkeypatch.setattr(store.disk, "get", slow)
    store.get("key")
    monkeypatch.setattr(store.disk, "get", get)
    store.put("new", np.ones(1))  # it works again
    assert_same_bits(store.get("key"), np.ones(1))


@pytest.mark.parametrize("fault", [MemoryError("too large"), UserWarning("slow"), ValueError("odd")])
def test_other_faults_of_the_disk_fail_nothing(
    tmp_path: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, recent=0)

    def broken(*_: object) -> str:
        raise fault

    for method in ("get", "put", "contains"):
        monkeypatch.setattr(store.disk, method, broken)
    store.put("key", np.ones(1))
    assert store.get("key") is MISSING
    assert not store.contains("key")
    assert {row["what"] for row in store.statistics.snapshot()["faults"]} == {"read", "write", "look up"}
