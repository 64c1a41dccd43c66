"""Batch-wise optimal transport between two modalities: drawings and shapes, captions and clips, any two at all.

Source: L. Xu, H. Sun, Y. Liu, "Learning with batch-wise optimal transport loss for 3D shape recognition", CVPR 2019,
arXiv 1903.08923, and the retrieval program released with it; cited here as [BWOT].
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Unpack, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from monge.losses.batchwise_ot import BatchwiseOTLoss
from monge.losses.cosines import unit_rows
from monge.losses.margin_softmax import check_classes
from monge.losses.pairs import IndicesTuple, check_embeddings, checked_labels
from monge.losses.plan_diagnostics import PlanDiagnostics
from monge.losses.presets import BatchwiseOTSettings, PresetName, Quirks, preset_settings

Metric = Literal["sqeuclidean", "cosine"]

# What the released programs for 3D shapes multiply their softmax cross-entropy by.
_RELEASED_SOFTMAX: dict[PresetName, float] = {"modelnet10": 1.0, "modelnet40": 0.2}
_TWO_BATCHES = ("mnist", "shrec14")


class ProblemSettings(BatchwiseOTSettings, total=False):
    """Keyword arguments of `monge.losses.BatchwiseOTLoss`, all of them."""

    tol: float
    max_pairs: int | None


class _Side(NamedTuple):
    """Samples of one modality: embeddings ``(K, D)``, labels ``(K,)`` and their places in the batch ``(K,)``."""

    embeddings: Tensor
    labels: Tensor
    places: Tensor


def deal_halves(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Deals a batch into two halves so that both hold every class, as far as its samples go round.

    Samples are put in the order of their labels, those of one class staying in the order of the batch, and dealt in
    turn. So it does not matter whether a sampler groups its batches by class or mixes them.

    Args:
        labels: ``(N,)``.

    Returns:
        Positions of the first half, ``(N - N // 2,)``, and of the second, ``(N // 2,)``; a batch of one is both.

    Example:
        >>> first, second = deal_halves(torch.tensor([5, 5, 3, 5, 3, 5]))
        >>> first.tolist(), second.tolist()
        ([2, 0, 3], [4, 1, 5])
    """
    order = labels.argsort(stable=True)
    return (order, order) if len(order) == 1 else (order[0::2], order[1::2])


