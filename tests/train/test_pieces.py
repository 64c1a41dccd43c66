"""The parts that `fit` is made of, each on its own."""

from __future__ import annotations

import errno
import json
import math
import signal
import warnings
from dataclasses import replace

import pytest
import torch

from conftest import TINY
from monge.data import ImageSet, load_images
from monge.errors import RecipeError, RunError
from monge.losses import BatchwiseOTLoss, batchwise_ot_loss, batchwise_ot_weights
from monge.recipes import load_recipe
from monge.recipes.schema import ConstantSchedule, CosineSchedule, ExponentialSchedule, StepSchedule
from monge.train import build_loss
from monge.train.atomic import write_atomically
from monge.train.baselines import BASELINES
from monge.train.batch_samplers import build_sampler
from monge.train.batches import Batches
from monge.train.building import build_task
from monge.train.checkpoints import save_checkpoint
from monge.train.inference import _interleave, outputs_of
from monge.train.losses import TwoBatches
from monge.train.measures import check_measurable, reference_split
from monge.train.metrics_log import MetricsLog
from monge.train.schedules import lr_factor, steps_in_epoch
from monge.train.signals import Interrupted, StopSignals


def test_cosine_rises_falls_and_ends_at_its_floor():
    schedule = CosineSchedule(warmup_epochs=0.5, final=0.1)
    factors = [lr_factor(schedule, step, 10, 4) for step in range(41)]
    assert factors[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])
    assert factors[40] == pytest.approx(0.1)
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert lr_factor(CosineSchedule(), 20, 10, 4) == pytest.approx(0.5)
    assert 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (22 - 5) / 35)) == pytest.approx(factors[22])


def test_the_other_schedules_change_at_the_end_of_an_epoch():
    assert [lr_factor(ExponentialSchedule(gamma=0.95), s, 429, 100) for s in (428, 429, 858)] == [1.0, 0.95, 0.95**2]
    assert [lr_factor(StepSchedule(epochs=2, gamma=0.1), s, 5, 9) for s in (9, 10, 20)] == pytest.approx([1, 0.1, 0.01])
    assert lr_factor(ConstantSchedule(), 99, 5, 9) == 1.0


def test_steps_are_what_the_images_fill():
    recipe = load_recipe("mnist", ["sampler.samples_per_class=10"])
    assert steps_in_epoch(recipe, 3400) == 34
    assert steps_in_epoch(load_recipe("mnist", ["sampler.samples_per_class=10", "train.accumulate=4"]), 3400) == 8
    assert steps_in_epoch(recipe, 50) == 1


@pytest.mark.parametrize("kind", ["sampler.samples_per_class=2", "sampler.name=shuffle"])
def test_an_epoch_begun_in_the_middle_is_the_tail_of_the_whole_one(kind):
    more = ["sampler.batch_size=16"] if kind.endswith("shuffle") else []
    recipe = load_recipe("mnist", ["train.steps_per_epoch=6", kind, *more])
    train = load_images("mnist", "synthetic").train
    whole = list(Batches(train, build_sampler(recipe, train, 6), epoch=3, start=0))
    tail = Batches(train, build_sampler(recipe, train, 6), epoch=3, start=4)
    assert len(tail) == 2
    for mine, theirs in zip(tail, whole[4:], strict=True):
        assert (mine.epoch, mine.place) == (theirs.epoch, theirs.place)
        assert torch.equal(mine.inputs, theirs.inputs)
        assert torch.equal(mine.labels, theirs.labels)
    assert mine.inputs.dtype == torch.uint8


def test_ranks_share_a_batch_and_their_embeddings_come_back_in_order():
    recipe = load_recipe("mnist", [*TINY, "sampler.samples_per_class=6"])
    train = load_images("mnist", "synthetic").train
    whole = next(iter(build_sampler(recipe, train, 5)))
    shares = [next(iter(build_sampler(recipe, train, 5, rank, 3))) for rank in range(3)]
    assert sorted(index for share in shares for index in share) == sorted(whole)
    task = build_task(recipe, load_images("mnist", "synthetic"))
    first = train.subset(range(10))
    rows = [outputs_of(task, first.subset(range(rank, 10, 3))) for rank in range(3)]
    gathered = torch.full((10, 16), -1.0)
    for rank, row in enumerate(rows):
        gathered[rank::3] = row
    torch.testing.assert_close(gathered, outputs_of(task, first))


def test_a_share_without_pairs_is_refused():
    recipe = load_recipe("mnist", TINY)
    with pytest.raises(RecipeError, match="found 2, expected at least 4: each of 2 processes needs pairs"):
        build_sampler(recipe, load_images("mnist", "synthetic").train, 5, 0, 2)


def test_interleave_undoes_the_sharing(monkeypatch):
    full = torch.arange(10.0).reshape(5, 2)

    def all_gather(out, padded):
        for rank, tensor in enumerate(out):
            tensor.zero_()
            tensor[: len(full[rank::2])] = full[rank::2]

    monkeypatch.setattr(torch.distributed, "all_gather", all_gather)
    assert torch.equal(_interleave(full[0::2], 5, 2), full)


def test_splits_without_pairs_are_refused():
    splits = load_images("mnist", "synthetic")
    check_measurable(splits)
    with pytest.raises(RunError, match="the validation split has no two examples of a class"):
        check_measurable(replace(splits, val=splits.val.subset([0])))


