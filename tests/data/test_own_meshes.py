"""Meshes of one's own by class: kinds of files, units, the axis that points up, parts, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import Splits, load_shapes
from monge.data.formats.off import parse_off
from monge.data.synthetic.shape_layouts import write_fake_modelnet
from monge.errors import DataFormatError, MongeError

pytest.importorskip("embreex")
pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Three classes of eight meshes each, two as OFF and six as OBJ files in millimetres."""
    write_fake_modelnet(tmp_path / "drawn", classes=3, train=6, test=2)
    for file in sorted((tmp_path / "drawn").rglob("[a-z]*_0*.off")):
        place = tmp_path / "mine" / file.parent.parent.name
        place.mkdir(parents=True, exist_ok=True)
        if file.parent.name == "test":
            shutil.copy(file, place / f"my {file.stem}.OFF")
        else:
            write_obj(file, place / f"{file.stem}.obj", scale=1000)
    return tmp_path / "mine"


def write_obj(file: Path, to: Path, *, scale: float = 1.0, axes: tuple[int, ...] = (0, 1, 2)) -> None:
    vertices, faces = parse_off(file, file.read_bytes())
    turned = np.asarray(vertices)[:, axes] * scale
    lines = [f"v {x} {y} {z}" for x, y, z in turned] + [
        "f " + " ".join(str(corner + 1) for corner in face) for face in np.asarray(faces).tolist()
    ]
    to.write_text("\n".join(lines) + "\n")


def load(root: Path, **options: object) -> Splits:
    return load_shapes("meshes", str(root), size=16, views=2, jobs=1, **options)  # type: ignore[arg-type]


def test_a_folder_is_parted_class_by_class(flat: Path) -> None:
    splits = load(flat)
    assert splits.classes == ("bathtub", "bed", "chair")
    for part, each in ((splits.train, 4), (splits.val, 2), (splits.test, 2)):
        assert torch.bincount(part.labels).tolist() == [each] * 3
        assert part.shape == (2, 1, 16, 16)
    assert splits.source.startswith(f"meshes of one's own, read from {flat}, z up, 2 views of 16 x 16 pixels")
    assert "12 train / 6 val / 6 test: 3 classes, 70/10/20 % of every class" in splits.definition


def test_parts_of_the_folder_are_kept(flat: Path, tmp_path: Path) -> None:
    for part, ending in (("test", ".OFF"), ("train", ".obj")):
        for file in flat.glob(f"*/*{ending}"):
            to = tmp_path / "parted" / part / file.parent.name
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
    splits = load(tmp_path / "parted")
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [12, 6, 6]
    assert "the folder's own parts; val is 10 %" in splits.definition


def test_units_do_not_matter_and_the_axis_that_points_up_does(flat: Path, tmp_path: Path) -> None:
    views = {}
    for name, scale, axes in (
        ("metres", 1.0, (0, 1, 2)),
        ("millimetres", 1000.0, (0, 1, 2)),
        ("lying", 1.0, (1, 2, 0)),
    ):
        for file in sorted((tmp_path / "drawn").rglob("[a-z]*_0*.off")):
            to = tmp_path / name / file.parent.parent.name / f"{file.stem}.obj"
            to.parent.mkdir(parents=True, exist_ok=True)
            write_obj(file, to, scale=scale, axes=axes)
        for up in ("z", "y"):
            views[name, up] = load(tmp_path / name, up=up).train.inputs(range(12)).float()
    # Rounding may move the edge of a shape by a part of a pixel.
    assert (views["metres", "z"] - views["millimetres", "z"]).abs().mean() < 0.5
    assert (views["metres", "z"] - views["lying", "y"]).abs().mean() < 0.5
    assert (views["metres", "z"] - views["lying", "z"]).abs().mean() > 5
    assert load(tmp_path / "lying", up="y").source.count("y up") == 1


def test_a_bad_mesh_is_one_line_or_left_out(flat: Path) -> None:
    (flat / "bed/bad.obj").write_text("v 0 0 0\nv 1 0 0\nf 1 2 3\n")
    with pytest.raises(DataFormatError, match=r"bed/bad\.obj: line 3: found vertex 3 in a face"):
        load(flat)
    with pytest.warns(UserWarning, match="left out meshes that cannot be rendered: 1"):
        splits = load(flat, strict=False)
    assert sum(len(part) for part in (splits.train, splits.val, splits.test)) == 24


def test_what_is_refused(flat: Path) -> None:
    with pytest.raises(MongeError, match="no package carries meshes: give --data FOLDER with <class>/<mesh>"):
        load_shapes("meshes")
    with pytest.raises(MongeError, match=r"data\.up: furniture leaves no such choice; leave it out"):
        load_shapes("furniture", "synthetic", up="y")
    with pytest.raises(DataFormatError, match="found none, expected folders of models by class"):
        load(flat / "bed")
    shutil.copy(flat / "bed/bed_0001.obj", flat / "chair/again.obj")
    with pytest.raises(
        DataFormatError, match=r"found the same model as bed/bed_0001\.obj, expected each model in one class"
    ):
        load(flat)
