"""Training, resuming and evaluating recipes; `fit` and the evaluations load Lightning when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from monge.extras import require

if TYPE_CHECKING:
    from monge.train.evaluation import evaluate as evaluate
    from monge.train.losses import build_loss as build_loss
    from monge.train.pair_evaluation import evaluate_pairs as evaluate_pairs
    from monge.train.template_evaluation import evaluate_templates as evaluate_templates
    from monge.train.training import fit as fit

_LAZY = {
    "build_loss": "monge.train.losses",
    "evaluate": "monge.train.evaluation",
    "evaluate_pairs": "monge.train.pair_evaluation",
    "evaluate_templates": "monge.train.template_evaluation",
    "fit": "monge.train.training",
}

__all__ = ["build_loss", "evaluate", "evaluate_pairs", "evaluate_templates", "fit"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        if name != "build_loss":
            for module in ("lightning", "safetensors", "sklearn"):
                require(module, extra="train", purpose="Training")
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'monge.train' has no attribute {name!r}")
