"""The transport engine: ground costs, entropic and exact solvers, gradients, and the ``Transport`` result."""

from monge.ot.cost import pairwise_cost
from monge.ot.sinkhorn import sinkhorn
from monge.ot.transport import Transport

__all__ = ["Transport", "pairwise_cost", "sinkhorn"]
