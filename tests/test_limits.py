"""Limits of size and age: by the use that we record, never in the way, and with nothing lost that should stay."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atc_plugin.cache import limits, worth
from atc_plugin.cache.disk import Disk, Entry
from atc_plugin.cache.limits import Limits, Pruned
from atc_plugin.cache.store import MISSING, Store
from atc_plugin.cache.worth import NEVER, Speed, Worth, speed_of

SIZE = 10_000  # bytes of an array; its file is a little larger


def array(value: float = 0.0) -> np.ndarray:
    return np.full(SIZE // 8, value)


def whole_now() -> float:
    """The time of day without a part of a second, so that all files are of the same size."""
    return float(int(time.time()))


def path_of(disk: Disk, key: str) -> Path:
    return Path(disk._backend.path(disk._call_id(key)))


def filled(directory: Path, keys: str, kind: str = "x") -> tuple[Disk, int]:
    """A disk with items of which the first is the one longest unused, and bytes of each."""
    disk = Disk(str(directory), "1")
    for age, key in enumerate(reversed(keys)):
        nbytes = disk.put(key, array(ord(key)), kind, None, None, whole_now())
        used(disk, key, 100.0 * (age + 1))
    return disk, nbytes


def used(disk: Disk, key: str, ago: float) -> None:
    os.utime(path_of(disk, key), (0, time.time() - ago))  # the time of access is of no use


def kept(disk: Disk, keys: str = "abcdefgh") -> str:
    return "".join(key for key in keys if disk.contains(key))


def test_what_was_longest_unused_goes(tmp_path: Path) -> None:
    disk, nbytes = filled(tmp_path, "abcdef")
    told: list[tuple[str, int, bool]] = []
    used(disk, "d", 5000)
    used(disk, "a", 4000)
    done = Limits(disk, 5 * nbytes + 10, None, lambda *what: told.append(what)).prune()
    assert kept(disk) == "bcef"  # down to nine tenths of the limit
    assert done == Pruned(2, 2 * nbytes, 0, 4 * nbytes)
    assert told == [("x", nbytes, False)] * 2
    assert disk.get("d", None) == "evicted"
    assert Disk(str(tmp_path), "1").get("a", None) == "evicted"
    assert disk.get("g", None) == "never stored"
    disk.put("a", array(), "x", None, None)
    assert not isinstance(disk.get("a", None), str)


def test_what_is_read_stays(tmp_path: Path) -> None:
    _, nbytes = filled(tmp_path, "abc")
    disk = Disk(str(tmp_path), "1")
    disk.get("a", None)
    told: list[bool] = []
    Limits(disk, 2 * nbytes, None, lambda kind, size, hot: told.append(hot)).prune()
    assert kept(disk) == "a"
    assert told == [True, True]  # they were used within the hour


@pytest.mark.parametrize("limit", [None, 3])
def test_within_the_limit_nothing_goes(tmp_path: Path, limit: int | None) -> None:
    disk, nbytes = filled(tmp_path, "abc")
    assert Limits(disk, limit and limit * nbytes, None).prune() == Pruned(0, 0, 0, 3 * nbytes)
    assert kept(disk) == "abc"


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    disk, _ = filled(tmp_path, "abc")
    Limits(disk, 0, None).prune()
    assert kept(disk) == ""


def test_what_is_too_old_goes_first_and_is_not_evicted(tmp_path: Path) -> None:
    disk, nbytes = filled(tmp_path, "abcd")
    disk.put("c", array(), "x", None, None, whole_now() - 1000)
    disk.put("e", array(), "x", None, None, whole_now() + 1000)  # by a clock that was wrong
    disk.put("f", array(), "x", None, None, whole_now() + 10)
    told: list[Any] = []
    done = Limits(disk, None, 500.0, lambda *what: told.append(what)).prune()
    assert kept(disk) == "abdf"
    assert (done.removed, done.kept, told) == (2, 4 * nbytes, [])
    assert disk.get("c", 500.0) == "never stored"


@pytest.mark.parametrize("ahead", [-1e7, 1e7])
def test_a_clock_that_was_moved_loses_nothing_that_fits(
    tmp_path: Path, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, nbytes = filled(tmp_path, "abcd")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    disk.put("e", array(), "x", None, None, whole_now())
    Limits(disk, 5 * nbytes, None).prune()
    assert kept(disk) == "abcde"
    Limits(disk, 5 * nbytes - 1, None).prune()
    assert len(kept(disk)) == 4


def remove_meanwhile(monkeypatch: pytest.MonkeyPatch, before: Callable[[Entry], object]) -> None:
    """Have something happen to each entry after it was listed."""
    remove = Entry.remove

    def removing(self: Entry) -> bool:
        before(self)
        return remove(self)

    monkeypatch.setattr(Entry, "remove", removing)


def test_what_is_used_or_replaced_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, nbytes = filled(tmp_path, "abcd")
    others = Disk(str(tmp_path), "1")

    def meanwhile(entry: Entry) -> None:
        if entry.name == disk.name("a"):
            others.get("a", None)
        if entry.name == disk.name("b"):
            others.put("b", array(1.0), "x", None, None, whole_now())

    remove_meanwhile(monkeypatch, meanwhile)
    done = Limits(disk, 3 * nbytes + 10, None).prune()
    assert kept(disk) == "ab"
    assert (done.removed, done.kept) == (2, 2 * nbytes)


def test_what_another_process_removed_is_not_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, nbytes = filled(tmp_path, "abcdef")
    remove_meanwhile(monkeypatch, lambda entry: Path(entry.path).unlink())  # it prunes the same, and is faster
    assert Limits(disk, 4 * nbytes + 10, None).prune() == Pruned(0, 0, 0, 3 * nbytes)
    assert kept(disk) == "def"


def test_two_processes_that_prune_at_once_lose_nothing_that_should_stay(tmp_path: Path) -> None:
    keys = [f"{i:03}" for i in range(200)]
    disk = Disk(str(tmp_path), "1")
    for i, key in enumerate(keys):
        nbytes = disk.put(key, np.full(100, float(i)), "x", None, None, whole_now())
        used(disk, key, 1000.0 - i)
    code = (
        "import sys; from atc_plugin.cache.disk import Disk; from atc_plugin.cache.limits import Limits\n"
        "limits = Limits(Disk(sys.argv[1], '1'), int(sys.argv[2]), None)\n"
        "print('ready', flush=True); sys.stdin.readline(); limits.prune()"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(101 * nbytes)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert [disk.contains(key) for key in keys] == [i >= 110 for i in range(200)]  # 90 of them fit


def test_what_may_not_be_removed_stops_no_pruning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, nbytes = filled(tmp_path, "abcd")
    bad, faults = path_of(disk, "a"), list[OSError]()
    unlink = os.unlink

    def protected(path: Any, *rest: Any, **options: Any) -> None:
        if Path(path) == bad:
            raise PermissionError("not yours")
        unlink(path, *rest, **options)

    monkeypatch.setattr(os, "unlink", protected)
    (bad.parent / f"{'0' * 32}.npy").mkdir()  # nor is this ours
    done = Limits(disk, 2 * nbytes, None, fault=faults.append).prune()
    assert kept(disk) == "a"
    assert (done.removed, done.kept) == (3, nbytes)
    assert [str(fault) for fault in faults] == ["not yours"]


@pytest.mark.parametrize("content", [b"", b"x" * 500, b"ATCkept1" * 9])
def test_foreign_files_count_and_go_like_others(tmp_path: Path, content: bytes) -> None:
    disk, nbytes = filled(tmp_path, "ab")
    foreign = path_of(disk, "a").parent / f"{'0' * 32}.npy"
    foreign.write_bytes(content)
    os.utime(foreign, (0, 0))
    told: list[str] = []
    Limits(disk, nbytes, 1e9, lambda kind, size, hot: told.append(kind)).prune()
    assert not foreign.exists()
    assert told[0] == "array"


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    disk, _ = filled(tmp_path, "a")
    left = path_of(disk, "a").parent / ".b.npy.1-2.tmp"
    left.write_bytes(b"half")
    assert Limits(disk, None, None).prune().temporary == 0
    os.utime(left, (0, time.time() - 3700))
    assert Limits(disk, None, None).prune().temporary == 1
    assert not left.exists()


# ---------------------------------------------------------------- when
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of the thread of each pruning."""
    calls: list[str] = []
    prune = Limits.prune

    def counting(self: Limits) -> Pruned:
        calls.append(threading.current_thread().name)
        return prune(self)

    monkeypatch.setattr(Limits, "prune", counting)
    return calls


