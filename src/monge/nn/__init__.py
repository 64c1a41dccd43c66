"""Networks that turn inputs into embeddings: LeNet-5, metric heads, and timm backbones where timm is installed."""

from __future__ import annotations

from monge.nn.build import LeNet5Config, ModelConfig, TimmConfig, build_model
from monge.nn.heads import L2Normalize, MetricHead
from monge.nn.lenet import LeNet5
from monge.nn.weights import WeightsReport, load_weights

__all__ = [
    "L2Normalize",
    "LeNet5",
    "LeNet5Config",
    "MetricHead",
    "ModelConfig",
    "TimmConfig",
    "WeightsReport",
    "build_model",
    "load_weights",
]
