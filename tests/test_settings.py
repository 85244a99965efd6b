"""Settings of the cache: from the environment and from `configure`, each checked, each error naming its place."""

from __future__ import annotations

import os
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atc_plugin.cache import settings as module
from atc_plugin.cache.settings import (
    configure,
    current,
    default_directory,
    default_store,
    flush,
    forget,
    from_environment,
    store_of,
)
from atc_plugin.cache.store import RECENT, SIZE_LIMIT, Store

VARIABLES = {
    "enabled": "ATC_CACHE",
    "directory": "ATC_CACHE_DIR",
    "size_limit": "ATC_CACHE_SIZE",
    "ttl": "ATC_CACHE_TTL",
    "shared": "ATC_CACHE_SHARED",
}

REDIS = "redis://example.com:6379/0"

GOOD: list[tuple[str, Any, Any]] = [
    *[("enabled", text, True) for text in ("1", "true", "on", "yes", " ON ", "True", True, 1)],
    *[("enabled", text, False) for text in ("0", "false", "off", "no", "OFF", False, 0)],
    ("size_limit", "1000", 1000),
    ("size_limit", "500MB", 500 * 10**6),
    ("size_limit", " 2 gb ", 2 * 10**9),
    ("size_limit", "1.5GiB", 3 * 2**29),
    ("size_limit", "3kb", 3000),
    ("size_limit", "3KiB", 3072),
    ("size_limit", "1TB", 10**12),
    ("size_limit", "8b", 8),
    ("size_limit", "0", 0),
    ("size_limit", 5000, 5000),
    ("size_limit", 5e9, 5 * 10**9),
    ("size_limit", np.int64(7), 7),
    *[("size_limit", text, None) for text in ("none", "", "unlimited", "None", None)],
    ("ttl", "90", 90.0),
    ("ttl", "90s", 90.0),
    ("ttl", "15 min", 900.0),
    ("ttl", "15m", 900.0),
    ("ttl", "12h", 43_200.0),
    ("ttl", "7d", 604_800.0),
    ("ttl", "2W", 1_209_600.0),
    ("ttl", 0.5, 0.5),
    ("ttl", np.int64(5), 5.0),
    ("ttl", timedelta(days=1), 86_400.0),
    *[("ttl", text, None) for text in ("none", "", None)],
    ("shared", REDIS, REDIS),
    ("shared", "unix:///run/redis.sock", "unix:///run/redis.sock"),
    *[("shared", text, None) for text in ("none", "", None)],
    ("compress", "zstd", "zstd"),
    ("compress", None, None),
    ("recent", "1MiB", 2**20),
    ("recent", 0, 0),
    ("policy", "lru", "lru"),
    ("policy", "lfu", "lfu"),
]

BAD: list[tuple[str, Any, str]] = [
    *[
        ("enabled", value, r"must be on or off \(1, true, yes; 0, false, no\); got")
        for value in ("maybe", "2", 2, None)
    ],
    *[("directory", value, "must be the path of a folder; got") for value in (None, 3, b"x", "")],
    *[
        ("size_limit", value, 'must be a number of bytes, or a text such as "500MB" or "2GB"; got')
        for value in ("-1", "5XB", "GB", "1e9", -1, float("nan"), float("inf"), True, "1" * 30, [1], 2**63)
    ],
    *[
        ("ttl", value, 'must be a time above 0: seconds, or a text such as "12h" or "7d"; got')
        for value in ("0", "-1", "7 years", "d", 0, -1.0, float("nan"), float("inf"), False, timedelta(0), (1,))
    ],
    *[("shared", value, "does not begin with redis://") for value in ("http://x", "localhost", 6379, "0")],
    ("shared", "redis://", "has no host"),
    ("shared", "redis://host/x", "whole number for the database"),
    ("compress", "lz4", "compress must be None or one of 'zstd'; got 'lz4'"),
    ("compress", 1, "compress must be None or one of 'zstd'; got 1"),
    ("recent", None, "recent must be a number of bytes"),
    ("recent", "-1", "recent must be a number of bytes"),
    ("policy", "fifo", "policy must be one of 'lru', 'lfu', 'ttl'; got 'fifo'"),
    ("policy", None, "policy must be one of 'lru', 'lfu', 'ttl'; got None"),
    ("policy", ["lru"], "policy must be one of"),
    ("policy", "ttl", 'policy "ttl" needs a ttl, such as ttl="12h"'),
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD, ids=str)
def test_good_values_are_taken(name: str, value: Any, expected: Any) -> None:
    assert getattr(configure(**{name: value}), name) == expected
    assert getattr(current(), name) == expected
    assert type(getattr(current(), name)) is type(expected)
    if name in VARIABLES and isinstance(value, str):
        empty_is_unset = value == "" and name in ("enabled", "directory")
        if not empty_is_unset:
            assert getattr(from_environment({VARIABLES[name]: value}), name) == expected


@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=str)
def test_bad_values_are_refused_and_change_nothing(name: str, value: Any, message: str) -> None:
    before = configure(size_limit="1MB")
    with pytest.raises(ValueError, match=message) as caught:
        configure(**{"size_limit": 5, name: value})
    assert name in str(caught.value)
    assert current() == before
    if name in VARIABLES and isinstance(value, str) and value:
        with pytest.raises(ValueError, match=message) as caught:
            from_environment({VARIABLES[name]: value})
        assert VARIABLES[name] in str(caught.value)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="ATC_CACHE_SHARED") as caught:
        from_environment({"ATC_CACHE_SHARED": "http://:secret@host"})
    assert "secret" not in str(caught.value)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the cache has no setting 'size'.*there are enabled, directory, size_limit"):
        configure(size="1GB")
    with pytest.raises(TypeError, match="Did you mean 'recent'"):
        configure(recnt=1)


