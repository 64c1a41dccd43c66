"""Pictures of one's own by class: the layouts, the parts that are drawn, and all that people get wrong."""

from __future__ import annotations

import shutil
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import Splits, load_images
from monge.data.image_files import ImageFiles
from monge.data.images import ImageSet
from monge.data.synthetic.layouts import write_fake_class_folders
from monge.errors import DataFormatError, MongeError

images = pytest.importorskip("PIL.Image")
CLASSES = ("digit 0", "digit 1", "digit 2")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    write_fake_class_folders(tmp_path / "mine", classes=3, each=20)
    return tmp_path / "mine"


def parted(flat: Path, *parts: str, layout: str = "{part}/{name}") -> Path:
    """The same pictures in parts, four of a class in each but the first, which has the others."""
    root = flat.with_name("parted")
    for name in CLASSES:
        files = sorted((flat / name).iterdir(), key=lambda file: int(file.stem))
        for place, part in enumerate(parts):
            to = root / layout.format(part=part, name=name)
            to.mkdir(parents=True)
            for file in files[12:] if place == 0 else files[4 * (place - 1) : 4 * place]:
                shutil.copy(file, to)
    return root


def load(root: Path, **options: object) -> Splits:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_images("images", str(root), size=16, **options)


def names(part: object) -> set[str]:
    assert isinstance(part, ImageFiles)
    return {"/".join(Path(path).parts[-2:]) for path in part.paths}


def sizes(splits: Splits) -> tuple[int, ...]:
    return tuple(len(part) for part in (splits.train, splits.val, splits.test))


def test_without_parts_they_are_drawn_class_by_class(flat: Path) -> None:
    splits = load(flat)
    assert splits.classes == CLASSES
    assert not splits.ordered
    assert sizes(splits) == (42, 6, 12)
    for part, each in ((splits.train, 14), (splits.val, 2), (splits.test, 4)):
        assert torch.bincount(part.labels).tolist() == [each] * 3
    train, val, test = (names(part) for part in (splits.train, splits.val, splits.test))
    assert len(train | val | test) == 60
    assert "70/10/20 % of every class" in splits.definition
    assert names(load(flat).test) == test
    for part in (splits.train, splits.val, splits.test):
        assert isinstance(part, ImageFiles)
        assert [Path(path).parent.name for path in part.paths] == [CLASSES[label] for label in part.labels]


@pytest.mark.parametrize("layout", ["{part}/{name}", "{name}/{part}", "one level more/{part}/{name}"])
@pytest.mark.parametrize("called", [("train", "val", "test"), ("Training", "validation", "Testing")])
def test_parts_of_the_folder_are_kept(flat: Path, layout: str, called: tuple[str, ...]) -> None:
    splits = load(parted(flat, *called, layout=layout))
    assert splits.classes == CLASSES
    assert sizes(splits) == (24, 12, 12)
    assert {name.rpartition("/")[2] for name in names(splits.val)} == {f"{n}.png" for n in range(4)}
    assert {name.rpartition("/")[2] for name in names(splits.test)} == {f"{n}.png" for n in range(4, 8)}
    assert "the folder's own parts" in splits.definition


def test_validation_is_drawn_where_there_is_none(flat: Path) -> None:
    splits = load(parted(flat, "train", "test"))
    assert sizes(splits) == (18, 6, 12)
    assert not names(splits.train) & names(splits.val)


def test_synthetic_ones_are_read_by_the_same_reader(cache: Path) -> None:
    splits = load_images("images", "synthetic", size=16)
    assert isinstance(splits.train, ImageSet)
    assert sizes(splits) == (84, 12, 24)
    assert splits.source == "synthetic: drawn digits in folders by class"
    assert list(cache.iterdir()) == []


