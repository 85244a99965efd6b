"""`atc()`: the indicator, one configuration over any number of columns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .engine import check_backend
from .params import AtcParams, as_params
from .prices import read_prices
from .result import AtcResult

if TYPE_CHECKING:
    from .cache.store import Store


def atc(
    close: Any,
    source: Any = None,
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    backend: str = "auto",
    cache: bool | str | os.PathLike[str] | Store = True,
    **overrides: Any,
) -> AtcResult:
    """Adaptive Trend Classification of prices, as the published indicator computes it.

    Args:
        close: Prices, one column a symbol: a pandas Series or DataFrame, a polars Series or DataFrame, a 1-D array or
            a 2-D array (bars x columns), or a list. A NaN bar is not a bar: the law runs on the others.
        source: What the averages are taken of, aligned with `close`; `close` itself by default.
        params: The configuration; the published defaults by default.
        backend: "auto" or "cpu"; one configuration runs in this process, its columns on threads.
        cache: Where results are kept: True for the cache of this machine, which takes what costs more to compute than
            to read, False for none; a directory or `Store` takes all. See docs/cache.md.
        **overrides: Single parameters, on top of `params`: ``atc(close, ema_len=21)``.

    Returns:
        An `AtcResult`; its outputs have the type, index and columns of `close`.

    Raises:
        TypeError: for what are not prices, or an unknown parameter (the nearest is suggested).
        ValueError: for an infinite price, a zero close, an index that does not increase, or a parameter out of bounds;
            the message names the column and bar, or the parameter and what is allowed.

    Source: "Adaptive Trend Classification: Moving Averages [InvestorUnknown]" on TradingView, MPL 2.0.

    >>> import numpy as np
    >>> close = 100 + 10 * np.sin(np.arange(400) / 30)
    >>> result = atc(close, hma_mode="hull")
    >>> float(result.direction[-1]), int(result.entries.sum())
    (1.0, 2)
    """
    configuration = as_params(params, overrides)
    check_backend(backend)
    return AtcResult(read_prices(close, source), configuration, cache)
