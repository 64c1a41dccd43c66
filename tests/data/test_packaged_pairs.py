"""Stamps and clips as pairs: labels, parts, mirrored pictures, languages, choices; made-up items and encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from monge.data.pairs import load_pairs
from monge.data.sources import packaged_pairs as room
from monge.data.sources.emoji_clips import EmojiClip
from monge.data.sources.stamps import Stamp
from monge.errors import MongeError


def digits(text: str) -> Tensor:
    """A vector that tells a text from others, blind to upper and lower case as the real encoder is."""
    return torch.tensor([float(ord(letter)) for letter in text.casefold().ljust(40)[:40]])


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Encoders that note what they were asked for."""
    asked = SimpleNamespace(pictures=[], texts=[])

    def picture_features(
        name: str,
        digests: Sequence[str],
        read: Callable[[int], object],
        *,
        size: int,
        mirrored: bool = False,
        **_: object,
    ) -> dict[str, Tensor]:
        asked.pictures.append((name, len(set(digests)), size))
        rows = torch.arange(len(digests), dtype=torch.float32)[:, None, None].repeat(1, 8 if "emoji" in name else 1, 6)
        pictures = torch.zeros(len(digests), 3, 4, 4, dtype=torch.uint8)
        pictures[:, :, :, 0] = torch.arange(len(digests), dtype=torch.uint8)[:, None, None]
        return {"features": rows, "pictures": pictures} | ({"mirrored": -rows} if mirrored else {})

    def text_features(name: str, texts: Sequence[str], tokens: int | None, progress: object) -> Tensor:
        asked.texts.append((len(texts), tokens))
        vectors = torch.stack([digits(text) for text in texts])
        return vectors if tokens is None else vectors[:, None].repeat(1, tokens, 1)

    monkeypatch.setattr(room, "picture_features", picture_features)
    monkeypatch.setattr(room, "text_features", text_features)
    return asked


@pytest.fixture
def some_stamps(monkeypatch: pytest.MonkeyPatch) -> list[Stamp]:
    """Forty stamps with thirty sentences, two of which differ only in how they are written."""
    sentences = ["The letter A.", "The letter a.", *(f"Thing {place % 28}." for place in range(38))]
    found = [
        Stamp(f"kind{place % 2}/{place}", f"{place}.png", str(place), text, {"de": f"Ding {text}"} if place % 4 else {})
        for place, text in enumerate(sentences)
    ]
    monkeypatch.setattr(room, "stamps", lambda: found)
    return found


@pytest.fixture
def some_clips(monkeypatch: pytest.MonkeyPatch) -> list[EmojiClip]:
    found = [
        EmojiClip(
            f"1f{place:03x}", 1 + place % 3, "animals", {"en": f"beast {place}", "de": f"Tier {place}"}, {"en": ("x",)}
        )
        for place in range(30)
    ]
    monkeypatch.setattr(room, "emoji_clips", lambda parts: [clip for clip in found if clip.part <= parts])
    return found


def test_stamps_with_one_sentence_are_one_pair(encoders: SimpleNamespace, some_stamps: list[Stamp]) -> None:
    splits = load_pairs("stamps")
    assert splits.paired
    assert (splits.query_name, splits.gallery_name) == ("sentence", "picture")
    told: dict[int, set[str]] = {}
    for part in ("train", "val", "test"):
        queries, gallery = splits.part(part)
        # Each sentence once, and what has a sentence has a picture.
        assert len(set(queries.labels.tolist())) == len(queries)
        assert set(queries.labels.tolist()) == set(gallery.labels.tolist())
        assert not told.keys() & set(queries.labels.tolist())
        for label, text, row in zip(queries.labels.tolist(), queries.texts, queries.inputs(range(len(queries)))):
            told.setdefault(label, set()).add(text)
            assert torch.equal(row, digits(text))
        for row, label in zip(gallery.inputs(range(len(gallery)))[:, 0].abs().int().tolist(), gallery.labels.tolist()):
            assert some_stamps[row].caption.casefold() in {text.casefold() for text in told[label]}
    assert len(told) == 29
    assert encoders.pictures == [("stamps", 40, 224)]


