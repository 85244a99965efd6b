"""Results of `atc()` on a GPU: average and direction lie there until they are asked for, or stay."""

from __future__ import annotations

import dataclasses
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from . import engine as cpu
from .accel.holding import Held
from .accel.launch import DeviceEngine
from .accel.placing import placed_on, places_of
from .accel.single import Part, verdicts_in_parts
from .column_results import some_columns
from .device_arrays import as_cupy, is_on_gpu
from .device_prices import DevicePrices, read_for_device
from .kept_results import Found, KeptResults
from .params import AtcParams
from .prices import Prices
from .result import AtcResult

if TYPE_CHECKING:
    from .cache.store import Store


class _There(NamedTuple):
    parts: list[Part]
    places: Any  # (bars, columns): as `places_of` gives them


class DeviceResult(AtcResult):
    """An `AtcResult` whose average and direction a GPU computes.

    Of prices that came from the host each is brought when it is first asked for, and nothing else is. Of prices on a
    GPU, and with `output="device"`, all outputs are CuPy's arrays; they may be used at once in the stream that is
    current when they are asked for. What is neither average nor direction is computed on the CPU, which brings the
    prices if it has to. Pickled, it is a result whose average is computed on the CPU.

    Args:
        prices: as `AtcResult` takes them.
        params: the configuration.
        there: average and direction of the columns that `found` has not; None where it has all.
        found: what is there of prices from the host; None where outputs stay on the device.
    """

    def __init__(self, prices: Prices, params: AtcParams, there: Held[_There] | None, found: Found | None) -> None:
        self.params = params
        self._prices = prices
        self._made = {}
        self._there = there
        self._found = found
        self._on_host: dict[str, NDArray[Any]] = {}  # what was brought of the columns that were missing
        self._handed_out: dict[str, Held[Any]] = {}

    # ------------------------------------------------------------ the verdict
    @property
    def average(self) -> Any:
        """As `AtcResult.average`; on the device where prices or outputs are."""
        return self._output("average")

    @property
    def direction(self) -> Any:
        """As `AtcResult.direction`; on the device where prices or outputs are."""
        return self._output("direction")

    @property
    def entries(self) -> Any:
        """As `AtcResult.entries`; on the device where prices or outputs are."""
        return self._output("entries")

    @property
    def exits(self) -> Any:
        """As `AtcResult.exits`; on the device where prices or outputs are."""
        return self._output("exits")

    def _output(self, name: str) -> Any:
        if self._found is not None:
            return getattr(super(), name)
        if name not in self._handed_out:
            assert self._there is not None
            engine = self._there.engine
            with self._there.reading() as there:
                placed = placed_on(engine, name, there.parts, there.places, self.params.strategy_mode)
                self._handed_out[name] = Held(engine, placed.reshape(self._prices.container.shape))
        return self._handed_out[name].handed_out()

    # ------------------------------------------------------------ what the host asks for
    @cached_property
    def _average(self) -> NDArray[float64]:
        return self._packed("average")

    @cached_property
    def _direction(self) -> NDArray[int8]:
        return self._packed("direction")

    def _packed(self, name: str) -> NDArray[Any]:
        """Of all columns, (columns, bars), as the CPU's engine would give it."""
        found = self._found
        if found is not None and found.whole is not None:
            return getattr(found.whole, name)  # type: ignore[no-any-return]
        columns, bars = self._prices.shape
        missing = range(columns) if found is None else found.missing
        packed = self._brought(name) if missing else np.empty((0, 0))
        if found is not None and len(missing) < columns:
            made, packed = packed, np.empty((columns, bars), float64 if name == "average" else int8)
            for column, verdict in found.parts.items():
                packed[column, : len(verdict.average[0])] = getattr(verdict, name)[0]
            for column, row in zip(missing, made, strict=True):
                packed[column, : row.size] = row
        return cpu.late(packed) if self.params.strategy_mode else packed

    def _brought(self, name: str) -> NDArray[Any]:
        """Of the columns that were missing, never delayed; kept where the store wants it, once both are there."""
        held = self._there  # before the look: another thread may bring the same, and let go
        if name not in self._on_host:
            assert held is not None
            with held.reading() as there:
                rows = [held.engine.brought(getattr(part, name)).T for part in there.parts]
            array = rows[0] if len(rows) == 1 else np.concatenate(rows)
            if self._found is not None and self._found.keep is not None:
                array.flags.writeable = False  # the store's too, so whoever hands it out has to copy
            self._on_host[name] = array
            if self._found is not None and len(self._on_host) == 2:
                self._there = None
                if self._found.keep is not None:
                    self._found.keep(cpu.Verdict(**self._on_host))
        return self._on_host[name]

    def wait(self) -> None:
        """Wait for the device; what failed there is raised here."""
        if self._there is not None:
            self._there.wait()

    def __reduce__(self) -> tuple[Any, ...]:
        return _result_of_the_cpu, (self.__getstate__(),)


def _result_of_the_cpu(state: dict[str, Any]) -> AtcResult:
    result = AtcResult.__new__(AtcResult)
    result.__dict__.update(state)
    return result


def engine_for(close: Any) -> DeviceEngine:
    """The engine of the device that prices lie on; of the current device for prices of the host.

    Raises:
        RuntimeError: no GPU can be used here; the message says why.
    """
    engine = DeviceEngine()
    return DeviceEngine(int(as_cupy(close).device.id)) if is_on_gpu(close) else engine


def read_prices_there(engine: DeviceEngine, close: Any, source: Any, output: str) -> Prices:
    """Prices for `result_on`; with `output` "device" such that what is made of them stays there."""
    prices = read_for_device(engine, close, source)
    if output == "host" or prices.container.kind == "cupy":
        return prices
    there = dataclasses.replace(prices.container, kind="cupy", device=engine.device)
    return dataclasses.replace(prices, container=there)


def result_on(
    engine: DeviceEngine, prices: Prices, params: AtcParams, cache: bool | str | os.PathLike[str] | Store
) -> DeviceResult:
    """The result of an engine, which is not waited for; what the cache has is not computed.

    What stays on the device is neither looked for in the cache nor kept there: its keys and records are the host's.
    """
    kept = KeptResults(prices, params, cache)
    if prices.container.kind == "cupy":
        return DeviceResult(prices, params, _verdict_on(engine, prices, params), None)
    found = kept.look()
    there = _verdict_on(engine, some_columns(prices, found.missing), params) if found.missing else None
    result = DeviceResult(prices, params, there, found)
    result._kept = kept
    if found.takes_all and found.missing:
        result._brought("average"), result._brought("direction")
    return result


def _verdict_on(engine: DeviceEngine, prices: Prices, params: AtcParams) -> Held[_There]:
    free = engine.free_bytes()
    if isinstance(prices, DevicePrices):
        with prices.there.reading() as (close, source):
            parts = verdicts_in_parts(engine, close, source, prices.counts, params, free)
    else:
        lead = None if prices.source is prices.close else prices.source.T
        parts = verdicts_in_parts(engine, prices.close.T, lead, prices.counts, params, free)
    places = places_of(prices.valid if prices.container.kind == "cupy" else None)
    return Held(engine, _There(parts, engine.taken(places)))
