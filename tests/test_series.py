"""The average and the direction of every combination are those of `atc`, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import frames, grids, walks
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

from atc_plugin import ParamGrid, atc, plan, sweep
from atc_plugin.sweeps import components, series
from atc_plugin.sweeps.series import SweepSeries

CLOSE = walks()
GRID = ParamGrid(
    ema_len=[10, 28], long_threshold=[0.1, 0.4], strategy_mode=[False, True], cutout=[0, 20], hma_mode=["sma", "hull"]
)
OUTPUTS = ("average", "direction")


def alone(close: Any, grid: ParamGrid, output: str, source: Any = None) -> np.ndarray:
    """(symbols, bars, combinations), one combination at a time."""
    results = [np.asarray(getattr(atc(close, source, params), output), dtype=np.float64) for params in grid]
    return np.stack([result.reshape(len(result), -1).T for result in results], axis=2)


def gathered(made: SweepSeries) -> np.ndarray:
    """All blocks put together."""
    whole = np.full(made.shape, 7.0)
    labels = list(made.prices.labels)
    for block in made:
        whole[labels.index(block.symbol), :, block.first : block.first + block.values.shape[1]] = block.values
    return whole


def blocks_of(monkeypatch: pytest.MonkeyPatch, combinations: int, bars: int = len(CLOSE)) -> None:
    monkeypatch.setattr(series, "_BYTES", 8 * bars * combinations)


# ---------------------------------------------------------------- the bits
@settings(max_examples=3 if DISABLE_JIT else 60)
@given(close=frames(), grid=grids(), output=st.sampled_from(OUTPUTS))
def test_series_are_those_of_one_at_a_time(close: pd.DataFrame, grid: ParamGrid, output: str) -> None:
    made = sweep(close, grid, output=output)
    assert made.shape == (close.shape[1], len(close), len(grid))
    assert_same_bits(gathered(made), alone(close, grid, output))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("size", [1, 5, 32, 1000])
def test_blocks_are_in_order_and_of_any_size(output: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks_of(monkeypatch, size)
    made = sweep(CLOSE, GRID, output=output, n_jobs=2)
    blocks = list(made)
    step = min(size, len(GRID))
    firsts = list(range(0, len(GRID), step))
    assert [(block.symbol, block.first) for block in blocks] == [(label, first) for label in CLOSE for first in firsts]
    assert len(made) == len(blocks)
    assert all(block.values.shape[0] == len(CLOSE) for block in blocks)
    assert all(block.values.shape[1] == min(step, len(GRID) - block.first) for block in blocks)
    assert {block.values.dtype for block in blocks} == {np.dtype(np.float64)}
    expected = alone(CLOSE, GRID, output)
    assert_same_bits(gathered(made), expected)
    assert_same_bits(gathered(made), expected)  # and once more
    assert_same_bits(gathered(sweep(CLOSE, GRID, output=output, n_jobs=1)), expected)


def test_a_delay_is_by_a_bar_of_the_column() -> None:
    close = CLOSE["B"]
    grid = ParamGrid(strategy_mode=[False, True])
    for output, first in (("average", np.nan), ("direction", 0.0)):
        frame = sweep(close, grid, output=output).frame()
        assert frame[close.isna()].isna().all(axis=None)
        now, late = (frame.loc[close.notna(), k].to_numpy() for k in (0, 1))
        assert_same_bits(late[1:], now[:-1])
        assert_same_bits(late[:1], np.array([first]))


def test_another_source() -> None:
    source = CLOSE.shift(1)
    for output in OUTPUTS:
        made = sweep(CLOSE, GRID, source, output=output)
        assert_same_bits(gathered(made), alone(CLOSE, GRID, output, source))


def test_columns_without_bars_and_with_one() -> None:
    close = CLOSE.assign(A=np.nan)
    close.loc[close.index[1:], "C"] = np.nan
    for output in OUTPUTS:
        made = gathered(sweep(close, GRID, output=output))
        assert np.isnan(made[0]).all()
        assert_same_bits(made, alone(close, GRID, output))


@pytest.mark.parametrize("kind", ["array", "list", "polars"])
def test_prices_of_any_type(kind: str) -> None:
    values = CLOSE["A"].to_numpy()
    close = {"array": values, "list": values.tolist(), "polars": pl.Series("A", values)}[kind]
    made = sweep(close, GRID, output="average")
    assert_same_bits(gathered(made), alone(values, GRID, "average"))
    assert made.frame().index.tolist() == list(range(len(values)))


def test_components_are_computed_once_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    make = components.make_components

    def counting(*arguments: Any) -> None:
        rows.append(len(arguments[-2]))
        make(*arguments)

    monkeypatch.setattr(components, "make_components", counting)
    blocks_of(monkeypatch, 3)
    made = sweep(CLOSE, GRID, output="direction")
    assert rows == []  # not before it is gone through
    next(iter(made))
    assert rows == [len(plan(GRID).components)]
    rows.clear()
    list(made)
    assert rows == [len(plan(GRID).components)] * 3


def test_metrics_are_of_the_same_directions() -> None:
    """One turn at least where there are trades, none where there are none."""
    close = CLOSE["A"]
    trades = sweep(close, GRID, metrics="total_trades", cache=False).trades
    frame = sweep(close, GRID, output="direction").frame()
    turns = (frame.diff().fillna(frame.iloc[0]) != 0).sum()
    assert_same_bits(turns.to_numpy().astype(np.int32), trades)


# ---------------------------------------------------------------- as a frame
def test_a_frame_of_one_symbol() -> None:
    for output in OUTPUTS:
        made = sweep(CLOSE, GRID, output=output)
        expected = alone(CLOSE, GRID, output)
        for column, label in enumerate(CLOSE):
            frame = made.frame(label)
            assert frame.index.equals(CLOSE.index)
            assert frame.columns.tolist() == list(range(len(GRID)))
            assert_same_bits(frame.to_numpy(), expected[column])
    assert [made.params(k) for k in (0, 5, -1)] == [GRID[0], GRID[5], GRID[-1]]
    only = sweep(CLOSE[["A"]], GRID, output="average")
    pd.testing.assert_frame_equal(only.frame(), only.frame("A"))


def test_a_symbol_that_is_not_there() -> None:
    made = sweep(CLOSE, GRID, output="average")
    with pytest.raises(ValueError, match=r"^symbol must be one of A, B, C; got 'D'"):
        made.frame("D")
    with pytest.raises(ValueError, match=r"^symbol must be one of A, B, C$"):
        made.frame()
    with pytest.raises(IndexError):
        made.params(len(GRID))


# ---------------------------------------------------------------- in a file
@pytest.mark.parametrize("size", [3, 1000])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_file_that_is_mapped(output: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks_of(monkeypatch, size)
    path = tmp_path / "all.npy"
    mapped = sweep(CLOSE, GRID, output=output).to_memmap(path)
    assert isinstance(mapped, np.memmap)
    assert mapped.shape == (len(CLOSE.columns), len(GRID), len(CLOSE))
    expected = np.ascontiguousarray(alone(CLOSE, GRID, output).transpose(0, 2, 1))
    assert_same_bits(np.asarray(mapped), expected)
    assert [file.name for file in tmp_path.iterdir()] == ["all.npy"]
    assert_same_bits(np.load(path, mmap_mode="r"), expected)
    again = sweep(CLOSE[["A"]], GRID[:2], output=output).to_memmap(str(path))  # in its place
    assert_same_bits(np.asarray(again), expected[:1, :2])


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_after_an_error_no_file_is_left(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks_of(monkeypatch, 10)
    whole = tmp_path / "whole.npy"
    whole.write_bytes(b"what was there")
    fill, filled = SweepSeries._fill, []

    def failing(self: SweepSeries, *arguments: Any) -> None:
        filled.append(arguments)
        if len(filled) == 6:
            assert (tmp_path / "whole.npy.partial").exists()
            raise error
        fill(self, *arguments)

    monkeypatch.setattr(SweepSeries, "_fill", failing)
    made = sweep(CLOSE, GRID, output="average")
    with pytest.raises(error):
        made.to_memmap(whole)
    assert [file.name for file in tmp_path.iterdir()] == ["whole.npy"]
    assert whole.read_bytes() == b"what was there"


def test_a_file_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sweep(CLOSE, GRID, output="average").to_memmap(tmp_path / "none" / "file.npy")


def test_what_is_kept_is_one_block_and_the_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is a new array: none is written over by the next."""
    blocks_of(monkeypatch, 4)
    blocks = list(sweep(CLOSE, GRID, output="average"))
    assert not np.shares_memory(blocks[0].values, blocks[1].values)
    assert max(block.values.nbytes for block in blocks) <= series._BYTES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fees": 0.1}, "fees would have no meaning"),
        ({"windows": 0, "top": 0}, "windows, top would have no meaning"),
        ({"metrics": ["exposure"]}, "metrics would have no meaning"),
        ({"backend": "loky"}, "computed by threads of this process or by GPUs"),
    ],
)
def test_what_only_judging_needs_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sweep([10.0, 11.0, 12.0], ParamGrid(), output="average", **arguments)


def test_a_series_says_what_it_is() -> None:
    series = sweep([10.0, 11.0, 12.0], ParamGrid(ema_len=[20, 30]), output="average")
    assert repr(series) == "<SweepSeries: average of 2 combinations x 3 bars x 1 symbols>"
