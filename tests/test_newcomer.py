"""The README's path from a clone to a backtest of one's own, as printed: all but the download and the installation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from newcomer import README, steps, take
from numba.core.config import DISABLE_JIT

ROOT = README.parent


def test_the_path_has_all_its_steps() -> None:
    blocks = steps()
    assert [language for language, _ in blocks] == ["sh", "sh", "py", "sh"]
    clone, enter, *rest = blocks[0][1].splitlines()
    assert clone.startswith('git clone "$REPOSITORY" atc_plugin')
    assert (enter, rest) == ("cd atc_plugin", ["make demo"])
    text = "".join(text for _, text in blocks)
    assert all(step in text for step in ("atc run prices.csv", "atc sweep prices.csv", "found.portfolio("))


@pytest.mark.skipif(DISABLE_JIT, reason="the demo takes all bars of real stocks, too many for kernels as Python")
@pytest.mark.skipif(not (shutil.which("make") and shutil.which("bash")), reason="there is no make or no bash")
def test_the_path_can_be_walked(tmp_path: Path) -> None:
    pytest.importorskip("vectorbt")
    clone = tmp_path / "atc_plugin"
    bin_ = clone / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for name in ("Makefile", "README.md", "pyproject.toml", "examples"):
        (clone / name).symlink_to(ROOT / name)
    for name, command in (("python", sys.executable), ("atc", f"{sys.executable} -m atc_plugin")):
        (bin_ / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (bin_ / name).chmod(0o755)
    (clone / ".venv" / "demo").touch()  # this Python has all that the demo would install
    printed = take(tmp_path, {"ATC_CACHE_DIR": str(tmp_path / "cache")}, begin=1)
    assert "AAPL on the last days" in printed  # the demo
    assert "ACME" in printed
    assert "Sharpe Ratio" in printed  # the stats of vectorbt
    assert (clone / "mine.html").stat().st_size > 10_000
