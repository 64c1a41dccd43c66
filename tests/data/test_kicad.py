"""Electronic parts: the list and its split, fetching with a download that is kept, reading from archive and folder."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from monge import data
from monge.data.sources import clients, kicad, package, registry
from monge.data.sources.kicad import family_of, kicad_classes, kicad_models, split_kicad
from monge.data.sources.kicad_views import KicadMesh
from monge.data.synthetic.shape_layouts import write_fake_kicad
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every sixth model of the first two classes, so that few files are written."""
    rows = [row for row in whole() if row["class"] in kicad_classes_of_all()[:2]][::6]
    monkeypatch.setattr(kicad, "_listed", lambda: tuple(rows))
    return [f"{row['library']}.3dshapes/{row['model']}.wrl" for row in rows]


whole = kicad._listed


def kicad_classes_of_all() -> list[str]:
    return sorted({row["class"] for row in whole()})


def test_the_list_has_34_classes_and_no_family_is_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kicad, "_listed", whole)
    rows = whole()
    assert len(kicad_classes()) == 34
    counts = Counter(row["class"] for row in rows)
    assert min(counts.values()) >= 12
    assert max(counts.values()) > 1000
    assert len({(row["library"], row["model"]) for row in rows}) == len(rows)
    assert [row["class"] for row in rows] == sorted(row["class"] for row in rows)
    in_the_cache(monkeypatch)
    for per_class, unchosen in ((None, set()), (40, {"socket"})):
        models, parts = kicad_models(per_class=per_class), split_kicad(per_class)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(models)))
        families = [{models[place].family for place in part} for part in parts]
        assert sum(map(len, families)) == len(set().union(*families))
        # Every class is learned and tested; one of three families may have none to choose by.
        held = [{kicad_classes()[models[place].label] for place in part} for part in parts]
        assert held == [set(kicad_classes()), set(kicad_classes()) - unchosen, set(kicad_classes())]


