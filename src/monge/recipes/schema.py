"""The typed schema of a recipe: one class a section, unknown keys refused, nothing converted behind one's back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from monge.nn import LeNet5Config, TimmConfig
from monge.recipes.loss_params import LossConfig

Floats = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]


class Section(BaseModel):
    """What all sections share."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NormalizeSection(Section):
    """Subtracted from and divided into pixel values in [0, 1]; one number a channel, or one for all."""

    mean: Floats = (0.0,)
    std: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)] = (1.0,)


class DataSection(Section):
    """Which images.

    Attributes:
        name: A data set that `monge.data.load_images` knows.
        source: ``"packaged"``, ``"synthetic"`` or the path of the official files.
        image_size: Images are resized to this height and width; unset: as they come.
        normalize: Pixel scaling.
        augment: Training augmentations of `monge.data.augment`, applied in this order.
    """

    name: str
    source: str = "packaged"
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    normalize: NormalizeSection = NormalizeSection()
    augment: Annotated[tuple[Literal["shift", "flip", "affine"], ...], Field(strict=False)] = ()


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


def _sampler_name(value: Any) -> str:
    """A sampler without a name is a balanced one."""
    return str(value.get("name", "balanced") if isinstance(value, dict) else getattr(value, "name", "balanced"))


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
        distance: Of the retrieval metrics.
        recall_at: The k of ``recall_at_k``.
        svm: Test accuracy of an RBF support vector machine on the embeddings.
        knn: Neighbours of the k-NN test accuracy; 0: none.
        reference_items: Training images that k-NN and SVM learn from, drawn evenly from the classes; unset: all.
    """

    every_epochs: PositiveInt = 1
    distance: Literal["euclidean", "cosine"] = "euclidean"
    recall_at: Annotated[tuple[PositiveInt, ...], Field(strict=False)] = (1, 2, 4, 8)
    svm: bool = True
    knn: NonNegativeInt = 5
    reference_items: PositiveInt | None = 5000


class ExpectedSection(Section):
    """What the recipe gave when it was measured.

    Attributes:
        source: The data source the numbers hold for.
        metrics: Name of a final metric and the range it fell in.
        note: Machine, seeds, durations; or what is not known.
    """

    source: str = "packaged"
    metrics: dict[str, Annotated[tuple[float, float], Field(strict=False)]] = {}
    note: str = ""


class CompareSection(Section):
    """Budget of `monge compare`.

    Attributes:
        steps: Training steps a run; unset: as many as the recipe trains.
        lrs: Learning rates tried for every loss.
        target: Validation mAP whose first step is reported.
    """

    steps: PositiveInt | None = None
    lrs: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)] = (3e-4, 1e-3)
    target: Annotated[float, Field(gt=0, le=1)] | None = None


class Recipe(Section):
    """A complete experiment: everything that decides its result, apart from the machine.

    Example:
        >>> from monge.recipes import load_recipe
        >>> load_recipe("mnist", ["loss.margin=1.5"]).loss.margin
        1.5
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    title: str
    task: Literal["embedding"] = "embedding"
    data: DataSection
    model: Annotated[LeNet5Config | TimmConfig, Field(discriminator="name")]
    loss: LossConfig
    sampler: Annotated[
        Annotated[BalancedSampler, Tag("balanced")] | Annotated[ShuffleSampler, Tag("shuffle")],
        Discriminator(_sampler_name),
    ]
    optimizer: OptimizerSection
    schedule: Annotated[
        ConstantSchedule | CosineSchedule | ExponentialSchedule | StepSchedule, Field(discriminator="name")
    ]
    train: TrainSection
    evaluate: EvaluateSection = EvaluateSection()
    seed: NonNegativeInt = 0
    expected: ExpectedSection = ExpectedSection()
    compare: CompareSection = CompareSection()

    def to_yaml(self) -> str:
        """The whole recipe, defaults included, as YAML that `load_recipe` reads back to the same recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
