"""The cache of views: nothing rendered twice, nothing mixed, nothing damaged that is not found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data.formats.flaws import Flaws
from monge.data.formats.view_folders import read_view_folders
from monge.data.meshes import Mesh
from monge.data.views import MeshFile, RenderSettings, ViewCache, ViewFiles, ViewSet, render_views, ring_cameras
from monge.data.views import cache as cache_module
from monge.errors import DataFormatError, MongeError

pytest.importorskip("embreex")

SETTINGS = RenderSettings(ring_cameras(3), size=16)


def triangle(height):
    return f"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 {height}\n3 0 1 2\n"


@pytest.fixture
def files(tmp_path):
    """Four different meshes."""
    (tmp_path / "meshes").mkdir()
    paths = [tmp_path / "meshes" / f"{number}.off" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_text(triangle(number))
    return [MeshFile(path) for path in paths]


@pytest.fixture
def rendered(monkeypatch):
    """Names of the meshes that are rendered, as they are."""
    names = []

    def noted(mesh, settings):
        names.append(mesh.name)
        return render_views(mesh, settings)

    monkeypatch.setattr(cache_module, "render_views", noted)
    return names


def test_every_mesh_is_rendered_once(tmp_path, files, rendered):
    cache = ViewCache(tmp_path / "views", SETTINGS)
    steps = []
    filled = cache.fill([*files, files[0]], progress=lambda done, total: steps.append((done, total)))
    assert filled.views.shape == (5, 3, 16, 16)
    assert isinstance(filled.views, np.memmap)
    assert not filled.views.flags.writeable
    assert filled.positions == (0, 1, 2, 3, 4)
    assert filled.rendered == 4
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    for row, file in zip(filled.views, [*files, files[0]], strict=True):
        assert np.array_equal(row, render_views(file.mesh(), SETTINGS))
    rendered.clear()
    again = ViewCache(tmp_path / "views", SETTINGS)
    assert np.array_equal(again.fill([files[2], files[0]]).views, filled.views[[2, 0]])
    assert np.array_equal(again.get_or_render(files[1]), filled.views[1])
    assert again.fill([*files, files[0]]).rendered == 0
    assert rendered == []
    files[1].path.write_text(triangle(9))
    assert not np.array_equal(again.fill(files).views[1], filled.views[1])
    assert rendered == ["1.off"]


def test_worker_processes_give_the_same_pictures_and_errors(tmp_path, files):
    files[2].path.write_text("OFF\n")
    alone = ViewCache(tmp_path / "alone", SETTINGS).fill(files, strict=False, jobs=1)
    shared = ViewCache(tmp_path / "shared", SETTINGS).fill(files, strict=False, jobs=2)
    assert np.array_equal(alone.views, shared.views)
    assert alone.positions == shared.positions == (0, 1, 3)
    assert [str(one) for one in alone.skipped] == [str(one) for one in shared.skipped]
    assert shared.skipped[0].found == "nothing more"


def test_meshes_in_memory_are_known_by_their_content(tmp_path, rendered):
    cache = ViewCache(tmp_path, SETTINGS)
    one = Mesh(np.eye(3), np.array([[0, 1, 2]]), "one")
    cache.get_or_render(one)
    assert cache.holds(Mesh(np.eye(3), np.array([[0, 1, 2]]), "another name"))
    assert not cache.holds(Mesh(2 * np.eye(3), np.array([[0, 1, 2]]), "one"))
    assert not cache.holds(Mesh(np.eye(3), np.array([[2, 1, 0]]), "one"))
    assert cache.fill([one]).rendered == 0
    assert rendered == ["one"]


def damaged(path, how):
    content = bytearray(path.read_bytes())
    if how == "a bit":
        content[-20] ^= 1
    else:
        content = content[: len(content) // 2] if how == "cut" else bytearray()
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["a bit", "cut", "empty"])
def test_damaged_entries_are_rendered_anew(tmp_path, files, rendered, how):
    cache = ViewCache(tmp_path / "views", SETTINGS)
    whole = cache.fill(files).views.copy()
    rendered.clear()
    entries = sorted(path for path in (tmp_path / "views" / "entries").rglob("*") if path.is_file())
    damaged(entries[0], how)
    assert np.array_equal(np.stack([cache.get_or_render(file) for file in files]), whole)
    assert len(rendered) == 1
    damaged(entries[1], how)
    assert np.array_equal(cache.fill(files[::-1]).views, whole[::-1])
    assert len(rendered) == 2


@pytest.mark.parametrize("how", ["a bit", "cut", "empty"])
def test_damaged_arrays_are_made_anew_from_the_entries(tmp_path, files, rendered, how):
    cache = ViewCache(tmp_path / "views", SETTINGS)
    whole = cache.fill(files).views.copy()
    rendered.clear()
    damaged(next((tmp_path / "views" / "arrays").iterdir()), how)
    assert np.array_equal(cache.fill(files).views, whole)
    assert rendered == []


def test_settings_are_never_mixed(tmp_path, files, monkeypatch):
    folder = tmp_path / "views"
    ViewCache(folder, SETTINGS).fill(files)
    for other, said in (
        (RenderSettings(ring_cameras(3), size=32), "holds views with size 16, asked for are views with size 32"),
        (RenderSettings(ring_cameras(3), size=16, up="y"), "up z, asked for are views with up y"),
        (RenderSettings(ring_cameras(4), size=16), "other cameras"),
    ):
        with pytest.raises(MongeError, match=said):
            ViewCache(folder, other)
    early = ViewCache(tmp_path / "new", SETTINGS)
    ViewCache(tmp_path / "new", RenderSettings(size=8)).fill(files)
    with pytest.raises(MongeError, match="holds views with"):
        early.fill(files)
    monkeypatch.setattr("monge.data.views.settings.renderer_version", lambda: "another 1.0")
    with pytest.raises(MongeError, match=r"renderer embreex .* asked for are views with renderer another 1\.0"):
        ViewCache(folder, SETTINGS)


def test_folders_of_another_kind_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(MongeError, match=r"is not empty and holds no manifest\.json"):
        ViewCache(tmp_path, SETTINGS)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(MongeError, match=r"manifest\.json: cannot be read"):
        ViewCache(tmp_path, SETTINGS)


def test_bad_meshes_are_an_error_or_left_out(tmp_path, files):
    files[1].path.write_text("OFF\n1 2 3\n")
    files[3].path.unlink()
    cache = ViewCache(tmp_path / "views", SETTINGS)
    with pytest.raises(DataFormatError, match=r"3\.off: found no such file"):
        cache.fill(files)
    filled = cache.fill([*files, files[1]], strict=False)
    assert filled.positions == (0, 2)
    assert [error.path.name for error in filled.skipped] == ["1.off", "3.off", "1.off"]
    assert filled.rendered == 2
    assert len(filled.views) == 2
    with pytest.raises(MongeError, match=r"none of 1 meshes can be rendered; the first: .*1\.off"):
        cache.fill(files[1:2], strict=False)


def test_a_cache_that_cannot_be_written_says_so(tmp_path, files):
    (tmp_path / "file").write_text("")
    with pytest.raises(MongeError, match=r"cannot write views \(.*\): give a folder"):
        ViewCache(tmp_path / "file" / "views", SETTINGS).fill(files)


KILLED = """
import os, sys
from pathlib import Path
from monge.data.views import MeshFile, RenderSettings, ViewCache, ring_cameras
files = [MeshFile(path) for path in sorted(Path(sys.argv[1]).iterdir())]
def progress(done, total):
    if done == 2:
        os.kill(os.getpid(), 9)
