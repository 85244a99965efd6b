"""What a command answers, as text or as one JSON document, and what it says while it works."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

_QUIET = f"{__name__}.quiet"


class Answer(NamedTuple):
    """What is printed once a command is done, and the status that it ends with."""

    document: Mapping[str, Any] | list[Any]
    text: str
    status: int = 0


class Answering(click.Command):
    """A command whose function returns an `Answer`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="One JSON document on stdout, nothing else there."),
            click.Option(["-q", "--quiet"], is_flag=True, help="No progress on stderr."),
            click.Option(["--debug"], is_flag=True, help="Where an error comes from, too."),
        ]

    def invoke(self, ctx: click.Context) -> int:
        """Print the answer; returns its status."""
        as_json = ctx.params["as_json"]
        answer = self.answer(ctx)
        text = document_text(answer.document) if as_json else answer.text
        if text:
            click.echo(text)
        return answer.status

    def answer(self, ctx: click.Context) -> Answer:
        """What the command finds; its log goes to stderr."""
        quiet, _, _ = (ctx.params.pop(name) for name in ("quiet", "as_json", "debug"))
        ctx.meta[_QUIET] = quiet
        with _log_on_stderr(logging.WARNING if quiet else logging.INFO):
            answer: Answer = super().invoke(ctx)
        return answer


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


@contextlib.contextmanager
def _log_on_stderr(level: int) -> Iterator[None]:
    """The package's log, from a level on; once, where a command runs inside another."""
    log = logging.getLogger("atc_plugin")
    if any(isinstance(handler, _ToStderr) for handler in log.handlers):
        yield
        return
    handler, before = _ToStderr(), log.level
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def is_quiet() -> bool:
    """Whether the command that runs is to say nothing while it works."""
    return bool(click.get_current_context().meta.get(_QUIET))


def say(text: str) -> None:
    """A line of progress."""
    if not is_quiet():
        click.echo(text, err=True)


def document_text(document: Any) -> str:
    """A document as JSON's text."""
    return json.dumps(plain(document), indent=2, allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value in JSON's types: what is not finite is null, dates are texts."""
    if hasattr(value, "item") and not hasattr(value, "__len__"):  # numpy's numbers
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (dt.date, dt.datetime)):
        return None if value != value else value.isoformat()  # NaT
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)
