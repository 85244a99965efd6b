"""`atc cache`: what lies on disk, and looking after it."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import click

from ..words import bytes_in_words, date_in_words, latency_in_words, number_of, table_lines
from .answers import Answer, Answering

_DIRECTORY = click.option(
    "--cache-dir", type=click.Path(file_okay=False), help="This folder.  [default: ATC_CACHE_DIR, or the platform's]"
)


@click.group("cache", no_args_is_help=True)
def command() -> None:
    """Look after what is kept on disk.

    A command is a process of its own: it knows how much is kept, and counts the hits of no other process.
    """


def _cache(cache_dir: str | None) -> Any:
    return True if cache_dir is None else cache_dir


@command.command("stats", cls=Answering)
@_DIRECTORY
@click.option("--prometheus", is_flag=True, help="As Prometheus' text format.")
def _stats(cache_dir: str | None, prometheus: bool) -> Answer:
    """How much is kept, of how much, and where."""
    from ..cache import face

    stats = face.stats(cache=_cache(cache_dir))
    return Answer(stats.to_dict(), stats.to_prometheus() if prometheus else f"{stats}; in {stats.directory}")


@command.command("report", cls=Answering)
@_DIRECTORY
def _report(cache_dir: str | None) -> Answer:
    """The same with advice where something is off."""
    from ..cache import face
    from ..cache.findings import what_is_off

    stats = face.stats(cache=_cache(cache_dir))
    found = [finding._asdict() for finding in what_is_off(stats)]
    return Answer({**stats.to_dict(), "findings": found}, face.report(cache=_cache(cache_dir)))


@command.command("entries", cls=Answering)
@_DIRECTORY
@click.option("--kind", help="Only those of this kind.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
def _entries(cache_dir: str | None, kind: str | None, limit: int | None) -> Answer:
    """What is kept: kind, size, when it was made and used, what it cost to compute."""
    from ..cache import face

    found = (entry for entry in face.entries(cache=_cache(cache_dir)) if kind is None or entry.kind == kind)
    kept = list(itertools.islice(found, limit))
    rows = [
        (e.kind, bytes_in_words(e.nbytes), date_in_words(e.created), date_in_words(e.used), latency_in_words(e.seconds))
        for e in kept
    ]
    lines = table_lines(("kind", "size", "made", "used", "cost"), "<", rows) if rows else ["nothing is kept"]
    return Answer([entry._asdict() for entry in kept], "\n".join(lines))


@command.command("prune", cls=Answering)
@_DIRECTORY
def _prune(cache_dir: str | None) -> Answer:
    """Bring it within its limits of size and age now."""
    from ..cache import face

    pruned = face.prune(cache=_cache(cache_dir))
    items = number_of("item", "items", pruned.removed)
    text = f"{items} of {bytes_in_words(pruned.nbytes)} removed; {bytes_in_words(pruned.kept)} are left"
    return Answer(pruned._asdict(), text)


@command.command("verify", cls=Answering)
@_DIRECTORY
def _verify(cache_dir: str | None) -> Answer:
    """Read every file and remove those that are damaged; status 1 if any was."""
    from ..cache import face

    verified = face.verify(cache=_cache(cache_dir))
    damaged = [f"damaged, removed: {name}" for name in verified.damaged]
    text = "\n".join([f"{number_of('file is', 'files are', verified.good)} good", *damaged])
    return Answer(verified._asdict(), text, 1 if damaged else 0)


@command.command("clear", cls=Answering)
@_DIRECTORY
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--shared", is_flag=True, help="What the shared server keeps, too.")
def _clear(cache_dir: str | None, yes: bool, shared: bool) -> Answer:
    """Remove everything; asks before."""
    from ..cache import face

    stats = face.stats(cache=_cache(cache_dir))
    what = f"{number_of('entry', 'entries', stats.entries or 0)} in {stats.directory}"
    if not yes:
        if not _can_be_asked():
            raise click.UsageError("nobody can be asked here: --yes removes everything", click.get_current_context())
        if not click.confirm(f"Remove {what}?", err=True):
            return Answer({"removed": 0}, "nothing was removed", 1)
    removed = face.clear(cache=_cache(cache_dir), shared=shared)
    return Answer({"removed": removed}, f"{number_of('file', 'files', removed)} removed from {stats.directory}")


def _can_be_asked() -> bool:
    return sys.stdin.isatty()
