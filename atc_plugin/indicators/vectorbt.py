"""ATC as a native indicator of vectorbt: ``vbt.ATC.run(close, ema_len=[14, 28])``; importing this registers it.

>>> import numpy as np, pandas as pd, vectorbt as vbt
>>> from atc_plugin.indicators.vectorbt import ATC
>>> days = pd.date_range("2024-01-01", periods=400, name="Date")
>>> close = pd.Series(100 + 10 * np.sin(np.arange(400) / 30), days, name="ACME")
>>> two = ATC.run(close, ema_len=[14, 28])
>>> two.average.columns.tolist(), vbt.ATC is ATC
([14, 28], True)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

try:
    import vectorbt as vbt
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f'the vectorbt indicator needs {missing.name}: pip install "atc_plugin[vectorbt]"', name=missing.name
    ) from missing

from vectorbt.indicators.factory import run_pipeline
from vectorbt.utils.config import Default

from ..choosing import choose
from ..names import suggestion
from ..params import PARAMETERS, ROWS, AtcParams
from ..prices import read_prices
from .claiming import Claim, check_all
from .not_computed import NotComputed, stands_for_nothing
from .vectorbt_accessors import accessor_claims, add_accessors
from .vectorbt_plots import METRICS, SUBPLOTS, Plots
from .zipped import LIGHT, OUTPUTS, ComponentCache, fill_cache, outputs_of, wanted_outputs, zip_lists

DIRECTIONS = {-1: "Short", 0: "Neutral", 1: "Long"}

_OWN = {"outputs": "light", "engine": None, "use_cache": None, "return_cache": False}
_ELSEWHERE = ("loky", "dask", "gpu")
_F = TypeVar("_F", bound=Callable[..., Any])


def _compute(close: Any, source: Any, *lists: Sequence[Any], **asked: Any) -> Any:
    """All combinations in one go: (bars, columns) arrays and a list of values a parameter in, all outputs out."""
    unknown = [name for name in asked if name not in _OWN]
    if unknown:
        raise _unknown(unknown[0])
    asked = _OWN | asked
    resolve_engine(asked["engine"])
    wanted = wanted_outputs(asked["outputs"])
    close, source = (values.reshape(len(values), -1) for values in (np.asarray(close), np.asarray(source)))
    zipped = zip_lists(dict(zip(ROWS, lists, strict=True)))
    cache = asked["use_cache"]
    if cache is not None and not isinstance(cache, ComponentCache):
        raise TypeError(f"use_cache takes what return_cache=True gave; got {type(cache).__name__}")
    if asked["return_cache"]:
        return fill_cache(close, source, zipped, ComponentCache() if cache is None else cache)
    made = outputs_of(close, source, zipped, wanted, cache)
    nothing = NotComputed.of((len(close), close.shape[1] * len(zipped.ids)))
    return tuple(made.get(name, nothing) for name in OUTPUTS)


def resolve_engine(engine: str | None) -> str:
    """Where to compute: "cpu", which "numba" is another name of here, or an error that says why not elsewhere.

    >>> resolve_engine("numba")
    'cpu'
    """
    if engine in (None, "auto"):
        choose(None)  # another engine of ATC_BACKEND is for others; one that there is not is an error here too
        return "cpu"
    if engine in ("cpu", "numba"):
        return "cpu"
    why = "ATC has no Rust engine" if engine == "rust" else f"there is no engine {engine!r}"
    if engine in _ELSEWHERE:
        why = f"{engine!r} does not compute series: hand large grids to atc_plugin.sweep(..., backend={engine!r})"
    raise ValueError(f"{why}; engine may be 'auto', 'cpu' or 'numba', all of which are this process and its threads")


def _unknown(name: str) -> TypeError:
    known = [*ROWS, *_OWN, *_FOR_THE_PIPELINE]
    return TypeError(f"ATC.run has no argument {name!r}{suggestion(name, known)}")


_SET_BY_THE_FACTORY = {"num_ret_outputs", "custom_func", "args", "kwargs", "input_list", "in_output_list", "param_list"}
_FOR_THE_PIPELINE = [
    *(name for name in inspect.signature(run_pipeline).parameters if name not in _SET_BY_THE_FACTORY),
    *("short_name", "short_names", "hide_params", "hide_default", "r", "comb_func"),
]

_Made: Any = vbt.IndicatorFactory(
    class_name="ATC",
    module_name=__name__,
    short_name="atc",
    input_names=["close", "source"],
    param_names=list(ROWS),
    output_names=list(OUTPUTS),
    attr_settings={
        "direction": {"dtype": DIRECTIONS},
        "entries": {"dtype": np.bool_},
        "exits": {"dtype": np.bool_},
    },
    metrics=METRICS,
    subplots=SUBPLOTS,
).from_custom_func(_compute, source="close", **{row.name: row.default for row in PARAMETERS})


def _shows(**keywords: Any) -> Callable[[_F], _F]:
    """Show all parameters, and what else a method takes, in its signature and docstring."""
    kind = inspect.Parameter
    listed = [kind("cls", kind.POSITIONAL_OR_KEYWORD), kind("close", kind.POSITIONAL_OR_KEYWORD)]
    listed.append(kind("source", kind.POSITIONAL_OR_KEYWORD, default=None))
    defaults = {row.name: row.default for row in PARAMETERS} | keywords
    listed += [kind(name, kind.KEYWORD_ONLY, default=default) for name, default in defaults.items()]
    listed.append(kind("kwargs", kind.VAR_KEYWORD))
    lines = "\n            ".join(f"{row.name}: {row.meaning}; {row.allowed}." for row in PARAMETERS)

    def decorate(method: _F) -> _F:
        method.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
        method.__doc__ = (method.__doc__ or "").replace("PARAMETERS", lines)
        return method

    return decorate


class ATC(Plots, _Made):  # type: ignore[misc]
    """Adaptive Trend Classification (ATC), the bits of TradingView's, as a native indicator of vectorbt.

    Six types of moving average, each in nine lengths, vote on the trend; each vote weighs as much as it would have
    earned. `average` is the vote, -1 to 1; `direction` turns to 1 where it crosses over `long_threshold`, to -1 where
    it crosses under `short_threshold`.

    Outputs: `average`, `direction`, `entries` and `exits`; and where asked for with `outputs`, `ema_signal` and
    `ema_weight` (what a type says, and what its vote weighs), likewise of HMA, WMA, DEMA, LSMA and KAMA.

    A NaN price is not a bar: there, floats are NaN, entries and exits False.

    Source: "Adaptive Trend Classification: Moving Averages [InvestorUnknown]" on TradingView, MPL 2.0.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(_Made.__init__).bind(self, *args, **kwargs).arguments
        given["output_list"] = [
            NotComputed.of(values.shape) if stands_for_nothing(values) else values for values in given["output_list"]
        ]
        _Made.__init__(**given)

    # ------------------------------------------------------------ running
    @classmethod
    @_shows(outputs="light", engine=None, short_name="atc", hide_params=None, hide_default=True)
    def run(cls, close: Any, source: Any = None, **kwargs: Any) -> Any:
        """Run ATC over prices, all combinations of parameters in one go.

        Each parameter may be one value, or a list, range, array, Index or Series of values; these go together one by
        one, and in all combinations with `param_product=True`. Moving averages and equities that combinations share are
        computed once.

        Args:
            close: prices, a column each.
            source: what the averages are taken of; close by default.
            PARAMETERS
            outputs: names of outputs, or "light" (average, direction, entries and exits), "signals", "weights", "all".
            engine: "auto", "cpu" or "numba": this process and its threads.
            short_name: how column levels begin.
            hide_params: parameters that get no column level.
            hide_default: whether parameters that are not given get none.
            **kwargs: as for any indicator: `param_product`, `per_column`, `run_unique`, `keep_pd`, `return_cache`,
                `use_cache`, `wrapper_kwargs` and whatever else `vectorbt.indicators.factory.run_pipeline` takes.

        Raises:
            TypeError: for an argument that is unknown (the nearest is suggested) or not prices.
            ValueError: for a value that is not allowed, and for prices that `atc_plugin.atc` refuses.
            MemoryError: for more series than there is memory.

        Usage:
            >>> import numpy as np, pandas as pd
            >>> days = pd.date_range("2024-01-01", periods=400)
            >>> close = pd.DataFrame({"A": 100 + 10 * np.sin(np.arange(400) / 30), "B": 50.0}, days)
            >>> atc = ATC.run(close, ema_len=range(10, 30, 10), robustness=["Narrow", "Wide"], param_product=True)
            >>> atc.average.shape, list(atc.average.columns.names)
            ((400, 8), ['atc_ema_len', 'atc_robustness', None])
            >>> int(atc.entries[20, "Wide", "A"].sum()), atc.direction_readable[20, "Wide", "A"].iloc[-1]
            (2, 'Long')
        """
        return cls._run(*_arguments(close, source, kwargs), **kwargs)

    @classmethod
    @_shows(
        r=2, outputs="light", engine=None, param_product=False, short_names=None, hide_params=None, hide_default=True
    )
    def run_combs(cls, close: Any, source: Any = None, **kwargs: Any) -> Any:
        """Run ATC several times over, once for each place in the combinations of so many parameters.

        Arguments are those of `run`, and:

        Args:
            close: prices, a column each.
            source: what the averages are taken of; close by default.
            PARAMETERS
            r: how many indicators.
            outputs, engine, param_product, hide_params, hide_default: as for `run`.
            short_names: how the column levels of each begin; "atc_1", "atc_2" and so on by default.
            **kwargs: `comb_func`, by default `itertools.combinations`, and as for `run`.

        Usage:
            >>> import numpy as np
            >>> close = 100 + 10 * np.sin(np.arange(400) / 30)
            >>> fast, slow = ATC.run_combs(close, ema_len=[10, 20, 30], short_names=["fast", "slow"])
            >>> fast.average_above(slow).columns.tolist()
            [(10, 20), (10, 30), (20, 30)]
        """
        return cls._run_combs(*_arguments(close, source, kwargs), **kwargs)

    @classmethod
    def _run(cls, close: Any, source: Any, *lists: Any, **kwargs: Any) -> Any:
        """One call of the engine: combinations that repeat share all anyhow, without vectorbt copying its outputs."""
        if kwargs.get("per_column"):
            kwargs.pop("use_raw", None)  # vectorbt finds a column in it by its parameters, though others may have them
        kwargs["run_unique"] = False
        source = _as_input(source)
        lists = tuple(_as_list(values) for values in lists)
        _require_shown(lists, kwargs)
        try:
            if isinstance(close, (pd.Series, pd.DataFrame)) and not close.index.is_monotonic_increasing:
                read_prices(close)
            return super()._run(close, source, *lists, **kwargs)
        except ValueError:
            _explain(close, source)
            raise

    @classmethod
    def _run_combs(cls, close: Any, source: Any, *lists: Any, **kwargs: Any) -> Any:
        """All indicators from the same components: made before, unless columns have parameters of their own."""
        kwargs["run_unique"] = False
        if kwargs.get("hide_params") is not None:
            kwargs["hide_params"] = list(kwargs["hide_params"])  # vectorbt adds to it
        lists = tuple(_as_list(values) for values in lists)
        if not kwargs.get("per_column") and kwargs.get("use_cache") is None:
            of_combs = ("r", "comb_func", "short_names")
            once = {name: value for name, value in kwargs.items() if name not in of_combs}
            kwargs["use_cache"] = cls._run(close, source, *lists, **once, return_cache=True)
        return super()._run_combs(close, _as_input(source), *lists, **kwargs)

    # ------------------------------------------------------------ one column
    def params(self, column: Any = None) -> AtcParams:
        """The parameters of one column, the only one by default.

        >>> ATC.run([10.0, 11.0, 12.0], decay=[0.01, 0.05]).params(0.05).decay
        0.05
        """
        one = self.select_one(column=column)
        return AtcParams(**{name: getattr(one, f"_{name}_mapper")[0] for name in ROWS})


