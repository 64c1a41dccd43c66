"""Templates of IJB-B and IJB-C: several pictures and video frames of a person pooled into one vector, compared 1:1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.embeddings import check_embeddings, check_labels
from monge.metrics.verification import unit_rows

# Bounds the temporaries in float64.
_PICTURES_AT_ONCE = 16384


@dataclass(frozen=True)
class Templates:
    """Pooled templates.

    Attributes:
        ids: Numbers of the templates, increasing, int64 ``(T,)``.
        embeddings: Unit vectors, float32 ``(T, D)``.

    Example:
        >>> templates = Templates(torch.tensor([3, 7]), torch.eye(2))
        >>> templates.rows(torch.tensor([7, 7, 3])).tolist()
        [1, 1, 0]
    """

    ids: Tensor
    embeddings: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Tensor) -> Tensor:
        """Rows of `embeddings` that hold the given templates.

        Args:
            ids: Template numbers, ``(P,)``.

        Returns:
            int64 ``(P,)``.

        Raises:
            MongeError: A number that no picture has.
        """
        wanted = ids.to(self.ids.device).long()
        rows = torch.searchsorted(self.ids, wanted).clamp_(max=len(self.ids) - 1)
        missing = self.ids[rows] != wanted
        if bool(missing.any()):
            raise MongeError(f"templates: no picture belongs to template {int(wanted[missing][0])}")
        return rows


def pool_templates(
    embeddings: Tensor, templates: Tensor, media: Tensor, *, weights: Tensor | None = None, unit: bool = False
) -> Templates:
    """Pools pictures into templates as the scripts for IJB do.

    Pictures of one medium (the frames of a video) are averaged, the media of a template added, the sum scaled to unit
    length.

    Args:
        embeddings: ``(N, D)``, of a picture and its mirror image added, not scaled.
        templates: Template number of each picture, ``(N,)``.
        media: Medium number of each picture, ``(N,)``; the same number in two templates means two media.
        weights: Detection score of each picture, which multiplies its embedding, ``(N,)``.
        unit: Scale every picture's embedding to unit length first; else longer ones weigh more, as in the scripts.

    Returns:
        The `Templates`.

    Raises:
        MongeError: Lengths that do not fit, embeddings that are not finite, or negative weights.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
        >>> pool_templates(x, torch.tensor([5, 5, 5]), torch.tensor([1, 1, 2])).embeddings
        tensor([[0.7071, 0.7071]])
    """
    check_embeddings("embeddings", embeddings)
    check_labels("templates", templates, len(embeddings))
    pool = TemplatePool(templates, media, weights=weights, unit=unit)
    pool.add(embeddings)
    return pool.templates()


class TemplatePool:
    """Pools pictures that come a part at a time, so that the embeddings of all of them are never together.

    Args:
        templates: As for `pool_templates`.
        media: As there.
        weights: As there.
        unit: As there.

    Raises:
        MongeError: Lengths that do not fit, or negative weights.

    Example:
        >>> pool = TemplatePool(torch.tensor([5, 5, 5]), torch.tensor([1, 1, 2]))
        >>> pool.add(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
        >>> pool.add(torch.tensor([[0.0, 2.0]]))
        >>> pool.templates().embeddings
        tensor([[0.7071, 0.7071]])
    """

    def __init__(self, templates: Tensor, media: Tensor, *, weights: Tensor | None = None, unit: bool = False) -> None:
        for name, numbers in (("templates", templates), ("media", media)):
            check_labels(name, numbers, len(templates))
        if weights is not None and (weights.shape != templates.shape or not bool((weights >= 0).all())):
            raise MongeError(f"weights: found {tuple(weights.shape)}, expected one non-negative number a picture")
        self._ids, self._template = torch.unique(templates.long(), return_inverse=True)
        # A medium is a pair of numbers; the second is renumbered so that the pair fits one.
        _, medium = torch.unique(media.long(), return_inverse=True)
        _, medium = torch.unique(self._template * (int(medium.max()) + 1) + medium, return_inverse=True)
        self._share = 1 / torch.bincount(medium).double()[medium]  # (N,)
        if weights is not None:
            self._share *= weights.to(self._share.device).double()
        self._unit, self._seen = unit, 0
        self._sums: Tensor | None = None

    def add(self, embeddings: Tensor) -> None:
        """Takes the embeddings of the next pictures, in the order of the templates.

        Args:
            embeddings: ``(B, D)``.

        Raises:
            MongeError: More pictures than there are, or embeddings that are not finite.
        """
        check_embeddings("embeddings", embeddings)
        if self._seen + len(embeddings) > len(self._template):
            found = f"{self._seen + len(embeddings):,} embeddings"
            raise MongeError(f"templates: found {found}, expected one for each of {len(self._template):,} pictures")
        if self._sums is None:
            shape = (len(self._ids), embeddings.shape[1])
            self._sums = torch.zeros(shape, dtype=torch.float64, device=embeddings.device)
        for start in range(0, len(embeddings), _PICTURES_AT_ONCE):
            part = embeddings[start : start + _PICTURES_AT_ONCE]
            rows = unit_rows(part) if self._unit else part.detach().double()
            own = slice(self._seen + start, self._seen + start + len(part))
            share = self._share[own, None].to(rows.device)
            self._sums.index_add_(0, self._template[own].to(rows.device), rows * share)
        self._seen += len(embeddings)

    def templates(self) -> Templates:
        """All templates.

        Raises:
            MongeError: Pictures are still missing.
        """
        if self._sums is None or self._seen < len(self._template):
            found = f"embeddings of {self._seen:,} of {len(self._template):,} pictures"
            raise MongeError(f"templates: found {found}, expected all of them")
        return Templates(self._ids.to(self._sums.device), unit_rows(self._sums).float())


def template_similarities(templates: Templates, first: Tensor, second: Tensor, chunk: int = 16384) -> Tensor:
    """Cosine similarities of pairs of templates, in bounded memory: IJB-C has 15.7 million pairs.

    Args:
        templates: Pooled templates.
        first: Template numbers of one side, ``(P,)``, any integer dtype.
        second: Template numbers of the other.
        chunk: Pairs at a time.

    Returns:
        float32 ``(P,)``, summed in float64; `monge.metrics.roc.tar_at_far` takes them.

    Raises:
        MongeError: Sides that differ in length or are no integers, or a template without pictures.

    Example:
        >>> templates = Templates(torch.tensor([3, 7]), torch.eye(2))
        >>> template_similarities(templates, torch.tensor([3, 3]), torch.tensor([7, 3]))
        tensor([0., 1.])
    """
    if first.dim() != 1 or first.shape != second.shape:
        raise MongeError(f"first and second: found {tuple(first.shape)} and {tuple(second.shape)}, expected (P,) twice")
    for name, side in (("first", first), ("second", second)):
        check_labels(name, side, len(side))
    out = torch.empty(len(first), dtype=torch.float32, device=templates.embeddings.device)
    for start in range(0, len(first), chunk):
        part = slice(start, start + chunk)
        x, y = (templates.embeddings[templates.rows(side[part])].double() for side in (first, second))
        out[part] = (x * y).sum(dim=1)
    return out
