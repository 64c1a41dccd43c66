"""Potentials carried from one solve to the next for the points that come back, so that training steps are cheaper."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

# With fewer points known than this share, on the better known side, the half step is a worse start than none.
_SHARE_NEEDED = 0.5

HalfStep = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Soft c-transform within a problem: at indices ``(A,)``, from indices ``(B,)`` and their potentials ``(B,)``."""


class WarmStart(nn.Module):
    """Remembers the potentials of past problems by key: a sample's index in its data set, or a slot of a memory.

    A start near the solution saves iterations and changes the result by no more than the tolerance of the solve. Points
    that are new get their potentials by a half step from those that are known. Worth its while where a solve takes many
    iterations, that is for small epsilon and tight tolerances, and where points move little between two visits.

    The potentials are buffers, so that a resumed run starts each solve where the interrupted one would have.

    Args:
        size: Keys lie in ``0 .. size - 1``.

    Raises:
        ValueError: A size below 1.

    Example:
        >>> from monge import ot
        >>> warm, keys = WarmStart(1000), torch.arange(40)
        >>> x, y = torch.rand(2, 40, 2, generator=torch.Generator().manual_seed(0))
        >>> spent = []
        >>> for step in range(2):
        ...     cost = ot.pairwise_cost(x + 0.001 * step, y)
        ...     problem = warm.at(keys, keys)
        ...     result = ot.sinkhorn(cost, epsilon=0.01, init=problem.init(cost, epsilon=0.01))
        ...     problem.keep(*result.potentials)
        ...     spent.append(int(result.iterations))
        >>> spent[1] < spent[0]
        True
    """

    row_potentials: Tensor
    column_potentials: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size is {size}: expected at least 1 key")
        # NaN is a key that has not been seen.
        self.register_buffer("row_potentials", torch.full((size,), torch.nan))  # (size,)
        self.register_buffer("column_potentials", torch.full((size,), torch.nan))  # (size,)

    def at(self, rows: Tensor | None, columns: Tensor | None) -> WarmProblem:
        """The memory of one problem's points.

        Args:
            rows: Keys of the rows, integers ``(N,)``; ``None`` if none of them will come back.
            columns: Keys of the columns, integers ``(M,)``; for a batch against itself those of the rows.

        Raises:
            ValueError: Keys that are not a row of integers in range.
        """
        return WarmProblem(
            (self.row_potentials, self._checked("rows", rows)),
            (self.column_potentials, self._checked("columns", columns)),
        )

    def forget(self, keys: Tensor) -> None:
        """Takes the keys for new ones from now on, for slots that have been given to other points."""
        keys = keys.to(self.row_potentials.device)
        self.row_potentials.index_fill_(0, keys, torch.nan)
        self.column_potentials.index_fill_(0, keys, torch.nan)

    def reset(self) -> None:
        """Forgets everything."""
        self.row_potentials.fill_(torch.nan)
        self.column_potentials.fill_(torch.nan)

    def _checked(self, name: str, keys: Tensor | None) -> Tensor | None:
        if keys is None:
            return None
        size = len(self.row_potentials)
        if keys.dim() != 1 or keys.is_floating_point():
            raise ValueError(
                f"{name} has shape {tuple(keys.shape)} and {keys.dtype}: expected integer keys of shape (N,)"
            )
        keys = keys.to(self.row_potentials.device, torch.long)
        if len(keys) and bool(((keys < 0) | (keys >= size)).any()):
            raise ValueError(f"{name} holds keys from {int(keys.min())} to {int(keys.max())}: expected 0 to {size - 1}")
        return keys


