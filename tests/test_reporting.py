"""What is told of the cache: the figures are those that were counted, and advice comes when something is off."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atc_plugin.cache.counted import CacheStats
from atc_plugin.cache.findings import Thresholds, Watch, warn_if_off, what_is_off
from atc_plugin.cache.reporting import report
from atc_plugin.cache.statistics import REASONS, Statistics

FINE = Thresholds()


def stats_of(*events: tuple[Any, ...], **facts: Any) -> CacheStats:
    """What is known after these events: each a method of Statistics with its arguments."""
    statistics = Statistics(lambda: 1_767_225_600.0)
    for name, *what in events:
        getattr(statistics, name)(*what)
    return CacheStats(counted=statistics.snapshot(), **facts)


def busy() -> CacheStats:
    """Something of everything."""
    return stats_of(
        *[("hit", "disk", "result", 2_000_000, 0.001)] * 90,
        *[("hit", "disk", "result", 2_000_000, 0.1)] * 10,
        *[("hit", "recent", "array", 500, 2e-6)] * 1100,
        *[("miss", "result", "never stored", 1e-4)] * 30,
        *[("miss", "array", "never stored")] * 10,
        *[("miss", "array", "expired")] * 60,
        *[("put", "disk", "result", 1500, 0.02)] * 3,
        ("evicted", "disk", "result", 1000, True),
        ("evicted", "disk", "result", 1000),
        ("evicted", "recent", "array", 10),
        ("declined", "array", 400),
        ("declined", "array", 700),
        ("fault", "shared", "read", ConnectionError("refused")),
        ("fault", "shared", "read", ConnectionError("refused again")),
        directory="/somewhere",
        bytes_kept=1_200_000_000,
        entries=1312,
        size_limit=2_000_000_000,
        free_bytes=5 * 10**12,
    )


NOTHING = stats_of()


def test_totals_are_sums_over_levels_and_kinds() -> None:
    stats = busy()
    assert (stats.hits, stats.misses) == (1200, 100)
    assert stats.hit_rate == 1200 / 1300
    assert list(stats.misses_by_reason.items()) == [("expired", 60), ("never stored", 40)]
    assert (NOTHING.hits, NOTHING.misses, NOTHING.hit_rate, NOTHING.misses_by_reason) == (0, 0, None, {})


def test_rows_come_by_level_in_the_order_in_which_levels_are_asked() -> None:
    recent, disk = busy().rows
    assert (recent.level, recent.kind, recent.hits, recent.bytes_read) == ("recent", "array", 1100, 550_000)
    assert (recent.puts, recent.put_p95, recent.evictions, recent.hot_evictions) == (0, None, 1, 0)
    assert (disk.level, disk.kind, disk.hits, disk.bytes_read) == ("disk", "result", 100, 200_000_000)
    assert disk.p50 == pytest.approx(0.001, rel=0.091)
    assert disk.p95 == disk.p99 == pytest.approx(0.1, rel=0.091)
    assert (disk.puts, disk.bytes_written, disk.evictions, disk.hot_evictions) == (3, 4500, 2, 1)
    assert disk.bytes_evicted == 2000
    assert disk.put_p50 == disk.put_p99 == pytest.approx(0.02, rel=0.091)
    levels = [("put", level, "array", 1, 0.1) for level in ("shared", "abroad", "disk", "recent", "waiting")]
    assert [row.level for row in stats_of(*levels).rows] == ["waiting", "recent", "disk", "shared", "abroad"]


def test_misses_declines_and_faults_are_data_too() -> None:
    stats = busy()
    assert [(row.kind, row.reason, row.requests) for row in stats.missed] == [
        ("array", "expired", 60),
        ("array", "never stored", 10),
        ("result", "never stored", 30),
    ]
    assert stats.missed[0].p50 is None
    assert stats.missed[2].p99 == pytest.approx(1e-4, rel=0.091)
    assert stats.declined == [("array", 2, 1100)]
    assert stats.faults == [("shared", "read", 2, "ConnectionError: refused again", 1_767_225_600.0)]


def test_the_dictionary_goes_through_json_unchanged() -> None:
    for stats in (busy(), NOTHING):
        assert json.loads(stats.to_json()) == stats.to_dict()
    found = busy().to_dict()
    assert found["hit_rate"] == 1200 / 1300
    assert (found["entries"], found["size_limit"], found["directory"]) == (1312, 2_000_000_000, "/somewhere")
    assert [row["hits"] for row in found["rows"]] == [1100, 100]
    assert (found["missed"][0]["requests"], found["declined"][0]["items"], found["faults"][0]["times"]) == (60, 2, 2)
    assert found["since"] == 1_767_225_600.0


def test_the_frame_has_a_row_for_each_level_and_kind() -> None:
    frame = busy().frame()
    assert frame.index.to_list() == [("recent", "array"), ("disk", "result")]
    assert frame.loc[("disk", "result"), "hits"] == 100
    assert np.isnan(frame["put_p95"].astype(float).iloc[0])
    assert isinstance(NOTHING.frame(), pd.DataFrame)
    assert NOTHING.frame().empty


def test_text_is_compact() -> None:
    assert str(busy()) == (
        "cache: 1,200 of 1,300 requests hit (92.3 %); 1,312 entries; 1.2 GB of 2.0 GB; 5.0 TB free on the disk; "
        "2 faults"
    )
    assert str(stats_of(("fault", "disk", "read", "gone"), entries=1)) == (
        "cache: nothing was asked for; 1 entry; 1 fault"
    )
    assert str(NOTHING) == "cache: nothing was asked for"


def test_the_report_has_the_figures_in_tables() -> None:
    assert report(busy()).splitlines() == [
        "cache in /somewhere: 1,312 entries, 1.2 GB of 2.0 GB, 5.0 TB free on the disk",
        "1,200 of 1,300 requests hit (92.3 %) since 2026-01-01 00:00:00 UTC",
        "",
        "level   kind     hits      read      p50      p95      p99  puts  written  put p95  evicted  hot",
        "recent  array   1,100  550.0 kB  2.07 µs  2.07 µs  2.07 µs     0  0 bytes        -        1    0",
        "disk    result    100  200.0 MB  1.06 ms   105 ms   105 ms     3   4.5 kB  20.2 ms        2    1",
        "",
        "misses        requests   share",
        "expired             60  60.0 %",
        "never stored        40  40.0 %",
        "",
        "not worth storing  items    size",
        "array                  2  1.1 kB",
        "",
        "faults  in    times  last                     message",
        "shared  read      2  2026-01-01 00:00:00 UTC  ConnectionError: refused again",
        "",
        "advice: 2 faults of the shared level, the last in read: ConnectionError: refused again; "
        "see that its server runs and can be reached",
    ]


def test_a_report_of_nothing_says_so_and_has_no_table() -> None:
    assert report(NOTHING).splitlines() == ["cache", "nothing was asked for since 2026-01-01 00:00:00 UTC"]


def test_no_table_is_broken_by_a_line_end_in_a_name() -> None:
    stats = stats_of(("hit", "disk", "an odd\nkind", 1, 0.1))
    assert "disk   an odd kind" in report(stats)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (2.5e9, "2.5 GB"),
        (1234e12, "1,234.0 TB"),
    ],
)
def test_sizes_have_a_unit_that_suits_them(number: int, words: str) -> None:
    assert f"has only {words} left" in advice_of(stats_of(free_bytes=number), Thresholds(min_free_bytes=10**18))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1e-7, "100 ns"),
        (1.6e-6, "1.6 µs"),
        (0.0004096, "410 µs"),
        (0.9e-3, "974 µs"),
        (0.1048576, "105 ms"),
        (9e9, "1,022 s"),
    ],
)
def test_times_have_a_unit_that_suits_them(seconds: float, words: str) -> None:
    assert f"  {words}  " in report(stats_of(("hit", "disk", "result", 1, seconds)))


def advice_of(stats: CacheStats, thresholds: Thresholds = FINE) -> str:
    *_, last = report(stats, thresholds).splitlines()
    assert last.startswith("advice: ")
    assert last == f"advice: {what_is_off(stats, thresholds)[0].advice}"
    return last.removeprefix("advice: ")


def advises(stats: CacheStats, thresholds: Thresholds = FINE) -> bool:
    found = "advice" in report(stats, thresholds)
    assert found == bool(what_is_off(stats, thresholds))
    return found


HIT = ("hit", "disk", "result", 12_000, 0.0002)


def test_where_all_is_well_there_is_no_advice() -> None:
    assert not advises(NOTHING)
    assert not advises(stats_of(*[HIT] * 200, ("miss", "result", "expired"), free_bytes=10**12, size_limit=10**9))


def test_a_fault_of_the_disk_is_told_with_its_last_message() -> None:
    faults = [("fault", "disk", "read", OSError("first")), ("fault", "disk", "read", OSError("then"))]
    assert advice_of(stats_of(faults[0], directory="/x")) == (
        "1 fault of the disk level, the last in read: OSError: first; see that /x can be read and written"
    )
    assert advice_of(stats_of(*faults)) == (
        "2 faults of the disk level, the last in read: OSError: then; see that its directory can be read and written"
    )
    assert advises(stats_of(*faults), Thresholds(max_faults=1))
    assert not advises(stats_of(*faults), Thresholds(max_faults=2))
    assert not advises(stats_of(*faults), Thresholds(max_faults=None))


def test_of_several_faults_of_a_level_the_latest_is_told() -> None:
    times = iter([0.0, 1.0, 3.0, 2.0])
    statistics = Statistics(lambda: next(times))
    for what in ("list", "read", "write"):
        statistics.fault("disk", what, f"while it was to {what}")
    assert "3 faults of the disk level, the last in read:" in advice_of(CacheStats(counted=statistics.snapshot()))


def test_faults_of_each_level_are_findings_of_their_own() -> None:
    stats = stats_of(
        ("fault", "shared", "read", "refused"), ("fault", "disk", "read", "gone"), ("fault", "x", "y", "z")
    )
    assert [finding.name for finding in what_is_off(stats)] == ["faults of disk", "faults of shared", "faults of x"]
    assert "its server runs" in what_is_off(stats)[1].advice
    assert what_is_off(stats)[2].advice == "1 fault of the x level, the last in y: z"


def test_a_disk_that_is_nearly_full_is_told() -> None:
    assert advice_of(stats_of(free_bytes=499_999_999, directory="/x")) == (
        "the disk of /x has only 500.0 MB left: make room, or lower size_limit"
    )
    assert advice_of(stats_of(free_bytes=0)).startswith("the cache's disk has only 0 bytes left")
    assert not advises(stats_of(free_bytes=500_000_000))
    assert not advises(stats_of(free_bytes=0), Thresholds(min_free_bytes=None))


def test_evictions_of_what_is_in_use_are_told() -> None:
    evictions = [("evicted", "disk", "result", 1, True), ("evicted", "disk", "array", 1, False)]
    assert advice_of(stats_of(*evictions, size_limit=2 * 10**9)) == (
        "1 of 2 evicted items had been used within the hour before: raise size_limit, now 2.0 GB"
    )
    assert advice_of(stats_of(*evictions)).endswith("raise size_limit")
    assert not advises(stats_of(evictions[1]))
    assert not advises(stats_of(("evicted", "recent", "result", 1, True)))  # it may be on the disk
    assert not advises(stats_of(*evictions), Thresholds(max_hot_evictions=1))
    assert not advises(stats_of(*evictions), Thresholds(max_hot_evictions=None))


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("never stored", "warm() the same"),
        ("expired", "longer ttl"),
        ("evicted", "raise size_limit"),
        ("damaged", "the disk may be failing"),
        ("other law version", "warm() again"),
        ("not worth storing", "nothing to do, they are cheaper to compute"),
    ],
)
def test_a_low_hit_rate_is_told_with_its_main_reason(reason: str, remedy: str) -> None:
    other = next(one for one in REASONS if one != reason)
    events = [*[HIT] * 40, *[("miss", "result", reason)] * 31, *[("miss", "array", other)] * 29]
    advice = advice_of(stats_of(*events))
    assert advice.startswith(f"only 40.0 % of the requests hit; 31 of 60 misses were {reason}: ")
    assert remedy in advice
    assert not advises(stats_of(*events), Thresholds(min_hit_rate=0.4))
    assert not advises(stats_of(*events), Thresholds(min_hit_rate=None))
    assert not advises(stats_of(*events[:-1])), "99 requests are too few to tell"


def test_every_reason_has_its_remedy() -> None:
    for reason in REASONS:
        assert f"were {reason}: " in advice_of(stats_of(*[("miss", "result", reason)] * 100))


@pytest.mark.parametrize(("level", "remedy"), [("disk", "faster disk"), ("shared", "nearer server")])
def test_a_slow_level_is_told(level: str, remedy: str) -> None:
    slow = [("hit", level, "result", 1_000_000, 1.0)] * 100
    advice = advice_of(stats_of(*slow))
    assert re.match(rf"the {level} level is slow: 95 % of its hits take up to 1(\.0\d)? s, at 1.0 MB/s: ", advice)
    assert remedy in advice
    assert not advises(stats_of(*slow[1:])), "99 hits are too few to tell"
    assert not advises(stats_of(*slow), Thresholds(max_p95_seconds=1.1))
    assert not advises(stats_of(*slow), Thresholds(max_p95_seconds=None))
    assert not advises(stats_of(*slow), Thresholds(min_bytes_a_second=1e6))


def test_a_level_is_not_slow_that_reads_much_or_seldom_takes_long() -> None:
    assert not advises(stats_of(*[("hit", "disk", "result", 10**9, 1.0)] * 100))
    assert not advises(stats_of(*[HIT] * 96, *[("hit", "disk", "result", 12_000, 1.0)] * 4))
    assert not advises(stats_of(*[("hit", "elsewhere", "result", 1, 1.0)] * 100))


def test_a_duration_that_is_none_breaks_no_judgement() -> None:
    assert what_is_off(stats_of(*[("hit", "disk", "result", 1, math.inf)] * 100))[0].name == "slow disk"


def everything_off() -> CacheStats:
    return stats_of(
        *[("hit", "disk", "result", 10, 2.0)] * 100,
        *[("miss", "result", "expired")] * 200,
        ("evicted", "disk", "result", 1, True),
        ("fault", "disk", "write", "full"),
        free_bytes=0,
    )


def test_the_most_important_comes_first() -> None:
    names = [finding.name for finding in what_is_off(everything_off())]
    assert names == ["faults of disk", "full disk", "hot evictions", "low hit rate", "slow disk"]
    assert report(everything_off()).count("advice:") == 1


def test_each_finding_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        found = warn_if_off(everything_off(), FINE)
    assert found == what_is_off(everything_off())
    assert [record.getMessage() for record in caplog.records] == [f"cache: {finding.advice}" for finding in found]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_watch_warns_again_only_after_it_was_fine_in_between(caplog: pytest.LogCaptureFixture) -> None:
    full, fuller, fine = stats_of(free_bytes=2), stats_of(free_bytes=1), stats_of(free_bytes=10**12)
    other = stats_of(("fault", "disk", "read", "gone"), free_bytes=1)
    watch = Watch()
    warned = []
    for stats in (full, full, fuller, other, fuller, fine, full, full):
        caplog.clear()
        assert warn_if_off(stats, FINE, watch) == what_is_off(stats)
        warned.append([record.getMessage().split()[1] for record in caplog.records])
    assert warned == [["the"], [], [], ["1"], [], [], ["the"], []]
    caplog.clear()
    warn_if_off(full, FINE, Watch())
    assert len(caplog.records) == 1, "each watch has a memory of its own"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_hit_rate": 1.5}, "min_hit_rate is a share, at most 1; got 1.5"),
        ({"max_faults": -1}, "max_faults must be a number from 0 on, or None; got -1"),
        ({"max_p95_seconds": float("nan")}, "max_p95_seconds must be a number from 0 on, or None; got nan"),
        ({"min_requests": None}, "min_requests must be a number from 0 on; got None"),
        ({"min_free_bytes": "1GB"}, "min_free_bytes must be a number from 0 on, or None; got '1GB'"),
        ({"min_bytes_a_second": True}, "min_bytes_a_second must be a number from 0 on; got True"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_an_error(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Thresholds(**limits)


Sample = tuple[str, dict[str, str], float]

_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_LABEL = re.compile(rf'({_NAME})="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def parsed(text: str) -> tuple[dict[str, str], list[Sample]]:
    """The types of metrics, and the samples of a text in Prometheus' format 0.0.4; asserts that it keeps to it."""
    types: dict[str, str] = {}
    samples: list[Sample] = []
    assert text == "" or text.endswith("\n")
    lines = iter(text.split("\n")[:-1])
    name = ""
    for line in lines:
        if line.startswith("#"):
            name = re.fullmatch(rf"# HELP ({_NAME}) [^\\]+", line)[1]
            sort = re.fullmatch(rf"# TYPE {name} (counter|gauge|histogram)", next(lines))[1]
            assert name not in types, f"{name} comes in two places"
            types[name] = sort
            assert (sort == "counter") == name.endswith("_total")
            continue
        metric, labels, number = re.fullmatch(rf"({_NAME})(?:\{{(.*)\}})? (\S+)", line).groups()
        assert metric in [name + suffix for suffix in _SUFFIXES[types[name]]]
        samples.append((metric, labels_of(labels or ""), float(number)))
    assert len({(metric, *sorted(labels.items())) for metric, labels, _ in samples}) == len(samples)
    check_histograms(types, samples)
    return types, samples


