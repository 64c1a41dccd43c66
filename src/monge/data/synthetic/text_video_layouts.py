"""Writes made-up clips in the layouts of MSR-VTT, DiDeMo, Charades-STA and RUDDER, and as one's own data would lie."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monge.data.synthetic.text_video import DrawnClips, draw_clips
from monge.extras import require

Ending = Literal[".npz", ".pickle", ".h5", ".safetensors"]


def parts_of(count: int) -> dict[str, range]:
    """Numbers of the clips of each part: two thirds for training, of the rest two fifths for validation.

    Example:
        >>> [len(numbers) for numbers in parts_of(30).values()]
        [20, 4, 6]
    """
    train, val = count * 2 // 3, count * 2 // 15
    return {"train": range(train), "val": range(train, train + val), "test": range(train + val, count)}


def write_features(path: Path, arrays: dict[str, Any]) -> None:
    """Writes one array for each name, in the form that the ending asks for; pickles may hold lists of arrays.

    Args:
        path: Ends in ``.npz``, ``.pickle``, ``.pkl``, ``.h5`` or ``.safetensors``; its folder is made.
        arrays: By name.

    Example:
        >>> import tempfile
        >>> write_features(file := Path(tempfile.mkdtemp()) / "rgb.npz", {"a": np.zeros((2, 3))})
        >>> file.is_file()
        True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix in (".pickle", ".pkl"):
        path.write_bytes(pickle.dumps(arrays, protocol=4))
    elif path.suffix == ".safetensors":
        require("safetensors.numpy", extra="train", purpose="writing safetensors files").save_file(arrays, str(path))
    else:
        h5py = require("h5py", extra="text", purpose="writing HDF5 files")
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array


def write_fake_msrvtt(
    folder: str | Path,
    *,
    clips: int = 60,
    captions: int = 20,
    layout: Literal["official", "experts"] = "official",
    ending: Ending = ".npz",
    seed: int = 0,
) -> None:
    """Writes MSR-VTT with ``MSRVTT_data.json`` and tables of 1k-A, or as the collaborative experts have it.

    As in the real set, one clip has a caption less than the others. Features lie in ``features/`` and ``text``, those
    of the experts in pickles in folders that are called ``aggregated_...``.

    Args:
        folder: Where to; made if it is not there.
        clips: How many.
        captions: Of each.
        layout: Which of the two.
        ending: Form of the features of the official layout.
        seed: Seed of the clips.

    Example:
        >>> import tempfile
        >>> write_fake_msrvtt(root := tempfile.mkdtemp(), clips=15, captions=2, layout="experts")
        >>> sorted(path.name for path in Path(root).glob("*_full.txt"))
        ['test_list_full.txt', 'train_list_full.txt', 'val_list_full.txt']
    """
    place, drawn = _place(folder), draw_clips(clips, captions=captions, seed=seed)
    drawn.captions[0].pop()
    drawn.tokens[0].pop()
    ids = [f"video{number}" for number in range(clips)]
    parts = parts_of(clips)
    given = np.random.default_rng([seed, 7]).integers(0, captions - 1, clips)
    if layout == "official":
        _write_official(place, drawn, ids, parts)
        rows = [[f"ret{n}", f"msr{n}", ids[n], drawn.captions[n][given[n]]] for n in parts["test"]]
        _write_csv(place / "MSRVTT_JSFUSION_test.csv", ["key", "vid_key", "video_id", "sentence"], rows)
        others = [[ids[number]] for part in ("train", "val") for number in parts[part]]
        _write_csv(place / "MSRVTT_train.9k.csv", ["video_id"], others)
        write_own_features(place, drawn, ids, ending)
        return
    for part, numbers in parts.items():
        (place / f"{part}_list_full.txt").write_text("".join(f"{ids[number]}\n" for number in numbers))
    lists = {
        "train_list_jsfusion": [*parts["train"], *parts["val"]],
        "val_list_jsfusion": list(parts["test"]),
        "train_list_miech": list(parts["train"]),
        "test_list_miech": list(parts["test"]),
    }
    for name, chosen in lists.items():
        (place / f"{name}.txt").write_text("".join(f"{ids[number]}\n" for number in chosen))
    index = {ids[number]: int(given[number]) for number in parts["test"]}
    (place / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps(index))
    _write_expert_features(place, drawn, ids, "w2v_MSRVTT_openAIGPT.pickle")


