"""Every example runs as it is printed, from a folder of its own."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numba.core.config import DISABLE_JIT

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.skipif(DISABLE_JIT, reason="the examples need compiled kernels to be quick")


def run(folder: Path, example: str, *arguments: str, expect: int = 0) -> str:
    """What an example prints; its errors where it is expected to fail."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.returncode == expect, done.stderr
    return done.stderr if expect else done.stdout


@pytest.fixture
def prices_csv(tmp_path: Path) -> Path:
    days = pd.date_range("2020-01-01", periods=400, name="Date")
    walks = 50 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, (400, 2)), axis=0))
    path = tmp_path / "mine.csv"
    pd.DataFrame(walks.round(2), index=days, columns=["AAA", "BBB"]).to_csv(path)
    return path


def test_first_look(tmp_path: Path) -> None:
    printed = run(tmp_path, "first_look.py")
    assert "AAPL on the last days" in printed
    assert (tmp_path / "out" / "AAPL.html").stat().st_size > 50_000
    assert (tmp_path / "out" / "AAPL_EMA.html").exists()


def test_first_look_at_another_file(tmp_path: Path, prices_csv: Path) -> None:
    assert "BBB on the last days" in run(tmp_path, "first_look.py", "BBB", str(prices_csv))


@pytest.mark.parametrize(
    ("example", "chart", "said"),
    [
        ("backtest_backtrader.py", "AAPL_backtrader.png", "long and short"),
        ("signals_backtrader.py", "signals_backtrader.png", "long and short"),
        ("replay_backtrader.py", "MSFT_replay.png", "is what atc says of the weekly closes: True"),
    ],
)
def test_backtrader(tmp_path: Path, example: str, chart: str, said: str) -> None:
    pytest.importorskip("backtrader")
    assert said in run(tmp_path, example)
    assert (tmp_path / "out" / chart).stat().st_size > 20_000


def test_warm_sweep_hits_all_the_second_time(tmp_path: Path, prices_csv: Path) -> None:
    arguments = "--csv", str(prices_csv), "--grid", "ema_len=10,20", "robustness=Narrow,Wide", "decay=0.01,0.03"
    first = run(tmp_path, "warm_sweep.py", *arguments, "--jobs", "2", "--cache-dir", "kept")
    assert "8 combinations x 2 stocks x 400 bars" in first
    assert "0 hits, 2 misses among the blocks of combinations (0% from kept)" in first
    second = run(tmp_path, "warm_sweep.py", *arguments, "--cache-dir", "kept")
    assert "2 hits, 0 misses among the blocks of combinations (100% from kept)" in second
    assert first.split("The best by")[1] == second.split("The best by")[1]
    third = run(tmp_path, "warm_sweep.py", *arguments[:-1], "decay=0.01,0.03,0.05", "--cache-dir", "kept")
    assert "0 hits, 2 misses" in third
    workers = run(tmp_path, "warm_sweep.py", *arguments, "--backend", "loky", "--jobs", "2", "--cache-dir", "other")
    assert first.split("The best by")[1] == workers.split("The best by")[1]


def test_warm_sweep_reads_a_grid_from_a_file(tmp_path: Path, prices_csv: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        "[product]\nema_len = { start = 10, stop = 30, step = 5 }\ndecay = [0.01, 0.03]\n"
    )
    printed = run(tmp_path, "warm_sweep.py", "--csv", str(prices_csv), "--grid-file", "grid.toml", "--backend", "cpu")
    assert "8 combinations x 2 stocks x 400 bars" in printed


def test_warm_sweep_on_the_bundled_stocks(tmp_path: Path) -> None:
    printed = run(tmp_path, "warm_sweep.py", "--grid", "ema_len=14,28", "hma_mode=sma,hull")
    assert "4 combinations x 20 stocks x 3270 bars, 2010-01-04 to 2022-12-28" in printed
    assert "XOM" in printed


def test_backtest_vectorbt(tmp_path: Path, prices_csv: Path) -> None:
    printed = run(tmp_path, "backtest_vectorbt.py", "--csv", str(prices_csv), "--stock", "BBB", "--split", "2020-10-01")
    assert "648 combinations x 2 stocks, judged on 274 bars before 2020-10-01" in printed
    rows = {line.split("  ")[0]: line.split()[-6:] for line in printed.splitlines()}
    assert all(len(rows[name]) == 6 for name in ("chosen", "single best", "defaults", "buy and hold"))
    best, middle = (float(rows[name][0]) for name in ("single best", "chosen"))
    assert best >= middle
    for name in ("indicator", "portfolio", "wealth", "grid"):
        assert (tmp_path / "out" / f"backtest_{name}.html").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--stock", "ACME"), "--stock must be one of AAPL"),
        (("--split", "2010-01-10"), "--split must leave 100 bars on either side"),
    ],
)
def test_backtest_vectorbt_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in run(tmp_path, "backtest_vectorbt.py", *arguments, expect=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--csv", "nowhere.csv"), "nowhere.csv"),
        (("--grid", "ema_len"), "--grid takes NAME=VALUE,VALUE..., each name once; got 'ema_len'"),
        (("--grid", "ema_len=9", "ema_len=10"), "each name once; got 'ema_len=10'"),
        (("--grid", "ema_len=9,9"), "ema_len"),
        (("--grid", "emalen=3"), "no parameter 'emalen'. Did you mean 'ema_len'"),
        (("--grid", "ema_len=3"), "ema_len must be at least 7"),
        (("--jobs", "0"), "--jobs must be 1 or more"),
        (("--grid-file", "nowhere.toml"), "nowhere.toml"),
        (("--grid", "ema_len=9", "--grid-file", "x.toml"), "not allowed with argument --grid"),
        (("--csv", "x.csv", "--ticker", "A"), "not allowed with argument --csv"),
    ],
)
def test_warm_sweep_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in run(tmp_path, "warm_sweep.py", *arguments, expect=2)
    assert not (tmp_path / ".atc_cache").exists()


def test_warm_sweep_of_prices_that_never_move(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=60, name="Date")
    pd.DataFrame({"FLAT": np.full(60, 5.0)}, index=days).to_csv(tmp_path / "flat.csv")
    assert "No combination ever held a stock" in run(
        tmp_path, "warm_sweep.py", "--csv", "flat.csv", "--grid", "ema_len=9"
    )


def test_the_bundled_data_is_made_from_the_rows_since_2010(tmp_path: Path) -> None:
    text = "Date,A\r\n2009-12-31,1.5\r\n2010-01-04,2.25\r\n2010-01-05,3.0\r\n"
    (tmp_path / "all.csv.gz").write_bytes(gzip.compress(text.encode()))
    run(tmp_path, "data/make_us_stocks.py", "all.csv.gz", "--out", "some.csv.gz")
    assert gzip.decompress((tmp_path / "some.csv.gz").read_bytes()) == b"Date,A\n2010-01-04,2.25\n2010-01-05,3.0\n"
