"""`rvision.save` to `.pth`: PyTorch's zip format, read by torch, by rvision and by zipfile."""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import rvision
from rvision import nn

TYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def arrays() -> dict[str, np.ndarray]:
    values = np.array([[0, 1, 2], [3, 100, 5]])
    made = {kind: values.astype(kind) for kind in TYPES}
    return {
        **made,
        "0-d": np.array(7, np.int64),
        "number": np.float32(0.5),
        "empty": np.zeros((0, 3), np.float32),
        "strided": np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::2].transpose(2, 0, 1),
        "big": np.arange(3, dtype=">f4"),
    }


PLAIN = {
    "numbers": [0, -1, 255, 256, -(2**31), 2**31, 2**70, -(2**70), 0.25, float("inf"), True, False, None],
    "text": "größe",
    "nested": {"a": [(), (1, "x"), [], {}], 3: OrderedDict(z=1, a=2), (1, 2): None},
}


@pytest.mark.parametrize("ending", ["pth", "pt"])
def test_torch_reads_what_is_saved(torch, tmp_path, ending):
    file = tmp_path / f"weights.{ending}"
    rvision.save(arrays(), file)
    found = torch.load(file, weights_only=True)
    assert list(found) == list(arrays())
    for name, array in arrays().items():
        theirs = found[name]
        assert theirs.is_contiguous() and not theirs.requires_grad
        assert theirs.numpy().dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(theirs.numpy(), array)
    mapped = torch.load(file, weights_only=True, mmap=True)
    np.testing.assert_array_equal(mapped["float32"].numpy(), arrays()["float32"])
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_torch_reads_plain_containers(torch):
    file = io.BytesIO()
    rvision.save(PLAIN, file)
    file.seek(0)
    found = torch.load(file, weights_only=True)
    assert found == PLAIN and list(found) == list(PLAIN)
    assert type(found["nested"][3]) is OrderedDict
    assert [type(value) for value in found["numbers"]] == [type(value) for value in PLAIN["numbers"]]


def test_a_module_is_its_state_dict_with_versions(torch, tmp_path):
    model = small()
    rvision.save(model, tmp_path / "model.pth")
    found = torch.load(tmp_path / "model.pth", weights_only=True)
    assert list(found) == list(model.state_dict())
    assert found._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    theirs.load_state_dict(found)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(theirs.state_dict()[name].numpy(), value)


def test_torchs_tensors_are_saved(torch, tmp_path):
    weight = torch.nn.Parameter(torch.arange(4.0))
    rvision.save({"w": weight}, tmp_path / "x.pth")
    assert torch.load(tmp_path / "x.pth", weights_only=True)["w"].tolist() == [0, 1, 2, 3]


def test_shared_memory_is_shared_in_torch(torch, tmp_path):
    w = np.ones((3, 4), np.float32)
    rvision.save({"a": w, "b": w, "c": w.reshape(4, 3)}, tmp_path / "x.pth")
    found = torch.load(tmp_path / "x.pth", weights_only=True)
    assert found["a"].data_ptr() == found["b"].data_ptr() == found["c"].data_ptr()
    assert found["c"].shape == (4, 3)


def test_rvision_reads_what_it_saved(tmp_path):
    file = tmp_path / "weights.pth"
    model = small()
    rvision.save(model, file)
    found = rvision.load(file)
    assert found.source.format == "PyTorch zip"
    assert found._metadata == model.state_dict()._metadata
    assert list(found) == list(model.state_dict())
    for name, value in model.state_dict().items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    rvision.save({**arrays(), "plain": PLAIN}, file)
    content = rvision.load(file, unwrap=False)
    assert content.pop("plain") == PLAIN
    for name, value in arrays().items():
        assert content[name].dtype == value.dtype.newbyteorder("=") and content[name].shape == value.shape
        np.testing.assert_array_equal(content[name], value)


