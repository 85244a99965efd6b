"""What `sweep` and `warm` are asked for alike."""

from __future__ import annotations

from typing import Any

import click

from .answers import is_quiet
from .asking import cache_options, grid_options, options, prices_options, profile_option

METRICS = "total_return,sharpe_ratio,max_drawdown,total_trades"

sweeping_options = options(
    prices_options,
    grid_options,
    click.option("--metrics", default=METRICS, show_default=True, metavar="A,B", help="Best by the first."),
    click.option("--fees", type=float, default=0.0, show_default=True, help="A share of each order."),
    click.option("--slippage", type=float, default=0.0, show_default=True, help="A share of the price."),
    click.option("--direction", default="both", show_default=True, help="both, longonly or shortonly."),
    click.option("--freq", metavar="TIME", help="The time of a bar, such as 1D or 4h.  [default: that of the dates]"),
    click.option(
        "--windows",
        multiple=True,
        metavar="N|A..B",
        help="Judge parts of the bars too: N equal ones, or from date A to date B, once or more.",
    ),
    click.option("--top", metavar="[METRIC:]N", help="Keep only the N best of each symbol: memory does not grow."),
    click.option("--backend", default="auto", show_default=True, help="cpu, gpu, loky, or what auto finds fastest."),
    click.option("--jobs", type=int, metavar="N", help="Threads or workers, -1 for all.  [default: what is best]"),
    click.option("--timeout", type=float, metavar="SECONDS", help="Give workers up after so long without a result."),
    profile_option,
    cache_options,
)
"""Prices, the grid, and the arguments of `sweep`."""


def sweep_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Those options as `sweep` and `warm` take them, taken out of `given`."""
    names = ("metrics", "fees", "slippage", "direction", "freq", "windows", "top", "backend", "jobs", "timeout")
    asked = {name: given.pop(name) for name in names}
    if asked["jobs"] == 0:
        raise ValueError("--jobs must be 1 or more, or -1 for all processors")
    asked["n_jobs"] = asked.pop("jobs")
    return {
        **asked,
        "metrics": [name.strip() for name in asked["metrics"].split(",")],
        "windows": _windows(asked["windows"]),
        "top": _top(asked["top"]),
        "progress": not is_quiet(),
    }


def _windows(texts: tuple[str, ...]) -> int | list[slice] | None:
    if not texts:
        return None
    if len(texts) == 1 and texts[0].strip().isdigit():
        return int(texts[0])
    windows = []
    for text in texts:
        first, dots, last = text.partition("..")
        if not dots:
            raise ValueError(f"--windows takes a number of equal parts, or FIRST..LAST once or more; got {text!r}")
        windows.append(slice(*(bound.strip() or None for bound in (first, last))))
    return windows


def _top(text: str | None) -> int | tuple[str, int] | None:
    if text is None:
        return None
    metric, colon, count = text.rpartition(":")
    if not count.isdigit():
        raise ValueError(f"--top takes a number, or METRIC:NUMBER; got {text!r}")
    return (metric, int(count)) if colon else int(count)
