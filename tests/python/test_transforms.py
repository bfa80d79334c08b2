"""The transforms, compared with committed pictures and, where it is installed, with torchvision."""

from __future__ import annotations

import copy
import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rvision
import rvision.transforms as T
from pictures import photo, real_data
from PIL import Image
from rvision.transforms import InterpolationMode
from rvision.transforms import functional as F
from rvision.weights._zoo import table

GOLDEN = Path(__file__).parents[1] / "golden"
RGB_SIZES = [(500, 333), (333, 500), (97, 64), (224, 224), (256, 256), (240, 1000), (231, 225)]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"]


@cache
def torchvision():
    pytest.importorskip("torch")
    return pytest.importorskip("torchvision")


def preset_combinations() -> list[tuple]:
    keys = ("crop", "resize", "interpolation", "mean", "std")
    return sorted({json.dumps([row[k] for k in keys]) for row in table()["weights"].values()})


def config_of(combination: str) -> dict:
    crop, resize, interpolation, mean, std = json.loads(combination)
    return {
        "crop_size": crop,
        "resize_size": resize,
        "interpolation": InterpolationMode(interpolation),
        "mean": tuple(mean),
        "std": tuple(std),
    }


# ---- the presets ----


def test_the_table_holds_every_combination():
    assert len({tuple(json.loads(c)[:3]) + tuple(json.loads(c)[3]) for c in preset_combinations()}) == 28


@pytest.mark.parametrize("combination", preset_combinations())
@pytest.mark.parametrize("size", RGB_SIZES)
def test_presets_equal_torchvision(combination, size):
    tv = torchvision()
    config = config_of(combination)
    mode = tv.transforms.InterpolationMode(config["interpolation"].value)
    theirs = tv.transforms._presets.ImageClassification(**{**config, "interpolation": mode})
    ours = T.ImageClassification(**config)
    img = photo(*size)
    want = theirs(img).numpy()
    got = ours(img)
    assert got.dtype == np.float32 and got.flags.c_contiguous
    assert np.array_equal(want, got)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("index", range(28))
def test_presets_equal_committed_pictures(index):
    with np.load(GOLDEN / "presets.npz") as golden:
        combination, crop = str(golden["combinations"][index]), golden[f"crop{index}"]
    config = config_of(combination)
    got = T.ImageClassification(**config)(photo(321, 243))
    # What is committed is every 16th pixel of the crop, before the scaling.
    wanted = (crop.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)
    mean, std = (np.float32(config[k])[:, None, None] for k in ("mean", "std"))
    assert np.array_equal(got[:, ::16, ::16], (wanted - mean) / std)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_presets_equal_torchvision_on_photographs(interpolation):
    tv = torchvision()
    paths = sorted((real_data() / "imagenet").glob("*.JPEG"))
    assert paths
    theirs = tv.transforms._presets.ImageClassification(
        crop_size=224, interpolation=tv.transforms.InterpolationMode(interpolation)
    )
    ours = T.ImageClassification(crop_size=224, interpolation=InterpolationMode(interpolation))
    for path in paths:
        with Image.open(path) as img:
            assert np.array_equal(ours(img), theirs(img.convert("RGB")).numpy()), path.name


@pytest.mark.parametrize("mode", MODES)
def test_presets_take_every_mode(mode):
    img = photo(300, 260, mode)
    preset = T.ImageClassification(crop_size=224)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = preset(img)
    if mode in ("I", "I;16"):
        # 16 bits a channel: the same as the 8-bit picture they were made of, not clipped to white.
        levels = np.asarray(img) // 257
        img = Image.fromarray(levels.astype(np.uint8))
    assert got.shape == (3, 224, 224)
    assert np.array_equal(got, preset(img.convert("RGB")))


def test_presets_take_palettes_with_transparency():
    img = photo(300, 260, "P")
    plain = T.ImageClassification(crop_size=224)(img)
    img.info["transparency"] = bytes(range(256))
    assert np.array_equal(T.ImageClassification(crop_size=224)(img), plain)


def test_presets_take_pixels_as_pictures():
    img = photo(300, 260)
    preset = T.ImageClassification(crop_size=224)
    assert np.array_equal(preset(np.asarray(img)), preset(img))
    grey = img.convert("L")
    assert np.array_equal(preset(np.asarray(grey)), preset(grey))
    assert np.array_equal(preset(np.asarray(grey)[..., None]), preset(grey))
    assert np.array_equal(preset(np.asarray(img)[:, ::-1]), preset(F.hflip(img)))


