"""Drawings and shapes as a packaged network describes them, computed once and kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_set import DrawingSet
from monge.data.examples import Examples, Splits
from monge.data.sources.feature_cache import Progress, silent
from monge.data.view_features import ViewEncoder, encode_views
from monge.data.views.view_set import ViewSet
from monge.errors import MongeError


def encode_drawings_and_shapes(
    splits: CrossModalSplits,
    encoder: ViewEncoder = "efficientnet-lite0",
    *,
    background: int = 0,
    progress: Progress = silent,
) -> CrossModalSplits:
    """The same drawings and shapes, each picture described by a packaged network, which stays as it is.

    Drawings are shown to it in black on white, as photographs of paper would be. They count as shapes of one view:
    their vectors are float32 ``(1, F)`` each, those of shapes ``(V, F)``. See `monge.data.view_features.encode_views`.

    Args:
        splits: Drawings as queries, views of shapes as the gallery.
        encoder: The network.
        background: Grey level from 0 to 255 behind the shapes, which the renderer leaves at 0.
        progress: Called with the number of drawings or shapes done and of all, where any must be computed.

    Raises:
        MongeError: The data are others, the network is not fetched yet, or the cache cannot be written.
    """
    parts = ("train", "val", "test")
    told = (splits.classes, splits.source, splits.definition)
    queries, gallery = zip(*(splits.part(name) for name in parts), strict=True)
    train, val, test = (_papers(part) for part in queries)
    drawn = encode_views(Splits(train, val, test, *told), encoder, progress=progress)
    shapes = Splits(gallery[0], gallery[1], gallery[2], *told)
    found = encode_views(shapes, encoder, background=background, progress=progress)
    return replace(
        splits,
        train_queries=drawn.train,
        val_queries=drawn.val,
        test_queries=drawn.test,
        train_gallery=found.train,
        val_gallery=found.val,
        test_gallery=found.test,
        source=f"{splits.source}, each picture as {encoder} describes it",
    )


def _papers(drawings: Examples) -> ViewSet:
    """Drawings in black on white as shapes of one view."""
    if not isinstance(drawings, DrawingSet):
        raise MongeError("data.features: found queries that are no drawings, expected some")
    papers = drawings.pictures(torch.arange(len(drawings)))
    return ViewSet(papers[:, None].numpy(), drawings.labels)
