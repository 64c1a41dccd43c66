"""What is exported of a run: its network with all that happens to an input before and to a vector after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional

from monge.data import Examples
from monge.errors import RunError
from monge.metrics.verification import flip_sum
from monge.nn import Classifier
from monge.nn.feature_maps import FaceNetwork
from monge.nn.two_modalities import TwoModalities
from monge.nn.two_modalities_build import SIDES
from monge.train.classification_task import ClassificationTask
from monge.train.cross_modal_task import CrossModalTask
from monge.train.embedding_task import EmbeddingTask
from monge.train.face_task import FaceTask
from monge.train.pixels import Pixels
from monge.train.task import Task


@dataclass(frozen=True)
class Part:
    """One program of a run; a cross-modal run has two.

    Attributes:
        side: ``"query"`` or ``"gallery"``; empty where there is one.
        program: Turns inputs as the data give them into all outputs.
        outputs: What these are called.
        expected: The same by the run itself, as it is measured.
        examples: Test examples, whose inputs the program is tried on.
        pixels: How pictures become inputs of the network, where they are pictures.
    """

    side: str
    program: nn.Module
    outputs: tuple[str, ...]
    expected: Callable[[Tensor], tuple[Tensor, ...]]
    examples: Examples
    pixels: Pixels | None


class EmbeddingProgram(nn.Module):
    """Embeddings (B, D) of inputs as the data give them.

    Args:
        network: The network.
        pixels: What makes its inputs of pictures, or ``None``.
    """

    def __init__(self, network: nn.Module, pixels: nn.Module | None) -> None:
        super().__init__()
        self.network, self.pixels = network, pixels

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """The embeddings, alone in a tuple."""
        return (self.network(inputs if self.pixels is None else self.pixels(inputs)),)


class FaceProgram(nn.Module):
    """What faces are compared by (B, D): a picture's embedding plus that of its mirror image, at length 1.

    Args:
        network: The network.
        pixels: What makes its inputs of pictures.
    """

    def __init__(self, network: FaceNetwork, pixels: nn.Module) -> None:
        super().__init__()
        self.network, self.pixels = network, pixels

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """The embeddings, alone in a tuple."""
        pictures = self.pixels(inputs)
        return (flip_sum(self.network(pictures), self.network(pictures.flip(-1))).float(),)


class ClassProgram(nn.Module):
    """Features below the logits (B, D) at length 1, and probabilities of the classes (B, C).

    Args:
        classifier: The network.
        pixels: What makes its inputs of pictures, or ``None``.
        loss: Says what the logits mean, where it has ``probabilities``.
    """

    def __init__(self, classifier: Classifier, pixels: nn.Module | None, loss: nn.Module) -> None:
        super().__init__()
        self.classifier, self.pixels = classifier, pixels
        self.loss = loss if hasattr(loss, "probabilities") else None

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features and probabilities."""
        ready = inputs if self.pixels is None else self.pixels(inputs)
        features, logits = self.classifier.features_and_logits(ready)
        decode = None if self.loss is None else cast(Callable[[Tensor], Tensor], self.loss.probabilities)
        probabilities = logits.softmax(1) if decode is None else decode(logits)
        return functional.normalize(features, dim=1), probabilities


def parts_of(task: Task[Any], splits: Any) -> list[Part]:
    """The programs of a trained task.

    Args:
        task: Of any kind, its weights loaded.
        splits: The data it was built for.

    Raises:
        RunError: A task of a kind that has none.
    """
    if isinstance(task, CrossModalTask):
        return [_side(task, side, examples) for side, examples in zip(SIDES, splits.part("test"), strict=True)]
    pixels = task.pixels if isinstance(task.pixels, Pixels) else None
    if isinstance(task, FaceTask):
        program: nn.Module = FaceProgram(task.network, cast(Pixels, pixels))
        pictures = next(iter(splits.test.values())).images
        return [Part("", program, ("embedding",), lambda inputs: (task(inputs),), pictures, pixels)]
    if isinstance(task, ClassificationTask):
        program = ClassProgram(task.classifier, pixels, task.loss)

        def both(inputs: Tensor) -> tuple[Tensor, Tensor]:
            return task.unit_features(inputs), task(inputs)

        return [Part("", program, ("embedding", "probabilities"), both, splits.test, pixels)]
    if isinstance(task, EmbeddingTask):
        program = EmbeddingProgram(task.model, pixels)
        return [Part("", program, ("embedding",), lambda inputs: (task(inputs),), splits.test, pixels)]
    raise RunError(f"found a run of {type(task).__name__}, which has no embedding model to export")


def _side(task: CrossModalTask, side: str, examples: Examples) -> Part:
    made = dict(task.sides.items()).get(side)
    pixels = made if isinstance(made, Pixels) else None
    program = EmbeddingProgram(cast(TwoModalities, task.model)[side], pixels)
    return Part(side, program, ("embedding",), partial(_embedded, task, side), examples, pixels)


def _embedded(task: CrossModalTask, side: str, inputs: Tensor) -> tuple[Tensor]:
    return (task(side, inputs),)
