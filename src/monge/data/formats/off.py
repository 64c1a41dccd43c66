"""OFF files, the format of ModelNet and of the Princeton and SHREC benchmarks, read line by line with suspicion.

trimesh takes files whose face list is cut short, NaN coordinates and faces of two vertices without a word, and stops
at faces of five; so OFF is read here. The glued first line of many ModelNet files, ``OFF490 518 0``, is as good as any.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.polygons import fan, quoted, read_points, read_polygons, table_of
from monge.data.formats.sniff import HEAD, refuse_impostor, shown
from monge.errors import DataFormatError

_EXPECTED = "an OFF file"
# Texture coordinates, colours and normals stand behind the coordinates; 4OFF and nOFF have others in their place.
_HEADER = re.compile(rb"(?:ST)?C?N?OFF", re.IGNORECASE)
# Any less than a figure and a line end is no line; what is cut short is told by the list that ends.
_LINE_BYTES = 2


def parse_off(path: str | Path, content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reads the vertices and faces of an OFF file; colours, edges and what follows the faces are passed over.

    Args:
        path: Where the content comes from, for the error messages.
        content: The whole file.

    Returns:
        Vertices float64 ``(V, 3)`` and triangles int64 ``(F, 3)``; larger faces are cut into fans.

    Raises:
        DataFormatError: No OFF header, counts that the file cannot hold, a list shorter than its count, a coordinate
            that is no finite number, a face of fewer than three vertices, an index out of range; names the line.

    Example:
        >>> vertices, faces = parse_off("a.off", b"OFF3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 2\\n")
        >>> vertices.shape, faces.tolist()
        ((3, 3), [[0, 1, 2]])
        >>> parse_off("a.off", b"OFF\\n3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 7\\n")
        Traceback (most recent call last):
        monge.errors.DataFormatError: a.off: line 6: found vertex 7 in a face, expected 0 to 2 (...)
    """
    path = Path(path)
    refuse_impostor(path, content[:HEAD], _EXPECTED)
    lines = content.removeprefix(b"\xef\xbb\xbf").splitlines()
    if b"#" in content:
        lines = [line.partition(b"#")[0] for line in lines]
    places = [place for place, line in enumerate(lines) if line and not line.isspace()]
    taken, vertex_count, face_count = _counts(path, lines, places, len(content))
    vertex_places = places[taken : taken + vertex_count]
    face_places = places[taken + vertex_count : taken + vertex_count + face_count]

    _check_length(path, "vertices", len(vertex_places), vertex_count, len(lines))
    vertices = read_points(path, [lines[place] for place in vertex_places], lambda row: vertex_places[row] + 1)
    _check_length(path, "faces", len(face_places), face_count, len(lines))
    indices, sizes = _polygons(path, lines, face_places)
    outside = np.flatnonzero((indices < 0) | (indices >= vertex_count))
    if outside.size:
        row = int(np.searchsorted(np.cumsum(sizes), outside[0], side="right"))
        found, expected = f"vertex {indices[outside[0]]} in a face", f"0 to {vertex_count - 1}"
        raise _error(path, face_places[row] + 1, found, expected, "OFF counts vertices from 0")
    return vertices, fan(indices, sizes)


def _counts(path: Path, lines: list[bytes], places: list[int], size: int) -> tuple[int, int, int]:
    """How many filled lines the header takes, and the numbers of vertices and faces."""
    first = lines[places[0]].split() if places else [b""]
    header = _HEADER.match(first[0])
    if header is None:
        found = quoted(b" ".join(first)) if places else "no text"
        line = places[0] + 1 if places else 1
        raise _error(path, line, found, "OFF first", "not an OFF file, or its first line is lost")
    if any(word.upper() == b"BINARY" for word in first[1:]):
        raise _error(path, places[0] + 1, "a binary OFF file", "a text one", "export it as text")
    words = [word for word in (first[0][header.end() :], *first[1:]) if word]
    taken = 1
    if not words and len(places) > 1:
        words, taken = lines[places[1]].split(), 2
    line = places[taken - 1] + 1
    try:
        vertices, faces = (int(word) for word in words[:2])
    except ValueError:
        found = quoted(b" ".join(words)) if words else "nothing more"
        raise _error(path, line, found, "the numbers of vertices, faces and edges", "") from None
    if vertices < 0 or faces < 0 or (vertices + faces) * _LINE_BYTES > size:
        expected = f"counts that {size:,} bytes can hold"
        hint = "the header is wrong or the file is truncated"
        raise _error(path, line, f"{vertices:,} vertices and {faces:,} faces", expected, hint)
    if vertices == 0 or faces == 0:
        raise _error(path, line, f"{vertices} vertices and {faces} faces", "at least one face", "the mesh is empty")
    return taken, vertices, faces


def _check_length(path: Path, what: str, found: int, expected: int, lines: int) -> None:
    if found < expected:
        hint = "the file is truncated; fetch it again"
        raise _error(path, lines, f"the end after {found:,} {what}", f"{expected:,}", hint)


def _polygons(path: Path, lines: list[bytes], places: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all faces behind each other, and how many each has."""
    # Most files have triangles alone; colours may stand behind them.
    triangles = table_of([lines[place] for place in places], np.int64, (0, 1, 2, 3))
    if triangles is not None and (triangles[:, 0] == 3).all():
        return triangles[:, 1:].ravel(), triangles[:, 0]
    rows = [_corners(path, place + 1, lines[place].split()) for place in places]
    return read_polygons(path, rows, lambda row: places[row] + 1)


def _corners(path: Path, line: int, words: list[bytes]) -> list[bytes]:
    """The indices of a face, without its colour."""
    try:
        size = int(words[0])
    except ValueError:
        raise _error(path, line, f"{quoted(words[0])} as the size of a face", "a whole number", "") from None
    if size < 3:
        raise _error(path, line, f"a face of {size} vertices", "at least 3", "")
    if len(words) <= size:
        raise _error(path, line, f"a face of {len(words) - 1} vertices", f"{size}, as it says itself", "")
    return words[1 : size + 1]


def _error(path: Path, line: int, found: str, expected: str, hint: str) -> DataFormatError:
    return DataFormatError(shown(path), f"line {line}", found, expected, hint)
