"""Writing a traced program as a file, and running that file: torch.export's ``.pt2``, and ``.onnx``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monge.errors import MongeError, RunError
from monge.extras import require

FORMATS = (".pt2", ".onnx")
METADATA = "monge.json"
"""Under this name the description of a model stands in its file."""

Runner = Callable[[Tensor], tuple[Tensor, ...]]
_OPSET = 20
_NOISY = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch.fx", "torch._export", "torch._dynamo")


def check_format(path: Path) -> None:
    """Refuses what cannot be written, before a run is opened.

    Args:
        path: The file that is wanted.

    Raises:
        RunError: Another ending, no such folder, or one that cannot be written.
        MissingExtraError: ONNX without its packages.
    """
    if path.suffix not in FORMATS:
        raise RunError(f"{path}: found the ending {path.suffix!r}, expected one of {', '.join(FORMATS)}")
    if path.is_dir() or not path.parent.is_dir():
        found = "a folder" if path.is_dir() else f"no folder {path.parent}"
        raise RunError(f"{path}: found {found}, expected a file in a folder that is there")
    if path.suffix == ".onnx":
        for module in ("onnx", "onnxscript", "onnxruntime"):
            require(module, extra="export", purpose="Writing and checking ONNX")


def traced(program: nn.Module, inputs: Tensor) -> torch.export.ExportedProgram:
    """A program as torch.export traces it, for batches of any size.

    Args:
        program: In evaluation mode, on the CPU.
        inputs: Two real ones or more.

    Raises:
        RunError: torch.export cannot trace it.
    """
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(
                program, (inputs,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
            )
    except MongeError:
        raise
    except Exception as error:  # the tracer trips over what it does not know in many ways
        raise RunError(f"torch.export cannot trace this model ({_first_line(error)})") from error


def write_program(
    program: torch.export.ExportedProgram, path: Path, names: tuple[str, tuple[str, ...]], metadata: str
) -> None:
    """Writes a file whose ending says its format.

    Args:
        program: From `traced`.
        path: The file.
        names: Of the input, and of the outputs.
        metadata: Text that is kept in the file under `METADATA`.

    Raises:
        RunError: The model has parts that ONNX does not have.
        OSError: The file cannot be written.
    """
    if path.suffix == ".pt2":
        with _quiet():
            torch.export.save(program, path, extra_files={METADATA: metadata})
        return
    try:
        with _quiet():
            made: Any = torch.onnx.export(
                program.run_decompositions(_UNROLLED),
                input_names=[names[0]],
                output_names=list(names[1]),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the same
        raise RunError(f"{path}: ONNX cannot hold this model ({_first_line(error)}): try .pt2") from error
    made.model.metadata_props[METADATA] = metadata
    made.save(path, include_initializers=True, external_data=False)


def runner(path: Path) -> Runner:
    """What runs a file, by the library that others would run it with.

    Args:
        path: A file that `write_program` wrote.
    """
    if path.suffix == ".pt2":
        module = torch.export.load(path).module()

        def run_program(inputs: Tensor) -> tuple[Tensor, ...]:
            with torch.no_grad():
                return tuple(module(inputs))

        return run_program
    onnxruntime: Any = require("onnxruntime", extra="export", purpose="Checking ONNX")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run_session(inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(found) for found in session.run(None, {name: inputs.contiguous().numpy()}))

    return run_session


def _running_minimum(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """``torch.cummin`` for ONNX, which has none; the places of the minima are never asked for."""
    return torch.stack(list(accumulate(values.unbind(dim), torch.minimum)), dim), torch.zeros_like(values).long()


def _running_product(values: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """``torch.cumprod`` for ONNX, which has none."""
    return torch.stack(list(accumulate(values.to(dtype or values.dtype).unbind(dim), torch.mul)), dim)


# By these, ordinal losses turn their tasks into probabilities.
_UNROLLED: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.cummin.default: _running_minimum,
    torch.ops.aten.cumprod.default: _running_product,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say of their own inner life."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    try:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
