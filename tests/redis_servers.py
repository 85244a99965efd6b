"""Redis servers on loopback for tests: real ones that keep nothing on disk, and ones that only pretend."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARY = shutil.which("redis-server")


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class RedisServer:
    """A redis-server of our own, without persistence, that can be killed and started again on its port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        for _ in range(5):  # somebody else may take a free port first
            self.port = free_port()
            try:
                self.start()
            except RuntimeError as why:
                fault = why
            else:
                return
        raise fault

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert BINARY is not None
        command = [BINARY, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", *self.options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "eady to accept connections" in line:
                return
        self.kill()
        raise RuntimeError(f"redis-server did not start: {''.join(said)}")

    def kill(self) -> None:
        """As by kill -9."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def parrot(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a server that has one answer to every command, or none if empty, and what it was sent."""
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with connection:
            while said := connection.recv(65536):
                heard.append(said)
                connection.sendall(answer * said.count(b"*"))

    def listen() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield listening.getsockname()[1], heard
        listening.shutdown(socket.SHUT_RDWR)
        listener.join()
