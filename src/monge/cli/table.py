"""Metrics as lines of text."""

from __future__ import annotations

from collections.abc import Mapping


def show_metrics(metrics: Mapping[str, float]) -> None:
    """Prints one metric a line, counts as whole numbers.

    Args:
        metrics: Values by name.

    Example:
        >>> show_metrics({"test/map": 0.98765, "test/queries": 1000.0})
        test/map      0.9877
        test/queries    1000
    """
    width = max((len(name) for name in metrics), default=0)
    for name, value in metrics.items():
        print(f"{name:<{width}}  {value:>6.0f}" if name.endswith("queries") else f"{name:<{width}}  {value:.4f}")
