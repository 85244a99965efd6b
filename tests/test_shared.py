"""The shared level, against real Redis servers: what is put is found, and every fault is a `SharedFault`, and cheap."""

from __future__ import annotations

import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis_servers import BINARY, RedisServer, free_port, parrot

from atc_plugin.cache import shared as module
from atc_plugin.cache.shared import LARGEST, Shared, SharedFault

redis = pytest.importorskip("redis")

PATIENT = 30.0
"""Seconds of timeout where the server does answer, however busy the machine is."""

Start = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if BINARY is None:
        pytest.skip("there is no redis-server on the PATH")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of the test's own, with options."""
    if BINARY is None:
        pytest.skip("there is no redis-server on the PATH")
    started = []

    def start(*options: str) -> RedisServer:
        started.append(RedisServer(tmp_path, *options))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def shared(server: RedisServer, request: pytest.FixtureRequest) -> Iterator[Shared]:
    """The level on the common server, with a prefix of the test's own."""
    shared = Shared(server.url, prefix=f"{request.node.name}:", timeout=PATIENT)
    yield shared
    shared.close()


@pytest.fixture
def admin(server: RedisServer) -> Iterator[Any]:
    """Another client of the common server."""
    with redis.Redis.from_url(server.url) as client:
        yield client


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


VALUES = {
    "short": b"x",
    "empty": b"",
    "any bytes": bytes(range(256)) * 3 + b"\r\n$-1\r\n",
    "of many pieces": bytes(range(251)) * 20_000,
    "ünïcödé/with spaces": b"name",
}


def test_what_is_put_is_found_in_the_order_asked_for(shared: Shared) -> None:
    for name, data in VALUES.items():
        shared.put(name, data)
    names = ["missing", *reversed(VALUES), "short", "also missing"]
    assert shared.get_many(names) == [None, *reversed(VALUES.values()), b"x", None]
    assert shared.contains_many(names) == [False, *[True] * len(VALUES), True, False]


def test_a_later_put_replaces(shared: Shared) -> None:
    shared.put("name", b"first", ttl=1000)
    shared.put("name", b"second")
    assert shared.get_many(["name"]) == [b"second"]


def test_nothing_asked_is_nothing_answered_without_the_network() -> None:
    nobody = Shared(f"redis://127.0.0.1:{free_port()}")
    assert nobody.get_many([]) == []
    assert nobody.contains_many([]) == []
    assert nobody.remove([]) == 0


