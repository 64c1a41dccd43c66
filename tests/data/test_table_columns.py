"""What a column holds, and the features that training rows make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monge.data.formats.table import Column, Table, TextColumn
from monge.data.tables import TableEncoding, encoding
from monge.data.tables.kinds import kind_of, numbers_of, texts_of
from monge.errors import DataFormatError


def table(**columns: list[str] | NDArray[np.float64]) -> Table:
    made: dict[str, Column] = {
        name: TextColumn.of(values) if isinstance(values, list) else values for name, values in columns.items()
    }
    rows = len(next(iter(columns.values())))
    return Table(Path("t.csv"), "comma-separated", made, np.arange(rows) + 2)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2.5", "+.5", "3.", "1e-3", "2E+5"], "numeric"),
        (["1", "", "NA", "n/a", "NaN", "null", "?"], "numeric"),
        (["", "NA"], None),
        (["red", "blue", "2"], "categorical"),
        (["1_000", "0x10"], "categorical"),
        (["2026-01-02", "2026-01-03"], "categorical"),
        (["1"] * 8 + ["a"] * 2, "categorical"),
        (["none", "none"], "categorical"),
    ],
)
def test_kinds_are_decided_from_every_value(values: list[str], kind: str | None) -> None:
    assert kind_of(table(a=values), "a") == kind


def test_numbers_of_the_file_are_numeric() -> None:
    assert kind_of(table(a=np.array([1.0, np.nan])), "a") == "numeric"
    assert kind_of(table(a=np.array([np.nan, np.nan])), "a") is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            ["1"] * 9 + ["l0"],
            "line 11, column 'a': found 'l0', expected a number like 9 others of this column (correct",
        ),
        (["1,5", "2,25"], "line 2, column 'a': found '1,5', expected a number with a point"),
        (["1.200,50", "7"], "line 2, column 'a': found '1.200,50', expected a number with a point"),
        (["12,000", "8", "900"], "line 2, column 'a': found '12,000', expected a number with a point"),
    ],
)
def test_numbers_with_mistakes_are_not_taken_for_categories(values: list[str], said: str) -> None:
    with pytest.raises(DataFormatError) as caught:
        kind_of(table(a=values), "a")
    assert str(caught.value).startswith(f"t.csv: {said}")
    assert "kinds: {a: categorical}" in str(caught.value)


def test_numbers_come_with_nan_where_missing_and_name_bad_cells() -> None:
    np.testing.assert_array_equal(numbers_of(table(a=["2", "NA", " 3 "]), "a"), [2, np.nan, 3])
    for values in (["1", "inf"], ["1", "-Infinity"], ["1", "1e999"], ["1", "1e101"]):
        with pytest.raises(
            DataFormatError, match=r"t\.csv: line 3, column 'a': found .*, expected a number below 1e100"
        ):
            numbers_of(table(a=values), "a")
    with pytest.raises(DataFormatError, match=r"line 3, column 'a': found inf"):
        numbers_of(table(a=np.array([1, np.inf])), "a")
    with pytest.raises(DataFormatError, match=r"line 4, column 'a': found 'x', expected a number"):
        numbers_of(table(a=["1", "2", "x"]), "a")


def test_numbers_as_text_are_written_the_short_way() -> None:
    column = texts_of(table(a=np.array([2.0, np.nan, 0.1, 2.0])), "a")
    assert [column.values[code] for code in column.codes] == ["2", "", "0.1", "2"]


@given(
    values=st.lists(st.none() | st.integers(-1000, 1000).map(lambda n: n / 8), min_size=2, max_size=30),
    train=st.integers(1, 30),
)
def test_numeric_columns_follow_the_written_formula(values: list[float | None], train: int) -> None:
    train = min(train, len(values))
    rows = table(a=["" if value is None else repr(value) for value in values])
    made = TableEncoding.fit(rows, {"a": "numeric"}, range(train))
    known = [value for value in values[:train] if value is not None]
    mean = sum(known) / len(known) if known else 0.0
    spread = (sum((value - mean) ** 2 for value in known) / len(known)) ** 0.5 if known else 0.0
    expected = []
    for value in values:
        scaled = 0.0 if value is None else (value - mean) / (spread if spread > 1e-9 else 1.0)
        expected.append([scaled, float(value is None)] if None in values[:train] else [scaled])
    np.testing.assert_allclose(made.encode(rows), expected, rtol=1e-5, atol=1e-5)


def test_constant_and_huge_columns_stay_finite() -> None:
    rows = table(a=["0.1"] * 7, b=["1e99", "-1e99"] + ["0"] * 5)
    features = TableEncoding.fit(rows, {"a": "numeric", "b": "numeric"}, range(7)).encode(rows)
    np.testing.assert_allclose(features[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(features[:2, 1], [7**0.5 / 2**0.5, -(7**0.5) / 2**0.5], rtol=1e-6)


def test_levels_come_from_training_and_strangers_have_no_feature() -> None:
    rows = table(a=["b", "a", "b", "c", "NA"])
    made = TableEncoding.fit(rows, {"a": "categorical"}, [0, 1, 2])
    assert made.features == ("a = a", "a = b")
    assert made.encode(rows).tolist() == [[0, 1], [1, 0], [0, 1], [0, 0], [0, 0]]


def test_missing_is_a_level_of_its_own_however_it_is_written() -> None:
    rows = table(a=["b", "", "NA", "?", "b"])
    made = TableEncoding.fit(rows, {"a": "categorical"}, [0, 1])
    assert made.features == ("a = b", "a is missing")
    assert made.encode(rows).tolist() == [[1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]


def test_rare_levels_beyond_the_limit_and_strangers_share_a_feature() -> None:
    rows = table(a=["a", "b", "b", "c", "c", "c", "", "z"])
    made = TableEncoding.fit(rows, {"a": "categorical"}, range(7), max_levels=2)
    assert made.features == ("a = b", "a = c", "a is another", "a is missing")
    assert made.encode(rows).argmax(axis=1).tolist() == [2, 0, 0, 1, 1, 1, 3, 2]
    assert (made.encode(rows).sum(axis=1) == 1).all()


def test_rows_outside_of_training_have_no_influence() -> None:
    kinds = {"n": "numeric", "c": "categorical"}
    one = table(n=["1", "2", "900", ""], c=["x", "y", "z", ""])
    other = table(n=["1", "2", "-5", "7"], c=["x", "y", "y", "x"])
    assert TableEncoding.fit(one, kinds, [0, 1]) == TableEncoding.fit(other, kinds, [0, 1])
    assert TableEncoding.fit(one, kinds, [0, 2]) != TableEncoding.fit(other, kinds, [0, 2])


def test_too_many_features_for_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(a=["x", "y"], b=["1", "2"])
    made = TableEncoding.fit(rows, {"a": "categorical", "b": "numeric"}, [0, 1])
    assert made.encode(rows).dtype == np.float32
    monkeypatch.setattr(encoding, "_MAX_BYTES", 23)
    with pytest.raises(DataFormatError, match=r"t\.csv: found 2 rows of 3 features, expected at most .* \(drop some"):
        made.encode(rows)
