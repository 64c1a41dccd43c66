"""The transport plan between queries and gallery items of one batch, as the loss of the run solves it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from monge.errors import MongeError
from monge.losses import BatchwiseOTLoss, CrossModalBatchwiseOTLoss, InverseOTLoss
from monge.recipes.loss_params import check_loss, task_of
from monge.report.cross_modal_gallery import name_of, shown
from monge.report.plan_picture import plan_picture
from monge.report.plan_section import Pair, PlanSection, class_balanced_batch, plan_facts
from monge.report.stored_cross_modal import StoredCrossModal, StoredSide
from monge.report.svg import clean
from monge.train.cross_modal_losses import build_cross_modal_loss

_MOST_ITEMS = 160
_PAIRS = 6
_USUAL = {"classes_per_batch": 8, "queries_per_class": 4, "gallery_per_class": 4}


class _Solved(NamedTuple):
    """Plan, loss of each pair and pairs of one class, each ``(N, M)``; and what can be told of them in figures."""

    plan: Tensor
    parts: Tensor
    same: Tensor
    facts: list[tuple[str, str, str]]
    part: str


def cross_modal_plan(items: StoredCrossModal, loss: Mapping[str, Any], sampler: Mapping[str, Any]) -> PlanSection | str:
    """Solves the problem between queries and gallery items of one batch of the test part.

    Args:
        items: What the run stored.
        loss: The recipe's ``loss`` section.
        sampler: The recipe's ``sampler`` section: size of the batch.

    Returns:
        The section, or the sentence that says why there is none.
    """
    name = str(loss.get("name") or "")
    if task_of(name) != "cross-modal":
        return f"The loss of this run ({clean(name) or 'not named in the recipe'}) has no transport plan."
    try:
        config: Any = check_loss(loss)
        module = build_cross_modal_loss(config, items.query.vectors.shape[1], len(items.classes))
    except MongeError as error:
        return f"recipe.yaml: the loss could not be built ({clean(error, 200)})"
    batch = _batch(items, sampler)
    if batch is None:
        return f"No {items.query.name} and {items.gallery.name} of the test part belong together."
    solved = _solve(module, items, *batch)
    if solved is None:
        return f"The loss of this run ({clean(name)}) has no transport plan."
    rows, columns = (_groups(items, side.labels[chosen]) for side, chosen in zip(items.sides(), batch))
    times = solved.plan * solved.plan.numel()
    order = "in the order of the pairs" if items.paired else "grouped by class"
    labels = (f"{items.query.name}, {order}", f"{items.gallery.name}, {order}")
    blocks = ([("", len(rows))], [("", len(columns))]) if items.paired else (rows, columns)
    chart = plan_picture(times, torch.ones_like(solved.same), *blocks, labels)
    pairs = _Pairs(items, batch, solved, times)
    parameters = ", ".join(f"{key} {value}" for key, value in loss.items() if key != "name") or "the loss's defaults"
    trained = (
        ", temperature as it began" if any(name.startswith("log_") for name, _ in module.named_parameters()) else ""
    )
    return PlanSection(
        chart,
        pairs.heaviest(same=True),
        pairs.heaviest(same=False),
        solved.facts,
        f"{len(batch[0])} × {items.query.name} and {len(batch[1])} × {items.gallery.name} of the test part, "
        f"{len(rows)} {'pairs' if items.paired else 'classes'}, drawn with seed 0",
        parameters + trained,
        solved.part,
    )


def _batch(items: StoredCrossModal, sampler: Mapping[str, Any]) -> tuple[Tensor, Tensor] | None:
    """Items of both sides, sorted by class, of classes that both have."""
    sizes = {key: sampler.get(key) for key in _USUAL}
    classes, queries, gallery = (
        found if isinstance(found, int) and found > 0 else _USUAL[key] for key, found in sizes.items()
    )
    each = [min(count, _MOST_ITEMS // 2) for count in (queries, gallery)]
    classes = max(1, min(classes, _MOST_ITEMS // max(each)))
    common = torch.unique(items.query.labels[torch.isin(items.query.labels, items.gallery.labels)])
    if not len(common):
        return None
    drawn = torch.randperm(len(common), generator=torch.Generator().manual_seed(0))[:classes]
    return _of_classes(items.query, common[drawn], each[0]), _of_classes(items.gallery, common[drawn], each[1])


def _of_classes(side: StoredSide, classes: Tensor, count: int) -> Tensor:
    rows = torch.isin(side.labels, classes).nonzero()[:, 0]
    return rows[class_balanced_batch(side.labels[rows], len(classes), count)]


def _groups(items: StoredCrossModal, labels: Tensor) -> list[tuple[str, int]]:
    present, sizes = torch.unique_consecutive(labels, return_counts=True)
    return [(items.classes[c], k) for c, k in zip(present.tolist(), sizes.tolist())]


@torch.no_grad()
def _solve(module: nn.Module, items: StoredCrossModal, rows: Tensor, columns: Tensor) -> _Solved | None:
    x, y = items.query.vectors[rows], items.gallery.vectors[columns]
    lx, ly = items.query.labels[rows], items.gallery.labels[columns]
    if isinstance(module, CrossModalBatchwiseOTLoss):
        between = next((name for name in ("xy", "x1y1", "x2y2") if name in module.weights), None)
        if between is None:
            return None
        problem = module.problems[between]
        assert isinstance(problem, BatchwiseOTLoss)
        terms = problem.terms(module.scaled(x), lx, None, module.scaled(y), ly)
        parts = terms.plan * terms.cost**problem.power
        return _Solved(terms.plan, parts, terms.same, plan_facts(terms, parts, problem.gamma), "of the loss")
    if isinstance(module, InverseOTLoss):
        plan, target = module.couplings(x, y, lx, ly)
        same = lx.unsqueeze(1) == ly
        # What each pair contributes to the gradient is how far the plan is from the wanted coupling there.
        facts = _coupling_facts(plan, target, same)
        return _Solved(plan, (plan - target).abs(), same, facts, "of the mass out of place")
    return None


def _coupling_facts(plan: Tensor, target: Tensor, same: Tensor) -> list[tuple[str, str, str]]:
    mass = float(plan.sum())
    entropy = float(-torch.xlogy(plan, plan / mass).sum() / mass) / math.log(max(plan.numel(), 2))
    off = 0.5 * float((plan - target).abs().sum())
    return [
        (
            "Mass on positives",
            f"{100 * float(plan[same].sum()) / mass:.1f} %",
            "of the plan's; the loss wants all of it there",
        ),
        ("Mass out of place", f"{100 * off:.1f} %", "half the L1 distance from the wanted coupling"),
        ("Mass moved", f"{mass:.3f}", "1 where marginals are fixed"),
        ("Entropy", f"{100 * entropy:.1f} %", "of a uniform plan's"),
        ("Largest weight", f"{float(plan.max()) * plan.numel():.1f}×", "the weight in a uniform plan"),
    ]


@dataclass(frozen=True)
class _Pairs:
    items: StoredCrossModal
    batch: tuple[Tensor, Tensor]
    solved: _Solved
    times: Tensor

    def heaviest(self, *, same: bool) -> list[Pair]:
        """The pairs of one kind with most mass."""
        mass = self.solved.plan.masked_fill(self.solved.same != same, 0.0)
        best = mass.flatten().topk(min(_PAIRS, mass.numel()))
        width = mass.shape[1]
        found = [(int(place) // width, int(place) % width) for place in best.indices]
        return [self._pair(i, j) for i, j in found if mass[i, j] > 0]

    def _pair(self, i: int, j: int) -> Pair:
        ends = [(side, int(rows[at])) for side, rows, at in zip(self.items.sides(), self.batch, (i, j))]
        first, second = (shown(side, index, name_of(self.items, side, index)) for side, index in ends)
        vectors = [side.vectors[index] for side, index in ends]
        share = self.solved.parts[i, j] / self.solved.parts.sum().clamp_min(1e-30)
        return Pair(
            first,
            second,
            bool(self.solved.same[i, j]),
            float(self.solved.plan[i, j]),
            float(self.times[i, j]),
            float((vectors[0] - vectors[1]).norm()),
            float(share),
        )
