"""The pandas accessor: ``close.atc.run(...)`` and ``frame.atc.sweep(...)``; importing this module registers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.extensions import register_dataframe_accessor, register_series_accessor

from .claiming import Claim, check_all

if TYPE_CHECKING:
    from ..params import AtcParams
    from ..result import AtcResult
    from ..sweeps.grid import ParamGrid
    from ..sweeps.result import SweepResult


class AtcAccessor:
    """ATC of the prices in a Series, or in each column of a DataFrame.

    A frame's columns are symbols. Of one with open, high, low and close take the close: ``bars["Close"].atc.run()``.

    >>> import pandas as pd
    >>> import atc_plugin.indicators.pandas
    >>> close = pd.Series([10.0, 10.5, 11.0, 10.8, 11.2] * 20, name="ACME")
    >>> close.atc.run(ema_len=14).average.name
    'ACME'
    """

    def __init__(self, obj: pd.Series[Any] | pd.DataFrame) -> None:
        self._obj = obj

    def run(
        self,
        source: Any = None,
        params: AtcParams | Mapping[str, Any] | None = None,
        *,
        backend: str = "auto",
        **overrides: Any,
    ) -> AtcResult:
        """One configuration over these prices: `atc_plugin.atc` with them as `close`.

        >>> import pandas as pd
        >>> pd.Series([10.0, 11.0, 12.0]).atc.run().direction.tolist()
        [0.0, 0.0, 0.0]
        """
        from ..indicator import atc

        return atc(self._obj, source, params, backend=backend, **overrides)

    def sweep(
        self, grid: ParamGrid, source: Any = None, metrics: Iterable[str] | str | None = None, **settings: Any
    ) -> SweepResult:
        """Every combination of a grid over these prices, judged: `atc_plugin.sweep` with them as `close`.

        >>> import pandas as pd
        >>> from atc_plugin import ParamGrid
        >>> close = pd.Series([10.0, 11.0, 12.0, 11.0])
        >>> len(close.atc.sweep(ParamGrid(ema_len=[14, 28]), metrics="total_return", cache=False))
        2
        """
        from ..sweeps.prepared import DEFAULT_METRICS
        from ..sweeps.run import sweep

        return sweep(self._obj, grid, source, DEFAULT_METRICS if metrics is None else metrics, **settings)

    def __repr__(self) -> str:
        return f"<ATC of a {type(self._obj).__name__} {self._obj.shape}: run(...), sweep(...)>"


def register() -> list[str]:
    """Set ``Series.atc`` and ``DataFrame.atc``, once; an `atc` of somebody else is an error."""
    claims = [
        Claim(pd.Series, "atc", AtcAccessor, "Series.atc"),
        Claim(pd.DataFrame, "atc", AtcAccessor, "DataFrame.atc"),
    ]
    check_all(claims)
    for claim, setter in zip(claims, (register_series_accessor, register_dataframe_accessor), strict=True):
        if getattr(claim.holder, "atc", None) is None:
            setter("atc")(claim.value)
    return [claim.written for claim in claims]


register()
