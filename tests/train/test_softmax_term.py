"""The softmax term beside batch-wise OT: what it adds, what is trained, and the recipes that have it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from monge.errors import RecipeError
from monge.losses import BatchwiseOTLoss, CrossModalBatchwiseOTLoss
from monge.recipes import load_recipe
from monge.recipes.cross_modal_losses import CrossModalOTParams, CrossModalOTPresetParams
from monge.recipes.loss_params import check_loss
from monge.recipes.metric_losses import BatchwiseOTParams, BatchwiseOTPresetParams
from monge.train import build_loss
from monge.train.cross_modal_losses import build_cross_modal_loss
from monge.train.losses import WithSoftmax


def test_it_adds_a_weight_times_the_cross_entropy_of_a_linear_classifier() -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(8, 5), torch.arange(8) % 3
    loss = build_loss(BatchwiseOTParams(margin=2.0, softmax=0.2), embedding_dim=5, num_classes=3)
    logits = embeddings @ loss.classifier.weight.T + loss.classifier.bias
    entropy = -(logits - logits.logsumexp(1, keepdim=True))[torch.arange(8), labels].mean()
    alone = BatchwiseOTLoss(margin=2.0)(embeddings, labels)
    torch.testing.assert_close(loss(embeddings, labels), alone + 0.2 * entropy)
    assert loss.diagnostics() is not None


def test_its_classifier_is_trained_and_is_not_there_without_a_weight() -> None:
    loss = build_loss(BatchwiseOTPresetParams(preset="modelnet40", softmax=0.2), 5, 3)
    loss(torch.randn(6, 5, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    assert [tuple(parameter.grad.shape) for parameter in loss.parameters()] == [(3, 5), (3,)]
    assert not list(build_loss(BatchwiseOTPresetParams(preset="modelnet40"), 5, 3).parameters())


@pytest.mark.parametrize(("name", "weight"), [("modelnet40", 0.2), ("modelnet10", 1.0)])
def test_the_recipes_have_the_weights_of_the_released_program(name: str, weight: float) -> None:
    recipe = load_recipe(name)
    loss = build_loss(recipe.loss, recipe.model.embedding_dim, 10)
    assert isinstance(loss, WithSoftmax)
    assert loss.weight == weight


def cross_modal(**given: float) -> CrossModalBatchwiseOTLoss:
    return build_cross_modal_loss(CrossModalOTParams(**given), embedding_dim=5, num_classes=3)


def test_one_classifier_serves_both_modalities() -> None:
    torch.manual_seed(0)
    x, y, labels = torch.randn(8, 5), torch.randn(6, 5), torch.arange(8) % 3
    loss = cross_modal(softmax=0.2)
    entropies = [
        torch.nn.functional.cross_entropy(one @ loss.classifier.weight.T + loss.classifier.bias, labels[: len(one)])
        for one in (x, y)
    ]
    alone = CrossModalBatchwiseOTLoss()(x, y, labels, labels[:6])
    torch.testing.assert_close(loss(x, y, labels, labels[:6]), alone + 0.2 * sum(entropies))
    torch.testing.assert_close(list(loss.terms.values()), entropies)
    assert not any(term.requires_grad for term in loss.terms.values())


@pytest.mark.parametrize("params", [CrossModalOTParams, CrossModalOTPresetParams])
def test_the_weight_alone_decides_on_a_classifier(params: type[Any]) -> None:
    with_term = build_cross_modal_loss(params(softmax=1.0), 5, 3)
    with_term(torch.randn(6, 5), torch.randn(6, 5), torch.arange(6) % 3, torch.arange(6) % 3).backward()
    assert [tuple(one.grad.shape) for one in with_term.parameters()] == [(3, 5), (3,)]
    without = build_cross_modal_loss(params(), 5, 3)
    assert not list(without.parameters())
    assert not without.terms


def test_a_batch_of_one_class_and_one_of_two_samples_teach_the_classifier() -> None:
    for labels in (torch.tensor([1, 1, 1, 1]), torch.tensor([2])):
        loss = cross_modal(softmax=0.2)
        x = torch.ones(len(labels), 5, requires_grad=True)
        value = loss(x, torch.eye(5)[: len(labels)], labels, labels)
        value.backward()
        assert value.isfinite()
        assert x.grad.isfinite().all()
        assert loss.classifier.weight.grad.any()


def test_a_softmax_term_alone_is_something_to_learn_from() -> None:
    loss = cross_modal(weights=(0, 0, 0, 0), softmax=0.5)
    labels = torch.tensor([0, 1, 2])
    value = loss(torch.eye(5)[:3], torch.eye(5)[2:], labels, labels)
    torch.testing.assert_close(value.detach(), 0.5 * sum(loss.terms.values()))
    with pytest.raises(RecipeError, match="weights: found all 0, expected something to learn from"):
        check_loss({"name": "cross-modal-ot", "weights": [0, 0, 0, 0]})


def test_a_classifier_without_a_weight_or_of_no_size_is_refused() -> None:
    for settings in ({"classifier": (5, 3)}, {"classifier": (5, 0), "softmax_weight": 0.2}):
        with pytest.raises(ValueError, match=r"classifier: found \(5, \d\) with softmax_weight"):
            CrossModalBatchwiseOTLoss(**settings)


def test_logits_of_the_networks_own_come_before_the_classifier() -> None:
    x, labels = torch.eye(5)[:3], torch.tensor([0, 1, 2])
    loss = cross_modal(weights=(0, 0, 0, 0), softmax=0.5)
    sure = 50 * torch.eye(3)
    assert loss(x, x, labels, labels, x_logits=sure, y_logits=sure) < 1e-6


@pytest.mark.parametrize("name", ["shrec13", "shrec14"])
def test_the_released_program_for_drawings_has_no_such_term_and_its_recipes_can_ask_for_one(name: str) -> None:
    assert load_recipe(name).loss.softmax == 0
    assert load_recipe(name, ["loss.softmax=0.2"]).loss.softmax == 0.2
    for wrong in ("loss.softmax=-1", "loss.softmax=arcface"):
        with pytest.raises(RecipeError, match=r"loss\.softmax: found"):
            load_recipe(name, [wrong])
