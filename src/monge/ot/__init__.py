"""The transport engine: ground costs, entropic and exact solvers, gradients, and the ``Transport`` result."""

from monge.ot.cost import pairwise_cost
from monge.ot.sinkhorn import sinkhorn
from monge.ot.transport import Transport
from monge.ot.variants import sinkhorn_dustbin, sinkhorn_partial, sinkhorn_unbalanced

__all__ = [
    "Transport",
    "pairwise_cost",
    "sinkhorn",
    "sinkhorn_dustbin",
    "sinkhorn_partial",
    "sinkhorn_unbalanced",
]