def test_only_pictures_to_learn_from_are_mirrored(encoders: SimpleNamespace, some_stamps: list[Stamp]) -> None:
    plain, twice = load_pairs("stamps", mirrored=False), load_pairs("stamps")
    assert len(twice.train_gallery) == 2 * len(plain.train_gallery)
    assert len(twice.val_gallery) == len(plain.val_gallery)
    assert len(twice.test_gallery) == len(plain.test_gallery)
    count = len(plain.train_gallery)
    both = twice.train_gallery
    assert torch.equal(both.inputs(range(count)), -both.inputs(range(count, 2 * count)))
    assert torch.equal(both.pictures([3]), both.pictures([3 + count]).flip(-1))
    assert "also mirrored" in twice.definition
    assert "mirrored" not in plain.definition


def test_languages_add_captions(encoders: SimpleNamespace, some_stamps: list[Stamp]) -> None:
    english, both = load_pairs("stamps"), load_pairs("stamps", languages=("de",))
    assert len(both.train_queries) > len(english.train_queries)
    assert any(text.startswith("Ding") for text in both.test_queries.texts)
    assert "captions also in de" in both.definition
    with pytest.raises(MongeError, match="languages: found 'xx', expected some of de"):
        load_pairs("stamps", languages=("de", "xx"))


def test_clips_have_a_name_and_a_description(encoders: SimpleNamespace, some_clips: list[EmojiClip]) -> None:
    splits = load_pairs("emoji-clips", tokens=5)
    queries, gallery = splits.part("train")
    assert len(queries) == 2 * len(gallery)
    assert (queries.shape, gallery.shape) == ((5, 40), (8, 6))
    assert {text for text, label in zip(queries.texts, queries.labels.tolist()) if label == int(gallery.labels[0])} == {
        some_clips[int(gallery.labels[0])].labels["en"],
        some_clips[int(gallery.labels[0])].captions()[1],
    }
    assert encoders.texts == [(60, 5)]
    assert load_pairs("emoji-clips", frames="mean").test_gallery.shape == (6,)
    fewer = load_pairs("emoji-clips", parts=1)
    assert sum(len(fewer.part(part)[1]) for part in ("train", "val", "test")) == 10
    assert "anim-2" not in fewer.source


@pytest.mark.parametrize(
    ("name", "choice", "told"),
    [
        ("stamps", {"parts": 1}, "data.parts: stamps leaves no such choice"),
        ("emoji-clips", {"mirrored": True}, "data.mirrored: emoji-clips leaves no such choice"),
        ("stamps", {"captions": 2}, "data.captions: stamps leaves no such choice"),
        ("stamps", {"text": "minilm"}, "data.text: stamps leaves no such choice"),
        ("emoji-clips", {"parts": 4}, "parts: found 4, expected 1 to 3"),
        ("emoji-clips", {"frames": 0}, "frames: found 0, expected 1 to 32"),
        ("stamps", {"source": "/somewhere"}, "stamps comes in a package alone: found source /somewhere"),
    ],
)
def test_choices_that_there_are_not(name: str, choice: dict[str, object], told: str) -> None:
    with pytest.raises(MongeError, match=told):
        load_pairs(name, **choice)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["stamps", "emoji-clips"])
def test_made_up_features_have_the_shape_of_the_real_ones(name: str) -> None:
    splits = load_pairs(name, "synthetic", tokens=6)
    assert "nothing real" in splits.source
    assert splits.train_queries.shape == (6, 384)
    assert splits.train_gallery.shape == ((1280,) if name == "stamps" else (8, 1280))
    assert bool(splits.train_queries.inputs(range(40)).isnan().any())
    assert torch.equal(
        splits.test_gallery.inputs([0]), load_pairs(name, "synthetic", tokens=6).test_gallery.inputs([0])
    )
    # Learnable: the hidden vector is in both.
    queries, gallery = load_pairs(name, "synthetic", frames="mean").part("train")
    x, y = gallery.inputs(range(len(gallery))), queries.inputs(range(len(queries)))[:: len(queries) // len(gallery)]
    way = torch.linalg.lstsq(x[:120], y[:120]).solution
    close = torch.nn.functional.cosine_similarity(x[120:] @ way, y[120:], dim=1)
    assert float(close.mean()) > 0.5
