"""The geometry of Wavefront OBJ files: vertices and faces, nothing else.

trimesh counts negative indices from the end of the file where the format counts from the line they stand on, takes
index 0 for the last vertex, and makes flat vertices of lines with two numbers; so OBJ is read here. Groups and objects
are joined, materials, normals and texture coordinates passed over, and no other file is opened.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.polygons import fan, read_points, read_polygons, table_of
from monge.data.formats.sniff import HEAD, refuse_impostor, shown
from monge.errors import DataFormatError

_EXPECTED = "an OBJ file"
# Texture coordinate and normal of a corner: "7/3/5" is vertex 7.
_ATTRIBUTES = re.compile(rb"/\S*")
_COMMENT = re.compile(rb"#[^\n]*")


def parse_obj(path: str | Path, content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reads the vertices and faces of an OBJ file.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.

    Returns:
        Vertices float64 ``(V, 3)`` and triangles int64 ``(F, 3)``; larger faces are cut into fans.

    Raises:
        DataFormatError: No vertices or faces, a coordinate that is no finite number, an index that is none or out of
            range, an end in the middle of a face; names the line.

    Example:
        >>> vertices, faces = parse_obj("a.obj", b"v 0 0 0\\nv 1 0 0\\nv 1 1 0\\nv 0 1 0\\nf -4/1 -3/2 -2/3 -1/4\\n")
        >>> faces.tolist()
        [[0, 1, 2], [0, 2, 3]]
        >>> parse_obj("a.obj", b"v 0 0 0\\nv 1 0 0\\nv 1 1 0\\nf 1 2 9\\n")
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.obj: line 4: found vertex 9 in a face, expected 1 to 3, or -1 to -3 (...)
    """
    path = Path(path)
    refuse_impostor(path, content[:HEAD], _EXPECTED)
    points: list[bytes] = []
    point_lines: list[int] = []
    polygons: list[bytes] = []
    polygon_lines: list[int] = []
    known: list[int] = []  # vertices that were there before each polygon
    number, begun = 0, b""  # a line goes on after a backslash
    for number, line in enumerate(content.splitlines(), start=1):
        if line.endswith(b"\\"):
            begun += line[:-1] + b" "
            continue
        if begun or line[:1].isspace():
            line, begun = (begun + line).lstrip(), b""
        if line.startswith((b"v ", b"v\t")):
            points.append(line)
            point_lines.append(number)
        elif line.startswith((b"f ", b"f\t")):
            polygons.append(line)
            polygon_lines.append(number)
            known.append(len(points))
    if not points or not polygons:
        found = f"{len(points):,} vertices and {len(polygons):,} faces"
        raise DataFormatError(shown(path), "", found, "at least one face", "not an OBJ file, or an empty one")
    vertices = read_points(path, points, lambda row: point_lines[row], skip=1)
    cut = polygon_lines[-1] == number and not content.endswith((b"\n", b"\r"))
    indices, sizes, kept = _polygons(path, polygons, polygon_lines, cut)
    before = np.repeat(np.array(known, np.int64)[kept], sizes)
    corner = np.where(indices < 0, before + indices, indices - 1)
    outside = np.flatnonzero((corner < 0) | (corner >= len(vertices)) | (indices == 0))
    if outside.size:
        row = kept[int(np.searchsorted(np.cumsum(sizes), outside[0], side="right"))]
        found, count = f"vertex {indices[outside[0]]} in a face", len(vertices)
        expected = f"1 to {count}, or -1 to -{int(before[outside[0]])}"
        raise DataFormatError(shown(path), f"line {polygon_lines[row]}", found, expected, "OBJ counts vertices from 1")
    return vertices, fan(corner, sizes)


def _polygons(
    path: Path, polygons: list[bytes], places: list[int], cut: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Indices of all faces behind each other, how many each has, and which faces these are.

    Lines and points, which some exporters write among the faces, are left out, but not at the end of a file that stops
    in the middle of a line.
    """
    text = b"\n".join(polygons)
    if b"/" in text:
        text = _ATTRIBUTES.sub(b"", text)
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    lines = text[1:].split(b"\nf")
    table = table_of(lines, np.int64)
    if table is not None and table.shape[1] >= 3:
        return table.ravel(), np.full(len(table), table.shape[1], np.int64), list(range(len(lines)))
    rows = [line.split() for line in lines]
    kept = [row for row, words in enumerate(rows) if len(words) > 2 or (cut and row == len(rows) - 1)]
    indices, sizes = read_polygons(path, [rows[row] for row in kept], lambda row: places[kept[row]])
    return indices, sizes, kept
