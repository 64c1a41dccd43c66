"""Targets under the rules of torch's cross-entropy: every shape, weight, smoothing and reduction, and every mistake."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from monge.losses.class_targets import class_targets

SHAPES = [((7, 5), (7,)), ((3, 5, 4, 2), (3, 4, 2)), ((5,), ()), ((1, 1), (1,))]


def indexed(shape: tuple[int, ...], places: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    classes = shape[min(1, len(shape) - 1)]
    return torch.randn(shape, generator=generator), torch.randint(0, classes, places, generator=generator)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "places"), SHAPES)
def test_cross_entropy_is_torchs(shape, places, weighted: bool, smoothing: float, reduction: str) -> None:
    x, y = indexed(shape, places)
    classes = shape[min(1, len(shape) - 1)]
    weight = torch.rand(classes) if weighted else None
    options = {"weight": weight, "label_smoothing": smoothing}
    if y.numel() > 1:
        y.view(-1)[0] = -100
    batch = class_targets(x, y, **options)
    torch.testing.assert_close(
        batch.reduce(batch.cross_entropy(), reduction), cross_entropy(x, y, **options, reduction=reduction)
    )
    t = torch.rand(shape).softmax(min(1, len(shape) - 1))
    batch = class_targets(x, t, **options)
    torch.testing.assert_close(
        batch.reduce(batch.cross_entropy(), reduction), cross_entropy(x, t, **options, reduction=reduction)
    )


def test_any_index_can_be_ignored() -> None:
    x, y = indexed((20, 4), (20,))
    for ignored in (2, 255, -1):
        mixed = torch.where(y == 0, ignored, y)
        batch = class_targets(x, mixed, ignore_index=ignored)
        torch.testing.assert_close(batch.reduce(batch.cross_entropy()), cross_entropy(x, mixed, ignore_index=ignored))


def test_weights_of_soft_targets_are_means_over_the_target() -> None:
    x, _ = indexed((3, 4), (3,))
    t, weight = torch.rand(3, 4).softmax(1), torch.rand(4)
    batch = class_targets(x, t, weight=weight)
    torch.testing.assert_close(batch.weighted(torch.ones(3)), t @ weight)
    assert batch.total == 3


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (torch.full((3,), -100), {}),
        (torch.zeros(3).long(), {"weight": torch.tensor([0.0, 1.0])}),
        (torch.zeros(3).long(), {"weight": torch.tensor([0.0, 0.0]), "label_smoothing": 0.1}),
    ],
)
def test_the_mean_over_nothing_is_zero_with_a_graph(targets: Tensor, options: dict) -> None:
    x = torch.randn(3, 2, requires_grad=True)
    batch = class_targets(x, targets, **options)
    value = batch.reduce(batch.cross_entropy())
    value.backward()
    assert value == 0
    assert torch.equal(x.grad, torch.zeros(3, 2))


def test_an_empty_batch_is_zero() -> None:
    x = torch.randn(0, 3, requires_grad=True)
    for targets in (torch.zeros(0).long(), torch.zeros(0, 3)):
        batch = class_targets(x, targets)
        value = batch.reduce(batch.cross_entropy())
        value.backward()
        assert value == 0
        assert batch.reduce(batch.cross_entropy(), "none").shape == (0,)


def test_all_integers_are_class_indices() -> None:
    x, y = indexed((20, 4), (20,))
    for dtype in (torch.int32, torch.uint8, torch.int16):
        assert torch.equal(class_targets(x, y.to(dtype)).labels, y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_soft_targets_of_half_precision_sum_to_one(dtype: torch.dtype) -> None:
    t = torch.rand(50, 40).softmax(1).to(dtype)
    batch = class_targets(torch.zeros(50, 40, dtype=dtype), t)
    assert batch.logits.dtype == batch.probabilities.dtype == torch.float32
    torch.testing.assert_close(batch.probabilities.sum(1), torch.ones(50), rtol=0, atol=1e-3)


X = torch.zeros(4, 3)
MISTAKES = {
    "class too high": (X, torch.tensor([0, 1, 3, 9]), {}, "target 2 is class 3: expected 0 to 2, or ignore_index -100"),
    "class negative": (X, torch.tensor([0, -1, 0, 0]), {}, "target 1 is class -1"),
    "too few": (X, torch.tensor([0, 1]), {}, r"shape \(2,\) and dtype torch.int64: expected class indices \(4,\)"),
    "one-hot integers": (X, torch.zeros(4, 3).long(), {}, "one-hot targets have to be floats"),
    "booleans": (X, torch.zeros(4, dtype=torch.bool), {}, "dtype torch.bool: expected class indices"),
    "float indices": (X, torch.zeros(4), {}, r"shape \(4,\): expected that of the logits, \(4, 3\)"),
    "no distribution": (X, torch.full((4, 3), 0.5), {}, "target 0 sums to 1.5: expected numbers from 0 on that sum"),
    "negative share": (X, torch.tensor([[1.5, -0.5, 0.0]] * 4), {}, "target 0 holds -0.5"),
    "nan share": (X, torch.full((4, 3), torch.nan), {}, "target 0 (sums to|holds) nan"),
    "ignored share": (X, torch.full((4, 3), 1 / 3), {"ignore_index": 1}, "ignore_index is 1: only class indices"),
    "weights": (X, torch.zeros(4).long(), {"weight": torch.ones(4)}, r"weight has shape \(4,\): expected \(3,\)"),
    "smoothing": (X, torch.zeros(4).long(), {"label_smoothing": 1.5}, "label_smoothing is 1.5"),
    "no floats": (X.long(), torch.zeros(4).long(), {}, "dtype torch.int64: expected floats"),
    "no classes": (torch.zeros(4, 0), torch.zeros(4).long(), {}, "expected at least one class"),
    "scalar": (torch.tensor(1.0), torch.tensor(0), {}, r"shape \(\)"),
}


@pytest.mark.parametrize(("logits", "targets", "options", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_get_one_line(logits: Tensor, targets: Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        class_targets(logits, targets, **options)
    assert "\n" not in str(caught.value)


def test_compiled_a_wrong_target_is_nan_and_no_other() -> None:
    def rows(x: Tensor, targets: Tensor) -> Tensor:
        batch = class_targets(x, targets)
        return batch.reduce(batch.cross_entropy(), "none")

    torch._dynamo.reset()
    compiled = torch.compile(rows, fullgraph=True, backend="aot_eager")
    x = torch.zeros(4, 3)
    assert compiled(x, torch.tensor([0, 3, -100, -7])).isnan().tolist() == [False, True, False, True]
    t = torch.full((4, 3), 1 / 3)
    t[2] = 0.5
    assert compiled(x, t).isnan().tolist() == [False, False, True, False]
