"""Pictures of other modes and more than 8 bits: what presets, ToTensor and Resize make of them."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
import PIL
import pytest
import rvision
import rvision.transforms as T
from PIL import Image
from rvision._pictures import PictureError
from rvision.transforms import functional as F

# 0 to 255 as values of 16 bits: 257 is one step of 8 bits, half a step rounds up.
LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)
SIXTEEN = LEVELS.astype(np.uint16) * 257
OFF = np.array([[0, 128, 129, 385, 386, 32767, 32768, 65407, 65535]], np.uint16)
OFF_LEVELS = np.array([[0, 0, 1, 1, 2, 127, 128, 255, 255]], np.uint8)

RAW = T.ImageClassification(crop_size=16, resize_size=16, mean=[0.0] * 3, std=[1.0] * 3)
GREY = T.GreyClassification(crop_size=16, resize_size=16)


def levels(tensor: np.ndarray) -> np.ndarray:
    """Return the result of a preset without mean and deviation, as 0 to 255; all channels agree."""
    assert tensor.dtype == np.float32 and (tensor == tensor[:1]).all()
    return np.rint(tensor[0] * 255).astype(int)


def file_of(values: np.ndarray, kind: str) -> Image.Image:
    """Return a picture of these values, read from a file of this kind."""
    height, width = values.shape
    buffer = io.BytesIO()
    if kind == "PNG":
        Image.fromarray(values.astype(np.uint16)).save(buffer, "PNG")
    elif kind == "PGM":
        buffer.write(f"P5 {width} {height} 65535\n".encode() + values.astype(">u2").tobytes())
    else:
        mode, dtype = {
            "TIFF": ("I;16", "<u2"),
            "TIFF, big-endian": ("I;16B", ">u2"),
            "TIFF of 32 bits": ("I", "<i4"),
            "TIFF of floats": ("F", "<f4"),
        }[kind]
        Image.frombytes(mode, (width, height), values.astype(dtype).tobytes()).save(buffer, "TIFF")
    buffer.seek(0)
    with Image.open(buffer) as img:
        img.load()
        return img


# Before version 11 Pillow opened PNG files of 16 bits in mode I, and did less with modes that are rare.
OLD_PILLOW = int(PIL.__version__.partition(".")[0]) < 11
SIXTEEN_BIT_FILES = ["PNG", "PGM", "TIFF", "TIFF, big-endian", "TIFF of 32 bits"]


@pytest.mark.parametrize("kind", SIXTEEN_BIT_FILES)
def test_presets_scale_sixteen_bits_to_eight(kind):
    img = file_of(SIXTEEN, kind)
    assert np.array_equal(levels(RAW(img)), LEVELS)
    assert np.array_equal(levels(GREY(img)), LEVELS)
    assert np.array_equal(levels(RAW.normalized(file_of(OFF, kind))), OFF_LEVELS)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_all_byte_orders_of_sixteen_bits_are_read(mode):
    order = ">" if mode == "I;16B" else "<"
    img = Image.frombytes(mode, (16, 16), SIXTEEN.astype(f"{order}u2").tobytes())
    assert np.array_equal(levels(RAW(img)), LEVELS)
    tensor = F.pil_to_tensor(img)
    assert tensor.dtype == np.uint16 and tensor.dtype.isnative and np.array_equal(tensor[0], SIXTEEN)
    if OLD_PILLOW:
        return
    # A filter's weights are positive and sum to one: what comes out lies between what went in, ever brighter.
    small = F.pil_to_tensor(F.resize(img, [4, 1]))[0, :, 0].astype(int)
    assert np.abs(small - SIXTEEN.reshape(4, -1).mean(1)).max() < 2000 and (np.diff(small) > 0).all()


def test_mode_i_with_values_of_eight_bits_is_not_black():
    img = file_of(LEVELS, "TIFF of 32 bits")
    assert img.mode == "I"
    with pytest.warns(UserWarning, match="up to 255 is taken for one of 0 to 255"):
        assert np.array_equal(levels(RAW(img)), LEVELS)
    with pytest.warns(UserWarning, match="0 to 255"):
        assert np.array_equal(levels(GREY(img)), LEVELS)
    # As torchvision's users get it.
    assert np.array_equal(np.asarray(img.convert("RGB"))[..., 0], LEVELS)
    assert not RAW(Image.new("I", (16, 16))).any()


def test_files_that_are_of_sixteen_bits_for_certain_stay_dark():
    with pytest.warns(UserWarning, match="up to 255 of 65535 is next to black"):
        assert levels(RAW(file_of(LEVELS, "PGM"))).max() == 1
    with pytest.warns(UserWarning, match="next to black"):
        assert levels(RAW(file_of(LEVELS, "PNG"))).max() == 1


@pytest.mark.parametrize("values", [np.full((4, 4), -1), np.full((4, 4), 65536), np.array([[0, 100_000]])])
def test_values_beyond_sixteen_bits_are_refused_by_name(values, tmp_path):
    img = file_of(values, "TIFF of 32 bits")
    told = re.escape(f"mode I has values from {values.min()} to {values.max()}")
    for preset in (RAW, GREY):
        with pytest.raises(ValueError, match=told):
            preset(img)
    img.save(tmp_path / "a.tif")
    with pytest.raises(PictureError, match=f"a.tif: .*{told}"):
        rvision.evaluate(lambda x: x[:, :, 0, 0], [tmp_path / "a.tif"], [0], transforms=RAW)


def test_mode_f_is_of_eight_bits_or_of_zero_to_one():
    img = file_of(LEVELS, "TIFF of floats")
    assert np.array_equal(levels(RAW(img)), LEVELS)
    with pytest.warns(UserWarning, match="mode F .* taken for one of 0 to 1"):
        assert np.array_equal(levels(RAW(file_of(LEVELS / 255, "TIFF of floats"))), LEVELS)
    with pytest.warns(UserWarning, match="taken for one of 0 to 1"):
        assert np.array_equal(levels(GREY(file_of(LEVELS / 255, "TIFF of floats"))), LEVELS)
    for wrong in (SIXTEEN, LEVELS - 5.0, LEVELS * np.nan):
        with pytest.raises(ValueError, match="mode F has values from"):
            RAW(file_of(wrong, "TIFF of floats"))


def test_to_tensor_wraps_as_torchvision_and_says_so():
    img = file_of(SIXTEEN, "TIFF")
    with pytest.warns(UserWarning, match=r"wrap to negative numbers.*convert_image_dtype\(pil_to_tensor"):
        tensor = T.ToTensor()(img)
    assert tensor.dtype == np.int16 and np.array_equal(tensor[0].view(np.uint16), SIXTEEN)
    # Nothing wraps, nothing is said.
    assert np.array_equal(F.to_tensor(file_of(SIXTEEN // 2, "TIFF"))[0], SIXTEEN // 2)


def test_the_named_way_gives_sixteen_bits_between_zero_and_one():
    for kind in ("TIFF", "TIFF, big-endian", *(() if OLD_PILLOW else ("PNG",))):
        got = T.Compose([T.PILToTensor(), T.ConvertImageDtype(np.float32)])(file_of(OFF, kind))
        assert got.dtype == np.float32 and np.array_equal(got[0], OFF.astype(np.float32) / np.float32(65535))
    assert np.array_equal(
        T.ConvertImageDtype(np.float32)(F.pil_to_tensor(Image.fromarray(LEVELS))),
        F.to_tensor(Image.fromarray(LEVELS)),
    )


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        (np.array([0, 1, 255], np.uint8), "float32", [0, np.float32(1 / 255), 1]),
        (np.array([0, 32768, 65535], np.uint16), "float64", [0, 32768 / 65535, 1]),
        (np.array([0, 257, 65535], np.uint16), "uint8", [0, 1, 255]),
        (np.array([0, 1, 255], np.uint8), "uint16", [0, 256, 65280]),
        (np.array([0.0, 0.5, 1.0], np.float32), "uint8", [0, 127, 255]),
        (np.array([False, True]), "float32", [0, 1]),
        (np.array([0.0, 0.5, 1.0]), "float32", [0, 0.5, 1]),
    ],
)
def test_convert_image_dtype_keeps_white_white(values, dtype, wanted):
    got = F.convert_image_dtype(values, dtype)
    assert got.dtype == dtype and np.array_equal(got, np.array(wanted, dtype))


KINDS = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "float32", "float64"]


@pytest.mark.parametrize("given", KINDS)
def test_convert_image_dtype_equals_torchvision(torch, given):
    from torchvision.transforms.functional import convert_image_dtype

    rng = np.random.default_rng(0)
    if given.startswith("float"):
        values = np.append(rng.random(40), [0, 1]).astype(given)
    elif given == "bool":
        values = np.array([False, True])
    else:
        limits = np.iinfo(given)
        values = np.append(rng.integers(limits.min, limits.max, 40, endpoint=True), [0, limits.max]).astype(
            given
        )
    for wanted in KINDS:
        try:
            theirs = convert_image_dtype(torch.from_numpy(values), getattr(torch, wanted)).numpy()
        except NotImplementedError:
            continue  # torch divides no uint16
        except RuntimeError:
            with pytest.raises(ValueError, match="cannot be performed safely"):
                F.convert_image_dtype(values, wanted)
            continue
        ours = F.convert_image_dtype(values, wanted)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), wanted


def test_convert_image_dtype_refuses_what_is_no_number():
    with pytest.raises(TypeError):
        F.convert_image_dtype(np.array(["a"]), "uint8")
    with pytest.raises(TypeError):
        F.convert_image_dtype(Image.new("L", (2, 2)))


def test_grey_of_sixteen_bits_is_torchvisions_with_a_warning(torch):
    from torchvision.transforms.functional import rgb_to_grayscale

    img = Image.fromarray(SIXTEEN)
    with pytest.warns(UserWarning, match="above 255 white"):
        grey = F.rgb_to_grayscale(img)
    assert np.array_equal(np.asarray(grey), np.asarray(rgb_to_grayscale(img)))


OTHER_MODES = ["1", "P", "PA", "LA", "La", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"]
OTHER_MODES += [] if OLD_PILLOW else ["RGBa", "LAB"]


@pytest.mark.parametrize("mode", OTHER_MODES)
def test_presets_take_the_other_modes_as_pillow_does(mode):
    grey = Image.fromarray(LEVELS)
    rgb = Image.merge("RGB", [grey, grey.transpose(1), grey])
    if mode == "LAB":
        from PIL import ImageCms

        profiles = (ImageCms.createProfile(space) for space in ("sRGB", "LAB"))
        img = ImageCms.applyTransform(rgb, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    else:
        way = {"PA": ["P"], "La": ["LA"], "RGBa": ["RGBA"]}.get(mode, [])
        img = rgb
        for step in (*way, mode):
            img = img.convert(step)
    assert img.mode == mode
    wanted = (img.convert("LA") if mode == "La" else img).convert("RGB")
    assert np.array_equal(RAW(img), F.to_tensor(wanted))
    if mode in ("1", "LA", "RGBA", "CMYK"):
        assert np.array_equal(GREY(img), F.to_tensor(img.convert("L")))
    assert GREY(img).shape == (1, 16, 16)


def png_of_sixteen_bits(values: np.ndarray) -> Image.Image:
    height, width, _ = values.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunks))


def test_colour_of_sixteen_bits_is_pillows_of_eight():
    img = png_of_sixteen_bits(np.stack([SIXTEEN] * 3, -1))
    assert img.mode == "RGB" and np.array_equal(levels(RAW(img)), LEVELS)


# ---- arrays ----


def test_presets_take_pixels_of_sixteen_bits():
    assert np.array_equal(levels(RAW(SIXTEEN)), LEVELS)
    assert np.array_equal(levels(RAW(np.stack([SIXTEEN] * 3, -1))), LEVELS)
    assert np.array_equal(levels(RAW(SIXTEEN[..., None])), LEVELS)


def test_presets_take_tensors_of_sixteen_bits_as_torchvision_does(torch):
    from torchvision.transforms._presets import ImageClassification

    rng = np.random.default_rng(1)
    tensor = rng.integers(0, 65536, (3, 60, 50)).astype(np.uint16)
    theirs = ImageClassification(crop_size=24, resize_size=32)(torch.from_numpy(tensor)).numpy()
    ours = T.ImageClassification(crop_size=24, resize_size=32)(tensor)
    # Two roundings to whole levels of 65,535, and the deviation.
    assert np.abs(ours - theirs).max() < 2 / 65535 / 0.224 + 1e-4
    assert np.array_equal(
        T.ImageClassification(crop_size=24, resize_size=32).normalized(tensor[:, :24, :24]),
        F.normalize(tensor[:, :24, :24] / np.float32(65535), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    )


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint32", "bool"])
def test_presets_refuse_other_integers_and_say_what_to_do(dtype):
    with pytest.raises(TypeError, match=rf"got an array of {dtype}: \.astype\(np.uint8\)"):
        RAW(np.ones((3, 16, 16), dtype))


def test_floats_of_zero_to_255_are_said():
    with pytest.warns(UserWarning, match="up to 255 is taken for one of 0 to 1; divide by 255"):
        RAW(np.stack([LEVELS.astype(np.float32)] * 3))