def labels_of(text: str) -> dict[str, str]:
    labels, at = {}, 0
    while at < len(text):
        label = _LABEL.match(text, at)
        assert label, f"no label: {text[at:]!r}"
        assert label[1] not in labels
        labels[label[1]] = re.sub(r'\\(["\\n])', lambda escape: {"n": "\n"}.get(escape[1], escape[1]), label[2])
        at = label.end()
    return labels


def check_histograms(types: dict[str, str], samples: list[Sample]) -> None:
    for name in (name for name, sort in types.items() if sort == "histogram"):
        series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for metric, labels, number in samples:
            if metric == f"{name}_bucket":
                edge = float(labels["le"])
                rest = tuple(sorted(labels.items() - {("le", labels["le"])}))
                series.setdefault(rest, []).append((edge, number))
        for rest, buckets in series.items():
            assert buckets == sorted(buckets), "edges and counts rise"
            assert [number for _, number in buckets] == sorted(number for _, number in buckets)
            assert buckets[-1][0] == math.inf
            assert value(samples, f"{name}_count", **dict(rest)) == buckets[-1][1]
            assert value(samples, f"{name}_sum", **dict(rest)) >= 0


def value(samples: list[Sample], metric: str, **labels: str) -> float:
    (found,) = [number for name, its, number in samples if (name, its) == (metric, labels)]
    return found