class WarmProblem:
    """What a `WarmStart` knows about the points of one problem.

    Args:
        rows: Potentials by key, and the keys of the rows (``None``: unknown rows).
        columns: The same for the columns.
    """

    def __init__(self, rows: tuple[Tensor, Tensor | None], columns: tuple[Tensor, Tensor | None]) -> None:
        self._rows, self._columns = rows, columns

    @torch.no_grad()
    def init(self, cost: Tensor, *, epsilon: float | Tensor) -> tuple[Tensor, Tensor] | None:
        """Potentials to begin with, for the ``init`` of `monge.ot.sinkhorn`.

        Args:
            cost: Costs of the problem, ``(N, M)``.
            epsilon: Regularisation in units of the cost.

        Returns:
            ``f (N,)`` and ``g (M,)``, or ``None`` if too few points are known; the solver begins from ``g``.

        Raises:
            ValueError: More or fewer keys than points.
        """
        cost = cost.detach().to(torch.promote_types(cost.dtype, torch.float32))
        n, m = cost.shape

        def to_rows(to: Tensor, known: Tensor, potentials: Tensor) -> Tensor:
            return _soft_transform(cost[to][:, known], potentials, epsilon)

        def to_columns(to: Tensor, known: Tensor, potentials: Tensor) -> Tensor:
            return _soft_transform(cost[known][:, to].mT, potentials, epsilon)

        g = self.columns(cost, n, m, to_rows, to_columns)
        return None if g is None else (cost.new_zeros(n), g)

    @torch.no_grad()
    def columns(self, like: Tensor, n: int, m: int, to_rows: HalfStep, to_columns: HalfStep) -> Tensor | None:
        """Potentials of the columns, the new ones by a half step, for a solver that does not hold its costs.

        New rows first get theirs from the columns that are known, and new columns then from all rows that have one.

        Args:
            like: Gives dtype and device.
            n: Number of rows.
            m: Number of columns.
            to_rows: Soft c-transform from columns to rows.
            to_columns: Soft c-transform from rows to columns.

        Returns:
            ``(M,)``, or ``None`` if less than half of the rows and less than half of the columns are known.

        Raises:
            ValueError: More or fewer keys than points.
        """
        f, g = _recall("rows", self._rows, n, like), _recall("columns", self._columns, m, like)
        seen_f, seen_g = ~f.isnan(), ~g.isnan()
        known_rows, known_columns = torch.stack([seen_f.sum(), seen_g.sum()]).tolist()
        if known_columns == m:
            return g
        if known_rows < _SHARE_NEEDED * n and known_columns < _SHARE_NEEDED * m:
            return None
        if known_columns and known_rows < n:
            old, new = seen_g.nonzero()[:, 0], (~seen_f).nonzero()[:, 0]
            f[new] = to_rows(new, old, g[old])
        old, new = (~f.isnan()).nonzero()[:, 0], (~seen_g).nonzero()[:, 0]
        g[new] = to_columns(new, old, f[old])
        # A point whose known partners are all forbidden starts like any other in a cold start.
        return torch.where(torch.isfinite(g), g, 0.0)

    @torch.no_grad()
    def keep(self, f: Tensor, g: Tensor) -> None:
        """Remembers the potentials ``f (N,)`` and ``g (M,)`` of the solved problem under their keys."""
        for (store, keys), potentials in ((self._rows, f), (self._columns, g)):
            if keys is not None:
                # Of a key that occurs twice the larger stays, so that the order of writing does not matter.
                store.scatter_reduce_(0, keys, potentials.to(store), "amax", include_self=False)

    def transposed(self) -> WarmProblem:
        """The same for the problem with rows and columns exchanged."""
        return WarmProblem(self._columns, self._rows)


def _recall(name: str, side: tuple[Tensor, Tensor | None], points: int, like: Tensor) -> Tensor:
    store, keys = side
    if keys is None:
        return like.new_full((points,), torch.nan)
    if len(keys) != points:
        raise ValueError(f"{name}: found {len(keys)} keys for {points} points, expected one each")
    return store[keys].to(like)


def _soft_transform(cost: Tensor, potentials: Tensor, epsilon: float | Tensor) -> Tensor:
    """``-epsilon log mean_j exp((potentials_j - cost_ij) / epsilon)``."""
    exponent = (potentials - cost) / epsilon  # (A, B)
    return -epsilon * (torch.logsumexp(exponent, 1) - math.log(cost.shape[1]))
