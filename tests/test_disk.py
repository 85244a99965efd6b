"""The disk level: joblib's places, our files, and what of joblib has to stay as it is."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import joblib._store_backends as private
import numpy as np
import pytest
from joblib.memory import MemorizedFunc
from same_bits import assert_same_bits

from atc_plugin.cache import backend, name_log, naming
from atc_plugin.cache.backend import MAPPED, Item, NpyBackend, kept_1
from atc_plugin.cache.disk import Disk
from atc_plugin.cache.name_log import NameLog
from atc_plugin.cache.naming import name_of
from atc_plugin.cache.payload import Damaged, Note, encode


def put(disk: Disk, key: str, array: np.ndarray, codec: str | None = None) -> Path:
    """Where its file lies."""
    disk.put(key, array, "result", 0.5, codec)
    (path,) = (entry.path for entry in disk.entries() if entry.name == disk.name(key))
    return Path(path)


def code_record(directory: Path) -> Path:
    (record,) = directory.rglob("func_code.py")
    return record


# ---------------------------------------------------------------- joblib
def test_the_frozen_function_is_as_it_was(tmp_path: Path) -> None:
    source = hashlib.sha256(inspect.getsource(kept_1).encode()).hexdigest()
    assert source == "1d41266cd37ad034ab498e7644e519631bcbaf696fd518cfcdcd42f732cca832", (
        "the source of kept_1 has changed: joblib files what is kept by its name and notes its source, so what every "
        "user has kept would be looked for in vain. Leave it as it is; where its format has to change, add kept_2."
    )
    identifier = Disk(str(tmp_path), "1")._function().func_id.replace(os.sep, "/")
    assert identifier == "atc_plugin/cache/backend/kept_1", "its name is a part of where everything lies, too"


SIGNATURES: list[tuple[Any, str, str]] = [
    (private.FileSystemStoreBackend, "configure", "(self, location, verbose=1, backend_options=None)"),
    (private.FileSystemStoreBackend, "create_location", "(self, location)"),
    (private.FileSystemStoreBackend, "clear_path", "(self, call_id)"),
    (private.FileSystemStoreBackend, "contains_item", "(self, call_id)"),
    (private.FileSystemStoreBackend, "load_item", "(self, call_id, verbose=1, timestamp=None, metadata=None)"),
    (private.FileSystemStoreBackend, "dump_item", "(self, call_id, item, verbose=1)"),
    (private.FileSystemStoreBackend, "clear_item", "(self, call_id)"),
    (private.FileSystemStoreBackend, "store_metadata", "(self, call_id, metadata)"),
    (private.FileSystemStoreBackend, "get_metadata", "(self, call_id)"),
    (private.FileSystemStoreBackend, "store_cached_func_code", "(self, call_id, func_code=None)"),
    (private.FileSystemStoreBackend, "get_cached_func_code", "(self, call_id)"),
    (MemorizedFunc, "call", "(self, *args, **kwargs)"),
    (MemorizedFunc, "check_call_in_cache", "(self, *args, **kwargs)"),
    (MemorizedFunc, "clear", "(self, warn=True)"),
]


@pytest.mark.parametrize(
    ("owner", "method", "signature"), SIGNATURES, ids=[f"{o.__name__}.{m}" for o, m, _ in SIGNATURES]
)
def test_what_we_build_on_in_joblib_is_as_it_was(owner: Any, method: str, signature: str) -> None:
    said = f"joblib {joblib.__version__} has changed {owner.__name__}.{method}: see atc_plugin/cache/backend.py"
    assert hasattr(owner, method), said
    assert str(inspect.signature(getattr(owner, method))) == signature, said


def test_joblib_asks_our_backend_for_everything(tmp_path: Path) -> None:
    said = f"joblib {joblib.__version__} does something else with backends: see atc_plugin/cache/backend.py"
    overridden = {name for name, value in vars(NpyBackend).items() if inspect.isfunction(value)} - {"path", "read"}
    assert overridden == {method for owner, method, _ in SIGNATURES if owner is not MemorizedFunc} - {
        "store_cached_func_code",
        "get_cached_func_code",
    }, said
    for base in (private.StoreBackendBase, private.StoreBackendMixin):
        assert issubclass(private.FileSystemStoreBackend, base), said
    memory = joblib.Memory(str(tmp_path), backend="atc-npy", verbose=0)
    function = memory.cache(kept_1, ignore=["value"])
    assert isinstance(memory.store_backend, NpyBackend), said
    assert isinstance(function.store_backend, NpyBackend), said
    assert memory.store_backend.location == str(tmp_path / "joblib"), said
    assert isinstance(function.func_id, str), said
    item = Item(encode(np.arange(3.0), Note("k", "x", 1.0, None)))
    assert not function.check_call_in_cache("k"), said
    output, metadata = function.call("k", item)
    assert output is item, said
    assert isinstance(metadata, dict), said
    assert function.check_call_in_cache("k"), said
    assert_same_bits(function("k"), np.arange(3.0), said)


@pytest.mark.parametrize("size", [10, MAPPED // 4])
def test_joblib_reads_what_we_wrote(tmp_path: Path, size: int) -> None:
    Disk(str(tmp_path / "other"), "1").put("other", np.ones(1), "x", None, None)  # a process may have several
    disk = Disk(str(tmp_path / "one"), "1")
    path = put(disk, "some key", np.arange(float(size)))
    code = (
        "import joblib, numpy as np; from atc_plugin.cache.backend import kept_1\n"
        f"memory = joblib.Memory({str(tmp_path / 'one')!r}, backend='atc-npy', verbose=0)\n"
        "kept = memory.cache(kept_1, ignore=['value'])\n"
        f"assert kept.check_call_in_cache('1 some key') and np.array_equal(kept('1 some key'), np.arange({size}.0))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    memory = joblib.Memory(str(tmp_path / "one"), backend="atc-npy", verbose=0)
    assert path.stem == memory.cache(kept_1, ignore=["value"])._get_args_id("1 some key") == disk.name("some key")


def test_names_never_change(tmp_path: Path) -> None:
    names = "3ca30109696ebcf7505e41e770bb4df0", Disk(str(tmp_path), "2").name("key", "1")
    assert {Disk(str(tmp_path), "1").name("key")} == set(names), "nobody would find what was kept before"


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe", b"import os\nos.abort()\n", b"# first line: 1\ndef kept_1(): pass\n"]
)
def test_joblib_never_wipes_what_is_kept(tmp_path: Path, content: bytes | None) -> None:
    disk = Disk(str(tmp_path), "1")
    item = put(disk, "key", np.arange(3.0))
    record = code_record(tmp_path)
    if content is None:
        record.unlink()
    else:
        record.write_bytes(content)
    memory = joblib.Memory(str(tmp_path), backend="atc-npy", verbose=0)
    if content != b"\xff\xfe":
        joblib.memory._FUNCTION_HASHES.pop(kept_1, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", joblib.memory.JobLibCollisionWarning)
            memory.cache(kept_1, ignore=["value"]).check_call_in_cache("1 key")
    again = Disk(str(tmp_path), "1")
    again.put("another", np.ones(1), "x", None, None)
    assert item.exists()
    for key, array in (("key", np.arange(3.0)), ("another", np.ones(1))):
        found = again.get(key, None)
        assert not isinstance(found, str)
        assert_same_bits(found.array, array)


def test_two_versions_share_a_directory(tmp_path: Path) -> None:
    one, two = Disk(str(tmp_path), "1"), Disk(str(tmp_path), "2")
    put(one, "key", np.array([1.0]))
    record = code_record(tmp_path).read_bytes()
    assert two.get("key", None) == "other law version"
    assert two.get("another", None) == "never stored"
    put(two, "key", np.array([2.0]))
    put(two, "only two", np.array([3.0]))
    assert one.get("only two", None) == "other law version"
    for disk, value in ((one, 1.0), (two, 2.0), (Disk(str(tmp_path), "1"), 1.0), (Disk(str(tmp_path), "2"), 2.0)):
        found = disk.get("key", None)
        assert not isinstance(found, str)
        assert found.array.tolist() == [value]
    assert code_record(tmp_path).read_bytes() == record


@pytest.mark.parametrize("version", ["", "a b", "1/2", "..", "-x\n"])
def test_a_version_is_one_word(tmp_path: Path, version: str) -> None:
    with pytest.raises(ValueError, match="version must be of letters, digits"):
        Disk(str(tmp_path), version)


def test_a_project_does_not_commit_its_cache(tmp_path: Path) -> None:
    put(Disk(str(tmp_path / "cache"), "1"), "key", np.ones(1))
    assert (tmp_path / "cache" / ".gitignore").read_text() == "*\n"
    joblib.Memory(tmp_path / "other", backend="atc-npy", verbose=0)
    assert (tmp_path / "other" / ".gitignore").exists()
    assert not (tmp_path / ".gitignore").exists()


# ---------------------------------------------------------------- files
@pytest.mark.parametrize("codec", [None, "zstd"])
@pytest.mark.parametrize("size", [0, 3, MAPPED // 8 + 1])
def test_what_is_put_is_found(tmp_path: Path, size: int, codec: str | None) -> None:
    disk = Disk(str(tmp_path), "1")
    assert disk.get("key", None) == "never stored"
    assert not disk.contains("key")
    array = np.random.default_rng(1).normal(size=size)
    before = time.time()
    nbytes = disk.put("key", array, "result", 0.5, codec)
    found = disk.get("key", None)
    assert not isinstance(found, str)
    assert_same_bits(found.array, array)
    assert (found.note.key, found.note.kind, found.note.seconds, found.note.codec) == ("1 key", "result", 0.5, codec)
    assert before <= found.note.created <= time.time()
    assert not found.array.flags.writeable
    assert disk.contains("key")
    (entry,) = disk.entries()
    assert nbytes == found.nbytes == entry.nbytes == Path(entry.path).stat().st_size
    assert entry.note() == found.note
    disk.remove("key")
    assert disk.get("key", None) == "never stored"


def test_a_large_file_is_mapped_and_stays_readable_when_it_is_removed(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), "1")
    array = np.random.default_rng(1).normal(size=MAPPED // 8 + 1)
    path = put(disk, "key", array)
    found = disk.get("key", None)
    assert not isinstance(found, str)
    path.unlink()
    assert_same_bits(found.array, array)


def test_a_file_that_is_given_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(str(tmp_path), "1")
    put(disk, "key", np.arange(1000.0))
    read = os.read
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 777)))
    found = disk.get("key", None)
    assert not isinstance(found, str)
    assert_same_bits(found.array, np.arange(1000.0))


def test_a_file_that_is_taken_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open

    class Slow:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.file = opened(*arguments, **options)

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, part: memoryview) -> int:
            return self.file.write(part[:777])

    monkeypatch.setattr(
        "builtins.open",
        lambda path, *rest, **options: (Slow if ".tmp" in str(path) else opened)(path, *rest, **options),
    )
    disk = Disk(str(tmp_path), "1")
    put(disk, "key", np.arange(1000.0))
    found = disk.get("key", None)
    assert not isinstance(found, str)
    assert_same_bits(found.array, np.arange(1000.0))


def test_verify_removes_what_is_not_what_its_name_says(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), "1")
    paths = [put(disk, f"key {i}", np.arange(100.0)) for i in range(4)]
    packed = put(disk, "packed", np.arange(100.0), "zstd")
    data = bytearray(paths[1].read_bytes())
    data[300] ^= 1
    paths[1].write_bytes(data)
    shutil.copyfile(paths[0], paths[2])  # whole, under another's name
    (paths[0].parent / "short.npy").write_bytes(b"")
    good, bad = disk.verify()
    assert good == 3
    assert sorted(bad) == sorted([paths[1].stem, paths[2].stem, "short"])
    assert sorted(entry.path for entry in disk.entries()) == sorted(map(str, [paths[0], paths[3], packed]))


def test_what_is_packed_stays_where_zstandard_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(str(tmp_path), "1")
    path = put(disk, "packed", np.arange(100.0), "zstd")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ValueError, match="needs zstandard"):
        disk.get("packed", None)
    assert disk.verify() == (1, ())
    assert path.exists()


def test_clear_removes_all_versions(tmp_path: Path) -> None:
    one, two = Disk(str(tmp_path), "1"), Disk(str(tmp_path), "2")
    put(one, "a", np.ones(1))
    put(two, "a", np.ones(1))
    one.evicted.add([one.name("b")])
    assert one.get("b", None) == "evicted"
    assert two.clear() == 2
    assert [one.get(key, None) for key in "ab"] == ["never stored", "never stored"]
    assert two.clear() == 0


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_what_killed_writers_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), "1")
    item = aged(put(disk, "key", np.ones(1)), 9999)
    folder = item.parent
    left = [folder / ".abc.npy.1-2.tmp", tmp_path / ".speed.7.tmp", folder / f"func_code.py.{'0' * 32}-1-2"]
    for path in left:
        path.write_bytes(b"half")
    assert disk.sweep_temporary() == 0  # they may be in work
    for path, age in zip(left, (3601, -3601, 9999), strict=True):  # or the clock was moved
        aged(path, age)
    assert disk.sweep_temporary() == 3
    assert not any(path.exists() for path in left)
    assert item.exists()
    assert code_record(tmp_path).exists()


def test_looking_up_minds_the_age(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), "1")
    disk.put("old", np.ones(1), "x", None, None, time.time() - 100)
    disk.put("ahead", np.ones(1), "x", None, None, time.time() + 100)
    for key in ("old", "ahead"):
        assert disk.contains(key)
        assert disk.contains(key, 200)
        assert not disk.contains(key, 50)
        assert disk.get(key, 50) == "expired"
    assert not disk.contains("never", 50)


def test_use_is_recorded_by_us(tmp_path: Path) -> None:
    path = aged(put(Disk(str(tmp_path), "1"), "key", np.ones(1)), 9999)
    disk = Disk(str(tmp_path), "1")
    assert disk.contains("key")
    assert path.stat().st_mtime < time.time() - 9000
    disk.get("key", None)
    assert path.stat().st_mtime > time.time() - 9000
    aged(path, 9999)
    disk.get("key", None)  # once a minute is enough
    assert path.stat().st_mtime < time.time() - 9000


# ---------------------------------------------------------------- names
NAMES = [f"{i:032x}" for i in range(1, 6)]


def test_names_are_seen_by_all(tmp_path: Path) -> None:
    one, two = NameLog(str(tmp_path / "log")), NameLog(str(tmp_path / "log"))
    assert not one
    assert NAMES[0] not in one
    two.add(NAMES[:2])
    one.add(NAMES[2:3])
    for log in (one, two):
        assert log
        assert [name in log for name in NAMES] == [True, True, True, False, False]
    one.clear()
    assert NAMES[0] not in two
    assert not two
    one.clear()


def test_a_name_that_was_cut_short_costs_no_others(tmp_path: Path) -> None:
    log = NameLog(str(tmp_path / "log"))
    log.add(NAMES[:1])
    with (tmp_path / "log").open("ab") as file:
        file.write(b"half")
    log.add(NAMES[1:3])
    assert [name in log for name in NAMES] == [True, True, True, False, False]


def test_a_long_log_drops_its_older_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_log, "_MOST", 4 * 16)
    log = NameLog(str(tmp_path / "log"))
    for name in NAMES:
        log.add([name])
    assert [name in log for name in NAMES] == [False, False, True, True, True]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda path: (path.parent.rmdir(), path.parent.write_text("x"))])
def test_a_log_that_cannot_be_kept_is_empty(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    (tmp_path / "folder").mkdir()
    spoil(tmp_path / "folder" / "log")
    log = NameLog(str(tmp_path / "folder" / "log"))
    log.add(NAMES)
    log.clear()
    assert not log
    assert NAMES[0] not in log


def test_damage_is_told_by_the_backend(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), "1")
    path = put(disk, "key", np.ones(1))
    path.write_bytes(b"x" * 100)
    with pytest.raises(Damaged, match="does not end as our files do"):
        disk._backend.load_item(disk._call_id("key"))
    assert not path.exists()


def test_what_was_replaced_while_damage_was_found_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, other = Disk(str(tmp_path), "1"), Disk(str(tmp_path), "1")
    put(disk, "key", np.ones(1)).write_bytes(b"x" * 100)
    decode = backend.decode

    def meanwhile(data: bytes) -> Any:
        other.put("key", np.arange(3.0), "x", None, None)
        return decode(data)

    with monkeypatch.context() as racing:
        racing.setattr(backend, "decode", meanwhile)
        assert disk.get("key", None) == "damaged"
    found = disk.get("key", None)
    assert not isinstance(found, str)
    assert_same_bits(found.array, np.arange(3.0))


@pytest.mark.parametrize("key", ["", "a", "1 result " + "x" * 300, "k" * 70_000, "é€𝄞", "\x00", "tab\tand\nline"])
def test_names_are_those_that_joblib_gives(key: str) -> None:
    assert name_of(key) == joblib.hash({"key": key})


def test_names_are_quick_to_be_had() -> None:
    assert naming._around() is not None, "joblib.hash has changed: naming.py falls back on it, eight times slower"


def test_another_joblib_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming.Hasher, "dump", lambda self, what: None)
    naming._around.cache_clear()
    assert naming._around() is None
    monkeypatch.undo()
    assert name_of("key") == joblib.hash({"key": "key"})
    naming._around.cache_clear()
