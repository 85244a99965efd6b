"""The table of parameters and what it drives."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from atc_plugin.params import NAMES, OFFSETS, PARAMETERS, TYPES, AtcParams, as_params


def test_defaults_are_the_published_ones() -> None:
    params = AtcParams()
    assert [params.lengths(type_)[0] for type_ in TYPES] == [28] * 6
    assert [params.weight(type_) for type_ in TYPES] == [1.0] * 6
    assert (params.lambda_, params.decay, params.cutout) == (0.02, 0.03, 0)
    assert (params.robustness, params.long_threshold, params.short_threshold) == ("Medium", 0.1, -0.1)
    assert (params.hma_mode, params.strategy_mode) == ("sma", False)


def test_the_nine_lengths() -> None:
    assert AtcParams(robustness="Narrow").lengths("KAMA") == (28, 29, 30, 31, 32, 27, 26, 25, 24)
    assert AtcParams().lengths("EMA") == (28, 29, 30, 32, 34, 27, 26, 24, 22)
    assert AtcParams(robustness="Wide", lsma_len=10).lengths("LSMA") == (10, 11, 13, 15, 17, 9, 7, 5, 3)


@pytest.mark.parametrize(
    ("value", "other"), [(28, 28.0), (28, np.int64(28)), (28, np.float32(28)), (28, np.array(28)[()])]
)
def test_a_number_is_its_value(value: object, other: object) -> None:
    params = AtcParams(ema_len=value), AtcParams(ema_len=other)
    assert params[0] == params[1]
    assert hash(params[0]) == hash(params[1])
    assert params[0].canonical() == params[1].canonical()
    assert type(params[1].ema_len) is int


def test_minus_zero_is_zero() -> None:
    assert AtcParams(lambda_=-0.0).canonical() == AtcParams(lambda_=0).canonical()


def test_canonical_text_tells_values_apart() -> None:
    changes = [{"ema_len": 29}, {"kama_len": 29}, {"decay": np.nextafter(0.03, 1)}, {"strategy_mode": np.True_}]
    texts = {AtcParams(**change).canonical() for change in changes} | {AtcParams().canonical()}
    assert len(texts) == len(changes) + 1


def test_replace_pickle_and_dict() -> None:
    params = AtcParams(ema_len=10)
    assert params.replace(decay=0.05) == AtcParams(ema_len=10, decay=0.05)
    assert pickle.loads(pickle.dumps(params)) == params
    assert AtcParams(**params.as_dict()) == params
    assert set(params.as_dict()) == NAMES
    with pytest.raises(AttributeError):
        params.ema_len = 11  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"ema_len": 0}, ValueError, r"ema_len must be a whole number >= 1; got 0"),
        ({"ema_len": 28.5}, ValueError, r"ema_len must be a whole number >= 1; got 28.5"),
        ({"ema_len": "28"}, TypeError, r"ema_len must be a whole number >= 1; got '28'"),
        ({"ema_len": True}, TypeError, r"ema_len must be a whole number"),
        ({"ema_len": None}, TypeError, r"ema_len must be a whole number"),
        ({"cutout": -1}, ValueError, r"cutout must be a whole number >= 0; got -1"),
        ({"lambda_": float("inf")}, ValueError, r"lambda_ must be a finite number >= 0; got inf"),
        ({"lambda_": 10**400}, ValueError, r"lambda_ must be a finite number >= 0"),
        ({"long_threshold": float("nan")}, ValueError, r"long_threshold must be a finite number; got nan"),
        ({"decay": 100}, ValueError, r"decay must be a finite number >= 0 and < 100; got 100"),
        ({"wma_w": 0}, ValueError, r"wma_w must be a finite number > 0; got 0"),
        ({"robustness": "medium"}, ValueError, r"'Narrow' or 'Medium' or 'Wide'; got 'medium'. Did you mean 'Medium'"),
        ({"robustness": 2}, TypeError, r"robustness must be 'Narrow'"),
        ({"hma_mode": "hma"}, ValueError, r"hma_mode must be 'sma' or 'hull'"),
        ({"strategy_mode": 1}, TypeError, r"strategy_mode must be True or False; got 1"),
        ({"short_threshold": 0.2}, ValueError, r"short_threshold=0.2 and long_threshold=0.1"),
        ({"emalen": 28}, TypeError, r"no parameter 'emalen'. Did you mean 'ema_len'"),
        ({"EMA_LEN": 28}, TypeError, r"Did you mean 'ema_len'"),
        ({"lambda": 0.1}, TypeError, r"Did you mean 'lambda_'"),
        ({"qqq": 28}, TypeError, r"Parameters are ema_len, hma_len"),
    ],
)
def test_errors_name_parameter_value_and_what_is_allowed(values, error, message) -> None:
    with pytest.raises(error, match=message):
        AtcParams(**values)
    with pytest.raises(error, match=message):
        AtcParams().replace(**values)


@pytest.mark.parametrize("hma_mode", ["sma", "hull"])
@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("robustness", OFFSETS)
def test_the_shortest_legal_length(robustness: str, type_: str, hma_mode: str) -> None:
    name = f"{type_.lower()}_len"
    least = OFFSETS[robustness][-1] + (2 if type_ == "HMA" and hma_mode == "hull" else 1)
    params = AtcParams(**{name: least}, robustness=robustness, hma_mode=hma_mode)
    assert min(params.lengths(type_)) == (2 if type_ == "HMA" and hma_mode == "hull" else 1)
    with pytest.raises(ValueError, match=rf"{name} must be at least {least} with robustness='{robustness}'"):
        AtcParams(**{name: least - 1}, robustness=robustness, hma_mode=hma_mode)


def test_what_a_call_may_pass() -> None:
    base = AtcParams(ema_len=20)
    assert as_params(None, {}) == AtcParams()
    assert as_params(base, {}) is base
    assert as_params(base, {"decay": 0}) == base.replace(decay=0)
    assert as_params({"ema_len": 20}, {"decay": 0}) == base.replace(decay=0)
    with pytest.raises(TypeError, match="params must be AtcParams, a mapping of parameters, or None; got int"):
        as_params(28, {})  # type: ignore[arg-type]


def test_the_table_has_a_meaning_for_each_parameter() -> None:
    for row in PARAMETERS:
        assert row.meaning
        assert row.unit
        assert row.allowed
        assert row.check(row.default) == row.default


def test_the_docs_show_the_table() -> None:
    page = Path(__file__).parents[1] / "docs" / "parameters.md"
    for row in PARAMETERS:
        default = f'"{row.default}"' if isinstance(row.default, str) else row.default
        assert f"| `{row.name}` | {default} | {row.unit} | {row.allowed} | {row.meaning} |" in page.read_text()
