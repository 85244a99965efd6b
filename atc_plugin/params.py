"""The parameters of ATC: one table that drives `AtcParams`, its checks, the frameworks' params and the docs."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from .names import suggestion

TYPES = ("EMA", "HMA", "WMA", "DEMA", "LSMA", "KAMA")
"""The six types of moving average, in the order of the law."""

OFFSETS = {"Narrow": (1, 2, 3, 4), "Medium": (1, 2, 4, 6), "Wide": (1, 3, 5, 7)}
"""How far the neighbours of a base length lie from it, for each robustness."""


class HmaAverage(NamedTuple):
    """One row of what "HMA" may be: the average as the law names it, and the shortest that there is."""

    average: str
    shortest: int


HMA_AVERAGES = {"sma": HmaAverage("SMA", 1), "hull": HmaAverage("HULL", 2)}
"""What each value of `hma_mode` has the type HMA compute."""

LENGTH_NAMES = {type_: f"{type_.lower()}_len" for type_ in TYPES}

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter:
    """One row of the table: what a parameter is called, may be, and means."""

    name: str = ""
    default: Any
    kind: type
    unit: str
    meaning: str
    least: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The legal values in words, as error messages and the docs give them."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        if self.kind is bool:
            return "True or False"
        words = ["a whole number" if self.kind is int else "a finite number"]
        words += [f">= {self.least:g}"] if self.least is not None else []
        words += [f"> {self.above:g}"] if self.above is not None else []
        words += [f"< {self.below:g}"] if self.below is not None else []
        return words[0] if len(words) == 1 else f"{words[0]} {' and '.join(words[1:])}"

    def check(self, value: Any) -> Any:
        """`value` as the plain Python value it stands for; an error that names the parameter where it is not legal."""
        if self.choices:
            if not isinstance(value, str):
                raise TypeError(self._complaint(value))
            if value not in self.choices:
                raise ValueError(self._complaint(value) + suggestion(value, self.choices))
            return str(value)
        if self.kind is bool:
            if not (isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b"):
                raise TypeError(self._complaint(value))
            return bool(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(self._complaint(value))
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        inside = (
            math.isfinite(number)
            and (self.kind is float or number.is_integer())
            and (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )
        if not inside:
            raise ValueError(self._complaint(value))
        if self.kind is int:
            return operator.index(value) if isinstance(value, numbers.Integral) else int(number)
        return number + 0.0  # -0.0 and 0.0 are one value, so they must be one cache key

    def _complaint(self, value: Any) -> str:
        return f"{self.name} must be {self.allowed}; got {value!r}"


def _field(default: Any, unit: str, meaning: str, **bounds: Any) -> Any:
    """A dataclass field that carries its row of the table."""
    row = Parameter(default=default, kind=type(default), unit=unit, meaning=meaning, **bounds)
    return dataclasses.field(default=default, metadata={"row": row})


def _length(type_: str) -> Any:
    return _field(28, "bars", f"base length of the nine {type_} averages", least=1)


def _weight(type_: str) -> Any:
    return _field(1.0, "equity", f"starting equity of {type_} in layer 2", above=0)


def _names_checked(cls: type[_T]) -> type[_T]:
    """Let the generated constructor answer an unknown name with the nearest known one."""
    made = cls.__init__

    @functools.wraps(made)
    def checking(self: Any, **values: Any) -> None:
        check_names(values)
        made(self, **values)

    cls.__init__ = checking  # type: ignore[method-assign]
    return cls


@_names_checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class AtcParams:
    """One configuration of ATC; immutable, hashable, compared by value.

    The names, defaults and units are those of the published indicator's dialog; `docs/parameters.md` lists them with
    their bounds. Values are canonical: ``28``, ``28.0`` and ``numpy.int64(28)`` give equal objects.

    Raises:
        TypeError: for an unknown name (the nearest is suggested) or a value of the wrong type.
        ValueError: for a value that is not allowed; the message names the parameter, the value and what is allowed.

    >>> AtcParams(ema_len=21).replace(robustness="Wide").lengths("EMA")
    (21, 22, 24, 26, 28, 20, 18, 16, 14)
    >>> AtcParams(decay=100)
    Traceback (most recent call last):
    ValueError: decay must be a finite number >= 0 and < 100; got 100
    """

    ema_len: int = _length("EMA")
    hma_len: int = _length("HMA")
    wma_len: int = _length("WMA")
    dema_len: int = _length("DEMA")
    lsma_len: int = _length("LSMA")
    kama_len: int = _length("KAMA")
    ema_w: float = _weight("EMA")
    hma_w: float = _weight("HMA")
    wma_w: float = _weight("WMA")
    dema_w: float = _weight("DEMA")
    lsma_w: float = _weight("LSMA")
    kama_w: float = _weight("KAMA")
    lambda_: float = _field(
        0.02, "thousandths a bar", "growth rate: how much more recent bars count (dialog: 0.005 to 0.5)", least=0
    )
    decay: float = _field(
        0.03, "percent a bar", "what every equity loses a bar (dialog: 0.01 to 0.25)", least=0, below=100
    )
    cutout: int = _field(0, "bars", "bars to skip before any equity starts", least=0)
    robustness: str = _field("Medium", "spread", "how far the nine lengths of a type spread", choices=tuple(OFFSETS))
    long_threshold: float = _field(0.1, "average", "the direction turns +1 where the average crosses over it")
    short_threshold: float = _field(-0.1, "average", "the direction turns -1 where the average crosses under it")
    hma_mode: str = _field(
        "sma",
        "average",
        'what "HMA" is: the simple average that the published script computes there, or the Hull average',
        choices=tuple(HMA_AVERAGES),
    )
    strategy_mode: bool = _field(False, "on or off", "delay average, signals and direction by one bar")

    def __post_init__(self) -> None:
        for name, row in ROWS.items():
            value = getattr(self, name)
            if value is not row.default:
                object.__setattr__(self, name, row.check(value))
        reach = OFFSETS[self.robustness][-1]
        for type_, name in LENGTH_NAMES.items():
            shortest = HMA_AVERAGES[self.hma_mode].shortest if type_ == "HMA" else 1
            if getattr(self, name) - reach < shortest:
                mode = f", hma_mode={self.hma_mode!r}" if shortest > 1 else ""
                raise ValueError(
                    f"{name} must be at least {shortest + reach} with robustness={self.robustness!r}{mode} "
                    f"(its shortest average is {reach} bars shorter); got {getattr(self, name)}"
                )
        if self.short_threshold > self.long_threshold:
            raise ValueError(
                f"short_threshold must not lie above long_threshold; got short_threshold={self.short_threshold!r} "
                f"and long_threshold={self.long_threshold!r}"
            )

    def replace(self, **changes: Any) -> AtcParams:
        """A copy with some values changed."""
        check_names(changes)
        return dataclasses.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """All values by name, in the order of the table."""
        return {row.name: getattr(self, row.name) for row in PARAMETERS}

    def canonical(self) -> str:
        """The text that stands for these values in cache keys: equal exactly where the objects are equal."""
        return self._canonical

    @functools.cached_property
    def _canonical(self) -> str:
        return _CANONICAL.format(*_VALUES(self))

    def lengths(self, type_: str) -> tuple[int, ...]:
        """The nine lengths of a type: the base, the longer four, the shorter four."""
        base = getattr(self, LENGTH_NAMES[type_])
        offsets = OFFSETS[self.robustness]
        return (base, *(base + o for o in offsets), *(base - o for o in offsets))

    def longest(self, type_: str) -> int:
        """The longest of a type's nine lengths."""
        return int(getattr(self, LENGTH_NAMES[type_])) + OFFSETS[self.robustness][-1]

    def weight(self, type_: str) -> float:
        """The starting equity of a type in layer 2."""
        return float(getattr(self, f"{type_.lower()}_w"))


