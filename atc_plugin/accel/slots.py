"""The slots of one device: a few pieces of work on it at a time, each in a stream of its own."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from .engines import Engine, Mark

_log = logging.getLogger("atc_plugin")


class Piece(Protocol):
    """A piece of work."""

    def halves(self: P) -> Sequence[P]:
        """Smaller pieces that make up this one, in order; none where it cannot be divided."""


class SlotEngine(Engine, Protocol):
    """An engine with streams, each of which does its work in order and on its own."""

    def new_stream(self) -> Any:
        """A stream of its own."""

    def streaming(self, stream: Any) -> contextlib.AbstractContextManager[None]:
        """Make a stream current in this thread; None leaves the one that is."""

    def synchronize(self, mark: Mark = None) -> None:
        """Wait here for a mark, or for all that the current stream was given."""

    def release(self, stream: Any = None) -> None:
        """Give back memory that is kept without need: all of it, or a stream's."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that there is too little memory."""


P = TypeVar("P", bound=Piece)
R = TypeVar("R")
Begin = Callable[[Engine, P], Callable[[], R]]


class DeviceMemoryError(MemoryError):
    """A device has too little memory for a piece that cannot be divided."""


class Source(Generic[P]):
    """Pieces, for one thread at a time."""

    def __init__(self, pieces: Iterable[P]) -> None:
        self._pieces: Iterator[P] = iter(pieces)
        self._lock = threading.Lock()
        self._has_ended = False

    def drawn(self) -> P | None:
        """The next one; None where there is no more."""
        with self._lock:
            return None if self._has_ended else next(self._pieces, None)

    def end(self) -> None:
        """Give no more."""
        with self._lock:
            self._has_ended = True
            if isinstance(self._pieces, Generator):
                self._pieces.close()


class _Part(NamedTuple, Generic[P]):
    piece: P
    depth: int = 0  # how often it was divided
    is_last_try: bool = False


class _Flight(NamedTuple, Generic[P, R]):
    """A piece on the device."""

    piece: P
    stream: Any
    mark: Mark
    finish: Callable[[], R]


class DeviceSlots(Generic[P, R]):
    """The slots of one device. Made in the caller's thread, run in any one."""

    def __init__(self, engine: SlotEngine, source: Source[P], begin: Begin[P, R], slots: int) -> None:
        self._engine, self._source, self._begin = engine, source, begin
        self._slots = slots
        self._waiting: deque[_Part[P]] = deque()  # parts of divided pieces, which come before what is drawn next
        self._flights: deque[_Flight[P, R]] = deque()
        self._streams: list[Any] = []
        self._free: deque[Any] = deque()  # streams without work
        self._depth = 0  # how often pieces are divided
        self.halvings = 0
        self.most = 0
        try:
            self._start = engine.mark()
        except RuntimeError as error:
            self._start = None
            engine.synchronize()  # streams cannot wait for this one, nor for one another
            self._keep_to_the_current_stream(error)

    def results(self) -> Generator[tuple[P, R], None, None]:
        """Draw pieces and do them."""
        try:
            self._make_streams()
            while part := self._next():
                while len(self._flights) >= self._slots:
                    yield self._landed()
                shortage = self._launch(part)
                if shortage:
                    while self._flights:
                        yield self._landed()
                    self._divide(part, shortage)
            while self._flights:
                yield self._landed()
        finally:
            self._clear()

    def _make_streams(self) -> None:
        if self._free:
            return
        try:
            for _ in range(self._slots):
                stream = self._engine.new_stream()
                with self._engine.streaming(stream):
                    self._engine.wait_for(self._start)
                self._streams.append(stream)
        except RuntimeError as error:
            self._engine.wait_for(self._start)
            self._keep_to_the_current_stream(error)
        else:
            self._free.extend(self._streams)

    def _keep_to_the_current_stream(self, reason: RuntimeError) -> None:
        self._keep_to_one_slot(reason)
        self._free = deque([None])

    def _keep_to_one_slot(self, reason: RuntimeError) -> None:
        if self._slots > 1:
            _log.warning("%s does one piece at a time: %s: %s", self._engine, type(reason).__name__, reason)
        self._slots = 1

    def _next(self) -> _Part[P] | None:
        """The next part, divided as those before it."""
        if self._waiting:
            part = self._waiting.popleft()
        elif (piece := self._source.drawn()) is not None:
            part = _Part(piece)
        else:
            return None
        while part.depth < self._depth and self._put_back_halves(part):
            part = self._waiting.popleft()
        return part

    def _put_back_halves(self, part: _Part[P]) -> bool:
        """Whether a part could be divided; its halves then come next."""
        halves = part.piece.halves()
        if len(halves) < 2:
            return False
        self.halvings += 1
        self._waiting.extendleft(_Part(half, part.depth + 1) for half in reversed(halves))
        return True

    def _launch(self, part: _Part[P]) -> str:
        """Put a part on the device; where the memory is too short, what the device says about it."""
        stream = self._free[0]
        try:
            with self._engine.streaming(stream):
                finish = self._begin(self._engine, part.piece)
        except BaseException as error:
            # What was launched before it may still write to memory of the host that only the error's frames keep.
            self._settle(stream)
            if not self._engine.is_out_of_memory(error):
                raise
            return f"{type(error).__name__}: {error}"
        mark = self._marked(stream)
        self._free.popleft()
        self._flights.append(_Flight(part.piece, stream, mark, finish))
        self.most = max(self.most, len(self._flights))
        return ""

    def _marked(self, stream: Any) -> Mark:
        """A mark behind what a slot was given; none where the driver makes none, and its whole stream is waited for."""
        try:
            with self._engine.streaming(stream):
                return self._engine.mark()
        except RuntimeError as error:
            self._keep_to_one_slot(error)
            return None

    def _landed(self) -> tuple[P, R]:
        """The oldest piece on the device and its result, when the device has come by."""
        flight = self._flights[0]
        with self._engine.streaming(flight.stream):
            self._engine.synchronize(flight.mark)
            self._flights.popleft()
            self._free.append(flight.stream)
            return flight.piece, flight.finish()

    def _divide(self, part: _Part[P], shortage: str) -> None:
        """Make the best of a part that the memory was too short for; nothing is on the device."""
        gc.collect()  # errors and their frames keep arrays in cycles
        self._engine.release()
        if self._put_back_halves(part):
            if not self._depth:
                _log.warning(
                    "%s has too little memory for %r; pieces are divided: %s", self._engine, part.piece, shortage
                )
            self._depth = part.depth + 1
        elif part.is_last_try:
            raise DeviceMemoryError(
                f"{self._engine} has too little memory for {part.piece!r}, which cannot be divided; "
                f"{self._engine.free_bytes():,} bytes are free: {shortage}"
            )
        else:
            self._slots = 1
            self._free = deque([self._free[0]])  # one stream, so that no other's arena keeps memory
            self._waiting.appendleft(part._replace(is_last_try=True))

    def _clear(self) -> None:
        """Wait for what is on the device, and give its memory back."""
        while self._flights:
            self._settle(self._flights[0].stream)
            self._flights.popleft()
        self._waiting.clear()
        for stream in self._streams:
            with contextlib.suppress(Exception):
                self._engine.release(stream)

    def _settle(self, stream: Any) -> None:
        """Wait for all of a stream's work; its errors have no result to go with."""
        with contextlib.suppress(Exception), self._engine.streaming(stream):
            self._engine.synchronize()
