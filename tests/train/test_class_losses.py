"""Losses of classes by name: formulas of the baselines, outputs of their own, and what does not go together."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from monge.data import ImageSet, Splits, load_images, load_table
from monge.errors import MissingExtraError, RecipeError
from monge.metrics import decode, spearman
from monge.nn import MLPConfig, build_classifier
from monge.recipes.class_losses import Dlordinal
from monge.recipes.loss_params import LOSS_NAMES, check_loss, task_of
from monge.train.class_baselines import from_exceedances
from monge.train.class_losses import build_class_loss, head_of
from oracles import ordinal_losses as oracle

CLASSES = 5
NAMES = [name for name in LOSS_NAMES if task_of(name) == "classification" and name != "dlordinal"]
BATCH = torch.tensor([0, 1, 2, 3, 4, 2, 2, 0])


@pytest.fixture(scope="module")
def stones() -> Splits:
    return load_table("diamonds", "synthetic")


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(len(BATCH), CLASSES, generator=torch.Generator().manual_seed(0))


def build(stones: Splits, name: str, **params: object) -> nn.Module:
    return build_class_loss(check_loss({"name": name, **params}), stones)


def trained(loss: nn.Module) -> float:
    """Rank correlation of expected and true class after training on rows that tell their class."""
    torch.manual_seed(0)
    model = build_classifier(MLPConfig(hidden=(16,), embedding_dim=8), (6,), CLASSES, head_of(loss))
    read = getattr(loss, "probabilities", lambda outputs: outputs.softmax(1))
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=0.02)
    labels = torch.arange(200) % CLASSES
    rows = torch.cat([nn.functional.one_hot(labels, CLASSES), labels[:, None] / 2], dim=1).float()
    rows += 0.1 * torch.randn(rows.shape)
    for _ in range(200):
        features, scores = model.features_and_logits(rows)
        optimizer.zero_grad()
        loss(scores, labels, features=features.detach()).backward()
        optimizer.step()
    probabilities = read(model(rows)).detach()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(rows)))
    assert probabilities.min() >= 0
    return spearman(probabilities @ torch.arange(5.0), labels)


@pytest.mark.parametrize("name", NAMES)
def test_training_with_it_tells_the_classes_apart(stones, name):
    assert trained(build(stones, name)) > 0.9


@pytest.mark.parametrize("which", get_args(Dlordinal))
def test_every_loss_of_dlordinal_trains(stones, which):
    pytest.importorskip("dlordinal")
    assert trained(build(stones, "dlordinal", which=which)) > 0.9


@pytest.mark.parametrize(("distance", "scale"), [("squared", 1.0), ("absolute", 0.5)])
def test_sord_is_its_formula(stones, outputs, distance, scale):
    loss = build(stones, "sord", distance=distance, scale=scale)
    expected = oracle.sord(outputs.tolist(), BATCH.tolist(), scale, distance == "squared")
    assert float(loss(outputs, BATCH)) == pytest.approx(expected, rel=1e-5)
    hard = nn.functional.one_hot(BATCH, CLASSES).float()
    torch.testing.assert_close(loss(outputs, hard), loss(outputs, BATCH))


@pytest.mark.parametrize("name", ["coral", "corn"])
def test_coral_and_corn_are_their_formulas(stones, outputs, name):
    thresholds = outputs[:, 1:]
    expected = getattr(oracle, name)(thresholds.tolist(), BATCH.tolist())
    assert float(build(stones, name)(thresholds, BATCH)) == pytest.approx(expected, rel=1e-5)


def test_coral_takes_distributions_as_shares_of_its_tasks(stones, outputs):
    loss, hard = build(stones, "coral"), nn.functional.one_hot(BATCH, CLASSES).float()
    torch.testing.assert_close(loss(outputs[:, 1:], hard), loss(outputs[:, 1:], BATCH))
    half = 0.5 * hard[:1] + 0.5 * hard[4:5]
    both = (loss(outputs[:1, 1:], BATCH[:1]) + loss(outputs[:1, 1:], BATCH[4:5])) / 2
    torch.testing.assert_close(loss(outputs[:1, 1:], half), both)


def test_the_levels_of_coral_and_corn_are_those_of_their_package(stones, outputs):
    dataset = pytest.importorskip("coral_pytorch.dataset")
    thresholds = outputs[:, 1:].sort(1, descending=True).values
    coral, corn = build(stones, "coral"), build(stones, "corn")
    expected = dataset.proba_to_label(thresholds.sigmoid())
    assert torch.equal(decode(coral.probabilities(thresholds), "median"), expected)
    assert torch.equal(decode(corn.probabilities(outputs), "median"), dataset.corn_label_from_logits(outputs))
    rows = [oracle.corn_probabilities(row) for row in outputs.tolist()]
    torch.testing.assert_close(corn.probabilities(outputs), torch.tensor(rows))
    crossed = coral.probabilities(torch.tensor([[0.0, 3.0]]))  # the second task cannot be likelier than the first
    torch.testing.assert_close(crossed, torch.tensor([[0.5, 0.0, 0.5]]))


def test_exceedances_become_probabilities():
    above = torch.tensor([[0.9, 0.4, 0.4], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.1, 0.5, 0.0, 0.4], [1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(from_exceedances(above), expected)


def test_recipe_parameters_and_the_places_of_the_data_reach_the_loss(stones):
    loss = build(stones, "squared_emd", power=1, class_average=True, label_smoothing=0.1)
    assert (loss.power, loss.class_average, loss.label_smoothing) == (1, True, 0.1)
    placed = replace(stones, positions=(0.0, 1.0, 4.0, 5.0, 10.0))
    assert build(placed, "squared_emd").ground.columns(torch.tensor([0]), 5).tolist() == [[0, 1, 4, 5, 10]]
    # mu of the combined loss is meant for distances up to 1.
    torch.testing.assert_close(build(stones, "xemd1").ground.matrix(5)[0], torch.linspace(0, 1, 5))
    torch.testing.assert_close(build(placed, "xemd1").ground.matrix(5)[0], torch.tensor([0, 0.1, 0.4, 0.5, 1.0]))
    assert build(stones, "xemd2", ground="learned", weight_emd=2.0).learned.head_start == 4


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("cross_entropy", "label_smoothing")])
def test_a_loss_of_ordered_classes_is_refused_where_there_is_no_order(name):
    digits = load_images("mnist", "synthetic")
    with pytest.raises(RecipeError, match=f"loss.name: {name} works on the order of the classes") as caught:
        build_class_loss(check_loss({"name": name}), digits)
    assert ("loss.ground=learned" in str(caught.value)) == (name not in ("sord", "coral", "corn"))
    if name in ("squared_emd", "xemd1", "wasserstein", "conservative"):
        build_class_loss(check_loss({"name": name, "ground": "learned"}), digits)


def test_values_that_do_not_go_together_are_one_line(stones):
    with pytest.raises(RecipeError, match="loss: ground is a Learned: the relaxed EMD is defined on chains and trees"):
        build(stones, "relaxed_emd", ground="learned")
    with pytest.raises(RecipeError, match="loss: head_start is 0: expected at least 1 epochs"):
        build(stones, "xemd1", head_start=0)


@pytest.mark.parametrize("name", ["corn", "dlordinal"])
def test_distributions_are_refused_by_losses_of_labels(stones, name):
    targets = torch.full((len(stones.train), CLASSES), 0.2)
    voted = replace(stones, train=replace(stones.train, targets=targets))
    extra = {"which": "emd"} if name == "dlordinal" else {}
    with pytest.raises(RecipeError, match=f"loss.name: {name} takes one class an example"):
        build(voted, name, **extra)


@pytest.mark.parametrize(("name", "module"), [("coral", "coral_pytorch"), ("dlordinal", "dlordinal")])
def test_a_missing_package_names_the_pip_command(stones, monkeypatch, name, module):
    import sys

    for one in [one for one in sys.modules if one.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, one)
    monkeypatch.setitem(sys.modules, module, None)
    extra = {"which": "emd"} if name == "dlordinal" else {}
    with pytest.raises(MissingExtraError, match=r"pip install 'monge\[ordinal\]'"):
        build(stones, name, **extra)


def test_two_classes_are_enough():
    pictures = ImageSet(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    two = Splits(pictures, pictures, pictures, ("no", "yes"), "made up", "none", ordered=True)
    for name in NAMES:
        loss = build_class_loss(check_loss({"name": name}), two)
        head = head_of(loss)
        outputs = torch.randn(4, 2) if head is None else head(3, 2)(torch.randn(4, 3))
        assert loss(outputs, pictures.labels).isfinite()
