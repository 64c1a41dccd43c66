"""Networks for extracted features against slow NumPy, with rows and experts that are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monge.errors import MongeError, RecipeError
from monge.nn import (
    FrameTransformer,
    FrameTransformerConfig,
    GatedExperts,
    GatedExpertsConfig,
    GatedText,
    GatedTextConfig,
    MLPConfig,
    ModelConfig,
    build_model,
)
from monge.nn.frame_transformer import _Layer
from monge.nn.gated_experts import GatedUnit
from monge.nn.masked_pool import MaskedPool
from monge.nn.two_modalities_build import TwoModalitiesConfig, build_two_modalities
from oracles.expert_mixture import attention, gated, mean_of_rows, similarity

NAN = torch.nan
WIDTHS = (4, 3, 5)


def clips(count: int = 6, frames: int = 4) -> Tensor:
    """Clips with frames, experts and single vectors that are missing."""
    x = torch.randn(count, frames, sum(WIDTHS), dtype=torch.float64)
    x[1, 2:] = NAN
    x[2, :, 4:7] = NAN
    x[3, 1:, :4], x[3, :, 7:] = NAN, NAN
    x[4, 0] = NAN
    return x


def unit(module: nn.Module, x: np.ndarray) -> np.ndarray:
    assert isinstance(module, GatedUnit)
    linear, gate = module.linear, module.gate
    return gated(x, *(p.detach().numpy() for p in (linear.weight, linear.bias, gate.weight, gate.bias)))


def test_similarities_are_those_of_a_mixture_of_experts() -> None:
    x, words = clips(), torch.randn(5, 7, 6, dtype=torch.float64)
    words[0, 3:] = NAN
    video = build_model(GatedExpertsConfig(widths=WIDTHS, embedding_dim=11), shape=(4, 12)).double().eval()
    text = build_model(GatedTextConfig(experts=3, embedding_dim=11), shape=(7, 6)).double().eval()
    found = (text(words) @ video(x).T).detach()
    experts, captions = video.encoder, text.encoder
    assert isinstance(experts, GatedExperts)
    assert isinstance(captions, GatedText)
    ends = np.cumsum(WIDTHS)
    for i in range(5):
        rows = words[i][~words[i].isnan().all(1)].numpy()
        chosen = np.exp(rows @ captions.attention.weight[0].detach().numpy())
        caption = (chosen[:, None] * rows).sum(0) / chosen.sum()
        logits = np.exp(captions.weights.weight.detach().numpy() @ caption + captions.weights.bias.detach().numpy())
        parts = [unit(module, caption) for module in captions.units]
        for j in range(len(x)):
            seen: list[np.ndarray | None] = []
            for module, end, width in zip(experts.units, ends, WIDTHS):
                own = x[j, :, end - width : end].numpy()
                seen.append(None if np.isnan(own).all() else unit(module, mean_of_rows(own)))
            assert float(found[i, j]) == pytest.approx(similarity(logits / logits.sum(), parts, seen), abs=1e-9)


def test_a_sum_shares_the_weights_of_missing_experts_out() -> None:
    net = GatedExperts(WIDTHS, 6, combine="sum").double()
    with torch.no_grad():
        assert net.weights is not None
        net.weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
    x = clips()
    found = net(x).detach().numpy()
    parts = [unit(module, mean_of_rows(own.numpy())) for module, own in zip(net.units, x[2].split(WIDTHS, 1))]
    weights = np.exp([0.3, -1.0, 2.0]) * [1, 0, 1]
    np.testing.assert_allclose(found[2], sum(w * part for w, part in zip(weights / weights.sum(), parts)), atol=1e-6)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_masked_pool(pool: str) -> None:
    rows = torch.tensor([[[1.0, NAN], [3.0, -4.0], [NAN, NAN]], [[NAN, NAN]] * 3])
    found = MaskedPool(pool)(rows)  # type: ignore[arg-type]
    # A number that is missing in a row that is there counts as 0.
    assert found.tolist() == [[2.0, -2.0] if pool == "mean" else [3.0, 0.0], [0.0, 0.0]]


def test_attention_against_loops() -> None:
    layer = _Layer(6, 2, 0.0).double().eval()
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    there = torch.tensor([[True, True, False, True], [False, True, False, False]])
    found = layer(x, there)
    for n in range(2):
        rows = layer.norm1(x[n]) @ layer.qkv.weight.T + layer.qkv.bias
        q, k, v = (part.detach().numpy() for part in rows.reshape(4, 3, 2, 3).permute(1, 2, 0, 3))
        heads = [attention(q[h], k[h], v[h], there[n].numpy()) for h in range(2)]
        own = x[n] + layer.out(torch.from_numpy(np.concatenate(heads, 1)))
        torch.testing.assert_close(found[n], own + layer.feed(layer.norm2(own)))


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_frames_behind_the_last_change_nothing(pool: str) -> None:
    net = FrameTransformer(12, 5, width=8, layers=2, heads=2, pool=pool).eval()  # type: ignore[arg-type]
    x = clips().float()
    longer = torch.cat([x, torch.full((6, 3, 12), NAN)], 1)
    torch.testing.assert_close(net(longer), net(x))


def test_the_order_of_frames_matters_unless_told_otherwise() -> None:
    x = torch.randn(2, 5, 12)
    for positions, same in ((True, False), (False, True)):
        net = FrameTransformer(12, 5, width=8, layers=1, heads=2, positions=positions).eval()
        assert torch.allclose(net(x), net(x.flip(1)), atol=1e-6) is same


NETWORKS: list[ModelConfig] = [
    MLPConfig(embedding_dim=5, hidden=(6,)),
    GatedExpertsConfig(embedding_dim=5, widths=WIDTHS),
    GatedExpertsConfig(embedding_dim=5, widths=WIDTHS, combine="sum", pool="max"),
    GatedTextConfig(embedding_dim=5, experts=2),
    FrameTransformerConfig(embedding_dim=5, width=8, layers=1, heads=2, dropout=0.0),
    FrameTransformerConfig(embedding_dim=5, width=8, layers=1, heads=2, dropout=0.0, pool="cls"),
]


@pytest.mark.parametrize("config", NETWORKS, ids=lambda config: f"{config.name}-{getattr(config, 'pool', '')}")
def test_an_input_without_anything_stays_finite_and_so_do_gradients(config: ModelConfig) -> None:
    x = clips().float()
    x[5] = NAN
    net = build_model(config, shape=(4, 12))
    found = net(x)
    assert found.isfinite().all()
    if config.name != "mlp":
        assert found[5].abs().sum() == 0
    torch.testing.assert_close(found[:5].norm(dim=1), torch.ones(5))
    (found @ torch.randn(5)).sum().backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    # A batch of nothing but such inputs learns nothing, and breaks nothing.
    build_model(config, shape=(4, 12))(torch.full((2, 4, 12), NAN)).sum().backward()


@pytest.mark.parametrize("config", NETWORKS[:4], ids=lambda config: config.name)
def test_half_precision(config: ModelConfig) -> None:
    net = build_model(config, shape=(4, 12))
    with torch.autocast("cpu", torch.bfloat16):
        assert net(clips().float()).isfinite().all()


def test_vectors_go_through_gated_networks_as_single_frames() -> None:
    x = clips()[:, 0]
    net = GatedExperts(WIDTHS, 6).double().eval()
    torch.testing.assert_close(net(x), net(x[:, None]))


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        (
            FrameTransformerConfig(),
            (12,),
            "model.name: found frame_transformer, which takes features of frames or words",
        ),
        (GatedExpertsConfig(), (3, 8, 8), "model.name: found gated_experts, which takes features"),
        (GatedExpertsConfig(widths=(3, 4)), (4, 12), r"model.widths: found 3 \+ 4 numbers, expected 12"),
        (GatedTextConfig(embedding_dim=2, experts=3), (12,), "model.embedding_dim: found 2, expected at least 3"),
        (MLPConfig(), (3, 8, 8), "model.name: found mlp, which takes rows"),
    ],
)
def test_networks_that_do_not_fit_the_data(config: ModelConfig, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_model(config, shape=shape)


def test_experts_are_counted_on_the_data() -> None:
    config = TwoModalitiesConfig(GatedTextConfig(), GatedExpertsConfig(), embedding_dim=9)
    given = {"query_widths": (6,), "gallery_widths": WIDTHS}
    model = build_two_modalities(config, (7, 6), (4, 12), **given)
    queries, gallery = model(torch.randn(2, 7, 6), torch.randn(3, 4, 12))
    assert queries.shape[1] == gallery.shape[1] == 9
    assert len(model["gallery"].encoder.units) == len(model["query"].encoder.units) == 3  # type: ignore[union-attr]
    wrong = TwoModalitiesConfig(GatedTextConfig(experts=2), GatedExpertsConfig())
    with pytest.raises(RecipeError, match=r"model.query.experts: found 2, expected 3, as the features of the other"):
        build_two_modalities(wrong, (7, 6), (4, 12), **given)
    wrong = TwoModalitiesConfig(GatedTextConfig(), GatedExpertsConfig(widths=(6, 6)))
    with pytest.raises(RecipeError, match=r"model.gallery.widths: found 6, 6, expected 4, 3, 5, as the features have"):
        build_two_modalities(wrong, (7, 6), (4, 12), **given)


def test_inputs_of_another_width_than_was_trained() -> None:
    transformer = FrameTransformer(4, 3, width=4, heads=1, max_rows=2)
    for net in (GatedExperts((4,), 3), GatedText(4, 3, experts=1), transformer):
        with pytest.raises(MongeError, match="found inputs of shape"):
            net(torch.zeros(2, 2, 5))
    with pytest.raises(MongeError, match="takes 2 rows, found 3"):
        transformer(torch.zeros(2, 3, 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda: FrameTransformerConfig(width=10, heads=4),
        lambda: FrameTransformerConfig(dropout=1.0),
        lambda: GatedExpertsConfig(widths=(0, 3)),
        lambda: GatedTextConfig(experts=0),
    ],
)
def test_options_out_of_range(make: object) -> None:
    with pytest.raises(ValueError, match="found"):
        make()  # type: ignore[operator]
