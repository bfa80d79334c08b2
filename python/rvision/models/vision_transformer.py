"""Vision transformers.

Dosovitskiy et al.: "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale"
(arXiv:2010.11929). Names as in `torchvision.models.vision_transformer`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import rvision
from rvision import nn
from rvision.errors import ShapeError
from rvision.models._api import model_builder
from rvision.nn.parameter import Drawn
from rvision.ops import MLP, Conv2dNormActivation
from rvision.weights import (
    ViT_B_16_Weights,
    ViT_B_32_Weights,
    ViT_H_14_Weights,
    ViT_L_16_Weights,
    ViT_L_32_Weights,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from rvision.nn import Symbol

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "interpolate_embeddings",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]


_NORM = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """A layer of a convolutional stem, see "Early Convolutions Help Transformers See Better" (2106.14881)."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
    activation_layer: Callable[..., nn.Module] = nn.ReLU


class MLPBlock(MLP):
    """The MLP of a transformer's layer, (N, tokens, in_dim) to the same shape.

    Parameters
    ----------
    in_dim, mlp_dim : int
        Features outside and inside.
    dropout : float
        Probability of the dropouts, which do nothing at inference.
    """

    # Version 2: its layers are numbered.
    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        if (metadata.get("version") or 1) >= 2:
            return
        for kind in ("weight", "bias"):
            for old, new in (("linear_1", "0"), ("linear_2", "3")):
                if f"{prefix}{old}.{kind}" in state:
                    state[f"{prefix}{new}.{kind}"] = state.pop(f"{prefix}{old}.{kind}")


