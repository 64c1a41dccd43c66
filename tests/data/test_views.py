"""Rendering, held against what geometry says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from monge.data.meshes import Mesh
from monge.data.views import (
    Cameras,
    RenderSettings,
    ViewFiles,
    ViewSet,
    dodecahedron_cameras,
    normalise,
    render,
    render_views,
    ring_cameras,
)

pytest.importorskip("embreex")
trimesh = pytest.importorskip("trimesh")

FRONT = Cameras([(1, 0, 0)])
DISTANCE = 2.2
HALF = math.tan(math.radians(30))  # half a picture, at distance 1


def mesh_of(shape):
    return Mesh(np.array(shape.vertices), np.array(shape.faces, np.int64), "shape")


BOX = mesh_of(trimesh.creation.box())
BALL = mesh_of(trimesh.creation.icosphere(subdivisions=5))


def rectangle(x, width, height, name="rectangle"):
    """A rectangle that is looked at from +x, at some x."""
    y, z = width / 2, height / 2
    corners = np.array([[x, -y, -z], [x, y, -z], [x, y, z], [x, -y, z]], float)
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), name)


def joined(*meshes):
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def test_the_area_of_a_rectangle_is_as_computed():
    # A rectangle at x = 0.2 is 2.0 away; the picture there is 2 * 2.0 * tan 30 wide.
    picture = render(rectangle(0.2, 0.8, 0.5), FRONT, 224, 16, "silhouette")[0]
    side = 2 * 2.0 * HALF
    assert picture.mean() / 255 == pytest.approx(0.8 * 0.5 / side**2, rel=0.003)
    rows, columns = np.flatnonzero(picture[:, 112] > 127), np.flatnonzero(picture[112] > 127)
    assert len(rows) == pytest.approx(224 * 0.5 / side, abs=1)
    assert len(columns) == pytest.approx(224 * 0.8 / side, abs=1)
    assert rows.mean() == pytest.approx(111.5, abs=0.5)
    assert columns.mean() == pytest.approx(111.5, abs=0.5)


@pytest.mark.parametrize("cameras", [ring_cameras(3), dodecahedron_cameras(), Cameras([(0, 0, 1), (0, 0, -1)])])
def test_a_sphere_is_the_same_disc_from_everywhere(cameras):
    # The cone around a unit sphere has the half angle asin(1 / d); the disc its tangent as radius.
    radius = math.tan(math.asin(1 / DISTANCE)) / HALF  # in halves of the picture
    pictures = render(normalise(BALL), cameras, 96, 16, "silhouette")
    area = pictures.mean(axis=(1, 2)) / 255
    assert area == pytest.approx(math.pi * radius**2 / 4, rel=0.003)


def test_depth_of_a_sphere_is_as_computed():
    size = 129
    picture = render(normalise(BALL), FRONT, size, 1, "depth")[0].astype(float)
    middle = size // 2
    across = (np.arange(size) - middle) / (size / 2) * HALF  # x / depth of each pixel
    y, z = np.meshgrid(across, across)
    # Along (1, y, z) t from the camera: |(d - t, t y, t z)| = 1.
    a, half_b, c = 1 + y**2 + z**2, -DISTANCE, DISTANCE**2 - 1
    under = half_b**2 - a * c
    hit = under > 0.02
    depth = (-half_b - np.sqrt(np.where(hit, under, 0))) / a
    expected = 255 - (255 - 64) * (depth - (DISTANCE - 1)) / 2
    assert np.abs(picture - expected)[hit].max() < 1.5
    assert picture[middle, middle] == pytest.approx(255, abs=1)
    assert (picture[under < -0.02] == 0).all()


def test_grey_is_the_formula_of_the_angle():
    size = 65
    for turn in (0, 30, 60):
        angle = math.radians(turn)
        corners = rectangle(0, 3, 3).vertices
        cos, sin = math.cos(angle), math.sin(angle)
        spun = corners @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        picture = render(Mesh(spun, np.array([[0, 1, 2], [0, 2, 3]])), FRONT, size, 1)
        expected = 255 * (0.14 + 0.49 * cos + 0.20 * cos**20)
        assert picture[0, size // 2, size // 2] == pytest.approx(expected, abs=0.51)


def test_a_camera_sees_the_face_it_looks_at_upright_and_not_mirrored():
    # Marks to the right of +x (towards +y) and above it (+z), of different size; nothing on the other sides.
    right = Mesh(rectangle(0, 0.2, 0.2).vertices + np.array([0.5, 0.6, 0]), rectangle(0, 1, 1).faces)
    above = Mesh(rectangle(0, 0.1, 0.1).vertices + np.array([0.5, 0, 0.6]), rectangle(0, 1, 1).faces)
    picture = render(joined(right, above), FRONT, 100, 4, "silhouette")[0] / 255.0
    assert picture[40:60, 60:].sum() > 3 * picture[:40, 40:60].sum() > 0
    assert picture[:, :40].sum() == picture[60:].sum() == 0
    turned = render(joined(right, above), Cameras([(1, 0, 0)], turns=[90]), 100, 4, "silhouette")[0] / 255.0
    assert np.abs(turned - np.rot90(picture)).max() < 1e-6


def test_nearer_surfaces_hide_farther_ones():
    near, far = rectangle(0.5, 0.4, 0.4), rectangle(-0.5, 0.9, 0.9)
    for order in ((near, far), (far, near)):
        picture = render(joined(*order), FRONT, 64, 1, "depth")[0]
        expected = [255 - (255 - 64) * (DISTANCE - x - (DISTANCE - 1)) / 2 for x in (0.5, -0.5)]
        assert picture[32, 32] == pytest.approx(expected[0], abs=0.51)
        assert picture[32, 24] == pytest.approx(expected[1], abs=0.51)
    behind = render(joined(near, far), Cameras([(-1, 0, 0)]), 64, 1, "silhouette")
    assert np.array_equal(behind, render(far, Cameras([(-1, 0, 0)]), 64, 1, "silhouette"))


def test_both_sides_of_a_face_look_the_same():
    mesh = normalise(mesh_of(trimesh.creation.torus(1, 0.4, major_sections=20, minor_sections=12)))
    flipped = Mesh(mesh.vertices, mesh.faces[:, ::-1].copy())
    some = np.where(np.arange(len(mesh.faces))[:, None] % 3 == 0, mesh.faces[:, ::-1], mesh.faces)
    pictures = render(mesh, ring_cameras(3), 64).astype(int)
    for other in (flipped, Mesh(mesh.vertices, some)):
        assert np.abs(pictures - render(other, ring_cameras(3), 64)).max() <= 1


def test_the_same_mesh_gives_the_same_pictures():
    settings = RenderSettings(size=64)
    mesh = mesh_of(trimesh.creation.torus(1, 0.4))
    first = render_views(mesh, settings)
    assert all(np.array_equal(first, render_views(mesh, settings)) for _ in range(3))
    shuffled = Mesh(mesh.vertices, np.random.default_rng(0).permutation(mesh.faces))
    assert np.abs(first.astype(int) - render_views(shuffled, settings)).max() <= 25  # rays that meet an edge


def test_pixels_are_means_of_their_rays():
    mesh = normalise(BOX)
    fine = render(mesh, ring_cameras(2), 96, 1)
    mean = fine.reshape(2, 32, 3, 32, 3).mean(axis=(2, 4))
    assert np.abs(render(mesh, ring_cameras(2), 32, 9) - mean).max() <= 1
    edges = np.unique(render(mesh, FRONT, 33, 4, "silhouette"))
    assert set(edges) <= {0, 64, 128, 191, 255}
    assert len(edges) > 2


def test_backgrounds():
    mesh = normalise(BALL)
    black, white = (render(mesh, FRONT, 32, 4, "grey", name) for name in ("black", "white"))
    assert (black[0, 0, 0], white[0, 0, 0]) == (0, 255)
    assert black[0, 16, 16] == white[0, 16, 16] > 0
    for shading in ("depth", "silhouette"):
        pair = [render(mesh, FRONT, 32, 4, shading, name) for name in ("black", "white")]
        assert np.array_equal(pair[0], 255 - pair[1])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_normalising_takes_away_place_and_scale(scale):
    placed = Mesh(BOX.vertices * scale + 1000 * scale, BOX.faces)
    assert np.allclose(normalise(placed).vertices, BOX.vertices / math.sqrt(0.75), atol=1e-9)
    stray = Mesh(np.concatenate([BOX.vertices, [[99, 99, 99]]]), BOX.faces)
    assert np.allclose(normalise(stray).vertices[:8], normalise(BOX).vertices)


@pytest.mark.parametrize(("up", "axis"), [("x", 0), ("y", 1), ("z", 2)])
def test_the_axis_that_is_up_points_up(up, axis):
    tall = np.ones(3)
    tall[axis] = 3
    pointed = Mesh(BOX.vertices * tall, BOX.faces)
    upright = normalise(pointed, up)
    assert np.ptp(upright.vertices, axis=0).argmax() == 2
    # A rotation: volume and its sign stay.
    signed = np.linalg.det(upright.vertices[upright.faces]).sum()
    assert signed > 0
    picture = render(upright, ring_cameras(1, 0), 64, 4, "silhouette")[0]
    assert (picture.max(axis=1) > 0).sum() > 2 * (picture.max(axis=0) > 0).sum()


def test_camera_sets():
    ring = ring_cameras()
    assert np.allclose(ring.directions[:, 2], 0.5)
    assert np.allclose(np.degrees(np.arctan2(ring.directions[:, 1], ring.directions[:, 0])) % 360, np.arange(12) * 30)
    twenty = dodecahedron_cameras()
    cosines = twenty.directions @ twenty.directions.T
    # Each corner of a dodecahedron has three neighbours, at an angle with the cosine sqrt(5) / 3.
    assert (np.isclose(cosines, math.sqrt(5) / 3).sum(axis=1) == 3).all()
    for cameras in (ring, dodecahedron_cameras(4), Cameras([(0, 0, 1)])):
        frames = cameras.frames()
        assert np.allclose(frames @ frames.transpose(0, 2, 1), np.eye(3))
        assert np.allclose(np.linalg.det(frames), 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Cameras([]), "directions"),
        (lambda: Cameras([(0, 0, 0)]), "directions must have a length"),
        (lambda: Cameras([(1, 0, 0)], distance=0.5), "distance"),
        (lambda: Cameras([(1, 0, 0)], fov=180), "fov"),
        (lambda: Cameras([(1, 0, 0)], turns=[1, 2]), "turns"),
        (lambda: RenderSettings(size=0), "size"),
        (lambda: RenderSettings(rays=3), "rays must be 1, 4, 9"),
        (lambda: RenderSettings(shading="gray"), "shading must be one of grey"),
        (lambda: RenderSettings(background="red"), "background"),
        (lambda: RenderSettings(up="-y"), "up must be one of x, y, z"),
        (lambda: normalise(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))), "has no size"),
        (lambda: ViewSet(np.zeros((2, 12, 8, 8), np.uint8), torch.tensor([0, 1])), r"\(N, V, C, H, W\)"),
        (lambda: ViewSet(np.zeros((2, 1, 1, 8, 8), np.uint8), torch.tensor([0])), r"labels must be int64 \(2,\)"),
        (lambda: ViewFiles([["a"], ["a", "b"]], torch.tensor([0, 1]), 8), "equally many views"),
    ],
)
def test_settings_that_are_none(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_the_key_of_settings_tells_them_all_apart():
    others = [
        RenderSettings(),
        RenderSettings(size=64),
        RenderSettings(rays=1),
        RenderSettings(shading="depth"),
        RenderSettings(background="white"),
        RenderSettings(up="y"),
        RenderSettings(ring_cameras(elevation=0)),
        RenderSettings(ring_cameras(distance=3)),
        RenderSettings(ring_cameras(fov=50)),
        RenderSettings(dodecahedron_cameras()),
        RenderSettings(dodecahedron_cameras(2)),
    ]
    assert len({one.key() for one in others}) == len(others)
    assert RenderSettings().key() == others[0].key()


def test_view_sets_share_their_views(tmp_path):
    views = np.arange(5, dtype=np.uint8)[:, None, None, None, None] * np.ones((5, 3, 1, 4, 4), np.uint8)
    np.save(tmp_path / "views.npy", views)
    mapped = np.load(tmp_path / "views.npy", mmap_mode="r")
    labels = torch.tensor([0, 1, 2, 3, 4])
    for given in (views, mapped, torch.from_numpy(views)):
        part = ViewSet(given, labels, names="abcde").subset([4, 0, 4, 2]).subset(torch.tensor([2, 3]))
        assert part.views is given
        assert len(part) == 2
        assert part.shape == (3, 1, 4, 4)
        assert part.labels.tolist() == [4, 2]
        assert part.names == ("e", "c")
        assert part.inputs([1, 0, 1])[:, 0, 0, 0, 0].tolist() == [2, 4, 2]
        assert part.inputs([0]).dtype == torch.uint8
