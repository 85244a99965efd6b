"""The command line: what every command prints and writes, and how it ends."""

from __future__ import annotations

import json
import logging
import os
import pstats
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from click.testing import CliRunner, Result
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

import atc_plugin
from atc_plugin import AtcParams, ParamGrid, SweepResult, atc, cache, load_prices, profiles, sweep
from atc_plugin.cache.settings import configure, forget
from atc_plugin.commands import asking, doctor, group, profile
from atc_plugin.commands import cache as cache_commands
from atc_plugin.commands.answers import document_text
from atc_plugin.engine import job_count
from atc_plugin.params import PARAMETERS
from atc_plugin.sweeps import executors

BARS = 60 if DISABLE_JIT else 400
VARY = ("--vary", "ema_len=10,20", "--vary", "decay=0.01,0.03")
GRID = ParamGrid(ema_len=[10, 20], decay=[0.01, 0.03])
jitted = pytest.mark.skipif(DISABLE_JIT, reason="needs compiled kernels")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("ATC_BACKEND", "ATC_JOBS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def csv(tmp_path: Path) -> str:
    days = pd.date_range("2020-01-01", periods=BARS, name="Date")
    walks = 50 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, (BARS, 2)), axis=0))
    frame = pd.DataFrame(walks, index=days, columns=["AAA", "BBB"])
    frame.iloc[:7, 1] = np.nan  # listed later
    frame.to_csv(tmp_path / "two.csv")
    return "two.csv"


def end_of(*arguments: str, status: int = 0) -> Result:
    """A command that has run in this process."""
    result = CliRunner().invoke(group.atc, list(arguments))
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def printed(*arguments: str, status: int = 0) -> str:
    return end_of(*arguments, status=status).stdout


def told(*arguments: str, status: int = 0) -> Any:
    """The one JSON document of a command."""
    return json.loads(end_of(*arguments, "--json", status=status).stdout)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "atc_plugin", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(atc_plugin.__file__).parents[1]), **environment},
    )


# ---------------------------------------------------------------- all commands
def test_help_names_every_command() -> None:
    text = printed("--help")
    for name in group.NAMES:
        assert f"\n  {name} " in text
        assert "Usage:" in printed(name, "--help")
    assert {path.stem for path in Path(group.__file__).parent.glob("*.py")} >= set(group.NAMES)


@pytest.mark.parametrize("arguments", [(), ("cache",)])
def test_no_command_at_all_shows_the_help(arguments: tuple[str, ...]) -> None:
    result = end_of(*arguments, status=2)
    assert result.stderr.startswith("Usage: atc")
    assert "\nCommands:\n" in result.stderr
    assert result.stdout == ""


