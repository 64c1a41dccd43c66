"""SHREC'13 and SHREC'14: finding 3D models by drawing them (Li and others), in the folders they are handed out in.

SHREC'13: ``SHREC13_SBR_TRAINING_SKETCHES/<class>/train/*.png``, ``SHREC13_SBR_TESTING_SKETCHES/<class>/test/*.png``,
``SHREC13_SBR_TARGET_MODELS/models/m<id>.off``, and the classes of the models in
``SHREC2013_Sketch_Evaluation/SHREC13_SBR_Model.cla``. SHREC'14: ``SHREC14LSSTB_SKETCHES/<class>/{train,test}/*.png``,
``SHREC14LSSTB_TARGET_MODELS/M<id>.off`` and ``SHREC14_Sketch_Evaluation/SHREC14_SBR_Model.cla``. Any of the folders may
hold another of its own name, which is then the one that counts. The ``.cla`` files of the sketches say what the folders
say and are not needed.

Every sketch of the test part is a query; the gallery is all models, which may be trained on too.
"""

from __future__ import annotations

import filecmp
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.cla import match_files, read_cla
from monge.data.formats.labelled_files import LabelledFiles, files_in, labelled, some
from monge.data.formats.places import find_place, folders_in, pictures_in
from monge.data.formats.sniff import names_in, shown
from monge.errors import DataFormatError, MongeError

MODEL_ENDINGS = (".off", ".obj", ".ply")
_SEARCH_DEPTH = 3


@dataclass(frozen=True)
class Edition:
    """Where an edition keeps its files, and how many there should be.

    Args:
        title: What it is called.
        sketches: Folders of the training and of the test sketches.
        models: Folder of the models.
        evaluation: Folder of the class files, as a rule.
        cla: Class file of the models.
        classes: Number of classes.
        train: Training sketches.
        test: Test sketches.
        gallery: Models.
    """

    title: str
    sketches: tuple[str, str]
    models: str
    evaluation: str
    cla: str
    classes: int
    train: int
    test: int
    gallery: int


EDITIONS = {
    "shrec13": Edition(
        "SHREC'13",
        ("SHREC13_SBR_TRAINING_SKETCHES", "SHREC13_SBR_TESTING_SKETCHES"),
        "SHREC13_SBR_TARGET_MODELS",
        "SHREC2013_Sketch_Evaluation",
        "SHREC13_SBR_Model.cla",
        90,
        4_500,
        2_700,
        1_258,
    ),
    "shrec14": Edition(
        "SHREC'14",
        ("SHREC14LSSTB_SKETCHES", "SHREC14LSSTB_SKETCHES"),
        "SHREC14LSSTB_TARGET_MODELS",
        "SHREC14_Sketch_Evaluation",
        "SHREC14_SBR_Model.cla",
        171,
        8_550,
        5_130,
        8_987,
    ),
}


@dataclass(frozen=True)
class ShrecFolder:
    """Sketches and models of an edition.

    Args:
        train_sketches: Sketches to train with.
        test_sketches: The queries.
        models: The gallery.
        classes: Class names, sorted; label ``k`` is ``classes[k]`` for sketches and models.
        definition: One sentence that says what the parts are, with their sizes.
        left_out: What could not be used, one line a kind.
    """

    train_sketches: LabelledFiles
    test_sketches: LabelledFiles
    models: LabelledFiles
    classes: tuple[str, ...]
    definition: str
    left_out: tuple[str, ...] = ()


def read_shrec(folder: str | Path, edition: str, *, strict: bool = True) -> ShrecFolder:
    """Lists sketches and models, and checks that the one fits the other.

    Args:
        folder: Where the folders of the edition are, or the folder above.
        edition: ``"shrec13"`` or ``"shrec14"``.
        strict: Refuse models without a class or a file, classes that only sketches or only models have, and classes
            without sketches to train or to test with. Otherwise what cannot be used is told and left out; models whose
            class nobody drew stay in the gallery.

    Raises:
        DataFormatError: A folder or file is missing or bad, or does not fit the others.
        MongeError: There is no such edition.

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.shape_layouts import write_fake_shrec
        >>> write_fake_shrec(root := tempfile.mkdtemp(), "shrec13", classes=3, train=2, test=1, models=2)
        >>> shrec = read_shrec(root, "shrec13")
        >>> len(shrec.train_sketches), len(shrec.test_sketches), len(shrec.models), len(shrec.classes)
        (6, 3, 9, 3)
    """
    if edition not in EDITIONS:
        raise MongeError(f"edition: found {edition!r}, expected {' or '.join(EDITIONS)}")
    layout = EDITIONS[edition]
    wanted = (*dict.fromkeys(layout.sketches), layout.models)
    place = find_place(folder, lambda path: _entry(path, layout.models) is not None, f"the folder {layout.models}")
    roots = {name: _inner(place, name, layout) for name in wanted}
    left_out: list[str] = []
    models, names = _models(place, roots[layout.models], layout, strict, left_out)
    numbers = {_key(name): number for number, name in enumerate(names)}
    if len(numbers) < len(names):
        raise DataFormatError(shown(place), "", "class names that differ only in capitals or blanks", "each class once")
    parts = [
        _sketches(roots[root], part, numbers, strict, left_out)
        for root, part in zip(layout.sketches, ("train", "test"))
    ]
    _check_classes(roots[layout.sketches[0]], parts, names, layout, strict, left_out)
    train, test = (labelled([pair for pairs in part.values() for pair in pairs]) for part in parts)
    definition = _definition(layout, (len(names), len(train), len(test), len(models)))
    return ShrecFolder(train, test, models, tuple(names), definition, tuple(left_out))


