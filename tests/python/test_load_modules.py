"""Weights from whole pickled modules, named as by torch's own `state_dict()`."""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
import textwrap
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision._rvision import Checkpoint, NotLoaded
from weight_files import FORMATS, SIX, Calls, Named, Object, Runs, dumps, legacy, module, tensor, zipped

DATA = Path(__file__).parent.parent / "data"
NOTE = "a whole pickled module .*The architecture is not in the file"


def load(data: bytes, **options):
    with pytest.warns(UserWarning, match=NOTE):
        return rvision.load(io.BytesIO(data), **options)


def assert_same(found, wanted) -> None:
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], np.asarray(value), name)


# --- without torch: files that torch wrote, and files by hand ------------------------------------


@pytest.mark.parametrize("file", ["module.pth", "module_legacy.pth"])
def test_a_whole_module_gives_its_weights(file):
    expected = np.load(DATA / "expected.npz")
    wanted = {key.split(":", 1)[1]: expected[key] for key in expected.files if key.startswith("net.pth:")}
    with pytest.warns(UserWarning, match=NOTE) as caught:
        found = rvision.load(DATA / file)
    assert len(caught) == 1
    assert_same(found, wanted)
    assert found.source.module == "__main__.Net"
    assert found.source.key == ""
    assert "__main__.Net" in Checkpoint.open(DATA / file).refused_globals
    assert isinstance(rvision.load(DATA / file, unwrap=False), NotLoaded)


def weight(key: str, **options):
    return tensor((2, 3), (3, 1), key=key, **options)


def nested():
    """Return a module with all that one may contain, and the names and keys of its weights."""
    shared = weight("0")
    inner = module(
        {"weight": shared, "bias": None},
        {"mean": weight("1"), "mask": weight("2"), "nothing": None},
        transient=["mask"],
        kind="torch.nn.modules.conv.Conv2d",
    )
    outer = module(
        {"scale": weight("3")},
        {"count": weight("4")},
        {"first": inner, "none": None, "head": module({"weight": shared}), "again": inner},
        config=Calls(Named("mylib", "Config"), 3),
        function=Named("mylib", "activation"),
        _forward_hooks=OrderedDict({0: Named("mylib", "hook")}),
    )
    names = {
        "scale": 3,
        "count": 4,
        "first.weight": 0,
        "first.mean": 1,
        "head.weight": 0,
        "again.weight": 0,
        "again.mean": 1,
    }
    return outer, {name: (SIX + key).reshape(2, 3) for name, key in names.items()}


STORAGES = [(str(k), SIX + k) for k in range(5)]


def in_zip(thing) -> bytes:
    return zipped(thing, {key: values.tobytes() for key, values in STORAGES})


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_names_are_those_of_state_dict(form):
    thing, wanted = nested()
    found = load(in_zip(thing) if form == "zip" else legacy(thing, STORAGES))
    assert_same(found, wanted)
    assert found.source.module == "mylib.Net"
    assert found._metadata == OrderedDict()


@pytest.mark.parametrize("key", ["model", "ema", "net", "whatever"])
def test_a_module_in_a_checkpoint(key):
    thing, wanted = nested()
    found = load(
        in_zip({"epoch": 3, key: thing, "optimizer": Object(Named("torch.optim", "SGD"), {"lr": 1})})
    )
    assert_same(found, wanted)
    assert found.source.key == key


def test_an_object_around_a_module():
    thing, wanted = nested()
    ema = Object(Named("mylib", "EMA"), {"decay": 0.9, "module": thing})
    for whole, key in ((ema, "module"), ({"ema": ema}, "ema.module")):
        found = load(in_zip(whole))
        assert_same(found, wanted)
        assert found.source.key == key
    found = load(in_zip({"trainer": ema}), key="trainer.module.first")
    assert list(found) == ["weight", "mean"]


def test_a_state_dict_is_preferred_to_the_module_beside_it():
    thing, _ = nested()
    data = in_zip({"model": thing, "state_dict": {"w": weight("0")}})
    with pytest.warns(UserWarning, match="took 'state_dict'; the file also holds model"):
        found = rvision.load(io.BytesIO(data))
    assert list(found) == ["w"]
    assert found.source.module == ""


def test_a_parallel_wrapper_is_stripped_on_request():
    thing, wanted = nested()
    data = in_zip(module({}, {}, {"module": thing}, kind="torch.nn.parallel.data_parallel.DataParallel"))
    with pytest.warns(UserWarning) as caught:
        found = rvision.load(io.BytesIO(data))
    assert {str(each.message).split(": ", 1)[1][:20] for each in caught} == {
        "a whole pickled modu",
        "every name begins wi",
    }
    assert_same(found, {f"module.{name}": value for name, value in wanted.items()})
    assert_same(load(data, strip_prefix="module."), wanted)


