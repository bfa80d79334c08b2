"""The weight enums, their table, and the registry of networks."""

from __future__ import annotations

import ast
import copy
import importlib.util
import math
import pickle
import subprocess
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rvision.weights as weights_module
from rvision.models import _api
from rvision.models._api import (
    get_model,
    get_model_builder,
    get_model_weights,
    get_weight,
    list_models,
    model_builder,
    register_model,
)
from rvision.transforms import ImageClassification
from rvision.weights import (
    EfficientNet_Lite0_Weights,
    LeNet5_Weights,
    ResNet18_Weights,
    ResNet50_Weights,
    VGG16_Weights,
    Weights,
    WeightsEnum,
)
from rvision.weights._cache import expected_hash
from rvision.weights._zoo import imagenet_categories, published, table

ROOT = Path(__file__).parents[2]

ENUMS = [
    value
    for value in vars(weights_module).values()
    if isinstance(value, type) and issubclass(value, WeightsEnum) and value is not WeightsEnum
]
OF_TORCHVISION = [enum for enum in ENUMS if enum not in (EfficientNet_Lite0_Weights, LeNet5_Weights)]


def same_meta(ours: dict, theirs: dict) -> bool:
    """Compare two meta dicts. The description of the recipe may differ, and NaN equals NaN."""
    ours, theirs = ({k: v for k, v in meta.items() if k != "_docs"} for meta in (ours, theirs))
    scores = [meta.pop("_metrics")["ImageNet-1K"] for meta in (ours, theirs)]
    return ours == theirs and all(
        scores[0][k] == scores[1][k] or (math.isnan(scores[0][k]) and math.isnan(scores[1][k]))
        for k in scores[0].keys() | scores[1].keys()
    )


# ---- the enums ----


@pytest.mark.parametrize("enum", OF_TORCHVISION)
def test_members_are_those_of_the_table(enum):
    rows = {
        name.partition(".")[2]: row
        for name, row in table()["weights"].items()
        if name.partition(".")[0] == enum.__name__
    }
    assert [member.name for member in enum] == list(rows)
    assert [name for name, row in rows.items() if row["default"]] == [enum.DEFAULT.name]


@pytest.mark.parametrize("enum", OF_TORCHVISION)
def test_members_equal_torchvision(enum):
    pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    theirs = getattr(models, enum.__name__)
    assert list(enum.__members__) == list(theirs.__members__)
    for ours, their in zip(enum, theirs, strict=True):
        assert ours.url == their.url
        assert same_meta(ours.meta, their.meta)
        assert repr(ours.transforms()) == repr(their.transforms())
        assert repr(ours) == repr(their) and str(ours) == str(their)


def test_table_equals_torchvision():
    pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    names = models.list_models(module=models)
    assert table()["networks"] == {name: models.get_model_weights(name).__name__ for name in names}
    assert len(names) == 80 and len(table()["weights"]) == 115
    for name in table()["weights"]:
        ours, theirs = published(name), models.get_weight(name)
        assert ours.url == theirs.url and same_meta(ours.meta, theirs.meta)
        assert repr(ours.transforms()) == repr(theirs.transforms())


@pytest.mark.parametrize("enum", ENUMS)
def test_members_hold_what_users_read(enum):
    for member in enum:
        assert isinstance(member.value, Weights) and member.url == member.value.url
        assert isinstance(member.transforms(), ImageClassification)
        assert {
            "categories",
            "num_params",
            "min_size",
            "recipe",
            "_metrics",
            "_ops",
            "_file_size",
            "_docs",
        } <= set(member.meta)
        assert len(expected_hash(member.url)) >= 8
        # Four bytes a parameter, except for files of float16 values, and for GoogLeNet's, whose auxiliary
        # classifiers are in the file and not in the count.
        most = 8 if enum.__name__ == "GoogLeNet_Weights" else 4.2
        assert 1.9 < member.meta["_file_size"] * 2**20 / member.meta["num_params"] < most


