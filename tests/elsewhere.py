"""A device that is not there: tensors that claim to be on it compute on the CPU, and refuse what a GPU would refuse.

Tensors of two devices in one operation, a generator of another device, NumPy on what is not on the CPU: where all is on
the CPU that passes unnoticed, and fails on the first GPU. The device goes by the name ``lazy``, one of torch's own that
autograd accepts without any hardware.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from monge.ot import precision

ELSEWHERE = torch.device("lazy:0")
_Generator = torch.Generator
# By their address: operations are handed another Python object for the same generator.
_generators: dict[int, torch.Generator] = {}
_COPY, _TO = torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default
# Indices may lie on the CPU for a GPU as well.
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class ElsewhereTensor(Tensor):
    """A CPU tensor that says it is elsewhere."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> ElsewhereTensor:
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = Tensor._make_wrapper_subclass(cls, inner.size(), **layout, device=ELSEWHERE)
        made.inner = inner
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"elsewhere({self.inner!r})"

    def tolist(self) -> Any:
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class ElsewhereGenerator(torch.Generator):
    """A CPU generator that says the same."""

    device = ELSEWHERE


def _generator(device: torch.device | str = "cpu") -> torch.Generator:
    if torch.device(device).type != ELSEWHERE.type:
        return _Generator(device)
    made = ElsewhereGenerator()
    _generators[made._cdata] = made
    return made


class _Everywhere(TorchDispatchMode):
    """Sees the operations that have no tensor there to begin with."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


@contextmanager
def elsewhere(*, float64: bool = True) -> Iterator[torch.device]:
    """The device; tensors can be sent to it and made on it inside the block.

    Args:
        float64: Whether it has this dtype; Apple's GPUs do not.
    """
    autocast, enabled = torch.autocast, torch.is_autocast_enabled

    def known(device_type: str) -> str:
        return "cpu" if device_type == ELSEWHERE.type else device_type

    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) then makes a copy that can be seen here
    with (
        patch("torch.autocast", lambda device_type, *args, **kwargs: autocast(known(device_type), *args, **kwargs)),
        patch("torch.Generator", _generator),
        patch("monge.ot.precision._WITHOUT_FLOAT64", frozenset() if float64 else frozenset({ELSEWHERE.type})),
        patch("torch.is_autocast_enabled", lambda device_type: enabled(known(device_type))),
        _Everywhere(),
    ):
        try:
            yield ELSEWHERE
        finally:
            torch._C._set_only_lift_cpu_tensors(before)


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(t, ElsewhereTensor) for t in tensors)
    device = kwargs.get("device")
    to_there = there if device is None else torch.device(device).type == ELSEWHERE.type
    if there and function not in (_COPY, _TO):
        _refuse_others(function, tensors[:1] if function._opname in _INDEXING else tensors)
    generator = kwargs.get("generator")
    if generator is not None and to_there and generator._cdata not in _generators:
        raise RuntimeError(f"{function}: expected a generator of {ELSEWHERE}, found one of {generator.device}")
    if function is _COPY:
        into, source = args[:2]
        function(_inner(into), _inner(source), *args[2:])
        return into
    inner_args, inner_kwargs = tree_map(_inner, (args, kwargs))
    if to_there and device is not None:
        inner_kwargs["device"] = torch.device("cpu")
    result = function(*inner_args, **inner_kwargs)
    if not to_there:
        return result
    made = [leaf.dtype for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
    if torch.float64 in made and precision.widest_float(ELSEWHERE) != torch.float64:
        raise TypeError(f"{function}: there is no float64 on {ELSEWHERE}")
    result = tree_map(lambda leaf: ElsewhereTensor(leaf) if isinstance(leaf, Tensor) else leaf, result)
    return return_and_correct_aliasing(function, args, kwargs, result) if there else result


def _refuse_others(function: Any, tensors: list[Tensor]) -> None:
    for tensor in tensors:
        if not isinstance(tensor, ElsewhereTensor) and tensor.dim() > 0:
            raise RuntimeError(f"{function}: expected all tensors on {ELSEWHERE}, found one on {tensor.device}")


def _inner(leaf: Any) -> Any:
    return leaf.inner if isinstance(leaf, ElsewhereTensor) else leaf