def test_presets_take_tensors_and_batches():
    img = photo(300, 260)
    preset = T.ImageClassification(crop_size=224)
    tensor = F.pil_to_tensor(img)
    assert np.array_equal(preset(tensor), preset(img))
    batch = preset(np.stack([tensor, tensor[:, ::-1]]))
    assert batch.shape == (2, 3, 224, 224) and np.array_equal(batch[0], preset(img))
    floats = F.to_tensor(img)
    before = floats.copy()
    # Resized as floats the result is not rounded to 8 bits, twice.
    assert np.abs(preset(floats) - preset(img)).max() < 1.01 / 255 / 0.224
    assert np.array_equal(floats, before)
    assert T.ImageClassification(crop_size=260, resize_size=260)(floats).dtype == np.float32
    assert np.array_equal(floats, before)


@pytest.mark.parametrize("wrong", ["dog.jpg", [1, 2], np.zeros((3, 8, 8), np.int64), None, np.zeros(3)])
def test_presets_refuse_what_is_not_a_picture(wrong):
    with pytest.raises(TypeError):
        T.ImageClassification(crop_size=224)(wrong)


def test_preset_says_what_it_does():
    preset = T.ImageClassification(crop_size=224, resize_size=232)
    assert repr(preset) == (
        "ImageClassification(\n    crop_size=[224]\n    resize_size=[232]\n    mean=[0.485, 0.456, 0.406]\n"
        "    std=[0.229, 0.224, 0.225]\n    interpolation=InterpolationMode.BILINEAR\n)"
    )
    for part in ("resize_size=[232]", "InterpolationMode.BILINEAR", "crop_size=[224]", "mean=[0.485"):
        assert part in preset.describe()
    assert copy.deepcopy(preset) == preset != T.ImageClassification(crop_size=224)


# ---- to tensors ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["to_tensor", "pil_to_tensor"])
@pytest.mark.filterwarnings("ignore:to_tensor. values of 16 bits above 32767 wrap")
def test_tensors_of_pictures_equal_torchvision(mode, name):
    theirs = getattr(torchvision().transforms.functional, name)
    img = photo(31, 17, mode)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = theirs(img).numpy()
    got = getattr(F, name)(img)
    assert got.dtype == want.dtype and got.shape == want.shape
    assert np.array_equal(got, want)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int32"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 1), (5, 7, 2)])
