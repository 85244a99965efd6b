"""Where the missing blocks of a sweep are computed; where none is missing, nothing that computes is imported."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from ..threads import share
from .blocks import Blocks
from .estimates import many_columns
from .grid import ParamGrid

T = TypeVar("T")


def run_here(blocks: Blocks, jobs: int) -> None:
    """All blocks on threads: those of one column after the other, or a column each where columns are short work."""
    columns = len(blocks.prices.counts)
    if many_columns(columns, blocks.plan.size, jobs):
        share(lambda column, _: _column(blocks, column, 1), columns, jobs, 1)
    else:
        for column in range(columns):
            _column(blocks, column, jobs)


def _column(blocks: Blocks, column: int, jobs: int) -> None:
    if missing := _any(blocks.missing(column)):
        from .here import judge_blocks

        judge_blocks(blocks, column, missing, jobs)


def run_on_devices(blocks: Blocks, jobs: int, insist: bool) -> None:
    """All blocks on GPUs; where one fails, the rest on threads, unless we `insist`."""
    if missing := _any(_lacking(blocks)):
        from .on_devices import judge_on_devices

        judge_on_devices(blocks, missing, jobs, insist)


def run_on_workers(blocks: Blocks, grid: ParamGrid, backend: str, jobs: int, timeout: float | None) -> None:
    """All blocks on worker processes."""
    if missing := _any(_lacking(blocks)):
        from .workers import judge_columns

        judge_columns(blocks, missing, grid, backend, jobs, timeout)


def _lacking(blocks: Blocks) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Columns that lack blocks, with these."""
    for column in range(len(blocks.prices.counts)):
        if todo := list(blocks.missing(column)):
            yield column, todo


def _any(items: Iterator[T]) -> Iterator[T] | None:
    """The same items, found out one after the other, or None where there is not even a first."""
    for first in items:
        return chain([first], items)
    return None
