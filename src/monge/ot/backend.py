"""Which code solves: compiled kernels on a CPU with Numba, Triton on a GPU where asked for, plain torch elsewhere."""

from __future__ import annotations

import os
from functools import cache
from types import TracebackType
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.extras import require

Backend = Literal["auto", "compiled", "triton", "torch"]

_VARIABLE = "MONGE_BACKEND"
_chosen: Backend | None = None


class use_backend:  # noqa: N801, used like torch.set_grad_enabled
    """Chooses what solves from here on, or inside a ``with`` block.

    Without a call the environment variable ``MONGE_BACKEND`` decides, and without that ``"auto"``. The choice holds for
    the whole process, all threads.

    Args:
        name: ``"auto"``: on the CPU compiled kernels if Numba is installed, plain torch otherwise and on other devices.
            ``"compiled"``: the same, and an error if Numba is missing. ``"triton"``: the same as ``"auto"`` on the CPU;
            on NVIDIA GPUs kernels of Triton, which have passed their checks in Triton's interpreter and compile for
            these GPUs, but have not been run on one: hence not part of ``"auto"``. ``"torch"``: nothing of Numba or
            Triton is touched.

    Raises:
        ValueError: Another name.
        MissingExtraError: ``"compiled"``, but Numba is not installed, or ``"triton"`` without Triton.

    Example:
        >>> with use_backend("torch"):
        ...     compiled_for(torch.zeros(2))
        False
    """

    def __init__(self, name: Backend) -> None:
        global _chosen
        if name not in get_args(Backend):
            raise ValueError(f"backend is {name!r}: expected one of {', '.join(get_args(Backend))}")
        if name == "compiled":
            _require_numba()
        if name == "triton":
            require("triton", extra="gpu", purpose="the Triton backend of monge.ot")
        self._before, _chosen = _chosen, name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _chosen
        _chosen = self._before


def compiled_for(*tensors: Tensor) -> bool:
    """Whether compiled kernels take these tensors: float32 or float64 on the CPU, Numba there and not forbidden.

    Never while ``torch.compile`` traces, which cannot look into them; the engine's operators ask again when they run.

    Raises:
        MongeError: ``MONGE_BACKEND`` holds an unknown name.
        MissingExtraError: ``"compiled"`` is chosen and Numba is not installed.
    """
    if torch.compiler.is_compiling():
        return False
    choice = _choice()
    if choice == "torch":
        return False
    for tensor in tensors:
        if tensor.device.type != "cpu" or tensor.dtype not in (torch.float32, torch.float64):
            return False
    if choice == "compiled":
        _require_numba()
        return True
    return _numba_works()


def triton_for(*tensors: Tensor) -> bool:
    """Whether kernels of Triton take these tensors: the backend is chosen, all are float32 or float64 on a GPU.

    In Triton's interpreter (``TRITON_INTERPRET=1``, for tests) they lie on the CPU.

    Raises:
        MongeError: ``MONGE_BACKEND`` holds an unknown name.
    """
    if torch.compiler.is_compiling() or _choice() != "triton":
        return False
    home = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
    return all(t.device.type == home and t.dtype in (torch.float32, torch.float64) for t in tensors)


def _choice() -> Backend:
    return _chosen or _from_environment(os.environ.get(_VARIABLE, "auto"))


@cache
def _from_environment(name: str) -> Backend:
    for known in get_args(Backend):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise MongeError(f"environment variable {_VARIABLE} is {name!r}: expected one of {', '.join(get_args(Backend))}")


@cache
def _require_numba() -> None:
    require("numba", extra="fast", purpose="the compiled backend of monge.ot")


@cache
def _numba_works() -> bool:
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True