def test_embedding_leaves_the_mode_and_does_not_depend_on_the_chunk(monkeypatch):
    recipe = load_recipe("mnist", TINY)
    splits = load_images("mnist", "synthetic")
    task = build_task(recipe, splits).train()
    whole = outputs_of(task, splits.val)
    monkeypatch.setattr("monge.train.inference._AT_ONCE_ON_CPU", 7)
    torch.testing.assert_close(outputs_of(task, splits.val), whole)
    assert task.training
    assert not whole.requires_grad
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(len(whole)))
    assert outputs_of(task, splits.val.subset([])).shape == (0, 16)


def test_pixels_are_scaled_resized_and_augmented_by_the_generator_alone():
    recipe = load_recipe(
        "mnist", ["data.normalize={mean: [0.5], std: [0.25]}", "data.image_size=14", "data.augment=[shift]"]
    )
    task = build_task(recipe, load_images("mnist", "synthetic"))
    images = torch.full((2, 1, 28, 28), 255, dtype=torch.uint8)
    torch.testing.assert_close(task.pixels(images), torch.full((2, 1, 14, 14), 2.0))
    first = task.pixels(images, torch.Generator().manual_seed(1))
    assert torch.equal(first, task.pixels(images, torch.Generator().manual_seed(1)))
    assert first.min() == -2.0  # black came in at an edge
    assert task(images).shape == (2, 256)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_can_be_built_and_trained(name):
    loss = build_loss(load_recipe("mnist", [f"loss.name={name}"]).loss, embedding_dim=8, num_classes=4)
    embeddings = torch.randn(8, 8, requires_grad=True)
    loss(embeddings, torch.arange(8) % 4).backward()
    assert torch.isfinite(embeddings.grad).all()


def test_recipe_parameters_reach_the_loss():
    loss = build_loss(load_recipe("mnist", ["loss.margin=1.5", "loss.epsilon=0.3"]).loss, 8, 4)
    assert isinstance(loss, BatchwiseOTLoss)
    assert (loss.margin, loss.epsilon, loss.gamma) == (1.5, 0.3, 10.0)


def test_two_batches_is_the_first_half_against_the_second():
    embeddings, labels = torch.randn(9, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    halves = TwoBatches(BatchwiseOTLoss())
    terms = batchwise_ot_weights(embeddings[:4], labels[:4], embeddings[4:8], labels[4:8])
    torch.testing.assert_close(halves(embeddings, labels), batchwise_ot_loss(terms))
    assert halves.diagnostics().entropy <= 1


def test_loss_parameters_learn_at_their_own_rate():
    recipe = load_recipe("mnist", [*TINY, "loss.name=proxy_anchor", "loss.lr_scale=50", "optimizer.lr=0.01"])
    task = build_task(recipe, load_images("mnist", "synthetic"))
    groups = task.configure_optimizers().param_groups
    assert [group["lr"] for group in groups] == [0.01, 0.5]
    assert sum(len(group["params"]) for group in groups) == len(list(task.parameters()))


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_optimisers_by_name(name, kind):
    recipe = load_recipe("mnist", [f"optimizer.name={name}", "optimizer.weight_decay=0.1"])
    optimizer = build_task(recipe, load_images("mnist", "synthetic")).configure_optimizers()
    assert type(optimizer).__name__ == kind
    assert optimizer.param_groups[0]["weight_decay"] == 0.1


def test_the_reference_has_as_many_of_each_class():
    labels = torch.arange(100) % 4
    train = ImageSet(torch.zeros(100, 1, 4, 4, dtype=torch.uint8), labels)
    assert torch.bincount(reference_split(train, 22, seed=0).labels).tolist() == [5, 5, 5, 5]
    assert len(reference_split(train, None, seed=0)) == 100
    assert len(reference_split(train, 1000, seed=0)) == 100


def test_the_log_is_cut_back_to_a_step(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.truncate(0)
    assert log.path.read_text() == ""
    for step in (1, 2, 3):
        log.append(step, 0, 0.5, {"train/loss": 1.0 / step})
    log.append(2, 0, 0.6, {"val/map": math.nan})
    log.append(2, 0, 0.7, {"test/map": 0.5})
    with log.path.open("a") as file:
        file.write('["no record"]\n{"step": 3, "epo')
    log.truncate(2)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(line["step"], sorted(line)[-1]) for line in lines] == [
        (1, "train/loss"),
        (2, "train/loss"),
        (2, "val/map"),
    ]
    assert lines[-1]["val/map"] is None


def test_atomic_writes_leave_the_old_file_on_failure(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a", fail)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
        RuntimeError('Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space left" })'),
    ],
)
def test_a_full_disk_is_told_in_one_way(tmp_path, monkeypatch, error):
    def fail(path):
        path.write_text("half")
        raise error

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(tmp_path / "a", fail)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(torch, "save", lambda content, part: fail(part))
    with pytest.raises(RunError, match=r"last\.ckpt: cannot be written \(No space left on device\)$"):
        save_checkpoint(tmp_path / "last.ckpt", {})


def test_a_second_signal_stops_at_once_and_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        stop.patient = True
        stop.resume_command = "monge train x"
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested == signal.SIGTERM
        with pytest.raises(Interrupted, match="to go on: monge train x") as caught:
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(Interrupted, match=r"^stopped before the run was done$") as first, StopSignals():
        signal.raise_signal(signal.SIGINT)
    assert first.value.exit_code == 130


def test_nothing_of_the_loss_is_hidden_by_quieting_lightning():
    from monge.train.quiet import quiet_lightning

    with pytest.warns(UserWarning, match="mine"), quiet_lightning():
        warnings.warn("mine", stacklevel=1)
