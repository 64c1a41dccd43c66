"""The kinds of tasks, in one table: which data each takes, what is refused, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monge.data import Splits
from monge.data.cross_modal import CrossModalSplits
from monge.data.face_pairs import FaceSplits
from monge.recipes import Recipe
from monge.recipes import Task as TaskName
from monge.train.class_measures import check_classes
from monge.train.classification_task import build_classification_task
from monge.train.cross_modal_measures import check_answerable
from monge.train.cross_modal_task import build_cross_modal_task
from monge.train.embedding_task import build_embedding_task
from monge.train.face_measures import check_verifiable
from monge.train.face_task import build_face_task
from monge.train.measures import check_measurable
from monge.train.selection import Selection
from monge.train.task import Task


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    Attributes:
        splits: Class of the data that it takes.
        called: What such data are called in errors.
        check: Refuses data on which it cannot be measured, before anything is trained on them.
        build: Makes the task, its weights drawn from torch's random numbers.
    """

    splits: type
    called: str
    check: Callable[[Any], None]
    build: Callable[[Recipe, Any, Selection], Task[Any]]


KINDS: dict[TaskName, Kind] = {
    "embedding": Kind(Splits, "examples with classes", check_measurable, build_embedding_task),
    "classification": Kind(Splits, "examples with classes", check_classes, build_classification_task),
    "cross-modal": Kind(CrossModalSplits, "queries and a gallery", check_answerable, build_cross_modal_task),
    "face": Kind(FaceSplits, "identities and pairs", check_verifiable, build_face_task),
}
"""The kind of a task by its name."""
