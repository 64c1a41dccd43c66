"""Furniture: the library format and what can be wrong with it, the reviewed list and its splits, fetching."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from monge import data
from monge.cli.data import app
from monge.data.formats.sh3f import CATALOGUE, read_catalogue, read_member
from monge.data.sources import clients, furniture, registry
from monge.data.sources.furniture import (
    FURNITURE_CLASSES,
    FURNITURE_LICENCES,
    furniture_models,
    read_obj,
    split_models,
)
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")

REAL = data.folder_of("furniture")
PROPERTIES = r"""
# a comment
! another
id=Library
name#2=T\u00e4ble
  model#2=/a/table.obj
category#2 : Living \
    room
creator#2=Bob \& Ann
modelRotation#2=1 0 0 0 0 1 0 -1 0
name#1=Chair
model#1 = b/chair.obj
name=not numbered
"""
WHOLE = b"as it comes from the mirror"
OBJ = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def write_library(path: Path, properties: str = PROPERTIES, **members: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CATALOGUE, properties.encode("latin-1"))
        for name, content in {"a/table.obj": OBJ, "b/chair.obj": OBJ + b"\n", **members}.items():
            archive.writestr(name, content)
    return path


def test_a_catalogue_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    chair, table = read_catalogue(write_library(tmp_path / "a.sh3f"))
    assert (chair.name, chair.model, chair.creator) == ("Chair", "b/chair.obj", "")
    assert chair.rotation == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert (table.name, table.model) == ("T\u00e4ble", "a/table.obj")
    assert (table.category, table.creator) == ("Living room", "Bob & Ann")
    assert table.rotation == (1, 0, 0, 0, 0, 1, 0, -1, 0)
    assert read_member(tmp_path / "a.sh3f", table.model) == OBJ


def test_latin_1_and_odd_line_ends_are_read(tmp_path: Path) -> None:
    text = "name#1=Caf\xe9 \x85 table\r\nmodel#1=/t.obj\rcreator#1=A"
    (piece,) = read_catalogue(write_library(tmp_path / "a.sh3f", text))
    assert (piece.name, piece.model, piece.creator) == ("Caf\xe9 \x85 table", "t.obj", "A")


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ("id=a\n", "no numbered pieces"),
        ("name#1=Chair\n", r"model#1: found nothing"),
        ("model#7=../../etc/passwd", r"model#7: found '\.\./\.\./etc/passwd', expected a name inside the archive"),
        ("model#1=//etc/passwd", "a name inside the archive"),
        ("model#1=C:/windows", "a name inside the archive"),
        ("model#1=a\\\\b.obj", "a name inside the archive"),
        ("model#1=a.obj\nmodelRotation#1=1 0 0", "modelRotation#1: found '1 0 0', expected nine numbers"),
        ("model#1=a.obj\nmodelRotation#1=1 0 0 0 1 0 0 0 x", "nine numbers of a rotation"),
        ("model#1=a.obj\nmodelRotation#1=1 0 0 0 nan 0 0 0 1", "nine numbers of a rotation"),
        ("model#1=a.obj\nmodelRotation#1=9 0 0 0 9 0 0 0 9", "nine numbers of a rotation"),
    ],
)
def test_catalogues_that_cannot_be_trusted(tmp_path: Path, properties: str, told: str) -> None:
    with pytest.raises(DataFormatError, match=told) as caught:
        read_catalogue(write_library(tmp_path / "a.sh3f", properties))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_library(tmp_path: Path) -> None:
    (tmp_path / "page.sh3f").write_text("<html>Sign in</html>")
    (tmp_path / "empty.sh3f").touch()
    whole = write_library(tmp_path / "whole.sh3f").read_bytes()
    (tmp_path / "cut.sh3f").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(tmp_path / "other.sh3f", "w") as archive:
        archive.writestr("a", "b")
    for name, told in [
        ("none.sh3f", "found no such file"),
        ("page.sh3f", "damaged archive"),
        ("empty.sh3f", "damaged archive"),
        ("cut.sh3f", "damaged archive"),
        ("other.sh3f", f"no {CATALOGUE} inside"),
        (".", "a folder or device"),
    ]:
        with pytest.raises(DataFormatError, match=told) as caught:
            read_catalogue(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_members_that_are_too_large_encrypted_or_damaged(tmp_path: Path) -> None:
    path = write_library(tmp_path / "a.sh3f", **{"big.obj": bytes(100_000)})
    with pytest.raises(DataFormatError, match=r"big\.obj: found 100,000 bytes, expected at most 99,999"):
        read_member(path, "big.obj", max_bytes=99_999)
    with pytest.raises(DataFormatError, match=r"no c\.obj inside"):
        read_member(path, "c.obj")
    content = path.read_bytes()
    entry = content.rindex(b"PK\x01\x02")
    encrypted = bytearray(content)
    encrypted[entry + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(DataFormatError, match="an encrypted member"):
        read_member(path, "big.obj")
    # A size that the data do not have: the declared size is checked before, the true one after reading.
    lying = bytearray(content)
    struct.pack_into("<I", lying, entry + 24, 50)
    path.write_bytes(lying)
    with pytest.raises(DataFormatError, match=r"damaged archive|expected 50"):
        read_member(path, "big.obj")
    damaged = bytearray(content)
    start = content.index(b"big.obj") + len("big.obj")
    damaged[start + 20] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(DataFormatError, match="damaged archive"):
        read_member(path, "big.obj")


def test_the_list_is_whole() -> None:
    rows = furniture._reviewed()
    assert len({row["model"] for row in rows}) == len(rows) == 476
    assert {row["collection"] for row in rows} == set(FURNITURE_LICENCES)
    counts = Counter(row["class"] for row in rows)
    assert set(counts) == set(FURNITURE_CLASSES)
    assert min(counts.values()) >= 6
    assert all(row["author"] and row["model"].endswith(".obj") for row in rows)
    families: dict[str, set[str]] = {}
    for row in rows:
        families.setdefault(row["family"], set()).add(row["class"])
    families.pop("")
    assert all(len(classes) == 1 for name, classes in families.items() if name != "flower-china")
    assert min(Counter(row["family"] for row in rows if row["family"]).values()) >= 2


def test_splits_cover_all_and_part_neither_families_nor_authors() -> None:
    rows = furniture._reviewed()
    labels = np.array([FURNITURE_CLASSES.index(row["class"]) for row in rows])
    for kind, owner in (("model", "family"), ("author", "author")):
        parts = split_models(kind)  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(rows)))
        owners = [{rows[place][owner].split(" & ")[0] for place in part} - {""} for part in parts]
        assert all(one.isdisjoint(other) for one, other in combinations(owners, 2))
        for part in (parts[0], parts[2]):
            assert set(labels[part]) == set(range(17))
    assert all(set(labels[part]) == set(range(17)) for part in split_models("model"))
    train, _, test = split_models()
    of_chairs = labels == FURNITURE_CLASSES.index("chair")
    assert of_chairs[train].sum() / of_chairs.sum() == pytest.approx(0.7, abs=0.02)
    assert of_chairs[test].sum() / of_chairs.sum() == pytest.approx(0.2, abs=0.02)
    with pytest.raises(ValueError, match="unknown kind 'none', expected one of model, author"):
        split_models("none")  # type: ignore[arg-type]


@pytest.fixture
def deb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five small libraries in the place of apt's download, and a list of two of their models."""
    inside = tmp_path / "deb" / furniture._FOLDER
    for name in furniture._HASHES:
        write_library(inside / name)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in inside.iterdir()}

    def download(package: str, into: Path) -> Path:
        assert package == "sweethome3d-furniture"
        (into / furniture._DEB).write_bytes(WHOLE)
        return into / furniture._DEB

    def unpack(deb: Path, into: Path) -> None:
        if deb.read_bytes() != WHOLE:
            raise MongeError(f"dpkg-deb could not unpack {deb.name} (unexpected end of file): fetch it again")
        shutil.copytree(tmp_path / "deb", into, symlinks=True, dirs_exist_ok=True)

    def row(collection: str, model: str, of: str, author: str) -> dict[str, str]:
        return {"collection": collection, "model": model, "class": of, "author": author, "family": ""}

    rows = (row("Scopia", "a/table.obj", "table", "Bob & Ann"), row("KatorLegaz", "b/chair.obj", "chair", "Ann"))
    monkeypatch.setattr(clients, "apt_download", download)
    monkeypatch.setattr(furniture, "unpack_deb", unpack)
    monkeypatch.setattr(furniture, "_DEB_BYTES", len(WHOLE))
    monkeypatch.setattr(furniture, "_reviewed", lambda: rows)
    package = dataclasses.replace(furniture.FURNITURE, hashes=hashes)
    monkeypatch.setattr(furniture, "FURNITURE", package)
    monkeypatch.setitem(registry._PACKAGES, "furniture", package)
    return inside


