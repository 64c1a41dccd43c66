"""Meshes from files: what is read, and the one line for every way a file can be wrong."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile

import numpy as np
import pytest

from monge.data.formats.mesh_headers import check_3mf
from monge.data.formats.obj import parse_obj
from monge.data.formats.off import parse_off
from monge.data.meshes import Mesh, read_mesh, read_meshes
from monge.errors import DataFormatError, MissingExtraError

trimesh = pytest.importorskip("trimesh")

SQUARE = b"OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n"
TRIANGLE = b"v 0 0 0\nv 1 0 0\nv 0 1 0\n"
PLY = (
    b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n"
)


def refused(content, kind):
    """The error over some content, whose message is one line."""
    with pytest.raises(DataFormatError) as caught:
        read_mesh(content, file_type=kind, name=f"a.{kind}")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"a.{kind}")
    return str(caught.value)


def exported(kind):
    content = trimesh.creation.box((1, 2, 3)).export(file_type=kind)
    return content.encode() if isinstance(content, str) else content


@pytest.mark.parametrize("kind", ["off", "obj", "stl", "ply", "glb", "stl_ascii"])
def test_a_box_is_a_box_in_every_format(kind, tmp_path):
    file = tmp_path / f"box.{kind.removesuffix('_ascii')}"
    file.write_bytes(exported(kind))
    mesh = read_mesh(file)
    assert mesh.name == file.name
    assert mesh.vertices.dtype == np.float64
    assert mesh.faces.dtype == np.int64
    assert mesh.faces.shape == (12, 3)
    assert np.allclose(np.ptp(mesh.vertices, axis=0), (1, 2, 3))
    # Signed volume: winding and indices have come through.
    corners = mesh.vertices[mesh.faces]
    assert np.isclose(np.linalg.det(corners).sum() / 6, 6)
    assert np.array_equal(read_mesh(file.read_bytes(), file_type=file.suffix[1:]).faces, mesh.faces)


def test_off_and_obj_agree_with_trimesh_on_a_larger_mesh():
    ball = trimesh.creation.icosphere(subdivisions=3)
    for kind, parse in (("off", parse_off), ("obj", parse_obj)):
        content = ball.export(file_type=kind, digits=12).encode()
        vertices, faces = parse("ball", content)
        theirs = trimesh.load_mesh(io.BytesIO(content), file_type=kind, process=False)
        assert np.array_equal(vertices, theirs.vertices)
        assert np.array_equal(faces, theirs.faces)


@pytest.mark.parametrize(
    "content",
    [
        b"OFF4 2 0\n" + SQUARE[10:],
        b"OFF 4 2 0\n" + SQUARE[10:],
        SQUARE.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf# a square\n\n" + SQUARE.replace(b"4 2 0", b"4 2 # no edges").replace(b"3 0 1 2", b"\n3 0 1 2"),
        b"COFF\n4 2 0\n" + SQUARE[10:].replace(b" 0\n", b" 0 9 9 9 255\n"),
        SQUARE.replace(b"3 0 1 2\n", b"3 0 1 2 255 0 0\n").replace(b"3 0 2 3\n", b"3 0 2 3 0.1 0.2 0.3"),
    ],
)
def test_off_files_as_they_are_written(content):
    vertices, faces = parse_off("a.off", content)
    assert vertices[2].tolist() == [1, 1, 0]
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_large_faces_are_cut_into_fans():
    points = b"".join(b"%d %d 0\n" % (x, x * x) for x in range(5))
    content = b"OFF\n5 3 0\n" + points + b"5 0 1 2 3 4\n3 4 3 2 1 1 1\n4 0 2 3 4\n"
    assert parse_off("a.off", content)[1].tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4], [4, 3, 2], [0, 2, 3], [0, 3, 4]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        (b"<!DOCTYPE html><html>", "found an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid 1", "found a git-lfs pointer"),
        (SQUARE[4:], "line 1: found '4 2 0', expected OFF first"),
        (b"4OFF\n" + SQUARE[4:], "line 1: found '4OFF'"),
        (b"OFF BINARY\n" + bytes(40), "line 1: found a binary OFF file"),
        (b"OFF\n", "line 1: found nothing more"),
        (b"OFF\n4 two 0\n", "line 2: found '4 two 0'"),
        (b"OFF\n0 0 0\n", "line 2: found 0 vertices and 0 faces"),
        (b"OFF\n-4 2 0\n", "line 2: found -4 vertices and 2 faces"),
        (SQUARE.replace(b"4 2 0", b"99999999999 2 0"), "line 2: found 99,999,999,999 vertices and 2 faces, expected"),
        (SQUARE.replace(b"4 2 0", b"4 900000 0"), "line 2: found 4 vertices and 900,000 faces, expected counts that"),
        (SQUARE[: SQUARE.index(b"3 0 2 3")], "line 7: found the end after 1 faces, expected 2"),
        (b"OFF\n4 2 0\n0.00 0.00 0.00\n1.00 0.00 0.00\n1.00 1.00 0.00\n", "found the end after 3 vertices, expected 4"),
        (SQUARE.replace(b"1 1 0", b"1 nan 0"), "line 5: found a vertex at 1 nan 0, expected finite"),
        (SQUARE.replace(b"1 1 0", b"1 1 -inf"), "line 5: found a vertex at 1 1 -inf"),
        (SQUARE.replace(b"1 1 0", b"1 1"), "line 5: found a vertex of 2 numbers"),
        (SQUARE.replace(b"1 1 0", b"1 one 0"), "line 5: found 'one', expected a number"),
        (SQUARE.replace(b"3 0 2 3", b"3 0 2 4"), "line 8: found vertex 4 in a face, expected 0 to 3"),
        (SQUARE.replace(b"3 0 2 3", b"3 0 2 -1"), "line 8: found vertex -1 in a face"),
        (SQUARE.replace(b"3 0 2 3", b"2 0 2"), "line 8: found a face of 2 vertices, expected at least 3"),
        (SQUARE.replace(b"3 0 2 3", b"4 0 2 3"), "line 8: found a face of 3 vertices, expected 4"),
        (SQUARE.replace(b"3 0 2 3", b"3 0 2.5 3"), "line 8: found '2.5', expected a whole number"),
        (SQUARE.replace(b"3 0 2 3", b"3 0 2 9" + b"9" * 30), "line 8: found '999999"),
        (SQUARE.replace(b"3 0 2 3", b"x 0 2 3"), "line 8: found 'x' as the size of a face"),
        (b"OFF\n3 1 0\n5 5 5\n5 5 5\n5 5 5\n3 0 1 2\n", "all 3 vertices at one point"),
        (b"OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "1 faces without an area"),
        (b"OFF\n3 1 0\n-9e307 0 0\n9.1e307 0 0\n0 9e307 0\n3 0 1 2\n", "expected a size that can be computed with"),
    ],
)
def test_bad_off_files_are_one_line_with_the_place(content, said):
    assert said in refused(content, "off")


def test_obj_negative_indices_count_from_their_line():
    content = TRIANGLE + b"f -3 -2 -1\nv 5 5 5\nv 6 5 5\nv 5 6 5\nf -3/1/1 -2//2 -1\n"
    assert parse_obj("a.obj", content)[1].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_obj_groups_are_joined_and_all_but_geometry_is_passed_over():
    content = (
        b"# made by hand\nmtllib http://nowhere.invalid/a.mtl\no one\nusemtl red\n"
        + TRIANGLE.replace(b"\n", b" 0.5 0.5 0.5\n")
        + b"vn 0 0 1\nvt 0 0\nf 1/1/1 2/1/1 3/1/1 # front\ng two\nv 1 1 0\n  f 2 4 \\\n 3\nl 1 2\nf 1 2\nf 1 2 4 3\n"
    )
    vertices, faces = parse_obj("a.obj", content)
    assert vertices.shape == (4, 3)
    assert faces.tolist() == [[0, 1, 2], [1, 3, 2], [0, 1, 3], [0, 3, 2]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        (b"hello\n", "0 vertices and 0 faces"),
        (TRIANGLE + b"l 1 2\n", "3 vertices and 0 faces"),
        (TRIANGLE + b"f 1 2\n", "3 vertices and no faces"),
        (TRIANGLE + b"f 1 2 3\nf 1 2", "line 5: found a face of 2 vertices"),
        (TRIANGLE + b"f 1 2 4\n", "line 4: found vertex 4 in a face, expected 1 to 3"),
        (TRIANGLE + b"f 1 2\nf 1 2 0\n", "line 5: found vertex 0 in a face"),
        (TRIANGLE + b"f -1 -2 -4\n", "line 4: found vertex -4 in a face, expected 1 to 3, or -1 to -3"),
        (TRIANGLE + b"f 1 b 3\n", "line 4: found 'b', expected a whole number"),
        (b"v 0 0\n" + TRIANGLE + b"f 1 2 3\n", "line 1: found a vertex of 2 numbers"),
        (TRIANGLE + b"v 1 nan 0\nf 1 2 3\n", "line 4: found a vertex at 1 nan 0"),
    ],
)
def test_bad_obj_files_are_one_line_with_the_place(content, said):
    assert said in refused(content, "obj")


@pytest.mark.parametrize("kind", ["stl", "stl_ascii", "ply", "glb"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_files_cut_anywhere_are_refused(kind, share):
    content = exported(kind)
    assert "expected" in refused(content[: int(len(content) * share)], kind.removesuffix("_ascii"))


def glb(tree):
    """A GLB file with nothing but a tree."""
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("ply", b"pli\n", "line 1: found"),
        ("ply", PLY, "line 12: found the end after 3 entries, expected 4"),
        ("ply", PLY.replace(b"face 1", b"face 99999999999") + b"3 0 1 2\n", "line 7: found 99,999,999,999 entries"),
        ("ply", PLY.replace(b"vertex 3", b"vertex 900000000") + b"3 0 1 2\n", "line 3: found 900,000,000 entries"),
        ("ply", PLY.replace(b"vertex 3", b"vertex 4") + b"3 0 1 2\n", "found the end after 4 entries, expected 5"),
        ("ply", PLY + b"2 0 1\n", "line 13: found the face '2 0 1'"),
        ("ply", PLY + b"3 0 1 7\n", "face 0: found vertices 0, 1, 7, expected 0 to 2"),
        ("ply", PLY + b"3 0 1 -1\n", "face 0: found vertices 0, 1, -1"),
        ("ply", PLY.replace(b"1 0 0", b"nan 0 0") + b"3 0 1 2\n", "vertex 1: found nan 0 0"),
        ("stl", bytes(80) + struct.pack("<I", 1 << 31) + bytes(100), "byte 80: found 2,147,483,648 faces, expected 2"),
        ("stl", bytes(84), "no faces"),
        ("stl", b"solid a\nendsolid a\n", "no faces"),
        ("glb", struct.pack("<4sIII4s", b"glTF", 1, 20, 0, b"JSON"), "byte 4: found version 1"),
        ("glb", glb([]), "JSON of another shape"),
        ("glb", glb({"asset": {"version": "2.0"}}), "no faces"),
        ("glb", glb({"buffers": [{"byteLength": 4, "uri": "http://nowhere.invalid/a.bin"}]}), "buffer 0 in another"),
        (
            "glb",
            glb({"accessors": [{"count": 1 << 40, "componentType": 5126, "type": "VEC3"}]}),
            "accessor 0 of 13,194,139,533,312 bytes",
        ),
        ("glb", glb({"extensionsRequired": ["KHR_draco_mesh_compression"]}), "compressed by KHR_draco"),
        ("dae", b"<COLLADA>", "found a mesh of type 'dae', expected one of off, obj"),
    ],
)
def test_headers_are_held_against_what_is_there(kind, content, said):
    assert said in refused(content, kind)


def test_parts_of_a_scene_are_joined_where_the_scene_has_them():
    scene = trimesh.Scene()
    box = trimesh.creation.box()
    for x in (0, 5):
        scene.add_geometry(box, transform=trimesh.transformations.translation_matrix((x, 0, 0)))
    mesh = read_mesh(scene.export(file_type="glb"), file_type="glb")
    assert mesh.faces.shape == (24, 3)
    assert np.allclose(np.ptp(mesh.vertices, axis=0).max(), 6)


def test_3mf_needs_lxml_and_its_archive_is_looked_at_first(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lxml", None)
    (tmp_path / "a.3mf").write_bytes(b"PK\x03\x04")
    with pytest.raises(MissingExtraError, match=r"reading 3MF files needs the package 'lxml'.*monge\[shapes\]"):
        read_mesh(tmp_path / "a.3mf")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/a.model", bytes(1 << 20))
    check_3mf(tmp_path, content.getvalue(), 1 << 20)
    with pytest.raises(DataFormatError, match="1,048,576 bytes when unpacked, expected at most 1,000,000"):
        check_3mf(tmp_path, content.getvalue(), 1_000_000)
    with pytest.raises(DataFormatError, match="a damaged archive"):
        check_3mf(tmp_path, content.getvalue()[:-30], 1 << 20)


def test_files_that_are_none(tmp_path, monkeypatch):
    for path, said in ((tmp_path, "without an ending"), (tmp_path / "a.off", "no such file"), ("a", "without an end")):
        with pytest.raises(DataFormatError, match=said):
            read_mesh(path)
    (tmp_path / "b.off").mkdir()
    with pytest.raises(DataFormatError, match="found a folder"):
        read_mesh(tmp_path / "b.off")
    with pytest.raises(ValueError, match="bytes need a file_type"):
        read_mesh(SQUARE)
    (tmp_path / "c.off").write_bytes(SQUARE)
    monkeypatch.setattr("monge.data.meshes.MAX_FILE_BYTES", 10)
    for source in (tmp_path / "c.off", SQUARE):
        with pytest.raises(DataFormatError, match="expected at most 10"):
            read_mesh(source, file_type="off")


def test_bad_meshes_are_skipped_counted_and_listed(tmp_path):
    for name, content in (("a", SQUARE), ("b", SQUARE[4:]), ("c", SQUARE), ("d", b"")):
        (tmp_path / f"{name}.off").write_bytes(content)
    files = sorted(tmp_path.iterdir())
    with pytest.raises(DataFormatError, match=r"b\.off: line 1"):
        read_meshes(files)
    read = read_meshes(files, strict=False)
    assert [mesh.name for mesh in read.meshes] == ["a.off", "c.off"]
    assert read.positions == (0, 2)
    assert read.told().startswith("skipped 2 of 4 meshes: ")
    assert "d.off: byte 0: found an empty file" in read.told()


def test_random_damage_never_gives_another_error():
    generator = np.random.default_rng(0)
    for kind in ("off", "obj", "stl", "ply", "glb", "stl_ascii"):
        content = exported(kind)
        for _ in range(60):
            damaged = bytearray(content)
            for place in generator.integers(0, len(content), generator.integers(1, 6)):
                damaged[place] = generator.integers(0, 256)
            try:
                mesh = read_mesh(bytes(damaged), file_type=kind.removesuffix("_ascii"))
            except DataFormatError:
                continue
            assert isinstance(mesh, Mesh)
            assert np.isfinite(mesh.vertices).all()
            assert mesh.faces.max() < len(mesh.vertices)
