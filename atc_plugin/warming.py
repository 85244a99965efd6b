"""`warm`: compute ahead what later sweeps and indicators will ask for, and say what was there already."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from .cache.settings import store_of
from .growing import is_warmed, mark_as_warmed
from .kept_components import are_kept, find_or_make, specs_of_plan
from .kept_results import are_results_kept, keep_results
from .keys import column_key
from .names import suggestion
from .sweeps.blocks import Blocks
from .sweeps.collecting import Everything
from .sweeps.grid import ParamGrid
from .sweeps.prepared import Prepared, prepare
from .sweeps.progress import bar_of
from .sweeps.run import judged
from .threads import share
from .warm_jobs import Warmed, WarmJob

if TYPE_CHECKING:
    from .cache.store import Store
    from .params import AtcParams

_FEW, _SMALL = 64, 64 * 2**20
"""Combinations and bytes up to which whole results are kept too; of more, they are put together of components."""


_COMPONENT = 10
"""Combinations that take as long as a component."""


@overload
def warm(
    close: Any, grid: ParamGrid, source: Any = ..., *, background: Literal[False] = ..., **options: Any
) -> Warmed: ...
@overload
def warm(close: Any, grid: ParamGrid, source: Any = ..., *, background: Literal[True], **options: Any) -> WarmJob: ...
def warm(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    *,
    background: bool = False,
    progress: bool | Callable[[int, int], object] = True,
    cache: bool | str | os.PathLike[str] | Store = True,
    **sweep_arguments: Any,
) -> Warmed | WarmJob:
    """Compute and keep all that `sweep`, `atc`, vectorbt's and backtrader's ATC need of these prices and combinations.

    What is kept already is not computed again. Unlike what calls keep of themselves, all of it goes to the disk. Prices
    to which bars are added later find it too, and cost only these.

    Args:
        close: prices, as `sweep` takes them.
        grid: the combinations.
        source: what the averages are taken of; close by default.
        background: return a `WarmJob` at once.
        progress: a bar on a terminal or in a notebook, or a function called with (done, total).
        cache: where to keep it: True for the cache of this machine, a directory, or a `Store`.
        **sweep_arguments: those of the sweep that will be run: `metrics`, `fees`, `slippage`, `direction`, `freq`,
            `windows`, `top`, `backend`, `n_jobs`, `timeout`. What is kept serves no sweep with others of `fees`,
            `slippage`, `direction`, `windows` or `top`.

    Returns:
        What was done; with `background`, a job that will tell.

    Raises:
        TypeError, ValueError, MemoryError: as `sweep`, before any work is done and in this thread; and ValueError where
            the cache is switched off.

    >>> import numpy as np, tempfile
    >>> close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 500)))
    >>> grid = ParamGrid(ema_len=[14, 28], kama_len=[14, 28])
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     first = warm(close, grid, cache=directory)
    ...     first.already_there, warm(close, grid, cache=directory).already_there
    (0.0, 1.0)
    """
    store = _store(cache)
    prepared = _prepared(close, grid, source, sweep_arguments)
    if background:
        tell = progress if callable(progress) else None
        return WarmJob(lambda watch: _Warming(prepared, store, watch).run(), tell)
    return _Warming(prepared, store, progress).run()


def is_warm(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    *,
    cache: bool | str | os.PathLike[str] | Store = True,
    **sweep_arguments: Any,
) -> bool:
    """Whether all that `warm` would keep is kept; arguments and errors as there."""
    store = _store(cache)
    prepared = _prepared(close, grid, source, sweep_arguments)
    store.flush()
    return is_all_there(prepared, store.of_others(), thoroughly=True)


def is_all_there(prepared: Prepared, store: Store, thoroughly: bool = False) -> bool:
    """Whether every item is kept; with `thoroughly` it is looked whether blocks of components have all lengths."""
    with Blocks(prepared, Everything(prepared.question, 0, 0), store, False) as blocks:
        if not blocks.are_kept():
            return False
    specs = specs_of_plan(prepared.plan)
    for column in range(len(prepared.prices.counts)):
        own = prepared.prices.own(column)
        if own[0].size and not (is_warmed(store, *own) and are_kept(store, column_key(*own), specs, thoroughly)):
            return False
    return all(are_results_kept(prepared.prices, params, store) for params in _few(prepared))


def _store(cache: bool | str | os.PathLike[str] | Store) -> Store:
    store, _ = store_of(cache)
    if store is None:
        raise ValueError(
            "the cache is switched off (cache=False, ATC_CACHE, or cache.configure): there is nowhere to keep it"
        )
    return store


def _prepared(close: Any, grid: ParamGrid, source: Any, sweep_arguments: dict[str, Any]) -> Prepared:
    known = [name for name in inspect.signature(prepare).parameters if name not in ("close", "grid", "source")]
    for name in sweep_arguments:
        if name not in known:
            raise TypeError(f"a sweep that is warmed takes no argument {name!r}{suggestion(name, known)}")
    if sweep_arguments.get("metrics") is None and sweep_arguments.get("top") is None:
        # What is kept for one metric serves all that are usual, and this one needs no freq.
        sweep_arguments = {**sweep_arguments, "metrics": ("total_return",)}
    return prepare(close, grid, source, **sweep_arguments)


def _few(prepared: Prepared) -> list[AtcParams]:
    """The combinations of which whole results are kept."""
    nbytes = prepared.plan.size * int(prepared.prices.counts.sum()) * 9
    return list(prepared.grid) if prepared.plan.size <= _FEW and nbytes <= _SMALL else []


class _Warming:
    """One run of `warm`."""

    def __init__(self, prepared: Prepared, store: Store, progress: bool | Callable[[int, int], object]) -> None:
        self._prepared, self._store = prepared, store.of_others()
        self._specs = specs_of_plan(prepared.plan)
        columns = len(prepared.prices.counts)
        self._judged = columns * prepared.plan.size
        self._each = max(1, len(self._specs) * _COMPONENT)  # what a column's components weigh against combinations
        self._said = 0  # combinations that the bar knows of
        self._bar = bar_of(self._judged + columns * self._each, progress, "steps")

    def run(self) -> Warmed:
        """Components, results, then combinations: each needs those before."""
        started = time.perf_counter()
        results, blocks = (0, 0), (0, 0)
        prepared = self._prepared
        try:
            there, resumed, made = self._components()
            self._store.flush()  # what follows reads them
            found = [keep_results(prepared.prices, params, self._store) for params in _few(prepared)]
            results = sum(there for there, _ in found), sum(count for _, count in found)
            swept = judged(prepared, self._store, self._tell, started)
            blocks = swept.reused or blocks
            self._store.flush()
        finally:
            self._bar.close()
        seconds = time.perf_counter() - started
        columns, combinations = len(prepared.prices.counts), prepared.plan.size
        components = there, there + resumed + made
        kept = is_all_there(prepared, self._store)
        return Warmed(columns, combinations, blocks, components, resumed, results, seconds, kept)

    def _tell(self, done: int, total: int) -> None:
        self._bar.update(done - self._said)
        self._said = done

    def _components(self) -> tuple[int, int, int]:
        """Every column's blocks of components: how many were there, were resumed, and were made."""
        prices, jobs = self._prepared.prices, self._prepared.jobs
        columns = [column for column, count in enumerate(prices.counts) if count]
        found: list[tuple[int, int, int]] = [(0, 0, 0)]
        if self._prepared.backend in ("auto", "cpu", "gpu"):
            share(lambda place, _: found.append(self._column(columns[place])), len(columns), jobs, 1)
        else:
            from .warming_workers import keep_on_workers

            for answer in keep_on_workers(self._prepared, self._store, self._specs, columns):
                found.append(answer)
                self._bar.update(self._each)
        for column in columns:
            mark_as_warmed(self._store, *prices.own(column))
        there, resumed, made = map(sum, zip(*found, strict=True))
        return there, resumed, made

    def _column(self, column: int) -> tuple[int, int, int]:
        obtained = find_or_make(self._store, self._specs, *self._prepared.prices.own(column))
        self._bar.update(self._each)
        return obtained[1:]
