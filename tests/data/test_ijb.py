"""IJB's protocol files in pieces of any size, and every way in which they break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monge.data.formats.ijb import (
    ijb_pair_chunks,
    read_ijb_pairs,
    read_ijb_people,
    read_ijb_pictures,
    read_ijb_points,
)
from monge.data.synthetic.face_layouts import write_fake_ijb
from monge.errors import DataFormatError


def test_the_files_fit_together(tmp_path: Path) -> None:
    write_fake_ijb(tmp_path, people=6, templates=3, media=2, frames=2)
    meta = tmp_path / "meta"
    pictures = read_ijb_pictures(meta / "ijbc_face_tid_mid.txt")
    points = read_ijb_points(meta / "ijbc_name_5pts_score.txt")
    assert pictures.names == points.names
    assert np.bincount(pictures.templates)[1:].tolist() == [4] * 18
    assert np.unique(pictures.media).size == 36
    pairs = read_ijb_pairs(meta / "ijbc_template_pair_label.txt", templates=pictures.templates)
    assert len(pairs) == 18 * 17 // 2
    assert int(pairs.same.sum()) == 6 * 3
    galleries = [read_ijb_people(meta / f"ijbc_1N_gallery_G{number}.csv") for number in (1, 2)]
    probes = read_ijb_people(meta / "ijbc_1N_probe_mixed.csv")
    assert set(probes[1]) == set(galleries[0][1]) | set(galleries[1][1])
    assert not set(galleries[0][1]) & set(galleries[1][1])
    assert set(probes[0]) | set(galleries[0][0]) | set(galleries[1][0]) == set(pictures.templates)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("chunk", [1, 2, 5, 7, 8, 11, 64, 1 << 20])
def test_pieces_of_any_size_give_the_same_pairs(tmp_path: Path, end: str, last: bool, chunk: int) -> None:
    rows = [(number, number * 37 % 11 + 100, number % 3 == 0) for number in range(23)]
    path = tmp_path / "pairs.txt"
    text = end.join(f"{one} {other} {int(same)}" for one, other, same in rows) + (end if last else "")
    path.write_bytes(text.encode())
    pairs = read_ijb_pairs(path, chunk=chunk)
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True)) == rows
    assert max(len(first) for first, _, _ in ijb_pair_chunks(path, chunk=chunk)) <= 2 + chunk


@pytest.mark.parametrize("chunk", [4, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 1\n\n1 3 0\n1 3 2\n", "line 4: found '1 3 2', expected lines 'template template 0|1'"),
        ("1 2 1\n1 3\n1 4 0\n", "line 2: found '1 3'"),
        ("1 2 1\n1 3 0 7 1 4 0\n", "line 2: found"),
        ("1 2 1\n1 -3 0\n", "line 2: found"),
        ("1 2 1\n1 x 0\n", "line 2: found"),
        ("1 2 1\n1 99999999999 0\n", "line 2: found"),
        ("1 2 1\n1 9999999999 0\n", "line 2: found"),
        ("1 2 1\n2 1 1\n", "found 2 genuine pairs of 2, expected genuine pairs and impostors"),
        ("\n\n", "found no lines"),
        ("", "an empty file"),
    ],
)
def test_broken_pairs_are_told_by_their_line(tmp_path: Path, text: str, message: str, chunk: int) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises(DataFormatError, match=message.replace("|", r"\|")) as caught:
        read_ijb_pairs(path, chunk=chunk)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chunk", [6, 1 << 20])
def test_a_template_without_pictures_is_told(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("1 2 1\n1 3 0\n2 9 0\n")
    with pytest.raises(DataFormatError, match="line 3: found template 9, expected templates that have pictures"):
        read_ijb_pairs(path, templates=np.array([3, 1, 2, 2]), chunk=chunk)


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (
            read_ijb_pictures,
            "1.jpg 1 5\n2.jpg 1\n",
            "line 2: found '2.jpg 1', expected lines 'picture template medium'",
        ),
        (read_ijb_pictures, "1.jpg one 5\n", "line 1"),
        (read_ijb_points, "1.jpg 1 2 3\n", "line 1: found '1.jpg 1 2 3'"),
        (read_ijb_points, "1.jpg 1 2 3 4 5 6 7 8 9 nan 1\n", "line 1"),
        (read_ijb_points, "1.jpg 1 2 3 4 5 6 7 8 9 10 -1\n", "line 1"),
        (read_ijb_people, "TEMPLATE_ID,SUBJECT_ID\n3\n", "line 2: found '3', expected columns TEMPLATE_ID,SUBJECT_ID"),
        (read_ijb_people, "TEMPLATE_ID,SUBJECT_ID\n3,1\n3,2\n", "line 3: found template 3 of subjects 1 and 2"),
        (read_ijb_people, "TEMPLATE_ID,SUBJECT_ID\n", "no templates"),
    ],
)
def test_other_broken_files_are_told(tmp_path: Path, reader: Callable[[Path], Any], text: str, message: str) -> None:
    path = tmp_path / "ijb.txt"
    path.write_text(text)
    with pytest.raises(DataFormatError, match=message):
        reader(path)
