"""Grids as TOML and JSON files.

A file holds one table, `product` (values by name: a list, one value, or {start, stop, step} of whole numbers, stop
excluded) or `points` (a list of tables), or a list `union` of such tables.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..names import suggestion
from .axes import listed_values
from .combinations import Combinations, Kept, Product, points_of, product_of
from .unions import Union

_KINDS = ("product", "points", "union")


def read_combinations(path: Path) -> Combinations:
    """The combinations of a file; errors name the file and the key."""
    is_toml = _is_toml(path)
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text) if is_toml else json.loads(text, object_pairs_hook=_each_once)
    except ValueError as error:  # as those of both libraries are, and of text that is not UTF-8
        raise ValueError(f"{path} is not valid {'TOML' if is_toml else 'JSON'}: {error}") from None
    return _read_table(table, f"{path}: ", "")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there more than once")
    return table


def _read_table(table: Any, file: str, key: str) -> Combinations:
    where = f"{file}{key}: " if key else file
    if not isinstance(table, dict):
        raise TypeError(f"{where}must be a table; got {table!r}")
    for name in table:
        if name not in _KINDS:
            raise ValueError(f"{where}unknown key {name!r}{suggestion(name, _KINDS)}")
    if len(table) != 1:
        raise ValueError(f"{where}one of product, points and union is needed; got {', '.join(table) or 'none'}")
    ((kind, content),) = table.items()
    key = f"{key}.{kind}" if key else kind
    if kind == "union":
        if not isinstance(content, list) or not content:
            raise TypeError(f"{file}{key}: must be a list of tables; got {content!r}")
        return Union(tuple(_read_table(part, file, f"{key}[{place}]") for place, part in enumerate(content)))
    try:
        if kind == "points":
            return points_of(content)
        if not isinstance(content, dict):
            raise TypeError(f"must be a table of parameters; got {content!r}")
    except (TypeError, ValueError) as error:
        raise type(error)(f"{file}{key}: {error}") from None
    axes = {}
    for name, values in content.items():
        try:
            axes[name] = listed_values(name, _range_of(values) if isinstance(values, dict) else values)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{file}{key}.{name}: {error}") from None
    try:
        return product_of(axes, None)
    except ValueError as error:
        raise ValueError(f"{file}{key}: {error}") from None


def _range_of(table: dict[str, Any]) -> range:
    wanted = {"start", "stop"}
    if not (wanted <= set(table) <= wanted | {"step"} and all(type(value) is int for value in table.values())):
        raise ValueError(f"a range is {{start, stop, step}} in whole numbers, step 1 where left out; got {table!r}")
    return range(table["start"], table["stop"], table.get("step", 1))


def write_combinations(combinations: Combinations, path: Path) -> None:
    """Write combinations so that reading gives them back exactly."""
    is_toml = _is_toml(path)
    table = _table_of(combinations)
    text = "".join(_toml_lines(table, ())) if is_toml else "".join(_json_lines(table))
    path.write_text(text, encoding="utf-8")


def _is_toml(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".json"):
        raise ValueError(f"{path}: the name of a grid's file must end in .toml or .json")
    return suffix == ".toml"


def _table_of(combinations: Combinations) -> dict[str, Any]:
    if isinstance(combinations, Kept):
        raise ValueError(
            "a grid with `where` cannot be written, a file holds no code; "
            "write ParamGrid.points(grid), its combinations one by one"
        )
    if isinstance(combinations, Product):
        return {"product": {name: _as_range(values) for name, values in combinations.axes.items()}}
    if isinstance(combinations, Union):
        return {"union": [_table_of(part) for part in combinations.parts]}
    if not combinations.bound:
        raise ValueError("a grid without combinations cannot be written")
    names = combinations.names
    return {"points": ({name: getattr(params, name) for name in names} for params in combinations)}


def _as_range(values: tuple[Any, ...]) -> Any:
    if len(values) > 3 and all(type(value) is int for value in values):
        steps = {after - before for before, after in itertools.pairwise(values)}
        if len(steps) == 1:
            step = steps.pop()
            return {"start": values[0], "stop": values[-1] + step, "step": step}
    return list(values)


def _json_lines(table: Mapping[str, Any]) -> Iterator[str]:
    """One line a parameter or point, so that files can be read and compared."""
    ((kind, content),) = table.items()
    if kind == "product":
        lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
        yield f'{{"product": {{\n{_joined(lines)}\n}}}}\n'
    elif kind == "points":
        yield f'{{"points": [\n{_joined(map(json.dumps, content))}\n]}}\n'
    else:
        yield f'{{"union": [\n{_joined("".join(_json_lines(part)).rstrip() for part in content)}\n]}}\n'


def _joined(lines: Iterable[str]) -> str:
    return ",\n".join(lines)


def _toml_lines(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    ((kind, content),) = table.items()
    if kind == "product":
        yield f"[{'.'.join((*above, kind))}]\n"
        yield from (f"{name} = {_toml_value(value)}\n" for name, value in content.items())
    elif kind == "points":
        yield f"points = [\n{_joined(map(_toml_value, content))},\n]\n"
    else:
        for part in content:
            yield f"[[{'.'.join((*above, kind))}]]\n"
            yield from _toml_lines(part, (*above, kind))


def _toml_value(value: Any) -> str:
    """Numbers, plain words, booleans and lists of them are written alike in TOML and JSON; tables are not."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {json.dumps(item)}' for name, item in value.items())}}}"
    return json.dumps(value)
