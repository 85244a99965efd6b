"""The level in memory: bounded, in three orders, and never written to by anybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from atc_plugin.cache import recent as module
from atc_plugin.cache.recent import Recent, as_read_only

ITEM = 1800  # bytes of an array; with its key and places, 2000


def array(value: float = 0.0, nbytes: int = ITEM) -> np.ndarray:
    return np.full(nbytes // 8, value)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_what_is_put_is_found() -> None:
    recent = Recent(10_000)
    assert recent.get("a") is None
    assert not recent.contains("a")
    recent.put("a", array(1.0), "x")
    got = recent.get("a")
    assert got is not None
    assert (got == 1.0).all()
    assert recent.contains("a")
    assert (len(recent), recent.nbytes) == (1, 2000)
    recent.put("a", array(2.0, 80), "x")
    assert (recent.get("a") == 2.0).all()
    assert (len(recent), recent.nbytes) == (1, 280)
    recent.remove("a")
    recent.remove("a")
    assert (len(recent), recent.nbytes) == (0, 0)
    recent.put("a", array(1.0), "x")
    recent.clear()
    assert recent.get("a") is None


@pytest.mark.parametrize(("policy", "stay"), [("lru", "acde"), ("lfu", "abce"), ("ttl", "bcde")])
def test_what_goes_first_is_the_policys(policy: str, stay: str) -> None:
    gone: list[tuple[str, int]] = []
    recent = Recent(8000, policy, 100, lambda kind, nbytes: gone.append((kind, nbytes)))
    for key in "abcd":
        recent.put(key, array(), f"kind {key}")
    for key in "aabbcca":  # a longest ago put, b longest ago used, d never used
        recent.get(key)
    for key in "bd":
        assert recent.contains(key)  # which counts as no use
    if policy == "lru":
        recent.get("d")
    recent.put("e", array(), "x")
    assert "".join(key for key in "abcde" if recent.contains(key)) == stay
    (lost,) = set("abcde") - set(stay)
    assert gone == [(f"kind {lost}", ITEM)]


@pytest.mark.parametrize("policy", module.POLICIES)
def test_it_never_holds_more_than_there_is_room(policy: str) -> None:
    recent = Recent(20_000, policy, 100)
    random = np.random.default_rng(1)
    for _ in range(500):
        key = str(random.integers(30))
        if random.random() < 0.5:
            recent.get(key)
        else:
            recent.put(key, array(nbytes=int(random.integers(8000))), "x")
        assert recent.nbytes <= 20_000
        assert recent.nbytes == sum(recent._held[key].array.nbytes + 200 for key in list(recent._held))
    assert len(recent) > 2


@pytest.mark.parametrize("room", [0, 1, 199, 799])
def test_without_room_nothing_is_held(room: int) -> None:
    recent = Recent(room)
    recent.put("a", np.zeros(0), "x")
    assert not recent.takes(0)
    assert recent.get("a") is None


def test_what_would_push_out_too_much_is_not_held() -> None:
    recent = Recent(8000)
    assert recent.takes(ITEM)
    assert not recent.takes(ITEM + 1)
    recent.put("a", array(nbytes=ITEM + 8), "x")
    assert recent.get("a") is None


@pytest.mark.parametrize("policy", module.POLICIES)
def test_what_is_too_old_is_not_given(policy: str, clock: Clock) -> None:
    recent = Recent(20_000, policy, 60.0)
    recent.put("new", array(), "x")
    recent.put("old", array(), "x", age=50.0)
    clock.now += 10
    assert recent.contains("old")
    assert recent.get("old") is not None
    clock.now += 0.5
    assert not recent.contains("old")
    assert recent.get("old") is None
    assert recent.get("new") is not None
    clock.now += 50
    assert recent.get("new") is None
    assert not recent.contains("new")


def test_nothing_ages_without_a_ttl(clock: Clock) -> None:
    recent = Recent(20_000)
    recent.put("a", array(), "x", age=1e9)
    clock.now += 1e9
    assert recent.get("a") is not None


def test_nothing_that_is_given_can_be_written_to() -> None:
    mine = array(1.0)
    recent = Recent(20_000)
    recent.put("a", as_read_only(mine, False), "x")
    mine[:] = 2.0
    got = recent.get("a")
    assert got is not None
    assert (got == 1.0).all()
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 3.0
    with pytest.raises(ValueError, match="WRITEABLE"):
        got.flags.writeable = True
    assert mine.flags.writeable


def test_a_copy_is_made_only_of_what_somebody_else_owns() -> None:
    mine = array(1.0)
    assert np.shares_memory(as_read_only(mine, True), mine)
    assert not as_read_only(mine, True).flags.writeable
    assert mine.flags.writeable
    copied = as_read_only(np.asfortranarray(np.ones((3, 2))), False)
    assert copied.flags.c_contiguous
    assert not copied.flags.writeable


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="policy must be one of 'lru', 'lfu', 'ttl'; got 'fifo'"):
        Recent(1000, "fifo")
    with pytest.raises(ValueError, match='the policy "ttl" needs a ttl'):
        Recent(1000, "ttl")


@pytest.mark.parametrize("policy", module.POLICIES)
def test_threads_get_what_was_put_under_their_key(policy: str) -> None:
    gone: list[int] = []
    recent = Recent(20_000, policy, 100, lambda kind, nbytes: gone.append(nbytes))
    wrong: list[object] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        try:
            for _ in range(2000):
                value = int(random.integers(20))
                match random.integers(6):
                    case 0 | 1:
                        recent.put(str(value), array(value, 8 * (value + 1) * 20), "x")
                    case 2:
                        recent.remove(str(value))
                    case 3:
                        recent.contains(str(value))
                    case _:
                        got = recent.get(str(value))
                        if got is not None and not (got == value).all():
                            wrong.append(got)
        except Exception as fault:
            wrong.append(fault)

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert recent.nbytes <= 20_000
    assert gone
