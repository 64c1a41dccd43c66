"""Animated emoji: what is kept of the packages, frames on white, captions in languages, parts, and the split."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.data.sources import emoji_clips as room
from monge.data.sources.emoji_clips import CLIPS, EmojiClip, clip_frames, emoji_clips, split_clips
from monge.data.sources.package_group import PackageGroup
from monge.errors import DataFormatError, MongeError

SURFER = "1f3c4-200d-2640-fe0f"


def webp(frames: int) -> bytes:
    """From black to white in so many frames, on a transparent ground."""
    shades = np.linspace(0, 255, frames).astype(int)
    pictures = []
    for shade in shades:
        picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        picture.paste((int(shade), 0, 0, 255), (4, 4, 12, 12))
        picture.paste((0, 0, 0, 255), (1, 1, 3, 3))  # else the encoder cuts the transparent ground off
        pictures.append(picture)
    stream = io.BytesIO()
    pictures[0].save(stream, "WEBP", save_all=frames > 1, append_images=pictures[1:], lossless=True)
    return stream.getvalue()


def tgz(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageGroup:
    """The packages with three clips in the first part and one in the others, made instead of downloaded."""
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    clips = {
        f"package/assets/{SURFER}.webp": webp(8),
        "package/assets/1f3c4-1f3fb.webp": webp(8),  # with a skin tone
        "package/assets/1f600.webp": webp(1),  # does not move
        "package/assets/1f427.webp": webp(3),
        "package/README.md": b"",
    }
    entries = [
        {"hexcode": SURFER.upper(), "group": "people-body", "annotation": "woman surfing", "skintone": ""},
        {"hexcode": "1F427", "group": "animals-nature", "annotation": "penguin", "skintone": ""},
        {"hexcode": "1F3C4-1F3FB", "group": "people-body", "annotation": "person surfing: light", "skintone": 1},
    ]
    words = {"tags": "beach, sport", "openmoji_tags": "sport, wave"}
    openmoji = json.dumps([{**entry, **words} for entry in entries]).encode()
    german = json.dumps([{"hexcode": "1F427", "label": "Pinguin", "tags": ["tier", "vogel"]}]).encode()

    def take(folder: Path, number: int) -> dict[str, Path]:
        files = clips if number == 1 else {f"package/assets/1f42{number}.webp": webp(2)}
        return {room._tgz(number): tgz(folder / "part.tgz", files)}

    def take_texts(folder: Path) -> dict[str, Path]:
        return {
            room._OPENMOJI: tgz(folder / "openmoji.tgz", {"package/data/openmoji.json": openmoji}),
            room._EMOJIBASE: tgz(folder / "emojibase.tgz", {"package/de/data.json": german}),
        }

    parts = {
        number: replace(package, hashes={}, take=lambda folder, number=number: take(folder, number))
        for number, package in room._PARTS.items()
    }
    texts = replace(room._TEXTS, hashes={}, take=take_texts)
    monkeypatch.setattr(room, "_PARTS", parts)
    monkeypatch.setattr(room, "_TEXTS", texts)
    return PackageGroup("emoji-clips", texts, tuple(parts.values()))


def test_what_moves_and_has_no_skin_tone_is_kept_with_its_captions(group: PackageGroup) -> None:
    told: list[str] = []
    assert group.fetch(told.append, parts=1) == group.folder
    surfer, penguin = emoji_clips(parts=1)
    assert (surfer.code, penguin.code) == (SURFER, "1f427")
    assert surfer.captions() == ["woman surfing", "woman surfing: beach, sport, wave"]
    german = ["Pinguin", "Pinguin: tier, vogel"]
    assert penguin.captions(("en", "de", "fr")) == ["penguin", "penguin: beach, sport, wave", *german]
    assert surfer.group == "people-body"
    assert not [line for line in told if "anim-2" in line]


def test_parts_come_one_by_one_and_stay(group: PackageGroup) -> None:
    with pytest.raises(MongeError, match="run `monge data get emoji-clips`"):
        emoji_clips()
    with pytest.raises(MongeError, match="parts 1 to 3, found 4"):
        group.fetch(lambda told: None, parts=4)
    group.fetch(lambda told: None, parts=1)
    assert group.is_cached()
    verified = group.check()
    with pytest.raises(MongeError, match=r"part 2 of emoji-clips is not .*data\.parts=1"):
        emoji_clips()
    before = (group.parts[0].folder / "manifest.json").stat().st_mtime_ns
    group.fetch(lambda told: None)
    assert (group.parts[0].folder / "manifest.json").stat().st_mtime_ns == before
    assert group.check() > verified


def test_frames_are_spread_over_the_clip_and_on_white(group: PackageGroup) -> None:
    group.fetch(lambda told: None, parts=1)
    frames = clip_frames(emoji_clips(parts=1)[0], 4, 32)
    assert frames.shape == (4, 3, 32, 32)
    assert (frames[:, :, 0, 0] == 255).all()
    # Of eight frames the second, fourth, sixth and eighth.
    assert frames[:, 0, 16, 16] == pytest.approx(np.linspace(0, 255, 8)[1::2], abs=3)


def test_damage_is_told_in_one_line(group: PackageGroup) -> None:
    group.fetch(lambda told: None, parts=1)
    clip = emoji_clips(parts=1)[0]
    with pytest.raises(DataFormatError, match="no readable clip 1f999"):
        clip_frames(replace(clip, code="1f999"), 2, 8)
    (group.base.folder / "captions.json").write_text("{")
    with pytest.raises(DataFormatError, match="no readable captions"):
        emoji_clips(parts=1)
    with pytest.raises(MongeError, match="has changed since it was fetched"):
        group.check()
    with pytest.raises(MongeError, match="damaged"):
        room._members(group.base.folder / "captions.json", room._FILE)


def test_man_woman_and_person_stay_together() -> None:
    codes = [
        code
        for number in range(30)
        for code in (f"1f3{number + 10}", f"1f3{number + 10}-200d-2640-fe0f", f"1f468-200d-1f6{number + 10}")
    ]
    clips = [EmojiClip(code, 1, "people-body", {"en": code}, {}) for code in codes]
    assert EmojiClip("1f469-200d-1f680", 1, "", {}, {}).family == EmojiClip("1f468-200d-1f680", 1, "", {}, {}).family
    parts = split_clips(clips)
    families = [{clips[place].family for place in part} for part in parts]
    assert sum(map(len, families)) == len(set().union(*families)) == 60
    assert all(families)


@pytest.mark.skipif(not all(part.is_cached() for part in CLIPS.parts), reason="emoji-clips are not in the data cache")
def test_the_packaged_clips() -> None:
    clips = emoji_clips()
    assert len(clips) == len({clip.labels["en"] for clip in clips}) == 586
    assert [len(emoji_clips(parts)) for parts in (1, 2)] == [187, 363]
    assert [len(part) for part in split_clips(clips)] == [381, 88, 117]
    assert all(len(clip.captions(("en", "de", "zh"))) == 6 for clip in clips)
    frames = clip_frames(clips[0], 2, 32).astype(int)
    assert np.abs(frames[0] - frames[1]).max() > 30
