"""Flat VRML: what is read, and one clear line for each way in which a file can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from monge.data.formats.vrml import parse_vrml
from monge.data.meshes import read_mesh
from monge.errors import DataFormatError

HEADER = b"#VRML V2.0 utf8\n"
MATERIAL = b"Shape {\n appearance Appearance {material DEF PIN-01 Material {\n  diffuseColor 0.8 0.8 0.7\n }\n }\n}\n"


def face_set(indices: bytes, points: bytes) -> bytes:
    """A shape as the exporter of the packaged models writes it."""
    return (
        b"Shape { geometry IndexedFaceSet\n{ creaseAngle 0.50 coordIndex [" + indices + b"]\n"
        b"coord Coordinate { point [" + points + b"]\n}}\nappearance Appearance{material USE PIN-01 }\n}\n"
    )


TRIANGLE = face_set(b"0,1,2,-1", b"0 0 0,1 0 0,0 1 0")


def test_face_sets_are_joined_and_polygons_cut_into_fans() -> None:
    square = face_set(b"0,1,2,3,-1,3 2 1", b"5 5 5, 6 5 5 ,6 6 5\n5 6 5,")
    vertices, faces = parse_vrml("a.wrl", HEADER + MATERIAL + TRIANGLE + square)
    assert vertices.shape == (7, 3)
    np.testing.assert_array_equal(vertices[3:], [[5, 5, 5], [6, 5, 5], [6, 6, 5], [5, 6, 5]])
    assert faces.tolist() == [[0, 1, 2], [3, 4, 5], [3, 5, 6], [6, 5, 4]]


def test_comments_quotes_and_line_ends_of_windows_have_no_say() -> None:
    aside = b'# Transform { of the part }\r\nWorldInfo { title "Box { # [" }\r\n'
    texture = TRIANGLE.replace(b"coordIndex [", b"texCoordIndex [9,9,9,-1] coordIndex [")
    content = HEADER + aside + texture.replace(b"\n", b"\r\n")
    mesh = read_mesh(content, file_type="wrl", name="part")
    assert mesh.faces.tolist() == [[0, 1, 2]]
    assert mesh.name == "part"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#VRML V1.0 ascii\n" + TRIANGLE, r"line 1: found '#VRML V1.0 ascii', expected #VRML V2.0"),
        (HEADER + MATERIAL, "found no IndexedFaceSet, expected at least one"),
        (HEADER + b"Transform {\n children [\n" + TRIANGLE + b"]}", "line 2: found a node Transform"),
        (HEADER + TRIANGLE + b"Shape { geometry Box { size 1 1 1 } }", "line 8: found a node Box"),
        ((HEADER + TRIANGLE)[:-60], "line 2: found an IndexedFaceSet that does not end"),
        (HEADER + face_set(b"0,1,2,-1", b""), "line 4: found 0 coordinates of points, expected three for each"),
        (HEADER + face_set(b"0,1,2,-1", b"0 0 0,1 0 0,0 1"), "line 4: found 8 coordinates of points"),
        (HEADER + face_set(b"0,1,2,-1", b"0 0 0,\n1 0 zero,\n0 1 0"), "line 5: found 'zero', expected a number"),
        (HEADER + face_set(b"0,1,2,-1", b"0 0 0,\n1 0 0,\n0 nan 0"), "line 6: found a point at 0 nan 0"),
        (HEADER + face_set(b"0,1,2,-1,\n0,1,7,-1", b"0 0 0,1 0 0,0 1 0"), "line 4: found vertex 7 in a face"),
        (HEADER + face_set(b"0,1,2,-1,0,-2,1,-1", b"0 0 0,1 0 0,0 1 0"), "line 3: found vertex -2 in a face"),
        (HEADER + face_set(b"0,1,-1", b"0 0 0,1 0 0,0 1 0"), "line 3: found a face of 2 vertices"),
        (HEADER + face_set(b"0,1,x,-1", b"0 0 0,1 0 0,0 1 0"), "line 3: found 'x', expected a whole number"),
        (HEADER + face_set(b"0,1,99999999999999999999,-1", b"0 0 0"), "line 3: found a number too large"),
        (HEADER + face_set(b"", b"0 0 0,1 0 0,0 1 0"), "line 3: found no faces"),
        (
            HEADER + TRIANGLE.replace(b"coord Coordinate { point [0 0 0,1 0 0,0 1 0]\n}", b"coord USE P"),
            "0 lists point",
        ),
        (HEADER + face_set(b"0,1,2,-1] coordIndex [0,1,2", b"0 0 0,1 0 0,0 1 0"), "2 lists coordIndex"),
        (b"<html>sign in</html>", "an HTML page"),
        (b"", "an empty file"),
    ],
)
def test_each_flaw_is_one_line_that_names_the_place(content: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message) as caught:
        parse_vrml("part.wrl", content)
    assert str(caught.value).startswith("part.wrl: ")
    assert "\n" not in str(caught.value)
