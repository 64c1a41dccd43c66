"""FG-NET and UTKFace: ages in file names, leaving a person out, classes of ages, and names that do not tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monge.data import Splits, load_images
from monge.data.formats.named_ages import read_fgnet, read_utkface
from monge.data.image_files import ImageFiles
from monge.data.synthetic.ordinal_layouts import write_fake_fgnet, write_fake_utkface
from monge.errors import DataFormatError, MongeError

pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings("ignore:official layout")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    write_fake_fgnet(tmp_path, people=12, ages=list(range(3, 70, 7)))
    return tmp_path


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    write_fake_utkface(tmp_path)
    return tmp_path


def fgnet(root: Path, **options: object) -> Splits:
    return load_images("fg-net", str(root), size=16, **options)


def utkface(root: Path, **options: object) -> Splits:
    return load_images("utkface", str(root), size=16, **options)


def names(part: object) -> list[str]:
    assert isinstance(part, ImageFiles)
    return [Path(path).name for path in part.paths]


def touch(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).write_bytes(b"x")
    return folder


def test_names_of_fgnet(tmp_path: Path) -> None:
    touch(tmp_path, "001A02.JPG", "001A43a.JPG", "082a05b.jpg", "001A2.JPG", "group.jpg", "points.txt", "._001A05.JPG")
    faces = read_fgnet(tmp_path)
    assert [path.name for path in faces.paths] == ["001A02.JPG", "001A43a.JPG", "082a05b.jpg"]
    assert faces.ages.tolist() == [2, 43, 5]
    assert faces.people.tolist() == [1, 1, 82]
    assert faces.passed_over == ("001A2.JPG", "group.jpg")


def test_names_of_utkface(tmp_path: Path) -> None:
    good = ("1_0_2_20161219140530307.jpg.chip.jpg", "116_1_4_20170112213001988.jpg", "24_0_1_20170116220224657 .jpg")
    good += ("55_0_0_20170116232725357jpg.chip.jpg",)
    bad = ("61_1_20170109142408075.jpg.chip.jpg", "39_1_20170116174525125.jpg", "117_1_1_2.jpg", "5_2_1_2.jpg", "a.jpg")
    touch(tmp_path, *good, *bad)
    faces = read_utkface(tmp_path)
    assert sorted(path.name for path in faces.paths) == sorted(good)
    assert sorted(faces.ages.tolist()) == [1, 24, 55, 116]
    assert sorted(faces.passed_over) == sorted(bad)


def test_a_person_is_left_out(people: Path) -> None:
    first = fgnet(people)
    assert {name[:3] for name in names(first.test)} == {"001"}
    splits = fgnet(people, fold=7)
    assert {name[:3] for name in names(splits.test)} == {"007"}
    assert len(splits.test) == 10
    chosen, learned = ({name[:3] for name in names(part)} for part in (splits.val, splits.train))
    assert not chosen & learned
    assert len(chosen | learned) == 11
    assert "test is person 7, val 10 % of the others by person (fixed draw, seed 1903)" in splits.definition
    with pytest.raises(
        MongeError, match=r"fg-net: found fold=13, expected the number of a person \(1 to 12, 12 in all\)"
    ):
        fgnet(people, fold=13)


def test_every_age_is_a_class(people: Path) -> None:
    with pytest.warns(UserWarning, match="120 of 1,002 pictures and 12 of 82 people"):
        splits = fgnet(people)
    assert splits.classes == tuple(map(str, range(3, 67)))
    assert splits.positions == tuple(map(float, range(3, 67)))
    assert splits.ordered
    assert splits.test.labels.tolist() == [int(name[4:6]) - 3 for name in names(splits.test)]


def test_classes_begin_and_end_with_the_ages_there_are(tmp_path: Path) -> None:
    write_fake_fgnet(tmp_path, people=4, ages=[18, 20, 22])
    splits = fgnet(tmp_path)
    assert splits.classes == ("18", "19", "20", "21", "22")
    assert splits.test.labels.tolist() == [0, 2, 4]


def test_ages_in_levels(people: Path) -> None:
    levels = [[0, 2], [3, 10], [20, 29], [40, 40]]
    splits = fgnet(people, levels=levels)
    assert splits.classes == ("0-2", "3-10", "20-29", "40")
    assert splits.positions == (1.0, 6.5, 24.5, 40.0)
    told = 0
    for part in (splits.train, splits.val, splits.test):
        for name, label in zip(names(part), part.labels.tolist(), strict=True):
            first, last = levels[label]
            assert first <= int(name[4:6]) <= last
        told += len(part)
    assert f"dropped faces of an age in no level: {120 - told}" in splits.definition


@pytest.mark.parametrize(
    "levels",
    [
        [[0, 5]],
        [[0, 5], [5, 9]],
        [[6, 9], [0, 5]],
        [[5, 0], [6, 9]],
        [[0, 5], [6]],
        [[0, 5], [6, 10**30]],
        [0, 5],
        "0-5",
        [[0, 5.5], [6, 9]],
        3,
    ],
)
def test_levels_that_are_none(people: Path, levels: object) -> None:
    with pytest.raises(MongeError, match=r"fg-net: found levels=.*, expected two or more pairs .* e\.g\. \[\[0, 2\]"):
        fgnet(people, levels=levels)


def test_a_person_without_a_face_in_the_levels(tmp_path: Path) -> None:
    write_fake_fgnet(tmp_path, people=9)
    with pytest.raises(MongeError, match=r"fg-net: the test part of .* is empty"):
        fgnet(tmp_path, fold=1, levels=[[2, 3], [14, 15]])


def test_utkface_is_split_by_decade_whatever_the_levels(crowd: Path) -> None:
    with pytest.warns(UserWarning, match="161 of 23,708 aligned faces"):
        splits = utkface(crowd)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (120, 10, 30)
    assert splits.classes[0] == "1"
    assert splits.classes[-1] == "100"
    said = "not a published split; passed over names that do not tell the age: 1 (61_1_20170109142408075.jpg.chip.jpg)"
    assert said in splits.definition
    few = utkface(crowd, levels=[[0, 19], [20, 59]])
    for part, small in ((splits.train, few.train), (splits.val, few.val), (splits.test, few.test)):
        assert names(small) == [name for name in names(part) if int(name.split("_")[0]) < 60]
    assert set(few.test.labels.tolist()) == {0, 1}


def test_utkface_in_parts(crowd: Path) -> None:
    files = sorted((crowd / "UTKFace").iterdir())
    for number, path in enumerate(files):
        (crowd / f"part{1 + number % 3}").mkdir(exist_ok=True)
        path.rename(crowd / f"part{1 + number % 3}" / path.name)
    assert len(read_utkface(crowd).paths) == 160
    (crowd / "UTKFace").rmdir()
    assert len(read_utkface(crowd / "part2").paths) in (53, 54)


def test_folders_that_are_not_it(people: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"expected UTKFace's pictures \(25_0_2_"):
        utkface(people)
    touch(tmp_path / "twice" / "UTKFace", "1_0_2_3.jpg")
    touch(tmp_path / "twice" / "crop_part1", "1_0_2_3.jpg")
    with pytest.raises(DataFormatError, match="name the one you mean"):
        utkface(tmp_path / "twice")
    touch(tmp_path / "capitals", "001A02.JPG", "001a02.jpg")
    if len(list((tmp_path / "capitals").iterdir())) == 2:
        with pytest.raises(DataFormatError, match="differ only in capitals"):
            fgnet(tmp_path / "capitals")


@pytest.mark.parametrize("load", [fgnet, utkface])
def test_damaged_pictures(tmp_path: Path, load: object) -> None:
    write_fake_fgnet(tmp_path) if load is fgnet else write_fake_utkface(tmp_path)
    assert callable(load)
    splits = load(tmp_path)
    cut = Path(splits.test.paths[1])
    cut.write_bytes(b"")
    with pytest.raises(DataFormatError, match=rf"{cut.name}: byte 0: found an empty file"):
        splits.test.inputs([0, 1])
    with pytest.warns(UserWarning, match=f"left out damaged pictures: 1 .{cut.name}"):
        assert len(load(tmp_path, strict=False).test) == len(splits.test) - 1


def test_names_that_are_not_utf8_can_be_told(tmp_path: Path) -> None:
    write_fake_utkface(tmp_path)
    for name in (b"caf\xe9.jpg", b"30_1_2_3\xe9.jpg"):
        (tmp_path / "UTKFace" / os.fsdecode(name)).write_bytes(b"")
    splits = utkface(tmp_path, strict=False)
    assert "caf\\xe9.jpg)" in splits.definition
    assert "left out damaged pictures: 1 (30_1_2_3\\xe9.jpg)" in splits.definition
    splits.definition.encode("utf-8")
