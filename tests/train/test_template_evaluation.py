"""`monge evaluate RUN --ijb FOLDER` against loops from the protocol; going on after a stop; refusals in one line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import monge
from monge.cli import main
from monge.data.alignment import template
from monge.data.synthetic.face_layouts import write_fake_ijb
from monge.errors import MongeError, RunError
from monge.metrics import calibrate
from monge.nn import SmallFaceNet
from monge.recipes import load_recipe
from monge.train import evaluate_templates, template_evaluation
from monge.train.checkpoints import FORMAT, save_checkpoint
from monge.train.face_task import FaceTask
from monge.train.run_files import RunFiles
from oracles import templates as oracle
from oracles import verification as pairs_oracle
from oracles.similarity import least_squares_similarity

SIZE, PEOPLE = 16, 5
pytestmark = [
    pytest.mark.usefixtures("cache"),
    pytest.mark.filterwarnings("ignore::monge.metrics.UndefinedMetricWarning"),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a face run whose network was drawn at random."""
    settings = ["data.source=synthetic", f"data.image_size={SIZE}", "model.widths=[4, 8]", "model.embedding_dim=8"]
    recipe, files = load_recipe("emoji-identity", settings), RunFiles(tmp_path / "run")
    files.best.parent.mkdir(parents=True)
    files.recipe.write_text(recipe.to_yaml())
    write_network(files, seed=0)
    return files.folder


def write_network(files: RunFiles, seed: int) -> None:
    torch.manual_seed(seed)
    net = SmallFaceNet(3, 8, SIZE, (4, 8))
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(64, 3, SIZE, SIZE))  # statistics of the normalisations
    checkpoint = {"format": FORMAT, "monge": monge.__version__, "recipe": "", "step": 1, "seconds": 0.0, "best": None}
    save_checkpoint(files.best, {**checkpoint, "model": net.state_dict(), "loss": {}})


@pytest.fixture
def ijb(tmp_path: Path) -> Path:
    write_fake_ijb(tmp_path / "IJBC", people=PEOPLE, templates=3, media=2, frames=2, size=24)
    return tmp_path / "IJBC"


