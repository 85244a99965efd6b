"""Arrays on the server that machines share: the payloads of the disk level, by the same names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from .backend import Found
from .disk import Disk, is_expired
from .faults import FAULTS, Faults
from .payload import Damaged, Note, decode, encode
from .shared import Shared
from .statistics import Statistics


class Sharing:
    """What the server keeps, by key; what goes wrong is told, never raised.

    Args:
        server: where it is kept.
        disk: says what things are called.
        ttl: seconds that an item is good for, None for ever.
        codec: how it is compressed.
        statistics: where puts are counted.
        faults: told of each.
    """

    def __init__(
        self,
        server: Shared,
        disk: Disk,
        ttl: float | None,
        codec: str | None,
        statistics: Statistics,
        faults: Faults,
    ) -> None:
        self.server = server
        self._disk, self._ttl, self._codec, self._statistics, self._faults = disk, ttl, codec, statistics, faults

    def get_many(self, keys: Sequence[str]) -> list[Found | str]:
        """What is kept of each key, or the reason why there is nothing; one question for all."""
        try:
            answers = self.server.get_many([self._disk.name(key) for key in keys])
            return [self._found(key, data) for key, data in zip(keys, answers, strict=True)]
        except FAULTS as fault:
            self._faults.tell("shared", "read", fault)
            return ["never stored"] * len(keys)

    def _found(self, key: str, data: bytes | None) -> Found | str:
        if data is None:
            return "never stored"
        try:
            array, note = decode(data)
            if note.key != self._disk.full(key):
                raise Damaged("it is of another key")
        except Damaged as fault:
            self._faults.tell("shared", "read", f"an item is damaged: {fault}; its key is {key!r}")
            return "damaged"
        return "expired" if is_expired(note.created, self._ttl) else Found(array, note, len(data))

    def put(self, key: str, array: NDArray[Any], kind: str, seconds: float | None) -> None:
        """Keep an array."""
        started = time.perf_counter()
        note = Note(self._disk.full(key), kind, time.time(), seconds, self._codec)
        try:
            data = b"".join(encode(array, note))
            self.server.put(self._disk.name(key), data, self._ttl)
        except FAULTS as fault:
            self._faults.tell("shared", "write", fault)
            return
        self._statistics.put("shared", kind, len(data), time.perf_counter() - started)

    def contains(self, key: str) -> bool:
        """Whether there is something under this key."""
        try:
            return self.server.contains_many([self._disk.name(key)])[0]
        except FAULTS as fault:
            self._faults.tell("shared", "look up", fault)
            return False
