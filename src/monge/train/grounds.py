"""From the ``loss.ground`` section of a recipe to a ground distance between the classes of its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from monge.data import Splits
from monge.errors import DataFormatError, RecipeError
from monge.extras import require
from monge.ground import FromEmbeddings, Ground, Learned, Line, Matrix, Power, Tree
from monge.recipes.grounds import EmbeddingsGround, GroundParams, LearnedGround, LineGround, MatrixGround, TreeGround

_LARGEST_FILE = 1 << 30


def build_ground(config: GroundParams, splits: Splits) -> Ground:
    """Builds a ground distance.

    Args:
        config: A typed ground section.
        splits: Names and places of the classes.

    Raises:
        RecipeError: Distances that are none, or not between as many classes as the data have.
        DataFormatError: A file that cannot be read as what it should be.

    Example:
        >>> from monge.data import load_images
        >>> build_ground(LineGround(span=1.0), load_images("mnist", "synthetic")).columns(torch.tensor([0]), 10)[0, 3:5]
        tensor([0.3333, 0.4444])
    """
    count = len(splits.classes)
    if isinstance(config, LearnedGround):
        return Learned(count, head_start=config.head_start, momentum=config.momentum)
    if isinstance(config, TreeGround):
        read = Tree.from_csv if Path(config.file).suffix.lower() == ".csv" else Tree.from_pairs
        return read(config.file, splits.classes)
    place = "loss.ground"
    try:
        if isinstance(config, LineGround):
            place = "loss.ground.positions"
            ground: Ground = _line(config, splits)
        elif isinstance(config, MatrixGround):
            place = config.file
            ground = Matrix(read_numbers(Path(config.file)), symmetric=config.symmetric)
        elif isinstance(config, EmbeddingsGround):
            place = config.file
            ground = FromEmbeddings(read_numbers(Path(config.file)), config.metric)
        else:
            return Power(build_ground(config.of, splits), config.omega)
    except ValueError as error:
        raise RecipeError(f"{place}: {error}") from error
    if ground.num_classes not in (None, count):
        raise RecipeError(f"{place}: found {ground.num_classes} classes, expected {count}, as many as the data have")
    return ground


def _line(config: LineGround, splits: Splits) -> Line:
    """The classes in a row, from end to end as long as asked for."""
    positions = config.positions or splits.positions
    if config.span is None:
        return Line(positions)
    places = torch.tensor(positions or range(len(splits.classes)), dtype=torch.float64)
    return Line((places * (config.span / (places[-1] - places[0]).clamp_min(1e-12))).float())


def read_numbers(path: Path) -> Tensor:
    """A matrix of numbers from a ``.npy``, ``.csv`` or ``.safetensors`` file; nothing is ever unpickled.

    Args:
        path: The file.

    Returns:
        (N, M), float32 or float64.

    Raises:
        DataFormatError: There is no such file, or no matrix in it.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise DataFormatError(path, "", f"more than {_LARGEST_FILE >> 20} MiB", "a matrix over the classes")
        found = _read(path)
    except OSError as error:
        raise DataFormatError(path, "", error.strerror or str(error), "a readable file") from error
    if found.dim() != 2 or not found.is_floating_point():
        raise DataFormatError(path, "", f"{found.dtype} of shape {tuple(found.shape)}", "a matrix of numbers")
    return found


def _read(path: Path) -> Tensor:
    """What is in the file, by its suffix."""
    match path.suffix.lower():
        case ".npy":
            try:
                array = np.load(path, allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise DataFormatError(
                    path, "", str(error).splitlines()[0], "an array of numbers in .npy form"
                ) from error
        case ".csv":
            array = _read_csv(path)
        case ".safetensors":
            safetensors = require("safetensors", extra="train", purpose="Reading a .safetensors file")
            try:
                with safetensors.safe_open(path, framework="np") as file:
                    names = list(file.keys())
                    if len(names) != 1:
                        raise DataFormatError(path, "", f"{len(names)} tensors", "one, the matrix")
                    array = file.get_tensor(names[0])
            except safetensors.SafetensorError as error:
                raise DataFormatError(path, "", str(error), "a safetensors file") from error
        case suffix:
            raise DataFormatError(path, "", f"the suffix {suffix!r}", ".npy, .csv or .safetensors")
    if array.dtype.kind not in "fiub":
        raise DataFormatError(path, "", f"values of dtype {array.dtype}", "numbers")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64 if array.dtype == np.float64 else np.float32))


def _read_csv(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Rows of numbers separated by commas, as many in each."""
    rows: list[list[float]] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataFormatError(path, f"byte {error.start}", "bytes that are no text", "UTF-8") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append([float(cell) for cell in line.split(",")])
        except ValueError as error:
            found = str(error).removeprefix("could not convert string to float: ")
            raise DataFormatError(path, f"line {number}", found, "numbers separated by commas, no header") from error
        if len(rows[-1]) != len(rows[0]):
            expected = f"{len(rows[0])}, as in the first line"
            raise DataFormatError(path, f"line {number}", f"{len(rows[-1])} numbers", expected)
    if not rows:
        raise DataFormatError(path, "", "no numbers", "a row for each class")
    return np.array(rows, dtype=np.float64)
