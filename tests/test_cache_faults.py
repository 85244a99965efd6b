"""Whatever happens to the files: the right numbers or none, nothing executed, nothing raised, nothing else lost."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from same_bits import assert_same_bits

from atc_plugin.cache.backend import MAPPED, kept_1
from atc_plugin.cache.store import MISSING, Store
from atc_plugin.cache.upkeep import entries, verify

SMALL = np.arange(500.0)
LARGE = np.arange(MAPPED // 8 + 100.0)
PATIENCE = 120


def filled(directory: Path, array: np.ndarray = SMALL, **settings: Any) -> tuple[Store, Path]:
    """A store with "key" and "other", and the file of the former."""
    store = Store(directory, recent=0, **settings)
    store.put("key", array, "result")
    store.put("other", array + 1, "result")
    return store, item(store, "key")


def item(store: Store, key: str) -> Path:
    return Path(store.disk._backend.path(store.disk._call_id(key)))


def reasons(store: Store) -> dict[str, int]:
    return {row["reason"]: row["count"] for row in store.statistics.snapshot()["misses"]}


def faults(store: Store) -> dict[tuple[str, str], int]:
    return {(row["level"], row["what"]): row["count"] for row in store.statistics.snapshot()["faults"]}


def assert_repaired(store: Store, array: np.ndarray, reason: str = "damaged") -> None:
    """The damaged item is a miss and can be put again, and the other is as it was."""
    assert store.get("key", "result") is MISSING
    assert reasons(store) == {reason: 1}
    assert store.get("key", "result") is MISSING  # the first look removed it
    assert_same_bits(store.get("other"), array + 1)
    store.put("key", array, "result")
    for reader in (store, Store(store.directory)):
        assert_same_bits(reader.get("key"), array)
        assert_same_bits(reader.get("other"), array + 1)


# ---------------------------------------------------------------- files
CUTS: list[Callable[[int], int]] = [
    lambda size: 0,
    lambda size: 1,
    lambda size: 9,  # in the .npy header
    lambda size: 100,
    lambda size: 128,  # in the values
    lambda size: size // 2,
    lambda size: size - 150,  # in the note
    lambda size: size - 29,
    lambda size: size - 26,  # in its length
    lambda size: size - 20,  # in the checksum
    lambda size: size - 5,  # in the magic
    lambda size: size - 1,
]


@pytest.mark.parametrize("array", [SMALL, LARGE], ids=["read", "mapped"])
@pytest.mark.parametrize("cut", range(len(CUTS)))
@pytest.mark.parametrize("compress", [None, "zstd"])
def test_a_truncated_item_is_repaired(tmp_path: Path, array: np.ndarray, cut: int, compress: str | None) -> None:
    store, path = filled(tmp_path, array, compress=compress)
    os.truncate(path, CUTS[cut](path.stat().st_size))
    assert_repaired(store, array)
    assert faults(store) == {("disk", "read"): 1}


@pytest.mark.parametrize("array", [SMALL, LARGE], ids=["read", "mapped"])
@pytest.mark.parametrize("place", [0, 6, 9, 40, 126, 128, 1000, -400, -100, -29, -27, -20, -8, -1])
def test_a_flipped_bit_is_repaired(tmp_path: Path, array: np.ndarray, place: int) -> None:
    store, path = filled(tmp_path, array)
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    assert_repaired(store, array)


def test_an_item_that_is_longer_is_repaired(tmp_path: Path) -> None:
    store, path = filled(tmp_path)
    with path.open("ab") as file:
        file.write(b"\0")
    assert_repaired(store, SMALL)


def saved(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, SMALL)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "numpy's": saved,
    "text": lambda path: path.write_text("not an array\n" * 50),
    "empty": lambda path: path.write_bytes(b""),
    "our magic": lambda path: path.write_bytes(b"ATCkept1" * 10),
    "large": lambda path: path.write_bytes(bytes(MAPPED + 5)),
    "a folder": lambda path: path.mkdir(),
    "a full folder": lambda path: (path.mkdir(), (path / "file").write_text("x")),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to another": lambda path: path.symlink_to(next(other for other in path.parent.glob("*.npy"))),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_things_are_repaired(tmp_path: Path, what: str) -> None:
    store, path = filled(tmp_path)
    path.unlink()
    FOREIGN[what](path)
    assert_repaired(store, SMALL)


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_things_are_written_over(tmp_path: Path, what: str) -> None:
    store, path = filled(tmp_path)
    path.unlink()
    FOREIGN[what](path)
    store.put("key", SMALL)
    assert faults(store) == {}
    assert_same_bits(store.get("key"), SMALL)
    assert_same_bits(store.get("other"), SMALL + 1)


def test_a_link_to_nowhere_is_a_miss(tmp_path: Path) -> None:
    store, path = filled(tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert_repaired(store, SMALL, "never stored")


def test_an_item_under_anothers_name_is_never_given(tmp_path: Path) -> None:
    store, path = filled(tmp_path)
    shutil.copyfile(item(store, "other"), path)
    assert_repaired(store, SMALL)
    two = Store(tmp_path, version="2", recent=0)
    shutil.copyfile(item(store, "key"), item(two, "key"))
    assert two.get("key") is MISSING


# ---------------------------------------------------------------- hostile files
class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
def test_nothing_that_lies_there_is_executed(tmp_path: Path, dump: Callable[..., object]) -> None:
    marker = tmp_path / "executed"
    store, path = filled(tmp_path / "cache")
    with path.open("wb") as file:
        dump(Hostile(marker), file)
    (folder := path.with_suffix("")).mkdir()
    for name in ("output.pkl", "metadata.json"):
        with (folder / name).open("wb") as file:
            dump(Hostile(marker), file)
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    (path.parent / "func_code.py").write_text(code)
    for name in ("speed.json", "evicted", "warmed", "beginnings", "versions/2"):
        with (tmp_path / "cache" / name).open("wb") as file:
            dump(Hostile(marker), file)
    other = Store(tmp_path / "cache", recent=0)
    other.put_later("new", lambda: SMALL, SMALL.nbytes, seconds=10.0, if_worth=True)
    other.flush()
    assert other.contains("key")
    other.prune()
    assert len(list(entries(other))) == 2
    memory = joblib.Memory(str(tmp_path / "cache"), backend="atc-npy", verbose=0)
    with pytest.raises(KeyError):
        memory.cache(kept_1, ignore=["value"])("1 key")
    with path.open("wb") as file:
        dump(Hostile(marker), file)
    assert verify(other).damaged == (path.stem,)
    assert_repaired(store, SMALL, "never stored")
    assert not marker.exists()
    with (folder / "output.pkl").open("rb") as file:  # it would have shown
        joblib.load(file)
    assert marker.exists()


def test_a_hostile_note_stops_nothing(tmp_path: Path) -> None:
    store, path = filled(tmp_path, ttl=1e9, size_limit=10)
    for content in (b"[" * 10**6, b'{"key": 1}', json.dumps({"key": "k", "kind": [], "created": None}).encode()):
        tail = len(content).to_bytes(4, "little") + bytes(16) + b"ATCkept1"
        path.parent.joinpath(f"{'0' * 32}.npy").write_bytes(content + tail)
        assert list(entries(store)) == []
        store.prune()
    assert faults(store) == {}


# ---------------------------------------------------------------- places
OPERATIONS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("new", SMALL),
    "get": lambda store: store.get("key"),
    "put later": lambda store: (store.put_later("new", lambda: SMALL, 8), store.flush()),
    "get many": lambda store: store.get_many([("key", "other"), ("new",)]),
    "contains": lambda store: store.contains("key"),
    "prune": lambda store: store.prune(),
    "if worth": lambda store: (store.put("new", SMALL, seconds=1e3, if_worth=True), store.flush()),
    "evicted": lambda store: store.disk.evicted.add(["0" * 32]),
    "entries": lambda store: list(entries(store)),
    "verify": verify,
}


@pytest.mark.parametrize(("first", "second"), [*itertools.product(OPERATIONS, OPERATIONS)])
def test_the_directory_may_vanish_between_any_two_operations(tmp_path: Path, first: str, second: str) -> None:
    store, _ = filled(tmp_path / "cache", size_limit=10**6)
    OPERATIONS[first](store)
    shutil.rmtree(tmp_path / "cache")
    OPERATIONS[second](store)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert store.get("key") is MISSING
    store.put("key", SMALL)
    assert_same_bits(store.get("key"), SMALL)
    assert_same_bits(Store(tmp_path / "cache").get("key"), SMALL)
    assert faults(store) == {}
    joblib.memory._FUNCTION_HASHES.pop(kept_1, None)
    function = joblib.Memory(str(tmp_path / "cache"), backend="atc-npy", verbose=0).cache(kept_1, ignore=["value"])
    assert_same_bits(function("1 key"), SMALL)


def every_operation(store: Store) -> None:
    for name, operation in [*OPERATIONS.items(), *reversed(OPERATIONS.items())]:
        with contextlib.suppress(OSError) if name in ("entries", "verify") else contextlib.nullcontext():
            operation(store)


@pytest.mark.parametrize("where", ["cache", "cache/below"])
def test_a_file_where_the_directory_should_be_is_a_fault(tmp_path: Path, where: str) -> None:
    (tmp_path / "cache").write_text("a file")
    store = Store(tmp_path / where, size_limit=10**6)
    store.put("key", SMALL)
    every_operation(store)
    assert_same_bits(store.get("key"), SMALL)  # from memory
    assert store.get("never") is MISSING
    assert ("disk", "write") in faults(store)
    assert (tmp_path / "cache").read_text() == "a file"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_place_that_takes_nothing_still_gives(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = filled(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    opened = open

    def opening(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        return opened(file, mode, *rest, **options) if set(mode) <= set("rb") else refuse()

    store = Store(tmp_path, recent=0, size_limit=10**6)
    with monkeypatch.context() as refusing:
        refusing.setattr("builtins.open", opening)
        refusing.setattr("io.open", opening)
        for name in ("mkdir", "makedirs", "unlink", "replace", "rename", "utime", "rmdir"):
            refusing.setattr(os, name, refuse)
        assert_same_bits(store.get("key"), SMALL)
        assert store.get("new") is MISSING
        every_operation(store)
        assert_same_bits(store.get("key"), SMALL)
        assert store.contains("key")
    assert {what for level, what in faults(store) if level == "disk"} == {"write"}
    assert {
        file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name != "evicted"
    } == before
    assert path.exists()
    store.put("new", SMALL)
    assert_same_bits(store.get("new"), SMALL)


def run(code: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr


WITHOUT_RIGHTS = """
import os, sys, numpy as np
from pathlib import Path
from atc_plugin.cache.store import Store, MISSING
directory, small = sys.argv[1], np.arange(500.0)
warm = Store(directory + " warm", size_limit=10**6)  # what is imported later is imported now
warm.put("key", small); warm.prune(); warm.get("never")
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
store = Store(directory, recent=0, size_limit=10**6)
readable = sys.argv[2] == "readable"
assert (store.get("key") is not MISSING) == readable
if readable:
    assert np.array_equal(store.get("key"), small)
