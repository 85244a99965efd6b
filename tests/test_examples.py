"""Every example runs as it is printed, from a folder of its own."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numba.core.config import DISABLE_JIT

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.skipif(DISABLE_JIT, reason="the examples need compiled kernels to be quick")


def end_of(folder: Path, example: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """An example that has run in this folder."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default", **environment},
    )


def run(folder: Path, example: str, *arguments: str, expect: int = 0, **environment: str) -> str:
    """What an example prints; its errors where it is expected to fail."""
    done = end_of(folder, example, *arguments, **environment)
    assert done.returncode == expect, done.stderr
    return done.stderr if expect else done.stdout


def said(folder: Path, *arguments: str, expect: int = 0, **environment: str) -> dict[str, Any]:
    """The one JSON object that warm_sweep.py prints."""
    done = end_of(folder, "warm_sweep.py", *arguments, "--json", **environment)
    assert done.returncode == expect, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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


def test_tune_optuna_goes_on(tmp_path: Path, prices_csv: Path) -> None:
    pytest.importorskip("optuna")
    asked = "tune_optuna.py", "--csv", str(prices_csv), "--trials", "60", "--guided", "12"
    first, second = run(tmp_path, *asked), run(tmp_path, *asked)
    assert "RandomSampler: 60 trials on top of 0 in" in first
    assert "0 pruned, 50 handed to the storage" in first
    assert "TPESampler: 12 trials on top of 50 in" in first
    assert "RandomSampler: 60 trials on top of 62 in" in second
    assert "Best of 124: ema_len=" in second
    for name in ("history", "slice", "contour", "windows"):
        assert (tmp_path / "out" / f"tune_{name}.html").stat().st_size > 5_000


def test_walk_forward(tmp_path: Path) -> None:
    printed = run(tmp_path, "walk_forward.py")
    assert "The best of 2,000 combinations over all bars" in printed
    assert "WalkForward of 5 symbols x 20 folds, chosen by sharpe_ratio; tested on 2013-01-03..2022-12-21" in printed
    for name in ("equity", "all", "drift"):
        assert (tmp_path / "out" / f"walk_forward_{name}.html").stat().st_size > 5_000


def test_walk_forward_over_other_prices(tmp_path: Path, prices_csv: Path) -> None:
    printed = run(
        tmp_path, "walk_forward.py", "--csv", str(prices_csv), "--train", "200", "--test", "50D", "--stock", "BBB"
    )
    assert "WalkForward of 2 symbols x 4 folds" in printed
    assert "BBB, the last folds:" in printed
    asked = "walk_forward.py", "--csv", str(prices_csv)
    assert "no fold fits" in run(tmp_path, *asked, expect=2)
    assert "--stock must be one of AAA, BBB" in run(tmp_path, *asked, "--stock", "C", "--train", "50", expect=2)


def test_warm_sweep_finds_all_of_it_in_the_next_process(tmp_path: Path, prices_csv: Path) -> None:
    pytest.importorskip("backtrader")
    grid = "--csv", str(prices_csv), "--grid", "ema_len=10,20", "robustness=Narrow,Wide", "decay=0.01,0.03"
    both = "--vectorbt", "--backtrader"
    first = said(tmp_path, *grid, "--jobs", "2", "--cache-dir", "kept", *both)
    assert first["prices"] == {"symbols": ["AAA", "BBB"], "bars": 400, "first": "2020-01-01", "last": "2021-02-03"}
    assert first["grid"]["combinations"] == 8
    assert first["warmed"]["hit_rate"] == 0.0
    assert first["warmed"]["blocks"] == [0, 2]
    second = said(tmp_path, *grid, "--cache-dir", "kept", *both)
    assert second["warmed"]["misses"] == 0
    assert second["cache"]["hit_rate"] == 1.0
    for found in (first, second):
        assert found["sweep"]["hits"] == 2
        assert {found[step]["hit_rate"] for step in ("sweep", "vectorbt", "backtrader")} == {1.0}
    assert [row["now"] for row in first["stocks"]] == [row["now"] for row in second["stocks"]]
    assert first["best"] == second["best"]
    third = said(tmp_path, *grid[:-1], "decay=0.01,0.03,0.05", "--cache-dir", "kept", "--warm-only")
    assert third["warmed"]["blocks"] == [0, 2]
    assert 0 < third["warmed"]["hit_rate"] < 1  # components of two decays are there
    workers = said(tmp_path, *grid, "--backend", "loky", "--jobs", "2", "--cache-dir", "other")
    assert workers["warmed"]["hit_rate"] == 0.0
    assert workers["sweep"]["hit_rate"] == 1.0
    assert workers["best"] == first["best"]


