"""``monge render``: sheets of meshes, and what it says when it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from monge.cli import main

pytest.importorskip("embreex")

TETRA = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two good meshes, a bad one, and other things."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meshes" / "deep").mkdir(parents=True)
    (tmp_path / "meshes" / "a.off").write_text(TETRA)
    (tmp_path / "meshes" / "deep" / "b.off").write_text(TETRA.replace("0 0 1", "0 0 3"))
    (tmp_path / "meshes" / "deep" / "bad.off").write_text(TETRA[:-8])
    (tmp_path / "meshes" / "notes.txt").write_text("none")
    (tmp_path / "meshes" / "._a.off").write_text("mac")
    return tmp_path / "meshes"


def test_one_mesh_becomes_one_sheet(folder, capsys):
    assert main(["render", "meshes/a.off", "--size", "32", "--out", "looks"]) == 0
    assert capsys.readouterr().out == "looks/a.off.png\n"
    with Image.open("looks/a.off.png") as picture:
        assert picture.size == (4 * 32 + 3 * 2, 3 * 32 + 2 * 2)
        assert picture.mode == "L"
        pixels = np.array(picture)
    views = [pixels[top : top + 32, left : left + 32] for top in (0, 34, 68) for left in (0, 34, 68, 102)]
    assert all(20 < (view > 0).sum() < 900 for view in views)
    assert len({view.tobytes() for view in views}) == 12


def test_a_folder_becomes_a_folder_of_sheets(folder, capsys):
    assert main(["render", "meshes", "--size", "16", "--views", "20", "--shading", "silhouette", "--jobs", "1"]) == 1
    said = capsys.readouterr()
    assert said.out == "2 sheets in sheets\n"
    assert "skipped: meshes/deep/bad.off: line 9: found the end after 3 faces, expected 4" in said.err
    made = sorted(str(path.relative_to(folder.parent)) for path in (folder.parent / "sheets").rglob("*.png"))
    assert made == ["sheets/a.off.png", "sheets/deep/b.off.png"]
    with Image.open("sheets/a.off.png") as picture:
        assert picture.size == (5 * 18 - 2, 4 * 18 - 2)


def test_sheets_are_kept_replaced_and_never_put_over_other_files(folder, capsys):
    words = ["render", "meshes/a.off", "--size", "16"]
    sheet = folder.parent / "sheets" / "a.off.png"
    assert main(words) == 0
    sheet_then = sheet.stat().st_mtime_ns
    assert main(words) == 0
    assert sheet.stat().st_mtime_ns == sheet_then
    assert main([*words, "--up", "y"]) == 0
    assert sheet.stat().st_mtime_ns != sheet_then
    Image.new("L", (4, 4)).save(sheet)
    assert main(words) == 2
    assert "sheets/a.off.png: is there and is no sheet of monge" in capsys.readouterr().err
    with Image.open(sheet) as picture:
        assert picture.size == (4, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.off"], "error: nowhere.off: found nothing there, expected a mesh or a folder of meshes"),
        (["meshes/deep/bad.off"], "error: meshes/deep/bad.off: line 9: found the end after 3 faces, expected 4"),
        (["meshes/notes.txt"], "error: meshes/notes.txt: found a mesh of type 'txt', expected one of off, obj"),
        (["empty"], "error: empty: found no file that ends in off, obj"),
        (["meshes/a.off", "--views", "13"], "--views"),
        (["meshes/a.off", "--up", "w"], "--up"),
        (["meshes/a.off", "--size", "0"], "--size"),
        (["meshes/a.off", "--out", "meshes/notes.txt"], "meshes/notes.txt/a.off.png: cannot be written"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(folder, capsys, words, message):
    (folder.parent / "empty").mkdir()
    assert main(["render", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1