assert store.get("never") is MISSING
store.put("new", small)
store.put_later("new", lambda: small, 8)
store.flush()
store.prune()
assert store.contains("key") == readable
assert store.get("new") is MISSING
told = {(row["level"], row["what"]) for row in store.statistics.snapshot()["faults"]}
assert ("disk", "write") in told and (("disk", "read") in told) != readable, told
"""


@pytest.mark.parametrize("mode", ["readable", "closed"])
def test_a_directory_without_the_right_to_write_or_read(tmp_path: Path, mode: str) -> None:
    filled(tmp_path / "cache")
    (tmp_path / "cache warm").mkdir()
    folders = [tmp_path / "cache", *(path for path in (tmp_path / "cache").rglob("*") if path.is_dir())]
    parents = [
        path for path in (tmp_path, *tmp_path.parents) if path.stat().st_uid == os.getuid() and path != Path("/")
    ]
    before = {path: path.stat().st_mode & 0o7777 for path in (*folders, *parents)}
    for parent in parents:
        parent.chmod(before[parent] | 0o555)
    for folder in reversed(folders):
        folder.chmod(0o555 if mode == "readable" else 0)
    try:
        run(WITHOUT_RIGHTS, tmp_path / "cache", mode)
    finally:
        for path, rights in before.items():
            path.chmod(rights)
    assert_same_bits(Store(tmp_path / "cache").get("key"), SMALL)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting needs root; the test with a limit of file sizes is run anywhere")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here; the test with a limit of file sizes is run anywhere")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_keeps_what_it_has(small_disk: Path) -> None:
    store = Store(small_disk / "cache", recent=0)
    values = {f"key {i}": np.full(10_000, float(i)) for i in range(30)}  # 80 KB each
    for key, array in values.items():
        store.put(key, array)
        store.put_later(f"later {key}", lambda array=array: array, array.nbytes)  # type: ignore[misc]
        store.put(f"worth {key}", array, seconds=1e3, if_worth=True)
    store.flush()
    assert faults(store)[("disk", "write")] > 0
    there = 0
    for key, array in values.items():
        for name in (key, f"later {key}", f"worth {key}"):
            got = store.get(name)
            if got is not MISSING:
                assert_same_bits(got, array)
                there += 1
    assert there >= 8
    assert verify(store) == (there, ())
    assert not list(small_disk.rglob("*.tmp"))
    for entry in list(store.disk.entries())[:4]:
        Path(entry.path).unlink()
    store.put("key", SMALL)  # there is room again
    assert_same_bits(store.get("key"), SMALL)


def test_a_full_disk_with_a_limit_goes_on(small_disk: Path) -> None:
    store = Store(small_disk / "cache", recent=0, size_limit=600_000)
    for i in range(30):
        store.put(str(i), np.full(10_000, float(i)))
        assert_same_bits(store.get(str(i)), np.full(10_000, float(i)))
    assert faults(store) == {}


def test_a_read_only_file_system_still_gives(small_disk: Path) -> None:
    filled(small_disk / "cache")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    store = Store(small_disk / "cache", recent=0, size_limit=10)
    assert_same_bits(store.get("key"), SMALL)
    every_operation(store)
    assert_same_bits(store.get("other"), SMALL + 1)
    assert store.get("new") is MISSING
    empty = Store(small_disk / "elsewhere", recent=0)
    every_operation(empty)
    assert empty.get("key") is MISSING
    assert {what for _, what in faults(empty)} == {"write"}
    data = item(store, "key").read_bytes()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    item(store, "key").write_bytes(data[:-9])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    other = Store(small_disk / "cache", recent=0)
    assert [other.get("key"), other.get("key")] == [MISSING] * 2
    assert reasons(other) == {"damaged": 2}
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


LIMITED = """
import resource, signal, sys, numpy as np
from pathlib import Path
from atc_plugin.cache.store import Store, MISSING
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = Store(sys.argv[1], recent=0)
small, large = np.arange(500.0), np.arange(50_000.0)
for i in range(5):
    store.put(f"large {i}", large)
    store.put(f"small {i}", small)
    store.put_later(f"large {i} later", lambda: large, large.nbytes)
    store.put(f"small {i} worth", small, seconds=1e3, if_worth=True)  # measuring takes larger files
