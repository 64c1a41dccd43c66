"""Writes drawn faces in the layouts of the field, so that every reader can be tested without its data."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monge.data.alignment import TEMPLATE
from monge.data.formats.recordio import MAGIC_BYTES
from monge.data.synthetic.drawn_identities import DrawnFaces, draw_identities
from monge.data.synthetic.python2_pickle import Plain, python2_pickle
from monge.data.synthetic.record_writer import packed, write_records
from monge.extras import require

SIZE = 112


def encoded(picture: NDArray[np.uint8], kind: str = "JPEG", comment: bytes = b"") -> bytes:
    """A picture ``(3, S, S)`` as JPEG or PNG.

    Args:
        picture: uint8 RGB.
        kind: ``"JPEG"`` or ``"PNG"``.
        comment: Of a JPEG, written near its start.

    Example:
        >>> encoded(np.zeros((3, 8, 8), np.uint8))[:3]
        b'\\xff\\xd8\\xff'
    """
    images = require("PIL.Image", extra="train", purpose="writing pictures")
    stream = io.BytesIO()
    options: dict[str, Any] = {"quality": 92, **({"comment": comment} if comment else {})} if kind == "JPEG" else {}
    images.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0))).save(stream, kind, **options)
    return stream.getvalue()


def write_fake_records(
    folder: str | Path,
    *,
    identities: int = 20,
    each: int = 4,
    size: int = SIZE,
    record_zero: bool = True,
    vector_labels: bool = False,
    shuffled: bool = False,
    parts: bool = False,
    properties: bool = True,
    seed: int = 0,
) -> None:
    """Writes ``train.rec``, ``train.idx`` and ``property`` as InsightFace has them.

    Args:
        folder: Made if it is not there.
        identities: Number of identities.
        each: Pictures of each.
        size: Height and width.
        record_zero: Whether record 0 and the identity records are there; im2rec writes none, and counts from 0.
        vector_labels: Whether labels are vectors, of which the first number counts.
        shuffled: Whether the index lists the keys in a random order.
        parts: Whether every other picture holds the magic word, so that its record is cut into parts.
        properties: Whether ``property`` is there.
        seed: Of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_records(folder := Path(tempfile.mkdtemp()), identities=2, each=2)
        >>> sorted(path.name for path in folder.iterdir())
        ['property', 'train.idx', 'train.rec']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(identities).repeat(each)
    images = draw_identities(labels, size=size, seed=seed).images
    first = int(record_zero)
    payloads = []
    for row, (label, image) in enumerate(zip(labels.tolist(), images, strict=True)):
        # Four times, so that one of them lies at a multiple of four wherever the comment starts.
        comment = b"".join(b"." * shift + MAGIC_BYTES for shift in range(4)) if parts and row % 2 else b""
        content = encoded(image, comment=comment)
        told = [float(label), float(row)] if vector_labels else float(label)
        payloads.append((row + first, packed(told, content, row + first)))
    if record_zero:
        start = len(labels) + 1
        ranges = [
            (start + label, packed([1.0 + label * each, 1.0 + (label + 1) * each])) for label in range(identities)
        ]
        payloads = [(0, packed([float(start), float(start + identities)])), *payloads, *ranges]
    order = np.random.default_rng(seed).permutation(len(payloads)).tolist() if shuffled else ()
    write_records(folder / "train.rec", payloads, order=order)
    if properties:
        (folder / "property").write_text(f"{identities},{size},{size}\n")


def draw_bin_pairs(folds: int, per_fold: int, size: int, seed: int) -> tuple[NDArray[np.uint8], list[bool]]:
    """Pictures two by two and whether both show the same identity, fold by fold, the genuine ones first.

    Args:
        folds: Number of folds.
        per_fold: Genuine pairs of each, and impostors.
        size: Height and width.
        seed: Of the drawings.

    Example:
        >>> images, same = draw_bin_pairs(2, 1, 8, 0)
        >>> images.shape, same
        ((8, 3, 8, 8), [True, False, True, False])
    """
    same = ([True] * per_fold + [False] * per_fold) * folds
    labels = np.arange(2 * len(same))
    labels[1::2] = np.where(same, labels[::2], labels[1::2])
    return draw_identities(labels, size=size, seed=seed).images, same