class CrossModalBatchwiseOTLoss(nn.Module):
    """Batch-wise OT losses within and between two modalities, added up, each with a plan of its own [BWOT].

    ``w0 L(x, x) + w1 L(y, y) + (w2 + w3) L(x, y)``, each ``L`` a `monge.losses.BatchwiseOTLoss`. Within a modality the
    batch goes against itself without its diagonal, between them every x against every y. With ``halves`` it is
    ``w0 L(x1, x2) + w1 L(y1, y2) + w2 L(x1, y1) + w3 L(x2, y2)`` over two halves of each modality, as in the released
    program, which draws two batches of each.

    Labels are classes, or the identity of a pair: the number of a clip for the clip and all its captions. Samples with
    equal labels are positives of each other, never negatives. The two modalities need not have equally many samples.

    Args:
        weights: Of the four sums: x with x, y with y, and the two of x with y. A sum of weight 0 is not computed.
        halves: Take two halves of each modality, see `deal_halves`. Meant for classes: among labels that name pairs
            it would part many a pair.
        metric: ``"sqeuclidean"``: d^2 as it is. ``"cosine"``: 1 - cos in its place; a zero vector lies at 1/2.
        temperature: Divides d^2 (or 1 - cos) before margins are applied; positive.
        learn_temperature: Make the temperature a parameter, ``log_temperature``, that starts at the value given.
        softmax_weight: What a softmax cross-entropy of the logits is multiplied by. The released programs for 3D shapes
            have 0.2 (ModelNet40) and 1 (ModelNet10), the one for drawings and shapes has none.
        classifier: Length of an embedding and number of classes: the loss then has a linear classifier, one for both
            modalities, whose logits the softmax term takes where a call brings none. Its weights are parameters of the
            loss and must be trained with the networks.
        **settings: Of each `monge.losses.BatchwiseOTLoss`.

    Attributes:
        terms: Cross-entropies at the last call, ``x_softmax`` and ``y_softmax``, before their weight; without gradient.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = CrossModalBatchwiseOTLoss()
        >>> sketches, shapes = torch.randn(6, 4, requires_grad=True), torch.randn(8, 4)
        >>> value = loss(sketches, shapes, torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]))
        >>> value.backward()
        >>> sorted(loss.diagnostics())
        ['xx', 'xy', 'yy']
    """

    def __init__(
        self,
        *,
        weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
        halves: bool = False,
        metric: Metric = "sqeuclidean",
        temperature: float = 1.0,
        learn_temperature: bool = False,
        softmax_weight: float = 0.0,
        classifier: tuple[int, int] | None = None,
        **settings: Unpack[ProblemSettings],
    ) -> None:
        super().__init__()
        if len(weights) != 4 or min(*weights, softmax_weight) < 0:
            raise ValueError(f"weights: found {weights} and softmax_weight {softmax_weight}, expected 4, none negative")
        if metric not in get_args(Metric):
            raise ValueError(f"metric: found {metric!r}, expected one of {', '.join(get_args(Metric))}")
        if not temperature > 0:
            raise ValueError(f"temperature: found {temperature}, expected more than 0")
        self.weights = _named_weights(weights, halves)
        if not self.weights and softmax_weight == 0:
            raise ValueError("weights: found all 0 and no softmax_weight, expected something to learn from")
        if classifier is not None and (softmax_weight == 0 or min(classifier) < 1):
            found = f"found {classifier} with softmax_weight {softmax_weight:g}"
            raise ValueError(f"classifier: {found}, expected sizes of at least 1 and a weight above 0")
        self.halves, self.metric, self.softmax_weight = halves, metric, softmax_weight
        self.temperature = temperature
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learn_temperature else None
        self.problems = nn.ModuleDict({name: BatchwiseOTLoss(**settings) for name in self.weights})
        self.classifier = None if classifier is None else nn.Linear(*classifier)
        self.terms: dict[str, Tensor] = {}

    @classmethod
    def preset(
        cls,
        name: PresetName = "shrec14",
        *,
        quirks: Quirks = "corrected",
        softmax_weight: float | None = None,
        classifier: tuple[int, int] | None = None,
    ) -> CrossModalBatchwiseOTLoss:
        """The loss with the settings of a released program, softmax weight included; see `monge.losses.presets`.

        Args:
            name: ``"shrec14"`` is the program for drawings and shapes.
            quirks: ``"released"`` also takes halves where the program draws two batches.
            softmax_weight: Another weight than the program's.
            classifier: As for the loss itself.

        Raises:
            ValueError: An unknown name or choice of quirks.

        Example:
            >>> CrossModalBatchwiseOTLoss.preset("shrec14", quirks="released").halves
            True
        """
        settings = preset_settings(name, quirks)
        halves = quirks == "released" and name in _TWO_BATCHES
        weight = _RELEASED_SOFTMAX.get(name, 0.0) if softmax_weight is None else softmax_weight
        return cls(halves=halves, softmax_weight=weight, classifier=classifier, **settings)

    def forward(
        self,
        x_emb: Tensor,
        y_emb: Tensor,
        x_labels: Tensor,
        y_labels: Tensor,
        *,
        x_logits: Tensor | None = None,
        y_logits: Tensor | None = None,
        ignore_xx: Tensor | None = None,
        ignore_yy: Tensor | None = None,
        ignore_xy: Tensor | None = None,
    ) -> Tensor:
        """Returns the weighted sum, a scalar of dtype float32 or float64; arguments as in `parts`."""
        parts = self.parts(
            x_emb,
            y_emb,
            x_labels,
            y_labels,
            x_logits=x_logits,
            y_logits=y_logits,
            ignore_xx=ignore_xx,
            ignore_yy=ignore_yy,
            ignore_xy=ignore_xy,
        )
        return torch.stack([self.weights.get(name, self.softmax_weight) * part for name, part in parts.items()]).sum()

    def parts(
        self,
        x_emb: Tensor,
        y_emb: Tensor,
        x_labels: Tensor,
        y_labels: Tensor,
        *,
        x_logits: Tensor | None = None,
        y_logits: Tensor | None = None,
        ignore_xx: Tensor | None = None,
        ignore_yy: Tensor | None = None,
        ignore_xy: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Each sum by name, before its weight: ``xx``, ``yy``, ``xy`` (or ``x1y1``, ``x2y2``), ``x_softmax`` ....

        Args:
            x_emb: Embeddings of one modality, ``(N, D)``.
            y_emb: Embeddings of the other, ``(M, D)``.
            x_labels: Classes or pair identities, integers ``(N,)``.
            y_labels: ``(M,)``, from the same numbering.
            x_logits: ``(N, C)``, for the softmax term, in place of what the loss's own classifier gives; with such a
                term, and only with it, labels must be classes below C.
            y_logits: ``(M, C)``.
            ignore_xx: True at pairs that do not count, bool ``(N, N)``: captions that say the same of different clips.
            ignore_yy: ``(M, M)``.
            ignore_xy: ``(N, M)``.

        Raises:
            ValueError: Shapes, dtypes or labels that do not fit, no samples, a softmax weight without logits or the
                reverse, or pairs to ignore beside ``sweeps`` or above ``max_pairs``, which need them all.

        Example:
            >>> loss = CrossModalBatchwiseOTLoss(weights=(0, 1, 1, 1))
            >>> sorted(loss.parts(torch.eye(3), torch.eye(3), torch.arange(3), torch.arange(3)))
            ['xy', 'yy']
        """
        check_embeddings(x_emb, y_emb)
        x_labels, y_labels = checked_labels(len(x_emb), len(y_emb), x_labels, y_labels)
        ignored = {"xx": ignore_xx, "yy": ignore_yy, "xy": ignore_xy}
        sizes = {"x": len(x_emb), "y": len(y_emb)}
        for name, mask in ignored.items():
            wanted = (sizes[name[0]], sizes[name[1]])
            if mask is not None and mask.shape != wanted:
                raise ValueError(f"ignore_{name}: found shape {tuple(mask.shape)}, expected {wanted}")
        x, y = self._side(x_emb, x_labels), self._side(y_emb, y_labels)
        parts = {}
        for name, (one, other) in _problems(x, y, self.halves).items():
            if name in self.weights:
                mask = ignored[name.replace("1", "").replace("2", "")]
                parts[name] = self._problem(name, one, other, mask)
        if self.classifier is not None and x_logits is None and y_logits is None:
            dtype = self.classifier.weight.dtype
            x_logits, y_logits = (self.classifier(one.to(dtype)) for one in (x_emb, y_emb))  # (N, C), (M, C)
        softmax = self._softmax({"x_softmax": (x_logits, x_labels), "y_softmax": (y_logits, y_labels)})
        self.terms = {name: part.detach() for name, part in softmax.items()}
        return parts | softmax

    def diagnostics(self) -> dict[str, PlanDiagnostics]:
        """Figures on the plan of each sum at the last call.

        Raises:
            RuntimeError: The loss has not been called yet.
        """
        return {name: _batchwise(problem).diagnostics() for name, problem in self.problems.items()}

    def scaled(self, embeddings: Tensor) -> Tensor:
        """Embeddings whose squared distances are the costs that the settings ask for, ``(K, D)``.

        Args:
            embeddings: ``(K, D)`` of either modality.

        Example:
            >>> CrossModalBatchwiseOTLoss(metric="cosine").scaled(torch.tensor([[3.0, 0.0]]))
            tensor([[0.7071, 0.0000]])
        """
        if self.metric == "sqeuclidean" and self.log_temperature is None and self.temperature == 1.0:
            return embeddings
        full = embeddings if embeddings.itemsize >= 4 else embeddings.float()  # (K, D)
        if self.metric == "cosine":  # |x - y|^2 = 1 - cos for vectors of length sqrt(1/2)
            full = math.sqrt(0.5) * unit_rows(full)
        log_temperature = math.log(self.temperature) if self.log_temperature is None else self.log_temperature
        scale = torch.exp(torch.as_tensor(-0.5 * log_temperature, device=full.device)).to(full.dtype)
        return scale * full

    def _side(self, embeddings: Tensor, labels: Tensor) -> _Side:
        places = torch.arange(len(embeddings), device=embeddings.device)
        return _Side(self.scaled(embeddings), labels.to(embeddings.device), places)

    def _problem(self, name: str, one: _Side, other: _Side | None, ignored: Tensor | None) -> Tensor:
        problem = _batchwise(self.problems[name])
        named = None if ignored is None else _named(one, other, ignored, with_self=problem.include_self)
        reference = (None, None) if other is None else (other.embeddings, other.labels)
        value: Tensor = problem(one.embeddings, one.labels, named, *reference)
        return value

    def _softmax(self, given: dict[str, tuple[Tensor | None, Tensor]]) -> dict[str, Tensor]:
        parts = {}
        for name, (logits, labels) in given.items():
            if logits is not None:
                full = logits if logits.itemsize >= 4 else logits.float()
                check_classes(labels, full.shape[1])
                parts[name] = functional.cross_entropy(full, labels.to(full.device, torch.long))
        if bool(parts) != (self.softmax_weight > 0):
            found = f"{'some' if parts else 'no'} logits with softmax_weight {self.softmax_weight:g}"
            raise ValueError(f"found {found}, expected logits with a weight above 0 and only then")
        return parts

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"weights={self.weights}, metric={self.metric!r}, softmax_weight={self.softmax_weight}"


def _named_weights(weights: tuple[float, float, float, float], halves: bool) -> dict[str, float]:
    xx, yy, first, second = weights
    between = {"x1y1": first, "x2y2": second} if halves else {"xy": first + second}
    return {name: weight for name, weight in ({"xx": xx, "yy": yy} | between).items() if weight > 0}


def _problems(x: _Side, y: _Side, halves: bool) -> dict[str, tuple[_Side, _Side | None]]:
    if not halves:
        return {"xx": (x, None), "yy": (y, None), "xy": (x, y)}
    (x1, x2), (y1, y2) = (tuple(_part(side, half) for half in deal_halves(side.labels)) for side in (x, y))
    return {"xx": (x1, x2), "yy": (y1, y2), "x1y1": (x1, y1), "x2y2": (x2, y2)}


def _part(side: _Side, places: Tensor) -> _Side:
    return _Side(side.embeddings[places], side.labels[places], places)


def _named(one: _Side, other: _Side | None, ignored: Tensor, *, with_self: bool) -> IndicesTuple:
    """The pairs that count, as a miner would name them: positives, then negatives."""
    second = one if other is None else other
    counted = ~ignored.to(one.places.device, torch.bool)[one.places][:, second.places]  # (K, L)
    if other is None and not with_self:
        counted = counted & (one.places.unsqueeze(1) != second.places)
    same = one.labels.unsqueeze(1) == second.labels
    return (*(counted & same).nonzero(as_tuple=True), *(counted & ~same).nonzero(as_tuple=True))


def _batchwise(module: nn.Module) -> BatchwiseOTLoss:
    assert isinstance(module, BatchwiseOTLoss)
    return module
