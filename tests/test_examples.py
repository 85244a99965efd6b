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


def test_warm_sweep_hits_all_the_second_time(tmp_path: Path, prices_csv: Path) -> None:
    arguments = "--csv", str(prices_csv), "--grid", "ema_len=10,20", "robustness=Narrow,Wide", "decay=0.01,0.03"
    first = run(tmp_path, "warm_sweep.py", *arguments, "--jobs", "2", "--cache-dir", "kept")
    assert "8 combinations x 2 stocks x 400 bars" in first
    assert "0 hits, 8 misses (0% from kept)" in first
    second = run(tmp_path, "warm_sweep.py", *arguments, "--cache-dir", "kept")
    assert "8 hits, 0 misses (100% from kept)" in second
    assert first.split("The best by")[1] == second.split("The best by")[1]
    third = run(tmp_path, "warm_sweep.py", *arguments[:-1], "decay=0.01,0.03,0.05", "--cache-dir", "kept")
    assert "8 hits, 4 misses" in third


def test_warm_sweep_on_the_bundled_stocks(tmp_path: Path) -> None:
    printed = run(tmp_path, "warm_sweep.py", "--grid", "ema_len=14,28", "hma_mode=sma,hull")
    assert "4 combinations x 20 stocks x 3270 bars, 2010-01-04 to 2022-12-28" in printed
    assert "XOM" in printed


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
