"""`atc sweep`: every combination of a grid judged, the best shown, all of it written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .answers import Answer, Answering
from .asking import cache_asked, grid_asked, grid_told, out_option, prices_asked, prices_told
from .sweeping import sweep_arguments, sweeping_options

if TYPE_CHECKING:
    import pandas as pd

    from ..sweeps.result import SweepResult

_WAYS = ("median", "mean", "min", "max")


@click.command("sweep", cls=Answering)
@sweeping_options
@click.option("--best", metavar="METRIC", help="Show the best by this metric.  [default: the first]")
@click.option("--keep", type=click.IntRange(min=0), default=5, show_default=True, help="How many to show.")
@click.option("--across", type=click.Choice(_WAYS), help="Show the best over all symbols, their metrics taken so.")
@click.option("--min-trades", type=float, default=1, show_default=True, help="Trades it needs.")
@out_option("--out", ".parquet", ".csv", text="Write every row.")
def command(
    grid_file: Path | None,
    vary: tuple[str, ...],
    cache: bool | None,
    cache_dir: str | None,
    best: str | None,
    keep: int,
    across: str | None,
    min_trades: float,
    out: Path | None,
    **given: Any,
) -> Answer:
    """Judge every combination of a grid and show the best.

    SOURCE is a file (CSV, parquet), or a ticker where yfinance is installed; several are joined. Combinations are
    judged as vectorbt would judge them. --grid or --vary says which.
    """
    asked, kept = sweep_arguments(given), cache_asked(cache, cache_dir)
    if best is not None and best not in asked["metrics"]:
        raise ValueError(f"--best must be one of --metrics {','.join(asked['metrics'])}; got {best!r}")
    if across is not None and asked["top"] is not None:
        raise ValueError("--across needs every combination of every symbol; --top keeps the best alone")
    if across is not None and asked["windows"] is not None:
        raise ValueError("--across takes symbols together over all bars; leave --windows out")
    grid = grid_asked(grid_file, vary)
    close = prices_asked(**given)
    from ..sweeps.run import sweep

    result = sweep(close, grid, cache=kept, **asked)
    if out is not None:
        _write(result, out)
    rows = result.best(best, max(keep, 1), across=across, min_trades=min_trades)[: None if keep else 0]
    document = {
        "prices": prices_told(close),
        "grid": grid_told(grid),
        "rows": len(result),
        "metrics": list(result.metrics),
        "windows": list(result.window_names),
        "seconds": result.seconds,
        "reused": result.reused,
        "best": _with_windows(result, rows).reset_index(names="row").to_dict(orient="records"),
        "written": {} if out is None else {"out": out},
    }
    bars, symbols = close.shape
    head = f"{len(grid):,} combinations x {symbols:,} symbols x {bars:,} bars in {result.seconds:.3g} s"
    text = "No combination traded often enough." if keep else ""
    if len(rows):
        shown = [best or asked["metrics"][0]]
        text = _with_windows(result, rows, shown).to_string(float_format=lambda x: f"{x:.4g}")
    written = [] if out is None else [f"{out} written"]
    return Answer(document, "\n\n".join(filter(None, [head, text, *written])))


def _with_windows(result: SweepResult, rows: pd.DataFrame, metrics: Iterable[str] | None = None) -> pd.DataFrame:
    """Rows with their metrics in every window, of all metrics or some, in columns of their own."""
    if not result.windows:
        return rows
    names = result.metrics if metrics is None else metrics
    return rows.join([result.window_frame(name).loc[rows.index].add_prefix(f"{name} ") for name in names])


def _write(result: SweepResult, path: Path) -> None:
    if path.suffix.lower() == ".csv":
        _with_windows(result, result.frame).to_csv(path, index_label="row")
    else:
        result.to_parquet(path)
