"""Any backbone of timm as a face network."""

from __future__ import annotations

from torch import Tensor, nn

from monge.errors import MongeError
from monge.nn.feature_maps import EmbeddingWithMaps, FaceNetwork, unscaled_batch_norm


class TimmFaceNet(FaceNetwork):
    """A backbone of timm, pooled as it pools itself, under dropout, a linear layer and batch normalisation.

    Args:
        backbone: A model that timm made with ``num_classes=0``; transformers give their patches as a map.
        in_channels: Channels of the pictures it takes.
        embedding_dim: Length of the embedding.
        dropout: Probability that a pooled feature is left out in training.
        maps: Which output `with_maps` gives: a stage by the name of its module in ``backbone.feature_info``, e.g.
            ``"layer3"`` or ``"blocks.7"``, or by its number, negative from the last.

    Raises:
        MongeError: The backbone has no such stage, or cannot show its stages.

    Example:
        >>> import timm, torch
        >>> net = TimmFaceNet(timm.create_model("resnet10t", num_classes=0), embedding_dim=16, maps="layer3")
        >>> net.with_maps(torch.zeros(2, 3, 64, 64)).feature_maps.shape
        torch.Size([2, 256, 4, 4])
    """

    def __init__(
        self,
        backbone: nn.Module,
        in_channels: int = 3,
        embedding_dim: int = 512,
        dropout: float = 0.0,
        maps: str | int = -1,
    ) -> None:
        super().__init__(in_channels)
        self.backbone, self.stage = backbone, _stage(backbone, maps)
        # Some networks widen their features in the part of the head that num_classes=0 keeps.
        features = getattr(backbone, "head_hidden_size", None) or backbone.num_features
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(int(features), embedding_dim)  # type: ignore[arg-type]  # an int, as nn.Module cannot say
        self.features = unscaled_batch_norm(embedding_dim)

    def with_maps(self, images: Tensor) -> EmbeddingWithMaps:
        """Embeddings (N, D) and the map (N, C', H', W') of the chosen stage, of float images (N, C, H, W).

        Raises:
            MongeError: Not images, or of other channels.
        """
        self.check(images)
        last, stages = self.backbone.forward_intermediates(images, indices=[self.stage])  # type: ignore[operator]
        pooled = self.backbone.forward_head(last, pre_logits=True)  # type: ignore[operator]
        return EmbeddingWithMaps(self.features(self.fc(self.dropout(pooled))), stages[0])


def _stage(backbone: nn.Module, maps: str | int) -> int:
    """The number of a stage."""
    info = getattr(backbone, "feature_info", None)
    if not info or not hasattr(backbone, "forward_intermediates"):
        raise MongeError(f"model.backbone: timm's {type(backbone).__name__} cannot show its stages, choose another")
    names = [str(stage["module"]) for stage in info]
    if isinstance(maps, str) and maps in names:
        return names.index(maps)
    if isinstance(maps, int) and -len(names) <= maps < len(names):
        return maps % len(names)
    raise MongeError(f"model.maps: found {maps!r}, expected one of {', '.join(names)}, or a number below {len(names)}")
