"""`search`: what a trained run of two modalities finds for a sentence, or for a drawing."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monge.data import Examples, ImageSet
from monge.data.clip_pairs import MINILM
from monge.data.cross_modal import CrossModalSplits
from monge.data.drawing_set import DrawingSet
from monge.data.formats.encoded_picture import decode_whole
from monge.data.sources.encoded import encode_texts
from monge.data.sources.packaged_pairs import PACKAGED_PAIRS
from monge.data.sources.pasted import paste_on_white
from monge.errors import MongeError, RunError
from monge.extras import require
from monge.nn.two_modalities_build import SIDES
from monge.recipes import Recipe, load_recipe
from monge.recipes.pair_data import PairData
from monge.recipes.sketch_data import SketchData
from monge.train.building import build_task
from monge.train.checkpoints import load_checkpoint
from monge.train.cross_modal_task import CrossModalTask
from monge.train.devices import choose_device, own_torch_state
from monge.train.inference import outputs_of
from monge.train.loading import load_splits
from monge.train.pictures import pictures_of, texts_of
from monge.train.run_files import RunFiles

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Match:
    """One item that was found.

    Args:
        score: Cosine of the two embeddings, or minus their distance, as the recipe measures.
        part: The part of the data that it is in: ``"train"`` (the model has seen it), ``"val"`` or ``"test"``.
        told: What the data say of it: its first caption, or its class.
        picture: uint8 ``(C, H, W)``, where there is one.
    """

    score: float
    part: str
    told: str
    picture: Tensor | None


@dataclass(frozen=True)
class Found:
    """What a search gave.

    Args:
        query: What was asked.
        matches: The best first.
        searched: How many items there were.
        called: What an item is called.
        source: Which data these are.
    """

    query: str
    matches: tuple[Match, ...]
    searched: int
    called: str
    source: str


def search(run: str | Path, query: str, *, top: int = 5, parts: tuple[str, ...] = PARTS, device: str = "auto") -> Found:
    """Looks in a run's data for what a query asks for, with the run's best (else last) checkpoint.

    Args:
        run: Folder of a cross-modal run.
        query: Words, for runs whose queries are captions that the packaged encoder knows; else the path of a drawing.
        top: How many matches.
        parts: Where to look.
        device: As for `fit`.

    Raises:
        RunError: No run or no checkpoint there, or a run that cannot be asked this way.
        MongeError: The data or the encoder are not fetched, or the picture cannot be read.
    """
    files = RunFiles(Path(run))
    if not files.recipe.is_file():
        raise RunError(f"{files.folder}: there is no run here (no recipe.yaml)")
    recipe = load_recipe(files.recipe)
    asks_words = _check(files.folder, recipe, query)
    where = choose_device(device, recipe)[1]
    checkpoint = load_checkpoint(files.best if files.best.is_file() else files.last)
    with own_torch_state(recipe.train.threads):
        splits: Any = load_splits(_unmirrored(files, recipe), progress=True)
        inputs = _words(query, splits) if asks_words else _drawing(Path(query), splits)
        task: Any = build_task(recipe, splits)
        try:
            task.model.load_state_dict(checkpoint["model"])
        except RuntimeError as error:
            raise RunError(f"{files.folder}: the checkpoint does not fit recipe.yaml and these data") from error
        return _best(task.to(where), inputs, query, splits, parts, top)


def _check(folder: Path, recipe: Recipe, query: str) -> bool:
    """Whether the query is words; refuses runs and queries that do not go together."""
    data = recipe.data
    if recipe.task != "cross-modal":
        found = f"found a run of task {recipe.task}, which has no queries"
        raise RunError(f"{folder}: {found}: search needs a cross-modal one")
    if not query.strip():
        raise MongeError("the query is empty: give a sentence, or the path of a drawing")
    if isinstance(data, SketchData):
        if not Path(query).expanduser().is_file():
            raise RunError(f"{folder}: its queries are drawings, found {query!r}, expected the path of a picture")
        return False
    if not isinstance(data, PairData) or (data.name not in PACKAGED_PAIRS and data.text != MINILM):
        wanted = f"expected captions encoded by {MINILM} (data.text), which words can be compared with"
        raise RunError(f"{folder}: its queries are features from files ({data.name}), {wanted}")
    if data.source == "synthetic":
        raise RunError(f"{folder}: was trained on made-up features, which no sentence has: train it on real data")
    return True


def _unmirrored(files: RunFiles, recipe: Recipe) -> Recipe:
    """The recipe with every picture once."""
    stamps = isinstance(recipe.data, PairData) and recipe.data.name == "stamps"
    return load_recipe(files.recipe, ["data.mirrored=false"]) if stamps else recipe


def _words(query: str, splits: CrossModalSplits) -> Tensor:
    """One input as the captions of the data are."""
    shape = splits.test_queries.shape
    return encode_texts([query], shape[0] if len(shape) == 2 else None)


def _drawing(path: Path, splits: CrossModalSplits) -> Tensor:
    """One input as the drawings of the data are: the whole picture, on white in the middle of a square."""
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise MongeError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    decode_whole(content, path)  # tells every way in which it may be damaged
    images = require("PIL.Image", extra="train", purpose="reading pictures")
    opened = images.open(io.BytesIO(content)).convert("RGBA")
    picture = paste_on_white(opened, splits.test_queries.shape[-1], trim=False)
    return DrawingSet(ImageSet(torch.from_numpy(picture)[None], torch.zeros(1, dtype=torch.int64))).inputs([0])


def _best(
    task: CrossModalTask, inputs: Tensor, query: str, splits: CrossModalSplits, parts: tuple[str, ...], top: int
) -> Found:
    """Embeds the query and all galleries, each once."""
    asked, gallery = SIDES
    task.eval()
    with torch.no_grad():
        wanted = task(asked, inputs.to(task.device)).float().cpu()
    sides: list[tuple[str, Examples, Examples]] = []
    for part in parts:
        queries, items = splits.part(part)
        # The parts may share one gallery.
        if all(items is not other for _, _, other in sides):
            sides.append((part, queries, items))
    embedded = torch.cat([outputs_of(task, items, forward=partial(task, gallery)) for _, _, items in sides])
    scores = _scores(wanted, embedded, task.recipe)
    order = scores.argsort(descending=True, stable=True)[:top].tolist()
    places = [(side, row) for side, (_, _, items) in enumerate(sides) for row in range(len(items))]
    matches = [_match(scores[place], sides[places[place][0]], places[place][1], splits) for place in order]
    return Found(query, tuple(matches), len(places), splits.gallery_name, splits.source)


def _scores(wanted: Tensor, embedded: Tensor, recipe: Recipe) -> Tensor:
    """Of one query with every item, higher is better."""
    scores: Tensor = -torch.cdist(wanted, embedded)[0]
    if recipe.evaluate.distance == "cosine":
        scores = functional.cosine_similarity(wanted, embedded, dim=1)
    return scores


def _match(score: Tensor, side: tuple[str, Examples, Examples], row: int, splits: CrossModalSplits) -> Match:
    part, queries, items = side
    pictures = pictures_of(items, torch.tensor([row]))
    label, texts = int(items.labels[row]), texts_of(queries)
    told = "" if splits.paired else splits.classes[label]
    if splits.paired and texts is not None:
        told = next((texts[place] for place in (queries.labels == label).nonzero()[:, 0].tolist()), "")
    return Match(float(score), part, told, None if pictures is None else pictures[0])
