"""What every test session needs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from numba.core.config import DISABLE_JIT

# The first call of a kernel compiles it, whatever example hypothesis happens to be at.
settings.register_profile("atc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atc")


def pytest_configure(config: pytest.Config) -> None:
    if DISABLE_JIT:
        # Kernels run as Python then, where numpy would warn of what IEEE arithmetic takes for granted.
        config.addinivalue_line("filterwarnings", "ignore::RuntimeWarning")


if DISABLE_JIT:
    settings.register_profile("python", parent=settings.get_profile("atc"), max_examples=5)
    settings.load_profile("python")
