"""Furniture as meshes of boxes and turned parts, each with its own proportions, and drawings of the edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.extras import require

Floats = NDArray[np.float64]
Random = np.random.Generator

_CREASE = 0.8  # cosine of the angle between two faces beyond which their edge is drawn from any side


@dataclass(frozen=True)
class PolygonMesh:
    """A mesh whose faces may have any number of corners, z upwards.

    Args:
        vertices: float64 ``(V, 3)``.
        faces: Vertex numbers of each face, anticlockwise as seen from outside.
    """

    vertices: Floats
    faces: tuple[tuple[int, ...], ...]


def _joined(parts: Sequence[PolygonMesh]) -> PolygonMesh:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)]).tolist()
    faces = [tuple(start + v for v in face) for start, part in zip(starts, parts) for face in part.faces]
    return PolygonMesh(np.concatenate([part.vertices for part in parts]), tuple(faces))


def _box(left: float, front: float, low: float, right: float, back: float, high: float) -> PolygonMesh:
    corners = [[x, y, z] for z in (low, high) for y in (front, back) for x in (left, right)]
    faces = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (3, 2, 6, 7), (2, 0, 4, 6), (1, 3, 7, 5))
    return PolygonMesh(np.array(corners, np.float64), faces)


def _turned(profile: Sequence[tuple[float, float]], x: float = 0.0, y: float = 0.0, sides: int = 12) -> PolygonMesh:
    """Turns (radius, height) pairs, from below to above, around a vertical axis; both ends are closed."""
    turns = [2 * pi * step / sides for step in range(sides)]
    rings = [[x + r * cos(turn), y + r * sin(turn), z] for r, z in profile for turn in turns]
    last = (len(profile) - 1) * sides
    faces: list[tuple[int, ...]] = [(0, k + 1, k) for k in range(1, sides - 1)]
    faces += [(last, last + k, last + k + 1) for k in range(1, sides - 1)]
    for ring in range(len(profile) - 1):
        start, above = ring * sides, (ring + 1) * sides
        faces += [(start + k, start + (k + 1) % sides, above + (k + 1) % sides, above + k) for k in range(sides)]
    return PolygonMesh(np.array(rings, np.float64), tuple(faces))


def _legs(w: float, d: float, high: float, thick: float) -> list[PolygonMesh]:
    places = [(x, y) for x in (-w / 2, w / 2 - thick) for y in (-d / 2, d / 2 - thick)]
    return [_box(x, y, 0, x + thick, y + thick, high) for x, y in places]


def _slab(w: float, d: float, low: float, high: float, y: float = 0.0) -> PolygonMesh:
    return _box(-w / 2, y - d / 2, low, w / 2, y + d / 2, high)


def _bathtub(r: Random) -> PolygonMesh:
    w, d, h, t = r.uniform(1.4, 1.9), r.uniform(0.7, 0.9), r.uniform(0.45, 0.65), r.uniform(0.05, 0.1)
    long = [_box(-w / 2, y, t, w / 2, y + t, h) for y in (-d / 2, d / 2 - t)]
    short = [_box(x, -d / 2 + t, t, x + t, d / 2 - t, h) for x in (-w / 2, w / 2 - t)]
    return _joined([_slab(w, d, 0, t), *long, *short])


def _bed(r: Random) -> PolygonMesh:
    w, d, h, t = r.uniform(1, 1.8), r.uniform(1.9, 2.1), r.uniform(0.3, 0.5), r.uniform(0.15, 0.3)
    board = _slab(w, 0.08, 0, h + r.uniform(0.4, 0.8), d / 2)
    return _joined([_slab(w, d, h - t, h), board, *_legs(w, d, h - t, 0.08)])


def _chair(r: Random) -> PolygonMesh:
    w, d, h = r.uniform(0.4, 0.5), r.uniform(0.4, 0.5), r.uniform(0.4, 0.5)
    back = _slab(w, 0.04, h, h + r.uniform(0.35, 0.6), d / 2 - 0.02)
    return _joined([_slab(w, d, h - 0.05, h), back, *_legs(w, d, h - 0.05, r.uniform(0.03, 0.06))])


def _desk(r: Random) -> PolygonMesh:
    w, d, h, t = r.uniform(1.2, 1.8), r.uniform(0.6, 0.8), r.uniform(0.7, 0.8), 0.04
    sides = [_box(x, -d / 2, 0, x + t, d / 2, h) for x in (-w / 2, w / 2 - t)]
    drawers = _box(w / 2 - r.uniform(0.35, 0.5), -d / 2, h * r.uniform(0.2, 0.5), w / 2 - t, d / 2, h)
    return _joined([_slab(w, d, h, h + t), *sides, drawers])


def _dresser(r: Random) -> PolygonMesh:
    w, d, h, rows = r.uniform(0.8, 1.3), r.uniform(0.4, 0.5), r.uniform(0.8, 1.2), int(r.integers(3, 6))
    fronts = [_slab(0.9 * w, 0.03, h * (k + 0.1) / rows, h * (k + 0.9) / rows, -d / 2) for k in range(rows)]
    return _joined([_slab(w, d, 0, h), *fronts])


def _lamp(r: Random) -> PolygonMesh:
    h, foot, wide = r.uniform(1.2, 1.7), r.uniform(0.12, 0.2), r.uniform(0.2, 0.35)
    shade = _turned([(wide, h), (r.uniform(0.4, 0.7) * wide, h + r.uniform(0.2, 0.35))])
    return _joined([_turned([(foot, 0), (foot, 0.03)]), _turned([(0.02, 0.03), (0.02, h)]), shade])


def _monitor(r: Random) -> PolygonMesh:
    w, h, foot = r.uniform(0.45, 0.7), r.uniform(0.3, 0.4), r.uniform(0.1, 0.2)
    return _joined([_slab(w, 0.05, foot, foot + h), _slab(0.06, 0.04, 0.02, foot), _slab(w / 2, 0.2, 0, 0.02)])


def _night_stand(r: Random) -> PolygonMesh:
    w, d, h, leg = r.uniform(0.4, 0.55), r.uniform(0.35, 0.45), r.uniform(0.45, 0.65), r.uniform(0.1, 0.2)
    top = _slab(w + 0.06, d + 0.06, h, h + 0.04)
    return _joined([_slab(w, d, leg, h), top, *_legs(w, d, leg, 0.05)])


def _sofa(r: Random) -> PolygonMesh:
    w, d, h, arm = r.uniform(1.5, 2.3), r.uniform(0.8, 1), r.uniform(0.38, 0.48), r.uniform(0.12, 0.25)
    arms = [_box(x, -d / 2, 0, x + arm, d / 2, h + 0.2) for x in (-w / 2, w / 2 - arm)]
    return _joined([_slab(w, d, 0.05, h), _slab(w, 0.2, h, h + r.uniform(0.35, 0.5), d / 2 - 0.1), *arms])


def _table(r: Random) -> PolygonMesh:
    wide, h = r.uniform(0.4, 0.7), r.uniform(0.65, 0.8)
    top = _turned([(wide, h), (wide, h + 0.04)], sides=16)
    return _joined([top, _turned([(0.05, 0.03), (0.05, h)]), _turned([(0.5 * wide, 0), (0.4 * wide, 0.03)])])


def _toilet(r: Random) -> PolygonMesh:
    wide, h = r.uniform(0.18, 0.24), r.uniform(0.36, 0.44)
    bowl = _turned([(0.6 * wide, 0), (0.5 * wide, 0.5 * h), (wide, 0.8 * h), (wide, h)])
    return _joined([bowl, _slab(2 * wide, 0.18, 0.8 * h, h + r.uniform(0.3, 0.45), wide + 0.09)])


def _vase(r: Random) -> PolygonMesh:
    foot, belly, neck = r.uniform(0.06, 0.1), r.uniform(0.12, 0.2), r.uniform(0.03, 0.06)
    h = r.uniform(0.35, 0.6)
    return _turned([(foot, 0), (belly, 0.35 * h), (0.9 * belly, 0.5 * h), (neck, 0.8 * h), (1.6 * neck, h)])


_MAKERS: dict[str, Callable[[Random], PolygonMesh]] = {
    "bathtub": _bathtub,
    "bed": _bed,
    "chair": _chair,
    "desk": _desk,
    "dresser": _dresser,
    "lamp": _lamp,
    "monitor": _monitor,
    "night_stand": _night_stand,
    "sofa": _sofa,
    "table": _table,
    "toilet": _toilet,
    "vase": _vase,
}
SHAPES = tuple(_MAKERS)


def make_shape(name: str, random: Random) -> PolygonMesh:
    """A piece of furniture with proportions of its own.

    Args:
        name: One of `SHAPES`.
        random: Where the proportions come from.

    Example:
        >>> mesh = make_shape("chair", np.random.default_rng(0))
        >>> mesh.vertices.shape, len(mesh.faces)
        ((48, 3), 36)
    """
    return _MAKERS[name](random)


def draw_edges(mesh: PolygonMesh, random: Random, size: int = 128) -> NDArray[np.uint8]:
    """Draws a mesh as a person might: outline and creases from somewhere in front, with an unsteady pen.

    Edges whose faces all look away are left out; edges behind other parts are not.

    Args:
        mesh: What to draw.
        random: Where the point of view and the tremor come from.
        size: Height and width.

    Returns:
        Black on white, uint8 ``(size, size)``.

    Example:
        >>> random = np.random.default_rng(0)
        >>> picture = draw_edges(make_shape("table", random), random, size=64)
        >>> picture.shape, bool((picture == 255).mean() > 0.5), bool(picture.min() < 100)
        ((64, 64), True, True)
    """
    images, pens = (
        require(f"PIL.{part}", extra="train", purpose="drawing sketches") for part in ("Image", "ImageDraw")
    )
    right, up, towards = _camera(random)
    flat = np.stack([mesh.vertices @ right, -(mesh.vertices @ up)], axis=1)  # (V, 2)
    middle, reach = (flat.max(0) + flat.min(0)) / 2, (flat.max(0) - flat.min(0)).max() / 2
    fine = 3 * size
    points = fine / 2 + (flat - middle) / max(reach, 1e-9) * fine * random.uniform(0.36, 0.44)
    image: Any = images.new("L", (fine, fine), 255)
    pen, width = pens.Draw(image), max(1, round(fine * random.uniform(0.008, 0.016)))
    for start, end in _visible_edges(mesh, towards):
        stroke = _stroke(points[start], points[end], fine, random)
        pen.line([tuple(point) for point in stroke.tolist()], fill=0, width=width, joint="curve")
    return np.array(image.resize((size, size), images.Resampling.BOX), np.uint8)


def _camera(random: Random) -> tuple[Floats, Floats, Floats]:
    """Right, up and the direction of the viewer: somewhat from above, and from the front or its sides."""
    turn, rise = random.uniform(-2.4, -0.7), random.uniform(0.2, 0.6)
    towards = np.array([cos(rise) * cos(turn), cos(rise) * sin(turn), sin(rise)])
    right = np.array([-sin(turn), cos(turn), 0.0])
    return right, np.cross(towards, right), towards


def _visible_edges(mesh: PolygonMesh, towards: Floats) -> list[tuple[int, int]]:
    normals = np.stack([_normal(mesh.vertices[list(face)]) for face in mesh.faces])  # (F, 3)
    sides: dict[tuple[int, int], list[int]] = {}
    for number, face in enumerate(mesh.faces):
        for start, end in zip(face, (*face[1:], face[0])):
            sides.setdefault((min(start, end), max(start, end)), []).append(number)
    seen = normals @ towards > 0  # (F,)

    def drawn(faces: list[int]) -> bool:
        if not seen[faces].any():
            return False
        sharp = len(faces) < 2 or float(normals[faces[0]] @ normals[faces[1]]) < _CREASE
        return sharp or not bool(seen[faces].all())

    return [edge for edge, faces in sides.items() if drawn(faces)]


def _normal(corners: Floats) -> Floats:
    """Unit normal of a polygon: the sum over its corners does for polygons that are not quite flat too."""
    normal = np.cross(corners, np.roll(corners, -1, axis=0)).sum(0)
    return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-12))


def _stroke(start: Floats, end: Floats, size: int, random: Random) -> Floats:
    """A line between two points that trembles, and stops a little early or late."""
    along = end - start
    pieces = max(2, round(float(np.linalg.norm(along)) / size * 12))
    steps = np.linspace(random.normal(0, 0.02), 1 + random.normal(0, 0.02), pieces + 1)[:, None]
    return np.asarray(start + steps * along + random.normal(0, 0.004 * size, (pieces + 1, 2)))
