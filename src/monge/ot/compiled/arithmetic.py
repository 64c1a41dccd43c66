"""``exp`` and ``log`` that LLVM turns into vector code: a libm call in a loop would keep it scalar.

Both are written with arithmetic and bit shifts only, after range reduction as in Cephes, with polynomials fitted at
Chebyshev nodes. Relative accuracy: about 1e-7 in float32 and 3e-16 in float64. ``exp`` gives 0 below the smallest
normal number and takes NaN to 0; ``log`` is for positive normal numbers. Neither is compiled with ``reassoc``, which
would undo the range reduction.

Minima and maxima of floats stay scalar as well, because of NaN; ``order_of`` turns them into those of integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from monge.ot.compiled.jit import in_order

_INTEGERS: dict[Any, Any] = {types.float32: types.int32, types.float64: types.int64}
_FLOATS: dict[Any, Any] = {integer: number for number, integer in _INTEGERS.items()}


def _bits_of(typing_context: Any, number: Any) -> Any:
    return _INTEGERS[number](number), _reinterpret


def _number_of(typing_context: Any, bits: Any) -> Any:
    return _FLOATS[bits](bits), _reinterpret


def _reinterpret(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


# The bits of a float as an integer of the same width, and the float that has these bits. Called from compiled code.
bits_of: Any = intrinsic(_bits_of)
number_of: Any = intrinsic(_number_of)


def exp(x: Any) -> Any:
    """Exponential of a float32 or float64, inside compiled code only."""
    raise NotImplementedError("exp works inside compiled functions")


def log(x: Any) -> Any:
    """Natural logarithm of a positive float32 or float64, inside compiled code only."""
    raise NotImplementedError("log works inside compiled functions")


@overload(exp, strict=False)
def _choose_exp(x: Any) -> Any:
    return (lambda x: _exp32(x)) if x == types.float32 else (lambda x: _exp64(x))


@overload(log, strict=False)
def _choose_log(x: Any) -> Any:
    return (lambda x: _log32(x)) if x == types.float32 else (lambda x: _log64(x))


def order_of(x: Any) -> Any:
    """An integer that sorts as the float does, NaN beyond the infinities; inside compiled code only."""
    raise NotImplementedError("order_of works inside compiled functions")


def at_order(order: Any) -> Any:
    """The float of an integer from :func:`order_of`; inside compiled code only."""
    raise NotImplementedError("at_order works inside compiled functions")


@overload(order_of, strict=False)
def _choose_order_of(x: Any) -> Any:
    return (lambda x: _flip32(bits_of(x))) if x == types.float32 else (lambda x: _flip64(bits_of(x)))


@overload(at_order, strict=False)
def _choose_at_order(order: Any) -> Any:
    if order == types.int32:
        return lambda order: number_of(_flip32(order))
    return lambda order: number_of(_flip64(order))


f32, i32 = np.float32, np.int32


@in_order
def _flip32(bits: Any) -> Any:
    return i32(bits ^ ((bits >> 31) & 0x7FFFFFFF))


@in_order
def _flip64(bits: Any) -> Any:
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)


@in_order
def _exp32(x: Any) -> Any:
    low, high = f32(-87.33654), f32(89.0)
    kept = x if x > low else low
    kept = kept if kept < high else high
    # Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits.
    shifted = kept * f32(1.4426950408889634) + f32(12582912.0)
    whole = shifted - f32(12582912.0)
    r = (kept - whole * f32(0.693359375)) + whole * f32(2.12194440e-4)
    p = f32(0.00139261835877)
    p = p * r + f32(0.00836317905272)
    p = p * r + f32(0.04166655461720)
    p = p * r + f32(0.16666576989699)
    p = p * r + f32(0.5)
    p = p * (r * r) + (r + f32(1.0))
    # Numba widens sums of 32-bit integers; LLVM narrows them again where they are cut.
    power = number_of(i32((bits_of(shifted) + (127 - 0x4B400000)) << 23))
    return p * power if x > low else f32(0.0)


@in_order
def _exp64(x: Any) -> Any:
    low, high = -708.39, 710.0
    kept = x if x > low else low
    kept = kept if kept < high else high
    shifted = kept * 1.4426950408889634 + 6755399441055744.0
    whole = shifted - 6755399441055744.0
    r = (kept - whole * 0.693145751953125) - whole * 1.42860682030941723212e-6
    p = 2.51003854955103191e-8
    p = p * r + 2.76200884454097482e-7
    p = p * r + 2.75572684599950648e-6
    p = p * r + 2.48015212959543751e-5
    p = p * r + 1.98412698630536169e-4
    p = p * r + 1.38888889172137169e-3
    p = p * r + 8.33333333333006183e-3
    p = p * r + 4.16666666666241279e-2
    p = p * r + 1.66666666666666675e-1
    p = p * r + 0.5
    p = p * (r * r) + (r + 1.0)
    power = number_of((bits_of(shifted) + (1023 - 0x4338000000000000)) << 52)
    return p * power if x > low else 0.0


@in_order
def _log32(x: Any) -> Any:
    bits = bits_of(x)
    # The exponent that leaves a mantissa between sqrt(1/2) and sqrt(2).
    exponent = i32((bits - 0x3F3504F3) >> 23)
    mantissa = number_of(i32(bits - (exponent << 23)))
    whole = number_of(i32(0x4B400000 + exponent)) - f32(12582912.0)
    s = (mantissa - f32(1.0)) / (mantissa + f32(1.0))
    z = s * s
    q = f32(0.295800530431884)
    q = q * z + f32(0.399887782821628)
    q = q * z + f32(0.666666850451560)
    return (whole * f32(0.693359375) + s * (f32(2.0) + z * q)) - whole * f32(2.12194440e-4)


@in_order
def _log64(x: Any) -> Any:
    bits = bits_of(x)
    exponent = (bits - 0x3FE6A09E667F3BCD) >> 52
    mantissa = number_of(bits - (exponent << 52))
    whole = number_of(0x4338000000000000 + exponent) - 6755399441055744.0
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    q = 0.146165854248886
    q = q * z + 0.153317106182108
    q = q * z + 0.181828894556749
    q = q * z + 0.222222111302599
    q = q * z + 0.285714286260033
    q = q * z + 0.399999999998994
    q = q * z + 0.666666666666667
    return (whole * 0.693145751953125 + s * (2.0 + z * q)) + whole * 1.42860682030941723212e-6