def test_tensors_of_arrays_equal_torchvision(dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    want = torchvision().transforms.functional.to_tensor(array).numpy()
    got = F.to_tensor(array)
    assert got.dtype == want.dtype and np.array_equal(got, want)
    assert not np.shares_memory(got, array)


def test_to_tensor_scales_and_turns():
    pixels = np.array([[[0, 51, 255], [255, 0, 102]]], np.uint8)
    want = np.array([[[0, 1]], [[0.2, 0]], [[1, 0.4]]], np.float32)
    assert np.array_equal(T.ToTensor()(Image.fromarray(pixels)), want)
    assert np.array_equal(T.ToTensor()(pixels), want)
    assert np.array_equal(T.PILToTensor()(Image.fromarray(pixels)), pixels.transpose(2, 0, 1))
    assert F.to_tensor(Image.new("1", (2, 1), 1)).tolist() == [[[1.0, 1.0]]]


def test_to_tensor_refuses_what_is_no_picture():
    with pytest.raises(TypeError, match="PIL Image or ndarray"):
        F.to_tensor("dog.jpg")
    with pytest.raises(ValueError, match="2/3 dimensional"):
        F.to_tensor(np.zeros((1, 3, 4, 4)))
    with pytest.raises(TypeError, match="PIL Image"):
        F.pil_to_tensor(np.zeros((4, 4, 3), np.uint8))


# ---- resizing and cropping ----


@pytest.mark.parametrize(
    ("size", "max_size"),
    [(64, None), (500, None), ([64], None), ((40, 90), None), (64, 70), ([64], 65), (97, None), (64, 500)],
)
@pytest.mark.parametrize("shape", [(97, 64), (64, 97), (321, 243), (7, 300), (64, 64)])
def test_resize_equals_torchvision(size, max_size, shape):
    img = photo(*shape)
    for mode in InterpolationMode:
        want = torchvision().transforms.Resize(
            size, torchvision().transforms.InterpolationMode(mode.value), max_size
        )
        got = T.Resize(size, mode, max_size)
        assert repr(got) == repr(want)
        assert np.array_equal(np.asarray(got(img)), np.asarray(want(img)))


@pytest.mark.parametrize(
    ("size", "given", "wanted"),
    [
        (256, (500, 375), (341, 256)),
        (256, (375, 500), (256, 341)),
        (224, (333, 222), (336, 224)),
        (10, (10, 29), (10, 29)),
    ],
)
def test_resize_keeps_proportions_rounding_down(size, given, wanted):
    assert T.Resize(size)(photo(*given)).size == wanted


@pytest.mark.parametrize("shape", [(97, 64), (64, 97), (50, 50), (51, 50), (49, 53), (47, 120), (3, 2)])
@pytest.mark.parametrize("size", [50, (50, 51), [47], (10, 120), 1])
def test_center_crop_equals_torchvision(shape, size):
    tv = torchvision().transforms
    img = photo(*shape)
    want = np.asarray(tv.CenterCrop(size)(img))
    assert np.array_equal(np.asarray(T.CenterCrop(size)(img)), want)
    assert np.array_equal(T.CenterCrop(size)(F.pil_to_tensor(img)), want.transpose(2, 0, 1))


def test_center_crop_rounds_halves_to_even():
    row = np.arange(8, dtype=np.float32)[None, None]
    assert F.center_crop(row, (1, 5))[0, 0, 0] == 2  # (8 - 5) / 2 = 1.5
    assert F.center_crop(row, (1, 7))[0, 0, 0] == 0  # 0.5
    assert F.center_crop(row, (1, 3))[0, 0, 0] == 2  # 2.5


def test_center_crop_pads_small_pictures_with_black():
    out = np.asarray(F.center_crop(Image.new("RGB", (2, 3), "white"), 5))
    assert out.shape == (5, 5, 3) and out[1:4, 1:3].min() == 255 and out.sum() == 255 * 18


@pytest.mark.parametrize("size", [20, (20, 31), [25], (64, 97)])
@pytest.mark.parametrize("vertical", [False, True])
def test_ten_crop_equals_torchvision(size, vertical):
    tv = torchvision().transforms
    img = photo(97, 64)
    for ours, theirs in (
        (T.FiveCrop(size), tv.FiveCrop(size)),
        (T.TenCrop(size, vertical), tv.TenCrop(size, vertical)),
    ):
        for got, want in zip(ours(img), theirs(img), strict=True):
            assert np.array_equal(np.asarray(got), np.asarray(want))
        for got, want in zip(ours(F.to_tensor(img)), theirs(tv.ToTensor()(img)), strict=True):
            assert np.array_equal(got, want.numpy())


def test_ten_crop_order():
    board = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    assert [c.item() for c in T.TenCrop(1)(board)] == [0, 2, 6, 8, 4, 2, 0, 8, 6, 4]
    assert [c.item() for c in T.TenCrop(1, vertical_flip=True)(board)] == [0, 2, 6, 8, 4, 6, 8, 0, 2, 4]
    with pytest.raises(ValueError, match="bigger than input"):
        T.FiveCrop(4)(board)


@pytest.mark.parametrize(
    "window", [(0, 0, 5, 6), (-2, 3, 8, 4), (10, 10, 20, 30), (-5, -5, 4, 4), (50, 50, 3, 3)]
)
def test_crop_equals_torchvision(window):
    img = photo(31, 17)
    want = np.asarray(torchvision().transforms.functional.crop(img, *window))
    assert np.array_equal(np.asarray(F.crop(img, *window)), want)
    assert np.array_equal(F.crop(F.pil_to_tensor(img), *window), want.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "F", "P"])
@pytest.mark.parametrize("padding", [3, [4], (2, 5), (1, 2, 3, 4), (-1, 2, 3, -4)])
@pytest.mark.parametrize("padding_mode", ["constant", "edge", "reflect", "symmetric"])
def test_pad_equals_torchvision(mode, padding, padding_mode):
    tv = torchvision().transforms
    img = photo(31, 17, mode)
    want = tv.Pad(padding, 7, padding_mode)(img)
    got = T.Pad(padding, 7, padding_mode)(img)
    assert got.mode == img.mode
    assert np.array_equal(np.asarray(got), np.asarray(want))
    if mode == "P":
        assert np.array_equal(np.asarray(got.convert("RGB")), np.asarray(want.convert("RGB")))
    if mode in ("L", "RGB") and not (padding_mode == "reflect" and -1 in (padding if padding != 3 else [])):
        tensor = tv.PILToTensor()(img)
        assert np.array_equal(
            F.pad(tensor.numpy(), padding, 7, padding_mode), tv.Pad(padding, 7, padding_mode)(tensor)
        )


