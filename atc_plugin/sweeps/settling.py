"""What "auto" takes for a sweep whose cost is known: threads, what `tune` found faster on this machine, or a GPU."""

from __future__ import annotations

import logging
import multiprocessing
from importlib.util import find_spec

from ..accel.devices import available
from ..crossovers import tuned
from .estimates import Estimate

log = logging.getLogger("atc_plugin")

_WORTH_A_GPU = 5.0
"""Seconds that threads are expected to take, from which on a GPU is looked for where none was measured.

The first use of one on a machine compiles the kernels, which takes seconds. Where it breaks even once it runs is for
`tune` to find.
"""


def settled(name: str, jobs: int, cost: Estimate | None) -> str:
    """The backend in place of an "auto" that nobody has decided; it stays "auto", threads, where nothing else pays.

    Never an error: what cannot be used here and now is passed over.
    """
    if name != "auto" or cost is None:
        return name
    measured = tuned()
    backends = measured.backends_for(cost.seconds, jobs)
    if measured.gpu is None and cost.seconds / jobs >= _WORTH_A_GPU:
        backends.append("gpu")
    for backend in backends:
        if _is_usable(backend):
            log.info("auto: %s, for work of %.3g s on one core", backend, cost.seconds)
            return backend
    return name


def _is_usable(backend: str) -> bool:
    if backend == "gpu":
        return find_spec("cupy") is not None and available()
    return not multiprocessing.current_process().daemon  # which may have no children
