"""Elementary functions of the kernels against NumPy in extended precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from monge.ot.compiled.arithmetic import at_order, exp, log, order_of  # noqa: E402
from monge.ot.compiled.jit import FAST  # noqa: E402

# The same liberties as in the kernels, which must not reach the range reductions.
compiled = numba.njit(error_model="numpy", fastmath=FAST)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@compiled
def exp_of(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = exp(x[i])


@compiled
def log_of(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = log(x[i])


@compiled
def there_and_back(x: Any, y: Any) -> None:
    for i in range(len(x)):
        y[i] = at_order(order_of(x[i]))


@compiled
def in_order(x: Any) -> bool:
    sorted_so_far = True
    for i in range(1, len(x)):
        sorted_so_far &= order_of(x[i - 1]) < order_of(x[i])
    return sorted_so_far


def applied(function: Any, x: Any) -> Any:
    y = np.empty_like(x)
    function(x, y)
    return y


@DTYPES
def test_exp_and_log_are_accurate_to_rounding(dtype: Any) -> None:
    limit = 87.0 if dtype == np.float32 else 708.0
    x = np.concatenate([np.linspace(-limit, limit, 20_001), np.linspace(-1, 1, 20_001)]).astype(dtype)
    reference = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(applied(exp_of, x) / reference - 1)) < 1.3 * np.finfo(dtype).eps
    y = np.concatenate([np.exp(x), np.linspace(0.5, 2, 20_001)]).astype(dtype)
    exact = np.log(y.astype(np.longdouble))
    assert np.max(np.abs(applied(log_of, y) - exact) / np.maximum(np.abs(exact), 0.5)) < 2 * np.finfo(dtype).eps


@DTYPES
def test_exp_at_the_ends_of_its_range(dtype: Any) -> None:
    x = np.array([-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan], dtype)
    assert applied(exp_of, x).tolist() == [0.0, 0.0, 1.0, np.inf, np.inf, 0.0]
    assert applied(log_of, np.ones(1, dtype)).tolist() == [0.0]


@DTYPES
def test_integers_sort_as_the_floats_do(dtype: Any) -> None:
    tiny, huge = np.finfo(dtype).tiny, np.finfo(dtype).max
    x = np.array([-np.inf, -huge, -1.0, -tiny, 0.0, tiny, 1.0, huge, np.inf, np.nan], dtype)
    assert in_order(x)
    np.testing.assert_array_equal(applied(there_and_back, x), x)


def test_no_process_wide_flag_flushes_small_numbers() -> None:
    applied(exp_of, np.zeros(64, np.float32))
    assert np.float32(1e-38) * np.float32(0.1) > 0
