"""A folder of IJB-B or IJB-C as a whole: both layouts, files in another order, and what does not fit together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from monge.data.ijb_set import open_ijb
from monge.data.synthetic.face_layouts import write_fake_ijb
from monge.errors import DataFormatError


@pytest.mark.parametrize(("target", "letter"), [("ijbb", "S"), ("ijbc", "G")])
def test_both_data_sets_open_from_their_folder_or_above(tmp_path: Path, target: str, letter: str) -> None:
    write_fake_ijb(tmp_path / "set", people=4, templates=2, media=2, frames=3, target=target, size=24)
    assert (tmp_path / "set" / "meta" / f"{target}_1N_gallery_{letter}2.csv").is_file()
    for folder in (tmp_path, tmp_path / "set"):
        ijb = open_ijb(folder)
        assert (ijb.name, len(ijb), len(ijb.pairs())) == (target, 48, 28)
        assert ijb.templates.bincount()[1:].tolist() == [6] * 8
        assert ijb.media.unique(return_counts=True)[1].tolist() == [3] * 16
        searches = ijb.searches()
        assert searches is not None
        (templates, people), galleries = searches
        assert templates.tolist() == [2, 4, 6, 8]
        assert people.tolist() == [1, 2, 3, 4]
        assert [gallery[1].tolist() for gallery in galleries] == [[1, 3], [2, 4]]
        assert ijb.faces(16).inputs([0, 47]).shape == (2, 3, 16, 16)


def test_landmarks_are_found_by_name_where_the_files_differ_in_order(tmp_path: Path) -> None:
    write_fake_ijb(tmp_path, size=24)
    before = open_ijb(tmp_path)
    file = tmp_path / "meta" / "ijbc_name_5pts_score.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[::-1], "99.jpg" + " 1" * 11]) + "\n")
    after = open_ijb(tmp_path)
    assert after.names == before.names
    assert torch.equal(after.landmarks, before.landmarks)
    assert torch.equal(after.scores, before.scores)
    file.write_text("\n".join(lines[::-1] + lines[:1]) + "\n")
    with pytest.raises(DataFormatError, match="found a picture twice, expected one line for each picture"):
        open_ijb(tmp_path)


def test_without_files_of_the_search_there_is_none(tmp_path: Path) -> None:
    write_fake_ijb(tmp_path, size=24)
    for file in (tmp_path / "meta").glob("*.csv"):
        file.unlink()
    assert open_ijb(tmp_path).searches() is None


def cut(file: str, lines: int) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / "meta" / file
        path.write_text("\n".join(path.read_text().splitlines()[:-lines]) + "\n")

    return change


def write(file: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / "meta" / file).write_text(text)


def read_all(folder: Path) -> None:
    ijb = open_ijb(folder)
    ijb.pairs()
    ijb.searches()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut("ijbc_name_5pts_score.txt", 2), "found no line for 47.jpg, expected one line for each picture"),
        (lambda root: (root / "loose_crop" / "7.jpg").unlink(), "found no 7.jpg, and 1 of 48 pictures missing in all"),
        (lambda root: (root / "loose_crop").rename(root / "crops"), "loose_crop: found nothing there"),
        (write("ijbc_1N_gallery_G1.csv", "TEMPLATE_ID,SUBJECT_ID\n99,1\n"), "found template 99, expected templates"),
        (lambda root: (root / "meta" / "ijbc_1N_gallery_G2.csv").unlink(), "G2.csv: found no such file"),
        (lambda root: (root / "meta" / "ijbc_template_pair_label.txt").unlink(), "label.txt: found no such file"),
        (write("ijbb_face_tid_mid.txt", "1.jpg 1 2\n"), "found ijbb_face_tid_mid.txt and ijbc_face_tid_mid.txt"),
        (lambda root: (root / "meta").rename(root / "protocol"), "expected meta/ijbc_face_tid_mid.txt"),
    ],
)
def test_what_does_not_fit_together_is_one_line(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    write_fake_ijb(tmp_path / "IJBC", size=16)
    change(tmp_path / "IJBC")
    with pytest.raises(DataFormatError, match=message) as caught:
        read_all(tmp_path)
    assert "\n" not in str(caught.value)


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    write_fake_ijb(tmp_path, size=16)
    for file in ("ijbc_face_tid_mid.txt", "ijbc_name_5pts_score.txt"):
        path = tmp_path / "meta" / file
        path.write_text(path.read_text().replace("48.jpg", "../48.jpg"))
    with pytest.raises(DataFormatError, match=r"found the picture '\.\./48\.jpg', expected a file of loose_crop"):
        open_ijb(tmp_path)
