"""Recipes: what ships loads, overrides reach their place, and every mistake is one line that names it."""

from __future__ import annotations

import pytest
import yaml

from monge.data.augment import AUGMENTATIONS, STATISTICS
from monge.errors import RecipeError
from monge.recipes import list_recipes, load_recipe, smoke_recipe
from monge.recipes.metric_losses import BatchwiseOTParams, ContrastiveParams


@pytest.mark.parametrize("name", list_recipes())
def test_packaged_recipes_load_and_survive_a_round_trip(name, tmp_path):
    recipe = load_recipe(name)
    assert recipe.name == name
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "r.yaml") == recipe
    assert load_recipe(tmp_path / "r.yaml").to_yaml() == recipe.to_yaml()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "run") == recipe


def test_every_data_set_and_the_released_setting_have_recipes():
    grey, ordered = {"mnist", "fashion-mnist", "mnist-released"}, {"diamonds", "quality", "adience", "images-of-groups"}
    assert set(list_recipes()) >= grey | ordered | {"cifar10", "cifar100", "aadb", "ava", "fg-net", "utkface"}
    for name in ("mnist", "fashion-mnist", "cifar10", "cifar100"):
        normalize = load_recipe(name).data.normalize
        assert (normalize.mean, normalize.std) == STATISTICS[name]


def test_the_released_setting_is_what_the_program_runs():
    recipe = load_recipe("mnist-released")
    assert (recipe.loss.name, recipe.loss.preset, recipe.loss.quirks) == ("batchwise_ot_preset", "mnist", "released")
    assert recipe.loss.two_batches
    assert recipe.sampler.batch_size == 128
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.momentum) == ("sgd", 0.2, 0.9)
    assert (recipe.schedule.name, recipe.schedule.gamma) == ("exponential", 0.95)
    assert (recipe.model.head, recipe.model.embedding_dim, recipe.model.normalize) == ("released", 256, False)
    assert recipe.train.epochs == 100


def test_overrides_are_yaml_and_reach_their_place():
    recipe = load_recipe(
        "mnist", ["loss.margin=1.5", "optimizer.lr=1e-4", "data.augment=[flip]", "train.grad_clip=null", "seed=7"]
    )
    assert (recipe.loss.margin, recipe.optimizer.lr, recipe.data.augment) == (1.5, 1e-4, ("flip",))
    assert (recipe.train.grad_clip, recipe.seed) == (None, 7)
    assert load_recipe("mnist", ["train.precision=32"]).train.precision == "32"


def test_another_kind_starts_its_section_anew_in_whatever_order():
    recipe = load_recipe("mnist", ["loss.neg_margin=0.5", "loss.name=contrastive"])
    assert recipe.loss == ContrastiveParams(neg_margin=0.5)
    assert load_recipe("mnist", ["loss.name=batchwise_ot"]).loss == load_recipe("mnist").loss
    sgd = load_recipe("mnist-released", ["optimizer.name=adam", "optimizer.weight_decay=0.1"]).optimizer
    assert (sgd.name, sgd.lr, sgd.momentum, sgd.weight_decay) == ("adam", 0.2, None, 0.1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("loss.margni=1", "loss.margni: unknown key; did you mean loss.margin?"),
        ("los.margin=1", "los: unknown key; did you mean loss?"),
        ("model.hed=x", "model.hed: unknown key; did you mean model.head?"),
        ("schedule.qqq=1", "schedule.qqq: unknown key; allowed: name, warmup_epochs, final"),
        ("data.normalize.men=3", "data.normalize.men: unknown key; did you mean data.normalize.mean?"),
        ("loss.margin=-1", "loss.margin: found -1, expected greater than 0"),
        ("loss.margin=wide", "loss.margin: found 'wide', expected a valid number"),
        ("loss.name=ot", "loss.name: found ot, expected one of batchwise_ot, "),
        ("model.name=vgg", "model.name: found vgg, expected one of lenet5, small_cnn, timm"),
        ("sampler.name=x", "sampler.name: found x, expected one of balanced, shuffle"),
        ("model.head=paper", "model.head: found 'paper', expected 'released' or 'metric'"),
        ("model.embedding_dim=0", "model.embedding_dim: found 0, expected at least 1"),
        ("train.epochs=1.5", "train.epochs: found 1.5, expected a valid integer"),
        ("train.epochs=true", "train.epochs: found True, expected a valid integer"),
        ("train.precision=16", "train.precision: found '16', expected '32', 'bf16-mixed' or '16-mixed'"),
        ("optimizer.momentum=0.9", "optimizer.momentum: found 0.9 with name: adam"),
        ("optimizer.lr=.inf", "optimizer.lr: found inf, expected a finite number"),
        ("data.augment=shift", "data.augment: found 'shift', expected a list"),
        ("data.augment=[spin]", "data.augment.0: found 'spin', expected 'shift', 'flip', 'affine', "),
        ("schedule.name=exponential", "schedule.gamma: missing, a recipe needs it"),
        ("data.name.x=1", "data.name is a value, not a section"),
        ("loss=3", "loss: found 3, expected"),
        ("loss.margin", "--set loss.margin: expected key=value"),
        ("train.epochs=[1", "--set train.epochs: line 1:"),
        ("name=a/b", "name: found 'a/b'"),
    ],
)
def test_every_mistake_is_one_line_that_names_it(setting, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist", [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_augmentations_of_the_schema_are_those_of_the_data_room():
    for name in AUGMENTATIONS:
        assert load_recipe("mnist", [f"data.augment=[{name}]"]).data.augment == (name,)


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(RecipeError, match="no recipe is called 'mnits'; did you mean mnist"):
        load_recipe("mnits")
    with pytest.raises(RecipeError, match="no such recipe file"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(RecipeError, match="found list, expected a mapping"):
        load_recipe(tmp_path / "list.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="UTF-8"):
        load_recipe(tmp_path / "bytes.yaml")
    content = yaml.safe_load(load_recipe("mnist").to_yaml())
    del content["loss"]["name"]
    (tmp_path / "nameless.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError, match=r"loss\.name: missing, expected one of batchwise_ot"):
        load_recipe(tmp_path / "nameless.yaml")


def test_smoke_shrinks_everything_but_model_and_loss():
    recipe = load_recipe("mnist")
    small = smoke_recipe(recipe)
    assert (small.data.source, small.train.epochs * small.train.steps_per_epoch) == ("synthetic", 4)
    assert (small.loss, small.model, small.optimizer) == (recipe.loss, recipe.model, recipe.optimizer)
    assert isinstance(small.loss, BatchwiseOTParams)
