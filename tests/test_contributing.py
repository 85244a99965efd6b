"""CONTRIBUTING.md adds a moving average: its diffs, applied to a copy of the house, pass the tests that they name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from numba.core.config import DISABLE_JIT

ROOT = Path(__file__).parents[1]
DIFFS = re.findall(r"^```diff\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M | re.S)

HARNESS = """
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_law import fast_atc
from plain_law import plain_atc
from price_strategies import atc_params, prices
from same_bits import assert_same_bits
from test_law import assert_equal_results
from atc_plugin import AtcStream, atc

TRIMA = atc_params(max_len=40, hma_modes=["trima"])


@settings(max_examples=25)
@given(prices(max_bars=300), TRIMA)
def test_the_plain_law(close, params):
    assert_equal_results(fast_atc(close, **params), plain_atc(close, **params), "trima")


@settings(max_examples=25)
@given(prices(min_bars=1, max_bars=150), TRIMA)
def test_the_stream(close, params):
    stream = AtcStream(**params)
    for price, average in zip(close, atc(close, **params).average, strict=True):
        assert_same_bits(stream.update(price).average, average)
"""
HOST = """
from hypothesis import given, settings

from host_kernels import HostEngine
from kernel_stages import assert_stages_are_the_engines
from price_strategies import atc_params, prices
from atc_plugin import AtcParams
from atc_plugin.prices import read_prices


@settings(max_examples=10)
@given(prices(min_bars=1, max_bars=150), atc_params(max_len=40, hma_modes=["trima"]))
def test_the_kernels_of_cuda(close, params):
    assert_stages_are_the_engines(HostEngine(), read_prices(close), AtcParams(**params))
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what the diffs change."""
    if not shutil.which("git"):
        pytest.skip("there is no git to apply the diffs with")
    unwanted = shutil.ignore_patterns("__pycache__", ".*", "gpu")
    for name in ("atc_plugin", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted)
    (tmp_path / "docs").mkdir()
    for name in ("pyproject.toml", "docs/parameters.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def applied(house: Path) -> None:
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(house.parent)}
    for diff in DIFFS:
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        done = subprocess.run(
            command, cwd=house, input=diff, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, f"{done.stderr}\n{diff}"


def test_the_diffs_apply(house: Path) -> None:
    assert len(DIFFS) == 6
    applied(house)
    assert '"trima": HmaAverage("TRIMA", 1)' in (house / "atc_plugin" / "params.py").read_text(encoding="utf-8")


@pytest.mark.skipif(DISABLE_JIT, reason="it is the compiled kernels of a copy that are tested")
def test_the_moving_average_is_right_on_every_engine(house: Path) -> None:
    applied(house)
    (house / "tests" / "test_trima.py").write_text(HARNESS + HOST if shutil.which("g++") else HARNESS)
    talib = ["tests/test_talib.py"] if find_spec("talib") else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_trima.py", *talib]
    command += ["tests/test_params.py"]
    done = subprocess.run(
        command,
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert "failed" not in done.stdout
