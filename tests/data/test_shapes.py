"""Shapes by name: the views of furniture and of ModelNet, their parts, what is said of them and what is refused."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monge import data
from monge.data.formats.sh3f import CATALOGUE
from monge.data.meshes import Mesh, read_mesh
from monge.data.sources import furniture_views
from monge.data.sources.furniture import FurnitureModel
from monge.data.sources.furniture_views import FurnitureMesh, load_furniture
from monge.data.sources.rendered import Viewing
from monge.data.synthetic.shape_layouts import write_fake_modelnet
from monge.data.views import RenderSettings, ViewFiles, ViewSet, render_views, ring_cameras
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")

# A flat board, 4 wide, 2 deep and 1 high with y up, and a vertex far away that no face uses.
BOARD = """v 0 0 0\nv 4 0 0\nv 4 0 2\nv 0 0 2\nv 0 1 0\nv 4 1 0\nv 4 1 2\nv 0 1 2\nv 900 900 900
f 1 2 3 4\nf 5 6 7 8\nf 1 2 6 5\nf 4 3 7 8\nf 1 4 8 5\nf 2 3 7 6\n"""
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
# Sets what lies along z upright: y becomes z, z becomes -y, as the catalogue of Sweet Home 3D has it row by row.
ON_ITS_BACK = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
QUICK = {"size": 8, "views": 2, "jobs": 1}


def library(path: Path, text: str = BOARD) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(CATALOGUE, "name#1=Board\nmodel#1=board.obj\n")
        archive.writestr("board.obj", text)
    return path


def furniture_model(archive: Path, number: int = 0, rotation: tuple[float, ...] = UPRIGHT) -> FurnitureModel:
    label = number % 17
    return FurnitureModel("board.obj", label, "Scopia", "A", f"Board {number}", f"{number}", rotation, archive)


def test_furniture_is_set_upright_and_centred_on_what_is_seen(tmp_path: Path) -> None:
    archive = library(tmp_path / "a.sh3f")
    lying = FurnitureMesh(furniture_model(archive, rotation=ON_ITS_BACK)).mesh()
    used = lying.vertices[np.unique(lying.faces)]
    np.testing.assert_allclose(np.ptp(used, axis=0), [4, 2, 1])
    np.testing.assert_allclose(lying.vertices[6], [4, 2, -1])
    settings = RenderSettings(ring_cameras(2), 24, shading="silhouette", up="y")
    tall, flat = (
        render_views(FurnitureMesh(furniture_model(archive, rotation=turn)).mesh(), settings)[0] > 127
        for turn in (ON_ITS_BACK, UPRIGHT)
    )
    # Seen from the front and in the middle, wider than high, and the one on its narrow side is higher.
    for seen in (tall, flat):
        columns = np.flatnonzero(seen.any(axis=0))
        assert columns[0] + columns[-1] == pytest.approx(23, abs=1)
        assert len(columns) > seen.any(axis=1).sum()
    assert tall.any(axis=1).sum() >= flat.any(axis=1).sum()


def test_the_digest_of_furniture_tells_models_rotations_and_libraries_apart(tmp_path: Path) -> None:
    one, other = library(tmp_path / "a.sh3f"), library(tmp_path / "b.sh3f", BOARD.replace("900", "800"))
    same = shutil.copy(one, tmp_path / "c.sh3f")
    digests = [
        FurnitureMesh(furniture_model(archive, rotation=turn)).digest()
        for archive, turn in ((one, UPRIGHT), (one, ON_ITS_BACK), (other, UPRIGHT), (Path(same), UPRIGHT))
    ]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


def test_furniture_parts_are_those_of_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = library(tmp_path / "a.sh3f")
    models = [furniture_model(archive, number, (UPRIGHT, ON_ITS_BACK)[number % 2]) for number in range(6)]
    parts = np.array([4, 0]), np.array([1, 5]), np.array([2, 3])
    monkeypatch.setattr(furniture_views, "furniture_models", lambda folder: models)
    monkeypatch.setattr(furniture_views, "split_models", lambda kind: parts)
    seen: list[tuple[int, int]] = []
    viewing = Viewing(8, 2, jobs=1, progress=lambda done, total: seen.append((done, total)))
    splits = load_furniture(None, "author", viewing)
    assert splits.train.shape == (2, 1, 8, 8)
    assert splits.train.labels.tolist() == [0, 4]
    assert (splits.val.labels.tolist(), splits.test.labels.tolist()) == ([1, 5], [2, 3])
    assert isinstance(splits.test, ViewSet)
    assert splits.test.names == ("Board 2", "Board 3")
    assert not splits.ordered
    assert splits.source == (
        "packaged: from the Debian package sweethome3d-furniture 1.8-1, 6 reviewed models of furniture, "
        f"{viewing.told()}"
    )
    assert splits.definition.startswith("2 train / 2 val / 2 test: whole authors held out")
    # Two meshes are all there are: rendered once, and not again.
    assert seen[-1] == (2, 2)
    seen.clear()
    again = load_furniture(None, "author", viewing)
    assert not seen
    assert torch.equal(again.train.inputs([0, 1]), splits.train.inputs([0, 1]))


def test_furniture_has_to_be_fetched_and_its_libraries_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="run `monge data get furniture`"):
        data.load_shapes("furniture", **QUICK)
    with pytest.raises(DataFormatError, match=r"BlendSwap-CC-0\.sh3f: found no such file"):
        data.load_shapes("furniture", str(tmp_path), **QUICK)


@pytest.mark.parametrize("name", ["furniture", "modelnet10", "modelnet40"])
def test_synthetic_shapes_are_few_and_leave_nothing_behind(name: str, cache: Path) -> None:
    splits = data.load_shapes(name, "synthetic", size=8, views=3)
    assert splits.source.startswith("synthetic: solids of 5 made-up classes, not a published data set")
    for part, count in ((splits.train, 35), (splits.val, 15), (splits.test, 20)):
        assert len(part) == count
        assert part.shape == (3, 1, 8, 8)
        assert torch.bincount(part.labels).tolist() == [count // 5] * 5
        views = part.inputs(range(count))
        assert views.dtype == torch.uint8
        assert (views.flatten(1).amax(1) > 60).all()
    assert not list(cache.rglob("*.npy"))


def test_modelnet_meshes_are_rendered_z_up_and_kept(tmp_path: Path, cache: Path) -> None:
    write_fake_modelnet(tmp_path / "files", classes=4, train=5, test=2)
    with pytest.warns(UserWarning, match="not the complete set: 20 and 8 models of 4 classes .* 3,991 and 908 of 10"):
        splits = data.load_shapes("modelnet10", str(tmp_path / "files"), **QUICK)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [12, 8, 8]
    assert splits.source.startswith("official layout: modelnet10 read from ")
    first = read_mesh(tmp_path / "files" / "ModelNet10" / splits.classes[0] / "test" / f"{splits.classes[0]}_0006.off")
    settings = RenderSettings(ring_cameras(2), 8, up="z")
    np.testing.assert_array_equal(splits.test.inputs([0])[0, :, 0].numpy(), render_views(first, settings))
    assert len(list(cache.rglob("*.npy"))) == 1


def test_a_bad_mesh_is_an_error_or_left_out_and_told(tmp_path: Path) -> None:
    write_fake_modelnet(tmp_path, classes=3, train=4, test=2)
    bad = next((tmp_path / "ModelNet10").rglob("test/bed_0005.off"))
    bad.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 nan 0\n3 0 1 2\n")
    with pytest.warns(UserWarning, match="complete"), pytest.raises(DataFormatError, match=r"bed_0005\.off"):
        data.load_shapes("modelnet10", str(tmp_path), **QUICK)
    with pytest.warns(UserWarning, match="left out") as told:
        splits = data.load_shapes("modelnet10", str(tmp_path), strict=False, **QUICK)
    assert any("left out meshes that cannot be rendered: 1 (bed_0005.off" in str(one.message) for one in told)
    assert len(splits.test) == 5
    assert torch.bincount(splits.test.labels).tolist() == [2, 1, 2]
    assert "left out meshes that cannot be rendered: 1" in splits.definition


def pictures(folder: Path, classes: int = 2, views: int = 4) -> Path:
    for label in range(classes):
        for part, count in (("train", 5), ("test", 2)):
            place = folder / f"class{label}" / part
            place.mkdir(parents=True)
            for number in range(count):
                for view in range(1, views + 1):
                    grey = 40 * label + 10 * view + number
                    Image.new("L", (8, 8), grey).save(place / f"{part}_{number}.obj.shaded_v{view:03}.png")
    return folder


@pytest.mark.filterwarnings("ignore:official layout")
def test_pictures_of_views_are_taken_as_they_are(tmp_path: Path) -> None:
    splits = data.load_shapes("modelnet40", str(pictures(tmp_path / "p")), size=8, views=4)
    assert isinstance(splits.train, ViewFiles)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [6, 4, 4]
    assert splits.test.shape == (4, 3, 8, 8)
    assert splits.test.inputs([2])[0, :, 0, 0, 0].tolist() == [50, 60, 70, 80]
    fewer = data.load_shapes("modelnet40", str(tmp_path / "p"), size=8, views=2)
    assert fewer.test.inputs([2])[0, :, 0, 0, 0].tolist() == [50, 70]
    with pytest.raises(DataFormatError, match=r"found 4 views of each, expected 3 or a multiple of it .*data\.views"):
        data.load_shapes("modelnet40", str(tmp_path / "p"), size=8, views=3)


def test_what_is_no_shape_or_no_choice_is_one_line(tmp_path: Path) -> None:
    for name, source, options, said in (
        ("chairs", "synthetic", {}, "no shapes are called 'chairs', expected one of furniture, kicad, modelnet10"),
        ("furniture", "synthetic", {"split": "day"}, "data.split: found 'day', expected model or author"),
        ("modelnet10", "synthetic", {"split": "author"}, "data.split: modelnet10 leaves no such choice"),
        ("furniture", "synthetic", {"views": 0}, "found views=0, expected a whole number from 1 to 360"),
        ("furniture", "synthetic", {"size": 2}, "found size=2, expected a whole number from 4 to 1024"),
        ("modelnet40", "packaged", {}, "no package carries modelnet40: give --data FOLDER with <class>/train"),
        ("modelnet40", str(tmp_path), {}, "found none, expected class folders that hold train/ and test/"),
    ):
        with pytest.raises(MongeError) as caught:
            data.load_shapes(name, source, **options)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    write_fake_modelnet(tmp_path, classes=12, train=2, test=1)
    with pytest.raises(DataFormatError, match="found 12 class folders, expected 10 for modelnet10"):
        data.load_shapes("modelnet10", str(tmp_path), **QUICK)
    with pytest.raises(MongeError, match="furniture holds 3D models: load it with load_shapes"):
        data.load_images("furniture")


def test_the_board_is_what_the_tests_think(tmp_path: Path) -> None:
    mesh = FurnitureMesh(furniture_model(library(tmp_path / "a.sh3f"))).mesh()
    assert isinstance(mesh, Mesh)
    assert mesh.vertices.max() == 900
    assert mesh.vertices[np.unique(mesh.faces)].max() == 4
