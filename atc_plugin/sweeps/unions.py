"""Combinations of several grids, one after the other, each once."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from ..params import AtcParams
from .combinations import Chosen, Combinations, Product

_LONG_STRETCH = 64  # combinations that cost about as much as a search

Box = list[list[int]]  # for each axis of a product, the places of some of its values, ascending


class Union(Combinations):
    """The combinations of several parts; of each part those that no earlier one has."""

    parts: tuple[Combinations, ...]

    def __init__(self, parts: tuple[Combinations, ...]) -> None:
        # A union in a union is its parts: what they have anew, and in which order, is the same.
        flat = (part.parts if isinstance(part, Union) else (part,) for part in parts)
        self.parts = parts = tuple(itertools.chain.from_iterable(flat))
        self.exact = all(part.exact for part in parts)
        self.names = tuple(dict.fromkeys(itertools.chain.from_iterable(part.names for part in parts)))

    @property
    def bound(self) -> int:
        return self.size if self.exact else sum(part.bound for part in self.parts)

    @cached_property
    def size(self) -> int:
        return sum(part.size for part in self._fresh) if self.exact else sum(1 for _ in self)

    @cached_property
    def _fresh(self) -> list[Combinations | Rest]:
        return [_without(part, self.parts[:place]) for place, part in enumerate(self.parts)]

    def between(self, start: int, stop: int) -> Iterator[AtcParams]:
        if not self.exact:
            yield from super().between(start, stop)
            return
        for part in self._fresh:
            last = min(stop, part.size)
            if start < last:
                yield from part.between(start, last)
            start, stop = max(0, start - part.size), stop - part.size

    def __iter__(self) -> Iterator[AtcParams]:
        if self.exact:
            yield from itertools.chain.from_iterable(self._fresh)
            return
        for place, part in enumerate(self.parts):
            earlier = self.parts[:place]
            yield from (params for params in part if not any(params in other for other in earlier))

    def __contains__(self, params: AtcParams) -> bool:
        return any(params in part for part in self.parts)

    def values(self, name: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(itertools.chain.from_iterable(part.values(name) for part in self.parts)))

    def key(self) -> object:
        if self.exact:
            return (self.size, self.at(0), self.at(self.size - 1)) if self.size else 0
        return tuple(part.key() for part in self.parts)


def _without(part: Combinations, earlier: tuple[Combinations, ...]) -> Combinations | Rest:
    if not earlier:
        return part
    if isinstance(part, Product):
        return Rest(part, earlier)
    return Chosen(part, tuple(i for i, params in enumerate(part) if not any(params in other for other in earlier)))


class Rest:
    """The combinations of a product that some other combinations do not have.

    What it shares with another product is a box, some of the values of each axis, so that it is counted and not listed.
    """

    def __init__(self, product: Product, others: tuple[Combinations, ...]) -> None:
        self.product, self.others = product, others
        boxes = (_shared(product, other) for other in others if isinstance(other, Product))
        self.boxes = [box for box in boxes if all(box)]
        products = [other for other in others if isinstance(other, Product)]
        listed = {params for other in others if not isinstance(other, Product) for params in other}
        places = (product.position(params) for params in listed if not any(params in other for other in products))
        self.singles = sorted(place for place in places if place is not None)

    @cached_property
    def size(self) -> int:
        return self._free_before(self.product.size)

    def _place(self, position: int) -> int:
        low, high = 0, self.product.size - 1  # the first place with position + 1 free ones up to and with it
        while low < high:
            middle = (low + high) // 2
            if self._free_before(middle + 1) > position:
                high = middle
            else:
                low = middle + 1
        return low

    def __iter__(self) -> Iterator[AtcParams]:
        return self.between(0, self.size)

    def between(self, start: int, stop: int) -> Iterator[AtcParams]:
        while start < stop:  # walking on is cheaper than searching, until a stretch that others have grows long
            missed = 0
            for params in self.product.between(self._place(start), self.product.size):
                if any(params in other for other in self.others):
                    missed += 1
                    if missed > _LONG_STRETCH:
                        break
                    continue
                yield params
                start, missed = start + 1, 0
                if start == stop:
                    return

    def _free_before(self, place: int) -> int:
        return place - self._covered(self.boxes, place) - bisect.bisect_left(self.singles, place)

    def _covered(self, boxes: list[Box], place: int) -> int:
        """How many places before `place` lie in at least one box: each box's own, less what later boxes have too."""
        total = 0
        for number, box in enumerate(boxes):
            common = (_intersection(box, other) for other in boxes[number + 1 :])
            total += self._inside(box, place) - self._covered([both for both in common if all(both)], place)
        return total

    def _inside(self, box: Box, place: int) -> int:
        """How many places before `place` lie in a box: those that part from it at the first axis, the second, ..."""
        if place == self.product.size:
            return math.prod(map(len, box))
        digits = []
        for values in reversed(self.product.axes.values()):
            place, digit = divmod(place, len(values))
            digits.append(digit)
        count, below = 0, math.prod(map(len, box))
        for chosen, digit in zip(box, reversed(digits), strict=True):
            below //= len(chosen)
            before = bisect.bisect_left(chosen, digit)
            count += before * below
            if before == len(chosen) or chosen[before] != digit:
                break
        return count


def _shared(product: Product, other: Product) -> Box:
    """The box of a product that another product has too; an empty axis where they share nothing."""
    fixed = [name for name in other.names if name not in product.axes]
    if not all(set(product.values(name)) <= set(other.values(name)) for name in fixed):
        return [[]]
    box = []
    for name, values in product.axes.items():
        theirs = set(other.values(name))
        box.append([place for place, value in enumerate(values) if value in theirs])
    return box


def _intersection(box: Box, other: Box) -> Box:
    return [sorted(set(ours) & set(theirs)) for ours, theirs in zip(box, other, strict=True)]