def test_pad_takes_a_colour():
    out = T.Pad(1, (9, 8, 7))(Image.new("RGB", (1, 1)))
    assert out.getpixel((0, 0)) == (9, 8, 7) and out.getpixel((1, 1)) == (0, 0, 0)
    with pytest.raises(ValueError, match="channels"):
        T.Pad(1, (9, 8))(Image.new("RGB", (1, 1)))


@pytest.mark.parametrize("wrong", [((1, 2, 3),), (1, 0, "mirror")])
def test_pad_refuses_at_once(wrong):
    with pytest.raises(ValueError):
        T.Pad(*wrong)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_equals_torchvision(mode, channels):
    img = photo(31, 17, mode)
    want = torchvision().transforms.Grayscale(channels)(img)
    got = T.Grayscale(channels)(img)
    assert got.mode == want.mode and np.array_equal(np.asarray(got), np.asarray(want))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_grayscale_of_tensors_equals_torchvision(dtype, channels):
    torch = pytest.importorskip("torch")
    tensor = F.pil_to_tensor(photo(31, 17)).astype(dtype)
    want = torchvision().transforms.Grayscale(channels)(torch.from_numpy(tensor))
    assert np.array_equal(T.Grayscale(channels)(tensor), want.numpy())


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "nearest-exact"])
@pytest.mark.parametrize("size", [40, (100, 200), (13, 97)])
def test_resize_of_tensors_is_near_torchvision(dtype, mode, size):
    torch = pytest.importorskip("torch")
    tensor = F.pil_to_tensor(photo(97, 64)).astype(dtype)
    want = F_tv(torch.from_numpy(tensor), size, mode)
    got = F.resize(tensor, size, InterpolationMode(mode))
    assert got.dtype == tensor.dtype and got.shape == want.shape
    tolerance = 0 if "nearest" in mode else 1 if dtype == "uint8" else 2e-3
    assert np.abs(got.astype(np.float64) - want.numpy()).max() <= tolerance


def F_tv(tensor, size, mode):
    tv = torchvision().transforms
    return tv.functional.resize(tensor, size, tv.InterpolationMode(mode))


def test_resize_refuses_nonsense():
    img = photo(20, 10)
    with pytest.raises(ValueError, match="1 or 2"):
        F.resize(img, (1, 2, 3))
    with pytest.raises(ValueError, match="max_size"):
        F.resize(img, (5, 5), max_size=9)
    with pytest.raises(ValueError, match="strictly greater"):
        F.resize(img, 5, max_size=5)
    with pytest.raises(TypeError, match="interpolation"):
        F.resize(img, 5, "bilinear")
    with pytest.raises(TypeError, match="Size"):
        T.Resize(2.5)
    with pytest.warns(UserWarning, match="always applied"):
        F.resize(img, 5, antialias=False)
    assert (
        F.resize(img, 5, Image.Resampling.BICUBIC).tobytes()
        == F.resize(img, 5, InterpolationMode.BICUBIC).tobytes()
    )


@pytest.mark.parametrize("size", [0, -3, (5, 0), (-1, 5), 2.5, (5, 2.5)])
@pytest.mark.parametrize("img", [photo(20, 10), np.zeros((3, 10, 20), np.float32)])
def test_resize_refuses_sizes_that_are_none(img, size):
    with pytest.raises((ValueError, TypeError), match=r"at least 1|integer"):
        F.resize(img, size)


def test_resize_refuses_a_picture_without_pixels():
    with pytest.raises(ValueError, match="at least one pixel"):
        F.resize(np.zeros((3, 0, 5), np.float32), 4)


def test_pixels_become_pictures():
    img = photo(31, 17)
    out = F.resize(np.asarray(img), 9)
    assert isinstance(out, Image.Image) and out.tobytes() == F.resize(img, 9).tobytes()


# ---- normalising ----


def test_normalize_equals_torchvision():
    torch = pytest.importorskip("torch")
    tensor = F.to_tensor(photo(31, 17))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    want = torchvision().transforms.Normalize(mean, std)(torch.from_numpy(tensor.copy()))
    assert np.array_equal(T.Normalize(mean, std)(tensor), want.numpy())
    assert np.array_equal(T.Normalize(mean, std)(tensor[None])[0], want.numpy())
    assert repr(T.Normalize(mean, std)) == repr(torchvision().transforms.Normalize(mean, std))


