"""Pictures of a mesh by ray casting on the CPU: grey, depth or silhouette."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.meshes import Mesh, mesh_points
from monge.data.views.cameras import Cameras
from monge.data.views.settings import Background, RenderSettings, Shading, Up, check_picture, check_up
from monge.extras import require

# A light at the camera: what faces it has the sum of the three, 0.83 of white.
AMBIENT, DIFFUSE, SPECULAR, SHININESS = 0.14, 0.49, 0.20, 20
# Grey of what is as near as the unit sphere can be, and as far.
NEAREST, FARTHEST = 255, 64


def normalise(mesh: Mesh, up: Up = "z") -> Mesh:
    """Sets a mesh upright and into the unit sphere.

    The middle of its bounding box becomes the origin, its farthest vertex gets the distance 1. Vertices that no face
    uses have no say. The axis ``up`` becomes z, the other two follow in turn: with ``"y"``, z becomes x, so that what
    faces +z is seen from the front by a camera of azimuth 0.

    Args:
        mesh: At least one face, and a size.
        up: The axis of the mesh that points up.

    Returns:
        A new mesh with the same faces.

    Raises:
        ValueError: ``up`` is none of the three, the mesh has no size.

    Example:
        >>> box = Mesh(np.array([[0.0, 0, 0], [0, 8, 0], [6, 8, 0]]), np.array([[0, 1, 2]]))
        >>> normalise(box).vertices.tolist()
        [[-0.6, -0.8, 0.0], [-0.6, 0.8, 0.0], [0.6, 0.8, 0.0]]
    """
    check_up(up)
    # A cyclic exchange of the axes is a rotation: left stays left.
    upright = np.roll(mesh.vertices, 2 - "xyz".index(up), axis=1)
    used = mesh_points(upright, mesh.faces)
    low, high = used.min(axis=0), used.max(axis=0)
    side = (high - low).max()
    if not (side > 0 and np.isfinite(side)):
        raise ValueError(f"{mesh.name or 'the mesh'} has no size: its bounding box is {side} wide")
    # Halves are added, since the sum of two large numbers may not be one.
    centre = low / 2 + high / 2
    radius = np.linalg.norm((used - centre) / side, axis=1).max()
    return Mesh((upright - centre) / side / radius, mesh.faces, mesh.name)


def render(
    mesh: Mesh,
    cameras: Cameras,
    size: int = 224,
    rays: int = 4,
    shading: Shading = "grey",
    background: Background = "black",
) -> NDArray[np.uint8]:
    """Takes pictures of a mesh that fills the unit sphere (see `normalise`).

    * ``"grey"``: flat faces lit from the camera, ``0.14 + 0.49 c + 0.20 c^20`` of white, where ``c`` is the cosine
      between the ray and the normal of the face. Both sides of a face look the same, since the winding of real meshes
      is not to be trusted. The background is 0, or 255 if white.
    * ``"depth"``: from 255 where a plane before the camera first meets the unit sphere to 64 where it leaves it,
      linear in the distance along the axis of the camera; the background is 0. A white background inverts all.
    * ``"silhouette"``: 255 on 0, or 0 on 255.

    A pixel is the mean of its rays, which stand in the middles of equal squares of it; their number is fixed and
    there is no chance in it, so that the same mesh gives the same pictures.

    Args:
        mesh: The mesh.
        cameras: Where from.
        size: Height and width in pixels.
        rays: Rays for each pixel, a square number.
        shading: See above.
        background: See above.

    Returns:
        uint8 ``(V, size, size)``.

    Raises:
        MissingExtraError: embreex is not installed.
        ValueError: Settings other than these.

    Example:
        >>> corners = np.array([[0.0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]])
        >>> square = normalise(Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]])))
        >>> render(square, Cameras([(1, 0, 0)]), size=6, shading="silhouette")[0, 2].tolist()
        [0, 128, 255, 255, 128, 0]
    """
    check_picture(size, rays, shading, background)
    scene = _scene(mesh)
    normals = _normals(mesh) if shading == "grey" else None
    fine = size * math.isqrt(rays)
    half = math.tan(math.radians(cameras.fov) / 2)
    across = (((np.arange(fine) + 0.5) / fine * 2 - 1) * half).astype(np.float32)
    empty = 1.0 if background == "white" and shading == "grey" else 0.0
    views = np.empty((len(cameras), size, size), np.uint8)
    for view, frame in enumerate(cameras.frames()):
        picture = np.full((fine, fine), empty, np.float32)
        rows, columns = _window(mesh, frame, cameras.distance, across)
        if rows.stop > rows.start and columns.stop > columns.start:
            along = _directions(across[columns], -across[rows], frame)  # (R * C, 3)
            eye = (frame[2] * cameras.distance).astype(np.float32)
            values = _values(scene, normals, eye, along, cameras.distance, shading, empty)
            picture[rows, columns] = values.reshape(rows.stop - rows.start, -1)
        views[view] = _averaged(picture, size)
    if background == "white" and shading != "grey":
        np.subtract(255, views, out=views)
    return views


def render_views(mesh: Mesh, settings: RenderSettings) -> NDArray[np.uint8]:
    """Sets a mesh upright, makes it fill the unit sphere and takes all its pictures: uint8 ``(V, size, size)``.

    Example:
        >>> triangle = Mesh(np.eye(3), np.array([[0, 1, 2]]))
        >>> render_views(triangle, RenderSettings(size=8)).shape
        (12, 8, 8)
    """
    upright = normalise(mesh, settings.up)
    return render(upright, settings.cameras, settings.size, settings.rays, settings.shading, settings.background)


def _scene(mesh: Mesh) -> Any:
    """The mesh in Embree's tree of boxes."""
    purpose = "rendering meshes"
    scenes = require("embreex.rtcore_scene", extra="shapes", purpose=purpose)
    triangles = require("embreex.mesh_construction", extra="shapes", purpose=purpose)
    scene = scenes.EmbreeScene()
    triangles.TriangleMesh(scene, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))
    return scene


