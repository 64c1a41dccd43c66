"""Retrieval between two modalities, both ways: at which rank a query finds what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.distances import Distance, GalleryDistances
from monge.metrics.embeddings import check_labels

# Ranks whose recalls make the geometric mean.
_MEAN_OF = (1, 5, 10)

Rescore = Callable[[Tensor], Tensor]
"""From scores of some queries ``(B, N)``, larger is better, to others of the same shape."""


def cross_modal_retrieval(
    x_emb: Tensor,
    y_emb: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    *,
    distance: Distance = "cosine",
    recall_at: Sequence[int] = (1, 5, 10, 50),
    x_counted: Tensor | None = None,
    y_counted: Tensor | None = None,
    chunk: int | None = None,
) -> dict[str, float]:
    """Ranks of what belongs together, queries x to gallery y (``q2g``) and the other way round (``g2q``).

    A sample belongs to all samples of the other side with its label: a clip to each of its captions, of which the best
    placed counts. Its rank is ``1 + items nearer + half of the items as near``; with several of its own among equally
    near items, the expected rank of the first of them. Ties never change the number of queries. Every query is ranked
    against the whole other side, in memory for one block of queries at a time.

    Args:
        x_emb: ``(N, D)`` embeddings of the queries, any floating dtype.
        y_emb: ``(M, D)`` embeddings of the gallery.
        x_labels: ``(N,)`` integers.
        y_labels: ``(M,)`` integers.
        distance: ``"cosine"``, ``"euclidean"`` or ``"sqeuclidean"``.
        recall_at: Ranks K of ``q2g_rK`` and ``g2q_rK``.
        x_counted: False at queries that are filling and belong nowhere, bool ``(N,)``.
        y_counted: The same of the gallery, ``(M,)``.
        chunk: Queries at a time; no effect on results.

    Returns:
        For each direction, ``q2g`` and ``g2q``: ``_rK``, the share of queries of rank at most K; ``_medr`` and
        ``_meanr``, median and mean rank; ``_geometric_mean`` of R@1, R@5 and R@10; ``_queries`` that were averaged and
        ``_skipped_queries`` that nothing belongs to. ``geometric_mean`` is the mean of both directions'.

    Raises:
        MongeError: Embeddings or labels of a wrong shape, NaN or infinite embeddings, a rank below 1, or a direction in
            which no query has anything to find.

    Example:
        >>> captions, clips = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), torch.eye(2)
        >>> found = cross_modal_retrieval(captions, clips, torch.tensor([0, 0, 1]), torch.tensor([0, 1]))
        >>> found["q2g_r1"], found["g2q_medr"], found["geometric_mean"]
        (1.0, 1.0, 1.0)
    """
    x_emb, x_labels = _counted("x", x_emb, x_labels, x_counted)
    y_emb, y_labels = _counted("y", y_emb, y_labels, y_counted)
    there = first_ranks(x_emb, y_emb, x_labels, y_labels, distance=distance, chunk=chunk)
    back = first_ranks(y_emb, x_emb, y_labels, x_labels, distance=distance, chunk=chunk)
    return both_directions(there, back, recall_at)


def both_directions(there: Tensor, back: Tensor, recall_at: Sequence[int] = (1, 5, 10, 50)) -> dict[str, float]:
    """The figures of `cross_modal_retrieval` from the ranks of both directions.

    Args:
        there: ``(N,)`` ranks of the queries, NaN where there is nothing to find.
        back: ``(M,)`` ranks of the gallery items.
        recall_at: See `cross_modal_retrieval`.

    Raises:
        MongeError: A rank below 1, or only NaN.

    Example:
        >>> both_directions(torch.tensor([1.0, 3.0, 2.0]), torch.tensor([1.0]), recall_at=(1,))["q2g_medr"]
        2.0
    """
    figures = {"q2g": rank_summary(there, recall_at), "g2q": rank_summary(back, recall_at)}
    result = {f"{way}_{name}": value for way, found in figures.items() for name, value in found.items()}
    return {**result, "geometric_mean": sum(found["geometric_mean"] for found in figures.values()) / 2}


def rank_summary(ranks: Tensor, recall_at: Sequence[int] = (1, 5, 10, 50)) -> dict[str, float]:
    """Recalls, median, mean and geometric mean of ranks.

    Args:
        ranks: ``(Q,)``, from 1; NaN for queries that nothing belongs to.
        recall_at: Ranks K of ``rK``.

    Returns:
        ``rK``, ``medr``, ``meanr``, ``geometric_mean``, ``queries``, ``skipped_queries``.

    Raises:
        MongeError: A K below 1, or only NaN.

    Example:
        >>> found = rank_summary(torch.tensor([1.0, 3.0, 2.0]), recall_at=(1, 2))
        >>> round(found["r1"], 3), found["medr"], found["meanr"]
        (0.333, 2.0, 2.0)
    """
    if any(depth < 1 for depth in recall_at):
        raise MongeError(f"recall_at: found {tuple(recall_at)}, expected ranks of at least 1")
    used = ranks[~ranks.isnan()].double()
    if len(used) == 0:
        raise MongeError("labels: no query has anything on the other side, expected shared labels")
    ordered = used.sort().values
    median = 0.5 * (ordered[(len(used) - 1) // 2] + ordered[len(used) // 2])

    def recall(depth: int) -> float:
        return float((used <= depth).double().mean())

    product = torch.tensor([recall(depth) for depth in _MEAN_OF], dtype=torch.float64).prod()
    return {
        **{f"r{depth}": recall(depth) for depth in recall_at},
        "medr": float(median),
        "meanr": float(used.mean()),
        "geometric_mean": float(product ** (1 / len(_MEAN_OF))),
        "queries": float(len(used)),
        "skipped_queries": float(len(ranks) - len(used)),
    }


def first_ranks(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    distance: Distance = "cosine",
    rescore: Rescore | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Rank of the nearest gallery item of each query's own label; see `cross_modal_retrieval` for ties.

    Args:
        queries: ``(Q, D)``.
        gallery: ``(N, D)``.
        query_labels: ``(Q,)``.
        gallery_labels: ``(N,)``.
        distance: See `cross_modal_retrieval`.
        rescore: Ranks by what this makes of the scores, which are 1 less the distance: cosines.
        chunk: Queries at a time.

    Returns:
        ``(Q,)`` float64, NaN where no item has the query's label.

    Raises:
        MongeError: As `cross_modal_retrieval`, but queries without an item are no error.

    Example:
        >>> first_ranks(torch.eye(2), torch.eye(2), torch.tensor([5, 6]), torch.tensor([6, 6]))
        tensor([nan, 1.], dtype=torch.float64)
    """
    distances = GalleryDistances(queries, gallery, distance)
    check_labels("query_labels", query_labels, len(queries))
    check_labels("gallery_labels", gallery_labels, len(gallery))
    device = distances.gallery.device
    query_labels, gallery_labels = query_labels.to(device).long(), gallery_labels.to(device).long()
    ranks = torch.full((len(queries),), torch.nan, dtype=torch.float64, device=device)
    for which, keys in blocks(distances, chunk):
        worse = keys if rescore is None else -rescore(1.0 - distances.to_distance(keys))
        ranks[which] = _of_first(worse, query_labels[which], gallery_labels)
    return ranks


