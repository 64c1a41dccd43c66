"""The relaxed EMD of Martinez et al. against loops over links, linear programs and its tangent gradient."""

from __future__ import annotations

import pytest
import torch

from monge.ground import Learned, Line, Power, Tree
from monge.losses import RelaxedEMDLoss, SquaredEMDLoss
from oracles import class_transport as oracle
from oracles.linear_program import transport_plan

PARENTS, LENGTHS = [-1, 0, 0, 1, 1, 2], [0.0, 1.0, 2.5, 0.5, 1.0, 3.0]
TREE = Tree(PARENTS, LENGTHS)
POSITIONS = [0.0, 1.0, 1.5, 4.0, 4.1, 9.0]
RHO = pytest.mark.parametrize("rho", [1.0, 1.5, 2.0, 3.0])


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    targets = torch.rand(5, 6, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 6, (5,), generator=generator), targets / targets.sum(1, keepdim=True)


@RHO
@pytest.mark.parametrize("soft", [False, True], ids=["one class", "soft"])
@pytest.mark.parametrize("space", ["chain", "spaced", "tree"])
def test_value_is_the_sum_over_links(space: str, soft: bool, rho: float) -> None:
    logits, labels, targets = batch()
    ground = {"chain": None, "spaced": Line(POSITIONS), "tree": TREE}[space]
    values = RelaxedEMDLoss(ground, rho=rho, reduction="none")(logits, targets if soft else labels)
    wanted = (targets if soft else torch.nn.functional.one_hot(labels, 6).double()).numpy()
    for row, p in enumerate(logits.softmax(1).numpy()):
        if space == "tree":
            expected = oracle.relaxed_tree(p, wanted[row], rho, PARENTS, LENGTHS)
        else:
            expected = oracle.relaxed_chain(p, wanted[row], rho, POSITIONS if space == "spaced" else None)
        assert float(values[row]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ground", [Line(POSITIONS), TREE], ids=["chain", "tree"])
def test_exponent_one_is_the_linear_program(ground) -> None:
    logits, _, targets = batch(1)
    values = RelaxedEMDLoss(ground, rho=1.0, reduction="none")(logits, targets)
    for row in range(5):
        cost, _ = transport_plan(ground.matrix(6), logits[row].softmax(0), targets[row])
        assert float(values[row]) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("ground", [None, Line(POSITIONS), TREE], ids=["chain", "spaced", "tree"])
def test_exponent_two_is_the_squared_emd(ground) -> None:
    logits, labels, targets = batch(2)
    for target in (labels, targets):
        torch.testing.assert_close(RelaxedEMDLoss(ground)(logits, target), SquaredEMDLoss(ground)(logits, target))


@RHO
def test_taking_off_the_mean_changes_nothing_behind_a_softmax(rho: float) -> None:
    """The paper's gradient, rho sum_{i >= k} |phi_i|^(rho - 1) sign(phi_i) less its mean, gives the same to logits."""
    logits, labels, _ = batch(3)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(RelaxedEMDLoss(rho=rho, reduction="sum")(logits, labels), logits)
    p = logits.detach().softmax(1)
    phi = (p - torch.nn.functional.one_hot(labels, 6)).cumsum(1)[:, :-1]
    slope = rho * phi.abs() ** (rho - 1) * phi.sign()
    published = torch.cat([slope.flip(1).cumsum(1).flip(1), torch.zeros(5, 1)], 1)
    published = published - published.mean(1, keepdim=True)
    torch.testing.assert_close(gradient, p * (published - (p * published).sum(1, keepdim=True)))


def test_other_grounds_and_exponents_are_refused() -> None:
    for ground in (torch.ones(3, 3) - torch.eye(3), Power(Line(), 2.0), Learned(3)):
        with pytest.raises(ValueError, match="expected Line or Tree"):
            RelaxedEMDLoss(ground)
    with pytest.raises(ValueError, match="at least 1"):
        RelaxedEMDLoss(rho=0.5)
