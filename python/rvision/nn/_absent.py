"""The names of `torch.nn` and `torch.nn.functional` that rvision does not have, and why.

The error message for such a name, the table in `docs/from-torchvision.md` and the test of torch's names
(`tests/python/test_torch_names.py`) come from this list.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ABSENT", "Absent", "message"]


@dataclass(frozen=True, slots=True)
class Absent:
    """Names that are absent for one reason.

    Attributes
    ----------
    reason : str
        The text after the colon of the error message.
    layers : tuple of str
        Names in `torch.nn`.
    functions : tuple of str
        Names in `torch.nn.functional`.
    """

    reason: str
    layers: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


def _absent(reason: str, layers: str = "", functions: str = "") -> Absent:
    return Absent(reason, tuple(layers.split()), tuple(functions.split()))


ABSENT = (
    _absent(
        "it is a loss, for training only",
        """
        AdaptiveLogSoftmaxWithLoss BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss
        GaussianNLLLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss
        MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d
        PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss
        """,
        """
        binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy ctc_loss
        gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss linear_cross_entropy
        margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss
        nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss
        triplet_margin_with_distance_loss
        """,
    ),
    _absent(
        "it is for sequences or volumes, and rvision's layers with windows are for pictures (N, C, H, W); "
        "for sequences take the 2d layer and a dimension of size one",
        """
        AdaptiveAvgPool1d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool3d AvgPool1d AvgPool3d
        BatchNorm3d CircularPad1d CircularPad3d ConstantPad1d ConstantPad3d Conv1d Conv3d ConvTranspose1d
        ConvTranspose3d FractionalMaxPool3d InstanceNorm1d InstanceNorm3d LPPool1d LPPool3d MaxPool1d
        MaxPool3d MaxUnpool1d MaxUnpool3d ReflectionPad1d ReflectionPad3d ReplicationPad1d ReplicationPad3d
        ZeroPad1d ZeroPad3d
        """,
        """
        adaptive_avg_pool1d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool1d_with_indices
        adaptive_max_pool3d adaptive_max_pool3d_with_indices avg_pool1d avg_pool3d conv1d conv3d conv_tbc
        conv_transpose1d conv_transpose3d fractional_max_pool3d fractional_max_pool3d_with_indices lp_pool1d
        lp_pool3d max_pool1d max_pool1d_with_indices max_pool3d max_pool3d_with_indices max_unpool1d
        max_unpool3d
        """,
    ),
    _absent(
        "the indices of largest values are not computed",
        "MaxUnpool2d",
        "adaptive_max_pool2d_with_indices max_pool2d_with_indices max_unpool2d",
    ),
    _absent(
        "it draws random numbers, at inference too",
        "FractionalMaxPool2d",
        "fractional_max_pool2d fractional_max_pool2d_with_indices gumbel_softmax",
    ),
    _absent(
        "recurrent layers are not part of image networks",
        "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    ),
    _absent(
        "it looks up integers, and the values of a network are float32",
        "Embedding EmbeddingBag",
        "embedding embedding_bag one_hot",
    ),
    _absent(
        "lazy layers learn their sizes from the first input; make the plain layer with its sizes",
        """
        LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d
        LazyConvTranspose2d LazyConvTranspose3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d
        LazyLinear
        """,
    ),
    _absent(
        "torch's transformer classes are for text; build blocks of MultiheadAttention, LayerNorm and Linear, "
        "as rvision.models.vision_transformer does",
        """
        Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer
        """,
        "multi_head_attention_forward",
    ),
    _absent(
        "register parameters one by one as attributes, or in modules in a ModuleList or ModuleDict",
        "ParameterDict ParameterList",
    ),
    _absent(
        "torch has replaced it: Container by Module and Sequential, CrossMapLRN2d by LocalResponseNorm",
        "Container CrossMapLRN2d",
    ),
    _absent(
        "a network runs on all threads of one process; see rvision.set_num_threads",
        "DataParallel",
    ),
    _absent(
        "sampling at positions that are computed, or adding up windows, has no kernel",
        "Fold",
        "affine_grid fold grid_sample",
    ),
    _absent(
        "no network that rvision knows of has it",
        "Bilinear",
        "bilinear grouped_mm pdist scaled_grouped_mm scaled_mm",
    ),
    _absent(
        "it is torch's internal name of channel_shuffle",
        "",
        "native_channel_shuffle",
    ),
)


def message(module: str, name: str) -> str:
    """Return the message for a name that `module`, "nn" or "nn.functional", does not have."""
    kind = "layers" if module == "nn" else "functions"
    for absent in ABSENT:
        if name in getattr(absent, kind):
            return f"rvision has no {module}.{name}: {absent.reason}"
    return f"module 'rvision.{module}' has no attribute {name!r}"
