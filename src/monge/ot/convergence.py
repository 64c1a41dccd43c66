"""Says when a solve stopped short: once per place in the caller's code."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from monge.errors import ConvergenceWarning

OnFail = Literal["warn", "raise", "ignore"]

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_TORCH = str(Path(torch.__file__).resolve().parent)
_warned: set[tuple[str, int]] = set()


def report_unconverged(error: Tensor, tol: float, on_fail: OnFail) -> None:
    """Warns or raises if a problem's residual is above the tolerance; compiled graphs only carry the flags.

    Raises:
        ValueError: ``on_fail`` is not one of its three words.
        RuntimeError: A problem did not converge and ``on_fail`` is ``"raise"``.
    """
    if on_fail not in ("warn", "raise", "ignore"):
        raise ValueError(f"on_fail is {on_fail!r}: expected 'warn', 'raise' or 'ignore'")
    if on_fail == "ignore" or torch.compiler.is_compiling():
        return
    if bool((error.detach() <= tol).all()):
        return
    worst = float(error.detach().max())
    failed = int((~(error <= tol)).sum())
    message = (
        f"{failed} of {error.numel()} transport problems did not reach a marginal error of {tol:g} "
        f"(worst {worst:.2g}): raise max_iter, tol or epsilon, or read Transport.converged"
    )
    if on_fail == "raise":
        raise RuntimeError(message)
    place = _caller()
    if place not in _warned:
        _warned.add(place)
        warnings.warn_explicit(message, ConvergenceWarning, *place)


def _caller() -> tuple[str, int]:
    """File and line of the innermost frame outside monge and torch."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, _TORCH)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