class EncoderBlock(nn.Module):
    """Attention among the tokens, then an MLP for each: (N, tokens, hidden_dim) to the same shape.

    Parameters
    ----------
    num_heads, hidden_dim, mlp_dim : int
        Heads of the attention, features of a token, features inside the MLP.
    dropout, attention_dropout : float
        Probabilities of dropouts, which do nothing at inference.
    norm_layer : callable
        Makes a normalisation from a feature count.
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = _NORM,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Symbol) -> Symbol:
        """Return the block's output."""
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Position embeddings, the blocks, a normalisation: (N, seq_length, hidden_dim) to the same shape.

    The arguments are `seq_length`, the number of tokens, `num_layers`, that of blocks, and those of
    `EncoderBlock`.
    """

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = _NORM,
    ) -> None:
        super().__init__()
        # Deviation 0.02, as in BERT: a uniform distribution of variance 2 / fan_in.
        self.register_parameter("pos_embedding", Drawn((1, seq_length, hidden_dim), fan_in=5000))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            OrderedDict(
                (
                    f"encoder_layer_{i}",
                    EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer),
                )
                for i in range(num_layers)
            )
        )
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Symbol) -> Symbol:
        """Return the encoded tokens."""
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """Vision transformer: (N, 3, image_size, image_size) to (N, num_classes).

    Parameters
    ----------
    image_size : int
        Height and width of the pictures, a multiple of `patch_size`. For another size, adapt the position
        embeddings with `interpolate_embeddings`.
    patch_size : int
        Height and width of the patch that becomes a token.
    num_layers, num_heads, hidden_dim, mlp_dim : int
        Layers, heads of the attention, features of a token, features inside the MLPs.
    dropout, attention_dropout : float
        Probabilities of dropouts, which do nothing at inference.
    num_classes : int
        Outputs.
    representation_size : int, optional
        Features of a layer with tanh before the last. None omits it.
    norm_layer : callable
        Makes a normalisation from a feature count.
    conv_stem_configs : sequence of ConvStemConfig, optional
        The layers of a convolutional stem, whose strides multiply to `patch_size`, in place of the
        patches' linear projection.

    Raises
    ------
    ValueError
        If `image_size` is not a multiple of `patch_size`.
    ShapeError
        On a call, for pictures of another size.
    """

    _spatial = True

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Callable[..., nn.Module] = _NORM,
        conv_stem_configs: Sequence[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size != 0:
            raise ValueError(f"image_size must be a multiple of patch_size {patch_size}, got {image_size}")
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer

        if conv_stem_configs is None:
            self.conv_proj: nn.Module = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        else:
            self.conv_proj = _conv_stem(conv_stem_configs, hidden_dim)
        self.class_token = nn.Parameter(np.zeros((1, 1, hidden_dim), np.float32))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length,
            num_layers,
            num_heads,
            hidden_dim,
            mlp_dim,
            dropout,
            attention_dropout,
            norm_layer,
        )
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        n, _, h, w = x.shape[:]
        if (h, w) != (self.image_size, self.image_size):
            raise ShapeError(
                f"{type(self).__name__}: pictures of {self.image_size} x {self.image_size} expected, got "
                f"{h} x {w}; resize them, or make the network with another image_size and load what "
                "interpolate_embeddings returns"
            )
        x = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        class_token = np.broadcast_to(self.class_token.data, (n, 1, self.hidden_dim))
        x = self.encoder(rvision.cat([class_token, x], dim=1))
        return self.heads(x[:, 0])


def _conv_stem(configs: Sequence[ConvStemConfig], hidden_dim: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for number, config in enumerate(configs):
        layers[f"conv_bn_relu_{number}"] = Conv2dNormActivation(
            channels,
            config.out_channels,
            kernel_size=config.kernel_size,
            stride=config.stride,
            norm_layer=config.norm_layer,
            activation_layer=config.activation_layer,
        )
        channels = config.out_channels
    layers["conv_last"] = nn.Conv2d(channels, hidden_dim, kernel_size=1)
    return nn.Sequential(layers)


# ---- position embeddings for another size ----


def interpolate_embeddings(
    image_size: int,
    patch_size: int,
    model_state: Mapping[str, ArrayLike],
    interpolation_mode: str = "bicubic",
    reset_heads: bool = False,
) -> OrderedDict[str, Any]:
    """Adapt a state dict's position embeddings to pictures of another size.

    As `torchvision.models.vision_transformer.interpolate_embeddings`: the embeddings of the
    patches, a square map, are resized with aligned corners; that of the class token is kept.

    Parameters
    ----------
    image_size : int
        Height and width of the new pictures.
    patch_size : int
        Height and width of a patch, the network's.
    model_state : mapping of str to array_like
        A state dict of a `VisionTransformer`. It is not changed.
    interpolation_mode : {"bicubic", "bilinear"}
        How values between embeddings are computed; bicubic with a = -0.75 (Keys 1981), as in torch.
    reset_heads : bool
        Whether to leave out the heads, if the embeddings change.

    Returns
    -------
    OrderedDict
        The state dict to load.

    Raises
    ------
    ValueError
        If the embeddings are not those of a square map with a class token, or the mode is not one
        of these.
    """
    if interpolation_mode not in _KERNELS:
        raise ValueError(f"interpolation_mode must be 'bicubic' or 'bilinear', got {interpolation_mode!r}")
    state = OrderedDict(model_state)
    embedding = np.asarray(state["encoder.pos_embedding"], np.float32)
    if embedding.ndim != 3 or embedding.shape[0] != 1:
        raise ValueError(f"Unexpected position embedding shape: {embedding.shape}, not (1, tokens, features)")
    _, tokens, features = embedding.shape
    side = image_size // patch_size
    if side * side + 1 == tokens:
        return state
    old = math.isqrt(tokens - 1)
    if old * old != tokens - 1:
        raise ValueError(
            f"the {tokens} position embeddings are not a class token's and those of a square map of patches"
        )
    weights = _interpolation(old, side, _KERNELS[interpolation_mode])
    grid = embedding[0, 1:].astype(np.float64).reshape(old, old, features)
    grid = np.einsum("yi,xj,ijc->yxc", weights, weights, grid, optimize=True)
    patches = grid.reshape(1, side * side, features).astype(np.float32)
    state["encoder.pos_embedding"] = np.concatenate([embedding[:, :1], patches], axis=1)
    if reset_heads:
        return OrderedDict((key, value) for key, value in state.items() if not key.startswith("heads"))
    return state


def _cubic(t: NDArray[np.float64]) -> NDArray[np.float64]:
    a = -0.75
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((t - 5) * t + 8) * t * a - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _linear(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1 - t, 0.0)


_KERNELS = {"bicubic": _cubic, "bilinear": _linear}


def _interpolation(
    old: int, new: int, kernel: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the weight (new, old) of each old value in each new one; the ends are aligned."""
    position = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    weights = np.zeros((new, old))
    for tap in range(-1, 3):
        source = np.floor(position) + tap
        # The border values are repeated beyond the border.
        inside = np.clip(source, 0, old - 1).astype(np.int64)
        np.add.at(weights, (np.arange(new), inside), kernel(np.abs(position - source)))
    return weights


