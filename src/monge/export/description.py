"""What stands beside an exported model: what goes in, what comes out, and how good it is."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from monge import __version__
from monge.errors import DataFormatError
from monge.export.programs import FaceProgram, Part
from monge.metrics.thresholds import OperatingPoint
from monge.recipes import Recipe
from monge.train.checkpoints import Checkpoint
from monge.train.metrics_log import MetricsLog
from monge.train.run_files import RunFiles

_PICTURES = {
    3: "pictures, channels first, red, green, blue or grey as the data have them, 0 to 255",
    4: "views of an object, channels first, 0 to 255, in the order in which the data have them",
}
_ROWS = {
    1: "rows, encoded as the data were: see the recipe",
    2: "rows of features; a row that is not there is NaN as a whole",
}
_OUTPUTS = {
    "embedding": "a vector for each input; two are compared as the recipe's evaluate.distance says",
    "probabilities": "of the classes, in the order of `classes`",
}


def describe(
    recipe: Recipe, files: RunFiles, part: Part, checkpoint: Checkpoint, splits: Any, outputs: tuple[Tensor, ...]
) -> dict[str, Any]:
    """All that a user of the file has to know, as JSON can hold it.

    Args:
        recipe: Of the run.
        files: The run's folder.
        part: What is exported.
        checkpoint: Whose weights these are.
        splits: The run's data.
        outputs: What the run itself makes of a few inputs.

    Raises:
        DataFormatError: The run's stored threshold cannot be read.
    """
    inputs = part.examples.inputs(torch.arange(1))
    words = _PICTURES if inputs.dtype == torch.uint8 else _ROWS
    return {
        "monge": __version__,
        "torch": torch.__version__,
        "task": recipe.task,
        "side": part.side or None,
        "input": {
            "name": "inputs",
            "dtype": str(inputs.dtype).removeprefix("torch."),
            "shape": ["batch", *inputs.shape[1:]],
            "meaning": words[inputs.ndim - 1],
        },
        "in_the_file": _inside(part),
        "outputs": {
            name: {"shape": ["batch", *out.shape[1:]], "dtype": "float32", "meaning": _OUTPUTS[name]}
            for name, out in zip(part.outputs, outputs, strict=True)
        },
        "classes": list(splits.classes),
        "threshold": _threshold(recipe, files),
        "metrics": _metrics(files),
        "data": {"source": splits.source, "definition": splits.definition},
        "checkpoint": {"step": checkpoint["step"], "best": checkpoint["best"]},
        "recipe": recipe.model_dump(mode="json"),
    }


def as_text(description: dict[str, Any]) -> str:
    """The description as it stands in files."""
    return json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _inside(part: Part) -> dict[str, Any]:
    """What the file does to an input by itself, so that nobody does it twice."""
    if part.pixels is None:
        return {}
    pixels = part.pixels
    return {
        "scaled_by": 1 / 255,
        "zeros_become": pixels.background or None,
        "resized_to": pixels.image_size,
        "mean": _plain(pixels.mean),
        "std": _plain(pixels.std),
        "mirrored_and_added": isinstance(part.program, FaceProgram),
    }


def _plain(numbers: Tensor) -> list[float]:
    """As the recipe has them, without the digits that float32 adds."""
    return [round(number, 7) for number in numbers.flatten().tolist()]


def _threshold(recipe: Recipe, files: RunFiles) -> dict[str, Any] | None:
    """The calibrated threshold of a face run."""
    if recipe.task != "face" or not files.threshold.is_file():
        return None
    try:
        point = OperatingPoint.load(files.threshold)
    except DataFormatError as error:
        raise DataFormatError(error.path, error.where, error.found, error.expected, "run monge evaluate") from error
    return {**vars(point), "squared_distance": point.squared_distance}


def _metrics(files: RunFiles) -> dict[str, float]:
    """What the run's last test gave."""
    tests = [line for line in MetricsLog(files.metrics).read() if any(name.startswith("test/") for name in line)]
    last = tests[-1] if tests else {}
    return {name: value for name, value in last.items() if name.startswith("test/") and value is not None}
