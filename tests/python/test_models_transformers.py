"""Transformers: one picture size, position embeddings, constants computed from parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from models_drawn import pictures, position_index, uniform
from rvision import models, nn
from rvision.errors import ShapeError
from rvision.models import swin_transformer, vision_transformer

SMALL = {
    "image_size": 32,
    "patch_size": 8,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 32,
    "mlp_dim": 48,
    "num_classes": 5,
}


def fill(model: nn.Module) -> dict[str, np.ndarray]:
    """Give a model random values for all its floats, and return them."""
    values = {}
    for name, value in model.state_dict().items():
        low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.3, 0.3)
        floats = np.asarray(value).dtype.kind == "f"
        values[name] = uniform(name, value.shape, low, high) if floats else np.asarray(value)
    model.load_state_dict(values)
    return values


def close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 5e-5) -> bool:
    return float(np.abs(ours - theirs).max()) <= tolerance * float(np.abs(theirs).max())


def test_older_files_name_the_perceptrons_layers():
    model = models.VisionTransformer(**SMALL)
    values = fill(model)
    old = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): value
        for name, value in values.items()
    }
    assert old.keys() != values.keys()
    other = models.VisionTransformer(**SMALL)
    other.load_state_dict(old)
    x = pictures((2, 3, 32, 32))
    np.testing.assert_array_equal(other(x), model(x))


@pytest.mark.parametrize("size", [(32, 40), (40, 32), (64, 16), (40, 40)])
def test_another_picture_size_is_refused(size):
    model = models.VisionTransformer(**SMALL)
    with pytest.raises(ShapeError, match=r"32 x 32 expected, got \d+ x \d+.*interpolate_embeddings"):
        model(pictures((1, 3, *size)))
    assert model(pictures((1, 3, 32, 32))).shape == (1, 5)


def test_pictures_must_consist_of_patches():
    with pytest.raises(ValueError, match="multiple of patch_size 16, got 100"):
        models.vit_b_16(image_size=100)


def test_weights_decide_the_picture_size():
    meta = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1.meta
    assert vision_transformer._image_size(meta) == {"image_size": 384}
    with pytest.raises(ValueError, match=r"image_size.*384.*224"):
        models.vit_b_16(weights="IMAGENET1K_SWAG_E2E_V1", image_size=224)


def test_every_published_file_fits_in_parameters():
    for name in ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"):
        for weights in models.get_model_weights(name):
            model = models.get_model(name, image_size=weights.meta["min_size"][0])
            assert sum(math.prod(p.shape) for p in model.parameters()) == weights.meta["num_params"]


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [48, 32, 24, 8, 80])
def test_interpolated_embeddings_live(torch, mode, size):
    from torchvision.models.vision_transformer import interpolate_embeddings

    state = fill(models.VisionTransformer(**SMALL))
    before = {key: value.copy() for key, value in state.items()}
    ours = vision_transformer.interpolate_embeddings(size, 8, state, mode, reset_heads=True)
    theirs = interpolate_embeddings(
        size, 8, {k: torch.from_numpy(v) for k, v in state.items()}, mode, reset_heads=True
    )
    assert list(ours) == list(theirs)
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key].numpy(), rtol=0, atol=1e-6)
    assert all(np.array_equal(state[key], value) for key, value in before.items())


def test_interpolated_embeddings_are_loaded_and_run():
    state = fill(models.VisionTransformer(**SMALL))
    larger = models.VisionTransformer(**{**SMALL, "image_size": 48})
    larger.load_state_dict(vision_transformer.interpolate_embeddings(48, 8, state))
    assert np.isfinite(larger(pictures((2, 3, 48, 48)))).all()
    with pytest.raises(ValueError, match="'nearest'"):
        vision_transformer.interpolate_embeddings(48, 8, state, "nearest")
    state["encoder.pos_embedding"] = np.zeros((1, 12, 32), np.float32)
    with pytest.raises(ValueError, match="12 position embeddings"):
        vision_transformer.interpolate_embeddings(48, 8, state)


def test_convolutional_stem_live(torch):
    from torchvision.models import VisionTransformer
    from torchvision.models.vision_transformer import ConvStemConfig

    rows = [(8, 3, 2), (16, 3, 2), (24, 3, 2)]
    stem = [vision_transformer.ConvStemConfig(*row) for row in rows]
    model = models.VisionTransformer(**SMALL, representation_size=7, conv_stem_configs=stem)
    theirs = VisionTransformer(
        **SMALL, representation_size=7, conv_stem_configs=[ConvStemConfig(*row) for row in rows]
    ).eval()
    assert str(model) == str(theirs)
    theirs.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in fill(model).items()})
    x = pictures((2, 3, 32, 32))
    with torch.inference_mode():
        assert close(model(x), theirs(torch.from_numpy(x)).numpy())


def small_swin(version: int, window: tuple[int, int]) -> models.SwinTransformer:
    blocks = {
        1: (swin_transformer.SwinTransformerBlock, swin_transformer.PatchMerging),
        2: (swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2),
    }
    block, merging = blocks[version]
    return models.SwinTransformer(
        [2, 2], 12, [2, 2], [2, 3], list(window), num_classes=5, block=block, downsample_layer=merging
    )


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("window", [(4, 4), (3, 5)])
def test_windows_of_every_position_live(torch, version, window):
    """Maps of one window in a dimension, of whole windows, of parts, and smaller than a window."""
    from torchvision.models import swin_transformer as theirs

    model = small_swin(version, window)
    suffix = "V2" if version == 2 else ""
    reference = theirs.SwinTransformer(
        [2, 2],
        12,
        [2, 2],
        [2, 3],
        list(window),
        num_classes=5,
        block=getattr(theirs, f"SwinTransformerBlock{suffix}"),
        downsample_layer=getattr(theirs, f"PatchMerging{suffix}"),
    ).eval()
    assert str(model) == str(reference)
    reference.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in fill(model).items()})
    for size in [(16, 16), (8, 32), (30, 6), (23, 17), (4, 4), (2, 2)]:
        x = pictures((2, 3, *size))
        with torch.inference_mode():
            assert close(model(x), reference(torch.from_numpy(x)).numpy()), size


@pytest.mark.parametrize("version", [1, 2])
def test_a_changed_parameter_changes_the_bias(version):
    model = small_swin(version, (4, 4))
    fill(model)
    x = pictures((1, 3, 16, 16))
    before = model(x)
    attention = model.features[1][0].attn
    if version == 1:
        attention.relative_position_bias_table = -3 * attention.relative_position_bias_table
    else:
        attention.logit_scale = attention.logit_scale + 1
        changed = model(x)
        assert np.abs(changed - before).max() > 1e-4
        before = changed
        attention.cpb_mlp[2].weight = -3 * attention.cpb_mlp[2].weight
    assert np.abs(model(x) - before).max() > 1e-4


def test_offsets_are_numbered_as_in_torchvision():
    for model, name in (
        (small_swin(1, (4, 4)).features[1][0].attn, "relative_position_index"),
        (small_swin(2, (7, 7)).features[1][0].attn, "relative_position_index"),
    ):
        index = getattr(model, name)
        assert index.dtype == np.int64
        np.testing.assert_array_equal(index, position_index(index.shape))


def test_maxvit_takes_the_size_it_was_made_for():
    with pytest.raises(ValueError, match=r"\(50, 50\) of block 0 is not divisible by partition size 7"):
        models.maxvit_t(input_size=(200, 200))
    with pytest.raises(ShapeError, match=r"56 x 56.*got 28 x 28.*input_size"):
        models.maxvit_t(num_classes=2)(pictures((1, 3, 112, 112)))
    with pytest.raises(ValueError, match="'rows'"):
        from rvision.models.maxvit import PartitionAttentionLayer

        PartitionAttentionLayer(8, 4, 7, "rows", (7, 7), 4, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0)


def test_stages_of_ones_own():
    from rvision.models.convnext import CNBlockConfig

    model = models.ConvNeXt([CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 2)], num_classes=3)
    assert (
        repr(CNBlockConfig(8, None, 1)) == "CNBlockConfig(input_channels=8, out_channels=None, num_layers=1)"
    )
    assert model(pictures((2, 3, 40, 37))).shape == (2, 3)
    with pytest.raises(ValueError, match="not be empty"):
        models.ConvNeXt([])
    with pytest.raises(TypeError, match="CNBlockConfig"):
        models.ConvNeXt([(8, None, 1)])
