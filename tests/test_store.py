"""The store: what is put is found, by any process, and a fault of the disk is a miss."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from same_bits import assert_same_bits

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
    return sorted(directory.rglob("output.pkl"))


def test_a_damaged_item_is_a_miss_and_can_be_put_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    store.put("key", np.arange(1000.0))
    (item,) = items(tmp_path)
    item.write_bytes(item.read_bytes()[:100])
    assert store.get("key") is MISSING
    assert "cannot read" in caplog.text
    store.put("key", np.arange(3.0))
    assert_same_bits(store.get("key"), np.arange(3.0))


def test_a_directory_that_vanishes_is_a_miss(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    store.put("key", np.arange(3.0))
    shutil.rmtree(tmp_path / "cache")
    assert store.get("key") is MISSING
    store.put("key", np.arange(3.0))  # joblib makes what is missing
    assert_same_bits(store.get("key"), np.arange(3.0))


def test_a_fault_while_looking_up_is_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put("key", np.arange(3.0))

    def broken(key: str) -> bool:
        raise OSError("the disk is gone")

    monkeypatch.setattr(store._kept, "check_call_in_cache", broken)
    assert not store.contains("key")
    assert store.get("key") is MISSING
    assert "cannot look up" in caplog.text


@pytest.mark.filterwarnings("ignore::joblib.memory.CacheWarning")
def test_a_place_that_cannot_be_written_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where the directory was")
    store.put("key", np.arange(3.0))
    assert "cannot write" in caplog.text
    assert store.get("key") is MISSING


def test_a_place_where_nothing_can_be_made_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a directory")
    store = Store(tmp_path / "file" / "cache")
    assert "nothing can be kept" in caplog.text
    store.put("key", np.arange(3.0))
    assert not store.contains("key")
    assert store.get("key") is MISSING
