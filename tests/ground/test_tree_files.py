"""Hierarchies from files: what is read, and the one line that each broken file gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from monge.errors import DataFormatError
from monge.ground import Tree

TABLE = """class,parent,length
rose,flower,1
tulip,flower,0.5
flower,plant,2
oak,tree,1
tree,plant,3
plant,,
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "tree.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_with_lengths_and_a_root_row(tmp_path: Path) -> None:
    tree = Tree.from_csv(written(tmp_path, TABLE), ["oak", "rose", "tulip"])
    assert tree.matrix().tolist() == [[0, 7, 6.5], [7, 0, 1.5], [6.5, 1.5, 0]]


def test_columns_in_any_order_others_beside_them_blank_lines_and_windows(tmp_path: Path) -> None:
    text = '\ufeffNote, Parent ,CLASS\r\n"a, b",thing,cat\r\n\r\n,thing,"dog, big"\r\n'
    tree = Tree.from_csv(written(tmp_path, text), ["dog, big", "cat"])  # the root has no row
    assert tree.matrix().tolist() == [[0, 2], [2, 0]]


def test_a_root_may_be_its_own_parent(tmp_path: Path) -> None:
    tree = Tree.from_csv(written(tmp_path, "class,parent\nall,all\na,all\n"), ["a", "all"])
    assert tree.matrix().tolist() == [[0, 1], [1, 0]]


BROKEN = {
    "missing column": ("class,above\na,b\n", "line 1: found the columns class, above, expected a column 'parent'"),
    "empty": ("", "line 1: found the columns none, expected a column 'class'"),
    "two rows": ("class,parent\na,r\nb,r\na,b\n", r"line 4: found 'a' a second time \(line 2 has it\)"),
    "unknown parent": (
        "class,parent\nr,\na,r\nb,q\n",
        "line 4: found the unknown parent 'q', expected a parent with a",
    ),
    "two root rows": ("class,parent\na,\nb,\n", r"line 3: found a second root 'b' \(the first is 'a', line 2\)"),
    "two roots without a row": ("class,parent\na,r\nb,s\n", r"line 3: found a second root 's' without a row"),
    "cycle": ("class,parent\nr,\na,r\nb,c\nc,d\nd,b\n", "line 4: found a cycle: 'b' below 'c' below 'd' below 'b'"),
    "class without a row": ("class,parent\nr,\nb,r\n", "found no row for the class 'a', expected one for each of 1"),
    "no class": ("class,parent\na,r\n,r\n", "line 3: found a row without a class"),
    "length": ("class,parent,length\na,r,far\n", "line 2: found the length 'far', expected a number, 0 or more"),
    "negative length": ("class,parent,length\na,r,-1\n", "line 2: found the length '-1'"),
    "no length": ("class,parent,length\na,r,\n", "line 2: found the length ''"),
    "short row": ("class,parent\na\n", "line 2: found 1 cells, expected 2"),
    "quote": ('class,parent\n"a,r\n', "line 2: found unexpected end of data, expected a CSV table"),
    "no text": (b"class,parent\n\xff\xfe\n", "byte 13: found bytes that are no text, expected UTF-8"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_tables_get_one_line_that_names_the_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataFormatError, match=message) as caught:
        Tree.from_csv(path, ["a"])
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataFormatError, match="No such file"):
        Tree.from_csv(tmp_path / "none.csv", ["a"])
    monkeypatch.setattr("monge.ground.tree_files.MAX_BYTES", 10)
    with pytest.raises(DataFormatError, match="found more than"):
        Tree.from_csv(written(tmp_path, TABLE), ["rose"])


# Several parents as in WordNet: a dog is a canine, five steps below the root, and a domestic animal, three below.
PAIRS = """entity animal
animal vertebrate
vertebrate carnivore
carnivore canine
canine dog
domestic dog
animal domestic
canine wolf
entity thing
thing cup
elsewhere unrelated
"""


def test_wordnet_pairs_hang_on_the_parent_nearest_to_the_root(tmp_path: Path) -> None:
    tree = Tree.from_pairs(written(tmp_path, PAIRS), ["dog", "wolf", "cup"])
    # dog - domestic - animal - vertebrate - carnivore - canine - wolf; the second root is above no class
    assert tree.matrix().tolist() == [[0, 6, 5], [6, 0, 7], [5, 7, 0]]
    assert len(tree.parents) == 10


def test_of_equally_near_parents_the_first_in_the_file_counts(tmp_path: Path) -> None:
    pairs = "root a\nroot b\nb x\na x\nb y\n"
    tree = Tree.from_pairs(written(tmp_path, pairs), ["x", "y"])
    assert tree.matrix().tolist() == [[0, 2], [2, 0]]


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("r a\nr a b\n", ["a"], "line 2: found 3 names, expected two, parent and child"),
        ("r a\n", ["a", "b"], "found no line with the class 'b', expected each of 2 classes"),
        ("r a\ns b\n", ["a", "b"], r"found a second root"),
        ("r a\nc b\nb c\n", ["a", "b"], "found a cycle through '[bc]', expected every name below the root"),
        ("r a\n", ["a", "a"], "found the class 'a' twice"),
    ],
)
def test_broken_pairs(tmp_path: Path, text: str, classes: list[str], message: str) -> None:
    with pytest.raises(DataFormatError, match=message) as caught:
        Tree.from_pairs(written(tmp_path, text), classes)
    assert "\n" not in str(caught.value)
