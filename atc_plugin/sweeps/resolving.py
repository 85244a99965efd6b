"""Which backend a sweep runs on, and with how many workers: what was asked, the environment, joblib's configuration."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable
from typing import Any

import joblib
from joblib.parallel import BACKENDS, get_active_backend

from ..accel.devices import why_not
from ..engine import job_count
from ..profiles import preferred_backend

ALLOWED = ("auto", "cpu", "gpu", "loky", "dask")
_OURS = {"threading": "cpu", "sequential": "cpu", "multiprocessing": "loky"}
"""What joblib's other backends are here; its multiprocessing cannot give results one by one."""


def resolve(backend: str | None = None, n_jobs: int | None = None) -> tuple[str, int]:
    """Where to compute and on how many workers.

    What is given comes first, then a `joblib.parallel_config` we are inside of, then `ATC_BACKEND`; "auto" is left for
    the caller to decide. A backend that others have registered with joblib is used by `parallel_config` only, and
    returned under its own name.

    Args:
        backend: One of "auto", "cpu", "gpu", "loky" and "dask"; None is "auto".
        n_jobs: Workers, counted as joblib counts them: -1 is all processors, -2 all but one. By default those of
            `parallel_config`, else `ATC_JOBS`, else all. Dask uses the whole cluster, whatever is asked.

    Raises:
        ValueError: Another backend or count, or Dask without a client.
        ImportError: Dask is not installed.
        RuntimeError: No GPU can be used here.
    """
    name = backend or "auto"
    active, configured = active_backend()
    if name == "auto":
        name = "auto" if active is not None else preferred_backend()
    if name not in ALLOWED:
        whose = "backend" if name == backend else "ATC_BACKEND"
        raise ValueError(
            f"{whose} {name!r} cannot compute sweeps here; allowed are {', '.join(map(repr, ALLOWED))} (any other "
            "backend that is registered with joblib: compute inside joblib.parallel_config)"
        )
    if name == "auto" and active is not None:
        name = name_of(active)
    if name == "gpu" and (reason := why_not()):
        raise RuntimeError(f'backend "gpu": no GPU can be used here: {reason}')
    if name == "dask":
        return name, max(sum(dask_client().ncores().values()), 1)
    asked = configured if n_jobs is None else n_jobs
    if name not in ALLOWED and active is not None:
        return name, active.effective_n_jobs(active.default_n_jobs if asked is None else asked)
    if asked is None:
        return name, 1 if type(active) is BACKENDS["sequential"] else job_count()
    try:
        jobs = operator.index(asked)
    except TypeError:
        jobs = 0
    if jobs == 0:
        raise ValueError(f"n_jobs must be a whole number, of workers or -1 for all processors; got {asked!r}")
    return name, jobs if jobs > 0 else max(joblib.cpu_count() + 1 + jobs, 1)


def active_backend() -> tuple[Any, int | None]:
    """The backend that a `parallel_config` around us names, or None, and its number of jobs."""
    backend, jobs = get_active_backend()
    if backend is get_active_backend()[0]:
        return backend, jobs
    # Made for this call: nobody named one. Where threads are preferred joblib has put 1 in the place of the jobs.
    return (backend, None) if getattr(backend, "uses_threads", False) else (None, jobs)


def configuration_here() -> Callable[[], Any]:
    """What makes a context of the `parallel_config` around us in another thread, which joblib would not see there."""
    backend, jobs = active_backend()
    named = {"backend": backend, "n_jobs": jobs}
    given = {name: value for name, value in named.items() if value is not None}
    return functools.partial(joblib.parallel_config, **given) if given else contextlib.nullcontext


def name_of(backend: Any) -> str:
    """What one of joblib's backends is called here."""
    name = next((name for name, factory in BACKENDS.items() if type(backend) is factory), type(backend).__name__)
    return _OURS.get(name, name)


def dask_client() -> Any:
    """The Dask client to compute on."""
    active, _ = active_backend()
    if active is not None and name_of(active) == "dask":
        return active.client
    try:
        import distributed
    except ImportError as fault:
        raise ImportError('backend "dask" needs Dask: pip install "atc_plugin[dask]"') from fault
    try:
        return distributed.get_client()
    except ValueError as fault:
        raise ValueError(
            'backend "dask" needs a client first: from dask.distributed import Client; client = Client() for processes '
            'on this machine, Client("address:8786") for a cluster'
        ) from fault
