"""YAML that tries to surprise is refused; numbers are read as people write them."""

from __future__ import annotations

import time

import pytest

from monge.errors import RecipeError
from monge.recipes.plain_yaml import MAX_BYTES, parse_yaml

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 2: aliases are not allowed"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is given twice"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: [1\n", "line 2:"),
        ("x" * (MAX_BYTES + 1), "a recipe has at most"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x00", "not allowed"),
        ("{a: 1}: 2", "unhashable"),
    ],
)
def test_surprises_are_refused_in_one_line(text, message):
    began = time.monotonic()
    with pytest.raises(RecipeError, match=message) as caught:
        parse_yaml(text, "test.yaml")
    assert str(caught.value).startswith("test.yaml:")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 20


def test_numbers_are_read_as_written():
    values = parse_yaml("[1e-3, 1E5, 2.5e-2, -1e+2, .5, 7, 1.0, .inf, true, text, 1e, e3, 12:30:00]", "t")
    assert values[:9] == [1e-3, 1e5, 2.5e-2, -100.0, 0.5, 7, 1.0, float("inf"), True]
    assert isinstance(values[5], int)
    assert values[9:12] == ["text", "1e", "e3"]
