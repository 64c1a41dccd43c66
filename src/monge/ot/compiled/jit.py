"""How the kernels are compiled: four kinds of functions, and the liberties that LLVM may take with their arithmetic.

Flags hold for one function at a time. Sums may be reordered, which is what makes them vector code; NaN and infinities
keep their meaning, and nothing touches the floating-point mode of the process.

Numba counts the references to every array that a function holds, one atomic operation each: with a dozen arrays a call
they cost a small problem more than its arithmetic. Only what makes arrays needs them, so all else is compiled without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

FAST = {"contract", "reassoc", "nsz", "arcp"}
# Without wrappers for Python a function compiles in half the time.
INNER: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": FAST,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}

_compile: Any = njit


def entry(function: Function) -> Function:
    """A function that Python calls: kept on disk from its first call on, free of the interpreter's lock.

    What it does for each problem belongs into an inner function: here references are counted. The file's own time stamp
    is all that tells whether what is on disk is still valid: after a change to a function that an entry calls from
    another file, remove ``__pycache__``.
    """
    return _compile(cache=True, nogil=True, error_model="numpy", fastmath=FAST)(function)  # type: ignore[no-any-return]


def inner(function: Function) -> Function:
    """A function that only compiled code calls. It cannot make arrays, and refuses to compile if it does."""
    return _compile(**INNER)(function)  # type: ignore[no-any-return]


def making(function: Function) -> Function:
    """An inner function that makes arrays: for itself, or for an entry that it returns them to."""
    return _compile(**{**INNER, "_nrt": True})(function)  # type: ignore[no-any-return]


def in_order(function: Function) -> Function:
    """An inner function with its operations done as they are written."""
    return _compile(**{**INNER, "fastmath": {"contract", "nsz"}})(function)  # type: ignore[no-any-return]
