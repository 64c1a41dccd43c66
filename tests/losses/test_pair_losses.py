"""Losses between two modalities where they tend to break: odd batches, low precision, compilation, order; baselines."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from monge.losses import InfoNCELoss, InverseOTLoss, JointModalities, MaxMarginLoss, SharedClassifierLoss
from oracles import inverse_ot as oracle

LOSSES = {
    "row": InverseOTLoss(constraint="row"),
    "balanced": InverseOTLoss(),
    "balanced, squared distance": InverseOTLoss(metric="sqeuclidean", epsilon=0.5),
    "unbalanced": InverseOTLoss(constraint="unbalanced", rho=2.0),
    "partial": InverseOTLoss(constraint="partial", mass=0.7),
    "rince": InverseOTLoss(rince_weight=1.0),
    "gca-uot": InverseOTLoss(constraint="unbalanced", rince_weight=1.0, kl_weight=0.2),
    "infonce": InfoNCELoss(),
    "max-margin": MaxMarginLoss(),
    "max-margin, hardest": MaxMarginLoss(negatives="hardest"),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def batch(n: int = 10, m: int = 8, dim: int = 6, classes: int = 3, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    lx, ly = (torch.randint(0, classes, (size,), generator=generator) for size in (n, m))
    centres = torch.randn(classes, dim, generator=generator)
    x, y = (centres[c] + 0.8 * torch.randn(len(c), dim, generator=generator) for c in (lx, ly))
    return functional.normalize(x, dim=1), functional.normalize(y, dim=1), lx, ly


DEGENERATE = {
    "one class": (torch.eye(4), torch.eye(4)[:3], [1, 1, 1, 1], [1, 1, 1]),
    "no positive": (torch.eye(4), torch.eye(4)[:3], [0, 0, 1, 1], [2, 2, 3]),
    "one positive": (torch.eye(4), torch.eye(4)[:3], [0, 0, 1, 1], [1, 2, 3]),
    "batch of one": (torch.ones(1, 4), torch.ones(1, 4), [0], [0]),
    "batch of one, apart": (torch.ones(1, 4), torch.ones(1, 4), [0], [1]),
    "one against several": (torch.ones(1, 4), torch.eye(4), [0], [0, 1, 0, 1]),
    "identical": (torch.ones(4, 4), torch.ones(4, 4), [0, 0, 1, 1], [0, 1, 0, 1]),
    "zero vectors": (torch.zeros(3, 4), torch.eye(4)[:3], [0, 1, 2], [0, 1, 2]),
    "all zero": (torch.zeros(3, 4), torch.zeros(3, 4), [0, 1, 2], [0, 1, 2]),
    "wrong way round": (torch.eye(4), torch.eye(4).flip(0), [0, 1, 2, 3], [0, 1, 2, 3]),
}


@every_loss
@pytest.mark.parametrize("ignoring", ["nothing", "a pair", "everything"])
@pytest.mark.parametrize("case", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_odd_batches_stay_finite(case: tuple, ignoring: str, loss: nn.Module) -> None:
    x, y = case[0].clone().requires_grad_(), case[1].clone().requires_grad_()
    ignore = torch.zeros(len(x), len(y), dtype=torch.bool)
    ignore[-1, -1] = ignoring == "a pair"
    ignore |= ignoring == "everything"
    value = loss(x, y, torch.tensor(case[2]), torch.tensor(case[3]), ignore=ignore)
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


@every_loss
def test_nothing_that_belongs_together_costs_nothing(loss: nn.Module) -> None:
    x = torch.randn(4, 3, requires_grad=True)
    value = loss(x, torch.randn(5, 3), torch.zeros(4, dtype=torch.long), torch.ones(5, dtype=torch.long))
    value.backward()
    assert value == 0
    assert not x.grad.any()


@every_loss
def test_ignored_pairs_do_not_count(loss: nn.Module) -> None:
    x, y, lx, ly = batch(seed=1)
    ignore = torch.zeros(10, 8, dtype=torch.bool)
    ignore[:, 2] = True
    rest = torch.arange(8) != 2
    torch.testing.assert_close(loss(x, y, lx, ly, ignore=ignore), loss(x, y[rest], lx, ly[rest]), rtol=2e-3, atol=1e-4)
    far = y.clone()
    far[2] = -y[2]
    torch.testing.assert_close(loss(x, far, lx, ly, ignore=ignore), loss(x, y, lx, ly, ignore=ignore))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_compute_in_float32(loss: nn.Module, dtype: torch.dtype) -> None:
    x, y, lx, ly = batch(seed=2)
    low = x.to(dtype).requires_grad_()
    value, reference = loss(low, y.to(dtype), lx, ly), loss(x.to(dtype).float(), y.to(dtype).float(), lx, ly)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, reference)
    assert low.grad.dtype == dtype
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(loss(x.to(dtype).float(), y.to(dtype).float(), lx, ly), reference)


@every_loss
def test_order_of_the_batch_does_not_matter(loss: nn.Module) -> None:
    x, y, lx, ly = (t.double() if t.is_floating_point() else t for t in batch(seed=3))
    rows, columns = torch.randperm(10), torch.randperm(8)
    torch.testing.assert_close(loss(x[rows], y[columns], lx[rows], ly[columns]), loss(x, y, lx, ly), rtol=1e-5, atol=0)


@every_loss
def test_modalities_may_change_places(loss: nn.Module) -> None:
    x, y, lx, ly = (t.double() if t.is_floating_point() else t for t in batch(seed=4))
    torch.testing.assert_close(loss(y, x, ly, lx), loss(x, y, lx, ly), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("name", "with_ignore"),
    [
        ("row", True),
        ("balanced", False),
        ("unbalanced", True),
        ("partial", True),
        ("rince", False),
        ("gca-uot", True),
        ("infonce", True),
        ("max-margin", True),
        ("max-margin, hardest", False),
    ],
)
def test_compiles_whole(name: str, with_ignore: bool) -> None:
    torch._dynamo.reset()
    loss = LOSSES[name]
    x, y, lx, ly = batch(seed=5)
    ignore = (torch.rand(10, 8, generator=torch.Generator().manual_seed(0)) < 0.2) if with_ignore else None
    x.requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (plain,) = torch.autograd.grad(loss(x, y, lx, ly, ignore=ignore), x)
    (fused,) = torch.autograd.grad(compiled(x, y, lx, ly, ignore=ignore), x)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-6)
    with torch._dynamo.config.patch(error_on_recompile=True):
        mixed = (torch.zeros_like(lx), ly.flip(0))
        given = compiled(x, y, *mixed, ignore=ignore)
        torch.testing.assert_close(given, loss(x, y, *mixed, ignore=ignore), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["row", "balanced", "unbalanced", "gca-uot", "infonce"])
def test_pairs_without_labels_compile_whole(name: str) -> None:
    torch._dynamo.reset()
    loss = LOSSES[name]
    x, y = (t[:8].clone().requires_grad_() for t in batch(seed=12)[:2])
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for other in (y, x):
        fused, plain = (torch.autograd.grad(module(x, other), (x,)) for module in (compiled, loss))
        torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [LOSSES["balanced"], LOSSES["unbalanced"], LOSSES["rince"]])
def test_second_derivatives_are_refused(loss: nn.Module) -> None:
    x, y, lx, ly = batch(seed=6)
    (grad,) = torch.autograd.grad(loss(x.requires_grad_(), y, lx, ly), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        grad.sum().backward()


@pytest.mark.parametrize("negatives", ["all", "hardest"])
@pytest.mark.parametrize("seed", [7, 8])
def test_max_margin_equals_the_sum_of_its_triplets(negatives: str, seed: int) -> None:
    x, y, lx, ly = (t.double() if t.is_floating_point() else t for t in batch(seed=seed))
    ignore = torch.rand(10, 8) < 0.2
    positive = (lx[:, None] == ly) & ~ignore
    cosine = functional.normalize(x, dim=1) @ functional.normalize(y, dim=1).T
    given = [t.numpy() for t in (cosine, positive, ~ignore)]
    expected = oracle.max_margin(*given, 0.3, negatives == "hardest")
    loss = MaxMarginLoss(margin=0.3, negatives=negatives)
    assert loss(x, y, lx, ly, ignore=ignore).item() == pytest.approx(expected, rel=1e-10)
    assert torch.autograd.gradcheck(lambda a: loss(a, y, lx, ly, ignore=ignore), (x.requires_grad_(),))


def test_infonce_passes_gradcheck_and_trains_its_temperature() -> None:
    x, y, lx, ly = (t.double() if t.is_floating_point() else t for t in batch(seed=9))
    loss = InfoNCELoss(temperature=0.3, learn_temperature=True).double()

    def value(a: Tensor, log_temperature: Tensor) -> Tensor:
        return torch.func.functional_call(loss, {"log_temperature": log_temperature}, (a, y, lx, ly))

    start = loss.log_temperature.detach().clone().requires_grad_()
    assert start.exp().item() == pytest.approx(0.3)
    assert torch.autograd.gradcheck(value, (x.requires_grad_(), start))


def test_joint_modalities_hand_on_one_batch() -> None:
    x, y, lx, ly = batch(seed=10)
    seen: list[Tensor] = []

    class Spy(nn.Module):
        lr_scale = 7.0

        def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
            seen.extend([embeddings, labels])
            return embeddings.sum()

    loss = JointModalities(Spy())
    loss(x.half(), y, lx, ly)
    assert loss.lr_scale == 7.0
    assert seen[0].dtype == torch.float32
    assert torch.equal(seen[1], torch.cat([lx, ly]))
    with pytest.raises(ValueError, match="labels need one entry per embedding"):
        loss(x, y, lx[:-1], ly)


def test_shared_classifier_is_cross_entropy_of_cosines() -> None:
    x, y, lx, ly = batch(seed=11)
    loss = SharedClassifierLoss(6, 3, scale=5.0)
    directions = functional.normalize(loss.directions, dim=1)
    logits = 5.0 * torch.cat([x, y]) @ directions.T
    expected = functional.cross_entropy(logits, torch.cat([lx, ly]))
    torch.testing.assert_close(loss(3 * x, 0.5 * y, lx, ly), expected)
    loss(x.half(), y.half(), lx, ly).backward()
    assert loss.directions.grad.isfinite().all()
    with pytest.raises(ValueError, match="expected all above 0"):
        SharedClassifierLoss(6, 0)
