"""Retrieval scores of a set of embeddings: the SHREC suite, mAP, and the scores of deep metric learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics import scores
from monge.metrics.distances import Distance, GalleryDistances
from monge.metrics.embeddings import check_labels
from monge.metrics.ranking import Hits, Ties, ranked_hits

ExtraScore = Literal["map_20pt", "map_largest_class"]


class RecallCurve(NamedTuple):
    """Precision against recall, averaged over queries.

    Attributes:
        recall: ``(P,)`` float64.
        precision: ``(P,)`` float64, NaN where no query counts.
        queries: ``(P,)`` int64, queries averaged at each point.
    """

    recall: Tensor
    precision: Tensor
    queries: Tensor


def retrieval(
    queries: Tensor,
    gallery: Tensor | None = None,
    query_labels: Tensor | None = None,
    gallery_labels: Tensor | None = None,
    *,
    distance: Distance = "euclidean",
    exclude_self: bool | None = None,
    recall_at: Sequence[int] = (1, 2, 4, 8),
    also: Sequence[ExtraScore] = (),
    ties: Ties = "average",
    chunk: int | None = None,
) -> dict[str, float]:
    """Ranks the gallery for every query by exact search and averages the scores over queries.

    An item is relevant to a query of the same label. Queries without any relevant item are skipped and counted.
    Every query counts once, whatever the size of its class. With C relevant items, N in the list, G_i = 1 if
    the item at rank i is relevant:

    * ``nn`` = G_1; ``ft`` = hits among the first C / C; ``st`` = hits among the first min(2C, N) / C;
    * ``e`` = 2PR / (P + R) of the first min(32, N) (1 for a perfect list only if C = 32);
    * ``dcg`` = [G_1 + sum_{i>=2} G_i / log2 i] / [1 + sum_{2<=j<=C} 1 / log2 j] over the whole list: the SHREC
      definition, not the nDCG with log2(i + 1);
    * ``map`` = mean of the textbook average precision, 1/C · sum of the precision at each relevant item;
    * ``r_precision`` = ``ft`` under its other name; ``map_at_r`` = 1/C · sum_{i<=C} precision(i) · G_i;
    * ``recall_at_K`` = share of queries with a relevant item among the first K (P@1 for K = 1);
    * ``queries``, ``skipped_queries``: how many were averaged and skipped.

    The ranking is exact and takes memory for one block of queries at a time (1,000,000 x 128 stays under 2 GB).
    Distances that agree to float32 precision are tied.

    Args:
        queries: ``(Q, D)`` embeddings, any floating dtype, on CPU or GPU.
        gallery: ``(N, D)`` embeddings, or None: the queries are also the gallery.
        query_labels: ``(Q,)`` integers; required.
        gallery_labels: ``(N,)`` integers; required with a gallery.
        distance: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"``.
        exclude_self: Leave query i's own row i out of its list, by its place and not by a distance of 0. Default: if
            there is no separate gallery. With one, True asks that it begins with the queries, in their order.
        recall_at: The K of ``recall_at_K``; K above N is all of N.
        also: More keys: ``"map_20pt"`` = mean of the 20-point curve (see `recall_curve`), which the MATLAB tool of
            the SHREC sketch tracks prints as mAP; ``"map_largest_class"`` = the mean of that tool's AP, which divides
            by the largest C of all queries instead of each query's own. Neither is comparable with ``map``.
        ties: ``"average"``: the expectation over all orders of tied items, exact for every key but ``map_20pt``, where
            a tied item takes its expected rank; ``"index"``: tied items in gallery order.
        chunk: Queries at a time, rounded up to a multiple of 64; by default what fits a fixed budget. No effect on
            results.

    Returns:
        One float a key.

    Raises:
        MongeError: Embeddings or labels of a wrong shape, NaN or infinite embeddings (with the row), an unknown
            option, or no query with a relevant item.

    Example:
        >>> embeddings = torch.tensor([[0.0], [0.1], [5.0], [5.2]])
        >>> result = retrieval(embeddings, query_labels=torch.tensor([0, 0, 1, 1]))
        >>> result["map"], result["recall_at_1"], result["skipped_queries"]
        (1.0, 1.0, 0.0)
    """
    unknown = set(also) - {"map_20pt", "map_largest_class"}
    if unknown:
        raise MongeError(f"also: found {', '.join(sorted(unknown))}, expected map_20pt or map_largest_class")
    task = _Task(queries, gallery, query_labels, gallery_labels, distance, exclude_self)
    per_query = _empty(task, recall_at)
    curve = _CurveMean(20)
    for hits in task.hits(ties, chunk):
        _fill(per_query, hits, task.sums, recall_at)
        if "map_20pt" in also:
            curve.add(scores.linear_curve(hits))
    relevant = per_query.pop("relevant")
    used = relevant > 0
    if not bool(used.any()):
        raise MongeError("query_labels: no query has a relevant item in the gallery, expected shared labels")
    result = {key: float(values[used].mean()) for key, values in per_query.items()}
    if "map_20pt" in also:
        result["map_20pt"] = float(curve.mean().precision.nanmean())
    if "map_largest_class" in also:
        result["map_largest_class"] = float((per_query["map"][used] * relevant[used]).mean() / relevant.max())
    return {**result, "queries": float(used.sum()), "skipped_queries": float((~used).sum())}


def retrieval_per_query(
    queries: Tensor,
    gallery: Tensor | None = None,
    query_labels: Tensor | None = None,
    gallery_labels: Tensor | None = None,
    *,
    distance: Distance = "euclidean",
    exclude_self: bool | None = None,
    recall_at: Sequence[int] = (1, 2, 4, 8),
    ties: Ties = "average",
    chunk: int | None = None,
) -> dict[str, Tensor]:
    """The scores of `retrieval` for each query.

    Args:
        queries: See `retrieval`, as for all arguments.
        gallery: See `retrieval`.
        query_labels: See `retrieval`.
        gallery_labels: See `retrieval`.
        distance: See `retrieval`.
        exclude_self: See `retrieval`.
        recall_at: See `retrieval`.
        ties: See `retrieval`.
        chunk: See `retrieval`.

    Returns:
        ``(Q,)`` float64 for each score key of `retrieval` (``map`` is the query's AP), NaN for skipped queries, and
        ``relevant``, ``(Q,)`` int64, the number C of relevant items.

    Raises:
        MongeError: As `retrieval`, except that all queries may be skipped.

    Example:
        >>> embeddings = torch.tensor([[0.0], [0.1], [5.0]])
        >>> retrieval_per_query(embeddings, query_labels=torch.tensor([0, 0, 1]))["map"]
        tensor([1., 1., nan], dtype=torch.float64)
    """
    task = _Task(queries, gallery, query_labels, gallery_labels, distance, exclude_self)
    per_query = _empty(task, recall_at)
    for hits in task.hits(ties, chunk):
        _fill(per_query, hits, task.sums, recall_at)
    return per_query


def recall_curve(
    queries: Tensor,
    gallery: Tensor | None = None,
    query_labels: Tensor | None = None,
    gallery_labels: Tensor | None = None,
    *,
    points: Literal[11, 20] = 20,
    distance: Distance = "euclidean",
    exclude_self: bool | None = None,
    ties: Ties = "average",
    chunk: int | None = None,
) -> RecallCurve:
    """Precision-recall curve averaged over queries, as the SHREC tool (20 points) or TREC (11 points) draws it.

    20 points, recall 0.05 to 1: precision linear between consecutive relevant items; a query counts at a point
    only if C >= 2 and the recall is at least 1/C. 11 points, recall 0 to 1: the largest precision at that recall
    or beyond. Under ``ties="average"`` a tied item takes its expected rank.

    Args:
        queries: See `retrieval`, as for the arguments that follow.
        gallery: See `retrieval`.
        query_labels: See `retrieval`.
        gallery_labels: See `retrieval`.
        points: 20 or 11.
        distance: See `retrieval`.
        exclude_self: See `retrieval`.
        ties: See `retrieval`.
        chunk: See `retrieval`.

    Returns:
        Recall, mean precision and number of queries at each point.

    Raises:
        MongeError: As `retrieval`, or another number of points.

    Example:
        >>> embeddings = torch.tensor([[0.0], [0.1], [0.3], [5.0]])
        >>> recall_curve(embeddings, query_labels=torch.tensor([0, 0, 0, 1]), points=11).precision[-1]
        tensor(1., dtype=torch.float64)
    """
    if points not in (11, 20):
        raise MongeError(f"points: found {points}, expected 11 or 20")
    task = _Task(queries, gallery, query_labels, gallery_labels, distance, exclude_self)
    mean = _CurveMean(points)
    for hits in task.hits(ties, chunk):
        mean.add(scores.linear_curve(hits) if points == 20 else scores.interpolated_curve(hits))
    return mean.mean()


class _Task:
    """Checked inputs of one evaluation."""

    def __init__(
        self,
        queries: Tensor,
        gallery: Tensor | None,
        query_labels: Tensor | None,
        gallery_labels: Tensor | None,
        distance: Distance,
        exclude_self: bool | None,
    ) -> None:
        if query_labels is None or (gallery is None) != (gallery_labels is None):
            raise MongeError("labels: expected query_labels, and gallery_labels with a gallery and only then")
        alone = gallery is None
        exclude = alone if exclude_self is None else exclude_self
        rows = queries if gallery is None else gallery
        labels = query_labels if gallery_labels is None else gallery_labels
        self.distances = GalleryDistances(queries, rows, distance, left_out=exclude)
        check_labels("query_labels", query_labels, queries.shape[0])
        check_labels("gallery_labels", labels, rows.shape[0])
        if exclude and not alone and not _begins_with(rows, self.distances.queries):
            raise MongeError("exclude_self: the gallery does not begin with the queries, so their own rows are unknown")
        self.query_labels, self.gallery_labels = query_labels, labels
        self.sums = scores.RankSums.upto(self.distances.size, rows.device)

    def hits(self, ties: Ties, chunk: int | None) -> Iterator[Hits]:
        return ranked_hits(self.distances, self.query_labels, self.gallery_labels, ties=ties, chunk=chunk)


def _begins_with(gallery: Tensor, queries: Tensor) -> bool:
    own = gallery[: queries.shape[0]]
    return own.shape == queries.shape and bool((own == queries).all())


def _empty(task: _Task, recall_at: Sequence[int]) -> dict[str, Tensor]:
    if any(depth < 1 for depth in recall_at):
        raise MongeError(f"recall_at: found {tuple(recall_at)}, expected ranks of at least 1")
    keys = ["map", "nn", "ft", "st", "e", "dcg", "r_precision", "map_at_r", *(f"recall_at_{k}" for k in recall_at)]
    count, device = task.query_labels.shape[0], task.distances.gallery.device
    values = {key: torch.full((count,), torch.nan, dtype=torch.float64, device=device) for key in keys}
    return {**values, "relevant": torch.zeros(count, dtype=torch.long, device=device)}


def _fill(per_query: dict[str, Tensor], hits: Hits, sums: scores.RankSums, recall_at: Sequence[int]) -> None:
    first_tier = scores.first_tier(hits)
    values = {
        "map": scores.average_precision(hits, sums),
        "nn": scores.any_hit_within(hits, 1),
        "ft": first_tier,
        "st": scores.first_tier(hits, tiers=2),
        "e": scores.e_measure(hits),
        "dcg": scores.dcg(hits, sums),
        "r_precision": first_tier,
        "map_at_r": scores.average_precision_at_r(hits, sums),
        **{f"recall_at_{k}": scores.any_hit_within(hits, k) for k in recall_at},
    }
    for key, value in values.items():
        per_query[key][hits.queries] = value.masked_fill(hits.relevant == 0, torch.nan)
    per_query["relevant"][hits.queries] = hits.relevant


class _CurveMean:
    """Running mean of curves, leaving out the queries that are NaN at a point."""

    def __init__(self, points: int) -> None:
        self.points = points
        self.total = torch.zeros(points, dtype=torch.float64)
        self.count = torch.zeros(points, dtype=torch.long)

    def add(self, curves: Tensor) -> None:
        self.total += curves.nansum(dim=0).cpu()
        self.count += curves.isfinite().sum(dim=0).cpu()

    def mean(self) -> RecallCurve:
        steps = torch.arange(self.points, dtype=torch.float64)
        recall = (steps + 1) / self.points if self.points == 20 else steps / (self.points - 1)
        return RecallCurve(recall, self.total / self.count, self.count)
