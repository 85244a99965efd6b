"""ATC in backtrader: in every mode of Cerebro the bits of `atc`, and the manners of a native."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numba.core.config import DISABLE_JIT

bt = pytest.importorskip("backtrader")

from backtrader_runs import BARS, LINES, LiveFeed, Record, Recorder, feed, frame, law, run  # noqa: E402
from same_bits import assert_same_bits  # noqa: E402

from atc_plugin import AtcStream, ParamGrid, atc, cache, engine, warm  # noqa: E402
from atc_plugin.engine import all_of_it  # noqa: E402
from atc_plugin.indicators import backtrader as ours  # noqa: E402
from atc_plugin.params import PARAMETERS  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning"),  # backtrader, from Python 3.12 on
    pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support:DeprecationWarning"),  # its feeds count
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),  # its Pool
]

DAYS = frame(BARS)
WEEK, MINUTE = bt.TimeFrame.Weeks, bt.TimeFrame.Minutes
MODES: dict[str, dict[str, Any]] = {
    "runonce": {},
    "next": {"runonce": False},
    "no preload": {"preload": False},
    "next, no preload": {"runonce": False, "preload": False},
    "exactbars=1": {"exactbars": 1},
    "exactbars=-1": {"exactbars": -1},
    "exactbars=-2": {"exactbars": -2},
    "lookahead": {"lookahead": 5},
    "live": {"live": True},
    "oldsync": {"oldsync": True},
}


def one(cerebro: Any) -> None:
    cerebro.adddata(feed(DAYS))


def of(prices: pd.DataFrame) -> Callable[[Any], object]:
    return lambda cerebro: cerebro.adddata(feed(prices))


# ---------------------------------------------------------------- one feed, every kind of data, every mode
HOLES = DAYS.copy()
HOLES.iloc[[0, 1, 2, 30, 31, BARS // 2, BARS - 1], :4] = np.nan
CLOSE = DAYS.close

# What makes the indicator, on which prices, and what it is given where that is known without backtrader.
SETUPS: dict[str, tuple[Callable[[Any], Any], pd.DataFrame, Any]] = {
    "data": (lambda s: bt.ind.ATC(s.data), DAYS, CLOSE),
    "no argument": (lambda s: bt.ind.ATC(), DAYS, CLOSE),
    "parameters": (lambda s: bt.ind.ATC(s.data, ema_len=21, robustness="Wide", hma_mode="hull"), DAYS, CLOSE),
    "cutout": (lambda s: bt.ind.ATC(s.data, cutout=9), DAYS, CLOSE),
    "strategy mode": (lambda s: bt.ind.ATC(s.data, cutout=2, strategy_mode=True), DAYS, CLOSE),
    "line": (lambda s: bt.ind.ATC(s.data.high), DAYS, DAYS.high),
    "expression": (lambda s: bt.ind.ATC((s.data.high + s.data.low) / 2), DAYS, (DAYS.high + DAYS.low) / 2),
    "delayed line": (lambda s: bt.ind.ATC(s.data.close(-3), cutout=1), DAYS, CLOSE.shift(3)),
    "of RSI": (lambda s: bt.ind.ATC(bt.ind.RSI(s.data, period=14, safediv=True)), DAYS, None),
    "of MACD": (lambda s: bt.ind.ATC(bt.ind.MACD(s.data, period_me1=5, period_me2=9)), DAYS, None),
    "of a line of MACD": (lambda s: bt.ind.ATC(bt.ind.MACD(s.data, period_me1=5, period_me2=9).signal), DAYS, None),
    "of a line of ATC": (lambda s: bt.ind.ATC(bt.ind.ATC(s.data, cutout=4).ema_weight, ema_len=9), DAYS, None),
    "of HeikinAshi": (lambda s: bt.ind.ATC(bt.ind.HeikinAshi(s.data).ha_close), DAYS, None),
    "NaN in the feed": (lambda s: bt.ind.ATC(s.data, cutout=3), HOLES, HOLES.close),
    "source, a second data": (lambda s: bt.ind.ATC(s.data, s.data.high), DAYS, CLOSE),
    "source, a keyword": (lambda s: bt.ind.ATC(s.data, source=s.data.low), DAYS, CLOSE),
    "source, no data": (lambda s: bt.ind.ATC(source=s.data.low), DAYS, CLOSE),
    "source, ATC": (lambda s: bt.ind.ATC(s.data, source=bt.ind.ATC(s.data, cutout=5)), DAYS, CLOSE),
    "source, NaN": (lambda s: bt.ind.ATC(s.data.close(-9), source=bt.ind.RSI(s.data, period=5)), DAYS, CLOSE.shift(9)),
    "source, MACD": (lambda s: bt.ind.ATC(s.data, source=bt.ind.MACD(s.data, period_me1=5)), DAYS, CLOSE),
    "warm-up, one bar more": (lambda s: bt.ind.ATC(s.data, cutout=BARS), DAYS, CLOSE),
    "warm-up, just enough": (lambda s: bt.ind.ATC(s.data, cutout=BARS - 1), DAYS, CLOSE),
    "few bars": (lambda s: bt.ind.ATC(s.data), DAYS[:3], CLOSE[:3]),
    "one bar": (lambda s: bt.ind.ATC(s.data), DAYS[:1], CLOSE[:1]),
}


@pytest.mark.parametrize("setup", SETUPS)
def test_the_bits_of_atc_in_every_mode(setup: str) -> None:
    make, prices, expected = SETUPS[setup]
    for mode, keywords in MODES.items():
        strategy = run(lambda s: [make(s)], of(prices), **keywords)
        (record,) = strategy.records
        assert len(record.bars) == len(prices), mode
        record.check()
        assert mode == "exactbars=1" or record.indicator.buflen() == len(prices), mode
        assert record.indicator._minperiod == record.first, mode
        first = max(indicator._minperiod for indicator in strategy.getindicators())
        assert strategy.first == (first if first <= len(prices) else 0), mode
        if expected is not None:
            assert_same_bits(record.given[:, 0], expected.to_numpy(), mode)
        if mode == "runonce":
            by_default = record.given
        elif "of" in setup:
            assert_same_bits(record.given, by_default, mode)


def test_the_signal_of_atc_in_every_mode() -> None:
    for keywords in MODES.values():
        (record,) = run(lambda s: [ours.ATCSignal(s.data, cutout=3)], one, **keywords).records
        record.check(("direction", "average"))


def test_indicators_of_atc() -> None:
    known = DAYS.assign(close=atc(CLOSE, ema_len=21).average)
    expected = run(lambda s: [bt.ind.EMA(s.data, period=5)], of(known), runonce=False).records[0].lines
    for mode, keywords in MODES.items():
        (record,) = run(lambda s: [bt.ind.EMA(bt.ind.ATC(s.data, ema_len=21), period=5)], one, **keywords).records
        assert_same_bits(record.lines, expected, mode)


# ---------------------------------------------------------------- several feeds and timeframes
LATE = frame(BARS // 2, seed=1, start="2020-02-03")
MINUTES = frame(2 * BARS, seed=2, start="2020-01-06 09:00", freq="1min")


def two(cerebro: Any) -> None:
    cerebro.adddata(feed(DAYS))
    cerebro.adddata(feed(LATE))


def two_the_other_way(cerebro: Any) -> None:
    cerebro.adddata(feed(LATE))
    cerebro.adddata(feed(DAYS))


def resampled(cerebro: Any) -> None:
    cerebro.adddata(feed(DAYS))
    cerebro.resampledata(feed(DAYS), timeframe=WEEK)


def resampled_clone(cerebro: Any) -> None:
    cerebro.resampledata(cerebro.adddata(feed(DAYS)), timeframe=WEEK)


def resampled_by_itself(cerebro: Any) -> None:
    cerebro.adddata(feed(DAYS))
    weekly = feed(DAYS)
    weekly.resample(timeframe=WEEK)
    cerebro.adddata(weekly)


def three_timeframes(cerebro: Any) -> None:
    minutes = cerebro.adddata(feed(MINUTES, timeframe=MINUTE))
    for compression in (5, 15):
        cerebro.resampledata(minutes, timeframe=MINUTE, compression=compression)


# Where backtrader's own EMA is given other bars than elsewhere, or none: no indicator can do better.
BROKEN = {
    ("two", "oldsync"),
    ("two_the_other_way", "oldsync"),
    ("resampled", "exactbars=1"),
    ("resampled_by_itself", "exactbars=1"),
}
SEVERAL = [two, two_the_other_way, resampled, resampled_clone, resampled_by_itself, three_timeframes]


def short_ema(data: Any) -> Any:
    return bt.ind.EMA(data, period=2)


def one_each(indicator: Any) -> Callable[[Any], list[Any]]:
    return lambda strategy: [indicator(data) for data in strategy.datas]


@pytest.mark.parametrize("add", SEVERAL)
def test_several_feeds(add: Callable[[Any], object]) -> None:
    """Each indicator goes by the clock of its own data, as backtrader's own EMA does."""
    peers = run(one_each(short_ema), add).records
    for mode, keywords in MODES.items():
        if (add.__name__, mode) in BROKEN:
            continue
        for record, peer in zip(run(one_each(bt.ind.ATC), add, **keywords).records, peers, strict=True):
            assert_same_bits(record.given, peer.given, mode)
            record.check()