def test_writing_keeps_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, nbytes = filled(tmp_path, "abcdef")
    disk, calls = Disk(str(tmp_path), "1"), counted(monkeypatch)
    kept_to = Limits(disk, 20 * nbytes, None)
    for i in range(60):
        kept_to.written(disk.put(f"key {i}", array(), "x", None, None))
        assert sum(entry.nbytes for entry in disk.entries()) <= 20 * nbytes
    assert 15 < len(calls) < 25  # each makes room for a tenth


def test_without_limits_nothing_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, _ = filled(tmp_path, "a")
    monkeypatch.setattr(Disk, "entries", lambda self: pytest.fail("listed"))
    Limits(disk, None, None).written(10)


def test_other_processes_writing_is_seen_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, nbytes = filled(tmp_path, "a")
    mine = Limits(disk, 4 * nbytes, None)
    mine.written(0)
    filled(tmp_path, "bcdefg")
    mine.written(0)
    assert kept(disk) == "abcdefg"
    monkeypatch.setattr(limits, "_RECOUNT", 0.0)
    mine.written(0)
    assert len(kept(disk)) == 3
    filled(tmp_path, "abcdefg")
    monkeypatch.setattr(limits, "_RECOUNT", 1e9)
    mine.forget()
    mine.written(0)
    assert len(kept(disk)) == 3


