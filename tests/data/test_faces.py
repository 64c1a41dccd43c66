"""Faces by name: synthetic ones, InsightFace's folders, one's own; what is told and what is refused."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import load_faces
from monge.data.face_pairs import FaceSplits
from monge.data.synthetic.drawn_identities import draw_identities
from monge.data.synthetic.face_layouts import write_fake_bin, write_fake_identities, write_fake_records
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def casia(tmp_path: Path) -> Path:
    folder = tmp_path / "casia"
    write_fake_records(folder, identities=12, each=3, size=24)
    write_fake_bin(folder / "lfw.bin", per_fold=2, size=24)
    write_fake_bin(folder / "agedb_30.bin", per_fold=1, size=24, python=2, arrays=True, seed=1)
    return folder


def load(folder: Path, **options: int) -> FaceSplits:
    with pytest.warns(UserWarning, match="not complete"):
        return load_faces("casia-webface", str(folder), size=24, **options)  # type: ignore[arg-type]


def test_drawn_identities_repeat_their_looks_and_not_their_moments() -> None:
    drawn = draw_identities([0, 0, 1, 1], size=32, noise=0)
    assert not np.array_equal(drawn.images[0], drawn.images[1])
    again = draw_identities([0, 0, 1, 1], size=32, noise=0)
    assert np.array_equal(drawn.images, again.images)
    # Seen from the front, in the same place, the eyes of an identity are as far apart in every picture.
    still = draw_identities([0, 0, 1, 1], size=64, yaw=0, roll=0).landmarks
    apart = np.linalg.norm(still[:, 1] - still[:, 0], axis=1) / np.linalg.norm(still[:, 4] - still[:, 2], axis=1)
    assert abs(apart[0] - apart[1]) < 1e-3
    assert abs(apart[0] - apart[2]) > 1e-2


def test_drawn_pictures_do_not_hang_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw_identities(np.arange(5), size=16).images
    monkeypatch.setattr("monge.data.synthetic.drawn_identities._CHUNK_PIXELS", 2 * 16 * 16)
    assert np.array_equal(draw_identities(np.arange(5), size=16).images, whole)


@pytest.mark.parametrize("name", ["emoji-identity", "casia-webface", "faces"])
def test_synthetic_faces_part_their_identities(name: str) -> None:
    splits = load_faces(name, "synthetic", size=16)
    assert splits.source.startswith("synthetic: drawn faces")
    assert splits.train.shape == (3, 16, 16)
    assert torch.bincount(splits.train.labels).tolist() == [10] * len(splits.classes)
    assert splits.test["test"].genuine * 2 == len(splits.test["test"])
    # A picture of one part is in no other.
    pictures = [splits.train, splits.val.images, splits.test["test"].images]
    seen = [set(map(bytes, part.inputs(range(len(part))).numpy().reshape(len(part), -1))) for part in pictures]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_a_training_folder_with_its_tests(casia: Path) -> None:
    splits = load(casia)
    assert splits.classes == tuple(map(str, range(12)))
    assert {name: len(pairs) for name, pairs in splits.test.items()} == {"agedb_30": 20, "lfw": 40}
    assert "say nothing of strangers" in splits.definition
    assert splits.source == f"official layout: casia-webface read from {casia}"
    copy = pickle.loads(pickle.dumps(splits.train))
    assert torch.equal(copy.inputs([3, 0]), splits.train.inputs([3, 0]))


def test_identities_set_aside_are_not_learned(casia: Path) -> None:
    whole, splits = load(casia), load(casia, val_identities=5, cache_bytes=1 << 20)
    assert len(splits.classes) == 7
    assert torch.bincount(splits.train.labels).tolist() == [3] * 7
    assert len(splits.train) + len(splits.val.images) == len(whole.train)
    assert not set(splits.classes) & {str(label) for label in splits.val.images.labels.tolist()}
    kept = torch.tensor([int(name) for name in splits.classes])[splits.train.labels]
    rows = torch.isin(whole.train.labels, kept.unique()).nonzero()[:, 0]
    assert whole.train.labels[rows].equal(kept)
    for _ in range(2):
        assert torch.equal(splits.train.inputs(range(21)), whole.train.inputs(rows))


def test_heads_of_records_are_read_once(casia: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(casia)
    with monkeypatch.context() as patched:
        patched.delattr("monge.data.sources.face_records.read_face_records")
        assert load(casia).train.labels.equal(first.train.labels)
    for kept in (cache / "face-records").iterdir():
        kept.write_bytes(b"damaged")
    assert load(casia).train.labels.equal(first.train.labels)
    write_fake_records(casia, identities=6, each=4, size=24)
    assert len(load(casia).classes) == 6


def test_a_folder_one_level_below_is_found(casia: Path, tmp_path: Path) -> None:
    shutil.move(casia, tmp_path / "outer" / "faces_webface_112x112")
    assert len(load(tmp_path / "outer").classes) == 12


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("train.idx", "train.idx: found no such file, expected an index"),
        ("train.rec", "found none, expected train.rec, here or one level below"),
        ("*.bin", "found no .bin file, expected verification sets"),
    ],
)
def test_a_missing_file_is_told(casia: Path, gone: str, message: str) -> None:
    for path in casia.glob(gone):
        path.unlink()
    with pytest.raises(DataFormatError, match=message):
        load_faces("casia-webface", str(casia))


@pytest.mark.parametrize("count", [-1, 11, 100])
def test_more_identities_than_there_are_cannot_be_set_aside(casia: Path, count: int) -> None:
    with pytest.raises(MongeError, match=rf"data.val_identities: found {count}, expected 0 to 10"), pytest.warns():
        load_faces("casia-webface", str(casia), val_identities=count)


def test_people_of_one_s_own_are_parted(tmp_path: Path) -> None:
    names = [f"P{number:02d}" for number in range(20)]
    write_fake_identities(tmp_path / "lfw" / "lfw", names, each=3, size=16)
    splits = load_faces("faces", str(tmp_path / "lfw"), size=16)
    assert len(splits.classes) == 12
    tested = {names[label] for label in splits.test["test"].images.labels.tolist()}
    chosen = {names[label] for label in splits.val.images.labels.tolist()}
    assert (len(tested), len(chosen)) == (4, 4)
    assert not tested & chosen | tested & set(splits.classes) | chosen & set(splits.classes)


def test_ten_people_are_enough_for_two_folds_of_each_set_of_pairs(tmp_path: Path) -> None:
    names = [f"P{number:02d}" for number in range(10)]
    write_fake_identities(tmp_path, names, each=3, size=16)
    splits = load_faces("faces", str(tmp_path), size=16)
    assert len(splits.classes) == 2
    for pairs in (splits.val, splits.test["test"]):
        assert {(int(fold), bool(same)) for fold, same in zip(pairs.folds, pairs.same)} == {
            (fold, same) for fold in (0, 1) for same in (False, True)
        }
    shutil.rmtree(tmp_path / "P03")
    with pytest.raises(MongeError, match=r"found 9 people .* at least 2 to learn from, 4 to choose by and 4 to test"):
        load_faces("faces", str(tmp_path), size=16)


def test_a_damaged_picture_is_told_before_anything_is_learned(tmp_path: Path) -> None:
    write_fake_identities(tmp_path, [f"P{number:02d}" for number in range(10)], each=3, size=16)
    picture = tmp_path / "P04/P04_0002.jpg"
    picture.write_bytes(picture.read_bytes()[:100])
    with pytest.raises(DataFormatError, match=r"P04_0002\.jpg: found (a damaged|no) picture"):
        load_faces("faces", str(tmp_path), size=16)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "found nothing there, expected a folder for each person"),
        (lambda folder: folder.write_text("x"), "found a file, expected a folder for each person"),
        (
            lambda folder: write_fake_identities(folder, ["A"], each=2, size=8),
            "found 1 people with pictures in 1 folders",
        ),
        (
            lambda folder: (
                write_fake_identities(folder, ["A", "B"], size=8),
                shutil.copy(folder / "A" / "A_0001.jpg", folder),
            ),
            r"found 1 pictures beside the folders, such as A_0001.jpg",
        ),
        (
            lambda folder: write_fake_identities(folder, ["ann", "Ann"], size=8),
            "found Ann and ann, expected one of them",
        ),
    ],
)
def test_folders_that_are_none_of_people_are_told(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "people"
    make(folder)
    with pytest.raises(DataFormatError, match=message):
        load_faces("faces", str(folder))


@pytest.mark.parametrize(
    ("name", "source", "options", "message"),
    [
        ("lfw", "synthetic", {}, "no faces are called 'lfw', expected one of emoji-identity, "),
        ("ms1mv3", "packaged", {}, "no package carries ms1mv3: give --data FOLDER with train.rec"),
        ("emoji-identity", "packaged", {}, "not in the data cache .*run `monge data get emoji-identity`"),
        ("emoji-identity", "some/folder", {}, "emoji-identity is not read from a folder"),
        ("faces", "synthetic", {"size": 4}, "data.size: found 4, expected at least 8"),
        ("casia-webface", "x", {"pairs": "p.txt"}, "data.pairs: casia-webface brings its own pairs"),
        ("faces", "x", {"val_identities": 3}, "data.val_identities: faces has a part of its own"),
    ],
)
def test_what_cannot_be_had_is_told(name: str, source: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(MongeError, match=message):
        load_faces(name, source, **options)  # type: ignore[arg-type]