@pytest.mark.parametrize(("name", "mode"), sorted(BROKEN))
def test_what_is_left_out_above_does_not_work_in_backtrader(name: str, mode: str) -> None:
    (add,) = (each for each in SEVERAL if each.__name__ == name)
    expected = [len(record.bars) for record in run(one_each(short_ema), add).records]
    try:
        got = [len(record.bars) for record in run(one_each(short_ema), add, **MODES[mode]).records]
    except IndexError:
        got = []
    assert got != expected


@pytest.mark.parametrize("add", [resampled, resampled_clone])
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "exactbars=1"])
def test_a_weekly_line_as_the_source_of_daily_prices(add: Callable[[Any], object], mode: str) -> None:
    def make(strategy: Any) -> list[Any]:
        weekly = bt.ind.ATC(strategy.data1, ema_len=9)
        line = strategy.data1.close(strategy.data0)
        return [weekly, bt.ind.ATC(strategy.data0, source=weekly(strategy.data0)), bt.ind.ATC(strategy.data0, line)]

    weekly, *daily = run(make, add, **MODES[mode]).records
    weekly.check()
    for record in daily:
        record.check()
        assert len(record.bars) == BARS


def test_a_source_of_another_feed_as_it_stands_bar_by_bar() -> None:
    records = run(lambda s: [bt.ind.ATC(s.data0, s.data1)], two, runonce=False).records
    law_of_both = CLOSE.to_frame().assign(source=LATE.close.reindex(CLOSE.index).ffill())
    result = atc(law_of_both.close, law_of_both.source)
    assert_same_bits(np.array(records[0].indicator.average.array), result.average.to_numpy())


