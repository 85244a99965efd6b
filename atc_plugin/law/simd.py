"""A vector of doubles as one numba value, so that kernels say which lanes they mean.

Each operator is one IEEE operation a lane: LLVM maps it onto whatever registers the machine has (AVX-512, AVX2, NEON)
without reassociating or contracting anything, so results do not depend on the machine's width. Comparisons are
ordered: false where a lane is NaN.

Every function here has two forms. Its Python body says what it means, on numpy arrays; it is what runs under
``NUMBA_DISABLE_JIT=1`` and what the tests compare with. The ``lower`` beside it is the LLVM that numba emits.
Vectors support ``+ - * /``, ``< > <= >=`` against vectors and floats; masks support ``&`` and ``|``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable

_F64, _I64, _I32, _BIT = ir.DoubleType(), ir.IntType(64), ir.IntType(32), ir.IntType(1)
_SIGN = -1 << 63


class Vector(types.Type):
    """`lanes` doubles."""

    element: ir.Type = _F64

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(f"{type(self).__name__}{lanes}")


class Mask(Vector):
    """`lanes` truth values: what comparing two vectors gives."""

    element = _BIT


@register_model(Vector)
@register_model(Mask)
class _InRegister(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(vector.element, vector.lanes))


# ---------------------------------------------------------------- emitting
def _shuffle(builder: Any, x: Any, y: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


def _broadcast(builder: Any, lanes: int, x: Any) -> Any:
    one = builder.insert_element(ir.Constant(ir.VectorType(_F64, lanes), ir.Undefined), x, ir.Constant(_I32, 0))
    return _shuffle(builder, one, one, [0] * lanes)


def _vectors(builder: Any, lanes: int, argtypes: Any, values: Any) -> list[Any]:
    """The arguments with every scalar among them broadcast."""
    return [
        v if isinstance(t, Vector) else _broadcast(builder, lanes, v) for t, v in zip(argtypes, values, strict=True)
    ]


def _call(builder: Any, name: str, x: Any) -> Any:
    full = f"llvm.{name}.v{x.type.count}f64"
    found = builder.module.globals.get(full) or ir.Function(builder.module, ir.FunctionType(x.type, [x.type]), full)
    return builder.call(found, [x])


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _address(context: Any, builder: Any, array_type: Any, array: Any, i: Any, lanes: int) -> Any:
    at = builder.gep(_data(context, builder, array_type, array), [i])
    return builder.bitcast(at, ir.VectorType(_F64, lanes).as_pointer())


def lower(function: Callable[..., Any], *argtypes: Any) -> Callable[[Any], Any]:
    """How numba emits a function for arguments of these types."""
    return lower_builtin(function, *argtypes)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- operators
def _operator(op: Any, argument: type[Vector], result: type[Vector], emit: Callable[[Any, Any, Any], Any]) -> None:
    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            found = [a for a in args if type(a) is argument]
            if len(args) != 2 or not found or any(a.lanes != found[0].lanes for a in found):
                return None
            if len(found) == 1 and (argument is Mask or not any(isinstance(a, types.Float) for a in args)):
                return None
            return signature(result(found[0].lanes), *args)

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, *_vectors(builder, sig.return_type.lanes, sig.args, args))

    for pair in ((argument, argument), (argument, types.Float), (types.Float, argument)):
        lower_builtin(op, *pair)(lowered)


def _comparison(sign: str) -> Callable[[Any, Any, Any], Any]:
    return lambda b, x, y: b.fcmp_ordered(sign, x, y)


_operator(operator.add, Vector, Vector, lambda b, x, y: b.fadd(x, y))
_operator(operator.sub, Vector, Vector, lambda b, x, y: b.fsub(x, y))
_operator(operator.mul, Vector, Vector, lambda b, x, y: b.fmul(x, y))
_operator(operator.truediv, Vector, Vector, lambda b, x, y: b.fdiv(x, y))
for _op, _sign in ((operator.lt, "<"), (operator.gt, ">"), (operator.le, "<="), (operator.ge, ">=")):
    _operator(_op, Vector, Mask, _comparison(_sign))
_operator(operator.and_, Mask, Mask, lambda b, x, y: b.and_(x, y))
_operator(operator.or_, Mask, Mask, lambda b, x, y: b.or_(x, y))


# ---------------------------------------------------------------- arithmetic
def absolute(x: Any) -> Any:
    """|x| in each lane."""
    return np.abs(x)


def floor(x: Any) -> Any:
    """The largest whole number not above x, in each lane."""
    return np.floor(x)


def _unary(function: Callable[[Any], Any], emit: Callable[[Any, Any], Any]) -> None:
    @type_callable(function)
    def typed(context: Any) -> Any:
        return lambda x: x if type(x) is Vector else None

    @lower(function, Vector)
    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, args[0])


_unary(absolute, lambda b, x: _call(b, "fabs", x))
_unary(floor, lambda b, x: _call(b, "floor", x))


def with_sign(x: Any, sign: Any) -> Any:
    """|x| with the sign bit of `sign`; x a vector or a float."""
    return np.copysign(x, sign)


def flip_sign(x: Any, sign: Any) -> Any:
    """x where the sign bit of `sign` is clear, -x where it is set; x a vector or a float."""
    return np.where(np.signbit(sign), np.negative(x), x)


def _signed(function: Callable[[Any, Any], Any], mix: Callable[[Any, Any, Any, Any], Any]) -> None:
    @type_callable(function)
    def typed(context: Any) -> Any:
        return lambda x, sign: sign if type(sign) is Vector and (x == sign or isinstance(x, types.Float)) else None

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = sig.return_type.lanes
        bits = ir.VectorType(_I64, lanes)
        x, sign = (builder.bitcast(v, bits) for v in _vectors(builder, lanes, sig.args, args))
        mixed = mix(builder, x, sign, ir.Constant(bits, [_SIGN] * lanes))
        return builder.bitcast(mixed, ir.VectorType(_F64, lanes))

    lower(function, Vector, Vector)(lowered)
    lower(function, types.Float, Vector)(lowered)


_signed(with_sign, lambda b, x, sign, bit: b.or_(b.and_(x, b.not_(bit)), b.and_(sign, bit)))
_signed(flip_sign, lambda b, x, sign, bit: b.xor(x, b.and_(sign, bit)))


# ---------------------------------------------------------------- choosing
def select(mask: Any, x: Any, y: Any) -> Any:
    """x where the mask is true, y where it is false; each a vector or a float."""
    return np.where(mask, x, y)


@type_callable(select)
def _type_select(context: Any) -> Any:
    def typed(mask: Any, x: Any, y: Any) -> Any:
        fits = (
            all(a == Vector(mask.lanes) or isinstance(a, types.Float) for a in (x, y)) if type(mask) is Mask else False
        )
        return Vector(mask.lanes) if fits else None

    return typed


@lower(select, Mask, types.Any, types.Any)
def _lower_select(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.select(*_vectors(builder, sig.return_type.lanes, sig.args, args))


def every(mask: Any) -> Any:
    """Whether all lanes of a mask are true."""
    return np.all(mask)


def some(mask: Any) -> Any:
    """Whether any lane of a mask is true."""
    return np.any(mask)


def _reduction(function: Callable[[Any], Any], sign: str, than: int) -> None:
    @type_callable(function)
    def typed(context: Any) -> Any:
        return lambda mask: types.boolean if type(mask) is Mask else None

    @lower(function, Mask)
    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = ir.IntType(sig.args[0].lanes)
        return builder.icmp_unsigned(sign, builder.bitcast(args[0], word), ir.Constant(word, than))


_reduction(every, "==", -1)
_reduction(some, "!=", 0)


# ---------------------------------------------------------------- memory
def _is_line(array: Any, dtype: Any = types.float64) -> bool:
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == dtype


def _loads(lanes: int) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    def load(array: Any, i: Any) -> Any:
        """array[i : i + lanes]; array 1-D contiguous float64. Bounds are the caller's to keep."""
        return array[i : i + lanes].copy()

    def splat(x: Any) -> Any:
        """x in every lane."""
        return np.full(lanes, x)

    def gather(array: Any, i: Any, offsets: Any, o: Any) -> Any:
        """array[i + offsets[o + lane]] in each lane; offsets int64."""
        return array[i + offsets[o : o + lanes]]

    @type_callable(load)
    def type_load(context: Any) -> Any:
        return lambda array, i: Vector(lanes) if _is_line(array) and isinstance(i, types.Integer) else None

    @lower(load, types.Array, types.Integer)
    def lower_load(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, i = args
        return builder.load(_address(context, builder, sig.args[0], array, i, lanes), align=8)

    @type_callable(splat)
    def type_splat(context: Any) -> Any:
        return lambda x: Vector(lanes) if isinstance(x, types.Float) else None

    @lower(splat, types.Float)
    def lower_splat(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _broadcast(builder, lanes, args[0])

    @type_callable(gather)
    def type_gather(context: Any) -> Any:
        return lambda array, i, offsets, o: (
            Vector(lanes) if _is_line(array) and _is_line(offsets, types.int64) else None
        )

    @lower(gather, types.Array, types.Integer, types.Array, types.Integer)
    def lower_gather(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, i, offsets, o = args
        base = builder.gep(_data(context, builder, sig.args[0], array), [i])
        first = builder.gep(_data(context, builder, sig.args[2], offsets), [o])
        got = ir.Constant(ir.VectorType(_F64, lanes), ir.Undefined)
        for lane in range(lanes):
            offset = builder.load(builder.gep(first, [ir.Constant(_I64, lane)]))
            got = builder.insert_element(got, builder.load(builder.gep(base, [offset])), ir.Constant(_I32, lane))
        return got

    for function in (load, splat, gather):
        function.__name__ = function.__qualname__ = f"{function.__name__}{lanes}"
    return load, splat, gather


load8, splat8, gather8 = _loads(8)
load9, splat9, gather9 = _loads(9)
load16, _, gather16 = _loads(16)
load32, splat32, _ = _loads(32)


def store(array: Any, i: Any, x: Any) -> None:
    """array[i : i + lanes] = x; array 1-D contiguous float64. Bounds are the caller's to keep."""
    array[i : i + x.size] = x


@type_callable(store)
def _type_store(context: Any) -> Any:
    return lambda array, i, x: types.void if _is_line(array) and type(x) is Vector else None


@lower(store, types.Array, types.Integer, Vector)
def _lower_store(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array, i, x = args
    builder.store(x, _address(context, builder, sig.args[0], array, i, sig.args[2].lanes), align=8)
    return context.get_dummy_value()


def prefetch(array: Any, i: Any) -> None:
    """Say that the cache line of array[i] will be wanted soon; changes nothing."""


@type_callable(prefetch)
def _type_prefetch(context: Any) -> Any:
    return lambda array, i: types.void if _is_line(array) and isinstance(i, types.Integer) else None


@lower(prefetch, types.Array, types.Integer)
def _lower_prefetch(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array, i = args
    at = builder.bitcast(builder.gep(_data(context, builder, sig.args[0], array), [i]), ir.IntType(8).as_pointer())
    name = "llvm.prefetch.p0"
    made = ir.FunctionType(ir.VoidType(), [at.type, _I32, _I32, _I32])
    found = builder.module.globals.get(name) or ir.Function(builder.module, made, name)
    builder.call(found, [at, *(ir.Constant(_I32, k) for k in (0, 3, 1))])
    return context.get_dummy_value()


def transpose8(source: Any, i: Any, offsets: Any, o: Any, target: Any, j: Any, stride: Any) -> None:
    """target[j + c * stride + r] = source[i + offsets[o + r] + c] for r and c in 0..7."""
    for r in range(8):
        first = i + offsets[o + r]
        target[j + r : j + r + 7 * stride + 1 : stride] = source[first : first + 8]


@type_callable(transpose8)
def _type_transpose8(context: Any) -> Any:
    def typed(source: Any, i: Any, offsets: Any, o: Any, target: Any, j: Any, stride: Any) -> Any:
        return types.void if _is_line(source) and _is_line(offsets, types.int64) and _is_line(target) else None

    return typed


_INT = types.Integer


@lower(transpose8, types.Array, _INT, types.Array, _INT, types.Array, _INT, _INT)
def _lower_transpose8(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    source, i, offsets, o, target, j, stride = args
    first = builder.gep(_data(context, builder, sig.args[2], offsets), [o])
    rows = []
    for r in range(8):
        at = builder.add(i, builder.load(builder.gep(first, [ir.Constant(_I64, r)])))
        rows.append(builder.load(_address(context, builder, sig.args[0], source, at, 8), align=8))
    # Three rounds of exchanging blocks of 4, 2 and 1 lanes between the rows r and r + block.
    for block in (4, 2, 1):
        low = [lane if lane & block == 0 else lane + 8 - block for lane in range(8)]
        high = [lane + block if lane & block == 0 else lane + 8 for lane in range(8)]
        done = list(rows)
        for r in range(8):
            if r & block == 0:
                done[r] = _shuffle(builder, rows[r], rows[r + block], low)
                done[r + block] = _shuffle(builder, rows[r], rows[r + block], high)
        rows = done
    for c in range(8):
        at = builder.add(j, builder.mul(stride, ir.Constant(_I64, c)))
        builder.store(rows[c], _address(context, builder, sig.args[4], target, at, 8), align=8)
    return context.get_dummy_value()


def unpack8(array: Any, i: Any) -> Any:
    """array[i : i + 8] as eight floats. Bounds are the caller's to keep."""
    return tuple(array[i : i + 8])


@type_callable(unpack8)
def _type_unpack8(context: Any) -> Any:
    eight = types.UniTuple(types.float64, 8)
    return lambda array, i: eight if _is_line(array) and isinstance(i, types.Integer) else None


@lower(unpack8, types.Array, types.Integer)
def _lower_unpack8(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    array, i = args
    first = builder.gep(_data(context, builder, sig.args[0], array), [i])
    eight = [builder.load(builder.gep(first, [ir.Constant(_I64, k)])) for k in range(8)]
    return context.make_tuple(builder, sig.return_type, eight)
