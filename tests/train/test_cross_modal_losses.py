"""Every loss between two modalities from its parameters, as a recipe names it."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from monge.errors import RecipeError
from monge.losses import CrossModalBatchwiseOTLoss, InverseOTLoss, JointModalities
from monge.recipes.cross_modal_losses import CrossModalLoss, CrossModalOTParams, InverseOTParams
from monge.recipes.loss_params import check_loss, task_of
from monge.train.baselines import build_baseline
from monge.train.cross_modal_losses import build_cross_modal_loss

PARAMS = get_args(CrossModalLoss)
X, Y = torch.nn.functional.normalize(torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0)), dim=2)
LABELS = torch.tensor([0, 0, 1, 1, 2, 3]), torch.tensor([3, 2, 1, 0, 1, 2])


@pytest.mark.parametrize("params", PARAMS, ids=lambda params: params.__name__)
def test_every_loss_is_built_called_and_differentiated(params: type[Any]) -> None:
    config = check_loss({"name": params.model_fields["name"].default})
    assert type(config) is params
    assert task_of(config.name) == "cross-modal"
    loss = build_cross_modal_loss(config, 8, 4)
    x = X.clone().requires_grad_()
    value = loss(x, Y, *LABELS)
    value.backward()
    assert value.shape == ()
    assert x.grad.isfinite().all()
    assert x.grad.any()


@pytest.mark.parametrize(
    ("params", "module"), [(CrossModalOTParams, CrossModalBatchwiseOTLoss), (InverseOTParams, InverseOTLoss)]
)
def test_defaults_are_those_of_the_loss(params: type[Any], module: type[Any]) -> None:
    by_name = build_cross_modal_loss(params(), 8, 4)
    torch.testing.assert_close(by_name(X, Y, *LABELS), module()(X, Y, *LABELS))


@pytest.mark.parametrize("name", ["supcon", "contrastive", "triplet"])
def test_joint_baselines_see_both_modalities_as_one_batch(name: str) -> None:
    loss = build_cross_modal_loss(check_loss({"name": f"cross-modal-{name}"}), 8, 4)
    assert isinstance(loss, JointModalities)
    alone = build_baseline(name, None, 8, 4)
    torch.testing.assert_close(loss(X, Y, *LABELS), alone(torch.cat([X, Y]), torch.cat(LABELS)))


def test_class_directions_are_trained_at_their_own_rate() -> None:
    loss = build_cross_modal_loss(check_loss({"name": "cross-modal-cross-entropy", "lr_scale": 5}), 8, 4)
    assert loss.lr_scale == 5
    assert [parameter.shape for parameter in loss.parameters()] == [(4, 8)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "inverse-ot", "constraint": "partial", "rince_weight": 1}, "beside constraint partial"),
        ({"name": "inverse-ot", "kl_weight": 0}, "found both 0"),
        ({"name": "inverse-ot", "mass": 1.5}, "loss.mass"),
        ({"name": "cross-modal-ot", "weights": [0, 0, 0, 0]}, "found all 0"),
        ({"name": "infonce", "temprature": 0.1}, "did you mean loss.temperature"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_loss(values)
