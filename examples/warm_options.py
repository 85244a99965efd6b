"""What warm_sweep.py is asked for: options, prices, the grid, and the settings of the cache."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
from pathlib import Path
from typing import Any

import pandas as pd

from atc_plugin import ParamGrid, cache, load_prices

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
LENGTHS = [14, 21, 28, 42]
DEFAULT_GRID: dict[str, Any] = {
    "ema_len": LENGTHS,
    "dema_len": LENGTHS,
    "kama_len": LENGTHS,
    "decay": [0.01, 0.03],
    "hma_mode": ["sma", "hull"],
}
METRICS = "sharpe_ratio,total_return,max_drawdown,total_trades"


def options_parser(text: str) -> argparse.ArgumentParser:
    """The options; `text` is shown by --help, its first line before them and the rest after."""
    head, _, rest = text.partition("\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest.strip("\n"), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    prices = parser.add_argument_group("prices")
    add = prices.add_mutually_exclusive_group().add_argument
    files = "a column a symbol, or open, high, low and close of one; several are joined (default: the bundled stocks)"
    add("--csv", "--parquet", dest="files", nargs="+", action="extend", type=Path, metavar="FILE", help=files)
    add("--ticker", metavar="A,B", help="symbols to fetch with yfinance")
    prices.add_argument("--symbols", metavar="A,B", help="those to keep, in this order (default: all)")

    add = parser.add_argument_group("grid").add_mutually_exclusive_group().add_argument
    listed = (
        "values to combine: 10,20,30 or start:stop:step in whole numbers, without the stop (default: 256 combinations)"
    )
    add("--grid", nargs="+", action="extend", metavar="NAME=VALUES", help=listed)
    add("--grid-file", metavar="FILE", help="a grid as TOML or JSON, as ParamGrid.to_file writes it")

    add = parser.add_argument_group("sweep").add_argument
    add("--metrics", default=METRICS, metavar="A,B", help="the best is told by the first (default: %(default)s)")
    add("--direction", default="longonly", help="longonly, shortonly or both (default: %(default)s)")
    add("--fees", default=0.001, type=float, metavar="SHARE", help="of the value of an order (default: %(default)s)")
    add("--backend", help="cpu for threads, loky for processes, dask (default: threads)")
    add("--jobs", type=int, metavar="N", help="threads or workers (default: as many as processors)")

    add = parser.add_argument_group("cache").add_argument
    add("--cache-dir", metavar="FOLDER", help="where results are kept (default: .atc_cache)")
    add("--cache-size", metavar="SIZE", help="how much of them at most, such as 500MB, or none (default: 2GB)")
    add("--cache-ttl", metavar="TIME", help="for how long, such as 12h or 7d, or none (default: for ever)")
    add("--shared", metavar="URL", help="a Redis server for machines without a common disk: redis://host:port/db")

    steps = parser.add_argument_group("steps")
    add = steps.add_mutually_exclusive_group().add_argument
    add("--check", action="store_true", help="only say whether all of it is warmed")
    add("--warm-only", action="store_true", help="end after warming")
    add = steps.add_argument
    add("--background", action="store_true", help="warm on a thread, with lines of progress")
    add("--vectorbt", action="store_true", help="also compute the winner as vbt.ATC")
    add("--backtrader", action="store_true", help="also trade the winner in backtrader")
    add("--report", action="store_true", help="end with a table of what the cache did")
    add("--json", action="store_true", help="one JSON object on stdout, and nothing else there")
    return parser


def check_options(options: argparse.Namespace) -> None:
    """Raise ValueError for options that cannot be followed."""
    for name, asked in (("vectorbt", options.vectorbt), ("backtrader", options.backtrader)):
        if asked and importlib.util.find_spec(name) is None:
            raise ValueError(f'--{name} needs {name}: pip install "atc_plugin[{name}]"')
    if options.jobs == 0:
        raise ValueError("--jobs must be 1 or more, or -1 for all processors")


def read_prices(options: argparse.Namespace) -> pd.DataFrame:
    """Closes, bars x symbols."""
    symbols = options.symbols.split(",") if options.symbols else None
    return load_prices(options.ticker or options.files or BUNDLED, symbols=symbols)


def read_grid(options: argparse.Namespace) -> ParamGrid:
    """The combinations."""
    if options.grid_file:
        return ParamGrid.from_file(options.grid_file)
    axes: dict[str, Any] = {}
    for text in options.grid or ():
        name, equals, listed = text.partition("=")
        if not equals or not listed or name in axes:
            raise ValueError(f"--grid takes NAME=VALUE,VALUE..., each name once; got {text!r}")
        axes[name] = [one for part in listed.split(",") for one in values(part)]
    return ParamGrid(**(axes or DEFAULT_GRID))


def values(part: str) -> list[Any]:
    """One value, or those of a range start:stop:step."""
    bounds = [value(bound) for bound in part.split(":")]
    if len(bounds) == 1:
        return bounds
    if len(bounds) > 3 or any(type(bound) is not int for bound in bounds) or 0 in bounds[2:]:
        raise ValueError(f"--grid takes ranges as start:stop or start:stop:step in whole numbers; got {part!r}")
    return list(range(*bounds))


def value(text: str) -> Any:
    """A number, True or False where the text is one, otherwise the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def settle_cache(options: argparse.Namespace) -> None:
    """Set the cache of this process, which indicators use too: the library reads the environment, options change it."""
    cache.configure()  # first, so that errors of the environment name the variable
    asked = {
        "--cache-dir": {"directory": options.cache_dir, "enabled": True},
        "--cache-size": {"size_limit": options.cache_size},
        "--cache-ttl": {"ttl": options.cache_ttl},
        "--shared": {"shared": options.shared},
    }
    for option, settings in asked.items():
        if None in settings.values():
            continue
        try:
            cache.configure(**settings)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
    if options.cache_dir is None and not os.environ.get("ATC_CACHE_DIR"):
        cache.configure(directory=".atc_cache")
