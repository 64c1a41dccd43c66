"""``python -m monge.ot.compiled``: compiles all kernels now, so that no first solve has to wait for them.

Numba keeps what it compiles beside the source files (or in the user's cache where it may not write there). The process
that compiles a kernel may get other last bits from it than those that load it later, so two runs that should be equal
to the bit are best begun after this.
"""

from __future__ import annotations

import torch

from monge import ot
from monge.ot import use_backend


def compile_all() -> None:
    """Runs every kernel once in float32 and float64, with class indices and with distributions as targets."""
    with use_backend("compiled"):
        for dtype in (torch.float32, torch.float64):
            cost = (torch.rand(2, 5, 6, dtype=dtype) + 0.1).requires_grad_()
            ot.sinkhorn(cost, epsilon=0.2, grad="none").plan.sum()
            implicit = ot.sinkhorn(cost, epsilon=0.2, grad="implicit")
            logits = torch.rand(4, 5, dtype=dtype, requires_grad=True)
            results = [
                ot.sinkhorn(cost, epsilon=0.2).value,
                implicit.plan.square(),
                *(potential.square() for potential in implicit.potentials),
                ot.sinkhorn_unbalanced(cost, epsilon=0.2, rho=1.0).value,
                ot.sinkhorn_partial(cost, epsilon=0.2, mass=0.5).value,
                ot.emd(cost[:, :, :5]).value,
                ot.cramer_line_from_logits(logits, torch.arange(4)),
                ot.cramer_line_from_logits(logits, torch.full((4, 5), 0.2, dtype=dtype)),
            ]
            torch.autograd.backward([result.sum() for result in results])


if __name__ == "__main__":
    compile_all()
