"""`evaluate`: a run's model on its test data, or on other data of the same kind."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from monge.data import Splits
from monge.errors import RunError
from monge.recipes import load_recipe
from monge.recipes.data_sections import TableData
from monge.train.building import build_task
from monge.train.checkpoints import load_checkpoint
from monge.train.devices import choose_device, own_torch_state
from monge.train.loading import load_splits
from monge.train.run_files import RunFiles, say


def evaluate(
    run: str | Path, data: str | None = None, *, device: str = "auto", progress: bool = False
) -> dict[str, float]:
    """Measures the test split anew with the run's best (else last) checkpoint.

    Rewrites ``embeddings.safetensors`` or ``predictions.safetensors``; on the data of the run the numbers are those at
    the end of its training.

    Args:
        run: A run folder.
        data: Another data source: ``"packaged"``, ``"synthetic"`` or a path; none: the one the run was trained on.
        device: As for `fit`.
        progress: Say on standard error which data are used.

    Returns:
        Metrics named ``test/...``.

    Raises:
        RunError: No run or no checkpoint there, a checkpoint that does not fit its recipe, or, of a classification
            run, data with other classes.
    """
    files = RunFiles(Path(run))
    if not files.recipe.is_file():
        raise RunError(f"{files.folder}: there is no run here (no recipe.yaml)")
    trained_on = load_recipe(files.recipe)
    recipe = trained_on if data is None else load_recipe(files.recipe, [f"data.source={json.dumps(data)}"])
    if isinstance(recipe.data, TableData) and recipe.data != trained_on.data:
        warnings.warn(
            "data: the columns are scaled and encoded by the training rows of these data, not of those the model "
            "learned from: its numbers mean something only where the two are drawn alike",
            UserWarning,
            stacklevel=2,
        )
    where = choose_device(device, recipe)[1]
    checkpoint = load_checkpoint(files.best if files.best.is_file() else files.last)
    with own_torch_state(recipe.train.threads):
        splits = load_splits(recipe, progress=progress)
        if progress:
            say(f"data: {splits.source}; {splits.definition}")
        files.check_same_classes(splits)
        task = build_task(recipe, splits)
        try:
            task.model.load_state_dict(checkpoint["model"])
        except RuntimeError as error:
            shape = f" (inputs of {' x '.join(map(str, splits.train.shape))})" if isinstance(splits, Splits) else ""
            raise RunError(f"{files.folder}: the checkpoint does not fit recipe.yaml and these data{shape}") from error
        return task.to(where).run_test(splits, files)
