"""Assignments by shortest augmenting paths (Jonker and Volgenant 1987) in float64, with the prices that prove them.

Prices of the columns start at their smallest costs; rows that get a column that way keep it, the others bid for one
twice, and what is left over then is assigned one row at a time along the shortest path to a free column, the lengths
being costs less prices. All loops over a row of costs are vector code; what the search has left behind is skipped by
lengths of infinity, not by branches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.ot.compiled.arithmetic import at_order, order_of
from monge.ot.compiled.jit import entry, in_order
from monge.ot.compiled.threads import over_range

Array = NDArray[Any]

_BIDS_PER_ROW = 4  # at most, on average: with rounding, bids could go on forever


class Assignments(NamedTuple):
    """Solved problems, and potentials with ``f_i + g_j <= C_ij``, equal where row ``i`` has column ``j``."""

    columns: NDArray[np.int64]  # (B, N) column of every row
    f: NDArray[np.float64]  # (B, N)
    g: NDArray[np.float64]  # (B, N)
    slack: NDArray[
        np.float64
    ]  # (B,) the smallest C_ij - f_i - g_j: how far rounding leaves it below 0; NaN: no solution


class _Search(NamedTuple):
    """Room for one problem."""

    price: Array  # (N,)
    open_price: Array  # (N,) -inf for columns that the search has left behind
    length: Array  # (N,) shortest path to each column found so far, inf for those left behind
    behind: Array  # (N,) columns left behind, in order
    behind_length: Array  # (N,) paths to them
    before: Array  # (N,) the row from which the path reaches each column
    free: Array  # (N,) rows without a column
    column_of: Array  # (N,)
    row_of: Array  # (N,) -1 for a free column


def solve_assignments(costs: Array) -> Assignments:
    """Solves a batch, on as many threads as torch uses.

    Args:
        costs: ``(B, N, N)``, float32 or float64, finite.

    Returns:
        The assignments; those whose sums leave the range of float64 are marked by a ``slack`` of NaN.
    """
    costs = np.ascontiguousarray(costs)
    batch, n, _ = costs.shape
    made = Assignments(np.zeros((batch, n), np.int64), np.zeros((batch, n)), np.zeros((batch, n)), np.zeros(batch))
    over_range(batch, lambda start, stop: _solve_range(costs, start, stop, *made))
    return made


@entry
def _solve_range(costs: Array, start: int, stop: int, columns: Array, f: Array, g: Array, slack: Array) -> None:
    n = costs.shape[1]
    numbers, indices = np.empty((3, n)), np.empty((4, n), np.int64)
    for k in range(start, stop):
        search = _Search(
            g[k], numbers[0], numbers[1], indices[0], numbers[2], indices[1], indices[2], columns[k], indices[3]
        )
        slack[k] = _solve(costs[k], search, f[k])


@in_order
def _solve(cost: Array, search: _Search, f: Array) -> Any:
    """Writes the potentials of the rows; returns the smallest slack."""
    count = _reduce_columns(cost, search)
    for _ in range(2):
        count = _bid(cost, search, count)
    for k in range(count):
        if not _augment(cost, search, search.free[k]):
            return np.nan
    least = np.inf
    for i in range(len(cost)):
        j = search.column_of[i]
        f[i] = cost[i, j] - search.price[j]
        slack = _less_prices(cost[i], search.price, search.length) - f[i]
        least = slack if not slack >= least else least
    return least


@in_order
def _reduce_columns(cost: Array, search: _Search) -> int:
    """Prices are the columns' smallest costs, each row takes one such column; returns the number of free rows."""
    price, cheapest, wins = search.price, search.before, search.behind
    n = len(cost)
    for j in range(n):
        price[j] = cost[0, j]
        cheapest[j] = 0
    for i in range(1, n):
        for j in range(n):
            lower = cost[i, j] < price[j]
            cheapest[j] = i if lower else cheapest[j]
            price[j] = cost[i, j] if lower else price[j]
    for i in range(n):
        wins[i] = 0
        search.column_of[i] = -1
    for j in range(n):
        i = cheapest[j]
        wins[i] += 1
        search.row_of[j] = i if wins[i] == 1 else -1
        search.column_of[i] = j if wins[i] == 1 else search.column_of[i]
    free = 0
    for i in range(n):
        if wins[i] == 0:
            search.free[free] = i
            free += 1
        elif wins[i] == 1 and n > 1:
            # No other column is as cheap for this row: the price may fall until one is.
            j = search.column_of[i]
            _less_prices(cost[i], price, search.length)
            search.length[j] = np.inf
            price[j] -= _smallest(search.length)
    return free


