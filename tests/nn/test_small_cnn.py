"""The small CNN: shapes it takes and makes, what it refuses, and recipes that name it."""

from __future__ import annotations

import pytest
import torch

from monge.errors import MongeError, RecipeError
from monge.nn import SmallCNN, SmallCNNConfig, build_classifier, build_model


@pytest.mark.parametrize("size", [1, 5, 28, 33])
def test_it_takes_pictures_of_any_size(size: int) -> None:
    assert SmallCNN(3, 7, (4, 6))(torch.rand(2, 3, size, size)).shape == (2, 7)


def test_each_further_width_halves_the_picture() -> None:
    net = SmallCNN(1, 8, (4, 6, 8))
    assert net.stages(torch.rand(1, 1, 28, 28)).shape == (1, 8, 7, 7)


def test_wrong_channels_rows_and_widths_are_refused_in_one_line() -> None:
    with pytest.raises(MongeError, match=r"SmallCNN: found \(2, 3, 9, 9\), expected images \(N, 1, H, W\)"):
        SmallCNN()(torch.rand(2, 3, 9, 9))
    with pytest.raises(RecipeError, match="found small_cnn, which takes images"):
        build_model(SmallCNNConfig(), shape=(5,))
    with pytest.raises(ValueError, match="widths: found"):
        SmallCNN(widths=())
    with pytest.raises(ValueError, match="sizes: found"):
        SmallCNNConfig(widths=(4, 0))


def test_a_classifier_stands_on_it() -> None:
    net = build_classifier(SmallCNNConfig(widths=(4, 6)), (1, 12, 12), 5)
    features, logits = net.features_and_logits(torch.rand(3, 1, 12, 12))
    assert features.shape == (3, 64)
    assert bool((features >= 0).all())
    assert logits.shape == (3, 5)