store.flush()
for i in range(5):
    assert store.get(f"large {i}") is MISSING and store.get(f"large {i} later") is MISSING
    assert np.array_equal(store.get(f"small {i}"), small)
assert not list(Path(sys.argv[1]).rglob("*.tmp"))
(fault,) = store.statistics.snapshot()["faults"]
assert (fault["level"], fault["what"], fault["count"]) == ("disk", "write", 15), fault
"""


def test_files_that_become_too_large_are_not_kept(tmp_path: Path) -> None:
    run(LIMITED, tmp_path)
    assert verify(Store(tmp_path)) == (5, ())


# ---------------------------------------------------------------- processes
KILLED = """
import os, random, signal, sys, time, numpy as np
from atc_plugin.cache.store import Store, MISSING
from atc_plugin.cache.upkeep import verify
directory, seed = sys.argv[1], int(sys.argv[2])
SIZES = [10, 1000, 50_000, 200_000]
def value(key):
    return np.random.default_rng(key).normal(size=SIZES[key % 4])
def write():
    store = Store(directory, recent=0, size_limit=8_000_000)
    for n in range(10**9):
        key = random.randrange(16)
        if n % 3:
            store.put(str(key), value(key))
        else:
            store.put_later(str(key), lambda key=key: value(key), 8, seconds=1.0)
