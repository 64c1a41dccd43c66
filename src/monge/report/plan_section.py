"""The transport plan of one batch: its picture, the pairs that carry most mass, and how far it is from uniform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from monge.errors import RecipeError
from monge.losses.batchwise_ot import BatchwiseOTTerms
from monge.losses.plan_diagnostics import diagnose_plan
from monge.recipes.loss_params import check_loss
from monge.report.gallery import Picture, picture_of
from monge.report.plan_picture import plan_picture
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.svg import Markup, clean
from monge.train.losses import build_batchwise_ot

_WITH_PLAN = ("batchwise_ot", "batchwise_ot_preset")
_MOST_ITEMS = 240
_PAIRS = 6
_DEFAULT_BATCH = (10, 12)


@dataclass(frozen=True)
class Pair:
    """Two items of the batch and what the plan puts between them, both directions together.

    Args:
        first: One item.
        second: The other.
        same: Whether they are of one class.
        mass: Share of the plan's total mass.
        times: Mass over that of the pair in a uniform plan.
        distance: Euclidean distance of the embeddings.
        part: Share of the loss.
    """

    first: Picture
    second: Picture
    same: bool
    mass: float
    times: float
    distance: float
    part: float


@dataclass(frozen=True)
class PlanSection:
    """What the report says about the plan of one batch.

    Args:
        chart: The plan as a picture.
        positives: Same-class pairs with most mass.
        negatives: Different-class pairs with most mass.
        facts: ``(name, value, meaning)`` of every diagnostic.
        batch: Which batch this is, in words.
        parameters: Loss parameters it was computed with.
        part: What the part of a pair is a share of.
    """

    chart: Markup
    positives: list[Pair]
    negatives: list[Pair]
    facts: list[tuple[str, str, str]]
    batch: str
    parameters: str
    part: str = "of the loss"


def plan_section(items: StoredEmbeddings, loss: Mapping[str, Any], sampler: Mapping[str, Any]) -> PlanSection | str:
    """Solves the transport problem of one class-balanced batch of test items as the recipe's loss does.

    Args:
        items: The test items of the run.
        loss: The recipe's ``loss`` section.
        sampler: The recipe's ``sampler`` section: size of the batch.

    Returns:
        The section, or the sentence that says why there is none.
    """
    if loss.get("name") not in _WITH_PLAN:
        return f"The loss of this run ({loss.get('name') or 'not named in the recipe'}) has no transport plan."
    batch = class_balanced_batch(items.labels, *_batch_size(sampler))
    vectors, labels = items.vectors[batch], items.labels[batch]
    try:
        config: Any = check_loss(loss)
        module = build_batchwise_ot(config)
        terms = module.terms(vectors, labels)
    except RecipeError as error:
        return f"recipe.yaml: the loss could not be built ({clean(error, 200)})"
    except ValueError as error:
        return f"the loss has none for these test items ({clean(error, 200)})"
    plan = terms.plan.detach()
    counted = torch.ones_like(terms.same) if terms.support is None else terms.support
    times = plan * counted.sum()
    loss_parts = plan * terms.cost.detach() ** module.power
    distances = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    present, sizes = torch.unique_consecutive(labels, return_counts=True)
    groups = [(items.classes[c], k) for c, k in zip(present.tolist(), sizes.tolist())]
    pairs = _Pairs(items, batch, terms.same, plan, times, distances, loss_parts / loss_parts.sum().clamp_min(1e-30))
    return PlanSection(
        plan_picture(times, counted, groups),
        pairs.heaviest(same=True),
        pairs.heaviest(same=False),
        plan_facts(terms, loss_parts, module.gamma),
        f"{len(batch)} test items of {len(groups)} classes, drawn with seed 0",
        ", ".join(f"{key} {value}" for key, value in loss.items() if key != "name") or "the loss's defaults",
    )


def class_balanced_batch(labels: Tensor, classes: int, per_class: int) -> Tensor:
    """Indices of up to ``classes * per_class`` items drawn with seed 0, sorted by class.

    Example:
        >>> labels = torch.tensor([0, 1, 0, 1, 2])
        >>> labels[class_balanced_batch(labels, 3, 2)].tolist()
        [0, 0, 1, 1, 2]
    """
    generator = torch.Generator().manual_seed(0)
    present = torch.unique(labels)
    chosen = present[torch.randperm(len(present), generator=generator)[:classes]].sort().values
    rows = []
    for label in chosen.tolist():
        of_class = (labels == label).nonzero()[:, 0]
        rows.append(of_class[torch.randperm(len(of_class), generator=generator)[:per_class]])
    return torch.cat(rows)


def _batch_size(sampler: Mapping[str, Any]) -> tuple[int, int]:
    """Classes and samples a class of the recipe's batch, at most 240 items in all."""
    sizes = [sampler.get(key) for key in ("classes_per_batch", "samples_per_class")]
    classes, per_class = (
        found if isinstance(found, int) and found > 0 else usual for found, usual in zip(sizes, _DEFAULT_BATCH)
    )
    per_class = min(per_class, _MOST_ITEMS // 2)
    return max(min(classes, _MOST_ITEMS // per_class), 1), per_class


@dataclass(frozen=True)
class _Pairs:
    items: StoredEmbeddings
    batch: Tensor
    same: Tensor
    plan: Tensor
    times: Tensor
    distances: Tensor
    parts: Tensor

    def heaviest(self, *, same: bool) -> list[Pair]:
        """The unordered pairs of one kind with most mass."""
        both = (self.plan + self.plan.T).triu(diagonal=1)
        both = both.masked_fill(self.same != same, 0.0)
        best = both.flatten().topk(min(_PAIRS, both.numel()))
        found = [(int(place) // len(both), int(place) % len(both)) for place in best.indices]
        return [self._pair(i, j) for i, j in found if both[i, j] > 0]

    def _pair(self, i: int, j: int) -> Pair:
        return Pair(
            picture_of(self.items, int(self.batch[i])),
            picture_of(self.items, int(self.batch[j])),
            bool(self.same[i, j]),
            float(self.plan[i, j] + self.plan[j, i]),
            float(self.times[i, j] + self.times[j, i]) / 2,
            float(self.distances[i, j]),
            float(self.parts[i, j] + self.parts[j, i]),
        )


def plan_facts(terms: BatchwiseOTTerms, parts: Tensor, gamma: float) -> list[tuple[str, str, str]]:
    """Diagnostics in words: entropy, share of mass and of loss by kind of pair, marginal error.

    Args:
        terms: The plan and the pair costs of one batch.
        parts: Loss of each pair ``(N, N)``.
        gamma: The loss's gamma, which says what a hard pair is.
    """
    counted = torch.ones_like(terms.same) if terms.support is None else terms.support
    found = diagnose_plan(terms.plan, terms.cost, terms.support, gamma=gamma)
    positive, pairs = terms.same & counted, int(counted.sum())
    mass = float(terms.plan[positive].sum())
    of_loss = float(parts[positive].sum() / parts.sum().clamp_min(1e-30))
    return [
        ("Entropy", _percent(found.entropy), "of a uniform plan's; near 100 % the weights do nothing"),
        ("Largest weight", f"{float(terms.plan.max()) * pairs:.1f}×", "the weight in a uniform plan"),
        ("Mass on hard pairs", _percent(found.hard_mass), f"of all mass, on {_percent(found.hard_pairs)} of the pairs"),
        ("Mass on positives", _percent(mass), f"of all mass, on {_percent(int(positive.sum()) / pairs)} of the pairs"),
        ("Loss from positives", _percent(of_loss), "of this batch's loss"),
        ("Marginal error", f"{float(found.marginal_error):.1e}", "L1, both sides; 0 for an exact plan"),
    ]


def _percent(share: Tensor | float) -> str:
    return f"{100 * float(share):.1f} %"
