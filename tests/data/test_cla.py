"""Class files: what they say, every way they can be wrong, and which file belongs to which id."""

from __future__ import annotations

from pathlib import Path

import pytest

from monge.data.formats.cla import ClassFile, match_files, read_cla
from monge.errors import DataFormatError

GOOD = "PSB 1\n3 5\n\nliving 0 0\n\nant living 2\n12\n007\n\nhot air balloon\t0\t3 \n9 \n\tm4\n000001\n"


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "Model.cla"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.mark.parametrize(
    "text",
    [GOOD, GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.replace("\n\n", "\n \n\n"), GOOD.replace("3 5", "2 5")],
)
def test_what_a_file_says(tmp_path: Path, text: str) -> None:
    read = read_cla(written(tmp_path, text))
    assert read.classes == ("ant", "hot air balloon")
    assert read.members == {"ant": ("12", "007"), "hot air balloon": ("9", "m4", "000001")}
    assert read.parents == {"living": "", "ant": "living", "hot air balloon": ""}
    assert len(read) == 5
    assert read.class_of()["007"] == "ant"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("PSB 1", "PSB 2"), r"line 1: found 'PSB 2', expected 'PSB 1'"),
        (("PSB 1\n", ""), r"line 1: found '3 5', expected 'PSB 1'"),
        (("3 5", "3"), r"line 2: found '3', expected <classes> <models>"),
        (("3 5", "3 -5"), r"line 2: found '3 -5', expected <classes> <models>"),
        (("3 5", "4 5"), r"line 2: found 4 classes, expected the 3 that follow"),
        (("3 5", "3 6"), r"line 2: found 6 models, expected the 5 that follow"),
        (("living 2", "living 3"), r"found 'hot air balloon\\t0\\t3', expected id 3 of the 3 of class ant"),
        (
            ("living 2", "living 1"),
            r"line 8: found '007', expected <class> <parent> <models> \(class ant has its 1",
        ),
        (("living 2", "living two"), r"line 6: found 'two' models, expected a whole number"),
        (("living 2", "living -2"), r"line 6: found '-2' models, expected a whole number"),
        (("living 2", "living 99999999999999999999"), r"found '9+' models, expected a whole number"),
        (("ant living", "ant animal"), r"line 6: found parent 'animal', expected a class of this file"),
        (
            ("hot air balloon", "ant"),
            r"line 10: found class ant again, expected each class once; the other is on l",
        ),
        (("007", "12"), r"line 6: found id 12 twice, expected each id once"),
        (("m4", "12"), r"line 10: found id 12 in ant and hot air balloon, expected each id once"),
        (("007", "00 7"), r"line 8: found '00 7', expected id 2 of the 2 of class ant"),
        (("000001\n", ""), r"found the end of the file, expected the 3 ids of class hot air balloon, of which 2"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(DataFormatError, match=message) as caught:
        read_cla(written(tmp_path, GOOD.replace(*change, 1)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\n\n  \n", "expected 'PSB 1'"),
        (b"PSB 1\n", "expected <classes> <models>"),
        (b"PSB 1\n2 3\n", "expected a class"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
        (b"PSB 1\n1 1\n\nant\xff 0 1\n1\n", "in UTF-8"),
    ],
)
def test_files_that_are_no_class_files(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_cla(written(tmp_path, content))
    with pytest.raises(DataFormatError, match=r"no such file.*did you mean"):
        read_cla(tmp_path / "Models.cla")


def listed(*ids: str) -> ClassFile:
    return ClassFile(Path("Model.cla"), ("ant",), {"ant": ""}, {"ant": ids})


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


def test_ids_find_their_files_and_keep_their_zeros() -> None:
    files = paths("m12.off", "M000001.off", "1.off", "mug.off", "m7.off")
    matched, missing, unknown = match_files(listed("12", "000001", "1", "mug", "m7"), files, Path("models"))
    assert list(matched.values()) == files
    assert missing == unknown == []


def test_both_lists_are_told() -> None:
    ids, files = listed("1", "2", "3", "4", "5"), paths("m1.off", "m6.off", "m07.off")
    with pytest.raises(DataFormatError) as caught:
        match_files(ids, files, Path("models"))
    told = "models: found 4 ids without a file (2, 3, 4 and 1 more) and 2 files without an id (m6.off, m07.off)"
    assert str(caught.value).startswith(told)
    matched, missing, unknown = match_files(ids, files, Path("models"), strict=False)
    assert matched == {"1": Path("m1.off")}
    assert (missing, unknown) == (["2", "3", "4", "5"], files[1:])


def test_one_file_for_one_id() -> None:
    with pytest.raises(DataFormatError, match=r"found m1\.off and m1\.obj, expected one file for each model"):
        match_files(listed("1"), paths("m1.off", "m1.obj"), Path("models"), strict=False)
    with pytest.raises(DataFormatError, match="found ids 1 and m1, expected one id for each file"):
        match_files(listed("1", "m1"), paths("m1.off"), Path("models"), strict=False)
