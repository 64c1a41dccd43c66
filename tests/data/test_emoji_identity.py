"""Emoji as identities: the list, fetching by npm from small stand-ins, drawings, pairs of two makers."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge import data
from monge.data import load_faces
from monge.data.sources import emoji_identity, registry
from monge.data.sources.emoji_identity import EMOJI_SETS, Emoji, emoji_identities, emoji_pictures
from monge.data.sources.emoji_identity_drawing import draw_emoji
from monge.errors import MongeError

MAKER = {emoji_set.name: emoji_set.maker for emoji_set in EMOJI_SETS}


def test_every_identity_has_five_makers_and_one_place() -> None:
    emoji = emoji_identities()
    assert len({one.code for one in emoji}) == len(emoji) >= 1000
    assert min(len({MAKER[name] for name in one.icons}) for one in emoji) == 5
    assert Counter(one.part for one in emoji) == {"train": 624, "val": 111, "test": 310}


def test_identities_are_single_code_points_without_skin_tones() -> None:
    codes = [one.code for one in emoji_identities()]
    assert all(len(code) in (4, 5) and int(code, 16) for code in codes)
    assert not {f"{code:X}" for code in range(0x1F3FB, 0x1F400)} & set(codes)


def test_no_set_uses_an_icon_twice() -> None:
    for emoji_set in EMOJI_SETS:
        icons = [one.icons[emoji_set.name] for one in emoji_identities() if emoji_set.name in one.icons]
        assert len(set(icons)) == len(icons) > 400


def test_drawings_are_coloured_and_whole() -> None:
    picture = draw_emoji('<rect width="36" height="18" fill="#00f"/>', 12)
    assert picture[:, 2, 6].tolist() == [0, 0, 255]
    assert picture[:, 9, 6].tolist() == [255, 255, 255]
    # A box that is wider than high is set into the middle of the square.
    wide = draw_emoji('<rect width="40" height="20" fill="#00f"/>', 8, (0, 0, 40, 20))
    assert (wide[0] == 0).sum(axis=1).tolist() == [0, 0, 8, 8, 8, 8, 0, 0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('<image href="file.png"/>', "the icon has '<image' in it, expected plain shapes"),
        ('<use href="other.svg#a"/>', "the icon has 'href=\"' in it"),
        ('<path fill="url(http://example.org/a)" d="M0 0h9v9z"/>', r"the icon has 'url\(' in it"),
        ("<!-- a --><path/>", "the icon has '<!' in it"),
        ("<script>1</script>", "the icon has '<script' in it"),
        ("<path", "the icon cannot be drawn"),
        ('<path fill="#fff" d="M0 0h9v9z"/>', "the icon shows nothing"),
    ],
)
def test_drawings_that_are_none_are_refused(body: str, message: str) -> None:
    with pytest.raises(MongeError, match=message):
        draw_emoji(body, 8)


def square(colour: str) -> dict[str, str]:
    return {"body": f'<path fill="{colour}" d="M4 4h8v8H4z"/>'}


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two sets with two listed icons in place of npm's packages; gives the names that npm is asked for."""
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path / "cache"))
    sets, archives, asked = [], {}, []
    for number, emoji_set in enumerate(EMOJI_SETS[:2]):
        icons = {"cat": square(f"#{number}00"), "dog": square(f"#0{number}9"), "unlisted": {"body": "<image/>"}}
        content: dict[str, Any] = {"width": 16, "height": 16, "icons": icons}
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, text in {"../../evil": "x", "package/icons.json": json.dumps(content)}.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        archives[emoji_set.name] = stream.getvalue()
        sets.append(dataclasses.replace(emoji_set, sha256=hashlib.sha256(stream.getvalue()).hexdigest()))

    def npm_pack(package: str, into: Path) -> Path:
        asked.append(package)
        file = into / "package.tgz"
        file.write_bytes(archives[package.removeprefix("@iconify-json/").rpartition("@")[0]])
        return file

    both = {emoji_set.name: "cat" for emoji_set in sets}
    listed = (Emoji("1F408", "cat", "animal", "train", both), Emoji("1F415", "dog", "animal", "test", {"noto": "dog"}))
    package = dataclasses.replace(
        emoji_identity.EMOJI_IDENTITY, hashes={emoji_set.archive: emoji_set.sha256 for emoji_set in sets}
    )
    monkeypatch.setattr(emoji_identity, "EMOJI_SETS", tuple(sets))
    monkeypatch.setattr(emoji_identity, "emoji_identities", lambda: listed)
    monkeypatch.setattr(emoji_identity, "npm_pack", npm_pack)
    monkeypatch.setattr(emoji_identity, "EMOJI_IDENTITY", package)
    monkeypatch.setitem(registry._PACKAGES, "emoji-identity", package)
    return asked


