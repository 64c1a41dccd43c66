"""Writes drawings in the layouts of Adience, Images of Groups, AADB, AVA, FG-NET and UTKFace.

They have the quirks of the real ones (ages that are no group, blanks after lines, names that miss a field), so that
whoever reads them reads the real ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats import aadb, adience, ava, images_of_groups
from monge.data.synthetic.portraits import EYES, draw_faces, draw_scenes
from monge.extras import require

_TILE = 48
_SHAPES = {"originalSize": {"height": 60, "width": 80}, "warp256": {"height": 64, "width": 64}}


def write_fake_adience(
    folder: str | Path,
    *,
    users: int = 20,
    faces: int = 8,
    crops: Sequence[str] = tuple(adience.PREFIXES),
    seed: int = 0,
) -> None:
    """Writes the five fold files and the pictures of Adience.

    Args:
        folder: Made if it is not there.
        users: Owners of albums, dealt to the folds in turn; at least 5.
        faces: Faces of each, which take the age groups in turn.
        crops: Which of ``"faces"`` and ``"aligned"``.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_adience(folder := tempfile.mkdtemp(), users=5, faces=1)
        >>> sorted(path.name for path in Path(folder).iterdir())[:3]
        ['aligned', 'faces', 'fold_0_data.txt']
    """
    place = Path(folder)
    spelled = [f"({group.replace('-', ', ')})" for group in adience.GROUPS]
    lines = [["\t".join(adience.COLUMNS)] for _ in range(adience.FOLDS)]
    for number in range(users):
        user, fold = f"{1000 + number}@N0{number % 9}", number % adience.FOLDS
        groups = [(number + face) % len(spelled) for face in range(faces)]
        drawn = draw_faces(np.array(groups) / (len(spelled) - 1), size=_TILE, seed=seed + number)
        # Beside the groups each fold has rows without an age, and ages that are none of the groups.
        ages = [spelled[group] for group in groups] + (["None", "35"] if number < adience.FOLDS else [])
        for face, age in enumerate(ages):
            image = f"{9_000_000 + 100 * number + face}_a0b1c2_o.jpg"
            written = "(8, 13)" if age == "(8, 12)" and fold == 1 else age
            lines[fold].append(f"{user}\t{image}\t{number + 1}\t{written}\tf\t0\t0\t9\t9\t0\t0\t1")
            for crop in crops:
                _save(place / crop / user / f"{adience.PREFIXES[crop]}.{number + 1}.{image}", drawn[face % faces])
    for fold, rows in enumerate(lines):
        (place / f"fold_{fold}_data.txt").write_text("\n".join(rows) + "\n")


def write_fake_images_of_groups(folder: str | Path, *, photographs: int = 56, seed: int = 0) -> None:
    """Writes folders of photographs with two to four people in a row, each with its ``PersonData.txt``.

    Args:
        folder: Made if it is not there.
        photographs: How many in all, dealt to three folders in turn.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_images_of_groups(folder := tempfile.mkdtemp(), photographs=3)
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['Fam2a', 'Group4a', 'Wed3a']
    """
    folders = ("Fam2a", "Group4a", "Wed3a")
    lines: dict[str, list[str]] = {name: [] for name in folders}
    random, person = np.random.default_rng(seed), 0
    for number in range(photographs):
        name = folders[number % 3]
        groups = [(person + other) % 7 for other in range(2 + number % 3)]
        person += len(groups)
        lines[name].append(photograph := f"{100_000 + number}_a0b1_1438_{number}@N07.jpg")
        faces = draw_faces(np.array(groups) / 6, size=_TILE, seed=seed + number)
        picture = random.integers(0, 256, (2 * _TILE, (len(groups) + 1) * _TILE, 3)).astype(np.uint8)
        for place, (group, face) in enumerate(zip(groups, faces, strict=True)):
            left, top = _TILE // 2 + place * _TILE, int(random.integers(0, _TILE))
            picture[top : top + _TILE, left : left + _TILE] = face
            eyes = [f"{start + share * _TILE:.0f}" for eye in EYES for start, share in zip((left, top), eye)]
            lines[name].append("\t".join([*eyes, str(images_of_groups.CATEGORIES[group]), str(1 + place % 2)]))
        _save(Path(folder) / name / photograph, picture)
    for name in folders:
        (Path(folder) / name / images_of_groups.ANNOTATIONS).write_text("\n".join(lines[name]) + "\n")


def write_fake_aadb(
    folder: str | Path,
    *,
    counts: tuple[int, int, int] = (96, 24, 24),
    pictures: Sequence[str] = tuple(aadb.PICTURES),
    test_lists: Sequence[str] = ("new", "old"),
    seed: int = 0,
) -> None:
    """Writes the lists of AADB and their pictures.

    Args:
        folder: Made if it is not there.
        counts: Pictures in training, validation and each test list.
        pictures: Which of ``"originalSize"`` and ``"warp256"``.
        test_lists: Which of ``"new"`` and ``"old"``.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_aadb(folder := tempfile.mkdtemp(), counts=(2, 1, 1), pictures=["warp256"])
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['datasetImages_warp256', 'imgListFiles_label']
    """
    place, random = Path(folder), np.random.default_rng(seed)
    (place / aadb.LIST_FOLDER).mkdir(parents=True, exist_ok=True)
    tests = {"new": aadb.LISTS["test"], "old": aadb.OLD_TEST}
    lists = [(aadb.LISTS["train"], counts[0]), (aadb.LISTS["val"], counts[1])]
    for number, (name, count) in enumerate([*lists, *((tests[word], counts[2]) for word in test_lists)]):
        scores = random.beta(3, 3, count).round(4)
        names = [f"farm{number}_{picture}_{1000 + picture}_b.jpg" for picture in range(count)]
        for edition in pictures:
            drawn = draw_scenes(scores, seed=seed + number, **_SHAPES[edition])
            root = aadb.PICTURES[edition][-1 if name == aadb.LISTS["test"] else 0]
            for file, picture in zip(names, drawn, strict=True):
                _save(place / root / file, picture)
        rows = [f"{file} {score:.4f} " for file, score in zip(names, scores, strict=True)]
        (place / aadb.LIST_FOLDER / name).write_text("\n".join(rows) + "\n")


def write_fake_ava(folder: str | Path, *, train: int = 120, test: int = 30, lists: bool = True, seed: int = 0) -> None:
    """Writes ``AVA.txt``, the pictures, and the generic lists.

    Args:
        folder: Made if it is not there.
        train: Pictures in the training list.
        test: Pictures in the test list.
        lists: Whether to write the two lists.
        seed: Seed of drawings and votes.

    Example:
        >>> import tempfile
        >>> write_fake_ava(folder := tempfile.mkdtemp(), train=2, test=1, lists=False)
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['AVA.txt', 'images']
    """
    place, random = Path(folder), np.random.default_rng(seed)
    (place / "images").mkdir(parents=True, exist_ok=True)
    count = train + test
    means = random.uniform(1.5, 9.5, count)
    grades = np.arange(1, ava.GRADES + 1)
    shares = np.exp(-((grades - means[:, None]) ** 2) / 4)
    votes = [random.multinomial(200, share / share.sum()).tolist() for share in shares]
    ids = (900_000 + 7 * random.permutation(count)).tolist()
    for id_, picture in zip(ids, draw_scenes((means - 1) / 9, seed=seed), strict=True):
        _save(place / "images" / f"{id_}.jpg", picture)
    rows = [[index + 1, id_, *vote, 0, 0, 1] for index, (id_, vote) in enumerate(zip(ids, votes, strict=True))]
    (place / ava.ANNOTATIONS).write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    if lists:
        (place / ava.LIST_FOLDER).mkdir(exist_ok=True)
        for name, part in ((ava.LISTS["train"], ids[:train]), (ava.LISTS["test"], ids[train:])):
            (place / ava.LIST_FOLDER / name).write_text("".join(f"{id_}\n" for id_ in part))


def write_fake_fgnet(folder: str | Path, *, people: int = 82, ages: Sequence[int] | None = None, seed: int = 0) -> None:
    """Writes the pictures of FG-NET into ``images/``.

    Args:
        folder: Made if it is not there.
        people: Number of people.
        ages: Ages of each person; unset: six from 0 to 69, others for each person.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_fgnet(folder := tempfile.mkdtemp(), people=1, ages=[2, 2, 30])
        >>> sorted(path.name for path in (Path(folder) / "images").iterdir())
        ['001A02.JPG', '001A02a.JPG', '001A30.JPG']
    """
    for person in range(1, people + 1):
        mine = list(ages) if ages is not None else [(12 * step + person) % 70 for step in range(6)]
        faces = draw_faces(np.array(mine) / 69, size=_TILE, seed=seed + person)
        for place, (age, face) in enumerate(zip(mine, faces, strict=True)):
            letter = " abcdefgh"[mine[:place].count(age)].strip()
            _save(Path(folder) / "images" / f"{person:03d}A{age:02d}{letter}.JPG", face)


def write_fake_utkface(folder: str | Path, *, count: int = 160, seed: int = 0) -> None:
    """Writes the aligned faces of UTKFace into ``UTKFace/``, and one whose name misses a field.

    Args:
        folder: Made if it is not there.
        count: Faces with a good name; their ages go evenly from 1 to 100.
        seed: Seed of the drawings.

    Example:
        >>> import tempfile
        >>> write_fake_utkface(folder := tempfile.mkdtemp(), count=1)
        >>> sorted(path.name for path in (Path(folder) / "UTKFace").iterdir())
        ['1_0_0_20170116174500000.jpg.chip.jpg', '61_1_20170109142408075.jpg.chip.jpg']
    """
    place = Path(folder) / "UTKFace"
    ages = [1 + (99 * number) // max(1, count - 1) for number in range(count)]
    faces = draw_faces(np.array([*ages, 61]) / 100, size=_TILE, seed=seed)
    for number, (age, face) in enumerate(zip(ages, faces)):
        _save(place / f"{age}_{number % 2}_{number % 5}_{20170116174500000 + number}.jpg.chip.jpg", face)
    _save(place / "61_1_20170109142408075.jpg.chip.jpg", faces[-1])


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = require("PIL.Image", extra="train", purpose="drawing pictures")
    images.fromarray(pixels).save(path, "JPEG", quality=92)
