"""`export_run`: the embedding model of a finished run as a file that runs without monge, checked on test inputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monge.errors import RunError
from monge.export.description import as_text, describe
from monge.export.program_files import Runner, check_format, runner, traced, write_program
from monge.export.programs import Part, parts_of
from monge.recipes import load_recipe
from monge.train.building import build_task
from monge.train.checkpoints import Checkpoint, load_checkpoint
from monge.train.devices import own_torch_state
from monge.train.loading import load_splits
from monge.train.run_files import RunFiles, say

TOLERANCE = 1e-4
"""How far a file may be from the run, in parts of the largest number where that is above 1."""

_TRIED = 32
# Views of an object count each.
_PICTURES_TRIED = 96


@dataclass(frozen=True)
class Exported:
    """One file that was written.

    Attributes:
        path: The model.
        description: The JSON file beside it.
        difference: The largest difference of one of its numbers from the run's, on test inputs.
        tried: How many inputs.
    """

    path: Path
    description: Path
    difference: float
    tried: int


def export_run(
    run: str | Path, to: str | Path, *, tolerance: float = TOLERANCE, progress: bool = False
) -> list[Exported]:
    """Writes the model of a finished run's best (else last) checkpoint, with its description beside it.

    Pixels go in as they are, uint8: scaling, resizing and normalisation are part of the file, as are the mirror image
    of faces and the length 1. Batches may have any size. Before the file appears it is read back and run on test inputs
    of the run, one by itself and others together.

    Args:
        run: Folder of a run of any task.
        to: ``NAME.pt2`` for torch.export, ``NAME.onnx`` for ONNX. A cross-modal run gives ``NAME-query`` and
            ``NAME-gallery``. Files that are there are replaced.
        tolerance: Largest difference between file and run that is let pass.
        progress: Say on standard error which data are loaded.

    Returns:
        What was written.

    Raises:
        RunError: No run there, one that is not finished, a model that cannot be exported, a place that cannot be
            written, or a file that does not give what the run gives.
        MissingExtraError: ONNX without the extra ``export``.
    """
    target = Path(to).expanduser()
    check_format(target)
    files = RunFiles(Path(run))
    if not files.recipe.is_file():
        raise RunError(f"{files.folder}: there is no run here (no recipe.yaml)")
    if files.read_environment().get("finished") is None:
        raise RunError(f"{files.folder}: this run is not finished; go on with it: {files.resume_command()}")
    recipe = load_recipe(files.recipe)
    checkpoint = load_checkpoint(files.best if files.best.is_file() else files.last)
    with own_torch_state(recipe.train.threads):
        splits: Any = load_splits(recipe, progress=progress)
        files.check_same_classes(splits)
        task: Any = build_task(recipe, splits)
        try:
            task.model.load_state_dict(checkpoint["model"])
        except RuntimeError as error:
            raise RunError(f"{files.folder}: the checkpoint does not fit recipe.yaml and these data") from error
        task.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)
        made = []
        for part in parts_of(task, splits):
            path = target.with_stem(f"{target.stem}-{part.side}") if part.side else target
            if progress:
                say(f"exporting {path.name}")
            made.append(_export(part, path, recipe, files, checkpoint, splits, tolerance))
    return made


def _export(
    part: Part, path: Path, recipe: Any, files: RunFiles, checkpoint: Checkpoint, splits: Any, tolerance: float
) -> Exported:
    inputs = _inputs(part)
    with torch.no_grad():
        expected = tuple(torch.cat(rows) for rows in zip(*map(part.expected, _batches(inputs)), strict=True))
    description = describe(recipe, files, part, checkpoint, splits, expected)
    program = traced(part.program.eval(), inputs)
    beside = path.with_name(f"{path.name}.json")
    try:
        with tempfile.TemporaryDirectory(prefix=".monge-", dir=path.parent) as folder:
            part_path = Path(folder) / path.name
            write_program(program, part_path, ("inputs", part.outputs), as_text(description))
            difference = _difference(runner(part_path), inputs, expected)
            if not difference <= tolerance:
                raise RunError(
                    f"{path}: found outputs that differ from the run's by {difference:.2g}, expected at most "
                    f"{tolerance:g}: nothing was written"
                )
            check = {"largest_difference": difference, "tolerance": tolerance, "test_inputs": len(inputs)}
            sidecar = Path(folder) / beside.name
            sidecar.write_text(as_text({**description, "check": check}), encoding="utf-8")
            part_path.replace(path)
            sidecar.replace(beside)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    return Exported(path, beside, difference, len(inputs))


def _inputs(part: Part) -> Tensor:
    """The first test inputs."""
    views = part.examples.shape[0] if len(part.examples.shape) == 4 else 1
    count = min(len(part.examples), _TRIED, max(3, _PICTURES_TRIED // views))
    if count < 3:
        raise RunError(f"found {count} test inputs, expected at least 3 to check the file on")
    return part.examples.inputs(torch.arange(count))


def _batches(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """One input by itself, and the others."""
    return inputs[:1], inputs[1:]


def _difference(run: Runner, inputs: Tensor, expected: tuple[Tensor, ...]) -> float:
    """The largest difference, in parts of the largest number where that is above 1; infinite for other shapes."""
    found = tuple(torch.cat(rows) for rows in zip(*map(run, _batches(inputs)), strict=True))
    largest = 0.0
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape or not bool(one.isfinite().all()):
            return float("inf")
        scale = max(1.0, float(other.abs().max()))
        largest = max(largest, float((one.double() - other.double()).abs().max()) / scale)
    return largest
