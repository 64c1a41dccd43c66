"""Measuring faces: pairs told apart, what a report shows of them, and the threshold that goes with the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from monge.data.face_pairs import FaceSplits, PairSet
from monge.errors import RunError
from monge.extras import require
from monge.metrics.telling_pairs import hardest_pairs, limits_of, wrong_pairs
from monge.metrics.thresholds import OperatingPoint, calibrate
from monge.metrics.verification import pair_distances, verification_metrics, verify
from monge.train.atomic import write_atomically

_FARS = (0.1, 1e-2, 1e-3, 1e-4)
_FOLDS = 2
# What a report shows of a set, and therefore what is stored of its pictures: pairs of each sort of mistake, and pairs
# with their matched regions.
CASES, HARDEST = 6, 8


@dataclass(frozen=True)
class Measured:
    """A set of pairs and what a network made of its pictures.

    Attributes:
        pairs: The set.
        embeddings: Of each picture, mirrored ones added, of length 1: float32 ``(N, D)``.
        maps: Feature maps of the pictures in ``shown``, ``(S, C, h, w)``; ``None``: not made.
    """

    pairs: PairSet
    embeddings: Tensor
    maps: Tensor | None = None

    @cached_property
    def distances(self) -> Tensor:
        """Squared distances of all pairs, float64 ``(P,)``."""
        return pair_distances(self.embeddings, self.pairs.first, self.pairs.second)

    @cached_property
    def shown(self) -> Tensor:
        """Rows of the pictures in pairs that a report shows, rising, int64 ``(S,)``."""
        pairs = self.pairs
        limits = limits_of(verify(self.distances, pairs.same, pairs.folds, protocol="exact").thresholds, pairs.folds)
        told = (self.distances, limits, pairs.same)
        chosen = [hardest_pairs(*told, count=HARDEST)]
        for genuine in (True, False):
            _, *sorts = wrong_pairs(*told, genuine=genuine, each=CASES)
            chosen += sorts
        rows: Tensor = torch.unique(torch.cat([side[torch.cat(chosen)] for side in (pairs.first, pairs.second)]))
        return rows

    def metrics(self) -> dict[str, float]:
        """Accuracy in folds, acceptance at false-accept rates that the impostors are enough for, and more, by name."""
        impostors = len(self.pairs) - self.pairs.genuine
        fars = tuple(far for far in _FARS if far * impostors >= 1)
        return verification_metrics(
            self.distances, self.pairs.same, self.pairs.folds, protocol="exact", fars=fars or _FARS[:1]
        )


def check_verifiable(splits: FaceSplits) -> None:
    """Refuses data on which verification cannot be measured, before anything is trained on them.

    Args:
        splits: Every set of pairs needs two folds, each with pairs of both kinds.

    Raises:
        RunError: One of them does not have them, or there is nobody to learn from.
    """
    if len(splits.classes) < 2 or len(splits.train) == 0:
        found = f"{len(splits.train)} pictures of {len(splits.classes)} identities"
        raise RunError(f"{splits.source}: found {found} to learn from, expected at least two identities")
    for pairs in (splits.val, *splits.test.values()):
        kinds = {(int(fold), bool(same)) for fold, same in zip(pairs.folds, pairs.same)}
        folds = {fold for fold, _ in kinds}
        if len(folds) < _FOLDS or len(kinds) < 2 * len(folds):
            raise RunError(
                f"{splits.source}: the pairs of {pairs.name} fill {len(folds)} folds, expected at least {_FOLDS}, each "
                "with genuine and impostor pairs"
            )


def mean_metrics(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Metrics of every test set, ``test/<set>/<name>``, and their means over the sets that have them, ``test/<name>``.

    Args:
        found: Metrics of each set.

    Example:
        >>> mean_metrics({"a": {"auc": 0.5}, "b": {"auc": 1.0}})
        {'test/auc': 0.75, 'test/a/auc': 0.5, 'test/b/auc': 1.0}
    """
    names = [name for name in next(iter(found.values())) if all(name in one for one in found.values())]
    means = {f"test/{name}": sum(one[name] for one in found.values()) / len(found) for name in names}
    return means | {f"test/{part}/{name}": value for part, one in found.items() for name, value in one.items()}


def threshold_for(measured: Measured, far: float) -> OperatingPoint | None:
    """The threshold for a false-accept rate, or for the lowest one that the impostors are enough to set.

    Args:
        measured: The pairs to set it on.
        far: The rate.
    """
    impostors = len(measured.pairs) - measured.pairs.genuine
    if not impostors or not measured.pairs.genuine:
        return None
    rate = min(max(far, 1.0 / impostors), 0.5)
    pairs = f"{measured.pairs.name}: {measured.pairs.source}"
    return calibrate(1 - measured.distances / 2, measured.pairs.same, rate, pairs=pairs)


def store_verification(file: Path, sets: Mapping[str, Measured], source: str) -> None:
    """Writes ``verification.safetensors``.

    Args:
        file: Where to.
        sets: What was measured, by name.
        source: Which data these are.
    """
    safetensors = require("safetensors.torch", extra="train", purpose="Storing pairs")
    tensors: dict[str, Tensor] = {}
    for name, measured in sets.items():
        pairs = measured.pairs
        tensors[f"{name}/first"], tensors[f"{name}/second"] = pairs.first.clone(), pairs.second.clone()
        tensors[f"{name}/same"], tensors[f"{name}/folds"] = pairs.same.clone(), pairs.folds.clone()
        tensors[f"{name}/embeddings"] = measured.embeddings.float().contiguous()
        tensors[f"{name}/shown"] = measured.shown
        tensors[f"{name}/images"] = pairs.images.inputs(measured.shown).contiguous()
        if measured.maps is not None:
            tensors[f"{name}/maps"] = measured.maps.contiguous()
    metadata = {"source": source, "sets": json.dumps(list(sets))}
    write_atomically(file, lambda part: safetensors.save_file(tensors, part, metadata=metadata))
