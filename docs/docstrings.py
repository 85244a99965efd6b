"""Docstrings as the API reference shows them: doctests as code, and what is only known at run time said in words."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)
PARAMETERS = re.compile(r"^( +)PARAMETERS$", re.MULTILINE)  # vbt.ATC's, which lists them when it is imported


class Docstrings(Extension):
    """Fences around doctests, which otherwise read as quotations; the docstrings themselves stay as Python has them."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change what is shown of one docstring."""
        if obj.docstring:
            text = PARAMETERS.sub(r"\1ema_len and so on: the parameters of `AtcParams`.", obj.docstring.value)
            obj.docstring.value = DOCTEST.sub(lambda lines: f"{lines[1]}```pycon\n{lines[0]}\n{lines[1]}```", text)