def table(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def embedded_in_loops(run: Path, ijb: Path) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the templates and a unit vector of each: aligned, mirrored, weighed and pooled a picture at a time."""
    net = SmallFaceNet(3, 8, SIZE, (4, 8))
    net.load_state_dict(torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["model"])
    net.eval()
    rows = []
    for name, *told in table(ijb / "meta" / "ijbc_name_5pts_score.txt"):
        points, score = np.array(told[:10], float).reshape(5, 2), float(told[10])
        picture = np.asarray(Image.open(ijb / "loose_crop" / name), float)
        face = oracle.aligned(picture, least_squares_similarity(points, template(SIZE)), SIZE)
        x = torch.from_numpy(np.floor(face + 0.5)).float().permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            both = net((x - 0.5) / 0.5) + net((x.flip(3) - 0.5) / 0.5)
        rows.append(both[0].double().numpy() * score)
    listed = np.array([line[1:] for line in table(ijb / "meta" / "ijbc_face_tid_mid.txt")], int)
    return np.unique(listed[:, 0]), oracle.pool(np.array(rows), listed[:, 0], listed[:, 1])


def people_of(path: Path, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cells = np.array([line.split(",")[:2] for line in path.read_text().splitlines()[1:]], int)
    return np.searchsorted(ids, cells[:, 0]), cells[:, 1]


def test_everything_agrees_with_loops_from_the_protocol(run: Path, ijb: Path) -> None:
    found = evaluate_templates(run, ijb)
    ids, pooled = embedded_in_loops(run, ijb)
    listed = np.array(table(ijb / "meta" / "ijbc_template_pair_label.txt"), int)
    rows = np.searchsorted(ids, listed[:, :2])
    scores = np.array([oracle.cosine(pooled[one], pooled[other]) for one, other in rows])
    same = listed[:, 2] == 1
    assert found["ijbc/tar_at_far_1e-01"] == pytest.approx(pairs_oracle.tar_at_far(scores, same, Fraction(1, 10)))
    assert "ijbc/tar_at_far_1e-02" not in found  # 90 impostors say nothing about it
    assert found["ijbc/insightface_tar_at_far_1e-01"] == pytest.approx(pairs_oracle.ijb_script(scores, same, [0.1])[0])
    assert found["ijbc/auc"] == pytest.approx(pairs_oracle.auc(scores, same), abs=1e-4)
    assert found["ijbc/eer"] == pytest.approx(pairs_oracle.equal_error_rate(scores, same), abs=1e-6)

    probes, who = people_of(ijb / "meta" / "ijbc_1N_probe_mixed.csv", ids)
    galleries = [people_of(ijb / "meta" / f"ijbc_1N_gallery_G{number}.csv", ids) for number in (1, 2)]
    for k in (1, 5, 10):
        each = [oracle.rank_share(pooled[probes], who, pooled[g], labels, k) for g, labels in galleries]
        assert found[f"ijbc/rank_{k}"] == pytest.approx(np.mean(each))
    joined, labels = (np.concatenate(column) for column in zip(*galleries, strict=True))
    shares, recalls = oracle.insightface_search(pooled[probes], who, pooled[joined], labels, [1, 5, 10], [0.1, 0.01])
    assert [found[f"ijbc/insightface_rank_{k}"] for k in (1, 5, 10)] == pytest.approx(shares)
    assert [found[f"ijbc/insightface_tpir_at_fpir_{r}"] for r in ("1e-01", "1e-02")] == pytest.approx(recalls)
    stored = json.loads((run / "ijbc.json").read_text())["metrics"]
    assert stored == {name: value for name, value in found.items() if value == value}  # undefined rates are left out


def test_pooled_templates_are_those_of_the_loops(run: Path, ijb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    whole = template_evaluation.template_similarities
    monkeypatch.setattr(template_evaluation, "_TOGETHER", 14)
    monkeypatch.setattr(template_evaluation, "_CHUNK", 4)
    monkeypatch.setattr(
        template_evaluation, "template_similarities", lambda pooled, *rest: kept.append(pooled) or whole(pooled, *rest)
    )
    evaluate_templates(run, ijb)
    ids, pooled = embedded_in_loops(run, ijb)
    assert kept[0].ids.tolist() == ids.tolist()
    np.testing.assert_allclose(kept[0].embeddings.numpy(), pooled, atol=2e-3)  # a pixel may round the other way
    assert float((kept[0].embeddings.double() * torch.from_numpy(pooled)).sum(1).min()) > 0.99999


def test_a_stopped_run_goes_on_where_it_was(run: Path, ijb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_evaluation, "_TOGETHER", 20)
    monkeypatch.setattr(template_evaluation, "_CHUNK", 5)
    embedded: list[int] = []
    plain = FaceTask.mirrored_sum

    def counted(self: FaceTask, inputs: torch.Tensor) -> torch.Tensor:
        if len(embedded) == 5 and stop:
            raise KeyboardInterrupt
        embedded.append(len(inputs))
        return plain(self, inputs)

    monkeypatch.setattr(FaceTask, "mirrored_sum", counted)
    stop = True
    with pytest.raises(KeyboardInterrupt):
        evaluate_templates(run, ijb)
    stop = False
    found = evaluate_templates(run, ijb)
    assert sum(embedded) == 60
    assert evaluate_templates(run, ijb) == pytest.approx(found, nan_ok=True)
    assert sum(embedded) == 60
    write_network(RunFiles(run), seed=1)  # another checkpoint: nothing of the former is used
    assert evaluate_templates(run, ijb) != pytest.approx(found, nan_ok=True)
    assert sum(embedded) == 120


def test_every_broken_picture_is_one_line_and_the_others_are_kept(
    run: Path, ijb: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(template_evaluation, "_TOGETHER", 20)
    monkeypatch.setattr(template_evaluation, "_CHUNK", 10)
    whole = {}
    for number, content in ((3, b"<html>"), (8, b"\xff\xd8\xff junk"), (55, b"")):
        file = ijb / "loose_crop" / f"{number}.jpg"
        whole[file] = file.read_bytes()
        file.write_bytes(content)
    assert main(["evaluate", str(run), "--ijb", str(ijb)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [name for name in ("3.jpg", "8.jpg", "55.jpg") if sum(f"/{name}: " in line for line in lines) == 1] == [
        "3.jpg", "8.jpg", "55.jpg",
    ]  # fmt: skip
    assert "found 3 pictures that cannot be read, told above: put them right and run this again" in lines[-1]
    for file, content in whole.items():
        file.write_bytes(content)
    embedded: list[int] = []
    plain = FaceTask.mirrored_sum
    monkeypatch.setattr(
        FaceTask, "mirrored_sum", lambda self, inputs: embedded.append(len(inputs)) or plain(self, inputs)
    )
    assert main(["evaluate", str(run), "--ijb", str(ijb)]) == 0
    assert sum(embedded) == 30  # the two chunks with broken ones, and the one behind the first of them


def test_the_command_tells_the_table_and_where_it_is(run: Path, ijb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = torch.rand(60, generator=torch.Generator().manual_seed(1)) * 2 - 1
    calibrate(scores, torch.arange(60) % 2, 0.1).save(run / "threshold.json")
    assert main(["evaluate", str(run), "--ijb", str(ijb.parent)]) == 0
    said = capsys.readouterr()
    assert "ijbc: 60 pictures of 15 templates, 105 pairs, 1:1 and 1:N" in said.err
    assert "ijbc: 60 of 60 pictures" in said.err
    for name in ("tar_at_far_1e-01", "insightface_tar_at_far_1e-01", "rank_1", "insightface_rank_10", "stored_tar"):
        assert f"ijbc/{name} " in said.out, name
    assert f"ijbc: {run / 'ijbc.json'}" in said.out


def test_without_the_files_of_the_search_pairs_are_measured_alone(run: Path, ijb: Path) -> None:
    for file in (ijb / "meta").glob("*.csv"):
        file.unlink()
    assert not [name for name in evaluate_templates(run, ijb) if "rank" in name or "tpir" in name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ijb", "nowhere"], "nowhere: found nothing there, expected a folder with meta/ijbc_face_tid_mid.txt"),
        (["--ijb", ".", "--pairs", "a.bin"], "found both --pairs and --ijb, expected one of them"),
        (["--ijb", ".", "--data", "synthetic"], "found both --data and --ijb, expected one of them"),
        (["--ijb", ".", "--transport"], "--transport: goes with --pairs, which is missing"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(run, tmp_path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(run), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_other_runs_have_no_templates(tmp_path: Path, ijb: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(load_recipe("mnist").to_yaml())
    with pytest.raises(RunError, match="found a run of the task embedding, expected one on faces"):
        evaluate_templates(tmp_path, ijb)


def test_a_cache_that_cannot_be_written_is_one_line(run: Path, ijb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "file").write_text("")
    monkeypatch.setenv("MONGE_CACHE", str(run / "file"))
    with pytest.raises(MongeError, match="cannot write") as caught:
        evaluate_templates(run, ijb)
    assert "\n" not in str(caught.value)
