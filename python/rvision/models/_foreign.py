r"""timm's and Hugging Face's names of the networks here: rules as data, one table per family.

A rule is a pattern for the beginning of a name, up to a dot or its end, and its replacement. In the
replacement, ``{x}`` is the match of the group ``(?P<x>\d+)``, and ``{x_next}``, ``{x_before}``,
``{x_odd}``, ``{x_even}`` and ``{x_after}`` are the numbers x + 1, x - 1, 2x + 1, 2x and 2x + 2, for
sequences in which stages alternate with the layers between them. ``{stages}`` and ``{blocks}`` are
one more than the stages and blocks of a network of inverted residuals. A final ``#k`` means that
the value is the k-th of three that are concatenated: queries, keys and values. None drops an entry.

Sources: the networks' code in timm 1.0.31 and in transformers 4 and 5, whose names for attention differ.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAMILIES", "Family"]


class Family(NamedTuple):
    """A library's names for the parts of a network.

    Attributes
    ----------
    library : str
        The library.
    network : str
        The class here.
    mark : str
        A pattern that only names of such files match.
    rules : tuple
        Patterns and replacements; the first match counts.
    refused : tuple
        Patterns of names that only other networks have, and a description of these networks.
    needed : tuple
        Patterns that must each match at least one name, and what it means if none does.
    reshaped : str
        A pattern of names here whose values may have the same elements in another shape.
    own : str
        A pattern of names that the file lacks and the network here has: tables of indices.
    blocks : str
        How this network numbers the parts of inverted residuals: a key of the table in
        `models._convert`.
    norm_eps : float or None
        `eps` of batch norms there, if it may differ here.
    unsure : str
        Differences that names and shapes do not show.
    doubted : tuple
        Patterns of names of networks that are probably not those here, and why; they are accepted
        only if the caller names the network.
    """

    library: str
    network: str
    mark: str
    rules: tuple[tuple[str, str | None], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    needed: tuple[tuple[str, str], ...] = ()
    reshaped: str = r"(?!)"
    own: str = r"(?!)"
    blocks: str = ""
    norm_eps: float | None = None
    unsure: str = ""
    doubted: tuple[tuple[str, str], ...] = ()


_S, _B = r"(?P<s>\d+)", r"(?P<b>\d+)"

_TENSORFLOW = (
    "networks ported from TensorFlow (tf_...) have the same names and shapes, but pad as TensorFlow does and "
    "normalise with eps 1e-3; if this file is of one of those, the results are wrong"
)

# ---- ConvNeXt ----

_CONVNEXT_REFUSED = (
    (r".*\.grn\.", "ConvNeXt V2, which normalises responses inside of its blocks (grn)"),
    (r"norm_pre\.", "a variant that normalises before it pools (norm_pre)"),
)
_CONVNEXT_RESHAPED = r".*\.layer_scale|features\.\d+\.\d+\.block\.[35]\.weight"

_CONVNEXT = (
    Family(
        "timm",
        "ConvNeXt",
        r"stages\.0\.blocks\.0\.conv_dw\.weight",
        rules=(
            (r"stem\.(?P<n>\d+)", "features.0.{n}"),
            (rf"stages\.{_S}\.downsample\.(?P<n>\d+)", "features.{s_even}.{n}"),
            (rf"stages\.{_S}\.blocks\.{_B}\.gamma", "features.{s_odd}.{b}.layer_scale"),
            (rf"stages\.{_S}\.blocks\.{_B}\.conv_dw", "features.{s_odd}.{b}.block.0"),
            (rf"stages\.{_S}\.blocks\.{_B}\.norm", "features.{s_odd}.{b}.block.2"),
            (rf"stages\.{_S}\.blocks\.{_B}\.mlp\.fc1", "features.{s_odd}.{b}.block.3"),
            (rf"stages\.{_S}\.blocks\.{_B}\.mlp\.fc2", "features.{s_odd}.{b}.block.5"),
            (r"head\.norm", "classifier.0"),
            (r"head\.fc", "classifier.2"),
        ),
        refused=_CONVNEXT_REFUSED,
        reshaped=_CONVNEXT_RESHAPED,
    ),
    Family(
        "the authors'",
        "ConvNeXt",
        r"downsample_layers\.0\.0\.weight",
        rules=(
            (rf"downsample_layers\.{_S}", "features.{s_even}"),
            (rf"stages\.{_S}\.{_B}\.gamma", "features.{s_odd}.{b}.layer_scale"),
            (rf"stages\.{_S}\.{_B}\.dwconv", "features.{s_odd}.{b}.block.0"),
            (rf"stages\.{_S}\.{_B}\.norm", "features.{s_odd}.{b}.block.2"),
            (rf"stages\.{_S}\.{_B}\.pwconv1", "features.{s_odd}.{b}.block.3"),
            (rf"stages\.{_S}\.{_B}\.pwconv2", "features.{s_odd}.{b}.block.5"),
            (r"norm", "classifier.0"),
            (r"head", "classifier.2"),
        ),
        refused=_CONVNEXT_REFUSED,
        reshaped=_CONVNEXT_RESHAPED,
    ),
    Family(
        "Hugging Face",
        "ConvNeXt",
        r"(convnext(v2)?\.)?encoder\.stages\.0\.layers\.0\.dwconv\.weight",
        rules=(
            (r"(convnext\.)?embeddings\.patch_embeddings", "features.0.0"),
            (r"(convnext\.)?embeddings\.layernorm", "features.0.1"),
            (
                rf"(convnext\.)?encoder\.stages\.{_S}\.downsampling_layer\.(?P<n>\d+)",
                "features.{s_even}.{n}",
            ),
            (
                rf"(convnext\.)?encoder\.stages\.{_S}\.layers\.{_B}\.layer_scale_parameter",
                "features.{s_odd}.{b}.layer_scale",
            ),
            (rf"(convnext\.)?encoder\.stages\.{_S}\.layers\.{_B}\.dwconv", "features.{s_odd}.{b}.block.0"),
            (rf"(convnext\.)?encoder\.stages\.{_S}\.layers\.{_B}\.layernorm", "features.{s_odd}.{b}.block.2"),
            (rf"(convnext\.)?encoder\.stages\.{_S}\.layers\.{_B}\.pwconv1", "features.{s_odd}.{b}.block.3"),
            (rf"(convnext\.)?encoder\.stages\.{_S}\.layers\.{_B}\.pwconv2", "features.{s_odd}.{b}.block.5"),
            (r"(convnext\.)?layernorm", "classifier.0"),
            (r"classifier", "classifier.2"),
        ),
        refused=_CONVNEXT_REFUSED,
        reshaped=_CONVNEXT_RESHAPED,
    ),
)

# ---- vision transformers ----

_CLASS_TOKEN = (
    "it has no class token and pools the mean of all tokens, where the network here reads the token"
)
_VIT = (
    Family(
        "timm",
        "VisionTransformer",
        r"blocks\.0\.attn\.(qkv|q_proj|q)\.weight|patch_embed\.backbone\.",
        rules=(
            (r"cls_token", "class_token"),
            (r"pos_embed", "encoder.pos_embedding"),
            (r"patch_embed\.proj", "conv_proj"),
            (rf"blocks\.{_B}\.norm1", "encoder.layers.encoder_layer_{b}.ln_1"),
            (
                rf"blocks\.{_B}\.attn\.qkv\.weight",
                "encoder.layers.encoder_layer_{b}.self_attention.in_proj_weight",
            ),
            (
                rf"blocks\.{_B}\.attn\.qkv\.bias",
                "encoder.layers.encoder_layer_{b}.self_attention.in_proj_bias",
            ),
            (rf"blocks\.{_B}\.attn\.proj", "encoder.layers.encoder_layer_{b}.self_attention.out_proj"),
            (rf"blocks\.{_B}\.norm2", "encoder.layers.encoder_layer_{b}.ln_2"),
            (rf"blocks\.{_B}\.mlp\.fc1", "encoder.layers.encoder_layer_{b}.mlp.0"),
            (rf"blocks\.{_B}\.mlp\.fc2", "encoder.layers.encoder_layer_{b}.mlp.3"),
            (r"norm", "encoder.ln"),
            (r"pre_logits\.fc", "heads.pre_logits"),
            (r"head", "heads.head"),
        ),
        refused=(
            (r"dist_token|head_dist\.", "a distilled transformer (DeiT) with a second token and head"),
            (r"reg_token", "a transformer with register tokens"),
            (r"norm_pre\.", "a transformer that normalises before its blocks (CLIP)"),
            (
                r"fc_norm\.|attn_pool\.",
                "a transformer that pools all tokens, not the class token",
            ),
            (r".*\.ls[12]\.gamma|.*\.gamma_[12]", "a transformer with layer scale (DeiT III, BEiT, DINOv2)"),
            (r".*\.attn\.(q_norm|k_norm|norm)\.", "a transformer that normalises queries and keys"),
            (r".*relative_position|.*rel_pos|rope", "a transformer with relative positions (BEiT, EVA)"),
            (r".*\.mlp\.(fc1_g|fc1_x|w1|w2|w3|w12|norm)\b", "a transformer with gated perceptrons (SwiGLU)"),
            (r"patch_embed\.(backbone|conv|norm)", "a transformer with another stem (hybrid)"),
            (
                r".*\.attn\.(q|k|v|q_proj|q_bias)\b",
                "a transformer with another attention (EVA)",
            ),
        ),
        needed=((r"cls_token", _CLASS_TOKEN),),
    ),
    Family(
        "Hugging Face",
        "VisionTransformer",
        r"((vit|deit|beit|dinov2|vit_msn)\.)?embeddings\.patch_embeddings\.projection\.weight",
        rules=(
            (r"((vit|deit)\.)?embeddings\.cls_token", "class_token"),
            (r"((vit|deit)\.)?embeddings\.mask_token", None),
            (r"((vit|deit)\.)?embeddings\.position_embeddings", "encoder.pos_embedding"),
            (r"((vit|deit)\.)?embeddings\.patch_embeddings\.projection", "conv_proj"),
            *(
                (
                    rf"((vit|deit)\.)?(encoder\.layer|layers)\.{_B}\.attention\.(attention\.)?{there}\.{kind}",
                    f"encoder.layers.encoder_layer_{{b}}.self_attention.in_proj_{kind}#{part}",
                )
                for part, there in enumerate(("(query|q_proj)", "(key|k_proj)", "(value|v_proj)"))
                for kind in ("weight", "bias")
            ),
            *(
                (
                    rf"((vit|deit)\.)?(encoder\.layer|layers)\.{_B}\.{there}",
                    f"encoder.layers.encoder_layer_{{b}}.{here}",
                )
                for there, here in (
                    (r"attention\.(output\.dense|o_proj)", "self_attention.out_proj"),
                    ("layernorm_before", "ln_1"),
                    ("layernorm_after", "ln_2"),
                    (r"(intermediate\.dense|mlp\.fc1)", "mlp.0"),
                    (r"(output\.dense|mlp\.fc2)", "mlp.3"),
                )
            ),
            (r"((vit|deit)\.)?layernorm", "encoder.ln"),
            # Not used for classification.
            (r"((vit|deit)\.)?pooler\.dense", None),
            (r"classifier", "heads.head"),
        ),
        refused=(
            (r".*distillation_token|distillation_classifier", "a distilled transformer with a second token"),
            (r".*(lambda_?[12]|layer_scale)", "a transformer with layer scale (BEiT, DINOv2)"),
            (r".*relative_position", "a transformer with relative positions (BEiT)"),
            (r".*pooler\.layernorm", "a transformer that pools all tokens"),
        ),
        needed=((r".*cls_token", _CLASS_TOKEN),),
    ),
)

# ---- Swin ----

_SWIN_REFUSED = (
    (
        r".*\.(logit_scale|cpb_mlp|continuous_position_bias_mlp)",
        "Swin V2, whose names are not mapped; build swin_v2_... from torchvision's weights",
    ),
    (r".*\.attn\.meta_mlp|stages\.0\.blocks", "Swin V2-CR"),
    (r".*(absolute_pos_embed|position_embeddings)", "a Swin with absolute positions"),
)


def _swin_blocks(stage: str) -> tuple[tuple[str, str | None], ...]:
    return tuple(
        (rf"{stage}\.blocks\.{_B}\.{there}", here and f"features.{{s_odd}}.{{b}}.{here}")
        for there, here in (
            (r"attn\.relative_position_index", None),
            ("attn_mask", None),
            ("mlp\\.fc1", "mlp.0"),
            ("mlp\\.fc2", "mlp.3"),
            ("norm1", "norm1"),
            ("norm2", "norm2"),
            ("attn", "attn"),
        )
    )


_SWIN_INDEX = r".*\.attn\.relative_position_index"
_SWIN_STAGE = rf"layers\.{_S}"
_SWIN_ENDS = (
    (r"patch_embed\.proj", "features.0.0"),
    (r"patch_embed\.norm", "features.0.2"),
    (r"norm", "norm"),
    (r"head(\.fc)?", "head"),
)
_HF_SWIN = r"(swin\.)?encoder\.layers\.(?P<s>\d+)"

_SWIN = (
    Family(
        "the authors' (and timm's before 0.9)",
        "SwinTransformer",
        r"layers\.0\.downsample\.reduction\.weight",
        # A stage ends with the patch merging before the next stage.
        rules=(
            *_swin_blocks(_SWIN_STAGE),
            (rf"{_SWIN_STAGE}\.downsample", "features.{s_after}"),
            *_SWIN_ENDS,
        ),
        refused=_SWIN_REFUSED,
        own=_SWIN_INDEX,
    ),
    Family(
        "timm",
        "SwinTransformer",
        r"layers\.0\.blocks\.0\.attn\.(relative_position_bias_table|logit_scale)",
        # A stage begins with the patch merging.
        rules=(*_swin_blocks(_SWIN_STAGE), (rf"{_SWIN_STAGE}\.downsample", "features.{s_even}"), *_SWIN_ENDS),
        refused=_SWIN_REFUSED,
        own=_SWIN_INDEX,
    ),
    Family(
        "Hugging Face",
        "SwinTransformer",
        r"((swin|swinv2)\.)?encoder\.layers\.0\.blocks\.0\.attention\..*",
        rules=(
            (r"(swin\.)?embeddings\.patch_embeddings\.projection", "features.0.0"),
            (r"(swin\.)?embeddings\.norm", "features.0.2"),
            (r"(swin\.)?embeddings\.mask_token", None),
            *(
                (
                    rf"{_HF_SWIN}\.blocks\.{_B}\.attention\.(self\.)?{there}\.{kind}",
                    f"features.{{s_odd}}.{{b}}.attn.qkv.{kind}#{part}",
                )
                for part, there in enumerate(("(query|q_proj)", "(key|k_proj)", "(value|v_proj)"))
                for kind in ("weight", "bias")
            ),
            (rf"{_HF_SWIN}\.blocks\.{_B}\.attention.*\.relative_position_index", None),
            (
                rf"{_HF_SWIN}\.blocks\.{_B}\.attention.*\.relative_position_bias_table",
                "features.{s_odd}.{b}.attn.relative_position_bias_table",
            ),
            *(
                (rf"{_HF_SWIN}\.blocks\.{_B}\.{there}", f"features.{{s_odd}}.{{b}}.{here}")
                for there, here in (
                    (r"attention\.(output\.dense|o_proj)", "attn.proj"),
                    ("layernorm_before", "norm1"),
                    ("layernorm_after", "norm2"),
                    (r"(intermediate\.dense|mlp\.fc1)", "mlp.0"),
                    (r"(output\.dense|mlp\.fc2)", "mlp.3"),
                )
            ),
            (rf"{_HF_SWIN}\.downsample", "features.{s_after}"),
            (r"(swin\.)?layernorm", "norm"),
            (r"classifier", "head"),
        ),
        refused=_SWIN_REFUSED,
        own=_SWIN_INDEX,
    ),
)

# ---- networks of inverted residuals ----

_STEM = ((r"conv_stem", "features.0.0"), (r"bn1", "features.0.1"))
_MOBILE_MARK = r"blocks\.0\.0\.(conv_dw|conv)\.weight"

_INVERTED = (
    Family(
        "timm",
        "MobileNetV2",
        _MOBILE_MARK,
        rules=(
            *_STEM,
            (r"conv_head", "features.{blocks}.0"),
            (r"bn2", "features.{blocks}.1"),
            (r"classifier", "classifier.1"),
        ),
        blocks="MobileNetV2",
        norm_eps=1e-5,
    ),
    Family(
        "timm",
        "MobileNetV3",
        _MOBILE_MARK,
        rules=(*_STEM, (r"conv_head", "classifier.0"), (r"classifier", "classifier.3")),
        refused=((r"norm_head", "a MobileNetV4, which normalises its head"),),
        reshaped=r"classifier\.0\.weight",
        blocks="MobileNetV3",
        norm_eps=1e-5,
        unsure=_TENSORFLOW,
    ),
    Family(
        "timm",
        "EfficientNet",
        _MOBILE_MARK,
        rules=(
            *_STEM,
            (r"conv_head", "features.{stages}.0"),
            (r"bn2", "features.{stages}.1"),
            (r"classifier", "classifier.1"),
        ),
        blocks="EfficientNet",
        norm_eps=1e-5,
        unsure=_TENSORFLOW,
        doubted=(
            (
                r"blocks\.\d+\.\d+\.conv_exp",
                "of EfficientNet V2 timm publishes weights as tf_efficientnetv2_... only, which pad as "
                "TensorFlow does; if the file is of none of these, pass "
                "convert_state_dict(..., architecture='efficientnetv2_s')",
            ),
        ),
    ),
    Family(
        "timm",
        "MNASNet",
        _MOBILE_MARK,
        rules=(
            (r"conv_stem", "layers.0"),
            (r"bn1", "layers.1"),
            (r"conv_head", "layers.14"),
            (r"bn2", "layers.15"),
            (r"classifier", "classifier.1"),
        ),
        refused=((r".*\.se\.", "a MNASNet with squeeze and excitation (MNASNet-A1)"),),
        blocks="MNASNet",
        norm_eps=1e-5,
    ),
    Family(
        "Hugging Face",
        "MobileNetV2",
        r"(mobilenet_v2\.)?conv_stem\.first_conv\.convolution\.weight",
        refused=((r"", "a MobileNetV2 that pads as TensorFlow does and normalises with eps 1e-3"),),
    ),
    Family(
        "Hugging Face",
        "EfficientNet",
        r"(efficientnet\.)?encoder\.blocks\.0\.depthwise_conv\.depthwise_conv\.weight",
        refused=((r"", "an EfficientNet that pads as TensorFlow does and normalises with eps 1e-3"),),
    ),
)

# ---- ResNet and RegNet ----

_HF_RESIDUAL = r"((resnet|regnet)\.)?"

_RESIDUAL = (
    Family(
        "Hugging Face",
        "ResNet",
        rf"{_HF_RESIDUAL}encoder\.stages\.0\.layers\.0\.layer\.0\.convolution\.weight",
        rules=(
            (r"(resnet\.)?embedder\.embedder\.convolution", "conv1"),
            (r"(resnet\.)?embedder\.embedder\.normalization", "bn1"),
            (
                rf"(resnet\.)?encoder\.stages\.{_S}\.layers\.{_B}\.shortcut\.convolution",
                "layer{s_next}.{b}.downsample.0",
            ),
            (
                rf"(resnet\.)?encoder\.stages\.{_S}\.layers\.{_B}\.shortcut\.normalization",
                "layer{s_next}.{b}.downsample.1",
            ),
            (
                rf"(resnet\.)?encoder\.stages\.{_S}\.layers\.{_B}\.layer\.(?P<n>\d+)\.convolution",
                "layer{s_next}.{b}.conv{n_next}",
            ),
            (
                rf"(resnet\.)?encoder\.stages\.{_S}\.layers\.{_B}\.layer\.(?P<n>\d+)\.normalization",
                "layer{s_next}.{b}.bn{n_next}",
            ),
            (r"classifier\.1", "fc"),
        ),
        refused=((r".*\.layer\.2\.attention", "a RegNet Y"),),
        unsure=(
            "a network whose strides are in the first 1x1 convolutions (downsample_in_bottleneck) has the "
            "same names and shapes; if this file is of one, the results are wrong"
        ),
    ),
    Family(
        "timm",
        "ResNet",
        r"conv1\.0\.weight|layer1\.0\.(se|eca|attn|conv2\.(conv|fc1|conv_kv|attn))\..*",
        refused=(
            (r"layer1\.0\.(se|eca|attn)\.", "a ResNet with attention over channels (SE, ECA, ...)"),
            (
                r"layer1\.0\.conv2\.(conv|fc1|conv_kv|attn)\b",
                "a ResNet with split attention or selective kernels",
            ),
            (r"conv1\.0\.", "a ResNet with a stem of three convolutions (resnet..d, ..t, ..s)"),
        ),
    ),
    Family(
        "timm",
        "RegNet",
        r"s1\.b1\.conv1\.conv\.weight",
        rules=(
            (r"stem\.conv", "stem.0"),
            (r"stem\.bn", "stem.1"),
            *(
                (rf"s{_S}\.b{_B}\.{there}", f"trunk_output.block{{s}}.block{{s}}-{{b_before}}.{here}")
                for there, here in (
                    (r"conv1\.conv", "f.a.0"),
                    (r"conv1\.bn", "f.a.1"),
                    (r"conv2\.conv", "f.b.0"),
                    (r"conv2\.bn", "f.b.1"),
                    (r"se\.fc1", "f.se.fc1"),
                    (r"se\.fc2", "f.se.fc2"),
                    (r"conv3\.conv", "f.c.0"),
                    (r"conv3\.bn", "f.c.1"),
                    (r"downsample\.conv", "proj.0"),
                    (r"downsample\.bn", "proj.1"),
                )
            ),
            (r"head\.fc", "fc"),
        ),
        refused=((r"final_conv|s1\.b1\.downsample\.1", "a RegNet Z or V"),),
        norm_eps=1e-5,
    ),
    Family(
        "Hugging Face",
        "RegNet",
        rf"{_HF_RESIDUAL}encoder\.stages\.0\.layers\.0\.layer\.0\.convolution\.weight",
        rules=(
            (r"(regnet\.)?embedder\.embedder\.convolution", "stem.0"),
            (r"(regnet\.)?embedder\.embedder\.normalization", "stem.1"),
            *(
                (
                    rf"(regnet\.)?encoder\.stages\.{_S}\.layers\.{_B}\.{there}",
                    f"trunk_output.block{{s_next}}.block{{s_next}}-{{b}}.{here}",
                )
                for there, here in (
                    (r"shortcut\.convolution", "proj.0"),
                    (r"shortcut\.normalization", "proj.1"),
                    (r"layer\.0\.convolution", "f.a.0"),
                    (r"layer\.0\.normalization", "f.a.1"),
                    (r"layer\.1\.convolution", "f.b.0"),
                    (r"layer\.1\.normalization", "f.b.1"),
                    (r"layer\.2\.attention\.0", "f.se.fc1"),
                    (r"layer\.2\.attention\.2", "f.se.fc2"),
                    (r"layer\.[23]\.convolution", "f.c.0"),
                    (r"layer\.[23]\.normalization", "f.c.1"),
                )
            ),
            (r"classifier\.1", "fc"),
        ),
        norm_eps=1e-5,
    ),
)

# ---- VGG ----

_VGG = (
    Family(
        "timm",
        "VGG",
        r"pre_logits\.fc1\.weight",
        rules=(
            (r"pre_logits\.fc1", "classifier.0"),
            (r"pre_logits\.fc2", "classifier.3"),
            (r"head\.fc", "classifier.6"),
        ),
        # Its linear layers are convolutions of the whole map.
        reshaped=r"classifier\.\d\.weight",
    ),
)

FAMILIES: tuple[Family, ...] = (*_CONVNEXT, *_VIT, *_SWIN, *_INVERTED, *_RESIDUAL, *_VGG)
