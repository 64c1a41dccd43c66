"""The threshold that a deployed model decides by, calibrated on pairs for a false-accept rate."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.errors import DataFormatError, MongeError
from monge.metrics.roc import accepted_impostors, check_pairs


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the cosine similarity, and what it did on the pairs that it was calibrated on.

    Attributes:
        threshold: Two pictures count as the same if their similarity is at least this.
        target_far: The false-accept rate that was asked for.
        far: Share of the impostor pairs that it accepted.
        tar: Share of the genuine pairs that it accepted.
        impostors: How many impostor pairs there were: a rate below about 30 / impostors is known roughly.
        genuine: How many genuine pairs.
        pairs: Which pairs these were, in words.

    Example:
        >>> OperatingPoint(0.4, 1e-3, 0.0, 0.9, 3000, 3000, "lfw").squared_distance
        1.2
    """

    threshold: float
    target_far: float
    far: float
    tar: float
    impostors: int
    genuine: int
    pairs: str

    @property
    def squared_distance(self) -> float:
        """The same threshold as a squared distance of unit embeddings."""
        return 2 - 2 * self.threshold

    def accepts(self, similarities: Tensor) -> Tensor:
        """Which pairs count as the same, bool ``(P,)``, by their cosine similarities ``(P,)``."""
        return similarities >= self.threshold

    def save(self, path: str | Path) -> None:
        """Writes a small JSON file.

        Args:
            path: Where to; an existing file is replaced.
        """
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> OperatingPoint:
        """Reads what `save` wrote.

        Args:
            path: The file.

        Raises:
            DataFormatError: No such file, or another content.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DataFormatError(path, "", reason, "the JSON file of a calibrated threshold") from error
        kinds = {name: str if kind == "str" else (int, float) for name, kind in cls.__annotations__.items()}
        if not isinstance(content, dict) or content.keys() != kinds.keys():
            raise DataFormatError(path, "", "other keys", f"an object with {', '.join(kinds)}")
        wrong = [name for name, kind in kinds.items() if not isinstance(content[name], kind)]
        if wrong:
            raise DataFormatError(
                path, wrong[0], repr(content[wrong[0]]), "a number" if wrong[0] != "pairs" else "words"
            )
        return cls(**content)


def calibrate(similarities: Tensor, same: Tensor, far: float, *, pairs: str = "") -> OperatingPoint:
    """The lowest threshold whose false-accept rate on these pairs is at most a target.

    It stands midway between the best impostor that must be refused and the next higher similarity of any pair.

    Args:
        similarities: Cosine similarities of pairs, ``(P,)``.
        same: ``(P,)`` bool, or integers 0 and 1.
        far: The false-accept rate asked for.
        pairs: Which pairs these are, in words.

    Raises:
        MongeError: Pairs that cannot be measured, no genuine ones, fewer than 1 / `far` impostor pairs, or a rate
            outside (0, 1).

    Example:
        >>> point = calibrate(torch.tensor([0.9, 0.5, 0.7, 0.1]), torch.tensor([1, 1, 0, 0]), far=0.5)
        >>> round(point.threshold, 2), point.far, point.tar
        (0.3, 0.5, 1.0)
    """
    if not 0 < far < 1:
        raise MongeError(f"far: found {far}, expected a rate between 0 and 1")
    genuine, impostor = (scores.double() for scores in check_pairs(similarities, same))
    accepted = accepted_impostors(far, len(impostor))
    if accepted < 1 or not len(genuine):
        found = f"{len(genuine)} genuine and {len(impostor)} impostor pairs"
        raise MongeError(
            f"far: found {found}, expected genuine ones and at least {math.ceil(1 / far)} impostors to set {far:g}"
        )
    limit = impostor[len(impostor) - 1 - accepted]
    above = torch.cat([scores[scores > limit][:1] for scores in (genuine, impostor)])
    threshold = (limit + above.min()) / 2 if len(above) else limit + 1
    return OperatingPoint(
        threshold=float(threshold),
        target_far=far,
        far=float((impostor >= threshold).double().mean()),
        tar=float((genuine >= threshold).double().mean()),
        impostors=len(impostor),
        genuine=len(genuine),
        pairs=pairs,
    )
