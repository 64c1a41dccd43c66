"""Margin softmax losses written down angle by angle, one sample and one class at a time, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Target = Callable[[float], float]
Wrong = Callable[[float, float], float]


def arcface(m: float, fallback: bool) -> Target:
    """Of the angle."""

    def target(theta: float) -> float:
        if fallback and theta >= math.pi - m:
            return math.cos(theta) - m * math.sin(m)
        return math.cos(theta + m)

    return target


def sphereface(m: float) -> Target:
    """``(-1)^k cos(m theta) - 2k`` for ``m theta`` in ``[k pi, (k + 1) pi]``."""

    def target(theta: float) -> float:
        k = math.floor(m * theta / math.pi)
        return float((-1) ** k * math.cos(m * theta) - 2 * k)

    return target


def adaface(m: float, quality: float) -> Target:
    """The angle moved by ``-m q`` and kept in range, the cosine lowered by ``m q + m``."""

    def target(theta: float) -> float:
        moved = min(max(theta - m * quality, 1e-3), math.pi - 1e-3)
        return math.cos(moved) - (m * quality + m)

    return target


def loss(
    embedding: Array, label: int, weight: Array, scale: float, target: Target, wrong: Wrong | None = None
) -> float:
    """Cross-entropy of one sample; ``wrong(cosine, threshold)`` is what becomes of the cosine with a wrong class."""
    cosines = [float(embedding @ row / (np.linalg.norm(embedding) * np.linalg.norm(row))) for row in weight]
    own = target(math.acos(min(max(cosines[label], -1.0), 1.0)))
    logits = [own if j == label else (c if wrong is None else wrong(c, own)) for j, c in enumerate(cosines)]
    top = max(logits) * scale
    return top + math.log(sum(math.exp(scale * z - top) for z in logits)) - scale * own
