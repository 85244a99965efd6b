"""Where one configuration is computed, on the CPU or a GPU, and whether its outputs stay there."""

from __future__ import annotations

import os

BACKENDS = ("auto", "cpu", "gpu")
OUTPUTS = ("host", "device")

WORTH_A_GPU = 5_000_000
"""Bars of all columns together from which on "auto" takes a GPU, where there is one.

Where the two are level has not been measured, for want of a device. This many take a core of a CPU about a third of a
second, which is more than starting CuPy and loading the kernels takes: on the safe side.
"""


def choose(backend: str | None, output: str = "host") -> str:
    """What was asked for, here or by `ATC_BACKEND`: one of BACKENDS. Outputs on the device ask for a GPU.

    An `ATC_BACKEND` of worker processes is for sweeps and leaves a single configuration where it is.

    Raises:
        ValueError: it is none of them, or `output` is no word for it or asks for something else.

    >>> choose("cpu"), choose("auto", "device")
    ('cpu', 'gpu')
    """
    asked = backend
    if backend in (None, "auto"):
        asked = os.environ.get("ATC_BACKEND") or "auto"
        asked = "auto" if asked in ("loky", "dask") else asked
    if asked not in BACKENDS:
        whose = "backend" if asked == backend else "ATC_BACKEND"
        raise ValueError(
            f"{whose} {asked!r} cannot compute a single configuration here; allowed are "
            f"{', '.join(map(repr, BACKENDS[:-1]))} and {BACKENDS[-1]!r}"
        )
    if output not in OUTPUTS:
        raise ValueError(f"output must be {' or '.join(map(repr, OUTPUTS))}; got {output!r}")
    if output == "device":
        if asked == "cpu":
            whose = "backend" if asked == backend else "ATC_BACKEND"
            raise ValueError(f"output='device' needs backend='gpu'; {whose} is {asked!r}")
        return "gpu"
    return asked
