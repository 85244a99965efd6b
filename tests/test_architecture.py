"""The arrows of the house: who may import whom, what importing costs, and what names may not collide."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import atc_plugin

PACKAGE = Path(atc_plugin.__file__).parent

# For each module: what of ours and what of others it may import when it is loaded or, after "later", while it runs.
# Arrows point down: a module may only import modules of lines further down, and `law` nothing but itself.
MAY_IMPORT: dict[str, tuple[set[str], set[str], set[str]]] = {
    "__init__": (
        set(),
        set(),
        {
            "indicator",
            "loading",
            "params",
            "precompiling",
            "registering",
            "result",
            "stream",
            "sweeps.grid",
            "sweeps.planning",
            "sweeps.result",
            "sweeps.run",
        },
    ),
    "registering": (set(), set(), set()),
    "check": ({"engine", "params", "prices", "result"}, {"numpy"}, {"pandas"}),
    "indicators.vectorbt": (
        {
            "engine",
            "indicators.claiming",
            "indicators.not_computed",
            "indicators.vectorbt_accessors",
            "indicators.vectorbt_plots",
            "indicators.zipped",
            "names",
            "params",
            "prices",
        },
        {"numpy", "pandas", "vectorbt"},
        set(),
    ),
    "indicators.vectorbt_accessors": ({"indicators.claiming"}, {"vectorbt"}, {"indicators.vectorbt"}),
    "indicators.vectorbt_plots": (
        {"indicators.not_computed", "params", "plots"},
        {"numpy", "pandas", "vectorbt"},
        set(),
    ),
    "indicators.pandas": ({"indicators.claiming"}, {"pandas"}, {"indicator", "sweeps.run"}),
    "indicators.zipped": (
        {
            "engine",
            "law.growth",
            "law.turns",
            "names",
            "params",
            "prices",
            "sweeps.combinations",
            "sweeps.components",
            "sweeps.estimates",
            "sweeps.grid",
            "sweeps.judge",
            "sweeps.planning",
            "threads",
        },
        {"numpy"},
        set(),
    ),
    "indicators.not_computed": (set(), {"numpy"}, set()),
    "indicators.backtrader": (
        {"engine", "indicators.claiming", "params", "prices", "stream"},
        {"backtrader", "numpy"},
        set(),
    ),
    "indicators.claiming": (set(), set(), set()),
    "indicators.__init__": (set(), set(), set()),
    "precompiling": (set(), set(), {"indicator", "law.metrics", "stream", "sweeps.grid", "sweeps.run"}),
    "indicator": ({"engine", "params", "prices", "result"}, set(), set()),
    "result": ({"engine", "law.growth", "params", "prices"}, {"numpy"}, {"pandas", "plots"}),
    "plots": ({"params"}, {"numpy", "plotly"}, set()),
    "stream": (
        {"law.__init__", "law.stream", "law.stream_layout", "params", "prices"},
        {"numpy"},
        {"xxhash"},
    ),
    "sweeps.run": (
        {
            "prices",
            "sweeps.backends",
            "sweeps.blocks",
            "sweeps.collecting",
            "sweeps.grid",
            "sweeps.planning",
            "sweeps.question",
            "sweeps.resolving",
            "sweeps.result",
        },
        set(),
        {"sweeps.series"},
    ),
    "sweeps.series": (
        {"law.turns", "prices", "sweeps.components", "sweeps.grid", "sweeps.judge", "sweeps.planning", "threads"},
        {"numpy"},
        {"pandas"},
    ),
    "sweeps.backends": (
        {
            "law.metrics",
            "sweeps.accumulated",
            "sweeps.blocks",
            "sweeps.components",
            "sweeps.estimates",
            "sweeps.executors",
            "sweeps.grid",
            "sweeps.judge",
            "sweeps.materials",
            "threads",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.materials": (
        {
            "prices",
            "sweeps.accumulated",
            "sweeps.components",
            "sweeps.executors",
            "sweeps.judge",
            "sweeps.planning",
            "sweeps.question",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.blocks": (
        {
            "cache.store",
            "law.__init__",
            "law.growth",
            "law.metrics",
            "prices",
            "sweeps.accumulated",
            "sweeps.collecting",
            "sweeps.estimates",
            "sweeps.judge",
            "sweeps.planning",
            "sweeps.question",
        },
        {"numpy"},
        {"tqdm"},
    ),
    "sweeps.accumulated": (
        {"law.metrics", "sweeps.collecting", "sweeps.judge", "sweeps.question", "threads"},
        {"numpy"},
        set(),
    ),
    "sweeps.collecting": ({"sweeps.question", "sweeps.ranking"}, {"numpy"}, set()),
    "sweeps.question": (
        {"law.fills", "law.metrics", "names", "prices", "sweeps.judge", "sweeps.portfolios"},
        {"numpy"},
        {"pandas"},
    ),
    "sweeps.judge": (
        {
            "engine",
            "law.bits",
            "law.judging",
            "law.metrics",
            "law.stretches",
            "law.turns",
            "law.windows",
            "params",
            "sweeps.planning",
            "threads",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.components": ({"law.components", "law.growth", "law.turns", "sweeps.planning"}, {"numpy"}, set()),
    "sweeps.planning": (
        {"engine", "params", "sweeps.combinations", "sweeps.component_ids", "sweeps.estimates", "sweeps.grid"},
        {"numpy"},
        {"prices", "xxhash"},
    ),
    "sweeps.estimates": (set(), set(), set()),
    "sweeps.result": (
        {"names", "params", "prices", "sweeps.cells", "sweeps.ranking", "sweeps.record"},
        {"numpy"},
        {"pandas", "result", "sweeps.pictures", "sweeps.portfolios", "sweeps.result_files"},
    ),
    "sweeps.record": (
        {"names", "prices", "sweeps.grid", "sweeps.portfolios", "sweeps.rows"},
        {"numpy"},
        {"pandas"},
    ),
    "sweeps.result_files": (
        {"params", "prices", "sweeps.axes", "sweeps.combinations", "sweeps.grid"},
        {"numpy"},
        {"pandas"},
    ),
    "sweeps.pictures": (
        {"names", "params", "sweeps.cells", "sweeps.columns", "sweeps.ranking"},
        {"numpy", "plotly"},
        set(),
    ),
    "sweeps.cells": ({"sweeps.rows"}, {"numpy"}, set()),
    "sweeps.ranking": (set(), {"numpy"}, set()),
    "sweeps.rows": ({"names", "params", "sweeps.columns", "sweeps.grid"}, {"numpy"}, {"pandas"}),
    "sweeps.columns": ({"params", "sweeps.combinations", "sweeps.component_ids", "sweeps.grid"}, {"numpy"}, set()),
    "sweeps.portfolios": ({"params", "prices"}, set(), {"pandas", "result", "vectorbt"}),
    "sweeps.executors": ({"sweeps.cluster", "sweeps.resolving"}, {"joblib"}, {"distributed"}),
    "sweeps.cluster": ({"sweeps.resolving"}, set(), {"distributed", "joblib"}),
    "sweeps.resolving": ({"engine"}, {"joblib"}, {"distributed"}),
    "sweeps.component_ids": ({"params", "sweeps.axes", "sweeps.combinations"}, {"numpy"}, set()),
    "sweeps.grid": ({"params", "sweeps.combinations", "sweeps.grid_files", "sweeps.unions"}, set(), set()),
    "sweeps.grid_files": ({"names", "sweeps.axes", "sweeps.combinations", "sweeps.unions"}, set(), set()),
    "sweeps.unions": ({"params", "sweeps.combinations"}, set(), set()),
    "sweeps.combinations": ({"params", "sweeps.axes"}, set(), set()),
    "sweeps.axes": ({"params"}, set(), set()),
    "sweeps.__init__": (set(), set(), set()),
    "engine": ({"law.growth", "law.layout", "law.tiles", "params", "threads"}, {"numpy"}, {"prices"}),
    "threads": (set(), set(), set()),
    "cache.store": (set(), {"joblib", "numpy"}, {"platformdirs"}),
    "cache.__init__": (set(), set(), set()),
    "loading": ({"dates", "names"}, {"numpy", "pandas"}, set()),
    "dates": ({"names"}, {"numpy", "pandas"}, set()),
    "law.judging": (
        {
            "law.bits",
            "law.compiling",
            "law.fills",
            "law.metrics",
            "law.stretches",
            "law.turns",
            "law.windows",
        },
        {"numpy"},
        set(),
    ),
    "law.windows": (
        {"law.compiling", "law.fills", "law.metrics", "law.stretches"},
        {"numpy"},
        set(),
    ),
    "law.stretches": ({"law.compiling", "law.fills", "law.simd"}, {"numpy"}, set()),
    "law.turns": ({"law.adaptive", "law.bits", "law.compiling"}, {"numpy"}, set()),
    "law.components": (
        {
            "law.adaptive",
            "law.compiling",
            "law.layout",
            "law.recursive_averages",
            "law.tiles",
            "law.window_averages",
        },
        {"numpy"},
        set(),
    ),
    "law.stream": (
        {"law.adaptive", "law.compiling", "law.growth", "law.simd", "law.stream_averages", "law.stream_layout"},
        {"numpy"},
        set(),
    ),
    "law.stream_averages": (
        {"law.compiling", "law.recursive_averages", "law.simd", "law.stream_layout"},
        {"numpy"},
        set(),
    ),
    "law.stream_layout": ({"law.adaptive"}, {"numpy"}, set()),
    "law.tiles": (
        {"law.adaptive", "law.compiling", "law.recursive_averages", "law.simd", "law.window_averages"},
        {"numpy"},
        set(),
    ),
    "law.metrics": ({"law.compiling", "law.fills"}, {"numpy"}, set()),
    "law.fills": ({"law.compiling"}, {"numpy"}, set()),
    "law.layout": ({"law.window_averages"}, {"numpy"}, set()),
    "law.growth": ({"law.compiling"}, {"numpy"}, set()),
    "law.adaptive": (
        {"law.compiling", "law.recursive_averages", "law.simd", "law.window_averages"},
        {"numpy"},
        set(),
    ),
    "law.recursive_averages": ({"law.compiling", "law.simd", "law.window_averages"}, {"numpy"}, set()),
    "law.window_averages": ({"law.compiling", "law.simd"}, {"numpy"}, set()),
    "law.bits": ({"law.simd"}, {"llvmlite", "numba", "numpy"}, set()),
    "law.simd": (set(), {"llvmlite", "numba", "numpy"}, set()),
    "law.compiling": (set(), {"numba"}, set()),
    "law.__init__": (set(), set(), set()),
    "prices": ({"containers"}, {"numpy"}, {"xxhash"}),
    "containers": (set(), {"numpy"}, {"pandas", "polars"}),
    "params": ({"names"}, set(), set()),
    "names": (set(), set(), set()),
}
ORDER = list(MAY_IMPORT)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> tuple[set[str], set[str]]:
    """What a module imports when it is loaded, and while it runs; what only type checkers see is left out."""
    tree = ast.parse(path.read_text())
    at_load, later = set(), set()

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            return
        found = later if inside else at_load
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            assert node.module.split(".")[0] != "atc_plugin", f"{path.name} imports the package by its full name"
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            package = ["atc_plugin", *path.relative_to(PACKAGE).parent.parts][
                : None if node.level == 1 else 1 - node.level
            ]
            base = ".".join([*package[1:], *(node.module.split(".") if node.module else [])])
            base += ".__init__" if f"{base}.__init__" in MODULES and node.module else ""
            found.update(
                [f"ours:{base}"] if node.module else [f"ours:{base}.{a.name}".replace(":.", ":") for a in node.names]
            )
        for child in ast.iter_child_nodes(node):
            visit(child, inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(tree, inside=False)
    return at_load, later


def test_every_module_has_its_line() -> None:
    assert set(MODULES) == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module: str) -> None:
    ours, others, allowed_later = MAY_IMPORT[module]
    at_load, later = (
        {name for name in found if name.split(".")[0] not in sys.stdlib_module_names}
        for found in imports(MODULES[module])
    )
    known = {f"ours:{name}" for name in ours} | others
    assert at_load <= known, f"{module} imports {at_load - known}"
    known |= {f"ours:{name}" for name in allowed_later} | allowed_later
    assert later <= known, f"{module} imports {later - known} while it runs"


@pytest.mark.parametrize("module", MODULES)
def test_the_table_of_arrows_itself_points_down(module: str) -> None:
    ours, _, _ = MAY_IMPORT[module]
    assert all(ORDER.index(other) > ORDER.index(module) for other in ours)
    if module.startswith("law."):
        assert all(other.startswith("law.") for other in ours), "the law knows nothing but itself"


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_the_package_loads_no_other_library() -> None:
    loaded = json.loads(
        run_python(
            "import sys; before = set(sys.modules); import atc_plugin, json;"
            "print(json.dumps([m for m in set(sys.modules) - before]))"
        )
    )
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"atc_plugin"}
    assert not foreign
    assert not [name for name in loaded if name.startswith("atc_plugin.")]


def test_parameters_load_no_other_library() -> None:
    loaded = run_python("import sys; from atc_plugin import AtcParams; AtcParams(); print(*sys.modules)").split()
    assert not {"numpy", "pandas", "numba"} & set(loaded)


def test_computing_on_arrays_loads_no_pandas() -> None:
    code = "import sys, numpy as np; from atc_plugin import atc; atc(np.ones(9)).average; print(*sys.modules)"
    assert not {"pandas", "polars", "plotly"} & set(run_python(code).split())


def test_public_names_resolve_and_are_listed() -> None:
    for name in atc_plugin.__all__:
        assert getattr(atc_plugin, name).__doc__
        assert name in dir(atc_plugin)
    assert run_python("import atc_plugin; print(atc_plugin.check.recursive.__name__)").strip() == "recursive"
    with pytest.raises(AttributeError, match="no attribute 'atcc'"):
        atc_plugin.atcc  # noqa: B018


def test_no_public_function_shares_its_name_with_a_module_beside_it() -> None:
    for module in MODULES:
        package = module.rpartition(".")[0]
        modules = {name.rpartition(".")[2] for name in MODULES if name.rpartition(".")[0] == package}
        dotted = "atc_plugin" if module == "__init__" else f"atc_plugin.{module}".removesuffix(".__init__")
        loaded = importlib.import_module(dotted)
        own = {name for name, value in vars(loaded).items() if getattr(value, "__module__", "") == dotted}
        public = {name for name in own if callable(vars(loaded)[name]) and not name.startswith("_")}
        assert not public & modules, module
