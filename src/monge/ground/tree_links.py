"""From named links, each a class and its parent, to the arrays of a tree."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Link(NamedTuple):
    """One row of a hierarchy.

    Attributes:
        child: A class or a group of classes.
        parent: What it belongs to; ``None`` for the root.
        length: Length of the edge between them.
        line: Where it was read, from 1.
    """

    child: Hashable
    parent: Hashable | None
    length: float
    line: int


class LinkedTree(NamedTuple):
    """Arrays of a tree.

    Attributes:
        parents: Parent of each node, -1 for the root.
        lengths: Length of the edge above each node, 0 for the root.
        leaves: Node of each class.
    """

    parents: list[int]
    lengths: list[float]
    leaves: list[int]


class LinkError(ValueError):
    """Links that are no tree.

    Args:
        line: Where; 0 for the whole.
        found: What is there.
        expected: What a tree asks for.
    """

    def __init__(self, line: int, found: str, expected: str) -> None:
        self.line, self.found, self.expected = line, found, expected
        super().__init__(f"{f'link {line}: ' if line else ''}found {found}, expected {expected}")


def link_tree(links: Sequence[Link], classes: Sequence[Hashable]) -> LinkedTree:
    """Checks links and joins them to a tree.

    The root is the link without a parent, or, if there is none, the one parent that has no link of its own.

    Args:
        links: In any order.
        classes: Names of the classes, in the order of their labels; each must be a node.

    Raises:
        LinkError: Two links for a child, two roots, a parent nobody knows, a cycle, a class that is missing or twice.

    Example:
        >>> pets = [Link("cat", "pet", 1.0, 1), Link("dog", "pet", 2.0, 2)]
        >>> link_tree(pets, ["dog", "cat"])
        LinkedTree(parents=[1, -1, 1], lengths=[1.0, 0.0, 2.0], leaves=[2, 0])
    """
    by_child: dict[Hashable, Link] = {}
    for link in links:
        if link.child in by_child:
            first = by_child[link.child].line
            raise LinkError(link.line, f"{link.child!r} a second time (line {first} has it)", "one row a name")
        by_child[link.child] = link
    root = _root(links, by_child)
    numbers: dict[Hashable, int] = {}
    for link in links:
        for name in (link.child, link.parent):
            if name is not None:
                numbers.setdefault(name, len(numbers))
    parents, lengths = [-1] * len(numbers), [0.0] * len(numbers)
    for link in links:
        if link.child != root and link.parent is not None:
            parents[numbers[link.child]], lengths[numbers[link.child]] = numbers[link.parent], link.length
    if len(reached := set(depth_first(parents))) < len(parents):
        names = list(numbers)
        on_cycle = cycle(parents, next(node for node in range(len(parents)) if node not in reached))
        steps = " below ".join(
            repr(names[node]) for node in [*on_cycle[:4], *(on_cycle[:1] if len(on_cycle) < 5 else [])]
        )
        raise LinkError(by_child[names[on_cycle[0]]].line, f"a cycle: {steps}", "every name below the root")
    return LinkedTree(parents, lengths, _leaves(numbers, classes))


def depth_first(parents: Sequence[int]) -> list[int]:
    """Nodes below the roots, every subtree in one piece and each node before what hangs on it.

    Args:
        parents: Parent of each node, -1 for a root.

    Example:
        >>> depth_first([-1, 0, 0, 1])
        [0, 2, 1, 3]
    """
    children: list[list[int]] = [[] for _ in parents]
    waiting: list[int] = []
    for node, parent in enumerate(parents):
        (waiting if parent < 0 else children[parent]).append(node)
    order: list[int] = []
    while waiting:
        order.append(node := waiting.pop())
        waiting.extend(children[node])
    return order


def cycle(parents: Sequence[int], node: int) -> list[int]:
    """The cycle that the ancestors of a node run into, lowest number first.

    Args:
        parents: Parent of each node.
        node: A node that no root is above.

    Example:
        >>> cycle([1, 2, 1], 0)
        [1, 2]
    """
    path: dict[int, int] = {}
    while node not in path:
        path[node] = len(path)
        node = parents[node]
    turn = list(path)[path[node] :]
    start = turn.index(min(turn))
    return turn[start:] + turn[:start]


def _root(links: Sequence[Link], by_child: dict[Hashable, Link]) -> Hashable | None:
    roots = [link for link in links if link.parent is None or link.parent == link.child]
    if len(roots) > 1:
        found = f"a second root {roots[1].child!r} (the first is {roots[0].child!r}, line {roots[0].line})"
        raise LinkError(roots[1].line, found, "one root")
    unlisted = [link for link in links if link.parent is not None and link.parent not in by_child]
    if roots:
        if unlisted:
            link = unlisted[0]
            raise LinkError(link.line, f"the unknown parent {link.parent!r}", "a parent with a row of its own")
        return roots[0].child
    tops = {link.parent: link for link in unlisted}
    if len(tops) > 1:
        one, other = list(tops.values())[:2]
        found = f"a second root {other.parent!r} without a row (the first is {one.parent!r}, line {one.line})"
        raise LinkError(other.line, found, "one root")
    return next(iter(tops), None)


def _leaves(numbers: dict[Hashable, int], classes: Sequence[Hashable]) -> list[int]:
    if missing := [name for name in classes if name not in numbers]:
        raise LinkError(0, f"no row for the class {missing[0]!r}", f"one for each of {len(classes)} classes")
    if len(set(classes)) < len(classes):
        twice = next(name for place, name in enumerate(classes) if name in classes[:place])
        raise LinkError(0, f"the class {twice!r} twice", "classes that differ")
    return [numbers[name] for name in classes]