def ranks_of_scores(scores: Tensor, query_labels: Tensor, gallery_labels: Tensor) -> Tensor:
    """As `first_ranks`, of scores that exist.

    Args:
        scores: ``(Q, N)``, larger is better.
        query_labels: ``(Q,)``.
        gallery_labels: ``(N,)``.

    Raises:
        MongeError: Labels of a wrong shape, or a NaN score.

    Example:
        >>> scores = torch.tensor([[0.9, 0.1, 0.3], [0.8, 0.2, 0.5], [0.4, 0.4, 0.4]])
        >>> ranks_of_scores(scores, torch.arange(3), torch.arange(3))
        tensor([1., 3., 2.], dtype=torch.float64)
    """
    if scores.dim() != 2 or not scores.is_floating_point() or bool(scores.isnan().any()):
        raise MongeError(f"scores: found {scores.dtype} {tuple(scores.shape)}, expected floats (Q, N) without NaN")
    check_labels("query_labels", query_labels, scores.shape[0])
    check_labels("gallery_labels", gallery_labels, scores.shape[1])
    return _of_first(-scores, query_labels.to(scores.device), gallery_labels.to(scores.device))


def blocks(distances: GalleryDistances, chunk: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Positions ``(B,)`` and ranking keys ``(B, N)`` of the queries, one block after another.

    Args:
        distances: Of the queries to the gallery.
        chunk: Queries at a time; by default what fits a fixed budget.
    """
    step = distances.chunk(chunk)
    queries = len(distances.queries)
    for start in range(0, queries, step):
        which = torch.arange(start, min(start + step, queries), device=distances.gallery.device)
        yield which, distances.rows(which)


def _of_first(worse: Tensor, query_labels: Tensor, gallery_labels: Tensor) -> Tensor:
    """Ranks ``(B,)`` among keys ``(B, N)``, smaller is better."""
    own = query_labels.unsqueeze(1) == gallery_labels  # (B, N)
    best = worse.masked_fill(~own, torch.inf).amin(1, keepdim=True)  # (B, 1)
    tied = worse == best  # (B, N)
    # The first of h items in a random order of t comes, on average, at place (t + 1) / (h + 1).
    place = (tied.sum(1) + 1).double() / ((tied & own).sum(1) + 1).double()
    return torch.where(own.any(1), (worse < best).sum(1) + place, torch.nan)


def _counted(name: str, embeddings: Tensor, labels: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor]:
    if counted is None:
        return embeddings, labels
    if counted.shape != (len(embeddings),) or counted.dtype != torch.bool:
        found = f"{tuple(counted.shape)} of {counted.dtype}"
        raise MongeError(f"{name}_counted: found {found}, expected {(len(embeddings),)} of torch.bool")
    return embeddings[counted.to(embeddings.device)], labels[counted.to(labels.device)]
