"""Prices one at a time: a bar in progress that is replaced, a stream that is kept and goes on in another process.

python examples/stream_one.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atc_plugin import AtcStream, atc, load_prices

CLOSE = load_prices(Path(__file__).parent / "data" / "us_stocks.csv.gz", symbols=["AAPL"])["AAPL"]
LIVE = 60  # the last bars come in one by one


def main() -> None:
    history, coming = CLOSE.iloc[:-LIVE], CLOSE.iloc[-LIVE:]
    stream = AtcStream(history=history, hma_mode="hull")
    before = stream.last
    averages = []
    for number, (day, price) in enumerate(coming.items()):
        stream.update(price * 0.99)  # the first price of the day,
        stream.replace(price * 1.01)  # a later one,
        bar = stream.replace(price)  # and the close
        averages.append(bar.average)
        if before is not None and bar.direction != before.direction:
            print(f"{day:%Y-%m-%d}  {price:9.3f}  {'long' if bar.direction > 0 else 'short'}")
        before = bar
        if number == LIVE // 2:
            kept = stream.snapshot()
            stream = AtcStream.restore(kept)
            print(f"{day:%Y-%m-%d}  kept in {len(kept):,} bytes, and restored")
    whole = atc(CLOSE, hma_mode="hull").average.to_numpy()[-LIVE:]
    same = np.array(averages).tobytes() == whole.tobytes()
    print(f"To the bit what atc says of all closes: {same}")


if __name__ == "__main__":
    main()
