"""The zip container as torch writes it: all lengths of folder names, all kinds of directory."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
import rvision
from weight_files import SIX, dumps, load, tensor, zipped

# What stands behind the directory: zip's own end record, torch's (with a zip64 one in front that repeats
# it), and that of a file beyond zip's limits (the numbers are in the zip64 one alone).
ENDS = ("zip32", "both", "zip64")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")


def end(data: bytes, kind: str) -> bytes:
    """Give an archive made by zipfile the end records of this kind."""
    directory, last = data[: -END.size], END.unpack(data[-END.size :])
    count, size, offset = last[3], last[5], last[6]
    if kind == "zip32":
        return data
    record = END64.pack(b"PK\x06\x06", 44, 0x031E, 45, 0, 0, count, count, size, offset)
    locator = LOCATOR.pack(b"PK\x06\x07", 0, len(directory), 1)
    if kind == "zip64":
        count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    return directory + record + locator + END.pack(b"PK\x05\x06", 0, 0, count, count, size, offset, 0)


def archive(stem: str, count: int, kind: str) -> bytes:
    """Return what torch.save writes for `count` tensors of six values, 0 ... 5, 1 ... 6, ..."""
    tensors = {f"w{k}": tensor((2, 3), (3, 1), key=str(k)) for k in range(count)}
    records = [("data.pkl", dumps(tensors)), (".format_version", b"1"), (".storage_alignment", b"64")]
    records += [("byteorder", b"little")]
    records += [(f"data/{k}", (SIX + k).tobytes()) for k in range(count)]
    records += [("version", b"3\n")]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as writer:
        for name, data in records:
            info = zipfile.ZipInfo(f"{stem}/{name}", (1980, 1, 1, 0, 0, 0))
            # torch pads the local header, and not the directory's, so that every record begins at 64 n.
            begin = file.tell() + zipfile.sizeFileHeader + len(info.filename) + 4
            pad = -begin % 64
            info.extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad
            writer.writestr(info, data)
            info.extra = b""
    return end(file.getvalue(), kind)


def assert_read(data: bytes, count: int) -> None:
    found = load(data)
    assert list(found) == [f"w{k}" for k in range(count)]
    assert all((found[f"w{k}"] == (SIX + k).reshape(2, 3)).all() for k in range(count))


@pytest.mark.parametrize("kind", ENDS)
def test_a_folder_of_any_length(kind):
    for length in range(1, 65):
        for count in (1, 2):
            assert_read(archive("x" * length, count, kind), count)


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("length", [1, 7, 21, 64])
def test_many_records(kind, length):
    for count in (100, 2000):
        assert_read(archive("x" * length, count, kind), count)


def test_torchs_files_of_any_name(tmp_path):
    torch = pytest.importorskip("torch")
    for length in range(1, 65):
        file = tmp_path / ("x" * length + ".pth")
        torch.save({"weight": torch.arange(6.0).reshape(2, 3)}, file)
        np.testing.assert_array_equal(rvision.load(file)["weight"], SIX.reshape(2, 3))
        file.unlink()
    for length in (20, 21, 22):
        file = tmp_path / ("x" * length + ".pth")
        torch.save({f"w{k}": torch.arange(6.0) + k for k in range(2000)}, file)
        found = rvision.load(file)
        assert len(found) == 2000
        assert all((found[f"w{k}"] == SIX + k).all() for k in range(2000))


@pytest.mark.parametrize("kind", ENDS)
def test_an_archive_behind_something_else_is_refused(kind):
    data = archive("archive", 1, kind)
    fronts = (b"#!/bin/sh\n", b"PK\3\4" + b"\0" * 60, zipped({"other": 1}), archive("archive", 2, "both"))
    for front in fronts:
        with pytest.raises(rvision.WeightFileError):
            load(front + data)


@pytest.mark.parametrize("kind", ENDS)
def test_torch_refuses_the_same(kind):
    torch = pytest.importorskip("torch")
    data = archive("archive", 1, kind)
    found = torch.load(io.BytesIO(data), weights_only=True)
    np.testing.assert_array_equal(found["w0"], SIX.reshape(2, 3))
    for front in (b"PK\3\4" + b"\0" * 60, zipped({"other": 1}), archive("archive", 2, "both")):
        with pytest.raises(RuntimeError, match="failed reading zip archive"):
            torch.load(io.BytesIO(front + data), weights_only=True)


def test_bytes_behind_an_archive_do_not_matter():
    for kind in ENDS:
        assert_read(archive("x" * 21, 2, kind) + b"\0" * 100, 2)
