"""`atc warm`: compute ahead what later sweeps and indicators will ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .answers import Answer, Answering
from .asking import cache_asked, grid_asked, grid_told, prices_asked, prices_told
from .sweeping import sweep_arguments, sweeping_options


@click.command("warm", cls=Answering)
@sweeping_options
@click.option("--check", is_flag=True, help="Only say whether all of it is kept: status 0 if it is, 1 if not.")
def command(
    grid_file: Path | None,
    vary: tuple[str, ...],
    cache: bool | None,
    cache_dir: str | None,
    check: bool,
    **given: Any,
) -> Answer:
    """Compute and keep what later sweeps and runs will need.

    Of these prices and combinations, with these fees, slippage, direction, windows and top. What is kept already is
    skipped. Status 1 if not all of it could be kept.
    """
    asked, kept = sweep_arguments(given), cache_asked(cache, cache_dir)
    grid = grid_asked(grid_file, vary)
    close = prices_asked(**given)
    document: dict[str, Any] = {"prices": prices_told(close), "grid": grid_told(grid)}
    from ..warming import is_warm, warm

    if check:
        del asked["progress"]
        there = is_warm(close, grid, cache=kept, **asked)
        text = "all of it is warmed" if there else "not all of it is warmed"
        return Answer({**document, "is_warmed": there}, text, 0 if there else 1)
    warmed = warm(close, grid, cache=kept, **asked)
    document |= {**warmed._asdict(), "already_there": warmed.already_there}
    return Answer(document, str(warmed), 0 if warmed.kept else 1)
