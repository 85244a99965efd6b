"""Profiles: named sets of cache size, jobs and backend, for those who will not measure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from .names import found


class Profile(NamedTuple):
    """How much a profile lets calls take where neither they nor the environment say more."""

    size_limit: int | None  # bytes of the cache on disk, None for any number
    recent: int  # bytes of it in memory
    jobs: int | None  # -1 for all processors, None for as many as `tune` found best, or all
    backend: str | None  # of sweeps; None for "auto"


PROFILES = {
    "basic": Profile(200 * 10**6, 16 * 2**20, 1, "cpu"),
    "standard": Profile(2 * 10**9, 64 * 2**20, None, None),
    "aggressive": Profile(10 * 10**9, 256 * 2**20, None, None),
    "maximum": Profile(None, 2**30, -1, None),
}
"""The table of docs/tuning.md."""

_used: Profile | None = None


def use_profile(name: str) -> Profile:
    """Set cache, jobs and backend of this process to those of a profile; what a call asks for goes before.

    As with `cache.configure`, what is set last holds, and goes before the environment. `ATC_PROFILE` names a profile
    too, after which the other variables go before it.

    Args:
        name: "basic" leaves the machine to others, "standard" is what holds without a profile, "aggressive" keeps
            more, "maximum" keeps everything and takes every processor.

    Raises:
        ValueError: for another name.

    >>> use_profile("standard").jobs is None
    True
    """
    from .cache.settings import configure

    global _used
    profile = PROFILES[found(name, PROFILES, "profile", "use_profile")]
    configure(size_limit=profile.size_limit, recent=profile.recent)
    _used = profile
    return profile


def forget_profile() -> None:
    """Undo `use_profile` for jobs and backend."""
    global _used
    _used = None


def profile_named_by(environment: Mapping[str, str]) -> Profile | None:
    """The profile of `ATC_PROFILE`; ValueError for one that there is not."""
    name = environment.get("ATC_PROFILE")
    return PROFILES[found(name, PROFILES, "profile", "ATC_PROFILE")] if name else None


def preferred_backend() -> str:
    """The backend of sweeps that are not told one: of `use_profile`, `ATC_BACKEND`, `ATC_PROFILE`, else "auto"."""
    if _used is not None and _used.backend:
        return _used.backend
    if asked := os.environ.get("ATC_BACKEND"):
        return asked
    profile = profile_named_by(os.environ)
    return (profile and profile.backend) or "auto"


def preferred_jobs(variables: tuple[str, ...]) -> str | None:
    """The jobs of calls that are not told them: of `use_profile`, these variables, `ATC_PROFILE`, else None."""
    if _used is not None and _used.jobs is not None:
        return str(_used.jobs)
    for variable in variables:
        if asked := os.environ.get(variable):
            return asked
    profile = profile_named_by(os.environ)
    return None if profile is None or profile.jobs is None else str(profile.jobs)
