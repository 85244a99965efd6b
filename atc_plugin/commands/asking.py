"""What commands are asked for: options they share, and what is made of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..params import PARAMETERS, AtcParams, Parameter, as_params, check_names
from ..profiles import PROFILES, use_profile

if TYPE_CHECKING:
    import pandas as pd

    from ..sweeps.grid import ParamGrid

F = TypeVar("F", bound=Callable[..., Any])


def options(*some: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one decorator, listed by --help in this order."""

    def decorated(function: F) -> F:
        for option in reversed(some):
            function = option(function)
        return function

    return decorated


def out_option(flag: str, *suffixes: str, text: str, name: str | None = None) -> Callable[[Any], Any]:
    """An option for a file to be written, of a kind that its name's end tells, in a folder that is there."""

    def checked(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
        if path is None:
            return None
        if path.suffix.lower() not in suffixes:
            raise click.BadParameter(f"{str(path)!r} must end in {' or '.join(suffixes)}", ctx, param)
        if not path.parent.is_dir():
            raise click.BadParameter(f"{str(path)!r}: there is no folder {str(path.parent)!r}", ctx, param)
        if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
            raise ModuleNotFoundError("parquet files need pyarrow: pip install pyarrow", name="pyarrow")
        return path

    kind = click.Path(dir_okay=False, writable=True, path_type=Path)
    return click.option(flag, *([name] if name else []), type=kind, callback=checked, help=text)


# ---------------------------------------------------------------- prices
prices_options = options(
    click.argument("source", nargs=-1, required=True),
    click.option("--symbols", metavar="A,B", help="Those to keep, in this order.  [default: all]"),
    click.option("--price", metavar="COLUMN", help="The column to take instead of the close."),
    click.option("--date", metavar="COLUMN", help="The column of dates, where it is not found by itself."),
    click.option("--start", metavar="DATE", help="The first date, such as 2015 or 2015-06-30."),
    click.option("--end", metavar="DATE", help="The last date."),
)
"""SOURCE...: files (CSV, parquet), or tickers where yfinance is installed."""


def prices_asked(source: tuple[str, ...], symbols: str | None, **given: str | None) -> pd.DataFrame:
    """Closes, bars x symbols."""
    from ..loading import load_prices

    names = None if symbols is None else [name.strip() for name in symbols.split(",")]
    return load_prices(list(source), symbols=names, **given)


def prices_told(close: pd.DataFrame) -> dict[str, Any]:
    """What prices there are."""
    first, last = close.index[[0, -1]]
    return {"symbols": list(close.columns), "bars": len(close), "first": first, "last": last}


# ---------------------------------------------------------------- parameters
def _parameter_option(row: Parameter) -> Callable[[Any], Any]:
    flag = "--" + row.name.rstrip("_").replace("_", "-")
    told = f"{row.meaning}; {row.unit}.  [default: {row.default}]"
    kinds: dict[str, Any] = {"default": None, "help": told[0].upper() + told[1:]}
    if row.kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", row.name, **kinds)
    return click.option(flag, row.name, type=click.Choice(row.choices) if row.choices else row.kind, **kinds)


params_options = options(
    click.option(
        "--params",
        "params_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Parameters by name in a TOML or JSON file; options go before them.",
    ),
    *map(_parameter_option, PARAMETERS),
)
"""--params and an option for each parameter."""


def params_asked(params_file: Path | None, given: dict[str, Any]) -> AtcParams:
    """The configuration of a file with the options on top, which are taken out of `given`."""
    asked = {row.name: given.pop(row.name) for row in PARAMETERS}
    overrides = {name: value for name, value in asked.items() if value is not None}
    if params_file is None:
        return as_params(None, overrides)
    told = _read_table(params_file)
    try:
        return as_params(told, overrides)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{params_file}: {error}") from None


def _read_table(path: Path) -> dict[str, Any]:
    import json
    import tomllib

    readers: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: the name of a file of parameters must end in .toml or .json")
    try:
        told = readers[path.suffix.lower()](path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(told, dict):
        raise TypeError(f"{path}: must be a table of parameters")
    check_names(told)
    return told


# ---------------------------------------------------------------- grids
grid_options = options(
    click.option(
        "--grid",
        "grid_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A grid as a TOML or JSON file, as ParamGrid.to_file writes it.",
    ),
    click.option(
        "--vary",
        multiple=True,
        metavar="NAME=VALUES",
        help="Values to combine: decay=0.01,0.03 or ema_len=10:50:2, without the stop. One for each parameter.",
    ),
)
"""--grid or --vary."""


def grid_asked(grid_file: Path | None, vary: Iterable[str]) -> ParamGrid:
    """The combinations."""
    from ..sweeps.grid import ParamGrid

    vary = list(vary)
    if (grid_file is None) == (not vary):
        raise click.UsageError("give --grid FILE, or --vary NAME=VALUES once or more", click.get_current_context())
    if grid_file is not None:
        return ParamGrid.from_file(grid_file)
    axes: dict[str, Any] = {}
    for text in vary:
        name, equals, listed = text.partition("=")
        name = name.strip().replace("-", "_")
        name = f"{name}_" if f"{name}_" in _NAMES else name
        if not equals or not listed or name in axes:
            raise ValueError(f"--vary takes NAME=VALUE,VALUE... or NAME=START:STOP:STEP, each name once; got {text!r}")
        axes[name] = [one for part in listed.split(",") for one in _values(part)]
    return ParamGrid(**axes)


_NAMES = frozenset(row.name for row in PARAMETERS)


def _values(part: str) -> list[Any]:
    """One value, or those of a range start:stop:step."""
    bounds = [_value(bound.strip()) for bound in part.split(":")]
    if len(bounds) == 1:
        return bounds
    if len(bounds) > 3 or any(type(bound) is not int for bound in bounds) or 0 in bounds[2:]:
        raise ValueError(f"--vary takes ranges as START:STOP or START:STOP:STEP in whole numbers; got {part!r}")
    return list(range(*bounds))


def _value(text: str) -> Any:
    """A number, True or False where the text is one, otherwise the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def grid_told(grid: ParamGrid) -> dict[str, Any]:
    """How many combinations, and of what."""
    return {"combinations": len(grid), "varied": list(grid.varied)}


# ---------------------------------------------------------------- where results are kept
profile_option = click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help="How much of the machine to take: size of the cache, jobs and backend at once.",
    callback=lambda ctx, param, value: use_profile(value) if value else None,
    expose_value=False,
)

cache_options = options(
    click.option("--cache/--no-cache", "cache", default=None, help="Whether to read and keep results.  [default: yes]"),
    click.option("--cache-dir", type=click.Path(file_okay=False), help="Keep all results in this folder."),
)
"""--no-cache or --cache-dir."""


def cache_asked(cache: bool | None, cache_dir: str | None) -> bool | str:
    """What the library's `cache` arguments take."""
    if cache_dir is not None and cache is False:
        raise click.UsageError("--no-cache and --cache-dir exclude each other", click.get_current_context())
    return (cache is not False) if cache_dir is None else cache_dir
