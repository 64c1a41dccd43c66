"""Reliability of predicted probabilities: accuracy against confidence, and how many predictions stand behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monge.metrics import reliability
from monge.report.axes import Frame, Scale, padded
from monge.report.stored_predictions import StoredPredictions
from monge.report.svg import Markup, tag

_BINS = 15


@dataclass(frozen=True)
class ReliabilitySection:
    """The two charts and three numbers: calibration error, mean confidence, accuracy of the most probable class."""

    curve: Markup
    counts: Markup
    error: float
    confidence: float
    accuracy: float
    bins: int = _BINS


def reliability_section(items: StoredPredictions) -> ReliabilitySection:
    """Compares the probability of the most probable class with how often it is right, in bins of equal width."""
    found = reliability(items.probabilities, items.labels, bins=_BINS)
    top, predicted = items.probabilities.max(dim=1)
    edges, counts = found.edges.tolist(), found.counts.tolist()
    bins = list(zip(edges, edges[1:], counts, found.confidence.tolist(), found.accuracy.tolist()))
    return ReliabilitySection(
        _curve(bins),
        _counts(bins),
        found.expected_calibration_error,
        float(top.double().mean()),
        float((predicted == items.labels).double().mean()),
    )


_Bins = list[tuple[float, float, int, float, float]]


def _curve(bins: _Bins) -> Markup:
    """Accuracy of each bin at its mean confidence; bars between them and the diagonal, where they should be."""
    legend = (("perfectly calibrated", "ideal"), ("this run", "s0"))
    frame = Frame("Accuracy by confidence", "confidence", "accuracy", legend, body=220.0)
    x, y = Scale(0.0, 1.0, frame.left, frame.right), Scale(0.0, 1.0, frame.bottom, frame.top)
    used = [(confidence, share) for *_, count, confidence, share in bins if count and math.isfinite(confidence)]
    diagonal = tag("path", d=f"M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}", class_="line")
    line = "M" + "L".join(f"{x(at):.1f} {y(share):.1f}" for at, share in used) if used else "M0 0"
    gaps = [tag("line", x1=x(at), x2=x(at), y1=y(at), y2=y(share), class_="gap") for at, share in used]
    dots = [tag("circle", cx=x(at), cy=y(share), r=3.2, class_="dot") for at, share in used]
    return frame.svg(
        frame.grid(x, y),
        tag("g", diagonal, class_="ideal"),
        tag("g", *gaps, tag("path", d=line, class_="line"), *dots, class_="s0"),
        *_touched(bins, frame, x),
    )


def _counts(bins: _Bins) -> Markup:
    """Predictions in each bin, on the same horizontal axis."""
    frame = Frame("Predictions in each bin", "confidence", "predictions", body=84.0)
    x = Scale(0.0, 1.0, frame.left, frame.right)
    most = padded([0.0, *(float(count) for *_, count, _, _ in bins)], floor=0.0)
    y = Scale(*most, frame.bottom, frame.top, whole=True)
    bars = []
    for low, high, count, *_ in bins:
        size = {"width": x(high) - x(low) - 2, "height": frame.bottom - y(count)}
        bars.append(tag("rect", x=x(low) + 1, y=y(count), **size, class_="column"))
    return frame.svg(frame.grid(x, y), tag("g", *bars, class_="s0"), *_touched(bins, frame, x))


def _touched(bins: _Bins, frame: Frame, x: Scale) -> list[Markup]:
    """Invisible columns that carry the tooltips."""
    return [
        tag(
            "rect",
            tag("title", f"confidence {low:.2f} to {high:.2f}: {count:,} predictions" + _rates(count, mean, share)),
            x=x(low),
            width=x(high) - x(low),
            y=frame.top,
            height=frame.body,
            class_="touch",
        )
        for low, high, count, mean, share in bins
    ]


def _rates(count: int, confidence: float, share: float) -> str:
    return f", mean confidence {confidence:.3f}, {100 * share:.1f} % right" if count else ""
