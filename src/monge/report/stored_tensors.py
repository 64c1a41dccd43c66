"""Reading the tensor files of a run: a sentence instead of a failure, and class names fit to be shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from monge.extras import require
from monge.report.svg import clean


@dataclass(frozen=True)
class StoredTensors:
    """Tensors of a file by name, mapped from disk where that is possible, and the text stored with them."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_tensors(path: Path, *, prefix: str = "") -> StoredTensors | str:
    """Reads a ``.safetensors`` file; returns a sentence where that is not possible.

    Args:
        path: The file.
        prefix: Only tensors whose names begin with it.
    """
    if not path.is_file():
        return f"{path.name} is not in the run folder"
    safetensors = require("safetensors", extra="train", purpose="reading the tensors of a run")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
            return StoredTensors(found, file.metadata() or {})
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        return f"{path.name}: could not be read ({clean(error, 90)})"


def parsed(text: str) -> Any:
    """A JSON value, ``None`` where the text is none.

    Example:
        >>> parsed("[1, 2]"), parsed("[1")
        ([1, 2], None)
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def class_names(text: str, wanted: list[int]) -> tuple[str, ...]:
    """Printable names of classes from a JSON list; numbers for those it does not name.

    Example:
        >>> class_names('["ant", "bee"]', [1, 2])
        ('bee', '2')
    """
    stored = parsed(text)
    names = stored if isinstance(stored, list) else []
    return tuple(clean(names[i], 40) if i < len(names) else str(i) for i in wanted)


def are_pictures(images: Tensor, count: int) -> bool:
    """Whether a tensor holds ``count`` pictures, uint8 ``(count, C, H, W)`` with one or three channels.

    Example:
        >>> import torch
        >>> are_pictures(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 2), are_pictures(torch.zeros(2, 8, 8), 2)
        (True, False)
    """
    right = images.ndim == 4 and str(images.dtype) == "torch.uint8" and len(images) == count
    return right and images.shape[1] in (1, 3) and min(images.shape[2:]) > 0