def test_normalize_in_place_or_not():
    tensor = np.ones((3, 2, 2), np.float32)
    out = F.normalize(tensor, (0.5, 0.5, 0.5), (0.5, 0.25, 0.125))
    assert out[:, 0, 0].tolist() == [1, 2, 4] and tensor.min() == 1
    assert F.normalize(tensor, (0.5,), (0.5,), inplace=True) is tensor and tensor.max() == 1


def test_normalize_refuses_nonsense():
    with pytest.raises(TypeError, match=r"float tensor.*ToTensor"):
        F.normalize(np.zeros((3, 2, 2), np.uint8), (0,) * 3, (1,) * 3)
    with pytest.raises(TypeError, match="Tensor Image"):
        F.normalize(photo(4, 4), (0,) * 3, (1,) * 3)
    with pytest.raises(ValueError, match="division by zero"):
        F.normalize(np.zeros((3, 2, 2), np.float32), (0,) * 3, (0,) * 3)
    with pytest.raises(ValueError, match=r"\(\.\.\., C, H, W\)"):
        F.normalize(np.zeros((2, 2), np.float32), (0,) * 3, (1,) * 3)
    with pytest.raises(ValueError, match="1 channels"):
        F.normalize(np.zeros((1, 2, 2), np.float32), (0,) * 3, (1,) * 3)


# ---- chance ----


def test_random_crop_reaches_every_place_and_no_other():
    board = np.arange(20, dtype=np.float32).reshape(1, 4, 5)
    crop = T.RandomCrop((3, 3), generator=np.random.default_rng(0))
    corners = {int(crop(board)[0, 0, 0]) for _ in range(200)}
    assert corners == {0, 1, 2, 5, 6, 7}
    assert T.RandomCrop(4)(np.zeros((3, 4, 4))).shape == (3, 4, 4)
    with pytest.raises(ValueError, match="larger than input"):
        T.RandomCrop(5)(board)
    assert T.RandomCrop(8, pad_if_needed=True)(photo(6, 20)).size == (8, 8)
    assert T.RandomCrop(32, padding=4)(photo(32, 32)).size == (32, 32)


def test_random_flip_follows_its_probability():
    board = np.array([[[0.0, 1.0]]])
    flip = T.RandomHorizontalFlip(generator=np.random.default_rng(1))
    flipped = sum(flip(board)[0, 0, 0] for _ in range(1000))
    assert 430 < flipped < 570
    assert T.RandomHorizontalFlip(0)(board)[0, 0, 0] == 0 and T.RandomHorizontalFlip(1)(board)[0, 0, 0] == 1


def test_lighting_adds_one_colour_along_the_components():
    tensor = F.to_tensor(photo(31, 17))
    shift = T.Lighting(generator=np.random.default_rng(2))(tensor) - tensor
    assert np.ptp(shift, axis=(1, 2)).max() < 1e-6 and np.abs(shift).max() > 0
    draws = np.stack(
        [
            T.Lighting(generator=np.random.default_rng(i))(np.zeros((3, 1, 1), np.float32))[:, 0, 0]
            for i in range(4000)
        ]
    )
    vectors = T.Lighting().eigvec
    assert np.allclose(vectors.T @ vectors, np.eye(3), atol=1e-3)
    assert np.allclose((draws @ vectors).std(axis=0), 0.1 * T.Lighting().eigval, rtol=0.05)
    assert np.array_equal(T.Lighting(0)(tensor), tensor)
    with pytest.raises(TypeError, match="ToTensor"):
        T.Lighting()(photo(4, 4))
    with pytest.raises(ValueError, match="3, H, W"):
        T.Lighting()(np.zeros((1, 2, 2), np.float32))


def test_a_seed_repeats_a_pipeline():
    def pipeline(seed):
        rng = np.random.default_rng(seed)
        return T.Compose(
            [
                T.RandomCrop(20, generator=rng),
                T.RandomHorizontalFlip(generator=rng),
                T.ToTensor(),
                T.Lighting(generator=rng),
            ]
        )

    img = photo(64, 48)
    assert np.array_equal(pipeline(3)(img), pipeline(3)(img))
    assert not np.array_equal(pipeline(3)(img), pipeline(4)(img))


# ---- together ----


