"""The softmax term beside batch-wise OT: what it adds, what is trained, and the recipes that have it."""

from __future__ import annotations

import pytest
import torch

from monge.losses import BatchwiseOTLoss
from monge.recipes import load_recipe
from monge.recipes.metric_losses import BatchwiseOTParams, BatchwiseOTPresetParams
from monge.train import build_loss
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
