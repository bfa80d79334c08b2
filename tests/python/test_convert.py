"""State dicts of timm and Hugging Face: mapped names, refusals, and equal logits."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models, nn
from rvision.cli._architecture import recognise
from rvision.errors import StateDictError
from rvision.nn._state import compare

DATA = Path(__file__).parents[1] / "data"


def listed(library, kind):
    with gzip.open(DATA / f"names_{library}.json.gz") as file:
        return [(*row,) for row in json.load(file)[kind]]


def hollow(shapes):
    """Return arrays of these shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def network():
    made = {}

    def get(name):
        if name not in made:
            made[name] = models.get_model(name)
        return made[name]

    return get


def convert(state, model, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="networks ported from|a network whose strides")
        return models.convert_state_dict(state, model, **options)


@pytest.mark.parametrize(
    ("here", "there", "shapes"),
    [*listed("timm", "same"), *listed("huggingface", "same")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_name_and_shape_becomes_the_networks(network, here, there, shapes):
    model = network(here)
    known = {"architecture": there} if there == "efficientnetv2_s" else {}
    mapped = convert(hollow(shapes), model, **known)
    found = {name: tuple(np.shape(value)) for name, value in mapped.items()}
    expected = {name: entry.shape for name, entry in compare(model, {}).entries.items()}
    expected = {name: shape for name, shape in expected.items() if not name.endswith("num_batches_tracked")}
    assert found == expected
    # And the other way round: without that the network says what to do.
    with pytest.raises(StateDictError, match=r"models\.convert_state_dict\(state_dict, model\) maps"):
        model.load_state_dict(hollow(shapes))


REASONS = {
    "convnextv2_tiny": "ConvNeXt V2",
    "deit3_base_patch16_224": "layer scale",
    "deit_base_distilled_patch16_224": "distilled",
    "resnet50d": "a stem of three convolutions",
    "seresnet50": "attention over channels",
    "ecaresnet50t": "attention over channels",
    "swinv2_tiny_window8_256": "Swin V2",
    "vit_base_patch16_clip_224": "normalises before its blocks",
    "vit_base_patch16_rpn_224": "layer scale|relative positions|pools all tokens",
    "vit_base_patch16_siglip_224": "pools all tokens",
    "beit_base_patch16_224": "layer scale|relative positions|pools all tokens",
    "ConvNextV2ForImageClassification": "ConvNeXt V2",
    "EfficientNetForImageClassification": "pads as TensorFlow does",
    "MobileNetV2ForImageClassification": "pads as TensorFlow does",
    "Swinv2ForImageClassification": "Swin V2",
    "DeiTForImageClassificationWithTeacher": "distilled",
}


@pytest.mark.parametrize(
    ("here", "there", "shapes"),
    [*listed("timm", "refused"), *listed("huggingface", "refused")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_networks_are_refused_with_the_reason(network, here, there, shapes):
    with pytest.raises(StateDictError, match=f"is of another network .*({REASONS[there]})"):
        models.convert_state_dict(hollow(shapes), network(here))


def timm_shapes(there):
    return next(shapes for _, name, shapes in listed("timm", "same") if name == there)


def test_names_of_a_network_that_is_not_here(network):
    with pytest.raises(StateDictError, match=r"timm's of a ConvNeXt, and the network is a ResNet"):
        models.convert_state_dict(hollow(timm_shapes("convnext_tiny")), network("resnet50"))
    odd = {**timm_shapes("convnext_tiny"), "stages.0.blocks.0.new.weight": (3,)}
    with pytest.raises(StateDictError, match=r"nothing for 1 of them \(stages\.0\.blocks\.0\.new\.weight\)"):
        models.convert_state_dict(hollow(odd), network("convnext_tiny"))


def test_own_names_stay_as_they_are(network):
    for name in ("resnet50", "efficientnet_lite0", "convnext_tiny"):
        state = hollow({key: entry.shape for key, entry in compare(network(name), {}).entries.items()})
        assert models.convert_state_dict(state, network(name)) is state
    for other in ({"some.weight": 0}, {0: {}}, {}):
        assert models.convert_state_dict(other, network("resnet50")) is other


def test_a_users_variant_may_have_the_names_of_one_that_is_not_here():
    class Deep(models.ResNet):
        def __init__(self):
            super().__init__(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
            self.conv1 = nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1))

    state = Deep().state_dict()
    assert models.convert_state_dict(state, Deep()) is state


def test_what_names_cannot_tell_is_said(network):
    state = hollow(timm_shapes("efficientnet_b0"))
    with pytest.warns(UserWarning, match="networks ported from TensorFlow"):
        models.convert_state_dict(state, network("efficientnet_b0"))
    models.convert_state_dict(state, network("efficientnet_b0"), architecture="efficientnet_b0.ra_in1k")
    with pytest.raises(StateDictError, match=r"is of tf_efficientnet_b0, .* pads as TensorFlow does"):
        models.convert_state_dict(state, network("efficientnet_b0"), architecture="tf_efficientnet_b0")
    with pytest.raises(StateDictError, match=r"only, which pad .* architecture='efficientnetv2_s'\)"):
        models.convert_state_dict(hollow(timm_shapes("efficientnetv2_s")), network("efficientnet_v2_s"))
    own = hollow({key: entry.shape for key, entry in compare(network("resnet50"), {}).entries.items()})
    with pytest.raises(StateDictError, match="it blurs maps before it takes every second pixel"):
        models.convert_state_dict(own, network("resnet50"), architecture="resnetaa50")


@pytest.mark.parametrize(
    ("theirs", "here", "difference"),
    [
        ("resnetaa101d.sw_in12k", "resnet101", "it blurs maps"),
        ("resnetblur50.bt_in1k", "resnet50", "it blurs maps"),
        ("seresnetaa50", "resnet50", "it blurs maps"),
        ("densenetblur121d.ra_in1k", "densenet121", "it blurs maps"),
        ("vit_base_patch16_clip_quickgelu_224", "vit_b_16", "QuickGELU"),
    ],
)
def test_networks_that_only_look_alike_are_refused_by_their_names(network, theirs, here, difference):
    own = hollow({key: entry.shape for key, entry in compare(network(here), {}).entries.items()})
    assert models.convert_state_dict(own, network(here), architecture="another_network") is own
    with pytest.raises(StateDictError, match=f"is of {theirs}, which is not the network here .*{difference}"):
        models.convert_state_dict(own, network(here), architecture=theirs)


def test_padding_of_names_that_are_kept_is_a_choice(network):
    own = models.efficientnet_lite0(num_classes=8).state_dict()
    model = models.efficientnet_lite0(num_classes=8, variant="tf")
    assert models.convert_state_dict(own, model, architecture="tf_efficientnet_lite0") is own


def test_positions_of_another_picture_size(network):
    shapes = timm_shapes("vit_base_patch16_224") | {"pos_embed": (1, 577, 768)}
    with pytest.raises(StateDictError, match=r"pictures of 384 pixels .* build it with image_size=384"):
        models.convert_state_dict(hollow(shapes), network("vit_b_16"))
    with pytest.raises(StateDictError, match="positions for 196 patches and none for the class token"):
        models.convert_state_dict(hollow(shapes | {"pos_embed": (1, 196, 768)}), network("vit_b_16"))
    del shapes["cls_token"]
    with pytest.raises(StateDictError, match="it has no class token and pools the mean"):
        models.convert_state_dict(hollow(shapes), network("vit_b_16"))


# ---- values, by the definition ----


def tiny_vit():
    return models.VisionTransformer(8, 4, 1, 2, 4, 8, num_classes=3)


def tiny_vit_state():
    rng = np.random.default_rng(0)
    shapes = {
        "cls_token": (1, 1, 4),
        "pos_embed": (1, 5, 4),
        "patch_embed.proj.weight": (4, 3, 4, 4),
        "patch_embed.proj.bias": (4,),
        "blocks.0.norm1.weight": (4,),
        "blocks.0.norm1.bias": (4,),
        "blocks.0.attn.qkv.weight": (12, 4),
        "blocks.0.attn.qkv.bias": (12,),
        "blocks.0.attn.proj.weight": (4, 4),
        "blocks.0.attn.proj.bias": (4,),
        "blocks.0.norm2.weight": (4,),
        "blocks.0.norm2.bias": (4,),
        "blocks.0.mlp.fc1.weight": (8, 4),
        "blocks.0.mlp.fc1.bias": (8,),
        "blocks.0.mlp.fc2.weight": (4, 8),
        "blocks.0.mlp.fc2.bias": (4,),
        "norm.weight": (4,),
        "norm.bias": (4,),
        "head.weight": (3, 4),
        "head.bias": (3,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def huggingface_vit(state):
    """Return the same weights with the names that transformers 4 uses."""
    new = {}
    for name, value in state.items():
        block = "vit.encoder.layer.0"
        if ".attn.qkv." in name:
            for part, what in zip(np.split(value, 3), ("query", "key", "value"), strict=True):
                new[f"{block}.attention.attention.{what}.{name.rpartition('.')[2]}"] = part
            continue
        for old, text in (
            ("cls_token", "vit.embeddings.cls_token"),
            ("pos_embed", "vit.embeddings.position_embeddings"),
            ("patch_embed.proj", "vit.embeddings.patch_embeddings.projection"),
            ("blocks.0.norm1", f"{block}.layernorm_before"),
            ("blocks.0.norm2", f"{block}.layernorm_after"),
            ("blocks.0.attn.proj", f"{block}.attention.output.dense"),
            ("blocks.0.mlp.fc1", f"{block}.intermediate.dense"),
            ("blocks.0.mlp.fc2", f"{block}.output.dense"),
            ("norm", "vit.layernorm"),
            ("head", "classifier"),
        ):
            if name.startswith(old):
                name = text + name.removeprefix(old)
                break
        new[name] = value
    return new


def test_queries_keys_and_values_are_put_together():
    state, model = tiny_vit_state(), tiny_vit()
    from_timm = models.convert_state_dict(state, model)
    from_huggingface = models.convert_state_dict(huggingface_vit(state), model)
    assert from_timm.keys() == from_huggingface.keys() == model.state_dict().keys()
    for name, value in from_timm.items():
        assert np.array_equal(value, from_huggingface[name])
    name = "encoder.layers.encoder_layer_0.self_attention.in_proj_weight"
    assert np.array_equal(from_timm[name], state["blocks.0.attn.qkv.weight"])
    model.load_state_dict(from_huggingface)
    assert np.array_equal(model.encoder.ln.bias, state["norm.bias"])
    broken = huggingface_vit(state)
    del broken["vit.encoder.layer.0.attention.attention.key.weight"]
    with pytest.raises(StateDictError, match="of queries, keys and values only 2 are there"):
        models.convert_state_dict(broken, tiny_vit())


@pytest.mark.parametrize("prefix", ["timm_model.", "module.", "module._orig_mod."])
def test_what_wrappers_put_in_front_of_all_names(prefix):
    state, model = tiny_vit_state(), tiny_vit()
    wrapped = {f"{prefix}{name}": value for name, value in state.items()}
    assert list(convert(wrapped, model)) == list(convert(state, model))


def test_swin_merges_patches_at_the_end_or_the_beginning_of_stages(network):
    model, new = network("swin_t"), timm_shapes("swin_tiny_patch4_window7_224")
    old = {}
    for name, shape in new.items():
        found = re.match(r"layers\.(\d)\.downsample\.", name)
        old[name.replace(found[0], f"layers.{int(found[1]) - 1}.downsample.") if found else name] = shape
    old["layers.0.blocks.1.attn_mask"] = (64, 49, 49)
    old["layers.0.blocks.1.attn.relative_position_index"] = (49, 49)
    assert {k: np.shape(v) for k, v in convert(hollow(old), model).items()} == {
        k: np.shape(v) for k, v in convert(hollow(new), model).items()
    }


def test_another_eps_becomes_part_of_the_variance(network):
    # timm's MobileNetV3 has 1e-5 and torchvision's 1e-3; a norm divides by sqrt(variance + eps).
    shapes = timm_shapes("mobilenetv3_small_100")
    state = hollow(shapes) | {"bn1.running_var": np.full(shapes["bn1.running_var"], 0.25, np.float32)}
    model = network("mobilenet_v3_small")
    mapped = convert(state, model)
    eps = model.features[0][1].eps
    assert eps == 1e-3
    assert np.allclose(mapped["features.0.1.running_var"] + eps, 0.25 + 1e-5, rtol=1e-6)


def test_a_builder_maps_a_file_and_says_so(tmp_path):
    state = tiny_vit_state()
    path = tmp_path / "model.safetensors"
    shapes = timm_shapes("mobilenetv3_small_100")
    rvision.save(hollow(shapes), path)
    with pytest.warns(UserWarning, match=r"timm's of a MobileNetV3, and were .* ported from") as caught:
        model = models.mobilenet_v3_small(weights=path)
    assert caught[0].filename == __file__
    assert not model.classifier[3].weight.any()
    (tmp_path / "config.json").write_text('{"architecture": "tf_mobilenetv3_small_100"}')
    with pytest.raises(StateDictError, match="is of tf_mobilenetv3_small_100"):
        models.mobilenet_v3_small(weights=path)
    with pytest.raises(StateDictError, match="timm's of a VisionTransformer"):
        models.mobilenet_v3_small(weights=state)


# ---- the command line ----


@pytest.mark.parametrize(
    ("here", "there", "shapes"),
    [*listed("timm", "same"), *listed("huggingface", "same")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_are_recognised_by_other_libraries_names(here, there, shapes):
    found = recognise({name: tuple(shape) for name, shape in shapes.items()})
    if there == "efficientnetv2_s":
        assert found.chosen() is None
        assert "of EfficientNet V2 timm publishes weights as tf_efficientnetv2" in found.refusal
    else:
        assert str(found.chosen()) == here


def test_classify_reads_a_file_with_timms_names(run, tmp_path):
    path, picture = tmp_path / "mine.safetensors", tmp_path / "picture.png"
    rvision.save(hollow(timm_shapes("mobilenetv3_small_100")), path)
    Image.new("RGB", (40, 30)).save(picture)
    result = run("classify", "--weights", path, picture, "--top", "1")
    assert result.status == 0
    assert "fits mobilenet_v3_small" in result.err
    assert "timm's of a MobileNetV3" in result.err


# ---- beside timm and transformers ----


def lively(torch, network, size, seed=0):
    """Give a network weights that all affect the output, and the statistics of its own inputs."""
    noise = torch.Generator().manual_seed(seed)

    def random(shape):
        return torch.randn(shape, generator=noise)

    for name, value in network.state_dict().items():
        if name.endswith("gamma") or "layer_scale" in name:
            value.copy_(random(value.shape).abs() + 0.2)
        elif name.endswith("table"):
            value.copy_(random(value.shape))
        elif value.ndim <= 1 and value.is_floating_point() and "running" not in name:
            value.add_(random(value.shape) * 0.1)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    if norms:
        network.train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
            elif "Drop" in type(module).__name__:
                module.eval()
        with torch.no_grad():
            network(random((8, 3, size, size)))
    network.eval()
    return random((2, 3, size, size))


LIVE = {
    "convnext_tiny": ("convnext_tiny", 64),
    "densenet121": ("densenet121", 64),
    "efficientnet_b0": ("efficientnet_b0", 64),
    "inception_v3": ("inception_v3", 128),
    "mnasnet_100": ("mnasnet1_0", 64),
    "mobilenetv2_100": ("mobilenet_v2", 64),
    "mobilenetv3_large_100": ("mobilenet_v3_large", 64),
    "regnety_004": ("regnet_y_400mf", 64),
    "resnet18": ("resnet18", 64),
    "resnet50": ("resnet50", 64),
    "resnext50_32x4d": ("resnext50_32x4d", 64),
    "swin_tiny_patch4_window7_224": ("swin_t", 224),
    "vgg11": ("vgg11", 64),
    "wide_resnet50_2": ("wide_resnet50_2", 64),
}


def agree(model, state, pictures, expected, architecture, tolerance=1e-4):
    model.load_state_dict(convert(state, model, architecture=architecture))
    found = model(pictures.numpy())
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("there", LIVE)
def test_logits_are_timms(torch, there):
    timm = pytest.importorskip("timm")
    here, size = LIVE[there]
    torch.manual_seed(0)
    original = timm.create_model(there, num_classes=7)
    pictures = lively(torch, original, size)
    state = original.state_dict()
    with torch.no_grad():
        theirs = original(pictures).numpy()
        expected = original.double()(pictures.double()).numpy()
    # Where statistics are of a few pixels, float32 itself is no better than this.
    tolerance = max(1e-4, 8 * np.abs(theirs - expected).max() / np.abs(expected).max())
    assert tolerance < 1e-3
    options = {"aux_logits": False, "init_weights": False} if here == "inception_v3" else {}
    model = models.get_model(here, num_classes=7, **options)
    agree(model, state, pictures, expected, there, tolerance)


def test_logits_of_a_vision_transformer_are_timms(torch):
    timm = pytest.importorskip("timm")
    original = timm.models.VisionTransformer(32, 8, 3, 7, embed_dim=64, depth=3, num_heads=4)
    pictures = lively(torch, original, 32)
    with torch.no_grad():
        expected = original(pictures).numpy()
    model = models.VisionTransformer(32, 8, 3, 4, 64, 256, num_classes=7)
    agree(model, original.state_dict(), pictures, expected, None)


HUGGINGFACE = {
    "resnet18": (
        "ResNet",
        {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]},
        64,
    ),
    "resnet50": ("ResNet", {}, 64),
    "convnext_tiny": ("ConvNext", {}, 64),
    "swin_t": ("Swin", {}, 224),
    "regnet_y_400mf": (
        "RegNet",
        {"hidden_sizes": [48, 104, 208, 440], "depths": [1, 3, 6, 6], "groups_width": 8},
        64,
    ),
}


@pytest.mark.parametrize("here", HUGGINGFACE)
def test_logits_are_transformers(torch, here):
    transformers = pytest.importorskip("transformers")
    kind, settings, size = HUGGINGFACE[here]
    config = getattr(transformers, f"{kind}Config")(num_labels=7, **settings)
    original = getattr(transformers, f"{kind}ForImageClassification")(config)
    pictures = lively(torch, original, size)
    with torch.no_grad():
        expected = original(pictures).logits.numpy()
    agree(models.get_model(here, num_classes=7), original.state_dict(), pictures, expected, None)


def test_logits_of_a_vision_transformer_are_transformers(torch):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        num_labels=7,
        image_size=32,
        patch_size=8,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=256,
        # By default 1e-12; that of the networks that were trained, and torchvision's, is this.
        layer_norm_eps=1e-6,
    )
    original = transformers.ViTForImageClassification(config)
    pictures = lively(torch, original, 32)
    with torch.no_grad():
        expected = original(pictures).logits.numpy()
    model = models.VisionTransformer(32, 8, 3, 4, 64, 256, num_classes=7)
    agree(model, original.state_dict(), pictures, expected, None)
