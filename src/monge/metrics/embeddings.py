"""Checks on embeddings and labels before anything is ranked: shapes, finite values, matching lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.errors import MongeError


def check_embeddings(name: str, embeddings: Tensor) -> float:
    """Checks that a set of embeddings can be ranked.

    Args:
        name: What to call it in an error message, e.g. ``"gallery"``.
        embeddings: ``(N, D)``, any floating dtype, N and D at least 1.

    Returns:
        The largest absolute value.

    Raises:
        MongeError: Not a floating ``(N, D)`` tensor, empty, or with a NaN or infinite value (its row is named).

    Example:
        >>> check_embeddings("gallery", torch.tensor([[3.0, -4.0]]))
        4.0
    """
    if embeddings.dim() != 2 or not embeddings.is_floating_point():
        shape, dtype = tuple(embeddings.shape), embeddings.dtype
        raise MongeError(f"{name}: found a {dtype} tensor of shape {shape}, expected floating embeddings (N, D)")
    if embeddings.numel() == 0:
        raise MongeError(f"{name}: found no embeddings (shape {tuple(embeddings.shape)}), expected at least one")
    # One pass without a temporary: aminmax carries NaN through, and Inf is its own extreme.
    low, high = (float(extreme) for extreme in torch.aminmax(embeddings.detach()))
    largest = max(-low, high)
    if not largest < float("inf"):
        row = _first_bad_row(embeddings)
        raise MongeError(f"{name}: row {row} has a NaN or infinite value, expected finite embeddings")
    return largest


def _first_bad_row(embeddings: Tensor, block: int = 65536) -> int:
    for start in range(0, embeddings.shape[0], block):
        bad = (~torch.isfinite(embeddings[start : start + block])).any(dim=1)
        if bool(bad.any()):
            return start + int(bad.nonzero()[0, 0])
    raise AssertionError("every row is finite")


def check_labels(name: str, labels: Tensor, length: int) -> None:
    """Checks that labels are one integer an embedding.

    Args:
        name: What to call them in an error message.
        labels: ``(N,)`` of any integer dtype (or bool).
        length: The N that is expected.

    Raises:
        MongeError: Not one-dimensional, not integers, or of another length.

    Example:
        >>> check_labels("query_labels", torch.tensor([0, 1]), length=2)
    """
    if labels.shape != (length,):
        raise MongeError(f"{name}: found shape {tuple(labels.shape)}, expected ({length},), one label an embedding")
    if labels.is_floating_point() or labels.is_complex():
        raise MongeError(f"{name}: found dtype {labels.dtype}, expected integer class labels")


def check_same_width(queries: Tensor, gallery: Tensor) -> None:
    """Checks that queries and gallery live in the same space.

    Args:
        queries: ``(Q, D)``.
        gallery: ``(N, D)``.

    Raises:
        MongeError: The two D differ.

    Example:
        >>> check_same_width(torch.zeros(2, 3), torch.zeros(5, 3))
    """
    if queries.shape[1] != gallery.shape[1]:
        raise MongeError(
            f"gallery: found embeddings of size {gallery.shape[1]}, expected {queries.shape[1]} as queries"
        )
