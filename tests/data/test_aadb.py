"""AADB: the three lists, both test lists, both editions of the pictures, levels of scores, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monge.data import Splits, load_images
from monge.data.formats.aadb import LISTS, OLD_TEST, read_aadb
from monge.data.formats.flaws import Flaws
from monge.data.image_files import ImageFiles
from monge.data.synthetic.ordinal_layouts import write_fake_aadb
from monge.errors import DataFormatError, MongeError

pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings("ignore:official layout")
COUNTS = (12, 4, 5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fake_aadb(tmp_path, counts=COUNTS, pictures=["originalSize"], test_lists=["new"])
    return tmp_path


def load(root: Path, **options: object) -> Splits:
    return load_images("aadb", str(root), size=16, **options)


def names(part: object) -> list[str]:
    assert isinstance(part, ImageFiles)
    return [Path(path).name for path in part.paths]


def file(root: Path, part: str) -> Path:
    return root / "imgListFiles_label" / LISTS[part]


def append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


@pytest.mark.parametrize("pictures", ["originalSize", "warp256"])
@pytest.mark.parametrize("test_list", ["new", "old"])
def test_both_editions_and_both_test_lists(tmp_path: Path, pictures: str, test_list: str) -> None:
    write_fake_aadb(tmp_path, counts=COUNTS, pictures=[pictures], test_lists=[test_list])
    lists = read_aadb(tmp_path, Flaws(strict=True), test_list=test_list)
    assert (lists.pictures, lists.test_list) == (pictures, test_list)
    assert tuple(len(part.paths) for part in (lists.train, lists.val, lists.test)) == COUNTS
    where = {path.parent.name for path in (*lists.train.paths, *lists.test.paths)}
    new = {"AADB_newtest_originalSize"} if (pictures, test_list) == ("originalSize", "new") else set()
    assert where == {f"datasetImages_{pictures}"} | new


def test_blanks_after_lines_lists_beside_the_pictures_and_names_with_blanks(root: Path) -> None:
    assert file(root, "train").read_text().split("\n")[0].endswith(" ")
    first = names(load(root).train)[0]
    picture = root / "datasetImages_originalSize" / first
    picture.rename(picture.with_name("a b.jpg"))
    text = file(root, "train").read_text().replace(first, "a b.jpg").replace("\n", "\r\n")
    for part in LISTS:
        file(root, part).rename(root / LISTS[part])
    (root / LISTS["train"]).write_bytes(text.encode())
    assert names(load(root).train)[0] == "a b.jpg"
    # The folder with the lists, named by itself, finds the pictures beside it.
    (root / "lists").mkdir()
    for part in LISTS:
        (root / LISTS[part]).rename(root / "lists" / LISTS[part])
    assert len(load(root / "lists").train) == 12


def test_levels_are_rounded_scores(root: Path) -> None:
    scores = [0.0, 0.0999, 0.1, 0.2999, 0.3, 0.5, 0.7, 0.8999, 0.9, 1.0]
    listed = names(load(root).train)
    file(root, "train").write_text("".join(f"{name} {score}\n" for name, score in zip(listed, scores, strict=False)))
    with pytest.warns(UserWarning, match="10, 4 and 5 of 8,458, 500 and 1,000 pictures"):
        splits = load(root)
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert splits.classes == ("0", "0.2", "0.4", "0.6", "0.8", "1")
    assert splits.positions == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert splits.ordered
    assert "the new one for test; level = round(5 * score)" in splits.definition
    three = load(root, levels=3)
    assert three.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert three.positions == (0.0, 0.5, 1.0)
    hundred = load(root, levels=101)
    assert hundred.train.labels.tolist() == [int(np.floor(100 * score + 0.5)) for score in scores]
    assert len(set(hundred.classes)) == 101


@pytest.mark.parametrize("levels", [1, 0, 2.0, "6", [0, 1], 102, True])
def test_levels_that_are_none(root: Path, levels: object) -> None:
    with pytest.raises(MongeError, match=r"aadb: found levels=.*, expected a whole number from 2 to 101"):
        load(root, levels=levels)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x.jpg 1.01", r"line 13: found the score 1\.01, expected 0 to 1"),
        ("x.jpg -0.2", r"found the score -0\.2"),
        ("x.jpg nan", "found 'x.jpg nan', expected a name and a score"),
        ("x.jpg", "found 'x.jpg', expected a name and a score"),
        ("x.jpg good", "found 'x.jpg good'"),
        ("../x.jpg 0.5", r"found '\.\./x.jpg 0.5'"),
        ("x.jpg 0.5", r"x\.jpg: found no such file, expected every picture that imgListTrain"),
    ],
)
def test_entries_that_are_refused_or_left_out(root: Path, line: str, said: str) -> None:
    append(file(root, "train"), line)
    with pytest.raises(DataFormatError, match=said):
        load(root)
    with pytest.warns(UserWarning, match=r"aadb: left out (broken lines|scores out of range|missing pictures): 1"):
        assert len(load(root, strict=False).train) == 12


def test_names_in_two_lists(root: Path) -> None:
    first = names(load(root).test)[0]
    append(file(root, "train"), f"{first} 0.5")
    with pytest.raises(DataFormatError, match=rf"Train.*line 13: found {first} in another list as well"):
        load(root)
    with pytest.warns(UserWarning, match="left out pictures listed twice: 1"):
        splits = load(root, strict=False)
    assert first in names(splits.test)
    assert first not in names(splits.train)
    append(file(root, "test"), f"{first} 0.5")
    with pytest.raises(DataFormatError, match=rf"TestNew.*line 6: found {first} twice in this list"):
        load(root)


def test_lists_and_pictures_that_are_not_there(root: Path) -> None:
    file(root, "test").rename(file(root, "test").with_name(OLD_TEST))
    with pytest.raises(DataFormatError, match=rf"no {LISTS['test']}, .*{OLD_TEST} is there: test_list=old"):
        load(root)
    with pytest.raises(MongeError, match="test_list='newest', expected 'new' or 'old'"):
        load(root, test_list="newest")
    assert len(load(root, test_list="old").test) == 5
    with pytest.raises(DataFormatError, match="no pictures, expected a folder datasetImages_warp256/"):
        load(root, test_list="old", pictures="warp256")
    with pytest.raises(MongeError, match="pictures='small', expected 'originalSize' or 'warp256'"):
        load(root, pictures="small")
    file(root, "val").unlink()
    with pytest.raises(DataFormatError, match=rf"no {LISTS['val']}, expected all three lists"):
        load(root, test_list="old")
    with pytest.raises(DataFormatError, match=rf"expected AADB's {LISTS['train']}.*there is one in"):
        load(root / "datasetImages_originalSize")


def test_damaged_pictures(root: Path) -> None:
    cut = root / "AADB_newtest_originalSize" / names(load(root).test)[2]
    cut.write_bytes(cut.read_bytes()[:200])
    with pytest.raises(DataFormatError, match=f"{cut.name}: found a damaged picture"):
        load(root).test.inputs(range(5))
    with pytest.warns(UserWarning, match="left out damaged pictures: 1"):
        assert load(root, strict=False).test.inputs(range(4)).shape == (4, 3, 16, 16)
