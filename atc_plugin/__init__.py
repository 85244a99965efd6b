"""Adaptive Trend Classification (ATC), bit for bit as TradingView computes it, at numba's speed.

>>> import numpy as np
>>> from atc_plugin import atc
>>> result = atc(100 + 10 * np.sin(np.arange(400) / 30), ema_len=21)
>>> result.average.shape, float(result.direction[-1])
((400,), 1.0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["AtcParams", "AtcResult", "ParamGrid", "atc", "load_prices", "precompile"]

if TYPE_CHECKING:
    from .engine import precompile
    from .indicator import atc
    from .loading import load_prices
    from .params import AtcParams
    from .result import AtcResult
    from .sweeps.grid import ParamGrid

_HOMES = {
    "AtcParams": "params",
    "AtcResult": "result",
    "ParamGrid": "sweeps.grid",
    "atc": "indicator",
    "load_prices": "loading",
    "precompile": "engine",
}


def __getattr__(name: str) -> object:
    """Resolve public names on first use: importing the package loads no other library."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
