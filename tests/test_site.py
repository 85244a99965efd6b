"""The documentation as a site: built without a network and without a warning, and every link in it leads somewhere."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import atc_plugin
from atc_plugin import cache

ROOT = Path(__file__).parents[1]
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
SHOWN = re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)

OFFLINE = """
import socket, sys
def refuse(*_, **__):
    raise OSError("the site was to be built without a network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from mkdocs.__main__ import cli
cli(sys.argv[1:], standalone_mode=True)
"""


class Page(HTMLParser):
    """The links and anchors of a page, and what a browser fetches to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.anchors: set[str] = set()
        self.formulas = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        self.formulas += tag == "math"
        target = given.get("href") or given.get("src")
        if target is not None:
            is_link = tag == "a" or given.get("rel") in ("canonical", "prev", "next")
            (self.links if is_link else self.fetched).add(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    folder = tmp_path_factory.mktemp("site").resolve()
    done = subprocess.run(  # without --quiet, which would have warnings pass
        [sys.executable, "-c", OFFLINE, "build", "--strict", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {path: Page(path) for path in folder.rglob("*.html") if path.name != "404.html"}  # of any folder


def test_every_link_leads_somewhere(site: dict[Path, Page]) -> None:
    followed = 0
    for path, page in site.items():
        for target in page.links | page.fetched:
            parts = urlsplit(target)
            if parts.scheme:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert to.is_file(), f"{path.name}: {target}"
            if parts.fragment and to in site:
                assert unquote(parts.fragment) in site[to].anchors | {"__toc"}, f"{path.name}: {target}"
            followed += 1
    assert followed > 1000


def test_pages_need_no_network(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        assert not [target for target in page.fetched if urlsplit(target).netloc], path.name


def test_pages_and_the_files_that_they_link_to_are_there(site: dict[Path, Page]) -> None:
    names = {path.name for path in site}
    assert {"index.html", "tutorial.html", "first_look.py.html", "plain_law.py.html", "NOTICE.html"} <= names
    assert {page.stem for page in (ROOT / "docs").rglob("*.md")} <= {path.stem for path in site}


def test_formulas_are_drawn_by_the_browser(site: dict[Path, Page]) -> None:
    (law,) = (page for path, page in site.items() if path.name == "law.html")
    written = (ROOT / "docs" / "law.md").read_text(encoding="utf-8").count("```math\n")
    assert law.formulas >= written > 0


def public(module: str) -> set[str]:
    """The public functions and classes that a module defines, of which its page shows all."""
    tree = ast.parse((ROOT / "atc_plugin" / f"{module}.py").read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def test_the_reference_has_every_public_name() -> None:
    missing = {f"atc_plugin.{name}" for name in atc_plugin.__all__} - set(SHOWN)
    assert not missing
    for module in ("cache", "check", "optimize"):  # shown as a whole
        assert f"atc_plugin.{module}" in SHOWN
    assert len(SHOWN) == len(set(SHOWN))


def test_the_reference_shows_the_members_of_modules(site: dict[Path, Page]) -> None:
    anchors = {anchor for path, page in site.items() if path.parent.name == "reference" for anchor in page.anchors}
    wanted = {f"atc_plugin.{name}" for name in atc_plugin.__all__}
    wanted |= {f"atc_plugin.{module}.{name}" for module in ("check", "optimize") for name in public(module)}
    wanted |= {f"atc_plugin.cache.{name}" for name in cache.__all__}
    wanted |= {"atc_plugin.AtcStream.update", "atc_plugin.SweepResult.best", "atc_plugin.AtcResult.table"}
    assert not wanted - anchors


def test_it_is_a_network_that_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE.split("from mkdocs")[0] + "socket.create_connection(('127.0.0.1', 9))"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "without a network" in done.stderr
    assert socket.create_connection  # of this process, untouched