random.seed(seed)
left = right = 0
for kill in range(int(sys.argv[3])):
    child = os.fork()
    if child == 0:
        random.seed(os.getpid())
        write()
        os._exit(1)
    time.sleep(random.uniform(0.0, 0.06))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    store = Store(directory, recent=0, size_limit=8_000_000)
    for key in range(16):
        got = store.get(str(key))
        if got is not MISSING:
            assert np.array_equal(got, value(key))
            right += 1
    assert verify(store).damaged == ()
    assert all(row["reason"] in ("never stored", "evicted") for row in store.statistics.snapshot()["misses"])
    assert store.prune().temporary == 0  # their writers might be alive
    folder = os.path.join(directory, "joblib", *store.disk._call_id("")[:1])
    temporary = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    left += len(temporary)
    for name in temporary:
        os.utime(os.path.join(folder, name), (0, time.time() - 4000))
    assert store.prune().temporary == len(temporary)
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    store.put("3", value(3))
    assert np.array_equal(store.get("3"), value(3))
    assert store.statistics.snapshot()["faults"] == []
assert left > 0 and right > 0, (left, right)
print(left, right)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_writers_killed_at_random_moments_leave_nothing_wrong(tmp_path: Path) -> None:
    run(KILLED, tmp_path, 1, 60)


