"""SHREC folders: sketches and models in both layouts with their quirks, and every way the parts can disagree."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monge.data.formats import shrec
from monge.data.formats.cla import read_cla
from monge.data.formats.picture import decode_picture
from monge.data.formats.shrec import EDITIONS, read_shrec
from monge.data.synthetic.parametric_shapes import SHAPES, draw_edges, make_shape
from monge.data.synthetic.shape_layouts import write_fake_shrec
from monge.errors import DataFormatError, MongeError

SMALL = {"classes": 4, "train": 3, "test": 2, "models": 2, "size": 32}
CLASSES = ("bathtub", "bed", "chair", "desk")


def made(folder: Path, edition: str = "shrec13", **options: object) -> Path:
    write_fake_shrec(folder, edition, **{**SMALL, **options})
    return folder


@pytest.mark.parametrize("doubled", [True, False])
@pytest.mark.parametrize("edition", ["shrec13", "shrec14"])
def test_both_editions(tmp_path: Path, edition: str, doubled: bool) -> None:
    made(tmp_path / "data", edition, doubled=doubled)
    for folder in (tmp_path / "data", tmp_path):
        found = read_shrec(folder, edition)
        assert found.classes == CLASSES
        assert [len(part) for part in (found.train_sketches, found.test_sketches, found.models)] == [12, 8, 11]
        assert found.left_out == ()
        for part, name in ((found.train_sketches, "train"), (found.test_sketches, "test")):
            for path, label in zip(part.paths, part.labels.tolist(), strict=True):
                assert path.parts[-3:-1] == (CLASSES[label], name)
        assert sorted(found.models.counts().items()) == [(0, 2), (1, 2), (2, 3), (3, 4)]
    listed = read_cla(tmp_path / "data" / EDITIONS[edition].evaluation / EDITIONS[edition].cla).class_of()
    for path, label in zip(found.models.paths, found.models.labels.tolist(), strict=True):
        assert listed[path.stem[1:]] == CLASSES[label]
    assert tuple(decode_picture(found.test_sketches.paths[0], 32).shape) == (3, 32, 32)


def test_sizes_are_said_to_be_official_only_if_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path)
    told = "4 classes, 12 sketches to train with, each of 8 test sketches a query, all 11 models the gallery"
    definition = read_shrec(tmp_path, "shrec13").definition
    assert definition.startswith(f"parts of the folder, not those of SHREC'13: {told}")
    small = replace(EDITIONS["shrec13"], classes=4, train=12, test=8, gallery=11)
    monkeypatch.setitem(shrec.EDITIONS, "shrec13", small)
    assert read_shrec(tmp_path, "shrec13").definition.startswith(f"official parts of SHREC'13: {told}")


def test_official_sizes_are_those_of_the_organisers() -> None:
    for edition, sizes in (("shrec13", (90, 4500, 2700, 1258)), ("shrec14", (171, 8550, 5130, 8987))):
        layout = EDITIONS[edition]
        assert (layout.classes, layout.train, layout.test, layout.gallery) == sizes
        assert (layout.train, layout.test) == (50 * layout.classes, 30 * layout.classes)


def test_folders_and_class_files_may_spell_classes_differently(tmp_path: Path) -> None:
    made(tmp_path, "shrec14", classes=8)
    root = tmp_path / "SHREC14LSSTB_SKETCHES" / "SHREC14LSSTB_SKETCHES"
    (root / "night_stand").rename(root / "Night Stand")
    (tmp_path / "SHREC14_Sketch_Evaluation").rename(tmp_path / "SHREC14_Sketch_Evaluation_CVIU")
    found = read_shrec(tmp_path, "shrec14")
    assert "night_stand" in found.classes
    assert len(found.test_sketches) == 16


def _sketches(root: Path, part: str = "TRAINING") -> Path:
    name = f"SHREC13_SBR_{part}_SKETCHES"
    return root / name / name


def _cla(root: Path) -> Path:
    return root / "SHREC2013_Sketch_Evaluation" / "SHREC13_SBR_Model.cla"


def _lose_a_model(root: Path) -> None:
    (root / "SHREC13_SBR_TARGET_MODELS" / "models" / "m3.off").unlink()
    (root / "SHREC13_SBR_TARGET_MODELS" / "models" / "m99.off").write_text("OFF 0 0 0")


def _draw_another_class(root: Path) -> None:
    for part, name in (("TRAINING", "train"), ("TESTING", "test")):
        shutil.copytree(_sketches(root, part) / "bed" / name, _sketches(root, part) / "yak" / name)


def _draw_no_chairs(root: Path) -> None:
    for part in ("TRAINING", "TESTING"):
        shutil.rmtree(_sketches(root, part) / "chair")


def _ask_for_no_beds(root: Path) -> None:
    shutil.rmtree(_sketches(root, "TESTING") / "bed" / "test")


@pytest.mark.parametrize(
    ("spoil", "message", "told"),
    [
        (
            _lose_a_model,
            r"models: found 1 ids without a file \(3\) and 1 files without an id \(m99\.off\)",
            ["models without a file: 1 (3)", "models without a class: 1 (m99.off)"],
        ),
        (
            _draw_another_class,
            r"found classes of sketches without models: 1 \(yak\)",
            ["classes of sketches without models: 1 (yak)"],
        ),
        (
            _draw_no_chairs,
            r"found classes of models without sketches: 1 \(chair\)",
            ["classes of models without sketches: 1 (chair)"],
        ),
        (
            _ask_for_no_beds,
            r"found 1 classes without sketches \(bed\), expected pictures in <class>/test",
            ["classes without test sketches: 1 (bed)"],
        ),
    ],
)
def test_parts_that_disagree_are_refused_or_told(tmp_path: Path, spoil: object, message: str, told: list[str]) -> None:
    spoil(made(tmp_path))
    with pytest.raises(DataFormatError, match=message) as caught:
        read_shrec(tmp_path, "shrec13")
    assert "\n" not in str(caught.value)
    found = read_shrec(tmp_path, "shrec13", strict=False)
    assert list(found.left_out) == told
    assert found.classes == CLASSES
    assert {label for part in (found.train_sketches, found.test_sketches) for label in part.counts()} <= {0, 1, 2, 3}
    assert len(found.models) == (10 if spoil is _lose_a_model else 11)


def test_a_test_sketch_must_not_be_a_training_sketch(tmp_path: Path) -> None:
    made(tmp_path)
    trained = _sketches(tmp_path) / "bed" / "train"
    asked = _sketches(tmp_path, "TESTING") / "bed" / "test"
    number = sorted(trained.iterdir())[0].name
    shutil.copy(sorted(asked.iterdir())[0], asked / number)  # another picture of the same name is fine
    assert len(read_shrec(tmp_path, "shrec13").test_sketches) == 9
    shutil.copy(trained / number, asked / number)
    with pytest.raises(DataFormatError, match="found a test sketch that is a training sketch too"):
        read_shrec(tmp_path, "shrec13")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: _cla(root).unlink(), r"found no SHREC13_SBR_Model\.cla, expected it in SHREC2013_Sketch_Eval"),
        (lambda root: _cla(root).write_text("PSB 1\n1 1\n\nant 0 2\n1\n"), r"Model\.cla: line 6: found the end"),
        (lambda root: shutil.rmtree(_sketches(root).parent), "found no folder SHREC13_SBR_TRAINING_SKETCHES"),
        (lambda root: shutil.rmtree(_sketches(root)), r"found no sketches, expected <class>/train/\*\.png"),
        (lambda root: shutil.rmtree(root / "SHREC13_SBR_TARGET_MODELS"), "the folder SHREC13_SBR_TARGET_MODELS"),
        (lambda root: shutil.rmtree(root / "SHREC13_SBR_TARGET_MODELS" / "models"), "found no models, expected 1,258"),
        (lambda root: (_sketches(root) / "Bed").mkdir(), "found Bed and bed, expected one folder for each class"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, spoil: object, message: str) -> None:
    spoil(made(tmp_path))
    with pytest.raises(DataFormatError, match=message):
        read_shrec(tmp_path, "shrec13")


def test_editions_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="found 'shrec15', expected shrec13 or shrec14"):
        read_shrec(tmp_path, "shrec15")
    with pytest.raises(DataFormatError, match="SHREC14LSSTB_TARGET_MODELS"):
        read_shrec(made(tmp_path), "shrec14")


@pytest.mark.parametrize("name", SHAPES)
def test_parametric_shapes_are_closed_and_their_drawings_differ(name: str) -> None:
    random = np.random.default_rng(0)
    mesh = make_shape(name, random)
    sides: dict[tuple[int, int], int] = {}
    for face in mesh.faces:
        for start, end in zip(face, (*face[1:], face[0]), strict=True):
            sides[start, end] = sides.get((start, end), 0) + 1
    # Every edge runs once each way: no holes, and all faces turned outwards together.
    assert set(sides.values()) == {1}
    assert all((end, start) in sides for start, end in sides)
    assert mesh.vertices[:, 2].min() == 0
    one, other = draw_edges(mesh, random, 48), draw_edges(mesh, random, 48)
    assert (one != other).any()
    assert 0.005 < (one < 128).mean() < 0.4
    edge = np.concatenate([one[0], one[-1], one[:, 0], one[:, -1]])
    assert (edge == 255).all()
