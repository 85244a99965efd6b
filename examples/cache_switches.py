"""Every switch of the cache, one after the other, and what it does. Leaves nothing behind.

python examples/cache_switches.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from atc_plugin import ParamGrid, cache, load_prices, sweep, warm

CLOSE = load_prices(Path(__file__).parent / "data" / "us_stocks.csv.gz", symbols=["AAPL", "MSFT", "XOM"])
GRID = ParamGrid(ema_len=[14, 28], kama_len=[14, 28])


def tell(what: str, found: object) -> None:
    """A line: what was done, and what was found."""
    print(f"{what:<62} {found}")


def blocks(reused: tuple[int, int] | None) -> str:
    """How much of a sweep was there already."""
    assert reused is not None
    return "{} of {} blocks".format(*reused)


def elsewhere(**environment: str) -> str:
    """What a sweep finds in another process, which has these variables."""
    command = [sys.executable, __file__, "sweep"]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def main(folder: Path) -> None:
    print("A call decides for itself:")
    tell("  sweep(close, grid, cache=False)", blocks(sweep(CLOSE, GRID, cache=False).reused))
    tell("  sweep(close, grid, cache=folder)", blocks(sweep(CLOSE, GRID, cache=folder / "one").reused))
    tell("  the same again", blocks(sweep(CLOSE, GRID, cache=folder / "one").reused))

    print("\nconfigure() decides for all calls of this process, indicators of vectorbt and backtrader too:")
    shared = folder / "two"
    settings = cache.configure(directory=shared, size_limit="500MB", ttl="30d")
    tell(
        '  configure(directory=..., size_limit="500MB", ttl="30d")',
        f"{settings.size_limit:,} bytes, {settings.ttl:,.0f} s",
    )
    tell("  cache.contains(close, grid)", cache.contains(CLOSE, GRID))
    tell("  warm(close, grid).already_there", f"{warm(CLOSE, GRID).already_there:.0%}")
    tell("  cache.contains(close, grid)", cache.contains(CLOSE, GRID))
    tell("  sweep(close, grid)", blocks(sweep(CLOSE, GRID).reused))
    cache.configure(enabled=False)
    tell("  configure(enabled=False), and sweep(close, grid)", blocks(sweep(CLOSE, GRID).reused))
    cache.configure(enabled=True)

    print("\nThe environment decides for processes that say nothing themselves:")
    tell("  ATC_CACHE_DIR=...", elsewhere(ATC_CACHE_DIR=str(shared)))
    tell("  ATC_CACHE_DIR=... ATC_CACHE=off", elsewhere(ATC_CACHE_DIR=str(shared), ATC_CACHE="off"))

    print("\nWhat there is:")
    stats = cache.stats()
    tell("  cache.stats(): hits, misses, entries", f"{stats.hits}, {stats.misses}, {stats.entries}")
    kinds = [entry.kind for entry in cache.entries()]
    tell("  cache.entries()", ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
    tell("  cache.verify().good", cache.verify().good)
    print(f"\ncache.report():\n\n{cache.report()}\n")
    tell("cache.clear()", f"{cache.clear()} files removed")


if __name__ == "__main__":
    if sys.argv[1:] == ["sweep"]:
        print(blocks(sweep(CLOSE, GRID).reused))
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(Path(directory))
