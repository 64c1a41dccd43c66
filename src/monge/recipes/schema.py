"""The typed schema of a recipe: one class a section, unknown keys refused, nothing converted behind one's back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from monge.nn.build import ModelConfig
from monge.nn.face_build import FaceNetConfig
from monge.nn.two_modalities_build import TwoModalitiesConfig
from monge.recipes.data_sections import DataSection
from monge.recipes.loss_params import LossConfig, Task, task_of
from monge.recipes.params import canonical
from monge.recipes.section import Section


class BalancedSampler(Section):
    """P x K batches: `samples_per_class` images of each of `classes_per_batch` classes."""

    name: Literal["balanced"] = "balanced"
    classes_per_batch: PositiveInt
    samples_per_class: Annotated[int, Field(ge=2)]

    @property
    def batch_size(self) -> int:
        """Images a batch."""
        return self.classes_per_batch * self.samples_per_class


class ShuffleSampler(Section):
    """Batches of a shuffled epoch, whatever classes they hold."""

    name: Literal["shuffle"] = "shuffle"
    batch_size: Annotated[int, Field(ge=2)]


class TwoModalitySampler(Section):
    """Batches of `classes_per_batch` classes in two modalities; where labels name pairs, of so many pairs."""

    name: Annotated[Literal["two_modality"], BeforeValidator(canonical)] = "two_modality"
    classes_per_batch: PositiveInt
    queries_per_class: PositiveInt = 1
    gallery_per_class: PositiveInt = 1

    @property
    def batch_size(self) -> int:
        """Queries and gallery items a batch."""
        return self.classes_per_batch * (self.queries_per_class + self.gallery_per_class)


def _sampler_name(value: Any) -> str:
    """A sampler without a name is a balanced one."""
    name = value.get("name", "balanced") if isinstance(value, dict) else getattr(value, "name", "balanced")
    return canonical(str(name))


class OptimizerSection(Section):
    """Optimiser; `momentum` belongs to SGD alone."""

    name: Literal["sgd", "adam", "adamw"]
    lr: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _momentum_is_for_sgd(self) -> OptimizerSection:
        if self.momentum is not None and self.name != "sgd":
            raise ValueError(
                f"momentum: found {self.momentum} with name: {self.name}, expected it with name: sgd alone"
            )
        return self


class ConstantSchedule(Section):
    """The learning rate stays."""

    name: Literal["constant"] = "constant"


class CosineSchedule(Section):
    """A linear rise over `warmup_epochs`, then half a cosine down to `final` times the learning rate."""

    name: Literal["cosine"] = "cosine"
    warmup_epochs: NonNegativeFloat = 0.0
    final: Annotated[float, Field(ge=0, le=1)] = 0.0


class ExponentialSchedule(Section):
    """The learning rate times `gamma` after every epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Annotated[float, Field(gt=0, le=1)]


class StepSchedule(Section):
    """The learning rate times `gamma` after every `epochs` epochs."""

    name: Literal["step"] = "step"
    epochs: PositiveInt
    gamma: Annotated[float, Field(gt=0, le=1)]


class MilestoneSchedule(Section):
    """The learning rate times `gamma` after each of some epochs, as published schedules of faces have it."""

    name: Literal["milestones"] = "milestones"
    epochs: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1


class PolynomialSchedule(Section):
    """A linear rise over `warmup_epochs`, then down to 0 as the `power` of the share of the run that is left."""

    name: Literal["polynomial"] = "polynomial"
    power: PositiveFloat = 2.0
    warmup_epochs: NonNegativeFloat = 0.0


def _as_text(value: Any) -> Any:
    """``precision: 32`` in YAML is a number and means ``"32"``."""
    return str(value) if type(value) is int else value


class TrainSection(Section):
    """How long and how.

    Attributes:
        epochs: Passes; one has `steps_per_epoch` optimiser steps, unset: as many as the training images fill.
        precision: ``"32"``, ``"bf16-mixed"`` or ``"16-mixed"`` (CUDA only); the loss always works in float32.
        accumulate: Batches whose gradients are averaged into one step; each batch has its own loss.
        grad_clip: Largest norm of the gradient.
        checkpoint_every: Steps between checkpoints; the end of an epoch always has one.
        log_every: Steps between lines of ``train/...`` in ``metrics.jsonl``.
        threads: CPU threads of torch.
    """

    epochs: PositiveInt
    steps_per_epoch: PositiveInt | None = None
    precision: Annotated[Literal["32", "bf16-mixed", "16-mixed"], BeforeValidator(_as_text)] = "32"
    accumulate: PositiveInt = 1
    grad_clip: PositiveFloat | None = None
    checkpoint_every: PositiveInt = 200
    log_every: PositiveInt = 10
    threads: PositiveInt = 1


