"""Drawn digits: the same from the same seed, balanced, learnable, and not trivial."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from monge.data.synthetic import draw_digits, synthetic_splits


def test_same_seed_same_images_other_seed_others() -> None:
    labels = np.arange(20) % 10
    assert np.array_equal(draw_digits(labels, seed=1), draw_digits(labels, seed=1))
    assert not np.array_equal(draw_digits(labels, seed=1), draw_digits(labels, seed=2))


@pytest.mark.parametrize(("classes", "size", "channels"), [(10, 28, 1), (10, 32, 3), (100, 32, 3)])
def test_shapes_counts_and_names(classes: int, size: int, channels: int) -> None:
    splits = synthetic_splits(classes=classes, size=size, channels=channels, counts=(300, 100, 100))
    assert splits.train.images.shape == (300, channels, size, size)
    assert splits.val.labels.bincount(minlength=classes).tolist() == [100 // classes] * classes
    assert len(splits.classes) == classes
    assert splits.source.startswith("synthetic: ")
    assert "300 train / 100 val / 100 test" in splits.definition


def test_parts_do_not_share_images_within_or_across_seeds() -> None:
    parts = [synthetic_splits(counts=(40, 40, 40), seed=seed) for seed in (0, 1)]
    images = torch.cat([part.images.flatten(1) for splits in parts for part in (splits.train, splits.val, splits.test)])
    assert len(images.unique(dim=0)) == 240


def test_strokes_stay_mostly_inside() -> None:
    images = draw_digits(np.arange(500) % 10).astype(float)
    border = np.concatenate([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], axis=-1)
    assert border.mean() < 10
    assert 20 < images.mean() < 60


def test_learnable_but_not_trivial() -> None:
    """Raw pixels with one neighbour leave room; a small network gets close to perfect within a few epochs."""
    splits = synthetic_splits()
    train, test = splits.train, splits.test
    neighbour = KNeighborsClassifier(1).fit(train.images.flatten(1).numpy(), train.labels.numpy())
    assert 0.4 < neighbour.score(test.images.flatten(1).numpy(), test.labels.numpy()) < 0.9
    torch.manual_seed(0)
    relu, conv = torch.nn.ReLU(), torch.nn.Conv2d
    convs = [conv(1, 16, 5, stride=2), relu, conv(16, 32, 3, stride=2), relu]
    net = torch.nn.Sequential(*convs, torch.nn.Flatten(), torch.nn.Linear(800, 64), relu, torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(8):
        for batch in torch.randperm(len(train)).split(50):
            loss = torch.nn.functional.cross_entropy(net(train.images[batch].float() / 255), train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (net(test.images.float() / 255).argmax(1) == test.labels).float().mean().item()
    assert accuracy > 0.85
