"""What a fork copies half done begins anew in the child: locks, what they guard, and the parent's work."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class BeginsAnew(Protocol):
    """Something with a state that is not to be shared with a child."""

    def begin_anew(self) -> None:
        """Take the state of one that has just been made."""


_all: WeakSet[BeginsAnew] = WeakSet()


def anew_in_forks(thing: BeginsAnew) -> None:
    """Have something begin anew in each child of a fork, as long as it lives."""
    _all.add(thing)


def _in_child() -> None:
    for each in list(_all):
        each.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
