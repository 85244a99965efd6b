"""`atc profile`: where the time of a command goes, by cProfile or py-spy."""

from __future__ import annotations

import cProfile
import importlib
import pstats
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..words import table_lines
from .answers import Answer, Answering, say

_PACKAGE = Path(__file__).parents[1]
_COMMANDS = ("run", "sweep", "warm")
_RATE = 200  # samples a second


class Place(NamedTuple):
    """A function: how often it was called (by py-spy: seen), and its seconds, without and with what it calls."""

    function: str
    where: str
    calls: int
    own: float
    total: float


class _Profiling(Answering):
    def invoke(self, ctx: click.Context) -> int:
        """Behind the inner command's name --json is meant for this one, too: what the other prints is left out."""
        ctx.params["as_json"] |= "--json" in ctx.params["arguments"]
        return super().invoke(ctx)


@click.command(
    "profile",
    cls=_Profiling,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--limit", type=click.IntRange(min=1), default=15, show_default=True, help="Places to list.")
@click.option("--again", is_flag=True, help="Run it once before: imports and loading of kernels are not wanted.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the profile for other programs.")
@click.option("--py-spy", "spied", is_flag=True, help="Sample all threads and native kernels with py-spy instead.")
@click.argument("name", metavar="COMMAND", type=click.Choice(_COMMANDS))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    limit: int,
    again: bool,
    out: Path | None,
    spied: bool,
    name: str,
    arguments: tuple[str, ...],
) -> Answer:
    """List the hot places of run, sweep or warm.

    What the command prints is left out.

    cProfile sees Python of the first thread, with kernels as calls; --jobs 1 and --no-cache show all of a sweep.
    """
    if out is not None and not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(out.parent)!r}", ctx, param_hint="--out")
    if spied and again:
        raise click.UsageError("--again is of cProfile: py-spy watches a process of its own", ctx)
    if spied:
        seconds, places = _spied(name, arguments, out)
    else:
        seconds, places = _profiled(ctx, name, arguments, again, out)
    places.sort(key=lambda place: -place.own)
    tables = {"ours": [place for place in places if _is_ours(place)][:limit], "overall": places[:limit]}
    parts = [f"{name}: {seconds:.3g} s"]
    for title, rows in tables.items():
        cells = [(p.function, p.where, f"{p.calls:,}", f"{p.own:.3f}", f"{p.total:.3f}") for p in rows]
        heads = (title, "where", "samples" if spied else "calls", "own s", "total s")
        parts.append("\n".join(table_lines(heads, "<<", cells)))
    document = {
        "command": [name, *arguments],
        "seconds": seconds,
        "with": "py-spy" if spied else "cProfile",
        **{title: [place._asdict() for place in rows] for title, rows in tables.items()},
        "written": {} if out is None else {"out": out},
    }
    return Answer(document, "\n\n".join(parts))


def _is_ours(place: Place) -> bool:
    return place.where.startswith("atc_plugin")


# ---------------------------------------------------------------- cProfile
def _profiled(
    ctx: click.Context, name: str, arguments: tuple[str, ...], again: bool, out: Path | None
) -> tuple[float, list[Place]]:
    inner = importlib.import_module(f".{name}", __package__).command

    def once() -> None:
        with inner.make_context(name, list(arguments), parent=ctx) as inside:
            inner.answer(inside)

    if again:
        say(f"running {name} once before")
        once()
    profile = cProfile.Profile()
    started = time.perf_counter()
    profile.runcall(once)
    seconds = time.perf_counter() - started
    if out is not None:
        profile.dump_stats(out)
    stats: Any = pstats.Stats(profile)
    places = [
        Place(function, _where(file, line), calls, own, total)
        for (file, line, function), (_, calls, own, total, _) in stats.stats.items()
    ]
    return seconds, places


def _where(file: str, line: int) -> str:
    """A file as it is imported, short enough for a table."""
    if file == "~":  # of C
        return "-"
    path = Path(file)
    if path.is_relative_to(_PACKAGE):
        return f"{path.relative_to(_PACKAGE.parent)}:{line}"
    return f"{'/'.join(path.parts[-2:])}:{line}"


# ---------------------------------------------------------------- py-spy
def _spied(name: str, arguments: tuple[str, ...], out: Path | None) -> tuple[float, list[Place]]:
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise ModuleNotFoundError("--py-spy needs py-spy: pip install py-spy", name="py-spy")
    with tempfile.TemporaryDirectory(prefix="atc_profile_") as folder:
        stacks = Path(folder, "stacks")
        watch = [spy, "record", "--native", "--format", "raw", "--rate", str(_RATE), "--output", str(stacks), "--"]
        watched = [sys.executable, "-m", _PACKAGE.name, name, *arguments]
        started = time.perf_counter()
        done = subprocess.run([*watch, *watched], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        lines = stacks.read_text(encoding="utf-8").splitlines() if stacks.exists() else []
        if done.returncode or not lines:
            said = [line for line in done.stderr.splitlines() if "rror" in line] or done.stderr.splitlines() or ["?"]
            raise RuntimeError(f"py-spy ended with status {done.returncode}: {said[-1].strip()}")
        if out is not None:
            out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return seconds, places_of(lines)


def places_of(stacks: list[str]) -> list[Place]:
    """What collapsed stacks ("outer (file:1);inner (file:2) 17") say of each function.

    >>> [(place.function, place.calls) for place in places_of(["f (a.py:1);g (b.py:2) 3", "f (a.py:1) 1"])]
    [('g', 3), ('f', 1)]
    >>> [(place.function, place.calls) for place in places_of(["f (a.py:1);0x7f00 (?) 3", "f (a.py:1);0x7f01 (?) 2"])]
    [('compiled kernels', 5), ('f', 0)]
    """
    own: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = [_frame(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):  # a function that calls itself is there once
            total[frame] += int(count)
    return [
        Place(function, where, own[function, where], own[function, where] / _RATE, samples / _RATE)
        for (function, where), samples in sorted(total.items(), key=lambda item: -own[item[0]])
    ]


def _frame(text: str) -> tuple[str, str]:
    """A function and its file; lines are left out, for samples are taken anywhere in it."""
    match = re.fullmatch(r"(.*) \((.*?)(?::\d+)?\)", text)
    function, file = (match[1], match[2]) if match else (text, "")
    if re.fullmatch("0x[0-9a-f]+", function):  # kernels have no names, and are in no file
        return ("compiled kernels", "-") if file == "?" else ("(without a name)", Path(file).name)
    at = file.rfind(f"{_PACKAGE.name}/")
    return function, file[at:] if at >= 0 else "/".join(Path(file).parts[-2:]) or "-"
