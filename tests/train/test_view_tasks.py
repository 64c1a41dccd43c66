"""Shapes by their views under both tasks: batches, augmentation, stored pictures, resuming, recipes."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file

from monge.cli import main
from monge.data import load_shapes
from monge.data.synthetic.shape_layouts import write_fake_modelnet
from monge.data.views import ViewSet
from monge.errors import RecipeError
from monge.nn import MVCNNConfig, SmallCNNConfig, TimmConfig
from monge.recipes import load_recipe, smoke_recipe
from monge.report import write_report
from monge.train import evaluate, fit
from monge.train.building import build_task
from monge.train.embedding_task import EmbeddingTask
from monge.train.inference import outputs_of
from monge.train.loading import load_splits
from monge.train.pictures import pictures_of
from monge.train.run_files import RunFiles

pytestmark = pytest.mark.usefixtures("cache")

VIEWS = (
    "data.source=synthetic",
    "data.image_size=16",
    "data.views=3",
    "model.backbone.widths=[4, 8]",
    "model.backbone.embedding_dim=8",
    "model.embedding_dim=8",
    "evaluate.svm=true",
    "sampler.classes_per_batch=4",
    "sampler.samples_per_class=2",
    "train.epochs=2",
    "train.steps_per_epoch=3",
    "train.checkpoint_every=2",
    "train.log_every=1",
)


@pytest.fixture(scope="module")
def splits():
    return load_shapes("furniture", "synthetic", size=16, views=3)


def test_views_of_an_object_are_scaled_and_moved_as_one(splits):
    recipe = load_recipe("furniture", [*VIEWS, "data.augment=[flip, shift]", "data.normalize={mean: [0.5], std: [2]}"])
    task = build_task(recipe, splits)
    one = splits.train.inputs([0, 1, 2])[:, :1]
    views = one.expand(-1, 3, -1, -1, -1)  # the same picture three times
    plain = task.ready(views)
    torch.testing.assert_close(plain, (views.float() / 255 - 0.5) / 2)
    moved = task.ready(views, torch.Generator().manual_seed(3))
    assert moved.shape == views.shape
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert torch.equal(moved[:, 0], moved[:, 2])
    assert not torch.equal(moved, plain)
    # The first view moves as it would by itself.
    assert torch.equal(moved[:, :1], task.ready(one, torch.Generator().manual_seed(3)))


def test_outputs_do_not_depend_on_how_many_objects_go_at_a_time(splits, monkeypatch):
    task = build_task(load_recipe("furniture", VIEWS), splits)
    whole = outputs_of(task, splits.test)
    seen = []
    monkeypatch.setattr("monge.train.inference._AT_ONCE_ON_CPU", 10)
    inputs = ViewSet.inputs
    monkeypatch.setattr(ViewSet, "inputs", lambda self, rows: (seen.append(len(rows)), inputs(self, rows))[1])
    torch.testing.assert_close(outputs_of(task, splits.test), whole)
    assert seen == [3] * 6 + [2]  # 10 pictures hold three objects of three views


def test_pictures_are_one_view_of_each_object(splits):
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(pictures_of(splits.test, rows), splits.test.inputs(rows)[:, 1])
    single = ViewSet(splits.test.inputs(range(20))[:, :1], splits.test.labels)
    assert torch.equal(pictures_of(single, rows), single.inputs(rows)[:, 0])


def test_embeddings_of_shapes_end_to_end(tmp_path, splits):
    recipe = load_recipe("furniture", VIEWS)
    metrics = fit(recipe, tmp_path / "run", progress=False)
    assert {"test/map", "test/nn", "test/knn", "test/svm"} <= metrics.keys()
    stored = load_file(tmp_path / "run" / "embeddings.safetensors")
    assert stored["test/embeddings"].shape == (20, 8)
    assert torch.equal(stored["test/images"], splits.test.inputs(range(20))[:, 1])
    assert evaluate(tmp_path / "run") == metrics
    page = write_report(tmp_path / "run").read_text()
    assert page.count("data:image/png;base64,") > 20
    assert load_recipe(tmp_path / "run") == recipe


def test_a_stopped_run_goes_on_as_if_nothing_had_been(tmp_path, records, monkeypatch):
    recipe = load_recipe("furniture", VIEWS)
    whole = fit(recipe, tmp_path / "whole", progress=False)
    calls = []
    original = EmbeddingTask.batch_loss

    def batch_loss(self, inputs, batch):
        calls.append(1)
        if len(calls) == 5:
            raise KeyError("stop")
        return original(self, inputs, batch)

    monkeypatch.setattr(EmbeddingTask, "batch_loss", batch_loss)
    with pytest.raises(KeyError):
        fit(recipe, tmp_path / "part", progress=False)
    monkeypatch.setattr(EmbeddingTask, "batch_loss", original)
    assert fit(recipe, tmp_path / "part", resume=True, progress=False) == whole
    assert records(tmp_path / "part") == records(tmp_path / "whole")


def test_shapes_are_classified_too(tmp_path, splits):
    recipe = load_recipe("furniture", [*VIEWS, "loss=cross-entropy"])
    assert recipe.task == "classification"
    assert not recipe.expected.metrics
    metrics = fit(recipe, tmp_path / "run", progress=False)
    assert {"test/accuracy", "test/mean_class_accuracy", "test/nll"} <= metrics.keys()
    stored = load_file(RunFiles(tmp_path / "run").predictions)
    assert stored["test/probabilities"].shape == (20, 5)
    assert torch.equal(stored["test/images"], splits.test.inputs(stored["test/shown"])[:, 1])
    assert evaluate(tmp_path / "run") == metrics
    assert "data:image/png" in write_report(tmp_path / "run").read_text()


@pytest.mark.parametrize("name", ["furniture", "modelnet10", "modelnet40"])
def test_the_smoke_version_is_small(name):
    recipe = smoke_recipe(load_recipe(name))
    assert (recipe.data.source, recipe.data.views, recipe.data.image_size) == ("synthetic", 3, 64)
    assert recipe.model == load_recipe(name).model


def test_the_modelnet_recipes_are_what_the_program_runs():
    for name in ("modelnet10", "modelnet40"):
        recipe = load_recipe(name)
        assert (recipe.loss.name, recipe.loss.preset, recipe.loss.quirks) == ("batchwise_ot_preset", name, "released")
        assert (recipe.sampler.name, recipe.sampler.batch_size, recipe.data.views) == ("shuffle", 20, 12)
        optimizer = recipe.optimizer
        assert (optimizer.name, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("sgd", 1e-3, 0.9, 1e-4)
        assert recipe.train.epochs == 300
        model = recipe.model
        assert isinstance(model, MVCNNConfig)
        assert isinstance(model.backbone, TimmConfig)
        assert (model.head, model.hidden, model.embedding_dim, model.dropout) == ("released", (4096,), 256, 0.5)
        assert not recipe.expected.metrics
        assert "Not measured" in recipe.expected.note


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.splt=author", "data.splt: unknown key; did you mean data.split?"),
        ("data.split=day", "data.split: found 'day', expected 'model' or 'author'"),
        ("data.views=0", "data.views: found 0, expected"),
        ("data.image_size=null", "data.image_size: found None, expected a valid integer"),
        ("data.fold=1", "data.fold: unknown key"),
        ("model.backbone.name=vgg", "model.backbone.name: found vgg, expected one of lenet5, small_cnn, timm"),
        ("model.backbone.width=[8]", "model.backbone.width: unknown key; did you mean model.backbone.widths?"),
        ("model.backbone.widths=[0]", "model.backbone.sizes: found [0, "),
        ("model.pool=min", "model.pool: found 'min', expected 'max', 'mean' or 'attention'"),
    ],
)
def test_mistakes_in_view_recipes_are_one_line(setting, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("furniture", [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_networks_and_data_have_to_go_together(tmp_path):
    flat = load_recipe("furniture", ["data.source=synthetic", "model=small_cnn"])
    with pytest.raises(
        RecipeError, match=r"found small_cnn, which takes images, but the data are inputs of shape \(6, 1"
    ):
        fit(flat, tmp_path / "run", progress=False)
    with pytest.raises(RecipeError, match="found mvcnn, which takes views"):
        fit(load_recipe("mnist", ["data.source=synthetic", "model=mvcnn"]), tmp_path / "run", progress=False)
    assert load_recipe("mnist", ["model=mvcnn"]).model.backbone == MVCNNConfig().backbone
    assert isinstance(MVCNNConfig().backbone, SmallCNNConfig)


def test_files_in_the_layout_of_modelnet_are_trained_on(tmp_path, capsys):
    write_fake_modelnet(tmp_path / "files", classes=2, train=3, test=2)
    words = ["--data", str(tmp_path / "files"), "--out", str(tmp_path / "run"), "--epochs", "1"]
    settings = ["data.image_size=32", "data.views=2", "train.steps_per_epoch=1", "evaluate.svm=false"]
    settings += ["model.hidden=[8]", "model.embedding_dim=4", "sampler.batch_size=6", "loss=contrastive"]
    flags = [word for setting in settings for word in ("--set", setting)]
    code = main(["train", "modelnet10", *words, *flags])
    said = capsys.readouterr()
    # Of three models a class keeps two to learn from, and one is less than retrieval needs.
    assert code == 2
    assert "the validation split has no two examples of a class" in said.err
    shutil.rmtree(tmp_path / "files")
    write_fake_modelnet(tmp_path / "files", classes=2, train=16, test=2)
    assert main(["train", "modelnet10", *words, *flags]) == 0
    said = capsys.readouterr()
    assert f"data: official layout: modelnet10 read from {tmp_path / 'files' / 'ModelNet10'}" in said.err
    assert "rendering shapes: 36/36" in said.err


def test_progress_of_rendering_is_shown_only_where_asked_for(tmp_path, capfd):
    write_fake_modelnet(tmp_path, classes=2, train=4, test=1)
    settings = [f"data.source={tmp_path}", "data.image_size=8", "data.views=1", "data.name=modelnet10"]
    recipe = load_recipe("furniture", settings)
    with pytest.warns(UserWarning, match="not the complete set"):
        load_splits(recipe)
    assert capfd.readouterr().err == ""
    (tmp_path / "cache").rename(tmp_path / "moved")
    with pytest.warns(UserWarning, match="not the complete set"):
        load_splits(recipe, progress=True)
    assert capfd.readouterr().err.splitlines()[-1] == "rendering shapes: 10/10"
