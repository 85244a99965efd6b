"""What a backtest should know of an indicator: how much history it needs, and that it never looks ahead.

>>> import numpy as np
>>> from atc_plugin import check
>>> close = 100 + 10 * np.sin(np.arange(400) / 30)
>>> check.lookahead(close).repaints
False
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from . import engine
from .device_arrays import is_on_gpu, on_host
from .params import TYPES, AtcParams, as_params
from .prices import Prices, read_prices
from .result import AtcResult

if TYPE_CHECKING:
    import pandas as pd

_SHORTEST = 16  # bars of history that are worth a look
_STEPS = 28  # lengths of history between the shortest and the longest
_ENDS = 8  # last bars that are tried, over the second half of the prices


# ---------------------------------------------------------------- how much history
@dataclasses.dataclass(frozen=True, repr=False)
class Recursive:
    """What `recursive` found.

    Attributes:
        table: a row for each thing computed: `median` and `worst` bars of history until its last value no longer
            changes (infinite: it still did with the longest history tried), and `settled`, the share of cases in which
            it came to rest.
        changes: the share of cases in which a value differs from that of the longest history, a row for each length.
        histories: the lengths of history that were tried; the longest is what the others are compared with.
        cases: columns and last bars tried.
    """

    params: AtcParams
    tolerance: float
    histories: tuple[int, ...]
    cases: int
    table: pd.DataFrame
    changes: pd.DataFrame

    def __repr__(self) -> str:
        most = self.histories[-1]
        return (
            f"<Recursive: bars of history until the last value stays within {self.tolerance:g} of that of {most} bars, "
            f"{self.cases} cases>\n{self.table.to_string(float_format='{:.4g}'.format)}"
        )


def recursive(
    close: Any,
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    tolerance: float = 1e-6,
    histories: Iterable[int] | None = None,
    **overrides: Any,
) -> Recursive:
    """How many bars of history ATC needs until its last value stops changing.

    A value may depend on where the prices start: averages have to warm up, and equities remember all they went through
    (an equity that once fell to 0.25 alone forgets). The same last bar is computed with more and more bars before
    it, at several last bars of every column, and each value compared with the one of the longest history.

    Args:
        close: prices, as `atc` takes them; the longest column should have some hundred bars.
        params: the configuration; the published defaults by default.
        tolerance: what counts as no change, relative to values above 1; states, votes and directions must be equal.
        histories: lengths of history to try, in bars; by default from 16 bars to half of what there is.
        **overrides: single parameters, on top of `params`.

    Returns:
        A `Recursive`. Its rows are, of each type, the moving averages of the base length and of the longest, the trend
        states of all nine, the layer-1 signal, and the weight as a share of all six; then `average` and `direction`.

    Raises:
        ValueError: where no column has enough bars.

    >>> close = np.random.default_rng(0).normal(0, 0.01, 1500).cumsum() + 5
    >>> recursive(close).table.loc[("WMA", "average of 28"), "worst"] <= 64
    np.True_
    """
    import pandas as pd

    configuration = as_params(params, overrides)
    prices = read_prices(close)
    longest = int(prices.counts.max(initial=0))
    lengths = _histories(histories, longest)
    most = lengths[-1]
    found: list[dict[tuple[str, str], NDArray[Any]]] = []  # of each case: a value, or several, a row for each history
    for column, count in enumerate(prices.counts.tolist()):
        if count < most:
            continue
        for end in np.unique(np.linspace(max(most, count // 2), count, _ENDS).astype(int64)).tolist():
            pieces = [_piece(prices, column, end - length, end) for length in lengths]
            rows = [_last_values(piece, configuration) for piece in pieces]
            found.append({name: np.stack([row[name] for row in rows]) for name in rows[0]})
    index = pd.MultiIndex.from_tuples(list(found[0]), names=["of", "value"])
    needed = np.array([[_settled(case[name], lengths, tolerance) for case in found] for name in index])
    differs = [[_differ(case[name], tolerance) for case in found] for name in index]
    table = pd.DataFrame(
        {
            "median": np.median(needed, axis=1),
            "worst": needed.max(axis=1),
            "settled": np.isfinite(needed).mean(axis=1),
        },
        index,
    )
    changes = pd.DataFrame(np.mean(differs, axis=1).T, pd.Index(lengths, name="history"), index)
    return Recursive(configuration, tolerance, lengths, len(found), table, changes)


def _histories(asked: Iterable[int] | None, bars: int) -> tuple[int, ...]:
    if asked is None:
        most = bars // 2
        if most < 4 * _SHORTEST:
            raise ValueError(f"close: {8 * _SHORTEST} bars are needed at least; the longest column has {bars}")
        return tuple(np.unique(np.geomspace(_SHORTEST, most, _STEPS).astype(int64)).tolist())
    lengths = tuple(sorted({int(length) for length in asked}))
    if len(lengths) < 2 or lengths[0] < 1 or lengths[-1] > bars:
        raise ValueError(f"histories needs two lengths or more from 1 to {bars} bars; got {list(lengths)}")
    return lengths


def _piece(prices: Prices, column: int, first: int, last: int) -> Prices:
    """Some bars of one column as prices of their own."""
    return read_prices(prices.close[column, first:last])


def _last_values(prices: Prices, params: AtcParams) -> dict[tuple[str, str], NDArray[Any]]:
    """Everything that ATC says at the last bar."""
    verdict, layers = engine.verdict(prices, params), engine.layers(prices, params)
    last: dict[tuple[str, str], NDArray[Any]] = {}
    for i, type_ in enumerate(TYPES):
        members = engine.members(prices, params, type_)
        averages, lengths = members.moving_averages[0, :, -1], params.lengths(type_)
        for k in (0, lengths.index(max(lengths))):
            last[type_, f"average of {lengths[k]}"] = averages[k]
        last[type_, "nine states"] = members.states[0, :, -1]
        last[type_, "signal"] = layers.signals[0, i, -1]
        last[type_, "share of weight"] = layers.weights[0, i, -1] / layers.weights[0, :, -1].sum()
    last["ATC", "average"], last["ATC", "direction"] = verdict.average[0, -1], verdict.direction[0, -1]
    return last


def _differ(values: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """For each history, whether the values differ from those of the longest."""
    values = values.reshape(len(values), -1).astype(float64)
    final = values[-1]
    with np.errstate(invalid="ignore"):
        near = np.abs(values - final) <= tolerance * np.maximum(1.0, np.abs(final))
    near |= np.isnan(values) & np.isnan(final)
    return ~near.all(axis=1)  # type: ignore[no-any-return]


def _settled(values: NDArray[Any], lengths: Sequence[int], tolerance: float) -> float:
    """The least history from which on nothing changes; infinite where it changed up to the longest."""
    changed = np.flatnonzero(_differ(values, tolerance))
    after = int(changed[-1]) + 1 if changed.size else 0
    return float(lengths[after]) if after < len(lengths) - 1 else np.inf


# ---------------------------------------------------------------- looking ahead
@dataclasses.dataclass(frozen=True, repr=False)
class Lookahead:
    """What `lookahead` found.

    Attributes:
        table: a row for each output: `values` compared, how many of them `changed` when later bars were known, the
            `first` bar that did, and `reach`, how many bars behind the newest the furthest change was.
        prefixes: the numbers of bars that were tried.
    """

    prefixes: tuple[int, ...]
    table: pd.DataFrame

    @property
    def repaints(self) -> bool:
        """Whether any value changed."""
        return bool(self.table["changed"].any())

    def __repr__(self) -> str:
        verdict = "REPAINTS" if self.repaints else "nothing repaints"
        return f"<Lookahead: {verdict}, {len(self.prefixes)} prefixes>\n{self.table.to_string()}"


def lookahead(
    close: Any,
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    indicator: Callable[[Any], Any] | None = None,
    prefixes: int | Iterable[int] = 50,
    tolerance: float = 0.0,
    **overrides: Any,
) -> Lookahead:
    """Whether a value ever changes when later bars become known: recompute on prefixes, compare bar by bar.

    Args:
        close: prices, as `atc` takes them.
        params: the configuration of ATC; the published defaults by default.
        indicator: another function to check instead: it takes the first bars of `close` and returns an array, a Series
            or DataFrame as long as they are, or several of them by name.
        prefixes: how many, spread over the bars, or their lengths.
        tolerance: by how much a value may differ; by default not by one bit (NaN equals NaN).
        **overrides: single parameters, on top of `params`.

    Returns:
        A `Lookahead`; `repaints` is the answer.

    >>> import pandas as pd
    >>> close = pd.Series(np.random.default_rng(0).normal(0, 0.01, 300).cumsum() + 5)
    >>> lookahead(close, indicator=lambda close: close.rolling(5).mean()).repaints
    False
    >>> lookahead(close, indicator=lambda close: close.rolling(5, center=True).mean()).repaints
    True
    """
    import pandas as pd

    if indicator is not None and (params is not None or overrides):
        raise TypeError("params are those of ATC; an indicator of your own knows its parameters")
    computed = indicator or _of_atc(as_params(params, overrides))
    if indicator is None and is_on_gpu(close):
        close, _ = on_host(close)
    bars = len(close)
    if isinstance(prefixes, Iterable):
        lengths = sorted({int(length) for length in prefixes})
    else:
        lengths = np.unique(np.linspace(1, bars, prefixes + 1).astype(int64)).tolist()[:-1]
    if not lengths or lengths[0] < 1 or lengths[-1] > bars:
        raise ValueError(f"prefixes must be from 1 to {bars} bars long; got {lengths}")
    whole = _by_name(computed(close), bars)
    rows: dict[str, dict[str, Any]]
    rows = {name: {"values": 0, "changed": 0, "first": None, "reach": 0} for name in whole}
    for length in lengths:
        part = _by_name(computed(close.iloc[:length] if hasattr(close, "iloc") else close[:length]), length)
        for name, row in rows.items():
            differ = _changed(part[name], whole[name][:length], tolerance)
            at = np.flatnonzero(differ.any(axis=1))
            row["values"] += differ.size
            row["changed"] += int(differ.sum())
            if at.size:
                first = int(at[0])
                row["first"] = first if row["first"] is None else min(row["first"], first)
                row["reach"] = max(row["reach"], length - 1 - first)
    return Lookahead(tuple(lengths), pd.DataFrame.from_dict(rows, orient="index"))


def _of_atc(params: AtcParams) -> Callable[[Any], dict[str, Any]]:
    def outputs(close: Any) -> dict[str, Any]:
        result = AtcResult(read_prices(close), params)
        named = {name: getattr(result, name) for name in ("average", "direction", "entries", "exits")}
        for output in ("signals", "weights"):
            named |= {f"{type_} {output[:-1]}": values for type_, values in getattr(result, output).items()}
        return named

    return outputs


def _by_name(made: Any, bars: int) -> dict[str, NDArray[Any]]:
    """What a function returned as (bars, columns) arrays by name."""
    named = made if isinstance(made, Mapping) else {"value": made}
    arrays = {str(name): np.asarray(values) for name, values in named.items()}
    for name, values in arrays.items():
        if values.ndim == 0 or len(values) != bars:
            raise ValueError(f"the indicator gave {values.shape} for {name!r}, from {bars} bars")
    return {name: values.reshape(bars, -1) for name, values in arrays.items()}


def _changed(part: NDArray[Any], whole: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    if part.shape != whole.shape:
        raise ValueError(f"the indicator gave {part.shape} from a prefix where all bars have {whole.shape}")
    if part.dtype.kind not in "fiu":
        return np.asarray(part != whole)
    with np.errstate(invalid="ignore"):
        same = (part == whole) | (np.abs(part.astype(float64) - whole) <= tolerance)
    return ~(same | (np.isnan(part) & np.isnan(whole)))  # type: ignore[no-any-return]
