"""How far work has come: a bar on a terminal or in a notebook, a function that is called, or nothing for nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol


class Bar(Protocol):
    """What is told of progress; of tqdm's methods those that are used."""

    def update(self, count: int) -> Any:
        """So much more is done."""

    def set_postfix_str(self, text: str) -> Any:
        """Show a text behind the bar."""

    def close(self) -> Any:
        """All is done."""


class _Unwatched:
    """In the place of tqdm's, which is not imported for nobody."""

    def update(self, count: int) -> None:
        pass

    def set_postfix_str(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Told(_Unwatched):
    """Calls a function with what is done and how much there is."""

    def __init__(self, total: int, tell: Callable[[int, int], object]) -> None:
        self._total, self._tell, self._done = total, tell, 0

    def update(self, count: int) -> None:
        self._done += count
        self._tell(self._done, self._total)


def bar_of(total: int, progress: bool | Callable[[int, int], object], unit: str) -> Bar:
    """What to tell of so many units of work."""
    if callable(progress):
        return _Told(total, progress)
    if not (progress and _is_watched()):
        return _Unwatched()
    from tqdm.auto import tqdm  # here: it takes longer to import than a sweep of what is kept

    bar: Bar = tqdm(total=total, unit=f" {unit}", unit_scale=True, disable=None)
    return bar


def _is_watched() -> bool:
    """Whether a bar may be seen, on a terminal or in a notebook; tqdm decides, but has to be imported for that."""
    return "ipykernel" in sys.modules or (hasattr(sys.stderr, "isatty") and sys.stderr.isatty())
