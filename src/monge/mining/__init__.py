"""Mining: which pairs of a batch matter, and how much."""

from __future__ import annotations

from monge.mining.hard_triplets import HardGroups, hard_triplets
from monge.mining.soft import ImportanceWeights, PairWeights, SoftMiner, importance_weights

__all__ = ["HardGroups", "ImportanceWeights", "PairWeights", "SoftMiner", "hard_triplets", "importance_weights"]