def test_levels_give_the_classes_an_order(flat: Path) -> None:
    splits = load(flat, levels=["digit 2", "digit 0", "digit 1"])
    assert splits.ordered
    assert splits.classes == ("digit 2", "digit 0", "digit 1")
    assert isinstance(splits.test, ImageFiles)
    for path, label in zip(splits.test.paths, splits.test.labels, strict=True):
        assert Path(path).parent.name == splits.classes[label]
    with pytest.raises(DataFormatError, match=r"found levels digit 2, digit 0, expected all classes from low to high"):
        load(flat, levels=["digit 2", "digit 0"])
    with pytest.raises(MongeError, match="found levels=3, expected the names of the classes from low to high"):
        load(flat, levels=3)


def test_names_with_accents_are_the_same_in_either_form(flat: Path) -> None:
    root = parted(flat, "train", "test")
    for part, form in (("train", "NFC"), ("test", "NFD")):
        (root / part / "digit 1").rename(root / part / unicodedata.normalize(form, "Hosé"))  # type: ignore[arg-type]
    assert load(root).classes == ("Hosé", "digit 0", "digit 2")


def test_copies_of_a_picture_stay_together(flat: Path) -> None:
    for number in range(20):
        shutil.copy(flat / "digit 0/3.png", flat / "digit 0" / f"copy {number}.png")
    copies = {"digit 0/3.png"} | {f"digit 0/copy {number}.png" for number in range(20)}
    splits = load(flat)
    assert [bool(names(part) & copies) for part in (splits.train, splits.val, splits.test)].count(True) == 1


def test_pictures_of_every_kind_are_read(flat: Path) -> None:
    place = flat / "digit 0"
    images.fromarray(np.full((30, 20), 51_400, np.uint16)).save(place / "sixteen.png")
    images.new("CMYK", (30, 20), (0, 0, 0, 255)).save(place / "cmyk.jpg")
    images.new("P", (30, 20)).save(place / "palette.png")
    images.new("1", (30, 20), 1).save(place / "bits.tif")
    images.new("L", (1, 1), 7).save(place / "one pixel.PNG")
    frames = [images.new("RGB", (20, 20), (100 * n, 0, 0)) for n in range(3)]
    frames[0].save(place / "moves.gif", save_all=True, append_images=frames[1:])
    splits = load(flat)
    assert sum(sizes(splits)) == 66
    found = {}
    for part in (splits.train, splits.val, splits.test):
        assert isinstance(part, ImageFiles)
        for path, picture in zip(part.paths, part.inputs(range(len(part))), strict=True):
            found[Path(path).name] = picture
    assert found["sixteen.png"].unique().tolist() == [200]
    assert found["cmyk.jpg"].max() <= 2
    assert found["bits.tif"].unique().tolist() == [255]
    assert found["one pixel.PNG"].unique().tolist() == [7]
    assert found["moves.gif"].unique().tolist() == [0]


