"""``close.vbt.atc.run(...)``: ATC as an accessor of vectorbt's, on Series and DataFrames."""

from __future__ import annotations

from typing import Any

from vectorbt.generic.accessors import GenericDFAccessor, GenericSRAccessor
from vectorbt.root_accessors import (
    Vbt_DFAccessor,
    Vbt_SRAccessor,
    register_dataframe_vbt_accessor,
    register_series_vbt_accessor,
)

from .claiming import Claim


class _Runs:
    """What both accessors can do."""

    obj: Any

    def run(self, source: Any = None, **kwargs: Any) -> Any:
        """`ATC.run` with these prices as `close`."""
        from .vectorbt import ATC

        return ATC.run(self.obj, source, **kwargs)

    def run_combs(self, source: Any = None, **kwargs: Any) -> Any:
        """`ATC.run_combs` with these prices as `close`."""
        from .vectorbt import ATC

        return ATC.run_combs(self.obj, source, **kwargs)


class AtcSRAccessor(_Runs, GenericSRAccessor):  # type: ignore[misc]
    """ATC of a Series of prices: ``close.vbt.atc.run(ema_len=[14, 28])``."""


class AtcDFAccessor(_Runs, GenericDFAccessor):  # type: ignore[misc]
    """ATC of each column of a DataFrame: ``closes.vbt.atc.run(ema_len=[14, 28])``."""


def accessor_claims() -> list[Claim]:
    """The names that the accessors take."""
    return [
        Claim(Vbt_SRAccessor, "atc", AtcSRAccessor, "Series.vbt.atc"),
        Claim(Vbt_DFAccessor, "atc", AtcDFAccessor, "DataFrame.vbt.atc"),
    ]


def add_accessors() -> None:
    """Set those that are not there."""
    setters = (register_series_vbt_accessor, register_dataframe_vbt_accessor)
    for claim, setter in zip(accessor_claims(), setters, strict=True):
        if not hasattr(claim.holder, claim.name):
            setter(claim.name)(claim.value)
