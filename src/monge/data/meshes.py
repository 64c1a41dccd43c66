"""Triangle meshes from files that may be anything: OFF, OBJ, WRL, STL, PLY, GLB and 3MF.

OFF, OBJ and flat WRL are read by monge itself, the others by trimesh once their headers were checked.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.formats.mesh_headers import CHECKS, check_3mf
from monge.data.formats.obj import parse_obj
from monge.data.formats.off import parse_off
from monge.data.formats.sniff import HEAD, open_data, read_bounded, refuse_impostor, shown
from monge.data.formats.vrml import parse_vrml
from monge.errors import DataFormatError, MissingExtraError
from monge.extras import require

MESH_TYPES = ("off", "obj", "wrl", "stl", "ply", "glb", "3mf")
MAX_FILE_BYTES = 512 << 20
MAX_FACES = 20_000_000
_Parsed = tuple[NDArray[np.float64], NDArray[np.int64]]
_PARSERS: dict[str, Callable[[Path, bytes], _Parsed]] = {"off": parse_off, "obj": parse_obj, "wrl": parse_vrml}
# Area in squares of the largest side of the bounding box: below this there is nothing to be seen.
_LEAST_AREA = 1e-12


@dataclass(frozen=True)
class Mesh:
    """Triangles in space.

    Args:
        vertices: float64 ``(V, 3)``.
        faces: Three vertices each, int64 ``(F, 3)``.
        name: What it is called in messages.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    name: str = ""


@dataclass(frozen=True)
class MeshList:
    """What could be read of several files.

    Args:
        meshes: The meshes, in the order of the files.
        positions: Which of the files each of them is.
        skipped: What is wrong with the others.
    """

    meshes: tuple[Mesh, ...]
    positions: tuple[int, ...]
    skipped: tuple[DataFormatError, ...] = ()

    def told(self) -> str:
        """One sentence on what was skipped; empty if nothing was.

        Example:
            >>> flaw = DataFormatError("a.off", "line 4", "a face of 2 vertices", "at least 3")
            >>> MeshList((), (), (flaw,)).told()
            'skipped 1 of 1 meshes: a.off: line 4: found a face of 2 vertices, expected at least 3'
        """
        if not self.skipped:
            return ""
        total = len(self.meshes) + len(self.skipped)
        return f"skipped {len(self.skipped):,} of {total:,} meshes: " + "; ".join(map(str, self.skipped))


def read_mesh(source: str | Path | bytes, *, file_type: str | None = None, name: str | None = None) -> Mesh:
    """Reads one mesh.

    A scene of several parts is joined into one mesh, each part where the scene has it. Materials and textures are not
    read; nothing is fetched, and no other file than this one is opened.

    Args:
        source: A file, or its content.
        file_type: ``"off"``, ``"obj"``, ``"stl"``, ``"ply"``, ``"glb"`` or ``"3mf"``; ``None``: the file's ending.
        name: What it is called in messages; ``None``: the name of the file.

    Returns:
        The mesh, with at least one triangle that has an area. Vertices are as they are in the file: unused and
        repeated ones stay.

    Raises:
        DataFormatError: The file is missing, empty, too large, another kind of file, cut short or damaged, or its mesh
            has no faces, no area, coordinates that are not finite, or indices out of range.
        MissingExtraError: trimesh is not installed, or lxml for 3MF; OFF and OBJ need neither.
        ValueError: No ``file_type`` for bytes.

    Example:
        >>> mesh = read_mesh(b"OFF\\n3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 2\\n", file_type="off", name="triangle")
        >>> mesh.name, mesh.vertices.shape, mesh.faces.tolist()
        ('triangle', (3, 3), [[0, 1, 2]])
    """
    if isinstance(source, bytes):
        if file_type is None:
            raise ValueError(f"bytes need a file_type, one of {', '.join(MESH_TYPES)}")
        path, content = Path(name or f"mesh.{file_type}"), source
    else:
        path = Path(source)
    kind = _kind(path, file_type)
    if not isinstance(source, bytes):
        content = _content(path, kind)
    elif len(content) > MAX_FILE_BYTES:
        raise _too_large(path, len(content))
    if kind != "3mf":
        refuse_impostor(path, content[:HEAD], _called(kind))
    vertices, faces = _PARSERS[kind](path, content) if kind in _PARSERS else _by_trimesh(path, kind, content)
    _check(path, vertices, faces)
    return Mesh(vertices, faces, shown(name or path.name))


def read_meshes(paths: Iterable[str | Path], *, strict: bool = True) -> MeshList:
    """Reads several meshes.

    Args:
        paths: The files.
        strict: Whether the first bad file is an error; otherwise bad files are skipped and listed.

    Raises:
        DataFormatError: A file is bad, if ``strict``.

    Example:
        >>> read = read_meshes(["no/such.off"], strict=False)
        >>> len(read.meshes), read.skipped[0].found
        (0, 'no such file')
    """
    meshes, positions, skipped = [], [], []
    for position, path in enumerate(paths):
        try:
            meshes.append(read_mesh(path))
            positions.append(position)
        except DataFormatError as error:
            if strict:
                raise
            skipped.append(error)
    return MeshList(tuple(meshes), tuple(positions), tuple(skipped))


