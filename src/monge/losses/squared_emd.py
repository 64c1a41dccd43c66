"""Squared EMD loss for classes that are related: by an order, a tree, or any ground distance.

Source: L. Hou, C.-P. Yu, D. Samaras, "Squared earth mover's distance-based loss for training deep neural networks",
arXiv 1611.05916; cited here as [SEMD].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from monge.ground import GroundLike, Line, Tree
from monge.losses.class_targets import ClassTargets, Reduction
from monge.losses.ground_loss import GroundLoss
from monge.ot import cramer_line_from_logits, emd, emd_line, sinkhorn

Solver = Literal["entropic", "exact"]

# Most pairs of classes, over all rows solved together, that the engine is given at once.
_PAIRS = 1 << 24


def squared_emd_loss(probabilities: Tensor, distances: Tensor, power: Literal[1, 2] = 2) -> Tensor:
    """``sum_i p_i^power D_ik``, what it costs to move a prediction into its class k [SEMD].

    With ``power=1`` it is the transport cost itself, because all mass must go to class k; ``power=2`` is the paper's
    squared form.

    Args:
        probabilities: p, ``(..., C)``.
        distances: Distance of every class from k, ``(..., C)``; for a soft target its mean over the target.
        power: 1 or 2.

    Returns:
        Shape ``(...)``.

    Example:
        >>> p, distances = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 1.0, 2.0])
        >>> squared_emd_loss(p, distances), squared_emd_loss(p, distances, power=1)
        (tensor(0.2500), tensor(0.5000))
    """
    return ((probabilities.square() if power == 2 else probabilities) * distances.to(probabilities.dtype)).sum(-1)


def transport_to_targets(
    probabilities: Tensor,
    targets: Tensor,
    distances: Tensor,
    *,
    solver: Solver = "entropic",
    epsilon: float = 0.1,
    tol: float = 1e-4,
) -> Tensor:
    """Cost of moving each prediction into its soft target, by the engine.

    Args:
        probabilities: p, ``(R, C)``.
        targets: t, ``(R, C)``.
        distances: D, ``(C, C)``, the same for all rows.
        solver: ``"exact"``: the transport cost. ``"entropic"``: ``min <P, D> + epsilon KL(P | p t')``, which is larger
            and smooth.
        epsilon: Entropic regularisation in units of the mean distance.
        tol: Marginal error at which an entropic problem is solved.

    Returns:
        Shape ``(R,)``; the gradient to p and t is that of the value.

    Example:
        >>> p, t = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.5, 0.5]])
        >>> transport_to_targets(p, t, Line().matrix(3), solver="exact")
        tensor([1.5000])
    """
    classes = len(distances)

    def solve(p: Tensor, t: Tensor) -> Tensor:
        cost = distances.to(p).expand(len(p), classes, classes)  # (R, C, C)
        result = emd(cost, p, t) if solver == "exact" else sinkhorn(cost, p, t, epsilon=epsilon, relative=True, tol=tol)
        return result.value

    return in_blocks(solve, probabilities, targets)


def in_blocks(solve: Callable[[Tensor, Tensor], Tensor], predictions: Tensor, targets: Tensor) -> Tensor:
    """Values of rows that are solved together as far as memory allows.

    Args:
        solve: From some rows of predictions and targets to their values, ``(r,)``.
        predictions: ``(R, C)``.
        targets: ``(R, C)``.

    Returns:
        Shape ``(R,)``.

    Example:
        >>> in_blocks(lambda p, t: (p - t).abs().sum(-1), torch.eye(2), torch.ones(2, 2) / 2)
        tensor([1., 1.])
    """
    rows = max(1, _PAIRS // predictions.shape[1] ** 2)
    if len(predictions) == 0:
        return predictions.sum(-1)
    if len(predictions) <= rows:  # without a loop, since a compiled graph would be made anew for each number of rows
        return solve(predictions, targets)
    return torch.cat([solve(p, t) for p, t in zip(torch.split(predictions, rows), torch.split(targets, rows))])


class SquaredEMDLoss(GroundLoss):
    """Squared EMD between prediction and target over a ground distance, called like ``CrossEntropyLoss`` [SEMD].

    * Ordered classes (`Line`): ``sum_i gap_i |F_i(p) - F_i(t)|^power`` over the classes, F the cumulative masses. On
      unit spacing ``power=2`` is the paper's loss for ordered classes and the ranked probability score.
    * Hierarchies (`Tree`): the same over edges, with the masses below each edge.
    * Any other distance: ``sum_i p_i^power D_ik`` for class k. Soft targets t: ``power=1`` is the transport cost, by
      the engine; ``power=2`` is ``sum_k t_k sum_i p_i^2 D_ik``, of which the form for one class is a case.

    `power=1` on a line or tree is the EMD itself. A `Learned` ground has a head start of plain cross-entropy; see
    `GroundLoss` for the features it wants.

    Args:
        ground: A `monge.ground` distance, a matrix ``(C, C)``, or ``None``: ordered classes of unit spacing.
        power: 1 or 2.
        root: Return the square root of the ``power=2`` form, as code of NIMA's kind does; its gradient is 0 where it
            is 0.
        class_average: Divide by C, before the root if there is one. The paper's programs do, others do not.
        solver: For soft targets, ``power=1`` and a ground that is neither line nor tree: ``"entropic"`` or ``"exact"``.
        epsilon: Entropic regularisation in units of the mean distance.
        tol: Marginal error at which an entropic problem is solved.
        weight: Weight of each class ``(C,)``; a soft target weighs ``sum_k t_k w_k``.
        ignore_index: Class index that counts for nothing.
        label_smoothing: Share of the target that is spread over all classes evenly, which makes it soft.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = SquaredEMDLoss()
        >>> logits = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]).log().requires_grad_()
        >>> loss(logits, torch.tensor([2, 1]))  # mean of 0.2^2 + 0.5^2 and 0.1^2 + 0.1^2
        tensor(0.1550, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        ground: GroundLike = None,
        *,
        power: Literal[1, 2] = 2,
        root: bool = False,
        class_average: bool = False,
        solver: Solver = "entropic",
        epsilon: float = 0.1,
        tol: float = 1e-4,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            ground, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
        )
        if power not in (1, 2) or solver not in get_args(Solver):
            raise ValueError(
                f"power is 1 or 2 and solver one of {', '.join(get_args(Solver))}: found {power!r} and {solver!r}"
            )
        if not (epsilon > 0 and tol > 0):
            raise ValueError(f"epsilon and tol are {epsilon} and {tol}: expected positive numbers")
        self.power: Literal[1, 2] = power
        self.root, self.class_average = root, class_average
        self.solver: Solver = solver
        self.epsilon, self.tol = epsilon, tol

    def _rows(self, batch: ClassTargets) -> Tensor:
        if self.learned is not None and self.learned.in_head_start:
            return batch.cross_entropy()
        values = self._ordered(batch) if isinstance(self.ground, Line | Tree) else self._unordered(batch)
        if self.class_average:
            values = values / batch.logits.shape[1]
        if self.root and self.power == 2:
            met = values <= 0
            # The inner where keeps the square root away from 0, where its derivative is infinite.
            values = torch.where(met, 0.0, torch.where(met, 1.0, values).sqrt())
        return batch.weighted(values)

    def _ordered(self, batch: ClassTargets) -> Tensor:
        ground, soft = self.ground, batch.probabilities
        if self.power == 1 and soft is None:
            return self._unordered(batch)  # to a single class the ways are the distances
        if isinstance(ground, Tree):
            moved = ground.below(batch.logits.softmax(-1) - batch.one_hot())  # (R, E)
            return ((moved.square() if self.power == 2 else moved.abs()) * ground.spans.to(moved.dtype)).sum(-1)
        assert isinstance(ground, Line)
        ground.check(batch.logits.shape[1])
        if self.power == 1:
            return emd_line(batch.logits.softmax(-1), batch.one_hot(), positions=ground.positions)
        target = batch.labels if soft is None else soft
        assert target is not None
        return cramer_line_from_logits(batch.logits, target, ground.positions)

    def _unordered(self, batch: ClassTargets) -> Tensor:
        p = batch.logits.softmax(-1)  # (R, C)
        if batch.labels is not None and batch.probabilities is None:
            return squared_emd_loss(p, self.ground.columns(batch.labels, p.shape[1]), self.power)
        assert batch.probabilities is not None
        if self.power == 2:
            return squared_emd_loss(p, self.ground.expected(batch.probabilities), 2)
        distances = self.ground.matrix(p.shape[1])
        return transport_to_targets(
            p, batch.probabilities, distances, solver=self.solver, epsilon=self.epsilon, tol=self.tol
        )

    def extra_repr(self) -> str:
        """Settings as they were given."""
        own = f"power={self.power}, root={self.root}, class_average={self.class_average}, solver={self.solver!r}"
        return f"{own}, {super().extra_repr()}"
