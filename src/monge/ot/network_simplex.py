"""Exact transport between weighted points by POT's network simplex, with the answer checked by its dual.

The simplex loses digits to entries much larger than those it ends up using: one pair "forbidden" by a cost of 1e32
can make every other choice wrong. So costs are capped where that is safe. A plan that is optimal for capped costs and
uses no capped entry is optimal for the true ones, because the cap only lowers costs. And if some plan gets by with
entries up to ``t``, then above ``min(N, M) t`` a capped entry is never used: an exchange that avoids it is cheaper.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from monge.extras import require
from monge.ot.assignment import CERTIFICATE, Floats, Indices

_MAX_PIVOTS = 10**9
_OPTIMAL = 1  # POT's result code
# Entries this many times larger than the largest useful one are capped, and the problem is solved once more.
_WASTED_RANGE = 100.0


class BasicPlan(NamedTuple):
    """A plan by its entries, and the potentials that belong to it."""

    rows: Indices  # (K,)
    columns: Indices  # (K,)
    mass: Floats  # (K,)
    f: Floats  # (N,)
    g: Floats  # (M,)
    lost: float  # mass that found no entry below the cap
    optimal: bool


def solve_weighted(cost: Floats, a: Floats, b: Floats, *, rounding: float) -> BasicPlan | None:
    """Optimal plan of one problem.

    Args:
        cost: ``(N, M)``; ``+inf`` forbids a pair; no NaN, no ``-inf``.
        a: ``(N,)``, positive, sums to one.
        b: ``(M,)``, positive, sums to one.
        rounding: Mass that the weights' own rounding may force onto forbidden pairs; it is left out of the plan.

    Returns:
        The plan, or ``None`` if forbidden pairs leave none.
    """
    low_rows = cost.min(axis=1)
    if np.isinf(low_rows).any():
        return None
    reduced: Floats = cost - low_rows[:, None]
    low_columns = reduced.min(axis=0)
    if np.isinf(low_columns).any():
        return None
    reduced -= low_columns  # (N, M), 0 in every row and column: the part of the cost that the plan can change
    forbidden = bool(np.isinf(reduced).any())
    spread = float(reduced.max(where=np.isfinite(reduced), initial=0.0)) or 1.0
    exchange = 2.0 * min(cost.shape)
    cap = exchange * spread if forbidden else spread
    plan = _solve_capped(reduced, a, b, cap)
    if plan.optimal and plan.lost > rounding:
        return None
    top = float(reduced[plan.rows, plan.columns].max(initial=0.0))
    while plan.optimal and top > 0.0 and cap > _WASTED_RANGE * exchange * top:
        cap = exchange * top
        plan = _solve_capped(reduced, a, b, cap)
        plan = plan._replace(optimal=plan.optimal and plan.lost <= rounding)
        top = float(reduced[plan.rows, plan.columns].max(initial=0.0))
    if top == 0.0:
        return plan._replace(f=low_rows, g=low_columns)
    if plan.optimal and (forbidden or cap < spread):
        # Potentials of capped costs hold the cap where only a capped entry links two groups of points.
        f, g = _potentials_of_support(cost, plan.rows, plan.columns)
        return plan._replace(f=f, g=g)
    return plan._replace(f=plan.f + low_rows, g=plan.g + low_columns)


def _solve_capped(cost: Floats, a: Floats, b: Floats, cap: float) -> BasicPlan:
    """Solves in units of the cap, checks the answer by weak duality, and leaves out what is above the cap."""
    pot = require("ot", extra="exact", purpose="exact transport between weighted points")
    scaled = np.minimum(cost / cap, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the result code says the same
        plan, log = pot.emd(a, b, scaled, numItermax=_MAX_PIVOTS, log=True)
    f, g = log["u"], log["v"]
    rows, columns = np.nonzero(plan)
    mass: Floats = plan[rows, columns]
    slack = scaled - f[:, None] - g
    gap = float(mass @ slack[rows, columns])
    proven = float(slack.min()) >= -CERTIFICATE and gap <= CERTIFICATE
    within = cost[rows, columns] <= cap
    return BasicPlan(
        rows=rows[within],
        columns=columns[within],
        mass=mass[within],
        f=f * cap,
        g=g * cap,
        lost=float(mass[~within].sum()),
        optimal=log["result_code"] == _OPTIMAL and proven,
    )


def _potentials_of_support(cost: Floats, rows: Indices, columns: Indices) -> tuple[Floats, Floats]:
    """Dual potentials that prove a plan optimal, found from its support alone.

    Complementary slackness asks for ``f_i + g_k = C_ik`` where the plan has mass and ``f_i + g_j <= C_ij`` elsewhere,
    so ``g_j <= g_k + C_ij - C_ik``: the ``g`` are distances in a graph that an optimal plan leaves without negative
    cycles. Bellman and Ford's sweeps find them, at most as many as there are columns. Forbidden pairs constrain
    nothing, and groups of points that only they could link get potentials of their own.
    """
    used = cost[rows, columns]
    rounding = 1e-14 * float(np.abs(used).max())
    g: Floats = (cost - cost.min(axis=1, keepdims=True)).min(axis=0)
    for _ in range(cost.shape[1] + 1):
        f = np.full(cost.shape[0], -np.inf)
        np.maximum.at(f, rows, used - g[columns])
        f = np.where(f == -np.inf, (cost - g).min(axis=1), f)  # a row whose mass was all rounding
        lower: Floats = np.minimum(g, (cost - f[:, None]).min(axis=0))
        if not bool((g - lower > rounding).any()):
            break
        g = lower
    return f, g