def _output(name: str) -> property:
    """An output as a frame; an error that says how to get it where it was not computed."""

    def read(self: Any) -> Any:
        values: NDArray[Any] = getattr(self, f"_{name}")
        if isinstance(values, NotComputed):
            raise ValueError(f"{name} was not computed; ask for it: ATC.run(..., outputs={[*LIGHT, name]})")
        return self.wrapper.wrap(values)

    read.__doc__ = _MEANINGS.get(name) or _MEANINGS[name.partition("_")[2]].format(name.partition("_")[0].upper())
    return property(read)


_MEANINGS = {
    "average": "The average signal, -1 to 1. NaN before `cutout`.",
    "direction": "1 long, -1 short, 0 before the average first crosses a threshold.",
    "entries": "Whether the direction turned 1 at this bar.",
    "exits": "Whether the direction turned -1 at this bar.",
    "signal": "Layer-1 signal of {}, -1 to 1 in hundredths. Computed where asked for with `outputs`.",
    "weight": "Layer-2 equity of {}, the weight of its vote. Computed where asked for with `outputs`.",
}
for _name in OUTPUTS:
    setattr(ATC, _name, _output(_name))


def _arguments(close: Any, source: Any, kwargs: dict[str, Any]) -> list[Any]:
    """Inputs and parameters in their order; what is left in `kwargs` goes on by name."""
    unknown = [name for name in kwargs if name not in {*ROWS, *_OWN, *_FOR_THE_PIPELINE}]
    if unknown:
        raise _unknown(unknown[0])
    return [close, source, *(kwargs.pop(row.name, Default(row.default)) for row in PARAMETERS)]


