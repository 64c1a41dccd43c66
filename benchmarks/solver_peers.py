"""Other libraries' solvers behind one call, each tuned by its own stopping knob.

A forward entry maps a tolerance to a plan; a gradient entry maps it to the gradient with respect to the cost. Every
peer gets the same cost of mean one, the same weights and the same absolute epsilon, in the dtype of the cell.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import geomloss.ot
import jax
import jax.numpy as jnp
import lap
import numpy as np
import ot as pot
import torch
from numpy.typing import NDArray
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear import acceleration
from ott.solvers.linear.sinkhorn import Sinkhorn
from torch import Tensor

from monge.ot import emd, sinkhorn, use_backend

Array = NDArray[Any]
Entry = Callable[[float], Array]


@dataclass(frozen=True)
class Cell:
    """One problem or a batch of them: cost ``(..., N, M)``, weights ``(..., N)`` and ``(..., M)``, one epsilon."""

    cost: Tensor
    a: Tensor
    b: Tensor
    epsilon: float

    @property
    def most(self) -> int:
        """Iterations at most: 20,000 of a solver that fails on a large problem take a quarter of an hour."""
        return 20_000 if self.cost.numel() < 1 << 22 else 2_000


def forward_entries(cell: Cell) -> dict[str, Entry]:
    """Plans of one problem or a batch."""
    entries: dict[str, Entry] = {
        "monge": lambda tol: _monge_plan(cell, tol),
        "monge, torch alone": lambda tol: _with_torch(lambda: _monge_plan(cell, tol)),
    }
    if cell.cost.dim() == 2:
        entries["POT kernel"] = lambda tol: _pot_single(cell, "sinkhorn", tol)
        entries["POT stabilized"] = lambda tol: _pot_single(cell, "sinkhorn_stabilized", tol)
        entries["POT log"] = lambda tol: _pot_single(cell, "sinkhorn_log", tol)
    else:
        entries["POT loop, kernel"] = lambda tol: _pot_loop(cell, tol)
        entries["POT batch, kernel"] = lambda tol: _pot_batch(cell, "sinkhorn", tol)
        entries["POT batch, log"] = lambda tol: _pot_batch(cell, "log_sinkhorn", tol)
    entries["geomloss"] = lambda tol: _geomloss(cell, tol)
    entries["ott lse"] = _Ott(cell, lse=True)
    entries["ott kernel"] = _Ott(cell, lse=False)
    if cell.cost.dim() == 2:
        entries["ott momentum 1.5"] = _Ott(cell, lse=True, momentum=1.5)
    return entries


def value_gradient_entries(cell: Cell) -> dict[str, Entry]:
    """Gradient of the summed regularised values to the cost: the plan, by whatever way the library goes."""
    return {
        "monge envelope": lambda tol: _monge_value_gradient(cell, tol),
        "monge envelope, torch alone": lambda tol: _with_torch(lambda: _monge_value_gradient(cell, tol)),
        "POT batch, envelope": lambda tol: _pot_value_gradient(cell, tol, "envelope"),
        "POT batch, autodiff": lambda tol: _pot_value_gradient(cell, tol, "autodiff"),
        "ott lse, Danskin": _Ott(cell, lse=True, gradient="value"),
    }


def plan_gradient_entries(cell: Cell, direction: Tensor) -> dict[str, Entry]:
    """Gradient of ``<plan, direction>`` to the cost."""
    return {
        "monge implicit": lambda tol: _monge_plan_gradient(cell, direction, tol),
        "monge implicit, torch alone": lambda tol: _with_torch(lambda: _monge_plan_gradient(cell, direction, tol)),
        "POT batch, autodiff": lambda tol: _pot_plan_gradient(cell, direction, tol),
        "ott lse, implicit": _Ott(cell, lse=True, gradient="plan", direction=direction),
    }


def exact_entries(cell: Cell) -> dict[str, Entry]:
    """Optimal cost, exact, as an array of one number."""
    cost, a, b = (t.double().numpy() for t in (cell.cost, cell.a, cell.b))
    narrow, rows = cell.cost.numpy(), np.arange(len(cost))
    return {
        "monge emd": lambda tol: np.asarray(float(emd(cell.cost).value)),
        "POT emd": lambda tol: np.asarray((pot.emd(a, b, cost) * cost).sum()),
        "lapx": lambda tol: np.asarray(cost[rows, _columns_of_lapx(narrow)].mean()),
    }


def _columns_of_lapx(cost: Array) -> Array:
    _, columns = lap.lapjvr_batch(cost[None], return_cost=False, n_threads=1)
    return np.asarray(columns[0])


def _with_torch(solve: Callable[[], Array]) -> Array:
    with use_backend("torch"):
        return solve()


def _monge_plan(cell: Cell, tol: float) -> Array:
    solved = sinkhorn(cell.cost, cell.a, cell.b, epsilon=cell.epsilon, tol=tol, max_iter=cell.most, grad="none")
    return solved.plan.numpy()


def _monge_value_gradient(cell: Cell, tol: float) -> Array:
    leaf = cell.cost.clone().requires_grad_()
    sinkhorn(leaf, cell.a, cell.b, epsilon=cell.epsilon, tol=tol, max_iter=cell.most).value.sum().backward()
    return _gradient(leaf)


def _monge_plan_gradient(cell: Cell, direction: Tensor, tol: float) -> Array:
    leaf = cell.cost.clone().requires_grad_()
    solved = sinkhorn(leaf, cell.a, cell.b, epsilon=cell.epsilon, tol=tol, max_iter=cell.most, grad="implicit")
    (solved.plan * direction).sum().backward()
    return _gradient(leaf)


def _pot_single(cell: Cell, method: str, tol: float) -> Array:
    cost, a, b = cell.cost.numpy(), cell.a.numpy(), cell.b.numpy()
    plan = pot.sinkhorn(a, b, cost, cell.epsilon, method=method, stopThr=tol, numItermax=cell.most, warn=False)
    return np.asarray(plan)


def _pot_loop(cell: Cell, tol: float) -> Array:
    parts = zip(cell.a.numpy(), cell.b.numpy(), cell.cost.numpy(), strict=True)
    return np.stack(
        [pot.sinkhorn(a, b, c, cell.epsilon, stopThr=tol, numItermax=cell.most, warn=False) for a, b, c in parts]
    )


def _pot_batch(cell: Cell, method: str, tol: float) -> Array:
    solved = pot.solve_batch(
        cell.cost, reg=cell.epsilon, a=cell.a, b=cell.b, tol=tol, max_iter=cell.most, method=method, grad="detach"
    )
    return solved.plan.numpy()


def _pot_value_gradient(cell: Cell, tol: float, grad: str) -> Array:
    leaf = cell.cost.clone().requires_grad_()
    method = "log_sinkhorn" if grad == "envelope" else "sinkhorn"
    solved = pot.solve_batch(
        leaf, reg=cell.epsilon, a=cell.a, b=cell.b, tol=tol, max_iter=cell.most, method=method, grad=grad
    )
    solved.value.sum().backward()
    return _gradient(leaf)


def _pot_plan_gradient(cell: Cell, direction: Tensor, tol: float) -> Array:
    leaf = cell.cost.clone().requires_grad_()
    solved = pot.solve_batch(
        leaf, reg=cell.epsilon, a=cell.a, b=cell.b, tol=tol, max_iter=cell.most, method="sinkhorn", grad="autodiff"
    )
    (solved.plan * direction).sum().backward()
    return _gradient(leaf)


def _gradient(leaf: Tensor) -> Array:
    if leaf.grad is None:
        raise RuntimeError("the solver left no gradient")
    return leaf.grad.numpy()


def _geomloss(cell: Cell, tol: float) -> Array:
    # It takes a number of steps and no tolerance; the ladder of tolerances becomes one of step counts.
    solve = geomloss.ot.solve if cell.cost.dim() == 2 else geomloss.ot.solve_batch
    steps = min(round(0.05 / tol), 2_000)
    with torch.no_grad():
        return solve(cell.cost, reg=cell.epsilon, a=cell.a, b=cell.b, max_iter=steps).plan.numpy()


class _Ott:
    """One jitted function per tolerance: compiling is not part of anybody's time."""

    def __init__(
        self, cell: Cell, *, lse: bool, momentum: float = 1.0, gradient: str = "", direction: Tensor | None = None
    ) -> None:
        self.wide = cell.cost.dtype == torch.float64
        with self._precision():
            self.arrays = tuple(jnp.asarray(t.numpy()) for t in (cell.cost, cell.a, cell.b))
            self.direction = None if direction is None else jnp.asarray(direction.numpy())
        self.epsilon, self.most, self.lse, self.momentum, self.gradient = (
            cell.epsilon,
            cell.most,
            lse,
            momentum,
            gradient,
        )
        self.compiled: dict[float, Callable[..., jax.Array]] = {}

    def __call__(self, tol: float) -> Array:
        with self._precision():
            if tol not in self.compiled:
                self.compiled[tol] = self._compile(tol)
            return np.asarray(jax.block_until_ready(self.compiled[tol](*self.arrays)))

    def _precision(self) -> AbstractContextManager[Any]:
        """Float64 is off in jax unless asked for, and asking for it everywhere would change the other cells."""
        return jax.enable_x64(True) if self.wide else nullcontext()

    def _compile(self, tol: float) -> Callable[..., jax.Array]:
        extra = {} if self.momentum == 1.0 else {"momentum": acceleration.Momentum(value=self.momentum)}
        solver = Sinkhorn(threshold=tol, max_iterations=self.most, lse_mode=self.lse, inner_iterations=10, **extra)

        def solve(cost: jax.Array, a: jax.Array, b: jax.Array) -> Any:
            return solver(LinearProblem(Geometry(cost_matrix=cost, epsilon=self.epsilon), a=a, b=b))

        if self.gradient == "value":
            function = jax.grad(lambda c, a, b: solve(c, a, b).reg_ot_cost)
        elif self.gradient == "plan":
            function = jax.grad(lambda c, a, b, d: jnp.sum(solve(c, a, b).matrix * d))
        else:
            function = lambda c, a, b: solve(c, a, b).matrix  # noqa: E731
        if self.arrays[0].ndim == 3:
            function = jax.vmap(function)
        if self.direction is None:
            return jax.jit(function)
        return jax.jit(lambda c, a, b: function(c, a, b, self.direction))
