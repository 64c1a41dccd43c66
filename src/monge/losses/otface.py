"""OTFace: a margin softmax over identities plus optimal transport between the feature maps of hard samples.

Source: J. Qian, S. Zhu, C. Zhao, J. Yang, W. K. Wong, "OTFace: hard samples guided optimal transport loss for deep face
representation", arXiv 2203.14461, and the program released with it; cited here as [OTFace].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from monge.losses.feature_map_ot import FeatureMapOTLoss, OTFacePreset
from monge.losses.gathered import gather_samples, several_processes
from monge.losses.margin_heads import ArcFace, CosFace, Margin, MarginName
from monge.losses.margin_softmax import MarginGradient, MarginSoftmax
from monge.losses.presets import Quirks
from monge.losses.shared_work import gather_for_shares


class OTFaceDiagnostics(NamedTuple):
    """Figures on the last call; scalar tensors without gradient.

    Attributes:
        margin_loss: The margin softmax.
        transport_loss: The transport term, before its weight.
        groups: Hard groups whose transport was computed.
        hard_pairs: Pairs of anchor and positive with a hard negative.
        positive_distance: Mean W(a, p); NaN without groups, as the next two.
        negative_distance: Mean W(a, n).
        active: Share of the groups that cost something.
    """

    margin_loss: Tensor
    transport_loss: Tensor
    groups: Tensor
    hard_pairs: Tensor
    positive_distance: Tensor
    negative_distance: Tensor
    active: Tensor


class OTFaceLoss(nn.Module):
    """``L_margin + weight * L_OT`` [OTFace], called ``loss(embeddings, labels, feature_maps=maps)``.

    The class vectors are parameters of the loss, ``softmax.weight``, and must be trained with the network. Under
    several processes, whose gradients are to be averaged as `torch.nn.parallel.DistributedDataParallel` does, hard
    groups are sought among the samples of all of them, and the gradients are those of one process that holds them all;
    they may hold different numbers of samples, also none. Each process solves a share of the transport problems of all
    groups; class vectors meet the process's own samples alone.

    Args:
        embedding_dim: Length of an embedding.
        num_classes: Number of identities.
        margin: A name or a `Margin`, see `monge.losses.margin_softmax.MarginSoftmax`.
        weight: Of the transport term.
        scale: Factor of the logits; ``None``: that of the margin.
        m: The margin's size, beside a name.
        margin_gradient: ``"exact"`` or ``"straight-through"``.
        transport: The transport term; ``None``: `FeatureMapOTLoss` with its defaults.
        across_processes: Switch off to let each process work on its own samples alone, as the released program does.

    Raises:
        ValueError: A value outside its range.

    Example:
        >>> loss = OTFaceLoss(embedding_dim=8, num_classes=3)
        >>> embeddings, maps = torch.randn(6, 8, requires_grad=True), torch.randn(6, 16, 4, 4, requires_grad=True)
        >>> loss(embeddings, torch.tensor([0, 0, 1, 1, 2, 2]), feature_maps=maps).backward()
        >>> embeddings.grad.shape, maps.grad.shape
        (torch.Size([6, 8]), torch.Size([6, 16, 4, 4]))
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        margin: MarginName | Margin = "arcface",
        weight: float = 10.0,
        *,
        scale: float | None = None,
        m: float | None = None,
        margin_gradient: MarginGradient = "exact",
        transport: FeatureMapOTLoss | None = None,
        across_processes: bool = True,
    ) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(f"weight is {weight}: expected 0 or more")
        self.softmax = MarginSoftmax(
            embedding_dim,
            num_classes,
            margin,
            scale=scale,
            m=m,
            gradient=margin_gradient,
            across_processes=across_processes,
        )
        self.transport = FeatureMapOTLoss() if transport is None else transport
        self.weight, self.across_processes = weight, across_processes
        self._last: tuple[Tensor, Tensor] | None = None

    @classmethod
    def preset(
        cls,
        name: OTFacePreset,
        embedding_dim: int,
        num_classes: int,
        *,
        margin: MarginName = "arcface",
        quirks: Quirks = "corrected",
    ) -> OTFaceLoss:
        """The loss with the settings of a published state, or with ours.

        Args:
            name: See `FeatureMapOTLoss.preset`. The published states have ArcFace with scale 64, m 0.45 and its
                fallback, or AM-Softmax with scale 30 and m 0.35, and weight 10.
            embedding_dim: Length of an embedding.
            num_classes: Number of identities.
            margin: A name.
            quirks: ``"released"`` reproduces the program, which knows the groups of each process alone.

        Raises:
            ValueError: An unknown name.

        Example:
            >>> OTFaceLoss.preset("released", 512, 10, margin="am-softmax").softmax.scale
            30.0
        """
        chosen: Margin | MarginName = margin
        scale = None
        if name != "recommended":
            if margin == "arcface":
                chosen = ArcFace(0.45, fallback=True)
            elif margin in ("am-softmax", "cosface"):
                chosen, scale = CosFace(0.35), 30.0
        transport = FeatureMapOTLoss.preset(name, quirks=quirks)
        together = quirks != "released"
        return cls(embedding_dim, num_classes, chosen, scale=scale, transport=transport, across_processes=together)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        feature_maps: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Returns the loss, a scalar of dtype float32 or float64.

        Under several processes the transport term is that of all samples, the margin softmax the process's share of
        it, as in `MarginSoftmax.forward`.

        Args:
            embeddings: Floats ``(N, D)``.
            labels: Integers in ``[0, C)``, ``(N,)``.
            feature_maps: ``(N, C, H, W)``, or tokens ``(N, P, C)``; may be missing only where ``weight`` is 0.
            mask: True for tokens that exist, bool ``(N, P)``; only beside tokens.

        Raises:
            ValueError: Shapes or labels that do not fit, or feature maps that are missing.
        """
        margin: Tensor = self.softmax(embeddings, labels)
        if self.weight == 0:
            self._last = (margin.detach(), torch.zeros_like(margin))
            return margin
        if feature_maps is None:
            raise ValueError("feature_maps are missing: pass the network's maps, or weight=0 for the margin alone")
        chosen, labels = embeddings.detach(), labels.to(embeddings.device)
        together = self.across_processes and several_processes()
        shared = together and not torch.compiler.is_compiling()  # compiled graphs pad the work and do all of it
        if together:
            chosen, labels = gather_samples(chosen), gather_samples(labels)
            feature_maps = gather_for_shares(feature_maps) if shared else gather_samples(feature_maps)
            mask = None if mask is None else gather_samples(mask)
        transport: Tensor = self.transport(chosen, labels, feature_maps, mask, shared=shared)
        self._last = (margin.detach(), transport.detach())
        return margin + self.weight * transport

    def diagnostics(self) -> OTFaceDiagnostics:
        """Figures on the last call.

        Raises:
            RuntimeError: The loss has not been called yet, or never with a weight above 0.
        """
        if self._last is None:
            raise RuntimeError("diagnostics() describes the last call, and the loss has not been called yet")
        return OTFaceDiagnostics(*self._last, *self.transport.diagnostics())

    def extra_repr(self) -> str:
        """Settings as they were given."""
        return f"weight={self.weight}"
