"""What launches check before a kernel runs: the same for numpy's arrays and a device's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atc_plugin.accel.signatures import FILES, kernel_signatures, signatures_in, source

TEXT = """
extern "C" __global__ void scaled(
    const double* __restrict__ x,  // rows columns
    i64 rows,
    i64 columns,
    double by,
    const i64* __restrict__ places,  // ?
    const i8* __restrict__ nines,  // rows 9
    const i32* __restrict__ images,  // columns
    const u32* __restrict__ masks,  // columns
    double* out  // rows columns or none
) {
}
"""
SCALED = signatures_in(TEXT)["scaled"]


def arguments(**changed: Any) -> dict[str, Any]:
    good = {
        "x": np.ones((2, 3)),
        "rows": 2,
        "columns": 3,
        "by": 0.5,
        "places": np.arange(5),
        "nines": np.ones(18, np.int8),
        "images": np.ones(3, np.int32),
        "masks": np.ones(3, np.uint32),
        "out": np.ones((2, 3)),
    }
    return good | changed


def test_arguments_come_in_the_kernels_order_and_types() -> None:
    x, rows, columns, by, places, nines, images, masks, out = SCALED.arranged(dict(reversed(arguments().items())))
    assert x.shape == out.shape == (2, 3)
    assert (rows, columns, by) == (2, 3, 0.5)
    assert (rows.dtype, columns.dtype, by.dtype) == (np.int64, np.int64, np.float64)
    assert places.dtype == np.int64
    assert (nines.dtype, images.dtype, masks.dtype) == (np.int8, np.int32, np.uint32)
    assert [p.name for p in SCALED.parameters if p.is_written] == ["out"]


def test_an_array_that_may_be_none_is_handed_over_as_none_when_empty() -> None:
    assert SCALED.arranged(arguments(out=np.ones((0, 3))))[-1] is None
    with pytest.raises(ValueError, match=r"scaled\(x\) takes rows \* columns numbers \(6\), got 0"):
        SCALED.arranged(arguments(x=np.ones((0, 3))))


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"x": np.ones((2, 3), np.float32)}, TypeError, r"scaled\(x\) takes an array of float64, got one of float32"),
        ({"places": np.arange(5, dtype=np.int32)}, TypeError, "takes an array of int64, got one of int32"),
        ({"nines": np.ones(18, bool)}, TypeError, "takes an array of int8, got one of bool"),
        ({"x": np.ones((3, 2)).T}, TypeError, "in C order"),
        ({"x": np.ones((2, 6))[:, ::2]}, TypeError, "in C order"),
        ({"x": [[1.0] * 3] * 2}, TypeError, "takes an array of float64, got list"),
        ({"x": 1.0}, TypeError, "takes an array of float64, got float"),
        ({"out": np.ones((2, 4))}, ValueError, r"scaled\(out\) takes rows \* columns numbers \(6\), got 8"),
        ({"nines": np.ones(9, np.int8)}, ValueError, r"rows \* 9 numbers \(18\), got 9"),
        ({"rows": 2.0}, TypeError, r"scaled\(rows\) takes one int64, got 2.0"),
        ({"rows": True}, TypeError, "takes one int64, got True"),
        ({"rows": np.array([2])}, TypeError, "takes one int64"),
        ({"by": 1}, TypeError, r"scaled\(by\) takes one float64, got 1"),
        ({"rest": 1}, TypeError, r"missing arguments \[\], unknown arguments \['rest'\]"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_where(
    changed: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        SCALED.arranged(arguments(**changed))


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(TypeError, match=r"missing arguments \['by'\], unknown arguments \[\]"):
        SCALED.arranged({name: value for name, value in arguments().items() if name != "by"})


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("  // ?", ""),  # a pointer without its shape
        TEXT.replace("i64 rows,", "i64 rows,  // one"),  # a shape without a pointer
        TEXT.replace("double by,", "float by,"),
        TEXT.replace("double by,", "double by, double to,"),
        TEXT.replace("// rows 9", "// lines 9"),
        TEXT.replace("// rows 9", "// by 9"),  # no integer
        TEXT.replace('extern "C" ', ""),
    ],
)
def test_a_source_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"scaled|can be read"):
        signatures_in(text)


def test_lines_are_as_long_as_everywhere() -> None:
    assert max(map(len, source().split("\n"))) <= 120


def test_the_source_is_every_file_of_the_folder_and_includes_nothing() -> None:
    from pathlib import Path

    import atc_plugin.accel

    folder = Path(atc_plugin.accel.__file__).parent / "kernels"
    assert sorted(FILES) == sorted(path.name for path in folder.iterdir())
    assert "#include" not in source()
    # Of what a library would compute only the root is the same everywhere: IEEE says how it rounds.
    assert not {"float", "fma", "fmax", "fmin", "pow", "exp", "log"} & {
        word for line in source().split("\n") for word in line.partition("//")[0].replace("(", " ").split()
    }
    assert len(kernel_signatures()) == source().count("__global__")
