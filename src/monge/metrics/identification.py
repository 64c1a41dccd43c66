"""Identification, 1:N: whose face is it, in a closed set, and in an open one where the answer may be nobody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from monge.errors import MongeError
from monge.metrics.embeddings import check_embeddings, check_labels, check_same_width
from monge.metrics.roc import accepted_impostors
from monge.metrics.undefined import warn_undefined
from monge.metrics.verification import unit_rows


class Candidates(NamedTuple):
    """What a search in a gallery gives of each probe, by cosine similarity.

    A person is as similar to a probe as the most similar of his or her gallery entries.

    Attributes:
        mate: Similarity to the right person; minus infinity if he or she is not in the gallery, float32 ``(P,)``.
        other: Similarity to the most similar wrong person; minus infinity if there is none, float32 ``(P,)``.
        rank: How many people are at least as similar as the right one, him or her included; 0 if not in the gallery,
            int64 ``(P,)``.
    """

    mate: Tensor
    other: Tensor
    rank: Tensor


def search(
    probes: Tensor, probe_labels: Tensor, gallery: Tensor, gallery_labels: Tensor, chunk: int = 1024
) -> Candidates:
    """Searches every probe in a gallery, in bounded memory.

    Args:
        probes: Embeddings or templates, ``(P, D)``.
        probe_labels: Who they are, ``(P,)``.
        gallery: ``(G, D)``; a person may have several entries.
        gallery_labels: Who they are, ``(G,)``.
        chunk: Probes at a time.

    Returns:
        `Candidates`; equal similarities count against the right person.

    Raises:
        MongeError: Embeddings that cannot be compared, or labels of a wrong shape or dtype.

    Example:
        >>> found = search(torch.tensor([[1.0, 0.1]]), torch.tensor([1]), torch.eye(2), torch.tensor([0, 1]))
        >>> found.rank.tolist()
        [2]
    """
    for name, rows, labels in (("probes", probes, probe_labels), ("gallery", gallery, gallery_labels)):
        check_embeddings(name, rows)
        check_labels(f"{name} labels", labels, len(rows))
    check_same_width(probes, gallery)
    people, person = torch.unique(gallery_labels.to(gallery.device).long(), return_inverse=True)
    entries = unit_rows(gallery)
    parts = []
    for start in range(0, len(probes), chunk):
        part = slice(start, start + chunk)
        similar = (unit_rows(probes[part].to(gallery.device)) @ entries.T).float()  # (p, G)
        best = similar.new_full((len(similar), len(people)), -torch.inf)  # (p, people)
        best.scatter_reduce_(1, person.expand(len(similar), -1), similar, "amax")
        right = probe_labels[part, None].to(people.device).long() == people  # (p, people)
        mate = torch.where(right, best, -torch.inf).amax(dim=1)
        rank = (best >= mate[:, None]).sum(dim=1) * right.any(dim=1)
        parts.append((mate, torch.where(right, -torch.inf, best).amax(dim=1), rank))
    return Candidates(*(torch.cat(column) for column in zip(*parts)))


def rank_accuracy(found: Candidates, ranks: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """Closed set: share of the probes whose person is among the k most similar ones.

    Probes whose person is not in the gallery do not count.

    Args:
        found: Of `search`.
        ranks: The k.

    Returns:
        The share for each k; NaN if no probe has its person in the gallery.

    Raises:
        MongeError: A rank below 1.

    Warns:
        UndefinedMetricWarning: The shares are NaN.

    Example:
        >>> rank_accuracy(Candidates(torch.tensor([0.9, 0.2]), torch.tensor([0.1, 0.3]), torch.tensor([1, 2])), (1, 2))
        {1: 0.5, 2: 1.0}
    """
    if any(rank < 1 for rank in ranks):
        raise MongeError(f"ranks: found {list(ranks)}, expected each at least 1")
    mated = found.rank[found.rank > 0]
    shares = {rank: float((mated <= rank).double().mean()) if len(mated) else math.nan for rank in ranks}
    warn_undefined({f"rank-{k}": share for k, share in shares.items()}, "no probe has its person in the gallery")
    return shares


def tpir_at_fpir(found: Candidates, fpirs: Sequence[float] = (0.1, 0.01)) -> dict[float, float]:
    """Open set: share of the probes that are found, where at most a given share of strangers finds anybody.

    A probe whose person is in the gallery is found if that person is the most similar one and above the threshold; a
    stranger is a probe whose person is not in the gallery. The threshold is the lowest that keeps the rate of
    strangers.

    Args:
        found: Of `search`.
        fpirs: False-positive identification rates, each above 0 and at most 1.

    Returns:
        The true-positive identification rate of each; NaN where there are fewer than 1 / rate strangers.

    Raises:
        MongeError: A rate outside (0, 1].

    Warns:
        UndefinedMetricWarning: A rate is NaN.

    Example:
        >>> inf = float("inf")
        >>> mate, other = torch.tensor([0.9, 0.3, -inf, -inf]), torch.tensor([0.2, 0.1, 0.5, 0.2])
        >>> tpir_at_fpir(Candidates(mate, other, torch.tensor([1, 1, 0, 0])), (0.5, 1.0))
        {0.5: 1.0, 1.0: 1.0}
    """
    _check_rates(fpirs)
    known = found.rank > 0
    strangers, mates = found.other[~known].sort(descending=True).values, found.mate[known]
    first = found.rank[known] == 1
    rates: dict[float, float] = {}
    for rate in fpirs:
        passed = accepted_impostors(rate, len(strangers))
        if passed < 1 or not len(mates):
            rates[rate] = math.nan
        else:
            limit = float(strangers[passed]) if passed < len(strangers) else -math.inf
            rates[rate] = float((first & (mates > limit)).double().mean())
    named = {f"tpir@fpir={rate:g}": value for rate, value in rates.items()}
    warn_undefined(named, f"{len(mates)} probes of the gallery's people and {len(strangers)} strangers")
    return rates


def identification(
    probes: Tensor,
    probe_labels: Tensor,
    galleries: Sequence[tuple[Tensor, Tensor]],
    *,
    ranks: Sequence[int] = (1, 5, 10),
    fpirs: Sequence[float] = (0.1, 0.01),
) -> dict[str, float]:
    """The protocol of IJB-B and IJB-C: every probe searched in each gallery, the rates averaged over the galleries.

    Args:
        probes: Templates, ``(P, D)``.
        probe_labels: Who they are, ``(P,)``.
        galleries: Templates ``(G, D)`` and labels ``(G,)`` of each gallery; the people of one are strangers in another.
        ranks: Of `rank_accuracy`.
        fpirs: Of `tpir_at_fpir`.

    Returns:
        ``rank_1`` and the like, ``tpir_at_fpir_1e-01`` and the like.

    Raises:
        MongeError: As for `search`, or no gallery.

    Example:
        >>> x, labels = torch.eye(4), torch.arange(4)
        >>> identification(x, labels, [(x[:2], labels[:2]), (x[2:], labels[2:])], ranks=(1,), fpirs=(0.5,))
        {'rank_1': 1.0, 'tpir_at_fpir_5e-01': 1.0}
    """
    if not galleries:
        raise MongeError("galleries: found none, expected at least one")
    rows = [dict(_rates(search(probes, probe_labels, *gallery), ranks, fpirs)) for gallery in galleries]
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def tpir_among_all(
    probes: Tensor,
    probe_labels: Tensor,
    gallery: Tensor,
    gallery_labels: Tensor,
    *,
    fpirs: Sequence[float] = (0.1, 0.01),
    chunk: int = 1024,
) -> dict[float, float]:
    """What InsightFace's program for IJB calls the rate of identification at a false-accept rate, in bounded memory.

    All galleries are one, in which every probe has its person once, so there are no strangers. The threshold lets as
    many wrong pairs of probe and entry pass as the rate says of the number of probes, rounded up, less one; a probe is
    found if its own person is above it, also where somebody else is more similar. Not the rate of `tpir_at_fpir`.

    Args:
        probes: Templates, ``(P, D)``.
        probe_labels: Who they are, ``(P,)``.
        gallery: ``(G, D)``.
        gallery_labels: Who they are, each once, ``(G,)``.
        fpirs: False-positive identification rates, each above 0 and at most 1.
        chunk: Probes at a time.

    Returns:
        The rate of each.

    Raises:
        MongeError: A person twice in the gallery or a probe without one there, embeddings that cannot be compared, or
            a rate outside (0, 1].

    Example:
        >>> x, labels = torch.eye(3), torch.arange(3)
        >>> tpir_among_all(x, labels, x, labels, fpirs=(0.5,))
        {0.5: 1.0}
    """
    _check_rates(fpirs)
    for name, rows, labels in (("probes", probes, probe_labels), ("gallery", gallery, gallery_labels)):
        check_embeddings(name, rows)
        check_labels(f"{name} labels", labels, len(rows))
    check_same_width(probes, gallery)
    people, order = gallery_labels.to(gallery.device).long().sort()
    wanted = probe_labels.to(gallery.device).long()
    place = torch.searchsorted(people, wanted).clamp_(max=len(people) - 1)
    if bool((people[1:] == people[:-1]).any()) or bool((people[place] != wanted).any()):
        raise MongeError("gallery: found a person twice, or a probe without one, expected each probe's person once")
    own, entries = order[place], unit_rows(gallery)
    passed = {rate: math.ceil(rate * len(probes)) for rate in fpirs}
    mates, wrong = [], entries.new_empty(0)
    for start in range(0, len(probes), chunk):
        part = slice(start, start + chunk)
        similar = unit_rows(probes[part].to(gallery.device)) @ entries.T  # (p, G)
        mates.append(similar.gather(1, own[part, None])[:, 0])
        others = torch.cat([wrong, similar.scatter(1, own[part, None], -torch.inf).flatten()])
        wrong = others.topk(min(max(passed.values()), len(others))).values
    mate = torch.cat(mates)
    limits = {rate: wrong[count - 1] for rate, count in passed.items()}
    return {rate: float((mate > limit).double().mean()) for rate, limit in limits.items()}


def _check_rates(fpirs: Sequence[float]) -> None:
    wrong = [rate for rate in fpirs if not 0 < rate <= 1]
    if wrong:
        raise MongeError(f"fpirs: found {wrong[0]}, expected rates above 0 and at most 1")


def _rates(found: Candidates, ranks: Sequence[int], fpirs: Sequence[float]) -> Iterator[tuple[str, float]]:
    for rank, share in rank_accuracy(found, ranks).items():
        yield f"rank_{rank}", share
    for rate, share in tpir_at_fpir(found, fpirs).items():
        yield f"tpir_at_fpir_{rate:.0e}", share