def write_fake_didemo(
    folder: str | Path,
    *,
    clips: int = 60,
    captions: int = 4,
    layout: Literal["official", "experts"] = "official",
    ending: Ending = ".npz",
    seed: int = 0,
) -> None:
    """Writes DiDeMo's three JSON files with endings of video files on the names, or as the collaborative experts do.

    Args:
        folder: Where to; made if it is not there.
        clips: How many.
        captions: Sentences on each.
        layout: Which of the two; the lists of clips are in both.
        ending: Form of the features of the official layout.
        seed: Seed of the clips.

    Example:
        >>> import tempfile
        >>> write_fake_didemo(root := tempfile.mkdtemp(), clips=15)
        >>> sorted(path.name for path in Path(root).glob("*.json"))
        ['test_data.json', 'train_data.json', 'val_data.json']
    """
    place, drawn = _place(folder), draw_clips(clips, captions=captions, seed=seed)
    endings = (".avi", ".mov", ".3gp", ".m4v", "")
    bare = [f"{37_000_000 + number}@N0{number % 9}_{4_330_302_052 + number}" for number in range(clips)]
    ids = [one + endings[number % len(endings)] for number, one in enumerate(bare)]
    running = 0
    for part, numbers in parts_of(clips).items():
        (place / f"{part}_list.txt").write_text("".join(f"{ids[number]}\n" for number in numbers))
        items = []
        for number in numbers:
            for step, text in enumerate(drawn.captions[number]):
                first = (number + step) % 6
                times = [[first, first], [first, min(5, first + 1)], [first, first], [max(0, first - 1), first]]
                items.append({"annotation_id": running, "description": text, "video": ids[number], "times": times,
                              "num_segments": 6})  # fmt: skip
                running += 1
        if layout == "official":
            (place / f"{part}_data.json").write_text(json.dumps(items))
    if layout == "official":
        write_own_features(place, drawn, bare, ending)
    else:
        _write_expert_features(place, drawn, bare, "openai-feats.pkl")


