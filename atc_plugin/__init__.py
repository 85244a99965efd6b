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
    "AlertStream",
    "AtcParams",
    "AtcResult",
    "AtcStream",
    "ParamGrid",
    "SweepResult",
    "WalkForward",
    "alerts",
    "atc",
    "atc_async",
    "load_prices",
    "plan",
    "precompile",
    "register",
    "run_batch_async",
    "scan",
    "sweep",
    "sweep_async",
    "tune",
    "use_profile",
    "walk_forward",
    "warm",
]

if TYPE_CHECKING:
    from .aio import atc_async, sweep_async
    from .alerting import AlertStream, alerts
    from .batches import run_batch_async
    from .indicator import atc
    from .loading import load_prices
    from .params import AtcParams
    from .precompiling import precompile
    from .profiles import use_profile
    from .registering import register
    from .result import AtcResult
    from .scanner import scan
    from .stream import AtcStream
    from .sweeps.grid import ParamGrid
    from .sweeps.planning import plan
    from .sweeps.result import SweepResult
    from .sweeps.run import sweep
    from .sweeps.walked import WalkForward
    from .sweeps.walking import walk_forward
    from .tuning import tune
    from .warming import warm

_HOMES = {
    "AlertStream": "alerting",
    "AtcParams": "params",
    "AtcResult": "result",
    "AtcStream": "stream",
    "ParamGrid": "sweeps.grid",
    "SweepResult": "sweeps.result",
    "WalkForward": "sweeps.walked",
    "alerts": "alerting",
    "atc": "indicator",
    "atc_async": "aio",
    "load_prices": "loading",
    "plan": "sweeps.planning",
    "precompile": "precompiling",
    "register": "registering",
    "run_batch_async": "batches",
    "scan": "scanner",
    "sweep": "sweeps.run",
    "sweep_async": "aio",
    "tune": "tuning",
    "use_profile": "profiles",
    "walk_forward": "sweeps.walking",
    "warm": "warming",
}


def __getattr__(name: str) -> object:
    """Resolve public names on first use: importing the package loads no other library."""
    from importlib import import_module

    if name in ("cache", "check", "optimize"):  # looking after the cache, guards for backtests, search: modules
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
