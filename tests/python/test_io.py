"""rvision.io: torchvision's values for pictures of every kind, in every mode."""

from __future__ import annotations

import io

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision.io import ImageReadMode

# torchvision says that its decoders will move.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torchvision", "ignore::UserWarning:torchvision"
)

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (5, 7, 1), dtype=np.uint8)
GREY = RGB[..., 0]
# JPEGs are compared on something smoother.
SMOOTH = np.kron(RGB, np.ones((16, 16, 1), np.uint8))


def saved(picture: Image.Image, format: str = "PNG", **options) -> bytes:
    target = io.BytesIO()
    picture.save(target, format, **options)
    return target.getvalue()


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = 6
    return data


FILES = {
    "grey": saved(Image.fromarray(GREY)),
    "grey and alpha": saved(Image.fromarray(np.concatenate([GREY[..., None], ALPHA], 2))),
    "colours": saved(Image.fromarray(RGB)),
    "colours and alpha": saved(Image.fromarray(np.concatenate([RGB, ALPHA], 2))),
    "one bit": saved(Image.fromarray(GREY > 128)),
    "16 bits": saved(Image.fromarray(GREY.astype(np.uint16) * 257 + 3)),
    "palette": saved(Image.fromarray(RGB).quantize(8)),
    "palette and transparency": saved(Image.fromarray(RGB).quantize(8), transparency=2),
    "grey with a transparent one": saved(Image.fromarray(GREY), transparency=int(GREY[0, 0])),
    "colours with a transparent one": saved(Image.fromarray(RGB), transparency=tuple(map(int, RGB[0, 0]))),
    "JPEG": saved(Image.fromarray(SMOOTH), "JPEG", quality=90),
    "JPEG, grey": saved(Image.fromarray(SMOOTH[..., 0]), "JPEG", quality=90),
    "JPEG, CMYK": saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"),
    "JPEG, turned": saved(Image.fromarray(SMOOTH), "JPEG", exif=exif()),
    "WebP": saved(Image.fromarray(RGB), "WEBP", lossless=True),
    "GIF": saved(Image.fromarray(RGB), "GIF"),
    "GIF of two": saved(
        Image.fromarray(RGB), "GIF", save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())]
    ),
}
# What torchvision does otherwise, or not at all; the docstring of decode_image says so.
DIFFERENT = {
    (file, mode)
    for file in ("palette", "palette and transparency")
    for mode in ("UNCHANGED", "GRAY_ALPHA", "RGB_ALPHA")
} - {("palette and transparency", "RGB_ALPHA"), ("palette and transparency", "GRAY_ALPHA")}
DIFFERENT |= {("one bit", mode) for mode in ("GRAY_ALPHA", "RGB_ALPHA")}
DIFFERENT |= {(file, mode) for file in FILES if "JPEG" in file for mode in ("GRAY_ALPHA", "RGB_ALPHA")}
DIFFERENT |= {("WebP", mode) for mode in ("GRAY", "GRAY_ALPHA")}
DIFFERENT |= {(file, mode) for file in ("GIF", "GIF of two") for mode in ("GRAY", "GRAY_ALPHA", "RGB_ALPHA")}


MODES = ["UNCHANGED", "GRAY", "GRAY_ALPHA", "RGB", "RGB_ALPHA"]


@pytest.mark.parametrize(
    ("file", "mode"), [(file, mode) for file in FILES for mode in MODES if (file, mode) not in DIFFERENT]
)
def test_values_are_torchvisions(file, mode, torch):
    import torchvision

    data = FILES[file]
    for turned in (False, True):
        expected = torchvision.io.decode_image(
            torch.frombuffer(bytearray(data), dtype=torch.uint8),
            torchvision.io.ImageReadMode[mode],
            apply_exif_orientation=turned,
        ).numpy()
        found = rvision.io.decode_image(data, mode, turned)
        assert type(found) is rvision.Tensor and found.flags.c_contiguous
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        # Colours of PNGs become grey by another formula.
        most = int(mode.startswith("GRAY") and ("colours" in file or "palette" in file))
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= most


