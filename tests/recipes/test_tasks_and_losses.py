"""The task follows from the loss, losses and grounds go by short names, and what was expected goes with its loss."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest

from monge.errors import RecipeError
from monge.losses import CrossEntropyEMDLoss
from monge.recipes import list_recipes, load_recipe, smoke_recipe, task_of
from monge.recipes.class_losses import TransportParams, XEMDParams
from monge.recipes.data_sections import ImageData, TableData
from monge.recipes.grounds import LearnedGround, LineGround, PowerGround, TreeGround, needs_order
from monge.recipes.loss_params import check_loss
from monge.train.class_losses import _KINDS


def test_the_task_follows_from_the_loss():
    assert load_recipe("mnist").task == "embedding"
    for name in ("xemd2", "squared-emd", "squared_emd", "cross-entropy"):
        assert load_recipe("fashion-mnist", [f"loss={name}"]).task == "classification"
    assert load_recipe("diamonds", ["loss.name=supcon"]).task == "embedding"
    assert task_of("nothing") is None


def test_a_recipe_written_out_keeps_its_task_and_takes_another_loss(tmp_path):
    (tmp_path / "r.yaml").write_text(load_recipe("mnist", ["loss=xemd1", "loss.ground=learned"]).to_yaml())
    again = load_recipe(tmp_path / "r.yaml")
    assert (again.task, again.loss.ground) == ("classification", LearnedGround())
    assert load_recipe(tmp_path / "r.yaml", ["loss=supcon"]).task == "embedding"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task=classification"], "task: found classification with the loss batchwise_ot, expected embedding"),
        (["loss=xemd2", "task=embedding"], "task: found embedding with the loss xemd2, expected classification"),
        (
            ["task=regression"],
            "task: found 'regression', expected 'embedding', 'classification', 'cross-modal' or 'face'",
        ),
        (["loss=xemd3"], "loss.name: found xemd3, expected one of batchwise_ot, "),
        (["loss=xemd1", "loss.ground=learnd"], "loss.ground.name: found learnd, expected one of line, tree, matrix"),
        (["loss=xemd1", "loss.ground=learned", "loss.ground.momentum=2"], "loss.ground.momentum: found 2, expected"),
        (["loss=xemd1", "loss.ground.speed=2"], "loss.ground.name: missing, expected one of line, tree"),
        (["loss=squared-emd", "loss.ground={name: tree}"], "loss.ground.file: missing"),
        (
            ["loss=squared-emd", "loss.ground={name: power, omega: 2, of: {name: lin}}"],
            "loss.ground.of.name: found lin",
        ),
        (["loss=squared-emd", "loss.power=3"], "loss.power: found 3, expected 1 or 2"),
        (["loss=xemd1", "loss.weight_emd=-1"], "loss.weight_emd: found -1, expected a number above 0, or auto"),
        (["loss=dlordinal"], "loss.which: missing"),
        (["loss=dlordinal", "loss.which=none-such"], "loss.which: found 'none_such', expected 'beta'"),
        (["data.levels=some"], "data.levels: found 'some', expected a valid integer"),
        (["evaluate.decode=mode"], "evaluate.decode: found 'mode', expected 'argmax', 'expectation' or 'median'"),
    ],
)
def test_every_mistake_is_one_line_that_names_it(overrides, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist", overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_alone_stands_for_a_section_wherever_it_is_written(tmp_path):
    line = load_recipe("mnist", ["loss=squared-emd", "loss.ground=line"]).loss.ground
    assert line == LineGround()
    settings = ["loss.ground.momentum=0.5", "loss.ground=learned", "loss=xemd2"]
    assert load_recipe("mnist", settings).loss.ground == LearnedGround(momentum=0.5)
    powered = load_recipe("mnist", ["loss=squared-emd", "loss.ground={name: power, omega: 2, of: learned}"])
    assert powered.loss.ground == PowerGround(omega=2, of=LearnedGround())
    text = load_recipe("diamonds").to_yaml().split("loss:")[0] + "loss: squared-emd\n"
    rest = load_recipe("diamonds").to_yaml().split("sampler:")[1]
    (tmp_path / "r.yaml").write_text(text.replace("task: classification\n", "") + "sampler:" + rest)
    assert load_recipe(tmp_path / "r.yaml").loss.name == "squared_emd"
    assert load_recipe(tmp_path / "r.yaml", ["loss.power=1"]).loss.power == 1
    assert load_recipe("mnist", ["schedule=constant"]).schedule.name == "constant"


def test_files_of_a_ground_are_remembered_by_their_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ground = load_recipe("mnist", ["loss=squared-emd", "loss.ground={name: tree, file: a.csv}"]).loss.ground
    assert ground == TreeGround(file=str(tmp_path / "a.csv"))


def test_what_was_expected_goes_with_the_loss():
    expected = load_recipe("mnist").expected
    assert expected.metrics
    assert load_recipe("mnist", ["train.epochs=1", "loss.margin=1.0"]).expected == expected
    for override in ("loss.margin=1.5", "loss=supcon", "loss=xemd2"):
        assert not load_recipe("mnist", [override]).expected.metrics
    recipe = load_recipe("mnist")
    assert recipe.with_loss(recipe.loss) == recipe
    other = recipe.with_loss(check_loss({"name": "cross-entropy"}))
    assert (other.task, other.expected.metrics) == ("classification", {})


@pytest.mark.parametrize("params", get_args(TransportParams))
def test_parameters_of_our_losses_are_those_of_their_constructors(params):
    accepted = inspect.signature(_KINDS[params]).parameters
    for name, field in params.model_fields.items():
        if name not in ("name", "ground"):
            same = accepted[name].default == field.default
            preset = issubclass(params, XEMDParams) and name in ("omega", "mu", "weight_emd")
            assert same or preset, name
    # No choices of an experiment: how exactly a problem is solved, and what a recipe has no words for.
    left = set(accepted) - set(params.model_fields)
    assert left <= {"tol", "weight", "ignore_index", "reduction"}


@pytest.mark.parametrize("name", ["xemd1", "xemd2"])
def test_presets_are_those_of_the_loss(name):
    params = check_loss({"name": name})
    preset = getattr(CrossEntropyEMDLoss, name)()
    assert (params.omega, params.mu, params.weight_emd) == (preset.omega, preset.mu, "auto")


def test_which_grounds_need_an_order():
    assert needs_order(None)
    assert needs_order(LineGround())
    assert needs_order(PowerGround(omega=2))
    assert not needs_order(LineGround(positions=(0.0, 1.0)))
    assert not needs_order(PowerGround(omega=2, of=LearnedGround()))


def test_data_are_tables_by_name_and_images_otherwise():
    assert isinstance(load_recipe("diamonds").data, TableData)
    assert isinstance(load_recipe("quality").data, ImageData)
    own = load_recipe("diamonds", ["data.target=grade", "data.levels=[low, 2, 3.5]", "data.drop=[id]"]).data
    assert (own.target, own.levels, own.drop) == ("grade", ("low", 2, 3.5), ("id",))
    assert load_recipe("mnist", ["data.levels=[[0, 2], [3, 9]]"]).data.levels == ((0, 2), (3, 9))
    with pytest.raises(RecipeError, match=r"data\.image_size: unknown key; allowed: name, source, target"):
        load_recipe("diamonds", ["data.image_size=28"])
    with pytest.raises(RecipeError, match=r"data\.targt: unknown key; did you mean data\.target\?"):
        load_recipe("diamonds", ["data.targt=x"])
    with pytest.raises(RecipeError, match=r"data\.kinds\.x: found 'num', expected 'numeric'"):
        load_recipe("diamonds", ["data.kinds={x: num}"])


@pytest.mark.parametrize("name", list_recipes())
def test_smoke_keeps_the_task(name):
    small = smoke_recipe(load_recipe(name))
    assert (small.task, small.data.source) == (load_recipe(name).task, "synthetic")
