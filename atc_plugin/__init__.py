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

__all__ = [
    "AtcParams",
    "AtcResult",
    "AtcStream",
    "ParamGrid",
    "SweepResult",
    "atc",
    "load_prices",
    "plan",
    "precompile",
    "register",
    "sweep",
    "warm",
]

if TYPE_CHECKING:
    from .indicator import atc
    from .loading import load_prices
    from .params import AtcParams
    from .precompiling import precompile
    from .registering import register
    from .result import AtcResult
    from .stream import AtcStream
    from .sweeps.grid import ParamGrid
    from .sweeps.planning import plan
    from .sweeps.result import SweepResult
    from .sweeps.run import sweep
    from .warming import warm

_HOMES = {
    "AtcParams": "params",
    "AtcResult": "result",
    "AtcStream": "stream",
    "ParamGrid": "sweeps.grid",
    "SweepResult": "sweeps.result",
    "atc": "indicator",
    "load_prices": "loading",
    "plan": "sweeps.planning",
    "precompile": "precompiling",
    "register": "registering",
    "sweep": "sweeps.run",
    "warm": "warming",
}


def __getattr__(name: str) -> object:
    """Resolve public names on first use: importing the package loads no other library."""
    from importlib import import_module

    if name in ("cache", "check"):  # looking after the cache, guards for backtests: modules of their own
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
