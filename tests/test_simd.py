"""Vectors against their Python forms: the same kernel compiled and as Python, over values that break shortcuts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numba import config, njit
from numba.core.errors import TypingError
from same_bits import assert_same_bits

from atc_plugin.law import simd
from atc_plugin.law.simd import (
    absolute,
    every,
    flip_sign,
    floor,
    gather8,
    gather9,
    gather16,
    load8,
    load9,
    load16,
    load32,
    prefetch,
    select,
    some,
    splat8,
    splat9,
    splat32,
    store,
    transpose8,
    with_sign,
)

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.1, -2.5, 3.0, 5e-324, -5e-324, 1.7976931348623157e308, np.inf, -np.inf, np.nan]
PAIRS = np.array(list(itertools.product(SPECIAL, SPECIAL)))
X, Y = (np.ascontiguousarray(np.resize(PAIRS[:, i], 192)) for i in (0, 1))


def compiled(function):
    return njit(error_model="numpy")(function)


def run(kernel, *args, compiled_kernel=None):
    """The kernel's output compiled and as Python; both get arrays of their own."""
    outs = []
    for form in (compiled(compiled_kernel or kernel), kernel):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        with np.errstate(all="ignore"):
            returned = form(*copies)
        outs.append((returned, *[c for c in copies if isinstance(c, np.ndarray)]))
    return outs


def assert_agree(kernel, *args, compiled_kernel=None):
    for got, expected in zip(*run(kernel, *args, compiled_kernel=compiled_kernel), strict=True):
        assert_same_bits(np.asarray(got), np.asarray(expected), kernel.__name__)


def sixteen_at_a_time(op):
    def kernel(x, y, out):
        for i in range(0, x.size, 16):
            store(out, i, op(load16(x, i), load16(y, i)))

    return kernel


OPERATORS = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "float on the right": lambda x, y: (x + 0.1) * 3.0 - 0.7,
    "float on the left": lambda x, y: 1.0 / (0.3 - 2.0 * (0.1 + x)),
    "absolute": lambda x, y: absolute(x),
    "floor": lambda x, y: floor(x),
    "with_sign": lambda x, y: with_sign(x, y),
    "with_sign of a float": lambda x, y: with_sign(2.5, y),
    "flip_sign": lambda x, y: flip_sign(x, y),
    "flip_sign of a float": lambda x, y: flip_sign(-2.5, y),
    "less": lambda x, y: select(x < y, 1.0, x),
    "greater": lambda x, y: select(x > y, x, y),
    "less or equal": lambda x, y: select(x <= y, x, -1.0),
    "greater or equal": lambda x, y: select(x >= 0.1, y, x),
    "and": lambda x, y: select((x < y) & (y < 1.0), x, y),
    "or": lambda x, y: select((x < y) | (y >= 1.0), 1.0, 0.0) + x,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_one_ieee_operation_a_lane(name):
    op = OPERATORS[name]
    kernels = sixteen_at_a_time(op), sixteen_at_a_time(compiled(op))
    assert_agree(kernels[0], X, Y, np.zeros(X.size), compiled_kernel=kernels[1])


def test_a_comparison_with_nan_is_false():
    def kernel(x, out):
        nan = load8(x, 0)
        store(out, 0, select(nan < 1.0, splat8(1.0), 0.0))
        store(out, 8, select(nan > 1.0, splat8(1.0), 0.0))
        store(out, 16, select(nan <= nan, splat8(1.0), 0.0))
        store(out, 24, select(nan >= nan, splat8(1.0), 0.0))

    for _, _, out in run(kernel, np.full(8, np.nan), np.ones(32)):
        assert not out.any()


def test_every():
    def kernel(x, y):
        return every(load8(x, 0) < load8(y, 0)), every(load8(x, 0) <= load8(y, 0))

    low, high = np.arange(8.0), np.arange(8.0) + 1
    high[5] = low[5]
    for returned, *_ in run(kernel, low, high):
        assert tuple(map(bool, returned)) == (False, True)


@pytest.mark.parametrize("lane", [None, 0, 5, 8])
def test_some(lane):
    def kernel(x, y):
        return some(load9(x, 0) < load9(y, 0)), every(load9(x, 0) >= load9(y, 0))

    low, high = np.arange(9.0), np.arange(9.0)
    if lane is not None:
        high[lane] += 1
    for returned, *_ in run(kernel, low, high):
        assert tuple(map(bool, returned)) == (lane is not None, lane is None)


