"""Logits and targets of a classification loss: checked, flattened, weighted and reduced as torch's cross-entropy does.

Every classification loss is ``batch = class_targets(...)``, one value for each row of ``batch.logits``, and
``batch.reduce(batch.weighted(values))``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Reduction = Literal["none", "mean", "sum"]

# How far a probability target may be from sum 1; more is a mistake, not rounding.
_TOLERANCE = 1e-3


class ClassTargets(NamedTuple):
    """A batch of R predictions over C classes with what they should have been; rows are all places of a batch.

    Attributes:
        logits: ``(R, C)``, float32 or float64.
        labels: Class of each row, int64 ``(R,)``, 0 where the row is ignored; ``None`` for soft targets.
        probabilities: Soft targets ``(R, C)``, smoothed; ``None`` if each row has one class and nothing is smoothed.
        kept: False at rows to ignore, bool ``(R,)``; ``None``: none is.
        sound: False at rows whose target is no class or no distribution, bool ``(R,)``, where looking at it at once
            would hold up the device or the compiler; ``None`` if it was looked at.
        class_weight: Weight of each class ``(C,)`` or ``None``.
        row_weight: Weight of each row ``(R,)``: ``w_k`` of its class, ``sum_k t_k w_k`` for soft targets; or ``None``.
        total: What a mean divides by, a scalar: the weights of the kept rows' classes, or R for probability targets.
        shape: Shape of one value for each place, ``(N, ...)``.
    """

    logits: Tensor
    labels: Tensor | None
    probabilities: Tensor | None
    kept: Tensor | None
    sound: Tensor | None
    class_weight: Tensor | None
    row_weight: Tensor | None
    total: Tensor
    shape: torch.Size

    def one_hot(self) -> Tensor:
        """Targets as probabilities, ``(R, C)``."""
        if self.probabilities is not None:
            return self.probabilities
        assert self.labels is not None
        return torch.zeros_like(self.logits).scatter(1, self.labels.unsqueeze(1), 1.0)

    def weighted(self, values: Tensor) -> Tensor:
        """Values times the weights of their rows; 0 at ignored rows, NaN at unsound ones.

        Args:
            values: Loss of each row, ``(R,)``.
        """
        return self._masked(values if self.row_weight is None else values * self.row_weight)

    def cross_entropy(self, log_probabilities: Tensor | None = None) -> Tensor:
        """Cross-entropy of each row, ``(R,)``, weighted and masked, as ``torch.nn.functional.cross_entropy``.

        Args:
            log_probabilities: ``log_softmax`` of the logits, if it is there already.
        """
        logs = self.logits.log_softmax(-1) if log_probabilities is None else log_probabilities  # (R, C)
        if self.probabilities is None:
            assert self.labels is not None
            return self.weighted(-logs.gather(1, self.labels.unsqueeze(1)).squeeze(1))
        weights = self.probabilities if self.class_weight is None else self.probabilities * self.class_weight
        return self._masked(-(weights * logs).sum(-1))

    def reduce(self, rows: Tensor, reduction: Reduction = "mean") -> Tensor:
        """Brings weighted values to the shape that was asked for.

        Args:
            rows: From :meth:`weighted` or :meth:`cross_entropy`, ``(R,)``.
            reduction: ``"none"``: shape ``(N, ...)``; ``"sum"``; ``"mean"``: the sum over ``total``. The mean over
                nothing (an empty batch, all rows ignored, weights of 0) is 0 with a graph, where torch has NaN.
        """
        if reduction == "none":
            return rows.reshape(self.shape)
        total = rows.sum()
        return total if reduction == "sum" else total / torch.where(self.total == 0, 1.0, self.total)

    def _masked(self, values: Tensor) -> Tensor:
        if self.sound is not None:
            values = torch.where(self.sound, values, torch.nan)
        return values if self.kept is None else torch.where(self.kept, values, 0.0)


def class_targets(
    logits: Tensor,
    targets: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> ClassTargets:
    """Checks what a classification loss is called with, under the rules of ``torch.nn.CrossEntropyLoss``.

    Wrong targets raise an error on the CPU. On other devices, and in compiled graphs, the values cannot be looked at
    without waiting: there a wrong target makes its row NaN.

    Args:
        logits: Scores ``(N, C, ...)`` or ``(C,)``; half precision becomes float32.
        targets: Class indices, integers ``(N, ...)`` or ``()``, or probabilities, floats of the shape of ``logits``
            that sum to 1 over the classes.
        weight: Weight of each class ``(C,)``. A soft target weighs ``sum_k t_k w_k``.
        ignore_index: Class index whose rows count for nothing; class indices only.
        label_smoothing: Share of the target that is spread over all classes evenly.

    Raises:
        ValueError: Shapes, dtypes or values that do not fit.

    Example:
        >>> batch = class_targets(torch.zeros(2, 3), torch.tensor([1, -100]))
        >>> batch.reduce(batch.cross_entropy())  # log 3
        tensor(1.0986)
    """
    if logits.dim() < 1 or not logits.is_floating_point():
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and dtype {logits.dtype}: expected floats (N, C, ...)"
        )
    places = logits.shape[:0] if logits.dim() == 1 else torch.Size((logits.shape[0], *logits.shape[2:]))
    classes = logits.shape[min(1, logits.dim() - 1)]
    if classes == 0:
        raise ValueError(f"logits have shape {tuple(logits.shape)}: expected at least one class")
    check_smoothing(label_smoothing)
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"weight has shape {tuple(weight.shape)}: expected ({classes},), one for each class")
    flat = _rows(logits, classes)
    flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
    weight = None if weight is None else weight.to(flat)
    if targets.is_floating_point():
        return _soft(flat, targets, logits.shape, places, weight, ignore_index, label_smoothing)
    return _indexed(flat, targets, places, weight, ignore_index, label_smoothing)


def check_smoothing(label_smoothing: float) -> None:
    """Refuses a share outside 0 to 1 with a ``ValueError``."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing is {label_smoothing}: expected a share from 0 to 1")


