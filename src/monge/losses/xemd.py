"""Cross-entropy plus squared EMD, the combined loss of the squared EMD paper.

Source: L. Hou, C.-P. Yu, D. Samaras, "Squared earth mover's distance-based loss for training deep neural networks",
arXiv 1611.05916; cited here as [SEMD]. Its tables and the sign of mu were not at hand: two programs that implement
the paper have mu = +0.5 and -0.25, and a negative mu is the more plausible reading.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor

from monge.ground import Ground, GroundLike, Power, as_ground
from monge.ground.rank_state import RankState
from monge.losses.class_targets import ClassTargets, Reduction
from monge.losses.ground_loss import GroundLoss
from monge.losses.squared_emd import squared_emd_loss

# Cross-entropy over weighted EMD term at the moment when the weight is fixed [SEMD].
_RATIO = 3.5
_HEAD_START = 4


class XEMDSettings(TypedDict, total=False):
    """What the presets leave open; see `CrossEntropyEMDLoss`."""

    mu: float
    weight_emd: float | Literal["auto"]
    head_start: int | None
    weight: Tensor | None
    ignore_index: int
    label_smoothing: float
    reduction: Reduction


class CrossEntropyEMDLoss(GroundLoss):
    """``-log p_k + lambda sum_i p_i^2 (D_ik^omega + mu)``, XEMD [SEMD, eq. 16].

    The second term charges mass by its distance from the true class. With a negative mu, mass on classes nearer than
    ``(-mu)^(1 / omega)`` is rewarded, which keeps the network from being too sure among classes that are alike; with
    a positive one every mass costs. Which of them the paper means is not settled; the defaults take the negative.
    mu is in units of D^omega, so distances should lie in [0, 1]: those of `Learned` do, for ordered classes give
    ``Line(torch.linspace(0, 1, C))``.

    ``weight_emd="auto"`` fixes lambda at the end of the head start: the mean cross-entropy over the last of its epochs
    by the magnitude of the mean EMD term, by 3.5. That needs ``end_epoch`` after each epoch, in every process. All
    that changes with time is in ``state_dict``.

    Soft targets t: the cross-entropy to t plus ``lambda sum_k t_k sum_i p_i^2 (D_ik^omega + mu)``.

    Args:
        ground: A `monge.ground` distance, a matrix ``(C, C)``, or ``None``: ordered classes of unit spacing.
        omega: Exponent of the distances.
        mu: Added to them, signed.
        weight_emd: lambda, a number or ``"auto"``.
        head_start: Epochs of cross-entropy alone, as counted by ``end_epoch``; ``None``: that of a `Learned` ground,
            4 for ``"auto"``, else 0.
        weight: Weight of each class ``(C,)``.
        ignore_index: Class index that counts for nothing.
        label_smoothing: Share of the target that is spread over all classes evenly.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Attributes:
        ground: D^omega, a `Power` of what was given unless omega is 1.
        terms: Of the last call, scalars without graph: ``cross_entropy`` and ``emd``, each the mean over the batch,
            and ``emd_weight``, which is 0 during the head start. ``emd`` is NaN while a learned ground has no
            distances.
        in_head_start: Whether the loss is cross-entropy alone yet.

    Raises:
        ValueError: A value outside its range, or a head start too short to measure the ratio in.

    Example:
        >>> loss = CrossEntropyEMDLoss(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        >>> value = loss(torch.zeros(1, 2), torch.tensor([0]))  # log 2 - 0.25 * 0.5 + 0.25 * 0.5
        >>> {name: round(float(term), 4) for name, term in loss.terms.items()}
        {'cross_entropy': 0.6931, 'emd': 0.0, 'emd_weight': 1.0}
    """

    def __init__(
        self,
        ground: GroundLike = None,
        *,
        omega: float = 1.0,
        mu: float = -0.5,
        weight_emd: float | Literal["auto"] = 1.0,
        head_start: int | None = None,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            _powered(as_ground(ground), omega),
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )
        auto = weight_emd == "auto"
        if not auto and (isinstance(weight_emd, str) or not weight_emd >= 0):
            raise ValueError(f"weight_emd is {weight_emd!r}: expected a number, 0 or more, or 'auto'")
        if head_start is None:
            head_start = self.learned.head_start if self.learned is not None else _HEAD_START if auto else 0
        least = 0 if not auto else 1 if self.learned is None else 2
        if head_start < least:
            why = "" if not auto else ", whose last one measures the ratio of the terms"
            raise ValueError(f"head_start is {head_start}: expected at least {least} epochs{why}")
        self.omega, self.mu, self.head_start, self.auto = omega, mu, head_start, auto
        lambda_now = 0.0 if isinstance(weight_emd, str) else float(weight_emd)
        self.state = RankState(
            {"epoch": torch.zeros((), dtype=torch.int64), "emd_weight": torch.tensor(lambda_now, dtype=torch.float64)},
            {name: torch.zeros((), dtype=torch.float64) for name in ("cross_entropy", "emd")},
        )
        self.terms: dict[str, Tensor] = {}
        self._look_at_state()
        self.register_load_state_dict_post_hook(CrossEntropyEMDLoss._after_load)  # type: ignore[no-untyped-call]

    @classmethod
    def xemd1(cls, ground: GroundLike = None, **settings: Unpack[XEMDSettings]) -> CrossEntropyEMDLoss:
        """XEMD1: omega 1, and unless given otherwise mu -0.5 and the weight by the ratio rule [SEMD].

        Args:
            ground: As above.
            settings: All others.

        Example:
            >>> CrossEntropyEMDLoss.xemd1(weight_emd=2.0).mu
            -0.5
        """
        settings.setdefault("mu", -0.5)
        settings.setdefault("weight_emd", "auto")
        return cls(ground, omega=1.0, **settings)

    @classmethod
    def xemd2(cls, ground: GroundLike = None, **settings: Unpack[XEMDSettings]) -> CrossEntropyEMDLoss:
        """XEMD2: omega 2, and unless given otherwise mu -0.25 and the weight by the ratio rule [SEMD].

        Args:
            ground: As above.
            settings: All others.

        Example:
            >>> CrossEntropyEMDLoss.xemd2().omega
            2.0
        """
        settings.setdefault("mu", -0.25)
        settings.setdefault("weight_emd", "auto")
        return cls(ground, omega=2.0, **settings)

    def end_epoch(self) -> None:
        """Ends an epoch: counts it, fixes lambda if the head start is over, brings a learned ground up to date.

        Raises:
            RuntimeError: The last epoch of the head start gave nothing to fix lambda by.
        """
        super().end_epoch()
        self.state["epoch"] += 1
        if self._measures:
            self.state.reduce()
            entropy, term = float(self.state["cross_entropy"]), abs(float(self.state["emd"]))
            if term == 0.0:
                raise RuntimeError(
                    "weight_emd='auto' found no EMD term in the last epoch of the head start: was the loss called, and "
                    "in training mode?"
                )
            self.state["emd_weight"].fill_(entropy / term / _RATIO)
        self.state.clear()
        self._look_at_state()

    def gather_state(self) -> None:
        """As `GroundLoss.gather_state`."""
        super().gather_state()
        self.state.gather()

    def _rows(self, batch: ClassTargets) -> Tensor:
        logs = batch.logits.log_softmax(-1)  # (R, C)
        entropy = batch.cross_entropy(logs)  # (R,)
        measurable = self.learned is None or self.learned.ready
        alone = self.in_head_start or not measurable
        with torch.set_grad_enabled(torch.is_grad_enabled() and not alone):
            term = self._term(batch, logs.exp()) if measurable else torch.full_like(entropy, torch.nan)  # (R,)
        if self._measures and self.training and measurable:
            self._measure(entropy.detach(), term.detach())
        factor = 0.0 if alone else self.emd_weight
        self.terms = {
            "cross_entropy": batch.reduce(entropy.detach()),
            "emd": batch.reduce(term.detach()),
            "emd_weight": entropy.new_full((), factor),
        }
        return entropy if alone else entropy + factor * term

    def _term(self, batch: ClassTargets, p: Tensor) -> Tensor:
        """``sum_i p_i^2 (D_ik^omega + mu)`` of each row, weighted, ``(R,)``."""
        if batch.probabilities is None:
            assert batch.labels is not None
            distances = self.ground.columns(batch.labels, p.shape[1])  # (R, C)
        else:
            distances = self.ground.expected(batch.probabilities)  # (R, C)
        return batch.weighted(squared_emd_loss(p, distances + self.mu))

    def _measure(self, entropy: Tensor, term: Tensor) -> None:
        if self.state["emd"].device != term.device:
            self.state.to(term.device)
        self.state["cross_entropy"].add_(entropy.sum())
        self.state["emd"].add_(term.sum())

    def _look_at_state(self) -> None:
        # Copies on the host, so that no forward pass waits for the device; and no count of epochs, for which a compiled
        # graph would be made anew each time.
        epoch = int(self.state["epoch"])
        self.in_head_start = epoch < self.head_start
        self._measures = self.auto and epoch == self.head_start - 1
        self.emd_weight = float(self.state["emd_weight"])

    @staticmethod
    def _after_load(module: Any, _: Any) -> None:
        assert isinstance(module, CrossEntropyEMDLoss)
        module._look_at_state()

    def extra_repr(self) -> str:
        """Settings as they were given."""
        own = f"omega={self.omega}, mu={self.mu}, weight_emd={'auto' if self.auto else self.emd_weight}"
        return f"{own}, head_start={self.head_start}, {super().extra_repr()}"


def _powered(ground: Ground, omega: float) -> Ground:
    return ground if omega == 1 else Power(ground, omega)
