"""What the page of a classification run shows: confusion, single cases, reliability, the ground distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor

from monge.metrics import Decoding, decode
from monge.report.class_confusion import class_confusion
from monge.report.class_tree import ClassTree
from monge.report.forecast_cases import forecast_cases
from monge.report.ground_section import ground_section, kind_of, tree_of
from monge.report.reliability_section import reliability_section
from monge.report.run_folder import RunFolder
from monge.report.stored_ground import StoredGround
from monge.report.stored_predictions import StoredPredictions
from monge.report.svg import clean

_MOST_PLACED = 2048


def classification_sections(run: RunFolder) -> Mapping[str, object]:
    """The sections made from the stored predictions and the stored ground distance, or why there are none."""
    tree = tree_of(run.ground) if isinstance(run.ground, StoredGround) else None
    ground = clean(run.ground, 300) if isinstance(run.ground, str) else ground_section(run.ground, tree)
    return {"ground": ground, **_prediction_sections(run, tree)}


def _prediction_sections(run: RunFolder, tree: ClassTree | None) -> Mapping[str, object]:
    items = run.results
    if not isinstance(items, StoredPredictions):
        reason = clean(items, 300) if isinstance(items, str) else ""
        return {
            **dict.fromkeys(("confusion", "cases", "reliability"), reason),
            "decoding": "",
            "items": None,
            "apart": "",
        }
    decoding = _decoding(run)
    predicted = decode(items.probabilities, decoding, positions=items.positions)
    distances, apart = _distances(items, run.ground)
    # Near classes side by side say more than an order that means nothing.
    order = tree.order if tree and not items.ordered and len(tree.order) == len(items.classes) else None
    return {
        "items": items,
        "decoding": decoding,
        "apart": apart,
        "confusion": class_confusion(items, predicted, distances, order),
        "reordered": order is not None,
        "cases": forecast_cases(items, predicted),
        "reliability": reliability_section(items),
    }


def _decoding(run: RunFolder) -> Decoding:
    """How the run reads a class from a distribution; argmax where its recipe does not say."""
    asked = run.setting("evaluate", "decode")
    return next((how for how in get_args(Decoding) if how == asked), "argmax")


def _distances(items: StoredPredictions, ground: StoredGround | str) -> tuple[Tensor | None, str]:
    """Distances between the classes and what they are: the run's own, else along the order of the classes."""
    count = len(items.classes)
    if isinstance(ground, StoredGround) and len(ground.matrix) == count:
        return ground.matrix, f"the ground distance of the loss ({kind_of(ground)})"
    if not items.ordered or count > _MOST_PLACED:
        return None, ""
    places = torch.tensor(items.positions or range(count), dtype=torch.float32)
    unit = "the difference of their positions" if items.positions else "the difference of their places"
    return (places[:, None] - places).abs(), unit