class EvaluateSection(Section):
    """What is measured.

    Attributes:
        every_epochs: Epochs between validations; the last epoch always has one.
        select: Validation metric that chooses epochs and learning rates; unset: ``map`` of embeddings, ``mae`` of
            classes with an order, ``accuracy`` of others and of pairs of faces.
        decode: How a class is read off its probabilities, see `monge.metrics.ordinal.decode`.
        distance: Of the retrieval metrics.
        recall_at: The k of ``recall_at_k``.
        svm: Test accuracy of an RBF support vector machine on the embeddings.
        knn: Neighbours of the k-NN test accuracy; 0: none.
        features: Measure the test features of a classifier, at unit length, like embeddings too: retrieval, k-NN, SVM.
        reference_items: Training images that k-NN and SVM learn from, drawn evenly from the classes; unset: all.
        target_far: Share of impostors that the threshold stored with a face model may accept; the lowest that the
            validation pairs are enough for where they are too few.
    """

    every_epochs: PositiveInt = 1
    select: str | None = None
    decode: Literal["argmax", "expectation", "median"] = "argmax"
    distance: Literal["euclidean", "cosine"] = "euclidean"
    recall_at: Annotated[tuple[PositiveInt, ...], Field(strict=False)] = (1, 2, 4, 8)
    svm: bool = True
    knn: NonNegativeInt = 5
    features: bool = False
    reference_items: PositiveInt | None = 5000
    target_far: Annotated[float, Field(gt=0, lt=1)] = 1e-3


class ExpectedSection(Section):
    """What the recipe gave when it was measured.

    Attributes:
        source: The data source the numbers hold for.
        metrics: Name of a final metric and the range it fell in.
        note: Machine, seeds, durations; or what is not known.
        published: What others report on the real data, shown beside a run on a folder of them and beside no stand-in.
        published_metrics: Their figures, by the name of the final metric: a column beside ours, shown likewise.
    """

    source: str = "packaged"
    metrics: dict[str, Annotated[tuple[float, float], Field(strict=False)]] = Field(default_factory=dict)
    note: str = ""
    published: str = ""
    published_metrics: dict[str, float] = Field(default_factory=dict)


class CompareSection(Section):
    """Budget of `monge compare`.

    Attributes:
        steps: Training steps a run; unset: as many as the recipe trains.
        lrs: Learning rates tried for every loss.
        target: Value of the selecting metric (``evaluate.select``) whose first step is reported.
    """

    steps: PositiveInt | None = None
    lrs: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)] = (3e-4, 1e-3)
    target: PositiveFloat | None = None


class Recipe(Section):
    """A complete experiment: everything that decides its result, apart from the machine.

    Attributes:
        task: Follows from the loss; it may be left out, and may not contradict it.

    Example:
        >>> from monge.recipes import load_recipe
        >>> load_recipe("mnist", ["loss.margin=1.5"]).loss.margin
        1.5
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    title: str
    task: Task
    data: DataSection
    model: Annotated[ModelConfig | TwoModalitiesConfig | FaceNetConfig, Field(discriminator="name")]
    loss: LossConfig
    sampler: Annotated[
        Annotated[BalancedSampler, Tag("balanced")]
        | Annotated[ShuffleSampler, Tag("shuffle")]
        | Annotated[TwoModalitySampler, Tag("two_modality")],
        Discriminator(_sampler_name),
    ]
    optimizer: OptimizerSection
    schedule: Annotated[
        ConstantSchedule | CosineSchedule | ExponentialSchedule | StepSchedule | MilestoneSchedule | PolynomialSchedule,
        Field(discriminator="name"),
    ]
    train: TrainSection
    evaluate: EvaluateSection = EvaluateSection()
    seed: NonNegativeInt = 0
    expected: ExpectedSection = ExpectedSection()
    compare: CompareSection = CompareSection()

    @model_validator(mode="before")
    @classmethod
    def _task_follows_from_the_loss(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("task") is not None:
            return content
        loss = content.get("loss")
        name = loss.get("name") if isinstance(loss, dict) else getattr(loss, "name", loss)
        # A loss nobody knows is complained of by itself; the task shall not be missing besides.
        return {**content, "task": task_of(str(name)) or "embedding"}

    @model_validator(mode="after")
    def _task_is_that_of_the_loss(self) -> Recipe:
        if self.task != task_of(self.loss.name):
            wanted = task_of(self.loss.name)
            raise ValueError(f"task: found {self.task} with the loss {self.loss.name}, expected {wanted} or no task")
        return self

    def with_loss(self, loss: LossConfig) -> Recipe:
        """The same experiment under another loss, and with the task of that; what was expected no longer holds.

        Args:
            loss: The other loss.
        """
        changes: dict[str, Any] = {"loss": loss, "task": task_of(loss.name)}
        if loss != self.loss:
            changes["expected"] = ExpectedSection()
        return self.model_copy(update=changes)

    def to_yaml(self) -> str:
        """The whole recipe, defaults included, as YAML that `load_recipe` reads back to the same recipe."""
        content = self.model_dump(mode="json")
        # Most choices of data sets are those of one or two of them.
        content["data"] = {name: value for name, value in content["data"].items() if value is not None}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