@pytest.mark.parametrize(("load", "lanes"), [(load8, 8), (load9, 9), (load16, 16), (load32, 32)])
def test_loads_and_stores(load, lanes):
    def kernel(x, out):
        store(out, 1, load(x, 3))

    x = np.random.default_rng(lanes).normal(size=64)
    assert_agree(kernel, x, np.zeros(lanes + 2))
    out = run(kernel, x, np.zeros(lanes + 2))[0][-1]
    assert_same_bits(out, np.concatenate([[0.0], x[3 : 3 + lanes], [0.0]]))


@pytest.mark.parametrize(("splat", "lanes"), [(splat8, 8), (splat9, 9), (splat32, 32)])
def test_splat(splat, lanes):
    def kernel(x, out):
        store(out, 0, splat(x[2]))

    out = run(kernel, np.arange(5.0), np.zeros(lanes + 1))[0][-1]
    assert_same_bits(out, np.concatenate([np.full(lanes, 2.0), [0.0]]))
    assert_agree(kernel, np.arange(5.0), np.zeros(lanes + 1))


@pytest.mark.parametrize(("gather", "lanes"), [(gather8, 8), (gather9, 9), (gather16, 16)])
def test_gather(gather, lanes):
    def kernel(x, offsets, out):
        store(out, 0, gather(x, 40, offsets, 2))

    rng = np.random.default_rng(0)
    x, offsets = rng.normal(size=96), rng.integers(-40, 50, lanes + 2)
    assert_agree(kernel, x, offsets, np.zeros(lanes))
    assert_same_bits(run(kernel, x, offsets, np.zeros(lanes))[0][-1], x[40 + offsets[2:]])


def test_prefetch_changes_nothing():
    def kernel(x):
        for i in range(0, x.size, 8):
            prefetch(x, i)

    for returned, x in run(kernel, X):
        assert returned is None
        assert_same_bits(x, X)


def test_transpose():
    def kernel(source, offsets, target):
        transpose8(source, 5, offsets, 1, target, 3, 11)

    source = np.arange(200.0)
    offsets = np.array([99, 0, 16, 4, 30, 77, 120, 9, 50])
    assert_agree(kernel, source, offsets, np.zeros(100))
    target = run(kernel, source, offsets, np.zeros(100))[0][-1]
    for r, c in itertools.product(range(8), range(8)):
        assert target[3 + c * 11 + r] == source[5 + offsets[1 + r] + c]


def test_vectors_pass_through_functions_and_tuples():
    def kernel_with(swap):
        def kernel(x, y, out):
            a, b = swap(load16(x, 0), load16(y, 0))
            for _ in range(3):
                a, b = swap(a, b)
            store(out, 0, a - b)

        return kernel

    def swap(x, y):
        return y, x

    args = np.arange(16.0), np.arange(16.0) * 3, np.zeros(16)
    assert_agree(kernel_with(swap), *args, compiled_kernel=kernel_with(compiled(swap)))


@pytest.mark.skipif(config.DISABLE_JIT, reason="needs machine code to look at")
def test_nothing_is_contracted_or_reassociated():
    @njit(error_model="numpy")
    def kernel(x, y, out):
        for i in range(0, x.size, 16):
            store(out, i, load16(x, i) * load16(y, i) + load16(out, i))

    x = np.full(16, 1 + 2.0**-30)
    out = np.full(16, -1.0)
    kernel(x, x, out)
    assert (out == 2.0**-29).all()  # a fused multiply-add would keep the 2**-60
    (assembly,) = kernel.inspect_asm().values()
    assert "fmadd" not in assembly
    assert "fmla" not in assembly


@pytest.mark.skipif(config.DISABLE_JIT, reason="Python checks no types")
@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: load8(x, 0) + load16(x, 0),
        lambda x: load8(x, 0) + 1,
        lambda x: (load8(x, 0) < 1.0) + (load8(x, 0) < 1.0),
        lambda x: select(load8(x, 0), 1.0, 2.0),
        lambda x: absolute(load8(x, 0) < 1.0),
        lambda x: every(load8(x, 0)),
        lambda x: load8(x.reshape(2, 8), 0),
        lambda x: load8(x[::2], 0),
    ],
)
def test_what_does_not_fit_does_not_compile(wrong):
    def kernel(x):
        wrong_compiled(x)

    wrong_compiled = njit(wrong)
    with pytest.raises(TypingError):
        njit(kernel)(np.zeros(16))


def test_every_public_function_says_what_it_does():
    ours = [f for name, f in vars(simd).items() if not name.startswith("_") and callable(f)]
    public = [f for f in ours if f.__module__ == simd.__name__]
    assert len(public) >= 14
    assert all(f.__doc__ for f in public)
