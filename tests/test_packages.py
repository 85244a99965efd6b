"""What the wheel and the sdist hold, and that their version is the package's. `.ci/run` installs both and runs them."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import atc_plugin

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "atc_plugin").rglob("*")
    if path.suffix in (".py", ".cu") or path.name == "py.typed"
}
LEFT_BEHIND = ("__pycache__", ".pyc", ".nbi", ".nbc", "_cache/", ".hypothesis", ".coverage", ".venv", ".git/")
"""What builds, tests and caches leave in a checkout: no package takes it along."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both, built by the backend itself: offline, and from the tree as it is."""
    pytest.importorskip("hatchling", reason="the build backend is not installed: pip install hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def test_the_package_is_all_there() -> None:
    assert "atc_plugin/py.typed" in PACKAGE
    assert {path for path in PACKAGE if path.endswith(".cu")} >= {"atc_plugin/accel/kernels/common.cu"}


def test_the_wheel_holds_the_package_and_nothing_else(packages: dict[str, Path]) -> None:
    with zipfile.ZipFile(packages["wheel"]) as wheel:
        names = set(wheel.namelist())
        metadata = f"atc_plugin-{atc_plugin.__version__}.dist-info"
        assert {name for name in names if not name.startswith(metadata)} == PACKAGE
        assert {f"{metadata}/licenses/{name}" for name in ("LICENSE", "NOTICE")} <= names
        said = Parser().parsestr(wheel.read(f"{metadata}/METADATA").decode())
        assert said["Version"] == atc_plugin.__version__
        assert set(said.get_all("Provides-Extra") or []) == set(PROJECT["project"]["optional-dependencies"])
        scripts = wheel.read(f"{metadata}/entry_points.txt").decode()
    assert "atc = atc_plugin.__main__:main" in scripts


def test_the_sdist_holds_what_tests_and_docs_need_too(packages: dict[str, Path]) -> None:
    with tarfile.open(packages["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= PACKAGE
    texts = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "Makefile", "pyproject.toml"}
    assert names >= texts | {".ci/run", "tests/smoke.py", "examples/README.md", "docs/law.md", "benchmarks/single.py"}
    assert not [name for name in names if any(left in f"/{name}" for left in LEFT_BEHIND) or name.startswith("out/")]


def test_the_version_has_one_source() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "atc_plugin/__init__.py"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.findall(r"^## \[([\d.]+)\]", changes, re.MULTILINE)[0]
    assert latest == atc_plugin.__version__
