"""What the classification losses with a ground distance have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monge.ground import GroundLike, Learned, as_ground
from monge.losses.class_targets import ClassTargets, Reduction, check_reduction, check_smoothing, class_targets


class GroundLoss(nn.Module):
    """A classification loss over a ground distance, called like ``torch.nn.CrossEntropyLoss``.

    A subclass gives `_rows`. With a `Learned` ground the loss takes the features too, observes them in training mode,
    is plain cross-entropy until the ground's head start is over, and wants ``end_epoch`` called after each epoch.

    Args:
        ground: A `monge.ground` distance, a matrix ``(C, C)``, or ``None`` for ordered classes of unit spacing.
        weight: Weight of each class ``(C,)``; a soft target weighs ``sum_k t_k w_k``.
        ignore_index: Class index that counts for nothing.
        label_smoothing: Share of the target that is spread over all classes evenly.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, with the arithmetic of torch's cross-entropy; but the mean
            over nothing is 0 with a graph, not NaN.

    Raises:
        ValueError: A value outside its range.
    """

    weight: Tensor | None

    def __init__(
        self,
        ground: GroundLike = None,
        *,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        check_smoothing(label_smoothing)
        self.ground = as_ground(ground)
        self.learned = next((part for part in self.ground.modules() if isinstance(part, Learned)), None)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.reduction: Reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor, features: Tensor | None = None) -> Tensor:
        """The loss, float32 or float64: a scalar, or ``(N, ...)`` for ``reduction="none"``.

        Args:
            logits: Scores ``(N, C, ...)``; half precision, and everything under autocast, is computed in float32.
            targets: Class indices ``(N, ...)`` or probabilities ``(N, C, ...)``.
            features: Activations ``(N, F, ...)`` before the last layer, for a `Learned` ground in training mode.

        Raises:
            ValueError: Shapes or targets that do not fit, or features that a learned ground misses.
        """
        with torch.autocast(logits.device.type, enabled=False):
            batch = class_targets(
                logits,
                targets,
                weight=self.weight,
                ignore_index=self.ignore_index,
                label_smoothing=self.label_smoothing,
            )
            self.ground.check(batch.logits.shape[1])  # a head start looks at no distance
            if self.learned is not None and self.training:
                self._observe(self.learned, targets, features)
            return batch.reduce(self._rows(batch), self.reduction)

    def end_epoch(self) -> None:
        """Ends an epoch: a learned ground is brought up to date. To be called in every process."""
        if self.learned is not None:
            self.learned.refresh()

    def gather_state(self) -> None:
        """Brings what all processes have collected to the first one, whose ``state_dict`` then holds all of it.

        To be called in every process before a checkpoint is written in the middle of an epoch.
        """
        if self.learned is not None:
            self.learned.gather()

    def _rows(self, batch: ClassTargets) -> Tensor:
        """Weighted loss of each row, ``(R,)``."""
        raise NotImplementedError

    def _observe(self, learned: Learned, targets: Tensor, features: Tensor | None) -> None:
        if features is None:
            raise ValueError("a learned ground needs the features in training: call loss(logits, targets, features)")
        if not targets.is_floating_point():
            targets = torch.where(targets == self.ignore_index, -1, targets.long())
        learned.observe(features, targets)

    def extra_repr(self) -> str:
        """Settings that the subclasses share."""
        return f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, reduction={self.reduction!r}"
