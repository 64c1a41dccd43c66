"""`monge export`: files of every kind of run against the run itself, by other batches and by the libraries alone."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import monge
from monge.cli import main
from monge.errors import MissingExtraError, RunError
from monge.export import export_run, program_files, programs, run_export
from monge.metrics import calibrate
from monge.recipes import load_recipe
from monge.train.building import build_task
from monge.train.checkpoints import FORMAT, save_checkpoint
from monge.train.loading import load_splits
from monge.train.run_files import RunFiles

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

VIEWS = ("data.image_size=16", "data.views=3")
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "digits": ("mnist", ("model.embedding_dim=8", "data.image_size=20", "data.normalize={mean: [0.3], std: [0.2]}")),
    "shapes": (
        "furniture",
        (*VIEWS, "model.backbone.widths=[4, 8]", "model.backbone.embedding_dim=8", "model.embedding_dim=8",
         "model.max_views=4", "data.background=255"),
    ),
    "faces": ("emoji-identity", ("data.image_size=24", "model.widths=[8, 16]", "model.embedding_dim=16")),
    "rows": ("diamonds", ("model.hidden=[16]", "model.embedding_dim=8")),
    "grades": ("diamonds", ("model.hidden=[16]", "model.embedding_dim=8", "loss=coral")),
    "sentences": ("stamps", ()),
    "clips": ("msrvtt", ()),
    "drawings": (
        "sketch-furniture",
        (*VIEWS, "model.query.widths=[4, 8]", "model.gallery.backbone.widths=[4, 8]",
         "model.gallery.backbone.embedding_dim=8", "model.embedding_dim=8", "sampler.classes_per_batch=4"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    folder: Path
    task: Any
    splits: Any


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Any:
    """Run folders as they are when training is over, with networks that were drawn at random; each made once."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def make(name: str) -> Run:
        if name not in made:
            recipe_name, settings = RUNS[name]
            recipe = load_recipe(recipe_name, ["data.source=synthetic", *settings])
            splits = load_splits(recipe)
            task = build_task(recipe, splits)
            for module in task.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    nn.init.uniform_(module.running_mean, -0.2, 0.2)
                    nn.init.uniform_(module.running_var, 0.5, 2.0)
            finish(root / name, recipe, task)
            made[name] = Run(root / name, task.eval(), splits)
        return made[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONGE_CACHE", str(root / "cache"))
        yield make


def finish(folder: Path, recipe: Any, task: Any) -> None:
    files = RunFiles(folder)
    files.best.parent.mkdir(parents=True)
    files.recipe.write_text(recipe.to_yaml())
    files.environment.write_text(json.dumps({"finished": "2026-01-01T00:00:00+00:00"}))
    files.metrics.write_text('{"step": 7, "epoch": 0, "time": 1.0, "test/map": 0.25, "test/queries": null}\n')
    checkpoint = {"format": FORMAT, "monge": monge.__version__, "recipe": "", "step": 7, "seconds": 0.0, "best": None}
    save_checkpoint(files.best, {**checkpoint, "model": task.model.state_dict(), "loss": {}})


def outputs_of(path: Path, inputs: torch.Tensor) -> list[np.ndarray]:
    """What a file gives, by torch or onnxruntime alone."""
    if path.suffix == ".pt2":
        return [out.numpy() for out in torch.export.load(path).module()(inputs)]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"inputs": inputs.numpy()})


def expected_of(run: Run, side: str, inputs: torch.Tensor) -> list[torch.Tensor]:
    task = run.task
    with torch.no_grad():
        if side:
            return [task(side, inputs)]
        return [task.unit_features(inputs), task(inputs)] if hasattr(task, "unit_features") else [task(inputs)]


def test_examples(run: Run, side: str) -> Any:
    if side:
        return run.splits.part("test")[("query", "gallery").index(side)]
    return next(iter(run.splits.test.values())).images if isinstance(run.splits.test, dict) else run.splits.test


