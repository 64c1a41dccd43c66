"""Writes pairs in the form of LFW, so that other programs can be given what monge draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from monge.data.face_pairs import PairSet
from monge.data.formats.places import is_plain_name
from monge.extras import require


def write_pair_folder(folder: str | Path, pairs: PairSet, names: Sequence[str] | None = None) -> Path:
    """Writes the pictures of a set as ``<identity>/<identity>_0001.png`` and its pairs as ``<name>.txt``.

    Several sets of the same pictures can be written into one folder.

    Args:
        folder: Made if it is not there.
        pairs: Its pictures' labels tell the identities; its folds are of equal size and half genuine.
        names: Of the identities, by label; ``None``: ``identity-0000`` and so on.

    Returns:
        The list of pairs, which `monge.data.load_pair_set` reads.

    Raises:
        ValueError: Identities that are not told, folds that LFW's list cannot tell, or names that are no file names.
        MissingExtraError: Pillow is not installed.

    Example:
        >>> import tempfile
        >>> from monge.data import load_faces, load_pair_set
        >>> pairs = load_faces("faces", "synthetic", size=16).val
        >>> path = write_pair_folder(tempfile.mkdtemp(), pairs)
        >>> path.name, load_pair_set(path, size=16).same.equal(pairs.same)
        ('val.txt', True)
    """
    folder, labels = Path(folder), pairs.images.labels
    if not len(pairs) or int(labels.min()) < 0:
        raise ValueError(f"{pairs.name}: identities are not told, so there are no folders to write")
    people = names or [f"identity-{number:04d}" for number in range(int(labels.max()) + 1)]
    if len(people) <= int(labels.max()) or len(set(people)) < len(people) or not all(map(is_plain_name, people)):
        raise ValueError(f"{pairs.name}: need {int(labels.max()) + 1} different names that can be folders")
    order = np.lexsort((~pairs.same.numpy(), pairs.folds.numpy()))
    genuine = np.bincount(pairs.folds.numpy(), pairs.same.numpy()).astype(int)
    impostors = np.bincount(pairs.folds.numpy()) - genuine
    if len({*genuine.tolist(), *impostors.tolist()}) != 1:
        raise ValueError(
            f"{pairs.name}: folds must have as many genuine pairs as impostors, each as many as the others"
        )
    # Pictures of a person count from 1.
    number = np.zeros(len(labels), int)
    for label in range(len(people)):
        places = np.flatnonzero(labels.numpy() == label)
        number[places] = np.arange(len(places)) + 1
    _write_pictures(folder, pairs, people, number)
    lines = [f"{len(genuine)}\t{genuine[0]}"]
    for row in order.tolist():
        one, other = int(pairs.first[row]), int(pairs.second[row])
        second = [str(number[other])] if pairs.same[row] else [people[int(labels[other])], str(number[other])]
        lines.append("\t".join([people[int(labels[one])], str(number[one]), *second]))
    path = folder / f"{pairs.name}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _write_pictures(
    folder: Path, pairs: PairSet, people: Sequence[str], number: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> None:
    images = require("PIL.Image", extra="train", purpose="writing pictures")
    for place, label in enumerate(pairs.images.labels.tolist()):
        path = folder / people[label] / f"{people[label]}_{number[place]:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = pairs.images.inputs([place])[0].permute(1, 2, 0).contiguous().numpy()
        images.fromarray(pixels).save(path)
