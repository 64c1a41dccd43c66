"""Measuring two modalities: by classes from queries to gallery, or by pairs in both directions."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from monge.data import Examples
from monge.data.cross_modal import CrossModalSplits
from monge.errors import RunError
from monge.extras import require
from monge.metrics import retrieval
from monge.metrics.cross_modal import cross_modal_retrieval
from monge.metrics.rescoring import dual_softmax_retrieval, querybank_retrieval
from monge.recipes.schema import EvaluateSection
from monge.train.atomic import write_atomically
from monge.train.pictures import texts_of, thumbnails, views_of
from monge.train.selection import PAIR_RANKS

_LARGEST_BANK = 5_000
_RANKS = (1, 5, 10, 50)


def check_answerable(splits: CrossModalSplits) -> None:
    """Refuses data on which retrieval cannot be measured, before anything is trained on them.

    Args:
        splits: Some query of validation and of test must have something to find.

    Raises:
        RunError: None has.
    """
    for called, name in (("validation", "val"), ("test", "test")):
        if splits.unanswerable(name) == len(splits.part(name)[0]):
            told = f"no {splits.query_name} of the {called} part has a {splits.gallery_name} to find"
            raise RunError(f"{splits.source}: {told}, so nothing can be retrieved")


def cross_modal_metrics(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    config: EvaluateSection,
    prefix: str,
    *,
    paired: bool,
) -> dict[str, float]:
    """Retrieval of gallery items by queries; of pairs, the other way round too.

    Args:
        queries: Embeddings (N, D).
        gallery: Embeddings (M, D).
        query_labels: (N,).
        gallery_labels: (M,).
        config: Distance and ranks.
        prefix: Put before each name, with a slash.
        paired: Whether labels name pairs and not classes.

    Returns:
        For classes what `monge.metrics.retrieval` gives, for pairs `monge.metrics.cross_modal.cross_modal_retrieval`.
    """
    sides = (queries, gallery, query_labels, gallery_labels)
    if paired:
        ranks = sorted({*PAIR_RANKS, *config.recall_at})
        found = cross_modal_retrieval(*sides, distance=config.distance, recall_at=ranks)
    else:
        found = retrieval(*sides, distance=config.distance, recall_at=config.recall_at)
    return {f"{prefix}/{name}": value for name, value in found.items()}


def bank_of(examples: Examples) -> Examples:
    """Training items of one side whose neighbours tell which test items are near to everything; seeded, 5,000 at most.

    Args:
        examples: The training part of that side.
    """
    if len(examples) <= _LARGEST_BANK:
        return examples
    drawn = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))[:_LARGEST_BANK]
    return examples.subset(drawn.sort().values)


def store_rescored(
    file: Path, embeddings: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor], banks: tuple[Tensor, Tensor]
) -> None:
    """Writes ``rescored.json``: retrieval of pairs that knows other queries too, which no other figures compare with.

    Args:
        file: Where to.
        embeddings: Of the test queries (N, D) and of their gallery (M, D).
        labels: Theirs.
        banks: Embeddings of training items of both sides, see `bank_of`.
    """
    sides = (*embeddings, *labels)
    found = {
        "dual_softmax": dual_softmax_retrieval(*sides, recall_at=_RANKS),
        "querybank": querybank_retrieval(*sides, *banks, recall_at=_RANKS),
        "bank": [len(bank) for bank in banks],
    }
    write_atomically(file, lambda part: part.write_text(json.dumps(found, indent=1)))


def store_cross_modal(file: Path, queries: Tensor, gallery: Tensor, splits: CrossModalSplits) -> None:
    """Writes ``embeddings.safetensors`` of two modalities.

    Args:
        file: Where to.
        queries: Embeddings of the test queries (N, D).
        gallery: Embeddings of their gallery (M, D).
        splits: Their labels, and the pictures or texts that a report shows.
    """
    safetensors = require("safetensors.torch", extra="train", purpose="Storing embeddings")
    tensors = {"test/query/embeddings": queries.contiguous(), "test/gallery/embeddings": gallery.contiguous()}
    metadata = {
        "classes": json.dumps(list(splits.classes)),
        "source": splits.source,
        "paired": json.dumps(splits.paired),
        "query_name": splits.query_name,
        "gallery_name": splits.gallery_name,
    }
    for side, examples in (("query", splits.test_queries), ("gallery", splits.test_gallery)):
        tensors[f"test/{side}/labels"] = examples.labels.contiguous()
        tensors |= _shown(f"test/{side}", examples)
        texts = texts_of(examples)
        if texts is not None:
            metadata[f"{side}_texts"] = json.dumps(list(texts))
    write_atomically(file, lambda part: safetensors.save_file(tensors, part, metadata=metadata))


def _shown(name: str, examples: Examples) -> dict[str, Tensor]:
    """Views of shapes or one picture of each example, small; nothing where there is nothing to see."""
    views = getattr(examples, "shapes", examples)  # those that were described by a network
    if len(views.shape) == 4 and views.shape[0] > 1:
        return {f"{name}/views": views_of(views)}
    images = thumbnails(examples)
    return {} if images is None else {f"{name}/images": images}
