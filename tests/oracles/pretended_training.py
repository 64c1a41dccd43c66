"""A training that is only pretended: it keeps the contract of a run folder, and its numbers are known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monge.recipes import Recipe

BEST_RATE = {"contrastive": 1e-2, "supcon": 1e-3, "batchwise_ot": 1e-1}


class PretendedTraining:
    """Stands in for `fit`: keeps the folder's contract; its mAP is a known function of loss, rate, seed and step."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Recipe, dict[str, Any]]] = []
        self.interfere: Callable[[Recipe], None] = lambda recipe: None

    def value(self, recipe: Recipe, step: int) -> float:
        distance = abs(math.log10(recipe.optimizer.lr / BEST_RATE[recipe.loss.name]))
        return 0.9 - 0.1 * distance - 0.01 * (recipe.seed % 10) - 0.5 / step

    def __call__(self, recipe: Recipe, out: Path, **options: Any) -> dict[str, float]:
        self.calls.append((f"{out.parent.name}/{out.name}", recipe, options))
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        (out / "recipe.yaml").write_text(recipe.to_yaml())
        (out / "checkpoints" / "last.ckpt").touch()
        epochs, each = recipe.train.epochs, recipe.train.steps_per_epoch or 26
        lines = [{"step": each * (e + 1), "epoch": e, "time": 1.0} for e in range(epochs)]
        values = [line | {"val/map": self.value(recipe, int(line["step"]))} for line in lines]
        (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in values))
        data = {"name": "mnist", "source": "pretended", "definition": "none"}
        (out / "environment.json").write_text(json.dumps({"train_seconds": 2.5, "data": data}))
        self.interfere(recipe)
        final = values[-1]["val/map"]
        return {"test/map": final - 0.01, "test/nn": final} if options["test"] else {"val/map": final}

    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]