# ---------------------------------------------------------------- bars in progress
def into_weeks(cerebro: Any) -> None:
    cerebro.replaydata(feed(DAYS), timeframe=WEEK)


def into_weeks_beside_days(cerebro: Any) -> None:
    cerebro.replaydata(feed(DAYS), timeframe=WEEK)
    cerebro.adddata(feed(DAYS))


def into_five_minutes(cerebro: Any) -> None:
    cerebro.replaydata(feed(MINUTES, timeframe=MINUTE), timeframe=MINUTE, compression=5)


def into_five_minutes_by_their_start(cerebro: Any) -> None:
    cerebro.replaydata(
        feed(MINUTES, timeframe=MINUTE), timeframe=MINUTE, compression=5, rightedge=False, adjbartime=True
    )


def check_steps(record: Record) -> int:
    """At every step the indicator says what `atc` does of the closed bars and the one in progress."""
    first, closed = record.first, {}
    for step, (bar, given, said) in enumerate(record.steps):
        closed[bar] = given
        if bar >= first and not (DISABLE_JIT and step % 5):
            series = np.array([closed[i] for i in range(1, bar + 1)])
            assert_same_bits(np.array(said), law(record.indicator, series)[-1], f"bar {bar}")
    return len(record.steps)


@pytest.mark.parametrize(
    "add", [into_weeks, into_weeks_beside_days, into_five_minutes, into_five_minutes_by_their_start]
)
@pytest.mark.parametrize("mode", ["runonce", "next", "exactbars=1", "exactbars=-1"])
def test_replay(add: Callable[[Any], object], mode: str) -> None:
    def make(strategy: Any) -> list[Any]:
        data = strategy.data0
        of_ema = bt.ind.ATC(bt.ind.EMA(data, period=3), cutout=2)
        return [bt.ind.ATC(data, ema_len=9), bt.ind.ATC(data, data.low), of_ema]

    for record in run(make, add, **MODES[mode]).records:
        assert check_steps(record) > 3 * len(record.bars)
        record.check()


