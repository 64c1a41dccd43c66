"""Who the synthetic heads are and how each picture shows them, as numbers drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

PEOPLES = ("african", "asian", "caucasian")
"""The names that the body model gives to the shapes it mixes."""
FRONTAL, PROFILE, MOST_YAW = 12.0, (50.0, 80.0), 80.0
"""Yaw in degrees up to which a head is frontal, and between which it is in profile."""
AGES = (0.25, 1.0)
"""First and last age of the model's scale, on which 1/3 is a child, 2/3 a young adult and 1 very old."""

_SHAPE = 0.28
_SHAPE_LIMIT = 0.7
_EXPRESSIONS = (
    ("mouthSmileLeft", "mouthSmileRight"),
    ("mouthFrownLeft", "mouthFrownRight"),
    ("jawOpen",),
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    ("browDownLeft", "browDownRight"),
    ("eyeBlinkLeft", "eyeBlinkRight"),
    ("eyeWideLeft", "eyeWideRight"),
    ("cheekPuff",),
    ("mouthPucker",),
    ("noseSneerLeft", "noseSneerRight"),
)
# Skin of the three peoples, then hair, iris; usual colours that a person mixes and varies.
_SKIN = np.array([[112.0, 76.0, 56.0], [222.0, 182.0, 146.0], [232.0, 190.0, 166.0]])
_HAIR = np.array(
    [[28.0, 22.0, 20.0], [60.0, 40.0, 28.0], [120.0, 84.0, 48.0], [190.0, 154.0, 96.0], [120.0, 56.0, 30.0]]
)
_IRIS = np.array([[60.0, 38.0, 24.0], [96.0, 72.0, 40.0], [70.0, 110.0, 80.0], [80.0, 120.0, 160.0]])


@dataclass(frozen=True)
class Person:
    """What stays of an identity from picture to picture.

    Args:
        gender: 0 to 1.
        peoples: Share of each of `PEOPLES`, of sum 1.
        muscle: 0 to 1.
        weight: 0 to 1.
        shapes: How far each local shape of head and face is pushed, by name; a left and a right one are nearly equal.
        skin: Colour.
        hair: Colour.
        iris: Colour.
        lips: How red, 0 to 1.
        hairline: How far the hair reaches to the front, 0 to 1, and how high up it begins.
        brows: Thickness, height and slope.
    """

    gender: float
    peoples: tuple[float, ...]
    muscle: float
    weight: float
    shapes: dict[str, float]
    skin: Numbers
    hair: Numbers
    iris: Numbers
    lips: float
    hairline: tuple[float, float]
    brows: tuple[float, float, float]


@dataclass(frozen=True)
class Moment:
    """How one picture shows a person.

    Args:
        age: On the model's scale, see `AGES`.
        yaw: Degrees by which the head is turned, positive to the right of the picture.
        pitch: Degrees by which it nods.
        roll: Degrees by which it is tilted.
        expression: Strength of facial actions by name.
        light: Where it comes from, a unit vector: right, up, towards the camera.
        ambient: Share of light from everywhere.
        cast: Gain of red, green and blue.
        backdrop: Colour behind the head.
    """

    age: float
    yaw: float
    pitch: float
    roll: float
    expression: dict[str, float]
    light: Numbers
    ambient: float
    cast: Numbers
    backdrop: Numbers


def draw_person(number: int, shapes: Sequence[str], *, seed: int = 0) -> Person:
    """The person of a number; the same whatever else is drawn.

    Args:
        number: Of the identity.
        shapes: Names of the local shapes that there are; ``l-`` and ``r-`` begin those of a side.
        seed: Another seed gives other people.

    Example:
        >>> person = draw_person(3, ["l-ear-wing-incr", "r-ear-wing-incr", "nose-volume-incr"])
        >>> abs(person.shapes["l-ear-wing-incr"] - person.shapes["r-ear-wing-incr"]) < 0.3
        True
    """
    random = np.random.default_rng([seed, 11, number])
    peoples = random.dirichlet((0.5, 0.5, 0.5))
    hair = _HAIR[random.integers(0, 2 + int(3 * peoples[2]))] * random.uniform(0.8, 1.2)
    iris = _IRIS[random.integers(0, 2 + int(2 * peoples[2]))] * random.uniform(0.8, 1.2)
    common: dict[str, float] = {}
    pushed = {}
    for name in shapes:
        whole = name[2:] if name.startswith(("l-", "r-")) else name
        value = common.setdefault(whole, float(random.normal(0, _SHAPE)))
        pushed[name] = float(np.clip(value + random.normal(0, 0.15 * _SHAPE), -_SHAPE_LIMIT, _SHAPE_LIMIT))
    return Person(
        gender=float(random.random()),
        peoples=tuple(map(float, peoples)),
        muscle=float(random.uniform(0.3, 0.7)),
        weight=float(random.uniform(0.25, 0.85)),
        shapes=pushed,
        skin=peoples @ _SKIN * random.uniform(0.88, 1.08) + random.normal(0, 4, 3),
        hair=hair,
        iris=iris,
        lips=float(random.uniform(0.2, 0.8)),
        hairline=(float(random.uniform(0.0, 1.0)), float(random.uniform(0.1, 0.5))),
        brows=(float(random.uniform(0.5, 1.5)), float(random.uniform(-1, 1)), float(random.uniform(-1, 1))),
    )


def draw_moments(number: int, count: int, *, seed: int = 0) -> list[Moment]:
    """The moments of a person: about a third frontal, a quarter in profile, ages spread over the whole scale.

    Args:
        number: Of the identity.
        count: Number of pictures.
        seed: Another seed gives other moments.

    Example:
        >>> moments = draw_moments(0, 8)
        >>> sum(abs(moment.yaw) <= FRONTAL for moment in moments) >= 2
        True
    """
    random = np.random.default_rng([seed, 12, number])
    # Ages in equal steps in a random order, so that every person has young and old pictures.
    steps = (random.permutation(count) + random.random(count)) / count
    return [
        Moment(
            age=float(AGES[0] + (AGES[1] - AGES[0]) * steps[place]),
            yaw=_yaw(place, random),
            pitch=float(random.uniform(-8, 8)),
            roll=float(random.uniform(-5, 5)),
            expression=_expression(random),
            light=_light(random),
            ambient=float(random.uniform(0.35, 0.65)),
            cast=random.uniform(0.92, 1.06, 3),
            backdrop=np.full(3, random.uniform(20, 235)) + random.uniform(-20, 20, 3),
        )
        for place in range(count)
    ]


def _yaw(place: int, random: np.random.Generator) -> float:
    kind, side = place % 4, 1 if random.random() < 0.5 else -1
    if kind == 0:
        return float(random.uniform(-FRONTAL, FRONTAL))
    return side * float(random.uniform(*PROFILE) if kind == 1 else random.uniform(0, PROFILE[0]))


def _expression(random: np.random.Generator) -> dict[str, float]:
    chosen = random.choice(len(_EXPRESSIONS), 2, replace=False)
    strengths = random.uniform(0, 0.8, 2)
    return {name: float(strength) for place, strength in zip(chosen, strengths) for name in _EXPRESSIONS[place]}


def _light(random: np.random.Generator) -> Numbers:
    towards = np.array([random.uniform(-1.2, 1.2), random.uniform(-0.2, 1.0), 1.0])
    unit: Numbers = towards / np.linalg.norm(towards)
    return unit
