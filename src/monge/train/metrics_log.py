"""``metrics.jsonl``: one JSON object a line, appended while a run goes, cut back when it is resumed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monge.train.atomic import write_atomically


class MetricsLog:
    """The metrics file of a run.

    Args:
        path: The file; it is made on the first line.

    Example:
        >>> import tempfile
        >>> log = MetricsLog(Path(tempfile.mkdtemp()) / "metrics.jsonl")
        >>> log.append(10, 0, 1.5, {"train/loss": 0.25})
        >>> log.read()
        [{'step': 10, 'epoch': 0, 'time': 1.5, 'train/loss': 0.25}]
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, epoch: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Adds a line.

        Args:
            step: Optimiser steps done.
            epoch: Epoch that the step belongs to, from 0.
            seconds: Since training began, pauses left out.
            metrics: Values by slash-separated name; what is not finite is written as null.
        """
        line = {"step": step, "epoch": epoch, "time": round(seconds, 3)}
        values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **values}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Every whole line; a last one cut short by a kill is left out."""
        if not self.path.exists():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
        return records

    def truncate(self, step: int) -> None:
        """Drops what was written after a step, and the final test, which comes anew.

        Args:
            step: Optimiser steps done at the checkpoint that the run goes on from.
        """
        kept = [
            record
            for record in self.read()
            if record["step"] <= step and not any(name.startswith("test/") for name in record)
        ]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomically(self.path, lambda part: part.write_text(text, encoding="utf-8"))
