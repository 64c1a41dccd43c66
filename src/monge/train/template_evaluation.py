"""`evaluate_templates`: a face run's model on IJB-B or IJB-C, templates of pictures verified 1:1 and searched 1:N."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from monge.data.aligned_files import AlignedFiles
from monge.data.ijb_set import IjbSet, open_ijb
from monge.data.sources.feature_cache import FeatureCache, digest_of
from monge.errors import DataFormatError, MongeError, RunError
from monge.metrics.identification import identification, rank_accuracy, search, tpir_among_all
from monge.metrics.roc import auc, equal_error_rate, tar_at_far
from monge.metrics.templates import TemplatePool, Templates, template_similarities
from monge.metrics.thresholds import OperatingPoint
from monge.recipes import Recipe
from monge.train.atomic import write_atomically
from monge.train.devices import choose_device, own_torch_state
from monge.train.face_run import checkpoint_file, open_face_run, trained_face_task
from monge.train.face_task import FaceTask
from monge.train.inference import outputs_of
from monge.train.run_files import RunFiles, say

_FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_RANKS = (1, 5, 10)
_FPIRS = (0.1, 0.01)
# Pictures whose embeddings are in memory at a time, and pictures that a killed process loses at most.
_TOGETHER, _CHUNK = 2048, 256
_SECONDS_BETWEEN = 20.0
_MOST_TOLD = 50


def evaluate_templates(
    run: str | Path, folder: str | Path, *, device: str = "auto", progress: bool = False
) -> dict[str, float]:
    """Measures a face run's best (else last) checkpoint by the protocols of IJB-B and IJB-C.

    Pictures are aligned by their landmarks. The embedding of a picture, added to that of its mirror image and not
    scaled, is weighed by the detection score; see `monge.metrics.pool_templates` for the rest. Embeddings are kept in
    the data cache, so that the work goes on where it was left, and is not done again for the same checkpoint. Writes
    ``<name>.json`` into the run's folder.

    Args:
        run: The folder of a face run.
        folder: Of IJB-B or IJB-C: ``meta`` and ``loose_crop``.
        device: As for `fit`.
        progress: Say on standard error how far it is.

    Returns:
        Metrics named ``ijbc/...``: ``tar_at_far_1e-04`` and the like, as far as the impostors are enough, with the
        largest acceptance whose rate is at most that, ``insightface_tar_at_far_1e-04`` at the point of the curve whose
        rate is nearest, as InsightFace's program has it; ``eer`` and ``auc``; ``stored_far`` and ``stored_tar``, what
        the threshold stored with the model accepts. Where the files of the search are there, ``rank_1``, ``rank_5``,
        ``rank_10``, ``tpir_at_fpir_1e-01`` and ``tpir_at_fpir_1e-02``, the mean of both galleries, and with
        ``insightface_`` before them those of InsightFace's program, which joins the galleries.

    Raises:
        RunError: No face run or no checkpoint there, or pictures that cannot be read; each is told in a line before.
        DataFormatError: A file of the protocol that is not good.
        MongeError: The data cache cannot be written.
    """
    files, recipe, data = open_face_run(run)
    where = choose_device(device, recipe)[1]
    ijb = open_ijb(folder)
    pairs, searches = ijb.pairs(), ijb.searches()
    if progress:
        found = f"{len(ijb):,} pictures of {len(torch.unique(ijb.templates)):,} templates, {len(pairs):,} pairs"
        say(f"{ijb.name}: {found}, {'1:1 and 1:N' if searches else '1:1; no files of the search'}")
    with own_torch_state(recipe.train.threads):
        faces = ijb.faces(data.image_size)
        task = trained_face_task(files, recipe, faces).to(where)
        templates = _pooled(task, ijb, faces, _depends_on(files, recipe, ijb), progress)
        first, second = torch.from_numpy(pairs.first), torch.from_numpy(pairs.second)
        scores = template_similarities(templates, first, second)
        metrics = _verification(scores, torch.from_numpy(pairs.same), files)
        if searches is not None:
            metrics |= _identification(templates, *searches)
    named = {f"{ijb.name}/{name}": value for name, value in metrics.items()}
    defined = {name: value for name, value in named.items() if not math.isnan(value)}
    text = json.dumps({"source": str(ijb.folder), "metrics": defined}, indent=2) + "\n"
    write_atomically(files.folder / f"{ijb.name}.json", lambda part: part.write_text(text, encoding="utf-8"))
    return named


def _depends_on(files: RunFiles, recipe: Recipe, ijb: IjbSet) -> dict[str, object]:
    """All that the embeddings depend on."""
    pictures = (f"{name} {points.tolist()}" for name, points in zip(ijb.names, ijb.landmarks.numpy(), strict=True))
    return {
        "checkpoint": hashlib.sha256(checkpoint_file(files).read_bytes()).hexdigest(),
        "model": repr(recipe.model),
        "pixels": [recipe.data.model_dump(mode="json").get(key) for key in ("image_size", "normalize")],
        "folder": str(ijb.folder.absolute()),
        "pictures": digest_of(pictures),
    }


def _pooled(
    task: FaceTask, ijb: IjbSet, faces: AlignedFiles, depends_on: dict[str, object], progress: bool
) -> Templates:
    """Templates of the embeddings of all pictures, which are never together in memory."""
    pool = TemplatePool(ijb.templates, ijb.media, weights=ijb.scores)
    broken: list[str] = []
    clock = _Clock(ijb.name, len(faces), progress)
    for start in range(0, len(faces), _TOGETHER):
        count = min(_TOGETHER, len(faces) - start)
        cache = FeatureCache(ijb.name, {**depends_on, "first": start}, count, _CHUNK)
        work = _Work(task, faces, start)
        try:
            features = cache.get(work.embed, partial(clock.at, start))["embedding"]
        except DataFormatError:
            broken += work.broken
            for told in work.broken:
                say(f"error: {told}")
            if len(broken) > _MOST_TOLD:
                break
            continue
        if not broken:
            pool.add(features)
    if broken:
        found = f"{len(broken)} {'picture' if len(broken) == 1 else 'pictures'} that cannot be read, told above"
        raise RunError(f"{ijb.folder}: found {found}: put them right and run this again; the others are kept")
    return pool.templates()


class _Work:
    """Embeds pictures of a part of a set, and tells every one of them that cannot be read."""

    def __init__(self, task: FaceTask, faces: AlignedFiles, start: int) -> None:
        self.task, self.faces, self.start = task, faces, start
        self.broken: list[str] = []

    def embed(self, items: list[int]) -> dict[str, Tensor]:
        """Embeddings (B, D) of pictures counted from the start of the part, with their mirror images added."""
        part = self.faces.subset([self.start + item for item in items])
        try:
            return {"embedding": outputs_of(self.task, part, forward=self.task.mirrored_sum)}
        except DataFormatError:
            self.broken = list(_unreadable(part))
            raise


def _unreadable(faces: AlignedFiles) -> Iterator[str]:
    for place in range(len(faces)):
        try:
            faces.inputs([place])
        except DataFormatError as error:
            yield str(error)


class _Clock:
    """Says now and then how many pictures are done and how long the rest will take."""

    def __init__(self, name: str, total: int, show: bool) -> None:
        self.name, self.total, self.show = name, total, show
        self.began: tuple[int, float] | None = None
        self.said = 0.0

    def at(self, start: int, done: int, total: int) -> None:
        """So many of a part that begins at `start` are done; what was there before counts for nothing in the speed."""
        done, now = start + done, time.monotonic()
        if self.began is None:
            self.began = (done, now)
        before, since = self.began
        if not self.show or (now - self.said < _SECONDS_BETWEEN and done < self.total):
            return
        self.said = now
        left = (now - since) / (done - before) * (self.total - done) if done > before else None
        told = "" if left is None else f", {left / 60:,.0f} min left" if left >= 60 else f", {left:.0f} s left"
        say(f"{self.name}: {done:,} of {self.total:,} pictures{told}")


def _verification(scores: Tensor, same: Tensor, files: RunFiles) -> dict[str, float]:
    impostors = int((~same).sum())
    fars = tuple(far for far in _FARS if far * impostors >= 1) or _FARS[-1:]
    found = {f"tar_at_far_{far:.0e}": tar for far, tar in tar_at_far(scores, same, fars).items()}
    nearest = tar_at_far(scores, same, fars, rule="nearest")
    found |= {f"insightface_tar_at_far_{far:.0e}": tar for far, tar in nearest.items()}
    found |= {"eer": equal_error_rate(scores, same), "auc": auc(scores, same)}
    if files.threshold.is_file():
        accepted = OperatingPoint.load(files.threshold).accepts(scores)
        for name, kind in (("stored_far", ~same), ("stored_tar", same)):
            found[name] = float(accepted[kind].double().mean())
    return found


def _identification(
    templates: Templates, probes: tuple[Tensor, Tensor], galleries: list[tuple[Tensor, Tensor]]
) -> dict[str, float]:
    """Rates in each gallery alone, averaged; and by InsightFace's program in both joined, where it can be run."""
    rows, people = templates.embeddings[templates.rows(probes[0])], probes[1]
    parts = [(templates.embeddings[templates.rows(ids)], subjects) for ids, subjects in galleries]
    found = identification(rows, people, parts, ranks=_RANKS, fpirs=_FPIRS)
    joined, subjects = (torch.cat(column) for column in zip(*parts, strict=True))
    try:
        rates = tpir_among_all(rows, people, joined, subjects, fpirs=_FPIRS)
    except MongeError:  # a person twice in the galleries, or not there: the program stops at that
        return found
    ranked = rank_accuracy(search(rows, people, joined, subjects), _RANKS)
    found |= {f"insightface_rank_{rank}": share for rank, share in ranked.items()}
    return found | {f"insightface_tpir_at_fpir_{rate:.0e}": share for rate, share in rates.items()}
