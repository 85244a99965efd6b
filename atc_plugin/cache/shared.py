"""The shared level: bytes by name on a Redis server, for machines without a common disk."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

LARGEST = 512 * 2**20
"""Bytes of the largest value that Redis takes."""

_ALLOWED = (
    "redis://[user:password@]host[:port][/number of the database], the same with rediss:// for TLS, or "
    "unix://[user:password@]/path[?db=number], with %-codes in place of the password's special characters"
)
_OPTIONS = {
    "redis": {"db"},
    "rediss": {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"},
    "unix": {"db"},
}
"""What may follow the question mark; others, such as `retry_on_timeout`, would break what is promised here."""

_TOGETHER = 64  # values of one command: the server sends nothing until it has put all of them together
_PAGE = 1000  # names of one step through all that the server has
_PIECE = 2**18  # bytes that have to be sent within one timeout


class SharedFault(OSError):  # noqa: N818
    """The shared level could not do what it was asked to; the text says which server, never its password."""


class Shared:
    """Bytes kept under names on a Redis server.

    Every fault is a `SharedFault`. Where the server cannot be reached, does not answer, refuses the password or answers
    nonsense, the level rests: for `retry_after` seconds each call is a fault at once, without touching the network, so
    that a server that is gone costs one timeout and not one for each call. A refusal (no memory, read-only) rests
    nothing.

    May be used by any threads, after a fork, and in other processes: it is pickled as its arguments, the password among
    them, and connects anew.

    >>> Shared("redis://:secret@example.com")
    Shared('redis://example.com:6379/0', prefix='atc:')

    Args:
        url: `redis://host:port/database`, `rediss://` for TLS or `unix:///path`, each with `user:password@` if needed.
        prefix: What the names on the server begin with; everything that begins so is ours.
        timeout: Seconds of silence, while connecting, sending or reading, after which the server counts as gone.
        retry_after: Seconds to rest.

    Raises:
        ValueError: If an argument is not as above.
        ModuleNotFoundError: If redis is not installed.
    """

    def __init__(self, url: str, *, prefix: str = "atc:", timeout: float = 0.5, retry_after: float = 15.0) -> None:
        self.server, self._password = _server_and_password(url)
        if not prefix:
            raise ValueError("prefix is empty; what is ours could not be told from the rest")
        if not 0 < timeout < math.inf:
            raise ValueError(f"timeout is {timeout!r}; it has to be a number of seconds above 0")
        if not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after is {retry_after!r}; it has to be a number of seconds from 0 on")
        if find_spec("redis") is None:  # imported once it is needed, for that takes longer than many a hit
            raise ModuleNotFoundError('the shared level needs redis: pip install "atc_plugin[redis]"', name="redis")
        self.prefix, self.timeout, self.retry_after = prefix, timeout, retry_after
        self._url = url
        self._prefix = _encoded(prefix)
        self._clients: dict[int, Any] = {}
        self._rest = (-math.inf, "")  # until when, and why

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server!r}, prefix={self.prefix!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        made = partial(type(self), prefix=self.prefix, timeout=self.timeout, retry_after=self.retry_after)
        return made, (self._url,)

    @property
    def resting(self) -> bool:
        """Whether a call now would be a fault at once."""
        return monotonic() < self._rest[0]

    def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """What is kept under each of the names, in one round trip; what is no plain value there counts as nothing."""
        keys, what = self._keys(names), f"read {len(names)} values"
        chunks = [keys[i : i + _TOGETHER] for i in range(0, len(keys), _TOGETHER)]
        answers = self._answers(what, [("MGET", *chunk) for chunk in chunks], list)
        if [len(answer) for answer in answers] != [len(chunk) for chunk in chunks]:
            self._rest_after(what, "it answered another number of values")
        found: list[bytes | None] = [value for answer in answers for value in answer]
        if not all(value is None or isinstance(value, bytes) for value in found):
            self._rest_after(what, "it answered values of another type")
        return found

    def put(self, name: str, data: bytes, ttl: float | None = None) -> None:
        """Keep bytes under a name, for `ttl` seconds if given."""
        if ttl is not None and not 0 < ttl < math.inf:
            raise ValueError(f"ttl is {ttl!r}; it has to be a number of seconds above 0, or None")
        what = f"write {len(data):,} bytes"
        if len(data) > LARGEST:
            raise SharedFault(f"{self.server}: cannot {what}: Redis takes {LARGEST:,} bytes at most")
        until = () if ttl is None else ("PX", max(1, round(ttl * 1000)))
        if self._answers(what, [("SET", *self._keys([name]), data, *until)], bytes) != [b"OK"]:
            self._rest_after(what, "it did not answer OK")

    def contains_many(self, names: Sequence[str]) -> list[bool]:
        """Whether something is kept under each of the names, in one round trip, without reading it."""
        answers = self._answers(f"look up {len(names)} names", [("TYPE", key) for key in self._keys(names)], bytes)
        return [answer == b"string" for answer in answers]

    def remove(self, names: Sequence[str]) -> int:
        """Remove what is kept under the names; gives how many there were."""
        return self._remove(self._keys(names))

    def clear(self) -> int:
        """Remove everything whose name begins with our prefix, and nothing else; gives how many there were."""
        return sum(self._remove(keys) for keys in self._pages("clear"))

    def entries(self) -> Iterator[tuple[str, int]]:
        """The names, without the prefix, and the bytes of each; empty values are left out. Any step may be a fault."""
        what, seen = "list the entries", set[bytes]()
        for page in self._pages(what):
            keys = [key for key in dict.fromkeys(page) if key not in seen]  # the server may name one more than once
            seen.update(keys)
            sizes = self._answers(what, [("STRLEN", key) for key in keys], int)
            for key, size in zip(keys, sizes, strict=True):
                if size:
                    yield key[len(self._prefix) :].decode("utf-8", "surrogateescape"), size

    def close(self) -> None:
        """Close the connections that nobody is using; a later call connects anew."""
        if client := self._clients.get(os.getpid()):
            with suppress(Exception):
                client.connection_pool.disconnect(inuse_connections=False)

    def _keys(self, names: Sequence[str]) -> list[bytes]:
        return [self._prefix + _encoded(name) for name in names]

    def _remove(self, keys: Sequence[bytes]) -> int:
        return sum(self._answers(f"remove {len(keys)} names", [("UNLINK", *keys)] if keys else [], int))

    def _pages(self, what: str) -> Iterator[list[bytes]]:
        """All keys of ours, some at a time."""
        pattern = re.sub(rb"([*?\[\]\\^])", rb"\\\1", self._prefix) + b"*"
        cursor = b"0"
        while True:
            (answer,) = self._answers(what, [("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)], list)
            match answer:
                case [bytes(cursor), list(keys)] if all(isinstance(key, bytes) for key in keys):
                    yield [key for key in keys if key.startswith(self._prefix)]
                case _:
                    self._rest_after(what, "it answered no page of names")
            if cursor == b"0":
                return

    def _answers(self, what: str, commands: Sequence[tuple[Any, ...]], kind: type) -> list[Any]:
        """The answers to commands that are sent together, all of them of one kind."""
        if not commands:
            return []
        until, why = self._rest
        if (left := until - monotonic()) > 0:
            raise SharedFault(f"{self.server}: cannot {what}: not asked again for {left:.0f} s, after: {why}")
        from redis.exceptions import InvalidResponse, RedisError, ResponseError

        try:
            with self._client().pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = pipeline.execute(raise_on_error=False)
        except Exception as fault:  # of any type, where redis-py's parser meets nonsense
            said = isinstance(fault, (RedisError, OSError)) and not isinstance(fault, InvalidResponse)
            self._rest_after(what, str(fault) if said else f"it answered nonsense ({type(fault).__name__})")
        for i, answer in enumerate(answers):
            if isinstance(answer, ResponseError):
                if not str(answer).startswith("WRONGTYPE"):  # which only STRLEN minds
                    raise SharedFault(f"{self.server}: cannot {what}: it refused: {self._harmless(str(answer))}")
                answers[i] = 0
            elif not isinstance(answer, kind):
                self._rest_after(what, f"it answered nonsense ({type(answer).__name__})")
        return answers

    def _rest_after(self, what: str, why: str) -> NoReturn:
        why = self._harmless(why)
        self._rest = (monotonic() + self.retry_after, why)
        self.close()  # each other connection may cost a timeout, too
        raise SharedFault(f"{self.server}: cannot {what}: {why}") from None  # redis-py's text may hold the password

    def _harmless(self, text: str) -> str:
        """A text of the server's, which may repeat what it was sent, perhaps cut short."""
        text = text.partition(", with args beginning")[0]
        return (text.replace(self._password, "***") if self._password else text)[:300]

    def _client(self) -> Any:
        """This process's own; locks and sockets that a fork copied may be in any state."""
        if client := self._clients.get(os.getpid()):
            return client
        from redis import ConnectionPool, Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        pool = ConnectionPool.from_url(
            self._url,
            protocol=2,  # has all we need, and greets an old server without an error
            socket_timeout=self.timeout,
            socket_connect_timeout=self.timeout,
            socket_read_size=2**18,
            retry=Retry(NoBackoff(), 0),  # by default some versions try again, for many times the timeout
            max_connections=2**16,  # by default some versions make a fault of the hundredth thread
            command_packer=_Pieces(),
        )
        client = Redis(connection_pool=pool)
        client.response_callbacks.clear()  # answers as the protocol has them
        return self._clients.setdefault(os.getpid(), client)


