"""Templates and searches in loops, from the IJB protocols (Whitelam et al. 2017, Maze et al. 2018)."""

from __future__ import annotations

import math

import numpy as np


def pool(x: np.ndarray, templates: np.ndarray, media: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """One unit vector a template, in the order of their numbers."""
    rows = []
    for template in sorted(set(templates)):
        total = np.zeros(x.shape[1])
        for medium in sorted(set(media[templates == template])):
            mine = [i for i in range(len(x)) if templates[i] == template and media[i] == medium]
            total += np.mean([x[i] * (1.0 if weights is None else weights[i]) for i in mine], axis=0)
        rows.append(total / np.linalg.norm(total))
    return np.array(rows)


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def people_by_similarity(probe: np.ndarray, gallery: np.ndarray, labels: np.ndarray) -> list[tuple[float, int]]:
    """The people of a gallery with the similarity of their best entry, most similar first."""
    best: dict[int, float] = {}
    for entry, label in zip(gallery, labels):
        best[int(label)] = max(best.get(int(label), -2.0), cosine(probe, entry))
    return sorted(((s, label) for label, s in best.items()), reverse=True)


def rank_share(probes: np.ndarray, who: np.ndarray, gallery: np.ndarray, labels: np.ndarray, k: int) -> float:
    hits = []
    for probe, person in zip(probes, who):
        if person in labels:
            hits.append(person in [label for _, label in people_by_similarity(probe, gallery, labels)[:k]])
    return float(np.mean(hits))


def tpir(probes: np.ndarray, who: np.ndarray, gallery: np.ndarray, labels: np.ndarray, fpir: float) -> float:
    """Every threshold tried that a probe's best candidate gives; the largest identification rate that keeps FPIR."""
    tops = [people_by_similarity(probe, gallery, labels)[0] for probe in probes]
    strangers = [s for (s, _), person in zip(tops, who) if person not in labels]
    mated = [(s, label == person) for (s, label), person in zip(tops, who) if person in labels]
    if len(strangers) * fpir < 1:
        return math.nan
    best = 0.0
    for threshold in [*(s for s, _ in tops), math.inf]:
        if sum(s >= threshold for s in strangers) <= fpir * len(strangers) + 1e-9:
            best = max(best, sum(right and s >= threshold for s, right in mated) / len(mated))
    return best


def aligned(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """A picture ``(H, W, 3)`` under a transform ``(2, 3)``, one pixel of the result at a time, black outside."""
    inverse = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))
    out = np.zeros((size, size, 3))
    for row in range(size):
        for column in range(size):
            x, y, _ = inverse @ [column, row, 1.0]
            left, top = math.floor(x), math.floor(y)
            for j, i, share in (
                (left, top, (left + 1 - x) * (top + 1 - y)),
                (left + 1, top, (x - left) * (top + 1 - y)),
                (left, top + 1, (left + 1 - x) * (y - top)),
                (left + 1, top + 1, (x - left) * (y - top)),
            ):
                if 0 <= i < picture.shape[0] and 0 <= j < picture.shape[1]:
                    out[row, column] += share * picture[i, j]
    return out


def insightface_search(
    probes: np.ndarray, who: np.ndarray, gallery: np.ndarray, labels: np.ndarray, ranks: list[int], fars: list[float]
) -> tuple[list[float], list[float]]:
    """InsightFace's 1:N: both galleries in one, ranks by sorting, a threshold among all wrong pairs by sorting them."""
    similar = np.array([[cosine(p, g) for g in gallery] for p in probes])
    own = [next(j for j, label in enumerate(labels) if label == person) for person in who]
    order = [sorted(range(len(gallery)), key=lambda j: -row[j]) for row in similar]
    shares = [float(np.mean([j in found[:k] for j, found in zip(own, order)])) for k in ranks]
    mates = [similar[i, j] for i, j in enumerate(own)]
    wrong = sorted(
        (similar[i, j] for i in range(len(probes)) for j in range(len(gallery)) if j != own[i]), reverse=True
    )
    recalls = []
    for far in fars:
        threshold = wrong[math.ceil(len(probes) * far) - 1]
        recalls.append(sum(mate > threshold for mate in mates) / len(probes))
    return shares, recalls
