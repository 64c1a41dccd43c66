from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from monge.ot.exact import emd
from monge.ot.line import cramer_line, emd_line
from monge.ot.tree import cramer_tree, emd_tree

DOUBLE = torch.float64


def random_tree(nodes: int) -> tuple[list[int], Tensor]:
    """Parents in a random numbering, and lengths; the root's own is nonsense on purpose."""
    names = torch.randperm(nodes).tolist()
    parents = [0] * nodes
    parents[names[0]] = -1
    for k in range(1, nodes):
        parents[names[k]] = names[int(torch.randint(k, ()))]
    lengths = torch.rand(nodes, dtype=DOUBLE)
    lengths[names[0]] = 1e9
    return parents, lengths


def path_metric(parents: list[int], lengths: Tensor) -> Tensor:
    """Distances by walking up from both ends, node by node."""

    def ancestors(node: int) -> dict[int, float]:
        found, walked = {node: 0.0}, 0.0
        while parents[node] not in (-1, node):
            walked += float(lengths[node])
            node = parents[node]
            found[node] = walked
        return found

    ways = [ancestors(node) for node in range(len(parents))]
    return torch.tensor([[min(u[k] + v[k] for k in u.keys() & v.keys()) for v in ways] for u in ways], dtype=DOUBLE)


def masses(*shape: int, zeros: float = 0.3) -> Tensor:
    p = torch.rand(*shape, dtype=DOUBLE) * (torch.rand(*shape) >= zeros)
    p[..., 0] += 0.01
    return p / p.sum(-1, keepdim=True)


@pytest.mark.parametrize("nodes", [1, 2, 5, 12])
def test_equals_emd_with_the_path_metric(nodes: int) -> None:
    for _ in range(5):
        parents, lengths = random_tree(nodes)
        p, q = masses(3, nodes), masses(3, nodes)
        ground = path_metric(parents, lengths)
        expected = emd(ground.expand(3, nodes, nodes), p, q).value
        torch.testing.assert_close(emd_tree(p, q, parents, lengths), expected, rtol=1e-10, atol=1e-12)


def test_chain_is_a_line() -> None:
    p, q = masses(4, 9), masses(4, 9)
    x = torch.randn(9, dtype=DOUBLE).sort().values
    parents = torch.arange(-1, 8)
    lengths = torch.cat([torch.zeros(1, dtype=DOUBLE), x.diff()])
    torch.testing.assert_close(emd_tree(p, q, parents, lengths), emd_line(p, q, positions=x))
    torch.testing.assert_close(cramer_tree(p, q, parents, lengths), cramer_line(p, q, positions=x))
    backwards = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8, 8])  # the other end as root, named by itself
    lengths = torch.cat([x.diff(), torch.zeros(1, dtype=DOUBLE)])
    torch.testing.assert_close(emd_tree(p, q, backwards, lengths), emd_line(p, q, positions=x))


def test_star_is_total_variation() -> None:
    p, q = masses(5, 8), masses(5, 8)
    p[:, 0] = q[:, 0] = 0.0
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    parents, lengths = [-1] + [0] * 7, torch.full((8,), 0.5, dtype=DOUBLE)
    torch.testing.assert_close(emd_tree(p, q, parents, lengths), 0.5 * (p - q).abs().sum(1))
    torch.testing.assert_close(cramer_tree(p, q, parents, lengths), 0.5 * (p - q).square().sum(1))


@pytest.mark.parametrize("distance", [emd_tree, cramer_tree])
def test_gradcheck(distance: object) -> None:
    assert callable(distance)
    parents, lengths = random_tree(7)
    lengths = lengths.clamp_max(1.0).requires_grad_()
    p, q = masses(2, 7, zeros=0.0).requires_grad_(), masses(2, 7, zeros=0.0).requires_grad_()

    def value(p: Tensor, q: Tensor, lengths: Tensor) -> Tensor:
        result = distance(p, q, parents, lengths)
        assert isinstance(result, Tensor)
        return result

    assert gradcheck(value, (p, q, lengths))
    assert gradgradcheck(value, (p, q, lengths))
    value(p, q, lengths).sum().backward()
    assert lengths.grad is not None
    assert float(lengths.grad[parents.index(-1)]) == 0.0


def test_gradient_is_the_paper_s() -> None:
    """``rho |phi|^(rho - 1) sign(phi)`` summed over the edges above a node, up to a constant that no softmax sees."""
    parents, lengths = random_tree(10)
    p, q = masses(10, zeros=0.0).requires_grad_(), masses(10, zeros=0.0)
    (by_p,) = torch.autograd.grad(cramer_tree(p, q, parents, lengths), p)
    below = np.zeros((10, 10))
    for node in range(10):
        above = node
        while above != -1:
            below[above, node] = 1.0
            above = parents[above]
    below[parents.index(-1)] = 0.0
    phi = below @ (p.detach() - q).numpy()
    expected = torch.from_numpy(below.T @ (2 * lengths.numpy() * phi))
    torch.testing.assert_close(by_p - by_p.mean(), expected - expected.mean())


