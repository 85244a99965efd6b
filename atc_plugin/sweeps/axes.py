"""The values that a grid lists for each parameter: checked one by one, and where parameters must fit together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..params import LENGTH_NAMES, ROWS, AtcParams, check_names

Axes = dict[str, tuple[Any, ...]]

DEFAULTS = {name: row.default for name, row in ROWS.items()}

# Which parameters AtcParams checks together. Those with an extreme fit worst there, whatever the others are, so that
# looking at the extreme alone tells whether all values fit.
_TOGETHER: tuple[dict[str, Any], ...] = (
    *({name: min, "robustness": None, "hma_mode": None} for name in LENGTH_NAMES.values()),
    {"long_threshold": min, "short_threshold": max},
)


def described(values: Mapping[str, Any]) -> str:
    """A combination in words, for error messages."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items()) or "all defaults"


def listed_values(name: str, given: Any) -> tuple[Any, ...]:
    """The values of one parameter as canonical Python values, in order."""
    check_names((name,))
    if callable(getattr(given, "tolist", None)):  # numpy arrays and scalars, pandas Series and Index
        given = given.tolist()
    if isinstance(given, (set, frozenset)):
        raise TypeError(f"{name} must list its values in a definite order; got {type(given).__name__}: sort it")
    single = isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable)
    values = tuple(ROWS[name].check(value) for value in ((given,) if single else given))
    if not values:
        raise ValueError(f"{name} has no values; leave it out for its default, {ROWS[name].default!r}")
    if len(set(values)) < len(values):
        seen: set[Any] = set()
        twice = dict.fromkeys(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        raise ValueError(f"{name} lists {', '.join(map(repr, twice))} more than once")
    return values


def _misfit(values: Mapping[str, Any]) -> ValueError | None:
    try:
        AtcParams(**values)
    except ValueError as error:
        return error
    return None


def first_misfit(axes: Axes) -> tuple[int, str] | None:
    """Position and description of the first combination of a product that AtcParams refuses; None where all fit.

    Looks at the parameters involved only, and at their extremes, so that the size of the product does not matter.
    """
    found = []
    for extremes in _TOGETHER:
        involved = {name: axes[name] for name in axes if name in extremes}
        worst = {
            name: values if (pick := extremes[name]) is None else (pick(values),) for name, values in involved.items()
        }
        if not _any_misfit(worst):
            continue
        for name, values in involved.items():  # slowest axis first: the first value with a misfit below it
            worst[name] = next((value,) for value in values if _any_misfit({**worst, name: (value,)}))
        fixed = {name: value for name, (value,) in worst.items()}
        found.append([values.index(fixed[name]) if name in fixed else 0 for name, values in axes.items()])
    if not found:
        return None
    first = min(found)  # lists compare as grid order does
    misfit = {name: axes[name][index] for name, index in zip(axes, first, strict=True)}
    position = sum(index * math.prod(map(len, list(axes.values())[place + 1 :])) for place, index in enumerate(first))
    return position, f"{described(misfit)}: {_misfit(misfit)}"


def _any_misfit(axes: Axes) -> bool:
    return any(_misfit(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values()))