class _Pieces:
    """Packs commands in pieces: a socket's timeout is for a whole piece, and a large value may need longer."""

    def __init__(self) -> None:
        from redis.connection import PythonRespSerializer

        self._whole: Any = PythonRespSerializer(
            6000, lambda word: word if isinstance(word, bytes) else str(word).encode()
        )

    def pack(self, *words: Any) -> list[bytes | memoryview]:
        """The bytes to send for one command."""
        packed: list[bytes] = self._whole.pack(*words)
        return [
            part if len(part) <= _PIECE else memoryview(part)[i : i + _PIECE]
            for part in packed
            for i in range(0, len(part), _PIECE)
        ]


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _server_and_password(url: str) -> tuple[str, str]:
    """What to call the server, and what never to say; the faults do not repeat the URL, any part of it may be that."""

    def wrong(why: str) -> ValueError:
        return ValueError(f"the URL of the shared level {why}; allowed is {_ALLOWED}")

    if not isinstance(url, str) or not url.startswith(("redis://", "rediss://", "unix://")):
        raise wrong("does not begin with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        options = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    except ValueError:
        raise wrong("cannot be taken apart, perhaps because its port is no number") from None
    if parts.fragment or not options.keys() <= _OPTIONS[parts.scheme]:
        raise wrong(f"has more after its ? or # than {', '.join(sorted(_OPTIONS[parts.scheme]))}")
    host, path = parts.hostname or "", unquote(parts.path)
    if parts.scheme == "unix":
        if host or not path.strip("/"):
            raise wrong("has no path that begins with /, as in unix:///run/redis.sock")
        database, where = options.get("db", "0"), path
    else:
        if not host:
            raise wrong("has no host")
        database = options.get("db", path.strip("/") or "0")
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not re.fullmatch("[0-9]+", database):
        raise wrong("has something else than a whole number for the database")
    separator = "?db=" if parts.scheme == "unix" else "/"
    return f"{parts.scheme}://{where}{separator}{database}", unquote(parts.password or "")
