"""What the page of an embedding run shows of its test items: retrieval, map, distances, plan, confusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monge.metrics import Distance
from monge.report.embedding_map import embedding_map
from monge.report.gallery import retrieval_gallery
from monge.report.neighbours import retrieve
from monge.report.plan_section import plan_section
from monge.report.run_folder import RunFolder
from monge.report.separation import distance_histograms, neighbour_confusion
from monge.report.stored_embeddings import StoredEmbeddings
from monge.report.svg import clean


def embedding_sections(run: RunFolder) -> Mapping[str, object]:
    """The sections made from the stored embeddings, or the reason why there are none."""
    items = run.results
    distance: Distance = "cosine" if run.setting("evaluate", "distance") == "cosine" else "euclidean"
    names = ("gallery", "distances", "confusion", "map", "plan")
    if not isinstance(items, StoredEmbeddings):
        return {
            **dict.fromkeys(names, clean(items, 300)),
            "distance": distance,
            "map_data": None,
            "searched": 0,
            "asked": 0,
            "turns": False,
        }
    retrieved = retrieve(items.vectors, items.labels, distance)
    shown = embedding_map(items, distance)
    return {
        "distance": distance,
        "searched": len(items.vectors),
        "asked": len(retrieved.queries),
        "turns": items.views is not None,
        "gallery": retrieval_gallery(items, retrieved) or "No class has two test items: nothing can be retrieved.",
        "distances": distance_histograms(items, distance) or "The test items have no two classes or no two of a class.",
        "confusion": neighbour_confusion(items, retrieved),
        "map": shown,
        "map_data": {
            "points": shown.points,
            "classes": shown.classes,
            "side": shown.side,
            "columns": shown.columns,
            "tiny": shown.tiny,
        },
        "plan": plan_section(items, _section(run, "loss"), _section(run, "sampler")),
    }


def _section(run: RunFolder, name: str) -> Mapping[str, Any]:
    found = run.setting(name)
    return found if isinstance(found, Mapping) else {}
