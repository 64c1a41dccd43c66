"""The metric that selects: which one by default, which way is better, and NaN."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from monge.data import load_images, load_table
from monge.errors import RecipeError
from monge.metrics import classification_metrics, ordinal_metrics, retrieval
from monge.recipes import load_recipe
from monge.train import selection
from monge.train.selection import Selection, choose_selection, main_metrics


def test_defaults_follow_task_and_order():
    digits, stones = load_images("mnist", "synthetic"), load_table("diamonds", "synthetic")
    cases = [
        (load_recipe("mnist"), digits, Selection("val/map", True)),
        (load_recipe("mnist", ["loss=cross-entropy"]), digits, Selection("val/accuracy", True)),
        (load_recipe("diamonds"), stones, Selection("val/mae", False)),
        (load_recipe("diamonds"), replace(stones, ordered=False), Selection("val/accuracy", True)),
        (load_recipe("diamonds", ["evaluate.select=rps"]), stones, Selection("val/rps", False)),
        (load_recipe("mnist", ["evaluate.select=recall_at_4"]), digits, Selection("val/recall_at_4", True)),
    ]
    for recipe, splits, expected in cases:
        assert choose_selection(recipe, splits) == expected


@pytest.mark.parametrize(("recipe", "name"), [("mnist", "mae"), ("diamonds", "map"), ("diamonds", "top5")])
def test_a_metric_of_another_task_is_refused(recipe, name):
    data = load_table("diamonds", "synthetic") if recipe == "diamonds" else load_images("mnist", "synthetic")
    with pytest.raises(RecipeError, match=f"evaluate.select: found '{name}', expected one of "):
        choose_selection(load_recipe(recipe, [f"evaluate.select={name}"]), data)


def test_every_name_is_one_that_is_measured():
    import torch

    p, labels = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]]), torch.tensor([0, 1, 2])
    assert set(selection._ORDERED) == set(ordinal_metrics(p, labels))
    assert set(selection._UNORDERED) == set(classification_metrics(p, labels))
    assert set(selection._RETRIEVAL) <= set(retrieval(p, query_labels=torch.tensor([0, 0, 1])))


def test_nan_beats_nothing_and_is_beaten_by_every_number():
    for higher in (True, False):
        select = Selection("val/x", higher)
        assert select.better(0.5, math.nan)
        assert not select.better(math.nan, 0.5)
        assert not select.better(math.nan, math.nan)
        assert math.isnan(select.best([]))
        assert select.best([math.nan, 0.2, 0.4]) == (0.4 if higher else 0.2)


def test_main_metrics_of_each_kind():
    assert main_metrics(["test/mae", "test/accuracy", "test/nll"]) == ["test/mae", "test/accuracy"]
    assert main_metrics(["test/accuracy", "test/nll", "test/top5"]) == ["test/accuracy", "test/nll"]
    assert main_metrics([]) == []
