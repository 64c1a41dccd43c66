"""Lists of pairs in every form of the field, and every way in which they break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monge.data import load_faces, load_pair_set
from monge.data.formats.pairs_txt import read_pairs_txt
from monge.data.synthetic.face_layouts import write_fake_identities, write_fake_lfw
from monge.errors import DataFormatError, MongeError

TWO_FOLDS = ["A\t1\t2", "A\t1\tB\t3", "B\t2\t1", "B\t4\tA\t1"]


def stored(tmp_path: Path, lines: list[str], end: str = "\n") -> Path:
    path = tmp_path / "pairs.txt"
    path.write_bytes((end.join(lines) + end).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["\t", " "])
def test_the_list_of_lfw(tmp_path: Path, end: str, mark: str) -> None:
    read = read_pairs_txt(stored(tmp_path, [line.replace("\t", mark) for line in ["2\t1", *TWO_FOLDS]], end))
    assert read.first == [("A", 1), ("A", 1), ("B", 2), ("B", 4)]
    assert read.second == [("A", 2), ("B", 3), ("B", 1), ("A", 1)]
    assert read.same.tolist() == [True, False, True, False]
    assert read.folds.tolist() == [0, 0, 1, 1]
    assert read.lines == [2, 3, 4, 5]


def test_the_list_for_development_has_a_head_of_one_number(tmp_path: Path) -> None:
    read = read_pairs_txt(stored(tmp_path, ["2", "A\t1\t2", "B\t2\t1", "A\t1\tB\t3", "B\t4\tA\t1"]))
    assert read.same.tolist() == [True, True, False, False]
    assert read.folds.tolist() == [0] * 4


def test_the_list_of_calfw_has_two_lines_a_pair(tmp_path: Path) -> None:
    lines = []
    for fold in range(1, 4):
        lines += [f"A_000{fold}.jpg {fold}", f"A_001{fold}.jpg {fold}", f"A_000{fold}.jpg 0", f"B_000{fold}.jpg 0"]
    read = read_pairs_txt(stored(tmp_path, lines), folds=3)
    assert read.first == ["A_0001.jpg", "A_0001.jpg", "A_0002.jpg", "A_0002.jpg", "A_0003.jpg", "A_0003.jpg"]
    assert read.second[:2] == ["A_0011.jpg", "B_0001.jpg"]
    assert read.same.tolist() == [True, False] * 3
    assert read.folds.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_list_that_has_all_genuine_pairs_first_is_parted_kind_by_kind(tmp_path: Path) -> None:
    lines = [f"a{number}.jpg,b{number}.jpg,{int(number < 6)}" for number in range(12)]
    read = read_pairs_txt(stored(tmp_path, lines), folds=3)
    assert read.folds.tolist() == [0, 0, 1, 1, 2, 2] * 2


def test_names_may_have_blanks_where_tabs_part(tmp_path: Path) -> None:
    read = read_pairs_txt(stored(tmp_path, ["1\t1", "Ann Lee\t1\t2", "Ann Lee\t1\tBob Ray\t2"]))
    assert read.second == [("Ann Lee", 2), ("Bob Ray", 2)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["3\t1", *TWO_FOLDS],
            "found 4 pairs, expected 6: 3 folds of 1 genuine pairs and as many impostors, as line 1",
        ),
        (["2\t1", *TWO_FOLDS[:3]], "found 3 pairs, expected 4"),
        (["1\t2", *TWO_FOLDS], "line 3: found two people, expected 2 genuine pairs and then 2 impostors in every fold"),
        (["2\t1", "A\t1\t1", *TWO_FOLDS[1:]], "line 2: found A 1 twice, expected two pictures"),
        (["2\t1", "A\tone\ttwo", *TWO_FOLDS[1:]], r"line 2: found 3 entries \(A \| one \| two\), expected name n1 n2"),
        (["a.jpg b.jpg 1", "a.jpg c.jpg 2"], "line 2: found"),
        (["a.jpg b.jpg 1", "a.jpg c.jpg 1"], "fold 0: found 2 genuine pairs and 0 impostors"),
        (["a.jpg 1", "b.jpg 1", "c.jpg 0"], "found 3 lines, expected an even number"),
        (["a.jpg 1", "b.jpg 0"], "line 1: found flags 1 and 0, expected the same flag"),
        (["a.jpg 1", "a.jpg 1"], "line 1: found a.jpg twice"),
        (["a.jpg 1", "b.jpg yes"], "line 2: found 'b.jpg yes', expected file flag"),
        (["0\t0"], "found 0 pairs"),
        (["\t"], "found no lines"),
    ],
)
def test_a_broken_list_is_told_by_its_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataFormatError, match=message) as caught:
        read_pairs_txt(stored(tmp_path, lines))
    assert "\n" not in str(caught.value)


def test_a_list_finds_its_pictures_in_folders_of_people(tmp_path: Path) -> None:
    write_fake_lfw(tmp_path, folds=3, per_fold=4, people=6, each=3, size=16)
    pairs = load_pair_set(tmp_path / "pairs.txt", size=16)
    labels = pairs.images.labels
    assert (labels[pairs.first] == labels[pairs.second]).equal(pairs.same)
    assert pairs.folds.tolist() == np.arange(3).repeat(8).tolist()
    listed = (tmp_path / "pairs.txt").read_text().splitlines()[1].split("\t")
    assert pairs.images.paths[int(pairs.second[0])].name == f"{listed[0]}_{int(listed[2]):04d}.jpg"  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["{name}/{name}_0001.jpg", "{name}_0001.jpg", "{name}_0001"])
def test_pictures_are_found_by_file_with_and_without_their_folder(tmp_path: Path, form: str) -> None:
    write_fake_identities(tmp_path / "people", ["A", "B"], each=2, size=8)
    other = form.format(name="A").replace("0001", "0002")
    path = stored(tmp_path, [f"{form.format(name='A')}\t{other}\t1", f"{other}\t{form.format(name='B')}\t0"])
    pairs = load_pair_set(path, size=8, pictures=tmp_path / "people")
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 1], [1, 2])


def test_a_missing_picture_is_told_by_its_line(tmp_path: Path) -> None:
    write_fake_lfw(tmp_path, folds=2, per_fold=3, people=4, each=2, size=8)
    name = (tmp_path / "pairs.txt").read_text().splitlines()[1].split("\t")[0]
    (tmp_path / name / f"{name}_0001.jpg").unlink()
    with pytest.raises(DataFormatError, match=rf"line 2: found no picture {name} 1 .*expected one in"):
        load_pair_set(tmp_path / "pairs.txt", size=8)


def test_a_list_that_contradicts_the_folders_is_told(tmp_path: Path) -> None:
    write_fake_identities(tmp_path, ["A", "B"], each=2, size=8)
    path = stored(tmp_path, ["A_0001.jpg A_0002.jpg 1", "B_0001.jpg B_0002.jpg 0"])
    with pytest.raises(DataFormatError, match=r"line 2: found two people, expected what the folders say: B and B"):
        load_pair_set(path, size=8)


def test_blanks_in_names_and_a_heading_are_explained(tmp_path: Path) -> None:
    write_fake_identities(tmp_path / "people", ["Ann Lee", "Bob"], each=2, size=8)
    both = ["Ann Lee/Ann Lee_0001.jpg", "Bob/Bob_0001.jpg", "0"]
    same = ["Ann Lee/Ann Lee_0001.jpg", "Ann Lee/Ann Lee_0002.jpg", "1"]
    for mark in ("\t", ","):
        path = stored(tmp_path, [mark.join(both), mark.join(same)])
        assert len(load_pair_set(path, pictures=tmp_path / "people", size=8)) == 2
    hint = r"\(put tabs between names with blanks, and leave out a heading\)"
    path = stored(tmp_path, [" ".join(both), " ".join(same)])
    with pytest.raises(DataFormatError, match=rf"line 1: found 5 entries \(Ann \| Lee/Ann \| .*{hint}"):
        load_pair_set(path, pictures=tmp_path / "people", size=8)
    path = stored(tmp_path, ["first,second,same", ",".join(both)])
    with pytest.raises(DataFormatError, match=rf"line 1: found 3 entries \(first \| second \| same\), .*{hint}"):
        load_pair_set(path, pictures=tmp_path / "people", size=8)


def test_people_of_a_list_are_not_learned(tmp_path: Path) -> None:
    names = [f"P{number:02d}" for number in range(12)]
    write_fake_identities(tmp_path, names, each=3, size=8)
    lines = ["1\t2", "P00\t1\t2", "P01\t1\t3", "P00\t1\tP01\t1", "P00\t2\tP02\t1"]
    splits = load_faces("faces", str(tmp_path), size=8, pairs=stored(tmp_path, lines))
    assert set(splits.test) == {"pairs"}
    assert not set(splits.classes) & {"P00", "P01", "P02"}
    assert len(splits.classes) == 5
    assert splits.train.labels.bincount().tolist() == [3] * 5
    chosen = {splits.val.images.labels[place].item() for place in splits.val.first.tolist()}
    assert not {names[number] for number in chosen} & set(splits.classes)


def test_too_few_people_are_told(tmp_path: Path) -> None:
    write_fake_identities(tmp_path, ["A", "B", "C"], each=3, size=8)
    with pytest.raises(MongeError, match="found 3 people with two pictures or more, expected at least 2 to learn"):
        load_faces("faces", str(tmp_path), size=8)