def test_compose_reads_as_torchvision():
    tv = torchvision().transforms

    def build(module):
        return module.Compose(
            [
                module.Resize((256, 300)),
                module.CenterCrop(224),
                module.Pad(2),
                module.Grayscale(3),
                module.RandomCrop(32, padding=4),
                module.RandomHorizontalFlip(),
                module.FiveCrop(20),
                module.TenCrop((20, 22)),
                module.Lambda(str),
                module.PILToTensor(),
                module.ToTensor(),
                module.Normalize([0.5], [0.5]),
            ]
        )

    assert repr(build(T)) == repr(build(tv))


def test_compose_applies_in_order():
    pipeline = T.Compose([T.Resize(8), T.CenterCrop(4), T.ToTensor(), T.Lambda(lambda t: t.shape)])
    assert pipeline(photo(20, 10)) == (3, 4, 4)
    with pytest.raises(TypeError, match="callable"):
        T.Lambda(3)


def test_dimensions():
    assert F.get_dimensions(photo(5, 4)) == [3, 4, 5] == F.get_dimensions(np.zeros((2, 3, 4, 5)))
    assert F.get_image_size(photo(5, 4)) == [5, 4]
    assert F.get_image_num_channels(np.zeros((4, 5))) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_transforms_of_arrays_give_tensors(dtype):
    from rvision import Tensor

    array = np.ones((3, 12, 10), dtype)
    nearest = T.InterpolationMode.NEAREST
    some = [T.Resize(8), T.Resize(8, nearest), T.CenterCrop(8), T.CenterCrop(16), T.Pad(1), T.Grayscale(3)]
    some += [T.RandomHorizontalFlip(1.0), T.RandomCrop(4), T.ConvertImageDtype(np.float32)]
    some += [T.Pad(2, padding_mode="reflect"), T.ImageClassification(crop_size=8, resize_size=9)]
    some += [T.ImageClassification(crop_size=10, resize_size=10), T.Compose([T.Resize(9), T.CenterCrop(8)])]
    for transform in some:
        assert type(transform(array)) is Tensor, transform
    assert all(type(part) is Tensor for part in T.TenCrop(4)(array))


# ---- back to Pillow ----

PICTURES = {
    "RGB": (3, np.uint8, None),
    "grey": (1, np.uint8, None),
    "grey and alpha": (2, np.uint8, None),
    "RGBA": (4, np.uint8, None),
    "CMYK": (4, np.uint8, "CMYK"),
    "floats": (3, np.float32, None),
    "grey floats": (1, np.float32, None),
    "floats as they are": (1, np.float32, "F"),
    "16 bits": (1, np.int16, None),
    "32 bits": (1, np.int32, None),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_to_pil_image_is_torchvisions(kind):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchvision").transforms
    channels, dtype, mode = PICTURES[kind]
    values = np.random.default_rng(0).random((channels, 5, 7))
    values = (values * (1 if dtype == np.float32 else 255)).astype(dtype)
    expected = theirs.ToPILImage(mode)(torch.from_numpy(values))
    found = T.ToPILImage(mode)(rvision.tensor(values, dtype=dtype))
    assert found.mode == expected.mode and found.tobytes() == expected.tobytes()
    # A plain array has its channels last, as in torchvision.
    last = np.ascontiguousarray(values.transpose(1, 2, 0))
    expected = theirs.ToPILImage(mode)(last)
    found = T.ToPILImage(mode)(last)
    assert found.mode == expected.mode and found.tobytes() == expected.tobytes()


def test_pictures_go_to_tensors_and_back():
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8))
    for convert in (F.to_tensor, F.pil_to_tensor):
        assert F.to_pil_image(convert(picture)).tobytes() == picture.tobytes()
    assert repr(T.ToPILImage("RGB")) == "ToPILImage(mode=RGB)"
    for wrong, says in (
        (np.zeros(3), "2/3 dimensional"),
        (rvision.zeros(5, 4, 4), "5 channels"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        ([[1]], "list"),
    ):
        with pytest.raises((TypeError, ValueError), match=says):
            F.to_pil_image(wrong)


@pytest.mark.parametrize(
    ("package", "name", "says"),
    [
        ("transforms", "v2", "leave v2 out"),
        ("transforms", "RandomResizedCrop", "for training"),
        ("datasets", "CIFAR10", "ImageFolder"),
        ("models", "segmentation", r"rvision\.dense"),
        ("models", "no_such_network", "has no attribute"),
    ],
)
def test_what_torchvision_has_and_rvision_lacks_says_why(package, name, says):
    module = getattr(rvision, package)
    assert not hasattr(module, name)
    with pytest.raises(AttributeError, match=says):
        getattr(module, name)
