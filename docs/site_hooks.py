"""What the site has beside the pages of docs/: the README as its first page, and the files that pages link to.

So links work in the repository and in the site alike. Formulas, fenced as GitHub has them, become MathML, which needs
no script.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path, PurePosixPath
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()[^()#\s]+(?=[#)])")
CODE = {".py": "python", ".toml": "toml", ".sh": "sh", ".cu": "cuda", ".txt": "text", "": "text"}
SHIM = "https://unpkg.com/iframe-worker/shim"  # of mkdocs-material's offline plugin, seen in 9.8
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n"

origins: dict[str, Path] = {}  # pages of the site that have links, and where in the repository they come from


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have fences of formulas drawn."""
    fence = {"name": "math", "class": "math", "format": _formula}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README, and whatever pages link to outside of docs/, and so on from there."""
    origins.clear()
    origins.update({file.src_uri: ROOT / "docs" / file.src_uri for file in files.documentation_pages()})
    origins["index.md"] = ROOT / "README.md"
    files.append(File.generated(config, "index.md", abs_src_path=str(ROOT / "README.md")))
    waiting = list(origins.values())
    while waiting:
        for path in _links(waiting.pop()).values():
            uri = _uri(path)
            if files.get_file_from_path(uri) is None:
                files.append(_added(config, path, uri))
                if path.suffix == ".md" or path.is_dir():
                    origins[uri] = path
                    waiting.append(path)
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links to files of the repository into links to where the site has them."""
    here = page.file.src_uri
    if here not in origins:
        return markdown
    known = _links(origins[here])
    return LINK.sub(lambda link: _relative(_uri(known[link[0]]), here) if link[0] in known else link[0], markdown)


def on_post_page(output: str, *, page: Page, **_: Any) -> str:
    """Take what lets pages search on disk from here, where the theme would have the network's."""
    return output.replace(SHIM, get_relative_url("assets/worker_on_disk.js", page.url))


def on_post_template(output: str, **_: Any) -> str:
    """The same on the page of what is not found, which has no place of its own and is never opened from disk."""
    return output.replace(f'<script src="{SHIM}"></script>', "")


def _formula(source: str, *_: Any, **__: Any) -> str:
    return f'<div class="math">{convert(source, display="block")}</div>'


def _links(path: Path) -> dict[str, Path]:
    """What a page links to: files and folders of the repository, by how the link is written."""
    folder = path if path.is_dir() else path.parent
    targets = {link: (folder / link).resolve() for link in LINK.findall(_text(path)) if "://" not in link}
    return {link: target for link, target in targets.items() if target.exists() and target.is_relative_to(ROOT)}


def _uri(path: Path) -> str:
    """Where in the site a file of the repository is."""
    place = PurePosixPath(path.relative_to(ROOT).as_posix())
    if str(place) == "README.md":
        return "index.md"
    if place.parts[0] == "docs":
        return str(PurePosixPath(*place.parts[1:]))
    if path.is_dir():
        return f"source/{place}/{'README' if (path / 'README.md').exists() else 'index'}.md"
    return f"source/{place}.md" if path.suffix in CODE else f"source/{place}"


def _relative(uri: str, page: str) -> str:
    return os.path.relpath(uri, PurePosixPath(page).parent).replace(os.sep, "/")


def _text(path: Path) -> str:
    """The Markdown of a page; of a folder without one, a list of what is in it."""
    if not path.is_dir():
        return path.read_text(encoding="utf-8")
    if (path / "README.md").exists():
        return (path / "README.md").read_text(encoding="utf-8")
    names = sorted(file.name for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    return "\n".join([f"# {path.relative_to(ROOT).as_posix()}", "", *(f"- [{name}]({name})" for name in names), ""])


def _added(config: MkDocsConfig, path: Path, uri: str) -> File:
    """A file of the repository, in the site but not among its chapters; code as a page that shows it."""
    if path.suffix in CODE and not path.is_dir():
        code = path.read_text(encoding="utf-8")
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", code))])
        title = path.relative_to(ROOT).as_posix()
        content = f"{UNSEARCHED}# {title}\n\n{fence}{CODE[path.suffix]}\n{code}\n{fence}\n"
    elif path.suffix == ".md" or path.is_dir():
        content = UNSEARCHED + _text(path)
    else:
        return File.generated(config, uri, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV)
    return File.generated(config, uri, content=content, inclusion=InclusionLevel.NOT_IN_NAV)
