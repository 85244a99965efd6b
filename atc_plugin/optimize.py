"""Search beyond the grid: an objective for optuna that judges thousands of trials a second.

A trial is judged as `sweep` judges a combination, to the bit. Its six components are reused where an earlier trial has
made them, so that most trials cost one pass over the bars.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from .cache.settings import store_of
from .law.metrics import METRICS
from .names import found as known
from .params import AtcParams
from .prices import Prices
from .sweeps.prepared import DEFAULT_METRICS, prices_of
from .sweeps.question import Question, question_of
from .sweeps.ranking import REDUCTIONS, countable

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import BaseTrial, FrozenTrial

    from .cache.store import Store
    from .search.judging import Judging
    from .search.space import Space

_LESS_MAY_BE_MORE = {"total_trades", "exposure"}
"""Metrics that a study may well minimize; of all others the largest value is the best."""


class Evaluation(NamedTuple):
    """What one combination comes to, all columns taken together."""

    value: float  # NaN where a column does not count
    metrics: dict[str, float]
    windows: list[float]  # the metric up to the end of each window; NaN where no column counts
    fault: str  # why there is no value


class Objective:
    """What `objective` gives: a function of a trial, and more. May be pickled, and used by any number of threads."""

    def __init__(
        self,
        prices: Prices,
        space: Space,
        question: Question,
        together: Callable[[NDArray[float64]], float],
        prune: bool,
        cache: bool | str | os.PathLike[str] | Store,
        memory: int,
    ) -> None:
        self.metric = question.metrics[0]
        self._prices, self._space, self._question = prices, space, question
        self._together, self._prune = together, prune
        self._takes_itself = together in REDUCTIONS.values()  # one value for that value
        self._cache, self._memory = cache, memory
        self._begin()

    def _begin(self) -> None:
        from .search.judging import Judging

        self._judging: Judging = Judging(self._prices, self._question, store_of(self._cache)[0], self._memory)
        self._study: object = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_judging", "_study")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __call__(self, trial: BaseTrial) -> float:
        """The metric of a trial's combination.

        Raises:
            optuna.TrialPruned: where the study's pruner says so, `where` leaves the combination out, or a column has
                no finite value or not one trade.
            ValueError: where the study minimizes what is better when it is larger.
        """
        from optuna import TrialPruned

        self._check_direction(trial)
        params = self._space.suggest(trial)
        if not self._space.keeps(params):
            raise TrialPruned("left out by `where`")
        evaluation = self.evaluate(params)
        for place, value in enumerate(evaluation.windows):
            if math.isfinite(value):
                trial.report(value, place + 1)
                if self._prune and place + 1 < len(evaluation.windows) and trial.should_prune():
                    raise TrialPruned(f"after window {place + 1} of {len(evaluation.windows)}")
        for name, value in evaluation.metrics.items():
            if name != self.metric and math.isfinite(value):
                trial.set_user_attr(name, value)
        if evaluation.fault:
            raise TrialPruned(evaluation.fault)
        return evaluation.value

    def evaluate(self, params: AtcParams) -> Evaluation:
        """What a combination comes to, without a trial: what a search of another kind would call."""
        found = self._judging.judge(params)
        values = found.metrics[self.metric]
        counts = countable(values, found.trades, 1)
        fault = ""
        if not counts.all():
            place = int(np.flatnonzero(~counts)[0])
            label = self._prices.labels[self._judging.columns[place]]
            fault = f"{label}: " + (f"{self.metric} is {values[place]}" if found.trades[place] else "no trade")
        return Evaluation(
            math.nan if fault else self._taken_together(values),
            {name: self._taken_together(metric) for name, metric in found.metrics.items()},
            [self._taken_together(row[~np.isnan(row)]) for row in found.windows],
            fault,
        )

    def params(self, trial: BaseTrial | FrozenTrial) -> AtcParams:
        """The combination of a trial, such as ``study.best_trial``."""
        return self._space.params(trial.params)

    @property
    def components(self) -> tuple[int, int]:
        """How many components were computed so far, and how many bytes are held of them."""
        return self._judging.pool.made, self._judging.pool.nbytes

    def _taken_together(self, values: NDArray[float64]) -> float:
        if values.size == 0:
            return math.nan
        if values.size == 1 and self._takes_itself:
            return float(values[0])
        with np.errstate(invalid="ignore"):  # metrics beside the first may be infinite
            return float(self._together(values))

    def _check_direction(self, trial: Any) -> None:
        """Once a study: optuna minimizes unless it is told otherwise."""
        study = getattr(trial, "study", None)
        if study is None or study is self._study:
            return
        if study.direction.name != "MAXIMIZE" and self.metric not in _LESS_MAY_BE_MORE:
            raise ValueError(
                f"the study minimizes {self.metric}, which is better when it is larger: "
                'optuna.create_study(direction="maximize")'
            )
        self._study = study


def objective(
    close: Any,
    space: Any,
    source: Any = None,
    *,
    metric: str = "sharpe_ratio",
    metrics: Iterable[str] | str = DEFAULT_METRICS,
    fees: float = 0.0,
    slippage: float = 0.0,
    direction: str = "both",
    freq: Any = None,
    windows: Any = None,
    prune: bool = True,
    aggregate: str | Callable[[NDArray[float64]], float] = "mean",
    cache: bool | str | os.PathLike[str] | Store = True,
    memory: int = 2**30,
) -> Objective:
    """An objective for ``study.optimize``: the metric of the combination that a trial chooses.

    Values equal those that `sweep` finds, to the bit. All columns are judged over the bars that they have.

    Args:
        close: prices, as `atc` takes them.
        space: what may be chosen, by parameter: a range or a list of values, ``(low, high)``, ``(low, high, step)``, a
            distribution of optuna, or one value; or a `ParamGrid` that is a product. Numbers of a list are categories
            unless they are whole and evenly spaced. A parameter left out has its default.
        source: what the averages are of; close by default.
        metric: what is searched for, one of those of `sweep`.
        metrics: others that each trial notes among its user attributes.
        fees: a share of each order.
        slippage: a share of the price.
        direction: "both", "longonly" or "shortonly".
        freq: the time of a bar, as of `sweep`.
        windows: a number of equal ranges of bars or slices, as of `sweep`. The metric over all bars up to the end of
            each is reported to the trial, from the one pass that there is.
        prune: ask the study's pruner after each window but the last.
        aggregate: what makes one value of those of the columns: "mean", "median", "min", "max" or a function of an
            array. A trial in which a column has no finite value or not one trade is pruned.
        cache: where components are read that `warm` has left: True, False, a directory or a Store.
        memory: bytes that the components of all columns may take; those longest unused go.

    Raises:
        ModuleNotFoundError: where optuna is not installed.
        TypeError, ValueError: for what is not in order, before anything is computed.

    >>> import numpy as np
    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 500)))
    >>> search = objective(close, {"ema_len": (10, 50), "kama_len": range(10, 50, 2)}, freq="1D", fees=0.001)
    >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    >>> study.optimize(search, n_trials=20)
    >>> search.params(study.best_trial).kama_len in range(10, 50, 2)
    True
    """
    _need_optuna()
    from .search.space import Space

    prices = prices_of(close, source)
    if not prices.counts.any():
        raise ValueError("close has no bars")
    known(metric, METRICS, "metric", "metric")
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must name some of {', '.join(METRICS)}; got {metrics!r}")
    names = dict.fromkeys((metric, *((metrics,) if isinstance(metrics, str) else metrics)))
    question = question_of(
        prices, names, direction=direction, fees=fees, slippage=slippage, freq=freq, windows=windows, top=None
    )
    stops = sorted({stop for _, stop in question.windows})
    if not callable(aggregate):
        known(aggregate, REDUCTIONS, "way to take columns together", "aggregate")
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
        raise ValueError(f"memory must be a whole number of bytes >= 0; got {memory!r}")
    return Objective(
        prices,
        Space(space),
        question._replace(windows=tuple((0, stop) for stop in stops)),
        aggregate if callable(aggregate) else REDUCTIONS[aggregate],
        prune,
        cache,
        memory,
    )


@contextlib.contextmanager
def in_memory(study: Study, keep: int | None = None) -> Iterator[Study]:
    """A study in memory that goes on from another, whose storage gets the new trials when the context ends.

    A storage on disk takes milliseconds for every value of a trial, and less for a trial that is over. Finished trials
    are handed over after an error and Ctrl-C too.

    Args:
        study: whose sampler, pruner and trials are used.
        keep: hand over only the best so many completed trials; None for all that are finished.

    Raises:
        ValueError: for a study of several objectives, where `keep` is given.

    >>> import optuna
    >>> study = optuna.create_study()
    >>> with in_memory(study, keep=3) as quick:
    ...     quick.optimize(lambda trial: trial.suggest_int("ema_len", 10, 50), n_trials=20)
    >>> len(study.trials), study.best_value == quick.best_value
    (3, True)
    """
    _need_optuna()
    import optuna
    from optuna.trial import TrialState

    if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
        raise ValueError(f"keep must be a number of trials of at least 1, or None; got {keep!r}")
    if keep is not None and len(study.directions) > 1:
        raise ValueError("keep needs one objective to rank by; the study has several")
    quick = optuna.create_study(
        study_name=study.study_name, directions=study.directions, sampler=study.sampler, pruner=study.pruner
    )
    earlier = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    quick.add_trials(earlier)
    try:
        yield quick
    finally:
        new = [trial for trial in quick.get_trials(deepcopy=False)[len(earlier) :] if trial.state.is_finished()]
        if keep is not None:
            done = [trial for trial in new if trial.state == TrialState.COMPLETE]
            largest_first = study.direction.name == "MAXIMIZE"
            best = sorted(done, key=lambda trial: trial.value or 0.0, reverse=largest_first)[:keep]
            new = sorted(best, key=lambda trial: trial.number)
        study.add_trials(new)


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f'the search needs {missing.name}: pip install "atc_plugin[optuna]"', name=missing.name
        ) from None
