"""The blocks of a sweep: what the store has of them, what is done, and how far it has come."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import int64
from numpy.typing import NDArray

from ..cache.store import MISSING, Store, default_directory
from ..law import VERSION
from ..law.growth import growth_probe
from ..law.metrics import ACCUMULATORS
from ..prices import Prices, fingerprint
from .accumulated import nothing, packed, unpacked, write_scores
from .collecting import Best, Everything, Scores
from .estimates import BLOCK
from .judge import Judged
from .planning import Plan
from .question import Question

log = logging.getLogger("atc_plugin")

_WORTH = 0.02
"""Seconds of computing from which on a block is kept without being asked: reading it back takes some milliseconds."""

_MOST = 2 * 2**30
"""Bytes of one sweep that are kept without being asked."""

_FORMAT = 1  # of what `packed` gives

_WAITING = 4  # blocks that may wait to be written


class Blocks:
    """Takes the accumulators of blocks, keeps them, and passes metrics on; a context, which ends what it began."""

    def __init__(
        self,
        prices: Prices,
        plan: Plan,
        question: Question,
        sink: Everything | Best,
        cache: bool | str | os.PathLike[str] | Store,
        progress: bool,
    ) -> None:
        self.prices, self.plan, self.question = prices, plan, question
        self.store, self._takes_all = _store_of(cache)
        self.reused = 0
        self.total = len(prices.counts) * len(plan.blocks)
        self._sink = sink
        self._bar = _bar(len(prices.counts) * plan.size, progress)
        self._writer = ThreadPoolExecutor(1)
        self._writing: deque[Future[None]] = deque()
        self._lock = threading.Lock()  # columns may be on threads of their own
        # Of every column the same blocks come, and of every block the same column.
        self._combinations = lru_cache(maxsize=256)(plan.key)
        self._fingerprint = lru_cache(maxsize=4)(self._fingerprint_of)
        self.own_windows = lru_cache(maxsize=4)(lambda column: question.own_windows(prices, column))

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, fault: Any, *rest: object) -> None:
        self._writer.shutdown()
        self._bar.close()
        if self.reused:
            log.info("%d of %d blocks were there already", self.reused, self.total)

    def missing(self, column: int) -> Iterator[tuple[int, int]]:
        """The blocks of a column that have to be computed; those that are kept are passed on by the way."""
        for first, last in self.plan.blocks:
            kept = self._kept(column, first, last)
            if kept is None:
                if self.prices.counts[column]:
                    yield first, last
                else:  # without a bar there is nothing to compute
                    self.done(column, first, nothing(last - first, len(self.question.windows)), 0.0, 1)
                continue
            if self.question.top:
                self._sink.add(column, first, self._scores(column, first, unpacked(kept[..., :-1]), 1), _offsets(kept))
            else:
                self._scores(column, first, unpacked(kept), 1)
            with self._lock:
                self.reused += 1
                self._bar.set_postfix_str(f"{self.reused} of {self.total} blocks were there")
                self._bar.update(last - first)

    def done(self, column: int, first: int, judged: Judged, seconds: float, jobs: int) -> None:
        """Take a block from `first` on that took so long."""
        count = len(judged.whole)
        scores = self._scores(column, first, judged, jobs)
        best = self._sink.few(scores)
        if self._is_kept(seconds):
            self._keep(self._key(column, first, first + count, self.question.trades), judged, best)
        self._sink.add(column, first, scores if best is None else scores.of(best), best)
        with self._lock:
            self._bar.update(count)

    def _scores(self, column: int, first: int, judged: Judged, jobs: int) -> Scores:
        """The metrics of combinations from `first` on, written where they belong if that is known."""
        scores, at = self._sink.room(column, first, len(judged.whole))
        bars = int(self.prices.counts[column])
        write_scores(judged, bars, self.own_windows(column), self.question, jobs, scores, at)
        return scores

    def _is_kept(self, seconds: float) -> bool:
        if self.store is None or self._takes_all:
            return self.store is not None
        rows = self.question.top.keep if self.question.top else BLOCK
        return seconds >= _WORTH and self.total * rows * self._bytes_a_row <= _MOST

    @property
    def _bytes_a_row(self) -> int:
        return 8 * (1 + len(self.question.windows)) * len(ACCUMULATORS)

    def _keep(self, key: str, judged: Judged, best: NDArray[int64] | None) -> None:
        """Write behind the caller's back, but not far behind."""
        with self._lock:
            while len(self._writing) >= _WAITING:
                self._writing.popleft().result()
            self._writing.append(self._writer.submit(self._write, key, judged, best))

    def _write(self, key: str, judged: Judged, best: NDArray[int64] | None) -> None:
        assert self.store is not None
        try:
            if best is None:
                self.store.put(key, packed(judged, self.question.trades))
                return
            few = packed(Judged(judged.whole[best], judged.windows[best], 0), self.question.trades)
            places = np.broadcast_to(best[:, None, None], (*few.shape[:2], 1))
            self.store.put(key, np.concatenate([few, places], axis=2))
        except Exception as fault:  # such as too little memory: what cannot be kept fails no sweep
            log.warning("cache: a block cannot be kept: %r", fault)

    def _kept(self, column: int, first: int, last: int) -> NDArray[Any] | None:
        if self.store is None:
            return None
        for trades in (True,) if self.question.trades else (False, True):  # what has more serves too
            kept = self.store.get(self._key(column, first, last, trades))
            if kept is MISSING:
                continue
            if kept.ndim == 3 and kept.shape[1] == 1 + len(self.question.windows):
                return kept
            log.warning("cache: a block of shape %s is not one of this sweep, and is computed again", kept.shape)
        return None

    def _key(self, column: int, first: int, last: int, trades: bool) -> str:
        windows = self.own_windows(column)
        ranges = None if windows is None else [edges.tolist() for edges in windows]
        words = {
            "format": _FORMAT,
            "law": VERSION,
            "growth": growth_probe(),
            "prices": self._fingerprint(column),
            "trades": trades,
            "direction": self.question.direction,
            "fees": self.question.fees,
            "slippage": self.question.slippage,
            "windows": ranges,
            "top": self.question.top and (*self.question.top, self.question.bars_per_year),
            "combinations": self._combinations(first, last),
        }
        return "accumulators " + " ".join(f"{name}={value!r}" for name, value in words.items())

    def _fingerprint_of(self, column: int) -> tuple[str, str]:
        close, source = self.prices.own(column)
        ours = fingerprint(close)
        return ours, ours if self.prices.source is self.prices.close else fingerprint(source)


def _offsets(kept: NDArray[Any]) -> NDArray[int64]:
    """The places in their block of the few that were kept of it."""
    return kept[:, 0, -1].astype(int64)


def _store_of(cache: bool | str | os.PathLike[str] | Store) -> tuple[Store | None, bool]:
    """The store, and whether it takes everything."""
    if isinstance(cache, bool):
        return (Store(default_directory()) if cache else None), False
    if isinstance(cache, Store):
        return cache, True
    if isinstance(cache, (str, os.PathLike)):
        return Store(cache), True
    raise TypeError(f"cache must be True, False, a directory or a Store; got {cache!r}")


def _bar(total: int, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, unit=" combinations", unit_scale=True, disable=None if progress else True)
