"""The ``monge`` command: verbs, one-line errors and exit codes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys

import pytest

import monge
from monge.cli import main
from monge.cli.doctor import missing_packages
from monge.cli.train import _folder, data_setting
from monge.errors import RunError
from monge.recipes import list_recipes, load_recipe


def failed(capsys, *words):
    """Runs a command that must fail: its one line of error and its exit code."""
    code = main(list(words))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    return lines[0], code


def test_version_help_and_the_list_of_recipes(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"monge {monge.__version__}\n"
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in ("recipes", "data", "train", "evaluate", "report", "compare", "doctor"):
        assert re.search(rf"\b{verb}\b", shown)
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(list_recipes())
    assert main(["recipes", "mnist"]) == 0
    assert capsys.readouterr().out == load_recipe("mnist").to_yaml()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing argument"),
        (["train", "mnist", "--epochs", "many"], "--epochs"),
        (["train", "mnist", "--sed", "1"], "No such option"),
        (["train", "mnits"], "no recipe is called 'mnits'; did you mean mnist?"),
        (["train", "mnist", "--set", "loss.margni=1"], "loss.margni: unknown key; did you mean loss.margin?"),
        (["train", "mnist", "--data", "/nowhere"], "/nowhere"),
        (["train", "mnist", "--data", "synthetic", "--out", "/dev/null/run"], "/dev/null/run: cannot be written"),
        (["train", "mnist", "--device", "abacus"], "--device: found 'abacus'"),
        (["train", "mnist", "--logger", "paper"], "--logger: found 'paper', expected one of jsonl, csv"),
        (["train", "mnist", "--devices", "0"], "--devices: found 0"),
        (["evaluate", "/nowhere"], "there is no run here"),
        (["report", "/nowhere"], "/nowhere"),
        (["recipes", "nothing"], "no recipe is called 'nothing'"),
        (["data", "get", "nothing"], "nothing"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_exit_code_2(capsys, words, message):
    line, code = failed(capsys, *words)
    assert code == 2
    assert line.startswith("error: ")
    assert message in line


def test_no_words_show_the_help(capsys):
    assert main([]) == 2
    said = capsys.readouterr()
    assert "Usage" in said.out + said.err


@pytest.mark.parametrize("module", ["typer", "rich", "pydantic", "yaml"])
def test_a_missing_package_of_the_command_names_the_pip_command(capsys, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    line, code = failed(capsys, "recipes")
    assert code == 2
    assert f"{module!r}, which is not installed: pip install 'monge[cli]'" in line


def test_training_without_lightning_names_the_pip_command():
    code = (
        "import sys; sys.modules['lightning'] = None; sys.modules['lightning.pytorch'] = None;"
        "from monge.cli import main; sys.exit(main(['train', 'mnist', '--data', 'synthetic', '--out', '/dev/null/x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: Training needs the package 'lightning', which is not installed: pip install 'monge[train]'"
    ]


def test_smoke_runs_from_training_to_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "mnist", "--smoke"]) == 0
    said = capsys.readouterr()
    run = tmp_path / "runs" / "mnist-smoke"
    assert "data: synthetic" in said.err
    assert re.search(r"^test/map +0\.\d{4}$", said.out, re.MULTILINE)
    assert "results: runs/mnist-smoke" in said.out
    assert "next:    monge report runs/mnist-smoke" in said.out
    assert {path.name for path in run.iterdir()} >= {"recipe.yaml", "metrics.jsonl", "report.html", "checkpoints"}
    assert "expected" not in said.out  # the recipe's numbers are for other data
    report = (run / "report.html").read_text()
    assert "synthetic" in report
    assert "Mass on hard pairs" in report  # the transport plan, by the loss as the run's recipe has it

    assert main(["evaluate", str(run)]) == 0
    shown = capsys.readouterr().out
    assert set(re.findall(r"^test/map.*$", said.out, re.MULTILINE)) <= set(shown.splitlines())


def test_the_default_folder_is_the_next_free_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("mnist", ["seed=4"])
    with pytest.raises(RunError, match="there is no run to resume"):
        _folder(None, recipe, resume=True, smoke=False)
    for name in ("mnist-4", "mnist-4-2", "mnist-4-3"):
        folder = _folder(None, recipe, resume=False, smoke=False)
        assert str(folder) == f"runs/{name}"
        folder.mkdir(parents=True)
    assert str(_folder(None, recipe, resume=True, smoke=False)) == "runs/mnist-4-3"
    assert str(_folder(tmp_path / "x", recipe, resume=False, smoke=False)) == str(tmp_path / "x")


def test_further_processes_use_the_folder_of_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("mnist")
    first = _folder(None, recipe, resume=False, smoke=False)
    first.mkdir(parents=True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert _folder(None, recipe, resume=False, smoke=False) == first.absolute()


def test_data_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_setting("packaged") == 'data.source="packaged"'
    recipe = load_recipe("mnist", [data_setting('odd "folder"')])
    assert recipe.data.source == os.path.join(tmp_path, 'odd "folder"')


def test_doctor_tells_what_is_there(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in ("torch", "extra train", "threads", "GPU", f"cache folder: {tmp_path}", "solver: right plan"):
        assert word in shown
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "file" / "cache"))
    assert main(["doctor"]) == 1
    assert "MISSING cache folder" in capsys.readouterr().out


def test_doctor_names_the_pip_command_of_what_is_missing(capsys, monkeypatch):
    from importlib import metadata

    def version(package):
        if package == "timm":
            raise metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    assert missing_packages()["train"] == ["timm"]
    main(["doctor"])
    assert "MISSING extra train: pip install 'monge[train]' (for timm)" in capsys.readouterr().out


def test_the_command_does_not_load_torch_before_a_verb_needs_it():
    code = "import sys; from monge.cli import main; main(['--help']); print([m for m in sys.modules if m == 'torch'])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")


def test_interrupts_outside_of_training_end_with_130(capsys, monkeypatch):
    def interrupt(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr("monge.recipes.list_recipes", interrupt)
    line, code = failed(capsys, "recipes")
    assert (line, code) == ("interrupted", 130)


@pytest.mark.parametrize("place", [None, "runs/a/metrics.jsonl"])
def test_a_full_disk_is_one_line(capsys, monkeypatch, place):
    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device", place)

    monkeypatch.setattr("monge.recipes.list_recipes", full)
    line, code = failed(capsys, "recipes")
    named = "" if place is None else f"{place}: "
    assert (line, code) == (f"error: {named}No space left on device; make room or choose another place", 2)


def test_smoke_and_real_data_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "mnist", "--smoke", "--data", "somewhere"]) == 2
    assert capsys.readouterr().err == (
        "error: --smoke runs on synthetic data, found --data somewhere: leave one of the two out\n"
    )
