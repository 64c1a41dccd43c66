"""Verification sets: pickles of both Pythons, and every way in which they break."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from monge.data import load_pair_set
from monge.data.formats.verification_bin import read_verification_bin
from monge.data.synthetic.face_layouts import encoded, write_fake_bin
from monge.errors import DataFormatError

PICTURE = encoded(np.full((3, 8, 8), 90, np.uint8))


def stored(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(value))
    return path


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize(("python", "protocol"), [(2, 2), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4), (3, 5)])
def test_every_pickle_gives_the_same_pairs(tmp_path: Path, python: Literal[2, 3], protocol: int, arrays: bool) -> None:
    write_fake_bin(tmp_path / "plain.bin", folds=2, per_fold=2, size=16)
    write_fake_bin(tmp_path / "lfw.bin", folds=2, per_fold=2, size=16, python=python, protocol=protocol, arrays=arrays)
    read = read_verification_bin(tmp_path / "lfw.bin", folds=2)
    assert read.pictures.contents == read_verification_bin(tmp_path / "plain.bin", folds=2).pictures.contents
    assert read.same.tolist() == [True, True, False, False] * 2
    assert read.folds.tolist() == [0] * 4 + [1] * 4


def test_pairs_are_neighbouring_pictures(tmp_path: Path) -> None:
    greys = [encoded(np.full((3, 8, 8), 6 * value, np.uint8), "PNG") for value in range(40)]
    path = stored(tmp_path, (greys, [True, False] * 10))
    pairs = load_pair_set(path, size=8)
    assert pairs.images.inputs(pairs.first)[:, 0, 0, 0].tolist() == list(range(0, 240, 12))
    assert torch.equal(pairs.second, pairs.first + 1)
    assert pairs.folds.tolist() == np.arange(10).repeat(2).tolist()
    assert set(pairs.images.labels.tolist()) == {-1}


def test_folds_that_cannot_be_equal_are_told(tmp_path: Path) -> None:
    path = stored(tmp_path, ([PICTURE] * 22, [True, False] * 5 + [True]))
    with pytest.warns(UserWarning, match="11 pairs are no multiple of 2 folds"):
        read = read_verification_bin(path, folds=2)
    assert read.folds.tolist() == [0] * 6 + [1] * 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (([PICTURE] * 39, [True, False] * 10), "found 39 pictures, expected an even number"),
        (([PICTURE] * 40, [True, False] * 9), "40 pictures with 18 flags, expected a flag for every two pictures"),
        (([PICTURE] * 40, [True] * 20), "fold 0: found 2 genuine pairs and 0 impostors, expected both"),
        (([PICTURE] * 40, [False] * 20), "fold 0: found 0 genuine pairs and 2 impostors"),
        (([PICTURE] * 40, [True, False] * 8 + [True] * 4), "fold 8: found 2 genuine pairs and 0 impostors"),
        (([PICTURE] * 40, [2, 0] * 10), "flags that are not true or false"),
        (([PICTURE] * 40, [[1], [0, 1]]), "flags that are not true or false"),
        (([PICTURE] * 3 + ["text"], [True, False]), "image 3: found a str, expected the bytes of an encoded picture"),
        (([PICTURE] * 3 + [np.zeros((2, 2), np.uint8)], [True, False]), r"image 3: found an array uint8 \(2, 2\)"),
        (([PICTURE, b""], [True]), "image 1: found an empty picture"),
        (([], []), "0 pictures with 0 flags"),
        ({"pictures": [PICTURE]}, "found a dict, expected encoded pictures two by two"),
        (([PICTURE],), "found a tuple of 1"),
        ((PICTURE, [True]), "found a bytes first"),
        (([PICTURE] * 4, [True, False]), "2 pairs, expected at least one for each of 10 folds"),
    ],
)
def test_a_broken_set_is_told_in_a_line(tmp_path: Path, value: Any, message: str) -> None:
    path = stored(tmp_path, value)
    with pytest.raises(DataFormatError, match=message) as caught:
        read_verification_bin(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path: Path) -> None:
    path = stored(tmp_path, ([_Evil()], [True]))
    with pytest.raises(DataFormatError, match=r"the global posix.system, expected plain data"):
        read_verification_bin(path)


def test_a_picture_that_cannot_be_decoded_is_told_by_its_pair(tmp_path: Path) -> None:
    contents = [PICTURE] * 40
    contents[7] = b"nothing"
    pairs = load_pair_set(stored(tmp_path, (contents, [True, False] * 10)), size=8)
    with pytest.raises(DataFormatError, match=r"lfw.bin: image 7 \(pair 3\): found no picture"):
        pairs.images.inputs(pairs.second)
