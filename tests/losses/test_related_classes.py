"""What the relatives of squared EMD share: cross-entropy's call, gradients, precision, compilation, many classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from monge.ground import FromEmbeddings, Learned, Line, Matrix, Tree
from monge.losses import ConservativeWassersteinLoss, RelaxedEMDLoss, WassersteinLoss
from monge.losses.ground_loss import GroundLoss

CLASSES = 5
Build = Callable[..., GroundLoss]

VARIANTS: dict[str, tuple[Build, dict]] = {
    "wasserstein": (WassersteinLoss, {"epsilon": 0.3}),
    "wasserstein of squares": (WassersteinLoss, {"power": 2.0, "epsilon": 0.5}),
    "wasserstein unnormalised": (WassersteinLoss, {"rho": 0.7, "epsilon": 0.3}),
    "relaxed": (RelaxedEMDLoss, {}),
    "relaxed 1.5": (RelaxedEMDLoss, {"rho": 1.5}),
    "relaxed on a tree": (RelaxedEMDLoss, {"ground": Tree([-1, 0, 0, 1, 1])}),
    "conservative": (ConservativeWassersteinLoss, {}),
    "conservative huber": (ConservativeWassersteinLoss, {"price": "huber", "epsilon": 0.2}),
    "conservative targets": (ConservativeWassersteinLoss, {"price": "linear", "unimodal": 0.3}),
}
# Solved to what the checks of derivatives and equalities need.
TIGHT = {WassersteinLoss: {"tol": 1e-9}, ConservativeWassersteinLoss: {"tol": 1e-9}, RelaxedEMDLoss: {}}
every_variant = pytest.mark.parametrize("variant", VARIANTS)
both_targets = pytest.mark.parametrize("soft", [False, True], ids=["one class", "soft"])


def build(variant: str, **changes) -> GroundLoss:
    kind, options = VARIANTS[variant]
    return kind(**{**TIGHT[kind], **options, **changes})


def batch(*places: int, seed: int = 0, dtype=torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, C, ...), classes (N, ...) and probabilities (N, C, ...)."""
    generator = torch.Generator().manual_seed(seed)
    n, *rest = places or (6,)
    logits = torch.randn(n, CLASSES, *rest, generator=generator, dtype=dtype)
    labels = torch.randint(0, CLASSES, (n, *rest), generator=generator)
    probabilities = torch.randn(n, CLASSES, *rest, generator=generator, dtype=dtype).softmax(1)
    return logits, labels, probabilities


@every_variant
@both_targets
def test_gradient_is_that_of_finite_differences(variant: str, soft: bool) -> None:
    logits, labels, probabilities = batch(3)
    loss = build(variant)
    assert torch.autograd.gradcheck(
        lambda z: loss(z, probabilities if soft else labels), (logits.requires_grad_(),), atol=1e-5
    )


@every_variant
@both_targets
def test_reductions_weights_and_ignored_places_follow_cross_entropy(variant: str, soft: bool) -> None:
    logits, labels, probabilities = batch(4, 3)
    weight = torch.tensor([0.5, 1.0, 2.0, 0.0, 1.5], dtype=torch.float64)
    ignored = {} if soft else {"ignore_index": 2}
    targets = probabilities if soft else labels
    unweighted = build(variant, reduction="none")(logits, targets)
    each = build(variant, reduction="none", weight=weight, **ignored)(logits, targets)
    assert each.shape == (4, 3)
    rows = cross_entropy(logits, targets, weight, reduction="none", **ignored)
    total, mean = rows.sum(), cross_entropy(logits, targets, weight, **ignored)
    torch.testing.assert_close(build(variant, reduction="sum", weight=weight, **ignored)(logits, targets), each.sum())
    # The same denominator as cross-entropy's: mean = sum / denominator.
    value = build(variant, weight=weight, **ignored)(logits, targets)
    torch.testing.assert_close(value, each.sum() * mean / total)
    if soft:
        factor = (probabilities * weight.reshape(1, -1, 1)).sum(1)
        torch.testing.assert_close(each, unweighted * factor)
    elif variant != "conservative targets":
        torch.testing.assert_close(each, unweighted * weight[labels] * (labels != 2))
    if not soft:
        assert not each[labels == 2].any()


@every_variant
def test_smoothing_is_the_soft_target_it_stands_for(variant: str) -> None:
    logits, labels, _ = batch()
    loss = build(variant, label_smoothing=0.2)
    if variant == "conservative targets":
        assert loss(logits, labels) != build(variant)(logits, labels)
        return
    target = 0.8 * torch.nn.functional.one_hot(labels, CLASSES).double() + 0.2 / CLASSES
    torch.testing.assert_close(loss(logits, labels), build(variant)(logits, target))


