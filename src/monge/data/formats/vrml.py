"""Flat VRML 2 files (``.wrl``), as CAD programs write them for circuit boards: face sets behind each other.

trimesh has no reader for VRML. Of the language only what places a surface is read: ``IndexedFaceSet`` with
``coordIndex`` and ``point``. Appearances, normals and colours are passed over; nodes that move, repeat or fetch shapes,
and solids without a mesh, are refused rather than shown in the wrong place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.polygons import fan, quoted
from monge.data.formats.sniff import HEAD, refuse_impostor, shown
from monge.errors import DataFormatError

_EXPECTED = "a VRML 2 file"
_HEADER = b"#VRML V2.0"
# Text in quotes may hold anything, a comment too; neither has a say in the geometry.
_ASIDE = re.compile(rb'"(?:\\.|[^"\\])*"|#[^\r\n]*', re.DOTALL)
_FOREIGN = re.compile(
    rb"\b(Transform|Billboard|LOD|Switch|Inline|PROTO|EXTERNPROTO|Box|Cone|Cylinder|Sphere|Extrusion|ElevationGrid"
    rb"|IndexedLineSet|PointSet|Text)\b"
)
_FACE_SET = re.compile(rb"\bIndexedFaceSet\b")
_BODY = re.compile(rb"\s*+\{((?:[^{}]++|\{[^{}]*+\})*+)\}")
_COORD_INDEX = re.compile(rb"\bcoordIndex\s*+\[([^\[\]{}]*+)\]")
_POINT = re.compile(rb"\bpoint\s*+\[([^\[\]{}]*+)\]")
_WORD = re.compile(rb"[^\s,]+")


def parse_vrml(path: str | Path, content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reads the vertices and faces of a flat VRML 2 file.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.

    Returns:
        Vertices float64 ``(V, 3)`` and triangles int64 ``(F, 3)`` of all face sets; larger faces are cut into fans.

    Raises:
        DataFormatError: No VRML 2 header, a node that moves shapes or has no faces, a face set cut short or without
            points or faces, a coordinate that is no finite number, an index that is none or out of range; names the
            line.

    Example:
        >>> shape = b"Shape { geometry IndexedFaceSet { coordIndex [0,1,2,-1] coord Coordinate { point [%s] } } }"
        >>> vertices, faces = parse_vrml("a.wrl", b"#VRML V2.0 utf8\\n" + shape % b"0 0 0, 1 0 0, 0 1 0")
        >>> vertices.shape, faces.tolist()
        ((3, 3), [[0, 1, 2]])
        >>> parse_vrml("a.wrl", b"#VRML V2.0 utf8\\n" + shape % b"0 0 0, 1 0 0")
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.wrl: line 2: found vertex 2 in a face, expected 0 to 1
    """
    path = Path(path)
    refuse_impostor(path, content[:HEAD], _EXPECTED)
    if not content.startswith(_HEADER):
        hint = "not a VRML file, or one of version 1"
        raise DataFormatError(shown(path), "line 1", quoted(content.splitlines()[0]), _HEADER.decode(), hint)
    # Places stay where they are, so that errors can name lines.
    text = _ASIDE.sub(lambda aside: re.sub(rb"[^\r\n]", b" ", aside[0]), content)
    if foreign := _FOREIGN.search(text):
        found = f"a node {foreign[1].decode()}"
        raise _flaw(path, text, foreign.start(), found, "shapes of IndexedFaceSet, not moved", "export it flat")
    points, corners, sizes = [], [], []
    known = 0
    for face_set in _FACE_SET.finditer(text):
        vertices, indices, lengths = _face_set(path, text, face_set.end())
        points.append(vertices)
        corners.append(indices + known)
        sizes.append(lengths)
        known += len(vertices)
    if not points:
        raise DataFormatError(shown(path), "", "no IndexedFaceSet", "at least one")
    return np.concatenate(points), fan(np.concatenate(corners), np.concatenate(sizes))


