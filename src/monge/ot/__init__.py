"""The transport engine: ground costs, entropic and exact solvers, gradients, and the ``Transport`` result."""

from monge.ot.backend import use_backend
from monge.ot.cost import pairwise_cost
from monge.ot.exact import emd
from monge.ot.line import cramer_line, emd_line
from monge.ot.line_loss import cramer_line_from_logits
from monge.ot.sinkhorn import sinkhorn
from monge.ot.transport import Transport
from monge.ot.tree import cramer_tree, emd_tree
from monge.ot.variants import sinkhorn_dustbin, sinkhorn_partial, sinkhorn_unbalanced
from monge.ot.warm_start import WarmStart

__all__ = [
    "Transport",
    "WarmStart",
    "cramer_line",
    "cramer_line_from_logits",
    "cramer_tree",
    "emd",
    "emd_line",
    "emd_tree",
    "pairwise_cost",
    "sinkhorn",
    "sinkhorn_dustbin",
    "sinkhorn_partial",
    "sinkhorn_unbalanced",
    "use_backend",
]
