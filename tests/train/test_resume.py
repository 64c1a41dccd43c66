"""A run that is killed or asked to stop ends, once resumed, with the numbers of a run that was left alone."""

from __future__ import annotations

import shlex
import signal

import pytest
import torch

from monge.cli import main
from monge.errors import RunError
from monge.recipes import load_recipe
from monge.train import fit
from monge.train.checkpoints import load_checkpoint
from monge.train.run_files import RunFiles


def same_tensors(a, b):
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_killed_in_the_middle_of_an_epoch_and_resumed(tiny_run, tiny_recipe, started, records, tmp_path):
    whole, metrics = tiny_run
    process = started(tmp_path / "killed", 9)  # past the checkpoints at steps 5 and 7
    process.kill()
    process.wait()
    files = RunFiles(tmp_path / "killed")
    assert load_checkpoint(files.last)["step"] < 15
    with files.metrics.open("a") as file:
        file.write('{"step": 14, "ep')  # as a kill in the middle of a write would leave it
    assert fit(tiny_recipe, files.folder, resume=True, progress=False) == metrics
    assert records(files.folder) == records(whole)
    ended, expected = load_checkpoint(files.last), load_checkpoint(RunFiles(whole).last)
    assert same_tensors(ended["model"], expected["model"])
    assert ended["best"] == expected["best"]
    for mine, theirs in zip(ended["optimizer"]["state"].values(), expected["optimizer"]["state"].values()):
        assert same_tensors(mine, theirs)
    assert files.read_environment()["resumed"] == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_saves_and_says_how_to_go_on(tiny_run, started, records, tmp_path, signum, code, capsys):
    whole, metrics = tiny_run
    process = started(tmp_path / "run", 2)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    command = err.strip().splitlines()[-1].split("to go on: monge ")[1]
    step = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["step"]
    assert f"stopped at step {step}, saved" in err
    assert 2 <= step < 15
    assert main(shlex.split(command)) == 0
    assert records(tmp_path / "run") == records(whole)
    assert f"{metrics['test/map']:.4f}" in capsys.readouterr().out


def test_resuming_a_finished_run_measures_it_again(tiny_run, tiny_recipe, records):
    folder, metrics = tiny_run
    before = records(folder)
    assert fit(tiny_recipe, folder, resume=True, progress=False) == metrics
    assert records(folder) == before


def test_other_settings_are_not_resumed(tiny_run, tiny_recipe):
    folder, _ = tiny_run
    changed = tiny_recipe.model_copy(update={"seed": 5})
    with pytest.raises(RunError, match=r"was run with seed = 0, now 5: resume it with its own settings \(monge train"):
        fit(changed, folder, resume=True)
    faster = tiny_recipe.model_copy(update={"train": tiny_recipe.train.model_copy(update={"epochs": 9})})
    with pytest.raises(RunError, match=r"train\.epochs = 3, now 9"):
        fit(faster, folder, resume=True)


def test_nothing_to_resume(tmp_path, tiny_recipe):
    with pytest.raises(RunError, match="no run to resume here"):
        fit(tiny_recipe, tmp_path / "none", resume=True)
    with pytest.raises(RunError, match="expected one of them"):
        fit(tiny_recipe, tmp_path / "none", resume=True, overwrite=True)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"text"])
def test_a_damaged_checkpoint_is_one_line(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(RunError, match="not a readable checkpoint") as caught:
        load_checkpoint(tmp_path / "last.ckpt")
    assert "\n" not in str(caught.value)


def test_foreign_and_future_checkpoints_are_refused(tmp_path, tiny_run):
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(RunError, match="expected a checkpoint of monge"):
        load_checkpoint(tmp_path / "foreign.ckpt")
    content = dict(load_checkpoint(RunFiles(tiny_run[0]).best))
    torch.save({**content, "format": 99}, tmp_path / "future.ckpt")
    with pytest.raises(RunError, match="found checkpoint format 99"):
        load_checkpoint(tmp_path / "future.ckpt")


class Evil:
    def __reduce__(self):
        return print, ("never",)


def test_checkpoints_are_never_unpickled_freely(tmp_path, capsys):
    torch.save({"format": 1, "model": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(RunError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "evil.ckpt")
    assert capsys.readouterr().out == ""


def test_parameters_of_the_loss_survive_too(tmp_path, records):
    settings = ["loss.name=proxy_anchor", "train.epochs=1", "train.checkpoint_every=2", "evaluate.svm=false"]
    from conftest import TINY

    recipe = load_recipe("mnist", [*TINY, *settings, "evaluate.knn=0"])
    whole = fit(recipe, tmp_path / "a", progress=False)
    fit(recipe, tmp_path / "b", progress=False)
    half = load_checkpoint(tmp_path / "a" / "checkpoints" / "last.ckpt")
    assert any("proxies" in name for name in half["loss"])
    assert len(half["optimizer"]["param_groups"]) == 2
    assert records(tmp_path / "a") == records(tmp_path / "b")
    assert whole["test/map"] > 0