def in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes believe that the package is there."""
    monkeypatch.setattr(package.Package, "is_cached", lambda self: True)


def test_families_take_turns_where_a_class_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*(f"A{number:02}" for number in range(20)), "B1", "B2", "C-x", "C-y"]
    rows = tuple({"class": "one", "library": "L", "model": name} for name in names)
    monkeypatch.setattr(kicad, "_listed", lambda: (*rows, {"class": "two", "library": "L", "model": "D7"}))
    in_the_cache(monkeypatch)

    def chosen(per_class: int | None) -> list[str]:
        return [model.name for model in kicad_models(per_class=per_class)]

    assert chosen(None) == [*names, "D7"]
    assert chosen(1) == ["A10", "D7"]
    assert chosen(7) == ["A03", "A10", "A16", "B1", "B2", "C-x", "C-y", "D7"]
    assert chosen(100) == chosen(None)


def test_a_family_is_a_name_without_numbers_and_without_the_side_of_pin_1() -> None:
    assert family_of("PhoenixContact_MC_1,5_13-G-3.81_1x13_P3.81mm") == "PhoenixContact_MC_#_#-G-#_#x#_P#mm"
    assert family_of("PinHeader_1x02_P1.00mm_SMD_Pin1Right") == family_of("PinHeader_1x40_P1.27mm_SMD_Pin1Left")
    assert family_of("LED_D5.0mm") != family_of("LED_D5.0mm_Clear")


@pytest.mark.parametrize(
    ("name", "per_class", "said"),
    [
        ("furniture", 4, "data.per_class: furniture leaves no such choice; leave it out"),
        ("kicad", 0, "data.per_class: found 0, expected 1 or more"),
        ("kicad", True, "data.per_class: found True, expected 1 or more"),
    ],
)
def test_choices_that_are_none_are_one_line(name: str, per_class: int, said: str) -> None:
    with pytest.raises(MongeError, match=said):
        data.load_shapes(name, "synthetic", per_class=per_class)


def deb_of(folder: Path, models: list[str]) -> bytes:
    """A tar archive as it streams out of the package, with a few files more."""
    write_fake_kicad(folder / "3dmodels", models)
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(folder / "3dmodels", "./usr/share/kicad/3dmodels")
        for name in ("./usr/share/doc/copyright", "./usr/share/kicad/3dmodels/Other.3dshapes/other.wrl"):
            archive.addfile(tarfile.TarInfo(name))
    return whole.getvalue()


@pytest.fixture
def downloads(few: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Puts a tar archive in the place of apt's download; the list has the folders it was put in."""
    content, into = deb_of(tmp_path / "made", few), []

    def download(name: str, folder: Path) -> Path:
        assert name == "kicad-packages3d"
        into.append(folder)
        (folder / kicad._DEB).write_bytes(content)
        return folder / kicad._DEB

    @contextmanager
    def stream(deb: Path) -> Iterator[io.BytesIO]:
        yield io.BytesIO(deb.read_bytes())

    monkeypatch.setattr(clients, "apt_download", download)
    monkeypatch.setattr(kicad, "stream_deb", stream)
    monkeypatch.setattr(kicad, "_DEB_BYTES", len(content))
    changed = dataclasses.replace(kicad.KICAD, hashes={kicad._DEB: hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(kicad, "KICAD", changed)
    monkeypatch.setitem(registry._PACKAGES, "kicad", changed)
    return into


def test_listed_models_alone_are_kept_and_read(downloads: list[Path], few: list[str], cache: Path) -> None:
    with pytest.raises(MongeError, match="run `monge data get kicad`"):
        kicad_models()
    assert data.fetch("kicad") == cache / "kicad-models"
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == ["kicad.zip", "manifest.json"]
    models = kicad_models()
    assert [model.member for model in models] == few
    mesh = KicadMesh(models[0]).mesh()
    assert len(mesh.faces) > 8
    assert len({KicadMesh(model).digest() for model in models}) == len(models)


def test_a_download_outlives_what_goes_wrong_after_it(
    downloads: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(kicad, "stream_deb", full)
        with pytest.raises(KeyboardInterrupt):
            data.fetch("kicad")
    assert not data.is_cached("kicad")
    data.fetch("kicad")
    assert len(downloads) == 1
    assert not downloads[0].exists()


def test_a_damaged_download_goes_and_says_so(downloads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(kicad.KICAD, hashes={kicad._DEB: "0" * 64})
    with pytest.raises(MongeError, match=r"kicad-packages3d_6.* has SHA-256 .* expected 000000000000"):
        other.fetch(print)
    assert not downloads[0].exists()


def test_a_large_download_says_how_far_it_is(downloads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    heard = threading.Event()
    monkeypatch.setattr(package, "_SECONDS", 0.01)
    take = kicad._take

    def hear(sentence: str) -> None:
        if sentence == "kicad: downloading, 2 of 3 MB":
            heard.set()

    def slow(folder: Path) -> object:
        (folder / "part").write_bytes(bytes(1_500_000))
        assert heard.wait(60)
        (folder / "part").unlink()
        return take(folder)

    dataclasses.replace(kicad.KICAD, take=slow, download_bytes=3_000_000).fetch(hear)
    assert data.is_cached("kicad")


def test_a_folder_of_libraries_is_read_as_it_is(few: list[str], tmp_path: Path) -> None:
    write_fake_kicad(tmp_path / "3dmodels", few)
    models = kicad_models(tmp_path / "3dmodels")
    assert len(KicadMesh(models[-1]).mesh().faces) > 8
    splits = data.load_shapes("kicad", str(tmp_path / "3dmodels"), size=8, views=2, jobs=1)
    assert splits.train.shape == (2, 1, 8, 8)
    assert splits.source.startswith("official layout: read from ")
    assert len(splits.train) + len(splits.val) + len(splits.test) == len(few)
    (tmp_path / "3dmodels" / few[1]).unlink()
    with pytest.raises(DataFormatError, match=f"found no {few[1].split('/')[0]}") as caught:
        kicad_models(tmp_path / "3dmodels")
    assert "\n" not in str(caught.value)
