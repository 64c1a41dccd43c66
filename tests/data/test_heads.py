"""Synthetic heads: what is drawn, how it is rendered, making them with a stop in between, the forms of their pairs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from monge import data
from monge.cli.data import app
from monge.data import load_faces
from monge.data.sources import heads
from monge.data.sources.heads_model import Surface
from monge.data.sources.heads_pairs import AGE_GAP
from monge.data.sources.heads_parameters import FRONTAL, PROFILE, Moment, Person, draw_moments, draw_person
from monge.data.sources.heads_rendering import render_head
from monge.errors import MissingExtraError, MongeError

SHAPES = ("l-ear-wing-incr", "r-ear-wing-incr", "nose-volume-incr")


def ball(rings: int = 24) -> Surface:
    """A head that is a ball of the size and place of one, with two of its vertices as eyes."""
    up, round_it = np.linspace(0.02, np.pi - 0.02, rings), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    theta, phi = (grid.ravel() for grid in np.meshgrid(up, round_it, indexing="ij"))
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    points = points * 0.1 + np.array([0.0, 0.0, 0.65])
    row = np.arange(rings - 1)[:, None] * 2 * rings
    here, right = row + np.arange(2 * rings), row + (np.arange(2 * rings) + 1) % (2 * rings)
    below, across = here + 2 * rings, right + 2 * rings
    faces = np.concatenate([np.stack([here, below, right], -1), np.stack([right, below, across], -1)]).reshape(-1, 3)
    eye = np.zeros(len(points), np.int64)
    for number, wanted in enumerate(([0.03, -0.09, 0.68], [-0.03, -0.09, 0.68]), start=1):
        eye[np.linalg.norm(points - wanted, axis=1).argmin()] = number
    return Surface(points, faces, np.zeros(len(points)), eye)


class BallModel:
    """Stands in for the body model: the ball, a little wider or higher by the person's first shape."""

    shapes = SHAPES
    made = 0
    stops_at: int | None = None

    def __init__(self, folder: Path) -> None:
        self.surface = ball()

    def vertices(self, people: Sequence[Person], moments: Sequence[Moment]) -> np.ndarray:
        if BallModel.made == BallModel.stops_at:
            raise KeyboardInterrupt
        BallModel.made += 1
        wide = np.array([[[1 + person.shapes[SHAPES[2]] / 4, 1.0, 1.0]] for person in people])
        return (self.surface.points - [0, 0, 0.65])[None] * wide + [0, 0, 0.65]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[BallModel]:
    pytest.importorskip("embreex")
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(heads, "HeadModel", BallModel)
    monkeypatch.setattr(BallModel, "made", 0)
    monkeypatch.setattr(BallModel, "stops_at", None)
    return BallModel


def test_a_person_stays_the_same_and_is_nearly_symmetric() -> None:
    names = [f"{side}-part{number}" for number in range(50) for side in "lr"] + ["nose"]
    person, again, other = draw_person(4, names), draw_person(4, names), draw_person(5, names)
    assert person.shapes == again.shapes
    assert person.shapes != other.shapes
    left, right = (np.array([person.shapes[f"{side}-part{number}"] for number in range(50)]) for side in "lr")
    assert 0 < np.abs(left - right).mean() < 0.3 * np.abs(left).mean()
    assert sum(person.peoples) == pytest.approx(1)


def test_every_person_has_frontal_and_profile_pictures_of_all_ages() -> None:
    for number in range(20):
        moments = draw_moments(number, 8)
        yaws, ages = np.abs([moment.yaw for moment in moments]), np.sort([moment.age for moment in moments])
        assert (yaws <= FRONTAL).sum() >= 2
        assert ((yaws >= PROFILE[0]) & (yaws <= PROFILE[1])).sum() >= 2
        assert ages[-1] - ages[0] > AGE_GAP
        assert max(np.diff(ages)) < 0.2


def shown(person: Person | None = None, **changes: object) -> np.ndarray:
    still = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "ambient": 0.5, "cast": np.ones(3), "backdrop": np.zeros(3)}
    moment = Moment(**{"age": 0.6, "expression": {}, "light": np.array([0.0, 0.0, 1.0]), **still, **changes})  # type: ignore[arg-type]
    surface = ball()
    return render_head(surface, surface.points, person or draw_person(0, SHAPES), moment, 48).astype(int)


def test_a_head_is_rendered_in_the_middle_and_lit_from_where_the_lamp_is() -> None:
    pytest.importorskip("embreex")
    picture = shown()
    inside = picture.max(axis=0) > 0
    rows, columns = np.nonzero(inside)
    # A ball of the height 0.98 of the picture, its middle a little above that of ball and neck.
    assert abs(columns.mean() - 23.5) < 0.6
    assert inside.mean() == pytest.approx(np.pi / 4 * 0.98**2, abs=0.04)
    assert rows.min() <= 1
    assert picture[0, 8:40, 4:24].mean() < shown(light=np.array([-0.8, 0.0, 0.6]))[0, 8:40, 4:24].mean() + 20
    left, right = (shown(light=np.array([x, 0.0, 0.6]))[0, 8:40] for x in (-0.8, 0.8))
    assert left[:, :24].mean() > left[:, 24:].mean() + 20
    assert right[:, 24:].mean() > right[:, :24].mean() + 20


