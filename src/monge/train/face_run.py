"""A finished face run opened to measure with: its network, without the data that it learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import nn

from monge.data import Examples
from monge.errors import RunError
from monge.nn.face_build import FaceNetConfig, TimmFaceConfig, build_face_network
from monge.recipes import Recipe, load_recipe
from monge.recipes.face_data import FaceData
from monge.train.checkpoints import load_checkpoint
from monge.train.face_task import FaceTask
from monge.train.networks import input_shape
from monge.train.run_files import RunFiles
from monge.train.selection import Selection


def open_face_run(run: str | Path) -> tuple[RunFiles, Recipe, FaceData]:
    """The files of a face run, its recipe and what that says of the data.

    Args:
        run: The run's folder.

    Raises:
        RunError: No run there, or one of another task.
    """
    files = RunFiles(Path(run))
    if not files.recipe.is_file():
        raise RunError(f"{files.folder}: there is no run here (no recipe.yaml)")
    recipe = load_recipe(files.recipe)
    if recipe.task != "face" or not isinstance(recipe.data, FaceData):
        raise RunError(f"{files.folder}: found a run of the task {recipe.task}, expected one on faces to verify pairs")
    return files, recipe, recipe.data


def checkpoint_file(files: RunFiles) -> Path:
    """The best checkpoint of a run, else the last one.

    Args:
        files: The run's folder.
    """
    return files.best if files.best.is_file() else files.last


def trained_face_task(files: RunFiles, recipe: Recipe, pictures: Examples) -> FaceTask:
    """The run's network in a task that measures and does not learn.

    Args:
        files: The run's folder.
        recipe: Its recipe.
        pictures: What will be measured; its shape shapes the network.

    Raises:
        RunError: No checkpoint there, or one that does not fit.
    """
    config = replace(cast(FaceNetConfig, recipe.model), weights=None)
    if isinstance(config, TimmFaceConfig):
        config = replace(config, pretrained=False)
    model = build_face_network(config, input_shape(recipe, pictures))
    checkpoint = load_checkpoint(checkpoint_file(files))
    try:
        model.load_state_dict(checkpoint["model"])
    except RuntimeError as error:
        raise RunError(f"{files.folder}: the checkpoint does not fit recipe.yaml and these pictures") from error
    return FaceTask(recipe, model, nn.Identity(), 1, Selection.of("accuracy"))