MANY = """
import contextlib, os, random, shutil, sys, threading, time, traceback, numpy as np
from pathlib import Path
from atc_plugin.cache.store import Store, MISSING
directory, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
KEYS = 24
def value(key):
    return np.full([5, 700, 30_000, 140_000][key % 4], float(key))
codec, ttl = [None, "zstd"][seed % 2], [3600, None, None][seed % 3]
store = Store(directory, recent=400_000, size_limit=4_000_000, compress=codec, ttl=ttl)
failed, hits = [], 0
def check(key, got):
    global hits
    if got is not MISSING:
        assert np.array_equal(got, value(key)), key
        assert not got.flags.writeable
        hits += 1
def work(seed):
    draw = random.Random(seed)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            key = draw.randrange(KEYS)
            match draw.randrange(12):
                case 0 | 1 | 2 | 3 | 4:
                    check(key, store.get(str(key)))
                case 5:
                    keys = [draw.randrange(KEYS) for _ in range(4)]
                    for one, got in zip(keys, store.get_many([(str(one),) for one in keys])):
                        check(one, got)
                case 6 | 7:
                    store.put(str(key), value(key))
                case 8:
                    store.put_later(str(key), lambda key=key: value(key), 8 * value(key).size)
                case 9:
                    store.contains(str(key))
                case 10:
                    with contextlib.suppress(FileNotFoundError):
                        draw.choice([*Path(directory).rglob("*.npy"), Path("none")]).unlink()
                case 11:
                    match draw.randrange(20):
                        case 0: store.prune()
                        case 1: store.flush()
                        case 2: store.forget()
                        case 3: shutil.rmtree(directory, ignore_errors=True)
                        case 4: store.disk.verify()
    except BaseException:
        failed.append(traceback.format_exc())
threads = [threading.Thread(target=work, args=[4 * seed + i]) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
store.flush()
assert not failed, failed[0]
snapshot = store.statistics.snapshot()
assert not [row for row in snapshot["misses"] if row["reason"] == "damaged"], snapshot["faults"]
assert hits > 20, hits
print(hits, [(fault["what"], fault["count"], fault["message"]) for fault in snapshot["faults"]])
"""