def test_a_filter_that_replays() -> None:
    def add(cerebro: Any) -> None:
        daily = feed(DAYS)
        daily.addfilter(bt.filters.BarReplayer_Open)
        cerebro.adddata(daily)

    (record,) = run(lambda s: [bt.ind.ATC(s.data)], add).records
    assert check_steps(record) > BARS
    record.check()


def test_live_feeds() -> None:
    def add(cerebro: Any) -> None:
        cerebro.adddata(LiveFeed(prices=DAYS))
        cerebro.adddata(LiveFeed(prices=LATE, waits=3))

    first, second = run(lambda s: [bt.ind.ATC(s.data0), bt.ind.ATC(s.data1)], add).records
    for record, prices in ((first, DAYS), (second, LATE)):
        record.check()
        assert_same_bits(record.given[:, 0], prices.close.to_numpy())


def test_a_live_feed_resampled() -> None:
    def add(cerebro: Any) -> None:
        live = LiveFeed(prices=MINUTES, waits=0, timeframe=MINUTE)
        cerebro.resampledata(live, timeframe=MINUTE, compression=5)

    def add_past(cerebro: Any) -> None:
        cerebro.resampledata(feed(MINUTES, timeframe=MINUTE), timeframe=MINUTE, compression=5)

    live, past = (run(lambda s: [bt.ind.ATC(s.data)], each).records[0] for each in (add, add_past))
    live.check()
    assert_same_bits(live.lines, past.lines)


def test_bars_that_repeat_cost_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for name in ("update", "replace"):
        method = getattr(AtcStream, name)
        monkeypatch.setattr(AtcStream, name, lambda self, *args, n=name, m=method: (seen.append(n), m(self, *args))[1])
    (record,) = run(lambda s: [bt.ind.ATC(s.data1)], resampled).records
    assert seen == ["update"] * len(record.bars)


def test_all_bars_at_once_are_one_call_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(engine, "all_of_it", lambda *args: (calls.append(args), all_of_it(*args))[1])
    run(lambda s: [bt.ind.ATC(s.data, cutout=3)], one)
    assert len(calls) == 1