# ---- builders ----


def _image_size(meta: dict[str, Any]) -> dict[str, Any]:
    return {"image_size": meta["min_size"][0]}


def _from_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the pictures' size, from the number of position embeddings, and the width of `pre_logits`."""
    config: dict[str, Any] = {}
    positions, patches = shapes.get("encoder.pos_embedding", ()), shapes.get("conv_proj.weight", ())
    if len(positions) == 3 and len(patches) == 4:
        side = math.isqrt(max(0, positions[1] - 1))
        if side and side * side == positions[1] - 1 and side * patches[2] != 224:
            config["image_size"] = side * patches[2]
    if "heads.pre_logits.weight" in shapes:
        config["representation_size"] = shapes["heads.pre_logits.weight"][0]
    return config


def _vision_transformer(kwargs: dict[str, Any], **sizes: Any) -> VisionTransformer:
    kwargs.setdefault("image_size", 224)
    return VisionTransformer(**sizes, **kwargs)


@model_builder(ViT_B_16_Weights, forced=_image_size, from_state=_from_state)
def vit_b_16(**kwargs: Any) -> VisionTransformer:
    """ViT-B/16 of "An Image is Worth 16x16 Words" (arXiv:2010.11929)."""
    return _vision_transformer(
        kwargs, patch_size=16, num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072
    )


@model_builder(ViT_B_32_Weights, forced=_image_size, from_state=_from_state)
def vit_b_32(**kwargs: Any) -> VisionTransformer:
    """ViT-B/32 of "An Image is Worth 16x16 Words" (arXiv:2010.11929)."""
    return _vision_transformer(
        kwargs, patch_size=32, num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072
    )


@model_builder(ViT_L_16_Weights, forced=_image_size, from_state=_from_state)
def vit_l_16(**kwargs: Any) -> VisionTransformer:
    """ViT-L/16 of "An Image is Worth 16x16 Words" (arXiv:2010.11929)."""
    return _vision_transformer(
        kwargs, patch_size=16, num_layers=24, num_heads=16, hidden_dim=1024, mlp_dim=4096
    )


@model_builder(ViT_L_32_Weights, forced=_image_size, from_state=_from_state)
def vit_l_32(**kwargs: Any) -> VisionTransformer:
    """ViT-L/32 of "An Image is Worth 16x16 Words" (arXiv:2010.11929)."""
    return _vision_transformer(
        kwargs, patch_size=32, num_layers=24, num_heads=16, hidden_dim=1024, mlp_dim=4096
    )


@model_builder(ViT_H_14_Weights, forced=_image_size, from_state=_from_state)
def vit_h_14(**kwargs: Any) -> VisionTransformer:
    """ViT-H/14 of "An Image is Worth 16x16 Words" (arXiv:2010.11929)."""
    return _vision_transformer(
        kwargs, patch_size=14, num_layers=32, num_heads=16, hidden_dim=1280, mlp_dim=5120
    )
