"""The map of the test embeddings: a projection to the plane and what the page's script needs to draw it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.errors import MissingExtraError
from monge.extras import require
from monge.metrics import Distance
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.thumbnails import is_tiny, sprite

MOST_POINTS = 1_000
"""Points of the map; a t-SNE of a thousand points takes a few seconds."""


@dataclass(frozen=True)
class EmbeddingMap:
    """A drawn map.

    Args:
        method: Which projection it is, in words.
        points: ``[x, y, class]`` of every point; coordinates within [0, 1].
        classes: Class names of the legend, only those that occur.
        sprite: Pictures of the points in the same order as one image, or empty.
        side: Side of one picture in ``sprite`` in pixels.
        columns: Pictures a row of ``sprite``.
        tiny: Whether pictures are shown with sharp pixels.
        shown: Number of points.
        total: Number of test items.
    """

    method: str
    points: list[list[float]]
    classes: list[str]
    sprite: str
    side: int
    columns: int
    tiny: bool
    shown: int
    total: int


def embedding_map(items: StoredEmbeddings, distance: Distance) -> EmbeddingMap:
    """Projects up to 1,000 seeded items: t-SNE if scikit-learn is installed, otherwise the first two principal axes."""
    kept = torch.arange(len(items.vectors))
    if len(kept) > MOST_POINTS:
        kept = torch.randperm(len(kept), generator=torch.Generator().manual_seed(3))[:MOST_POINTS].sort().values
    vectors = items.vectors[kept]
    if distance == "cosine":
        # On the sphere the Euclidean distance orders pairs as the cosine does.
        vectors = torch.nn.functional.normalize(vectors)
    plane, method = project(vectors)
    present, numbers = torch.unique(items.labels[kept], return_inverse=True)
    images = items.pictures(kept)
    sheet, side, columns = sprite(images) if images is not None else ("", 0, 0)
    return EmbeddingMap(
        method,
        [[round(x, 4), round(y, 4), c] for (x, y), c in zip(plane.tolist(), numbers.tolist())],
        [items.classes[c] for c in present.tolist()],
        sheet,
        side,
        columns,
        images is not None and is_tiny(images[0]),
        len(kept),
        items.total,
    )


def project(vectors: Tensor) -> tuple[Tensor, str]:
    """Places ``(N, D)`` vectors in the unit square, ``(N, 2)``, and says how.

    Example:
        >>> plane, method = project(torch.eye(3))
        >>> plane.shape, method
        (torch.Size([3, 2]), 'PCA')
    """
    plane, method = principal_plane(vectors), "PCA"
    # A neighbourhood of fewer than five points says nothing: few items stay with the principal axes.
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    if perplexity >= 5 and float(plane.std()) > 0:
        try:
            manifold = require("sklearn.manifold", extra="train", purpose="the t-SNE map of a report")
        except MissingExtraError:
            return _to_unit_square(plane), method
        # Started from the principal axes, so that far-away groups keep their places and the map is reproducible.
        start = (plane / plane[:, 0].std().clamp_min(1e-12) * 1e-4).numpy()
        tsne = manifold.TSNE(2, init=start, perplexity=perplexity, random_state=0, n_jobs=1)
        threads = require("threadpoolctl", extra="train", purpose="the t-SNE map of a report")
        # Its gradients use all cores whatever n_jobs says, and threads that wait for busy cores take minutes.
        with threads.threadpool_limits(1):
            placed = tsne.fit_transform(vectors.numpy())
        plane, method = torch.from_numpy(placed), f"t-SNE, perplexity {perplexity:.0f}"
    return _to_unit_square(plane), method


def principal_plane(vectors: Tensor) -> Tensor:
    """Coordinates ``(N, 2)`` along the two axes of largest variance.

    Example:
        >>> principal_plane(torch.tensor([[0.0, 0.0], [2.0, 0.0]])).abs()
        tensor([[1., 0.],
                [1., 0.]])
    """
    centred = vectors - vectors.mean(dim=0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    plane = centred @ axes.T
    return plane if plane.shape[1] == 2 else torch.cat([plane, torch.zeros(len(plane), 2 - plane.shape[1])], dim=1)


def _to_unit_square(plane: Tensor) -> Tensor:
    low, high = plane.min(dim=0).values, plane.max(dim=0).values
    return (plane - low) / (high - low).clamp_min(1e-12)