# ---------------------------------------------------------------- backtrader's own way of testing an indicator
class Checked(bt.Strategy):
    """Three bars of each line as texts of six decimals, and the minimum period."""

    params = (("indicator", None), ("values", ()), ("first", 1))

    def __init__(self) -> None:
        self.indicator = self.p.indicator(self.data)

    def nextstart(self) -> None:
        self.started = len(self)

    def stop(self) -> None:
        bars = len(self.indicator)
        assert self.started == self.p.first
        for line, texts in zip(self.indicator.lines, self.p.values, strict=False):
            for ago, text in zip((0, -bars + self.p.first, (-bars + self.p.first) // 2), texts, strict=True):
                assert f"{line[ago]:f}" == text


def run_permutations(first: int, values: list[list[str]]) -> int:
    """The permutations of `runtest` in backtrader's tests."""
    done = 0
    for preload, runonce, exactbars in itertools.product((True, False), (True, False), (-2, -1, False)):
        cerebro = bt.Cerebro(runonce=runonce, preload=preload, exactbars=exactbars)
        cerebro.adddata(feed(DAYS))
        cerebro.addstrategy(Checked, indicator=bt.ind.AdaptiveTrendClassification, first=first, values=values)
        cerebro.run()
        done += 1
    return done


def test_the_harness_of_backtrader() -> None:
    result = atc(CLOSE)
    points = [-1, 0, -1 + (1 - BARS) // 2]
    columns = (result.average, result.direction, *result.signals.values(), *result.weights.values())
    values = [[f"{column.iloc[at]:f}" for at in points] for column in columns]
    assert run_permutations(1, values) == 12
    with pytest.raises(AssertionError):
        run_permutations(2, values)
    with pytest.raises(AssertionError):
        run_permutations(1, [["0.123456"] * 3])


# ---------------------------------------------------------------- parameters, data and errors
def failing(make: Callable[[Any], Any], prices: pd.DataFrame = DAYS, **mode: Any) -> None:
    run(lambda s: [make(s)], of(prices), **mode)


def test_parameters_are_those_of_the_law() -> None:
    for indicator in (bt.ind.ATC, bt.ind.AdaptiveTrendClassification, bt.ind.ATCSignal):
        assert dict(indicator.params._getitems()) == {row.name: row.default for row in PARAMETERS}
    assert bt.ind.ATC.lines.getlinealiases() == LINES
    assert bt.ind.ATCSignal.lines.getlinealiases()[0] == "direction"


def test_parameters_are_checked_when_the_strategy_is_made() -> None:
    with pytest.raises(TypeError, match=r"no parameter 'ema_lenn'\. Did you mean 'ema_len'"):
        failing(lambda s: bt.ind.ATC(s.data, ema_lenn=21))
    with pytest.raises(ValueError, match="decay must be a finite number >= 0 and < 100; got 100"):
        failing(lambda s: bt.ind.ATC(s.data, decay=100))
    with pytest.raises(ValueError, match="ema_len must be at least 7"):
        failing(lambda s: bt.ind.ATC(s.data, ema_len=3))


def test_data_is_checked_when_the_strategy_is_made() -> None:
    with pytest.raises(TypeError, match="source must be a data feed, an indicator or a line; got 'high'"):
        failing(lambda s: bt.ind.ATC(s.data, source="high"))
    with pytest.raises(TypeError, match="at most one source of its averages; got 3 datas"):
        failing(lambda s: bt.ind.ATC(s.data, s.data.low, source=s.data.high))
    with pytest.raises(TypeError, match="positional"):
        failing(lambda s: bt.ind.ATC(s.data, 21))


@pytest.mark.parametrize("mode", ["runonce", "next"])
@pytest.mark.parametrize(
    ("column", "value", "make", "bar"),
    [
        ("close", 0.0, lambda s: bt.ind.ATC(s.data), 21),
        ("close", np.inf, lambda s: bt.ind.ATC(s.data), 21),
        ("low", -np.inf, lambda s: bt.ind.ATC(s.data, s.data.low), 21),
        ("close", 0.0, lambda s: bt.ind.ATC(s.data.close(-1), cutout=9), 22),
    ],
)
def test_prices_without_a_meaning_are_an_error(
    mode: str, column: str, value: float, make: Callable[..., Any], bar: int
) -> None:
    prices = DAYS.copy()
    prices.iloc[20, prices.columns.get_loc(column)] = value
    with pytest.raises(ValueError, match=f"at bar {bar} of its data the price is zero, or price or source is infinite"):
        failing(make, prices, **MODES[mode])


@pytest.mark.parametrize("mode", ["runonce", "next"])
def test_atc_is_zero_at_first_and_so_no_price(mode: str) -> None:
    with pytest.raises(ValueError, match=r"at bar 1 of its data the price is zero.*ATC\(prices, source=line\)"):
        failing(lambda s: bt.ind.ATC(bt.ind.ATC(s.data)), **MODES[mode])


def test_a_source_that_has_fewer_bars() -> None:
    with pytest.raises(ValueError, match=f"has {BARS // 2} bars where the prices have {BARS}; couple it"):
        run(lambda s: [bt.ind.ATC(s.data0, source=s.data1)], two)


# ---------------------------------------------------------------- subclasses
class Doubled(ours.ATC):  # type: ignore[misc, valid-type]
    """Changes what happens at a bar."""

    lines = ("doubled",)

    def next(self) -> None:
        super().next()
        self.lines.doubled[0] = 2 * self.lines.average[0]


class Tripled(ours.ATC):  # type: ignore[misc, valid-type]
    """Changes that, and what happens to all bars at once."""

    lines = ("tripled",)

    def next(self) -> None:
        super().next()
        self.lines.tripled[0] = 3 * self.lines.average[0]

    def once(self, start: int, end: int) -> None:
        super().once(start, end)
        for bar in range(self._minperiod - 1, self.buflen()):
            self.lines.tripled.array[bar] = 3 * self.lines.average.array[bar]


@pytest.mark.parametrize("mode", ["runonce", "next"])
def test_subclasses_are_heard_in_every_mode(mode: str) -> None:
    doubled, tripled = run(lambda s: [Doubled(s.data, cutout=2), Tripled(s.data)], one, **MODES[mode]).records
    assert_same_bits(doubled.lines[:, 14], 2 * doubled.lines[:, 0])
    assert_same_bits(tripled.lines[:, 14], 3 * tripled.lines[:, 0])
    for record in (doubled, tripled):
        record.check()


def test_a_subclass_that_does_both_leaves_the_run_as_it_was() -> None:
    assert run(lambda s: [Tripled(s.data)], one).cerebro._dorunonce
    assert not run(lambda s: [Doubled(s.data)], one).cerebro._dorunonce


# ---------------------------------------------------------------- signals, optimization, pickles
def follow(cls: Any, **keywords: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed(DAYS))
    cerebro.add_signal(bt.SIGNAL_LONGSHORT, cls, **keywords)
    cerebro.addanalyzer(bt.analyzers.Transactions, _name="orders")
    return cerebro.run()[0]


@pytest.mark.parametrize("mode", ["sma", "hull"])
def test_a_signal_strategy_trades_the_turns(mode: str) -> None:
    orders = follow(ours.ATCSignal, hma_mode=mode).analyzers.orders.get_analysis()
    result = atc(CLOSE, hma_mode=mode)
    turns = np.flatnonzero(result.entries | result.exits)
    assert [when.date() for when in orders] == [CLOSE.index[turn + 1].date() for turn in turns if turn + 1 < BARS]


class Optimized(bt.Strategy):
    params = (("ema_len", 28), ("cutout", 0))

    def __init__(self) -> None:
        self.atc = bt.ind.ATC(self.data, ema_len=self.p.ema_len, cutout=self.p.cutout)

    def stop(self) -> None:
        self.last = [line[0] for line in self.atc.lines]


@pytest.mark.parametrize("runonce", [True, False])
def test_optstrategy_in_two_workers(runonce: bool) -> None:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2, optreturn=False, runonce=runonce)
    cerebro.adddata(feed(DAYS))
    cerebro.optstrategy(Optimized, ema_len=[9, 21], cutout=[0, 5])
    strategies = [strategy for (strategy,) in cerebro.run()]
    assert [(s.p.ema_len, s.p.cutout) for s in strategies] == [(9, 0), (9, 5), (21, 0), (21, 5)]
    for strategy in strategies:  # they came back with their indicators
        result = atc(CLOSE, ema_len=strategy.p.ema_len, cutout=strategy.p.cutout)
        assert_same_bits(np.array(strategy.atc.average.array), result.average.to_numpy())
        assert_same_bits(np.array(strategy.atc.lines.kama_weight.array), result.weights["KAMA"].to_numpy())


def test_workers_of_optstrategy_share_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {length: atc(CLOSE, ema_len=length, cache=False) for length in (9, 21)}
    expected = {length: (result.average, result.weights["KAMA"]) for length, result in results.items()}
    warm(CLOSE, ParamGrid(ema_len=[9, 21]), freq="1D")

    def computing(*_: object) -> None:
        raise AssertionError("it was warmed")

    for name in ("all_of_it", "layers", "verdict", "resumable"):  # workers are forked, and inherit this
        monkeypatch.setattr(engine, name, computing)
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2, optreturn=False)
    cerebro.adddata(feed(DAYS))
    cerebro.optstrategy(Optimized, ema_len=[9, 21])
    for (strategy,) in cerebro.run():
        for line, values in zip(("average", "kama_weight"), expected[strategy.p.ema_len], strict=True):
            assert_same_bits(np.array(getattr(strategy.atc.lines, line).array), values.to_numpy())


@pytest.mark.parametrize("change", [{}, {"cutout": 7, "strategy_mode": True}, {"hma_mode": "hull"}])
def test_lines_out_of_the_store_are_those_of_computing(change: dict[str, Any]) -> None:
    (computed,) = run(lambda s: [bt.ind.ATC(s.data, **change)], one).records
    warm(CLOSE, ParamGrid.points([change]), freq="1D")
    for _ in range(2):
        (found,) = run(lambda s: [bt.ind.ATC(s.data, **change)], one).records
        assert found.said.keys() == computed.said.keys()
        assert_same_bits(np.array(list(found.said.values())), np.array(list(computed.said.values())))
    assert {row.level for row in cache.stats().rows if row.kind == "result" and row.hits} >= {"components"}


def test_optstrategy_returns_what_it_should() -> None:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2)
    cerebro.adddata(feed(DAYS))
    cerebro.addanalyzer(bt.analyzers.Returns, _name="returns")
    cerebro.optstrategy(Optimized, ema_len=[9, 21])
    assert [returned.params.ema_len for (returned,) in cerebro.run()] == [9, 21]