def test_a_ttl_stays_while_the_policy_needs_it() -> None:
    configure(policy="ttl", ttl="1h")
    with pytest.raises(ValueError, match='policy "ttl" needs a ttl'):
        configure(ttl=None)
    assert current().ttl == 3600
    assert configure(ttl=None, policy="lru").ttl is None


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[zstd\]"'):
        configure(compress="zstd")
    from atc_plugin.cache import shared

    monkeypatch.setattr(shared, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[redis\]"'):
        configure(shared=REDIS)
    assert (current().compress, current().shared) == (None, None)


def test_without_an_environment_there_are_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = from_environment({})
    assert settings == module.Settings(True, default_directory())
    assert settings.store_settings() == {
        "size_limit": SIZE_LIMIT,
        "ttl": None,
        "shared": None,
        "compress": None,
        "recent": RECENT,
        "policy": "lru",
    }
    assert "atc_plugin" in settings.directory
    assert from_environment({"ATC_CACHE": "", "ATC_CACHE_DIR": ""}) == settings
    assert not (tmp_path / "atc_plugin").exists()


def test_the_environment_is_read_at_first_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATC_CACHE_SIZE", "1MB")
    assert current().size_limit == 10**6
    monkeypatch.setenv("ATC_CACHE_SIZE", "2MB")
    assert current().size_limit == 10**6
    forget()
    assert current().size_limit == 2 * 10**6
    forget()
    monkeypatch.setenv("ATC_CACHE_SIZE", "much")
    with pytest.raises(ValueError, match=r"ATC_CACHE_SIZE must be a number of bytes.*got 'much'"):
        default_store()
    monkeypatch.setenv("ATC_CACHE_SIZE", "3MB")
    assert current().size_limit == 3 * 10**6  # an error is not remembered
    assert configure(ttl=5).size_limit == 3 * 10**6


def test_a_directory_is_where_the_user_means(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert configure(directory="~/a").directory == str(tmp_path / "a")
    assert configure(directory="b").directory == str(tmp_path / "b")
    assert configure(directory=Path("c")).directory == str(tmp_path / "c")
    assert from_environment({"ATC_CACHE_DIR": "~/d"}).directory == str(tmp_path / "d")
    store, _ = store_of("~/e")
    assert store is not None
    assert store.directory == str(tmp_path / "e")


# ---------------------------------------------------------------- stores
def test_what_a_call_may_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store_of(store) == (store, True)
    assert store_of(False) == (None, False)
    default, takes_all = store_of(True)
    assert default is default_store() is not None
    assert not takes_all
    for cache in (str(tmp_path), tmp_path):
        named, takes_all = store_of(cache)
        assert takes_all
        assert named is not None
        assert named.directory == str(tmp_path)
    for cache in (None, 3, b"x", ["x"]):
        with pytest.raises(TypeError, match="cache must be True, False, a directory or a Store; got"):
            store_of(cache)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cache must be the path of a folder; got ''"):
        store_of("")


def test_one_store_is_opened_for_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(directory=tmp_path / "one")
    stores = [
        store_of(cache)[0] for cache in (True, tmp_path / "one", "one", "./one/", str(tmp_path / "x" / ".." / "one"))
    ]
    assert all(store is stores[0] for store in stores)
    assert store_of("two")[0] is not stores[0]
    configure(ttl=60)
    assert default_store() is not stores[0]
    configure(ttl=None)
    assert default_store() is stores[0]
    forget()
    assert store_of("one")[0] is not stores[0]


def test_threads_are_given_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, got = threading.Barrier(8), list[Any]()
    made = Store.__init__

    def slow(self: Store, *arguments: Any, **options: Any) -> None:
        threading.Event().wait(0.05)
        made(self, *arguments, **options)

    monkeypatch.setattr(Store, "__init__", slow)

    def work() -> None:
        together.wait(30)
        got.append(store_of(tmp_path)[0])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert all(store is got[0] for store in got)


def test_a_store_is_set_as_asked(tmp_path: Path) -> None:
    configure(size_limit="5MB", ttl="1h", shared=REDIS, compress="zstd", recent="2MB", policy="lfu")
    store, _ = store_of(tmp_path)
    assert store is not None
    assert (store.size_limit, store.ttl, store.recent.room) == (5 * 10**6, 3600.0, 2 * 10**6)
    assert store._given["shared"] == REDIS
    assert store._given["compress"] == "zstd"
    assert store._given["policy"] == "lfu"


def test_switched_off_there_is_no_store(tmp_path: Path) -> None:
    configure(enabled=False)
    assert default_store() is None
    assert store_of(True) == (None, False)
    assert store_of(tmp_path)[0] is not None  # a call that names one gets it


def test_flushing_finishes_all_stores(tmp_path: Path) -> None:
    for name in "ab":
        store, _ = store_of(tmp_path / name)
        assert store is not None
        store.put_later("key", lambda: np.arange(3.0), 24)
    flush()
    for name in "ab":
        assert np.array_equal(Store(tmp_path / name).get("key"), np.arange(3.0))


def test_configure_without_arguments_tells(tmp_path: Path) -> None:
    assert configure() == current()
    assert current().directory == os.environ["ATC_CACHE_DIR"]
