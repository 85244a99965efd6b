"""Blocks of a column computed by threads of this process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..kept_components import components_for
from .blocks import Blocks
from .judge import Judge

if TYPE_CHECKING:
    from ..law.turns import Components


def judge_blocks(blocks: Blocks, column: int, missing: Iterable[tuple[int, int]], jobs: int) -> None:
    """One block after the other, each on all threads."""
    judge = None
    for first, last in missing:
        started = time.perf_counter()
        if judge is None:
            judge = judge_of(blocks, column, components_for(blocks.store, blocks.plan, *blocks.prices.own(column)))
        judged = judge.judge(blocks.ids(first, last), jobs)
        blocks.done(column, first, judged, time.perf_counter() - started, jobs)


def judge_of(
    blocks: Blocks, column: int, components: Components, combinations: int | None = None, plainly: bool = False
) -> Judge:
    """A judge of a column's combinations."""
    close, _ = blocks.prices.own(column)
    trading, windows = blocks.question.trading, blocks.own_windows(column)
    return Judge(close, components, blocks.plan, trading, windows, combinations, plainly)
