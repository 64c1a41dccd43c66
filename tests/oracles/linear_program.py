"""Optimal transport as the textbook's linear program, solved by SciPy's HiGHS: slow, obvious, and nobody's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, identity, kron, vstack


class InfeasibleError(Exception):
    """No plan has the wanted marginals."""


def transport_plan(cost: ArrayLike, a: ArrayLike, b: ArrayLike) -> tuple[float, NDArray[np.float64]]:
    """Minimises ``sum_ij P_ij C_ij`` subject to ``P 1 = a``, ``P' 1 = b``, ``P >= 0`` (Kantorovich 1942).

    Args:
        cost: ``(N, M)``, ``inf`` for pairs that may not be used.
        a: ``(N,)`` row sums.
        b: ``(M,)`` column sums, with the same total.

    Returns:
        The optimal cost and one optimal plan. Cost and mass are brought to unit scale first, because HiGHS works with
        absolute tolerances.

    Raises:
        InfeasibleError: There is no plan.
    """
    c, row_sums, column_sums = (np.asarray(t, dtype=np.float64) for t in (cost, a, b))
    n, m = c.shape
    allowed = np.isfinite(c).ravel()
    if not allowed.any():
        raise InfeasibleError
    mass, scale = row_sums.sum(), np.abs(c.ravel()[allowed]).max(initial=0.0) or 1.0
    rows = kron(identity(n), np.ones((1, m)))  # adds up each row of the flattened plan
    columns = kron(np.ones((1, n)), identity(m))
    equalities = csr_array(vstack([rows, columns]))[:, allowed]
    totals = np.concatenate([row_sums / mass, column_sums / column_sums.sum()])
    answer = linprog(
        c.ravel()[allowed] / scale,
        A_eq=equalities[:-1],  # the last equation follows from the others
        b_eq=totals[:-1],
        method="highs",
        options={"dual_feasibility_tolerance": 1e-10, "primal_feasibility_tolerance": 1e-10},
    )
    if answer.status == 2:
        raise InfeasibleError
    assert answer.status == 0, answer.message
    plan = np.zeros(n * m)
    plan[allowed] = answer.x
    return float(answer.fun) * scale * mass, plan.reshape(n, m) * mass
