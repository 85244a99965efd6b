"""Compiled once, kept on disk, announced, and never served stale."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numba import config

import atc_plugin
from atc_plugin import atc, precompile
from atc_plugin.law import compiling, tiles

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    """A copy of the package with nothing compiled, whose sources a test may change."""
    package = tmp_path / "atc_plugin"
    shutil.copytree(Path(atc_plugin.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def judged_in_a_new_process(package: Path) -> tuple[int, str]:
    """How often a small entry was found compiled, and what the log said."""
    code = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "import numpy as np\n"
        "from atc_plugin.law.accumulators import judge\n"
        "judge(np.ones(2), np.zeros(2, bool), np.zeros(2, bool), 0, 0.0, 0.0, 100.0)\n"
        "print(sum(judge.stats.cache_hits.values()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(package.parent / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=package.parent
    )
    return int(done.stdout), done.stderr


def test_an_entry_is_compiled_once_announced_and_stale_when_any_file_of_the_law_changes(copied_package: Path) -> None:
    hits, log = judged_in_a_new_process(copied_package)
    assert hits == 0
    assert "compiling judge: once for this machine and version" in log
    assert "compiled judge in" in log
    hits, log = judged_in_a_new_process(copied_package)
    assert (hits, log) == (1, "")
    other = copied_package / "law" / "simd.py"
    other.write_text(other.read_text() + "# changed\n")
    hits, log = judged_in_a_new_process(copied_package)
    assert hits == 0
    assert "compiling judge" in log


def test_all_kinds_of_prices_share_one_compilation() -> None:
    values = 100 + np.arange(60.0).reshape(20, 3)
    read_only = values.copy()
    read_only.flags.writeable = False
    gaps = values.copy()
    gaps[3, 1] = np.nan
    for close in (values, values[:, 0], values[::2, ::-1], read_only, gaps, pd.DataFrame(values), values.astype("f4")):
        result = atc(close, close * 1.01)
        result.weights["EMA"], result.states["KAMA"]
        atc(close, hma_mode="hull", cutout=3, strategy_mode=True).signals["HMA"]
    assert len(tiles.evaluate.signatures) == 1


def test_precompile_leaves_nothing_to_compile(caplog: pytest.LogCaptureFixture) -> None:
    precompile()
    before = len(tiles.evaluate.signatures)
    with caplog.at_level(logging.INFO, "atc_plugin"):
        atc([1.0, 2.0, 3.0]).table()
    assert len(tiles.evaluate.signatures) == before
    assert not caplog.records


def test_where_nothing_can_be_kept_it_is_compiled_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(made: object) -> None:
        raise RuntimeError("no locator available")

    monkeypatch.setattr(compiling, "_also_stamp_the_rest_of_the_law", nowhere)

    @compiling.entry
    def twice(x: float) -> float:
        return 2 * x

    assert twice(4.0) == 8.0
    assert "cannot be kept and will be compiled in every process: no locator available" in caplog.text


def test_a_numba_that_keeps_its_cache_otherwise_keeps_nothing_of_ours() -> None:
    with pytest.raises(RuntimeError, match="keeps its cache in another way"):
        compiling._also_stamp_the_rest_of_the_law(object())