@pytest.mark.parametrize("mode", ["runonce", "next"])
def test_pickles(mode: str) -> None:
    cerebro = bt.Cerebro(stdstats=False, **MODES[mode])
    cerebro.adddata(feed(DAYS))
    cerebro.addstrategy(Optimized)
    (strategy,) = cerebro.run()
    again = pickle.loads(pickle.dumps(strategy.atc))
    assert_same_bits(np.array(again.lines.average.array), atc(CLOSE).average.to_numpy())
    assert again.p.ema_len == 28


# ---------------------------------------------------------------- plots
def axes_of(make: Callable[[Any], list[Any]], path: Path) -> list[Any]:
    """The panels of a plot, drawn to a PNG."""
    import backtrader.plot  # noqa: F401  (it chooses a backend of its own)
    import matplotlib as mpl

    mpl.use("Agg")
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed(DAYS))
    cerebro.addstrategy(Recorder, make=make)
    cerebro.run()
    ((figure,),) = cerebro.plot(iplot=False)
    figure.savefig(path)
    return figure.axes


@pytest.mark.filterwarnings("ignore::DeprecationWarning:backtrader.*", "ignore::DeprecationWarning:matplotlib.*")
def test_plots(tmp_path: Path) -> None:
    def make(strategy: Any) -> list[Any]:
        told = bt.ind.ATC(strategy.data, ema_len=21, cutout=3, long_threshold=0.2)
        signals = bt.ind.ATC(strategy.data)
        signals.plotlines.ema_signal._plotskip = False
        return [told, signals, bt.ind.ATCSignal(strategy.data)]

    path = tmp_path / "plot.png"
    panels = axes_of(make, path)[-3:]
    assert path.read_bytes()[1:4] == b"PNG"
    told, signals, signal = (
        [text.get_text() for text in panel.get_legend().get_texts()] if panel.get_legend() else [] for panel in panels
    )
    assert told[0].startswith("ATC (21-28-28-28-28-28, cutout=3, long_threshold=0.2)\naverage")
    assert len(told) == 2
    assert signals[0].startswith("ATC (28)")
    assert [text.split()[0] for text in signals[1:]] == ["direction", "ema_signal"]
    assert len(signal) == 2
    levels = {float(line.get_ydata()[0]) for line in panels[0].get_lines() if len(line.get_ydata()) == 2}
    assert {-0.1, 0.2} <= levels
    assert [tick.get_text() for tick in panels[0].get_yticklabels()] == ["−1", "0", "1"]


