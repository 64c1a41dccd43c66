"""Drawn faces with an identity: a few numbers make the face, others how it is turned, lit and looks for a moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]
_NUMBERS = 56
_WAVES = 6
_CHUNK_PIXELS = 1 << 21
# Usual colour and spread of skin, hair, iris and lips.
_COLOURS = (
    ((200.0, 160.0, 132.0), 80),
    ((95.0, 70.0, 55.0), 110),
    ((80.0, 80.0, 80.0), 120),
    ((165.0, 80.0, 80.0), 90),
)


@dataclass(frozen=True)
class DrawnFaces:
    """Drawn faces and where their landmarks are.

    Args:
        images: uint8 ``(N, 3, S, S)``.
        landmarks: Left eye, right eye, tip of the nose, left and right corner of the mouth, x and y in pixels of each,
            the middle of the first pixel at 0, left and right as in the picture, float32 ``(N, 5, 2)``.
    """

    images: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def draw_identities(
    labels: ArrayLike,
    *,
    size: int = 32,
    yaw: float = 0.5,
    roll: float = 0.1,
    noise: float = 8.0,
    seed: int = 0,
) -> DrawnFaces:
    """Draws one face for each label; the same label is the same identity, each time seen otherwise.

    An identity is a fixed random vector: shape of head, hair, eyes, brows, nose and mouth, their colours, and a smooth
    pattern of the skin. What varies from picture to picture: yaw, roll, place and scale, light, how far eyes and mouth
    are open, background and noise.

    Args:
        labels: Identity of each picture, ``(N,)``.
        size: Height and width.
        yaw: The head turns by up to this angle, in radians.
        roll: And is tilted by up to this one.
        noise: Standard deviation of the noise, in grey levels.
        seed: Another seed draws other identities and other moments.

    Example:
        >>> faces = draw_identities([0, 0, 1], size=24)
        >>> faces.images.shape, faces.landmarks.shape
        ((3, 3, 24, 24), (3, 5, 2))
    """
    identities = np.asarray(labels, np.int64)
    looks = np.stack([np.random.default_rng([seed, 1, int(label)]).random(_NUMBERS) for label in identities])  # (N, 56)
    moments = np.random.default_rng([seed, 2, len(identities)]).uniform(-1, 1, (len(identities), 15))
    step = max(1, _CHUNK_PIXELS // size**2)
    grain = np.random.default_rng([seed, 3])
    images = np.empty((len(identities), 3, size, size), np.uint8)
    landmarks = np.empty((len(identities), 5, 2), np.float32)
    for start in range(0, len(identities), step):
        part = slice(start, start + step)
        pose = _Pose(moments[part], yaw, roll)
        face = _Face(looks[part], moments[part])
        pixels = face.draw(pose, size)  # (B, S, S, 3)
        pixels += grain.normal(0, noise, pixels.shape)
        images[part] = np.clip(pixels, 0, 255).astype(np.uint8).transpose(0, 3, 1, 2)
        landmarks[part] = (face.landmarks(pose) + 1) * size / 2 - 0.5
    return DrawnFaces(images, landmarks)


class _Pose:
    """How the head is turned, tilted, moved and scaled, numbers ``(B, 1, 1)``; picture and head reach from -1 to 1."""

    def __init__(self, moments: Numbers, yaw: float, roll: float) -> None:
        turn, tilt, right, down, scale = moments.T[:5, :, None, None]
        self.angle, self.tilt = yaw * turn, roll * tilt
        self.right, self.down, self.scale = 0.06 * right, 0.06 * down, 1 + 0.08 * scale

    def upright(self, size: int) -> tuple[Numbers, Numbers]:
        """Each pixel after tilt, move and scale are undone, twice ``(B, S, S)``."""
        axis = (np.arange(size) + 0.5) / size * 2 - 1
        across, along = (axis[None, None, :] - self.right) / self.scale, (axis[None, :, None] - self.down) / self.scale
        cosine, sine = np.cos(self.tilt), np.sin(self.tilt)
        return cosine * across + sine * along, cosine * along - sine * across

    def turned_back(self, x: Numbers) -> Numbers:
        """Where on the head's front lies what is seen at ``x`` across it; what turns away shrinks at the edge."""
        back: Numbers = np.sin(np.arcsin(np.clip(x, -1, 1)) - self.angle)
        return back

    def seen(self, points: Numbers, wide: Numbers, high: Numbers) -> Numbers:
        """Where points of the head's front ``(B, K, 2)`` are in the picture."""
        x = wide[:, 0] * np.sin(np.arcsin(points[..., 0]) + self.angle[:, 0])
        y = high[:, 0] * points[..., 1]
        cosine, sine = np.cos(self.tilt[:, 0]), np.sin(self.tilt[:, 0])
        across, along = cosine * x - sine * y, sine * x + cosine * y
        scale = self.scale[:, 0]
        return np.stack([across * scale + self.right[:, 0], along * scale + self.down[:, 0]], axis=-1)


