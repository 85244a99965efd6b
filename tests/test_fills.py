"""Orders and metrics of one combination against vectorbt's numba engine, to the bit, and the rare words of the law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import vectorbt as vbt
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from price_strategies import prices
from same_bits import assert_same_bits

from atc_plugin.law import fills, metrics
from atc_plugin.law.accumulators import judge
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY

EXAMPLES = 5 if DISABLE_JIT else 120
COLUMNS = 2 if DISABLE_JIT else 6
YEAR = pd.Timedelta("365 days")
Turns = tuple[np.ndarray, np.ndarray]


def portfolio(close: np.ndarray, up: np.ndarray, down: np.ndarray, mode: int, **kwargs) -> vbt.Portfolio:
    signals = {
        BOTH: {"entries": up, "short_entries": down},
        LONG_ONLY: {"entries": up, "exits": down, "direction": "longonly"},
        SHORT_ONLY: {"entries": down, "exits": up, "direction": "shortonly"},
    }
    up, down = np.ascontiguousarray(up), np.ascontiguousarray(down)  # another layout is another compilation
    frame = pd.DataFrame(np.broadcast_to(close[:, None], up.shape).copy())
    return vbt.Portfolio.from_signals(frame, **signals[mode], engine="numba", **kwargs)


def metrics_of_portfolio(pf: vbt.Portfolio) -> dict[str, np.ndarray]:
    theirs = {
        **{name: getattr(pf, name)() for name in metrics.METRICS[:6]},
        "total_trades": pf.trades.count(),
        "win_rate": pf.trades.win_rate(),
        "profit_factor": pf.trades.profit_factor(),
        "exposure": pf.position_coverage(),
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in theirs.items()}


def assert_as_vectorbt(
    close: np.ndarray, up: np.ndarray, down: np.ndarray, mode: int, fees: float, slippage: float, freq: str = "1D"
) -> None:
    """`up` and `down` are (n, columns); orders and metrics of every column, or vectorbt raises where we say so."""
    judged = [
        judge(close, np.ascontiguousarray(u), np.ascontiguousarray(d), mode, fees, slippage, 100.0)
        for u, d in zip(up.T, down.T, strict=True)
    ]
    sound = np.array([not np.isnan(values[metrics.RETURNS]) for _, values in judged])
    costs = {"fees": fees, "slippage": slippage, "freq": freq, "init_cash": 100.0}
    for k in np.flatnonzero(~sound):
        assert all(np.isnan(values) for values in metrics.metrics_of(judged[k][1], close.size, 365.0).values())
        with pytest.raises(ValueError, match=r"must be finite|must be greater|infinitely|cannot be NaN"):
            portfolio(close, up[:, [k]], down[:, [k]], mode, **costs)
    if not sound.any():
        return
    pf = portfolio(close, up[:, sound], down[:, sound], mode, **costs)
    records = pf.orders.records
    for column, k in enumerate(np.flatnonzero(sound)):
        theirs, ours = records[records["col"] == column], judged[k][0]
        assert_same_bits(ours.bar, theirs["idx"], "bar")
        assert_same_bits(ours.size, theirs["size"], "size")
        assert_same_bits(ours.price, theirs["price"], "price")
        assert_same_bits(ours.fee, theirs["fees"], "fee")
        assert_same_bits(ours.side, 1.0 - 2.0 * theirs["side"], "side")
    accumulators = np.array([values for _, values in judged])[sound]
    ours = metrics.metrics_of(accumulators, close.size, YEAR / pd.Timedelta(freq))
    for name, values in metrics_of_portfolio(pf).items():
        if DISABLE_JIT:  # numpy sums in another order than numba
            np.testing.assert_allclose(ours[name], values, rtol=1e-9, err_msg=name)
        else:
            assert_same_bits(ours[name], values, name)


# ---------------------------------------------------------------- random turns
def turns(rng: np.random.Generator, n: int, kind: str) -> Turns:
    up, down = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    if kind == "anything":  # both at once, repeated, on the first and the last bar
        often = rng.choice([0.02, 0.3])
        return rng.random(n) < often, rng.random(n) < often
    if kind == "alternating":
        bars = np.flatnonzero(rng.random(n) < rng.choice([0.01, 0.2, 0.9]))
        first = rng.integers(0, 2)
        up[bars[first::2]] = True
        down[bars[1 - first :: 2]] = True
    elif kind == "one":
        (up if rng.random() < 0.5 else down)[rng.integers(0, n)] = True
    return up, down


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_orders_and_metrics_are_vectorbts(data: st.DataObject) -> None:
    close = data.draw(prices(nan_gaps=True, max_bars=40 if DISABLE_JIT else 400))
    mode = data.draw(st.sampled_from([BOTH, LONG_ONLY, SHORT_ONLY]))
    fees = data.draw(st.sampled_from([0.0, 0.001, 0.01]) | st.floats(0, 0.5))
    slippage = data.draw(st.sampled_from([0.0, 0.001, 0.02]) | st.floats(0, 0.5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kinds = [str(kind) for kind in rng.choice(["anything", "alternating", "alternating", "one", "none"], COLUMNS)]
    columns = [turns(rng, close.size, kind) for kind in kinds]
    up, down = (np.stack(sides, axis=1) for sides in zip(*columns, strict=True))
    assert_as_vectorbt(close, up, down, mode, fees, slippage, data.draw(st.sampled_from(["1D", "1h", "5min", "7D"])))


def drifting(rng: np.random.Generator, n: int) -> np.ndarray:
    """Far up or down: shorts are ruined, longs worn out."""
    drift = rng.choice([-0.05, -0.01, 0.01, 0.02, 0.06])
    return rng.choice([1e-3, 1.0, 6e4]) * np.exp(np.cumsum(rng.normal(drift, rng.choice([0.01, 0.08]), n)))


@settings(max_examples=EXAMPLES)
@given(st.sampled_from([BOTH, SHORT_ONLY, LONG_ONLY]), st.integers(0, 2**32 - 1))
def test_ruined_and_risen_again(mode: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    close = drifting(rng, int(rng.integers(2, 40 if DISABLE_JIT else 400)))
    columns = [turns(rng, close.size, "alternating") for _ in range(COLUMNS)]
    up, down = (np.stack(sides, axis=1) for sides in zip(*columns, strict=True))
    assert_as_vectorbt(close, up, down, mode, float(rng.choice([0, 0.001, 0.1])), float(rng.choice([0, 0.001])))


# ---------------------------------------------------------------- rare words
def judged(close: list[float], says: str, mode: int = BOTH, fees: float = 0.0, slippage: float = 0.0):
    """Turns as text, a letter a bar: u, d, b for both, - for none. Compared with vectorbt, then returned."""
    assert len(says) == len(close)
    values = np.array(close, dtype=np.float64)
    up, down = (np.array([letter in letters for letter in says]) for letters in ("ub", "db"))
    assert_as_vectorbt(values, up[:, None], down[:, None], mode, fees, slippage)
    orders, accumulators = judge(values, up, down, mode, fees, slippage, 100.0)
    result = {name: float(value) for name, value in metrics.metrics_of(accumulators, len(close), 365.0).items()}
    return orders, result


def test_a_ruined_short_stays_and_comes_back() -> None:
    orders, result = judged([10, 25, 30, 12, 8], "d---u", SHORT_ONLY)
    assert orders.size.tolist() == [10, 10]
    assert result["total_return"] == 0.2
    assert result["max_drawdown"] < -1  # below zero in between


def test_a_cover_that_cannot_be_paid_takes_all_cash_and_leaves_a_trade_open() -> None:
    orders, result = judged([10, 40, 40, 50], "d-u-", SHORT_ONLY)
    assert orders.size.tolist() == [10, 5]
    assert (result["total_trades"], result["exposure"], result["win_rate"]) == (2, 1, 0)
    assert result["total_return"] == (200 - 200 - 5 * 50 - 100) / 100


def test_what_is_left_of_such_a_short_is_lost_without_cash() -> None:
    orders, _ = judged([10, 40, 30, 40, 1, 1], "d-ud-u", SHORT_ONLY)
    assert orders.bar.tolist() == [0, 2]


def test_a_reversal_that_cannot_be_paid_leaves_the_rest_short() -> None:
    orders, result = judged([10, 40, 40, 5, 20], "d-ud-")
    assert orders.size.tolist() == [10, 5]
    assert result["total_trades"] == 2


def test_two_turns_on_one_bar_are_none() -> None:
    for mode in (BOTH, LONG_ONLY, SHORT_ONLY):
        orders, _ = judged([10, 11, 12, 13], "bubd", mode)
        assert len(orders.bar) == {BOTH: 2, LONG_ONLY: 2, SHORT_ONLY: 1}[mode]


@pytest.mark.parametrize(("says", "bars"), [("u---", [0]), ("d---", [0]), ("---u", [3]), ("u--d", [0, 3])])
def test_first_and_last_bar(says: str, bars: list[int]) -> None:
    orders, result = judged([10, 11, 12, 13], says, fees=0.01)
    assert orders.bar.tolist() == bars
    assert result["total_trades"] == len(bars)


def test_no_trades_have_infinite_sharpe_and_undefined_rates() -> None:
    _, result = judged([10, 11, 12], "---")
    assert result["sharpe_ratio"] == result["sortino_ratio"] == np.inf
    assert result["total_return"] == result["annualized_return"] == result["max_drawdown"] == result["exposure"] == 0
    assert np.isnan([result[name] for name in ("calmar_ratio", "win_rate", "profit_factor")]).all()


@pytest.mark.parametrize("says", ["u", "d", "-", "b"])
def test_one_bar(says: str) -> None:
    _, result = judged([10], says, fees=0.01)
    assert np.isnan(result["sharpe_ratio"])
    assert np.isnan(result["sortino_ratio"])


def test_a_turn_without_a_close_is_dropped_not_kept() -> None:
    orders, _ = judged([10, np.nan, 12, 13, 14], "du-d-")
    assert orders.bar.tolist() == [0]  # still short: the second turn down adds nothing


def test_a_last_close_of_nan_leaves_a_trade_neither_won_nor_lost() -> None:
    _, result = judged([10, 12, np.nan], "u--")
    assert (result["total_trades"], result["win_rate"]) == (1, 0)
    assert result["total_return"] == 0.2  # at the last close there is
    assert np.isnan(result["profit_factor"])


def test_the_smallest_order() -> None:
    refused, _ = judged([1.02e10, 1e10], "u-")
    assert refused.bar.size == 0
    filled, _ = judged([1e10, 1e10], "u-")  # a size of 1e-8 exactly
    assert filled.bar.size == 1
    near, _ = judged([1e10 * (1 + 5e-10), 1e10], "d-")  # smaller, but near
    assert near.bar.size == 1


def test_proceeds_next_to_nothing_are_nothing() -> None:
    orders, _ = judged([1, 1e-15, 1e-15], "udu", LONG_ONLY)  # sold for 1e-13
    assert orders.bar.tolist() == [0, 1]


def test_a_cover_that_can_nearly_be_paid_is_paid() -> None:
    orders, result = judged([10, 20 * (1 + 1e-10), 20], "du-", SHORT_ONLY)
    assert orders.size.tolist() == [10, 10]
    assert (result["exposure"], result["total_trades"]) == (1 / 3, 1)


def test_a_reversal_splits_its_fee_by_size() -> None:
    orders, result = judged([10, 20, 20], "ud-", fees=0.01)
    first = orders.size[0] * 10 - orders.fee[0] - orders.fee[1] * orders.size[0] / orders.size[1]
    second = -orders.fee[1] * (1 - orders.size[0] / orders.size[1])
    assert result["profit_factor"] == pytest.approx(first / -second, rel=1e-12)


def test_fees_beyond_everything_are_refused() -> None:
    orders, _ = judged([10, 20, 30], "du-", fees=1.5)
    assert orders.side.tolist() == [1.0]


@pytest.mark.parametrize("close", [-1.0, 0.0, np.inf])
def test_where_vectorbt_raises_everything_is_nan(close: float) -> None:
    orders, _ = judged([10, 11, close, 12], "-uu-")  # held: no order, no harm
    assert orders.bar.tolist() == [1]
    orders, result = judged([10, 11, close, 12], "-ud-")
    assert orders.bar.size == 0
    assert np.isnan(list(result.values())).all()


@pytest.mark.parametrize(
    ("close", "says", "mode"),
    [
        ([1e-300, 1e10, 1, 1], "udu-", LONG_ONLY),  # cash without end buys
        ([1e-300, 1e10, 1, 1], "ud--", BOTH),  # cash without end is sold short
        ([1e-307, 1, 1, 1], "ud--", BOTH),  # shares without end
    ],
)
def test_an_account_that_overflows_is_nan(close: list[float], says: str, mode: int) -> None:
    _, result = judged(close, says, mode)
    assert np.isnan(list(result.values())).all()


def test_metrics_of_many_keep_their_shape() -> None:
    values = np.ones((2, 3, len(metrics.ACCUMULATORS)))
    result = metrics.metrics_of(values, 10, 365.0)
    assert tuple(result) == metrics.METRICS
    assert {value.shape for value in result.values()} == {(2, 3)}


# ---------------------------------------------------------------- snaps
@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1.0, -1.0 - 9e-10, 0.0),
        (1.0, -1.0 - 2e-9, 1.0 + (-1.0 - 2e-9)),
        (5e-13, 5e-13, 0.0),
        (0.0, 1e-12, 0.0),
        (0.0, 2e-12, 2e-12),
        (1.0, 2.0, 3.0),
        (np.inf, -np.inf, np.nan),
        (np.nan, 1.0, np.nan),
    ],
)
def test_additions_snap(a: float, b: float, expected: float) -> None:
    assert_same_bits(np.float64(fills.add(a, b)), np.float64(expected))
    assert_same_bits(np.float64(fills.add(-a, -b)), np.float64(-expected if expected else 0.0))