def write_fake_bin(
    path: str | Path,
    *,
    folds: int = 10,
    per_fold: int = 3,
    size: int = SIZE,
    python: Literal[2, 3] = 3,
    arrays: bool = False,
    protocol: int = 4,
    seed: int = 0,
) -> None:
    """Writes a verification set as InsightFace pickles it: encoded pictures two by two, and which pairs are genuine.

    Args:
        path: The ``.bin`` file.
        folds: Number of folds.
        per_fold: Genuine pairs of each, and impostors.
        size: Height and width.
        python: Which Python wrote it.
        arrays: Whether pictures are uint8 arrays and not byte strings.
        protocol: Of Python 3's pickle.
        seed: Of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_bin(file := Path(tempfile.mkdtemp()) / "lfw.bin", folds=2, per_fold=1, python=2)
        >>> file.read_bytes()[:2]
        b'\\x80\\x02'
    """
    images, same = draw_bin_pairs(folds, per_fold, size, seed)
    contents = [encoded(image) for image in images]
    if python == 2:
        plain: list[Plain] = [np.frombuffer(content, np.uint8) if arrays else content for content in contents]
        Path(path).write_bytes(python2_pickle([plain, [int(value) for value in same]]))
        return
    kept = [np.frombuffer(content, np.uint8) if arrays else content for content in contents]
    flags = [np.bool_(value) for value in same] if arrays else same
    Path(path).write_bytes(pickle.dumps((kept, flags), protocol=protocol))


def write_fake_identities(
    folder: str | Path,
    names: Sequence[str],
    *,
    each: int = 4,
    size: int = 64,
    form: str = "{name}_{number:04d}.jpg",
    landmarks: bool = False,
    roll: float = 0.1,
    seed: int = 0,
) -> DrawnFaces:
    """Writes a folder for each person with pictures of it, as LFW has them.

    Args:
        folder: Made if it is not there.
        names: Of the people.
        each: Pictures of each.
        size: Height and width.
        form: Of the pictures' names; numbers count from 1.
        landmarks: Whether ``landmarks.txt`` is written, with five points for each picture.
        roll: How far heads are tilted, in radians.
        seed: Of the drawings.

    Returns:
        The drawings, in the order of the names.

    Example:
        >>> import tempfile
        >>> _ = write_fake_identities(folder := Path(tempfile.mkdtemp()), ["Ann_Lee"], each=2, size=16)
        >>> sorted(path.name for path in (folder / "Ann_Lee").iterdir())
        ['Ann_Lee_0001.jpg', 'Ann_Lee_0002.jpg']
    """
    folder = Path(folder)
    drawn = draw_identities(np.arange(len(names)).repeat(each), size=size, roll=roll, seed=seed)
    lines = []
    for row, image in enumerate(drawn.images):
        name, number = names[row // each], row % each + 1
        path = folder / name / form.format(name=name, number=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image, "PNG" if path.suffix == ".png" else "JPEG"))
        points = " ".join(f"{value:.2f}" for value in drawn.landmarks[row].ravel())
        lines.append(f"{name}/{path.name} {points}\n")
    if landmarks:
        (folder / "landmarks.txt").write_text("".join(lines), encoding="utf-8")
    return drawn