def spoil(root: Path, how: str) -> None:
    """Makes one of the mistakes."""
    digit, test = root / "digit 1", root / "test/digit 1"
    if how == "misspelt":
        test.rename(root / "test/digitt 1")
    elif how == "cut":
        (digit / "5.png").write_bytes((digit / "6.png").read_bytes()[:200])
    elif how == "text":
        (digit / "5.jpg").write_text("not a picture")
    elif how == "huge":
        images.new("1", (12_000, 9_000)).save(digit / "huge.png")
    elif how == "empty":
        (root / "hat").mkdir()
    elif how == "link":
        (digit / "link.png").symlink_to(root / "gone.png")
    elif how == "parts":
        shutil.copy(root / "train/digit 1/15.png", test / "again.png")
    elif how == "classes":
        shutil.copy(digit / "5.png", root / "digit 2/again.png")
    elif how == "beside":
        shutil.copy(digit / "5.png", root / "again.png")
    elif how == "below":
        (digit / "more").mkdir()
        shutil.copy(digit / "5.png", digit / "more/again.png")


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("misspelt", r"test/digitt 1: found the class digitt 1, expected a class of train, perhaps digit 1"),
        ("cut", r"digit 1/5\.png: found a damaged picture \(.*\), expected a whole one"),
        ("text", r"digit 1/5\.jpg: found no picture that Pillow can read, expected a picture"),
        ("huge", r"digit 1/huge\.png: found 12000 x 9000 pixels, expected at most 80,000,000 pixels"),
        ("empty", r"hat: found no picture, expected pictures of the class"),
        ("link", r"digit 1/link\.png: found no such file, expected a picture"),
        (
            "parts",
            r"digit 1/15\.png: found the same picture as test/digit 1/again\.png, expected each picture in one part",
        ),
        ("classes", r"again\.png: found the same picture as digit 1/5\.png, expected each picture in one class"),
        ("beside", r"again\.png: found no class, expected pictures in the folder of their class"),
        ("below", r"digit 1/more: found a folder, expected pictures in the folder of the class"),
    ],
)
def test_a_flaw_is_one_line_or_left_out_and_told(flat: Path, how: str, line: str) -> None:
    root = parted(flat, "train", "val", "test") if how in ("misspelt", "parts") else flat
    before = sum(sizes(load(root)))
    spoil(root, how)
    with pytest.raises(DataFormatError, match=line + r".* \(strict=false leaves such entries out\)$") as caught:
        load(root)
    assert "\n" not in str(caught.value)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        splits = load_images("images", str(root), size=16, strict=False)
    assert "left out" in splits.definition
    assert any("left out" in str(warning.message) for warning in told)
    # A class that is misspelt misses its pictures, a damaged picture is gone; what was added is not there.
    assert sum(sizes(splits)) == before - {"misspelt": 4, "cut": 1}.get(how, 0)


def test_a_class_of_one_picture_is_told(flat: Path) -> None:
    (flat / "hat").mkdir()
    images.new("RGB", (20, 20), (200, 30, 90)).save(flat / "hat/only.png")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        splits = load_images("images", str(flat), size=16)
    lines = [str(warning.message).partition(": ")[2] for warning in told]
    assert lines == [f"no picture of the part {part} has the class hat" for part in ("val", "test")]
    assert int((splits.train.labels == splits.classes.index("hat")).sum()) == 1


def test_files_of_other_kinds_are_passed_over_and_told(flat: Path) -> None:
    (flat / "digit 1/notes.txt").write_text("mine")
    (flat / "digit 1/Thumbs.db").write_text("of another system")
    with pytest.warns(UserWarning, match=r"passed over, since no pictures by their names: 1 \(notes.txt\)$"):
        splits = load_images("images", str(flat), size=16)
    assert sum(sizes(splits)) == 60
    assert splits.definition.endswith("1 (notes.txt)")


def test_folders_of_another_layout_are_refused(flat: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for place, line in (
        (tmp_path / "nothing", "found none, expected folders of pictures by class"),
        (tmp_path / "mime", r"found nothing there, .*did you mean .*mine"),
        (flat / "digit 0/0.png", "found a file, expected a folder with folders of pictures by class"),
    ):
        with pytest.raises(DataFormatError, match=line):
            load(place)
    root = parted(flat, "train", "test")
    shutil.rmtree(root / "test")
    with pytest.raises(DataFormatError, match="found train alone, expected test too"):
        load(root)
    shutil.copytree(flat / "digit 0", flat / "Digit 0")
    with pytest.raises(DataFormatError, match="found Digit 0 and digit 0, expected one of them"):
        load(flat)
    for other in ("Digit 0", "digit 1", "digit 2"):
        shutil.rmtree(flat / other)
    with pytest.raises(DataFormatError, match="found 1 folder with pictures, expected two or more"):
        load(flat)


def test_options_and_where_to_get_them(flat: Path) -> None:
    with pytest.raises(MongeError, match="images: unknown option 'level'; did you mean levels"):
        load(flat, level=3)
    with pytest.raises(MongeError, match=r"no package carries images: give --data FOLDER with <class>/<picture>"):
        load_images("images")
