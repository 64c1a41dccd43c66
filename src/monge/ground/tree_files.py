"""Hierarchies of classes from text files: a CSV table, or the ``parent child`` lines of WordNet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from monge.errors import DataFormatError
from monge.ground.tree_links import Link, LinkedTree, LinkError, link_tree

MAX_BYTES = 64 << 20
_COLUMNS = ("class", "parent")


def read_table(path: str | Path, classes: Sequence[str]) -> LinkedTree:
    """Reads a CSV of ``class,parent[,length]``; see `monge.ground.Tree.from_csv`."""
    rows = csv.reader(io.StringIO(_text(path)), strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in _COLUMNS if name not in header]
        if missing:
            columns = ", ".join(header) or "none"
            raise DataFormatError(path, "line 1", f"the columns {columns}", f"a column {missing[0]!r}")
        links = [_link(path, rows.line_num, header, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataFormatError(path, f"line {rows.line_num}", str(error), "a CSV table") from error
    return _linked(path, links, classes)


def read_pairs(path: str | Path, classes: Sequence[str]) -> LinkedTree:
    """Reads lines ``parent child``; see `monge.ground.Tree.from_pairs`."""
    parents: dict[str, list[tuple[str, int]]] = {}  # by child, with the line
    for line, text in enumerate(_text(path).splitlines(), 1):
        words = text.split()
        if words and len(words) != 2:
            raise DataFormatError(path, f"line {line}", f"{len(words)} names", "two, parent and child")
        if words:
            parents.setdefault(words[1], []).append((words[0], line))
    known = {name for child, above in parents.items() for name in (child, *(parent for parent, _ in above))}
    if absent := [name for name in classes if name not in known]:
        raise DataFormatError(path, "", f"no line with the class {absent[0]!r}", f"each of {len(classes)} classes")
    return _linked(path, _shortest(path, parents, classes), classes)


def _shortest(path: str | Path, parents: dict[str, list[tuple[str, int]]], classes: Sequence[str]) -> list[Link]:
    """Links of the classes and all above them, each to the parent nearest to the root."""
    wanted, waiting = dict.fromkeys(classes), list(dict.fromkeys(classes))
    children: dict[str, list[tuple[str, int]]] = {}
    while waiting:
        child = waiting.pop()
        for parent, line in parents.get(child, []):
            children.setdefault(parent, []).append((child, line))
            if parent not in wanted:
                wanted[parent] = None
                waiting.append(parent)
    roots = [name for name in wanted if name not in parents]
    if len(roots) > 1:
        line = min(line for _, line in children.get(roots[1], [("", 0)]))
        found = f"a second root {roots[1]!r} above the classes (the first is {roots[0]!r})"
        raise DataFormatError(path, f"line {line}" if line else "", found, "one root")
    links, level = {name: Link(name, None, 1.0, 0) for name in roots}, roots
    while level:
        below: list[str] = []
        steps = sorted((line, child, parent) for parent in level for child, line in children.get(parent, []))
        for line, child, above in steps:
            if child not in links:
                links[child] = Link(child, above, 1.0, line)
                below.append(child)
        level = below
    if lost := [name for name in wanted if name not in links]:
        # No root is above these, nor above any of their parents, so the way up runs in circles.
        name, seen = lost[0], set[str]()
        while name not in seen:
            seen.add(name)
            name, line = parents[name][0]
        raise DataFormatError(path, f"line {line}", f"a cycle through {name!r}", "every name below the root")
    return list(links.values())


def _link(path: str | Path, line: int, header: list[str], row: list[str]) -> Link:
    if len(row) != len(header):
        raise DataFormatError(path, f"line {line}", f"{len(row)} cells", f"{len(header)}, as in the header")
    cells = dict(zip(header, (cell.strip() for cell in row)))
    child, parent = cells["class"], cells["parent"]
    if not child:
        raise DataFormatError(path, f"line {line}", "a row without a class", "its name")
    if "length" not in cells or not parent:
        return Link(child, parent or None, 1.0, line)
    try:
        length = float(cells["length"])
    except ValueError:
        length = math.nan
    if not (length >= 0 and math.isfinite(length)):
        raise DataFormatError(path, f"line {line}", f"the length {cells['length']!r}", "a number, 0 or more")
    return Link(child, parent, length, line)


def _linked(path: str | Path, links: list[Link], classes: Sequence[str]) -> LinkedTree:
    try:
        return link_tree(links, classes)
    except LinkError as error:
        where = f"line {error.line}" if error.line else ""
        raise DataFormatError(path, where, error.found, error.expected) from error


def _text(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataFormatError(path, "", error.strerror or "no file", "a readable file") from error
    if len(content) > MAX_BYTES:
        raise DataFormatError(path, "", f"more than {MAX_BYTES >> 20} MiB", "a table of classes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataFormatError(path, f"byte {error.start}", "bytes that are no text", "UTF-8") from error
