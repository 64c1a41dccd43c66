"""Finding the right folder, reading lists line by line, and collecting what is wrong with entries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monge.data.formats.flaws import Flaws
from monge.data.formats.places import find_place, folders_in, is_plain_name, pictures_in, text_lines
from monge.errors import DataFormatError


def holds(place: Path) -> bool:
    return (place / "list.txt").is_file()


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.txt").write_text("x")
    return folder


def test_the_folder_itself_comes_before_those_below(tmp_path: Path) -> None:
    make(tmp_path / "below")
    assert find_place(tmp_path, holds, "list.txt") == tmp_path / "below"
    make(tmp_path)
    assert find_place(tmp_path, holds, "list.txt") == tmp_path


def test_wrong_levels_get_a_hint(tmp_path: Path) -> None:
    make(tmp_path / "AVA_dataset")
    (tmp_path / "AVA_dataset" / "images").mkdir()
    (tmp_path / "other").mkdir()
    for wrong in ("other", "AVA_dataset/images"):
        with pytest.raises(DataFormatError, match=r"found none, expected list\.txt.*there is one in .*AVA_dataset"):
            find_place(tmp_path / wrong, holds, "list.txt")
    with pytest.raises(DataFormatError, match=r"nothing there.*did you mean .*AVA_dataset"):
        find_place(tmp_path / "AVA_datset", holds, "list.txt")
    with pytest.raises(DataFormatError, match=r"found a file, .*unpack archives"):
        find_place(tmp_path / "AVA_dataset" / "list.txt", holds, "list.txt")
    with pytest.raises(DataFormatError, match="there is no folder"):
        find_place(tmp_path / "a" / "b", holds, "list.txt")


def test_two_folders_that_could_be_meant(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    with pytest.raises(DataFormatError, match=r"it in .*one and .*two, expected one folder.*name the one you mean"):
        find_place(tmp_path, holds, "list.txt")


def test_what_archives_leave_and_links_that_go_round_are_passed_over(tmp_path: Path) -> None:
    for name in ("__MACOSX", ".hidden", "data"):
        make(tmp_path / name)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert folders_in(tmp_path) == [tmp_path / "data"]
    assert find_place(tmp_path, holds, "list.txt") == tmp_path / "data"


def test_an_archive_that_was_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "faces.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataFormatError, match=r"unpack faces\.tar\.gz first"):
        find_place(tmp_path, holds, "list.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_folders_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(DataFormatError, match="a folder that cannot be read"):
            find_place(tmp_path, holds, "list.txt")
    finally:
        tmp_path.chmod(0o700)


def test_pictures_are_told_by_their_names(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "._a.png", "Thumbs.db", "c.jpeg", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert pictures_in(tmp_path) == ["a.png", "b.JPG", "c.jpeg"]


def test_pictures_whose_names_differ_only_in_capitals(tmp_path: Path) -> None:
    for name in ("001A02.JPG", "001a02.jpg"):
        (tmp_path / name).write_bytes(b"x")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not tell capitals apart")
    with pytest.raises(DataFormatError, match=r"001A02\.JPG and 001a02\.jpg, .*differ only in capitals"):
        pictures_in(tmp_path)


def test_lines_of_every_system(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"\xef\xbb\xbfa\tb \r\n\r\nc\rd\x0be\nf")
    assert list(text_lines(file, "a list")) == [(1, "a\tb "), (3, "c"), (4, "d\x0be"), (5, "f")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1", "a git-lfs pointer"),
        ("name 1".encode("utf-16"), "found byte 0xff, expected a list in UTF-8"),
        (b"Jos\xe9 1\n", "byte 3: found byte 0xe9"),
    ],
)
def test_files_that_are_no_lists(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataFormatError, match=said):
        list(text_lines(tmp_path / "list.txt", "a list"))


def test_names_that_lead_out_of_the_folder() -> None:
    assert is_plain_name("a b (1).jpg")
    for name in ("..", ".", "", "../a.jpg", "a/b.jpg", "a\\b.jpg", "a\0.jpg"):
        assert not is_plain_name(name)


def test_flaws_are_refused_with_how_many_and_where() -> None:
    flaws = Flaws(strict=True)
    flaws.settle()
    flaws.note("broken lines", Path("d/list.txt"), "line 2", "'x'", "a number")
    with pytest.raises(DataFormatError) as one:
        flaws.settle()
    hint = "(strict=false leaves such entries out)"
    assert str(one.value) == f"d/list.txt: line 2: found 'x', expected a number {hint}"
    for line in range(3, 8):
        flaws.note("broken lines", Path("d/list.txt"), f"line {line}", "'y'", "a number")
    flaws.note("missing pictures", Path("d/a.jpg"), "", "no such file", "all")
    with pytest.raises(DataFormatError) as many:
        flaws.settle()
    where = "list.txt line 2, list.txt line 3, list.txt line 4 and 3 more"
    assert f"found 'x', one of 6 broken lines ({where}), expected a number" in str(many.value)
    flaws.strict = False
    flaws.settle()
    assert flaws.told() == [f"broken lines: 6 ({where})", "missing pictures: 1 (a.jpg)"]
