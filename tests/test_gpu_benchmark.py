"""The benchmark of the GPU runs: on a device that is none, so its figures mean nothing; and without one it says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_cupy import FakeCupy, install
from host_kernels import has_compiler

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("ATC_CACHE", "off")
    import gpu

    yield gpu
    for name in ("gpu", "measuring"):
        sys.modules.pop(name, None)


def test_without_a_gpu_it_measures_nothing(
    benchmark: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    benchmark.main(["--quick"])  # type: ignore[attr-defined]
    assert "Nothing is measured: cupy is not installed" in capsys.readouterr().out


@pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")
def test_every_table_is_made(
    benchmark: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, FakeCupy())
    benchmark.main(["--quick", "--markdown"])  # type: ignore[attr-defined]
    out = capsys.readouterr().out
    assert out.count("### ") == 5
    assert "turns_of_combinations" in out
