"""The batch-wise OT loss of pairs made on the fly, in Triton's interpreter: value and gradient of the torch path."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.losses import BatchwiseOTLoss
from monge.ot.backend import use_backend

pytestmark = [
    pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1, see the Makefile"),
    pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning"),
]


def both(options: dict[str, object], x: Tensor, labels: Tensor, *reference: Tensor) -> list[list[Tensor]]:
    found = []
    for backend in ("triton", "torch"):
        leaves = [t.clone().requires_grad_() for t in (x, *reference[:1])]
        rest = {"ref_emb": leaves[1], "ref_labels": reference[1]} if reference else {}
        with use_backend(backend):
            value = BatchwiseOTLoss(max_pairs=1 << 20, tol=1e-4, **options)(leaves[0], labels, **rest)
            found.append([value, *torch.autograd.grad(value, leaves)])
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epsilon": 0.01},
        {"negative": "dist_hinge_sq", "pos_margin": 0.2, "include_self": True},
        {"power": 2.0, "plan_gradient": "kernel", "pos_margin": 0.1},
    ],
)
@pytest.mark.parametrize("against", ["itself", "reference"])
def test_value_and_gradient_equal_those_of_torch(options: dict[str, object], against: str) -> None:
    x, labels = normalize(torch.randn(40, 9), dim=1), torch.arange(40) % 4
    reference = (normalize(torch.randn(35, 9), dim=1), torch.arange(35) % 4) if against == "reference" else ()
    ours, theirs = both(options, x, labels, *reference)
    torch.testing.assert_close(ours[0], theirs[0], rtol=2e-4, atol=1e-6)
    for mine, other in zip(ours[1:], theirs[1:]):
        assert (mine - other).abs().max() <= 2e-3 * other.abs().max()


def test_a_batch_of_one_label_and_coinciding_samples_have_finite_gradients() -> None:
    x = torch.ones(12, 5, requires_grad=True)
    with use_backend("triton"):
        value = BatchwiseOTLoss(max_pairs=1 << 20)(x, torch.zeros(12, dtype=torch.long))
        (gradient,) = torch.autograd.grad(value, x)
    assert value == 0
    assert (gradient == 0).all()
