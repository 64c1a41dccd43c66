"""Rankings that look at other queries than the one that asks: to be reported apart from those that do not.

Both take from gallery items that are near to everything. A system that answers one query at a time has no such
knowledge of the other test queries; a bank of training queries it may have.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.cross_modal import blocks, both_directions, first_ranks
from monge.metrics.distances import GalleryDistances


def dual_softmax_retrieval(
    x_emb: Tensor,
    y_emb: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    *,
    temperature: float = 0.01,
    recall_at: Sequence[int] = (1, 5, 10, 50),
    chunk: int | None = None,
) -> dict[str, float]:
    """`cross_modal_retrieval` by cosines times their softmax over all queries of the test set.

    ``s_qg exp(s_qg / t) / sum_q' exp(s_q'g / t)`` (Cheng et al., "Improving video-text retrieval by multi-stream corpus
    alignment and dual softmax loss", 2021), each direction with its own queries.

    Args:
        x_emb: ``(N, D)``.
        y_emb: ``(M, D)``.
        x_labels: ``(N,)`` integers.
        y_labels: ``(M,)`` integers.
        temperature: Divides the cosines in the softmax; positive. 0.01 is where CLIP's trained temperature ends.
        recall_at: See `cross_modal_retrieval`.
        chunk: Queries at a time.

    Returns:
        As `cross_modal_retrieval`.

    Raises:
        MongeError: As there, or a temperature that is not positive.

    Example:
        >>> x, labels = torch.eye(3), torch.arange(3)
        >>> dual_softmax_retrieval(x, x, labels, labels)["q2g_r1"]
        1.0
    """
    if not temperature > 0:
        raise MongeError(f"temperature: found {temperature}, expected more than 0")

    def ranks(queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor) -> Tensor:
        total = _log_sums(queries, gallery, 1.0 / temperature, chunk)[0]  # (N,)

        def rescore(scores: Tensor) -> Tensor:
            return scores * torch.exp(scores / temperature - total)

        return first_ranks(queries, gallery, query_labels, gallery_labels, rescore=rescore, chunk=chunk)

    there = ranks(x_emb, y_emb, x_labels, y_labels)
    return both_directions(there, ranks(y_emb, x_emb, y_labels, x_labels), recall_at)


def querybank_retrieval(
    x_emb: Tensor,
    y_emb: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    x_bank: Tensor,
    y_bank: Tensor,
    *,
    beta: float = 20.0,
    dynamic: bool = True,
    recall_at: Sequence[int] = (1, 5, 10, 50),
    chunk: int | None = None,
) -> dict[str, float]:
    """`cross_modal_retrieval` with scores normalised by a bank of other queries, such as those of training.

    ``exp(beta s_qg) / sum_b exp(beta s_bg)``, b over the bank (Bogolin et al., "Cross modal retrieval with querybank
    normalisation", CVPR 2022).

    Args:
        x_emb: ``(N, D)``.
        y_emb: ``(M, D)``.
        x_labels: ``(N,)`` integers.
        y_labels: ``(M,)`` integers.
        x_bank: ``(K, D)`` queries that normalise the way from x to y.
        y_bank: ``(L, D)`` the same for the way back.
        beta: Inverse temperature, positive; the paper's 20.
        dynamic: Leave queries alone whose nearest item is nobody's in the bank (the paper's dynamic inverted softmax).
        recall_at: See `cross_modal_retrieval`.
        chunk: Queries at a time.

    Returns:
        As `cross_modal_retrieval`.

    Raises:
        MongeError: As there, or a beta that is not positive.

    Example:
        >>> x, labels = torch.eye(3), torch.arange(3)
        >>> querybank_retrieval(x, x, labels, labels, x, x)["q2g_r1"]
        1.0
    """
    if not beta > 0:
        raise MongeError(f"beta: found {beta}, expected more than 0")

    def ranks(queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, bank: Tensor) -> Tensor:
        total, near = _log_sums(bank, gallery, beta, chunk)  # (N,), (N,)

        def rescore(scores: Tensor) -> Tensor:
            normalised = beta * scores - total  # (B, N); its logarithm ranks alike
            if not dynamic:
                return normalised
            hub = near[scores.argmax(1)]  # (B,)
            return torch.where(hub.unsqueeze(1), normalised, scores)

        return first_ranks(queries, gallery, query_labels, gallery_labels, rescore=rescore, chunk=chunk)

    there = ranks(x_emb, y_emb, x_labels, y_labels, x_bank)
    return both_directions(there, ranks(y_emb, x_emb, y_labels, x_labels, y_bank), recall_at)


def _log_sums(queries: Tensor, gallery: Tensor, beta: float, chunk: int | None) -> tuple[Tensor, Tensor]:
    """``log sum_q exp(beta s_qg)`` and whether g is the nearest item of some query, each ``(N,)``."""
    distances = GalleryDistances(queries, gallery, "cosine")
    device = distances.gallery.device
    total = torch.full((len(gallery),), -torch.inf, device=device)
    near = torch.zeros(len(gallery), dtype=torch.bool, device=device)
    for _, keys in blocks(distances, chunk):
        scores = 1.0 - keys  # (B, N)
        total = torch.logaddexp(total, torch.logsumexp(beta * scores, 0))
        near[scores.argmax(1)] = True
    return total, near
