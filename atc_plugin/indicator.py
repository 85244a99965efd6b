"""`atc()`: the indicator, one configuration over any number of columns."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .choosing import WORTH_A_GPU, choose
from .device_arrays import is_on_gpu
from .params import AtcParams, as_params
from .prices import Prices, read_prices
from .result import AtcResult

if TYPE_CHECKING:
    from .cache.store import Store

log = logging.getLogger("atc_plugin")


def atc(
    close: Any,
    source: Any = None,
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    backend: str = "auto",
    cache: bool | str | os.PathLike[str] | Store = True,
    output: str = "host",
    **overrides: Any,
) -> AtcResult:
    """Adaptive Trend Classification of prices, as the published indicator computes it.

    Args:
        close: Prices, one column a symbol: a pandas Series or DataFrame, a polars Series or DataFrame, a 1-D array or
            a 2-D array (bars x columns), or a list; or an array on a GPU (CuPy's, or what offers itself as one), which
            gives CuPy's arrays. A NaN bar is not a bar: the law runs on the others.
        source: What the averages are taken of, aligned with `close`; `close` itself by default.
        params: The configuration; the published defaults by default.
        backend: "cpu" runs in this process, its columns on threads; "gpu" on a CUDA device, see docs/gpu.md; "auto"
            takes a GPU for prices that are on one, and for very many. The bits are the same.
        cache: Where results are kept: True for the cache of this machine, which takes what costs more to compute than
            to read, False for none; a directory or `Store` takes all. See docs/cache.md. It is neither asked nor
            filled where outputs stay on a GPU.
        output: "host", or "device", which asks for a GPU: all outputs are CuPy's arrays, and average and direction
            never leave it.
        **overrides: Single parameters, on top of `params`: ``atc(close, ema_len=21)``.

    Returns:
        An `AtcResult`; its outputs have the type, index and columns of `close`.

    Raises:
        TypeError: for what are not prices, or an unknown parameter (the nearest is suggested).
        ValueError: for an infinite price, a zero close, an index that does not increase, or a parameter out of bounds;
            the message names the column and bar, or the parameter and what is allowed. Also for a backend or an output
            that is none.
        RuntimeError: a GPU was asked for and none can be used; the message says why.
        MemoryError: the GPU that was asked for has no room for a single column.

    Source: "Adaptive Trend Classification: Moving Averages [InvestorUnknown]" on TradingView, MPL 2.0.

    >>> import numpy as np
    >>> close = 100 + 10 * np.sin(np.arange(400) / 30)
    >>> result = atc(close, hma_mode="hull")
    >>> float(result.direction[-1]), int(result.entries.sum())
    (1.0, 2)
    """
    configuration = as_params(params, overrides)
    asked = choose(backend, output)
    if asked == "gpu":
        return _on_gpu(close, source, None, configuration, cache, output)
    prices = None
    if asked == "auto":
        prices = None if is_on_gpu(close) else read_prices(close, source)
        if (prices is None or prices.close.size >= WORTH_A_GPU) and _is_gpu_there():
            try:
                return _on_gpu(close, source, prices, configuration, cache, output, wait=True)
            except (TypeError, ValueError):  # of the prices
                raise
            except Exception as fault:  # of the device, in as many ways as there are
                log.warning("atc: computed on the CPU, for the GPU failed (%s: %s)", type(fault).__name__, fault)
    return AtcResult(prices or read_prices(close, source), configuration, cache)


def _is_gpu_there() -> bool:
    from .accel.devices import why_not

    reason = why_not()
    if reason:
        log.debug("atc: computed on the CPU: %s", reason)
    return not reason


def _on_gpu(
    close: Any,
    source: Any,
    prices: Prices | None,  # close and source, if they were read
    params: AtcParams,
    cache: bool | str | os.PathLike[str] | Store,
    output: str,
    wait: bool = False,
) -> AtcResult:
    from .device_results import engine_for, read_prices_there, result_on

    engine = engine_for(close)
    prices = prices or read_prices_there(engine, close, source, output)
    result = result_on(engine, prices, params, cache)
    if wait:
        result.wait()
    return result