def test_best_known_facts():
    best = ResNet50_Weights.DEFAULT
    assert best is ResNet50_Weights.IMAGENET1K_V2 and repr(best) == "ResNet50_Weights.IMAGENET1K_V2"
    assert best.url == "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
    assert best.meta["_metrics"]["ImageNet-1K"] == {"acc@1": 80.858, "acc@5": 95.434}
    assert best.meta["num_params"] == 25557032 and best.meta["min_size"] == (1, 1)
    assert best.transforms().resize_size == [232]
    assert best.transforms.keywords == {"crop_size": 224, "resize_size": 232}
    assert VGG16_Weights.IMAGENET1K_FEATURES.meta["categories"] is None


def test_categories():
    names = ResNet50_Weights.DEFAULT.meta["categories"]
    assert len(names) == 1000 and all(name == name.strip() != "" for name in names)
    assert (names[0], names[258], names[281], names[999]) == ("tench", "Samoyed", "tabby", "toilet tissue")
    assert names is imagenet_categories()


def test_verify():
    assert ResNet50_Weights.verify(None) is None
    assert ResNet50_Weights.verify(ResNet50_Weights.DEFAULT) is ResNet50_Weights.DEFAULT
    for name in ("IMAGENET1K_V2", "DEFAULT", "ResNet50_Weights.IMAGENET1K_V2"):
        assert ResNet50_Weights.verify(name) is ResNet50_Weights.IMAGENET1K_V2
    with pytest.raises(TypeError, match="expected ResNet50_Weights but received ResNet18_Weights"):
        ResNet50_Weights.verify(ResNet18_Weights.DEFAULT)
    with pytest.raises(KeyError, match="IMAGENET1K_V1, IMAGENET1K_V2"):
        ResNet50_Weights.verify("IMAGENET1K_V3")


def test_members_survive_copying_and_pickling():
    member = ResNet50_Weights.DEFAULT
    assert pickle.loads(pickle.dumps(member)) is member
    assert copy.deepcopy(member) is member and copy.copy({"w": member})["w"] is member
    assert len(pickle.dumps(member)) < 200
    assert (
        member.value == copy.deepcopy(member.value) and member.value != ResNet50_Weights.IMAGENET1K_V1.value
    )
    assert len({member, ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.DEFAULT}) == 2


def test_enums_are_where_older_pickles_look_for_them():
    # Protocol 0 of `ResNet50_Weights.IMAGENET1K_V2`, written by rvision when the classes were typed out.
    pickled = (
        b"c__builtin__\ngetattr\np0\n(crvision.weights._enums\nResNet50_Weights\np1\n"
        b"VIMAGENET1K_V2\np2\ntp3\nRp4\n."
    )
    assert pickle.loads(pickled) is ResNet50_Weights.IMAGENET1K_V2
    assert pickle.dumps(ResNet50_Weights.IMAGENET1K_V2, 0) == pickled
    assert pickle.loads(pickle.dumps(ENUMS)) == ENUMS


@pytest.mark.parametrize("enum", OF_TORCHVISION, ids=lambda enum: enum.__name__)
def test_enums_made_from_the_table_are_like_those_that_are_typed_out(enum):
    (network,) = (network for network, name in table()["networks"].items() if name == enum.__name__)
    # A table of their accuracies follows.
    assert enum.__doc__.splitlines()[:2] == [f"Weights of :func:`~rvision.models.{network}`.", ""]
    assert (enum.__module__, enum.__qualname__) == ("rvision.weights._enums", enum.__name__)
    assert enum.__bases__ == (WeightsEnum,)
    for member in enum:
        assert repr(member) == str(member) == f"{enum.__name__}.{member.name}"
        assert enum[member.name] is enum(member.value) is getattr(enum, member.name) is member


