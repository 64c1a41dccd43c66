"""Classification files of the Princeton Shape Benchmark (``.cla``), which SHREC uses too.

``PSB 1``, then ``<classes> <models>``, then a block for each class: ``<class> <parent> <models>`` and the ids of the
models, one a line. Between blocks stand blank lines, around names tabs and blanks. A class of 0 models is an inner node
of the hierarchy, whose root is called ``0``. Ids are words: ``000012`` is not ``12``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monge.data.formats.labelled_files import some
from monge.data.formats.places import text_lines
from monge.data.formats.sniff import shown
from monge.errors import DataFormatError

_EXPECTED = "a PSB classification file"
_ROOT = ("0", "-1")
_PREFIXED = re.compile(r"[mM](?=\d)")


@dataclass(frozen=True)
class ClassFile:
    """What a ``.cla`` file says.

    Args:
        path: The file.
        classes: Classes that have models, in the order of the file.
        parents: Parent of every class, inner nodes too; ``""`` stands for the root.
        members: Ids of the models of each of `classes`.
    """

    path: Path
    classes: tuple[str, ...]
    parents: dict[str, str]
    members: dict[str, tuple[str, ...]]

    def __len__(self) -> int:
        return sum(map(len, self.members.values()))

    def class_of(self) -> dict[str, str]:
        """The class of each id."""
        return {one: name for name, ids in self.members.items() for one in ids}


@dataclass
class _Block:
    """A class as far as it has been read."""

    name: str
    parent: str
    count: int
    line: int
    ids: list[str]


def read_cla(path: str | Path) -> ClassFile:
    """Reads a ``.cla`` file and holds it to every count in it.

    Args:
        path: The file.

    Raises:
        DataFormatError: Not such a file, cut short, counts that do not fit, a class or an id given twice, or a parent
            that is no class; names the line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "two.cla"
        >>> _ = file.write_text("PSB 1\\n3 3\\n\\nliving 0 0\\n\\nant living 2\\n12\\n007\\n\\nchair 0 1\\n9\\n")
        >>> read_cla(file).members
        {'ant': ('12', '007'), 'chair': ('9',)}
    """
    path = Path(path)
    lines = list(text_lines(path, _EXPECTED))
    if not lines or lines[0][1].split() != ["PSB", "1"]:
        number, line = lines[0] if lines else (1, "")
        raise _error(path, number, f"{shown(line.strip()[:40])!r}", "'PSB 1'", "is it another file?")
    if len(lines) < 2:
        raise _error(path, lines[0][0] + 1, "the end of the file", "<classes> <models>", "the file is truncated")
    blocks = list(_blocks(path, lines[2:]))
    _check_header(path, lines[1], blocks)
    _check_ids(path, blocks)
    names = {block.name for block in blocks}
    for block in blocks:
        if block.parent not in names and block.parent not in _ROOT:
            raise _error(path, block.line, f"parent {shown(block.parent)!r}", "a class of this file, or 0 for the root")
    members = {block.name: tuple(block.ids) for block in blocks if block.ids}
    parents = {block.name: "" if block.parent in _ROOT else block.parent for block in blocks}
    return ClassFile(path, tuple(members), parents, members)


def match_files(
    listed: ClassFile, files: Sequence[Path], folder: Path, *, strict: bool = True
) -> tuple[dict[str, Path], list[str], list[Path]]:
    """Finds the file of each id: ``12`` is ``m12.off``, ``000001`` is ``M000001.off``.

    Args:
        listed: Which models there are.
        files: Which files there are.
        folder: Where they are, for the error message.
        strict: Refuse ids without a file and files without an id; otherwise they are told and left out.

    Returns:
        The file of each id that has one, ids without a file, and files without an id.

    Raises:
        DataFormatError: Two files for one id or two ids for one file, or, if strict, ids without a file or files
            without an id; lists both.

    Example:
        >>> listed = ClassFile(Path("a.cla"), ("ant",), {"ant": ""}, {"ant": ("12", "7")})
        >>> match_files(listed, [Path("m12.off"), Path("m7.off")], Path("models"))[0]["7"].name
        'm7.off'
    """
    by_key: dict[str, Path] = {}
    for file in files:
        if (other := by_key.setdefault(_key(file.stem), file)) != file:
            found = f"{shown(other.name)} and {shown(file.name)}"
            raise DataFormatError(shown(folder), "", found, "one file for each model")
    ids: dict[str, str] = {}
    for one in listed.class_of():
        if (same := ids.setdefault(_key(one), one)) != one:
            raise DataFormatError(shown(listed.path), "", f"ids {shown(same)} and {shown(one)}", "one id for each file")
    matched = {one: by_key[_key(one)] for one in listed.class_of() if _key(one) in by_key}
    missing = [one for one in listed.class_of() if one not in matched]
    known = set(matched.values())
    unknown = [file for file in files if file not in known]
    if strict and (missing or unknown):
        parts = []
        if missing:
            parts.append(f"{len(missing):,} ids without a file ({some(missing)})")
        if unknown:
            parts.append(f"{len(unknown):,} files without an id ({some([file.name for file in unknown])})")
        expected = f"the {len(listed):,} models of {shown(listed.path.name)}, each in a file"
        raise DataFormatError(shown(folder), "", " and ".join(parts), expected, "strict=false leaves them out")
    return matched, missing, unknown


def _key(name: str) -> str:
    """A model's name without the letter that its file has and its id has not."""
    return _PREFIXED.sub("", name, count=1) if _PREFIXED.match(name) else name


