"""`evaluate_pairs`: a face run's model on pairs from a file, without the data that it learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from monge.data.face_pairs import PairSet
from monge.data.faces import load_pair_set
from monge.data.formats.pairs_txt import read_pairs_txt
from monge.errors import DataFormatError, RunError
from monge.metrics.blending import blended_verification
from monge.metrics.map_transport import transport_distances
from monge.metrics.thresholds import OperatingPoint
from monge.metrics.verification import verify
from monge.train.devices import choose_device, own_torch_state
from monge.train.face_measures import Measured, store_verification
from monge.train.face_run import open_face_run, trained_face_task
from monge.train.face_task import FaceTask
from monge.train.run_files import RunFiles, say

_FOLDS = 10
_PAIRS_AT_ONCE = 128


def evaluate_pairs(
    run: str | Path,
    pairs: str | Path,
    *,
    pictures: str | Path | None = None,
    transport: bool = False,
    device: str = "auto",
    progress: bool = False,
) -> dict[str, float]:
    """Verifies the pairs of a file with a run's best (else last) checkpoint.

    Rewrites the run's ``verification.safetensors``, so that its report shows these pairs; ``monge evaluate RUN`` brings
    the run's own back.

    Args:
        run: The folder of a face run.
        pairs: A ``.bin`` file of InsightFace, or a list of pairs such as LFW's ``pairs.txt``.
        pictures: Of a list, the folder with a folder for each person; none: the one that the list is in.
        transport: Also blend the distance with the transport cost of the feature maps; the part of each is chosen on
            training folds.
        device: As for `fit`.
        progress: Say on standard error which pairs these are.

    Returns:
        Metrics named ``<set>/...``: those of `monge.metrics.verification.verification_metrics` with exact thresholds;
        ``insightface_accuracy`` and its deviation, with the thresholds that InsightFace's program tries;
        ``stored_far`` and ``stored_tar``, what the threshold stored with the model accepts; ``blended_accuracy``, its
        deviation and ``blended_weight``, the mean part of transport.

    Raises:
        RunError: No face run or no checkpoint there, or too few pairs of a kind.
        DataFormatError: A file of pairs that is not good.
    """
    files, recipe, data = open_face_run(run)
    _check(Path(pairs).expanduser())
    where = choose_device(device, recipe)[1]
    found = in_folds(load_pair_set(pairs, size=data.image_size, pictures=pictures))
    if progress:
        say(f"pairs: {found.source}; {found.genuine:,} genuine, {len(found) - found.genuine:,} impostors")
    with own_torch_state(recipe.train.threads):
        task = trained_face_task(files, recipe, found.images).to(where)
        measured = task.measured(found)
        store_verification(files.verification, {found.name: measured}, found.source)
        metrics = measured.metrics() | _more(measured, files)
        if transport:
            metrics |= _blended(measured, _transport(task, found))
    return {f"{found.name}/{name}": value for name, value in metrics.items()}


def in_folds(pairs: PairSet) -> PairSet:
    """The pairs in folds: their own, or if they have none, ten or as many as both kinds can fill, dealt in turn.

    Args:
        pairs: Any set.

    Raises:
        RunError: Fewer than two pairs of a kind.

    Example:
        >>> from monge.data import ImageSet
        >>> images = ImageSet(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]))
        >>> zeros, same = torch.zeros(5, dtype=torch.int64), torch.tensor([True, False, False, True, False])
        >>> in_folds(PairSet(images, zeros, zeros + 1, same, zeros, "few", "made up")).folds
        tensor([0, 0, 1, 1, 0])
    """
    if pairs.num_folds > 1:
        return pairs
    impostors = len(pairs) - pairs.genuine
    folds = min(_FOLDS, pairs.genuine, impostors)
    if folds < 2:
        found = f"{pairs.genuine} genuine and {impostors} impostor pairs"
        raise RunError(
            f"{pairs.name}: found {found}, expected two or more of each: some are there to learn a threshold"
        )
    place = torch.where(pairs.same, pairs.same.cumsum(0), (~pairs.same).cumsum(0)) - 1
    return replace(pairs, folds=place % folds)


def _check(pairs: Path) -> None:
    """Refuses what is no file of pairs before pictures are looked for."""
    if not pairs.is_file():
        found = "a folder" if pairs.is_dir() else "no such file"
        raise DataFormatError(pairs, "", found, "a .bin file or a list of pairs", "check the path")
    if pairs.suffix != ".bin":
        read_pairs_txt(pairs)


def _more(measured: Measured, files: RunFiles) -> dict[str, float]:
    """Accuracy on InsightFace's thresholds, and what the threshold stored with the model accepts, if there is one."""
    pairs, distances = measured.pairs, measured.distances
    grid = verify(distances, pairs.same, pairs.folds)
    found = {"insightface_accuracy": grid.accuracy, "insightface_accuracy_std": grid.accuracy_std}
    if files.threshold.is_file():
        accepted = OperatingPoint.load(files.threshold).accepts(1 - distances / 2)
        for name, kind in (("stored_far", ~pairs.same), ("stored_tar", pairs.same)):
            found[name] = float(accepted[kind].double().mean())
    return found


def _blended(measured: Measured, cost: Tensor) -> dict[str, float]:
    blend = blended_verification(measured.distances, cost, measured.pairs.same, measured.pairs.folds)
    return {
        "blended_accuracy": blend.accuracy,
        "blended_accuracy_std": blend.accuracy_std,
        "blended_weight": float(blend.weights.mean()),
    }


@torch.no_grad()
def _transport(task: FaceTask, pairs: PairSet) -> Tensor:
    """Transport costs of all pairs ``(P,)``; only the maps of a few pairs are ever held."""
    task.eval()
    parts = []
    for chosen in torch.split(torch.arange(len(pairs)), _PAIRS_AT_ONCE):
        rows = torch.stack([pairs.first[chosen], pairs.second[chosen]])
        shown, places = torch.unique(rows, return_inverse=True)
        maps = task.maps(pairs.images.inputs(shown).to(task.device))
        parts.append(transport_distances(maps, *places.to(maps.device)).cpu())
    return torch.cat(parts)
