"""Feature files turned into safetensors once, for pickles of many captions take long to check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from monge.data.formats.clip_ids import clip_id, distinct_ids
from monge.data.formats.features import Value, feature_entries
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError, MongeError
from monge.extras import require


def convert_features(source: str | Path, target: str | Path) -> int:
    """Writes a feature file anew as safetensors, id by id; what it says of clips and captions stays the same.

    A list of captions becomes an entry for each, ``clip/0``, ``clip/1`` and so on, and a clip that is a single NaN a
    row with one. Half precision stays what it is, double precision becomes float32.

    Args:
        source: Any file that `monge.data.formats.features.feature_entries` reads.
        target: Where to; ends in ``.safetensors``.

    Returns:
        How many arrays were written.

    Raises:
        DataFormatError: A source that is not good, or holds something else than numbers.
        MongeError: The target is there already, has another ending, or cannot be written.

    Example:
        >>> import pickle, tempfile
        >>> old = Path(tempfile.mkdtemp()) / "text.pickle"
        >>> _ = old.write_bytes(pickle.dumps({"video0": [np.ones((5, 3)), np.ones((2, 3))]}))
        >>> convert_features(old, old.with_suffix(".safetensors"))
        2
        >>> [name for name, _ in feature_entries(old.with_suffix(".safetensors"))]
        ['video0/0', 'video0/1']
    """
    source, target = Path(source), Path(target)
    if target.suffix != ".safetensors":
        raise MongeError(f"{shown(target)}: found the ending {target.suffix!r}, expected .safetensors")
    if target.exists():
        raise MongeError(f"{shown(target)}: there is one already; remove it first")
    save = require("safetensors.torch", extra="train", purpose="writing features").save_file
    tensors: dict[str, torch.Tensor] = {}
    names: list[str] = []
    for name, value in feature_entries(source):
        names.append(name)
        for own, array in _arrays(source, name, value):
            tensors[own] = torch.from_numpy(array)
    distinct_ids(names, source)
    part = target.with_name(f".{target.name}.part")
    try:
        save(tensors, str(part))
        part.replace(target)
    except OSError as error:
        raise MongeError(f"{shown(target)}: cannot be written ({(error.strerror or str(error)).lower()})") from None
    finally:
        part.unlink(missing_ok=True)
    return len(tensors)


def _arrays(path: Path, name: str, value: Value) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Arrays of an entry with their names."""
    if isinstance(value, list) and value and not all(np.ndim(row) == 1 for row in value):
        return [one for number, row in enumerate(value) for one in _arrays(path, f"{clip_id(name)}/{number}", row)]
    array = np.stack(value) if isinstance(value, list) and value else np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise DataFormatError(shown(path), shown(name)[:60], f"an array of {array.dtype}", "numbers")
    kept = array if array.dtype in (np.float16, np.float32) else array.astype(np.float32)
    return [(name, np.array(np.atleast_1d(kept), order="C"))]