def test_models_come_from_the_cache_or_a_folder(deb: Path, cache: Path) -> None:
    with pytest.raises(MongeError, match=r"furniture is not in the data cache .*: run `monge data get furniture`"):
        furniture_models()
    assert data.fetch("furniture") == cache / "furniture"
    assert data.check("furniture") == sum(path.stat().st_size for path in deb.iterdir())
    table, chair = furniture_models()
    assert (table.class_name, table.licence, table.name) == ("table", "CC BY 3.0", "T\u00e4ble")
    assert (table.author, table.family, table.rotation[5]) == ("Bob & Ann", "a/table.obj", 1)
    assert (chair.class_name, chair.licence, read_obj(chair)) == ("chair", "CC BY 3.0 US", OBJ + b"\n")
    assert [model.archive.parent for model in furniture_models(deb)] == [deb, deb]
    (deb / "Scopia.sh3f").unlink()
    with pytest.raises(DataFormatError, match=r"Scopia\.sh3f: found no such file"):
        furniture_models(deb)
    write_library(deb / "Scopia.sh3f", "model#1=other.obj")
    with pytest.raises(DataFormatError, match=r"found no a/table\.obj in the catalogue, .*1\.8-1"):
        furniture_models(deb)


def test_other_libraries_than_known_are_not_used(deb: Path, cache: Path) -> None:
    write_library(deb / "Scopia.sh3f", "model#1=/other.obj")
    with pytest.raises(MongeError, match=r"Scopia\.sh3f of .* 1\.8-1 has SHA-256 .* not the file that monge knows"):
        data.fetch("furniture")
    (deb / "Scopia.sh3f").unlink()
    for place in (None, "/etc/passwd"):
        if place:
            (deb / "Scopia.sh3f").symlink_to(place)
        with pytest.raises(MongeError, match=r"_all\.deb does not hold usr/share/.*/Scopia\.sh3f"):
            data.fetch("furniture")
    assert list(cache.iterdir()) == []


