"""What tests of whole sweeps share: prices, grids, the same rows one at a time, and small blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from made_components import relative
from numba.core.config import DISABLE_JIT
from price_strategies import atc_params, prices
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid, SweepResult, atc
from atc_plugin.cache import settings
from atc_plugin.cache import worth as worth_keeping
from atc_plugin.law.accumulators import judge
from atc_plugin.law.metrics import ACCUMULATORS, METRICS, metrics_of
from atc_plugin.law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from atc_plugin.prices import read_prices
from atc_plugin.sweeps import blocks, estimates, on_devices, planning, progress, workers
from atc_plugin.sweeps.accumulated import Judged
from atc_plugin.sweeps.judge import Judge

MODES = {"both": BOTH, "longonly": LONG_ONLY, "shortonly": SHORT_ONLY}
BARS = 70 if DISABLE_JIT else 400


# ---------------------------------------------------------------- prices and grids
def walks(bars: int = BARS, columns: int = 3, seed: int = 0) -> pd.DataFrame:
    """Daily prices "A", "B", ... The second has gaps and is listed late, the third is delisted early."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0.0003, 0.02, (bars, columns)), axis=0))
    if columns > 1:
        close[: bars // 5, 1] = np.nan
        close[rng.random(bars) < 0.1, 1] = np.nan
    if columns > 2:
        close[-bars // 4 :, 2] = np.nan
    return pd.DataFrame(close, index=pd.date_range("2020-01-01", periods=bars), columns=list("ABCDEFGH"[:columns]))


VALUES: dict[str, list[Any]] = {
    "ema_len": [9, 10, 17, 28, 40],
    "hma_len": [9, 13, 30],
    "wma_len": [9, 12, 33],
    "dema_len": [10, 20],
    "lsma_len": [9, 25],
    "kama_len": [9, 28],
    "ema_w": [1.0, 0.1, 2.5],
    "kama_w": [1.0, 0.25],
    "lambda_": [0.02, 0.0, 0.5, 5.0],
    "decay": [0.03, 0.0, 5.0],
    "cutout": [0, 1, 30, 1000],
    "robustness": ["Medium", "Narrow", "Wide"],
    "hma_mode": ["sma", "hull"],
    "strategy_mode": [False, True],
    "long_threshold": [0.1, 0.0, 0.5],
    "short_threshold": [-0.1, 0.0, -0.5],
}


def odd_or_narrow(params: AtcParams) -> bool:
    return params.ema_len % 2 == 1 or params.robustness == "Narrow" or params.cutout > 0


@st.composite
def products(draw: st.DrawFn, **conditions: Any) -> ParamGrid:
    """Products of up to three parameters with two or three values each."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    values = {
        name: draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3, unique=True)) for name in names
    }
    return ParamGrid(**values, **conditions)


@st.composite
def points(draw: st.DrawFn) -> ParamGrid:
    """Combinations that share little, rates and weights far outside of the dialog among them."""
    rows = st.lists(atc_params(max_len=40).map(lambda row: AtcParams(**row)), min_size=1, max_size=6, unique=True)
    return ParamGrid.points(draw(rows))


def grids() -> st.SearchStrategy[ParamGrid]:
    """Small grids of every kind, none of them empty."""
    simple = products() | points()
    return st.one_of(
        simple,
        products(where=odd_or_narrow).filter(bool),
        st.tuples(simple, simple).map(lambda pair: pair[0] | pair[1]),
        st.tuples(simple, st.integers(0, 3)).map(lambda pair: pair[0][pair[1] % len(pair[0]) :: 2]),
    )


@st.composite
def frames(draw: st.DrawFn, max_bars: int = 300) -> pd.DataFrame:
    """Up to three columns of any regime under daily dates, with gaps, listed late, all NaN."""
    bars = draw(st.integers(1, 40 if DISABLE_JIT else max_bars))
    count = draw(st.integers(1, 1 if DISABLE_JIT else 3))
    columns = [draw(prices(min_bars=bars, max_bars=bars, nan_gaps=True)) for _ in range(count)]
    index = pd.date_range("2020-01-01", periods=bars)
    return pd.DataFrame(np.stack(columns, axis=1), index=index, columns=list("ABC"[:count]))


# ---------------------------------------------------------------- one at a time
def one_at_a_time(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    *,
    direction: str = "both",
    fees: float = 0.0,
    slippage: float = 0.0,
    bars_per_year: float = 365.0,
) -> dict[str, np.ndarray]:
    """The ten metrics of every row by `atc` and the plain kernels."""
    parts = []
    together = read_prices(close, source)
    for label, bars in zip(together.labels, together.counts.tolist(), strict=True):
        for params in grid:
            values = np.full(len(ACCUMULATORS), np.nan)
            if bars:
                view = atc(close, source, params).one_column(label)
                _, values = judge(view.close, view.entries, view.exits, MODES[direction], fees, slippage, 100.0)
            parts.append(metrics_of(values, max(bars, 1), bars_per_year))
    return {name: np.array([part[name] for part in parts]) for name in METRICS}


def assert_near(got: dict[str, np.ndarray], expected: dict[str, np.ndarray], what: object = "") -> None:
    """Metrics within 1e-9, NaN and infinities alike."""
    for name, values in got.items():
        difference = relative(values, expected[name])
        worst = int(difference.argmax())
        assert difference[worst] <= 1e-9, (
            f"{what} {name} of row {worst}: {values[worst]!r}, expected {expected[name][worst]!r}"
        )


def assert_same_result(got: SweepResult, expected: SweepResult) -> None:
    """All that was computed, to the bit."""
    assert list(got.metrics) == list(expected.metrics)
    assert got.windows == expected.windows
    assert (got.columns is None) == (expected.columns is None)
    for name in ("columns", "positions"):
        if getattr(got, name) is not None:
            assert_same_bits(getattr(got, name), getattr(expected, name), name)
    assert_same_bits(got.trades, expected.trades, "trades")
    for name, values in expected.metrics.items():
        assert_same_bits(got.metrics[name], values, name)
    for name, values in expected.window_metrics.items():
        assert_same_bits(got.window_metrics[name], values, f"{name} in windows")


# ---------------------------------------------------------------- what is done
def small_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Blocks of so many combinations."""
    for module in (estimates, on_devices, planning, workers):
        monkeypatch.setattr(module, "BLOCK", size)


def judged_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the combinations of every block that this process judges."""
    counts: list[int] = []
    judge_block = Judge.judge

    def counting(self: Judge, ids: np.ndarray, jobs: int = 1) -> Judged:
        counts.append(len(ids))
        return judge_block(self, ids, jobs)

    monkeypatch.setattr(Judge, "judge", counting)
    return counts


def items(directory: Path) -> list[Path]:
    """What a store keeps, one file each."""
    settings.flush()
    return sorted(path for path in directory.rglob("*.npy") if not path.name.startswith("."))


def worth(monkeypatch: pytest.MonkeyPatch, margin: float) -> None:
    """What is worth a file: everything, with a margin of 0."""
    monkeypatch.setattr(worth_keeping, "NEVER", 0.0)
    monkeypatch.setattr(blocks, "_CHEAP", 0.0)
    monkeypatch.setattr(worth_keeping, "_MARGIN", margin)


class Bar:
    """Takes the place of tqdm's."""

    made: list[Bar]

    @staticmethod
    def put_in_place(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
        """As if on a terminal; returns where every bar will be found."""
        monkeypatch.setattr("tqdm.auto.tqdm", Bar)
        monkeypatch.setattr(progress, "_is_watched", lambda: True)
        Bar.made = []
        return Bar.made

    def __init__(self, total: int, disable: bool | None, **options: Any) -> None:
        self.total, self.disable, self.counted, self.closed, self.said = total, disable, 0, False, ""
        self.options = options
        Bar.made.append(self)

    def update(self, count: int) -> None:
        self.counted += count

    def set_postfix_str(self, text: str) -> None:
        self.said = text

    def close(self) -> None:
        self.closed = True
