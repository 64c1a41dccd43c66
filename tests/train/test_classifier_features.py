"""The features of a classifier measured like embeddings, where a recipe wants it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monge.metrics import knn_accuracy, retrieval
from monge.recipes import load_recipe, smoke_recipe
from monge.train import fit
from monge.train.building import build_task
from monge.train.loading import load_splits
from monge.train.measures import reference_split
from monge.train.run_files import RunFiles
from monge.train.selection import main_metrics


def test_retrieval_and_neighbours_of_the_features_below_the_logits(tmp_path: Path) -> None:
    recipe = smoke_recipe(load_recipe("mnist", ["loss=cross_entropy", "evaluate.features=true", "evaluate.svm=false"]))
    splits = load_splits(recipe)
    task = build_task(recipe, splits).eval()
    files = RunFiles(tmp_path)
    metrics = task.run_test(splits, files)
    with torch.no_grad():
        pixels = task.ready(splits.test.inputs(range(len(splits.test))))
        vectors, _ = task.classifier.features_and_logits(pixels)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    found = retrieval(unit, query_labels=splits.test.labels)
    assert metrics["test/map"] == pytest.approx(float(found["map"]), abs=1e-5)
    assert metrics["test/nn"] == pytest.approx(float(found["nn"]), abs=1e-5)
    reference = reference_split(splits.train, recipe.evaluate.reference_items, recipe.seed)
    with torch.no_grad():
        known, _ = task.classifier.features_and_logits(task.ready(reference.inputs(range(len(reference)))))
    known = known / known.norm(dim=1, keepdim=True)
    expected = knn_accuracy(known, reference.labels, unit, splits.test.labels, k=recipe.evaluate.knn)
    assert metrics["test/knn"] == pytest.approx(float(expected), abs=0.01)
    assert main_metrics(metrics) == ["test/map", "test/nn", "test/knn", "test/accuracy"]


def test_they_are_left_alone_unless_they_are_wanted(tmp_path: Path) -> None:
    recipe = smoke_recipe(load_recipe("mnist", ["loss=cross_entropy"]))
    metrics = fit(recipe, tmp_path / "run", progress=False, device="cpu")
    assert "test/accuracy" in metrics
    assert "test/map" not in metrics
