"""Mining: which pairs of a batch matter, and how much."""

from __future__ import annotations

from monge.mining.soft import ImportanceWeights, PairWeights, SoftMiner, importance_weights

__all__ = ["ImportanceWeights", "PairWeights", "SoftMiner", "importance_weights"]
