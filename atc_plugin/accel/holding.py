"""Arrays of a device that outlive the call they were made in, for readers in whatever stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from .launch import DeviceEngine

T = TypeVar("T")


class Held(Generic[T]):
    """What was made in the stream that is current now.

    CuPy gives memory that was freed out again in the stream that it was allocated in, while another stream may still
    be reading it. So that stream waits for every reader.
    """

    def __init__(self, engine: DeviceEngine, made: T) -> None:
        self.engine = engine
        self._made = made
        self._written = engine.mark()
        self._owner = engine.current_stream()

    @contextmanager
    def reading(self) -> Iterator[T]:
        """What is held, for work that is handed to the current stream inside."""
        self.engine.wait_for(self._written)
        try:
            yield self._made
        finally:
            self.engine.wait_for(self.engine.mark(), self._owner)

    def handed_out(self) -> T:
        """What is held, to be used at once in the current stream, and from then on the user's to look after."""
        self.engine.wait_for(self._written)
        return self._made

    def wait(self) -> None:
        """Wait until it has been made; what failed on the device is raised here."""
        self._written.synchronize()
