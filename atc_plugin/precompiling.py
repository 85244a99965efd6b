"""Compiling ahead of time."""

from __future__ import annotations


def precompile() -> None:
    """Compile the kernels now, for this machine and version, instead of on first use.

    Takes some seconds once; later processes load what was compiled. Do it in images and before starting workers.
    """
    from .indicator import atc
    from .law.metrics import METRICS
    from .stream import AtcStream
    from .sweeps.grid import ParamGrid
    from .sweeps.run import sweep
    from .sweeps.walking import walk_forward

    close = [1.0, 2.0, 1.0]
    _ = atc(close).direction
    AtcStream(history=close)
    grid = ParamGrid()
    for metrics in (["total_return"], METRICS):  # kernels without and with the accumulators of trades
        for windows in (None, 1):
            sweep(close, grid, metrics=metrics, freq="1D", windows=windows, cache=False, progress=False, n_jobs=1)
    walk_forward(close, grid, train=1, test=1, metric="total_return", metrics=(), cache=False, progress=False, n_jobs=1)
    list(sweep(close, grid, output="average", n_jobs=1))
