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
            "aio",
            "alerting",
            "batches",
            "indicator",
            "loading",
            "params",
            "precompiling",
            "profiles",
            "registering",
            "result",
            "scanner",
            "stream",
            "sweeps.grid",
            "sweeps.planning",
            "sweeps.result",
            "sweeps.run",
            "tuning",
            "sweeps.walked",
            "sweeps.walking",
            "warming",
        },
    ),
    "__main__": (set(), set(), {"commands.group"}),
    "commands.group": ({"commands.answers"}, {"click"}, {"__version__"}),
    "commands.run": ({"commands.answers", "commands.asking"}, {"click"}, {"indicator", "pandas"}),
    "commands.sweep": ({"commands.answers", "commands.asking", "commands.sweeping"}, {"click"}, {"sweeps.run"}),
    "commands.warm": ({"commands.answers", "commands.asking", "commands.sweeping"}, {"click"}, {"warming"}),
    "commands.cache": ({"commands.answers", "words"}, {"click"}, {"cache.__init__", "cache.findings"}),
    "commands.compile": ({"commands.answers"}, {"click"}, {"precompiling"}),
    "commands.doctor": (
        {"commands.answers", "words"},
        {"click"},
        {
            "__version__",
            "accel.__init__",
            "cache.__init__",
            "cache.settings",
            "cache.shared",
            "cache.worth",
            "crossovers",
            "engine",
            "indicator",
            "numba",
            "numpy",
            "profiles",
            "stream",
            "sweeps.executors",
            "sweeps.resolving",
        },
    ),
    "commands.profile": ({"commands.answers", "words"}, {"click"}, set()),
    "commands.tune": ({"commands.answers"}, {"click"}, {"crossovers", "tuning"}),
    "commands.sweeping": ({"commands.answers", "commands.asking"}, {"click"}, set()),
    "commands.asking": ({"params", "profiles"}, {"click"}, {"loading", "sweeps.grid"}),
    "commands.answers": (set(), {"click"}, set()),
    "commands.__init__": (set(), set(), set()),
    "tuning": (
        {
            "accel.devices",
            "cache.settings",
            "cache.worth",
            "crossovers",
            "params",
            "precompiling",
            "sweeps.estimates",
            "sweeps.grid",
            "sweeps.run",
            "words",
        },
        {"joblib", "numpy"},
        set(),
    ),
    "optimize": (
        {
            "cache.settings",
            "law.metrics",
            "names",
            "params",
            "prices",
            "sweeps.prepared",
            "sweeps.question",
            "sweeps.ranking",
        },
        {"numpy"},
        {"optuna", "search.judging", "search.space"},
    ),
    "search.judging": (
        {
            "cache.store",
            "law.judging_one",
            "law.metrics",
            "law.stretches",
            "law.turns",
            "law.windows",
            "params",
            "prices",
            "search.pool",
            "sweeps.judge",
            "sweeps.question",
            "sweeps.ranking",
        },
        {"numpy"},
        set(),
    ),
    "search.pool": (
        {
            "cache.store",
            "engine",
            "kept_components",
            "law.components",
            "params",
            "prices",
            "sweeps.components",
        },
        {"cachetools", "numpy"},
        set(),
    ),
    "search.space": ({"params", "sweeps.axes", "sweeps.combinations", "sweeps.grid"}, set(), {"optuna"}),
    "search.__init__": (set(), set(), set()),
    "warming": (
        {
            "cache.settings",
            "growing",
            "kept_components",
            "kept_results",
            "keys",
            "names",
            "sweeps.blocks",
            "sweeps.collecting",
            "sweeps.grid",
            "sweeps.prepared",
            "sweeps.progress",
            "sweeps.run",
            "threads",
            "warm_jobs",
        },
        set(),
        {"warming_workers"},
    ),
    "warm_jobs": (set(), set(), set()),
    "warming_workers": (
        {"cache.store", "kept_components", "sweeps.executors", "sweeps.prepared", "sweeps.workers"},
        {"numpy"},
        set(),
    ),
    "registering": (set(), set(), set()),
    "batches": ({"accel.devices", "aio", "choosing", "engine", "indicator", "names", "params"}, set(), set()),
    "aio": (
        {"cache.forking", "engine", "indicator"},
        set(),
        {"sweeps.progress", "sweeps.resolving", "sweeps.run"},
    ),
    "alerting": (
        {"law.voting", "many_columns", "names", "params", "prices", "result", "scanner", "stream"},
        {"numpy"},
        {"pandas"},
    ),
    "scanner": ({"many_columns", "names", "params", "prices", "result", "words"}, {"numpy"}, {"pandas"}),
    "many_columns": ({"kept_results", "params", "prices"}, {"numpy"}, set()),
    "check": ({"device_arrays", "engine", "params", "prices", "result"}, {"numpy"}, {"pandas"}),
    "indicators.vectorbt": (
        {
            "choosing",
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
    "indicators.pandas": ({"indicators.claiming"}, {"pandas"}, {"indicator", "sweeps.prepared", "sweeps.run"}),
    "indicators.zipped": (
        {
            "cache.settings",
            "engine",
            "kept_components",
            "kept_results",
            "law.turns",
            "law.voting",
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
            "words",
        },
        {"numpy"},
        set(),
    ),
    "indicators.not_computed": (set(), {"numpy"}, set()),
    "indicators.backtrader": (
        {"engine", "indicators.claiming", "kept_results", "params", "prices"},
        {"backtrader", "numpy"},
        {"stream"},
    ),
    "indicators.claiming": (set(), set(), set()),
    "indicators.__init__": (set(), set(), set()),
    "precompiling": (
        set(),
        set(),
        {"indicator", "law.metrics", "stream", "sweeps.grid", "sweeps.run", "sweeps.walking"},
    ),
    "indicator": (
        {"choosing", "device_arrays", "params", "prices", "result"},
        set(),
        {"accel.devices", "device_results"},
    ),
    "choosing": (set(), set(), set()),
    "device_results": (
        {
            "accel.holding",
            "accel.launch",
            "accel.placing",
            "accel.single",
            "column_results",
            "device_arrays",
            "device_prices",
            "engine",
            "kept_results",
            "params",
            "prices",
            "result",
        },
        {"numpy"},
        set(),
    ),
    "device_prices": (
        {"accel.engines", "accel.holding", "accel.placing", "containers", "device_arrays", "prices"},
        {"numpy"},
        set(),
    ),
    "plots": ({"params"}, {"numpy", "plotly"}, set()),
    "result": ({"engine", "kept_results", "law.growth", "params", "prices"}, {"numpy"}, {"pandas", "plots"}),
    "kept_results": (
        {
            "cache.settings",
            "cache.store",
            "column_results",
            "engine",
            "growing",
            "kept_components",
            "keys",
            "law.voting",
            "params",
            "prices",
        },
        {"numpy"},
        set(),
    ),
    "column_results": ({"engine", "params", "prices", "records"}, {"numpy"}, set()),
    "stream": ({"law.__init__", "law.stream", "law.stream_layout", "params", "prices"}, {"numpy"}, {"xxhash"}),
    "sweeps.walking": (
        {
            "cache.settings",
            "law.metrics",
            "names",
            "sweeps.folds",
            "sweeps.grid",
            "sweeps.prepared",
            "sweeps.run",
            "sweeps.walked",
            "sweeps.winners",
        },
        set(),
        {"sweeps.stitched"},
    ),
    "sweeps.walked": (
        {"params", "prices", "sweeps.columns", "sweeps.folds", "sweeps.grid", "sweeps.rows"},
        {"numpy"},
        {"pandas", "plotly", "sweeps.walk_pictures"},
    ),
    "sweeps.walk_pictures": ({"params", "sweeps.columns"}, {"numpy", "plotly"}, set()),
    "sweeps.stitched": (
        {
            "kept_components",
            "law.metrics",
            "prices",
            "sweeps.columns",
            "sweeps.folds",
            "sweeps.grid",
            "sweeps.judge",
            "sweeps.planning",
            "sweeps.question",
            "threads",
        },
        {"numpy"},
        {"law.portfolio", "law.turns"},
    ),
    "sweeps.folds": ({"prices"}, {"numpy"}, {"pandas"}),
    "sweeps.winners": ({"sweeps.collecting", "sweeps.question", "sweeps.ranking"}, {"numpy"}, set()),
    "sweeps.run": (
        {
            "cache.settings",
            "sweeps.accumulated",
            "sweeps.backends",
            "sweeps.blocks",
            "sweeps.collecting",
            "sweeps.grid",
            "sweeps.prepared",
            "sweeps.resolving",
            "sweeps.result",
        },
        set(),
        {"sweeps.series"},
    ),
    "sweeps.series": (
        {"kept_components", "law.turns", "prices", "sweeps.grid", "sweeps.judge", "sweeps.planning", "threads"},
        {"numpy"},
        {"pandas", "sweeps.series_on_devices"},
    ),
    "sweeps.series_on_devices": (
        {
            "accel.engines",
            "accel.launch",
            "accel.layers",
            "accel.pipeline",
            "accel.tables",
            "params",
            "prices",
            "sweeps.components",
            "sweeps.device_components",
            "sweeps.pieces",
            "sweeps.planning",
            "sweeps.ready_columns",
            "threads",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.backends": (
        {"accel.devices", "sweeps.blocks", "sweeps.estimates", "sweeps.grid", "threads"},
        set(),
        {"sweeps.here", "sweeps.on_devices", "sweeps.workers"},
    ),
    "sweeps.on_devices": (
        {
            "accel.devices",
            "accel.engines",
            "accel.launch",
            "accel.pipeline",
            "accel.slots",
            "kept_components",
            "sweeps.accumulated",
            "sweeps.blocks",
            "sweeps.device_columns",
            "sweeps.device_components",
            "sweeps.estimates",
            "sweeps.here",
            "sweeps.judge",
            "sweeps.open_blocks",
            "sweeps.pieces",
            "sweeps.ready_columns",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.device_columns": (
        {
            "accel.engines",
            "accel.judging",
            "accel.layers",
            "accel.tables",
            "accel.turns",
            "law.metrics",
            "law.stretches",
            "law.windows",
            "params",
            "prices",
            "sweeps.accumulated",
            "sweeps.components",
            "sweeps.device_components",
            "sweeps.judge",
            "sweeps.planning",
            "sweeps.question",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.device_components": (
        {"accel.averages", "accel.engines", "accel.layers", "accel.tables", "prices"},
        set(),
        set(),
    ),
    "sweeps.ready_columns": ({"accel.engines", "accel.slots"}, set(), set()),
    "sweeps.pieces": (set(), set(), set()),
    "sweeps.workers": (
        {
            "cache.store",
            "kept_components",
            "sweeps.accumulated",
            "sweeps.blocks",
            "sweeps.estimates",
            "sweeps.executors",
            "sweeps.grid",
            "sweeps.here",
            "sweeps.materials",
            "sweeps.open_blocks",
        },
        set(),
        set(),
    ),
    "sweeps.open_blocks": ({"sweeps.accumulated"}, {"numpy"}, set()),
    "sweeps.here": ({"kept_components", "sweeps.blocks", "sweeps.judge"}, set(), set()),
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
            "cache.settings",
            "cache.store",
            "keys",
            "sweeps.accumulated",
            "sweeps.collecting",
            "sweeps.prepared",
            "sweeps.progress",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.guards": (
        {"sweeps.neighbourhood", "sweeps.overfitting", "sweeps.prepared", "sweeps.question", "sweeps.ranking"},
        {"numpy"},
        {"law.portfolio", "pandas", "result", "sweeps.run", "sweeps.statistics"},
    ),
    "sweeps.prepared": (
        {"prices", "sweeps.grid", "sweeps.planning", "sweeps.question", "sweeps.resolving", "sweeps.settling"},
        set(),
        set(),
    ),
    "sweeps.settling": ({"accel.devices", "crossovers", "sweeps.estimates"}, set(), set()),
    "sweeps.progress": (set(), set(), {"tqdm"}),
    "kept_components": (
        {"cache.store", "engine", "growing", "keys", "params", "records"},
        {"numpy"},
        {"law.components", "sweeps.components", "sweeps.planning"},
    ),
    "growing": ({"cache.store", "keys"}, {"numpy"}, {"xxhash"}),
    "keys": ({"law.growth", "prices"}, {"numpy"}, {"xxhash"}),
    "records": (set(), {"numpy"}, set()),
    "sweeps.judge": (
        {
            "engine",
            "law.bits",
            "law.judging",
            "law.marks",
            "law.metrics",
            "law.stretches",
            "law.turns",
            "law.windows",
            "params",
            "sweeps.accumulated",
            "sweeps.planning",
            "sweeps.question",
            "threads",
        },
        {"numpy"},
        set(),
    ),
    "sweeps.statistics": (
        {"law.metrics", "sweeps.accumulated", "sweeps.collecting", "sweeps.question"},
        {"numpy"},
        set(),
    ),
    "sweeps.accumulated": ({"law.metrics", "sweeps.collecting", "sweeps.question", "threads"}, {"numpy"}, set()),
    "sweeps.collecting": ({"sweeps.question", "sweeps.ranking"}, {"numpy"}, set()),
    "sweeps.question": ({"law.metrics", "law.modes", "names", "prices", "sweeps.portfolios"}, {"numpy"}, {"pandas"}),
    "sweeps.components": ({"engine", "law.components", "law.growth", "law.turns", "sweeps.planning"}, {"numpy"}, set()),
    "sweeps.planning": (
        {"engine", "params", "sweeps.combinations", "sweeps.component_ids", "sweeps.estimates", "sweeps.grid", "words"},
        {"numpy"},
        {"prices", "xxhash"},
    ),
    "sweeps.estimates": ({"words"}, set(), set()),
    "sweeps.result": (
        {"names", "params", "prices", "sweeps.cells", "sweeps.ranking", "sweeps.record"},
        {"numpy"},
        {
            "pandas",
            "result",
            "sweeps.guards",
            "sweeps.pictures",
            "sweeps.portfolios",
            "sweeps.result_files",
        },
    ),
    "sweeps.record": ({"names", "prices", "sweeps.grid", "sweeps.portfolios", "sweeps.rows"}, {"numpy"}, {"pandas"}),
    "sweeps.neighbourhood": ({"sweeps.columns", "sweeps.grid"}, {"numpy"}, set()),
    "sweeps.overfitting": ({"threads"}, {"numpy"}, set()),
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
    "sweeps.resolving": ({"accel.devices", "engine", "profiles"}, {"joblib"}, {"distributed"}),
    "sweeps.component_ids": ({"params", "sweeps.axes", "sweeps.combinations"}, {"numpy"}, set()),
    "sweeps.grid": ({"params", "sweeps.combinations", "sweeps.grid_files", "sweeps.unions"}, set(), set()),
    "sweeps.grid_files": ({"names", "sweeps.axes", "sweeps.combinations", "sweeps.unions"}, set(), set()),
    "sweeps.unions": ({"params", "sweeps.combinations"}, set(), set()),
    "sweeps.combinations": ({"params", "sweeps.axes"}, set(), set()),
    "sweeps.axes": ({"params"}, set(), set()),
    "sweeps.__init__": (set(), set(), set()),
    "accel.placing": ({"accel.engines", "accel.single"}, {"numpy"}, set()),
    "accel.single": (
        {
            "accel.averages",
            "accel.engines",
            "accel.layers",
            "accel.slots",
            "accel.tables",
            "engine",
            "params",
            "words",
        },
        {"numpy"},
        {"law.components"},
    ),
    "accel.holding": ({"accel.launch"}, set(), set()),
    "accel.pipeline": ({"accel.slots"}, set(), set()),
    "accel.slots": ({"accel.engines"}, set(), set()),
    "accel.launch": ({"accel.devices", "accel.signatures"}, {"numpy"}, {"cupy"}),
    "accel.judging": ({"accel.engines", "law.metrics"}, {"numpy"}, set()),
    "accel.turns": ({"accel.engines", "accel.layers", "accel.tables"}, {"numpy"}, set()),
    "accel.layers": ({"accel.averages", "accel.engines", "accel.tables"}, {"numpy"}, set()),
    "accel.averages": ({"accel.engines", "accel.tables"}, {"numpy"}, set()),
    "accel.engines": (set(), {"numpy"}, set()),
    "accel.tables": ({"engine", "law.growth", "params"}, {"numpy"}, {"law.components"}),
    "accel.signatures": (set(), {"numpy"}, set()),
    "accel.__init__": ({"accel.devices"}, set(), set()),
    "accel.devices": (set(), set(), {"cupy", "cupy_backends"}),
    "engine": (
        {"crossovers", "law.growth", "params", "profiles", "threads"},
        {"numpy"},
        {"law.layout", "law.resuming", "law.tiles", "prices"},
    ),
    "crossovers": ({"words"}, set(), {"__version__", "joblib", "law.__init__", "platformdirs"}),
    "threads": (set(), set(), set()),
    "cache.face": (
        {
            "cache.counted",
            "cache.findings",
            "cache.limits",
            "cache.reporting",
            "cache.settings",
            "cache.store",
            "cache.upkeep",
        },
        set(),
        {"warming"},
    ),
    "cache.upkeep": ({"cache.counted", "cache.payload", "cache.store"}, set(), set()),
    "cache.settings": (
        {
            "cache.behind",
            "cache.payload",
            "cache.recent",
            "cache.shared",
            "cache.statistics",
            "cache.store",
            "names",
            "profiles",
        },
        set(),
        {"platformdirs"},
    ),
    "cache.store": (
        {
            "cache.backend",
            "cache.disk",
            "cache.faults",
            "cache.guarded",
            "cache.limits",
            "cache.payload",
            "cache.recent",
            "cache.shared",
            "cache.sharing",
            "cache.statistics",
            "cache.waiting",
            "cache.worth",
            "law.__init__",
        },
        {"numpy"},
        set(),
    ),
    "cache.guarded": (
        {"cache.backend", "cache.disk", "cache.faults", "cache.limits", "cache.statistics"},
        {"numpy"},
        set(),
    ),
    "cache.limits": ({"cache.disk", "cache.payload"}, set(), set()),
    "cache.sharing": (
        {"cache.backend", "cache.disk", "cache.faults", "cache.payload", "cache.shared", "cache.statistics"},
        {"numpy"},
        set(),
    ),
    "cache.worth": ({"cache.disk"}, {"numpy"}, set()),
    "cache.disk": ({"cache.backend", "cache.name_log", "cache.naming", "cache.payload"}, {"joblib", "numpy"}, set()),
    "cache.naming": (set(), {"joblib"}, set()),
    "cache.backend": ({"cache.payload"}, {"joblib", "numpy"}, set()),
    "cache.payload": (set(), {"numpy", "xxhash"}, {"zstandard"}),
    "cache.name_log": ({"cache.forking"}, set(), set()),
    "cache.waiting": ({"cache.behind", "cache.forking", "cache.recent"}, {"numpy"}, set()),
    "cache.behind": ({"cache.forking"}, set(), set()),
    "cache.recent": ({"cache.forking"}, {"cachetools", "numpy"}, set()),
    "cache.reporting": ({"cache.counted", "cache.findings", "words"}, set(), set()),
    "cache.findings": ({"cache.counted", "cache.statistics", "words"}, set(), set()),
    "cache.counted": ({"cache.prometheus", "cache.statistics", "words"}, set(), {"pandas"}),
    "cache.prometheus": ({"cache.statistics"}, set(), set()),
    "cache.faults": ({"cache.statistics"}, set(), set()),
    "cache.statistics": ({"cache.forking"}, set(), set()),
    "cache.forking": (set(), set(), set()),
    "cache.shared": (set(), set(), {"redis"}),
    "cache.__init__": (set(), set(), set()),
    "loading": ({"dates", "names"}, {"numpy", "pandas"}, set()),
    "dates": ({"names"}, {"numpy", "pandas"}, set()),
    "law.voting": (set(), {"numpy"}, set()),
    "law.judging_one": (
        {"law.bits", "law.compiling", "law.judging", "law.stretches", "law.turns", "law.windows"},
        {"numpy"},
        set(),
    ),
    "law.marks": (
        {"law.bits", "law.compiling", "law.judging", "law.metrics", "law.modes", "law.stretches", "law.turns"},
        {"numpy"},
        set(),
    ),
    "law.portfolio": (
        {"law.accumulators", "law.compiling", "law.fills", "law.metrics", "law.windows"},
        {"numpy"},
        set(),
    ),
    "law.judging": (
        {
            "law.accumulators",
            "law.bits",
            "law.compiling",
            "law.fills",
            "law.metrics",
            "law.modes",
            "law.stretches",
            "law.turns",
            "law.windows",
        },
        {"numpy"},
        set(),
    ),
    "law.windows": (
        {"law.accumulators", "law.compiling", "law.fills", "law.metrics", "law.modes", "law.stretches"},
        {"numpy"},
        set(),
    ),
    "law.stretches": ({"law.compiling", "law.modes", "law.simd"}, {"numpy"}, set()),
    "law.turns": ({"law.adaptive", "law.bits", "law.compiling"}, {"numpy"}, set()),
    "law.components": (
        {
            "law.adaptive",
            "law.compiling",
            "law.layout",
            "law.recursive_averages",
            "law.resuming",
            "law.tiles",
            "law.window_averages",
            "law.workspaces",
        },
        {"numpy"},
        set(),
    ),
    "law.stream": (
        {"law.adaptive", "law.compiling", "law.simd", "law.stream_averages", "law.stream_layout"},
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
        {
            "law.adaptive",
            "law.compiling",
            "law.recursive_averages",
            "law.resuming",
            "law.simd",
            "law.window_averages",
            "law.workspaces",
        },
        {"numpy"},
        set(),
    ),
    "law.resuming": ({"law.compiling", "law.layout", "law.window_averages", "law.workspaces"}, set(), set()),
    "law.workspaces": (
        {"law.adaptive", "law.compiling", "law.recursive_averages", "law.simd", "law.window_averages"},
        {"numpy"},
        set(),
    ),
    "law.accumulators": ({"law.compiling", "law.fills", "law.metrics"}, {"numpy"}, set()),
    "law.metrics": (set(), {"numpy"}, set()),
    "law.fills": ({"law.compiling", "law.modes"}, {"numpy"}, set()),
    "law.modes": (set(), set(), set()),
    "law.layout": ({"law.window_averages"}, {"numpy"}, set()),
    "law.growth": (set(), {"numpy"}, set()),
    "law.adaptive": ({"law.compiling", "law.recursive_averages", "law.simd", "law.window_averages"}, {"numpy"}, set()),
    "law.recursive_averages": ({"law.compiling", "law.simd", "law.window_averages"}, {"numpy"}, set()),
    "law.window_averages": ({"law.compiling", "law.simd"}, {"numpy"}, set()),
    "law.bits": ({"law.simd"}, {"llvmlite", "numba", "numpy"}, set()),
    "law.simd": (set(), {"llvmlite", "numba", "numpy"}, set()),
    "law.compiling": (set(), {"numba"}, set()),
    "law.__init__": (set(), set(), set()),
    "prices": ({"containers"}, {"numpy"}, {"xxhash"}),
    "containers": ({"device_arrays"}, {"numpy"}, {"pandas", "polars"}),
    "device_arrays": (set(), {"numpy"}, {"accel.devices", "cupy"}),
    "profiles": ({"names"}, set(), {"cache.settings"}),
    "params": ({"names"}, set(), set()),
    "words": (set(), set(), set()),
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


@pytest.mark.parametrize(
    "code",
    [
        "from atc_plugin import AtcResult, ParamGrid, SweepResult, atc, plan, sweep",
        "import atc_plugin.engine, atc_plugin.indicator, atc_plugin.result",
        "from atc_plugin import ParamGrid, plan; plan(ParamGrid(ema_len=[10, 20]), columns=1, bars=100)",
        "from atc_plugin.law.growth import growth_probe; growth_probe()",
    ],
)
def test_what_computes_is_loaded_when_it_is_needed(code: str) -> None:
    loaded = run_python(f"{code}\nimport sys; print(*sys.modules)").split()
    assert not {"numba", "llvmlite", "tqdm", "vectorbt", "plotly"} & set(loaded)


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
