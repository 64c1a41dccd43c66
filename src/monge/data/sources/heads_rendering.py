"""Paints and lights synthetic heads: colours are functions of the place on the neutral head, found by ray casting."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monge.data.sources.heads_model import Surface
from monge.data.sources.heads_parameters import Moment, Person
from monge.extras import require

Numbers = NDArray[np.float64]

_RAYS = 2
# How much of the picture the head fills.
_FILL = 0.98
# The chin of the neutral head is above this height.
_CHIN = 0.54
_GREY = np.array([205.0, 205.0, 205.0])
_SCLERA = np.array([232.0, 228.0, 224.0])
_LIPS = np.array([176.0, 70.0, 74.0])


def render_head(
    surface: Surface, vertices: Numbers, person: Person, moment: Moment, size: int, rays: int = _RAYS
) -> NDArray[np.uint8]:
    """Takes one picture.

    Args:
        surface: The neutral head.
        vertices: The head at this moment, not turned, ``(V, 3)``.
        person: Whose it is.
        moment: How it is shown.
        size: Height and width.
        rays: Rays along each side of a pixel.

    Returns:
        uint8 ``(3, size, size)``.

    Raises:
        MissingExtraError: embreex is not installed.
    """
    placed = _placed(surface, vertices, moment)
    normals = _normals(placed, surface.faces)
    fine = size * rays
    axis = ((np.arange(fine) + 0.5) / fine * 2 - 1) / _FILL
    origins = np.stack([np.tile(axis, fine), -axis.repeat(fine), np.full(fine * fine, 4.0)], axis=1)
    hit, faces, shares = _cast(placed, surface.faces, origins)
    corners = surface.faces[faces]  # (H, 3)
    colours = _painted(surface, corners, shares, person, moment)
    normal = np.einsum("hk,hkd->hd", shares, normals[corners])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    picture = np.broadcast_to(moment.backdrop, (fine * fine, 3)).copy()
    eye = (surface.eye[corners] > 0).max(axis=1)  # (H,)
    picture[hit] = colours * _lit(normal, eye, moment) * moment.cast
    means = np.clip(picture, 0, 255).reshape(size, rays, size, rays, 3).mean(axis=(1, 3))
    return np.ascontiguousarray(np.rint(means).astype(np.uint8).transpose(2, 0, 1))


def _placed(surface: Surface, vertices: Numbers, moment: Moment) -> Numbers:
    """Turned, in the middle of a square from -1 to 1; x to the right, y up, z towards the camera."""
    camera = np.stack([vertices[:, 0], vertices[:, 2], -vertices[:, 1]], axis=1)
    used = np.unique(surface.faces)
    head = camera[used[surface.points[used, 2] > _CHIN]]
    low, high = head.min(axis=0), head.max(axis=0)
    yaw, pitch, roll = (math.radians(angle) for angle in (moment.yaw, moment.pitch, moment.roll))
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    placed: Numbers = (camera - (low + high) / 2) / ((high - low)[1] / 2) @ (about_z @ about_x @ about_y).T
    return placed


def _normals(points: Numbers, faces: NDArray[np.int64]) -> Numbers:
    """Normals of the vertices, means of those of their faces by area."""
    corners = points[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    unit: Numbers = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return unit


def _cast(
    points: Numbers, faces: NDArray[np.int64], origins: Numbers
) -> tuple[NDArray[np.int64], NDArray[np.int64], Numbers]:
    """Rays along -z: which hit, which face each, and the shares of its corners ``(H, 3)``."""
    purpose = "rendering heads"
    scene = require("embreex.rtcore_scene", extra="shapes", purpose=purpose).EmbreeScene()
    triangles = require("embreex.mesh_construction", extra="shapes", purpose=purpose)
    triangles.TriangleMesh(scene, points.astype(np.float32), faces.astype(np.int32))
    along = np.zeros_like(origins, np.float32)
    along[:, 2] = -1
    met = scene.run(origins.astype(np.float32), along, output=True)
    hit = np.flatnonzero(met["primID"] >= 0)
    u, v = met["u"][hit].astype(np.float64), met["v"][hit].astype(np.float64)
    return hit, met["primID"][hit].astype(np.int64), np.stack([1 - u - v, u, v], axis=1)


def _lit(normal: Numbers, eye: NDArray[np.bool_], moment: Moment) -> Numbers:
    """How bright each place is, ``(H, 1)``: light from everywhere, more from above, one lamp, a little gloss."""
    lamp = np.clip(normal @ moment.light, 0, None)
    half = moment.light + np.array([0.0, 0.0, 1.0])
    gloss = np.clip(normal @ (half / np.linalg.norm(half)), 0, None) ** np.where(eye, 60, 18)
    sky = moment.ambient * (0.8 + 0.2 * normal[:, 1])
    bright: Numbers = (sky + (1.15 - moment.ambient) * lamp + np.where(eye, 0.5, 0.1) * gloss)[:, None]
    return bright


def _painted(surface: Surface, corners: NDArray[np.int64], shares: Numbers, person: Person, moment: Moment) -> Numbers:
    """Colour of each place of the neutral head, ``(H, 3)``."""
    place = np.einsum("hk,hkd->hd", shares, surface.points[corners])
    eyes = surface.eyes
    between = eyes.mean(axis=0)
    cover = np.einsum("hk,hk->h", shares, surface.lips[corners])[:, None] * (0.35 + 0.5 * person.lips)
    colours = person.skin + cover * (_LIPS * (0.4 + 0.6 * person.skin / 230) - person.skin)
    old = np.clip((moment.age - 0.72) / 0.25, 0, 1)
    hair = person.hair + old * (_GREY - person.hair)
    colours = _over(colours, hair, _scalp(place, between, person))
    colours = _over(colours, hair * 0.75, _brows(place, eyes, person))
    for number in (1, 2):
        ball = (surface.eye[corners] == number).any(axis=1)
        look = place[ball] - eyes[number - 1]
        ahead = -look[:, 1] / np.maximum(np.linalg.norm(look, axis=1), 1e-9)
        colours[ball] = np.where((ahead > 0.90)[:, None], person.iris, _SCLERA)
        colours[np.flatnonzero(ball)[ahead > 0.975]] = 12
    return colours


def _scalp(place: Numbers, between: Numbers, person: Person) -> Numbers:
    """Hair cut short: a cap on the head, tilted to the back."""
    forward, side = person.hairline
    middle = between + np.array([0.0, 0.09, 0.02])
    towards = (place - middle) / np.maximum(np.linalg.norm(place - middle, axis=1, keepdims=True), 1e-9)
    tilt = 0.5 - 0.55 * forward
    up = np.array([0.0, math.sin(tilt), math.cos(tilt)])
    cover: Numbers = np.clip((towards @ up - side) * 12, 0, 1)
    return cover


def _brows(place: Numbers, eyes: Numbers, person: Person) -> Numbers:
    """A band above each eye."""
    thick, high, slope = person.brows
    cover = np.zeros(len(place))
    for eye in eyes:
        out = (place[:, 0] - eye[0]) * np.sign(eye[0])
        centre = eye[2] + 0.019 + 0.002 * high + 0.12 * slope * out - 6 * out**2
        band = 1 - np.abs(place[:, 2] - centre) / (0.0035 * thick)
        ends = 1 - np.abs(out) / 0.024
        front = place[:, 1] < eye[1] + 0.005
        cover = np.maximum(cover, np.clip(2 * band, 0, 1) * np.clip(4 * ends, 0, 1) * front)
    return cover


def _over(colours: Numbers, paint: Numbers, cover: Numbers) -> Numbers:
    return colours + cover[:, None] * (paint - colours)