PARAMETERS = tuple(
    dataclasses.replace(field.metadata["row"], name=field.name) for field in dataclasses.fields(AtcParams)
)
"""The table: one `Parameter` for each field of `AtcParams`, in order."""

ROWS = {row.name: row for row in PARAMETERS}
"""The same rows by name."""

NAMES = frozenset(ROWS)

_CANONICAL = " ".join(f"{name}={{!r}}" for name in ROWS)
_VALUES = operator.attrgetter(*ROWS)


def check_names(values: Mapping[str, Any] | Iterable[str]) -> None:
    """Raise TypeError for the first name that is no parameter, suggesting the nearest."""
    for name in values:
        if name not in NAMES:
            hint = suggestion(name, sorted(NAMES)) or f". Parameters are {', '.join(ROWS)}"
            raise TypeError(f"ATC has no parameter {name!r}{hint}")


_DEFAULTS = AtcParams()


def as_params(params: AtcParams | Mapping[str, Any] | None, overrides: Mapping[str, Any]) -> AtcParams:
    """The configuration a call asks for: `params` (or the defaults) with `overrides` on top."""
    if params is None:
        return AtcParams(**overrides) if overrides else _DEFAULTS
    if isinstance(params, Mapping):
        return AtcParams(**{**params, **overrides})
    if not isinstance(params, AtcParams):
        raise TypeError(f"params must be AtcParams, a mapping of parameters, or None; got {type(params).__name__}")
    return params.replace(**overrides) if overrides else params