def test_age_is_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, calls = Disk(str(tmp_path), "1"), counted(monkeypatch)
    disk.put("old", array(), "x", None, None, time.time() - 100)
    mine = Limits(disk, None, 50.0)
    for _ in range(5):
        mine.written(10)
    assert len(calls) == 1
    assert not disk.contains("old")


def test_pruning_that_does_not_help_is_not_done_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, nbytes = filled(tmp_path, "abc")
    calls, faults = counted(monkeypatch), list[OSError]()

    def protected(self: Entry) -> bool:
        raise PermissionError("not yours")

    with monkeypatch.context() as protecting:
        protecting.setattr(Entry, "remove", protected)
        mine = Limits(disk, nbytes, None, fault=faults.append)
        for _ in range(5):
            mine.written(10)
    assert len(calls) == 1
    assert len(faults) == 3
    monkeypatch.setattr(limits.time, "monotonic", lambda now=time.monotonic: now() + 61)
    mine.written(10)
    assert kept(disk) == ""


def test_a_pruning_that_fails_is_a_fault_of_no_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_in = Store(tmp_path, size_limit=10)

    def broken(self: Disk) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Disk, "entries", broken)
    kept_in.put("a", array(1.0))
    assert kept_in.prune() == Pruned(0, 0, 0, 0)
    monkeypatch.undo()
    faults = kept_in.statistics.snapshot()["faults"]
    assert [(fault["level"], fault["what"], fault["count"]) for fault in faults] == [("disk", "prune", 2)]
    kept_in.recent.clear()
    assert kept_in.get("a") is not MISSING


def test_a_store_prunes_behind_its_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    monkeypatch.setattr(worth, "NEVER", 0.0)
    monkeypatch.setattr(worth, "_MARGIN", 0)
    kept_in = Store(tmp_path, size_limit=3 * SIZE, recent=0)
    for i in range(10):
        kept_in.put_later(str(i), lambda i=i: array(i), SIZE, seconds=1.0, if_worth=i % 2 == 0)  # type: ignore[misc]
        kept_in.put(f"{i} too", array(i), seconds=1.0, if_worth=True)
    assert threading.current_thread().name not in calls
    kept_in.flush()  # which does the work of the thread that it waits for
    assert len(calls) > 5
    rows = kept_in.statistics.snapshot()["evictions"]
    assert sum(row["count"] for row in rows) >= 17
    assert all(row["level"] == "disk" and row["hot"] for row in rows)
    assert kept_in.get("0") is MISSING
    assert [row["reason"] for row in kept_in.statistics.snapshot()["misses"]] == ["evicted"]


# ---------------------------------------------------------------- what is worth it
def test_speed_is_measured_once_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(str(tmp_path), "1")
    speed = speed_of(disk)
    assert 0 < speed.once < 60
    assert 0 <= speed.a_byte < 1
    assert speed.cost(0) == speed.once
    assert list(disk.entries()) == []
    monkeypatch.setattr(worth, "_measured", lambda disk: pytest.fail("measured again"))
    assert speed_of(Disk(str(tmp_path), "2")) == speed