def test_the_stub_has_the_enums_of_the_table():
    folder = Path(weights_module.__file__).parent
    spec = importlib.util.spec_from_file_location("weights_stub", ROOT / "tools" / "weights_stub.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (folder / "_torchvision.pyi").read_text(encoding="utf-8")
    assert text == tool.stub(table()), "run: python tools/weights_stub.py python/rvision/weights"
    stubs = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert {stub.name for stub in stubs} == {enum.__name__ for enum in OF_TORCHVISION}
    for stub in stubs:
        enum = getattr(weights_module, stub.name)
        names = {line.targets[0].id: line.value for line in stub.body if isinstance(line, ast.Assign)}
        assert (
            list(names) == list(enum.__members__) and ast.get_docstring(stub) == enum.__doc__.splitlines()[0]
        )
        assert names["DEFAULT"].id == enum.DEFAULT.name


def test_weights_compare_by_content():
    first = Weights("u", partial(ImageClassification, crop_size=2), {"a": 1})
    assert first == Weights("u", partial(ImageClassification, crop_size=2), {"a": 1})
    assert first != Weights("u", partial(ImageClassification, crop_size=3), {"a": 1})
    assert first != Weights("u", ImageClassification, {"a": 1}) != "u"


def test_ones_own_weights():
    class Mine_Weights(WeightsEnum):
        V1 = Weights(
            "https://example.org/mine-01234567.pth", partial(ImageClassification, crop_size=32), {"a": 1}
        )
        DEFAULT = V1

    assert get_weight("Mine_Weights.V1") is Mine_Weights.DEFAULT and Mine_Weights.V1.meta == {"a": 1}


def test_state_dict_arguments_reach_the_download(monkeypatch):
    from rvision.weights import _fetch

    calls = []
    monkeypatch.setattr(_fetch, "load_state_dict_from_url", lambda *a, **k: calls.append((a, k)) or {})
    member = ResNet50_Weights.DEFAULT
    member.get_state_dict()
    member.get_state_dict(progress=False, check_hash=False)
    member.get_state_dict("folder", None, True, False)
    assert calls == [
        ((member.url,), {"check_hash": True}),
        ((member.url,), {"progress": False, "check_hash": False}),
        ((member.url, "folder", None, True, False), {}),
    ]


def test_nothing_slow_is_imported():
    code = (
        "import sys, rvision, rvision.transforms, rvision.weights, rvision.hub\n"
        "slow = 'PIL tqdm urllib.request http.client ssl importlib.metadata torch matplotlib'.split()\n"
        "print(*[m for m in slow if m in sys.modules and m not in numpys])"
    )
    code = "import sys, numpy; numpys = set(sys.modules)\n" + code
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


# ---- the registry ----


class Net:
    """Stands in for a network."""

    def __init__(self, num_classes: int = 1000, **config: Any) -> None:
        self.num_classes = num_classes
        self.config = config
        self.loaded: Any = None

    def load_state_dict(self, state_dict: Any) -> None:
        self.loaded = state_dict


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(_api, "_BUILDERS", {})

    @model_builder(ResNet50_Weights)
    def resnet50(**kwargs: Any) -> Net:
        """ResNet-50, or something that stands in for it."""
        return Net(**kwargs)

    @model_builder(VGG16_Weights)
    def vgg16(**kwargs: Any) -> Net:
        """VGG-16."""
        return Net(**kwargs)

    @model_builder()
    def lenet5(**kwargs: Any) -> Net:
        """LeNet-5."""
        return Net(**kwargs)

    return types.SimpleNamespace(resnet50=resnet50, vgg16=vgg16, lenet5=lenet5)


@pytest.fixture
def downloads(monkeypatch):
    """Answer downloads with the requested address, and record the arguments."""
    calls = []

    def answer(url, **options):
        calls.append(options)
        return url

    monkeypatch.setattr(_api, "local_file", answer)
    monkeypatch.setattr(_api, "read", lambda path: {"url": path})
    return calls


def test_list_models(registry):
    assert list_models() == ["lenet5", "resnet50", "vgg16"]
    assert list_models(include="*5*") == ["lenet5", "resnet50"]
    assert list_models(include=["le*", "v*"], exclude="*16") == ["lenet5"]
    assert list_models(exclude=["le*", "v*"]) == ["resnet50"]
    assert list_models(module=sys.modules[__name__]) == list_models()
    assert list_models(module=np) == []


def test_get_model(registry):
    assert get_model_builder("resnet50") is registry.resnet50 is get_model_builder("ResNet50")
    assert get_model("lenet5", num_classes=7).num_classes == 7
    with pytest.raises(ValueError, match="Unknown model resnet5; did you mean resnet50"):
        get_model("resnet5")
    with pytest.raises(ValueError, match="list_models"):
        get_model("xyz")


def test_register_model(registry):
    @register_model()
    def mine(*, weights: ResNet18_Weights | None = None, progress: bool = True) -> Net:
        return Net()

    register_model("other")(mine)
    assert list_models(include="[mo]*") == ["mine", "other"] and get_model("mine").num_classes == 1000
    assert get_model_weights("mine") is ResNet18_Weights is get_model_weights(mine)
    with pytest.raises(ValueError, match="already registered under the name 'mine'"):
        register_model()(mine)


def test_get_weights(registry):
    assert get_model_weights("resnet50") is ResNet50_Weights is get_model_weights(registry.resnet50)
    assert get_weight("ResNet50_Weights.DEFAULT") is ResNet50_Weights.IMAGENET1K_V2
    with pytest.raises(ValueError, match="No weights are published for lenet5"):
        get_model_weights("lenet5")
    with pytest.raises(ValueError, match="no weights class 'ResNet5_Weights'"):
        get_weight("ResNet5_Weights.DEFAULT")
    with pytest.raises(KeyError, match=r"ResNet50_Weights has no 'V9'; it has IMAGENET1K_V1, IMAGENET1K_V2"):
        get_weight("ResNet50_Weights.V9")
    for wrong in ("ResNet50_Weights", "a.b.c"):
        with pytest.raises(ValueError, match="Invalid weight name"):
            get_weight(wrong)


# ---- the builders ----


def test_builders_without_weights(registry):
    model = registry.resnet50(num_classes=10, width=3)
    assert model.loaded is None and model.num_classes == 10 and model.config == {"width": 3}


@pytest.mark.parametrize(
    "given", [ResNet50_Weights.IMAGENET1K_V2, "DEFAULT", "IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V2"]
)
def test_builders_take_published_weights(registry, downloads, given):
    model = registry.resnet50(weights=given, progress=False)
    assert model.loaded == {"url": ResNet50_Weights.IMAGENET1K_V2.url} and model.num_classes == 1000
    assert downloads == [{"progress": False, "check_hash": True}]


def test_weights_that_are_read_otherwise_are_read_so(registry, monkeypatch):
    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", lambda self, **options: {"mine": options})
    assert registry.resnet50(weights="DEFAULT").loaded == {"mine": {"progress": True, "check_hash": True}}


def test_weights_decide_the_number_of_classes(registry, downloads):
    assert registry.resnet50(weights="DEFAULT", num_classes=1000).num_classes == 1000
    with pytest.raises(ValueError, match="'num_classes' expected value 1000 but got 10 instead"):
        registry.resnet50(weights="DEFAULT", num_classes=10)
    # Weights without categories leave it open.
    assert registry.vgg16(weights="IMAGENET1K_FEATURES", num_classes=10).num_classes == 10


@pytest.mark.parametrize("kind", [str, Path])
def test_builders_take_a_file(registry, monkeypatch, tmp_path, kind):
    monkeypatch.setattr(_api, "read", lambda path: {"from": str(path)})
    path = tmp_path / "mine.pth"
    given = kind(path)
    for builder in (registry.resnet50, registry.lenet5):
        model = builder(weights=given, num_classes=10)
        assert model.loaded == {"from": str(path)} and model.num_classes == 10


def test_builders_take_a_state_dict(registry):
    state_dict = {"fc.bias": np.zeros(3, np.float32)}
    assert registry.resnet50(weights=state_dict, num_classes=3).loaded is state_dict


@pytest.mark.parametrize("given", ["IMAGENET1K_V3", "ResNet18_Weights.IMAGENET1K_V1", "resnet50"])
def test_builders_refuse_unknown_names(registry, given):
    with pytest.raises(ValueError, match=f"resnet50: weights='{given}' is none of .*IMAGENET1K_V2, DEFAULT"):
        registry.resnet50(weights=given)
    with pytest.raises(ValueError, match="no weights are published"):
        registry.lenet5(weights=given)


def test_builders_refuse_other_networks_weights(registry):
    with pytest.raises(TypeError, match="expected ResNet50_Weights but received ResNet18_Weights"):
        registry.resnet50(weights=ResNet18_Weights.DEFAULT)
    with pytest.raises(TypeError, match="file or a state dict"):
        registry.lenet5(weights=ResNet18_Weights.DEFAULT)
    with pytest.raises(TypeError, match="received int"):
        registry.resnet50(weights=3)


def test_pretrained_is_still_understood(registry, downloads):
    with pytest.warns(UserWarning, match=r"'pretrained' is deprecated since 0.13.*IMAGENET1K_V1.*DEFAULT"):
        model = registry.resnet50(pretrained=True)
    assert model.loaded == {"url": ResNet50_Weights.IMAGENET1K_V1.url}
    with pytest.warns(UserWarning, match="'pretrained' is deprecated"):
        assert registry.resnet50(pretrained=False, num_classes=3).loaded is None
    with pytest.warns(UserWarning, match="Arguments other than a weight enum or `None`"):
        assert registry.resnet50(weights=True).loaded is not None
    with pytest.warns(UserWarning) as warned:
        assert registry.resnet50(False, False).loaded is None
    assert "'weights and progress' as positional" in str(warned[0].message)
    # The warnings point at the caller.
    assert {warning.filename for warning in warned} == {__file__}
    with pytest.raises(ValueError, match="No weights available for model lenet5"):
        registry.lenet5(pretrained=True)
    with pytest.raises(TypeError, match="takes 0 positional"):
        registry.resnet50(None, True, 3)


def test_weights_may_decide_more(monkeypatch, downloads):
    monkeypatch.setattr(_api, "_BUILDERS", {})

    @model_builder(
        ResNet50_Weights,
        name="other",
        forced=lambda meta: {"image_size": meta["min_size"][0]},
    )
    def build(**kwargs: Any) -> Net:
        return Net(**kwargs)

    model = get_model("other", weights="DEFAULT")
    assert model.config == {"image_size": 1}
    with pytest.raises(ValueError, match="'image_size' expected value 1 but got 224"):
        get_model("other", weights="DEFAULT", image_size=224)
    assert get_model("other", image_size=224).config == {"image_size": 224}


def test_builders_explain_themselves(registry):
    doc = registry.resnet50.__doc__
    assert doc.startswith("ResNet-50, or something that stands in for it.")
    for part in ("ResNet50_Weights", "IMAGENET1K_V1", "80.858 % top-1", "97.8 MiB", "Passed to `Net`"):
        assert part in doc
    assert "None are published" in registry.lenet5.__doc__
    assert "nan" not in registry.vgg16.__doc__
    assert registry.resnet50.__name__ == "resnet50" and registry.resnet50.__module__ == __name__


def test_networks_go_with_the_table():
    import importlib
    import pkgutil

    import rvision.models as package

    for module in pkgutil.iter_modules(package.__path__, "rvision.models."):
        importlib.import_module(module.name)
    names = [name for name in list_models(module=package) if name in table()["networks"]]
    assert names
    # The published parameters are counted without the auxiliary heads, which weights leave out.
    arguments = {"googlenet": {"aux_logits": False}}
    for name in names:
        enum = get_model_weights(name)
        assert enum.__name__ == table()["networks"][name]
        for member in enum:
            kwargs = dict(arguments.get(name, {}))
            if name.startswith("vit_"):
                # Its position embeddings are for one size of pictures.
                kwargs["image_size"] = member.meta["min_size"][0]
            # `parameters()` would draw a thousand million random numbers; shapes are known before.
            model = get_model(name, **kwargs)
            registries = [module._parameters.values() for module in model.modules()]
            size = sum(math.prod(p.shape) for registry in registries for p in registry if p is not None)
            assert member.meta["num_params"] == size, member