def _face_set(path: Path, text: bytes, start: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Vertices, corners of all faces behind each other, and the number of corners of each, of one face set."""
    body = _BODY.match(text, start)
    if body is None:
        hint = "the file is truncated or damaged"
        raise _flaw(path, text, start, "an IndexedFaceSet that does not end", "braces in pairs", hint)
    point_list = _only(path, text, body, _POINT, "point")
    index_list = _only(path, text, body, _COORD_INDEX, "coordIndex")
    numbers = _numbers(path, text, point_list, np.float64, "a number for a coordinate")
    if len(numbers) % 3 or not len(numbers):
        found = f"{len(numbers):,} coordinates of points"
        raise _flaw(path, text, point_list.start(1), found, "three for each point", "the list is cut short")
    indices = _numbers(path, text, index_list, np.int64, "a whole number for a vertex")
    vertices = numbers.reshape(-1, 3)
    wrong = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
    if wrong.size:
        values = " ".join(f"{value:g}" for value in vertices[wrong[0]])
        raise _flaw(path, text, _place(point_list, 3 * int(wrong[0])), f"a point at {values}", "finite coordinates")
    outside = np.flatnonzero((indices < -1) | (indices >= len(vertices)))
    if outside.size:
        found, expected = f"vertex {indices[outside[0]]} in a face", f"0 to {len(vertices) - 1}"
        raise _flaw(path, text, _place(index_list, int(outside[0])), found, expected)
    return vertices, *_faces(path, text, index_list, indices)


def _faces(
    path: Path, text: bytes, index_list: re.Match[bytes], indices: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners without the -1 that ends each face, and how many there are of each; the last -1 may be missing."""
    ends = np.flatnonzero(indices == -1)
    if len(indices) and indices[-1] != -1:
        ends = np.append(ends, len(indices))
    sizes = np.diff(ends, prepend=-1) - 1
    few = np.flatnonzero(sizes < 3)
    if few.size or not len(sizes):
        found = f"a face of {sizes[few[0]]} vertices" if few.size else "no faces"
        place = _place(index_list, int(ends[few[0]] - 1)) if few.size else index_list.start()
        raise _flaw(path, text, place, found, "faces of at least 3 vertices")
    return indices[indices != -1], sizes


def _only(path: Path, text: bytes, body: re.Match[bytes], pattern: re.Pattern[bytes], name: str) -> re.Match[bytes]:
    """The one list of this name in a face set."""
    found = list(pattern.finditer(text, body.start(1), body.end(1)))
    if len(found) != 1:
        hint = "" if found else "lists shared by USE are not read: export it flat"
        raise _flaw(path, text, body.start(), f"a face set with {len(found)} lists {name}", "one", hint)
    return found[0]


def _numbers(path: Path, text: bytes, found: re.Match[bytes], dtype: type, expected: str) -> NDArray[Any]:
    """The numbers of a list, between commas or blanks."""
    words = found[1].replace(b",", b" ").split()
    try:
        return np.array(words, "S").astype(dtype) if words else np.empty(0, dtype)
    except (ValueError, OverflowError):
        parse = float if dtype is np.float64 else int
        for place, word in enumerate(words):
            try:
                parse(word)
            except ValueError:
                raise _flaw(path, text, _place(found, place), quoted(word), expected) from None
        raise _flaw(path, text, found.start(), "a number too large", expected) from None


def _place(found: re.Match[bytes], number: int) -> int:
    """Where the given number of a list stands."""
    for place, word in enumerate(_WORD.finditer(found[1])):
        if place == number:
            return found.start(1) + word.start()
    return found.start(1)


def _flaw(path: Path, text: bytes, place: int, found: str, expected: str, hint: str = "") -> DataFormatError:
    line = text.count(b"\n", 0, place) + 1
    return DataFormatError(shown(path), f"line {line}", found, expected, hint)