def _as_input(source: Any) -> Any:
    """`source` as the factory takes it; what is no prices would be spread over all bars."""
    if source is None or (isinstance(source, str) and source == "close"):
        return "close"
    if not isinstance(source, str) and not np.ndim(source):
        raise TypeError(f"source takes prices; parameters are given by name, as in ema_len={source!r}")
    return source


def _as_list(values: Any) -> Any:
    """Values that vectorbt would take for a single one as a list."""
    if isinstance(values, range) or (callable(getattr(values, "tolist", None)) and np.ndim(values) == 1):
        return list(values) if isinstance(values, range) else values.tolist()
    return values


def _require_shown(lists: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Combinations need a level to be told apart by: without any, vectorbt fails with another message."""
    if kwargs.get("per_column"):
        return
    hidden = kwargs.get("hide_params") or ()
    hides_default = kwargs.get("hide_default", True)
    listed = dict(zip(ROWS, lists, strict=True))
    several = [name for name, values in listed.items() if isinstance(values, (list, tuple)) and len(values) > 1]
    shown = [name for name in ROWS if name not in hidden and not (hides_default and isinstance(listed[name], Default))]
    if several and not shown:
        names = ", ".join(name for name in several if name in hidden)
        raise ValueError(f"hide_params hides all that tells columns apart ({names}); leave one shown")


def _explain(close: Any, source: Any) -> None:
    """Raise what `atc` has to say about these prices: it knows their labels."""
    for prices in (close, source):
        if isinstance(prices, (pd.Series, pd.DataFrame)):
            read_prices(prices)


# ---------------------------------------------------------------- registration
def register() -> list[str]:
    """Set ``vbt.ATC``, ``vbt.indicators.ATC`` and the accessors ``.vbt.atc``; names of somebody else are an error."""
    claims = [Claim(vbt, "ATC", ATC, "vbt.ATC"), Claim(vbt.indicators, "ATC", ATC, "vbt.indicators.ATC")]
    accessors = accessor_claims()
    check_all([*claims, *accessors])
    for claim in claims:
        setattr(claim.holder, claim.name, claim.value)
    add_accessors()
    return [claim.written for claim in (*claims, *accessors)]


register()
