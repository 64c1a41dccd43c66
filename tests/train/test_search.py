"""Search: the best matches of words and of drawings, what is written of them, and queries that cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from monge.cli import main
from monge.data.pairs import load_pairs
from monge.errors import MongeError, RunError
from monge.recipes import load_recipe
from monge.report.search_page import write_search
from monge.train import fit
from monge.train import search as room
from monge.train.search import search

FEW = ["train.epochs=30", "train.steps_per_epoch=4", "sampler.classes_per_batch=40"]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on made-up stamps."""
    folder = tmp_path_factory.mktemp("runs") / "stamps"
    fit(load_recipe("stamps", ["data.source=synthetic", *FEW]), folder, device="cpu")
    return folder


@pytest.fixture
def run(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as if these features were those of sentences: a text `pair N` is encoded as the query of label N."""
    splits = load_pairs("stamps", "synthetic")

    def encoded(texts: list[str], tokens: int | None) -> torch.Tensor:
        assert tokens is None
        label = int(texts[0].split()[1])
        queries = next(side for side in map(splits.part, ("train", "val", "test")) if label in side[0].labels)[0]
        return queries.inputs((queries.labels == label).nonzero()[:, 0])

    text = (made_up / "recipe.yaml").read_text()
    monkeypatch.setattr(room, "load_splits", lambda recipe, progress: splits)
    monkeypatch.setattr(room, "encode_texts", encoded)
    real = made_up.parent / "real"
    real.mkdir(exist_ok=True)
    (real / "checkpoints").mkdir(exist_ok=True)
    (real / "checkpoints" / "best.ckpt").write_bytes((made_up / "checkpoints" / "best.ckpt").read_bytes())
    (real / "recipe.yaml").write_text(text.replace("source: synthetic", "source: packaged"))
    return real


def test_the_best_come_first_with_their_words_and_parts(run: Path) -> None:
    hits = 0
    for label in (3, 170, 230):
        found = search(run, f"pair {label}", top=7, device="cpu")
        assert found.searched == 240
        assert [match.score for match in found.matches] == sorted((m.score for m in found.matches), reverse=True)
        assert all(-1 <= match.score <= 1.0001 for match in found.matches)
        hits += any(f"made-up thing {label}," in match.told for match in found.matches)
        assert all(match.picture is not None and match.picture.shape == (3, 16, 16) for match in found.matches)
    assert hits >= 2
    parts = {label: search(run, f"pair {label}", top=1, device="cpu").matches[0].part for label in (3,)}
    assert parts == {3: "train"}
    unseen = search(run, "pair 3", top=100, parts=("val", "test"), device="cpu")
    assert unseen.searched == 80
    assert {match.part for match in unseen.matches} == {"val", "test"}


def test_what_is_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(run), "pair 3", "--top", "3", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = run / "search" / "pair-3"
    assert [line.split()[-1] for line in lines[:3]] == [str(folder / f"{place:03d}.png") for place in (1, 2, 3)]
    assert lines[3] == "searched: 240 pictures"
    assert lines[4].split() == ["page:", str(folder / "search.html")]
    with Image.open(folder / "001.png") as picture:
        assert picture.size == (16, 16)
    page = (folder / "search.html").read_text()
    assert page.count('src="data:image/png') == 3
    assert main(["search", str(run), "pair 3", "--top", "1", "--device", "cpu"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["001.png", "search.html"]


def test_words_are_escaped_and_stay_in_the_folder(run: Path) -> None:
    found = search(run, "pair 3 <script>/../../x", top=1, device="cpu")
    page, _ = write_search(run, found)
    assert page.parent.parent == run / "search"
    assert "<script>/.." not in page.read_text()


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("mnist", "found a run of task embedding, which has no queries"),
        ("msrvtt", r"its queries are features from files \(msrvtt\)"),
        ("sketch-furniture", "its queries are drawings, found 'a chair', expected the path of a picture"),
    ],
)
def test_runs_that_cannot_be_asked_with_words(recipe: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(load_recipe(recipe).to_yaml())
    with pytest.raises(RunError, match=told):
        search(tmp_path, "a chair")


def test_other_ways_to_fail(made_up: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="there is no run here"):
        search(tmp_path, "a chair")
    with pytest.raises(RunError, match="made-up features, which no sentence has"):
        search(made_up, "a chair")
    with pytest.raises(MongeError, match="the query is empty"):
        search(run, "  ")
    monkeypatch.undo()
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MongeError, match=r"stamps is not in the data cache .* run `monge data get stamps`"):
        search(run, "a chair")


def test_a_drawing_finds_shapes(tmp_path: Path) -> None:
    settings = ["data.source=synthetic", "data.image_size=16", "data.views=3", "train.epochs=1"]
    settings += ["train.steps_per_epoch=1", "sampler.classes_per_batch=2"]
    fit(load_recipe("sketch-furniture", settings), tmp_path / "run", device="cpu")
    drawing = tmp_path / "drawing.png"
    Image.new("L", (40, 20), 255).save(drawing)
    found = search(tmp_path / "run", str(drawing), top=4, device="cpu")
    assert len(found.matches) == 4
    assert all(match.told and match.picture is not None for match in found.matches)
    drawing.write_bytes(b"no picture")
    with pytest.raises(MongeError, match=r"drawing\.png: found no picture that Pillow can read"):
        search(tmp_path / "run", str(drawing), device="cpu")