def test_warm_sweep_prints_its_steps_and_the_winner(tmp_path: Path, prices_csv: Path) -> None:
    printed = run(
        tmp_path, "warm_sweep.py", "--csv", str(prices_csv), "--grid", "ema_len=10:30:5", "--cache-dir", "kept"
    )
    assert f"4 combinations x 2 stocks x 400 bars, 2020-01-01 to 2021-02-03\nkept in {tmp_path / 'kept'}\n" in printed
    steps = {words[0]: words[1:4] for line in printed.splitlines() if (words := line.split())}
    assert steps["warmed"][1:] == ["0", "0.0%"]
    assert steps["sweep"] == ["2", "2", "100.0%"]
    assert steps["BBB"]  # in the table of vectorbt's backtests
    assert "The best by their median sharpe_ratio over the stocks, long only, fees 0.10%" in printed


def test_warm_sweep_joins_files_and_keeps_some_symbols(tmp_path: Path, prices_csv: Path) -> None:
    pytest.importorskip("pyarrow")
    wide = pd.read_csv(prices_csv, index_col="Date", parse_dates=True)
    wide.rename(columns={"AAA": "CCC", "BBB": "DDD"}).to_parquet(tmp_path / "more.parquet")
    wide[["AAA"]].set_axis(["Close"], axis=1).assign(Open=1.0).to_csv(tmp_path / "ACME.csv")
    files = "--csv", str(prices_csv), "--parquet", "more.parquet", "--csv", "ACME.csv"
    found = said(tmp_path, *files, "--symbols", "ACME,DDD,BBB", "--check", expect=3)
    assert found["prices"]["symbols"] == ["ACME", "DDD", "BBB"]


def test_warm_sweep_reads_grids_from_files_and_ranges(tmp_path: Path, prices_csv: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        "[product]\nema_len = { start = 10, stop = 30, step = 5 }\ndecay = [0.01, 0.03]\n"
    )
    (tmp_path / "grid.json").write_text('{"product": {"ema_len": [10, 15, 20, 25], "decay": [0.01, 0.03]}}')
    asked = [
        ("--grid-file", "grid.toml"),
        ("--grid-file", "grid.json"),
        ("--grid", "ema_len=10:20:5,20,25", "decay=0.01,0.03"),
    ]
    for grid in asked:
        found = said(tmp_path, "--csv", str(prices_csv), *grid, "--check", expect=3)
        assert found["grid"] == {"combinations": 8, "ema_len": [10, 15, 20, 25], "decay": [0.01, 0.03]}


def test_options_of_warm_sweep_go_before_the_environment(tmp_path: Path, prices_csv: Path) -> None:
    grid = "--csv", str(prices_csv), "--grid", "ema_len=10,20"
    environment = {"ATC_CACHE_DIR": str(tmp_path / "of_environment"), "ATC_CACHE_SIZE": "5MB"}
    asked = said(tmp_path, *grid, "--warm-only", **environment)["cache"]
    assert (asked["directory"], asked["size_limit"]) == (str(tmp_path / "of_environment"), 5_000_000)
    told = "--cache-dir", "of_option", "--cache-size", "7MB"
    asked = said(tmp_path, *grid, *told, "--check", expect=3, ATC_CACHE="off", **environment)["cache"]
    assert (asked["directory"], asked["size_limit"]) == (str(tmp_path / "of_option"), 7_000_000)
    assert "the cache is switched off" in run(tmp_path, "warm_sweep.py", *grid, expect=2, ATC_CACHE="off")
    assert "ATC_CACHE_SIZE must be" in run(tmp_path, "warm_sweep.py", *grid, expect=2, ATC_CACHE_SIZE="5 parsecs")


