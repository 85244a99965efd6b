"""ATC as a native indicator of backtrader: ``bt.ind.ATC(self.data)``; importing this registers it.

>>> import backtrader as bt
>>> from atc_plugin.indicators.backtrader import ATC
>>> bt.ind.ATC is ATC
True
>>> class Follow(bt.Strategy):
...     def __init__(self):
...         self.atc = bt.ind.ATC(self.data, ema_len=21)
...
...     def next(self):
...         if self.atc.direction[0] != self.atc.direction[-1]:
...             self.order_target_percent(target=0.9 * self.atc.direction[0])
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy import float64
from numpy.typing import NDArray

try:
    import backtrader as bt
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f'the backtrader indicator needs {missing.name}: pip install "atc_plugin[backtrader]"', name=missing.name
    ) from missing

from backtrader.lineroot import LineRoot
from backtrader.lineseries import LineSeriesMaker

from ..engine import AllOfIt
from ..kept_results import KeptResults
from ..params import LENGTH_NAMES, PARAMETERS, ROWS, TYPES, AtcParams, check_names
from ..prices import read_prices
from .claiming import Claim, check_all

if TYPE_CHECKING:
    from ..stream import AtcStream, Bar

_PARAMETERS = tuple((row.name, row.default) for row in PARAMETERS)
_SIGNALS = tuple(f"{type_.lower()}_signal" for type_ in TYPES)
_WEIGHTS = tuple(f"{type_.lower()}_weight" for type_ in TYPES)

_AVERAGE = {"color": "black", "lw": 0.8, "_fill_gt": (0, "tab:green"), "_fill_lt": (0, "tab:red")}
_DIRECTION = {"color": "gray", "lw": 0.8, "ls": ":", "drawstyle": "steps-post", "_plotvaluetag": False}


class _Atc(bt.Indicator):  # type: ignore[misc]  # backtrader is not typed
    """What the indicators here share: all but which lines they have."""

    params = _PARAMETERS
    plotinfo: ClassVar[Any] = {"subplot": True, "plotname": "ATC", "plotymargin": 0.1, "plotyticks": [-1, 0, 1]}

    _stream: AtcStream | None = None  # made at the first bar of a run that goes bar by bar
    _bar = 0  # what the stream has seen last: the number of the bar, close and source
    _price: float | None = None
    _led: float | None = None

    def __init__(self, *, source: Any = None, **unknown: Any) -> None:
        check_names(unknown)
        super().__init__()
        self._configuration = AtcParams(**{name: getattr(self.p, name) for name in ROWS})
        self._close = self.datas[0].lines[0]
        self._lead = self._read_source(source)
        # Bars before the data have values of their own: they are not bars of ours, whatever stands there.
        self._skip = self._minperiod - 1
        self.addminperiod(1 + self._configuration.cutout + self._configuration.strategy_mode)
        pairs = (("prenext", "preonce"), ("nextstart", "oncestart"), ("next", "once"))
        if any(self._overrides(each) and not self._overrides(all_at_once) for each, all_at_once in pairs):
            self._nextforce = True  # what a subclass does at each bar is not done where all are done at once

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(_Atc, method)

    def _read_source(self, source: Any) -> Any:
        """The line that the averages are taken of; None where it is the close."""
        if source is not None:
            if not isinstance(source, LineRoot):
                raise TypeError(f"source must be a data feed, an indicator or a line; got {source!r}")
            source = LineSeriesMaker(source)
            self.datas.append(source)
            for line in self.lines:
                line.updateminperiod(source._minperiod)
            self.updateminperiod(source._minperiod)
        if len(self.datas) > 2:
            raise TypeError(f"ATC takes prices and at most one source of its averages; got {len(self.datas)} datas")
        return self.datas[1].lines[0] if len(self.datas) == 2 else None

    def qbuffer(self, savemem: int = 0) -> None:
        """Have the data keep a bar more than they need: with one alone Cerebro itself loses bars of several feeds."""
        super().qbuffer(savemem)
        for data in self.datas:
            data.minbuffer(2)

    # ------------------------------------------------------------ all bars at once
    def preonce(self, start: int, end: int) -> None:
        """Nothing: `once` does the bars before the minimum period too."""

    def oncestart(self, start: int, end: int) -> None:
        """Nothing: the inherited one would call `once` twice."""

    def once(self, start: int, end: int) -> None:
        """Fill the lines in one call of the engine, or from the cache of this machine where that is worth it."""
        first, end = self._minperiod - 1, self.buflen()
        if end <= first:
            return
        bars = slice(self._skip, end)  # there may be more: room to look ahead
        close = np.array(self._close.array[bars])
        lead = None if self._lead is None else np.array(self._lead.array[bars])
        if lead is not None and lead.size != close.size:
            raise ValueError(
                f"source: it has {lead.size + self._skip} bars where the prices have {end}; couple it to their clock, "
                "source=line(prices), and run Cerebro with runonce=False"
            )
        bad = (close == 0) | np.isinf(close) | (False if lead is None else np.isinf(lead))
        if bad.any():
            raise self._bad_price(self._skip + 1 + int(bad.argmax()))
        prices = read_prices(close, lead)
        for line, packed in zip(
            self.lines.lines, self._rows(KeptResults(prices, self._configuration, True).all_of_it()), strict=False
        ):
            row = prices.unpack(packed.astype(float64, copy=False), np.nan)[0, first - self._skip :]
            # Not through a numpy view: a line that has one cannot grow.
            line.array[first:end] = array("d", row.tobytes())

    # ------------------------------------------------------------ bar by bar
    def prenext(self) -> None:
        """Take in a bar before the minimum period."""
        self._take()

    def next(self) -> None:
        """Take in a bar, or the changed bar in progress, and set the lines."""
        bar = self._take()
        if bar is not None:
            for line, value in zip(self.lines.lines, self._row(bar), strict=False):
                line[0] = value

    def _take(self) -> Bar | None:
        """What the law says at this bar; None where it has been said.

        A bar is seen again whenever another feed goes on, and with other prices where it is in progress.
        """
        number = len(self)
        if number <= self._skip:
            return None
        price = self._close[0]
        led = None
        if self._lead is not None:
            led = self._lead[0] if len(self._lead) else math.nan  # one of another feed that has not started
        is_new = number != self._bar
        if not is_new and price == self._price and led == self._led:
            return None
        stream = self._stream
        if stream is None:
            from ..stream import AtcStream  # here: it needs numba, and what is kept does not

            stream = self._stream = AtcStream(self._configuration)
        try:
            bar = stream.update(price, led) if is_new else stream.replace(price, led)
        except ValueError as fault:
            raise self._bad_price(number) from fault
        self._bar, self._price, self._led = number, price, led
        return bar

    def _bad_price(self, number: int) -> ValueError:
        return ValueError(
            f"ATC: at bar {number} of its data the price is zero, or price or source is infinite; a price may be "
            "negative, and NaN where there is no bar. What may be zero can be a source: ATC(prices, source=line)"
        )

    # ------------------------------------------------------------ lines, in their order
    def _row(self, bar: Bar) -> Iterable[float]:
        raise NotImplementedError

    def _rows(self, said: AllOfIt) -> Iterable[NDArray[Any]]:
        raise NotImplementedError

    # ------------------------------------------------------------ plots
    def _plotlabel(self) -> list[str]:
        """The length, or the lengths where they differ, and what else is not as published."""
        changed = {name: value for name, value in self._configuration.as_dict().items() if value != ROWS[name].default}
        lengths = [getattr(self._configuration, name) for name in LENGTH_NAMES.values()]
        label = [str(lengths[0])] if len(set(lengths)) == 1 else ["-".join(map(str, lengths))]
        return label + [f"{name}={value}" for name, value in changed.items() if name not in LENGTH_NAMES.values()]

    def _plotinit(self) -> None:
        self.plotinfo.plothlines = [self.p.short_threshold, self.p.long_threshold]


class AdaptiveTrendClassification(_Atc):
    """Adaptive Trend Classification, as the published indicator computes it; `ATC` for short.

    54 moving averages of six types vote on the trend, weighted by how well each has done lately.

    Formula:
      - signal of a type = states of its nine averages, weighted by their equities
      - weight of a type = equity of that signal
      - average = votes of the six signals, weighted by these
      - direction = 1 once average crosses over ``long_threshold``, -1 once it crosses under ``short_threshold``

    The lines are to the bit those of ``atc_plugin.atc`` on the same prices, in every mode of Cerebro. Where all bars
    are computed at once, the cache of this machine is asked as ``atc`` does; ``ATC_CACHE=off`` switches that off.

    Data:
      - the prices: a data feed (its close), an indicator or a line; never zero
      - what the averages are taken of, by default the prices: as a second data or as ``source=``

    Minimum period: ``cutout + 1`` bars, and one more with ``strategy_mode``, from where the data have values. Averages
    that are still without a value do not vote, so the first bars say little; ``docs/backtrader.md`` has more on it.

    Args:
        source: What the averages are taken of, a line that has a bar where the prices have one.
        **unknown: Names that are no parameters: an error.

    Raises:
        TypeError: for an unknown parameter (the nearest is suggested), or a source that is no line.
        ValueError: for a parameter out of bounds, and while running for a zero or infinite price.

    See Also:
      - https://www.tradingview.com, "Adaptive Trend Classification: Moving Averages [InvestorUnknown]", MPL 2.0
    """

    alias = ("ATC",)
    lines = ("average", "direction", *_SIGNALS, *_WEIGHTS)
    plotlines: ClassVar[Any] = {
        "average": _AVERAGE,
        "direction": _DIRECTION,
        **{name: {"_plotskip": True} for name in (*_SIGNALS, *_WEIGHTS)},
    }

    def _row(self, bar: Bar) -> Iterable[float]:
        return (bar.average, bar.direction, *bar.signals.tolist(), *bar.weights.tolist())

    def _rows(self, said: AllOfIt) -> Iterable[NDArray[Any]]:
        signals, weights = (np.moveaxis(array, 1, 0) for array in said.layers)
        return (*said.verdict, *signals, *weights)


class ATCSignal(_Atc):
    """The direction of `ATC` as a signal: ``cerebro.add_signal(bt.SIGNAL_LONGSHORT, ATCSignal, ema_len=21)``.

    Takes the parameters and data of `AdaptiveTrendClassification`. Its first line, the one that signals are read from,
    is the direction: 1 long, -1 short, 0 before the first turn.
    """

    lines = ("direction", "average")
    plotlines: ClassVar[Any] = {"direction": _DIRECTION, "average": _AVERAGE}

    def _row(self, bar: Bar) -> Iterable[float]:
        return bar.direction, bar.average

    def _rows(self, said: AllOfIt) -> Iterable[NDArray[Any]]:
        return said.verdict.direction, said.verdict.average


ATC: type[AdaptiveTrendClassification] = globals()["ATC"]
"""The class that backtrader derives for the alias."""


def register() -> list[str]:
    """Set ``bt.indicators.ATC``, its long name and ``bt.indicators.ATCSignal``; names of somebody else are an error."""
    classes = (ATC, ATCSignal, AdaptiveTrendClassification)
    claims = [Claim(bt.indicators, each.__name__, each, f"bt.indicators.{each.__name__}") for each in classes]
    check_all(claims)
    for claim in claims:
        setattr(claim.holder, claim.name, claim.value)
    return [claim.written for claim in claims]


register()