test_examples.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@pytest.mark.parametrize("name", RUNS)
def test_files_give_what_the_run_gives(runs, tmp_path: Path, name: str, suffix: str) -> None:
    run = runs(name)
    made = export_run(run.folder, tmp_path / f"model{suffix}")
    sides = ["query", "gallery"] if len(made) == 2 else [""]
    assert [one.path.name for one in made] == [f"model{'-' * bool(side)}{side}{suffix}" for side in sides]
    for one, side in zip(made, sides, strict=True):
        assert one.difference < 1e-5
        examples = test_examples(run, side)
        for rows in ([0], [5], [3, 9, 4, 1, 11], list(range(40))):
            inputs = examples.inputs(torch.tensor(rows) % len(examples))
            for found, expected in zip(outputs_of(one.path, inputs), expected_of(run, side, inputs), strict=True):
                np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)
        told = json.loads(one.description.read_text())
        assert told["side"] == (side or None)
        assert told["input"]["shape"] == ["batch", *examples.shape]
        assert told["input"]["dtype"] == str(examples.inputs(torch.tensor([0])).dtype).removeprefix("torch.")
        assert told["metrics"] == {"test/map": 0.25}
        assert told["monge"] == monge.__version__
        assert told["recipe"] == load_recipe(run.folder / "recipe.yaml").model_dump(mode="json")
        assert told.pop("check")["largest_difference"] == one.difference
        assert kept_inside(one.path) == told
    assert len(list(tmp_path.iterdir())) == 2 * len(made)