def _normals(mesh: Mesh) -> NDArray[np.float32]:
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    # What has no area is not hit, or is a line at most.
    return (normals / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _window(
    mesh: Mesh, frame: NDArray[np.float64], distance: float, across: NDArray[np.float32]
) -> tuple[slice, slice]:
    """Rows and columns of rays that can meet the mesh: those in the rectangle of its vertices."""
    seen = mesh.vertices @ frame.T
    depth = np.maximum(distance - seen[:, 2], 1e-3)
    x, y = seen[:, 0] / depth, -seen[:, 1] / depth
    spans = [np.searchsorted(across, (values.min(), values.max())) for values in (y, x)]
    # One more on each side, for rounding.
    rows, columns = (slice(max(0, int(first) - 1), min(len(across), int(last) + 1)) for first, last in spans)
    return rows, columns


def _directions(x: NDArray[np.float32], y: NDArray[np.float32], frame: NDArray[np.float64]) -> NDArray[np.float32]:
    """A ray for each pair of y and x; they advance by one along the axis of the camera."""
    right, above, back = frame.astype(np.float32)
    rays: NDArray[np.float32] = (y[:, None, None] * above - back) + x[None, :, None] * right
    return rays.reshape(-1, 3)


def _values(
    scene: Any,
    normals: NDArray[np.float32] | None,
    eye: NDArray[np.float32],
    along: NDArray[np.float32],
    distance: float,
    shading: Shading,
    empty: float,
) -> NDArray[np.float32]:
    """What each ray sees, 0 to 1."""
    origins = np.empty_like(along)
    origins[:] = eye
    values = np.full(len(along), empty, np.float32)
    if normals is None and shading == "silhouette":
        values[scene.run(origins, along) >= 0] = 1
        return values
    if normals is None:
        met = scene.run(origins, along, output=True)
        hit = met["primID"] >= 0
        # Rays advance by one along the axis, so that the parameter of the hit is the depth.
        share = (met["tfar"][hit] - (distance - 1)) / 2
        values[hit] = (NEAREST - (NEAREST - FARTHEST) * np.clip(share, 0, 1)) / 255
        return values
    faces = scene.run(origins, along)
    hit = np.flatnonzero(faces >= 0)
    rays = along[hit]
    cosine = np.abs(np.einsum("ij,ij->i", normals[faces[hit]], rays)) / np.sqrt(np.einsum("ij,ij->i", rays, rays))
    values[hit] = AMBIENT + DIFFUSE * cosine + SPECULAR * cosine**SHININESS
    return values


def _averaged(picture: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Means over the rays of each pixel, in 256 steps."""
    per = len(picture) // size
    means = picture.reshape(size, per, size, per).mean(axis=(1, 3))
    pixels: NDArray[np.uint8] = np.rint(means * 255).astype(np.uint8)
    return pixels