ABSURD = [
    *("", "{", "[]", "3", "{}", "\udcff", "[" * 10**5),
    *('{"once": "x", "a_byte": 0}', '{"once": null, "a_byte": 0}', f'{{"once": 1{"0" * 400}, "a_byte": 0}}'),
    *('{"once": NaN, "a_byte": 0}', '{"once": 0, "a_byte": 0}', '{"once": 1e9, "a_byte": 0}'),
    '{"once": 1e-3, "a_byte": -1}',
]


@pytest.mark.parametrize("content", ABSURD, ids=lambda content: content[:30].encode("ascii", "replace").decode())
def test_a_speed_that_cannot_be_is_measured_again(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "speed.json").write_text(content, errors="surrogateescape")
    monkeypatch.setattr(worth, "_measured", lambda disk: Speed(1e-3, 1e-9))
    assert speed_of(Disk(str(tmp_path), "1")) == Speed(1e-3, 1e-9)
    monkeypatch.setattr(worth, "_measured", lambda disk: pytest.fail("measured again"))
    assert speed_of(Disk(str(tmp_path), "1")) == Speed(1e-3, 1e-9)


def test_a_speed_that_cannot_be_noted_is_known_anyhow(tmp_path: Path) -> None:
    (tmp_path / "speed.json").mkdir()
    assert speed_of(Disk(str(tmp_path), "1")).once > 0
    assert [path.name for path in tmp_path.glob(".speed*")] == []


def test_what_takes_longer_than_a_file_is_worth_it(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text('{"once": 0.001, "a_byte": 1e-6}')
    judge = Worth(Disk(str(tmp_path), "1"))
    assert judge.is_worth(1000, 0.00801)
    assert not judge.is_worth(1000, 0.00799)
    assert not judge.is_worth(10, None)


def test_keys_that_were_declined_are_remembered_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth, "_DECLINED", 3)
    judge = Worth(Disk(str(tmp_path), "1"))
    for key in "abcd":
        judge.decline(key)
    judge.accept("c")
    judge.accept("x")
    assert [judge.was_declined(key) for key in "abcd"] == [False, True, False, True]
    judge.forget()
    assert not judge.was_declined("d")


@pytest.mark.parametrize("seconds", [None, NEVER / 2, 0.01])
def test_what_is_not_worth_it_is_counted_and_missed_as_such(
    tmp_path: Path, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("speed.json").write_text('{"once": 1, "a_byte": 0}')
    if seconds != 0.01:
        monkeypatch.setattr(worth, "speed_of", lambda disk: pytest.fail("no disk is worth asking"))
    kept_in = Store(tmp_path, recent=0)
    kept_in.put("a", array(), "result", seconds=seconds, if_worth=True)
    kept_in.put_later("b", array, SIZE, "result", seconds=seconds, if_worth=True)
    kept_in.flush()
    assert [kept_in.get(key, "result") for key in "abc"] == [MISSING] * 3
    counts = kept_in.statistics.snapshot()
    assert [(row["kind"], row["count"], row["bytes"]) for row in counts["declined"]] == [("result", 2, 2 * SIZE)]
    assert {row["reason"]: row["count"] for row in counts["misses"]} == {"not worth storing": 2, "never stored": 1}
    assert list(kept_in.disk.entries()) == []
    assert counts["faults"] == []
    kept_in.put("a", array(1.0))  # whoever asks for it gets it
    assert kept_in.get("a") is not MISSING


def test_what_is_worth_it_is_kept(tmp_path: Path) -> None:
    tmp_path.joinpath("speed.json").write_text('{"once": 0.001, "a_byte": 0}')
    kept_in = Store(tmp_path, recent=0)
    kept_in.put("a", array(1.0), seconds=0.1, if_worth=True)
    kept_in.put_later("b", lambda: array(2.0), SIZE, seconds=0.1, if_worth=True)
    kept_in.flush()
    for key, value in (("a", 1.0), ("b", 2.0)):
        got = Store(tmp_path).get(key)
        assert got is not MISSING
        assert (got == value).all()  # type: ignore[union-attr]
