"""The pairs of a batch: which of them count, which are positive, and what each would cost; dense, never index lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from monge.ot import pairwise_cost

Negative = Literal["hinge_sq_dist", "dist_hinge_sq"]

IndicesTuple = Sequence[Tensor]
"""A miner's answer: ``(anchors, positives, negatives)`` or ``(anchors, positives, anchors, negatives)``.

Plain tuples (pytorch-metric-learning 2) and named tuples (version 3) alike; each entry is a 1-D integer tensor.
"""


class PairMasks(NamedTuple):
    """Dense masks over all ``(N, M)`` pairs of a batch and a reference set.

    Attributes:
        same: True at positive pairs, bool ``(N, M)``.
        support: True at the pairs that count, bool ``(N, M)``; ``None`` means all of them.
        balanced: Whether every row has as many pairs as every other, and every column too.
    """

    same: Tensor
    support: Tensor | None
    balanced: bool


def pair_masks(
    n: int,
    m: int,
    device: torch.device,
    labels: Tensor | None,
    ref_labels: Tensor | None,
    indices_tuple: IndicesTuple | None,
    *,
    exclude_diagonal: bool,
) -> PairMasks:
    """Says which pairs count and which of them are positive.

    An ``indices_tuple`` decides alone, as in pytorch-metric-learning: only the pairs it names count, labels are not
    looked at, a pair named several times counts once, and a pair named as both is positive. Without one, pairs of
    equal labels are positive and all others negative.

    Args:
        n: Size of the batch.
        m: Size of the reference set.
        device: Where the masks go.
        labels: Labels of the batch, integers ``(N,)``; may be ``None`` beside an ``indices_tuple``.
        ref_labels: Labels of the reference set, integers ``(M,)``; ``None`` means ``labels``.
        indices_tuple: Triplets or pairs from a miner, or ``None``.
        exclude_diagonal: Leave out pair ``(i, i)``; used only without ``indices_tuple``.

    Raises:
        ValueError: Labels are missing or have the wrong shape, or the tuple has neither 3 nor 4 entries.

    Example:
        >>> labels = torch.tensor([0, 0, 1])
        >>> pair_masks(3, 3, labels.device, labels, None, None, exclude_diagonal=True).same.int()
        tensor([[1, 1, 0],
                [1, 1, 0],
                [0, 0, 1]], dtype=torch.int32)
    """
    if indices_tuple is not None:
        positive, negative = named_pairs(indices_tuple, n, m, device)
        return PairMasks(positive, positive | negative, balanced=False)
    labels, ref_labels = checked_labels(n, m, labels, ref_labels)
    same = labels.to(device).unsqueeze(1) == ref_labels.to(device).unsqueeze(0)  # (N, M)
    support = ~torch.eye(n, dtype=torch.bool, device=device) if exclude_diagonal else None  # (N, M)
    return PairMasks(same, support, balanced=True)


def check_embeddings(x: Tensor, y: Tensor | None = None) -> None:
    """Refuses what is no set of embeddings, or no two that can be compared.

    Args:
        x: Floats ``(N, D)``.
        y: Floats ``(M, D)``; ``None``: there is one set only.

    Raises:
        ValueError: Other shapes or dtypes, or no samples.

    Example:
        >>> check_embeddings(torch.zeros(2, 3), torch.zeros(4, 3))
    """
    both = [x] if y is None else [x, y]
    if any(one.dim() != 2 or one.shape[1] != x.shape[1] or not one.is_floating_point() for one in both):
        found = " and ".join(f"{tuple(one.shape)}" for one in both) + f" of {both[-1].dtype}"
        raise ValueError(f"embeddings: found {found}, expected floats {'(N, D)' if y is None else '(N, D) and (M, D)'}")
    if any(len(one) == 0 for one in both):
        found = " and ".join(str(len(one)) for one in both)
        raise ValueError(f"embeddings: found {found} samples, expected at least one{'' if y is None else ' of each'}")


def check_integers(labels: Tensor) -> None:
    """Refuses labels that are no integers (or bools), of which two may be equal but for their rounding.

    Raises:
        ValueError: Floats or complex numbers.

    Example:
        >>> check_integers(torch.tensor([3, 1]))
    """
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels: found dtype {labels.dtype}, expected integers")


def checked_labels(n: int, m: int, labels: Tensor | None, ref_labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Labels of a batch and its reference set (``None``: those of the batch), once there is one for each embedding.

    Raises:
        ValueError: Labels are missing, have the wrong shape or are no integers.

    Example:
        >>> checked_labels(2, 2, torch.tensor([0, 1]), None)
        (tensor([0, 1]), tensor([0, 1]))
    """
    if labels is None:
        raise ValueError("labels are needed unless an indices_tuple says which pairs are positive and negative")
    ref_labels = labels if ref_labels is None else ref_labels
    if labels.shape != (n,) or ref_labels.shape != (m,):
        raise ValueError(
            f"labels need one entry per embedding: found {tuple(labels.shape)} and {tuple(ref_labels.shape)}, "
            f"expected {(n,)} and {(m,)}"
        )
    check_integers(labels)
    check_integers(ref_labels)
    return labels, ref_labels