def mesh_points(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """The vertices that faces use.

    Example:
        >>> mesh_points(np.arange(12.0).reshape(4, 3), np.array([[3, 1, 3]]))[:, 0].tolist()
        [3.0, 9.0]
    """
    is_used = np.zeros(len(vertices), bool)
    is_used[faces] = True
    return vertices[is_used]


def mesh_content(path: str | Path) -> bytes:
    """The bytes of a mesh file, without a look at what they say.

    Raises:
        DataFormatError: Missing, empty, too large, not readable, or of no type that can be read.

    Example:
        >>> mesh_content("no/such.off")
        Traceback (most recent call last):
        monge.errors.DataFormatError: no/such.off: found no such file, expected an OFF file (...)
    """
    path = Path(path)
    return _content(path, _kind(path, None))


def _kind(path: Path, file_type: str | None) -> str:
    kind = (file_type or path.suffix).lower().removeprefix(".")
    if kind not in MESH_TYPES:
        found = f"a mesh of type {kind!r}" if kind else "a file without an ending"
        raise DataFormatError(shown(path), "", found, f"one of {', '.join(MESH_TYPES)}")
    return kind


def _content(path: Path, kind: str) -> bytes:
    if kind == "3mf" and path.is_file():  # a zip archive, which `open_data` takes for a mistake
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _too_large(path, path.stat().st_size)
        return path.read_bytes()
    with open_data(path, _called(kind)) as (stream, size):
        if size > MAX_FILE_BYTES:
            raise _too_large(path, size)
        return bytes(read_bounded(path, stream, size, _called(kind)))


def _called(kind: str) -> str:
    return f"{'an' if kind in ('off', 'obj', 'stl') else 'a'} {kind.upper()} file"


def _too_large(path: Path, size: int) -> DataFormatError:
    hint = "reduce the mesh first; a view of it needs no more"
    return DataFormatError(shown(path), "", f"{size:,} bytes", f"at most {MAX_FILE_BYTES:,}", hint)


def _by_trimesh(path: Path, kind: str, content: bytes) -> _Parsed:
    """Lets trimesh read a file whose header was checked; the bytes alone, so that it can open nothing else."""
    trimesh = require("trimesh", extra="shapes", purpose=f"reading {kind.upper()} files")
    if kind == "3mf":
        require("lxml", extra="shapes", purpose="reading 3MF files")
        check_3mf(path, content, MAX_FILE_BYTES)
    else:
        CHECKS[kind](path, content)
    if kind == "stl" and content[:5].lower() == b"solid":
        content = content.decode("latin-1").encode("ascii", "replace")
    try:
        scene = trimesh.load_scene(io.BytesIO(content), file_type=kind, process=False)
        mesh = _joined(path, scene)
        return np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
    except (DataFormatError, MissingExtraError):
        raise
    except Exception as error:  # trimesh raises all kinds over damaged files
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        hint = "truncated or damaged; another program may save it as OFF or OBJ"
        raise DataFormatError(
            shown(path), "", f"a file that trimesh cannot read ({reason})", _called(kind), hint
        ) from None


def _joined(path: Path, scene: Any) -> Any:
    """One mesh of all parts, unless small parts that are used over and over would fill the memory."""
    sizes = {name: len(getattr(part, "faces", ())) for name, part in scene.geometry.items()}
    total = sum(sizes[scene.graph[node][1]] for node in scene.graph.nodes_geometry)
    if total > MAX_FACES:
        raise DataFormatError(shown(path), "", f"{total:,} faces", f"at most {MAX_FACES:,}", "reduce the mesh first")
    return scene.to_mesh()


def _check(path: Path, vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> None:
    """What holds for a mesh of any format."""

    def flaw(where: str, found: str, expected: str) -> DataFormatError:
        return DataFormatError(shown(path), where, found, expected)

    if not len(faces):
        raise flaw("", f"{len(vertices):,} vertices and no faces", "a mesh of at least one face")
    if len(faces) > MAX_FACES:
        raise flaw("", f"{len(faces):,} faces", f"at most {MAX_FACES:,}")
    outside = np.flatnonzero(((faces < 0) | (faces >= len(vertices))).any(axis=1))
    if outside.size:
        found = f"vertices {', '.join(map(str, faces[outside[0]]))}"
        raise flaw(f"face {outside[0]}", found, f"0 to {len(vertices) - 1}")
    endless = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
    if endless.size:
        values = " ".join(f"{value:g}" for value in vertices[endless[0]])
        raise flaw(f"vertex {endless[0]}", values, "finite coordinates")
    used = mesh_points(vertices, faces)
    low, high = used.min(axis=0), used.max(axis=0)
    with np.errstate(over="ignore"):
        side = float((high - low).max())
    if not np.isfinite(side):
        raise flaw("", f"coordinates from {low.min():g} to {high.max():g}", "a size that can be computed with")
    if side == 0:
        raise flaw("", f"all {len(used):,} vertices at one point", "a mesh that has a size")
    corners = (vertices[faces] - low) / side  # (F, 3, 3)
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if float(np.linalg.norm(doubled, axis=1).sum()) / 2 < _LEAST_AREA:
        raise flaw("", f"{len(faces):,} faces without an area", "a surface")
