"""The snippets of the README and the docs run as printed, and their links lead somewhere."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from numba.core.config import DISABLE_JIT

from atc_plugin.commands.group import NAMES, atc

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]

CODE_AND_OUTPUT = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sessions_print_what_they_say(page: Path) -> None:
    runner = doctest.DocTestRunner(verbose=False)
    names: dict[str, object] = {}
    for block in blocks(page, "pycon"):
        test = doctest.DocTestParser().get_doctest(block, names, page.name, str(page), 0)
        runner.run(test, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.skipif(DISABLE_JIT, reason="the pages take all bars of real stocks, too many for kernels as Python")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_run_in_order(page: Path) -> None:
    names: dict[str, object] = {}
    for block, shown in CODE_AND_OUTPUT.findall(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, str(page), "exec"), names)  # our own pages
        if shown:
            assert [line.rstrip() for line in printed.getvalue().splitlines()] == shown.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


COMMANDS = [
    line.split("  #")[0].strip()
    for page in (ROOT / "docs" / "command_line.md", ROOT / "docs" / "tuning.md")
    for block in blocks(page, "sh")
    for line in block.splitlines()
]


@pytest.mark.skipif(DISABLE_JIT, reason="the pages take all bars of real stocks, too many for kernels as Python")
def test_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atc_plugin.tuning.timed_sweeps", lambda: lambda trial: trial.work / trial.jobs)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for line in COMMANDS:
        script, *arguments = shlex.split(line)
        assert script == "atc"
        result = CliRunner().invoke(atc, arguments)
        assert result.exit_code == 0, f"{line}: {result.output}"
        assert result.stdout.strip(), line
    assert {"signals.csv", "aapl.html", "found.parquet"} <= {path.name for path in tmp_path.iterdir()}


def test_the_pages_show_every_command() -> None:
    assert {line.split()[1] for line in COMMANDS} == set(NAMES)


def test_the_readme_s_commands_of_atc_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("atc ")]
    assert commands
    for line in commands:
        command = atc.get_command(click.Context(atc), line.split()[1])
        assert command is not None
        command.make_context(command.name, shlex.split(line)[2:])  # raises for options that there are not


def test_the_readme_s_commands_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    targets = [line.split()[1] for line in commands if line.startswith("make ")]
    assert set(targets) == {"demo", "test"}
    assert all(f"\n{target}:" in makefile for target in targets)
    scripts = {word for line in commands for word in line.split() if word.endswith(".py")} - {"mine.py"}
    assert scripts
    assert all((ROOT / script).exists() for script in scripts)