def test_the_hair_goes_left_where_the_face_is_turned_right() -> None:
    pytest.importorskip("embreex")
    hair, skin = np.array([0.0, 200.0, 0.0]), np.array([200.0, 0.0, 0.0])
    person = dataclasses.replace(draw_person(0, SHAPES), hair=hair, skin=skin, hairline=(0.0, 0.4))
    sides = []
    for yaw in (-80.0, 0.0, 80.0):
        picture = shown(person, yaw=yaw)
        green = picture[1] > picture[0] + 20
        sides.append(np.nonzero(green)[1].mean() - 23.5)
    assert sides[0] > 3
    assert abs(sides[1]) < 1
    assert sides[2] < -3


def test_heads_are_made_once_and_go_on_after_a_stop(model: type[BallModel]) -> None:
    model.stops_at = 25
    with pytest.raises(KeyboardInterrupt):
        data.make("heads", identities=60, each=4, size=32)
    assert not data.is_cached("heads")
    model.stops_at, told = None, list[str]()
    folder = data.make("heads", told.append, identities=60, each=4, size=32)
    assert model.made == 60
    assert "heads: 25 of 60 people made" in told
    assert not list(folder.parent.glob("heads-parts*"))
    kept = heads.read_heads()
    assert kept.images.shape == (240, 3, 32, 32)
    model.made = 0
    assert data.make("heads", identities=60, each=4, size=32) == folder == data.fetch("heads")
    assert model.made == 0
    straight = data.make("heads", identities=61, each=4, size=32)
    assert model.made == 61
    assert np.array_equal(heads.read_heads().images[:240], kept.images)
    assert data.check("heads") == (straight / "heads.npz").stat().st_size


def test_the_pairs_have_their_forms(model: type[BallModel]) -> None:
    data.make("heads", identities=80, each=8, size=32)
    kept, splits = heads.read_heads(), load_faces("heads", size=16)
    assert splits.train.shape == (3, 16, 16)
    assert len(splits.classes) == 48
    assert splits.source.startswith("synthetic: heads")
    assert set(splits.test) == {"test", "age", "profile"}
    learned = {int(name.split()[1]) for name in splits.classes}
    seen = [kept.images[np.isin(kept.labels, list(learned))], kept.images[~np.isin(kept.labels, list(learned))]]
    assert len(seen[0]) == len(splits.train)
    # The pictures of the test are those of 24 people, in the order of all; which ones, their ages tell.
    images = splits.test["age"].images
    whole = load_faces("heads", size=32).test["age"].images
    rows = [
        int((kept.images == whole.inputs([place])[0].numpy()).all(axis=(1, 2, 3)).argmax())
        for place in range(len(images))
    ]
    assert not set(kept.labels[rows].tolist()) & learned
    ages, yaws = torch.from_numpy(kept.ages[rows]), torch.from_numpy(np.abs(kept.yaws[rows]))
    age, profile = splits.test["age"], splits.test["profile"]
    assert bool((ages[age.second] - ages[age.first] >= AGE_GAP).all())
    assert bool((yaws[profile.first] <= FRONTAL).all())
    assert bool((yaws[profile.second] >= PROFILE[0]).all())
    for pairs in splits.test.values():
        assert pairs.num_folds == 10
        assert pairs.genuine * 2 == len(pairs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"identities": 5}, "heads: found identities=5, expected 60 to 20,000"),
        ({"each": 1000}, "heads: found each=1000, expected 4 to 100"),
        ({"size": 8}, "heads: found size=8, expected 32 to 256"),
    ],
)
def test_numbers_out_of_bounds_are_told(model: type[BallModel], options: dict[str, int], message: str) -> None:
    with pytest.raises(MongeError, match=message):
        data.make("heads", **options)


def test_what_is_not_made_or_too_small_or_damaged_is_told(model: type[BallModel]) -> None:
    with pytest.raises(MongeError, match=r"heads are not in the data cache .*run `monge data make heads`"):
        load_faces("heads")
    folder = data.make("heads", identities=60, each=4, size=32)
    with pytest.raises(MongeError, match="found 64, but heads were made at 32: `monge data make heads --size 64`"):
        load_faces("heads", size=64)
    (folder / "heads.npz").write_bytes(b"damaged")
    with pytest.raises(MongeError, match=r"heads.npz: cannot be read .*remove it and run `monge data make heads`"):
        load_faces("heads", size=32)
    with pytest.raises(MongeError, match="has changed since it was fetched"):
        data.check("heads")
    with pytest.raises(MongeError, match="mnist is not made but fetched"):
        data.make("mnist")


def test_without_the_package_it_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "anny", None)
    with pytest.raises(MissingExtraError, match=r"making heads needs the package 'anny'.*pip install 'monge\[faces\]'"):
        data.make("heads")


def test_the_command_makes_them(model: type[BallModel]) -> None:
    done = CliRunner().invoke(app, ["make", "heads", "--identities", "60", "--each", "4", "--size", "32"])
    assert done.exit_code == 0, done.output
    assert f"heads: {data.folder_of('heads')}" in done.output
