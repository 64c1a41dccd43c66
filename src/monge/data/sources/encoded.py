"""Features by the packaged encoders, kept in the data cache: of pictures and frames, and of sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from monge.data.sources.efficientnet_lite0 import EFFICIENTNET_LITE0
from monge.data.sources.feature_cache import FeatureCache, Features, Progress, digest_of, silent
from monge.data.sources.minilm import WEIGHTS_DIGEST, sentence_encoder
from monge.nn.packaged import PackagedBackbone, packaged_backbone

THUMBNAIL_SIZE = 64
_VERSION = 1


def picture_features(
    name: str,
    digests: Sequence[str],
    read: Callable[[int], NDArray[np.uint8]],
    *,
    size: int,
    mirrored: bool = False,
    progress: Progress = silent,
) -> Features:
    """Features of pictures or of the frames of clips, and a small picture of each.

    Args:
        name: Of the data set.
        digests: What each item is made from.
        read: From the position of an item to its pictures, uint8 ``(T, 3, size, size)``.
        size: Side of the pictures; the network's weights were trained with 224.
        mirrored: Whether the features of the mirrored pictures are wanted too.
        progress: Called with the number of items done and of all, where something is computed.

    Returns:
        ``features`` (and ``mirrored``), float32 ``(N, T, 1280)``; ``pictures``, uint8 ``(N, 3, 64, 64)``, of the
        frame in the middle.

    Raises:
        MongeError: The network is not fetched yet, or an item cannot be read.
    """
    settings = {
        "version": _VERSION,
        "encoder": dict(EFFICIENTNET_LITE0.hashes),
        "size": size,
        "mirrored": mirrored,
        "items": digest_of(digests),
    }
    networks: list[PackagedBackbone] = []

    def compute(items: list[int]) -> Features:
        if not networks:
            networks.append(packaged_backbone("efficientnet-lite0").eval())
        frames = [torch.from_numpy(read(item)) for item in items]  # each (T, 3, S, S)
        small = [F.interpolate(one[len(one) // 2][None].float(), THUMBNAIL_SIZE, mode="area") for one in frames]
        made = {
            "features": torch.stack([image_vectors(networks[0], one) for one in frames]),
            "pictures": torch.cat(small).round().to(torch.uint8),
        }
        if mirrored:
            made["mirrored"] = torch.stack([image_vectors(networks[0], one.flip(-1)) for one in frames])
        return made

    return FeatureCache(name, settings, len(digests), chunk=16).get(compute, progress)


@torch.inference_mode()
def image_vectors(network: PackagedBackbone, pictures: Tensor) -> Tensor:
    """What the packaged image network gives for pictures.

    Args:
        network: In evaluation mode.
        pictures: uint8 ``(T, 3, S, S)``.

    Returns:
        float32 ``(T, 1280)``.
    """
    vectors: Tensor = network((pictures.float() / 255 - 0.5) / 0.5)
    return vectors.clone()


def text_features(name: str, texts: Sequence[str], tokens: int | None, progress: Progress = silent) -> Tensor:
    """Features of sentences.

    Args:
        name: Of the data set.
        texts: The sentences.
        tokens: How many tokens are kept of each, markers included; ``None``: one vector of unit length each.
        progress: As in :func:`picture_features`.

    Returns:
        float32 ``(N, 384)``, or ``(N, tokens, 384)`` with rows of NaN after the last token.

    Raises:
        MongeError: The encoder is not fetched yet.
    """
    settings = {"version": _VERSION, "encoder": WEIGHTS_DIGEST, "tokens": tokens, "items": digest_of(texts)}

    def compute(items: list[int]) -> Features:
        return {"features": encode_texts([texts[item] for item in items], tokens)}

    return FeatureCache(f"{name}-text", settings, len(texts), chunk=256).get(compute, progress)["features"]


def encode_texts(texts: Sequence[str], tokens: int | None) -> Tensor:
    """Features of sentences by the packaged encoder, without the cache.

    Args:
        texts: The sentences.
        tokens: As in :func:`text_features`.

    Raises:
        MongeError: The encoder is not fetched yet.
    """
    encoder = sentence_encoder()
    return encoder.encode(texts) if tokens is None else encoder.tokens(texts, tokens)
