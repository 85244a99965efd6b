"""Names that a plugin takes in other libraries: never one that somebody else has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Claim(NamedTuple):
    """A name in a library or on a class, what should stand there, and what people write to reach it."""

    holder: Any
    name: str
    value: Any
    written: str

    def check(self) -> None:
        """Raise where the name means something that is not ours."""
        there = getattr(self.holder, self.name, None)
        if there is not None and there is not self.value and not _reloaded(there, self.value):
            raise RuntimeError(
                f"{self.written} is taken by {there!r}, and atc_plugin replaces nothing. Free the name first: "
                f"del {self.written}"
            )


def _reloaded(there: Any, ours: Any) -> bool:
    """Whether what is there is ours of before a reload."""
    names = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in (there, ours)]
    return names[0] == names[1] and None not in names[0]


def check_all(claims: Sequence[Claim]) -> None:
    """Raise if one of the names is taken, before any is set."""
    for claim in claims:
        claim.check()
