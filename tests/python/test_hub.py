"""`rvision.hub.load`, `list` and `help`: torch.hub's functions for the repository pytorch/vision."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from rvision import hub, models


# torchvision warns of the argument too.
@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'")
@pytest.mark.parametrize(
    "repository",
    ["pytorch/vision", "pytorch/vision:v0.10.0", "pytorch/vision:main", "https://github.com/pytorch/vision"],
)
def test_torchvisions_networks(repository):
    model = hub.load(repository, "resnet18", pretrained=False, num_classes=3, trust_repo=True, verbose=False)
    assert type(model) is models.ResNet
    assert model(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 3)


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'")
@pytest.mark.parametrize(
    ("arguments", "member"),
    [
        ({"pretrained": True}, "IMAGENET1K_V1"),
        ({"weights": "DEFAULT"}, "IMAGENET1K_V2"),
        ({"weights": "ResNet50_Weights.IMAGENET1K_V2", "force_reload": True}, "IMAGENET1K_V2"),
    ],
)
def test_pretrained_means_the_first_weights(arguments, member, monkeypatch):
    asked = []

    def no_network(url, **_):
        asked.append(url)
        raise rvision.DownloadError("offline")

    monkeypatch.setattr("rvision.models._api.local_file", no_network)
    with pytest.raises(rvision.DownloadError):
        hub.load("pytorch/vision:v0.10.0", "resnet50", **arguments)
    assert asked == [models.ResNet50_Weights[member].url]


def test_positional_pretrained():
    with pytest.warns(UserWarning) as warned:
        assert type(hub.load("pytorch/vision", "squeezenet1_1", False)) is models.SqueezeNet
    assert len(warned) == 2 and "deprecated since 0.13" in str(warned[0].message)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hub.load("facebookresearch/dinov2", "dinov2_vits14"),
        lambda: hub.load("pytorch/vision2", "resnet18"),
        lambda: hub.load("folder", "resnet18", source="local"),
        lambda: hub.list("ultralytics/yolov5"),
        lambda: hub.help("ultralytics/yolov5", "yolov5s"),
    ],
)
def test_other_repositories_are_refused(call):
    with pytest.raises(rvision.UnsupportedError, match=r"is not pytorch/vision.*get_model\(name"):
        call()


def test_wrong_names():
    with pytest.raises(ValueError, match="resnet18"):
        hub.load("pytorch/vision", "resnet81")
    with pytest.raises(rvision.ArgumentError, match="source must be 'github'"):
        hub.load("pytorch/vision", "resnet18", source="gitlab")


def test_list_and_help():
    assert hub.list("pytorch/vision:v0.10.0") == models.list_models()
    assert "resnet18" in hub.list("pytorch/vision", force_reload=True, trust_repo=True)
    assert "1512.03385" in hub.help("pytorch/vision", "resnet18")
