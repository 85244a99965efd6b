"""Many pieces of work on devices: transfers of some pass while kernels of others run."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .slots import Begin, DeviceSlots, P, R, SlotEngine, Source


@dataclass
class SlotCounts:
    """What a run came to; complete when it has ended.

    Attributes:
        pieces: Pieces done, each part of a divided one counted.
        halvings: How often a piece was divided.
        slots: The most pieces that were on one device at a time.
    """

    pieces: int = 0
    halvings: int = 0
    slots: int = 0


def run_in_slots(
    pieces: Iterable[P],
    begin: Begin[P, R],
    *,
    engines: Sequence[SlotEngine],
    slots: int = 3,
    counts: SlotCounts | None = None,
) -> Generator[tuple[P, R], None, None]:
    """Do pieces of work on devices and hand out each with its result.

    A device has its slots, each with a stream of its own, and its pieces go to them in turn. Streams wait first for
    what the caller's own was given, so `begin` may read what was made there. What is made in one slot's stream and
    read in another's has to be kept by `begin` or `finish`, and waited for by `Engine.mark` and `Engine.wait_for`.

    Where a device has too little memory the piece is divided, and those that follow are divided as often; one that
    cannot be is tried once more with the device to itself, which then does one piece at a time.

    Args:
        pieces: The work. It is drawn as slots become free; a generator is closed at the end.
        begin: Gives the current stream a piece's upload, kernels and the beginning of its downloads, without waiting,
            and returns `finish`. That is called when the stream has come by all this, and gives the result. Both run
            in the thread of their device; what `finish` refers to is kept until then. `begin` may be called again for
            a piece, or for its halves. Results are the host's: arrays on a device belong to their slot's stream.
        engines: One for each device.
        slots: The most pieces on a device at a time.
        counts: Is filled in with what the run came to.

    Returns:
        Pairs of piece and result; of a divided piece, its parts. They come in order from one device, from several as
        they finish. Closed early, it waits for what is on the devices and gives their memory back.

    Raises:
        ValueError: no engine, or no slot.
        DeviceMemoryError: there is too little memory for a piece that cannot be divided.
    """
    if not engines:
        raise ValueError("run_in_slots needs an engine: engines is empty")
    if slots < 1:
        raise ValueError(f"slots must be 1 or more, got {slots}")
    return _handed_out(Source(pieces), begin, engines, slots, SlotCounts() if counts is None else counts)


def _handed_out(
    source: Source[P], begin: Begin[P, R], engines: Sequence[SlotEngine], slots: int, counts: SlotCounts
) -> Generator[tuple[P, R], None, None]:
    devices: list[DeviceSlots[P, R]] = []
    try:
        devices = [DeviceSlots(engine, source, begin, slots) for engine in engines]
        with contextlib.closing(
            devices[0].results() if len(devices) == 1 else _as_they_finish(devices, source)
        ) as results:
            for result in results:
                counts.pieces += 1
                yield result
    finally:
        source.end()
        counts.halvings += sum(device.halvings for device in devices)
        counts.slots = max([counts.slots, *(device.most for device in devices)])


class _Ended(NamedTuple):
    """What a device's thread says last."""

    error: BaseException | None = None


def _as_they_finish(devices: Sequence[DeviceSlots[P, R]], source: Source[P]) -> Generator[tuple[P, R], None, None]:
    """The results of several devices, each driven by a thread."""
    results: queue.Queue[tuple[P, R] | _Ended] = queue.Queue(len(devices))
    stopped = threading.Event()

    def drive(device: DeviceSlots[P, R]) -> None:
        try:
            with contextlib.closing(device.results()) as done:
                for result in done:
                    results.put(result)
                    if stopped.is_set():
                        break
        except BaseException as error:
            results.put(_Ended(error))
        else:
            results.put(_Ended())

    threads = [threading.Thread(target=drive, args=(device,), daemon=True) for device in devices]
    running = 0
    try:
        for thread in threads:
            thread.start()
            running += 1
        while running:
            result = results.get()
            if isinstance(result, _Ended):
                running -= 1
                if result.error:
                    raise result.error
            else:
                yield result
    finally:
        result = _Ended()  # an error that refers to this frame would keep itself
        stopped.set()
        source.end()
        while running:
            running -= isinstance(results.get(), _Ended)
        for thread in threads:
            if thread.ident:
                thread.join()
