"""Who turned long or short, how strongly, and for how long the others' trends have lasted.

    python examples/scan_symbols.py [--csv FILE] [--within BARS] [--json FILE] [NAME=VALUE ...]

Values are parameters of ATC, as long_threshold=0.3 hma_mode=hull.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from atc_plugin import alerts, atc, load_prices, scan

BUNDLED = Path(__file__).parent / "data" / "us_stocks.csv.gz"


def parameter(text: str) -> tuple[str, object]:
    """A parameter from the command line."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"parameters are NAME=VALUE; got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path, default=BUNDLED)
    parser.add_argument("--within", type=int, default=5, metavar="BARS", help="how many last bars count as just turned")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it to a file too")
    parser.add_argument("parameters", nargs="*", type=parameter, metavar="NAME=VALUE")
    asked = parser.parse_args()
    try:
        result = atc(load_prices(asked.csv), **dict(asked.parameters))
        found = scan(result, within=asked.within)
    except (OSError, TypeError, ValueError) as fault:
        parser.error(str(fault))

    print(found)
    columns = ["symbol", "direction", "turned", "age", "strength", "close", "bar"]
    print(f"\nTurned at one of the last {asked.within} bars:")
    print(found.turned().frame[columns].to_string(index=False) if len(found.turned()) else "nobody")
    print("\nThe strongest of the others:")
    others = scan(result, within=asked.within, sort_by="strength").frame
    print(others[others["turned"] == ""][columns].head(8).to_string(index=False))
    print("\nThe last alerts of the average and of any type:")
    print(alerts(result).tail(8).to_string(index=False))
    if asked.json:
        found.to_json(asked.json)
        print(f"\nwritten: {asked.json}")


if __name__ == "__main__":
    main()
