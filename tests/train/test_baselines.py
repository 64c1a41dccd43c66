"""Baselines: right settings, equal to the formulas, finite and learning on P x K batches."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import Tensor, nn

from monge.errors import RecipeError
from monge.losses import BatchwiseOTLoss
from monge.recipes.loss_params import LOSS_NAMES, task_of
from monge.recipes.metric_losses import BatchwiseOTParams, TripletParams
from monge.train.baselines import BASELINES, build_baseline, pair_turns

pml_losses = pytest.importorskip("pytorch_metric_learning.losses")
pml_miners = pytest.importorskip("pytorch_metric_learning.miners")

CLASSES, PER_CLASS, DIM = 5, 4, 16


def p_by_k(seed: int = 0, spread: float | Tensor = 1.0) -> tuple[Tensor, Tensor]:
    """A shuffled batch of `CLASSES` x `PER_CLASS` noisy class centres."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(CLASSES).repeat_interleave(PER_CLASS)[
        torch.randperm(CLASSES * PER_CLASS, generator=generator)
    ]
    centres = torch.eye(CLASSES, DIM)
    return centres[labels] + spread * torch.randn(len(labels), DIM, generator=generator), labels


def value_and_gradient(loss: nn.Module, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    x = embeddings.clone().requires_grad_()
    value = loss(x, labels)
    value.backward()
    assert x.grad is not None
    return value.detach(), x.grad


def test_every_name_of_a_recipe_but_our_own_is_a_baseline() -> None:
    names = {name for name in LOSS_NAMES if task_of(name) == "embedding"}
    assert names - {"batchwise_ot", "batchwise_ot_preset"} == set(BASELINES)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_finite_value_and_gradient_in_every_precision(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    embeddings, labels = p_by_k()
    value, gradient = value_and_gradient(build_baseline(name, None, DIM, CLASSES), embeddings.to(dtype), labels)
    assert value.shape == ()
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    assert gradient.dtype == dtype
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("case", ["one class", "one example", "no positives", "identical"])
def test_batches_with_little_to_compare_stay_finite(name: str, case: str) -> None:
    embeddings, labels = p_by_k()
    if case == "one class":
        labels = torch.zeros_like(labels)
    elif case == "one example":
        embeddings, labels = embeddings[:1], labels[:1]
    elif case == "no positives":
        keep = torch.stack([(labels == c).nonzero()[0, 0] for c in range(CLASSES)])
        embeddings, labels = embeddings[keep], labels[keep]
    else:
        embeddings = torch.ones_like(embeddings)
    value, gradient = value_and_gradient(build_baseline(name, None, DIM, CLASSES), embeddings, labels)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", BASELINES)
def test_training_with_it_separates_the_classes(name: str) -> None:
    torch.manual_seed(0)
    model, loss = nn.Linear(DIM, 8), build_baseline(name, None, 8, CLASSES)
    optimizer = torch.optim.Adam(
        [{"params": model.parameters()}, {"params": loss.parameters(), "lr": 0.01 * loss.lr_scale}], lr=0.01
    )
    # Most of the variance says nothing of the class, so a random projection cannot tell the classes apart.
    spread = torch.cat([torch.full((CLASSES,), 0.2), torch.full((DIM - CLASSES,), 1.0)])
    test, test_labels = p_by_k(1000, spread)

    def separation() -> float:
        unit = nn.functional.normalize(model(test).detach(), dim=1)
        same = test_labels[:, None] == test_labels[None, :]
        return float((unit @ unit.T)[same].mean() - (unit @ unit.T)[~same].mean())

    assert separation() < 0.4
    for step in range(150):
        embeddings, labels = p_by_k(step, spread)
        optimizer.zero_grad()
        loss(model(embeddings), labels).backward()
        optimizer.step()
    assert separation() > 0.5


def test_lifted_structure_equals_the_library_it_stands_in_for() -> None:
    embeddings, labels = p_by_k()
    mine = value_and_gradient(build_baseline("lifted_structure", {"neg_margin": 0.8}, DIM, CLASSES), embeddings, labels)
    theirs = value_and_gradient(pml_losses.LiftedStructureLoss(neg_margin=0.8), embeddings, labels)
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    ("name", "loss", "miner"),
    [
        ("contrastive", "ContrastiveLoss", None),
        ("supcon", "SupConLoss", None),
        ("multi_similarity", "MultiSimilarityLoss", "MultiSimilarityMiner"),
    ],
)
def test_defaults_are_the_ones_of_the_library_where_we_say_so(name: str, loss: str, miner: str | None) -> None:
    embeddings, labels = p_by_k()
    pairs = getattr(pml_miners, miner)()(embeddings, labels) if miner else None
    expected = getattr(pml_losses, loss)()(embeddings, labels, pairs)
    torch.testing.assert_close(build_baseline(name, None, DIM, CLASSES)(embeddings, labels), expected)


def test_triplet_is_the_semi_hard_rule_on_squared_distances() -> None:
    embeddings, labels = p_by_k()
    unit = nn.functional.normalize(embeddings, dim=1)
    costs = []
    for a in range(len(unit)):
        for p in range(len(unit)):
            for n in range(len(unit)):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    near = float((unit[a] - unit[p]).square().sum())
                    far = float((unit[a] - unit[n]).square().sum())
                    if near < far < near + 0.2:
                        costs.append(near - far + 0.2)
    assert len(costs) > 10
    value = build_baseline("triplet", TripletParams(), DIM, CLASSES)(embeddings, labels)
    assert float(value) == pytest.approx(sum(costs) / len(costs), rel=1e-4)


def test_n_pairs_averages_the_n_pair_batches_of_the_whole_batch() -> None:
    embeddings, labels = p_by_k()
    unit = nn.functional.normalize(embeddings, dim=1)
    members = [[i for i in range(len(labels)) if labels[i] == c] for c in range(CLASSES)]
    terms = []
    for first in range(0, PER_CLASS, 2):
        anchors, positives = [m[first] for m in members], [m[first + 1] for m in members]
        for c in range(CLASSES):
            logits = [float(unit[anchors[c]] @ unit[p]) / 0.1 for p in positives]
            terms.append(math.log(sum(math.exp(x) for x in logits)) - logits[c])
    value = build_baseline("n_pairs", None, DIM, CLASSES)(embeddings, labels)
    assert float(value) == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_pair_turns_of_unequal_classes() -> None:
    assert pair_turns(torch.tensor([3, 3, 3, 1, 2, 2])).tolist() == [0, 0, -1, -1, 0, 0]


def test_proxies_are_parameters_with_their_own_rate() -> None:
    loss = build_baseline("proxy_anchor", None, DIM, CLASSES)
    assert [tuple(p.shape) for p in loss.parameters()] == [(CLASSES, DIM)]
    assert loss.lr_scale == 100.0
    assert all(not list(build_baseline(n, None, DIM, CLASSES).parameters()) for n in BASELINES if n != "proxy_anchor")


@pytest.mark.parametrize(
    ("name", "params", "line"),
    [
        ("tripplet", None, "loss.name: found 'tripplet', expected one of contrastive"),
        ("supcon", {"temprature": 0.1}, "loss.temprature: "),
        ("supcon", {"temperature": -1}, "loss.temperature: "),
        ("supcon", TripletParams(), "asked for 'supcon' with the parameters of 'triplet'"),
    ],
)
def test_wrong_names_and_values_are_one_line(name: str, params: object, line: str) -> None:
    with pytest.raises(RecipeError) as error:
        build_baseline(name, params, DIM, CLASSES)  # type: ignore[arg-type]
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_the_parameters_of_our_own_loss_are_those_of_its_constructor() -> None:
    accepted = inspect.signature(BatchwiseOTLoss).parameters
    for name, field in BatchwiseOTParams.model_fields.items():
        # The softmax beside it is the task's: it has a head of its own.
        assert name in ("name", "softmax") or accepted[name].default == field.default
    # Tolerance and memory are no choices of an experiment, and fixed sweeps are for the released presets.
    assert set(accepted) - set(BatchwiseOTParams.model_fields) <= {"tol", "sweeps", "max_pairs"}


def test_squared_contrastive_has_the_pair_costs_of_batchwise_ot() -> None:
    x = torch.nn.functional.normalize(torch.randn(12, 5), dim=1)
    labels = torch.arange(12) % 3
    squared = torch.cdist(x, x).square()
    same, other = labels[:, None] == labels, labels[:, None] != labels
    same.fill_diagonal_(False)
    hinged = (1.0 - squared).clamp_min(0.0)[other]
    expected = squared[same].mean() + hinged[hinged > 0].mean()
    loss = build_baseline("contrastive", {"power": 2}, 5, 3)
    torch.testing.assert_close(loss(x, labels), expected)
