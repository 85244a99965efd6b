"""The newcomer's path: the steps that the README prints from nothing to a backtest, taken as printed.

python tests/newcomer.py REPOSITORY      # in a folder of its own that is removed: clones, installs, runs
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

README = Path(__file__).parents[1] / "README.md"
TITLE = "From nothing to your own backtest"


def steps() -> list[tuple[str, str]]:
    """The blocks of the README's section in order: (language, text)."""
    section = re.search(rf"^## {TITLE}\n(.*?)^## ", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section is not None, f"the README has no section {TITLE!r}"
    return re.findall(r"^```(\w+)\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)


def write_prices(path: Path) -> None:
    """What a newcomer has: two symbols, some years of days, with a day on which one of them was not traded."""
    days = pd.bdate_range("2019-01-01", periods=700, name="date")
    walks = 50 * np.exp(np.cumsum(np.random.default_rng(0).normal(0.0004, 0.015, (700, 2)), axis=0))
    prices = pd.DataFrame(walks.round(2), index=days, columns=["ACME", "BETA"])
    prices.iloc[100, 1] = np.nan
    prices.to_csv(path)


def take(folder: Path, environment: Mapping[str, str], begin: int = 0) -> str:
    """Take the steps from line `begin` of the first block on, in one shell that starts in `folder`; what was printed.

    `prices.csv` and `mine.py` lie in the clone when their steps come.
    """
    blocks = steps()
    (_, first), commands = blocks[0], [text for language, text in blocks[1:] if language == "sh"]
    mine = folder / "mine.py"
    mine.write_text("".join(text for language, text in blocks if language == "py"), encoding="utf-8")
    write_prices(folder / "prices.csv")
    lines = ["set -eux", *first.splitlines()[begin:], "cp ../prices.csv ../mine.py .", *commands]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def main(repository: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        printed = take(Path(folder), {"REPOSITORY": str(Path(repository).resolve())})
        assert (Path(folder) / "atc_plugin" / "mine.html").exists()
    print(printed)


if __name__ == "__main__":
    main(*sys.argv[1:])
