"""What the cache costs and saves: warmed beside cold, a new process, and files beside plain joblib.Memory.

    python benchmarks/cache.py [--quick] [--only TABLE ...] [--markdown] [--json FILE]

Needs vectorbt and backtrader (`pip install "atc_plugin[test]"`), for a table redis-server. Caches lie in folders for
temporary files. What is compared runs in turns, and limits are held against the best round: other processes only ever
add to the time. A limit that does not hold is marked and never an error; results that differ in a bit from those
without a cache, and a miss where all was warmed, are one.
"""

from __future__ import annotations

from collections.abc import Callable

import cache_calls
import cache_levels
import cache_processes
from keeping import grid_of, without_settings_of_the_user
from measuring import Neighbours, Report, command_line, walk

from atc_plugin import precompile

TABLES: dict[str, Callable[[bool], cache_calls.Measured]] = {
    "modes": cache_processes.modes,
    "warmed": cache_calls.warmed,
    "new_process": cache_processes.new_process,
    "joblib": cache_levels.beside_joblib,
    "compression": cache_levels.compression,
    "break_even": cache_levels.break_even,
    "a_bar_more": cache_calls.a_bar_more,
    "shared": cache_levels.shared,
}


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    parser = command_line(__doc__, "small grids and few rounds")
    parser.add_argument("--only", nargs="+", choices=TABLES, metavar="TABLE", help=f"of {', '.join(TABLES)}")
    asked = parser.parse_args()
    without_settings_of_the_user()
    report = Report(asked)
    precompile()
    cache_calls.swept(walk(1_500), grid_of(10), cache=False)  # what precompile leaves to the first sweep
    for name, measure in TABLES.items():
        if asked.only and name not in asked.only:
            continue
        neighbours = Neighbours()
        table, report.figures[name] = measure(asked.quick)
        table.notes = f"{table.notes} {neighbours.words()}".rstrip()
        report.show(table)
    report.end()


if __name__ == "__main__":
    main()
