"""Live feeds at different rates into ATC, one bar at a time: nothing is dropped, and the order is kept.

    python examples/live_async.py

Four feeds send the closes of a stock each, some of them faster than they can be dealt with. Each has a queue of a few
places: a feed that is ahead waits for room (back-pressure) instead of losing prices. What comes out is at the end
compared with `atc` on all prices.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from atc_plugin import AlertStream, alerts, atc, load_prices

PRICES = Path(__file__).parent / "data" / "us_stocks.csv.gz"
PAUSES = {"AAPL": 0.0, "MSFT": 0.0005, "XOM": 0.002, "KO": 0.004}  # seconds between a feed's prices
PLACES = 8
LIVE = 300  # closes that come in live; those before are history


async def feed(prices: list[float], pause: float, queue: asyncio.Queue[float | None]) -> int:
    """Send every price as it comes, and None at the end; how often there was no room."""
    waited = 0
    for price in prices:
        await asyncio.sleep(pause)
        waited += queue.full()
        await queue.put(price)  # waits for room
    await queue.put(None)
    return waited


async def listen(stream: AlertStream, queue: asyncio.Queue[float | None]) -> tuple[list[float], list[tuple[int, str]]]:
    """Take prices in order, a bar each; the averages and the bars at which the direction turned."""
    averages: list[float] = []
    turned: list[tuple[int, str]] = []
    while (price := await queue.get()) is not None:
        turned += [(len(averages), alert.side) for alert in stream.update(price)]
        assert stream.last is not None
        averages.append(stream.last.average)
        if len(averages) % 16 == 0:
            await asyncio.sleep(0.005)  # what is done with them: orders, a database, a chart
    return averages, turned


async def main() -> None:
    close = load_prices(PRICES, symbols=list(PAUSES))
    listeners, feeds = {}, {}
    async with asyncio.TaskGroup() as group:
        for symbol, pause in PAUSES.items():
            queue: asyncio.Queue[float | None] = asyncio.Queue(PLACES)
            stream = AlertStream(history=close[symbol].iloc[:-LIVE], of="average")
            listeners[symbol] = group.create_task(listen(stream, queue))
            feeds[symbol] = group.create_task(feed(close[symbol].iloc[-LIVE:].tolist(), pause, queue))

    print(f"{'feed':<6}{'pause, ms':>10}{'bars':>7}{'had to wait':>13}   turned")
    for symbol, pause in PAUSES.items():
        averages, turned = listeners[symbol].result()
        days = close.index[-LIVE:]
        said = ", ".join(f"{side} {days[bar]:%Y-%m-%d}" for bar, side in turned[-2:])
        print(f"{symbol:<6}{pause * 1e3:>10.1f}{len(averages):>7}{feeds[symbol].result():>13}   {said}")

        result = atc(close[symbol])
        assert averages == result.average.iloc[-LIVE:].tolist(), "a price was lost, or came out of order"
        expected = alerts(result, of="average")
        expected = expected[expected["bar"] >= days[0]]
        assert [(days[bar], side) for bar, side in turned] == list(zip(expected["bar"], expected["side"], strict=True))
    print("\nEvery average is to the bit what atc says of all prices: nothing was dropped, and the order was kept.")


if __name__ == "__main__":
    asyncio.run(main())
