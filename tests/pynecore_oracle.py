"""ATC as PyneCore computes it: a third-party Pine runtime on our translation of the published script.

The scripts lie in pynecore_scripts/ and use PyneCore's own `ta` functions wherever the published script uses
TradingView's. Prices must be finite, above 1e-4 and with steps well above 1e-10: inside a script, comparisons carry
an absolute tolerance of 1e-10 there, as on TradingView.
"""

import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

SCRIPTS = Path(__file__).parent / "pynecore_scripts"
DAY = 86_400_000  # milliseconds


def pynecore_atc(close: np.ndarray, source: np.ndarray | None = None, **params: Any) -> dict[str, np.ndarray]:
    """One configuration, with the keys, shapes and types of the golden files; parameters named as in the law."""
    source = close if source is None else source
    rows = _run("atc_script.py", {"close": close, "open": source}, params)
    arrays = {key: np.moveaxis(np.array([row[key] for row in rows], np.float64), 0, -1) for key in rows[0]}
    arrays["states"] = arrays["states"].astype(np.int8)
    return arrays


def pynecore_equity(close: np.ndarray, signal: np.ndarray, **params: Any) -> np.ndarray:
    """The equity of any given signal (NaN allowed); parameters `weight`, `lambda_`, `decay`, `cutout`."""
    rows = _run("equity_script.py", {"close": close, "high": signal}, params)
    return np.array([row["equity"] for row in rows], np.float64)


def _run(script: str, fields: dict[str, np.ndarray], inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """What the script's main returned at each bar. PyneCore is imported here: it hooks Python's imports."""
    from pynecore.core.script_runner import ScriptRunner
    from pynecore.types.ohlcv import OHLCV

    columns = {field: np.asarray(fields.get(field, fields["close"]), np.float64).tolist() for field in _FIELDS}
    bars = [
        OHLCV(timestamp=t * DAY, volume=1.0, **dict(zip(_FIELDS, row, strict=True)))
        for t, row in enumerate(zip(*columns.values(), strict=True))
    ]
    with mock.patch.dict(os.environ, {"PYNE_SAVE_SCRIPT_TOML": "0"}):  # else it writes settings beside the script
        runner = ScriptRunner(
            SCRIPTS / script, bars, _symbol(), inputs=inputs, lossless_prices=True, lossless_volume=True
        )
        return [row for _, row in runner.run_iter()]


_FIELDS = ("open", "high", "low", "close")


def _symbol() -> Any:
    """A symbol that any price fits."""
    from pynecore.core.syminfo import SymInfo

    return SymInfo(
        prefix="TEST",
        description="",
        ticker="TEST",
        currency="USD",
        period="1D",
        type="other",
        mintick=0.01,
        pricescale=100,
        pointvalue=1.0,
        mincontract=1.0,
        opening_hours=[],
        session_starts=[],
        session_ends=[],
        timezone="UTC",
    )