def test_prometheus_gets_every_count() -> None:
    types, samples = parsed(busy().to_prometheus())
    expected = {
        ("hits_total", "disk", "result"): 100,
        ("hits_total", "recent", "array"): 1100,
        ("read_bytes_total", "disk", "result"): 200_000_000,
        ("puts_total", "disk", "result"): 3,
        ("written_bytes_total", "disk", "result"): 4500,
    }
    for (name, level, kind), number in expected.items():
        assert value(samples, f"atc_cache_{name}", level=level, kind=kind) == number
    assert value(samples, "atc_cache_misses_total", kind="array", reason="expired") == 60
    assert value(samples, "atc_cache_declined_total", kind="array") == 2
    assert value(samples, "atc_cache_declined_bytes_total", kind="array") == 1100
    for hot in ("true", "false"):
        assert value(samples, "atc_cache_evictions_total", level="disk", kind="result", hot=hot) == 1
        assert value(samples, "atc_cache_evicted_bytes_total", level="disk", kind="result", hot=hot) == 1000
    assert value(samples, "atc_cache_faults_total", level="shared", what="read") == 2
    assert value(samples, "atc_cache_kept_bytes") == 1_200_000_000
    assert value(samples, "atc_cache_entries") == 1312
    assert value(samples, "atc_cache_size_limit_bytes") == 2_000_000_000
    assert value(samples, "atc_cache_disk_free_bytes") == 5e12
    assert len(types) == 10 + 3 + 4


