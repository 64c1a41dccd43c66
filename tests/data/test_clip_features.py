"""Numbers of feature files: widths, NaN, lengths, ids that are the same clip."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from monge.data.formats.clip_features import read_caption_features, read_clip_features
from monge.data.formats.clip_ids import clip_id, distinct_ids
from monge.data.formats.flaws import Flaws
from monge.errors import DataFormatError

STRICT = Flaws(strict=True)
ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)
NAN = np.full((2, 4), np.nan, np.float32)


def saved(folder: Path, **arrays: object) -> Path:
    (folder / "rgb.pickle").write_bytes(pickle.dumps(arrays))
    return folder / "rgb.pickle"


def test_vectors_frames_and_what_is_missing(tmp_path: Path) -> None:
    holes = ROWS.copy()
    holes[3] = np.nan
    path = saved(tmp_path, a=ROWS[0], b=holes, c=NAN, d=float("nan"), e=ROWS.astype(np.float16), f=[ROWS[0], ROWS[1]])
    found = read_clip_features(path, STRICT)
    assert {name: rows.shape for name, rows in found.rows.items()} == {
        "a": (1, 4),
        "b": (9, 4),
        "e": (10, 4),
        "f": (2, 4),
    }
    assert found.silent == {"c", "d"}
    assert found.width == 4
    np.testing.assert_array_equal(found.rows["b"], np.delete(ROWS, 3, 0))
    assert all(rows.dtype == np.float32 for rows in found.rows.values())


def test_frames_are_spread_over_the_clip_or_averaged(tmp_path: Path) -> None:
    path = saved(tmp_path, a=ROWS, b=ROWS[:2])
    few = read_clip_features(path, STRICT, length=3)
    np.testing.assert_array_equal(few.rows["a"], ROWS[[1, 5, 8]])
    np.testing.assert_array_equal(few.rows["b"], ROWS[:2])
    mean = read_clip_features(path, STRICT, length="mean")
    np.testing.assert_allclose(mean.rows["a"], ROWS.mean(0, keepdims=True))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 5), np.float32), "b: found vectors of 5 numbers, expected 4, as the others have"),
        (np.ones((0, 4), np.float32), r"b: found shape \(0, 4\), expected numbers"),
        (np.array([[1, 2, np.inf, 4]]), "b: found NaN or infinity within a vector, expected finite numbers"),
        (np.array([[1, 2, np.nan, 4]]), "b: found NaN or infinity within a vector"),
        (np.ones((2, 2, 2)), "b: found shape .2, 2, 2. of float64, expected numbers"),
        (np.array([True, False]), "b: found shape .2,. of bool"),
        ([np.ones(4), np.ones(3)], "b: found a list, expected numbers"),
        (3.0, "b: found the number 3.0, expected numbers"),
    ],
)
def test_each_flaw_is_one_line_or_left_out(tmp_path: Path, array: object, message: str) -> None:
    path = saved(tmp_path, a=ROWS, b=array)
    with pytest.raises(DataFormatError, match=f"rgb.pickle: {message}"):
        read_clip_features(path, Flaws(strict=True))
    flaws = Flaws(strict=False)
    assert read_clip_features(path, flaws).rows.keys() == {"a"}
    assert len(flaws.told()) == 1


def test_the_width_can_be_asked_for_and_a_narrow_nan_is_no_flaw(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="a: found vectors of 4 numbers, expected 2,048"):
        read_clip_features(saved(tmp_path, a=ROWS), Flaws(strict=True), width=2048)
    assert read_clip_features(saved(tmp_path, b=np.full((1, 1), np.nan), a=ROWS), STRICT).width == 4


def test_files_with_nothing_in_them(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="found features of 2 clips, all of them NaN, expected features of at"):
        read_clip_features(saved(tmp_path, a=NAN, b=float("nan")), Flaws(strict=True))
    with pytest.raises(DataFormatError, match="found no features, expected features of at least one clip"):
        read_clip_features(saved(tmp_path), Flaws(strict=True))


def test_clips_that_differ_in_their_endings_alone(tmp_path: Path) -> None:
    assert clip_id("a.AVI") == "a"
    assert clip_id(".mp4") == ".mp4"
    path = saved(tmp_path, **{"a.avi": ROWS, "a.mp4": ROWS})
    with pytest.raises(DataFormatError, match=r"clips 'a.avi' and 'a.mp4', expected each clip once .they differ only"):
        read_clip_features(path, STRICT)
    np.savez(tmp_path / "ids.npz", ids=np.array(["a", "a"]), features=ROWS[:2])
    with pytest.raises(DataFormatError, match="the clip 'a' twice"):
        read_clip_features(tmp_path / "ids.npz", STRICT)
    with pytest.raises(DataFormatError, match="an empty id"):
        distinct_ids([" "], Path("x"))
    assert read_clip_features(saved(tmp_path, **{"a.3gp.mov": ROWS}), STRICT).rows.keys() == {"a"}


def test_captions_in_every_arrangement(tmp_path: Path) -> None:
    tokens = [ROWS[:3], ROWS[3:4], ROWS[5]]
    lists = read_caption_features(saved(tmp_path, a=tokens), STRICT)
    padded = np.full((3, 3, 4), np.nan, np.float32)
    for place, rows in enumerate(tokens):
        padded[place, : len(np.atleast_2d(rows))] = rows
    np.savez(tmp_path / "padded.npz", a=padded)
    np.savez(tmp_path / "single.npz", **{f"a/{place}": rows for place, rows in enumerate(tokens)})
    for other in ("padded.npz", "single.npz"):
        found = read_caption_features(tmp_path / other, STRICT)
        for one, two in zip(lists.rows["a"], found.rows["a"], strict=True):
            np.testing.assert_array_equal(one, two)
    assert [None if rows is None else rows.shape for rows in lists.rows["a"]] == [(3, 4), (1, 4), (1, 4)]
    vectors = read_caption_features(saved(tmp_path, a=ROWS), STRICT)
    assert len(vectors.rows["a"]) == 10
    assert read_caption_features(saved(tmp_path, a=tokens), STRICT, length=2).rows["a"][0].tolist() == ROWS[:2].tolist()


def test_captions_that_are_missing_or_empty(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", **{"a/0": ROWS, "a/2": ROWS})
    with pytest.raises(DataFormatError, match="a/1: found nothing, expected numbers"):
        read_caption_features(tmp_path / "text.npz", Flaws(strict=True))
    for value, message in ((NAN, "NaN alone"), (np.ones((0, 4)), "shape .0, 4."), (float("nan"), "the number nan")):
        path = saved(tmp_path, a=[ROWS, value])
        with pytest.raises(DataFormatError, match=f"a/1: found {message}"):
            read_caption_features(path, Flaws(strict=True))
        assert read_caption_features(path, Flaws(strict=False)).rows["a"][1] is None
    with pytest.raises(DataFormatError, match=r"a: found shape \(4,\), expected captions as a list"):
        read_caption_features(saved(tmp_path, a=ROWS[0]), STRICT)
