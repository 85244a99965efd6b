"""The CUDA kernels compiled by g++ and run on the host, threads one after another in whatever order is asked for.

As a program (`python host_kernels.py launches.pickle`) it runs recorded launches with a sanitizer beneath it and
writes back what they gave; so what was compiled is watched, and numba is not.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atc_plugin.accel.signatures import kernel_signatures, signatures_in, source

COMPILER = "g++"
# What decides about bits: no contraction. The rest is what the kernels are held to.
FLAGS = ("-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
OPTIMIZED = ("-O2",)
ORDERS = {"forward": 0, "reversed": 1, "shuffled": 2}
SHIM = Path(__file__).with_name("host_shim.h")


def has_compiler() -> bool:
    return shutil.which(COMPILER) is not None


class HostModule:
    """Kernels as a library of the host, built once for each source and set of flags."""

    def __init__(self, flags: tuple[str, ...] = OPTIMIZED, text: str | None = None) -> None:
        text = source() if text is None else text
        self.signatures = signatures_in(text)
        exports = "".join(f"EXPORT({name})\n" for name in self.signatures)
        self._library = ctypes.CDLL(str(_built(f"{SHIM.read_text()}\n{text}\n{exports}", (*FLAGS, *flags))))

    def launch(
        self, kernel: str, blocks: int, block: int, arranged: Sequence[Any], order: str = "forward", seed: int = 0
    ) -> None:
        """Run a kernel's threads, `blocks` times `block` of them, on arguments in the kernel's order."""
        pointed = [_pointed(value) for value in arranged]
        addresses = (ctypes.c_void_p * len(pointed))(*(ctypes.addressof(value) for value in pointed))
        failed = self._library[f"host_{kernel}"](
            ctypes.c_uint(blocks),
            ctypes.c_uint(block),
            ctypes.c_int(ORDERS[order]),
            ctypes.c_uint64(seed),
            addresses,
            ctypes.c_int(len(pointed)),
        )
        assert not failed, f"{kernel} does not take {len(pointed)} arguments"


def _pointed(value: Any) -> Any:
    """A C variable with an argument: an array's address, or a number."""
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_double(value) if isinstance(value, np.floating) else ctypes.c_int64(value)


def _built(text: str, flags: tuple[str, ...]) -> Path:
    digest = hashlib.sha256(repr((text, flags)).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"atc_kernels_{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} is somebody else's"
    library = folder / f"{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as room:
            written, made = Path(room) / "kernels.cpp", Path(room) / library.name
            written.write_text(text)
            done = subprocess.run(
                [COMPILER, *flags, str(written), "-o", str(made)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            made.replace(library)  # whole or not at all, should two build at once
    return library


@functools.cache
def module() -> HostModule:
    """The kernels as they are, optimized."""
    return HostModule()


class HostEngine:
    """An engine on the host. Its rooms begin as rubbish, so what is read has to be written."""

    def __init__(self, block: int = 32, order: str = "forward", seed: int = 0, built: HostModule | None = None) -> None:
        self._block, self._order, self._seed, self._module = block, order, seed, built

    def taken(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array)

    def taken_together(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [self.taken(array).copy() for array in arrays]  # apart, so that reading behind one is noticed

    def brought(self, array: np.ndarray) -> np.ndarray:
        return array

    def bringing(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: array

    def free_bytes(self) -> int:
        return 2**30  # the same everywhere

    def mark(self) -> None: ...

    def wait_for(self, mark: None) -> None: ...

    def new_stream(self) -> None: ...

    def streaming(self, stream: None) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def synchronize(self, mark: None = None) -> None: ...

    def release(self, stream: None = None) -> None: ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def room(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        made = np.empty(shape, dtype)
        made.reshape(-1).view(np.uint8)[:] = 0xA5
        return made

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        if threads:
            # a block more than there is work for: those threads have to find out themselves
            blocks = -(-threads // self._block) + 1
            built = self._module or module()
            arranged = built.signatures[kernel].arranged(arguments)
            built.launch(kernel, blocks, self._block, arranged, self._order, self._seed)


class Recorder(HostEngine):
    """Launches nothing and notes what would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[tuple[str, int, dict[str, Any]]] = []

    def launch(self, kernel: str, threads: int, **arguments: Any) -> None:
        self.launches.append((kernel, threads, arguments))


def written_by(launches: list[tuple[str, int, dict[str, Any]]]) -> list[np.ndarray]:
    """The arrays that launches write, one launch after the other."""
    return [
        arguments[parameter.name]
        for kernel, _, arguments in launches
        for parameter in kernel_signatures()[kernel].parameters
        if parameter.is_written
    ]


def replay(path: Path) -> None:
    """Run sets of recorded launches, and put what they wrote in their place."""
    built = HostModule(SANITIZED)
    recorded = pickle.loads(path.read_bytes())
    given = []
    for launches, block, order in recorded:
        engine = HostEngine(block, order, seed=1, built=built)
        for kernel, threads, arguments in launches:
            engine.launch(kernel, threads, **arguments)
        given.append(written_by(launches))
    path.write_bytes(pickle.dumps(given))


if __name__ == "__main__":
    replay(Path(sys.argv[1]))
