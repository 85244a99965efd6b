"""A sweep on a cluster of Dask workers, here two processes of this machine, and the same sweep in this process.

    python examples/cluster_dask.py [SCHEDULER]      # default: a cluster of its own, on loopback

With the address of a scheduler (tcp://host:8786) that cluster's workers compute: they need the same versions installed.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from dask.distributed import Client, LocalCluster

from atc_plugin import ParamGrid, load_prices, sweep

PRICES = Path(__file__).parent / "data" / "us_stocks.csv.gz"
GRID = ParamGrid(ema_len=range(10, 50, 4), kama_len=range(10, 50, 4), robustness=["Narrow", "Wide"])


def main(address: str | None = None) -> None:
    close = load_prices(PRICES, symbols=["AAPL", "MSFT", "XOM"], start="2018")
    with ExitStack() as stack:
        if address is None:
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
            address = stack.enter_context(cluster).scheduler_address
        client = stack.enter_context(Client(address))
        client.wait_for_workers(1)
        print(f"{len(client.scheduler_info()['workers'])} workers")
        # The client is found by itself. cache=False: what was swept before would only be read.
        found = sweep(close, GRID, fees=0.001, backend="dask", cache=False)
    print(found)
    print(found.best("sharpe_ratio").to_string(max_cols=8))
    here = sweep(close, GRID, fees=0.001, backend="cpu", cache=False)
    print(f"\nTo the bit what this process computes: {found.frame.equals(here.frame)}")


if __name__ == "__main__":  # workers import this file: without this line each would start a cluster of its own
    main(*sys.argv[1:])
