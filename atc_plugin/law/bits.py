"""Sixty-four bars at a time: comparing rows of integers gives words, one bit a bar, the first bar lowest.

As in `simd.py`, each function has a Python body that says what it means and runs without numba's compiler, and beside
it the LLVM that numba emits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import type_callable

from .simd import lower

WORD = 64
"""Bars of a word."""

ZERO, ONE = np.uint64(0), np.uint64(1)
TOP, ALL = np.uint64(WORD - 1), np.uint64(0xFFFF_FFFF_FFFF_FFFF)

_I64, _ROW = ir.IntType(64), ir.VectorType(ir.IntType(32), WORD)


def _is_row(array: Any) -> bool:
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.int32


def compare64(a: Any, i: Any, b: Any, j: Any, more_than: int, less_than: int) -> Any:
    """Two words: where a[i + k] + b[j + k] > `more_than`, and where the sum lies in 0 .. `less_than` - 1.

    `a` and `b` are 1-D contiguous int32 with room for 64; bounds are the caller's to keep.
    """
    sums = a[i : i + WORD] + b[j : j + WORD]
    bits = (sums > more_than, (sums >= 0) & (sums < less_than))
    more, between = (np.packbits(word, bitorder="little").view(np.uint64)[0] for word in bits)
    return more, between


@type_callable(compare64)
def _type_compare64(context: Any) -> Any:
    def typed(a: Any, i: Any, b: Any, j: Any, more_than: Any, less_than: Any) -> Any:
        return types.UniTuple(types.uint64, 2) if _is_row(a) and _is_row(b) else None

    return typed


@lower(compare64, types.Array, types.Integer, types.Array, types.Integer, types.Integer, types.Integer)
def _lower_compare64(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    def row(array_type: Any, array: Any, at: Any) -> Any:
        first = builder.gep(context.make_array(array_type)(context, builder, array).data, [at])
        return builder.load(builder.bitcast(first, _ROW.as_pointer()), align=4)

    def all_lanes(x: Any) -> Any:
        x = builder.trunc(x, ir.IntType(32)) if x.type.width > 32 else x
        one = builder.insert_element(ir.Constant(_ROW, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), WORD), [0] * WORD))

    a, i, b, j, more_than, less_than = args
    sums = builder.add(row(sig.args[0], a, i), row(sig.args[2], b, j))
    more = builder.icmp_signed(">", sums, all_lanes(more_than))
    between = builder.icmp_unsigned("<", sums, all_lanes(less_than))  # below zero is far above it without a sign
    return context.make_tuple(builder, sig.return_type, [builder.bitcast(word, _I64) for word in (more, between)])


def first_bit(word: Any) -> int:
    """The place of the lowest bit that is set; the word is not zero."""
    return (int(word) & -int(word)).bit_length() - 1


@type_callable(first_bit)
def _type_first_bit(context: Any) -> Any:
    return lambda word: types.intp if word == types.uint64 else None


@lower(first_bit, types.uint64)
def _lower_first_bit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
