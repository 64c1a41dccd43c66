"""ModelNet10 and ModelNet40 (Wu and others, CVPR 2015) as they are handed out: OFF files in folders by class and part.

``ModelNet40/<class>/train/<class>_0001.off`` and the same with ``test``. Class names may hold underscores
(``night_stand``), so the name of the folder counts and not what stands before the first underscore of a file. What
macOS leaves in archives is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.flaws import Flaws
from monge.data.formats.labelled_files import LabelledFiles, files_in, labelled
from monge.data.formats.places import find_place, folders_in
from monge.data.formats.sniff import shown
from monge.data.splits import SPLIT_SEED
from monge.errors import MongeError

PARTS = ("train", "test")
OFFICIAL = {10: (3_991, 908), 40: (9_843, 2_468)}
"""Models to train and to test with, by the number of classes."""
LEAST_OF_A_CLASS = 2
"""Models of a class that a drawn validation part has at least, so that one finds another; matters in small folders."""
_EXPECTED = "class folders that hold train/ and test/ with .off files"


@dataclass(frozen=True)
class ModelNetFolder:
    """The models of a ModelNet folder.

    Args:
        train: The official training part, less `val`.
        val: Drawn from the official training part; ModelNet has no validation part of its own.
        test: The official test part.
        classes: Names of the folders, sorted; label ``k`` is ``classes[k]``.
        definition: One sentence that says how the parts were made, with their sizes.
    """

    train: LabelledFiles
    val: LabelledFiles
    test: LabelledFiles
    classes: tuple[str, ...]
    definition: str


def read_modelnet(
    folder: str | Path, flaws: Flaws, *, val_fraction: float = 0.1, seed: int = SPLIT_SEED
) -> ModelNetFolder:
    """Lists the models of ModelNet10 or ModelNet40, or of another collection in the same layout.

    Args:
        folder: The folder of the class folders, or the one above.
        flaws: Takes classes without a part, files under another class's name, and models that are in both parts;
            settled before this returns.
        val_fraction: Share of each class's training part that is set aside, two models at least where there are four;
            0: none.
        seed: Of that draw.

    Raises:
        DataFormatError: No such layout, or, unless flaws are left out, one of the flaws.
        MongeError: A fraction outside [0, 1).

    Example:
        >>> import tempfile
        >>> from monge.data.synthetic.shape_layouts import write_fake_modelnet
        >>> write_fake_modelnet(root := tempfile.mkdtemp(), classes=3, train=4, test=2)
        >>> shapes = read_modelnet(root, Flaws(strict=True), val_fraction=0.25)
        >>> len(shapes.train), len(shapes.val), len(shapes.test), shapes.classes
        (6, 6, 6, ('bathtub', 'bed', 'chair'))
    """
    if not 0 <= val_fraction < 1:
        raise MongeError(f"val_fraction: found {val_fraction}, expected at least 0 and below 1")
    place = find_place(folder, _holds, _EXPECTED)
    named = [path for path in folders_in(place) if _is_class(path)]
    parts: dict[str, list[tuple[Path, int]]] = {part: [] for part in PARTS}
    for label, path in enumerate(named):
        first: dict[str, Path] = {}
        for part in PARTS:
            files = files_in(path / part, (".off",))
            if not files:
                flaws.note("class folders without a part", path / part, "", "no .off file", f"models to {part} with")
            parts[part] += [(file, label) for file in files if _belongs(file, path.name, first, flaws)]
    flaws.settle()
    official, test = labelled(parts["train"]), labelled(parts["test"])
    train, val = official, official.subset([])
    if val_fraction:
        train, val = official.hold_out(val_fraction, least=LEAST_OF_A_CLASS, seed=seed)
    definition = _definition(len(named), len(official), len(val), len(test), seed)
    return ModelNetFolder(train, val, test, tuple(shown(path.name) for path in named), definition)


def _holds(place: Path) -> bool:
    return any(_is_class(path) for path in folders_in(place))


def _is_class(path: Path) -> bool:
    return any(files_in(path / part, (".off",)) for part in PARTS)


def _belongs(file: Path, name: str, first: dict[str, Path], flaws: Flaws) -> bool:
    """Whether a file is a model of the class and has not been listed before."""
    stem = file.stem.lower()
    if stem.rpartition("_")[0] != name.lower():
        expected = f"{shown(name)}_<number>.off in the folder {shown(name)}"
        flaws.note("files under another name", file, "", f"a file called {shown(file.name)}", expected)
        return False
    if (other := first.setdefault(stem, file)) != file:
        found = f"a model that is also in {shown(other.parent.name)}"
        flaws.note("models in both parts", file, "", found, "each model in one part")
        return False
    return True


def _definition(classes: int, train: int, val: int, test: int, seed: int) -> str:
    sizes = f"{classes} classes, {train:,} models to train and {test:,} to test with"
    parts = f"official parts of ModelNet{classes}"
    if OFFICIAL.get(classes) != (train, test):
        wanted = OFFICIAL.get(classes)
        less = "" if wanted is None else f" (ModelNet{classes} has {wanted[0]:,} and {wanted[1]:,})"
        parts = f"parts as they are in the folder, not of the official sizes{less}"
    drawn = f"{val:,} of the training models set aside for validation, drawn by class with seed {seed}"
    return f"{parts}: {sizes}; {drawn if val else 'no validation part'}"
