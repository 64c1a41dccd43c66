"""Wasserstein loss: the entropic transport cost between a predicted and a wanted distribution over classes.

Source: C. Frogner, C. Zhang, H. Mobahi, M. Araya-Polo, T. Poggio, "Learning with a Wasserstein loss", NeurIPS 2015;
cited here as [WL]. Its lambda is 1/epsilon and its gamma_a = gamma_b is rho.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge.ground import GroundLike, Power, as_ground
from monge.losses.class_targets import ClassTargets, Reduction
from monge.losses.ground_loss import GroundLoss
from monge.losses.squared_emd import in_blocks
from monge.ot import sinkhorn, sinkhorn_unbalanced

# A class may be as good as empty, but with a mass of 0 its ratio to what it sends would be lost.
_LEAST_LOG = -80.0


def wasserstein_to_class(
    log_probabilities: Tensor, costs: Tensor, *, epsilon: float, rho: float | None = None
) -> Tensor:
    """Wasserstein loss of predictions against one class each, where the plan is known [WL].

    With exact marginals all of h goes to class k: ``sum_i h_i (M_ik + epsilon log h_i)``. With the penalty less may
    arrive, ``s = Z^((rho + epsilon) / (2 rho + epsilon))`` with
    ``Z = sum_i exp((rho log h_i - M_ik - epsilon) / (rho + epsilon))``; the loss is ``2 rho - (2 rho + epsilon) s``.

    Args:
        log_probabilities: log h, ``(..., C)``.
        costs: ``M_ik``, what it costs to go from each class to class k, ``(..., C)``.
        epsilon: Entropic regularisation, in units of the cost.
        rho: Price of marginals that are off, in units of the cost; ``None``: they must be met.

    Returns:
        Shape ``(...)``.

    Example:
        >>> log_h, costs = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.0, 1.0])
        >>> wasserstein_to_class(log_h, costs, epsilon=0.1)  # 0.5 - 0.1 log 2
        tensor(0.4307)
    """
    if rho is None:
        return (log_probabilities.exp() * (costs + epsilon * _finite(log_probabilities))).sum(-1)
    log_mass = torch.logsumexp((rho * log_probabilities - costs - epsilon) / (rho + epsilon), dim=-1)
    mass = torch.exp((rho + epsilon) / (2.0 * rho + epsilon) * log_mass)
    return 2.0 * rho - (2.0 * rho + epsilon) * mass


def wasserstein_to_targets(
    log_probabilities: Tensor,
    targets: Tensor,
    costs: Tensor,
    *,
    epsilon: float,
    rho: float | None = None,
    tol: float = 1e-4,
) -> Tensor:
    """Wasserstein loss of predictions against distributions, by the engine [WL].

    ``min <T, M> - epsilon H(T)`` over plans T between h and y, or, with ``rho``, over all T >= 0 with
    ``rho KL(T 1 | h) + rho KL(T' 1 | y)`` added, where ``KL(w | z) = sum w log(w / z) - w + z``.

    Args:
        log_probabilities: log h, ``(R, C)``.
        targets: y, ``(R, C)``, each row of sum 1.
        costs: M, ``(C, C)``, the same for all rows.
        epsilon: Entropic regularisation, in units of the cost.
        rho: Price of marginals that are off; ``None``: they must be met.
        tol: Marginal error at which a problem is solved.

    Returns:
        Shape ``(R,)``.

    Example:
        >>> log_h, costs = torch.tensor([[0.5, 0.5]]).log(), 1.0 - torch.eye(2)
        >>> wasserstein_to_targets(log_h, torch.tensor([[1.0, 0.0]]), costs, epsilon=0.1)  # 0.5 - 0.1 log 2
        tensor([0.4307])
    """
    classes = len(costs)

    def solve(log_h: Tensor, y: Tensor) -> Tensor:
        cost = costs.to(log_h).expand(len(log_h), classes, classes)  # (R, C, C)
        if rho is None:
            return _balanced(log_h, y, cost, epsilon, tol)
        return _unbalanced(log_h, y, cost, epsilon, rho, tol)

    return in_blocks(solve, log_probabilities, targets)


def _balanced(log_h: Tensor, y: Tensor, cost: Tensor, epsilon: float, tol: float) -> Tensor:
    h = log_h.exp()
    value: Tensor = sinkhorn(cost, h, y, epsilon=epsilon, tol=tol).value
    # The engine's entropy is relative to h y', the paper's is not: a difference that depends on the marginals alone.
    entropy: Tensor = torch.special.entr(y).sum(-1)
    return value + epsilon * ((h * _finite(log_h)).sum(-1) - entropy)


def _unbalanced(log_h: Tensor, y: Tensor, cost: Tensor, epsilon: float, rho: float, tol: float) -> Tensor:
    log_h = log_h.clamp_min(_LEAST_LOG)
    # Here the difference is linear in the plan: sum T log T = KL(T | h y') + sum T log(h y') + sum T - 1.
    log_y = torch.where(y > 0, y, 1.0).log()
    relative = cost + epsilon * (log_h.unsqueeze(2) + log_y.unsqueeze(1) + 1.0)
    value: Tensor = sinkhorn_unbalanced(relative, log_h.exp(), y, epsilon=epsilon, rho=rho, tol=tol).value
    return value - epsilon


def _finite(log_h: Tensor) -> Tensor:
    # A class that is ruled out has a mass of 0, and 0 times minus infinity is no number.
    return log_h.clamp_min(torch.finfo(log_h.dtype).min)


class WassersteinLoss(GroundLoss):
    """Entropic Wasserstein loss over a ground distance, called like ``CrossEntropyLoss`` [WL].

    ``min <T, d^power> - epsilon H(T)`` over the plans T between prediction and target. One class as target has a closed
    form; distributions go to the engine. The entropy is the paper's, so a prediction is drawn to
    ``exp(-d^power / epsilon)`` around its class, not into a single class, and the loss can be negative. Its gradient is
    ``epsilon log u`` of the scaling u of the predicted side; the paper takes off the mean over the classes, which the
    softmax does anyway, since a constant in the gradient to probabilities leaves no trace in that to logits.

    With ``rho`` marginals may be off for a price (the paper's unnormalised form): a far class draws at most
    ``2 rho`` of loss. A `Learned` ground has a head start of plain cross-entropy; see `GroundLoss` for the features.

    Args:
        ground: A `monge.ground` distance d, a matrix ``(C, C)``, or ``None``: ordered classes of unit spacing.
        power: Exponent of the distance, the paper's p.
        epsilon: Entropic regularisation in units of ``d^power``, the paper's 1/lambda. Too large for the distances it
            leaves predictions flat.
        rho: Price of marginals that are off, in units of ``d^power``; ``None``: they are met.
        tol: Marginal error at which a problem with a soft target is solved.
        weight: Weight of each class ``(C,)``; a soft target weighs ``sum_k t_k w_k``.
        ignore_index: Class index that counts for nothing.
        label_smoothing: Share of the target that is spread over all classes evenly, which makes it soft.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = WassersteinLoss(epsilon=0.1)
        >>> logits = torch.tensor([[0.25, 0.5, 0.25]]).log().requires_grad_()
        >>> loss(logits, torch.tensor([1]))  # 0.5 - 0.1 * 1.0397
        tensor(0.3960, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        ground: GroundLike = None,
        *,
        power: float = 1.0,
        epsilon: float = 0.1,
        rho: float | None = None,
        tol: float = 1e-4,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        if not min(power, epsilon, tol, 1.0 if rho is None else rho) > 0:
            raise ValueError(
                f"power, epsilon, rho and tol are {power}, {epsilon}, {rho} and {tol}: expected positive numbers"
            )
        distance = as_ground(ground)
        super().__init__(
            distance if power == 1.0 else Power(distance, power),
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )
        self.power, self.epsilon, self.rho, self.tol = power, epsilon, rho, tol

    def _rows(self, batch: ClassTargets) -> Tensor:
        if self.learned is not None and self.learned.in_head_start:
            return batch.cross_entropy()
        log_h, classes = batch.logits.log_softmax(-1), batch.logits.shape[1]  # (R, C)
        if batch.probabilities is None:
            assert batch.labels is not None
            costs = self.ground.columns(batch.labels, classes).to(log_h.dtype)  # (R, C)
            return batch.weighted(wasserstein_to_class(log_h, costs, epsilon=self.epsilon, rho=self.rho))
        matrix = self.ground.matrix(classes)
        values = wasserstein_to_targets(
            log_h, batch.probabilities, matrix, epsilon=self.epsilon, rho=self.rho, tol=self.tol
        )
        return batch.weighted(values)

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"power={self.power}, epsilon={self.epsilon}, rho={self.rho}, {super().extra_repr()}"
