"""Looking after a store: what is listed, checked, removed and counted."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from atc_plugin import cache
from atc_plugin.cache import upkeep
from atc_plugin.cache.disk import Disk
from atc_plugin.cache.limits import Pruned
from atc_plugin.cache.store import MISSING, Store
from atc_plugin.cache.upkeep import Kept, Verified

ARRAY = np.arange(100.0)


def test_entries_tell_what_is_kept_of_all_versions(tmp_path: Path) -> None:
    before = time.time()
    one, two = Store(tmp_path, version="1"), Store(tmp_path, version="2")
    one.put("a", ARRAY, "result", seconds=0.5)
    two.put_later("b", lambda: ARRAY, 800, "components")
    two.flush()
    one.put_later("c", lambda: ARRAY, 800, "array", seconds=1.5)
    kept = {entry.key: entry for entry in upkeep.entries(one)}  # also what waited
    assert sorted(kept) == ["1 a", "1 c", "2 b"]
    a = kept["1 a"]
    assert a == Kept("1 a", "result", a.nbytes, a.created, a.used, 0.5)
    assert ARRAY.nbytes < a.nbytes < ARRAY.nbytes + 600
    assert before - 1 <= a.created <= time.time() + 1
    assert before - 1 <= a.used <= time.time() + 1
    assert (kept["2 b"].kind, kept["2 b"].seconds, kept["1 c"].seconds) == ("components", None, 1.5)


def test_entries_leave_out_what_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", ARRAY)
    store.put("b", ARRAY)
    item = next(Path(entry.path) for entry in store.disk.entries() if entry.name == store.disk.name("b"))
    item.write_bytes(b"x")
    assert [entry.key for entry in upkeep.entries(store)] == ["1 a"]
    assert upkeep.verify(store) == Verified(1, (item.stem,))
    assert upkeep.verify(store) == Verified(1, ())
    assert not item.exists()


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    one, two = Store(tmp_path, version="1"), Store(tmp_path, version="2")
    two.put("a", ARRAY)
    one.put("a", ARRAY)
    one.put_later("b", lambda: ARRAY, 800)
    one.put("c", ARRAY, if_worth=True)
    one.disk.evicted.add(["0" * 32])
    one.disk.warmed.add(["0" * 32])
    one.disk.beginnings.add(["0" * 32])
    assert upkeep.clear(one) == 3
    assert list(upkeep.entries(one)) == []
    assert [one.get(key) for key in "abc"] == [MISSING] * 3
    assert {row["reason"]: row["count"] for row in one.statistics.snapshot()["misses"]} == {"never stored": 3}
    for log in (one.disk.evicted, one.disk.warmed, one.disk.beginnings):
        assert "0" * 32 not in log
    one.put("a", ARRAY)
    assert Store(tmp_path).get("a") is not MISSING


def test_clearing_says_what_it_cannot_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put("a", ARRAY)

    def protected(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr("os.unlink", protected)
    with pytest.raises(PermissionError, match="not yours"):
        upkeep.clear(store)


def test_statistics_know_how_full_the_store_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", size_limit=10**6)
    store.put("a", ARRAY)
    store.get("a")
    store.get("b")
    stats = upkeep.stats_of(store)
    assert (stats.hits, stats.misses, stats.entries, stats.size_limit) == (1, 1, 1, 10**6)
    assert stats.directory == str(tmp_path / "cache")
    assert stats.bytes_kept == sum(entry.nbytes for entry in store.disk.entries())
    assert stats.free_bytes is not None
    shutil.rmtree(tmp_path / "cache")
    stats = upkeep.stats_of(store)
    assert (stats.hits, stats.entries, stats.bytes_kept, stats.free_bytes) == (1, 0, 0, None)


def test_statistics_of_a_place_that_cannot_be_read_are_of_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Disk) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Disk, "entries", broken)
    stats = upkeep.stats_of(Store(tmp_path))
    assert (stats.entries, stats.bytes_kept, stats.free_bytes) == (None, None, None)


def test_the_face_looks_after_the_default_and_any_other(tmp_path: Path) -> None:
    cache.configure(directory=tmp_path / "default")
    Store(tmp_path / "default").put("a", ARRAY)
    Store(tmp_path / "other").put("b", ARRAY)
    assert [entry.key for entry in cache.entries()] == ["1 a"]
    assert [entry.key for entry in cache.entries(cache=tmp_path / "other")] == ["1 b"]
    assert cache.verify() == Verified(1, ())
    assert isinstance(cache.prune(), Pruned)
    assert cache.stats(cache=tmp_path / "other").entries == 1
    cache.configure(size_limit=0)
    assert cache.prune().removed == 1
    cache.configure(size_limit=None)
    assert cache.clear(cache=tmp_path / "other") == 1
    assert list(cache.entries(cache=tmp_path / "other")) == []


def test_what_is_switched_off_cannot_be_looked_after() -> None:
    cache.configure(enabled=False)
    with pytest.raises(ValueError, match="the cache is switched off: ATC_CACHE=on"):
        cache.entries()