def write_fake_charades(
    folder: str | Path, *, clips: int = 60, captions: int = 2, ending: Ending = ".npz", seed: int = 0
) -> None:
    """Writes the two files of Charades-STA and the tables with the lengths of its clips, one of them too short.

    Args:
        folder: Where to; made if it is not there.
        clips: How many; a fifth is for testing.
        captions: Sentences on each.
        ending: Form of the features.
        seed: Seed of the clips.

    Example:
        >>> import tempfile
        >>> write_fake_charades(root := tempfile.mkdtemp(), clips=15)
        >>> (Path(root) / "charades_sta_test.txt").read_text().split("##")[0]
        'AAAAM 0.0 6.9'
    """
    place, drawn = _place(folder), draw_clips(clips, captions=captions, seed=seed)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    ids = ["AAA" + letters[number // len(letters)] + letters[number % len(letters)] for number in range(clips)]
    cut = clips - clips // 5
    for part, numbers in (("train", range(cut)), ("test", range(cut, clips))):
        lines = [
            f"{ids[number]} {5.1 * step:.1f} {5.1 * step + 6.9:.1f}##{text}."
            for number in numbers
            for step, text in enumerate(drawn.captions[number])
        ]
        (place / f"charades_sta_{part}.txt").write_text("\n".join(lines) + "\n")
        lengths = [[ids[number], f"{30.0 if number else 10.0:.2f}"] for number in numbers]
        _write_csv(place / f"Charades_v1_{part}.csv", ["id", "length"], lengths)
    write_own_features(place, drawn, ids, ending)


def write_fake_rudder(
    folder: str | Path, *, clips: int = 60, captions: int = 2, ending: Ending = ".npz", seed: int = 0
) -> None:
    """Writes ``captions.json`` with captions in Hindi and Marathi by name; the words are English with a sign each.

    Args:
        folder: Where to; made if it is not there.
        clips: How many.
        captions: Of each, in each language.
        ending: Form of the features.
        seed: Seed of the clips.

    Example:
        >>> import tempfile
        >>> write_fake_rudder(root := tempfile.mkdtemp(), clips=15)
        >>> sorted(json.loads((Path(root) / "captions.json").read_text())[0]["captions"])
        ['hi', 'mr']
    """
    place, drawn = _place(folder), draw_clips(clips, captions=2 * captions, seed=seed)
    part = {number: name for name, numbers in parts_of(clips).items() for number in numbers}
    items = []
    for number, texts in enumerate(drawn.captions):
        told = {"hi": [f"ह {text}" for text in texts[:captions]], "mr": [f"म {text}" for text in texts[captions:]]}
        items.append({"id": f"clip{number}", "split": part[number], "captions": told})
    (place / "captions.json").write_text(json.dumps(items, ensure_ascii=False), encoding="utf-8")
    write_own_features(place, drawn, [f"clip{number}" for number in range(clips)], ending)


def write_fake_pairs(folder: str | Path, *, count: int = 60, seed: int = 0) -> None:
    """Writes data of one's own in the simplest form: ``queries.npz``, ``gallery.npz`` and ``pairs.csv``.

    Args:
        folder: Where to; made if it is not there.
        count: Gallery items; each has two queries.
        seed: Seed of both.

    Example:
        >>> import tempfile
        >>> write_fake_pairs(root := tempfile.mkdtemp(), count=15)
        >>> (Path(root) / "pairs.csv").read_text().splitlines()[:2]
        ['query,gallery', 'q0-0,g0']
    """
    place, drawn = _place(folder), draw_clips(count, captions=2, seed=seed)
    rgb = {f"g{number}": rows.mean(0) for number, rows in enumerate(drawn.experts["rgb"])}
    pairs = [(f"q{number}-{step}", f"g{number}", tokens.mean(0)) for number, captions in enumerate(drawn.tokens)
             for step, tokens in enumerate(captions)]  # fmt: skip
    write_features(place / "gallery.npz", rgb)
    write_features(place / "queries.npz", {query: vector for query, _, vector in pairs})
    _write_csv(place / "pairs.csv", ["query", "gallery"], [[query, item] for query, item, _ in pairs])


def write_own_features(place: Path, drawn: DrawnClips, ids: list[str], ending: Ending) -> None:
    """``features/<expert>`` and ``text``, as one's own extraction would leave them.

    Args:
        place: The folder.
        drawn: The clips.
        ids: Their names.
        ending: Form of the files.
    """
    for name, clips in drawn.experts.items():
        write_features(place / "features" / f"{name}{ending}", dict(zip(ids, clips)))
    if ending == ".pickle":
        write_features(place / "text.pickle", dict(zip(ids, drawn.tokens)))
        return
    numbered: dict[str, NDArray[np.float32]] = {
        f"{one}/{number}": rows for one, tokens in zip(ids, drawn.tokens) for number, rows in enumerate(tokens)
    }
    write_features(place / f"text{ending}", numbered)


def _write_official(place: Path, drawn: DrawnClips, ids: list[str], parts: dict[str, range]) -> None:
    names = {"train": "train", "val": "validate", "test": "test"}
    part = {number: names[name] for name, numbers in parts.items() for number in numbers}
    videos = [
        {"category": 9, "url": f"https://example.org/{one}", "video_id": one, "start time": 0.0, "end time": 9.5,
         "split": part[number], "id": number}
        for number, one in enumerate(ids)
    ]  # fmt: skip
    texts = [(one, text) for one, own in zip(ids, drawn.captions) for text in own]
    sentences = [{"caption": text, "video_id": one, "sen_id": number} for number, (one, text) in enumerate(texts)]
    (place / "MSRVTT_data.json").write_text(json.dumps({"info": {}, "videos": videos, "sentences": sentences}))


def _write_expert_features(place: Path, drawn: DrawnClips, ids: list[str], text: str) -> None:
    """Pickles in folders of the collaborative experts; what an expert says nothing on is NaN, a single number."""
    words = {one: [caption.split() for caption in own] for one, own in zip(ids, drawn.captions)}
    (place / "raw-captions.pkl").write_bytes(pickle.dumps(words))
    folders = {"rgb": "aggregated_imagenet/resnext-avg.pickle", "flow": "aggregated_i3d/i3d-avg.pickle",
               "audio": "aggregated_audio_feats/vggish-audio-raw.pickle"}  # fmt: skip
    for name, file in folders.items():
        rows = [float("nan") if np.isnan(clip).all() else clip for clip in drawn.experts[name]]
        write_features(place / file, dict(zip(ids, rows)))
    write_features(place / "aggregated_text_feats" / text, dict(zip(ids, drawn.tokens)))


def _write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _place(folder: str | Path) -> Path:
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    return place
