"""Made-up features of captions and pictures that belong together, in the shape of the packaged encoders'."""

from __future__ import annotations

import colorsys

import torch
from torch import Tensor

from monge.data.cross_modal import CrossModalSplits
from monge.data.feature_set import FeatureSet

_TEXT, _PICTURE = 384, 1280
_LATENT, _SIDE = 12, 16
_COUNTS = (160, 40, 40)


def synthetic_pair_features(
    name: str, *, tokens: int | None = None, frames: int | None = None, captions: int = 1, seed: int = 0
) -> CrossModalSplits:
    """Pairs that share a hidden vector: both features are linear in it, with noise; learnable, and nothing real.

    Args:
        name: What the data set is called that they stand in for.
        tokens: Rows of a caption, of which the last may be missing; ``None``: one vector.
        frames: Rows of a picture; ``None``: one vector.
        captions: Captions of each picture.
        seed: Another seed makes other pairs.

    Example:
        >>> splits = synthetic_pair_features("stamps", frames=8)
        >>> splits.train_queries.shape, splits.train_gallery.shape, len(splits.test_gallery)
        ((384,), (8, 1280), 40)
    """
    random = torch.Generator().manual_seed(seed)
    total = sum(_COUNTS)
    hidden = torch.randn(total, _LATENT, generator=random)
    said = hidden.repeat_interleave(captions, 0)
    texts = _seen(said, _TEXT, tokens, random)
    if tokens is not None:
        texts[torch.rand(len(texts), generator=random) < 0.5, -1] = torch.nan
    pictures = _seen(hidden, _PICTURE, frames, random)
    labels = torch.arange(total)
    words = [f"made-up thing {label}, told {turn + 1}" for label in range(total) for turn in range(captions)]
    colours = torch.tensor([colorsys.hsv_to_rgb(label / total, 0.7, 0.9) for label in range(total)])
    small = (255 * colours).to(torch.uint8)[:, :, None, None].expand(-1, -1, _SIDE, _SIDE)
    queries = FeatureSet.of(texts, labels.repeat_interleave(captions), texts=words)
    gallery = FeatureSet.of(pictures, labels, images=lambda chosen: small[chosen])
    parts = torch.split(labels, list(_COUNTS))
    asked = [queries.subset(torch.isin(queries.labels, part).nonzero()[:, 0]) for part in parts]
    found = [gallery.subset(part) for part in parts]
    sizes = " / ".join(f"{len(part)} {called}" for part, called in zip(parts, ("train", "val", "test")))
    return CrossModalSplits(
        train_queries=asked[0],
        train_gallery=found[0],
        val_queries=asked[1],
        val_gallery=found[1],
        test_queries=asked[2],
        test_gallery=found[2],
        classes=(),
        source=f"synthetic: made-up features in the shape of those of {name}, nothing real",
        definition=f"{sizes} pairs, {captions} captions each, drawn at random (seed {seed})",
        paired=True,
        query_name="caption",
        gallery_name="picture",
    )


def _seen(hidden: Tensor, width: int, rows: int | None, random: torch.Generator) -> Tensor:
    """Linear in what is hidden, with noise of its own in every row: (N, width) or (N, rows, width)."""
    way: Tensor = torch.randn(hidden.shape[1], width, generator=random) / hidden.shape[1] ** 0.5
    shape = (len(hidden), 1 if rows is None else rows, width)
    seen: Tensor = (hidden @ way)[:, None] + 0.4 * torch.randn(shape, generator=random)  # (N, rows, width)
    return seen[:, 0] if rows is None else seen
