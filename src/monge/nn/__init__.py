"""Networks: LeNet-5, an MLP for tables, timm backbones where timm is installed; as embeddings or as classifiers."""

from __future__ import annotations

from monge.nn.build import LeNet5Config, MLPConfig, ModelConfig, TimmConfig, build_classifier, build_model
from monge.nn.classifier import Classifier, HeadFactory
from monge.nn.heads import L2Normalize, MetricHead
from monge.nn.lenet import LeNet5
from monge.nn.mlp import MLP
from monge.nn.weights import WeightsReport, load_weights

__all__ = [
    "MLP",
    "Classifier",
    "HeadFactory",
    "L2Normalize",
    "LeNet5",
    "LeNet5Config",
    "MLPConfig",
    "MetricHead",
    "ModelConfig",
    "TimmConfig",
    "WeightsReport",
    "build_classifier",
    "build_model",
    "load_weights",
]
