"""Trees: distances and masses below edges against climbing, and hierarchies read from files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.ground import Tree
from monge.ot import cramer_tree, emd_tree
from oracles.squared_emd import path_lengths


def random_tree(seed: int) -> tuple[list[int], torch.Tensor, list[int]]:
    """Up to 14 nodes in any order, edges of length 0 among them, and any nodes as classes."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 15))
    names = rng.permutation(size)
    parents = [-1] * size
    for node in range(1, size):
        parents[names[node]] = int(names[rng.integers(node)])
    lengths = torch.from_numpy(rng.random(size) * (rng.random(size) > 0.2))
    nodes = rng.permutation(size)[: rng.integers(1, size + 1)].tolist()
    return parents, lengths, nodes


@pytest.mark.parametrize("seed", range(40))
def test_distances_are_the_ways_through_the_tree(seed: int) -> None:
    parents, lengths, nodes = random_tree(seed)
    expected = path_lengths(parents, lengths.tolist(), nodes)
    np.testing.assert_allclose(Tree(parents, lengths, nodes).matrix().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_masses_below_edges_give_the_engines_costs(seed: int) -> None:
    parents, lengths, nodes = random_tree(seed)
    tree = Tree(parents, lengths, nodes)
    p, q = torch.rand(2, 3, len(nodes), dtype=torch.float64).softmax(-1)
    below = tree.below(p - q)
    assert below.shape[1] < max(1, 2 * len(nodes))
    on_nodes = [torch.zeros(3, len(parents), dtype=torch.float64).index_copy(1, tree.leaves, m) for m in (p, q)]
    for form, amount in ((emd_tree, below.abs()), (cramer_tree, below.square())):
        torch.testing.assert_close((amount * tree.spans).sum(-1), form(*on_nodes, parents, lengths))


def test_every_node_is_a_class_unless_leaves_say_otherwise() -> None:
    assert Tree([-1, 0, 0]).matrix().tolist() == [[0, 1, 1], [1, 0, 2], [1, 2, 0]]
    assert Tree([0, 0, 0], leaves=[2, 1]).matrix().tolist() == [[0, 2], [2, 0]]  # a root may be its own parent


def test_small_subtrees_of_a_large_mass_keep_their_digits() -> None:
    """A leaf of 1e-6 beside 100,000 others: the difference of two float32 sums near 1 would lose half its digits."""
    tree = Tree([-1, 0, 0, *([2] * 100_000)], leaves=[1, *range(3, 100_003)])  # the leaf is the last in the walk
    p = torch.full((100_001,), 1e-5)
    p[0] = 1e-6
    edge = tree.below(torch.eye(1, 100_001)).argmax()
    assert float(tree.below(p)[edge]) == pytest.approx(1e-6, rel=1e-6)


def test_a_tree_as_large_as_wordnet_is_quickly_built_and_asked() -> None:
    rng = np.random.default_rng(0)
    parents = [-1, *(int(rng.integers(max(0, node - 300), node)) for node in range(1, 22_000))]
    tree = Tree(parents, leaves=range(2_000, 22_000))
    labels = torch.tensor([0, 7_777, 19_999])
    columns = tree.columns(labels, 20_000)
    some = [0, 1, 4_321, 7_777, 19_998, 19_999]
    expected = path_lengths(parents, [1.0] * 22_000, [2_000 + place for place in some])
    torch.testing.assert_close(columns[:, some].double(), torch.from_numpy(expected)[[0, 3, 5]])
    assert len(tree.spans) < 40_000


def test_a_chain_of_20_000_is_no_deeper_than_others() -> None:
    tree = Tree([-1, *range(19_999)])
    assert tree.columns(torch.tensor([19_999]), 20_000)[0, :3].tolist() == [19_999, 19_998, 19_997]


BAD_TREES = {
    "two roots": ({"parents": [-1, -1, 0]}, "2 nodes are roots"),
    "no root": ({"parents": [1, 0]}, "node 0 is its own ancestor"),
    "cycle below a root": ({"parents": [-1, 0, 3, 4, 2]}, "node 2 is its own ancestor"),
    "unknown parent": ({"parents": [-1, 7]}, "node 1 has parent 7: expected -1 to 1"),
    "no nodes": ({"parents": []}, "expected"),
    "floats": ({"parents": [-1.0, 0.0]}, "integers"),
    "lengths": ({"parents": [-1, 0], "edge_lengths": [1.0]}, r"shape \(1,\): expected \(2,\)"),
    "negative length": ({"parents": [-1, 0], "edge_lengths": [0.0, -1.0]}, "above node 1 has length -1"),
    "endless": ({"parents": [-1, 0], "edge_lengths": [0.0, float("inf")]}, "above node 1 has length inf"),
    "leaf twice": ({"parents": [-1, 0], "leaves": [1, 1]}, "a node twice"),
    "leaf outside": ({"parents": [-1, 0], "leaves": [1, 2]}, "leaves run from 1 to 2: expected nodes 0 to 1"),
    "no leaves": ({"parents": [-1, 0], "leaves": []}, "expected"),
}


@pytest.mark.parametrize(("settings", "message"), BAD_TREES.values(), ids=BAD_TREES.keys())
def test_what_is_no_tree_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tree(**settings)


def test_named_edges() -> None:
    edges = [("cat", "pet", 0.5), ("dog", "pet", 0.25), ("pet", "thing", 1.0), ("cup", "thing", 2.0)]
    tree = Tree.from_edges(edges, ["dog", "cup", "pet"])
    assert tree.matrix().tolist() == [[0, 3.25, 0.25], [3.25, 0, 3], [0.25, 3, 0]]


@pytest.mark.parametrize(
    ("edges", "classes", "message"),
    [
        ([("a", "r"), ("b", "r"), ("a", "b")], ["a"], r"link 3: found 'a' a second time \(line 1 has it\)"),
        ([("a", "r"), ("b", "s")], ["a"], "link 2: found a second root 's' without a row"),
        ([("a", "b"), ("b", "a")], ["a"], "link 1: found a cycle: 'a' below 'b' below 'a'"),
        ([("a", "r")], ["a", "b"], "found no row for the class 'b', expected one for each of 2 classes"),
        ([("a", "r")], ["a", "a"], "the class 'a' twice"),
    ],
)
def test_edges_that_are_no_tree(edges: list, classes: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tree.from_edges(edges, classes)