def named_pairs(indices_tuple: IndicesTuple, n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Turns a miner's index tuple into two dense masks, positive and negative pairs, each bool ``(N, M)``.

    Args:
        indices_tuple: Triplets (3 tensors) or pairs (4 tensors); anchors index the batch, the rest the reference set.
        n: Size of the batch.
        m: Size of the reference set.
        device: Where the masks go.

    Raises:
        ValueError: The tuple has neither 3 nor 4 entries.

    Example:
        >>> triplets = (torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
        >>> positive, negative = named_pairs(triplets, 3, 3, torch.device("cpu"))
        >>> positive.nonzero().tolist(), negative.nonzero().tolist()
        ([[0, 1]], [[0, 2]])
    """
    if len(indices_tuple) == 3:
        anchors, positives, negatives = indices_tuple
        negative_anchors = anchors
    elif len(indices_tuple) == 4:
        anchors, positives, negative_anchors, negatives = indices_tuple
    else:
        raise ValueError(f"indices_tuple needs 3 (triplets) or 4 (pairs) tensors, found {len(indices_tuple)}")
    return _mask(anchors, positives, n, m, device), _mask(negative_anchors, negatives, n, m, device)


def _mask(rows: Tensor, columns: Tensor, n: int, m: int, device: torch.device) -> Tensor:
    named = torch.zeros(n, m, dtype=torch.bool, device=device)  # (N, M)
    # An empty tuple of a miner may come as float; indices are integers whatever it held.
    where = (rows.to(device, torch.long), columns.to(device, torch.long))
    return named.index_put(where, torch.ones((), dtype=torch.bool, device=device))


def pair_costs(
    embeddings: Tensor, ref_emb: Tensor | None, *, form: Negative, margin: float, pos_margin: float
) -> tuple[Tensor, Tensor]:
    """Cost M+ of every pair were it positive, and M- were it negative.

    Args:
        embeddings: Floats ``(N, D)``; half precision is computed in float32.
        ref_emb: Floats ``(M, D)``; ``None`` means the batch against itself.
        form: ``"hinge_sq_dist"``: M+ = max(0, d^2 - pos_margin), M- = max(0, margin - d^2);
            ``"dist_hinge_sq"``: M+ = max(0, d - pos_margin)^2, M- = max(0, margin - d)^2.
        margin: Beyond it a negative pair costs nothing; unit as in ``form``.
        pos_margin: Below it a positive pair costs nothing; unit as in ``form``.

    Returns:
        M+ and M-, each ``(N, M)``, float32 or float64.

    Raises:
        ValueError: An unknown form.

    Example:
        >>> points = torch.tensor([[0.0], [0.5]])
        >>> positive, negative = pair_costs(points, None, form="hinge_sq_dist", margin=1.0, pos_margin=0.0)
        >>> positive[0].tolist(), negative[0].tolist()
        ([0.0, 0.25], [1.0, 0.75])
    """
    return hinges(pairwise_cost(embeddings, ref_emb), form=form, margin=margin, pos_margin=pos_margin)


def check_costs(negative: str, *, margin: float, gamma: float, epsilon: float, pos_margin: float) -> None:
    """Refuses settings of pair costs, and of the plan for them, that are outside their range.

    Args:
        negative: As ``form`` in `pair_costs`.
        margin: As in `pair_costs`.
        gamma: Sharpness of the ground cost.
        epsilon: Entropic regularisation.
        pos_margin: As in `pair_costs`.

    Raises:
        ValueError: An unknown form, or a number outside its range.

    Example:
        >>> check_costs("hinge_sq_dist", margin=1.0, gamma=10.0, epsilon=0.2, pos_margin=0.0)
    """
    if negative not in get_args(Negative):
        raise ValueError(f"negative is one of {', '.join(get_args(Negative))}, found {negative!r}")
    if not (margin > 0 and gamma > 0 and epsilon > 0 and pos_margin >= 0):
        raise ValueError(
            f"found margin {margin}, gamma {gamma}, epsilon {epsilon} and pos_margin {pos_margin}: the first three "
            "must be positive, the last not negative"
        )


def hinges(squared: Tensor, *, form: Negative, margin: float, pos_margin: float) -> tuple[Tensor, Tensor]:
    """M+ and M- of pairs at given squared distances, each of the shape of ``squared``; arguments as in `pair_costs`.

    Raises:
        ValueError: An unknown form.

    Example:
        >>> hinges(torch.tensor([0.25]), form="dist_hinge_sq", margin=1.5, pos_margin=0.25)
        (tensor([0.0625]), tensor([1.]))
    """
    if form == "hinge_sq_dist":
        positive = torch.relu(squared - pos_margin) if pos_margin else squared
        return positive, torch.relu(margin - squared)
    if form == "dist_hinge_sq":
        distance = _root(squared)
        return torch.relu(distance - pos_margin).square(), torch.relu(margin - distance).square()
    raise ValueError(f"negative is one of {', '.join(get_args(Negative))}, found {form!r}")


def hinge_slopes(squared: Tensor, same: Tensor, *, form: Negative, margin: float, pos_margin: float) -> Tensor:
    """Derivative of the pair costs to the squared distances, for passes that autograd does not see.

    Args:
        squared: Squared distances, ``(N, M)``.
        same: True at positive pairs, bool ``(N, M)``.
        form: As in `pair_costs`.
        margin: As in `pair_costs`.
        pos_margin: As in `pair_costs`.

    Returns:
        ``(N, M)``; 0 where a hinge is at rest, and at coinciding points, where only its product with their difference
        counts.

    Example:
        >>> squared, same = torch.tensor([0.25, 0.25, 4.0]), torch.tensor([True, False, False])
        >>> hinge_slopes(squared, same, form="hinge_sq_dist", margin=1.0, pos_margin=0.0)
        tensor([ 1., -1., -0.])
    """
    if form == "hinge_sq_dist":
        return torch.where(same, (squared > pos_margin).to(squared), -(squared < margin).to(squared))
    distance = _root(squared)
    violation = torch.where(same, torch.relu(distance - pos_margin), -torch.relu(margin - distance))
    together = distance <= 0
    return torch.where(together, 0.0, violation / torch.where(together, 1.0, distance))


def _root(squared: Tensor) -> Tensor:
    # The inner where keeps the square root away from 0, where its derivative is infinite. What is no number stays none.
    together = squared <= 0
    return torch.where(together, 0.0, torch.where(together, 1.0, squared).sqrt())