@in_order
def _bid(cost: Array, search: _Search, count: int) -> int:
    """Free rows take their cheapest columns, at prices that make the second cheapest as good; returns who is left."""
    price, free, row_of = search.price, search.free, search.row_of
    n, left, k, bids = len(cost), 0, 0, 0
    while k < count:
        i = free[k]
        k += 1
        bids += 1
        lowest = _less_prices(cost[i], price, search.length)
        j = _place(search.length, lowest)
        search.length[j] = np.inf
        second = _smallest(search.length)
        bid = price[j] - (second - lowest)
        better = bid < price[j] and bids < _BIDS_PER_ROW * n
        if better:
            price[j] = bid
        elif second == lowest and row_of[j] >= 0:
            j = _place(search.length, second)
        loser = row_of[j]
        search.column_of[i] = j
        row_of[j] = i
        if loser >= 0 and better:  # goes on bidding at once
            k -= 1
            free[k] = loser
        elif loser >= 0:
            free[left] = loser
            left += 1
    return left


@in_order
def _augment(cost: Array, search: _Search, root: int) -> bool:
    """Gives one more row a column, along the shortest path to a free one."""
    price, length, row_of = search.price, search.length, search.row_of
    n, count = len(cost), 0
    for j in range(n):
        search.open_price[j] = price[j]
        search.before[j] = root
    shortest = _less_prices(cost[root], price, length)
    while True:
        j = _place_free_first(length, shortest, row_of)
        if j < n:
            break
        j -= n
        if j >= n or count == n:  # infinity or NaN has come in
            return False
        search.behind[count], search.behind_length[count] = j, shortest
        count += 1
        i = row_of[j]
        offset = cost[i, j] - price[j] - shortest
        search.open_price[j] = -np.inf
        length[j] = np.inf
        shortest = _relax(cost[i], search.open_price, offset, i, length, search.before)
    for k in range(count):
        price[search.behind[k]] += search.behind_length[k] - shortest
    while True:
        i = search.before[j]
        row_of[j] = i
        search.column_of[i], j = j, search.column_of[i]
        if i == root:
            return True


@in_order
def _relax(costs: Array, prices: Array, offset: Any, row: int, length: Array, before: Array) -> Any:
    """Paths that go over this row, where they are shorter; returns the shortest of all."""
    least = order_of(np.inf)
    for j in range(len(costs)):
        over = costs[j] - prices[j] - offset
        shorter = over < length[j]
        before[j] = row if shorter else before[j]
        kept = over if shorter else length[j]
        length[j] = kept
        least = min(least, order_of(kept))
    return at_order(least)


@in_order
def _less_prices(costs: Array, prices: Array, made: Array) -> Any:
    """Writes costs less prices; returns the smallest."""
    least = order_of(np.inf)
    for j in range(len(costs)):
        made[j] = costs[j] - prices[j]
        least = min(least, order_of(made[j]))
    return at_order(least)


@in_order
def _smallest(numbers: Array) -> Any:
    least = order_of(np.inf)
    for j in range(len(numbers)):
        least = min(least, order_of(numbers[j]))
    return at_order(least)


@in_order
def _place(numbers: Array, wanted: Any) -> int:
    """Where the number stands first."""
    n = len(numbers)
    place = n
    for j in range(n):
        place = min(place, j if numbers[j] == wanted else n)
    return place


@in_order
def _place_free_first(length: Array, wanted: Any, row_of: Array) -> int:
    """Place of the length: the first free column with it, else ``N`` more than the first one, else ``2 N``."""
    n = len(length)
    place = 2 * n
    for j in range(n):
        ranked = j if row_of[j] < 0 else j + n
        place = min(place, ranked if length[j] == wanted else 2 * n)
    return place