def test_prometheus_gets_histograms_of_what_was_timed() -> None:
    _, samples = parsed(busy().to_prometheus())
    disk = {"level": "disk", "kind": "result"}
    buckets = [
        (float(labels["le"]), number)
        for metric, labels, number in samples
        if metric == "atc_cache_hit_seconds_bucket" and labels["level"] == "disk"
    ]
    assert [number for edge, number in buckets if edge < 0.001] == [0] * 7
    assert {number for edge, number in buckets if 0.001 <= edge < 0.1} == {90}
    assert {number for edge, number in buckets if edge >= 0.1} == {100}
    assert value(samples, "atc_cache_hit_seconds_sum", **disk) == pytest.approx(90 * 0.001 + 10 * 0.1, rel=1e-12)
    assert value(samples, "atc_cache_put_seconds_count", **disk) == 3
    assert value(samples, "atc_cache_miss_seconds_count", kind="result", reason="never stored") == 30
    assert not [labels for metric, labels, _ in samples if "miss_seconds" in metric and labels["kind"] == "array"]


def test_prometheus_gets_nothing_of_what_is_not_known() -> None:
    assert NOTHING.to_prometheus() == ""
    types, samples = parsed(stats_of(entries=0).to_prometheus())
    assert (types, samples) == ({"atc_cache_entries": "gauge"}, [("atc_cache_entries", {}, 0.0)])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_labels_reach_prometheus_unchanged(kind: str) -> None:
    for stats in (stats_of(("declined", kind, 1)), stats_of(("hit", "disk", kind, 1, 0.1))):
        _, samples = parsed(stats.to_prometheus())
        assert {labels["kind"] for _, labels, _ in samples} == {kind}


def test_prometheus_own_parser_takes_it() -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")
    stats = stats_of(("hit", "disk", 'an "odd"\\\nkind', 5, 0.1), ("miss", "a", "expired"), free_bytes=3)
    for one in (stats, busy()):
        text = one.to_prometheus()
        families = list(parser.text_string_to_metric_families(text))
        samples = [(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples]
        assert samples == parsed(text)[1]


BREAKS: list[Callable[[str], str]] = [
    lambda text: text[:-1],
    lambda text: text + text,
    lambda text: text.replace("hits_total", "hits"),
    lambda text: text.replace('le="+Inf"} 100', 'le="+Inf"} 101', 1),
    lambda text: text.replace('kind="result"', "kind=result"),
    lambda text: text.replace("# TYPE atc_cache_puts_total counter\n", ""),
]


@pytest.mark.parametrize("broken", BREAKS)
def test_the_parser_of_these_tests_is_strict(broken: Callable[[str], str]) -> None:
    text = busy().to_prometheus()
    assert broken(text) != text
    with pytest.raises((AssertionError, TypeError, AttributeError)):
        parsed(broken(text))