def test_the_archive():
    file = io.BytesIO()
    w = np.arange(5, dtype=np.float32)
    rvision.save(OrderedDict(a=w, b=np.array(True), c=w), file)
    data = file.getvalue()
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "archive/data.pkl",
            "archive/.format_version",
            "archive/.storage_alignment",
            "archive/byteorder",
            "archive/data/0",
            "archive/data/1",
            "archive/version",
        ]
        assert archive.read("archive/data/0") == w.tobytes()
        assert archive.read("archive/data/1") == b"\x01"
        assert archive.read("archive/version") == b"3\n"
        assert archive.read("archive/byteorder") == b"little"
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            name, extra = struct.unpack("<HH", data[info.header_offset + 26 : info.header_offset + 30])
            start = info.header_offset + 30 + name + extra
            assert start % 64 == 0
            assert data[start : start + info.file_size] == archive.read(info)
        code = archive.read("archive/data.pkl")
    opcodes = list(pickletools.genops(code))
    assert max(opcode.proto for opcode, _, _ in opcodes) == 2
    names = {argument for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}
    assert names == {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch FloatStorage",
        "torch BoolStorage",
    }
    again = io.BytesIO()
    rvision.save(OrderedDict(a=w, b=np.array(True), c=w), again)
    assert again.getvalue() == data


def test_many_names_and_long_memos():
    state = {f"layer{index}.weight": np.full(1, index, np.int32) for index in range(400)}
    file = io.BytesIO()
    rvision.save(state, file)
    file.seek(0)
    assert {name: int(value[0]) for name, value in rvision.load(file).items()} == {
        f"layer{index}.weight": index for index in range(400)
    }


def test_a_file_object_that_cannot_seek():
    class Pipe:
        def __init__(self):
            self.data = b""

        def write(self, data):
            self.data += bytes(data)
            return len(data)

        def flush(self):
            pass

    pipe = Pipe()
    rvision.save({"w": np.arange(3.0)}, pipe)
    assert rvision.load(io.BytesIO(pipe.data))["w"].tolist() == [0, 1, 2]


def test_a_container_that_is_shared_stays_one(torch):
    shared = [1, 2]
    file = io.BytesIO()
    rvision.save({"a": shared, "b": shared}, file)
    file.seek(0)
    found = torch.load(file, weights_only=True)
    assert found["a"] is found["b"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1, {2}]}, r"entry \['a'\]\[1\] is of type set"),
        ({"a": {"b": b"x"}}, r"entry \['a'\]\['b'\] is of type bytes"),
        ({"w": np.array([1j])}, r"entry \['w'\] has type complex128"),
        ({"w": np.array([1], np.uint32)}, r"entry \['w'\] has type uint32.*convert it"),
        ({"w": np.array(["x"])}, r"entry \['w'\] has type <U1"),
        ({frozenset(): 1}, r"a key frozenset\(\)"),
        ({"model": nn.ReLU()}, r"entry \['model'\] .*ReLU.*save its state_dict"),
        ({"n": 2**3000}, r"entry \['n'\] is an integer of"),
        (object(), "what is to be saved is of type object"),
    ],
)
def test_what_cannot_be_saved(value, words, tmp_path):
    (tmp_path / "x.pth").write_bytes(b"before")
    with pytest.raises(rvision.UnsupportedError, match=words):
        rvision.save(value, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_cycles_and_deep_nesting_are_refused():
    cycle: list = []
    cycle.append({"a": cycle})
    with pytest.raises(rvision.UnsupportedError, match=r"\[0\]\['a'\] is a container that contains itself"):
        rvision.save(cycle, io.BytesIO())
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(rvision.UnsupportedError, match="nested deeper"):
        rvision.save(deep, io.BytesIO())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.pth"):
        rvision.save({}, tmp_path / "none" / "x.pth")


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        rvision.save({"w": np.zeros(3)}, tmp_path / "x.pth")
    assert list(tmp_path.iterdir()) == []
    # As any other file of this user.
    monkeypatch.undo()
    rvision.save({"w": np.zeros(3)}, tmp_path / "x.pth")
    (tmp_path / "other").touch()
    assert (tmp_path / "x.pth").stat().st_mode == (tmp_path / "other").stat().st_mode
