"""Images of Groups: annotations line by line, squares around faces, and splits by photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monge.data import Splits, load_images
from monge.data.formats.flaws import Flaws
from monge.data.formats.images_of_groups import CATEGORIES, GROUPS, face_box, read_images_of_groups
from monge.data.image_files import ImageFiles
from monge.data.synthetic.ordinal_layouts import write_fake_images_of_groups
from monge.errors import DataFormatError, MongeError

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings("ignore:official layout")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fake_images_of_groups(tmp_path, photographs=18)
    return tmp_path


def load(root: Path, **options: object) -> Splits:
    return load_images("images-of-groups", str(root), size=16, **options)


def write(folder: Path, lines: str, photographs: tuple[str, ...] = ("a.jpg",)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in photographs:
        Image.new("RGB", (200, 100), (9, 99, 200)).save(folder / name)
    (folder / "PersonData.txt").write_text(lines)
    return folder


def test_lines_are_photographs_and_their_faces(tmp_path: Path) -> None:
    lines = "a.jpg\n40\t50\t60\t50\t28\t1\n100 50 110 50 75 2 \r\nb.JPG\nc.jpg\n20.5\t30\t20.5\t40\t1\t2\n"
    write(tmp_path / "Fam2a", lines, ("a.jpg", "b.JPG", "c.jpg"))
    faces = read_images_of_groups(tmp_path, Flaws(strict=True))
    assert faces.photographs == 3
    assert [path.name for path in faces.paths] == ["a.jpg", "a.jpg", "c.jpg"]
    assert [GROUPS[group] for group in faces.groups] == ["20-36", "66+", "0-2"]
    np.testing.assert_allclose(faces.boxes, [[20, 26, 60], [90, 38, 30], [5.5, 23, 30]])


def test_eyes_are_in_the_upper_middle_of_the_square_however_a_head_is_turned() -> None:
    for left, right in (((40, 50), (60, 50)), ((60, 50), (40, 50)), ((50, 60), (62, 44))):
        x, y, side = face_box(left, right)
        assert side == pytest.approx(3 * np.hypot(left[0] - right[0], left[1] - right[1]))
        assert (left[0] + right[0]) / 2 == pytest.approx(x + side / 2)
        assert (left[1] + right[1]) / 2 == pytest.approx(y + 0.4 * side)


def test_every_folder_is_read_or_the_one_that_is_named(root: Path) -> None:
    faces = read_images_of_groups(root, Flaws(strict=True))
    assert {path.parent.name for path in faces.paths} == {"Fam2a", "Group4a", "Wed3a"}
    assert faces.photographs == 18
    assert len(faces.paths) == 6 * (2 + 3 + 4)
    assert read_images_of_groups(root / "Fam2a", Flaws(strict=True)).photographs == 6
    with pytest.raises(DataFormatError, match=r"expected a folder with PersonData\.txt in Fam2a/"):
        read_images_of_groups(root / "none", Flaws(strict=True))


def test_the_squares_hold_the_faces(root: Path) -> None:
    """A drawn face fills the tile of 48 pixels; its eyes are 0.26 of that apart, so the square has 37 pixels."""
    splits = load_images("images-of-groups", str(root), size=37)
    whole = read_images_of_groups(root, Flaws(strict=True))
    assert set(np.round(whole.boxes[:, 2])) <= {36.0, 39.0}
    pictures = splits.train.inputs(range(len(splits.train))).float().mean(dim=1)
    # Pupils are nearly black, at 0.4 of the height and a third and two thirds of the width.
    for column in (12, 25):
        assert pictures[:, 14:17, column - 1 : column + 2].amin(dim=(1, 2)).max() < 90


def test_faces_of_one_photograph_stay_together(root: Path) -> None:
    with pytest.warns(UserWarning, match="18 of 5,080 photographs and 54 of 28,231 faces"):
        splits = load(root)
    parts = []
    for part in (splits.train, splits.val, splits.test):
        assert isinstance(part, ImageFiles)
        parts.append({Path(path).name for path in part.paths})
    assert not (parts[0] & parts[1]) | (parts[1] & parts[2]) | (parts[0] & parts[2])
    assert sum(map(len, parts)) == 18
    assert len(splits.train) + len(splits.val) + len(splits.test) == 54
    assert 8 <= len(splits.test) <= 11
    assert splits.positions == tuple(map(float, CATEGORIES))
    assert splits.ordered
    assert "by photograph (fixed draw, seed 1903); each face is a square of 3 times" in splits.definition


def test_missing_photographs(root: Path) -> None:
    gone = sorted((root / "Wed3a").glob("*.jpg"))[0]
    gone.unlink()
    with pytest.raises(DataFormatError, match=rf"{gone.name}: found no such file, expected every photograph"):
        load(root)
    with pytest.warns(UserWarning, match="images-of-groups: left out missing pictures: 1"):
        splits = load(root, strict=False)
    assert len(splits.train) + len(splits.val) + len(splits.test) == 50


def test_damaged_photographs_are_looked_at_once(root: Path) -> None:
    cut = sorted((root / "Wed3a").glob("*.jpg"))[0]
    cut.write_bytes(cut.read_bytes()[:400])
    with pytest.warns(UserWarning, match="left out damaged pictures: 1"):
        splits = load(root, strict=False)
    assert len(splits.train) + len(splits.val) + len(splits.test) == 50


def test_a_face_given_twice_counts_once(tmp_path: Path) -> None:
    lines = "a.jpg\n40\t50\t60\t50\t28\t1\n40\t50\t60\t50\t28\t1\na.jpg\n40\t50\t60\t50\t5\t1\n"
    faces = read_images_of_groups(write(tmp_path, lines), Flaws(strict=True))
    assert faces.groups.tolist() == [4, 1]
    assert faces.repeated == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("40\t50\t60\t50\t28\t1\na.jpg\n", r"line 1: found '40.*', expected the name of a photograph before its faces"),
        ("a.jpg\n40\t50\t60\t50\t28\n", "line 2: found .* expected the name of a photograph, or six numbers"),
        ("a.jpg\n40\t50\t60\t50\tnan\t1\n", "line 2: found .* or six numbers"),
        ("a.jpg\nfour numbers\n", "line 2: found 'four numbers', expected the name of a photograph"),
        ("a.jpg\n40\t50\t60\t50\t30\t1\n", "line 2: found age category 30, expected one of 1, 5, 10, 16, 28, 51, 75"),
        ("a.jpg\n40\t50\t60\t50\t5.5\t1\n", r"age category 5\.5"),
        ("a.jpg\n40\t50\t40\t50\t28\t1\n", "line 2: found both eyes at one place"),
        ("../a.jpg\n", "line 1: found the name '../a.jpg', expected a name without folders"),
        ("<html>", "an HTML page"),
        ("", "an empty file"),
    ],
)
def test_annotations_that_are_broken(tmp_path: Path, lines: str, said: str) -> None:
    write(tmp_path, lines)
    with pytest.raises(DataFormatError, match=rf"PersonData\.txt: .*{said}"):
        read_images_of_groups(tmp_path, Flaws(strict=True))


def test_faces_beside_the_picture_are_found_out_when_they_are_wanted(tmp_path: Path) -> None:
    names = tuple(f"{number}.jpg" for number in range(5))
    lines = "".join(f"{name}\n400\t50\t420\t50\t28\t1\n" for name in names)
    splits = load(write(tmp_path, lines, names))
    with pytest.raises(DataFormatError, match=r"\.jpg: found a box at .* the picture of 200 x 100 pixels"):
        splits.train.inputs([0])


def test_one_photograph_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="images-of-groups: too few pictures to split"):
        load(write(tmp_path, "a.jpg\n40\t50\t60\t50\t28\t1\n"))