def test_a_module_with_hooks_on_its_state_dict_says_so():
    hooked = module({"w": weight("0")}, _state_dict_hooks=OrderedDict({0: Named("mylib", "rename")}))
    with pytest.warns(UserWarning, match=r"hooks .* were not run: compare the names"):
        rvision.load(io.BytesIO(in_zip(hooked)))


def test_objects_of_protocols_0_and_1():
    # copyreg._reconstructor(class, object, None), then the state.
    made = Calls(Named("copyreg", "_reconstructor"), Named("mylib", "Net"), Named("builtins", "object"), None)
    state = module({"w": weight("0")}).state
    pickle = dumps(made)[:-1] + dumps(state)[2:-1] + b"b."
    found = load(zipped(pickle, {"0": SIX.tobytes()}))
    assert found.source.module == "mylib.Net"
    assert_same(found, {"w": SIX.reshape(2, 3)})


def test_a_module_without_weights():
    assert dict(load(in_zip(module(kind="torch.nn.modules.activation.ReLU")))) == {}


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Object(Named("mylib", "Net"), {"w": 1}), r"the whole file is `mylib\.Net`"),
        (Object(Named("mylib", "Net"), {"w": weight("0")}), r"the whole file is `mylib\.Net`"),
        ({"model": Calls(Named("mylib", "Net"))}, r"entry `model` is `mylib\.Net`"),
        (module({"w": Calls(Named("mylib", "Lazy"))}), r"entry `w` is `mylib\.Lazy`"),
        (module({"w": 3}), "entry `w` is an int, no tensor"),
        (module({1: weight("0")}), "a part without a name"),
        (
            module(children={"a": module(children={"b": Calls(Named("mylib", "Packed"))})}),
            r"module `a\.b` in the whole file is `mylib\.Packed`",
        ),
        (module(children={"a": [1]}), "module `a` in the whole file is a list of 1, no module"),
    ],
)
def test_what_is_no_module_is_refused_by_name(thing, words):
    with pytest.raises(rvision.WeightFileError, match=words):
        rvision.load(io.BytesIO(in_zip(thing)))


def test_torchscript_is_refused_with_advice():
    with pytest.raises(rvision.UnsupportedError, match=r"TorchScript.*torch\.jit\.load\(FILE\)\.state_dict"):
        rvision.load(DATA / "script.pt")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", ["attribute", "child", "parameter", "state", "class"])
def test_nothing_of_a_module_is_run(form, place, tmp_path):
    victim = tmp_path / "victim"
    victim.touch()
    call = Runs(os.system, f"rm {victim}")
    thing = {
        "attribute": module({}, hook=call),
        "child": module(children={"a": call}),
        "parameter": module({"w": call}),
        "state": Object(Named("mylib", "Net"), call),
        "class": Object(call, {}),
    }[place]
    with pytest.raises(rvision.WeightFileError, match=r"(posix|nt|os)\.system`.*will not run"):
        rvision.load(io.BytesIO(FORMATS[form](thing)))
    assert victim.exists()


def test_a_module_that_contains_itself():
    loop = module()
    loop.state["_modules"]["self"] = loop
    with pytest.raises(rvision.WeightFileError, match="modules in modules"):
        rvision.load(io.BytesIO(in_zip(loop)))


def test_a_billion_laughing_modules():
    layer = module({"w": weight("0")})
    for _ in range(60):
        layer = module(children={"a": layer, "b": layer})
    with pytest.raises(rvision.WeightFileError, match="modules, parameters and buffers"):
        rvision.load(io.BytesIO(in_zip(layer)))


def test_long_names_of_shared_modules():
    layer = module({"w": weight("0")})
    for _ in range(20):
        layer = module(children={"x" * 10_000: layer, "y" * 10_000: layer})
    with pytest.raises(rvision.WeightFileError, match="bytes of their names"):
        rvision.load(io.BytesIO(in_zip(layer)))


def test_many_modules_with_one_content_take_no_time():
    # Every object is looked at, and the content that they share once.
    content = {f"a{k}": k for k in range(20_000)}
    objects = {f"m{k}": Object(Named("mylib", "Net"), content) for k in range(20_000)}
    data = in_zip(objects)
    with pytest.raises(rvision.WeightFileError, match=r"`mylib\.Net`"):
        rvision.load(io.BytesIO(data))


# --- torch's own --------------------------------------------------------------------------------