def kept_inside(path: Path) -> dict[str, Any]:
    if path.suffix == ".pt2":
        kept = {"monge.json": ""}
        torch.export.load(path, extra_files=kept)
        return json.loads(kept["monge.json"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return json.loads(session.get_modelmeta().custom_metadata_map["monge.json"])


def test_pixels_go_in_as_they_are_and_are_told(runs, tmp_path: Path) -> None:
    run = runs("digits")
    export_run(run.folder, tmp_path / "model.onnx")
    told = json.loads((tmp_path / "model.onnx.json").read_text())
    assert told["in_the_file"]["mean"] == pytest.approx([0.3])
    assert told["in_the_file"]["std"] == pytest.approx([0.2])
    assert told["in_the_file"]["resized_to"] == 20
    assert told["input"]["dtype"] == "uint8"
    assert told["classes"] == [str(digit) for digit in range(10)]
    with pytest.raises(Exception, match="uint8"):
        outputs_of(tmp_path / "model.onnx", torch.zeros(1, 1, 28, 28))


def test_probabilities_come_with_the_names_of_the_classes(runs, tmp_path: Path) -> None:
    run = runs("grades")
    (made,) = export_run(run.folder, tmp_path / "model.pt2")
    told = json.loads(made.description.read_text())
    assert list(told["outputs"]) == ["embedding", "probabilities"]
    assert told["outputs"]["probabilities"]["shape"] == ["batch", len(told["classes"])]
    embedding, probabilities = outputs_of(made.path, run.splits.test.inputs(torch.arange(6)))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)


def test_the_calibrated_threshold_goes_with_faces(runs, tmp_path: Path) -> None:
    run = runs("faces")
    assert json.loads(export_run(run.folder, tmp_path / "a.pt2")[0].description.read_text())["threshold"] is None
    scores = torch.rand(60, generator=torch.Generator().manual_seed(1)) * 2 - 1
    point = calibrate(scores, torch.arange(60) % 2, 0.1, pairs="drawn")
    point.save(run.folder / "threshold.json")
    told = json.loads(export_run(run.folder, tmp_path / "a.pt2")[0].description.read_text())
    assert told["threshold"] == {**vars(point), "squared_distance": point.squared_distance}
    assert told["in_the_file"]["mirrored_and_added"]
    inputs = run.splits.test["test"].images.inputs(torch.arange(4))
    (found,) = outputs_of(tmp_path / "a.pt2", inputs)
    np.testing.assert_allclose(outputs_of(tmp_path / "a.pt2", inputs.flip(-1))[0], found, atol=1e-6)
    (run.folder / "threshold.json").write_text("{")
    with pytest.raises(monge.errors.DataFormatError, match=r"threshold\.json: .*run monge evaluate"):
        export_run(run.folder, tmp_path / "a.pt2")
    (run.folder / "threshold.json").unlink()


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_file_that_differs_from_the_run_is_not_written(runs, tmp_path: Path, monkeypatch, suffix: str) -> None:
    target = tmp_path / f"model{suffix}"
    target.write_text("before")

    def spoiled(self: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network(self.pixels(inputs)) + 1e-3,)

    monkeypatch.setattr(programs.EmbeddingProgram, "forward", spoiled)
    with pytest.raises(RunError, match=r"differ from the run.s by 0\.001, expected at most 0\.0001"):
        export_run(runs("digits").folder, target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_text() == "before"
    assert export_run(runs("digits").folder, target, tolerance=0.01)[0].difference == pytest.approx(1e-3, rel=0.01)


def test_the_command_says_what_it_wrote(runs, tmp_path: Path, capsys) -> None:
    target = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["export", str(runs("rows").folder), "--to", str(target)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{target}  0.0 MB; differs from the run by at most ")
    assert lines[0].endswith(" on 32 test inputs")
    assert lines[1:] == [f"{target}.json"]
    assert said.err == "exporting model.onnx\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--to", "a.onnx"], "nowhere: there is no run here (no recipe.yaml)"),
        (["RUN", "--to", "a.tflite"], "a.tflite: found the ending '.tflite', expected one of .pt2, .onnx"),
        (["RUN", "--to", "a"], "a: found the ending '', expected one of .pt2, .onnx"),
        (["RUN", "--to", "no/a.pt2"], "no/a.pt2: found no folder no, expected a file in a folder that is there"),
        (["RUN", "--to", "is.pt2"], "is.pt2: found a folder"),
        (["RUN"], "Missing option '--to'"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(runs, tmp_path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "is.pt2").mkdir()
    folder = str(runs("rows").folder)
    assert main(["export", *(folder if word == "RUN" else word for word in words)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_runs_that_are_not_finished_or_damaged_are_told(runs, tmp_path: Path) -> None:
    whole, files = RunFiles(runs("rows").folder), RunFiles(tmp_path / "run")
    files.folder.mkdir()
    files.recipe.write_text(whole.recipe.read_text())
    with pytest.raises(RunError, match=r"this run is not finished; go on with it: monge train .* --resume"):
        export_run(files.folder, tmp_path / "a.pt2")
    files.environment.write_text(whole.environment.read_text())
    with pytest.raises(RunError, match="there is no such checkpoint"):
        export_run(files.folder, tmp_path / "a.pt2")
    files.best.parent.mkdir()
    files.best.write_bytes(whole.best.read_bytes())
    files.recipe.write_text(load_recipe(files.recipe, ["model.embedding_dim=4"]).to_yaml())
    with pytest.raises(RunError, match=r"the checkpoint does not fit recipe\.yaml and these data"):
        export_run(files.folder, tmp_path / "a.pt2")


def test_a_place_that_cannot_be_written_and_a_missing_package_are_told(runs, tmp_path: Path, monkeypatch) -> None:
    folder = runs("rows").folder

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_export, "write_program", full)
        with pytest.raises(RunError, match=r"a\.pt2: cannot be written \(No space left on device\)"):
            export_run(folder, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())

    def missing(module: str, *, extra: str, purpose: str) -> None:
        raise MissingExtraError(f"{purpose} needs the package {module!r}: pip install 'monge[{extra}]'")

    monkeypatch.setattr(program_files, "require", missing)
    with pytest.raises(MissingExtraError, match=r"Writing and checking ONNX needs the package 'onnx'.*monge\[export\]"):
        export_run(folder, tmp_path / "a.onnx")
    assert export_run(folder, tmp_path / "a.pt2")[0].difference == 0


def test_models_that_cannot_be_traced_are_one_line(runs, tmp_path: Path, monkeypatch) -> None:
    def by_value(self: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.network(self.pixels(inputs)) if int(inputs.sum()) else inputs,)

    monkeypatch.setattr(programs.EmbeddingProgram, "forward", by_value)
    with pytest.raises(RunError, match=r"torch\.export cannot trace this model") as caught:
        export_run(runs("digits").folder, tmp_path / "a.pt2")
    assert "\n" not in str(caught.value)