def test_fetching_keeps_the_listed_icons_and_draws_them(offered: list[str]) -> None:
    told: list[str] = []
    folder = data.fetch("emoji-identity", told.append)
    assert offered == ["@iconify-json/twemoji@1.2.5", "@iconify-json/noto@1.2.9"]
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "noto.json.gz", "twemoji.json.gz"]
    assert [sentence for sentence in told if "drawing" in sentence] == [
        "emoji-identity: drawing 1 icons of twemoji at 64 x 64",
        "emoji-identity: drawing 2 icons of noto at 64 x 64",
    ]
    noto = emoji_identity.EMOJI_SETS[1]
    pictures = emoji_pictures(noto, 16)
    assert pictures[:, :, 8, 8].tolist() == [[17, 0, 0], [0, 17, 153]]
    assert data.check("emoji-identity") > 0


def test_a_size_is_drawn_once_and_again_where_the_copy_is_damaged(offered: list[str]) -> None:
    data.fetch("emoji-identity")
    noto, told = emoji_identity.EMOJI_SETS[1], list[str]()
    first = emoji_pictures(noto, 16, told.append)
    assert np.array_equal(emoji_pictures(noto, 16, told.append), first)
    assert len(told) == 1
    for kept in (data.cache_dir() / "emoji-identity-pictures").glob("noto-16-*"):
        kept.write_bytes(kept.read_bytes()[:-40])
    assert np.array_equal(emoji_pictures(noto, 16, told.append), first)
    assert len(told) == 2


def test_a_damaged_copy_of_the_icons_is_told(offered: list[str]) -> None:
    folder = data.fetch("emoji-identity")
    (folder / "noto.json.gz").write_bytes(b"damaged")
    with pytest.raises(MongeError, match=r"noto.json.gz: cannot be read .*run `monge data get emoji-identity`"):
        emoji_pictures(emoji_identity.EMOJI_SETS[1], 20)


def test_another_archive_than_the_known_one_is_refused(offered: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = dataclasses.replace(emoji_identity.EMOJI_IDENTITY, hashes={EMOJI_SETS[0].archive: "0" * 64})
    monkeypatch.setitem(registry._PACKAGES, "emoji-identity", wrong)
    with pytest.raises(MongeError, match="it is not the file that monge knows"):
        data.fetch("emoji-identity")


@pytest.mark.parametrize("size", [4, 1000])
def test_sizes_out_of_bounds_are_told(size: int) -> None:
    with pytest.raises(MongeError, match=f"emoji-identity: found size {size}, expected 8 to 512"):
        emoji_pictures(EMOJI_SETS[0], size)


@pytest.mark.skipif(not data.is_cached("emoji-identity"), reason="emoji-identity is not in the data cache")
def test_the_real_pairs_join_two_makers_and_hard_impostors_one_kind() -> None:
    splits = load_faces("emoji-identity")
    test = [one for one in emoji_identities() if one.part == "test"]
    assert splits.classes == tuple(one.name for one in emoji_identities() if one.part == "train")
    assert not set(splits.classes) & {one.name for one in test}
    makers = [MAKER[name] for one in test for name in MAKER if name in one.icons]
    kinds = [one.kind for one in test for name in MAKER if name in one.icons]
    for name, pairs in splits.test.items():
        assert len(makers) == len(pairs.images)
        both = list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True))
        assert all(makers[one] != makers[other] for one, other, _ in both)
        assert torch.bincount(pairs.folds).tolist() == [600] * 10
        assert pairs.genuine == 3000
        if name == "hard":
            assert all(same or kinds[one] == kinds[other] for one, other, same in both)