def _blocks(path: Path, lines: list[tuple[int, str]]) -> Iterator[_Block]:
    block: _Block | None = None
    for number, line in lines:
        words = line.split()
        if block is not None and len(block.ids) < block.count:
            if len(words) > 1:
                hint = "a class header before the ids of the last class are complete?" if len(words) > 2 else ""
                expected = f"id {len(block.ids) + 1} of the {block.count} of class {shown(block.name)}"
                raise _error(path, number, f"{shown(line.strip()[:60])!r}", expected, hint)
            block.ids.append(words[0])
            continue
        if block is not None:
            yield block
        block = _header(path, number, words, block)
    if block is None:
        raise _error(path, (lines or [(3, "")])[0][0], "the end of the file", "a class", "the file is truncated")
    if len(block.ids) < block.count:
        expected = f"the {block.count} ids of class {shown(block.name)}, of which {len(block.ids)} are there"
        raise _error(path, lines[-1][0] + 1, "the end of the file", expected, "the file is truncated")
    yield block


def _header(path: Path, number: int, words: list[str], before: _Block | None) -> _Block:
    """A class from the words of its first line; a name may hold blanks."""
    if len(words) < 3:
        expected = "<class> <parent> <models>"
        more = "" if before is None else f"class {shown(before.name)} has its {before.count} ids already"
        raise _error(path, number, f"{shown(' '.join(words)[:60])!r}", expected, more)
    if not _is_count(words[-1]):
        raise _error(path, number, f"{shown(words[-1][:40])!r} models", "a whole number that is not negative")
    return _Block(" ".join(words[:-2]), words[-2], int(words[-1]), number, [])


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10


def _check_header(path: Path, header: tuple[int, str], blocks: list[_Block]) -> None:
    number, line = header
    words = line.split()
    if len(words) != 2 or not all(_is_count(word) for word in words):
        raise _error(path, number, f"{shown(line.strip()[:40])!r}", "<classes> <models>, two whole numbers")
    classes, models = map(int, words)
    full = sum(1 for block in blocks if block.count)
    total = sum(block.count for block in blocks)
    # Some files count the inner nodes of the hierarchy, some do not.
    if classes not in (full, len(blocks)):
        raise _error(path, number, f"{classes} classes", f"the {len(blocks)} that follow", "the file is incomplete")
    if models != total:
        raise _error(path, number, f"{models} models", f"the {total} that follow", "the file is incomplete")


def _check_ids(path: Path, blocks: list[_Block]) -> None:
    """Refuses classes and models that are there twice."""
    first: dict[str, _Block] = {}
    owner: dict[str, _Block] = {}
    for block in blocks:
        if (other := first.setdefault(block.name, block)) is not block:
            found = f"class {shown(block.name)} again"
            raise _error(path, block.line, found, f"each class once; the other is on line {other.line}")
        for one in block.ids:
            if one in owner:
                where = f"in {shown(owner[one].name)} and {shown(block.name)}" if owner[one] is not block else "twice"
                raise _error(path, block.line, f"id {shown(one)} {where}", "each id once")
            owner[one] = block


def _error(path: Path, line: int, found: str, expected: str, hint: str = "") -> DataFormatError:
    return DataFormatError(shown(path), f"line {line}", found, expected, hint)