@pytest.mark.parametrize("shape", ["chain", "random", "star"])
def test_ten_thousand_nodes(shape: str) -> None:
    nodes = 10_000
    p, q = torch.randn(8, nodes).softmax(-1).requires_grad_(), torch.randn(8, nodes).softmax(-1)
    lengths = torch.rand(nodes)
    if shape == "random":
        parents = [-1] + [int(t) for t in (torch.rand(nodes - 1) * torch.arange(1, nodes)).long()]
    else:
        parents = list(range(-1, nodes - 1)) if shape == "chain" else [-1] + [0] * (nodes - 1)
    value = emd_tree(p, q, parents, lengths)
    value.sum().backward()
    assert p.grad is not None
    assert bool(torch.isfinite(p.grad).all())
    exact = emd_tree(p.detach().double(), q.double(), parents, lengths.double())
    torch.testing.assert_close(value.detach().double(), exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    parents, lengths = random_tree(20)
    p, q = torch.randn(3, 20).softmax(-1).to(dtype), torch.randn(3, 20).softmax(-1).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = emd_tree(p, q, parents, lengths.to(torch.float32))
    assert ours.dtype == torch.promote_types(dtype, torch.float32)
    expected = emd_tree(p.double() / p.double().sum(1, True), q.double() / q.double().sum(1, True), parents, lengths)
    torch.testing.assert_close(ours.double(), expected, rtol=2e-2, atol=1e-5)


def test_broadcasts() -> None:
    parents, lengths = random_tree(6)
    p, q = masses(3, 1, 6), masses(4, 6)
    value = emd_tree(p, q, torch.tensor(parents), lengths)
    assert value.shape == (3, 4)
    torch.testing.assert_close(value[2, 1], emd_tree(p[2, 0], q[1], parents, lengths))


@pytest.mark.parametrize(
    ("parents", "lengths", "message"),
    [
        ([-1, 0, -1], torch.ones(3), "2 nodes are roots"),
        ([1, 2, 0], torch.ones(3), "0 nodes are roots"),
        ([-1, 2, 1], torch.ones(3), "node 1 is its own ancestor"),
        ([-1, 0, 3], torch.ones(3), "node 2 has parent 3"),
        ([-1, 0, -2], torch.ones(3), "node 2 has parent -2"),
        ([-1, 0], torch.ones(3), "one for each mass"),
        (torch.tensor([-1.0, 0.0, 0.0]), torch.ones(3), "expected integers"),
        ([-1, 0, 0], torch.ones(2), "edge_lengths has shape"),
        ([-1, 0, 0], torch.tensor([0.0, 1.0, -1.0]), "non-negative"),
        ([-1, 0, 0], torch.tensor([0.0, 1.0, torch.nan]), "non-negative"),
    ],
)
def test_wrong_trees_are_refused(parents: list[int] | Tensor, lengths: Tensor, message: str) -> None:
    for distance in (emd_tree, cramer_tree):
        with pytest.raises(ValueError, match=message):
            distance(torch.ones(3) / 3, torch.ones(3) / 3, parents, lengths)


def test_wrong_masses_are_refused() -> None:
    with pytest.raises(ValueError, match="p sums to 2 and q to 1"):
        emd_tree(torch.ones(2), torch.ones(2) / 2, [-1, 0], torch.ones(2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.sampled_from([1e-3, 1.0, 1e3]), st.integers(0, 2**31))
def test_properties(nodes: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    parents, lengths = random_tree(nodes)
    p, q, r = masses(nodes), masses(nodes), masses(nodes)
    value = emd_tree(p, q, parents, lengths)
    close = {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(emd_tree(q, p, parents, lengths), value, **close)
    torch.testing.assert_close(
        emd_tree(scale * p, scale * q, parents, scale * lengths), scale**2 * value, rtol=1e-9, atol=1e-12 * scale**2
    )
    assert float(emd_tree(p, p.clone(), parents, lengths)) == 0.0
    assert float(value) <= float(emd_tree(p, r, parents, lengths) + emd_tree(r, q, parents, lengths)) + 1e-12
    # Nodes may be numbered in any order.
    order = torch.randperm(nodes)
    place = torch.empty(nodes, dtype=torch.int64).scatter_(0, order, torch.arange(nodes))
    renamed = [-1 if parents[node] == -1 else int(place[parents[node]]) for node in order.tolist()]
    torch.testing.assert_close(emd_tree(p[order], q[order], renamed, lengths[order]), value, **close)