def test_processes_and_threads_on_the_same_keys_get_what_is_right(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", MANY, str(tmp_path / "cache")]
    processes = [
        subprocess.Popen([*command, str(seed), "4"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for seed in range(4)
    ]
    said = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, "\n".join(said)


# ---------------------------------------------------------------- clocks and versions
@pytest.mark.parametrize("recent", [0, 10**6])
@pytest.mark.parametrize("moved", [-1e6, -100.0, -10.0, 0.0, 10.0, 100.0, 1e6])
def test_a_clock_that_is_moved_gives_the_right_numbers_or_none(
    tmp_path: Path, moved: float, recent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, ttl=60.0, recent=recent, size_limit=10**6)
    store.put("key", SMALL)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + moved)
    is_good = abs(moved) < 60
    fresh = Store(tmp_path, ttl=60.0, recent=recent, size_limit=10**6)
    assert fresh.contains("key") == is_good
    if is_good:
        assert_same_bits(fresh.get("key"), SMALL)
    else:
        assert fresh.get("key") is MISSING
        assert reasons(fresh) == {"expired": 1}
    assert store.get("key") is not MISSING or (recent == 0 and not is_good)
    for writer in (store, fresh):
        writer.put("key", SMALL)
        writer.put("new", SMALL)
    assert fresh.prune().removed == 0
    for reader in (store, fresh, Store(tmp_path, ttl=60.0)):
        assert_same_bits(reader.get("key"), SMALL)
    assert faults(store) == faults(fresh) == {}


def test_memory_does_not_make_old_things_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time, time.monotonic
    Store(tmp_path, ttl=60.0).put("key", SMALL)
    monkeypatch.setattr(time, "time", lambda: now[0]() + 50)
    monkeypatch.setattr(time, "monotonic", lambda: now[1]() + 50)
    store = Store(tmp_path, ttl=60.0)
    assert store.get("key") is not MISSING  # it is in memory now
    monkeypatch.setattr(time, "time", lambda: now[0]() + 61)
    monkeypatch.setattr(time, "monotonic", lambda: now[1]() + 61)
    assert store.get("key") is MISSING
    assert reasons(store) == {"expired": 1}


def test_two_versions_on_one_directory_never_see_each_other(tmp_path: Path) -> None:
    one, two = Store(tmp_path, version="1"), Store(tmp_path, version="2")
    one.put("key", SMALL)
    record = next(tmp_path.rglob("func_code.py")).read_bytes()
    assert two.get("key") is MISSING
    assert two.get("never") is MISSING
    assert reasons(two) == {"other law version": 1, "never stored": 1}
    two.put("key", SMALL + 1)
    for store in (one, Store(tmp_path, version="1")):
        assert_same_bits(store.get("key"), SMALL)
    for store in (two, Store(tmp_path, version="2")):
        assert_same_bits(store.get("key"), SMALL + 1)
    assert next(tmp_path.rglob("func_code.py")).read_bytes() == record
    assert len(list(entries(one))) == 2
