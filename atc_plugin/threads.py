"""Work shared out to threads: kernels release the GIL, so threads of one process are all that a machine needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def share(work: Callable[[int, int], object], count: int, jobs: int, grain: int) -> None:
    """Call work(first, last) on parts of range(count), `grain` long, in so many threads, this one among them.

    Whichever thread is free takes the next part. After an error, or Ctrl-C, no new part is begun, and it is raised when
    those under way have ended.
    """
    parts = deque((first, min(first + grain, count)) for first in range(0, count, grain))
    jobs = min(jobs, len(parts))

    def take() -> None:
        try:
            while parts:
                try:
                    part = parts.popleft()
                except IndexError:  # another thread was faster
                    return
                work(*part)
        except BaseException:
            parts.clear()
            raise

    if jobs <= 1:
        take()
        return
    with ThreadPoolExecutor(jobs - 1) as pool:
        others = [pool.submit(take) for _ in range(jobs - 1)]
        take()
        for other in others:
            other.result()
