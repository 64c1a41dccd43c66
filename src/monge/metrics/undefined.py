"""What a score is when its formula has no value: NaN, and one line that says so."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping


class UndefinedMetricWarning(UserWarning):
    """A score is 0/0 on these data; it is reported as NaN."""


def warn_undefined(scores: Mapping[str, float], why: str) -> None:
    """Warns once about all scores that are NaN; silent if there are none.

    Args:
        scores: Scores by name.
        why: What makes such a score undefined.

    Example:
        >>> warn_undefined({"spearman": 0.5}, "all predictions are equal")
    """
    names = [name for name, value in scores.items() if math.isnan(value)]
    if names:
        verb = "is" if len(names) == 1 else "are"
        text = f"{', '.join(names)} {verb} undefined and reported as NaN: {why}"
        warnings.warn(text, UndefinedMetricWarning, stacklevel=3)
