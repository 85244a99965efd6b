"""`atc run`: one configuration over prices; a summary, signals, the weight table, a plot."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .answers import Answer, Answering, document_text
from .asking import (
    cache_asked,
    cache_options,
    out_option,
    params_asked,
    params_options,
    prices_asked,
    prices_options,
    prices_told,
    profile_option,
)

if TYPE_CHECKING:
    import pandas as pd

    from ..params import AtcParams
    from ..result import AtcResult

_NAMES = {1: "long", -1: "short", 0: "none"}


@click.command("run", cls=Answering)
@prices_options
@out_option("--out", ".csv", ".parquet", ".json", text="Write every bar: close, average, direction, entry, exit.")
@out_option("--plot", ".html", ".png", text="Write a chart; of one symbol.")
@click.option("--ma", help="In the chart, the nine averages of this type and their equities instead.")
@click.option("--table", is_flag=True, help="Show the published weight table too.")
@click.option("--column", metavar="SYMBOL", help="The symbol of --plot and --table, where there are several.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Write and plot the last N bars only.")
@profile_option
@cache_options
@params_options
def command(
    out: Path | None,
    plot: Path | None,
    ma: str | None,
    table: bool,
    column: str | None,
    last: int | None,
    cache: bool | None,
    cache_dir: str | None,
    params_file: Path | None,
    **given: Any,
) -> Answer:
    """Say what ATC makes of prices.

    SOURCE is a file (CSV, parquet), or a ticker where yfinance is installed; several are joined.
    """
    params, kept = params_asked(params_file, given), cache_asked(cache, cache_dir)
    if plot is not None:
        _require_plots(plot)
    close = prices_asked(**given)
    if column is not None and column not in close.columns:
        raise ValueError(f"--column: no symbol {column!r}; there are {', '.join(map(str, close.columns))}")
    if plot is not None and column is None and len(close.columns) > 1:
        raise ValueError(f"--plot draws one of {len(close.columns)} symbols: --column {close.columns[0]}")
    from ..indicator import atc

    result = atc(close, params=params, cache=kept)
    files: dict[str, Path] = {}
    if out is not None:
        _write(_bars(close, result, last), out)
        files["out"] = out
    if plot is not None:
        _draw(result.plot(column, ma, last=last), plot)
        files["plot"] = plot
    shown = [column] if column is not None else list(close.columns)
    tables = {str(name): result.table(name) for name in shown} if table else {}
    return _answer(close, params, result, tables, files)


def _answer(
    close: pd.DataFrame, params: AtcParams, result: AtcResult, tables: dict[str, pd.DataFrame], files: dict[str, Path]
) -> Answer:
    import pandas as pd

    rows = list(_summary(close, result))
    growth = result.growth
    document = {
        "prices": prices_told(close),
        "params": params.as_dict(),
        "growth": {"factor": growth.factor, "level": growth.level},
        "symbols": rows,
        "tables": {name: _records(table) for name, table in tables.items()},
        "written": files,
    }
    text = pd.DataFrame(rows).set_index("symbol").to_string(na_rep="-", float_format=lambda x: f"{x:.6g}")
    parts = [text, *(f"{name}\n{table.to_string(float_format='%.4f')}" for name, table in tables.items())]
    if growth.advice:
        parts.append(f"The growth factor of {growth.factor:.3g} is {growth.level}: {growth.advice}.")
    parts += ["\n".join(f"{path} written" for path in files.values())]
    return Answer(document, "\n\n".join(filter(None, parts)))


def _summary(close: pd.DataFrame, result: AtcResult) -> Iterator[dict[str, Any]]:
    """A row for each symbol: what holds at its last bar, and since when."""
    for symbol in close.columns:
        bars = _bars(close[[symbol]], result, None)
        turns = bars[bars["entry"] | bars["exit"]]
        now = bars.iloc[-1]
        yield {
            "symbol": symbol,
            "bars": len(bars),
            "last": _day(bars.index[-1]),
            "close": now["close"],
            "average": now["average"],
            "direction": _NAMES[int(now["direction"])],
            "since": _day(turns.index[-1]) if len(turns) else None,
            "turns": len(turns),
        }


def _bars(close: pd.DataFrame, result: AtcResult, last: int | None) -> pd.DataFrame:
    """What is known of every bar that a symbol has, symbol after symbol."""
    import pandas as pd

    parts = []
    outputs = {"average": result.average, "direction": result.direction, "entry": result.entries, "exit": result.exits}
    for symbol in close.columns:
        own = {name: output[symbol] for name, output in outputs.items()}
        part = pd.DataFrame({"symbol": symbol, "close": close[symbol], **own})
        part = part.dropna(subset="close").astype({"direction": "int8"})
        parts.append(part if last is None else part.iloc[-last:])
    return pd.concat(parts)


def _write(bars: pd.DataFrame, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        bars.to_csv(path)
    elif suffix == ".parquet":
        bars.to_parquet(path, engine="pyarrow")
    else:
        path.write_text(document_text(_records(bars)) + "\n", encoding="utf-8")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows by name, the index among them."""
    records: list[Any] = table.reset_index().to_dict(orient="records")
    return records


def _day(moment: Any) -> str:
    """A date, with the time of day where there is one."""
    return str(moment.date()) if moment == moment.normalize() else moment.isoformat()


def _require_plots(path: Path) -> None:
    """Raise ModuleNotFoundError, before any work, where what draws is not installed."""
    if find_spec("plotly") is None:
        raise ModuleNotFoundError('plots need plotly: pip install "atc_plugin[plot]"', name="plotly")
    if path.suffix.lower() == ".png" and find_spec("kaleido") is None:
        raise ModuleNotFoundError(
            'PNG files need kaleido: pip install "atc_plugin[png]"; --plot file.html needs nothing', name="kaleido"
        )


def _draw(figure: Any, path: Path) -> None:
    if path.suffix.lower() == ".html":
        figure.write_html(path)
        return
    try:
        figure.write_image(path)
    except Exception as error:  # kaleido has many for a browser that is not there or does not start
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise click.ClickException(
            f"the PNG could not be made: {said}. kaleido needs Chrome or Chromium; --plot file.html needs nothing"
        ) from error
