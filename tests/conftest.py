"""What every test session needs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from numba.core.config import DISABLE_JIT

from atc_plugin.cache import settings as cache_settings
from atc_plugin.profiles import forget_profile

# The first call of a kernel compiles it, whatever example hypothesis happens to be at.
settings.register_profile("atc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atc")


def pytest_configure(config: pytest.Config) -> None:
    # Worker processes of pytest-xdist ignore what tests of interrupts send themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if DISABLE_JIT:
        # Kernels run as Python then, where numpy would warn of what IEEE arithmetic takes for granted.
        config.addinivalue_line("filterwarnings", "ignore::RuntimeWarning")


if DISABLE_JIT:
    settings.register_profile("python", parent=settings.get_profile("atc"), max_examples=5)
    settings.load_profile("python")


@pytest.fixture(autouse=True)
def default_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test has a cache of its own, and none finds stores that another has opened."""
    for variable in ("ATC_CACHE", "ATC_CACHE_SIZE", "ATC_CACHE_TTL", "ATC_CACHE_SHARED", "ATC_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    directory = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ATC_CACHE_DIR", str(directory))
    cache_settings.forget()
    yield directory
    cache_settings.forget()
    forget_profile()
