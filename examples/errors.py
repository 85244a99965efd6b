"""What is said to bad input: each mistake, and the error that names it, where it is, and what is allowed.

python examples/errors.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from atc_plugin import AtcParams, AtcStream, ParamGrid, atc, cache, load_prices, sweep

PRICES = Path(__file__).parent / "data" / "us_stocks.csv.gz"
CLOSE = load_prices(PRICES, symbols=["AAPL", "KO"], start="2020")

MISTAKES: dict[str, Callable[[], object]] = {
    "a parameter that is not": lambda: atc(CLOSE, emalen=21),
    "a length too short for its spread": lambda: AtcParams(ema_len=6),
    "a value of the wrong type": lambda: AtcParams(decay="3 %"),
    "a choice that is not": lambda: AtcParams(robustness="wide"),
    "thresholds the wrong way around": lambda: AtcParams(long_threshold=-0.5),
    "a close of zero": lambda: atc([10.0, 0.0, 11.0]),
    "infinite prices": lambda: atc(np.array([10.0, np.inf])),
    "a source of other bars": lambda: atc(CLOSE, CLOSE.iloc[:-1]),
    "text for prices": lambda: atc(["ten", "eleven"]),
    "one combination of a grid": lambda: ParamGrid(ema_len=[5, 28], robustness=["Narrow", "Wide"]),
    "a metric that is not": lambda: sweep(CLOSE, ParamGrid(ema_len=[14, 28]), metrics="sharp_ratio"),
    "fees below zero": lambda: sweep(CLOSE, ParamGrid(ema_len=[14, 28]), fees=-0.1),
    "an engine that is not": lambda: sweep(CLOSE, ParamGrid(ema_len=[14, 28]), backend="gpus"),
    "a symbol that is not in the file": lambda: load_prices(PRICES, symbols=["APL"]),
    "a file that is not": lambda: load_prices("nowhere.csv"),
    "a price of the wrong type in a stream": lambda: AtcStream().update("12"),
    "a cache of no size": lambda: cache.configure(size_limit="5 parsecs"),
}


def main() -> None:
    for mistake, make in MISTAKES.items():
        try:
            make()
        except (TypeError, ValueError, OSError) as error:
            print(f"{mistake}:\n    {type(error).__name__}: {error}\n")
        else:
            raise AssertionError(f"{mistake}: nobody complained")


if __name__ == "__main__":
    main()
