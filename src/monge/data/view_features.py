"""Views of shapes as a packaged network describes them, computed once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.data.examples import Examples, Splits
from monge.data.sources.efficientnet_lite0 import EFFICIENTNET_LITE0
from monge.data.sources.feature_cache import FeatureCache, Features, Progress, silent
from monge.data.views.view_set import ViewSet
from monge.errors import MongeError
from monge.nn.packaged import PackagedBackbone, packaged_backbone

ViewEncoder = Literal["efficientnet-lite0"]
_VERSION = 1
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class ViewFeatures:
    """Shapes as vectors of their views, and their class numbers.

    Args:
        features: float32 ``(N, V, F)``, a row for each object of the view set's file.
        shapes: The views themselves.

    Example:
        >>> views = ViewSet(torch.zeros(4, 12, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        >>> part = ViewFeatures(torch.zeros(4, 12, 1280), views).subset([1, 3])
        >>> part.shape, part.inputs([0]).shape, part.pictures(torch.tensor([0, 1])).shape
        ((12, 1280), torch.Size([1, 12, 1280]), torch.Size([2, 1, 8, 8]))
    """

    features: Tensor
    shapes: ViewSet

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def labels(self) -> Tensor:
        """int64 ``(M,)``."""
        return self.shapes.labels

    @property
    def targets(self) -> Tensor | None:
        """As the shapes have them."""
        return self.shapes.targets

    @property
    def names(self) -> Sequence[str] | None:
        """Names of the shapes."""
        return self.shapes.names

    @property
    def shape(self) -> tuple[int, ...]:
        """``(V, F)``."""
        return tuple(self.features.shape[1:])

    def inputs(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Vectors of the views at the given positions, float32 ``(B, V, F)``."""
        assert self.shapes.rows is not None  # set when made
        return self.features[self.shapes.rows[torch.as_tensor(indices, dtype=torch.int64)]]

    def subset(self, indices: Tensor | Sequence[int]) -> ViewFeatures:
        """The objects at the given positions, in that order; positions may repeat."""
        return replace(self, shapes=self.shapes.subset(indices))

    def pictures(self, indices: Tensor) -> Tensor:
        """The second view of each, a half profile where they are from all around, uint8 ``(B, C, H, W)``."""
        view = min(1, self.shapes.shape[0] - 1)
        return self.shapes.inputs(indices)[:, view].contiguous()


def encode_views(
    splits: Splits, encoder: ViewEncoder = "efficientnet-lite0", *, background: int = 0, progress: Progress = silent
) -> Splits:
    """The same shapes, each view described by a packaged network, which stays as it is.

    The vectors are kept in the data cache for the pictures that they were computed from; an interrupted computation
    goes on where it stopped.

    Args:
        splits: Views of shapes.
        encoder: The network.
        background: Grey level from 0 to 255 that pixels of 0 get, which a renderer leaves behind a shape.
        progress: Called with the number of shapes done and of all, where any must be computed.

    Raises:
        MongeError: The data are no views, the network is not fetched yet, or the cache cannot be written.
    """
    done: dict[int, Tensor] = {}  # parts of a data set share one file of views
    train, val, test = (_encoded(part, background, done, progress) for part in (splits.train, splits.val, splits.test))
    told = f"{splits.source}, each view as {encoder} describes it"
    return replace(splits, train=train, val=val, test=test, source=told)


def _encoded(part: Examples, background: int, done: dict[int, Tensor], progress: Progress) -> ViewFeatures:
    if not isinstance(part, ViewSet):
        raise MongeError("data.features: found data that are no views of shapes, expected some")
    if id(part.views) not in done:
        done[id(part.views)] = _features(part.views, background, progress)
    return ViewFeatures(done[id(part.views)], part)


def _features(views: NDArray[np.uint8] | Tensor, background: int, progress: Progress) -> Tensor:
    """Vectors float32 ``(N, V, F)`` of all views there are."""
    stored = views.numpy() if isinstance(views, Tensor) else views
    digest = hashlib.sha256(str(stored.shape).encode())
    for one in stored:
        digest.update(one.tobytes())
    encoder = dict(EFFICIENTNET_LITE0.hashes)
    settings = {"version": _VERSION, "encoder": encoder, "background": background, "views": digest.hexdigest()}
    networks: list[PackagedBackbone] = []

    @torch.no_grad()
    def compute(items: list[int]) -> Features:
        if not networks:
            networks.append(packaged_backbone("efficientnet-lite0").eval())
        given = torch.from_numpy(np.array(stored[items[0] : items[-1] + 1]))  # (n, V, C, H, W)
        x = given.flatten(0, 1).float() / 255
        x = x.masked_fill(x == 0, background / 255)
        vectors = networks[0]((x - 0.5) / 0.5)
        return {"features": vectors.reshape(*given.shape[:2], -1)}

    return FeatureCache("views", settings, len(views), chunk=_AT_ONCE).get(compute, progress)["features"]
