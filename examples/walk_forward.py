"""Choose ATC's parameters again and again on the past alone, trade them, and ask how much of the best was luck.

    python examples/walk_forward.py                               # some of the bundled stocks
    python examples/walk_forward.py --csv prices.csv --train 730D --test 182D --stock AAPL

First the best combination of each stock over all bars, with its guards beside it; then a walk-forward over the same
grid: what the same search would have earned, had it been made at the time. Figures go to out/.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from atc_plugin import ParamGrid, load_prices, sweep, walk_forward

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"
OUT = Path("out")
STOCKS = ["AAPL", "JPM", "KO", "MSFT", "XOM"]
LENGTHS = range(10, 60, 5)
GRID = ParamGrid(ema_len=LENGTHS, wma_len=LENGTHS, kama_len=LENGTHS, robustness=["Narrow", "Wide"])
TRADING = {"fees": 0.001, "direction": "longonly"}


def length(text: str) -> int | str:
    """A number of bars, or a time."""
    return int(text) if text.isdigit() else text


def main() -> int:
    parser = argparse.ArgumentParser(description="Walk forward through prices, and guard against overfitting.")
    parser.add_argument("--csv", help="prices, one column a symbol (default: some of the bundled stocks)")
    parser.add_argument("--train", type=length, default="1095D", help="bars, or a time (default: three years)")
    parser.add_argument("--test", type=length, default="182D", help="bars, or a time (default: half a year)")
    parser.add_argument("--stock", help="which one to draw (default: the first)")
    options = parser.parse_args()
    try:
        close = load_prices(options.csv) if options.csv else load_prices(BUNDLED, symbols=STOCKS)
        stock = options.stock or close.columns[0]
        if stock not in close:
            raise ValueError(f"--stock must be one of {', '.join(close.columns)}; got {stock}")
        walked = walk_forward(close, GRID, train=options.train, test=options.test, **TRADING)
    except (ValueError, TypeError, OSError, ImportError) as error:
        parser.error(str(error))

    print(f"The best of {len(GRID):,} combinations over all bars, long only, fees 0.1 %, and its guards:")
    searched = sweep(close, GRID, metrics=["sharpe_ratio", "total_return", "total_trades"], **TRADING)
    print(searched.best("sharpe_ratio", guards=True).to_string(index=False, float_format="%.2f"))

    print(f"\n{walked}")
    print("\nThe same search made at the time:")
    print(walked.summary.drop(columns="max_drawdown").to_string(index=False, float_format="%.2f"))
    fold = walked.frame[walked.frame["symbol"] == stock]
    columns = ["fold", "test_first", "test_last", *GRID.varied, "train_sharpe_ratio", "test_sharpe_ratio"]
    print(f"\n{stock}, the last folds:")
    print(fold[columns].tail(4).to_string(index=False, float_format="%.2f"))

    OUT.mkdir(exist_ok=True)
    print("\nOpen in a browser:")
    for name, figure in (
        ("equity", walked.plot(stock)),
        ("all", walked.plot()),
        ("drift", walked.plot_drift(stock)),
    ):
        path = OUT / f"walk_forward_{name}.html"
        figure.write_html(path, include_plotlyjs="cdn")
        print(f"  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
