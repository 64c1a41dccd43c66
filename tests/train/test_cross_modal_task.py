"""Two modalities end to end: batches, measures, stored files, resuming, comparison, mistakes in recipes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from monge.cli import main
from monge.data import ImageSet, TableSet, load_images, load_sketch_shapes
from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_set import DrawingSet
from monge.data.synthetic.shape_layouts import write_fake_shrec
from monge.data.views import ViewSet
from monge.errors import RecipeError, RunError
from monge.losses.plan_diagnostics import PlanDiagnostics
from monge.metrics import retrieval
from monge.recipes import load_recipe, smoke_recipe
from monge.recipes.schema import TwoModalitySampler
from monge.train import evaluate, fit
from monge.train.batch_samplers import build_pair_sampler, build_sampler
from monge.train.building import build_task, check_data
from monge.train.compare import compare
from monge.train.cross_modal_measures import check_answerable, cross_modal_metrics
from monge.train.loading import load_splits
from monge.train.pictures import pictures_of, thumbnails, views_of
from monge.train.run_files import RunFiles
from monge.train.selection import choose_selection

pytestmark = pytest.mark.usefixtures("cache")

# 3 epochs of 3 steps; step 2 and the ends of the epochs are checkpoints, step 5 is not.
SMALL = (
    "data.source=synthetic",
    "data.image_size=16",
    "data.views=3",
    "model.query.widths=[4, 8]",
    "model.gallery.backbone.widths=[4, 8]",
    "model.gallery.backbone.embedding_dim=8",
    "model.embedding_dim=8",
    "sampler.classes_per_batch=4",
    "sampler.queries_per_class=2",
    "sampler.gallery_per_class=2",
    "train.epochs=3",
    "train.steps_per_epoch=3",
    "train.checkpoint_every=4",
    "train.log_every=1",
)


@pytest.fixture(scope="module")
def splits():
    return load_sketch_shapes("sketch-furniture", "synthetic", size=16, views=3)


@pytest.fixture(scope="module")
def small():
    return load_recipe("sketch-furniture", SMALL)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A run that nothing interrupted: its folder and what `fit` returned."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, fit(small, folder, progress=False)


def test_a_run_measures_stores_and_can_be_measured_again(whole, splits):
    folder, metrics = whole
    assert {f"test/{name}" for name in ("nn", "ft", "st", "e", "dcg", "map")} <= metrics.keys()
    files = RunFiles(folder)
    stored = load_file(files.embeddings)
    queries, gallery = splits.part("test")
    assert stored["test/query/embeddings"].shape == (len(queries), 8)
    assert stored["test/gallery/embeddings"].shape == (len(gallery), 8)
    assert torch.equal(stored["test/query/labels"], queries.labels)
    assert torch.equal(stored["test/query/images"], 255 - queries.inputs(range(len(queries))))
    assert torch.equal(stored["test/gallery/views"], gallery.inputs(range(len(gallery))))
    again = retrieval(
        stored["test/query/embeddings"],
        stored["test/gallery/embeddings"],
        stored["test/query/labels"],
        stored["test/gallery/labels"],
    )
    assert metrics["test/map"] == again["map"]
    with safe_open(files.embeddings, "pt") as file:
        told = file.metadata()
    assert (told["paired"], told["query_name"], told["gallery_name"]) == ("false", "sketch", "shape")
    assert told["source"].startswith("synthetic: ")
    assert files.read_environment()["select"] == {"metric": "val/map", "higher_is_better": True}
    assert evaluate(folder) == metrics


def test_plans_are_logged(whole, records):
    logged = next(line for line in records(whole[0]) if "train/loss" in line)
    for plan in ("xx", "yy", "xy"):
        assert f"train/plan_{plan}_{PlanDiagnostics._fields[0]}" in logged


def test_killed_in_the_middle_of_an_epoch_and_resumed(whole, small, started, records, tmp_path):
    folder, metrics = whole
    process = started(tmp_path / "killed", 5, recipe="sketch-furniture", settings=SMALL)
    process.kill()
    process.wait()
    assert fit(small, tmp_path / "killed", resume=True, progress=False) == metrics
    assert records(tmp_path / "killed") == records(folder)


def test_the_classifier_of_the_softmax_term_is_trained_logged_kept_and_resumed(small, records, tmp_path):
    recipe = load_recipe("sketch-furniture", [*SMALL, "loss.softmax=0.2"])
    metrics = fit(recipe, tmp_path / "whole", progress=False)
    logged = [line for line in records(tmp_path / "whole") if "train/loss" in line]
    assert all(line["train/query_softmax"] > 0 and line["train/gallery_softmax"] > 0 for line in logged)
    kept = torch.load(tmp_path / "whole" / "checkpoints" / "last.ckpt", weights_only=True)["loss"]
    begun = build_task(recipe, load_sketch_shapes("sketch-furniture", "synthetic", size=16, views=3)).loss.state_dict()
    assert list(kept) == ["classifier.weight", "classifier.bias"]
    assert all(not torch.equal(kept[name], begun[name]) for name in begun)
    assert evaluate(tmp_path / "whole") == metrics


def test_a_run_with_a_classifier_goes_on_as_if_it_had_not_stopped(started, records, tmp_path):
    settings = (*SMALL, "loss.softmax=1.0")
    recipe = load_recipe("sketch-furniture", settings)
    metrics = fit(recipe, tmp_path / "whole", progress=False)
    process = started(tmp_path / "killed", 5, recipe="sketch-furniture", settings=settings)
    process.kill()
    process.wait()
    assert fit(recipe, tmp_path / "killed", resume=True, progress=False) == metrics
    assert records(tmp_path / "killed") == records(tmp_path / "whole")


def test_both_sides_are_augmented_each_in_its_own_way(splits):
    settings = ["data.queries.augment=[stroke_width]", "data.gallery.augment=[flip]"]
    task = build_task(load_recipe("sketch-furniture", [*SMALL, *settings]), splits)
    batch = next(iter(task.batches(splits, epoch=0)))
    plain = [task.ready_side("query", batch.queries), task.ready_side("gallery", batch.gallery)]
    first = task.ready_batch(batch, torch.Generator().manual_seed(1))
    again = task.ready_batch(batch, torch.Generator().manual_seed(1))
    for mine, repeated, still in zip(first, again, plain, strict=True):
        assert torch.equal(mine, repeated)
        assert not torch.equal(mine, still)
    # The gallery is only mirrored.
    assert all(torch.equal(one, other) or torch.equal(one.flip(-1), other) for one, other in zip(first[1], plain[1]))


def test_batches_hold_the_same_classes_on_both_sides(small, splits):
    task = build_task(small, splits)
    batches = list(task.batches(splits, epoch=1))
    assert len(batches) == 3
    for batch in batches:
        assert torch.equal(batch.query_labels.unique(), batch.gallery_labels.unique())
        assert (len(batch.query_labels), len(batch.gallery_labels)) == (8, 8)
    tail = list(task.batches(splits, epoch=1, start=2))
    assert len(tail) == 1
    assert torch.equal(tail[0].queries, batches[2].queries)
    assert (tail[0].epoch, tail[0].place) == (1, 2)


def test_processes_share_a_batch_and_each_share_has_what_it_asks_for(small, splits):
    task = build_task(small, splits)
    shares = [next(iter(task.batches(splits, epoch=0, rank=rank, world_size=2))) for rank in range(2)]
    one = next(iter(task.batches(splits, epoch=0)))
    assert sorted(torch.cat([share.query_labels for share in shares]).tolist()) == sorted(one.query_labels.tolist())
    for share in shares:
        assert torch.equal(share.query_labels.unique(), share.gallery_labels.unique())


@pytest.mark.parametrize(
    ("counts", "processes", "fits"),
    [((4, 1, 1), 2, True), ((3, 1, 1), 2, False), ((3, 2, 4), 2, True), ((4, 2, 1), 2, False), ((3, 1, 1), 1, True)],
)
def test_shares_with_one_side_alone_are_refused(small, splits, counts, processes, fits):
    sampler = TwoModalitySampler(classes_per_batch=counts[0], queries_per_class=counts[1], gallery_per_class=counts[2])
    recipe = small.model_copy(update={"sampler": sampler})
    queries, gallery = splits.part("train")
    if not fits:
        with pytest.raises(RecipeError, match="expected shares with the same classes on both sides"):
            build_pair_sampler(recipe, queries, gallery, 3, 0, processes)
        return
    for rank in range(processes):
        sampled = build_pair_sampler(recipe, queries, gallery, 3, rank, processes)
        for share in sampled:
            asked, found = sampled.split(share)
            assert set(queries.labels[asked].tolist()) == set(gallery.labels[found].tolist())


def test_an_epoch_is_one_pass_over_the_modality_that_takes_longer(small, splits):
    train = small.train.model_copy(update={"steps_per_epoch": None})
    task = build_task(small.model_copy(update={"train": train}), splits)
    assert task.steps_per_epoch == len(splits.train_queries) // 8


def pairs_of_rows(count=40):
    """Captions and clips as rows: two captions of each clip."""
    torch.manual_seed(5)
    clips = torch.randn(count, 6)
    numbers = torch.arange(count)
    captions = torch.cat([clips, clips]) @ torch.randn(6, 5) + 0.01 * torch.randn(2 * count, 5)
    sides = (TableSet(captions, numbers.repeat(2)), TableSet(clips, numbers))
    return CrossModalSplits(
        *sides, *sides, *sides, classes=(), source="drawn", definition="all in every part", paired=True,
        query_name="caption", gallery_name="clip",
    )  # fmt: skip


PAIRS = (
    "data={name: diamonds}",
    "model.query={name: mlp, hidden: [16]}",
    "model.gallery={name: mlp, hidden: [16]}",
    "sampler={name: two-modality, classes_per_batch: 10, queries_per_class: 1, gallery_per_class: 1}",
    "train.epochs=6",
    "train.steps_per_epoch=4",
    "optimizer.lr=1e-2",
    "loss=infonce",
)


def test_pairs_are_measured_in_both_directions(tmp_path, monkeypatch):
    splits = pairs_of_rows()
    monkeypatch.setattr("monge.train.training.load_splits", lambda recipe, **rest: splits)
    recipe = load_recipe("sketch-furniture", PAIRS)
    before = build_task(recipe, splits)
    assert before.selection.metric == "val/geometric_mean"
    metrics = fit(recipe, tmp_path / "run", progress=False)
    assert {"test/q2g_r1", "test/g2q_r10", "test/q2g_medr", "test/geometric_mean"} <= metrics.keys()
    assert metrics["test/geometric_mean"] > 0.5  # by chance about 0.1
    # What knows other queries is in a file of its own, and not among the metrics.
    apart = json.loads((tmp_path / "run" / "rescored.json").read_text())
    assert apart["bank"] == [len(side) for side in splits.part("train")]
    assert apart["dual_softmax"]["q2g_queries"] == metrics["test/q2g_queries"]
    assert apart["querybank"]["g2q_r1"] > 0.3
    with safe_open(tmp_path / "run" / "embeddings.safetensors", "pt") as file:
        assert file.metadata()["paired"] == "true"
        assert not any(name.endswith(("images", "views")) for name in file.keys())  # noqa: SIM118


def test_selection_knows_classes_from_pairs(small, splits):
    assert choose_selection(small, splits).metric == "val/map"
    pairs, recipe = pairs_of_rows(), load_recipe("sketch-furniture", PAIRS)
    assert not choose_selection(
        load_recipe("sketch-furniture", [*PAIRS, "evaluate.select=q2g_medr"]), pairs
    ).higher_is_better
    with pytest.raises(RecipeError, match="found 'map', expected one of geometric_mean, q2g_r1"):
        choose_selection(load_recipe("sketch-furniture", [*PAIRS, "evaluate.select=map"]), pairs)
    for name in ("geometric_mean", "q2g_r5", "g2q_meanr"):
        e = torch.eye(12)
        numbers = torch.arange(12)
        found = cross_modal_metrics(e, e, numbers, numbers, recipe.evaluate, "val", paired=True)
        assert f"val/{name}" in found


def test_losses_are_compared(tmp_path):
    recipe = load_recipe("sketch-furniture", [*SMALL, "train.epochs=1"])
    losses = "cross-modal-ot,cross-modal-ot:softmax=1,infonce"
    result = compare(recipe, losses, 1, tmp_path, lrs=[1e-3], progress=False)
    assert [loss.name for loss in result.losses] == ["cross_modal_ot", "cross_modal_ot-softmax=1", "infonce"]
    assert all(0 < loss.summary()[0]["test/map"] < 1 for loss in result.losses)
    with pytest.raises(RecipeError, match="--losses: "):
        compare(recipe, "cross-modal-ot,triplet", 1, tmp_path / "other", progress=False)


def test_data_and_losses_have_to_go_together(small, splits):
    digits, few = load_images("mnist", "synthetic"), "sampler.classes_per_batch=4"
    with pytest.raises(RecipeError, match=r"loss\.name: found triplet, which learns from examples with classes"):
        check_data(load_recipe("sketch-furniture", ["loss=triplet"]), splits)
    with pytest.raises(RecipeError, match="found cross_modal_ot, which learns from queries and a gallery, but mnist"):
        build_task(load_recipe("mnist", ["loss=cross-modal-ot"]), digits)
    with pytest.raises(RecipeError, match=r"model\.name: found lenet5, expected two_modalities"):
        build_task(load_recipe("sketch-furniture", ["model=lenet5", "data.source=synthetic"]), splits)
    both = "model={name: two_modalities, query: {name: lenet5}, gallery: {name: lenet5}}"
    with pytest.raises(
        RecipeError, match=r"model\.name: found two_modalities with the loss batchwise_ot, expected one of lenet5"
    ):
        build_task(load_recipe("mnist", [both]), digits)
    with pytest.raises(RecipeError, match=r"model\.gallery\.name: found lenet5, which takes images"):
        build_task(load_recipe("sketch-furniture", ["model.gallery=lenet5", few]), splits)
    shuffled = load_recipe("sketch-furniture", ["sampler={name: shuffle, batch_size: 4}"])
    with pytest.raises(RecipeError, match=r"sampler\.name: found shuffle, expected two_modality"):
        build_task(shuffled, splits)
    two = load_recipe("mnist", ["sampler={name: two-modality, classes_per_batch: 4}"])
    with pytest.raises(RecipeError, match=r"sampler\.name: found two_modality, expected balanced or shuffle"):
        build_sampler(two, digits.train, 3)
    many = load_recipe("sketch-furniture", ["sampler.classes_per_batch=9"])
    with pytest.raises(RecipeError, match="sampler: cannot make batches of 9 classes"):
        build_task(many, splits)
    three = load_recipe("sketch-furniture", ["data.gallery.normalize.mean=[0.1, 0.2, 0.3]", few])
    with pytest.raises(RecipeError, match=r"data.gallery.normalize.mean: found 3 numbers, expected 1 number"):
        build_task(three, splits)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.queries.augmnt=[flip]", "data.queries.augmnt: unknown key; did you mean data.queries.augment?"),
        ("data.augment=[flip]", "data.augment: unknown key"),
        ("data={name: shrec13, views: 2, train_views: 3}", "data.train_views: found 3, expected at most views"),
        ("data.features=efficientnet-lite0", "data.queries.augment: found it with features, expected none"),
        ("data.up=w", "data.up: found 'w', expected 'x', 'y' or 'z'"),
        ("model.query.name=vgg", "model.query.name: found vgg, expected one of lenet5, small_cnn, timm"),
        ("model.gallery.backbone.widths=[0]", "model.gallery.backbone.sizes: found [0, "),
        ("model.query.width=[8]", "model.query.width: unknown key; did you mean model.query.widths?"),
        ("model.embedding_dim=0", "model.embedding_dim: found 0, expected at least 1"),
        ("sampler.queries_per_class=0", "sampler.queries_per_class: found 0, expected greater than 0"),
        ("sampler.samples_per_class=2", "sampler.samples_per_class: unknown key"),
    ],
)
def test_mistakes_in_recipes_are_one_line(setting, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("sketch-furniture", [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_network_for_one_side_starts_its_section_anew():
    recipe = load_recipe("sketch-furniture", ["model.query=lenet5", "model.gallery.pool=mean"])
    assert (recipe.model.query.name, recipe.model.gallery.pool) == ("lenet5", "mean")


def test_parts_without_anything_to_find_are_refused(splits):
    check_answerable(splits)
    strangers = splits.val_gallery.subset(torch.nonzero(splits.val_gallery.labels == 0).flatten())
    alone = splits.val_queries.subset(torch.nonzero(splits.val_queries.labels != 0).flatten())
    lonely = replace(splits, val_queries=alone, val_gallery=strangers)
    with pytest.raises(RunError, match="no sketch of the validation part has a shape to find"):
        check_answerable(lonely)


def test_stored_pictures_are_small():
    torch.manual_seed(0)
    views = ViewSet(torch.randint(0, 256, (3, 24, 3, 96, 96), dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    assert views_of(views).shape == (3, 12, 3, 64, 64)
    grey = ViewSet(views.views[:, :, :1].expand(-1, -1, 3, -1, -1), views.labels)
    assert views_of(grey).shape == (3, 12, 1, 64, 64)
    paper = ImageSet(torch.full((5, 3, 16, 16), 200, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64))
    drawn = DrawingSet(paper)
    assert (drawn.shape, drawn.inputs([0]).unique().tolist()) == ((1, 16, 16), [55])
    assert torch.equal(pictures_of(drawn, torch.tensor([1])), paper.images[:1, :1])
    assert thumbnails(drawn).shape == (5, 1, 16, 16)
    assert thumbnails(TableSet(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))) is None


@pytest.mark.parametrize("name", ["sketch-furniture", "sketch-furniture-pretrained", "shrec13", "shrec14"])
def test_the_smoke_version_is_small(name):
    recipe = smoke_recipe(load_recipe(name))
    assert (recipe.data.source, recipe.data.views, recipe.data.image_size) == ("synthetic", 3, 64)
    assert recipe.sampler.batch_size <= 16
    assert recipe.model == load_recipe(name).model


@pytest.mark.parametrize("name", ["shrec13", "shrec14"])
def test_the_shrec_recipes_have_the_networks_of_the_paper(name):
    recipe = load_recipe(name)
    query, gallery = recipe.model.query, recipe.model.gallery
    assert (query.backbone, gallery.backbone.backbone) == ("resnet50", "resnet50")
    for head in (query, gallery):
        assert (head.hidden, head.activation, head.normalize) == ((4096, 2048, 512), "sigmoid", False)
    assert recipe.model.embedding_dim == 128
    assert (recipe.loss.name, recipe.loss.preset) == ("cross_modal_ot_preset", "shrec14")
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.momentum) == ("sgd", 5e-4, 0.9)
    assert recipe.sampler.batch_size == 4 * 30
    # 0.9 after 60,000 steps
    steps = recipe.train.steps_per_epoch
    assert recipe.schedule.gamma ** (60_000 / steps) == pytest.approx(0.9, abs=1e-4)
    assert not recipe.expected.metrics
    assert "Not measured" in recipe.expected.note


def test_files_in_the_layout_of_shrec_are_trained_on(tmp_path, capsys):
    write_fake_shrec(tmp_path / "files", "shrec14", classes=3, train=12, test=2, models=2, size=64)
    words = ["--data", str(tmp_path / "files"), "--out", str(tmp_path / "run"), "--epochs", "1"]
    settings = ["data.name=shrec14", *SMALL[1:], "data.up=z", "sampler.classes_per_batch=3", "train.epochs=1"]
    flags = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", "sketch-furniture", *words, *flags]) == 0
    said = capsys.readouterr()
    assert f"data: official layout: SHREC'14 read from {tmp_path / 'files'}" in said.err
    assert "rendering shapes: 9/9" in said.err
    assert "test/map" in said.out


def test_drawings_and_shapes_described_by_a_network(tmp_path, monkeypatch, splits):
    """The packaged network stands in as means over quarters of a picture."""

    class Quarters(torch.nn.Module):
        def forward(self, pictures):
            return torch.nn.functional.adaptive_avg_pool2d(pictures, 2).flatten(1)

    monkeypatch.setattr("monge.data.view_features.packaged_backbone", lambda name: Quarters())
    settings = [one for one in SMALL if not one.startswith("model.")]
    recipe = load_recipe("sketch-furniture-pretrained", [*settings, "data.train_views=2"])
    described = load_splits(recipe)
    queries, gallery = described.part("test")
    assert (queries.shape, gallery.shape) == ((1, 4), (3, 4))
    papers = splits.test_queries.pictures([2]).float() / 255
    expected = (papers.unflatten(2, (2, 8)).unflatten(4, (2, 8)).mean((3, 5)).flatten() - 0.5) / 0.5
    torch.testing.assert_close(queries.inputs([2])[0, 0], expected)
    behind = splits.test_gallery.inputs([1])[0, 0, 0].float() / 255
    behind = behind.masked_fill(behind == 0, 1.0)[:8, :8].mean()
    torch.testing.assert_close(gallery.inputs([1])[0, 0, 0], (behind - 0.5) / 0.5)
    assert described.source.endswith("each picture as efficientnet-lite0 describes it")
    task = build_task(recipe, described)
    batch = next(iter(task.batches(described, epoch=0)))
    ready = task.ready_batch(batch, torch.Generator().manual_seed(0))
    assert (ready[0].shape[1:], ready[1].shape[1:]) == ((1, 4), (2, 4))
    metrics = fit(recipe, tmp_path / "run", progress=False)
    stored = load_file(tmp_path / "run" / "embeddings.safetensors")
    assert torch.equal(stored["test/query/images"], splits.test_queries.pictures(range(len(queries))))
    assert torch.equal(stored["test/gallery/views"], splits.test_gallery.inputs(range(len(gallery))))
    assert evaluate(tmp_path / "run") == metrics
