"""`register`: ATC under its name in every framework that is installed."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec

log = logging.getLogger("atc_plugin")
log.addHandler(logging.NullHandler())

_FRAMEWORKS = ("pandas", "vectorbt", "backtrader")  # each with a module of ours


def register() -> list[str]:
    """Make ATC a native of whichever frameworks are installed.

    ``Series.atc`` and ``DataFrame.atc`` of pandas; ``vbt.ATC``, ``vbt.indicators.ATC`` and ``.vbt.atc`` of vectorbt;
    ``bt.indicators.ATC`` of backtrader. A framework that is not installed is skipped, and calling this again changes
    nothing. Importing `atc_plugin.indicators.vectorbt` (or `.pandas`, `.backtrader`) registers that one alone.

    Returns:
        What can be written now, such as ``"vbt.ATC"``.

    Raises:
        RuntimeError: where one of the names already means something else; nothing is replaced.

    >>> from atc_plugin import register
    >>> register()[:2]
    ['Series.atc', 'DataFrame.atc']
    """
    registered: list[str] = []
    for framework in _FRAMEWORKS:
        if find_spec(framework) is None:
            log.info("register: %s is not here, skipped", framework)
            continue
        registered += import_module(f"{__package__}.indicators.{framework}").register()
    return registered
