"""The blocks of a sweep: what the store has of them, what is done, and how far it has come."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import int64
from numpy.typing import NDArray

from ..cache.settings import store_of
from ..cache.store import MISSING, Missing, Store
from ..keys import column_key, column_name, platform_key
from .accumulated import Judged, nothing, packed, unpacked, write_scores
from .collecting import Scores, Sink
from .prepared import Prepared
from .progress import bar_of

log = logging.getLogger("atc_plugin")

_KIND = "accumulators"

_FORMAT = 1  # of what `packed` gives

_CHEAP = 1e-3
"""Seconds that a column is expected to take, below which nothing of it is kept without being asked."""

_AT_ONCE = 8  # blocks that are asked for together


class Blocks:
    """Takes the accumulators of blocks, keeps them, and passes metrics on; a context, which ends what it began."""

    def __init__(
        self,
        prepared: Prepared,
        sink: Sink,
        cache: bool | str | os.PathLike[str] | Store,
        progress: bool | Callable[[int, int], object],
        write: Callable[..., None] = write_scores,
    ) -> None:
        prices, plan, question = prepared.prices, prepared.plan, prepared.question
        self.prices, self.plan, self.question = prices, plan, question
        self.store, self._takes_all = store_of(cache)
        self.reused = 0
        self.total = len(prices.counts) * len(plan.blocks)
        self._sink, self._write = sink, write  # as `write_scores` writes what the sink takes
        self._bar = bar_of(len(prices.counts) * plan.size, progress, "combinations")
        cost = plan.estimate
        self._is_cheap = cost is not None and cost.seconds < _CHEAP * max(cost.columns, 1)
        self._lock = threading.Lock()  # columns may be on threads of their own
        # Of every column the same blocks come, and of every block the same column.
        self.ids = functools.lru_cache(maxsize=_AT_ONCE)(plan.ids)  # for the key, then for judging
        self._combinations = functools.lru_cache(maxsize=256)(
            lambda first, last: plan.key(first, last, self.ids(first, last))
        )
        self._key = functools.lru_cache(maxsize=4 * _AT_ONCE)(self._key_of)  # to look for it, then to keep it
        self._column = functools.lru_cache(maxsize=4)(lambda column: column_key(*prices.own(column)))
        self.own_windows = functools.lru_cache(maxsize=4)(lambda column: question.own_windows(prices, column))

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, fault: Any, *rest: object) -> None:
        if self.store is not None and self._takes_all:
            self.store.flush()
        self._bar.close()
        if self.reused:
            log.info("%d of %d blocks were there already", self.reused, self.total)

    def missing(self, column: int) -> Iterator[tuple[int, int]]:
        """The blocks of a column that have to be computed; those that are kept are passed on by the way."""
        for (first, last), kept in self._looked_up(column):
            if kept is None:
                if self.prices.counts[column]:
                    yield first, last
                else:  # without a bar there is nothing to compute
                    self.done(column, first, nothing(last - first, len(self.question.windows)), 0.0, 1)
                continue
            if self.question.top:
                self._sink.add(column, first, self._scores(column, first, unpacked(kept[..., :-1]), 1), _offsets(kept))
            else:
                self._sink.add(column, first, self._scores(column, first, unpacked(kept), 1), None)
            with self._lock:
                self.reused += 1
                self._bar.set_postfix_str(f"{self.reused} of {self.total} blocks were there")
                self._bar.update(last - first)

    def done(self, column: int, first: int, judged: Judged, seconds: float, jobs: int) -> None:
        """Take a block from `first` on that took so long."""
        count = len(judged.whole)
        scores = self._scores(column, first, judged, jobs)
        best = self._sink.few(scores)
        if self.store is not None and self._may_keep(column):
            self._keep(self._key(column, first, first + count, self.question.trades), judged, best, seconds)
        self._sink.add(column, first, scores if best is None else scores.of(best), best)
        with self._lock:
            self._bar.update(count)

    def _scores(self, column: int, first: int, judged: Judged, jobs: int) -> Scores:
        """The metrics of combinations from `first` on, written where they belong if that is known."""
        scores, at = self._sink.room(column, first, len(judged.whole))
        bars = int(self.prices.counts[column])
        self._write(judged, bars, self.own_windows(column), self.question, jobs, scores, at)
        return scores

    def _keep(self, key: str, judged: Judged, best: NDArray[int64] | None, seconds: float) -> None:
        """Have a block written behind the caller's back."""
        assert self.store is not None
        trades = self.question.trades
        if best is None:
            make, nbytes = functools.partial(packed, judged, trades), judged.whole.nbytes + judged.windows.nbytes
        else:  # packed here: what waits to be written is not to hold all the others
            few = _packed_few(judged, best, trades)
            make, nbytes = functools.partial(np.asarray, few), few.nbytes
        limit = self.store.size_limit
        if self._takes_all or limit is None or self.total * nbytes <= limit / 2:  # one sweep is not to push out all
            self.store.put_later(key, make, nbytes, _KIND, seconds=seconds, if_worth=not self._takes_all)

    def _looked_up(self, column: int) -> Iterator[tuple[tuple[int, int], NDArray[Any] | None]]:
        """Every block of a column with what is kept of it, some of them asked for together."""
        blocks = self.plan.blocks
        if self.store is not None and not self._may_keep(column):
            for block in blocks:
                self.store.statistics.miss(_KIND, "not worth storing")
                yield block, None
            return
        for start in range(0, len(blocks), _AT_ONCE):
            some = blocks[start : start + _AT_ONCE]
            found: list[NDArray[Any] | Missing] = [MISSING] * len(some)
            if self.store is not None:
                requests = [self._keys(column, block) for block in some]
                found = self.store.get_many(requests, _KIND)
            for block, kept in zip(some, found, strict=True):
                yield block, self._fitting(kept)

    def _may_keep(self, column: int) -> bool:
        """Whether a look may find something: what takes next to no time is kept only where it was warmed."""
        if self._takes_all or not self._is_cheap:
            return True
        assert self.store is not None
        return self.store.disk.warmed.had(column_name(self._column(column)))

    def are_kept(self) -> bool:
        """Whether the store has every block, as far as can be told without reading them."""
        return self.store is not None and all(
            any(self.store.is_kept(key) for key in self._keys(column, block))
            for column in range(len(self.prices.counts))
            for block in self.plan.blocks
        )

    def _keys(self, column: int, block: tuple[int, int]) -> list[str]:
        """The keys that will do: what has more accumulators serves too."""
        return [self._key(column, *block, trades) for trades in ((True,) if self.question.trades else (False, True))]

    def _fitting(self, kept: NDArray[Any] | Missing) -> NDArray[Any] | None:
        if isinstance(kept, Missing):
            return None
        if kept.ndim == 3 and kept.shape[1] == 1 + len(self.question.windows):
            return kept
        log.warning("cache: a block of shape %s is not one of this sweep, and is computed again", kept.shape)
        return None

    def _key_of(self, column: int, first: int, last: int, trades: bool) -> str:
        windows = self.own_windows(column)
        ranges = None if windows is None else [edges.tolist() for edges in windows]
        words = {
            "format": _FORMAT,
            "platform": platform_key(),
            "prices": self._column(column),
            "trades": trades,
            "direction": self.question.direction,
            "fees": self.question.fees,
            "slippage": self.question.slippage,
            "windows": ranges,
            "top": self.question.top and (*self.question.top, self.question.bars_per_year),
            "combinations": self._combinations(first, last),
        }
        if self.question.marked:  # other bits, and not all of them
            words["marked"] = True
        return "accumulators " + " ".join(f"{name}={value!r}" for name, value in words.items())


def _packed_few(judged: Judged, best: NDArray[int64], trades: bool) -> NDArray[Any]:
    """Some of a block's combinations, with their places in it behind their accumulators."""
    few = packed(Judged(judged.whole[best], judged.windows[best], 0), trades)
    places = np.broadcast_to(best[:, None, None], (*few.shape[:2], 1))
    return np.concatenate([few, places], axis=2)


def _offsets(kept: NDArray[Any]) -> NDArray[int64]:
    """The places in their block of the few that were kept of it."""
    return kept[:, 0, -1].astype(int64)
