"""Stamps: what is kept of the package, pictures on white, and a split that parts no sentence."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.data.sources import stamps as room
from monge.data.sources.pasted import paste_on_white
from monge.data.sources.stamps import STAMPS, Stamp, split_stamps, stamp_pictures, stamps
from monge.errors import DataFormatError, MongeError

RED = '<svg xmlns="http://www.w3.org/2000/svg" width="20pt" height="10pt"><path fill="red" d="M0 0h99v99H0z"/></svg>'


def png(colour: str, size: tuple[int, int] = (8, 8)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", size, colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder as the package unpacks to."""
    root = tmp_path / "tree" / "usr/share/tuxpaint/stamps"
    files = {
        "animals/kangaroo.txt": "A red kangaroo.\nde.utf8=Ein Rotes Riesenkänguru.\nfr.utf8=\nnonsense\n".encode(),
        "animals/kangaroo.png": png("red"),
        "animals/kangaroo.svg": b"<svg/>",
        "animals/kangaroo_desc.ogg": b"sound",
        "animals/kangaroo_mirror.png": png("blue"),
        "food/bread.txt": b"Bread.\n",
        "food/bread.svg": RED.encode(),
        "seasonal/gift.txt": b"A gift.\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return tmp_path / "tree"


@pytest.fixture
def folder(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cached form of that package."""
    monkeypatch.setattr(room, "unpack_deb", lambda deb, into: shutil.copytree(package, into))
    ready = tmp_path / "ready"
    ready.mkdir()
    room._convert({room._DEB: tmp_path / "none.deb"}, ready)
    return ready


def test_what_is_kept_of_the_package(folder: Path) -> None:
    found = stamps(folder)
    assert [(stamp.key, stamp.file) for stamp in found] == [
        ("animals/kangaroo", "animals/kangaroo.png"),
        ("food/bread", "food/bread.svg"),
    ]
    assert found[0].caption == "A red kangaroo."
    assert found[0].translations == {"de": "Ein Rotes Riesenkänguru."}
    assert found[0].category == "animals"
    with zipfile.ZipFile(folder / "stamps.zip") as archive:
        assert archive.namelist() == [stamp.file for stamp in found]


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing")
def test_a_real_debian_package_is_unpacked(package: Path, tmp_path: Path) -> None:
    control = package / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n")
    deb, ready = tmp_path / "x.deb", tmp_path / "ready"
    subprocess.run(["dpkg-deb", "-b", str(package), str(deb)], check=True, capture_output=True)
    ready.mkdir()
    room._convert({room._DEB: deb}, ready)
    assert len(stamps(ready)) == 2


def test_pictures_are_on_white_and_fill_the_square(folder: Path) -> None:
    pictures = stamp_pictures(stamps(folder), 50, folder)
    assert pictures.shape == (2, 3, 50, 50)
    assert pictures[:, :, 25, 25].tolist() == [[255, 0, 0], [255, 0, 0]]
    assert pictures[0, :, 0, 0].tolist() == [255, 255, 255]
    # The drawing in points is twice as wide as high.
    assert (pictures[1, 1] < 128).any(axis=0).sum() > 1.8 * (pictures[1, 1] < 128).any(axis=1).sum()


def test_transparent_edges_are_cut_off() -> None:
    picture = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (40, 40, 60, 60))
    assert (paste_on_white(picture, 100)[0] < 128).sum() > 80 * 80
    assert (paste_on_white(picture, 100, trim=False)[0] < 128).sum() == pytest.approx(20 * 20, rel=0.1)
    with pytest.raises(ValueError, match="transparent"):
        paste_on_white(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), 10)


def test_no_sentence_and_no_picture_is_in_two_parts() -> None:
    # A chain: 0 and 1 share the sentence, 1 and 2 the picture, 2 and 3 the sentence but for how it is written.
    chain = [("A", "One."), ("B", "One."), ("B", "Two."), ("C", "  two ")]
    others = [(str(place), f"Thing {place}.") for place in range(40)]
    found = [Stamp(f"food/{place}", "", digest, text) for place, (digest, text) in enumerate(chain + others)]
    parts = split_stamps(found)
    assert sorted(np.concatenate(parts).tolist()) == list(range(44))
    assert sum({0, 1, 2, 3} <= set(part.tolist()) for part in parts) == 1
    assert all(len(part) for part in parts)


def test_damage_is_told_in_one_line(folder: Path) -> None:
    found = stamps(folder)
    with pytest.raises(DataFormatError, match=r"stamps\.zip: found no readable picture .*monge data get stamps"):
        stamp_pictures([Stamp("x", "x.png", "", "")], 8, folder)
    (folder / "stamps.zip").write_bytes(b"nothing")
    with pytest.raises(DataFormatError, match="no readable picture"):
        stamp_pictures(found, 8, folder)
    for content in ("{", json.dumps([{"key": 1}]), json.dumps(3)):
        (folder / "stamps.json").write_text(content)
        with pytest.raises(DataFormatError, match="no readable list of stamps"):
            stamps(folder)


def test_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGE_CACHE", str(tmp_path))
    with pytest.raises(MongeError, match="run `monge data get stamps`"):
        stamps()


@pytest.mark.skipif(not STAMPS.is_cached(), reason="stamps are not in the data cache")
def test_the_packaged_stamps() -> None:
    found = stamps()
    assert (len(found), len({stamp.caption for stamp in found}), len({stamp.identity for stamp in found})) == (
        950,
        804,
        774,
    )
    assert len({language for stamp in found for language in stamp.translations}) == 77
    assert [len(part) for part in split_stamps(found)] == [616, 142, 192]
    kangaroo = next(stamp for stamp in found if stamp.caption == "A red kangaroo.")
    picture = stamp_pictures([kangaroo], 64)[0]
    assert picture[:, 0, 0].tolist() == [255, 255, 255]
    assert picture.min() < 100
