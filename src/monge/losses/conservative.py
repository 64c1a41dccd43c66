"""Conservative Wasserstein loss: transport whose price grows faster, or slower, than the distance between classes.

Source: X. Liu, Y. Zou, T. Che, P. Ding, P. Jia, J. You, B. Kumar, "Conservative Wasserstein training for pose
estimation", ICCV 2019, arXiv 1911.00962; cited here as [CWT]. The paper's text was not at hand: the closed form and the
families of prices are as its abstract and later papers have them, the constants are ours.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from monge.ground import GroundLike, Line
from monge.losses.class_targets import ClassTargets, Reduction
from monge.losses.ground_loss import GroundLoss
from monge.losses.squared_emd import Solver, transport_to_targets
from monge.ot import emd_line

Price = Literal["linear", "power", "huber"]


def price_of(distances: Tensor, price: Price = "power", *, exponent: float = 2.0, threshold: float = 1.0) -> Tensor:
    """What mass pays for a distance d [CWT].

    Args:
        distances: d, not negative, any shape.
        price: ``"linear"``: d. ``"power"``: ``d^exponent``, convex above 1 and concave below. ``"huber"``: ``d^2`` up
            to ``threshold`` and ``threshold (2 d - threshold)`` beyond.
        exponent: Of the power.
        threshold: Of the Huber price.

    Returns:
        Shape of ``distances``.

    Example:
        >>> price_of(torch.tensor([0.0, 1.0, 2.0, 3.0]), "huber", threshold=2.0)
        tensor([0., 1., 4., 8.])
    """
    if price == "power":
        return distances**exponent
    if price == "huber":
        return torch.where(distances <= threshold, distances.square(), threshold * (2.0 * distances - threshold))
    return distances


class ConservativeWassersteinLoss(GroundLoss):
    """Transport cost ``sum_i p_i f(d_ik)`` of a prediction to its class, called like ``CrossEntropyLoss`` [CWT].

    f is linear, convex (a power above 1, or Huber) or concave (a power below 1) in the ground distance d. A convex f
    makes far mistakes dear and near ones cheap, which the paper found best. The gradient to p does not depend on p, so
    there is nothing like the steep start of cross-entropy.

    A conservative target leaves some of its mass to other classes: ``unimodal`` spreads a share of it around the class,
    ``label_smoothing`` a share evenly. Soft targets, these and given ones, cost what it takes to transport the
    prediction there at prices f(d): in closed form on a `Line` with f linear or the square, else by the engine.

    Args:
        ground: A `monge.ground` distance d, a matrix ``(C, C)``, or ``None``: ordered classes of unit spacing.
        price: ``"linear"``, ``"power"`` or ``"huber"``; see `price_of`.
        exponent: Of the power.
        threshold: Of the Huber price.
        unimodal: Share of a class target that is spread over the classes in proportion to ``exp(-d / spread)``, from 0
            to 1. Probability targets are taken as they are.
        spread: See ``unimodal``, in units of the distance.
        solver: For soft targets without a closed form: ``"entropic"`` or ``"exact"``.
        epsilon: Entropic regularisation in units of the mean price.
        tol: Marginal error at which an entropic problem is solved.
        weight: Weight of each class ``(C,)``; a soft target weighs ``sum_k t_k w_k``.
        ignore_index: Class index that counts for nothing.
        label_smoothing: Share of the target that is spread over all classes evenly, which makes it soft.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = ConservativeWassersteinLoss()
        >>> loss(torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([0]))  # 0.25 * 1 + 0.25 * 4
        tensor(1.2500)
    """

    def __init__(
        self,
        ground: GroundLike = None,
        *,
        price: Price = "power",
        exponent: float = 2.0,
        threshold: float = 1.0,
        unimodal: float = 0.0,
        spread: float = 1.0,
        solver: Solver = "entropic",
        epsilon: float = 0.05,
        tol: float = 1e-4,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            ground, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
        )
        if price not in get_args(Price) or solver not in get_args(Solver):
            raise ValueError(
                f"price is one of {', '.join(get_args(Price))} and solver one of {', '.join(get_args(Solver))}: found "
                f"{price!r} and {solver!r}"
            )
        if not min(exponent, threshold, spread, epsilon, tol) > 0:
            raise ValueError(
                f"exponent, threshold, spread, epsilon and tol are {exponent}, {threshold}, {spread}, {epsilon} and "
                f"{tol}: expected positive numbers"
            )
        if not 0.0 <= unimodal <= 1.0:
            raise ValueError(f"unimodal is {unimodal}: expected a share from 0 to 1")
        self.price: Price = price
        self.exponent, self.threshold = exponent, threshold
        self.unimodal, self.spread = unimodal, spread
        self.solver: Solver = solver
        self.epsilon, self.tol = epsilon, tol

    def _rows(self, batch: ClassTargets) -> Tensor:
        if self.learned is not None and self.learned.in_head_start:
            return batch.cross_entropy()
        p, classes = batch.logits.softmax(-1), batch.logits.shape[1]  # (R, C)
        if self.unimodal > 0.0 and batch.labels is not None:
            batch = self._conservative(batch, batch.labels)
        if batch.probabilities is None:
            assert batch.labels is not None
            prices = self._prices(self.ground.columns(batch.labels, classes)).to(p.dtype)  # (R, C)
            return batch.weighted((p * prices).sum(-1))
        closed = {"linear": 1, "power": {1.0: 1, 2.0: 2}.get(self.exponent)}.get(self.price)
        if isinstance(self.ground, Line) and closed in (1, 2):
            self.ground.check(classes)
            values = emd_line(p, batch.probabilities, positions=self.ground.positions, power=2 if closed == 2 else 1)
        else:
            values = transport_to_targets(
                p,
                batch.probabilities,
                self._prices(self.ground.matrix(classes)),
                solver=self.solver,
                epsilon=self.epsilon,
                tol=self.tol,
            )
        return batch.weighted(values)

    def _prices(self, distances: Tensor) -> Tensor:
        return price_of(distances, self.price, exponent=self.exponent, threshold=self.threshold)

    def _conservative(self, batch: ClassTargets, labels: Tensor) -> ClassTargets:
        distances = self.ground.columns(labels, batch.logits.shape[1]).to(batch.logits.dtype)
        around = (-distances / self.spread).softmax(-1)  # (R, C)
        targets = (1.0 - self.unimodal) * batch.one_hot() + self.unimodal * around
        row_weight = None if batch.class_weight is None else targets @ batch.class_weight
        return batch._replace(probabilities=targets, row_weight=row_weight)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        own = f"price={self.price!r}, exponent={self.exponent}, threshold={self.threshold}, unimodal={self.unimodal}"
        return f"{own}, {super().extra_repr()}"