class Killed(BaseException):
    """What ends a process in the middle of its work."""


def killed_while_downloading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a package under its final name, as apt-get leaves it."""

    def cut(_: str, into: Path) -> Path:
        (into / furniture._DEB).write_bytes(WHOLE[:10])
        raise Killed

    monkeypatch.setattr(clients, "apt_download", cut)


def killed_while_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_: Path, into: Path) -> None:
        (into / furniture._FOLDER).mkdir(parents=True)
        (into / furniture._FOLDER / "Scopia.sh3f").write_bytes(b"half of it")
        raise Killed

    monkeypatch.setattr(furniture, "unpack_deb", cut)


@pytest.mark.parametrize(("kill", "downloads"), [(killed_while_downloading, 1), (killed_while_unpacking, 0)])
def test_a_fetch_that_was_killed_is_made_good_by_the_next(
    deb: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kill: Callable[..., None], downloads: int
) -> None:
    with monkeypatch.context() as broken:
        kill(broken)
        with pytest.raises(Killed):
            data.fetch("furniture")
    assert not data.is_cached("furniture")
    again, asked = clients.apt_download, []

    def counted(package: str, into: Path) -> Path:
        assert not list(into.glob("*.deb"))  # what is cut short would be no trouble to apt-get, another version would
        asked.append(package)
        return again(package, into)

    monkeypatch.setattr(clients, "apt_download", counted)
    assert data.fetch("furniture") == cache / "furniture"
    assert len(asked) == downloads
    assert len(furniture_models()) == 2
    assert sorted(path.name for path in cache.iterdir()) == ["furniture"]


@pytest.mark.parametrize("content", [WHOLE[:10], bytes(len(WHOLE))], ids=["cut short", "of the right size"])
def test_a_package_that_cannot_be_unpacked_goes_so_that_the_next_fetch_brings_another(
    deb: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    def spoilt(_: str, into: Path) -> Path:
        (into / furniture._DEB).write_bytes(content)
        return into / furniture._DEB

    with monkeypatch.context() as broken:
        broken.setattr(clients, "apt_download", spoilt)
        with pytest.raises(MongeError, match=r"could not unpack sweethome3d-furniture_1\.8-1_all\.deb"):
            data.fetch("furniture")
    assert list(cache.iterdir()) == []
    data.fetch("furniture")
    assert data.is_cached("furniture")


def test_damage_in_the_cache_is_found(deb: Path) -> None:
    path = data.fetch("furniture") / "Scopia.sh3f"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MongeError, match=r"Scopia\.sh3f: has changed since it was fetched"):
        data.check("furniture")
    with pytest.raises(DataFormatError, match=r"Scopia\.sh3f: found a damaged archive"):
        furniture_models()


def test_failures_of_apt_are_one_line_with_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.shutil, "which", lambda program: None)
    with pytest.raises(MongeError, match=r"apt-get, which this machine lacks; or unpack .* five \.sh3f") as caught:
        data.fetch("furniture")
    assert "\n" not in str(caught.value)


def test_it_is_listed_with_its_licences_and_is_no_set_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    told = CliRunner().invoke(app, ["list"]).output
    assert "monge data get furniture" in told
    for licence in ("CC0", "CC BY 3.0", "CC BY 3.0 US"):
        assert licence in next(source.licence for source in data.list_sources() if source.name == "furniture")
    with pytest.raises(MongeError, match="furniture holds 3D models: load it with load_shapes"):
        data.load_images("furniture")


@pytest.mark.skipif(not (REAL / "manifest.json").is_file(), reason="the real libraries have not been fetched")
def test_every_listed_model_is_in_the_real_libraries() -> None:
    models = furniture_models(REAL)
    rows = furniture._reviewed()
    assert [model.key for model in models] == [row["model"] for row in rows]
    assert all(model.name for model in models)
    turned = [model for model in models if model.rotation != (1, 0, 0, 0, 1, 0, 0, 0, 1)]
    assert len(turned) == 14
    for model in models[:: len(models) // 5]:
        assert b"\nv " in read_obj(model)