def test_help_and_versions_load_nothing_that_computes() -> None:
    code = (
        "import sys, click; from atc_plugin.commands.group import atc\n"
        "for arguments in (['--help'], ['sweep', '--help'], ['--version']):\n"
        "    try: atc.main(arguments)\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "numba", "joblib", "plotly", "tqdm"} & set(loaded)
    assert printed("--version").strip() == atc_plugin.__version__


def commands(of: click.Command = group.atc, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(of, click.Group):
        return [(path, of)]
    context = click.Context(of)
    inner = [(name, of.get_command(context, name)) for name in of.list_commands(context)]
    return [one for name, command in inner if command is not None for one in commands(command, (*path, name))]


@pytest.mark.parametrize(("path", "command"), commands(), ids=[" ".join(path) for path, _ in commands()])
def test_every_command_takes_the_common_options(path: tuple[str, ...], command: click.Command) -> None:
    flags = {flag for option in command.params for flag in option.opts}
    assert {"--json", "--quiet", "--debug"} <= flags
    assert command.help
    words = [option.help for option in command.params if isinstance(option, click.Option)]
    assert all(words), path


def test_a_script_and_a_library_are_declared() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'atc = "atc_plugin.__main__:main"' in project
    assert '"click>=' in project


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rum",), "No such command 'rum'"),
        (("run",), "Missing argument 'SOURCE...'. (atc run --help)"),
        (("run", "two.csv", "--nothing"), "No such option"),
        (("run", "nowhere.csv"), "nowhere.csv: no such file"),
        (("run", "two.csv", "--ema-len", "3"), "ema_len must be at least 7"),
        (("run", "two.csv", "--ema-len", "x"), "'x' is not a valid integer"),
        (("run", "two.csv", "--robustness", "wide"), "'wide' is not one of"),
        (("run", "two.csv", "--symbols", "CCC"), "no symbol 'CCC'"),
        (("run", "two.csv", "--column", "CCC"), "--column: no symbol 'CCC'; there are AAA, BBB"),
        (("run", "two.csv", "--plot", "x.html"), "--plot draws one of 2 symbols: --column AAA"),
        (("run", "two.csv", "--plot", "x.jpg"), "'x.jpg' must end in .html or .png"),
        (("run", "two.csv", "--out", "none/x.csv"), "there is no folder 'none'"),
        (("run", "two.csv", "--ma", "SMA", "--plot", "x.html", "--column", "AAA"), "ma must be one of 'EMA'"),
        (("run", "two.csv", "--last", "0"), "0 is not in the range x>=1"),
        (("run", "two.csv", "--params", "list.json"), "list.json: must be a table of parameters"),
        (("run", "two.csv", "--params", "bad.toml"), "bad.toml cannot be read"),
        (("run", "two.csv", "--params", "two.csv"), "must end in .toml or .json"),
        (("run", "two.csv", "--no-cache", "--cache-dir", "x"), "exclude each other"),
        (("run", "two.csv", "--profile", "huge"), "'huge' is not one of"),
        (("sweep", "two.csv"), "give --grid FILE, or --vary NAME=VALUES"),
        (("sweep", "two.csv", *VARY, "--grid", "bad.toml"), "give --grid FILE, or --vary NAME=VALUES"),
        (("sweep", "two.csv", "--grid", "bad.toml"), "bad.toml is not valid TOML"),
        (("sweep", "two.csv", "--vary", "ema_len"), "--vary takes NAME=VALUE"),
        (("sweep", "two.csv", "--vary", "ema_len=10", "--vary", "ema-len=11"), "each name once; got 'ema-len=11'"),
        (("sweep", "two.csv", "--vary", "ema_len=1:9:0.5"), "in whole numbers; got '1:9:0.5'"),
        (("sweep", "two.csv", "--vary", "emalen=9"), "no parameter 'emalen'. Did you mean 'ema_len'"),
        (("sweep", "two.csv", *VARY, "--metrics", "sharp"), "no metric 'sharp'"),
        (("sweep", "two.csv", *VARY, "--best", "exposure"), "--best must be one of --metrics"),
        (("sweep", "two.csv", *VARY, "--jobs", "0"), "--jobs must be 1 or more"),
        (("sweep", "two.csv", *VARY, "--backend", "ray"), "backend 'ray' cannot"),
        (("sweep", "two.csv", *VARY, "--top", "many"), "--top takes a number, or METRIC:NUMBER"),
        (("sweep", "two.csv", *VARY, "--top", "3", "--across", "mean"), "--top keeps the best alone"),
        (("sweep", "two.csv", *VARY, "--windows", "2", "--across", "mean"), "leave --windows out"),
        (("sweep", "two.csv", *VARY, "--windows", "2020"), "windows must be 1 to"),
        (("sweep", "two.csv", *VARY, "--windows", "a", "--windows", "b"), "or FIRST..LAST once or more; got 'a'"),
        (("warm", "two.csv", *VARY, "--no-cache"), "the cache is switched off"),
        (("cache", "clear"), "nobody can be asked here: --yes"),
        (("profile", "doctor"), "'doctor' is not one of"),
        (("profile", "--py-spy", "--again", "run", "two.csv"), "--again is of cProfile"),
        (("profile", "--out", "none/x", "run", "two.csv"), "there is no folder 'none'"),
        (("profile", "run", "nowhere.csv"), "nowhere.csv: no such file"),
        (("tune", "--show", "--forget"), "exclude each other"),
        (("tune", "--seconds", "0"), "seconds must be a number above 0; got 0.0"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_one_line_on_stderr(csv: str, arguments: tuple[str, ...], message: str) -> None:
    Path("bad.toml").write_text("ema_len = ")
    Path("list.json").write_text("[1]")
    for as_json in ((), ("--json",)):
        result = end_of(*arguments, *as_json, status=2)
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert message in errors[0]
        assert errors[0] == result.stderr.splitlines()[-1]
    assert json.loads(result.stdout) == {"error": errors[0].removeprefix("error: ")}
    assert end_of(*arguments, status=2).stdout == ""
    assert not list(Path().glob("x*"))


def test_failures_are_told_from_misuse(csv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(error: BaseException) -> Callable[..., Any]:
        def raise_it(*_: Any, **__: Any) -> Any:
            raise error

        return raise_it

    for error, status, message in [
        (RuntimeError("no luck"), 1, "RuntimeError: no luck"),
        (RuntimeError(), 1, "RuntimeError"),
        (OSError(28, "No space left on device"), 1, "[Errno 28] No space left on device"),
        (MemoryError("too many rows"), 1, "too many rows"),
        (ModuleNotFoundError("needs yfinance"), 1, "needs yfinance"),
        (TimeoutError("no worker"), 1, "no worker"),
        (KeyError("no column 'x'"), 2, "no column 'x'"),
        (ValueError("first line\nsecond"), 2, "first line second"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ]:
        monkeypatch.setattr("atc_plugin.loading.load_prices", failing(error))
        result = end_of("run", csv, status=status)
        assert result.stderr.splitlines()[-1] == f"error: {message}"
        assert result.stdout == ""


def test_debug_shows_where_an_error_comes_from() -> None:
    result = CliRunner().invoke(group.atc, ["run", "nowhere.csv", "--debug"])
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "loading.py" in result.stderr
    assert result.stderr.endswith("error: nowhere.csv: no such file\n")


def test_documents_have_nothing_that_json_has_not() -> None:
    value = {
        "nan": float("nan"),
        "infinite": np.float64("inf"),
        "whole": np.int64(3),
        "flag": np.bool_(True),
        "when": pd.Timestamp("2020-01-02 03:04"),
        "never": pd.NaT,
        "array": np.array([1.5, np.nan]),
        "path": Path("a"),
        "step": pd.Timedelta("1D"),
        3: (None, "x"),
    }
    assert json.loads(document_text(value)) == {
        "nan": None,
        "infinite": None,
        "whole": 3,
        "flag": True,
        "when": "2020-01-02T03:04:00",
        "never": None,
        "array": [1.5, None],
        "path": "a",
        "step": "1 days 00:00:00",
        "3": [None, "x"],
    }


def test_the_log_is_on_stderr_unless_quiet(csv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("atc_plugin")

    def loading(*given: Any, **named: Any) -> Any:
        log.info("compiling something")
        log.warning("something is off")
        return load_prices(*given, **named)

    monkeypatch.setattr("atc_plugin.loading.load_prices", loading)
    result = end_of("run", csv)
    assert result.stderr == "compiling something\nsomething is off\n"
    assert "something" not in result.stdout
    assert end_of("run", csv, "--quiet").stderr == "something is off\n"
    assert end_of("profile", "run", csv).stderr.count("something is off\n") == 1
    assert log.level == logging.NOTSET
    assert all(type(handler) is logging.NullHandler for handler in log.handlers)


# ---------------------------------------------------------------- run
def test_run_says_what_atc_says(csv: str) -> None:
    close = load_prices(csv)
    result = atc(close, ema_len=21, robustness="Wide", lambda_=0.05)
    found = told("run", csv, "--ema-len", "21", "--robustness", "Wide", "--lambda", "0.05", "--table")
    assert found["prices"]["symbols"] == ["AAA", "BBB"]
    assert found["params"] == AtcParams(ema_len=21, robustness="Wide", lambda_=0.05).as_dict()
    for row in found["symbols"]:
        symbol = row["symbol"]
        assert row["bars"] == close[symbol].count()
        assert row["average"] == result.average[symbol].iloc[-1]
        assert row["direction"] == {1: "long", -1: "short", 0: "none"}[result.direction[symbol].iloc[-1]]
        assert row["turns"] == result.entries[symbol].sum() + result.exits[symbol].sum()
        turned = result.entries[symbol] | result.exits[symbol]
        assert row["since"] == str(turned[turned].index[-1].date())
        table = result.table(symbol)
        assert [one["equity"] for one in found["tables"][symbol]] == table["equity"].tolist()
    text = printed("run", csv, "--table", "--column", "BBB")
    assert "\nBBB\n" in text
    assert "\nAAA\n" not in text


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_run_writes_every_bar_to_the_bit(csv: str, suffix: str) -> None:
    out = f"signals.{suffix}"
    assert f"{out} written" in printed("run", csv, "--out", out, "--strategy-mode")
    readers: dict[str, Callable[[str], pd.DataFrame]] = {
        "csv": lambda path: pd.read_csv(path),
        "parquet": lambda path: pd.read_parquet(path).reset_index(),
        "json": lambda path: pd.DataFrame(json.loads(Path(path).read_text())),
    }
    bars = readers[suffix](out)
    close = load_prices(csv)
    result = atc(close, strategy_mode=True)
    for symbol in close.columns:
        own, there = bars[bars["symbol"] == symbol], close[symbol].notna()
        assert pd.to_datetime(own["Date"]).tolist() == close.index[there].tolist()
        for name in ("close", "average"):
            expected = close[symbol] if name == "close" else result.average[symbol]
            assert_same_bits(own[name].to_numpy(np.float64), expected[there].to_numpy(), name)
        assert own["direction"].tolist() == result.direction[symbol][there].tolist()
        assert own["entry"].tolist() == result.entries[symbol][there].tolist()
        assert own["exit"].tolist() == result.exits[symbol][there].tolist()
    assert told("run", csv, "--out", out, "--last", "3")["written"] == {"out": out}
    assert readers[suffix](out).groupby("symbol").size().tolist() == [3, 3]


def test_every_parameter_is_an_option(csv: str) -> None:
    other = {int: lambda row: row.default + 9, float: lambda row: row.default + 0.01, bool: lambda row: not row.default}
    for row in PARAMETERS:
        flag = f"--{row.name.rstrip('_').replace('_', '-')}"
        value = row.choices[-1] if row.choices else other[row.kind](row)
        if row.default == value:
            value = row.choices[0]
        given = [flag] if row.kind is bool else [flag, str(value)]
        assert told("run", csv, "--symbols", "AAA", *given)["params"] == AtcParams(**{row.name: value}).as_dict()


def test_parameters_of_a_file_go_behind_options(csv: str) -> None:
    Path("mine.toml").write_text('ema_len = 21\nlambda_ = 0.05\nhma_mode = "hull"\n')
    Path("mine.json").write_text('{"ema_len": 21, "lambda_": 0.05, "hma_mode": "hull"}')
    for file in ("mine.toml", "mine.json"):
        params = told("run", csv, "--params", file, "--ema-len", "30")["params"]
        assert params == AtcParams(ema_len=30, lambda_=0.05, hma_mode="hull").as_dict()
    Path("mine.toml").write_text("emalen = 21\n")
    assert "Did you mean 'ema_len'" in end_of("run", csv, "--params", "mine.toml", status=2).stderr


def test_run_draws(csv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "chart.html written" in printed("run", csv, "--column", "BBB", "--plot", "chart.html", "--last", "30")
    assert "BBB: Adaptive Trend Classification" in Path("chart.html").read_text(encoding="utf-8")
    printed("run", csv, "--symbols", "AAA", "--plot", "emas.html", "--ma", "EMA")
    assert "the nine EMA averages" in Path("emas.html").read_text(encoding="utf-8")

    drawn: list[Path] = []
    monkeypatch.setattr(go.Figure, "write_image", lambda figure, path: drawn.append(path))
    monkeypatch.setattr("atc_plugin.commands.run.find_spec", lambda name: name)
    printed("run", csv, "--symbols", "AAA", "--plot", "chart.png")
    assert drawn == [Path("chart.png")]

    def without_chrome(figure: go.Figure, path: Path) -> None:
        raise RuntimeError("\nKaleido requires Google Chrome\nto be installed")

    monkeypatch.setattr(go.Figure, "write_image", without_chrome)
    errors = end_of("run", csv, "--symbols", "AAA", "--plot", "chart.png", status=1).stderr
    assert "error: the PNG could not be made: Kaleido requires Google Chrome. kaleido needs" in errors


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ("plotly", ("--plot", "x.html"), 'plots need plotly: pip install "atc_plugin[plot]"'),
        ("kaleido", ("--plot", "x.png"), 'PNG files need kaleido: pip install "atc_plugin[png]"'),
        ("pyarrow", ("--out", "x.parquet"), "parquet files need pyarrow: pip install pyarrow"),
    ],
)
def test_what_is_not_installed_is_said_before_any_work(
    csv: str, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: tuple[str, ...], message: str
) -> None:
    for module in ("atc_plugin.commands.run", "atc_plugin.commands.asking"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == missing else name)
    monkeypatch.setattr("atc_plugin.loading.load_prices", lambda *_, **__: pytest.fail("work was done"))
    assert message in end_of("run", csv, "--symbols", "AAA", *arguments, status=1).stderr


def test_run_uses_the_cache_that_is_asked_for(csv: str, tmp_path: Path) -> None:
    printed("run", csv, "--cache-dir", "kept")
    assert told("cache", "stats", "--cache-dir", "kept")["entries"] > 0
    printed("run", csv, "--no-cache")
    assert told("cache", "stats")["entries"] == 0


def test_growth_that_is_high_is_said(csv: str) -> None:
    assert "The growth factor of" in printed("run", csv, "--lambda", "5")
    assert told("run", csv, "--lambda", "5")["growth"]["level"] == "too high"
    assert "growth" not in printed("run", csv)


# ---------------------------------------------------------------- sweep and warm
def test_sweep_finds_what_the_library_finds(csv: str) -> None:
    close = load_prices(csv)
    ours = sweep(close, GRID, fees=0.001, slippage=0.0005, direction="longonly", freq="4h", cache=False)
    costs = "--fees", "0.001", "--slippage", "0.0005", "--direction", "longonly", "--freq", "4h"
    found = told("sweep", csv, *VARY, *costs, "--keep", "2", "--best", "sharpe_ratio", "--no-cache")
    assert found["grid"] == {"combinations": 4, "varied": ["ema_len", "decay"]}
    assert found["rows"] == 8
    best = ours.best("sharpe_ratio", 2)
    assert [row["row"] for row in found["best"]] == best.index.tolist()
    for row, (_, expected) in zip(found["best"], best.iterrows(), strict=True):
        assert {name: row[name] for name in best.columns} == expected.to_dict()
    text = printed("sweep", csv, *VARY, *costs, "--keep", "2")
    assert "4 combinations x 2 symbols x" in text
    across = told("sweep", csv, *VARY, *costs, "--across", "median", "--keep", "1", "--min-trades", "0")["best"]
    assert across[0]["row"] == ours.best(n=1, across="median", min_trades=0).index[0]


def test_sweep_writes_every_row(csv: str) -> None:
    close = load_prices(csv)
    ours = sweep(close, GRID, metrics=["total_return", "total_trades"], windows=2, freq="1D", cache=False)
    asked = "--metrics", "total_return,total_trades", "--windows", "2", "--keep", "0"
    assert "s.parquet written" in printed("sweep", csv, *VARY, *asked, "--out", "s.parquet")
    pd.testing.assert_frame_equal(SweepResult.read_parquet("s.parquet", close).frame, ours.frame)
    printed("sweep", csv, *VARY, *asked, "--out", "s.csv")
    rows = pd.read_csv("s.csv", index_col="row")
    assert_same_bits(rows["total_return"].to_numpy(), ours.frame["total_return"].to_numpy(), "total_return")
    windows = ours.window_frame("total_return")
    for name in windows.columns:
        assert_same_bits(rows[f"total_return {name}"].to_numpy(), windows[name].to_numpy(), name)


def test_sweep_takes_windows_by_date_and_the_top(csv: str) -> None:
    dates = "--windows", "2020-01-10..2020-01-31", "--windows", "2020-02.."
    found = told("sweep", csv, *VARY, *dates, "--top", "sharpe_ratio:1")
    assert found["rows"] == 2
    assert found["windows"][0] == "2020-01-10..2020-01-31"
    assert found["windows"][1].startswith("2020-02-01..")
    assert f"total_return {found['windows'][1]}" in found["best"][0]
    assert told("sweep", csv, *VARY, "--top", "3")["rows"] == 6
    assert told("sweep", csv, *VARY, "--min-trades", "1e9")["best"] == []
    assert "No combination traded often enough" in printed("sweep", csv, *VARY, "--min-trades", "1e9")


def test_grids_come_from_files_and_from_values(csv: str) -> None:
    grid = ParamGrid(ema_len=range(10, 20, 5), lambda_=[0.02, 0.05], hma_mode=["hull"], strategy_mode=[True])
    grid.to_file("grid.toml")
    grid.to_file("grid.json")
    vary = "ema-len=10:20:5", "lambda=0.02,0.05", "hma_mode=hull", "strategy_mode=True"
    assert list(asking.grid_asked(None, vary)) == list(grid)
    for file in ("grid.toml", "grid.json"):
        assert list(asking.grid_asked(Path(file), ())) == list(grid)
        assert told("sweep", csv, "--grid", file)["grid"]["combinations"] == 4


def test_warm_keeps_what_sweep_reads(csv: str) -> None:
    asked = (csv, *VARY, "--fees", "0.001")
    assert printed("warm", *asked, "--check", status=1) == "not all of it is warmed\n"
    first = told("warm", *asked)
    assert first["blocks"] == [0, 2]
    assert first["already_there"] == 0.0
    assert first["kept"]
    forget()  # as another process
    assert told("warm", *asked, "--check")["is_warmed"]
    assert told("sweep", *asked)["reused"] == [2, 2]
    assert "were there already" in printed("warm", *asked)
    assert told("warm", *asked)["already_there"] == 1.0
    assert told("warm", csv, *VARY, "--check", status=1)["is_warmed"] is False  # with other fees


@pytest.mark.filterwarnings("ignore")
def test_warm_fails_where_nothing_can_be_kept(csv: str) -> None:
    Path("file").touch()
    assert "not all of it could be kept" in printed("warm", csv, *VARY, "--cache-dir", "file/x", status=1)


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_a_profile_sets_cache_and_jobs(csv: str, command: str) -> None:
    printed(command, csv, *(VARY if command == "sweep" else ()), "--profile", "basic")
    assert configure().size_limit == profiles.PROFILES["basic"].size_limit
    assert job_count() == 1


# ---------------------------------------------------------------- cache
@pytest.fixture
def filled(csv: str) -> int:
    """The default cache with something in it; how many entries."""
    told("warm", csv, *VARY)
    return int(told("cache", "stats")["entries"])


def test_cache_says_what_it_has(filled: int) -> None:
    assert filled > 0
    assert told("cache", "stats")["directory"] == os.environ["ATC_CACHE_DIR"]
    assert f"{filled} entries" in printed("cache", "stats")
    assert "# TYPE" in printed("cache", "stats", "--prometheus")
    assert printed("cache", "report").startswith("cache in ")
    assert told("cache", "report")["findings"] == []
    entries = told("cache", "entries")
    assert len(entries) == filled
    kinds = {entry["kind"] for entry in entries}
    assert "accumulators" in kinds
    some = told("cache", "entries", "--kind", "accumulators")
    assert {entry["kind"] for entry in some} == {"accumulators"}
    assert len(told("cache", "entries", "--limit", "1")) == 1
    lines = printed("cache", "entries").splitlines()
    assert lines[0].split() == ["kind", "size", "made", "used", "cost"]
    assert len(lines) == 1 + filled
    assert "nothing is kept" in printed("cache", "entries", "--kind", "none")


def test_cache_is_pruned_and_verified(filled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed("cache", "verify") == f"{filled} files are good\n"
    damaged = next(Path(os.environ["ATC_CACHE_DIR"]).rglob("*.npy"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert "damaged, removed: " in printed("cache", "verify", status=1)
    assert told("cache", "verify") == {"good": filled - 1, "damaged": []}
    assert told("cache", "prune")["removed"] == 0
    monkeypatch.setenv("ATC_CACHE_SIZE", "1")
    forget()
    pruned = told("cache", "prune")
    assert pruned["removed"] == filled - 1
    assert pruned["kept"] == 0
    assert "0 items" in printed("cache", "prune")


def test_cache_is_cleared_only_if_it_is_meant(filled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_commands, "_can_be_asked", lambda: True)
    refused = CliRunner().invoke(group.atc, ["cache", "clear"], input="n\n")
    assert (refused.exit_code, refused.stdout) == (1, "nothing was removed\n")
    assert f"Remove {filled} entries in" in refused.stderr
    assert CliRunner().invoke(group.atc, ["cache", "clear"], input="").exit_code == 130
    assert told("cache", "stats")["entries"] == filled
    agreed = CliRunner().invoke(group.atc, ["cache", "clear", "--json"], input="y\n")
    assert json.loads(agreed.stdout) == {"removed": filled}
    assert told("cache", "clear", "--yes") == {"removed": 0}


def test_a_cache_that_is_off_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_CACHE", "off")
    forget()
    assert "the cache is switched off" in end_of("cache", "stats", status=2).stderr


# ---------------------------------------------------------------- compile, doctor
@jitted
def test_compile_compiles() -> None:
    assert told("compile")["seconds"] > 0
    assert "all kernels are compiled" in printed("compile", "--quiet")


@jitted
def test_doctor_finds_nothing_wrong_here() -> None:
    found = told("doctor")
    wrong = [check for check in found["checks"] if check["state"] == "wrong"]
    assert not wrong
    assert found["healthy"]
    states = {(check["section"], check["name"]): check for check in found["checks"]}
    for engine in ("cpu", "loky", "dask", "gpu"):
        assert states["engines", engine]["text"]
    assert states["versions", "numpy"]["text"] == np.__version__
    assert states["kernels", "parity"]["text"] == "column and stream give the same bits"
    assert "can be written" in states["cache", "directory"]["text"]
    assert states["machine", "tuned"]["state"] == "off"


def test_doctor_says_that_kernels_run_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.DISABLE_JIT", 1)
    found = next(check for check in told("doctor", status=1)["checks"] if check["name"] == "compiled")
    assert found["state"] == "wrong"
    assert "NUMBA_DISABLE_JIT is set" in found["text"]


def test_doctor_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def state(section: str, name: str) -> dict[str, Any]:
        return next(c for c in told("doctor", status=1)["checks"] if (c["section"], c["name"]) == (section, name))

    known = metadata.version
    with monkeypatch.context() as patched:

        def version(name: str) -> str:
            if name == "tqdm":
                raise metadata.PackageNotFoundError(name)
            return "1.0" if name == "numpy" else known(name)

        patched.setattr(doctor.metadata, "version", version)
        patched.setattr(doctor.metadata, "requires", lambda name: ["numpy>=2.4", 'plotly>=6.0; extra == "plot"'])
        assert state("versions", "tqdm")["text"] == "not installed: pip install tqdm"
        assert state("versions", "numpy") == {
            "section": "versions",
            "name": "numpy",
            "state": "wrong",
            "text": "1.0, 2.4 or later is needed",
        }
    with monkeypatch.context() as patched:
        patched.setattr(executors, "run_tasks", lambda *_, **__: iter([(-1, 2)]))
        assert state("engines", "loky")["text"] == "a worker process answered {-1: 2}"
        assert f"{1 + bool(DISABLE_JIT)} of" in printed("doctor", status=1)
    with monkeypatch.context() as patched:
        patched.setenv("ATC_BACKEND", "ray")
        assert "ATC_BACKEND 'ray' cannot" in state("engines", "-")["text"]
    with monkeypatch.context() as patched:
        patched.setenv("ATC_CACHE_SHARED", "redis://user:secret@127.0.0.1:1/0")
        forget()
        found = end_of("doctor", "--json", status=1).stdout
        assert "secret" not in found
        assert "127.0.0.1:1" in next(c for c in json.loads(found)["checks"] if c["name"] == "shared")["text"]
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATC_CACHE_DIR", str(tmp_path / "file"))
    forget()
    assert "cannot be written" in state("cache", "directory")["text"]


def test_doctor_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_CACHE", "off")
    forget()
    monkeypatch.setattr(doctor, "_SECTIONS", {"cache": doctor._cache})
    assert told("doctor")["checks"][0]["text"] == "switched off: ATC_CACHE=on switches it on"


# ---------------------------------------------------------------- profile
def test_profile_lists_hot_places(csv: str) -> None:
    found = told("profile", "--again", "--limit", "4", "--out", "run.pstats", "run", csv, "--no-cache", "--quiet")
    assert found["command"][:2] == ["run", csv]
    assert all(place["where"].startswith("atc_plugin/") for place in found["ours"])
    everything = told("profile", "--limit", "9999", "run", csv)["ours"]
    assert ("load_prices", 1) in [(place["function"], place["calls"]) for place in everything]
    assert len(found["ours"]) == len(found["overall"]) == 4
    own = [place["own"] for place in found["overall"]]
    assert own == sorted(own, reverse=True)
    assert pstats.Stats("run.pstats").stats  # type: ignore[attr-defined]
    text = printed("profile", "sweep", csv, *VARY, "--jobs", "1")
    assert "own s" in text
    assert "combinations" not in text  # what the command prints is left out


def test_profile_without_py_spy(csv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert "--py-spy needs py-spy: pip install py-spy" in end_of("profile", "--py-spy", "run", csv, status=1).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_profile_reads_what_py_spy_writes(csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stand_in(body: str) -> None:
        spy = tmp_path / "py-spy"
        spy.write_text(f"#!/bin/sh\n{body}\n")
        spy.chmod(0o755)

    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(tmp_path / "py-spy"))
    stacks = (
        "main (atc_plugin/__main__.py:9);sweep (/x/atc_plugin/sweeps/run.py:7);judge (libjit.so) 150\nmain (a.py:1) 50"
    )
    stand_in(f'while [ "$1" != --output ]; do shift; done; printf "%s\\n" "{stacks}" > "$2"')
    found = told("profile", "--py-spy", "--out", "stacks", "run", csv)
    assert [(p["function"], p["calls"], p["total"]) for p in found["overall"][:2]] == [
        ("judge", 150, 150 / profile._RATE),
        ("main", 50, 50 / profile._RATE),
    ]
    assert {place["where"] for place in found["ours"]} == {"atc_plugin/__main__.py", "atc_plugin/sweeps/run.py"}
    assert Path("stacks").read_text().startswith("main (atc_plugin/__main__.py:9);")
    stand_in("echo 'Error: Permission Denied' >&2; exit 1")
    errors = end_of("profile", "--py-spy", "run", csv, status=1).stderr
    assert "py-spy ended with status 1: Error: Permission Denied" in errors


# ---------------------------------------------------------------- processes
@jitted
def test_a_process_keeps_stdout_and_stderr_apart(csv: str) -> None:
    done = process("run", csv, "--json", PYTHONWARNINGS="error")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["prices"]["bars"] == BARS
    assert [line for line in done.stderr.splitlines() if "compil" not in line] == []
    failed = process("run", "nowhere.csv")
    assert (failed.returncode, failed.stdout, failed.stderr) == (2, "", "error: nowhere.csv: no such file\n")


@jitted
@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_goes_away_is_no_error(csv: str) -> None:
    command = [sys.executable, "-m", "atc_plugin", "run", csv, "--json", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        errors = running.stderr.read()
    assert errors == ""


@jitted
@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be sent Ctrl-C alone")
def test_ctrl_c_ends_a_sweep_at_once_and_keeps_what_was_done(csv: str, tmp_path: Path) -> None:
    lengths = [("--vary", f"{name}_len=10:40") for name in ("ema", "wma", "dema", "kama")]  # minutes of one thread
    asked = [csv, *(word for pair in lengths for word in pair), "--vary", "lsma_len=10:40:10", "--jobs", "1"]
    command = [sys.executable, "-m", "atc_plugin", "sweep", *asked, "--cache-dir", "kept", "--top", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while running.poll() is None and not list(Path("kept").rglob("*.npy")):
            time.sleep(0.05)
        assert running.returncode is None
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate()
    assert running.returncode == 130
    assert output == ""
    assert errors.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in errors
    assert cache.stats(cache="kept").entries