ViewCache(sys.argv[2], RenderSettings(ring_cameras(3), size=16)).fill(files, jobs=1, progress=progress)
"""


def test_a_killed_run_is_taken_up_where_it_was(tmp_path, files, rendered):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "meshes", tmp_path / "views"])
    assert done.returncode == -9
    left = tmp_path / "views" / "entries" / ".old.1.part"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 2 * 86400,) * 2)
    filled = ViewCache(tmp_path / "views", SETTINGS).fill(files)
    assert filled.rendered == 2
    assert rendered == ["2.off", "3.off"]
    assert not left.exists()


def test_the_default_folder_goes_by_the_settings(tmp_path, monkeypatch, files):
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    cache = ViewCache(None, SETTINGS)
    cache.fill(files[:1])
    assert cache.folder == tmp_path / "cache" / "views" / SETTINGS.key()
    manifest = json.loads((cache.folder / "manifest.json").read_text())
    assert manifest["settings"]["renderer"].startswith("embreex ")
    assert ViewCache(None, RenderSettings(size=8)).folder != cache.folder


def test_filled_views_train_as_a_set(tmp_path, files):
    filled = ViewCache(tmp_path / "views", SETTINGS).fill(files)
    part = ViewSet(filled.views[:, :, None], torch.tensor([0, 0, 1, 1])).subset([3, 1])
    assert part.inputs([0, 1]).shape == (2, 3, 1, 16, 16)
    assert np.array_equal(part.inputs([0])[0, :, 0].numpy(), filled.views[3])


def draw(root: Path, name: str, size: int = 8, grey: int = 0):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size, size), grey).save(path)
    return path


def draw_folders(root: Path, older: bool = False):
    for label, kind in enumerate(("bed", "night_stand")):
        for part, numbers in (("train", (1, 2)), ("test", (3,))):
            for number in numbers:
                for view in (1, 2, 3):
                    newer = f"{kind}_{number:04}.obj.shaded_v{view:03}.png"
                    old = f"{kind}_{number:09}_{view:03}.jpg"
                    draw(root, f"{kind}/{part}/{old if older else newer}", grey=64 * label + 10 * number + view)


@pytest.mark.parametrize("older", [False, True])
def test_views_of_others_are_grouped_by_object(tmp_path, older):
    draw_folders(tmp_path / "modelnet40_images_new_12x", older)
    (tmp_path / "modelnet40_images_new_12x" / "bed" / "train" / "._bed_0001.obj.shaded_v001.png").write_bytes(b"mac")
    found = read_view_folders(tmp_path, Flaws(strict=True))
    assert found.classes == ("bed", "night_stand")
    assert (found.views, found.size) == (3, (8, 8))
    number = "000000002" if older else "0002"
    assert [one.name for one in found.parts["train"]][1:3] == [f"bed_{number}", f"night_stand_{number[:-1]}1"]
    assert [one.label for one in found.parts["test"]] == [0, 1]
    objects = found.parts["train"]
    part = ViewFiles([one.paths for one in objects], torch.tensor([one.label for one in objects]), 8)
    greys = part.subset([3]).inputs([0])[0, :, 0, 0, 0].tolist()
    assert np.abs(np.array(greys) - (64 + 20 + np.arange(1, 4))).max() <= 2  # the older ones are JPEG


def test_what_is_wrong_with_views_of_others(tmp_path):
    draw_folders(tmp_path)
    (tmp_path / "bed" / "train" / "bed_0001.obj.shaded_v002.png").unlink()
    with pytest.raises(DataFormatError, match=r"bed_0001: found no view 2, expected 3 views of each"):
        read_view_folders(tmp_path, Flaws(strict=True))
    draw(tmp_path, "bed/train/bed_0002.obj.shaded_v002.png", size=9)
    draw(tmp_path, "bed/train/front.png")
    draw(tmp_path, "bed/test/bed_0003.obj.shaded_v004.png")
    draw(tmp_path, "night_stand/test/night_stand_0003.obj.shaded_v001.png").write_bytes(b"\x89PNG no more")
    for view in (1, 2, 3):
        draw(tmp_path, f"night_stand/test/night_stand_0001.obj.shaded_v00{view}.png")
        draw(tmp_path, f"sofa/train/sofa_0001.obj.shaded_v00{view}.png")
    flaws = Flaws(strict=False)
    found = read_view_folders(tmp_path, flaws)
    assert {kind: len(entries) for kind, entries in flaws.found.items()} == {
        "pictures without a view number": 1,
        "unreadable pictures": 1,
        "objects with missing or surplus views": 2,
        "pictures of another size": 1,
        "objects in both parts": 1,
        "classes in one part alone": 1,
    }
    assert [one.name for one in found.parts["train"]] == ["night_stand_0001", "night_stand_0002", "sofa_0001"]
    assert [one.name for one in found.parts["test"]] == ["night_stand_0001"]


def test_two_kinds_of_views_are_chosen_from(tmp_path):
    draw_folders(tmp_path)
    for view in (1, 2, 3):
        draw(tmp_path, f"bed/test/bed_0003.obj.depth_v00{view}.png")
    with pytest.raises(DataFormatError, match="found 'depth' and 'shaded' pictures, expected one kind"):
        read_view_folders(tmp_path, Flaws(strict=True))
    assert len(read_view_folders(tmp_path, Flaws(strict=True), kind="shaded").parts["test"]) == 2
    with pytest.raises(DataFormatError, match="no pictures with a view number"):
        read_view_folders(tmp_path, Flaws(strict=True), kind="normal")
    with pytest.raises(DataFormatError, match="<class>/train and <class>/test"):
        read_view_folders(tmp_path / "bed" / "test", Flaws(strict=True))
