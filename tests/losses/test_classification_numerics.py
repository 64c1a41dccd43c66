"""Where classification losses tend to break: saturation, no weight, low precision, compilation, very many classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from monge.ground import FromEmbeddings, Ground, Learned, Line, Matrix, Power, Tree
from monge.losses import CrossEntropyEMDLoss, SquaredEMDLoss
from monge.losses.ground_loss import GroundLoss

C = 5


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(size: int = 8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    labels = torch.randint(0, C, (size,), generator=torch.Generator().manual_seed(seed))
    return 2.0 * draw(size, C, seed=seed), labels, draw(size, C, seed=seed + 1).softmax(1)


def learned() -> Learned:
    ground = Learned(C, head_start=0)
    ground.observe(draw(40, 3).abs(), torch.arange(40) % C)
    ground.refresh()
    return ground


def matrix() -> Matrix:
    return Matrix(draw(C, C).abs().fill_diagonal_(0.0), symmetric=False)


GROUNDS: dict[str, Callable[[], Ground]] = {
    "line": Line,
    "positions": lambda: Line([0.0, 1.0, 4.0, 4.5, 9.0]),
    "tree": lambda: Tree([-1, 0, 0, 1, 1, 2], leaves=[3, 4, 5, 1, 0]),
    "matrix": matrix,
    "embeddings": lambda: FromEmbeddings(draw(C, 3)),
    "power": lambda: Power(Line(), 2),
    "learned": learned,
}
FORMS: dict[str, Callable[[Ground], GroundLoss]] = {
    "squared": SquaredEMDLoss,
    "linear": lambda ground: SquaredEMDLoss(ground, power=1),
    "root": lambda ground: SquaredEMDLoss(ground, root=True, class_average=True),
    "smoothed, weighted": lambda ground: SquaredEMDLoss(ground, label_smoothing=0.1, weight=torch.arange(1.0, C + 1)),
    "xemd": lambda ground: CrossEntropyEMDLoss(ground, omega=2.0, head_start=0),
}
every_ground = pytest.mark.parametrize("ground", GROUNDS.values(), ids=GROUNDS.keys())
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
FEATURES = draw(8, 3).abs()


@every_form
@every_ground
def test_gradcheck(ground, form) -> None:
    x, y, t = batch(size=3)
    loss = form(ground().double()).double().eval()
    x = x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, y), x)
    if not (isinstance(loss, SquaredEMDLoss) and loss.power == 1):  # solved by the engine, to its tolerance
        assert torch.autograd.gradcheck(lambda z: loss(z, t.double()), x)


@every_form
@every_ground
def test_saturated_and_forbidden_logits_stay_finite(ground, form) -> None:
    x = torch.tensor(
        [
            [1e4, -1e4, 0.0, 0.0, 0.0],  # right beyond doubt
            [-1e4, 1e4, 0.0, 0.0, 0.0],  # wrong beyond doubt
            [3e38, 3e38, -3e38, 0.0, 0.0],
            [0.0, -torch.inf, 1.0, -torch.inf, 2.0],  # classes that are ruled out
            [0.0, 0.0, 0.0, 0.0, 0.0],
        ],
        requires_grad=True,
    )
    loss = form(ground()).eval()
    if loss.label_smoothing > 0 and isinstance(loss, CrossEntropyEMDLoss):
        x = x.detach().clamp(-1e4, 1e4).requires_grad_()
    value = loss(x, torch.zeros(5).long())
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("options", [{}, {"root": True}, {"power": 1}], ids=["squared", "root", "linear"])
@every_ground
@pytest.mark.parametrize("lost", [torch.nan, torch.inf])
def test_logits_without_probabilities_never_cost_nothing(ground, options: dict, lost: float) -> None:
    x, y, _ = batch()
    x[2, 1] = lost
    assert SquaredEMDLoss(ground(), reduction="none", **options).eval()(x, y).isnan().nonzero().tolist() == [[2]]


@every_form
@every_ground
def test_nothing_to_learn_from_costs_nothing_and_keeps_the_graph(ground, form) -> None:
    loss = form(ground()).eval()
    empty = torch.zeros(0, C)
    for x, y in ((torch.zeros(3, C), torch.full((3,), -100)), (empty, torch.zeros(0).long()), (empty, empty)):
        x = x.clone().requires_grad_()
        value = loss(x, y)
        value.backward()
        assert value == 0
        assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("make", [SquaredEMDLoss, CrossEntropyEMDLoss])
def test_weights_of_zero_and_a_single_class(make) -> None:
    x = torch.zeros(3, 2, requires_grad=True)
    for weight in (torch.zeros(2), torch.tensor([0.0, 1.0])):
        value = make(weight=weight)(x, torch.zeros(3).long())
        value.backward()
        assert value == 0
        assert torch.equal(x.grad, torch.zeros(3, 2))
    one = torch.randn(3, 1, requires_grad=True)
    for ground in (None, torch.zeros(1, 1), Tree([-1])):
        for target in (torch.zeros(3).long(), torch.ones(3, 1)):
            value = make(ground)(one, target)
            value.backward()
            assert value == (-0.5 if make is CrossEntropyEMDLoss else 0.0)  # mu p_k^2
            assert torch.equal(one.grad, torch.zeros(3, 1))


@every_form
@every_ground
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(ground, form, dtype: torch.dtype) -> None:
    x, y, t = batch()
    loss = form(ground()).eval()
    for target in (y, t):
        low = x.to(dtype).requires_grad_()
        exact = low.detach().float().requires_grad_()
        value, reference = loss(low, target), loss(exact, target)
        value.backward()
        reference.backward()
        assert value.dtype == torch.float32
        assert torch.equal(value, reference)
        assert low.grad.dtype == dtype
        torch.testing.assert_close(low.grad, exact.grad.to(dtype))


@every_form
@every_ground
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_neither_value_nor_dtypes(ground, form, dtype: torch.dtype) -> None:
    x, y, t = batch()
    loss, model = form(ground()), nn.Linear(C, C)
    weight = None if loss.weight is None else loss.weight.dtype
    plain = loss.eval()(x, y), loss(x, t)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(loss(x, y), plain[0])
        assert torch.equal(loss(x, t), plain[1])
        loss.train()(model(x), y, FEATURES).backward()
    assert all(parameter.dtype == parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert loss.weight is None or loss.weight.dtype == weight


@pytest.mark.parametrize("given", [Line([0.0, 1.0, 2.0, 3.0, 4.0]), Tree([-1, 0, 0, 0, 0]).double(), matrix().double()])
def test_float32_logits_give_float32_whatever_the_distance(given: Ground) -> None:
    x, y, t = batch()
    for make in FORMS.values():
        for target in (y, t):
            assert make(given.double())(x, target).dtype == torch.float32


# Every code path once; compiling all pairs of grounds and forms takes minutes.
COMPILED = [
    ("line", "squared"),
    ("positions", "linear"),
    ("tree", "squared"),
    ("matrix", "smoothed, weighted"),
    ("embeddings", "xemd"),
    ("learned", "linear"),
    ("learned", "xemd"),
]


@pytest.mark.parametrize(("ground", "form"), [(GROUNDS[ground], FORMS[form]) for ground, form in COMPILED])
def test_compiles_whole_and_once_for_every_mix_of_labels(ground, form) -> None:
    torch._dynamo.reset()
    x, y, t = batch()
    x.requires_grad_()
    loss, twin = form(ground()), form(ground())
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (plain,) = torch.autograd.grad(twin(x, y, FEATURES), x)
    (fused,) = torch.autograd.grad(compiled(x, y, FEATURES), x)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-6)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for mix in (torch.zeros(8).long(), y.flip(0), torch.full((8,), -100)):
            torch.testing.assert_close(compiled(x, mix, FEATURES), twin(x, mix, FEATURES), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(compiled(x, t, FEATURES), twin(x, t, FEATURES), rtol=1e-5, atol=1e-6)
    if loss.learned is not None:  # what it saw on the way is the same
        torch.testing.assert_close(loss.learned.state["sums"], twin.learned.state["sums"])


def test_an_epoch_does_not_make_the_graph_anew() -> None:
    torch._dynamo.reset()
    x, y, _ = batch()
    loss = CrossEntropyEMDLoss.xemd2(Learned(C, head_start=2))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for _ in range(4):  # before and after the first distances, then past the head start
        compiled(x, y, FEATURES)
        loss.end_epoch()
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(3):
            torch.testing.assert_close(compiled(x, y, FEATURES), loss(x, y, FEATURES), rtol=1e-5, atol=1e-6)
            loss.end_epoch()
    assert loss.learned.epoch == 7


@every_form
@every_ground
def test_order_of_the_batch_does_not_matter(ground, form) -> None:
    x, y, t = batch(seed=3)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(4))
    loss = form(ground()).eval()
    torch.testing.assert_close(loss(x, y), loss(x[order], y[order]))
    torch.testing.assert_close(loss(x, t), loss(x[order], t[order]))


@pytest.mark.parametrize("target", ["class", "soft"])
@pytest.mark.parametrize("make", [SquaredEMDLoss, CrossEntropyEMDLoss, lambda: SquaredEMDLoss(power=1)])
def test_a_hundred_thousand_classes_on_a_line(make, target: str) -> None:
    """A square matrix of these would take 40 GB."""
    classes = 100_000
    x = draw(3, classes).requires_grad_()
    y = torch.tensor([0, 50_000, 99_999])
    t = y if target == "class" else torch.nn.functional.one_hot(y, classes).float()
    value = make()(x, t)
    value.backward()
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0
    if target == "soft":
        torch.testing.assert_close(value, make()(x, y), rtol=1e-5, atol=0)


def test_a_hundred_thousand_classes_in_a_tree_or_as_vectors() -> None:
    classes = 100_000
    tree = Tree([-1, *(node // 10 for node in range(classes + 9_999))], leaves=range(10_000, 10_000 + classes))
    x, y = draw(2, classes), torch.tensor([7, 99_000])
    for ground in (tree, FromEmbeddings(draw(classes, 4))):
        for make in (SquaredEMDLoss, CrossEntropyEMDLoss):
            assert make(ground)(x, y).isfinite()


@pytest.mark.gpu
@every_form
@every_ground
def test_a_gpu_gives_what_the_cpu_gives(ground, form) -> None:
    x, y, t = batch()
    here, there = form(ground()), form(ground()).cuda()
    for target in (y, t):
        near, far = x.clone().requires_grad_(), x.cuda().requires_grad_()
        value, other = here(near, target, FEATURES), there(far, target.cuda(), FEATURES.cuda())
        value.backward()
        other.backward()
        torch.testing.assert_close(other.cpu(), value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(far.grad.cpu(), near.grad, rtol=1e-3, atol=1e-5)
    here.end_epoch()
    there.end_epoch()
    torch.testing.assert_close(there.ground.matrix(C).cpu(), here.ground.matrix(C))


@pytest.mark.gpu
@pytest.mark.parametrize("ground", ["line", "tree", "matrix"])
def test_on_a_gpu_a_wrong_class_is_nan_and_no_other(ground: str) -> None:
    loss = SquaredEMDLoss(GROUNDS[ground](), reduction="none").cuda()
    wrong = torch.tensor([0, C, -100, -1]).cuda()
    assert loss(torch.zeros(4, C).cuda(), wrong).isnan().tolist() == [False, True, False, True]
