"""A batch of problems solved exactly on the CPU: entries of the plans first, dense plan and potentials on demand."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.errors import ConvergenceWarning
from monge.ot.assignment import Floats, Indices, assign, assign_batch
from monge.ot.network_simplex import BasicPlan, solve_weighted
from monge.ot.problem import Problem, unit_mass

Flags = NDArray[np.bool_]


class _Part(NamedTuple):
    """The points of one problem that have mass."""

    rows: Indices  # (n,)
    columns: Indices  # (m,)
    cost: Floats  # (n, m)
    a: Floats  # (n,)
    b: Floats  # (m,)


class ExactBatch:
    """Solves every problem of a batch on construction; arrays below are NumPy, of ``B`` problems with unit mass.

    Args:
        problem: The batch, with weights already checked.
        row_mask: Rows that exist, as the caller gave them.
        col_mask: Columns that exist.

    Attributes:
        value: Optimal costs, ``(B,)``, float64, on the device of the problem.
        marginal_error: L1 error of both marginals relative to the mass, ``(B,)``, float64.
        converged: Whether the plan is known to be optimal, ``(B,)``, bool.

    Raises:
        ValueError: NaN or ``-inf`` costs, or forbidden pairs that leave no plan.
    """

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __init__(self, problem: Problem, row_mask: Tensor | None, col_mask: Tensor | None) -> None:
        self._tensor = problem.cost.detach()
        self._version = _version(self._tensor)
        self._cost: NDArray[Any] = self._tensor.cpu().numpy()
        batch, n, m = self._cost.shape
        _check_costs(self._cost)
        self._row_exists = _exists(row_mask, problem.batch_shape, batch, n)
        self._column_exists = _exists(col_mask, problem.batch_shape, batch, m)
        weights = unit_mass(problem.a.detach().cpu().double(), problem.b.detach().cpu().double())
        self._a, self._b, self._mass = (t.numpy() for t in weights)
        # What the weights' own rounding and that of their float64 sums can move.
        self._rounding = 4 * torch.finfo(self._tensor.dtype).eps + (n + m) * torch.finfo(torch.float64).eps
        # Where plans come without potentials there is None here until somebody asks.
        self._bases: list[BasicPlan | None] = [None] * batch
        self._dual: tuple[Floats, Floats] | None = None
        self._problem, self._row, self._column, self._share = self._solve()
        self._report()

    def plan(self) -> Tensor:
        """Dense plans, ``(B, N, M)``, in the dtype of the cost."""
        batch, n, m = self._cost.shape
        flat = torch.zeros(batch * n * m, dtype=self._tensor.dtype, device=self._tensor.device)
        index = torch.from_numpy((self._problem * n + self._row) * m + self._column)
        flat[index.to(flat.device)] = torch.from_numpy(self._share * self._mass[self._problem]).to(flat)
        return flat.reshape(batch, n, m)

    def potentials(self) -> tuple[Tensor, Tensor]:
        """Dual potentials ``(B, N)`` and ``(B, M)`` with ``<f, a> = <g, b>``, 0 at points that do not exist."""
        f, g = self._potentials()
        shift = 0.5 * ((self._b * g).sum(1) - (self._a * f).sum(1))[:, None]
        f, g = (f + shift) * self._row_exists, (g - shift) * self._column_exists
        return self._tensor_of(f).to(self._tensor.dtype), self._tensor_of(g).to(self._tensor.dtype)

    def centred_potentials(self) -> tuple[Tensor, Tensor]:
        """Dual potentials, each with mean 0 over the points that exist: the gradient to the weights."""
        f, g = self._potentials()
        f, g = _centred(f, self._row_exists), _centred(g, self._column_exists)
        return self._tensor_of(f).to(self._tensor.dtype), self._tensor_of(g).to(self._tensor.dtype)

    def _solve(self) -> tuple[Indices, Indices, Indices, Floats]:
        """Entries of all plans: problem, row, column and mass."""
        batch, n, m = self._cost.shape
        equal = all((w == w[:, :1]).all() for w in (self._a, self._b))
        if n == m and equal and (self._mass > 0).all() and np.isfinite(self._cost).all():
            columns, self._dual = assign_batch(self._cost)
            rows = np.arange(n)
            return np.repeat(np.arange(batch), n), np.tile(rows, batch), columns.ravel(), self._a.ravel()
        solved = [self._solve_one(k) for k in range(batch)]
        problems = np.repeat(np.arange(batch), [len(share) for _, _, share in solved])
        rows, columns, share = (np.concatenate(parts) for parts in zip(*solved))
        return problems, rows, columns, share

    def _solve_one(self, k: int) -> tuple[Indices, Indices, Floats]:
        if self._mass[k] == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        part = self._with_mass(k)
        if len(part.rows) == len(part.columns) and (part.a == part.a[0]).all() and (part.b == part.b[0]).all():
            assigned = assign(part.cost)
            if assigned is not None:
                columns = assigned.columns[0]
                if assigned.potentials is not None:
                    f, g = (potential[0] for potential in assigned.potentials)
                    self._bases[k] = BasicPlan(np.arange(len(columns)), columns, part.a, f, g, lost=0.0, optimal=True)
                return part.rows, part.columns[columns], part.a
        basis = self._bases[k] = self._solve_weighted(k, part)
        return part.rows[basis.rows], part.columns[basis.columns], basis.mass

    def _solve_weighted(self, k: int, part: _Part) -> BasicPlan:
        basis = solve_weighted(part.cost, part.a, part.b, rounding=self._rounding)
        if basis is None:
            raise ValueError(
                f"problem {k} has no plan of finite cost: its forbidden pairs (cost +inf) leave mass with nowhere to go"
            )
        return basis

    def _with_mass(self, k: int) -> _Part:
        rows, columns = np.flatnonzero(self._a[k]), np.flatnonzero(self._b[k])
        cost = self._cost[k]
        if cost.shape != (len(rows), len(columns)):
            cost = cost[np.ix_(rows, columns)]
        return _Part(rows, columns, cost.astype(np.float64), self._a[k, rows], self._b[k, columns])

    def _report(self) -> None:
        batch, n, m = self._cost.shape
        used = self._cost[self._problem, self._row, self._column].astype(np.float64)
        value = self._mass * np.bincount(self._problem, self._share * used, minlength=batch)
        sums = np.bincount(self._problem * n + self._row, self._share, minlength=batch * n).reshape(batch, n)
        error: Floats = np.abs(sums - self._a).sum(1)
        sums = np.bincount(self._problem * m + self._column, self._share, minlength=batch * m).reshape(batch, m)
        error += np.abs(sums - self._b).sum(1)
        error[self._mass == 0] = 0.0
        optimal = np.array([basis is None or basis.optimal for basis in self._bases])
        self.value, self.marginal_error = self._tensor_of(value), self._tensor_of(error)
        self.converged = self._tensor_of(optimal & (error <= 4 * self._rounding))

    def _tensor_of(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._tensor.device)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _potentials(self) -> tuple[Floats, Floats]:
        if self._dual is not None:
            return self._dual
        if _version(self._tensor) != self._version:
            raise RuntimeError("the cost was changed in place after emd() solved it: its potentials cannot be made now")
        batch, n, m = self._cost.shape
        f, g, proven = np.zeros((batch, n)), np.zeros((batch, m)), True
        for k in range(batch):
            if self._mass[k] == 0:
                continue
            basis = self._bases[k] or self._solve_weighted(k, self._with_mass(k))
            self._bases[k] = basis
            proven &= basis.optimal
            rows, columns = np.flatnonzero(self._row_exists[k]), np.flatnonzero(self._column_exists[k])
            cost = self._cost[k][np.ix_(rows, columns)].astype(np.float64)
            f[k, rows], g[k, columns] = _extended(cost, basis, self._a[k, rows] > 0, self._b[k, columns] > 0)
        if not proven:
            warnings.warn("dual potentials of exact transport are not optimal", ConvergenceWarning, stacklevel=2)
        return f, g


def _extended(cost: Floats, basis: BasicPlan, rows: Flags, columns: Flags) -> tuple[Floats, Floats]:
    """Potentials of all points from those of the points with mass: what the first bit of mass there would cost.

    A point that can go nowhere would cost infinitely much; it gets the largest potential of its side.
    """
    f, g = np.empty(len(rows)), np.empty(len(columns))
    f[rows], g[columns] = basis.f, basis.g
    f[~rows] = (cost[np.ix_(~rows, columns)] - basis.g).min(axis=1)
    g[~columns] = (cost[np.ix_(rows, ~columns)] - basis.f[:, None]).min(axis=0)
    return np.where(np.isinf(f), basis.f.max(), f), np.where(np.isinf(g), basis.g.max(), g)


def _version(tensor: Tensor) -> int:
    # Tensors of inference mode do not count their changes.
    return 0 if tensor.is_inference() else tensor._version


def _centred(potential: Floats, exists: Flags) -> Floats:
    mean = (potential * exists).sum(1, keepdims=True) / np.maximum(exists.sum(1, keepdims=True), 1)
    centred: Floats = (potential - mean) * exists
    return centred


def _check_costs(cost: NDArray[Any]) -> None:
    low = cost.min(axis=(1, 2))  # NaN wherever there is one
    if np.isfinite(low).all():
        return
    for k in range(len(low)):
        if np.isnan(low[k]) or low[k] == -np.inf:
            raise ValueError(f"cost of problem {k} holds NaN or -inf: expected finite costs, or +inf to forbid a pair")


def _exists(mask: Tensor | None, batch_shape: torch.Size, batch: int, size: int) -> Flags:
    if mask is None:
        return np.ones((batch, size), dtype=np.bool_)
    return mask.detach().cpu().expand(*batch_shape, size).reshape(batch, size).numpy()