def test_warm_sweep_in_the_background(tmp_path: Path, prices_csv: Path) -> None:
    asked = "--csv", str(prices_csv), "--grid", "ema_len=10,20"
    warm_only = end_of(tmp_path, "warm_sweep.py", *asked, "--background", "--warm-only", "--report", "--json")
    assert warm_only.returncode == 0, warm_only.stderr
    assert json.loads(warm_only.stdout)["warmed"]["hit_rate"] == 0.0
    assert "warming: 100%" in warm_only.stderr
    assert re.search(r"^disk +accumulators +0 ", warm_only.stderr, re.MULTILINE)  # the report
    assert "all of it is warmed" in run(tmp_path, "warm_sweep.py", *asked, "--check")
    assert said(tmp_path, *asked, "--check", "--fees", "0.002", expect=3)["is_warmed"] is False


@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be sent Ctrl-C alone")
def test_warm_sweep_keeps_what_was_finished_before_it_is_interrupted(tmp_path: Path) -> None:
    lengths = "ema_len=10:40", "dema_len=10:40", "kama_len=10:40", "wma_len=10:40:3"  # some seconds of one thread
    options = "--background", "--jobs", "1", "--grid", *lengths
    command = [sys.executable, str(EXAMPLES / "warm_sweep.py"), *options]
    errors = ""
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as script:
        assert script.stderr is not None
        for line in script.stderr:
            errors += line
            if re.match(r"warming: [1-9]\d?%", line):
                script.send_signal(signal.SIGINT)
                break
        errors += script.stderr.read()
    assert script.returncode == 1
    assert "what was finished is kept" in errors
    assert "Traceback" not in errors
    shorter = said(tmp_path, "--grid", *lengths[:1], "--warm-only")
    assert shorter["warmed"]["components"][0] > 0


def test_warm_sweep_says_where_nothing_can_be_kept(tmp_path: Path, prices_csv: Path) -> None:
    (tmp_path / "file").touch()
    asked = "--csv", str(prices_csv), "--grid", "ema_len=10,20", "--cache-dir", "file", "--warm-only"
    errors = run(tmp_path, "warm_sweep.py", *asked, expect=1)
    assert f"see that {tmp_path / 'file'} can be read and written" in errors