def write_fake_lfw(
    folder: str | Path,
    *,
    folds: int = 10,
    per_fold: int = 6,
    people: int = 20,
    each: int = 4,
    size: int = 64,
    head: Literal["folds", "pairs"] = "folds",
    seed: int = 0,
) -> None:
    """Writes folders of people and ``pairs.txt`` as LFW has them.

    Args:
        folder: Made if it is not there.
        folds: Number of folds.
        per_fold: Genuine pairs of each, and impostors.
        people: Number of people.
        each: Pictures of each.
        size: Height and width.
        head: ``"folds"``: the list tells folds and pairs; ``"pairs"``: only the pairs, as ``pairsDevTrain.txt``.
        seed: Of drawings and pairs.

    Example:
        >>> import tempfile
        >>> write_fake_lfw(folder := Path(tempfile.mkdtemp()), folds=2, per_fold=1, people=3, size=16)
        >>> (folder / "pairs.txt").read_text().splitlines()[0]
        '2\\t1'
    """
    folder = Path(folder)
    names = [f"Person_{letter}" for letter in map(_letters, range(people))]
    write_fake_identities(folder, names, each=each, size=size, seed=seed)
    random = np.random.default_rng(seed)
    lines = [f"{folds}\t{per_fold}" if head == "folds" else f"{folds * per_fold}"]
    for kind in ("genuine", "impostors") * (folds if head == "folds" else 1):
        for _ in range(per_fold if head == "folds" else folds * per_fold):
            one, other = random.choice(people, 2, replace=False)
            first, second = random.choice(each, 2, replace=False) + 1
            if kind == "genuine":
                lines.append(f"{names[one]}\t{first}\t{second}")
            else:
                lines.append(f"{names[one]}\t{first}\t{names[other]}\t{second}")
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _letters(number: int) -> str:
    return chr(65 + number // 26) + chr(65 + number % 26)


def write_fake_ijb(
    folder: str | Path,
    *,
    people: int = 6,
    templates: int = 2,
    media: int = 2,
    frames: int = 2,
    target: Literal["ijbb", "ijbc"] = "ijbc",
    size: int = 0,
    seed: int = 0,
) -> None:
    """Writes ``meta`` with the protocol files of IJB-B or IJB-C for made-up templates, and ``loose_crop`` if drawn.

    Args:
        folder: Made if it is not there.
        people: Number of people; every other one is in the first gallery, the rest in the second.
        templates: Templates of each for verification; the first is the one of the galleries, the others are probes.
        media: Media of a template.
        frames: Pictures of a medium.
        target: Whose names the files have.
        size: Height and width of the pictures, whose heads are tilted, so that they have to be aligned; 0: pictures
            are named and not drawn.
        seed: Of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_ijb(folder := Path(tempfile.mkdtemp()), people=2, templates=1, media=1, frames=1, size=32)
        >>> sorted(path.name for path in (folder / "meta").iterdir())[:2]
        ['ijbc_1N_gallery_G1.csv', 'ijbc_1N_gallery_G2.csv']
        >>> sorted(path.name for path in (folder / "loose_crop").iterdir())
        ['1.jpg', '2.jpg']
    """
    meta = Path(folder) / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    person_of = np.arange(people).repeat(templates)
    template_of = np.arange(len(person_of)).repeat(media * frames)
    landmarks = np.broadcast_to(TEMPLATE, (len(template_of), 5, 2))
    if size:
        drawn = draw_identities(person_of[template_of], size=size, roll=0.4, seed=seed)
        landmarks = drawn.landmarks.astype(np.float64)
        (Path(folder) / "loose_crop").mkdir(exist_ok=True)
        for number, image in enumerate(drawn.images, start=1):
            (Path(folder) / "loose_crop" / f"{number}.jpg").write_bytes(encoded(image))
    listed, points = [], []
    for row, (template, shape) in enumerate(zip(template_of.tolist(), landmarks, strict=True)):
        listed.append(f"{row + 1}.jpg {template + 1} {1000 + row // frames}")
        told = " ".join(f"{value:.3f}" for value in shape.ravel())
        points.append(f"{row + 1}.jpg {told} {0.5 + (row + 1) % 5 / 10:.1f}")
    pairs = [
        f"{one + 1} {other + 1} {int(person_of[one] == person_of[other])}"
        for one in range(len(person_of))
        for other in range(one + 1, len(person_of))
    ]
    for name, lines in (("face_tid_mid", listed), ("name_5pts_score", points), ("template_pair_label", pairs)):
        (meta / f"{target}_{name}.txt").write_text("\n".join(lines) + "\n")
    letter = "G" if target == "ijbc" else "S"
    is_gallery = np.arange(len(person_of)) % templates == 0
    for name, chosen in (
        (f"gallery_{letter}1", np.flatnonzero(is_gallery & (person_of % 2 == 0))),
        (f"gallery_{letter}2", np.flatnonzero(is_gallery & (person_of % 2 == 1))),
        ("probe_mixed", np.flatnonzero(~is_gallery)),
    ):
        rows = [f"{t + 1},{person_of[t] + 1},img/{t + 1}.jpg" for t in chosen]
        (meta / f"{target}_1N_{name}.csv").write_text("TEMPLATE_ID,SUBJECT_ID,FILENAME\n" + "\n".join(rows) + "\n")