# ---------------------------------------------------------------- registration
def test_importing_registers() -> None:
    import backtrader.indicators as native
    from backtrader.indicators import ATC

    assert ATC is ours.ATC is bt.ind.ATC is native.ATC
    assert issubclass(ATC, ours.AdaptiveTrendClassification)
    assert bt.ind.AdaptiveTrendClassification is ours.AdaptiveTrendClassification
    assert bt.ind.ATCSignal is ours.ATCSignal
    assert "AdaptiveTrendClassification" in bt.Indicator._indcol
    assert "_Atc" not in bt.Indicator._indcol


def test_registering_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["bt.indicators.ATC", "bt.indicators.ATCSignal", "bt.indicators.AdaptiveTrendClassification"]
    assert ours.register() == names
    monkeypatch.delattr(bt.indicators, "ATC")
    assert ours.register() == names
    assert bt.ind.ATC is ours.ATC


def test_a_taken_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bt.indicators, "ATC", bt.ind.EMA)
    monkeypatch.delattr(bt.indicators, "ATCSignal")
    with pytest.raises(RuntimeError, match=r"bt\.indicators\.ATC is taken"):
        ours.register()
    assert bt.indicators.ATC is bt.ind.EMA
    assert not hasattr(bt.indicators, "ATCSignal")
    monkeypatch.setattr(bt.indicators, "ATCSignal", ours.ATCSignal, raising=False)


def test_without_backtrader_the_import_names_what_is_missing() -> None:
    code = "import sys; sys.modules['backtrader'] = None; import atc_plugin.indicators.backtrader"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'the backtrader indicator needs backtrader: pip install "atc_plugin[backtrader]"' in done.stderr
