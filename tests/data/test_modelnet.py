"""ModelNet folders: parts and classes as handed out, litter passed over, and what may be wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from monge.data.formats.flaws import Flaws
from monge.data.formats.modelnet import OFFICIAL, ModelNetFolder, read_modelnet
from monge.data.synthetic.shape_layouts import write_fake_modelnet
from monge.errors import DataFormatError, MongeError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fake_modelnet(tmp_path, classes=9, train=5, test=2)
    return tmp_path


def read(folder: Path, **options: float) -> ModelNetFolder:
    return read_modelnet(folder, Flaws(strict=True), **options)


@pytest.mark.parametrize("level", [".", "ModelNet10"])
def test_parts_and_classes(root: Path, level: str) -> None:
    found = read(root / level, val_fraction=0.2)
    assert found.classes == tuple(sorted(found.classes))
    assert "night_stand" in found.classes
    assert [len(part) for part in (found.train, found.val, found.test)] == [27, 18, 18]
    for part, folder in ((found.train, "train"), (found.val, "train"), (found.test, "test")):
        for path, label in zip(part.paths, part.labels.tolist(), strict=True):
            assert path.parts[-3:-1] == (found.classes[label], folder)
            assert path.is_file()
            assert not path.name.startswith(".")
    # A fifth of five is one, which would find no other.
    assert set(found.val.counts().values()) == {2}
    assert not set(found.train.paths) & set(found.val.paths)


def test_validation_is_drawn_by_seed_alone_and_said(root: Path) -> None:
    one, two, other = read(root), read(root), read(root, seed=7)
    assert one.val.paths == two.val.paths != other.val.paths
    assert "18 of the training models set aside for validation, drawn by class with seed 1903" in one.definition
    assert "not of the official sizes" in one.definition
    none = read(root, val_fraction=0)
    assert len(none.val) == 0
    assert len(none.train) == 45
    assert "no validation part" in none.definition
    with pytest.raises(MongeError, match="val_fraction: found 1"):
        read(root, val_fraction=1)


def test_official_sizes_are_recognised(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OFFICIAL, 9, (45, 18))
    assert read(root).definition.startswith("official parts of ModelNet9: 9 classes, 45 models to train and 18 to test")
    shutil.rmtree(root / "ModelNet10" / "chair")
    monkeypatch.setitem(OFFICIAL, 8, (45, 18))
    assert "(ModelNet8 has 45 and 18)" in read(root).definition


def _lose_test(place: Path) -> None:
    shutil.rmtree(place / "chair" / "test")


def _empty_train(place: Path) -> None:
    for file in (place / "desk" / "train").iterdir():
        file.unlink()


def _misplace(place: Path) -> None:
    (place / "chair" / "train" / "chair_0001.off").rename(place / "night_stand" / "train" / "chair_0001.off")


def _in_both(place: Path) -> None:
    shutil.copy(place / "sofa" / "train" / "sofa_0001.off", place / "sofa" / "test" / "sofa_0001.off")


@pytest.mark.parametrize(
    ("spoil", "message", "told"),
    [
        (_lose_test, r"chair/test: found no \.off file, expected models to test with", "without a part: 1 (test)"),
        (_empty_train, r"desk/train: found no \.off file, expected models to train with", "without a part: 1 (train)"),
        (_misplace, r"found a file called chair_0001\.off, expected night_stand_<number>", "another name: 1"),
        (_in_both, r"sofa/test/sofa_0001\.off: found a model that is also in train", "both parts: 1 (sofa_0001.off)"),
    ],
)
def test_flaws_are_refused_or_told(root: Path, spoil: object, message: str, told: str) -> None:
    spoil(root / "ModelNet10")
    with pytest.raises(DataFormatError, match=message):
        read(root)
    flaws = Flaws(strict=False)
    found = read_modelnet(root, flaws)
    (line,) = flaws.told()
    assert told in line
    assert len(found.classes) == 9
    if spoil is _in_both:
        assert len(found.test) == 18


def test_folders_that_are_no_modelnet(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DataFormatError, match=r"expected class folders that hold train/ and test/ with \.off files"):
        read(root / "ModelNet10" / "chair" / "train")
    with pytest.raises(DataFormatError, match="found nothing there"):
        read(tmp_path / "ModelNet")
    (root / "ModelNet10" / "bed" / "train" / "BED_0001.OFF").write_text("OFF")
    with pytest.raises(DataFormatError, match="the names differ only in capitals"):
        read(root)
    write_fake_modelnet(root, classes=11, train=1, test=1)
    with pytest.raises(DataFormatError, match="name the one you mean"):
        read(root)


def test_models_are_off_files_with_both_kinds_of_header(root: Path) -> None:
    heads = []
    for file in sorted((root / "ModelNet10" / "sofa").rglob("sofa_*.off")):
        words = file.read_text().removeprefix("OFF").split()
        heads.append(file.read_text().startswith("OFF\n"))
        vertices, faces = int(words[0]), int(words[1])
        numbers = np.array(words[3:], float)
        points = numbers[: 3 * vertices].reshape(-1, 3)
        assert np.ptp(points, axis=0).min() > 0
        rest = numbers[3 * vertices :].astype(int).tolist()
        for _ in range(faces):
            corners, rest = rest[1 : rest[0] + 1], rest[rest[0] + 1 :]
            assert len(set(corners)) == len(corners) >= 3
            assert 0 <= min(corners) <= max(corners) < vertices
        assert rest == []
    assert set(heads) == {True, False}
    with pytest.raises(MongeError, match="classes: found 13, expected 1 to 12"):
        write_fake_modelnet(root, classes=13)