@every_variant
@both_targets
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_float32_of_the_rounded_logits(variant: str, soft: bool, dtype: torch.dtype) -> None:
    logits, labels, probabilities = batch(dtype=torch.float32)
    low = logits.to(dtype).requires_grad_()
    exact = low.detach().float().requires_grad_()
    loss = build(variant, tol=1e-5) if variant.split()[0] != "relaxed" else build(variant)
    targets = probabilities if soft else labels
    value, reference = loss(low, targets), loss(exact, targets)
    value.backward()
    reference.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, reference)
    torch.testing.assert_close(low.grad.float(), exact.grad, rtol=2e-2, atol=1e-3)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(loss(exact, targets), reference)


def compiles(variant: str, soft: bool) -> bool:
    # The engine's unbalanced problems look at their values, which a compiled graph cannot.
    return not (soft and variant == "wasserstein unnormalised")


@pytest.mark.parametrize(
    ("variant", "soft"), [(variant, soft) for variant in VARIANTS for soft in (False, True) if compiles(variant, soft)]
)
def test_compiles_whole(variant: str, soft: bool) -> None:
    torch._dynamo.reset()
    logits, labels, probabilities = batch(dtype=torch.float32)
    logits.requires_grad_()
    loss = build(variant, tol=1e-5) if variant.split()[0] != "relaxed" else build(variant)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    targets = probabilities if soft else labels
    value, plain = compiled(logits, targets), loss(logits, targets)
    torch.testing.assert_close(value, plain, rtol=1e-4, atol=1e-5)
    (fused,), (eager,) = torch.autograd.grad(value, logits), torch.autograd.grad(plain, logits)
    torch.testing.assert_close(fused, eager, rtol=1e-3, atol=1e-5)


@every_variant
@both_targets
def test_classes_that_are_ruled_out_stay_finite(variant: str, soft: bool) -> None:
    logits, labels, probabilities = batch()
    ruled_out = (labels + 1) % CLASSES
    logits[torch.arange(6), ruled_out] = -torch.inf
    value = build(variant)(logits.requires_grad_(), probabilities if soft else labels)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    least = logits.detach().masked_fill(logits.isinf(), -60.0)
    torch.testing.assert_close(build(variant)(least, probabilities if soft else labels), value, rtol=1e-5, atol=1e-6)


@every_variant
@both_targets
def test_no_samples_cost_nothing_and_keep_the_graph(variant: str, soft: bool) -> None:
    logits = torch.zeros(0, CLASSES, requires_grad=True)
    value = build(variant)(logits, torch.zeros(0, CLASSES) if soft else torch.zeros(0, dtype=torch.long))
    value.backward()
    assert value == 0


@every_variant
def test_sure_and_wrong_predictions_stay_finite(variant: str) -> None:
    logits = torch.tensor([[1e4, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, -1e4], [-1e4, 0.0, 1e4, 0.0, 0.0]])
    logits.requires_grad_()
    for targets in (torch.tensor([4, 4, 2]), torch.eye(5)[[0, 4, 1]]):
        loss = build(variant, tol=1e-4) if variant.split()[0] != "relaxed" else build(variant)
        value = loss(logits, targets)
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.isfinite()
        assert gradient.isfinite().all()


@every_variant
def test_a_batch_of_nothing_costs_nothing(variant: str) -> None:
    logits = torch.randn(3, CLASSES, requires_grad=True)
    value = build(variant)(logits, torch.full((3,), -100))
    value.backward()
    assert value == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "tree" not in name and "targets" not in name])
def test_a_hundred_thousand_classes_need_no_square_matrix(variant: str) -> None:
    logits = torch.randn(2, 100_000, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = build(variant)(logits, torch.tensor([7, 99_999]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("kind", [WassersteinLoss, ConservativeWassersteinLoss])
def test_any_ground_distance_will_do(kind: type[GroundLoss]) -> None:
    logits, labels, probabilities = batch()
    places = torch.linspace(0, 1, CLASSES)
    same = (Line(places), Matrix((places[:, None] - places).abs()), FromEmbeddings(places[:, None], metric="euclidean"))
    for targets in (labels, probabilities):
        options = {"tol": 1e-7} if kind is WassersteinLoss else {"solver": "exact"}
        first, *others = (kind(ground, **options)(logits, targets) for ground in same)
        for value in others:
            torch.testing.assert_close(value, first, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", [WassersteinLoss, ConservativeWassersteinLoss])
def test_a_learned_ground_has_its_head_start(kind: type[GroundLoss]) -> None:
    logits, labels, _ = batch(30, dtype=torch.float32)
    features = torch.rand(30, 8, generator=torch.Generator().manual_seed(1)) + torch.eye(8)[labels]
    loss = kind(Learned(CLASSES, 8, head_start=2))
    for epoch in range(3):
        value = loss(logits, labels, features)
        loss.end_epoch()
        assert torch.allclose(value, cross_entropy(logits, labels)) == (epoch < 2)
    with pytest.raises(ValueError, match="needs the features"):
        loss(logits, labels)


@every_variant
def test_settings_are_shown_and_state_is_none(variant: str) -> None:
    loss = build(variant)
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert "reduction='mean'" in repr(loss)
