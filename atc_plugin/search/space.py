"""What a search may choose: a distribution for each parameter that varies, checked before any work is done."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..params import ROWS, AtcParams, Parameter, check_names
from ..sweeps.axes import first_misfit, listed_values
from ..sweeps.combinations import Kept, made
from ..sweeps.grid import ParamGrid

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial


class Space:
    """Suggests combinations to trials.

    Args:
        given: a ParamGrid that is a product, or by parameter a range, a list of values, (low, high), (low, high, step),
            a distribution of optuna, or one value.

    Raises:
        TypeError: for an unknown parameter, and for what is none of these.
        ValueError: for values that are not allowed or do not fit together, and where nothing varies.
    """

    def __init__(self, given: Any) -> None:
        self._kept: Kept | None = None
        if isinstance(given, ParamGrid):
            if given.axes is None:
                raise TypeError(
                    f"space must be a product of values, as ParamGrid(ema_len=range(10, 50)) is; got {given!r}: "
                    "sweep judges all of its combinations"
                )
            if isinstance(given.combinations, Kept):
                self._kept = given.combinations
            given = {name: list(values) for name, values in given.axes.items()}
        elif not isinstance(given, Mapping):
            raise TypeError(f"space must be a ParamGrid, or a mapping of parameters; got {type(given).__name__}")
        check_names(given)
        self.fixed: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        for name, values in given.items():
            made_of = _distribution_of(ROWS[name], values)
            if made_of is None:
                (self.fixed[name],) = listed_values(name, values)
            else:
                self.distributions[name] = made_of
        if not self.distributions:
            raise ValueError("space leaves nothing to choose: every parameter has one value")
        if self._kept is None and (misfit := first_misfit(self._extremes())):
            raise ValueError(f"space has combinations that do not fit together, such as {misfit[1]}")
        self._suggestions = [_suggestion(ROWS[name], one) for name, one in self.distributions.items()]

    def suggest(self, trial: BaseTrial) -> AtcParams:
        """The combination of a trial, not checked again."""
        values = dict(self.fixed)
        for name, method, arguments, kind in self._suggestions:
            values[name] = kind(getattr(trial, method)(name, **arguments))
        return made(values)

    def keeps(self, params: AtcParams) -> bool:
        """Whether the grid's `where` keeps a combination; ValueError where that does not fit together."""
        return self._kept is None or self._kept.keeps(params)

    def params(self, values: Mapping[str, Any]) -> AtcParams:
        """The combination of a trial that was run, by its `params`."""
        if missing := [name for name in self.distributions if name not in values]:
            raise ValueError(f"the trial has no {', '.join(missing)}: it was not run in this space")
        return AtcParams(**{**self.fixed, **values})

    def _extremes(self) -> dict[str, tuple[Any, ...]]:
        """Values among which there is a misfit if there is one at all."""
        found = {name: (value,) for name, value in self.fixed.items()}
        for name, one in self.distributions.items():
            choices = getattr(one, "choices", None)
            low_high = choices if choices is not None else (getattr(one, "low"), getattr(one, "high"))  # noqa: B009
            found[name] = tuple(dict.fromkeys(ROWS[name].check(value) for value in low_high))
        return found


def _distribution_of(row: Parameter, given: Any) -> BaseDistribution | None:
    """What optuna draws a parameter from; None for one value. Checked against the table of parameters."""
    from optuna.distributions import BaseDistribution

    if isinstance(given, BaseDistribution):
        return _checked(row, given)
    if isinstance(given, tuple) and row.kind in (int, float):
        return _between(row, given)
    values = listed_values(row.name, given)
    if len(values) == 1:
        return None
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if row.kind is int:
        steps = {after - before for before, after in itertools.pairwise(values)}
        if len(steps) == 1 and (step := steps.pop()) > 0:
            return IntDistribution(values[0], values[-1], step=step)
    return CategoricalDistribution(values)


def _between(row: Parameter, given: tuple[Any, ...]) -> BaseDistribution | None:
    """From low to high, both included, in steps if there is a third number."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if len(given) not in (2, 3):
        raise ValueError(f"{row.name} must be (low, high) or (low, high, step), or a list of values; got {given!r}")
    low, high = row.check(given[0]), row.check(given[1])
    if low > high:
        raise ValueError(f"{row.name} must have low <= high; got {given!r}")
    step = given[2] if len(given) == 3 else None
    if step is not None and not (_is_number(step) and step > 0 and (row.kind is float or float(step).is_integer())):
        allowed = "a number" if row.kind is float else "a whole number"
        raise ValueError(f"{row.name} must have a step that is {allowed} above 0; got {given!r}")
    if low == high:
        raise ValueError(f"{row.name} must have low < high, or be one value; got {given!r}")
    if row.kind is int:
        whole = int(step or 1)
        return IntDistribution(low, low + (high - low) // whole * whole, step=whole)
    return FloatDistribution(low, high, step=None if step is None else float(step))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _checked(row: Parameter, given: BaseDistribution) -> BaseDistribution:
    """A distribution that gives values of the right kind; `Space` looks at its bounds."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(given, CategoricalDistribution):
        return CategoricalDistribution(listed_values(row.name, list(given.choices)))
    fitting = {int: (IntDistribution,), float: (FloatDistribution, IntDistribution)}.get(row.kind, ())
    if not isinstance(given, fitting):
        raise TypeError(f"{row.name} must be {row.allowed}, which {given!r} does not give")
    return given


def _suggestion(row: Parameter, one: BaseDistribution) -> tuple[str, str, dict[str, Any], Any]:
    """Name, method of a trial, its arguments, and the type of the value."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(one, CategoricalDistribution):
        return row.name, "suggest_categorical", {"choices": one.choices}, _as_it_is
    low, high, step, log = (getattr(one, name) for name in ("low", "high", "step", "log"))
    method = "suggest_int" if isinstance(one, IntDistribution) else "suggest_float"
    return row.name, method, {"low": low, "high": high, "step": step, "log": log}, row.kind


def _as_it_is(value: Any) -> Any:
    return value
