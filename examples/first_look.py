"""ATC on one stock: what it says now, why, and a chart.

    python examples/first_look.py [SYMBOL] [CSV]      # default: AAPL of the bundled stocks

Writes out/SYMBOL.html and out/SYMBOL_EMA.html.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from atc_plugin import atc, load_prices

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"


def main(symbol: str = "AAPL", csv: str | Path = BUNDLED) -> None:
    close = load_prices(csv, symbols=[symbol])[symbol]
    result = atc(close, hma_mode="hull")

    print(result)
    print(f"\n{symbol} on the last days:")
    print(
        close.to_frame("close")
        .assign(average=result.average, direction=result.direction, entry=result.entries, exit=result.exits)
        .tail(5)
        .round(3)
        .to_string()
    )
    print("\nHow the six types vote, their weights, and the equities of their nine averages:")
    print(result.table().round(3).to_string())
    growth = result.growth
    print(f"\nGrowth at the last bar: {growth.factor:.3f} ({growth.level}) {growth.advice}")

    folder = Path("out")
    folder.mkdir(exist_ok=True)
    for name, figure in ((symbol, result.plot(last=500)), (f"{symbol}_EMA", result.plot(ma="EMA", last=500))):
        path = folder / f"{name}.html"
        figure.write_html(path, include_plotlyjs="directory")
        print(f"chart: {path}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # says so when the first call compiles
    main(*sys.argv[1:])
