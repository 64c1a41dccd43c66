"""Arrays in safetensors files, the form that monge keeps its own features in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.formats.sniff import open_data, shown
from monge.errors import DataFormatError
from monge.extras import require

_IDS = "ids"


def safetensors_arrays(path: str | Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of a safetensors file with their names, one in memory at a time; ``ids`` may stand in the metadata.

    Tensors hold no strings, so a JSON list of them under ``ids`` in the metadata comes as an array of that name, first.

    Args:
        path: The file.

    Raises:
        DataFormatError: Not such a file, damaged, or metadata that are no list.
        MissingExtraError: safetensors is not installed.

    Example:
        >>> import tempfile
        >>> from safetensors.torch import save_file
        >>> file = Path(tempfile.mkdtemp()) / "clips.safetensors"
        >>> save_file({"features": torch.zeros(2, 8)}, file, {"ids": '["video0", "video1"]'})
        >>> [(name, array.shape) for name, array in safetensors_arrays(file)]
        [('ids', (2,)), ('features', (2, 8))]
    """
    path = Path(path)
    with open_data(path, "a safetensors file"):
        pass  # what is no data at all is told apart here
    safetensors = require("safetensors", extra="train", purpose="reading safetensors files")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if _IDS in metadata:
                yield _IDS, _ids(path, metadata[_IDS])
            for name in file.keys():  # noqa: SIM118  (the handle is no mapping)
                tensor = file.get_tensor(name)
                # NumPy knows no bfloat16.
                yield name, (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    except safetensors.SafetensorError as error:
        found = f"a damaged file ({' '.join(str(error).split())[:100]})"
        raise DataFormatError(shown(path), "", found, "a safetensors file, whole", "write it again") from None


def _ids(path: Path, text: str) -> NDArray[Any]:
    try:
        ids = json.loads(text)
    except json.JSONDecodeError:
        ids = None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise DataFormatError(shown(path), "metadata ids", "no list of strings", "a JSON list of strings")
    return np.array(ids, dtype=np.str_)
