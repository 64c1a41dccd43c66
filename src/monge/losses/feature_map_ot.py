"""Optimal transport between the feature maps of hard samples: the part of OTFace that goes with any other loss.

Source: J. Qian, S. Zhu, C. Zhao, J. Yang, W. K. Wong, "OTFace: hard samples guided optimal transport loss for deep face
representation", arXiv 2203.14461, and the program released with it; cited here as [OTFace].
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypedDict, get_args

import torch
from torch import Tensor, nn

from monge.losses.map_distance import DistanceGradient, FixedSweeps, Solver, map_distances
from monge.losses.presets import Quirks
from monge.losses.shared_work import from_first, gather_shares, own_share
from monge.losses.token_sets import Center, Marginals, TokenSets, as_tokens, mean_sets, token_sets
from monge.mining.hard_triplets import HardGroups, Negatives, hard_triplets

Average = Literal["groups", "active"]
OTFacePreset = Literal["recommended", "released", "groups-2020"]


class FeatureMapDiagnostics(NamedTuple):
    """Figures on the last call; scalar tensors without gradient, NaN where there was no group to measure.

    Attributes:
        groups: Hard groups whose transport was computed.
        hard_pairs: Pairs of anchor and positive with a hard negative in the whole batch.
        positive_distance: Mean W(a, p).
        negative_distance: Mean W(a, n).
        active: Share of the groups that cost something.
    """

    groups: Tensor
    hard_pairs: Tensor
    positive_distance: Tensor
    negative_distance: Tensor
    active: Tensor


class FeatureMapSettings(TypedDict, total=False):
    """Keyword arguments of `FeatureMapOTLoss`."""

    alpha: float
    max_groups: int
    negatives: Negatives
    center: Center | None
    marginals: Marginals
    epsilon: float
    tol: float
    gradient: DistanceGradient
    sweeps: FixedSweeps | None
    margin: float
    average: Average


def feature_map_ot_loss(
    positive: Tensor, negative: Tensor, valid: Tensor, *, margin: float = 0.0, average: Average = "groups"
) -> Tensor:
    """``mean max(0, W(a, p) - W(a, n) + margin)`` over hard groups [OTFace].

    Args:
        positive: W(a, p), ``(K,)``.
        negative: W(a, n), ``(K,)``.
        valid: False at entries that are no group, bool ``(K,)``.
        margin: By how much the negative must be farther.
        average: Over all ``"groups"``, or over the ``"active"`` ones alone, those that cost something.

    Returns:
        Scalar; 0 if there is nothing to average.

    Example:
        >>> near, far = torch.tensor([0.5, 0.2]), torch.tensor([0.3, 0.4])
        >>> feature_map_ot_loss(near, far, torch.tensor([True, True]))
        tensor(0.1000)
    """
    gaps = torch.where(valid, positive - negative + margin, 0.0).relu()  # (K,)
    counted = gaps > 0 if average == "active" else valid
    return gaps.sum() / counted.sum().clamp_min(1)


class FeatureMapOTLoss(nn.Module):
    """Transport between the feature maps of hard samples, called ``loss(embeddings, labels, feature_maps)``.

    Embeddings choose the groups: an anchor, a positive and a negative that is more similar to the anchor than the
    positive. Their feature maps, as sets of positions, are compared by optimal transport under the cosine cost, and
    ``max(0, W(a, p) - W(a, n) + margin)`` is averaged [OTFace]. The gradient goes to the feature maps alone, so that
    another loss must train what lies above them.

    Each pair of maps is solved once, however many groups share it, all in one batch (in blocks, each computed anew when
    going back, where they are large). A compiled graph, whose shapes must not depend on the data, solves ``max_groups``
    groups always.

    Args:
        alpha: How much less similar a negative may be than the positive and still be hard.
        max_groups: How many groups are compared at most, hardest first.
        negatives: ``"each"``: a group is a triplet. ``"mean"``: a group is an anchor, a positive, and the mean map of
            all negatives that are hard for the two.
        center: See `monge.losses.token_sets.token_sets`.
        marginals: ``"uniform"`` or ``"saliency"``, see there.
        epsilon: Entropic regularisation; costs lie in ``[0, 2]``. At 1, as released, W is near the mean cost of all
            pairs of positions; 0.05 to 0.1 tells matching maps from others.
        tol: Marginal error at which a plan is accepted.
        gradient: ``"envelope"`` or ``"implicit"``, which also say what W is; see `monge.losses.map_distance.Solver`.
        sweeps: A fixed number of sweeps instead, as in the released program.
        margin: By how much the negative map must be farther than the positive one.
        average: See `feature_map_ot_loss`.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = FeatureMapOTLoss()
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> maps = torch.randn(3, 16, 4, 4, requires_grad=True)
        >>> loss(embeddings, torch.tensor([0, 0, 1]), maps).shape
        torch.Size([])
        >>> loss.diagnostics().groups
        tensor(2)
    """

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        max_groups: int = 512,
        negatives: Negatives = "each",
        center: Center | None = None,
        marginals: Marginals = "uniform",
        epsilon: float = 0.1,
        tol: float = 1e-3,
        gradient: DistanceGradient = "envelope",
        sweeps: FixedSweeps | None = None,
        margin: float = 0.1,
        average: Average = "groups",
    ) -> None:
        super().__init__()
        choices = (
            ("negatives", negatives, get_args(Negatives)),
            ("center", center, (None, *get_args(Center))),
            ("marginals", marginals, get_args(Marginals)),
            ("gradient", gradient, get_args(DistanceGradient)),
            ("average", average, get_args(Average)),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}: expected one of {', '.join(map(repr, allowed))}")
        if not (epsilon > 0 and tol > 0 and max_groups >= 1 and (sweeps is None or sweeps.iterations >= 1)):
            raise ValueError(
                f"found epsilon {epsilon}, tol {tol}, max_groups {max_groups} and sweeps {sweeps}: expected the first "
                "two above 0, at least one group and one sweep"
            )
        if sweeps is not None and not sweeps.transposed and (negatives, marginals) != ("each", "uniform"):
            raise ValueError(
                "sweeps without the transposed kernel go with negatives='each' and marginals='uniform' alone"
            )
        self.alpha, self.max_groups, self.negatives = alpha, max_groups, negatives
        self.center, self.marginals = center, marginals
        self.solver = Solver(epsilon, gradient, tol, sweeps)
        self.margin, self.average = margin, average
        self._last: FeatureMapDiagnostics | None = None

    @classmethod
    def preset(cls, name: OTFacePreset = "recommended", *, quirks: Quirks = "corrected") -> FeatureMapOTLoss:
        """The loss with the settings of a published state, or with ours.

        Args:
            name: ``"recommended"``: the defaults. ``"released"``: the program of 2022, epsilon 1, W = <P, C>, mean over
                the active triplets, no margin. ``"groups-2020"``: an earlier state with mean negatives, channels
                centred, epsilon 0.1, mean over all groups, no margin.
            quirks: ``"released"``, for that program alone: ten sweeps with the kernel that should be transposed, and
                the gradient through them. ``"corrected"``: the plan is solved.

        Raises:
            ValueError: An unknown name, or quirks that the state does not have.

        Example:
            >>> FeatureMapOTLoss.preset("released", quirks="released").solver.sweeps
            FixedSweeps(iterations=10, transposed=False)
        """
        return cls(**feature_map_preset(name, quirks))

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        feature_maps: Tensor,
        mask: Tensor | None = None,
        *,
        shared: bool = False,
    ) -> Tensor:
        """Returns the loss, a scalar of dtype float32 or float64; without a group it is 0, with a graph.

        An embedding that is not finite makes it NaN, for groups cannot be told then.

        Args:
            embeddings: Floats ``(N, D)``; they choose the groups and get no gradient.
            labels: Integers ``(N,)``.
            feature_maps: ``(N, C, H, W)``, or tokens ``(N, P, C)``.
            mask: True for tokens that exist, bool ``(N, P)``; only beside tokens.
            shared: Every process of several has been given the samples of all, the maps by
                `monge.losses.shared_work.gather_for_shares`: each solves a share of the transport problems.

        Raises:
            ValueError: Shapes or dtypes that do not fit.
        """
        if len(feature_maps) != len(embeddings):
            raise ValueError(
                f"found {len(embeddings)} embeddings and {len(feature_maps)} feature maps: expected as many"
            )
        groups = hard_triplets(
            embeddings, labels, alpha=self.alpha, max_groups=self.max_groups, negatives=self.negatives
        )
        if shared:
            groups = HardGroups(*from_first(*groups))
        with torch.autocast(feature_maps.device.type, enabled=False):
            tokens, mask = as_tokens(feature_maps, mask)
            if not torch.compiler.is_compiling():
                groups = _only_valid(groups)
            if not len(groups.anchors):
                self._note(groups, tokens.new_empty(0), tokens.new_empty(0))
                return tokens[:0].sum() * _one_if_finite(embeddings, tokens)
            positive, negative = self._distances(tokens, mask, groups, shared)
            self._note(groups, positive, negative)
            value = feature_map_ot_loss(positive, negative, groups.valid, margin=self.margin, average=self.average)
            return value * _one_if_finite(embeddings, tokens)

    def diagnostics(self) -> FeatureMapDiagnostics:
        """Figures on the groups of the last call.

        Raises:
            RuntimeError: The loss has not been called yet.
        """
        if self._last is None:
            raise RuntimeError("diagnostics() describes the last call, and the loss has not been called yet")
        return self._last

    def _distances(
        self, tokens: Tensor, mask: Tensor | None, groups: HardGroups, shared: bool
    ) -> tuple[Tensor, Tensor]:
        """W(a, p) and W(a, n) of each group."""
        negatives = groups.negatives
        if self.negatives == "mean":
            negatives = len(tokens) + torch.arange(len(groups.anchors), device=tokens.device)
            means, present = mean_sets(tokens, mask, groups.negatives)
            tokens = torch.cat([tokens, means])
            mask = None if mask is None or present is None else torch.cat([mask, present])
        sets = token_sets(tokens, mask, center=self.center, marginals=self.marginals)
        anchors = torch.cat([groups.anchors, groups.anchors])
        found = self._of_pairs(sets, anchors, torch.cat([groups.positives, negatives]), shared)
        positive, negative = found.chunk(2)
        return positive, negative

    def _of_pairs(self, sets: TokenSets, first: Tensor, second: Tensor, shared: bool) -> Tensor:
        if torch.compiler.is_compiling():
            return map_distances(sets, first, second, self.solver)
        if self.solver.sweeps is None:  # then W(x, y) = W(y, x)
            first, second = torch.minimum(first, second), torch.maximum(first, second)
        count = len(sets.units)
        pairs, places = torch.unique(first * count + second, return_inverse=True)
        solve = _solved_together if shared else map_distances
        return solve(sets, pairs // count, pairs % count, self.solver).index_select(0, places)

    def _note(self, groups: HardGroups, positive: Tensor, negative: Tensor) -> None:
        near, far, count = positive.detach(), negative.detach(), groups.valid.sum()
        active = (near - far + self.margin > 0) & groups.valid
        self._last = FeatureMapDiagnostics(
            groups=count,
            hard_pairs=groups.hard_pairs,
            positive_distance=torch.where(groups.valid, near, 0.0).sum() / count,
            negative_distance=torch.where(groups.valid, far, 0.0).sum() / count,
            active=active.sum() / count,
        )

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return (
            f"epsilon={self.solver.epsilon}, margin={self.margin}, max_groups={self.max_groups}, "
            f"negatives={self.negatives!r}"
        )


def _solved_together(sets: TokenSets, first: Tensor, second: Tensor, solver: Solver) -> Tensor:
    """As `map_distances`, where each process solves a share."""
    own = own_share(len(first))
    if len(first[own]):
        return gather_shares(map_distances(sets, first[own], second[own], solver), len(first))
    nothing = sets.units.flatten()[:0]  # with a graph: a process without a share goes back with the others
    return gather_shares(nothing, len(first))


_PRESETS: dict[OTFacePreset, FeatureMapSettings] = {
    "recommended": {},
    "released": {"epsilon": 1.0, "gradient": "implicit", "margin": 0.0, "average": "active"},
    "groups-2020": {
        "negatives": "mean",
        "center": "channels",
        "epsilon": 0.1,
        "gradient": "implicit",
        "margin": 0.0,
        "average": "groups",
    },
}


def feature_map_preset(name: OTFacePreset, quirks: Quirks = "corrected") -> FeatureMapSettings:
    """Keyword arguments of `FeatureMapOTLoss` for a state; see `FeatureMapOTLoss.preset`.

    Raises:
        ValueError: An unknown name, or quirks that the state does not have.

    Example:
        >>> feature_map_preset("released")["epsilon"]
        1.0
    """
    if name not in _PRESETS or quirks not in get_args(Quirks) or (quirks == "released" and name != "released"):
        raise ValueError(
            f"no preset {name!r} with quirks {quirks!r}: names are {', '.join(_PRESETS)}; quirks are "
            f"{', '.join(get_args(Quirks))}, the latter for 'released' alone"
        )
    settings = _PRESETS[name].copy()
    if quirks == "released":
        settings["sweeps"] = FixedSweeps(10, transposed=False)
    return settings


def _one_if_finite(embeddings: Tensor, like: Tensor) -> Tensor:
    """1, or NaN if an embedding is not finite; a scalar."""
    return like.new_ones(()).masked_fill(~embeddings.detach().isfinite().all().to(like.device), torch.nan)


def _only_valid(groups: HardGroups) -> HardGroups:
    """Without padding; its length is read from the device."""
    count = int(groups.valid.sum())
    anchors, positives, negatives, violations, valid = (part[:count] for part in groups[:5])
    return HardGroups(anchors, positives, negatives, violations, valid, groups.hard_pairs)
