"""joblib's Dask backend with what it lacks: word of tasks that are lost, and an end to those that nobody waits for."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from .resolving import active_backend, dask_client, name_of


class TaskError(Exception):
    """A task and what `work` raised for it."""


class KilledError(Exception):
    """Dask has given up these tasks, after so many workers had died with them."""

    def __init__(self, tasks: list[Any], kills: int) -> None:
        super().__init__(tasks, kills)
        self.tasks = tasks
        self.kills = kills


def dask_backend(timeout: float | None) -> Any:
    """joblib's Dask backend on the client, with the options of the active one."""
    active, _ = active_backend()
    options = active.submit_kwargs if active is not None and name_of(active) == "dask" else {}
    return _dask_class()(client=dask_client(), wait_for_workers_timeout=min(timeout or 60.0, 3600.0), **options)


@functools.cache
def _dask_class() -> Any:
    from distributed import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Cluster(DaskDistributedBackend):  # type: ignore[misc]
        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(int(super().effective_n_jobs(n_jobs)), 2)  # for one, joblib would compute in this process

        def submit(self, func: Any, callback: Any = None) -> Any:
            """joblib's, which calls back for results only, so that its caller waits forever for what is lost."""

            def tell(job: Any) -> None:
                error = job.exception()
                if isinstance(error, KilledWorker):
                    error = KilledError([args[1] for _, args, _ in func.items], error.allowed_failures + 1)
                if error is not None:
                    callback(error)

            job = super().submit(func, callback)
            job.add_done_callback(tell)
            return job

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, BaseException) and not isinstance(out, (KilledError, TaskError)):
                raise RuntimeError(f"the Dask cluster gave a task up: {out!s}") from out
            return super().retrieve_result_callback(out)

        def abort_everything(self, ensure_ready: bool = True) -> None:
            """Cancel what waits; joblib's would only forget it, and the cluster go on."""
            with contextlib.suppress(Exception):  # a client that is closed has cancelled all
                self.client.cancel(list(self.waiting_futures.futures))

    return Cluster