def torch_modules():
    """Yield names and modules from torch, from torchvision and of a user."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    vision = pytest.importorskip("torchvision").models

    class Buffers(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.randn(3))
            self.register_parameter("nothing", None)
            self.register_buffer("kept", torch.arange(4))
            self.register_buffer("left_out", torch.arange(5), persistent=False)
            self.register_buffer("none", None)
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.BatchNorm1d(2)])
            self.named = nn.ModuleDict({"a": nn.Conv2d(1, 2, 3)})
            self.weights = nn.ParameterList([nn.Parameter(torch.randn(2)) for _ in range(11)])
            self.by_name = nn.ParameterDict({"x": nn.Parameter(torch.randn(2))})
            self.child = None
            self.act = torch.nn.functional.relu
            self.part = functools.partial(nn.functional.leaky_relu, negative_slope=0.1)
            self.dtype = torch.float16
            self.sizes = torch.Size([1, 2])
            self.device = torch.device("cpu")
            self.array = np.arange(3)

        def __getstate__(self):
            return dict(self.__dict__)

    # pickle looks for the class by its name.
    Buffers.__qualname__ = "Buffers"
    globals()["Buffers"] = Buffers
    tied = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    tied[1].weight = tied[0].weight
    hooked = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    hooked.register_forward_hook(forward_hook)
    normed = nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 3)), nn.utils.spectral_norm(nn.Linear(3, 4)))
    torch.manual_seed(0)
    yield "resnet18", vision.resnet18()
    yield "mobilenet_v3", vision.mobilenet_v3_small()
    yield "vit", vision.VisionTransformer(32, 16, 2, 2, 8, 16)
    yield "densenet", vision.DenseNet(4, (1, 1), 4)
    yield "parallel", nn.DataParallel(vision.squeezenet1_1())
    yield "sequential", nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4)))
    yield "half", nn.Sequential(nn.Conv2d(3, 4, 3)).half()
    yield "user's", Buffers()
    yield "tied", tied
    yield "hooked", hooked
    yield "normed", normed
    yield "averaged", torch.optim.swa_utils.AveragedModel(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    yield "lstm", nn.LSTM(3, 4, 2, bidirectional=True)
    yield "traced", torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    compiled = torch.compile(nn.Sequential(nn.Linear(2, 2)))
    yield "compiled", compiled


def forward_hook(module, inputs, output):
    raise AssertionError("run by nobody")


def test_torchs_own_state_dicts():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [(name, each, each.state_dict()) for name, each in torch_modules()]
    for name, each, state in cases:
        for options in (
            {},
            {"_use_new_zipfile_serialization": False},
            {"pickle_protocol": 4},
            {"pickle_protocol": 1, "_use_new_zipfile_serialization": False},
        ):
            file = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    torch.save(
                        {"model": each, "epoch": 3} if "pickle_protocol" in options else each, file, **options
                    )
                except (AttributeError, TypeError) as error:
                    assert name == "compiled", (name, error)
                    continue
                found = rvision.load(io.BytesIO(file.getvalue()))
            assert_same(found, {key: value.detach().numpy() for key, value in state.items()})
            assert found.source.module, name


def test_a_torchvision_module_runs_here(tmp_path):
    torch = pytest.importorskip("torch")
    vision = pytest.importorskip("torchvision").models
    torch.manual_seed(1)
    model = vision.resnet18(num_classes=7).eval()
    torch.save(model, tmp_path / "whole.pt")
    with pytest.warns(UserWarning, match=NOTE):
        ours = rvision.models.resnet18(weights=tmp_path / "whole.pt", num_classes=7)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        np.testing.assert_allclose(ours(x.numpy()), model(x).numpy(), rtol=1e-3, atol=1e-4)


def test_no_module_is_imported(tmp_path):
    data = in_zip(nested()[0])
    (tmp_path / "whole.pth").write_bytes(data)
    code = f"""
        import sys, warnings
        import numpy, rvision
        from rvision.weights import _files
        warnings.simplefilter("ignore")
        rvision.load({str(DATA / "module.pth")!r})
        seen = []
        def look(event, arguments):
            if event in ("import", "pickle.find_class", "compile", "exec", "os.system", "subprocess.Popen"):
                seen.append((event, arguments[0] if arguments else None))
        sys.addaudithook(look)
        found = rvision.load({str(tmp_path / "whole.pth")!r})
        print(len(found), seen)
    """
    path = os.pathsep.join(p for p in sys.path if p)
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout == "7 []\n"


def test_inspect_shows_it(run):
    result = run("inspect", str(DATA / "module.pth"))
    assert result.status == 0
    assert re.search(r"pickled module: __main__\.Net", result.out)
    assert "conv1.weight" in result.out
