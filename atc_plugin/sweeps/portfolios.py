"""The vectorbt portfolio that a row of a sweep stands for; the only file of the sweeps that knows vectorbt."""

from __future__ import annotations

from typing import Any

from ..params import AtcParams
from ..prices import Prices

DIRECTIONS = ("both", "longonly", "shortonly")
"""What may be held, in vectorbt's words."""


def portfolio_of(prices: Prices, params: AtcParams, direction: str, arguments: dict[str, Any]) -> Any:
    """The portfolio of one column's own bars and one combination, as `docs/fills.md` says for the direction."""
    try:
        import vectorbt
    except ModuleNotFoundError as missing:
        hint = 'pip install "atc_plugin[vectorbt]"'
        raise ModuleNotFoundError(f"a portfolio needs {missing.name}: {hint}", name=missing.name) from missing
    import pandas as pd

    from ..result import AtcResult

    view = AtcResult(prices, params).one_column()
    index = prices.container.index
    if index is None:
        index = pd.Index(view.bars)
    elif prices.valid is not None:
        index = index[prices.valid[0]]
    close = pd.Series(view.close, index=index, name=view.label)
    up, down = view.entries, view.exits
    signals: dict[str, dict[str, Any]] = {
        "both": {"entries": up, "short_entries": down},
        "longonly": {"entries": up, "exits": down, "direction": "longonly"},
        "shortonly": {"entries": down, "exits": up, "direction": "shortonly"},
    }
    return vectorbt.Portfolio.from_signals(close, **{**signals[direction], "engine": "numba", **arguments})
