"""One's own tables: classes, parts, what the sentences say, and every way the options can be wrong."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from monge import data
from monge.data import Splits, TableSet, load_table
from monge.data.tables import classes
from monge.errors import DataFormatError, MongeError

GRADES = ["low", "mid", "high"]


def grades_csv(folder: Path, name: str = "a.csv", rows: int = 60, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    grade = np.arange(rows) % 3
    lines = ["size,colour,grade"]
    for level in grade:
        lines.append(f"{level + random.normal():.3f},{random.choice(['red', 'blue'])},{GRADES[level]}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def features(part: Any) -> torch.Tensor:
    assert isinstance(part, TableSet)
    return part.features


def own(path: Path, **options: Any) -> Splits:
    return load_table("table", str(path), **{"target": "grade", "levels": GRADES, **options})


def test_a_file_is_split_by_class_and_says_so(tmp_path: Path) -> None:
    path = grades_csv(tmp_path, rows=300)
    splits = own(path)
    assert splits.source == f"own table: {path}, comma-separated, 300 rows"
    assert splits.definition == (
        "210 train / 30 val / 60 test: 70/10/20 % of every class (fixed draw, seed 1903); "
        "2 columns as 3 features, scaled by the training part; target grade: low < mid < high"
    )
    assert (splits.classes, splits.ordered, splits.positions) == (("low", "mid", "high"), True, None)
    for part, each in ((splits.train, 70), (splits.val, 10), (splits.test, 20)):
        assert part.labels.bincount().tolist() == [each] * 3
        assert part.shape == (3,)
    torch.testing.assert_close(features(splits.train)[:, 0].mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(features(splits.train)[:, 0].std(correction=0), torch.tensor(1.0))


def test_features_and_labels_of_a_row_stay_together_and_parts_are_disjoint(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("size,grade\n" + "".join(f"{n * n},{GRADES[n % 3]}\n" for n in range(90)))
    splits = own(tmp_path / "a.csv")
    parts = (splits.train, splits.val, splits.test)
    sizes = torch.cat([features(part)[:, 0] for part in parts])
    labels = torch.cat([part.labels for part in parts])
    # Standardising keeps the order of the sizes, so their ranks tell which row each one was.
    assert len(sizes.unique()) == 90
    assert labels[sizes.argsort()].tolist() == [n % 3 for n in range(90)]


def test_the_same_seed_gives_the_same_parts_and_another_one_others(tmp_path: Path) -> None:
    path = grades_csv(tmp_path)
    first, again, other = own(path), own(path), own(path, split_seed=7)
    assert torch.equal(features(first.test), features(again.test))
    assert not torch.equal(features(first.test), features(other.test))
    assert "seed 7" in other.definition


def test_shares_can_be_chosen(tmp_path: Path) -> None:
    splits = own(grades_csv(tmp_path, rows=300), split=(0.5, 0.25, 0.25))
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [150, 75, 75]
    assert "50/25/25 %" in splits.definition


def test_numbers_are_classes_by_size_with_themselves_as_positions(tmp_path: Path) -> None:
    lines = "".join(f"{n},{[10, 2.5, -1][n % 3]}\n" for n in range(0, 120, 2))
    (tmp_path / "a.csv").write_text("x,age\n" + lines)
    splits = load_table("table", str(tmp_path / "a.csv"), target="age")
    assert (splits.classes, splits.positions) == (("-1", "2.5", "10"), (-1.0, 2.5, 10.0))
    other = load_table("table", str(tmp_path / "a.csv"), target="age", levels=[10, 2.5, -1])
    assert (other.classes, other.positions, other.ordered) == (("10", "2.5", "-1"), None, True)
    named = load_table("table", str(tmp_path / "a.csv"), target="age", levels=["-1.0", "2.50", "10"])
    assert named.positions == (-1.0, 2.5, 10.0)
    assert torch.equal(named.train.labels, splits.train.labels)


def test_classes_without_an_order_go_by_the_alphabet(tmp_path: Path) -> None:
    splits = own(grades_csv(tmp_path), levels=None, ordered=False)
    assert (splits.classes, splits.ordered, splits.positions) == (("high", "low", "mid"), False, None)
    assert splits.definition.endswith("target grade: high, low, mid")


def test_a_folder_with_three_files_is_taken_as_it_is(tmp_path: Path) -> None:
    for name, rows in (("train.csv", 60), ("valid.csv", 12), ("test.csv", 9)):
        grades_csv(tmp_path, name, rows, seed=rows)
    (tmp_path / "README.md").write_text("not data")
    splits = own(tmp_path)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [60, 12, 9]
    assert splits.source == f"own table: train.csv, valid.csv, test.csv of {tmp_path}"
    assert "the files of the folder" in splits.definition
    torch.testing.assert_close(features(splits.train)[:, 0].mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    # The test rows are scaled by the mean of the training rows, not by their own.
    assert abs(float(features(splits.test)[:, 0].mean())) > 1e-3


def test_a_folder_without_validation_gives_a_tenth_of_training_and_may_mix_formats(tmp_path: Path) -> None:
    grades_csv(tmp_path, "train.csv", 60)
    columns = {"grade": GRADES * 3, "colour": ["red"] * 9, "size": np.arange(9.0) ** 2}
    parquet.write_table(pa.table(columns), tmp_path / "test.parquet")
    splits = own(tmp_path)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [54, 6, 9]
    assert "val is 10 % of every class of train.csv (fixed draw, seed 1903)" in splits.definition


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["train.csv"], r"found 'train\.csv', expected test\.csv or test\.parquet"),
        ([], r"found nothing, expected train\.csv"),
        (["train.csv", "train.tsv", "test.csv"], r"found 2 files for the part train \('train\.csv', 'train\.tsv'\)"),
    ],
)
def test_folders_without_the_right_files(files: list[str], said: str, tmp_path: Path) -> None:
    for name in files:
        grades_csv(tmp_path, name)
    with pytest.raises(DataFormatError, match=said):
        own(tmp_path)


def test_parts_must_have_the_same_columns(tmp_path: Path) -> None:
    grades_csv(tmp_path, "train.csv")
    test = grades_csv(tmp_path, "test.csv")
    test.write_text(test.read_text().replace("colour", "color"))
    said = r"test\.csv: line 1: found no column 'colour' .*expected 'colour' as in train\.csv \(did you mean 'color'"
    with pytest.raises(DataFormatError, match=said):
        own(tmp_path)
    test.write_text("size,colour,weight,grade\n1,red,3,low\n")
    with pytest.raises(DataFormatError, match=r"train\.csv: line 1: found no column 'weight' .*as in test\.csv"):
        own(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"target": "grde"},
            r"a\.csv: line 1: found no column 'grde' among 'size', 'colour', 'grade', expected the target "
            r"\(did you mean 'grade'\?\)",
        ),
        ({"drop": ["weight"]}, r"found no column 'weight' .*expected what drop names"),
        ({"kinds": {"weight": "numeric"}}, r"found no column 'weight' .*expected what kinds names"),
        ({"drop": ["size", "colour"]}, r"a\.csv: found no column beside 'grade'"),
        (
            {"levels": None},
            r"column 'grade': found 3 texts \('high', 'low', 'mid'\), expected levels .*from low to high",
        ),
        (
            {"levels": ["low", "high"]},
            r"line 3, column 'grade': found 'mid' \(and 19 more rows .*expected one of 'low', 'high'",
        ),
        ({"target": "size", "levels": None}, r"column 'size': found 60 different values, expected at most 50 classes"),
        ({"kinds": {"colour": "numeric"}}, r"line \d+, column 'colour': found '(red|blue)', expected a number"),
    ],
)
def test_options_that_the_file_does_not_bear_out(
    options: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classes, "MAX_CLASSES", 50)
    with pytest.raises(DataFormatError, match=said):
        own(grades_csv(tmp_path), **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levels": ["low", "mid", "low"]}, "levels: found 'low' more than once"),
        ({"levels": ["low"]}, "levels: found 1 of them"),
        ({"levels": [1, "1.0"]}, "levels: found '1' more than once"),
        ({"split": (0.7, 0.2, 0.2)}, "split: found .* three positive shares that sum to 1"),
        ({"split": (0.8, 0.0, 0.2)}, "split: found"),
        ({"kinds": {"size": "number"}}, "kinds: found 'number' for 'size', expected numeric or categorical"),
        ({"drop": ["grade"]}, "drop: found 'grade', which is the target"),
        ({"target": None}, r"data\.target: missing"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(MongeError, match=said):
        own(grades_csv(tmp_path), **options)


def test_targets_without_a_value_or_with_one_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,age\n1,3\n5,\n3,4\n4,NA\n")
    with pytest.raises(DataFormatError, match=r"line 3, column 'age': found no value \(and 1 more rows"):
        load_table("table", str(tmp_path / "a.csv"), target="age")
    (tmp_path / "a.csv").write_text("x,age\n1,3\n2,3\n")
    with pytest.raises(DataFormatError, match="column 'age': found only the value '3', expected at least two classes"):
        load_table("table", str(tmp_path / "a.csv"), target="age")
    (tmp_path / "a.csv").write_text("x,age\n1,3\n2,inf\n")
    with pytest.raises(DataFormatError, match="line 3, column 'age': found inf"):
        load_table("table", str(tmp_path / "a.csv"), target="age")


def test_missing_words_can_be_levels_when_they_are_given(tmp_path: Path) -> None:
    rows = "".join(f"{n},NA\n{n + 40},low\n{n + 20},high\n" for n in range(10))
    (tmp_path / "a.csv").write_text("x,risk\n" + rows)
    splits = load_table("table", str(tmp_path / "a.csv"), target="risk", levels=["NA", "low", "high"])
    assert splits.train.labels.bincount().tolist() == [7, 7, 7]


def test_too_few_rows_for_three_parts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,age\n1,3\n2,4\n")
    with pytest.raises(DataFormatError, match="found 2 rows, which leave none for val"):
        load_table("table", str(tmp_path / "a.csv"), target="age")


def test_what_looks_wrong_is_warned_about(tmp_path: Path) -> None:
    lines = "".join(f"{n},,{n * n},{GRADES[n % 3]}\n" for n in range(60))
    (tmp_path / "a.csv").write_text("id,notes,size,grade\n" + lines)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        splits = own(tmp_path / "a.csv", levels=[*GRADES, "perfect"])
    said = [str(warning.message) for warning in caught]
    assert said == [
        "a.csv: left out, since they hold no value: 'notes'",
        "a.csv: column 'id' counts the rows: if it measures nothing, leave it out with drop",
        "a.csv: no training row has the class 'perfect'",
    ]
    assert splits.train.shape == (2,)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own(tmp_path / "a.csv", drop=["id", "notes"])


def test_columns_of_names_and_rows_that_repeat_are_warned_about(tmp_path: Path) -> None:
    lines = [f"{n % 20},stone {n},{GRADES[n % 3]}" for n in range(120)]
    (tmp_path / "a.csv").write_text("\n".join(["size,name,grade", *lines]))
    with pytest.warns(UserWarning, match="different texts") as caught:
        own(tmp_path / "a.csv")
    assert [str(warning.message) for warning in caught] == [
        "a.csv: column 'name' has 120 different texts in 120 rows: if they are names or dates, leave it out with drop"
    ]
    with pytest.warns(UserWarning, match=r"^a.csv: 21 of 24 test rows are in the training part too, class and all: if"):
        own(tmp_path / "a.csv", drop=["name"])
    (tmp_path / "a.csv").write_text("\n".join(["size,name,grade", *lines[:60]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own(tmp_path / "a.csv", drop=["name"])


def test_kinds_can_be_given(tmp_path: Path) -> None:
    rows = "".join(f"1000,{n},low\n2000,{n},mid\n3000,{n},high\n" for n in range(0, 40, 2))
    (tmp_path / "a.csv").write_text("zip,size,grade\n" + rows)
    assert own(tmp_path / "a.csv").train.shape == (2,)
    assert own(tmp_path / "a.csv", kinds={"zip": "categorical"}).train.shape == (4,)


def test_names_and_sources_that_are_not_there() -> None:
    with pytest.raises(MongeError, match="no table is called 'gems', expected one of diamonds, table"):
        load_table("gems")
    with pytest.raises(MongeError, match="no package has a table of one's own: give --data PATH"):
        load_table("table")
    with pytest.raises(MongeError, match=r"data\.target: missing, a table of one's own needs the name of the column"):
        load_table("table", "my.csv")
    drawn = load_table("table", "synthetic")
    assert drawn.classes == load_table("diamonds", "synthetic").classes
    with pytest.raises(MongeError, match="diamonds is a table: load it with load_table"):
        data.load_images("diamonds", "synthetic")
    with pytest.raises(MongeError, match=r"no package carries table: give --data FILE .* perhaps val files, or"):
        data.fetch("table")
    with pytest.raises(DataFormatError, match="no such file"):
        load_table("table", "no/such.csv", target="grade")


def test_table_sets_refuse_other_shapes_and_types() -> None:
    rows, labels = torch.zeros(3, 2), torch.tensor([0, 1, 2])
    part = TableSet(rows, labels, torch.eye(3))
    assert part.subset(torch.tensor([2, 2])).labels.tolist() == [2, 2]
    picked = part.subset([1]).targets
    assert picked is not None
    assert picked.tolist() == [[0, 1, 0]]
    assert part.inputs([0, 2]).shape == (2, 2)
    bad: tuple[tuple[Any, ...], ...] = (
        (rows.double(), labels),
        (rows[0], labels),
        (rows, labels[:2]),
        (rows, labels.int()),
        (rows, labels, torch.ones(2, 3)),
        (rows / 0, labels),
    )
    for arguments in bad:
        with pytest.raises(ValueError, match="must be"):
            TableSet(*arguments)
