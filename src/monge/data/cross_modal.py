"""A data set of two modalities: queries of one, a gallery of the other, in the three parts of training."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from monge.data.examples import Examples


@dataclass(frozen=True)
class CrossModalSplits:
    """Queries and gallery to learn from, to choose by and to report; drawings and shapes, captions and clips.

    The galleries of the three parts may be the same examples, as with SHREC, where only the drawings are parted.

    Args:
        train_queries: What the model learns from, of the modality that is asked with.
        train_gallery: What it learns from, of the modality that is found.
        val_queries: What settings and epochs are chosen by.
        val_gallery: Where these look.
        test_queries: What is reported.
        test_gallery: Where these look.
        classes: Class names; label ``k`` is ``classes[k]`` in both modalities. Where labels name pairs there are none.
        source: One sentence that says which data these really are.
        definition: One sentence that says how the parts were made, with their sizes.
        paired: Labels name pairs: a query and what answers it have a number of their own. ``False``: they are classes.
        query_name: What a query is called, in the singular.
        gallery_name: What an item of the gallery is called.

    Raises:
        ValueError: A label that is none of the classes, or below 0.

    Example:
        >>> from monge.data import ImageSet
        >>> part = ImageSet(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2]))
        >>> less = part.subset([0, 1])
        >>> splits = CrossModalSplits(part, part, part, less, part, part, ("a", "b", "c"), "drawn", "as they are")
        >>> splits.unanswerable("val"), splits.unanswerable("test")
        (1, 0)
    """

    train_queries: Examples
    train_gallery: Examples
    val_queries: Examples
    val_gallery: Examples
    test_queries: Examples
    test_gallery: Examples
    classes: tuple[str, ...]
    source: str
    definition: str
    paired: bool = False
    query_name: str = "query"
    gallery_name: str = "item"

    def __post_init__(self) -> None:
        for part in ("train", "val", "test"):
            for side, examples in zip(("queries", "gallery"), self.part(part)):
                labels = examples.labels
                if not len(labels):
                    continue
                least, most = int(labels.min()), int(labels.max())
                if least < 0 or (not self.paired and most >= len(self.classes)):
                    wanted = "from 0 on" if self.paired else f"0 to {len(self.classes) - 1}"
                    raise ValueError(f"{part}_{side}: found labels {least} to {most}, expected {wanted}")

    def part(self, name: str) -> tuple[Examples, Examples]:
        """Queries and gallery of a part.

        Args:
            name: ``"train"``, ``"val"`` or ``"test"``.
        """
        parts = {
            "train": (self.train_queries, self.train_gallery),
            "val": (self.val_queries, self.val_gallery),
            "test": (self.test_queries, self.test_gallery),
        }
        return parts[name]

    def unanswerable(self, name: str) -> int:
        """How many queries of a part have nothing of their class in its gallery; retrieval leaves them out.

        Args:
            name: ``"train"``, ``"val"`` or ``"test"``.
        """
        queries, gallery = self.part(name)
        return int((~torch.isin(queries.labels, gallery.labels)).sum())
