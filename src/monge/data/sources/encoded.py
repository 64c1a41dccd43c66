"""Features by the packaged encoders, kept in the data cache: of pictures and frames, and of sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from monge.data.sources.efficientnet_lite0 import EFFICIENTNET_LITE0
from monge.data.sources.feature_cache import FeatureCache, Features, Progress, digest_of, silent
from monge.data.sources.minilm import WEIGHTS_DIGEST, sentence_encoder
from monge.nn.packaged import PackagedBackbone, packaged_backbone

TextFeatures = Literal["sentence", "tokens"]
PICTURE_SIZE = 224
"""Side of the pictures that the network sees; what its weights were trained with."""
THUMBNAIL_SIZE = 64
_BACKBONE = "efficientnet-lite0"
_VERSION = 1


def picture_features(
    name: str,
    digests: Sequence[str],
    read: Callable[[int], NDArray[np.uint8]],
    progress: Progress = silent,
) -> Features:
    """Features of pictures or of the frames of clips, as they are and mirrored, and a small picture of each.

    Args:
        name: Of the data set.
        digests: What each item is made from.
        read: From the position of an item to its pictures, uint8 ``(T, 3, 224, 224)``.
        progress: Called with the number of items done and of all, where something is computed.

    Returns:
        ``features`` and ``mirrored``, float32 ``(N, T, 1280)``; ``pictures``, uint8 ``(N, 3, 64, 64)``, of the frame
        in the middle.

    Raises:
        MongeError: The network is not fetched yet, or an item cannot be read.
    """
    settings = {
        "version": _VERSION,
        "encoder": dict(EFFICIENTNET_LITE0.hashes),
        "size": PICTURE_SIZE,
        "items": digest_of(digests),
    }
    networks: list[PackagedBackbone] = []

    def compute(items: list[int]) -> Features:
        if not networks:
            networks.append(packaged_backbone(_BACKBONE).eval())
        frames = [torch.from_numpy(read(item)) for item in items]  # each (T, 3, S, S)
        small = [F.interpolate(one[len(one) // 2][None].float(), THUMBNAIL_SIZE, mode="area") for one in frames]
        return {
            "features": torch.stack([image_vectors(networks[0], one) for one in frames]),
            "mirrored": torch.stack([image_vectors(networks[0], one.flip(-1)) for one in frames]),
            "pictures": torch.cat(small).round().to(torch.uint8),
        }

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
    return network((pictures.float() / 255 - 0.5) / 0.5).clone()


def text_features(
    name: str, texts: Sequence[str], kind: TextFeatures, length: int, progress: Progress = silent
) -> Tensor:
    """Features of sentences.

    Args:
        name: Of the data set.
        texts: The sentences.
        kind: ``"sentence"``: one vector of unit length each; ``"tokens"``: the vectors of its tokens.
        length: Tokens kept of each sentence.
        progress: As in :func:`picture_features`.

    Returns:
        float32 ``(N, 384)``, or ``(N, length, 384)`` with rows of NaN after the last token.

    Raises:
        MongeError: The encoder is not fetched yet.
    """
    settings = {"version": _VERSION, "encoder": WEIGHTS_DIGEST, "kind": kind, "items": digest_of(texts)}
    if kind == "tokens":
        settings["length"] = str(length)

    def compute(items: list[int]) -> Features:
        return {"features": encode_texts([texts[item] for item in items], kind, length)}

    return FeatureCache(f"{name}-text", settings, len(texts), chunk=256).get(compute, progress)["features"]


def encode_texts(texts: Sequence[str], kind: TextFeatures, length: int) -> Tensor:
    """Features of sentences by the packaged encoder, without the cache.

    Args:
        texts: The sentences.
        kind: As in :func:`text_features`.
        length: Tokens kept of each sentence.

    Raises:
        MongeError: The encoder is not fetched yet.
    """
    encoder = sentence_encoder()
    return encoder.encode(texts) if kind == "sentence" else encoder.tokens(texts, length)
