"""Counting: whoever counts, on whatever thread or process, the sum is what happened."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atc_plugin.cache.statistics import BOUNDS, REASONS, Statistics, added, percentile

WIDTH = 2 ** (1 / 8)  # of a bucket

NAMES = st.sampled_from(["disk", "recent", "an odd\nname"])
BYTES = st.integers(0, 2**40)
SECONDS = st.floats(0, 2000) | st.sampled_from([-1.0, float("nan"), float("inf"), 1e-9])
EVENTS = st.one_of(
    st.tuples(st.just("hit"), NAMES, NAMES, BYTES, SECONDS),
    st.tuples(st.just("miss"), NAMES, st.sampled_from(REASONS), SECONDS),
    st.tuples(st.just("put"), NAMES, NAMES, BYTES, SECONDS),
    st.tuples(st.just("declined"), NAMES, BYTES),
    st.tuples(st.just("evicted"), NAMES, NAMES, BYTES, st.booleans()),
    st.tuples(st.just("fault"), NAMES, NAMES, st.text(max_size=5)),
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def count(statistics: Statistics, event: tuple[Any, ...]) -> None:
    name, *what = event
    getattr(statistics, name)(*what)


def merged(snapshots: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total = Statistics(lambda: 1e12)
    for snapshot in snapshots:
        total.merge(snapshot)
    return total.snapshot()


@given(st.lists(st.tuples(st.integers(0, 3), EVENTS, st.booleans()), max_size=40), st.randoms())
def test_merging_equals_counting_in_one_place(events: list[tuple[int, tuple[Any, ...], bool]], chance: Any) -> None:
    clock = Clock()
    alone, workers = Statistics(clock), [Statistics(clock) for _ in range(4)]
    parts = []
    for worker, event, drains in events:
        clock.now += 1
        count(alone, event)
        count(workers[worker], event)
        if drains:
            parts.append(workers[worker].drain())
    parts += [worker.drain() for worker in workers]
    chance.shuffle(parts)
    while len(parts) > 1:  # in any groups
        parts.append(merged([parts.pop(0), parts.pop(chance.randrange(len(parts)))]))
    assert parts[0] == alone.snapshot()


@st.composite
def snapshots(draw: st.DrawFn) -> dict[str, Any]:
    clock = Clock()
    statistics = Statistics(clock)
    for event in draw(st.lists(EVENTS, max_size=10)):
        clock.now = draw(st.floats(-1e9, 1e10))  # moved at will
        count(statistics, event)
    return statistics.snapshot()


@given(snapshots(), snapshots(), snapshots())
def test_neither_order_nor_grouping_matters_when_the_clock_is_moved(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]
) -> None:
    assert merged([a, b]) == merged([b, a])
    assert merged([merged([a, b]), c]) == merged([a, merged([b, c])])


@given(snapshots())
def test_a_snapshot_goes_through_json_unchanged(snapshot: dict[str, Any]) -> None:
    text = json.dumps(snapshot, allow_nan=False)
    assert json.loads(text) == snapshot
    assert merged([json.loads(text)]) == snapshot


def test_numbers_of_numpy_go_through_json() -> None:
    statistics = Statistics()
    statistics.hit("disk", "result", np.int64(5), np.float64(0.5))
    statistics.evicted("disk", "result", np.int64(5), np.bool_(True))
    (hit,) = json.loads(json.dumps(statistics.snapshot()))["hits"]
    assert (hit["bytes"], hit["nanoseconds"]) == (5, 500_000_000)


@given(st.lists(st.floats(-6.99, 3).map(lambda power: 10.0**power), min_size=1, max_size=60))
def test_percentiles_are_numpys_to_the_width_of_a_bucket(seconds: list[float]) -> None:
    statistics = Statistics()
    for one in seconds:
        statistics.hit("disk", "result", 0, one)
    (row,) = statistics.snapshot()["hits"]
    for percent in (50, 95, 99):
        exact, found = np.percentile(seconds, percent, method="inverted_cdf"), percentile(row["buckets"], percent)
        assert found is not None
        assert exact <= found < exact * WIDTH * (1 + 1e-12)


@pytest.mark.parametrize(
    ("seconds", "found"), [(0.0, BOUNDS[0]), (-3.0, BOUNDS[0]), (float("nan"), BOUNDS[0]), (1e9, BOUNDS[-1])]
)
def test_what_lies_outside_the_histogram_counts_as_its_end(seconds: float, found: float) -> None:
    statistics = Statistics()
    statistics.put("disk", "result", 1, seconds)
    (row,) = statistics.snapshot()["puts"]
    assert percentile(row["buckets"], 50) == found


def test_the_buckets_span_100_ns_to_1000_s() -> None:
    assert BOUNDS[0] == 1e-7
    assert 1000 <= BOUNDS[-1] < 1000 * WIDTH


def test_histograms_of_nothing_have_no_percentile() -> None:
    assert percentile(added([]), 50) is None


def test_a_bound_belongs_to_the_bucket_that_it_ends() -> None:
    statistics = Statistics()
    for bound in BOUNDS:
        statistics.hit("disk", "result", 0, bound)
    (row,) = statistics.snapshot()["hits"]
    assert row["buckets"] == {str(place): 1 for place in range(len(BOUNDS))}


def test_a_miss_without_a_duration_is_counted_and_has_no_latency() -> None:
    statistics = Statistics()
    statistics.miss("result", "expired")
    statistics.miss("result", "expired", 0.5)
    (row,) = statistics.snapshot()["misses"]
    assert (row["count"], sum(row["buckets"].values()), row["nanoseconds"]) == (2, 1, 500_000_000)


def test_an_unknown_reason_is_an_error_that_lists_the_known() -> None:
    statistics = Statistics()
    with pytest.raises(ValueError, match=r"'never stored', .*'not worth storing'; got 'forgotten'"):
        statistics.miss("result", "forgotten")
    assert statistics.snapshot()["misses"] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda snapshot: snapshot.update(format=2),
        lambda snapshot: snapshot.pop("faults"),
        lambda snapshot: snapshot["hits"][0].pop("buckets"),
        lambda snapshot: snapshot["hits"][0].update(count="many"),
        lambda snapshot: snapshot["hits"][0].update(buckets=[1]),
        lambda snapshot: snapshot.update(puts=3),
    ],
)
def test_what_is_no_snapshot_is_an_error_and_changes_nothing(change: Callable[[dict[str, Any]], None]) -> None:
    statistics = Statistics()
    statistics.hit("disk", "result", 1, 0.1)
    before, broken = statistics.snapshot(), statistics.snapshot()
    change(broken)
    with pytest.raises(ValueError, match="no snapshot of statistics"):
        statistics.merge(broken)
    assert statistics.snapshot() == before


def test_the_last_fault_is_kept_in_one_short_line() -> None:
    clock = Clock()
    statistics = Statistics(clock)
    clock.now = 50.0
    statistics.fault("disk", "read", OSError(5, "gone"))
    clock.now = 20.0  # moved back: it is the last all the same
    statistics.fault("disk", "read", ValueError("a\nlong\n" + "x" * 1000))
    statistics.fault("disk", "write", "in words")
    read, write = statistics.snapshot()["faults"]
    assert (read["level"], read["what"], read["count"], read["at"]) == ("disk", "read", 2, 20.0)
    assert read["message"].startswith("ValueError: a long xxx")
    assert len(read["message"]) == 300
    assert (write["what"], write["count"], write["message"]) == ("write", 1, "in words")


def test_draining_gives_all_and_begins_again() -> None:
    clock = Clock()
    statistics = Statistics(clock)
    statistics.declined("result", 7)
    before, clock.now = statistics.snapshot(), 9.0
    assert statistics.drain() == before
    assert statistics.drain() == Statistics(clock).snapshot()
    statistics.declined("result", 7)
    statistics.reset()
    assert statistics.snapshot()["declined"] == []


def test_threads_lose_nothing_while_another_drains() -> None:
    statistics, total, each, threads = Statistics(), Statistics(), 3000, 4
    done = threading.Event()

    def work() -> None:
        for place in range(each):
            statistics.hit("disk", str(place % 3), 2, 1e-3)
            statistics.miss("result", REASONS[place % 6], 1e-3)
            statistics.fault("disk", "read", "gone")

    def drain() -> None:
        while not done.is_set():
            total.merge(statistics.drain())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        drainer, workers = threading.Thread(target=drain), [threading.Thread(target=work) for _ in range(threads)]
        for thread in (drainer, *workers):
            thread.start()
        for thread in workers:
            thread.join()
        done.set()
        drainer.join()
    finally:
        sys.setswitchinterval(interval)
    total.merge(statistics.drain())
    found, events = total.snapshot(), each * threads
    for table in ("hits", "misses"):
        rows = found[table]
        assert sum(row["count"] for row in rows) == events
        assert sum(row["nanoseconds"] for row in rows) == events * 1_000_000
        assert sum(sum(row["buckets"].values()) for row in rows) == events
    assert sum(row["bytes"] for row in found["hits"]) == 2 * events
    assert [row["count"] for row in found["faults"]] == [events]


def test_a_copy_for_another_process_begins_at_nothing() -> None:
    statistics = Statistics()
    statistics.hit("disk", "result", 1, 0.1)
    copy = pickle.loads(pickle.dumps(statistics))
    assert copy.snapshot()["hits"] == []
    copy.hit("disk", "result", 1, 0.1)
    statistics.merge(copy.drain())
    assert [row["count"] for row in statistics.snapshot()["hits"]] == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_a_fork_begins_at_nothing_even_if_another_thread_was_counting() -> None:
    code = """
import os, threading
from atc_plugin.cache.statistics import Statistics
statistics = Statistics()
statistics.hit("disk", "result", 1, 0.1)
with statistics._lock:  # as if a thread were counting that the fork does not take along
    child = os.fork()
if child == 0:
    statistics.hit("disk", "result", 1, 0.1)
    os._exit(statistics.snapshot()["hits"][0]["count"])
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), statistics.snapshot()["hits"][0]["count"])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1", "1"]
