"""Layers and networks: torch's `nn`, for inference."""

from __future__ import annotations

from rvision._trace import Symbol
from rvision.nn import functional
from rvision.nn.activation import (
    GELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from rvision.nn.attention import MultiheadAttention
from rvision.nn.container import ModuleDict, ModuleList, Sequential
from rvision.nn.conv import Conv2d, Conv2dSame, Linear
from rvision.nn.module import Module
from rvision.nn.norm import BatchNorm2d, LayerNorm, LocalResponseNorm
from rvision.nn.parameter import Buffer, Parameter
from rvision.nn.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from rvision.nn.shaping import Dropout, Dropout2d, Flatten, Identity, Unflatten, ZeroPad2d

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Buffer",
    "Conv2d",
    "Conv2dSame",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "PReLU",
    "Parameter",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Symbol",
    "Tanh",
    "Unflatten",
    "ZeroPad2d",
    "functional",
]
