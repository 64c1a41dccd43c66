"""Alignment by five points, against least squares, Umeyama's own equations and, if it is there, skimage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.oracles.similarity import least_squares_similarity, umeyama

from monge.data import load_faces
from monge.data.alignment import TEMPLATE, align, similarity, similarity_back, template
from monge.data.formats.identity_folders import read_identity_folders, read_landmarks
from monge.data.synthetic.drawn_identities import draw_identities
from monge.data.synthetic.face_layouts import write_fake_identities
from monge.errors import DataFormatError


def random_points(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return TEMPLATE @ random.normal(size=(2, 2)) * random.uniform(0.1, 9) + random.normal(0, 20, (5, 2))


@pytest.mark.parametrize("seed", range(12))
def test_the_closed_form_is_the_least_squares_solution(seed: int) -> None:
    points = random_points(seed)
    ours = similarity(points, TEMPLATE)
    np.testing.assert_allclose(ours, least_squares_similarity(points, TEMPLATE), atol=1e-8)
    np.testing.assert_allclose(ours, umeyama(points, TEMPLATE), atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_the_closed_form_is_that_of_skimage(seed: int) -> None:
    kind = pytest.importorskip("skimage.transform").SimilarityTransform
    points = random_points(seed)
    transform = kind.from_estimate(points, TEMPLATE)
    np.testing.assert_allclose(similarity(points, TEMPLATE), transform.params[:2], atol=1e-8)


def test_many_faces_at_once() -> None:
    points = np.stack([random_points(seed) for seed in range(5)])
    each = np.stack([similarity(face, TEMPLATE) for face in points])
    np.testing.assert_allclose(similarity(points, TEMPLATE), each, atol=1e-10)


def test_the_way_back_undoes_it() -> None:
    transform = similarity(random_points(3), TEMPLATE)
    point = np.array([3.0, 8.0])
    there = transform[:, :2] @ point + transform[:, 2]
    back = similarity_back(transform)
    np.testing.assert_allclose(back[:, :2] @ there + back[:, 2], point, atol=1e-9)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_points_without_extent_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not all in one place"):
        similarity(points, TEMPLATE)


def test_a_picture_whose_landmarks_are_the_template_stays_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert np.array_equal(align(picture, TEMPLATE), picture)


def test_a_whole_shift_moves_pixels_exactly() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (150, 140, 3), dtype=np.uint8)
    assert np.array_equal(align(picture, TEMPLATE + np.array([9.0, 20.0])), picture[20:132, 9:121])


def test_a_quarter_turn_turns() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    turned = np.rot90(picture)
    # A point (x, y) comes to lie at (y, 111 - x).
    landmarks = np.stack([TEMPLATE[:, 1], 111 - TEMPLATE[:, 0]], axis=1)
    assert np.array_equal(align(np.ascontiguousarray(turned), landmarks), picture)


@pytest.mark.parametrize("factor", [2, 4])
def test_what_is_shrunk_is_averaged(factor: int) -> None:
    small = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    # A fine checkerboard of mean zero on top, which skipping pixels would show.
    large = small.repeat(factor, axis=0).repeat(factor, axis=1).astype(int)
    checks = np.indices(large.shape[:2]).sum(axis=0) % 2 * 2 - 1
    large = np.clip(large, 60, 195) + 60 * checks[..., None]
    shrunk = align(large.astype(np.uint8), template(112 * factor))
    assert np.abs(shrunk.astype(int) - np.clip(small, 60, 195)).max() <= 1


def test_landmarks_of_tilted_faces_come_to_lie_on_the_template() -> None:
    faces = draw_identities(np.arange(6), size=128, yaw=0.2, roll=0.8, noise=0)
    for points in faces.landmarks:
        transform = similarity(points, TEMPLATE)
        moved = points @ transform[:, :2].T + transform[:, 2]
        assert np.abs(moved.mean(axis=0) - TEMPLATE.mean(axis=0)).max() < 1e-3
        eyes = moved[1] - moved[0]
        assert abs(np.arctan2(eyes[1], eyes[0])) < 0.15


def test_a_folder_with_landmarks_is_aligned(tmp_path: Path) -> None:
    names = [f"P{number}" for number in range(10)]
    drawn = write_fake_identities(
        tmp_path, names, each=3, size=96, form="{name}_{number}.png", landmarks=True, roll=0.7
    )
    splits = load_faces("faces", str(tmp_path), size=56, cache_bytes=1 << 20)
    person, number = names.index(splits.classes[0]), 1
    expected = align(drawn.images[person * 3 + number].transpose(1, 2, 0), drawn.landmarks[person * 3 + number], 56)
    for _ in range(2):
        found = splits.train.subset([1]).inputs([0])[0].permute(1, 2, 0).numpy()
        # The file rounds landmarks to a hundredth of a pixel.
        assert np.abs(found.astype(int) - expected).mean() < 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A/A_0001.jpg 1 2 3", "expected a line 'person/file x1 y1"),
        ("A/A_0001.jpg 5 5 5 5 5 5 5 5 5 5", "points that are all in one place"),
        ("A/A_0001.jpg 5 5 nan 5 5 9 5 5 9 5", "points that are all in one place"),
        ("A/A_0009.jpg 1 1 5 1 3 3 1 5 5 5", "A/A_0009.jpg, which is no picture there"),
        ("A/A_0001.jpg 5 1 1 1 3 3 5 5 1 5", "the left eye to the right of the right one"),
        ("A/A_0001.jpg 1 1 5 1 3 3 1 5 5 5", "found 1 pictures without landmarks, such as B_0001.jpg"),
    ],
)
def test_broken_landmarks_are_told(tmp_path: Path, line: str, message: str) -> None:
    write_fake_identities(tmp_path, ["A", "B"], each=1, size=8)
    (tmp_path / "landmarks.txt").write_text(line + "\n")
    with pytest.raises(DataFormatError, match=message):
        read_landmarks(tmp_path / "landmarks.txt", read_identity_folders(tmp_path))


def test_a_picture_listed_twice_is_told(tmp_path: Path) -> None:
    write_fake_identities(tmp_path, ["A", "B"], each=1, size=8)
    (tmp_path / "landmarks.txt").write_text("A/A_0001.jpg 1 1 5 1 3 3 1 5 5 5\n" * 2)
    with pytest.raises(DataFormatError, match=r"line 2: found A/A_0001.jpg a second time"):
        read_landmarks(tmp_path / "landmarks.txt", read_identity_folders(tmp_path))
