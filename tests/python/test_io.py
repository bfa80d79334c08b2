"""`rvision.io`: picture files as tensors, against torchvision's, Pillow's and the formats' definitions."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision.io import (
    ImageReadMode,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    decode_webp,
    encode_jpeg,
    encode_png,
    read_file,
    read_image,
    write_file,
    write_jpeg,
    write_png,
)

LEVELS = np.random.default_rng(0).integers(0, 256, (5, 6, 4)).astype(np.uint8)
MODES = ["UNCHANGED", "GRAY", "GRAY_ALPHA", "RGB", "RGBA"]


def file(img: Image.Image, format: str = "PNG", **options) -> bytes:
    saved = io.BytesIO()
    img.save(saved, format, **options)
    return saved.getvalue()


def png(color: int, bits: int, rows: list[bytes], width: int) -> bytes:
    """Return a PNG file of raw rows, for kinds that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, len(rows), bits, color, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


GRAY, RGB = Image.fromarray(LEVELS[..., 0]), Image.fromarray(LEVELS[..., :3])
RGBA, LA = Image.fromarray(LEVELS), Image.fromarray(LEVELS[..., :2])
PALETTE = RGB.quantize(256)
WIDE = LEVELS[..., 0].astype(np.uint16) * 257 - 3
PNGS = {
    "L": file(GRAY),
    "LA": file(LA),
    "RGB": file(RGB),
    "RGBA": file(RGBA),
    "1": file(Image.fromarray(LEVELS[..., 0] > 127)),
    "P": file(PALETTE),
    "P and one clear color": file(PALETTE, transparency=3),
    "P and alphas": file(PALETTE, transparency=bytes(range(0, 250, 10))),
    "RGB and a clear color": file(RGB, transparency=tuple(map(int, LEVELS[0, 0, :3]))),
    "L and a clear level": file(GRAY, transparency=int(LEVELS[0, 0, 0])),
    "2 bits": png(0, 2, [bytes([0b00011011, 0b11100000])] * 3, 6),
    "16 bits": file(Image.fromarray(WIDE)),
    "P of 4 bits": file(RGB.quantize(16)),
}
# What torchvision makes uninitialised memory, packed pixels or an alpha of 1 or 3 of.
TORCHVISIONS_FAULTS = {
    *(("1", "GRAY_ALPHA"), ("1", "RGBA"), ("2 bits", "GRAY_ALPHA"), ("2 bits", "RGBA")),
    *(("P", "GRAY_ALPHA"), ("P", "RGBA"), ("P of 4 bits", "UNCHANGED")),
    *(("P of 4 bits", "GRAY_ALPHA"), ("P of 4 bits", "RGBA")),
}
OTHERS = {
    "JPEG": file(RGB, "JPEG"),
    "JPEG 4:4:4": file(RGB, "JPEG", subsampling=0, quality=95),
    "grey JPEG": file(GRAY, "JPEG"),
    "CMYK JPEG": file(RGB.convert("CMYK"), "JPEG"),
    "WebP": file(RGB, "WEBP"),
    "WebP and alpha": file(RGBA, "WEBP", lossless=True, exact=True),
    "GIF": file(PALETTE, "GIF"),
    "GIF and a clear color": file(PALETTE, "GIF", transparency=3),
}


def planes(img: Image.Image) -> np.ndarray:
    pixels = np.asarray(img)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def test_members_of_the_mode():
    assert {name: mode.value for name, mode in ImageReadMode.__members__.items()} == {
        **{"UNCHANGED": 0, "GRAY": 1, "GRAY_ALPHA": 2, "RGB": 3, "RGB_ALPHA": 4, "RGBA": 4}
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("L", GRAY),
        ("LA", LA),
        ("RGB", RGB),
        ("RGBA", RGBA),
        ("P", PALETTE),
        ("P of 4 bits", RGB.quantize(16)),
        ("RGB and a clear color", RGB),
        ("16 bits", Image.fromarray(WIDE)),
    ],
)
def test_png_files_as_they_are(name, expected):
    found = decode_image(PNGS[name])
    assert type(found) is rvision.Tensor and found.flags.c_contiguous
    assert found.dtype == (np.uint16 if name == "16 bits" else np.uint8)
    assert np.array_equal(found, planes(expected))


