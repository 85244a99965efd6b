"""`atc compile`: the kernels compiled ahead of time."""

from __future__ import annotations

import time

import click

from .answers import Answer, Answering, say


@click.command("compile", cls=Answering)
def command() -> Answer:
    """Compile the kernels ahead of time.

    For containers and clusters: later processes load what was compiled. Machine code is for the processor that it was
    compiled on: do it on each machine, or in an image for machines alike. NUMBA_CACHE_DIR says where it lies if not
    beside the package.
    """
    say("compiling the kernels that are not there yet")
    from ..precompiling import precompile

    started = time.perf_counter()
    precompile()
    seconds = time.perf_counter() - started
    return Answer({"seconds": seconds}, f"all kernels are compiled; it took {seconds:.1f} s")
