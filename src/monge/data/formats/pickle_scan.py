"""Reads a pickle's opcodes without running them, and refuses what a data file has no use for.

``pickle.Unpickler`` reserves memory for what some opcodes announce, keeps its memo in an array as long as the largest
index a file names, and hashes nested tuples on the C stack; so sizes, indices and nesting are checked here first.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Any

from monge.errors import DataFormatError

MAX_OPCODES = 5_000_000
MAX_DEPTH = 64
# Persistent ids, extension codes, old-style instances, out-of-band buffers and sets: none occurs in a data file.
_REFUSED = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}
_REFUSED |= {"NEXT_BUFFER", "READONLY_BUFFER", "EMPTY_SET", "ADDITEMS", "FROZENSET"}
_FILLS_CONTAINER = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"}
_MEMO_WRITES = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_MEMO_READS = {"GET", "BINGET", "LONG_BINGET"}
_MARK = -1


def scan_pickle(path: Path, content: bytes) -> list[int]:
    """Checks every opcode of a pickle.

    Args:
        path: The file, for the error messages.
        content: Its bytes.

    Returns:
        The byte positions of the opcodes that name a global, in the order in which they will run.

    Raises:
        DataFormatError: Not a pickle, cut short, or an opcode, memo index, nesting or number of opcodes out of bounds.

    Example:
        >>> import collections, pickle
        >>> scan_pickle(Path("a.pkl"), pickle.dumps(collections.OrderedDict(), protocol=2))
        [2]
    """
    stack, globals_at, count = _DepthStack(), [], 0
    where = "byte 0"
    try:
        for opcode, argument, position in pickletools.genops(content):
            where = f"byte {position}"
            count += 1
            if opcode.name in _REFUSED:
                raise DataFormatError(
                    path, where, f"the opcode {opcode.name}", "plain data and numpy arrays", "not loaded"
                )
            if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
                globals_at.append(position or 0)
            if opcode.name in _MEMO_WRITES and isinstance(argument, int) and not 0 <= argument <= count:
                raise DataFormatError(path, where, f"memo index {argument}", f"at most {count}", "a made-up file")
            if stack.apply(opcode, argument) > MAX_DEPTH:
                raise DataFormatError(path, where, f"nesting deeper than {MAX_DEPTH}", "plain data", "a made-up file")
            if count > MAX_OPCODES:
                raise DataFormatError(path, where, f"more than {MAX_OPCODES} opcodes", "a data file", "not loaded")
    except DataFormatError:
        raise
    except Exception as error:  # pickletools raises ValueError mostly, but decoding errors of several kinds as well
        found = f"a broken pickle ({first_line(error)})"
        raise DataFormatError(path, f"after {where}", found, "a whole pickle", "not a pickle, or truncated") from None
    return globals_at


def first_line(error: Exception) -> str:
    """What an error says, in one line of bounded length.

    Example:
        >>> first_line(ValueError("bad\\nvalue"))
        'ValueError: bad value'
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]


class _DepthStack:
    """Follows how deeply the objects on the unpickler's stack are nested."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._memo: dict[int, int] = {}

    def apply(self, opcode: pickletools.OpcodeInfo, argument: Any) -> int:
        """Applies one opcode and returns the depth of the object it leaves on top."""
        if opcode.name in _MEMO_READS:
            self._stack.append(self._memo[int(argument)])
        elif opcode.name in _MEMO_WRITES:
            self._memo[len(self._memo) if argument is None else int(argument)] = self._stack[-1]
        elif opcode.name == "DUP":
            self._stack.append(self._stack[-1])
        else:
            taken = self._take(opcode)
            # What fills a container leaves its depth alone unless an item is deeper; all else wraps what it takes.
            own = taken.pop() if opcode.name in _FILLS_CONTAINER and taken else 0
            depth = max(own, 1 + max(taken, default=0))
            self._stack += [_MARK if kind is pickletools.markobject else depth for kind in opcode.stack_after]
        return self._stack[-1] if self._stack else 0

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[int]:
        """Pops what the opcode consumes; a mark stands for everything above it."""
        before, taken = opcode.stack_before, []
        if pickletools.markobject in before:
            while (depth := self._stack.pop()) != _MARK:
                taken.append(depth)
            before = before[: before.index(pickletools.markobject)]
        taken += [self._stack.pop() for _ in before]
        return [depth for depth in taken if depth != _MARK]
