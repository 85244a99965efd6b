"""Make us_stocks.csv.gz from the S&P 500 prices that the package skfolio brings along.

    pip install skfolio==1.12.2
    python make_us_stocks.py                                   # reads the installed skfolio, writes next to this script
    python make_us_stocks.py path/to/sp500_dataset.csv.gz      # reads that file instead

Rows from 2010-01-04 on are kept as they stand, digit for digit; the gzip header holds no time and no name, so with the
same zlib the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
from pathlib import Path

FIRST = "2010-01-04"  # the first session of 2010: 13 years in 0.2 MB


def bundled() -> Path:
    """The file inside the installed skfolio, found without importing it and all it needs."""
    spec = importlib.util.find_spec("skfolio")
    if spec is None or spec.origin is None:
        raise SystemExit("skfolio is not installed: pip install skfolio==1.12.2, or give the path of its file")
    return Path(spec.origin).parent / "datasets" / "data" / "sp500_dataset.csv.gz"


def shortened(text: str) -> str:
    """The header and the rows from FIRST on; ISO dates sort as texts."""
    header, *rows = text.split()
    return "\n".join([header, *(row for row in rows if row >= FIRST)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make us_stocks.csv.gz from skfolio's S&P 500 prices.")
    parser.add_argument("source", nargs="?", type=Path, help="sp500_dataset.csv.gz; by default the installed skfolio's")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("us_stocks.csv.gz"))
    arguments = parser.parse_args()
    text = gzip.decompress((arguments.source or bundled()).read_bytes()).decode("ascii")
    arguments.out.write_bytes(gzip.compress(shortened(text).encode("ascii"), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