def _key(name: str) -> str:
    """A class name as it is compared: folders and class files may write blanks, underscores and capitals otherwise."""
    return "".join(name.lower().replace("_", " ").replace("-", " ").split())


def _entry(folder: Path, name: str) -> Path | None:
    """The entry of this name, in whatever capitals."""
    exact = folder / name
    if exact.exists():
        return exact
    return next((folder / one for one in names_in(folder) if one.lower() == name.lower()), None)


def _inner(place: Path, name: str, layout: Edition) -> Path:
    """A folder by name, or the one of the same name inside it."""
    found = _entry(place, name)
    if found is None or not found.is_dir():
        hint = f"{layout.title} consists of {layout.models}, {' and '.join(dict.fromkeys(layout.sketches))}"
        raise DataFormatError(shown(place), "", f"no folder {name}", "all folders of the edition side by side", hint)
    inner = _entry(found, found.name)
    return found if inner is None or not inner.is_dir() else inner


def _models(
    place: Path, root: Path, layout: Edition, strict: bool, left_out: list[str]
) -> tuple[LabelledFiles, list[str]]:
    """The gallery in the order of the class file, and the names of all its classes, sorted."""
    below = _entry(root, "models")
    root = root if below is None or not below.is_dir() else below
    files = files_in(root, MODEL_ENDINGS)
    if not files:
        raise DataFormatError(shown(root), "", "no models", f"{layout.gallery:,} files m<id>.off", "is it unpacked?")
    listed = read_cla(_find_cla(place, layout))
    matched, missing, unknown = match_files(listed, files, root, strict=strict)
    if missing:
        left_out.append(f"models without a file: {len(missing):,} ({some(missing)})")
    if unknown:
        left_out.append(f"models without a class: {len(unknown):,} ({some([path.name for path in unknown])})")
    names = sorted({name for one, name in listed.class_of().items() if one in matched})
    number = {name: place for place, name in enumerate(names)}
    pairs = [(matched[one], number[name]) for one, name in listed.class_of().items() if one in matched]
    return labelled(pairs), names


def _find_cla(place: Path, layout: Edition) -> Path:
    """The class file, in its own folder or wherever else it was unpacked, the least deep one first."""
    level = [place]
    for _ in range(_SEARCH_DEPTH):
        for folder in level:
            if (found := _entry(folder, layout.cla)) is not None:
                return found
        level = [below for folder in level for below in folders_in(folder)]
    expected = f"it in {layout.evaluation}"
    raise DataFormatError(shown(place), "", f"no {layout.cla}", expected, "it says which model is of which class")


def _sketches(
    root: Path, part: str, numbers: dict[str, int], strict: bool, left_out: list[str]
) -> dict[str, list[tuple[Path, int]]]:
    """Sketches of a part by class folder, with the number of the class, or -1 where no model has it."""
    found: dict[str, list[tuple[Path, int]]] = {}
    seen: dict[str, Path] = {}
    empty: list[str] = []
    for folder in folders_in(root):
        if (other := seen.setdefault(_key(folder.name), folder)) != folder:
            both = f"{shown(other.name)} and {shown(folder.name)}"
            raise DataFormatError(shown(root), "", both, "one folder for each class")
        pictures = pictures_in(folder / part)
        if not pictures:
            empty.append(folder.name)
        label = numbers.get(_key(folder.name), -1)
        found[_key(folder.name)] = [(folder / part / name, label) for name in pictures]
    if not found or len(empty) == len(found):
        raise DataFormatError(shown(root), "", "no sketches", f"<class>/{part}/*.png", "is it the right folder?")
    if empty and strict:
        told = f"{len(empty):,} classes without sketches ({some(empty)})"
        expected = f"pictures in <class>/{part} of each class"
        raise DataFormatError(shown(root), "", told, expected, "strict=false leaves them out")
    if empty:
        left_out.append(f"classes without {part} sketches: {len(empty):,} ({some(empty)})")
    return found


def _check_classes(
    root: Path,
    parts: list[dict[str, list[tuple[Path, int]]]],
    names: list[str],
    layout: Edition,
    strict: bool,
    left_out: list[str],
) -> None:
    """Takes out sketches that nothing answers; refuses them, and models that nobody drew, if strict."""
    lonely = sorted({path.parents[1].name for part in parts for pairs in part.values() for path, k in pairs if k < 0})
    undrawn = [name for name in names if not all(_key(name) in part for part in parts)]
    told = []
    if lonely:
        told.append(f"classes of sketches without models: {len(lonely):,} ({some(lonely)})")
    if undrawn:
        told.append(f"classes of models without sketches: {len(undrawn):,} ({some(undrawn)})")
    if told and strict:
        expected = f"the classes of {layout.cla} as folders of sketches, to train and to test with"
        raise DataFormatError(shown(root), "", " and ".join(told), expected, "strict=false goes on without")
    left_out += told
    for part in parts:
        for name in [name for name, pairs in part.items() if pairs and pairs[0][1] < 0]:
            del part[name]
    for name in parts[0].keys() & parts[1].keys():
        trained = {path.name.lower(): path for path, _ in parts[0][name]}
        for path, _ in parts[1][name]:
            if (other := trained.get(path.name.lower())) is not None and filecmp.cmp(path, other, shallow=False):
                raise DataFormatError(shown(path), "", "a test sketch that is a training sketch too", "one of the two")


def _definition(layout: Edition, sizes: tuple[int, int, int, int]) -> str:
    classes, train, test, gallery = sizes
    official = sizes == (layout.classes, layout.train, layout.test, layout.gallery)
    parts = f"official parts of {layout.title}" if official else f"parts of the folder, not those of {layout.title}"
    told = f"{classes} classes, {train:,} sketches to train with, each of {test:,} test sketches a query"
    return f"{parts}: {told}, all {gallery:,} models the gallery, in training too"
