"""What a transport solve returns: the answer, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class Transport:
    """Result of a transport solve over a batch of problems of shape ``(..., N, M)``.

    The plan and the linear cost (and what else is costly) are made on first use, so that a caller who only needs the
    value never pays for an ``N x M`` tensor.

    Attributes:
        value: Optimal value, shape ``(...)``: the regularised objective for entropic solvers, the cost for exact ones.
        marginal_error: L1 distance of the plan's two marginals from the wanted ones, summed over both sides and
            relative to the mass, shape ``(...)``.
        iterations: Iterations spent on each problem, shape ``(...)``, int64.
        converged: Whether the tolerance was met, shape ``(...)``, bool.
        epsilon: Regularisation used, in units of the cost, shape ``(...)``; 0 for exact solvers.

    Example:
        >>> import torch
        >>> from monge import ot
        >>> result = ot.sinkhorn(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), epsilon=0.1)
        >>> bool(result.converged), result.plan.shape
        (True, torch.Size([2, 2]))
    """

    def __init__(
        self,
        *,
        value: Tensor,
        potentials: tuple[Tensor, Tensor] | Callable[[], tuple[Tensor, Tensor]],
        marginal_error: Tensor,
        iterations: Tensor,
        converged: Tensor,
        epsilon: Tensor,
        plan: Tensor | Callable[[], Tensor],
        cost: Tensor | Callable[[Tensor], Tensor],
    ) -> None:
        self.value = value
        self._potentials = potentials
        self.marginal_error = marginal_error
        self.iterations = iterations
        self.converged = converged
        self.epsilon = epsilon
        self._plan = plan
        self._cost = cost

    @property
    def potentials(self) -> tuple[Tensor, Tensor]:
        """Dual potentials ``f (..., N)`` and ``g (..., M)``; at points without mass, what the first bit would cost."""
        if not isinstance(self._potentials, tuple):
            self._potentials = self._potentials()
        return self._potentials

    @property
    def plan(self) -> Tensor:
        """Transport plan, shape ``(..., N, M)``, 0 at masked entries."""
        if not isinstance(self._plan, Tensor):
            self._plan = self._plan()
        return self._plan

    @property
    def cost(self) -> Tensor:
        """Linear cost ``sum(plan * cost)``, shape ``(...)``."""
        if not isinstance(self._cost, Tensor):
            self._cost = self._cost(self.plan)
        return self._cost

    def __repr__(self) -> str:
        shape = tuple(self.value.shape)
        solved = int(self.converged.sum())
        return f"Transport(batch={shape}, converged={solved}/{self.converged.numel()})"