def test_alpha_is_opaque_where_a_file_has_none():
    for name in ("1", "2 bits", "L", "P", "P of 4 bits", "L and a clear level"):
        for mode in ("GRAY_ALPHA", "RGBA"):
            assert (decode_png(PNGS[name], mode)[-1] == 255).all(), (name, mode)
        assert np.array_equal(decode_png(PNGS[name], "RGBA")[:3], decode_png(PNGS[name], "RGB"))
    assert (decode_png(PNGS["16 bits"], "RGB_ALPHA")[-1] == 65535).all()
    assert decode_png(PNGS["2 bits"])[0, 0].tolist() == [0, 85, 170, 255, 255, 170]
    assert np.array_equal(
        decode_png(PNGS["P and alphas"], "rgba"),
        planes(Image.open(io.BytesIO(PNGS["P and alphas"])).convert("RGBA")),
    )


def test_grey_of_colours_is_libpngs():
    # 0.2989, 0.587 and the rest in units of 1 / 32768, rounded down.
    r, g, b = planes(RGB).astype(int)
    assert np.array_equal(decode_image(PNGS["RGB"], "GRAY")[0], (9794 * r + 19235 * g + 3739 * b) >> 15)


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PNGS)
def test_png_files_are_torchvisions(torch, name, mode):
    if (name, mode) in TORCHVISIONS_FAULTS:
        pytest.skip("torchvision's result is uninitialised memory, packed pixels or an alpha of 1 or 3")
    from torchvision import io as theirs

    data = torch.frombuffer(bytearray(PNGS[name]), dtype=torch.uint8)
    expected = theirs.decode_image(data, theirs.ImageReadMode[mode]).numpy()
    found = decode_image(data.numpy(), ImageReadMode[mode])
    assert found.dtype == expected.dtype and np.array_equal(found, expected)
    assert np.array_equal(decode_png(PNGS[name], mode), expected)


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
@pytest.mark.parametrize("mode", ["UNCHANGED", "GRAY", "RGB", "RGBA"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_torchvisions(torch, name, mode):
    from torchvision import io as theirs

    if mode in {"J": ["RGBA"], "g": ["RGBA"], "C": ["RGBA"], "W": ["GRAY"], "G": ["GRAY", "RGBA"]}[name[0]]:
        with pytest.raises(rvision.UnsupportedError, match="cannot be decoded to"):
            decode_image(OTHERS[name], mode)
        return
    data = torch.frombuffer(bytearray(OTHERS[name]), dtype=torch.uint8)
    expected = theirs.decode_image(data, theirs.ImageReadMode[mode]).numpy()
    found = decode_image(OTHERS[name], mode)
    assert found.shape == expected.shape
    # The two may have different versions of libjpeg.
    assert np.abs(found.astype(int) - expected).max() <= (2 if "JPEG" in name else 0)


def test_other_formats_without_torchvision():
    for name in ("JPEG", "grey JPEG"):
        expected = planes(Image.open(io.BytesIO(OTHERS[name])))
        assert np.array_equal(decode_jpeg(OTHERS[name]), expected)
        assert np.array_equal(decode_jpeg([OTHERS[name]])[0], expected)
    assert decode_jpeg(OTHERS["grey JPEG"], "RGB").shape == (3, 5, 6)
    assert np.array_equal(decode_webp(OTHERS["WebP and alpha"]), planes(RGBA))
    assert np.array_equal(decode_gif(OTHERS["GIF"]), planes(PALETTE.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_orientation(format, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file(RGB, format, exif=exif)
    expected = planes(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(decode_image(data, apply_exif_orientation=True), expected)
    assert decode_image(data).shape == (3, 5, 6)


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
@pytest.mark.parametrize("channels", [1, 3])
def test_encoding(tmp_path, channels):
    x = rvision.tensor(LEVELS.transpose(2, 0, 1)[:channels], dtype=rvision.uint8)
    data = encode_png(x)
    assert type(data) is rvision.Tensor and data.dtype == np.uint8 and data.ndim == 1
    assert np.array_equal(decode_png(data), x)
    write_png(x, tmp_path / "x.png", compression_level=9)
    assert np.array_equal(read_image(tmp_path / "x.png"), x)
    assert np.array_equal(read_image(str(tmp_path / "x.png"), mode=ImageReadMode.RGB), x.expand(3, 5, 6))
    write_jpeg(x, str(tmp_path / "x.jpg"), quality=90)
    saved = Image.open(tmp_path / "x.jpg")
    assert (saved.format, saved.size) == ("JPEG", (6, 5))
    assert np.array_equal(read_image(tmp_path / "x.jpg"), planes(saved))
    assert np.array_equal(encode_jpeg([x], 90)[0], read_file(tmp_path / "x.jpg"))
    write_file(tmp_path / "y.png", data)
    assert (tmp_path / "y.png").read_bytes() == bytes(data)


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_encoded_files_are_torchvisions(torch):
    from torchvision import io as theirs

    x = np.random.default_rng(1).integers(0, 256, (3, 40, 60)).astype(np.uint8)
    for quality in (30, 75, 95):
        found = theirs.decode_image(torch.from_numpy(np.array(encode_jpeg(x, quality)))).numpy()
        expected = theirs.decode_image(theirs.encode_jpeg(torch.from_numpy(x), quality)).numpy()
        assert np.abs(found.astype(int) - expected).max() <= 2
    assert np.array_equal(theirs.decode_png(torch.from_numpy(np.array(encode_png(x)))).numpy(), x)


def test_what_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")
    for broken in (b"", b"abc", PNGS["RGB"][:60], OTHERS["JPEG"][:100], OTHERS["JPEG"][:-20]):
        with pytest.raises(OSError) as error:
            decode_image(broken)
        assert isinstance(error.value, rvision.RVisionError)
    (tmp_path / "x.png").write_bytes(b"abc")
    with pytest.raises(OSError, match=r"x\.png: not a picture"):
        read_image(tmp_path / "x.png")
    with pytest.raises(rvision.UnsupportedError, match=r"BMP file.*pil_to_tensor"):
        decode_image(file(RGB, "BMP"))
    with pytest.raises(rvision.UnsupportedError, match="decode_png reads PNG, and this is a JPEG"):
        decode_png(OTHERS["JPEG"])
    for color, samples in ((2, 3), (4, 2), (6, 4)):
        with pytest.raises(rvision.UnsupportedError, match="16 bits with colour or alpha"):
            decode_image(png(color, 16, [bytes(2 * samples * 6)] * 3, 6))
    with pytest.raises(rvision.UnsupportedError, match="animation of 2 pictures"):
        decode_image(file(GRAY, "GIF", save_all=True, append_images=[GRAY.rotate(180)]))
    with pytest.raises(rvision.ArgumentError, match="mode must be one of UNCHANGED, GRAY"):
        decode_image(PNGS["L"], "BGR")
    for wrong in (np.zeros(3, np.float32), np.zeros((3, 2), np.uint8), 3):
        with pytest.raises(rvision.ArgumentError, match="bytes of a file"):
            decode_image(wrong)
    with pytest.raises(rvision.ArgumentError, match="got a path"):
        decode_png("x.png")
    with pytest.raises(rvision.UnsupportedError, match="CPU only"):
        decode_jpeg(OTHERS["JPEG"], device="cuda")
    with pytest.raises(rvision.ArgumentError, match="empty list"):
        decode_jpeg([])
    with pytest.raises(rvision.ArgumentError, match="expected uint8, got float32"):
        write_png(np.zeros((3, 2, 2), np.float32), tmp_path / "y.png")
    for shape in ((2, 2), (2, 2, 2), (1, 3, 2, 2)):
        with pytest.raises(rvision.ShapeError, match=r"expected \(1 or 3, H, W\)"):
            encode_jpeg(np.zeros(shape, np.uint8))
    with pytest.raises(rvision.ArgumentError, match="quality must be 1 to 100, got 0"):
        encode_jpeg(np.zeros((3, 2, 2), np.uint8), 0)
    with pytest.raises(rvision.ArgumentError, match="compression_level must be 0 to 9"):
        encode_png(np.zeros((3, 2, 2), np.uint8), 10)


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match=r"rvision\.io has no 'read_video': there are no videos"):
        _ = rvision.io.read_video
    with pytest.raises(AttributeError, match=r"decode_avif.*Pillow reads AVIF"):
        _ = rvision.io.decode_avif
    assert "read_image" in dir(rvision.io)


def test_every_name_of_torchvisions_is_there_or_refused(torch):
    from torchvision import io as theirs

    for name in theirs.__all__:
        assert hasattr(rvision.io, name) or name in rvision.io._ABSENT, name
