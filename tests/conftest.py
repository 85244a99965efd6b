"""What every test session needs."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings
from numba import config

# The first call of a kernel compiles it, whatever example hypothesis happens to be at.
settings.register_profile("atc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atc")

if config.DISABLE_JIT:
    # Kernels run as Python then, where numpy would warn of what IEEE arithmetic takes for granted.
    np.seterr(all="ignore")
    settings.register_profile("python", parent=settings.get_profile("atc"), max_examples=5)
    settings.load_profile("python")