class _Face:
    """The numbers of the identities, by name, and those of the moment that change the face itself, ``(B, 1, 1)``."""

    def __init__(self, looks: Numbers, moments: Numbers) -> None:
        self.look = looks.T[:, :, None, None]  # (56, B, 1, 1)
        self.lit_x, self.lit_y, smile, self.lids = moments.T[5:9, :, None, None]
        self.backdrop = 130 + 100 * moments[:, None, None, 9:12]
        look = self.look
        self.wide, self.high = 0.55 + 0.2 * look[0], 0.72 + 0.2 * look[1]
        self.eye_u, self.eye_v = 0.3 + 0.16 * look[2], -0.22 + 0.16 * look[3]
        self.nose_v = self.eye_v + 0.26 + 0.16 * look[4]
        self.mouth_v, self.mouth_u = 0.46 + 0.14 * look[5], 0.2 + 0.22 * look[6]
        self.bend = 0.8 * (look[7] - 0.5) + 0.4 * smile
        self.skin, self.hair, self.iris, self.lips = (self._colour(place) for place in range(len(_COLOURS)))
        self.cast = 1 + 0.15 * moments[:, None, None, 12:15]

    def _colour(self, place: int) -> Numbers:
        usual, spread = _COLOURS[place]
        own = np.moveaxis(self.look[8 + 3 * place : 11 + 3 * place], 0, -1)  # (B, 1, 1, 3)
        return np.array(usual) + spread * (own - 0.5)

    def landmarks(self, pose: _Pose) -> Numbers:
        """Eyes, nose and corners of the mouth in the picture, ``(B, 5, 2)``."""
        places = [
            (-self.eye_u, self.eye_v),
            (self.eye_u, self.eye_v),
            (0 * self.eye_u, self.nose_v),
            (-self.mouth_u, self.mouth_v),
            (self.mouth_u, self.mouth_v),
        ]
        points = np.stack([np.concatenate(place, axis=-1)[:, 0] for place in places], axis=1)  # (B, 5, 2)
        return pose.seen(points, self.wide, self.high)

    def draw(self, pose: _Pose, size: int) -> Numbers:
        """Colours of the pixels before noise, ``(B, S, S, 3)``."""
        look, edge = self.look, size / 5
        x, y = pose.upright(size)
        jaw = self.wide * (1 + 0.3 * (look[20] - 0.5) * y)
        u, v = pose.turned_back(x / jaw), y / self.high  # (B, S, S)
        head = _inside(1 - (x / jaw) ** 2 - v**2, edge)
        picture = np.broadcast_to(self.backdrop, (*x.shape, 3))
        picture = _over(picture, self.skin * (1 + 0.35 * self._pattern(u, v))[..., None], head)
        hairline = -0.45 - 0.3 * look[21] + (1.2 * look[22] - 0.3) * u**2
        picture = _over(picture, self.hair, head * _inside(hairline - v, edge))
        for side in (-1, 1):
            picture = self._eye(picture, head, u - side * self.eye_u, v - self.eye_v, side, edge)
        ridge = (0.03 + 0.12 * look[30]) * (v - self.eye_v) / (self.nose_v - self.eye_v) - np.abs(u)
        nose = _inside(ridge, edge) * _inside(v - self.eye_v, edge) * _inside(self.nose_v - v, edge)
        picture = _over(picture, self.skin * 0.7, head * nose)
        line = 0.03 + 0.06 * look[31] - np.abs(v - self.mouth_v + self.bend * (u**2 - self.mouth_u**2))
        picture = _over(picture, self.lips, head * _inside(line, edge) * _inside(self.mouth_u - np.abs(u), edge))
        light: Numbers = self.cast * (1 + 0.35 * (self.lit_x * x + self.lit_y * y))[..., None]
        return picture * light

    def _eye(self, picture: Numbers, head: Numbers, u: Numbers, v: Numbers, side: int, edge: float) -> Numbers:
        """One eye with its brow; ``u`` and ``v`` count from its middle."""
        look = self.look
        opening = (0.08 + 0.06 * look[23]) * (1 + 0.3 * self.lids)
        ball = head * _inside(1 - (u / (0.13 + 0.08 * look[24])) ** 2 - (v / opening) ** 2, edge / 6)
        picture = _over(picture, np.full(3, 240.0), ball)
        pupil = _inside(1 - (u**2 + v**2) / (0.05 + 0.06 * look[25]) ** 2, edge / 8)
        picture = _over(picture, self.iris, ball * pupil)
        height = v + 0.19 + 0.1 * look[26] + (look[27] - 0.5) * side * u
        brow = _inside(0.02 + 0.05 * look[28] - np.abs(height), edge)
        return _over(picture, self.hair * 0.8, head * brow * _inside(0.16 + 0.1 * look[29] - np.abs(u), edge))

    def _pattern(self, u: Numbers, v: Numbers) -> Numbers:
        """A smooth random field on the skin, of about unit variance."""
        waves = self.look[32 : 32 + 4 * _WAVES].reshape(_WAVES, 4, -1, 1, 1)
        field = np.zeros_like(u)
        for along_u, along_v, phase, height in waves:
            field += height * np.cos(7 * (along_u - 0.5) * 2 * u + 7 * (along_v - 0.5) * 2 * v + 2 * np.pi * phase)
        scaled: Numbers = field / _WAVES**0.5
        return scaled


def _inside(depth: Numbers, steep: float) -> Numbers:
    """1 where ``depth`` is positive, 0 where it is negative, a soft edge between them."""
    cover: Numbers = np.clip(0.5 + depth * steep, 0, 1)
    return cover


def _over(picture: Numbers, colour: Numbers, cover: Numbers) -> Numbers:
    return picture + cover[..., None] * (colour - picture)
