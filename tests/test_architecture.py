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
    "__init__": (set(), set(), {"engine", "indicator", "loading", "params", "result", "sweeps.grid"}),
    "indicator": ({"engine", "params", "prices", "result"}, set(), set()),
    "result": ({"engine", "law.growth", "params", "prices"}, {"numpy"}, {"pandas", "plots"}),
    "plots": ({"params"}, {"numpy", "plotly"}, set()),
    "sweeps.grid": ({"params", "sweeps.combinations", "sweeps.grid_files", "sweeps.unions"}, set(), set()),
    "sweeps.grid_files": ({"names", "sweeps.axes", "sweeps.combinations", "sweeps.unions"}, set(), set()),
    "sweeps.unions": ({"params", "sweeps.combinations"}, set(), set()),
    "sweeps.combinations": ({"params", "sweeps.axes"}, set(), set()),
    "sweeps.axes": ({"params"}, set(), set()),
    "sweeps.__init__": (set(), set(), set()),
    "engine": ({"law.growth", "law.layout", "law.tiles", "params"}, {"numpy"}, {"prices"}),
    "cache.store": (set(), {"joblib", "numpy"}, set()),
    "cache.__init__": (set(), set(), set()),
    "loading": ({"dates", "names"}, {"numpy", "pandas"}, set()),
    "dates": ({"names"}, {"numpy", "pandas"}, set()),
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