def check_reduction(reduction: str) -> None:
    """Refuses an unknown reduction with a ``ValueError``."""
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction is {reduction!r}: expected one of {', '.join(get_args(Reduction))}")


def _indexed(
    logits: Tensor, targets: Tensor, places: torch.Size, weight: Tensor | None, ignore_index: int, smoothing: float
) -> ClassTargets:
    classes = logits.shape[1]
    if targets.is_complex() or targets.dtype == torch.bool or targets.shape != places:
        hint = "; one-hot targets have to be floats" if targets.dim() == len(places) + 1 else ""
        raise ValueError(
            f"targets have shape {tuple(targets.shape)} and dtype {targets.dtype}: expected class indices "
            f"{tuple(places)}, or probabilities as floats of the shape of the logits{hint}"
        )
    labels = targets.reshape(-1).to(device=logits.device, dtype=torch.int64)  # (R,)
    kept = labels != ignore_index
    inside = (labels >= 0) & (labels < classes)
    sound = None
    if _unseen(logits):
        sound = inside
    elif not bool((inside | ~kept).all()):
        row = int((~inside & kept).nonzero()[0])
        raise ValueError(
            f"target {row} is class {int(labels[row])}: expected 0 to {classes - 1}, or ignore_index {ignore_index}"
        )
    labels = torch.where(kept & inside, labels, 0)
    row_weight = None if weight is None else weight[labels]  # (R,)
    total = (kept.to(logits.dtype) if row_weight is None else torch.where(kept, row_weight, 0.0)).sum()
    probabilities = None
    if smoothing > 0.0:
        probabilities = torch.full_like(logits, smoothing / classes)
        probabilities = probabilities.scatter(1, labels.unsqueeze(1), 1.0 - smoothing + smoothing / classes)
        row_weight = None if weight is None else probabilities @ weight
    return ClassTargets(logits, labels, probabilities, kept, sound, weight, row_weight, total, places)


def _soft(
    logits: Tensor,
    targets: Tensor,
    shape: torch.Size,
    places: torch.Size,
    weight: Tensor | None,
    ignore_index: int,
    smoothing: float,
) -> ClassTargets:
    if targets.shape != shape:
        raise ValueError(
            f"probability targets have shape {tuple(targets.shape)}: expected that of the logits, {tuple(shape)} "
            "(class indices have to be integers)"
        )
    if ignore_index >= 0:
        raise ValueError(f"ignore_index is {ignore_index}: only class indices can be ignored, found probabilities")
    rows = _rows(targets, logits.shape[1]).to(device=logits.device)
    tolerance = max(_TOLERANCE, 2.0 * torch.finfo(rows.dtype).eps)
    rows = rows.to(logits.dtype)  # (R, C)
    sums = rows.detach().sum(1)  # (R,)
    sound: Tensor | None = ((sums - 1.0).abs() <= tolerance) & (rows.detach() >= 0).all(1)
    if not _unseen(logits):
        assert sound is not None
        if not bool(sound.all()):
            row = int((~sound).nonzero()[0])
            least = float(rows[row].min())
            found = f"sums to {float(sums[row]):.6g}" if least >= 0 else f"holds {least:.6g}"
            raise ValueError(f"probability target {row} {found}: expected numbers from 0 on that sum to 1")
        sound = None
    if tolerance > _TOLERANCE:  # half precision cannot hold a sum of 1 as closely as the engine wants it
        rows = rows / rows.sum(1, keepdim=True)
    if smoothing > 0.0:
        rows = rows * (1.0 - smoothing) + smoothing / logits.shape[1]
    row_weight = None if weight is None else rows @ weight
    total = logits.new_full((), float(len(logits)))
    return ClassTargets(logits, None, rows, None, sound, weight, row_weight, total, places)


def _rows(values: Tensor, classes: int) -> Tensor:
    return values.reshape(-1, classes) if values.dim() <= 2 else values.movedim(1, -1).reshape(-1, classes)


def _unseen(logits: Tensor) -> bool:
    """Whether looking at values would hold up a device or break a compiled graph."""
    return torch.compiler.is_compiling() or logits.device.type != "cpu"