@pytest.mark.parametrize(
    ("ask", "command"),
    [
        (lambda s, n: s.get_many(n), "mget"),
        (lambda s, n: s.contains_many(n), "type"),
        (lambda s, n: s.remove(n), "unlink"),
    ],
    ids=["get_many", "contains_many", "remove"],
)
@pytest.mark.parametrize("count", [3, 300])
def test_a_request_is_one_round_trip(
    shared: Shared, admin: Any, monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any], command: str, count: int
) -> None:
    names = [f"name {i}" for i in range(count)]
    shared.put(names[-1], b"data")
    sent = []
    send = redis.connection.AbstractConnection.send_packed_command

    def counted(connection: Any, *arguments: Any, **options: Any) -> None:
        sent.append(arguments)
        send(connection, *arguments, **options)

    admin.config_resetstat()
    with monkeypatch.context() as patched:
        patched.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)
        ask(shared, names)
    assert len(sent) == 1
    calls = {name.removeprefix("cmdstat_"): of["calls"] for name, of in admin.info("commandstats").items()}
    assert calls.keys() - {"config|resetstat", "info"} == {command}
    if command == "mget":
        assert calls[command] == -(-count // module._TOGETHER)


def test_making_the_level_connects_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket", None)
    Shared("redis://example.com")


def test_what_has_a_ttl_expires(shared: Shared, admin: Any) -> None:
    shared.put("long", b"data", ttl=1000)
    shared.put("forever", b"data")
    assert 0 < admin.pttl(f"{shared.prefix}long") <= 1_000_000
    assert admin.pttl(f"{shared.prefix}forever") == -1
    shared.put("short", b"data", ttl=1e-6)  # less than Redis can count
    for _ in range(1000):
        if shared.get_many(["short"]) == [None]:
            break
        time.sleep(0.01)
    assert shared.contains_many(["long", "forever", "short"]) == [True, True, False]


@pytest.mark.parametrize("ttl", [0, -1.0, float("nan"), float("inf")])
def test_a_ttl_that_is_no_time_is_refused(ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl is"):
        Shared("redis://example.com").put("name", b"data", ttl=ttl)


def test_what_is_removed_is_gone(shared: Shared) -> None:
    for name in "abc":
        shared.put(name, b"data")
    assert shared.remove(["a", "c", "missing"]) == 2
    assert shared.contains_many("abc") == [False, True, False]


def test_entries_are_all_names_of_ours_with_their_bytes(shared: Shared, admin: Any) -> None:
    kept = {f"name {i}": i % 7 + 1 for i in range(2500)}
    admin.mset({f"{shared.prefix}{name}": b"x" * size for name, size in kept.items()})
    admin.set(f"not {shared.prefix}", b"x")
    admin.set(shared.prefix.encode() + b"\xff", b"xy")  # nobody of ours writes such a name
    entries = list(shared.entries())
    assert len(entries) == 2501
    assert dict(entries) == kept | {"\udcff": 2}
    assert shared.remove(["\udcff"]) == 1


@pytest.mark.parametrize("prefix", ["a*b", "a?b", "[ab]", "a\\b", "[^x]", "ä:"])
def test_clearing_removes_what_begins_with_our_prefix_and_nothing_else(
    server: RedisServer, admin: Any, prefix: str
) -> None:
    others = ["axb", "a", "b", "ab", "aäb", "other:1"]
    admin.mset(dict.fromkeys(others, b"x"))
    level = Shared(server.url, prefix=prefix, timeout=PATIENT)
    for i in range(5):
        level.put(str(i), b"data")
    assert sorted(level.entries()) == [(str(i), 4) for i in range(5)]
    assert level.clear() == 5
    assert list(level.entries()) == []
    assert level.clear() == 0
    assert admin.delete(*others) == len(others)
    level.close()


def test_a_value_of_another_type_under_our_name_is_nothing_and_can_be_replaced(shared: Shared, admin: Any) -> None:
    admin.rpush(f"{shared.prefix}list", b"a")
    shared.put("plain", b"data")
    assert shared.get_many(["list", "plain"]) == [None, b"data"]
    assert shared.contains_many(["list", "plain"]) == [False, True]
    assert list(shared.entries()) == [("plain", 4)]
    shared.put("list", b"ours")
    assert shared.get_many(["list"]) == [b"ours"]


METHODS: dict[str, Callable[[Shared], object]] = {
    "get_many": lambda level: level.get_many(["a", "b"]),
    "put": lambda level: level.put("a", b"data"),
    "contains_many": lambda level: level.contains_many(["a"]),
    "remove": lambda level: level.remove(["a"]),
    "clear": lambda level: level.clear(),
    "entries": lambda level: list(level.entries()),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@each_method
def test_where_nobody_listens_each_call_is_a_fault(method: Callable[[Shared], object]) -> None:
    port = free_port()
    level = Shared(f"redis://127.0.0.1:{port}")
    with pytest.raises(SharedFault, match=f"^redis://127.0.0.1:{port}/0: cannot .*refused"):
        method(level)
    assert level.resting


@each_method
def test_a_silent_server_is_asked_once_and_then_left_alone(clock: Clock, method: Callable[[Shared], object]) -> None:
    with parrot(b"") as (port, heard):
        level = Shared(f"redis://127.0.0.1:{port}", timeout=0.05, retry_after=15)
        with pytest.raises(SharedFault, match=r"(?i)timeout"):
            method(level)
        assert level.resting
        assert len(heard) == 1, "no version of redis may try again by itself"
        clock.now += 14.9
        for other in METHODS.values():
            with pytest.raises(SharedFault, match=r"not asked again for 0 s, after: .*(?i:timeout)"):
                other(level)
        assert len(heard) == 1
        clock.now += 0.2
        assert not level.resting
        with pytest.raises(SharedFault, match=r"(?i)timeout"):
            method(level)
        assert len(heard) == 2


NONSENSE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b":5\r\n",
    b"+OK\r\n",
    b"$-1\r\n",
    b"*1\r\n+x\r\n",
    b"*-1\r\n",
    b"$x\r\n",
]


@each_method
@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_a_fault(answer: bytes, method: Callable[[Shared], object]) -> None:
    sensible = (method, answer) in [
        (METHODS["put"], b"+OK\r\n"),
        (METHODS["contains_many"], b"+OK\r\n"),  # a type, though not that of our values
        (METHODS["remove"], b":5\r\n"),
    ]
    with parrot(answer) as (port, _):
        level = Shared(f"redis://127.0.0.1:{port}", timeout=0.2)
        if sensible:
            method(level)
        else:
            with pytest.raises(SharedFault, match=f"^redis://127.0.0.1:{port}/0: cannot "):
                method(level)
        assert level.resting is not sensible
        level.close()


def test_after_nonsense_no_old_connection_is_used() -> None:
    with parrot(b"+OK\r\n") as (port, heard):
        level = Shared(f"redis://:s3cret@127.0.0.1:{port}", timeout=PATIENT, retry_after=0)
        for times in (1, 2):
            with pytest.raises(SharedFault, match="nonsense"):
                level.get_many(["a"])
            assert b"".join(heard).count(b"AUTH") == times


def test_a_server_that_names_what_is_not_ours_loses_nothing() -> None:
    with parrot(b"*2\r\n$1\r\n0\r\n*1\r\n$6\r\nothers\r\n") as (port, heard):
        level = Shared(f"redis://127.0.0.1:{port}", timeout=PATIENT)
        assert level.clear() == 0
        assert list(level.entries()) == []
        assert b"others" not in b"".join(heard)
        level.close()


def test_an_entry_that_the_server_names_twice_is_one(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        shared.put(name, b"data")
    a, b = shared._keys("ab")
    monkeypatch.setattr(shared, "_pages", lambda what: iter([[a, a], [], [b, a]]))
    assert list(shared.entries()) == [("a", 4), ("b", 4)]


@pytest.mark.parametrize("answer", [b"*1\r\n$1\r\nx\r\n", b"*2\r\n:1\r\n:2\r\n"])
def test_values_that_are_too_few_or_of_another_type_are_a_fault(answer: bytes) -> None:
    with parrot(answer) as (port, _):
        level = Shared(f"redis://127.0.0.1:{port}", timeout=PATIENT)
        with pytest.raises(SharedFault, match="values"):
            level.get_many(["a", "b"])
        assert level.resting


def test_the_right_password_is_let_in_and_the_wrong_one_is_a_fault_that_hides_it(start: Start) -> None:
    server = start("--requirepass", "s3cret/@")
    level = Shared(f"redis://:s3cret%2F%40@127.0.0.1:{server.port}/2", timeout=PATIENT)
    level.put("name", b"data")
    assert level.get_many(["name"]) == [b"data"]
    for address in (f"someone:wr0ng@127.0.0.1:{server.port}", f":wr0ng@127.0.0.1:{server.port}", server.url[8:]):
        other = Shared(f"redis://{address}", timeout=PATIENT)
        with pytest.raises(SharedFault, match=r"(?i)(password|authentication)") as caught:
            other.get_many(["name"])
        assert other.resting
        assert "wr0ng" not in "".join(traceback.format_exception(caught.value)) + repr(other)


REPEATED = [
    b"-ERR unknown command 'AUTH', with args beginning with: 's3cr\r\n",
    b"-ERR what is s3cret?\r\n",
    b"+s3cret\r\n",
    b":s3cret\r\n",
    b"s3cret\r\n",
]


@pytest.mark.parametrize("answer", REPEATED)
def test_a_server_that_repeats_the_password_is_not_quoted(answer: bytes) -> None:
    with parrot(answer) as (port, heard):
        level = Shared(f"redis://:s3cret@127.0.0.1:{port}", timeout=PATIENT)
        for _ in range(2):
            with pytest.raises(SharedFault) as caught:
                level.put("name", b"data")
            assert "s3cr" not in "".join(traceback.format_exception(caught.value)) + repr(level)
        assert b"s3cret" in b"".join(heard)


def test_a_full_server_refuses_and_goes_on_answering(start: Start) -> None:
    level = Shared(start("--maxmemory", "8mb", "--maxmemory-policy", "noeviction").url, timeout=PATIENT)
    level.put("first", b"data")

    def fill() -> None:
        for i in range(20):
            level.put(str(i), bytes(2**20))

    with pytest.raises(SharedFault, match=r"cannot write 1,048,576 bytes: it refused: .*maxmemory"):
        fill()
    assert not level.resting
    assert level.get_many(["first"]) == [b"data"]
    assert level.clear() > 1
    level.put("again", b"data")


def test_a_replica_refuses_to_write_and_goes_on_answering(start: Start) -> None:
    level = Shared(start("--replicaof", "127.0.0.1", str(free_port())).url, timeout=PATIENT)
    with pytest.raises(SharedFault, match=r"it refused: .*read only"):
        level.put("name", b"data")
    assert not level.resting
    assert level.get_many(["name"]) == [None]


def test_a_refused_size_is_a_fault_of_the_entries(start: Start) -> None:
    server = start("--user", "default", "on", "nopass", "~*", "+@all", "-strlen")
    level = Shared(server.url, timeout=PATIENT)
    level.put("name", b"data")
    with pytest.raises(SharedFault, match="cannot list the entries: it refused"):
        list(level.entries())
    assert level.contains_many(["name"]) == [True]


def test_a_database_that_is_not_there_is_a_fault(server: RedisServer) -> None:
    level = Shared(f"redis://127.0.0.1:{server.port}/999", timeout=PATIENT)
    with pytest.raises(SharedFault, match=r"/999: cannot write 4 bytes"):
        level.put("name", b"data")


def test_a_server_that_was_killed_is_left_alone_and_then_works_again(start: Start, clock: Clock) -> None:
    server = start()
    level = Shared(server.url, timeout=PATIENT, retry_after=15)
    level.put("name", b"data")
    server.kill()
    with pytest.raises(SharedFault, match="refused"):
        level.get_many(["name"])
    assert level.resting
    server.start()
    with pytest.raises(SharedFault, match="not asked again for 15 s"):
        level.get_many(["name"])
    clock.now += 15
    assert level.get_many(["name"]) == [None]
    level.put("name", b"data")
    assert level.get_many(["name"]) == [b"data"]


def test_a_server_that_came_back_between_two_calls_is_no_fault(start: Start) -> None:
    server = start()
    level = Shared(server.url, timeout=PATIENT)
    level.put("name", b"data")
    server.kill()
    server.start()
    level.put("name", b"new")
    assert level.get_many(["name"]) == [b"new"]


def test_an_answer_that_comes_too_late_is_never_taken_for_another(start: Start, clock: Clock) -> None:
    server = start()
    patient, level = Shared(server.url, timeout=PATIENT), Shared(server.url, timeout=1.0, retry_after=15)
    patient.put("a", b"of a")
    patient.put("b", b"of b")
    assert level.get_many(["b"]) == [b"of b"]
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(SharedFault, match=r"(?i)timeout"):
            level.get_many(["a"])
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert patient.get_many(["b"]) == [b"of b"]  # it is awake again
    for _ in range(100):  # on a busy machine it may be late again
        clock.now += 15
        try:
            assert level.get_many(["b"]) == [b"of b"]
        except SharedFault:
            continue
        return
    raise AssertionError("it never answered again")


def test_values_above_what_redis_takes_are_refused_before_they_are_sent() -> None:
    level = Shared(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(SharedFault, match="Redis takes 536,870,912 bytes at most"):
        level.put("name", bytes(LARGEST + 1))
    assert not level.resting, "it was not even asked"


def test_no_piece_of_a_large_value_needs_more_than_a_timeout() -> None:
    data = bytes(range(256)) * 4096 + b"end"
    pieces = module._Pieces().pack(b"SET", "name", data, b"PX", 1000)
    assert max(map(len, pieces)) == module._PIECE
    sent = b"".join(pieces)
    assert sent == b"*5\r\n$3\r\nSET\r\n$4\r\nname\r\n$1048579\r\n" + data + b"\r\n$2\r\nPX\r\n$4\r\n1000\r\n"


def test_a_large_value_is_sent_in_pieces(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    data, sizes = bytes(range(256)) * 10_000, []

    def sendall(connection: socket.socket, piece: bytes) -> None:
        sizes.append(len(piece))
        with memoryview(piece) as rest:
            while rest:
                rest = rest[connection.send(rest) :]

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "sendall", sendall, raising=False)
        shared.put("name", data)
    assert max(sizes) == module._PIECE
    assert shared.get_many(["name"]) == [data]


def test_many_threads_may_use_one_level(shared: Shared) -> None:
    together = threading.Barrier(8)

    def work(thread: int) -> None:
        together.wait()
        for i in range(50):
            data = f"{thread} {i} ".encode() * 200
            shared.put(f"{thread} {i}", data)
            assert shared.get_many(["missing", f"{thread} {i}"]) == [None, data]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert len(list(shared.entries())) == 400


def test_a_fork_connects_anew(shared: Shared, server: RedisServer) -> None:
    code = f"""
import os, sys
from atc_plugin.cache.shared import Shared
level = Shared({server.url!r}, prefix={shared.prefix!r}, timeout={PATIENT})
level.put("before", b"parent")
client = level._client()
child = os.fork()
# The child must not even look at the client, whose locks another thread may have held in the parent.
assert (level._client() is client) == (child != 0)
mine = b"child" if child == 0 else b"parent"
for i in range(200):  # on a common connection the answers would be mixed up
    level.put(f"{{mine}} {{i}}", mine)
    assert level.get_many([f"{{mine}} {{i}}", "before"]) == [mine, b"parent"]
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
level.close()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert len(list(shared.entries())) == 401


def test_another_process_gets_the_level_as_its_arguments(start: Start) -> None:
    server = start("--requirepass", "s3cret")
    level = Shared(f"redis://:s3cret@127.0.0.1:{server.port}", prefix="p:", timeout=PATIENT, retry_after=3)
    level.put("name", b"data")  # a level that is connected can be pickled, too
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get_many(['name']))"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(level), capture_output=True, check=True)
    assert done.stdout.split() == [b"[b'data']"]
    copy = pickle.loads(pickle.dumps(level))
    assert (copy.prefix, copy.timeout, copy.retry_after) == ("p:", PATIENT, 3)
    assert copy.server == level.server == f"redis://127.0.0.1:{server.port}/0"
    fault = pickle.loads(pickle.dumps(SharedFault("text")))
    assert (type(fault), str(fault)) == (SharedFault, "text")


def test_a_closed_level_connects_anew(shared: Shared) -> None:
    shared.close()
    shared.put("name", b"data")
    shared.close()
    shared.close()
    assert shared.get_many(["name"]) == [b"data"]


def test_a_socket_of_the_file_system_serves_as_well(start: Start) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own paths may be too long for a socket
        path = Path(folder) / "redis socket"
        start("--unixsocket", str(path))
        level = Shared(f"unix://{str(path).replace(' ', '%20')}?db=1", timeout=PATIENT)
        level.put("name", b"data")
        assert level.get_many(["name"]) == [b"data"]
        assert repr(level) == f"Shared('unix://{path}?db=1', prefix='atc:')"


def test_a_server_without_tls_is_a_fault_where_tls_is_asked_for(server: RedisServer) -> None:
    level = Shared(f"rediss://127.0.0.1:{server.port}", timeout=0.2)
    with pytest.raises(SharedFault, match=f"^rediss://127.0.0.1:{server.port}/0: cannot "):
        level.get_many(["name"])


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://host", "redis://host:6379/0"),
        ("redis://host/", "redis://host:6379/0"),
        ("redis://host:1/2", "redis://host:1/2"),
        ("redis://host:1?db=3", "redis://host:1/3"),
        ("rediss://u:p@host:1/2?ssl_cert_reqs=none", "rediss://host:1/2"),
        ("redis://[::1]:1", "redis://[::1]:1/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("unix://:p@/run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)
def test_what_is_allowed_is_what_the_client_takes(url: str, server: str) -> None:
    level = Shared(url, timeout=2.5)
    assert level.server == server
    options = level._client().connection_pool.connection_kwargs
    assert str(options.get("db", 0)) == server[-1]
    assert options["socket_timeout"] == options["socket_connect_timeout"] == 2.5
    assert options.get("path", options.get("host")) in server


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin"),
        ("s3cret", "does not begin"),
        ("host:6379", "does not begin"),
        ("http://:s3cret@host", "does not begin"),
        ("REDIS://:s3cret@host", "does not begin"),
        (" redis://:s3cret@host", "does not begin"),
        (None, "does not begin"),
        ("redis://", "has no host"),
        ("redis://:6379/0", "has no host"),
        ("redis://:s3cret", "port is no number"),
        ("redis://host:99999", "port is no number"),
        ("redis://:s3cret/@host", "port is no number"),
        ("redis://[s3cret", "cannot be taken apart"),
        ("redis://host/s3cret", "whole number"),
        ("redis://host/1/2", "whole number"),
        ("redis://host/-1", "whole number"),
        ("redis://host?db=s3cret", "whole number"),
        ("redis://host?db=", "whole number"),
        ("redis://host?password=s3cret", "more after its"),
        ("redis://host?retry_on_timeout=yes", "more after its"),
        ("redis://host?decode_responses=yes", "more after its"),
        ("redis://host?ssl_cert_reqs=none", "more after its"),
        ("redis://user:s3#cret@host", "more after its|port is no number"),
        ("unix://run/redis.sock", "no path"),
        ("unix:///", "no path"),
        ("unix:///run/redis.sock?db=x", "whole number"),
    ],
)
def test_other_urls_are_refused_without_repeating_them(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        Shared(url)
    text = "".join(traceback.format_exception(caught.value))
    assert "allowed is redis://[user:password@]host[:port]" in text
    assert "s3cret" not in text.replace('"redis://user:s3#cret@host"', "")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"prefix": ""}, "prefix is empty"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("inf")}, "timeout is inf"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"retry_after": -1}, "retry_after is -1"),
        ({"retry_after": float("inf")}, "retry_after is inf"),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Shared("redis://host", **arguments)


def test_without_redis_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "atc_plugin\[redis\]"'):
        Shared("redis://host")


def test_the_client_is_imported_once_it_is_needed() -> None:
    code = (
        "import sys; from atc_plugin.cache.shared import Shared; Shared('redis://host'); print('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.split() == [b"False"]
