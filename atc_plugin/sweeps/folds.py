"""Folds of a walk-forward: where training ends, what is left out, and where testing begins."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from ..prices import Prices


class Fold(NamedTuple):
    """Rows of the prices: [start, stop) to train on and to test on. What lies between is purged."""

    train: tuple[int, int]
    test: tuple[int, int]

    @property
    def purged(self) -> tuple[int, int]:
        """Rows between training and testing."""
        return self.train[1], self.test[0]


class _Moment(NamedTuple):
    """A place in the prices: a row, and the time it stands for where there is one."""

    row: int
    time: Any  # None without dates, and behind the last bar


def folds_of(
    prices: Prices, train: Any, test: Any, purge: Any = 0, step: Any = None, *, anchored: bool = False
) -> tuple[Fold, ...]:
    """All folds that fit whole, the earliest first.

    Args:
        prices: their rows are counted, whatever columns have a bar there.
        train: how long to train: a number of bars; or a time, where the index is one of dates: a Timedelta, a text such
            as "365D", or a DateOffset.
        test: how long to test.
        purge: how much to leave out between the two.
        step: from one test range to the next; `test` by default, and not less.
        anchored: train on all bars from the first on, `train` being the least.

    Raises:
        TypeError, ValueError: for lengths that are none, and where not a single fold fits.
    """
    if not isinstance(anchored, (bool, np.bool_)):
        raise TypeError(f"anchored must be True or False; got {anchored!r}")
    calendar = _Calendar(prices)
    given = {"train": train, "test": test, "purge": purge, "step": test if step is None else step}
    spans = {name: calendar.span(name, value, 0 if name == "purge" else 1) for name, value in given.items()}
    folds: list[Fold] = []
    here = calendar.on(calendar.on(calendar.first, spans["train"]), spans["purge"])
    while here.row < calendar.bars:
        stop = calendar.on(here, spans["test"])
        if not calendar.is_reached(stop):
            break
        end = calendar.back(here, spans["purge"])
        start = 0 if anchored else calendar.back(end, spans["train"]).row
        fold = Fold((start, end.row), (here.row, min(stop.row, calendar.bars)))
        where = f"fold {len(folds)}, from {calendar.label(here.row)} on"
        for name, (first, last) in (("train", fold.train), ("test", fold.test)):
            if first >= last:
                raise ValueError(f"{where}: {name}={given[name]!r} has no bar; make it longer")
        if folds and fold.test[0] < folds[-1].test[1]:
            raise ValueError(
                f"step must be at least as long as test, so that no bar is tested twice; got step={step!r}, "
                f"test={test!r}"
            )
        folds.append(fold)
        following = calendar.on(here, spans["step"])
        if following.row <= here.row:
            raise ValueError(f"{where}: step={given['step']!r} leads to no later bar; make it longer")
        here = following
    if not folds:
        raise ValueError(
            f"no fold fits: train={train!r}, purge={purge!r} and test={test!r} need more than the {calendar.bars:,} "
            f"bars there are, {calendar.label(0)} to {calendar.label(calendar.bars - 1)}"
        )
    return tuple(folds)


class _Calendar:
    """Bars and, where they are dated, times."""

    def __init__(self, prices: Prices) -> None:
        import pandas as pd

        self.bars = int(prices.close.shape[1])
        index = prices.container.index
        self._labels = index
        self._dates = index if isinstance(index, pd.DatetimeIndex) else None
        if not self.bars:
            raise ValueError("there are no bars to make folds of")
        self.first = _Moment(0, None if self._dates is None else self._dates[0])

    def label(self, row: int) -> str:
        """A row in words."""
        return f"bar {row}" if self._labels is None else str(self._labels[row]).split(" 00:00:00")[0]

    def span(self, name: str, given: Any, least: int) -> Any:
        """A length as a number of bars, or a pandas offset of time."""
        import pandas as pd

        allowed = f"{name} must be a number of bars >= {least}"
        if not isinstance(given, (bool, str)):
            try:
                bars = operator.index(given)
            except TypeError:
                pass
            else:
                if bars < least:
                    raise ValueError(f"{allowed}; got {given!r}")
                return bars
        allowed += ', or a time such as "365D", a Timedelta or a DateOffset'
        if isinstance(given, (bool, float)) or given is None:
            raise TypeError(f"{allowed}; got {given!r}")
        try:
            span = given if isinstance(given, pd.DateOffset) else pd.Timedelta(given)
        except (ValueError, TypeError):
            raise ValueError(f"{allowed}; got {given!r}") from None
        if isinstance(given, str) and given.strip().isdigit():
            raise ValueError(f"{allowed}; got {given!r}, a text without a unit")
        if self._dates is None:
            raise TypeError(f"{name} must be a number of bars for prices without an index of dates; got {given!r}")
        start = self._dates[0]
        forward = start + span
        if not (forward > start or (least == 0 and forward == start)):
            raise ValueError(f"{name} must lead forward in time; got {given!r}")
        return span

    def on(self, moment: _Moment, span: Any) -> _Moment:
        """The moment so much later."""
        if isinstance(span, int):
            return self._at(moment.row + span) if span else moment
        return self._when(moment.time + span) if moment.time is not None else _Moment(self.bars + 1, None)

    def back(self, moment: _Moment, span: Any) -> _Moment:
        """The moment so much earlier; the first at the earliest."""
        if isinstance(span, int):
            return self._at(max(moment.row - span, 0)) if span else moment
        return self._when(moment.time - span)

    def is_reached(self, moment: _Moment) -> bool:
        """Whether the bars last until then: the next bar could not have come before, as far as their steps tell."""
        if moment.row < self.bars or moment.time is None:
            return moment.row <= self.bars
        assert self._dates is not None
        steps = self._dates[1:] - self._dates[:-1]
        return bool(moment.time <= (self._dates[-1] + steps.max() if steps.size else self._dates[-1]))

    def _at(self, row: int) -> _Moment:
        dated = self._dates is not None and row < self.bars
        return _Moment(row, self._dates[row] if dated else None)  # type: ignore[index]

    def _when(self, time: Any) -> _Moment:
        assert self._dates is not None
        return _Moment(int(self._dates.searchsorted(time)), time)
