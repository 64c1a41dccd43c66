"""Text-video recipes end to end on generated data in the official layout: training, resuming, measuring again."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from monge.cli import main
from monge.data.synthetic.text_video_layouts import write_fake_didemo, write_fake_msrvtt, write_features
from monge.errors import MongeError, RunError
from monge.metrics.cross_modal import cross_modal_retrieval
from monge.recipes import load_recipe
from monge.report.run_folder import read_run
from monge.report.run_page import render_run
from monge.train import evaluate, fit
from monge.train.loading import load_splits
from monge.train.run_files import RunFiles

pytestmark = [pytest.mark.usefixtures("cache"), pytest.mark.filterwarnings("ignore:.*not the complete set")]
RECIPES = ("msrvtt", "msrvtt-1ka", "didemo", "charades-sta", "rudder")
# 3 epochs of 3 steps; step 4 and the ends of the epochs are checkpoints, step 5 is not.
SMALL = (
    "model.embedding_dim=12",
    "sampler.classes_per_batch=8",
    "train.epochs=3",
    "train.steps_per_epoch=3",
    "train.checkpoint_every=4",
    "train.log_every=1",
    "optimizer.lr=3e-3",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "MSRVTT"
    write_fake_msrvtt(folder, clips=60, captions=4)
    return folder


@pytest.fixture(scope="module")
def settings(data):
    return (*SMALL, f"data.source={data}")


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """A run that nothing interrupted: its folder and what `fit` returned."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, fit(load_recipe("msrvtt", settings), folder, progress=False)


def test_a_run_measures_stores_and_can_be_measured_again(whole, settings):
    folder, metrics = whole
    splits = load_splits(load_recipe("msrvtt", settings))
    queries, gallery = splits.part("test")
    files = RunFiles(folder)
    stored = load_file(files.embeddings)
    names = ("embeddings", "labels")
    (asked, labels), (found, clips) = (
        [stored[f"test/{side}/{name}"] for name in names] for side in ("query", "gallery")
    )
    assert labels.tolist() == queries.labels.tolist()
    assert clips.tolist() == gallery.labels.tolist()
    again = cross_modal_retrieval(asked, found, labels, clips, distance="cosine", recall_at=(1, 5, 10, 50))
    assert {f"test/{name}": value for name, value in again.items()} == metrics
    assert files.read_environment()["select"] == {"metric": "val/geometric_mean", "higher_is_better": True}
    assert "MSR-VTT, split full: " in json.dumps(files.read_environment())
    with safe_open(files.embeddings, "pt") as file:
        told = file.metadata()
    assert json.loads(told["query_texts"]) == list(queries.texts)
    assert json.loads(told["gallery_texts"])[:2] == ["video48", "video49"]
    assert (told["paired"], told["query_name"], told["gallery_name"]) == ("true", "caption", "clip")
    assert evaluate(folder) == metrics


def test_killed_in_the_middle_of_an_epoch_and_resumed(whole, settings, started, records, tmp_path):
    folder, metrics = whole
    process = started(tmp_path / "killed", 5, recipe="msrvtt", settings=settings)
    process.kill()
    process.wait()
    assert fit(load_recipe("msrvtt", settings), tmp_path / "killed", resume=True, progress=False) == metrics
    assert records(tmp_path / "killed") == records(folder)


def test_data_by_the_command_and_the_report(data, tmp_path, capsys):
    words = [word for setting in SMALL for word in ("--set", setting)]
    out = str(tmp_path / "run")
    assert main(["train", "msrvtt-1ka", "--data", str(data), "--out", out, *words]) == 0
    assert main(["report", out]) == 0
    assert "video48" in (tmp_path / "run" / "report.html").read_text()
    told = capsys.readouterr()
    assert "MSR-VTT, split 1k-A" in told.out + told.err


def test_published_figures_stand_beside_a_folder_of_the_data_alone(whole, tmp_path):
    folder = whole[0]
    published = load_recipe(folder).expected.published
    text = render_run(read_run(folder))
    assert f"Published: {published[:40]}" in text
    shutil.copytree(folder, tmp_path / "stand-in")
    file = tmp_path / "stand-in" / "recipe.yaml"
    file.write_text(re.sub(r"(?m)^(\s+)source: /.*$", r"\1source: synthetic", file.read_text()))
    assert "Published:" not in render_run(read_run(tmp_path / "stand-in"))


def test_learning_makes_retrieval_far_better_than_chance(tmp_path):
    write_fake_didemo(tmp_path / "DiDeMo", clips=120)
    settings = (
        f"data.source={tmp_path / 'DiDeMo'}",
        "model.embedding_dim=64",
        "sampler.classes_per_batch=32",
        "train.epochs=4",
        "train.steps_per_epoch=10",
        "optimizer.lr=3e-3",
    )
    metrics = fit(load_recipe("didemo", settings), tmp_path / "run", progress=False)
    # 24 clips are looked through.
    assert metrics["test/q2g_r1"] > 5 / 24
    assert metrics["test/g2q_r5"] > 15 / 24


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_say_what_is_known_of_them(name):
    recipe = load_recipe(name)
    assert recipe.task == "cross-modal"
    assert "Not measured" in recipe.expected.note
    assert ("second-hand" in recipe.expected.published) == (name != "msrvtt-1ka")
    with pytest.raises(MongeError, match=f"no package has {name}: give the path of a folder"):
        load_splits(recipe)


def test_another_number_of_experts_than_the_run_has(whole, data):
    rows = {f"video{number}": np.ones((2, 5), np.float32) for number in range(60)}
    write_features(data / "features" / "face.npz", rows)
    try:
        with pytest.raises(RunError, match=r"the checkpoint does not fit recipe.yaml and these data"):
            evaluate(whole[0])
    finally:
        (data / "features" / "face.npz").unlink()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.frames=0", "data.frames"),
        ("data.experts=[rgb]", "data.experts"),
        ("data.views=3", "data.views: unknown key"),
        ("model.query.experts=7", "model.query.experts: found 7, expected 3"),
        ("model.gallery=mvcnn", "model.gallery.name: found mvcnn, which takes views"),
        ("loss=supcon", "loss.name: found supcon"),
        ("data.languages=[hi]", "data.languages: msrvtt leaves no such choice"),
    ],
)
def test_mistakes_in_settings(settings, tmp_path, setting, message):
    with pytest.raises(MongeError, match=message) as caught:
        fit(load_recipe("msrvtt", [*settings, setting]), tmp_path / "run", progress=False)
    assert "\n" not in str(caught.value)
