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
from monge.nn.face_build import (
    FaceNetConfig,
    IResNetConfig,
    MobileFaceNetConfig,
    SmallFaceNetConfig,
    TimmFaceConfig,
    build_face_network,
)
from monge.nn.feature_build import FrameTransformerConfig, GatedExpertsConfig, GatedTextConfig
from monge.nn.feature_maps import EmbeddingWithMaps, FaceNetwork
from monge.nn.frame_transformer import FrameTransformer
from monge.nn.gated_experts import GatedExperts, GatedText
from monge.nn.heads import L2Normalize, MetricHead
from monge.nn.iresnet import IResNet
from monge.nn.lenet import LeNet5
from monge.nn.metric_network import MetricNetwork
from monge.nn.mlp import MLP
from monge.nn.mobilefacenet import MobileFaceNet
from monge.nn.mvcnn import MVCNN
from monge.nn.packaged import PackagedBackbone, PackagedConfig, packaged_backbone
from monge.nn.small_cnn import SmallCNN
from monge.nn.small_face_net import SmallFaceNet
from monge.nn.timm_face_net import TimmFaceNet
from monge.nn.two_modalities import TwoModalities
from monge.nn.weights import WeightsReport, load_weights

__all__ = [
    "MLP",
    "MVCNN",
    "Classifier",
    "EmbeddingWithMaps",
    "FaceNetConfig",
    "FaceNetwork",
    "FrameTransformer",
    "FrameTransformerConfig",
    "GatedExperts",
    "GatedExpertsConfig",
    "GatedText",
    "GatedTextConfig",
    "HeadFactory",
    "IResNet",
    "IResNetConfig",
    "L2Normalize",
    "LeNet5",
    "LeNet5Config",
    "MLPConfig",
    "MVCNNConfig",
    "MetricHead",
    "MetricNetwork",
    "MobileFaceNet",
    "MobileFaceNetConfig",
    "ModelConfig",
    "PackagedBackbone",
    "PackagedConfig",
    "SmallCNN",
    "SmallCNNConfig",
    "SmallFaceNet",
    "SmallFaceNetConfig",
    "TimmConfig",
    "TimmFaceConfig",
    "TimmFaceNet",
    "TwoModalities",
    "WeightsReport",
    "build_classifier",
    "build_face_network",
    "build_model",
    "load_weights",
    "packaged_backbone",
]
