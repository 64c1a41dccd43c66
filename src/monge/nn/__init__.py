"""Networks that give embeddings or class scores: LeNet-5, a small CNN, an MLP for tables, timm's backbones, MVCNN."""

from __future__ import annotations

from monge.nn.build import (
    LeNet5Config,
    MLPConfig,
    ModelConfig,
    MVCNNConfig,
    SmallCNNConfig,
    TimmConfig,
    build_classifier,
    build_model,
)
from monge.nn.classifier import Classifier, HeadFactory
from monge.nn.heads import L2Normalize, MetricHead
from monge.nn.lenet import LeNet5
from monge.nn.metric_network import MetricNetwork
from monge.nn.mlp import MLP
from monge.nn.mvcnn import MVCNN
from monge.nn.packaged import PackagedBackbone, PackagedConfig, packaged_backbone
from monge.nn.small_cnn import SmallCNN
from monge.nn.two_modalities import TwoModalities
from monge.nn.weights import WeightsReport, load_weights

__all__ = [
    "MLP",
    "MVCNN",
    "Classifier",
    "HeadFactory",
    "L2Normalize",
    "LeNet5",
    "LeNet5Config",
    "MLPConfig",
    "MVCNNConfig",
    "MetricHead",
    "MetricNetwork",
    "ModelConfig",
    "PackagedBackbone",
    "PackagedConfig",
    "SmallCNN",
    "SmallCNNConfig",
    "TimmConfig",
    "TwoModalities",
    "WeightsReport",
    "build_classifier",
    "build_model",
    "load_weights",
    "packaged_backbone",
]