def test_pictures_without_torch():
    assert np.array_equal(rvision.io.decode_image(FILES["colours"]), RGB.transpose(2, 0, 1))
    assert np.array_equal(rvision.io.decode_png(FILES["grey"], ImageReadMode.RGB), np.stack([GREY] * 3))
    added = rvision.io.decode_image(FILES["colours"], ImageReadMode.RGBA)
    assert added.shape == (4, 5, 7) and (added[3] == 255).all()
    deep = rvision.io.decode_image(FILES["16 bits"])
    assert deep.dtype == np.uint16 and np.array_equal(deep[0], GREY.astype(np.uint16) * 257 + 3)
    colours = np.asarray(Image.open(io.BytesIO(FILES["palette"])).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(rvision.io.decode_image(FILES["palette"]), colours)
    assert rvision.io.decode_image(FILES["palette and transparency"]).shape == (4, 5, 7)
    assert rvision.io.decode_gif(FILES["GIF of two"]).shape == (2, 3, 5, 7)
    assert (rvision.io.decode_image(FILES["palette"], "RGBA")[3] == 255).all()


def test_files_and_bytes(tmp_path):
    path = tmp_path / "picture.png"
    picture = rvision.tensor(RGB.transpose(2, 0, 1))
    rvision.io.write_png(picture, path)
    assert np.array_equal(rvision.io.read_image(path), picture)
    assert np.array_equal(rvision.io.read_image(str(path), ImageReadMode.RGB), picture)
    assert np.array_equal(rvision.io.decode_image(path), picture)
    data = rvision.io.read_file(path)
    assert data.dtype == np.uint8 and data.ndim == 1
    assert np.array_equal(rvision.io.decode_image(data), picture)
    rvision.io.write_file(tmp_path / "copy.png", data)
    assert (tmp_path / "copy.png").read_bytes() == path.read_bytes()
    rvision.io.write_jpeg(picture, tmp_path / "picture.jpg", quality=95)
    assert rvision.io.read_image(tmp_path / "picture.jpg").shape == (3, 5, 7)
    assert np.array_equal(rvision.io.decode_png(rvision.io.encode_png(picture[:1])), picture[:1])


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_jpegs_are_torchvisions(quality, torch):
    import torchvision

    picture = SMOOTH.transpose(2, 0, 1).copy()
    expected = torchvision.io.encode_jpeg(torch.from_numpy(picture), quality=quality)
    found = rvision.io.encode_jpeg(picture, quality)
    assert np.array_equal(rvision.io.decode_jpeg(found), torchvision.io.decode_jpeg(expected).numpy())


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: rvision.io.decode_image(b"no picture"), rvision.ArgumentError, "the bytes: expected a pict"),
        (lambda: rvision.io.decode_png(FILES["JPEG"]), rvision.ArgumentError, "expected a picture in PNG"),
        (lambda: rvision.io.decode_image(np.zeros(3)), rvision.ArgumentError, "float64"),
        (lambda: rvision.io.decode_image(FILES["grey"], "BGR"), rvision.ArgumentError, "UNCHANGED, GRAY"),
        (lambda: rvision.io.read_image("no.png"), FileNotFoundError, "no.png"),
        (lambda: rvision.io.encode_jpeg(np.zeros((3, 4, 4))), rvision.ArgumentError, "float64"),
        (lambda: rvision.io.encode_png(np.zeros((4, 4, 3), np.uint8)), rvision.ArgumentError, r"\(4, 4, 3\)"),
        (lambda: rvision.io.encode_jpeg(RGB.transpose(2, 0, 1), 0), rvision.ArgumentError, "1 to 100"),
        (lambda: rvision.io.decode_jpeg(FILES["JPEG"], device="cuda"), rvision.UnsupportedError, "CPU only"),
        (lambda: rvision.io.read_video, AttributeError, "PyAV"),
        (lambda: rvision.io.nothing, AttributeError, "nothing"),
    ],
)
def test_refusals_say_what_is_wrong(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_colours_of_16_bits_are_refused():
    # Pillow cannot write one: a PNG of one pixel, by hand.
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 1, 2, 3))) + chunk(b"IEND", b"")
    with pytest.raises(rvision.UnsupportedError, match="16 bits with colours"):
        rvision.io.decode_image(data)
