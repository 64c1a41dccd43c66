"""Face verification in folds: a threshold learned on all folds but one decides which pairs of that one are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.roc import auc, check_pairs, equal_error_rate, tar_at_far
from monge.ot.precision import widest_float

VerificationProtocol = Literal["insightface", "exact"]

# The grids of InsightFace's program: numpy.arange(0, 4, 0.01) and numpy.arange(0, 4, 0.001), bit for bit.
_GRID = torch.arange(400, dtype=torch.float64) * 0.01
_FINE_GRID = torch.arange(4000, dtype=torch.float64) * 0.001


@dataclass(frozen=True)
class Verification:
    """What `verify` found, one number a fold.

    Attributes:
        protocol: Which thresholds were tried.
        accuracies: Share of the fold's pairs that are decided rightly, float64 ``(F,)``.
        thresholds: Squared distance below which a pair counts as the same, learned on the other folds, ``(F,)``.
        val: Share of the fold's genuine pairs accepted at the validation threshold; NaN without any, ``(F,)``.
        far: Share of its impostor pairs accepted at that threshold; NaN without any, ``(F,)``.
        val_thresholds: The validation threshold, chosen for a false-accept rate on the other folds, ``(F,)``.

    Example:
        >>> result = verify(torch.tensor([0.2, 1.9, 0.2, 1.7]), torch.tensor([1, 0, 1, 0]), contiguous_folds(4, 2))
        >>> result.accuracy, result.accuracy_std
        (1.0, 0.0)
    """

    protocol: VerificationProtocol
    accuracies: Tensor
    thresholds: Tensor
    val: Tensor
    far: Tensor
    val_thresholds: Tensor

    @property
    def accuracy(self) -> float:
        """Mean over the folds."""
        return float(self.accuracies.numpy().mean())

    @property
    def accuracy_std(self) -> float:
        """Population standard deviation over the folds."""
        return float(self.accuracies.numpy().std())

    @property
    def val_mean(self) -> float:
        """Mean acceptance of genuine pairs at the validation thresholds."""
        return float(self.val.numpy().mean())

    @property
    def val_std(self) -> float:
        """Population standard deviation of the same."""
        return float(self.val.numpy().std())

    @property
    def far_mean(self) -> float:
        """Mean acceptance of impostor pairs at the validation thresholds."""
        return float(self.far.numpy().mean())


def contiguous_folds(pairs: int, folds: int = 10) -> Tensor:
    """Fold numbers of pairs that stand in the order of a protocol: contiguous parts, the first ones longer by one.

    Args:
        pairs: How many.
        folds: How many parts.

    Returns:
        int64 ``(P,)``, from 0 on.

    Raises:
        MongeError: Fewer pairs than folds.

    Example:
        >>> contiguous_folds(5, 2)
        tensor([0, 0, 0, 1, 1])
    """
    if not 2 <= folds <= pairs:
        raise MongeError(f"folds: found {folds} for {pairs} pairs, expected at least 2 and at most one a pair")
    sizes = torch.full((folds,), pairs // folds)
    sizes[: pairs % folds] += 1
    return torch.repeat_interleave(torch.arange(folds), sizes)


def verify(
    distances: Tensor,
    same: Tensor,
    folds: Tensor | int = 10,
    *,
    protocol: VerificationProtocol = "insightface",
    far_target: float = 1e-3,
) -> Verification:
    """Accuracy in folds, and acceptance at a false-accept rate that is set on the other folds.

    In every fold the threshold is the first one of those tried with the best accuracy on the pairs of all other folds,
    and a pair counts as the same if its distance is smaller, not equal. The validation threshold stands where the
    false-accept rate of the other folds reaches `far_target`, interpolated between two thresholds, or at 0 if no
    threshold reaches it.

    Args:
        distances: Squared Euclidean distances of unit embeddings, ``(P,)``, see `pair_distances`.
        same: ``(P,)`` bool, or integers 0 and 1.
        folds: Fold number of each pair ``(P,)``, or how many contiguous folds to make.
        protocol: ``"insightface"`` tries 0, 0.01 ... 3.99, and 0, 0.001 ... 3.999 for the validation threshold, as
            InsightFace's program does. ``"exact"`` tries all that make a difference: the midpoints between neighbouring
            distances of the other folds, and one below and one above them all.
        far_target: The false-accept rate of the validation threshold.

    Returns:
        A `Verification`.

    Raises:
        MongeError: Pairs that cannot be measured, or fewer than two folds.

    Example:
        >>> distances = torch.tensor([0.505, 0.515, 0.505, 0.515])
        >>> same, folds = torch.tensor([True, False, True, False]), torch.tensor([0, 0, 1, 1])
        >>> verify(distances, same, folds).accuracy, verify(distances, same, folds, protocol="exact").accuracy
        (1.0, 1.0)
    """
    if protocol not in get_args(VerificationProtocol):
        raise MongeError(f"protocol: found {protocol!r}, expected one of {', '.join(get_args(VerificationProtocol))}")
    genuine, impostor = check_pairs(distances, same)
    if bool((distances < 0).any()):
        raise MongeError(f"distances: found {float(distances.min()):g}, expected squared distances, not similarities")
    if not len(genuine) or not len(impostor):
        found = f"{len(genuine)} genuine and {len(impostor)} impostor pairs"
        raise MongeError(f"same: found {found}, expected both kinds")
    values, is_same = distances.detach().double().cpu(), same.bool().cpu()
    number = contiguous_folds(len(values), folds) if isinstance(folds, int) else folds.cpu()
    if number.shape != values.shape:
        raise MongeError(f"folds: found shape {tuple(number.shape)}, expected {tuple(values.shape)}, one a pair")
    names, number = torch.unique(number, return_inverse=True)
    if len(names) < 2:
        raise MongeError(f"folds: found {len(names)}, expected at least 2: a threshold is learned on the others")
    rows = []
    for fold in range(len(names)):
        inside = number == fold
        train = SortedPairs(values[~inside], is_same[~inside])
        test = SortedPairs(values[inside], is_same[inside])
        if not len(train.genuine) or not len(train.impostor):
            raise MongeError(f"folds: all but fold {int(names[fold])} have pairs of one kind only, expected both kinds")
        tried = train.thresholds(protocol)
        best = train.best_of(tried)  # (1,)
        if protocol == "insightface":
            limit = _interpolated(_FINE_GRID, train.far(_FINE_GRID), far_target)  # (1,)
        else:
            limit = tried[(train.far(tried) <= far_target).nonzero()[-1:, 0]]
        accuracy = test.right(best).double() / int(inside.sum())
        rows.append(torch.cat([accuracy, best, test.tar(limit), test.far(limit), limit]))
    return Verification(protocol, *torch.stack(rows, dim=1))


def pair_distances(embeddings: Tensor, first: Tensor, second: Tensor, chunk: int = 16384) -> Tensor:
    """Squared Euclidean distances of pairs of embeddings scaled to unit length, in float64 and bounded memory.

    Args:
        embeddings: ``(N, D)``, of any length; see `flip_sum`.
        first: One side of each pair, rows of `embeddings`, ``(P,)``.
        second: The other side, ``(P,)``.
        chunk: Pairs at a time.

    Returns:
        float64 ``(P,)``, from 0 to 4.

    Raises:
        MongeError: No floating embeddings, sides that differ in length, or that are no rows of `embeddings`.

    Example:
        >>> pair_distances(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]), torch.tensor([0, 1]))
        tensor([0., 2.], dtype=torch.float64)
    """
    _check_floats("embeddings", embeddings)
    check_rows(len(embeddings), first, second)
    out = torch.empty(len(first), dtype=torch.float64, device=embeddings.device)
    for start in range(0, len(first), chunk):
        part = slice(start, start + chunk)
        x, y = (unit_rows(embeddings[side[part].long()]) for side in (first, second))
        out[part] = (x - y).square().sum(dim=1)
    return out


def check_rows(count: int, first: Tensor, second: Tensor) -> None:
    """Checks that pairs name rows that exist.

    Args:
        count: How many rows there are.
        first: One side of each pair, ``(P,)``.
        second: The other side, ``(P,)``.

    Raises:
        MongeError: Sides that differ in length, are no integers or name other rows.

    Example:
        >>> check_rows(2, torch.tensor([0]), torch.tensor([1]))
    """
    if first.dim() != 1 or first.shape != second.shape:
        raise MongeError(f"first and second: found {tuple(first.shape)} and {tuple(second.shape)}, expected (P,) twice")
    for name, side in (("first", first), ("second", second)):
        if side.is_floating_point() or side.is_complex():
            raise MongeError(f"{name}: found dtype {side.dtype}, expected integers, rows of the embeddings")
        if side.numel() and not 0 <= int(side.min()) <= int(side.max()) < count:
            found = f"{int(side.min())} to {int(side.max())}"
            raise MongeError(f"{name}: found rows {found}, expected rows of the embeddings, 0 to {count - 1}")


def flip_sum(embeddings: Tensor, mirrored: Tensor) -> Tensor:
    """What the field compares: the embedding of a picture plus that of its mirror image, scaled to unit length.

    Args:
        embeddings: ``(N, D)``, as the network gives them, not scaled.
        mirrored: ``(N, D)``, of the mirrored pictures.

    Returns:
        float64 ``(N, D)``, float32 on a device without it; a row that sums to zero stays zero.

    Raises:
        MongeError: No floating embeddings, or other shapes than one another's.

    Example:
        >>> flip_sum(torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 3.0]]))
        tensor([[0.6000, 0.8000]], dtype=torch.float64)
    """
    _check_floats("embeddings", embeddings)
    _check_floats("mirrored", mirrored)
    if embeddings.shape != mirrored.shape:
        raise MongeError(f"mirrored: found shape {tuple(mirrored.shape)}, expected {tuple(embeddings.shape)}")
    wide = widest_float(embeddings.device)
    return unit_rows(embeddings.detach().to(wide) + mirrored.detach().to(wide))


def _check_floats(name: str, embeddings: Tensor) -> None:
    if embeddings.dim() != 2 or not embeddings.is_floating_point():
        found = f"{embeddings.dtype} {tuple(embeddings.shape)}"
        raise MongeError(f"{name}: found {found}, expected floating embeddings (N, D)")


def unit_rows(rows: Tensor) -> Tensor:
    """Rows scaled to unit length, in float64 where the device has it; a zero row stays zero.

    Args:
        rows: ``(N, D)``.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]], dtype=torch.float64)
    """
    wide = rows.detach().to(widest_float(rows.device))
    length = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
    return wide / torch.where(length > 0, length, 1.0)


def verification_metrics(
    distances: Tensor,
    same: Tensor,
    folds: Tensor | int = 10,
    *,
    protocol: VerificationProtocol = "insightface",
    fars: Sequence[float] = (1e-3,),
) -> dict[str, float]:
    """All that is reported of a set of pairs, by name.

    Args:
        distances: Squared distances ``(P,)``.
        same: ``(P,)`` bool, or integers 0 and 1.
        folds: Fold numbers ``(P,)``, or how many contiguous ones.
        protocol: As for `verify`.
        fars: False-accept rates at which the acceptance over all pairs is told.

    Returns:
        ``accuracy`` and ``accuracy_std`` over the folds, ``val`` and ``val_std`` at a false-accept rate of 0.001,
        ``eer``, ``auc``, and ``tar_at_far_1e-03`` and the like.

    Raises:
        MongeError: As for `verify`, or pairs of one kind only.

    Example:
        >>> found = verification_metrics(torch.tensor([0.2, 1.9, 0.2, 1.7]), torch.tensor([1, 0, 1, 0]), 2, fars=(0.5,))
        >>> found["accuracy"], found["auc"], found["tar_at_far_5e-01"]
        (1.0, 1.0, 1.0)
    """
    result = verify(distances, same, folds, protocol=protocol)
    found = {
        "accuracy": result.accuracy,
        "accuracy_std": result.accuracy_std,
        "val": result.val_mean,
        "val_std": result.val_std,
        "eer": equal_error_rate(-distances, same),
        "auc": auc(-distances, same),
    }
    return found | {f"tar_at_far_{far:.0e}": tar for far, tar in tar_at_far(-distances, same, fars).items()}


class SortedPairs:
    """Distances of some pairs, sorted, so that it is quickly told how many lie below thresholds.

    Args:
        distances: Squared distances, float64 ``(P,)``.
        same: bool ``(P,)``.

    Example:
        >>> pairs = SortedPairs(torch.tensor([0.2, 1.9]).double(), torch.tensor([True, False]))
        >>> pairs.right(pairs.thresholds("exact")).tolist()
        [1, 2, 1]
    """

    def __init__(self, distances: Tensor, same: Tensor) -> None:
        self.genuine, self.impostor = distances[same].sort().values, distances[~same].sort().values

    def thresholds(self, protocol: VerificationProtocol) -> Tensor:
        """The thresholds that a protocol tries, rising."""
        return _GRID if protocol == "insightface" else self._midpoints()

    def best_of(self, thresholds: Tensor) -> Tensor:
        """The first of the thresholds that decide the most pairs rightly, ``(1,)``."""
        return thresholds[self.right(thresholds).argmax()[None]]

    def _midpoints(self) -> Tensor:
        """A threshold in every gap between distances, one below and one above them all."""
        values = torch.unique(torch.cat([self.genuine, self.impostor]))
        return torch.cat([values[:1], (values[1:] + values[:-1]) / 2, values[-1:] + 1])

    def right(self, thresholds: Tensor) -> Tensor:
        """Pairs decided rightly at each threshold."""
        accepted = torch.searchsorted(self.genuine, thresholds)
        return accepted + len(self.impostor) - torch.searchsorted(self.impostor, thresholds)

    def far(self, thresholds: Tensor) -> Tensor:
        """Share of impostor pairs below each threshold; NaN without any."""
        return torch.searchsorted(self.impostor, thresholds).double() / len(self.impostor)

    def tar(self, thresholds: Tensor) -> Tensor:
        """Share of genuine pairs below each threshold; NaN without any."""
        return torch.searchsorted(self.genuine, thresholds).double() / len(self.genuine)


def _interpolated(thresholds: Tensor, far: Tensor, target: float) -> Tensor:
    """Where the false-accept rate reaches the target, between two thresholds, ``(1,)``; 0 if it never does."""
    above = (far > target).nonzero()[:1, 0]
    if not len(above):  # not passed, perhaps reached
        return thresholds[-1:] if bool((far == target).any()) else thresholds.new_zeros(1)
    below = above - 1  # exists: nothing is nearer than the first threshold, 0
    part = (target - far[below]) / (far[above] - far[below])
    return thresholds[below] + part * (thresholds[above] - thresholds[below])
