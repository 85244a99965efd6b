"""The vectorbt indicator: every route gives the bits of `atc` one at a time, and behaves as natives do."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vectorbt as vbt
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

from atc_plugin import AtcParams, atc
from atc_plugin.indicators.vectorbt import ATC
from atc_plugin.indicators.vectorbt_plots import _strokes
from atc_plugin.indicators.zipped import LIGHT, OUTPUTS, SIGNALS, WEIGHTS, ComponentCache
from atc_plugin.params import PARAMETERS, TYPES

N = 160
RNG = np.random.default_rng(7)
DATES = pd.date_range("2020-01-01", periods=N, freq="D", name="day")
VALUES = np.round(100 * np.exp(np.cumsum(RNG.normal(0, 0.02, (N, 3)), axis=0)), 2)
FRAME = pd.DataFrame(VALUES, index=DATES, columns=pd.Index(["A", "B", "C"], name="symbol"))
LEVELS = pd.MultiIndex.from_tuples([("x", "A"), ("x", "B"), ("y", "C")], names=["group", "symbol"])


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """Listed late, a hole, delisted early."""
    frame = frame.copy()
    frame.iloc[:40, 0] = np.nan
    frame.iloc[70:75, 1] = np.nan
    frame.iloc[-20:, 2] = np.nan
    return frame


CLOSES = {
    "Series": FRAME["A"],
    "frame of 3": FRAME,
    "MultiIndex columns": FRAME.set_axis(LEVELS, axis=1),
    "NaN gaps": with_gaps(FRAME),
}
VARIED: dict[str, list[Any]] = {
    "ema_len": [10, 28, 10],
    "robustness": ["Narrow", "Wide", "Narrow"],
    "decay": [0.03, 0.05, 0.03],
    "strategy_mode": [False, True, False],
}


def expected(close: Any, params: dict[str, Any]) -> dict[str, np.ndarray]:
    """Outputs of one configuration by `atc`, (bars, columns)."""
    result = atc(close, params=params)
    outputs = {name: getattr(result, name) for name in LIGHT}
    for type_ in TYPES:
        outputs[f"{type_.lower()}_signal"] = result.signals[type_]
        outputs[f"{type_.lower()}_weight"] = result.weights[type_]
    return {name: np.asarray(values).reshape(len(close), -1) for name, values in outputs.items()}


def assert_is(indicator: Any, close: Any, combinations: list[dict[str, Any]], outputs: tuple[str, ...] = LIGHT) -> None:
    """Whether an indicator has these combinations, in this order, symbols innermost, to the bit."""
    columns = 1 if close.ndim == 1 else close.shape[1]
    assert indicator.wrapper.shape_2d == (len(close), columns * len(combinations))
    for k, params in enumerate(combinations):
        right = expected(close, params)
        for name in outputs:
            got = np.asarray(getattr(indicator, name)).reshape(len(close), -1)
            assert_same_bits(got[:, k * columns : (k + 1) * columns], right[name])


def zipped(varied: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(varied, row, strict=True)) for row in zip(*varied.values(), strict=True)]


def by_run(close: Any, **more: Any) -> None:
    assert_is(ATC.run(close, **VARIED, **more), close, zipped(VARIED))
    assert_is(ATC.run(close, cutout=[9, 9], **more), close, [{"cutout": 9}] * 2)


def by_product(close: Any) -> None:
    axes = {"ema_len": [10, 28], "cutout": [0, 5], "hma_mode": ["sma", "hull"]}  # vectorbt: in the order of parameters
    product = [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())]
    indicator = ATC.run(close, **dict(reversed(axes.items())), param_product=True)
    assert_is(indicator, close, product)
    levels = indicator.average.columns
    assert levels.names[:3] == ["atc_ema_len", "atc_cutout", "atc_hma_mode"]
    assert levels[0][:3] == (10, 0, "sma")
    assert levels.names[3:] == ([] if close.ndim == 1 else list(close.columns.names))


def by_combs(close: Any) -> None:
    lengths = [10, 20, 30]
    fast, slow = ATC.run_combs(close, ema_len=lengths)
    pairs = list(itertools.combinations(lengths, 2))
    assert_is(fast, close, [{"ema_len": pair[0]} for pair in pairs])
    assert_is(slow, close, [{"ema_len": pair[1]} for pair in pairs])
    assert fast.average.columns.names[0] == "atc_1_ema_len"


def by_column(close: Any) -> None:
    frame = close.to_frame() if close.ndim == 1 else close
    lengths = [10, 28, 10][: frame.shape[1]]
    indicator = ATC.run(close, ema_len=lengths, per_column=True)
    for c, length in enumerate(lengths):
        got = np.asarray(indicator.average).reshape(N, -1)[:, c]
        assert_same_bits(got, atc(frame.iloc[:, c], ema_len=length).average)


def by_cache(close: Any) -> None:
    cache = ATC.run(close, **VARIED, return_cache=True)
    assert isinstance(cache, ComponentCache)
    before = len(cache)
    assert_is(ATC.run(close, **VARIED, use_cache=cache), close, zipped(VARIED))
    assert len(cache) == before
    by_run(close, use_cache=cache)
    other = {"ema_len": [28, 12]}  # one that is there, one that is not
    assert_is(ATC.run(close, **other, use_cache=cache), close, zipped(other))
    assert len(cache) > before


ROUTES: dict[str, Callable[[Any], None]] = {
    "run": by_run,
    "run_combs": by_combs,
    "param_product": by_product,
    "per_column": by_column,
    "keep_pd": lambda close: by_run(close, keep_pd=True),
    "to_2d=False": lambda close: by_run(close, to_2d=False),
    "run_unique": lambda close: by_run(close, run_unique=True),
    "use_cache": by_cache,
}


# ---------------------------------------------------------------- all routes, to the bit
@pytest.mark.parametrize("prices", CLOSES)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_gives_the_bits_of_atc(route: str, prices: str) -> None:
    if route == "keep_pd" and DISABLE_JIT:
        pytest.skip("vectorbt takes any function for a compiled one then, which gets no pandas")
    ROUTES[route](CLOSES[prices])


@pytest.mark.parametrize("prices", CLOSES)
def test_all_outputs(prices: str) -> None:
    lists = {**VARIED, "cutout": [12, 0, 400]}  # the one that is delayed starts at the first bar
    assert_is(ATC.run(CLOSES[prices], **lists, outputs="all"), CLOSES[prices], zipped(lists), OUTPUTS)


def test_a_column_without_bars_and_one_with_a_single_one() -> None:
    frame = FRAME.copy()
    frame["B"] = np.nan
    frame.loc[DATES[1:], "C"] = np.nan
    assert_is(ATC.run(frame, ema_len=[10, 20], outputs="all"), frame, [{"ema_len": 10}, {"ema_len": 20}], OUTPUTS)
    assert_is(ATC.run(frame), frame, [{}])


def test_all_outputs_where_equities_overflow() -> None:
    close = pd.Series(10.0 ** (250 * np.sin(np.arange(N) / 9)))
    lists = {"ema_len": [10, 28], "strategy_mode": [True, False]}
    assert_is(ATC.run(close, **lists, outputs="all"), close, zipped(lists), OUTPUTS)


def test_every_parameter_reaches_its_place() -> None:
    other = {"robustness": "Wide", "hma_mode": "hull", "strategy_mode": True, "long_threshold": 0.3, "lambda_": 0.4}
    for row in PARAMETERS:
        value = other.get(
            row.name, row.default * 1.5 if row.kind is float else row.default + 7 if not row.choices else 0
        )
        assert_is(ATC.run(FRAME, **{row.name: value}), FRAME, [{row.name: value}])


def test_a_source_of_its_own() -> None:
    source = FRAME.rolling(3).mean()
    indicator = ATC.run(FRAME, source, ema_len=[10, 20])
    for k, length in enumerate((10, 20)):
        assert_same_bits(indicator.average[length], atc(FRAME, source, ema_len=length).average, f"{k}")
    assert_same_bits(indicator.source, pd.concat([source] * 2, axis=1))
    assert_same_bits(ATC.run(FRAME, "close").average, ATC.run(FRAME).average)
    one = ATC.run(FRAME, source["A"]).average  # vectorbt spreads it over the columns
    assert_same_bits(one["B"], atc(FRAME["B"], source["A"]).average)


def test_arrays_and_many_columns() -> None:
    wide = np.tile(VALUES, 3)
    assert_same_bits(ATC.run(wide, ema_len=[10, 20]).average.to_numpy()[:, 9:], atc(wide, ema_len=20).average)
    assert_same_bits(ATC.run(VALUES[:, 0]).average, atc(VALUES[:, 0]).average)


# ---------------------------------------------------------------- values and names
@pytest.mark.parametrize(
    "values",
    [[10, 20], (10, 20), range(10, 30, 10), np.array([10, 20]), pd.Index([10, 20]), pd.Series([10, 20], [5, 6])],
    ids=lambda values: type(values).__name__,
)
def test_value_lists(values: Any) -> None:
    assert ATC.run(FRAME["A"], ema_len=values).average.columns.tolist() == [10, 20]
    assert ATC.run_combs(FRAME["A"], ema_len=values)[0].average.shape == (N,)


def test_columns_and_levels_are_those_of_natives() -> None:
    defaults = {row.name: row.default for row in PARAMETERS}
    native = vbt.IndicatorFactory("Native", input_names=["close"], param_names=list(defaults), output_names=["out"])
    native = native.from_apply_func(lambda close, *params: close, **defaults)
    for asked in ({"hide_default": False, "short_name": "mine"}, {"decay": 0.03}, {"hide_params": ["decay"]}):
        lists = {"ema_len": [10, 20], **asked}
        theirs = native.run(FRAME, **({"short_name": "atc"} | lists)).out.columns
        ours = ATC.run(FRAME, **lists).average.columns
        assert ours.names == theirs.names
        assert ours.equals(theirs)
    assert ATC.run(FRAME).average.columns.equals(FRAME.columns)
    assert ATC.run(FRAME["A"]).average.name == "A"


def test_hidden_parameters() -> None:
    hide = ["robustness"]
    indicator = ATC.run(FRAME, ema_len=[10, 20], robustness=["Narrow", "Wide"], hide_params=hide)
    assert indicator.average.columns.names == ["atc_ema_len", "symbol"]
    ATC.run_combs(FRAME, ema_len=[10, 20, 30], robustness="Wide", hide_params=hide)
    assert hide == ["robustness"]
    assert ATC.run_combs(FRAME["A"], ema_len=[10, 20, 30])[0].average.columns.names == ["atc_1_ema_len"]
    with pytest.raises(ValueError, match=r"hides all that tells columns apart \(ema_len\)"):
        ATC.run(FRAME, ema_len=[10, 20], hide_params=["ema_len"])
    assert ATC.run(FRAME, ema_len=10, hide_params=["ema_len"]).average.columns.equals(FRAME.columns)


def test_the_signature_shows_all_there_is() -> None:
    parameters = inspect.signature(ATC.run).parameters
    assert list(parameters)[:2] == ["close", "source"]
    assert [name for name in parameters if name in AtcParams.__dataclass_fields__] == [row.name for row in PARAMETERS]
    assert {"outputs", "engine", "hide_params"} <= set(parameters)
    assert {"r", "short_names"} <= set(inspect.signature(ATC.run_combs).parameters)
    for row in PARAMETERS:
        assert f"{row.name}: {row.meaning}" in (ATC.run.__doc__ or "")


def test_params_and_indexers() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20], decay=[0.01, 0.05])
    assert indicator.params((20, 0.05, "B")) == AtcParams(ema_len=20, decay=0.05)
    assert indicator.ema_len_loc[20].average.shape == (N, 3)
    assert indicator[10].params((0.01, "A")).ema_len == 10
    assert indicator.ema_len_list == [10, 20]


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"ema_lenght": 3}, TypeError, "no argument 'ema_lenght'. Did you mean 'ema_len'"),
        ({"output": "all"}, TypeError, "Did you mean 'outputs'"),
        ({"source": 20}, TypeError, "ema_len=20"),
        ({"ema_len": [10, 3]}, ValueError, "ema_len must be at least 7 with robustness='Medium'"),
        ({"ema_len": [10, 10.5]}, ValueError, "ema_len must be a whole number"),
        ({"ema_len": {10, 20}}, TypeError, "ema_len must be a whole number"),
        ({"robustness": ["Wide", "wide"]}, ValueError, "Did you mean 'Wide'"),
        ({"long_threshold": [0.1, -0.5]}, ValueError, "short_threshold must not lie above"),
        ({"outputs": "averages"}, ValueError, "Did you mean 'average'"),
        ({"engine": "rust"}, ValueError, "no Rust engine"),
        ({"engine": "gpu"}, ValueError, "sweep"),
        ({"engine": "warp"}, ValueError, "no engine 'warp'"),
        ({"ema_len": [10, 20], "use_cache": {}}, TypeError, "return_cache=True"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ATC.run(FRAME, **arguments)
    if "source" not in arguments:
        with pytest.raises(error, match=words):
            ATC.run_combs(FRAME, **arguments)


def test_bad_prices_are_named() -> None:
    zero = FRAME.copy()
    zero.iloc[5, 1] = 0
    with pytest.raises(ValueError, match=r"column 'B' is zero at bar 5 \(2020-01-06\)"):
        ATC.run(zero)
    with pytest.raises(ValueError, match="goes back in the index"):
        ATC.run(FRAME[::-1])
    with pytest.raises(ValueError, match="column 1 is zero at bar 5"):
        ATC.run(zero.to_numpy())


@pytest.mark.parametrize("engine", [None, "auto", "cpu", "numba"])
def test_engines(engine: str | None) -> None:
    assert_same_bits(ATC.run(FRAME, engine=engine).average, atc(FRAME).average)


def test_the_engine_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for others in ("gpu", "loky"):
        monkeypatch.setenv("ATC_BACKEND", others)
        ATC.run(FRAME)
    monkeypatch.setenv("ATC_BACKEND", "rust")
    with pytest.raises(ValueError, match="ATC_BACKEND 'rust' cannot compute"):
        ATC.run(FRAME)


def test_more_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atc_plugin.indicators.zipped.available_memory", lambda: 1000)
    monkeypatch.setattr("atc_plugin.indicators.zipped._MUCH", 1000)
    with pytest.raises(MemoryError, match=r"atc_plugin\.sweep"):
        ATC.run(FRAME, ema_len=[10, 20])


# ---------------------------------------------------------------- outputs that were not asked for
def test_what_was_not_computed_says_how_to_get_it() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20], outputs="average")
    for name in OUTPUTS[1:]:
        assert getattr(indicator, f"_{name}").strides == (0, 0)
        with pytest.raises(ValueError, match=rf"outputs=\[.*'{name}'\]"):
            getattr(indicator, name)
    with pytest.raises(ValueError, match="ema_weight was not computed"):
        indicator.ema_weight_above(1)
    assert_same_bits(indicator.average[20], atc(FRAME, ema_len=20).average)


def test_placeholders_stay_small() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20, 10], run_unique=True)
    combs = ATC.run_combs(FRAME, ema_len=[10, 20, 30])[0]
    raw = ATC.run(FRAME, ema_len=[10, 20, 30], return_raw=True)
    rerun = ATC.run(FRAME, ema_len=[30, 10], use_raw=raw)
    loaded = ATC.loads(indicator.dumps())
    for one in (indicator, combs, rerun, loaded, indicator.iloc[20:50], indicator[10], indicator.loc["2020-02"]):
        for name in (*SIGNALS, *WEIGHTS):
            assert getattr(one, f"_{name}").strides == (0, 0)
            with pytest.raises(ValueError, match="was not computed"):
                getattr(one, name)
    assert_same_bits(rerun.average[30], atc(FRAME, ema_len=30).average)
    placeholder = indicator._ema_signal
    assert pickle.loads(pickle.dumps(placeholder)).shape == placeholder.shape
    assert len(pickle.dumps(placeholder)) < 500
    assert placeholder[20:, [0, 2]].shape == (N - 20, 2)
    assert placeholder[20:, [0, 2]].strides == copy.deepcopy(placeholder).strides == (0, 0)


def test_only_the_outputs_of_one_type() -> None:
    indicator = ATC.run(FRAME, outputs=["kama_signal", "ema_weight"])
    result = atc(FRAME)
    assert_same_bits(indicator.kama_signal, result.signals["KAMA"])
    assert_same_bits(indicator.ema_weight, result.weights["EMA"])
    assert_same_bits(ATC.run(FRAME, outputs="exits").exits, result.exits)


# ---------------------------------------------------------------- what natives can do
def test_rows_of_an_indicator_are_rows_of_its_outputs() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20])
    part = indicator.iloc[60:100]
    for name in LIGHT:
        assert_same_bits(getattr(part, name), getattr(indicator, name).iloc[60:100])


def test_per_column_with_raw_and_repeated_parameters() -> None:
    raw = ATC.run(FRAME, ema_len=[10, 20, 10], per_column=True, return_raw=True)
    again = ATC.run(FRAME, ema_len=[10, 20, 10], per_column=True, use_raw=raw)
    assert_same_bits(again.average.to_numpy()[:, 2], atc(FRAME["C"], ema_len=10).average)
    fast, slow = ATC.run_combs(FRAME, ema_len=[10, 20, 30], per_column=True, comb_func=lambda rows, r: [list(rows)[:r]])
    assert_same_bits(fast.average.to_numpy(), atc(FRAME, ema_len=10).average)
    assert_same_bits(slow.average.to_numpy(), atc(FRAME, ema_len=20).average)


def test_caches_of_columns() -> None:
    caches = ATC.run(FRAME, ema_len=[10, 20, 10], per_column=True, return_cache=True)
    again = ATC.run(FRAME, ema_len=[10, 20, 10], per_column=True, use_cache=caches)
    assert_same_bits(again.average.to_numpy()[:, 2], atc(FRAME["C"], ema_len=10).average)
    other = ATC.run(FRAME * 2, ema_len=10, use_cache=caches[0])  # of other prices: nothing in it fits
    assert_same_bits(other.average[10], atc(FRAME * 2, ema_len=10).average)
    assert "2 columns" not in repr(caches[0])


def test_methods_by_type_of_output() -> None:
    fast, slow = ATC.run_combs(FRAME, ema_len=[10, 40], outputs="all")
    assert fast.average_crossed_above(slow).shape == (N, 3)
    np.testing.assert_array_equal(fast.average_above(0.1), fast.average > 0.1)
    np.testing.assert_array_equal(fast.entries_and(slow.entries), fast.entries.to_numpy() & slow.entries.to_numpy())
    assert fast.ema_signal_below([0.1, 0.2]).shape == (N, 6)
    readable = ATC.run(with_gaps(FRAME)).direction_readable
    assert set(readable["B"].dropna()) <= {"Short", "Neutral", "Long"}
    assert readable["B"].isna().sum() == 5
    assert fast.average_stats(column=(10, "A"))["Mean"] == pytest.approx(fast.average[10, "A"].mean())


def test_stats() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20])
    stats = indicator.stats(column=(20, "C"))
    direction = atc(FRAME["C"], ema_len=20).direction
    assert stats["Entries"] == atc(FRAME["C"], ema_len=20).entries.sum()
    assert stats["Long [%]"] == pytest.approx((direction == 1).mean() * 100)
    assert stats["Last Direction"] == direction.iloc[-1]
    assert stats["Period"] == pd.Timedelta(days=N)
    assert indicator.stats(agg_func=None).shape == (6, 10)


def test_dumps_and_loads() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20], outputs="all")
    loaded = ATC.loads(indicator.dumps())
    for name in OUTPUTS:
        assert_same_bits(getattr(loaded, name), getattr(indicator, name))
    assert loaded.params((20, "A")) == indicator.params((20, "A"))
    assert loaded.average.columns.equals(indicator.average.columns)


@pytest.mark.skipif(DISABLE_JIT, reason="vectorbt compiles its simulation")
def test_a_portfolio_is_the_sweep_s() -> None:
    from atc_plugin import ParamGrid, sweep

    indicator = ATC.run(FRAME, ema_len=[10, 20])
    portfolio = vbt.Portfolio.from_signals(
        FRAME, indicator.entries, short_entries=indicator.exits, fees=0.001, freq="1D"
    )
    swept = sweep(FRAME, ParamGrid(ema_len=[10, 20]), metrics="total_return", fees=0.001, cache=False)
    ours = swept.frame.pivot(index="ema_len", columns="symbol", values="total_return").to_numpy().ravel()
    np.testing.assert_allclose(portfolio.total_return().to_numpy(), ours, rtol=1e-9)


# ---------------------------------------------------------------- plots
def test_plot() -> None:
    indicator = ATC.run(FRAME, ema_len=[10, 20], outputs="all")
    figure = indicator.plot(column=(10, "B"), title="mine", entry_trace_kwargs={"name": "in"})
    one = indicator[10, "B"]
    named = {trace.name: trace for trace in figure.data}
    assert figure.layout.title.text == "mine"
    assert len(named["in"].x) == one.entries.sum()
    assert list(named["Exit"].y) == one.close[one.exits].tolist()
    drawn = [trace for trace in figure.data if trace.yaxis == "y2" and trace.name != "Threshold"]
    bars = set(itertools.chain.from_iterable(trace.x for trace in drawn))
    assert len(bars) == N
    for trace in drawn:
        level = {"Long": 1, "Short": -1, "Neutral": 0}[trace.name]
        values = dict(zip(trace.x, trace.y, strict=True))
        for day in one.direction.index[one.direction == level]:
            assert day.to_datetime64() in {np.datetime64(x) for x in values}
    levels = sorted(trace.y[0] for trace in figure.data if trace.name == "Threshold")
    assert levels == [-0.1, 0.1]
    assert indicator[20, "A"].plots().data
    assert len(indicator.plot_weights(column=(10, "A"), share=False).data) == 6


def test_a_line_changes_its_colour_where_the_direction_turned() -> None:
    assert list(_strokes(np.array([True, True, False, True]))) == [0, 1, 2, -1, 3, -1]
    indicator = ATC.run(FRAME["A"])
    (long,) = (trace for trace in indicator.plot_average().data if trace.name == "Long")
    there = (indicator.direction == 1).to_numpy()
    lifted = np.isnan(np.asarray(long.y, float))
    assert lifted.sum() == indicator.entries.sum()
    at = [N - 1 if at == -1 else at for at in _strokes(there)]
    np.testing.assert_array_equal(np.asarray(long.y)[~lifted], indicator.average.to_numpy()[at][~lifted])


def test_plot_into_a_figure() -> None:
    indicator = ATC.run(FRAME["A"], outputs="average")
    figure = vbt.make_subplots(rows=3, cols=1)
    assert indicator.plot(fig=figure) is figure
    assert {trace.name for trace in figure.data} == {"Neutral", "Threshold"}
    with pytest.raises(ValueError, match="two rows"):
        indicator.plot(fig=vbt.make_figure())
    with pytest.raises(ValueError, match="ema_weight was not computed"):
        indicator.plot_weights()


def test_plot_leaves_gaps_out() -> None:
    figure = ATC.run(with_gaps(FRAME)["B"]).plot_price()
    days = {x for trace in figure.data for x in trace.x}
    assert np.datetime64(DATES[72]) not in {np.datetime64(day) for day in days}