def test_warm_sweep_without_vectorbt(tmp_path: Path, prices_csv: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['vectorbt'] = None\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    asked = "--csv", str(prices_csv), "--grid", "ema_len=10,20"
    printed = run(tmp_path, "warm_sweep.py", *asked, PYTHONPATH=path)
    assert 'vectorbt would backtest the first of them: pip install "atc_plugin[vectorbt]"' in printed
    assert "--vectorbt needs vectorbt" in run(
        tmp_path, "warm_sweep.py", *asked, "--vectorbt", expect=2, PYTHONPATH=path
    )


def test_cache_switches(tmp_path: Path) -> None:
    lines = run(tmp_path, "cache_switches.py").splitlines()
    found = [line[62:].strip() for line in lines if re.search(r"\d of 3 blocks$", line)]
    assert [words[0] for words in found] == list("0033030")
    assert list(tmp_path.iterdir()) == []


def test_cache_daily(tmp_path: Path) -> None:
    printed = run(tmp_path, "cache_daily.py")
    days = [line.split()[2:5] for line in printed.splitlines() if line.startswith("2022-")]
    assert days == [["0", "0", "60"], *[["0", "60", "0"]] * 3]
    assert "21 hits, 0 misses; to the bit what computing all bars gives: True" in printed


def test_warm_sweep_on_the_bundled_stocks(tmp_path: Path) -> None:
    printed = run(tmp_path, "warm_sweep.py", "--grid", "ema_len=14,28", "hma_mode=sma,hull", ATC_CACHE_DIR="")
    assert (tmp_path / ".atc_cache").is_dir()
    assert "4 combinations x 20 stocks x 3270 bars, 2010-01-04 to 2022-12-28" in printed
    assert "XOM" in printed


def test_errors_are_all_said(tmp_path: Path) -> None:
    printed = run(tmp_path, "errors.py")
    assert printed.count("Error: ") >= 15
    assert "TypeError: ATC has no parameter 'emalen'. Did you mean 'ema_len'?" in printed
    assert list(tmp_path.iterdir()) == []


def test_stream_one(tmp_path: Path) -> None:
    printed = run(tmp_path, "stream_one.py")
    assert "and restored" in printed
    assert printed.endswith("To the bit what atc says of all closes: True\n")


def test_cluster_dask(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    printed = run(tmp_path, "cluster_dask.py")
    assert printed.startswith("2 workers\n")
    assert printed.endswith("To the bit what this process computes: True\n")


def test_every_example_has_its_test_and_its_line() -> None:
    there = {path.name for path in EXAMPLES.glob("*.py")}
    assert len(there - {"warm_options.py"}) >= 10
    listed = re.findall(r"\[(\w+\.py)\]\(\1\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(there)
    text = Path(__file__).read_text(encoding="utf-8")
    assert not [name for name in there - {"warm_options.py"} if f'"{name}"' not in text]


def test_live_async(tmp_path: Path) -> None:
    lines = run(tmp_path, "live_async.py", PYTHONWARNINGS="error").splitlines()
    feeds = {words[0]: words[1:4] for line in lines[1:5] if (words := line.split())}
    assert list(feeds) == ["AAPL", "MSFT", "XOM", "KO"]
    assert {words[1] for words in feeds.values()} == {"300"}
    assert int(feeds["AAPL"][2]) > 0  # the fastest had to wait for room
    assert lines[-1].startswith("Every average is to the bit what atc says")


def test_scan_symbols(tmp_path: Path, prices_csv: Path) -> None:
    printed = run(tmp_path, "scan_symbols.py", "--within", "400", "--json", "scan.json", "hma_mode=hull", "ema_len=21")
    assert "<Scan of 20 symbols: " in printed
    assert "nobody" not in printed
    found = json.loads((tmp_path / "scan.json").read_text())
    assert (found["within"], found["params"]["hma_mode"], found["params"]["ema_len"]) == (400, "hull", 21)
    assert "<Scan of 2 symbols: " in run(tmp_path, "scan_symbols.py", "--csv", str(prices_csv))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--csv", "nowhere.csv"), "nowhere.csv"),
        (("ema_len",), "parameters are NAME=VALUE; got 'ema_len'"),
        (("emalen=3",), "emalen"),
        (("--within", "0"), "within must be a whole number of bars >= 1"),
    ],
)
def test_scan_symbols_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    errors = run(tmp_path, "scan_symbols.py", *arguments, expect=2)
    assert message in errors
    assert "Traceback" not in errors


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
        (("--grid", "ema_len=10:20:0.5"), "--grid takes ranges as start:stop or start:stop:step in whole numbers"),
        (("--symbols", "AAPL,MFST"), "no symbol 'MFST'"),
        (("--parquet", str(EXAMPLES / "first_look.py")), "not a file of a known kind"),
        (("--metrics", "sharp"), "no metric 'sharp'"),
        (("--cache-size", "5 parsecs"), "--cache-size: size_limit must be a number of bytes"),
    ],
)
def test_warm_sweep_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    errors = run(tmp_path, "warm_sweep.py", *arguments, expect=2, ATC_CACHE_DIR="")
    assert message in errors
    assert "Traceback" not in errors
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
