"""Folds: whole ones only, one after the other, by bars and by dates, and clear words where none fits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atc_plugin.prices import Prices, read_prices
from atc_plugin.sweeps.folds import Fold, folds_of

DAYS = pd.bdate_range("2020-01-01", "2023-12-29")


def bars(count: int) -> Prices:
    return read_prices(np.linspace(1.0, 2.0, count))


def dated(index: pd.DatetimeIndex) -> Prices:
    return read_prices(pd.Series(np.linspace(1.0, 2.0, len(index)), index))


def test_rolling_folds() -> None:
    assert folds_of(bars(100), 40, 20) == (
        Fold((0, 40), (40, 60)),
        Fold((20, 60), (60, 80)),
        Fold((40, 80), (80, 100)),
    )
    assert folds_of(bars(99), 40, 20)[-1].test == (60, 80)  # the last one would lack a bar


def test_anchored_folds_with_a_purge_and_gaps() -> None:
    folds = folds_of(bars(100), 40, 10, 5, 20, anchored=True)
    assert [fold.train for fold in folds] == [(0, 40), (0, 60), (0, 80)]
    assert [fold.purged for fold in folds] == [(40, 45), (60, 65), (80, 85)]
    assert [fold.test for fold in folds] == [(45, 55), (65, 75), (85, 95)]


@given(st.integers(1, 300), *[st.integers(1, 80)] * 2, st.integers(0, 20), st.integers(0, 30), st.booleans())
def test_folds_by_bars(count: int, train: int, test: int, purge: int, more: int, anchored: bool) -> None:
    if train + purge + test > count:
        with pytest.raises(ValueError, match="no fold fits"):
            folds_of(bars(count), train, test, purge, test + more, anchored=anchored)
        return
    folds = folds_of(bars(count), train, test, purge, test + more, anchored=anchored)
    for place, fold in enumerate(folds):
        start = 0 if anchored else fold.train[1] - train
        assert fold.train == (start, train + place * (test + more))
        assert fold.test == (fold.train[1] + purge, fold.train[1] + purge + test)
    assert folds[-1].test[1] <= count < folds[-1].test[1] + test + more


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["200D", pd.Timedelta(days=90), pd.DateOffset(months=7), 120]),
    st.sampled_from(["45D", pd.DateOffset(months=1), pd.DateOffset(months=3), 30, np.timedelta64(10, "D")]),
    st.sampled_from([0, 3, "7D", pd.Timedelta(0)]),
)
def test_folds_by_dates(seed: int, train: Any, test: Any, purge: Any) -> None:
    """Every test range begins where the one before ended, and no training bar lies behind the purge."""
    rng = np.random.default_rng(seed)
    index = DAYS[np.sort(rng.permutation(len(DAYS))[: int(rng.integers(700, len(DAYS) + 1))])]
    folds = folds_of(dated(index), train, test, purge)
    for before, after in pairwise(folds):
        assert before.test[1] == after.test[0]
    for fold in folds:
        first, last = index[fold.test[0]], index[fold.train[1] - 1]
        if isinstance(purge, str) and not isinstance(test, int):
            assert last < first - pd.Timedelta(purge) + pd.Timedelta(days=7)
        elif purge == 3:
            assert fold.test[0] - fold.train[1] == 3
        if isinstance(train, pd.Timedelta | str) and purge == 0:
            assert first - index[fold.train[0]] <= pd.Timedelta(train) + pd.Timedelta(days=7)


def test_months_of_the_calendar() -> None:
    folds = folds_of(dated(DAYS), pd.DateOffset(years=2), pd.DateOffset(years=1))
    spans = [(DAYS[a].year, DAYS[b - 1].year) for fold in folds for a, b in fold]
    assert spans == [(2020, 2021), (2022, 2022), (2021, 2022), (2023, 2023)]  # though the last year ends on the 29th
    short = folds_of(dated(DAYS[:-8]), pd.DateOffset(years=2), pd.DateOffset(years=1))
    assert len(short) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"train": 90, "test": 20},
            ValueError,
            r"no fold fits: train=90, purge=0 and test=20 .* the 100 bars there are",
        ),
        ({"train": 0, "test": 20}, ValueError, "train must be a number of bars >= 1; got 0"),
        ({"train": 50, "test": 20, "purge": -1}, ValueError, "purge must be a number of bars >= 0; got -1"),
        ({"train": 50, "test": 20, "step": 10}, ValueError, "step must be at least as long as test"),
        ({"train": 50.0, "test": 20}, TypeError, "train must be a number of bars >= 1, or a time"),
        ({"train": True, "test": 20}, TypeError, "train must be a number of bars"),
        ({"train": None, "test": 20}, TypeError, "train must be a number of bars"),
        (
            {"train": "50D", "test": 20},
            TypeError,
            "train must be a number of bars for prices without an index of dates",
        ),
        ({"train": 50, "test": "a while"}, ValueError, "test must be a number of bars >= 1, or a time such as"),
        ({"train": "50", "test": 20}, ValueError, "a text without a unit"),
        ({"train": 50, "test": 20, "anchored": 1}, TypeError, "anchored must be True or False; got 1"),
    ],
)
def test_lengths_that_are_none(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        folds_of(bars(100), **arguments)


def test_times_that_lead_nowhere() -> None:
    for wrong in ("-5D", pd.DateOffset(months=-1), "0D"):
        with pytest.raises(ValueError, match="test must lead forward in time"):
            folds_of(dated(DAYS), "100D", wrong)
    with pytest.raises(ValueError, match=r"fold 0, from 2020-.* on: test='12h' has no bar"):
        folds_of(dated(pd.date_range("2020-01-01", periods=50)), "10D", "12h", step="5D", purge="1h")
    with pytest.raises(ValueError, match="no fold fits"):
        folds_of(dated(DAYS), "4000D", "10D")
