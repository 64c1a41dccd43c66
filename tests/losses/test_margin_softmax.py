"""Margin softmax losses against the formulas, against pytorch-metric-learning, and where cosines end."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss
from torch import Tensor, nn
from torch.func import functional_call

from monge.losses import (
    AdaFace,
    ArcFace,
    CombinedMargin,
    CosFace,
    CurricularFace,
    Margin,
    MarginSoftmax,
    MVSoftmax,
    margin_cross_entropy,
)
from monge.losses.margins import angle_of, arcface, combined, sine_of, straight_through
from oracles import margin_softmax as oracle

T = 0.3
MARGINS = {
    "arcface": (lambda: ArcFace(0.5), oracle.arcface(0.5, False), None),
    "arcface with fallback": (lambda: ArcFace(0.5, fallback=True), oracle.arcface(0.5, True), None),
    "cosface": (lambda: CosFace(0.35), lambda theta: math.cos(theta) - 0.35, None),
    "combined": (
        lambda: CombinedMargin(1.2, 0.3, 0.2),
        lambda theta: math.cos(1.2 * theta + 0.3) - 0.2,
        None,
    ),
    "sphereface": (lambda: CombinedMargin(3.0, 0.0, 0.0, monotone=True), oracle.sphereface(3.0), None),
    "curricularface": (
        CurricularFace,
        oracle.arcface(0.5, True),
        lambda c, own: c * (T + c) if c > own else c,
    ),
    "mv-am, adaptive": (
        MVSoftmax,
        lambda theta: math.cos(theta) - (0.35 if math.cos(theta) > 0.35 else 0),
        lambda c, own: (T + 1) * c + T if c > own else c,
    ),
    "mv-arc, fixed": (
        lambda: MVSoftmax("arcface", adaptive=False),
        lambda theta: math.cos(theta + 0.5) if math.cos(theta) > 0 else math.cos(theta),
        lambda c, own: c + T if c > own else c,
    ),
}
each = pytest.mark.parametrize("name", MARGINS)


def batch(n: int = 12, dim: int = 3, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    return (
        torch.randn(n, dim, **draw),
        torch.randint(classes, (n,), generator=generator),
        torch.randn(classes, dim, **draw),
    )


def made(margin: Margin | str, weight: Tensor, **options) -> MarginSoftmax:
    loss = MarginSoftmax(weight.shape[1], len(weight), margin, **options).to(weight.dtype)
    with torch.no_grad():
        loss.weight.copy_(weight)
        if isinstance(getattr(loss.margin, "t", None), Tensor):
            loss.margin.t.fill_(T)
    return loss.eval()


def in_double(loss: MarginSoftmax):
    return lambda x, weight, labels: functional_call(loss, {"weight": weight}, (x, labels))


@each
def test_value_equals_the_formula(name: str) -> None:
    margin, target, wrong = MARGINS[name]
    x, labels, weight = batch()
    loss = made(margin(), weight, scale=8.0)
    expected = [
        oracle.loss(e, y, weight.numpy(), 8.0, target, wrong) for e, y in zip(x.numpy(), labels.tolist(), strict=True)
    ]
    torch.testing.assert_close(loss.per_sample(x, labels), torch.tensor(expected, dtype=torch.float64))
    assert loss(x, labels).item() == pytest.approx(sum(expected) / len(expected))


@each
def test_gradients_are_exact(name: str) -> None:
    x, labels, weight = batch(6)
    loss = made(MARGINS[name][0](), weight, scale=4.0)
    inputs = (x.requires_grad_(), weight.requires_grad_())
    assert torch.autograd.gradcheck(lambda e, w: functional_call(loss, {"weight": w}, (e, labels)), inputs)


def test_adaface_takes_its_margins_from_the_lengths() -> None:
    x, labels, weight = batch(8)
    loss = made(AdaFace(m=0.4), weight, scale=8.0)
    loss.margin.mean.fill_(float(x.norm(dim=1).mean()))
    loss.margin.std.fill_(0.5)
    expected = []
    for e, y in zip(x, labels.tolist(), strict=True):
        quality = float(((e.norm() - loss.margin.mean) / (0.5 + 1e-3) * 0.333).clamp(-1, 1))
        expected.append(oracle.loss(e.numpy(), y, weight.numpy(), 8.0, oracle.adaface(0.4, quality)))
    torch.testing.assert_close(loss.per_sample(x, labels), torch.tensor(expected, dtype=torch.float64))
    assert len({round(float(q), 3) for q in loss.margin.quality(x.norm(dim=1))}) > 4


def test_lengths_are_constants_to_adaface() -> None:
    x, labels, weight = batch(6)
    loss = made(AdaFace(), weight)
    x.requires_grad_()
    loss(x, labels).backward()
    assert ((x.grad * x).sum(1).abs() < 1e-10).all()  # no pull along the embedding itself


@pytest.mark.parametrize("kind", ["arcface", "cosface"])
def test_equals_pytorch_metric_learning(kind: str) -> None:
    x, labels, weight = (part.float() if part.is_floating_point() else part for part in batch(32, 16, 10))
    peer = (ArcFaceLoss if kind == "arcface" else CosFaceLoss)(10, 16)
    margin = ArcFace(math.radians(28.6), fallback=True) if kind == "arcface" else CosFace(0.35)
    mine = made(margin, weight, scale=64.0)
    with torch.no_grad():
        peer.W.copy_(weight.T)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    value, reference = mine(ours, labels), peer(theirs, labels)
    value.backward()
    reference.backward()
    torch.testing.assert_close(value, reference, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mine.weight.grad, peer.W.grad.T, rtol=1e-5, atol=1e-5)


def test_the_margin_steepens_the_logit_unless_told_not_to() -> None:
    cosine = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(64 * arcface(cosine, 0.5), cosine)
    (through,) = torch.autograd.grad(64 * straight_through(cosine, arcface(cosine, 0.5)), cosine)
    assert exact.item() == pytest.approx(64 * math.sin(math.acos(0.3) + 0.5) / math.sin(math.acos(0.3)))
    assert through.item() == pytest.approx(64)
    x, labels, weight = batch()
    values = [made("arcface", weight, gradient=kind)(x, labels) for kind in ("exact", "straight-through")]
    assert values[0] == values[1]


NAMES = ("arcface", "am-softmax", "sphereface", "combined", "curricularface", "mv-am-softmax", "mv-arcface", "adaface")
CORNERS = {
    "on the class vector": (torch.eye(3), torch.arange(3)),
    "opposite to it": (-torch.eye(3), torch.arange(3)),
    "zero embeddings": (torch.zeros(3, 3), torch.arange(3)),
    "tiny": (1e-20 * torch.eye(3), torch.arange(3)),
    "huge": (1e15 * torch.eye(3), torch.arange(3)),
    "one sample": (torch.ones(1, 3), torch.tensor([2])),
    "no sample": (torch.ones(0, 3), torch.empty(0, dtype=torch.long)),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite(name: str, corner: tuple[Tensor, Tensor], dtype: torch.dtype) -> None:
    points, labels = corner
    x = points.to(dtype, copy=True).requires_grad_()
    loss = made(name, torch.cat([torch.eye(3), torch.zeros(1, 3)]).to(dtype)).train()
    value = loss(x, labels)
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert loss.weight.grad.isfinite().all()
    assert all(buffer.isfinite() for buffer in loss.buffers())


def test_margins_at_the_ends_of_the_range() -> None:
    ends = torch.tensor([-1.0 - 1e-7, -1.0, 1.0, 1.0 + 1e-7], dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(angle_of(ends), torch.tensor([math.pi, math.pi, 0.0, 0.0], dtype=torch.float64))
    for function in (sine_of, angle_of, arcface, lambda c: combined(c, 2.0, 0.1, 0.1, monotone=True)):
        (slope,) = torch.autograd.grad(function(ends).sum(), ends)
        assert slope.isfinite().all()


def test_monotone_margins_never_rise_with_the_angle() -> None:
    cosine = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    assert (combined(cosine, 4.0, 0.3, 0.0, monotone=True).diff() > -1e-12).all()
    assert (combined(cosine, 4.0, 0.3, 0.0).diff() < -1e-3).any()
    assert (arcface(cosine, 0.5).diff() < -1e-5).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_float32_and_leaves_parameters_alone(name: str, dtype: torch.dtype) -> None:
    x, labels, weight = (part.float() if part.is_floating_point() else part for part in batch(32, 16, 10))
    low = x.to(dtype).requires_grad_()
    loss = made(name, weight)
    reference = loss(low.detach().float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(low, labels)
        value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, reference)
    assert low.grad.dtype == dtype
    assert loss.weight.dtype == loss.weight.grad.dtype == torch.float32


def test_a_layer_under_autocast_keeps_its_dtype_too() -> None:
    x, labels, weight = (part.float() if part.is_floating_point() else part for part in batch(8))
    layer, loss = nn.Linear(3, 3), made("arcface", weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss(layer(x), labels).backward()
    assert layer.weight.grad.dtype == loss.weight.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_compiles_whole(name: str) -> None:
    torch._dynamo.reset()
    x, labels, weight = (part.float() if part.is_floating_point() else part for part in batch())
    loss = made(name, weight)
    x.requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (fused,), (plain,) = (torch.autograd.grad(call(x, labels), x) for call in (compiled, loss))
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_the_batch_does_not_matter(name: str) -> None:
    x, labels, weight = batch()
    order = torch.randperm(len(x))
    loss = made(name, weight)
    torch.testing.assert_close(loss.per_sample(x, labels)[order], loss.per_sample(x[order], labels[order]))


def test_many_classes_are_worked_on_in_blocks(monkeypatch) -> None:
    x, labels, weight = batch(23, 3, 17)
    x.requires_grad_()
    for name in ("arcface", "curricularface", "mv-am-softmax"):
        loss = made(name, weight)
        monkeypatch.setattr("monge.losses.margin_softmax._BLOCK", 1 << 21)
        value = loss(x, labels)
        (whole,) = torch.autograd.grad(value, x)
        monkeypatch.setattr("monge.losses.margin_softmax._BLOCK", 40)
        blocks = loss(x, labels)
        (parts,) = torch.autograd.grad(blocks, x)
        torch.testing.assert_close(blocks, value)
        torch.testing.assert_close(parts, whole)


def test_what_margins_learn_of_the_batches() -> None:
    x, labels, weight = batch()
    curricular = made("curricularface", weight)
    own = curricular.cosines(x)[torch.arange(len(x)), labels].mean()
    curricular(x, labels)
    assert curricular.margin.t == T  # not in evaluation mode
    curricular.train()(x, labels)
    assert curricular.margin.t.item() == pytest.approx(0.99 * T + 0.01 * own.item())
    moving = made(MVSoftmax(momentum=0.5), weight).train()
    moving(x, labels)
    assert moving.margin.t.item() == pytest.approx(0.5 * T + 0.5 * own.item())
    fixed = made(MVSoftmax(), weight).train()
    fixed(x, labels)
    assert fixed.margin.t.item() == T
    ada = made("adaface", weight).train()
    ada(x, labels)
    lengths = x.norm(dim=1)
    assert ada.margin.mean.item() == pytest.approx(0.99 * 20 + 0.01 * lengths.mean().item())
    assert ada.margin.std.item() == pytest.approx(0.99 * 100 + 0.01 * lengths.std().item())
    ada(x[:1], labels[:1])
    assert ada.margin.std.isfinite()


def test_state_is_weights_and_what_was_learned() -> None:
    assert MarginSoftmax(3, 5, "curricularface").state_dict().keys() == {"weight", "margin.t"}
    assert MarginSoftmax(3, 5, "adaface").state_dict().keys() == {"weight", "margin.mean", "margin.std"}
    assert MarginSoftmax(3, 5).state_dict().keys() == {"weight"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, -1]), r"labels lie in \[-1, 0\], expected \[0, 4\]"),
        (torch.tensor([5, 0]), r"labels lie in \[0, 5\], expected \[0, 4\]"),
        (torch.tensor([0]), "expected floats \\(N, 3\\) and \\(N,\\)"),
    ],
)
def test_labels_that_do_not_fit(labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MarginSoftmax(3, 5)(torch.randn(2, 3), labels)


@pytest.mark.parametrize(
    "options",
    [
        {"margin": "arc"},
        {"margin": "combined", "m": 0.2},
        {"margin": ArcFace(), "m": 0.2},
        {"scale": 0.0},
        {"gradient": "none"},
    ],
)
def test_settings_that_do_not_fit(options: dict) -> None:
    with pytest.raises(ValueError, match=r"expected|three margins|by name"):
        MarginSoftmax(3, 5, **options)


def test_second_derivatives_are_refused() -> None:
    cosine = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = margin_cross_entropy(cosine, torch.tensor([0]), cosine[:, 0], 1.0)
    (slope,) = torch.autograd.grad(value.sum(), cosine, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        slope.sum().backward()
