"""Adience: crops, spellings of the third group, stray ages, folds by owner, and every way it can be broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monge.data import Splits, load_images
from monge.data.formats.adience import COLUMNS, GROUPS, SPELLINGS, STRAY, read_adience
from monge.data.formats.flaws import Flaws
from monge.data.image_files import ImageFiles
from monge.data.synthetic.ordinal_layouts import write_fake_adience
from monge.errors import DataFormatError, MongeError

pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings("ignore:official layout")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fake_adience(tmp_path, users=20, faces=4, crops=["faces"])
    return tmp_path


def edit(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    file.write_text("\n".join(change(file.read_text().split("\n"))))


def row(line: str, **cells: str) -> str:
    """A line of a fold file with some of its cells replaced."""
    values = dict(zip(COLUMNS, line.split("\t"), strict=True)) | cells
    return "\t".join(values.values())


def load(root: Path, **options: object) -> Splits:
    return load_images("adience", str(root), size=16, **options)


def paths(part: object) -> list[Path]:
    assert isinstance(part, ImageFiles)
    return [Path(path) for path in part.paths]


def owners(part: object) -> set[str]:
    return {path.parent.name for path in paths(part)}


@pytest.mark.parametrize("crops", ["faces", "aligned"])
@pytest.mark.parametrize("below", [".", "adience"])
def test_both_crops_at_either_level(tmp_path: Path, crops: str, below: str) -> None:
    write_fake_adience(tmp_path / below, users=5, faces=8, crops=[crops])
    faces = read_adience(tmp_path, Flaws(strict=True))
    assert faces.crops == crops
    assert faces.groups.tolist() == [(user + face) % 8 for user in range(5) for face in range(8)]
    assert faces.folds.tolist() == [user for user in range(5) for _ in range(8)]
    assert (
        faces.paths[0].relative_to(tmp_path / below).as_posix()
        == {
            "faces": "faces/1000@N00/coarse_tilt_aligned_face.1.9000000_a0b1c2_o.jpg",
            "aligned": "aligned/1000@N00/landmark_aligned_face.1.9000000_a0b1c2_o.jpg",
        }[crops]
    )
    # 8-12 is written (8, 13) in fold 1.
    assert "(8, 13)" in (tmp_path / below / "fold_1_data.txt").read_text()
    assert (faces.rows, faces.unlabelled, faces.stray) == (50, 5, {"35": 5})


def test_fold_files_in_a_folder_of_their_own_and_frontal_ones_beside(root: Path) -> None:
    expected = read_adience(root, Flaws(strict=True)).paths
    (root / "folds").mkdir()
    for fold in range(5):
        (root / f"fold_{fold}_data.txt").rename(root / "folds" / f"fold_{fold}_data.txt")
        (root / f"fold_frontal_{fold}_data.txt").write_text("not read")
    assert read_adience(root, Flaws(strict=True)).paths == expected
    assert [path.resolve() for path in read_adience(root / "folds", Flaws(strict=True)).paths] == expected


def test_aligned_pictures_come_first_and_either_can_be_asked_for(root: Path) -> None:
    shutil.copytree(root / "faces", root / "aligned")
    for path in (root / "aligned").rglob("*.jpg"):
        path.rename(path.with_name(path.name.replace("coarse_tilt_aligned", "landmark_aligned")))
    assert read_adience(root, Flaws(strict=True)).crops == "aligned"
    assert read_adience(root, Flaws(strict=True), crops="faces").crops == "faces"
    shutil.rmtree(root / "aligned")
    with pytest.raises(DataFormatError, match=r"no pictures, expected a folder aligned/ .*unpack aligned\.tar\.gz"):
        read_adience(root, Flaws(strict=True), crops="aligned")
    with pytest.raises(MongeError, match="crops='both', expected 'aligned' or 'faces'"):
        read_adience(root, Flaws(strict=True), crops="both")


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_is_tested_and_no_owner_is_in_two_parts(root: Path, fold: int) -> None:
    splits = load(root, fold=fold)
    assert owners(splits.test) == {f"{1000 + user}@N0{user % 9}" for user in range(20) if user % 5 == fold}
    parts = [owners(part) for part in (splits.train, splits.val, splits.test)]
    assert not parts[0] & parts[1]
    assert not parts[2] & (parts[0] | parts[1])
    assert sum(map(len, parts)) == 20
    assert (len(splits.train), len(splits.val), len(splits.test)) == (60, 4, 16)
    assert paths(load(root, fold=fold).val) == paths(splits.val)
    assert f"test is fold {fold}, val 10 % of the other folds by owner of the album" in splits.definition


def test_classes_positions_and_sentences(root: Path) -> None:
    with pytest.warns(UserWarning, match="adience read from .* not the complete set: 90 of 19,370 rows"):
        splits = load(root)
    assert splits.classes == GROUPS == ("0-2", "4-6", "8-12", "15-20", "25-32", "38-43", "48-53", "60-100")
    assert splits.positions == (1.0, 5.0, 10.0, 17.5, 28.5, 40.5, 50.5, 80.0)
    assert splits.ordered
    assert "(faces/)" in splits.source
    assert "dropped rows without an age: 5; dropped rows with a stray age: 5 (35: 5)" in splits.definition
    assert splits.test.inputs([0, 1]).shape == (2, 3, 16, 16)


def test_the_complete_set_is_not_warned_of(
    root: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr("monge.data.formats.adience.ROWS", 90)
    assert "not the complete set" not in load(root).source
    assert not recwarn.list


@pytest.mark.parametrize("fold", [5, -1, 1.0, "1", True])
def test_folds_that_there_are_not(root: Path, fold: object) -> None:
    with pytest.raises(MongeError, match=r"adience: found fold=.*, expected 0 to 4"):
        load(root, fold=fold)


def test_stray_ages_are_dropped_or_mapped_by_the_table(root: Path) -> None:
    ages = list(STRAY)

    def restrayed(lines: list[str]) -> list[str]:
        return [lines[0], *(row(lines[1], age=age) for age in ages)]

    edit(root / "fold_0_data.txt", restrayed)
    # One picture for each, since the same one twice is another matter.
    for number in range(len(ages)):
        edit(
            root / "fold_0_data.txt",
            lambda lines, n=number: [*lines[: n + 1], row(lines[n + 1], face_id=str(500 + n)), *lines[n + 2 :]],
        )
        first = next((root / "faces" / "1000@N00").glob("*.1.9000000*"))
        shutil.copy(first, first.with_name(f"coarse_tilt_aligned_face.{500 + number}.9000000_a0b1c2_o.jpg"))
    dropped = read_adience(root, Flaws(strict=True))
    assert (dropped.folds == 0).sum() == 0
    assert dropped.stray.total() == len(ages) + 4
    mapped = read_adience(root, Flaws(strict=True), stray="map")
    given = {age: group for age, group in STRAY.items() if group is not None}
    assert mapped.groups[mapped.folds == 0].tolist() == list(given.values())
    assert set(STRAY) - set(given) == {"(8,23)"}
    with pytest.raises(MongeError, match="stray='nearest', expected 'drop' or 'map'"):
        read_adience(root, Flaws(strict=True), stray="nearest")


def test_the_table_of_stray_ages_is_the_nearest_group_the_younger_if_two_are() -> None:
    bounds = [tuple(map(int, group.split("-"))) for group in GROUPS]
    for age, group in STRAY.items():
        if age.isdigit():
            far = [max(first - int(age), int(age) - last, 0) for first, last in bounds]
            assert group == int(np.argmin(far)), age
    assert not set(STRAY) & set(SPELLINGS)


def test_headers_that_are_repeated_where_files_were_joined(root: Path) -> None:
    expected = read_adience(root, Flaws(strict=True))
    edit(root / "fold_2_data.txt", lambda lines: [*lines[:3], lines[0], *lines[3:], lines[0], ""])
    again = read_adience(root, Flaws(strict=True))
    assert (again.paths, again.rows) == (expected.paths, expected.rows)


def test_columns_are_found_by_name_and_line_ends_do_not_matter(root: Path) -> None:
    expected = read_adience(root, Flaws(strict=True)).paths
    for fold in range(5):
        file = root / f"fold_{fold}_data.txt"
        turned = ["\t".join(reversed(line.split("\t"))) + " " for line in file.read_text().splitlines()]
        file.write_bytes("\r\n".join(turned).encode())
    assert read_adience(root, Flaws(strict=True)).paths == expected


def test_a_missing_picture_is_one_clear_line(root: Path) -> None:
    user = root / "faces" / "1003@N03"
    gone = sorted(user.glob("*.900030[12]*"))
    for path in gone:
        path.unlink()
    with pytest.raises(DataFormatError) as error:
        load(root)
    told = f"{gone[0]}: found no such file, one of 2 missing pictures ({gone[0].name}, {gone[1].name}), "
    assert str(error.value).startswith(told + "expected every picture that fold_3_data.txt lists")
    assert "\n" not in str(error.value)


def test_missing_and_damaged_pictures_are_left_out_if_asked(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    user = root / "faces" / "1003@N03"
    gone, cut = sorted(user.glob("*.jpg"))[:2]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:500])
    caplog.set_level("INFO", logger="monge.data")
    with pytest.warns(UserWarning, match="adience: left out missing pictures: 1 .*, damaged pictures: 1"):
        splits = load(root, fold=3, strict=False)
    assert len(splits.test) == 14
    assert not {gone, cut} & set(paths(splits.test))
    assert f"left out missing pictures: 1 ({gone.name})" in splits.definition
    assert f"left out damaged pictures: 1 ({cut.name})" in splits.definition
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        "left out of missing pictures",
        "left out of damaged pictures",
    ]
    assert str(cut) in caplog.text


def test_a_damaged_picture_is_named_when_it_is_wanted(root: Path) -> None:
    cut = sorted((root / "faces" / "1003@N03").glob("*.jpg"))[1]
    cut.write_bytes(b"<html>Sign in</html>")
    splits = load(root, fold=3)
    place = paths(splits.test).index(cut)
    with pytest.raises(DataFormatError, match=rf"{cut.name}: byte 0: found an HTML page, expected a picture"):
        splits.test.inputs([place])


def test_unknown_ages_are_counted_and_listed(root: Path) -> None:
    for fold in (1, 4):
        edit(root / f"fold_{fold}_data.txt", lambda lines: [*lines[:2], row(lines[2], age="(1, 99)"), *lines[3:]])
    where = r"fold_1_data\.txt line 3, fold_4_data\.txt line 3"
    said = rf"line 3: found age '\(1, 99\)', one of 2 rows with an unknown age \({where}\), expected one of \(0,2\), "
    with pytest.raises(DataFormatError, match=said):
        load(root)
    with pytest.warns(UserWarning, match="left out rows with an unknown age: 2"):
        assert len(load(root, strict=False, fold=1).test) == 15


def test_a_picture_in_two_folds_is_a_leak(root: Path) -> None:
    lines = (root / "fold_1_data.txt").read_text().split("\n")
    edit(root / "fold_2_data.txt", lambda mine: [*mine[:-1], lines[1], ""])
    said = r"fold_2_data\.txt: line \d+: found .* in fold 2 as 4-6, expected once: it is in fold 1 as 4-6"
    with pytest.raises(DataFormatError, match=said):
        load(root)
    with pytest.warns(UserWarning, match="left out pictures listed twice: 1"):
        splits = load(root, fold=2, strict=False)
    assert "1001@N01" not in owners(splits.test)


def test_a_row_given_twice_counts_once(root: Path) -> None:
    edit(root / "fold_2_data.txt", lambda lines: [*lines[:-1], lines[1], lines[1], ""])
    splits = load(root, fold=2)
    assert len(splits.test) == 16
    assert "dropped entries given twice: 2" in splits.definition
    edit(root / "fold_2_data.txt", lambda lines: [*lines[:-1], row(lines[1], age="(60, 100)"), ""])
    with pytest.raises(DataFormatError, match=r"found .* in fold 2 as 60-100, expected once: it is in fold 2 as"):
        load(root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: ["user_id\tage", *lines[1:]], "line 1: found a header without original_image, face_id"),
        (lambda lines: [line.replace("\t", ",") for line in lines], "line 1: found a header without user_id"),
        (lambda lines: [*lines[:2], "1000@N00\tcut", *lines[3:]], "line 3: found 2 columns, expected at least 4"),
        (lambda lines: [*lines[:2], row(lines[2], user_id="../.."), *lines[3:]], "line 3: found user '../..'"),
        (lambda lines: [*lines[:2], row(lines[2], original_image=""), *lines[3:]], "image '', face"),
        (lambda lines: ["<!DOCTYPE html>"], "an HTML page"),
        (lambda lines: [""], "an empty file"),
        (lambda lines: ["", "  "], "line 1: found a header without"),
    ],
)
def test_fold_files_that_are_broken(root: Path, change: Callable[[list[str]], list[str]], said: str) -> None:
    edit(root / "fold_0_data.txt", change)
    with pytest.raises(DataFormatError, match=rf"fold_0_data\.txt: .*{said}"):
        load(root)


def test_folders_that_are_not_it(root: Path) -> None:
    with pytest.raises(DataFormatError, match=r"expected Adience's fold_0_data.*there is one in"):
        load(root / "faces")
    (root / "fold_3_data.txt").unlink()
    said = r"only fold_0_data\.txt, .*fold_4_data\.txt, expected fold_3_data\.txt as well"
    with pytest.raises(DataFormatError, match=said):
        load(root)


def test_too_few_owners_to_choose_by(tmp_path: Path) -> None:
    write_fake_adience(tmp_path, users=2, faces=4, crops=["faces"])
    with pytest.raises(MongeError, match="adience: too few pictures to split"):
        load(tmp_path)
    with pytest.raises(MongeError, match=r"the test part of .* is empty"):
        load(tmp_path, fold=4)
