"""Names that people type: found if they are there, suggested if they are nearly so."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence


def plain(name: object) -> str:
    """A name without case, spaces and signs: "Adj Close*" and "adj_close" are one."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def suggestion(name: object, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known name; empty where none is near."""
    folded = {option.lower(): option for option in known}
    near = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.5)
    return f". Did you mean {folded[near[0]]!r}?" if near else ""


def listing(options: Sequence[str]) -> str:
    """The end of a message: what there is."""
    more = f" and {len(options) - 30} more" if len(options) > 30 else ""
    return f"; there are: {', '.join(options[:30])}{more}"


def found(name: str, options: Iterable[str], what: str, where: object) -> str:
    """`name` if it is one of the options; otherwise a ValueError that suggests one and lists them."""
    options = list(options)
    if name not in options:
        raise ValueError(f"{where}: no {what} {name!r}{listing(options)}{suggestion(name, options)}")
    return name
