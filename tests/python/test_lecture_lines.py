"""The code of the lecture's slides runs with its imports changed, and nothing else.

`import rvision as torch, rvision as torchvision`, `from rvision import nn`, `from rvision.autograd import
Variable` stand where torch's names stood. Each is run beside torch itself where it is installed.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models

# The slides leave closing the file of class names to Python.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

IMPORTS = {
    "rvision": """
import rvision as torch, rvision as torchvision
from rvision import nn
from rvision.nn import functional as F
from rvision.autograd import Variable
from rvision import transforms
import PIL
""",
    "torch": """
import torch, torchvision
from torch import nn
from torch.nn import functional as F
from torch.autograd import Variable
from torchvision import transforms
import PIL
""",
}

# A picture is loaded, normalised and classified, and the highest scores are printed.
CLASSIFY = """
# Load and normalize the image
to_tensor = transforms.ToTensor()
img = to_tensor(PIL.Image.open('picture.png'))
img = img.unsqueeze(0)
img = 0.5 + 0.5 * (img - img.mean()) / img.std(dim=(0, 1, 2, 3))

# Load and evaluate the network
alexnet = torchvision.models.alexnet(weights = 'IMAGENET1K_V1')
alexnet.eval()
output = alexnet(img)

# Prints the classes
scores, indexes = output.view(-1).sort(descending = True)
class_names = eval(open('imagenet1000_clsidx_to_labels.txt', 'r').read())
for k in range(12):
    print(f'#{k+1} {scores[k].item():.02f} {class_names[indexes[k].item()]}')
"""

# The same of some years before.
CLASSIFY_OLD = """
img = transforms.ToTensor()(PIL.Image.open('picture.png'))
normalize = transforms.Normalize(mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225])
img = Variable(normalize(img).unsqueeze(0), volatile = True)
alexnet = torchvision.models.alexnet(weights = 'IMAGENET1K_V1')
alexnet.eval()
output = alexnet(img)
scores, indexes = output.data.view(-1).sort(0, descending = True)
class_names = eval(open('imagenet1000_clsidx_to_labels.txt', 'r').read())
for k in range(15):
    print('#{:d} ({:.02f}) {:s}'.format(k + 1, scores[k], class_names[int(indexes[k])]))
"""

CONVOLUTIONIZE = """
def convolutionize(layers, input_size):
    result_layers = []
    x = torch.zeros((1, ) + input_size)

    for m in layers:
        if isinstance(m, nn.Linear):
            n = nn.Conv2d(in_channels = x.size(1),
                          out_channels = m.weight.size(0),
                          kernel_size = (x.size(2), x.size(3)))
            with torch.no_grad():
                n.weight.view(-1).copy_(m.weight.view(-1))
                n.bias.view(-1).copy_(m.bias.view(-1))
            m = n

        result_layers.append(m)
        x = m(x)

    return result_layers
"""

CONVOLUTIONIZE_OLD = """
def convolutionize(layers, input_size):
    l = []
    x = Variable(torch.zeros(torch.Size((1, ) + input_size)))
    for m in layers:
        if isinstance(m, nn.Linear):
            n = nn.Conv2d(in_channels = x.size(1),
                          out_channels = m.weight.size(0),
                          kernel_size = (x.size(2), x.size(3)))
            n.weight.data.view(-1).copy_(m.weight.data.view(-1))
            n.bias.data.view(-1).copy_(m.bias.data.view(-1))
            m = n
        l.append(m)
        x = m(x)
    return l
"""

ANY_SIZE = """
model = torchvision.models.alexnet(weights = 'IMAGENET1K_V1')
print(model)

layers = list(model.features.children()) + list(model.classifier.children())
model = nn.Sequential(*convolutionize(layers, (3, 224, 224)))
model.eval()

img = transforms.ToTensor()(PIL.Image.open('picture.png')).unsqueeze(0)
img = torch.cat((img, img), 3)
with torch.no_grad():
    output = model(img)
print(output.size())
values, classes = output.max(dim = 1)
print(classes.tolist())
"""

RESNET_BLOCK = """
class ResBlock(nn.Module):
    def __init__(self, nb_channels, kernel_size):
        super().__init__()

        self.conv1 = nn.Conv2d(nb_channels, nb_channels, kernel_size,
                               padding = (kernel_size-1)//2)

        self.bn1 = nn.BatchNorm2d(nb_channels)

        self.conv2 = nn.Conv2d(nb_channels, nb_channels, kernel_size,
                               padding = (kernel_size-1)//2)

        self.bn2 = nn.BatchNorm2d(nb_channels)

    def forward(self, x):
        y = self.bn1(self.conv1(x))
        y = F.relu(y)
        y = self.bn2(self.conv2(y))
        y += x
        y = F.relu(y)

        return y

class ResNet(nn.Module):
    def __init__(self, nb_channels, kernel_size, nb_blocks):
        super().__init__()

        self.conv0 = nn.Conv2d(3, nb_channels, kernel_size = 1)

        self.resblocks = nn.Sequential(
            # A bit of fancy Python
            *(ResBlock(nb_channels, kernel_size) for _ in range(nb_blocks))
        )

        self.avg = nn.AvgPool2d(kernel_size = 32)
        self.fc = nn.Linear(nb_channels, 10)

    def forward(self, x):
        x = F.relu(self.conv0(x))
        x = self.resblocks(x)
        x = F.relu(self.avg(x))
        x = x.view(x.size(0), -1)
        x = self.fc(x)
        return x

model = ResNet(nb_channels = 8, kernel_size = 3, nb_blocks = 2)
torch.manual_seed(1)
with torch.no_grad():
    for p in model.parameters(): p.normal_(0, 1e-1)
model.eval()
output = model(torch.empty(2, 3, 32, 32).normal_())
print([round(v, 2) for v in output.view(-1).tolist()])
"""

LENET = """
class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=5)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=5)
        self.fc1 = nn.Linear(256, 200)
        self.fc2 = nn.Linear(200, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), kernel_size=3))
        x = F.relu(F.max_pool2d(self.conv2(x), kernel_size=2))
        x = x.view(-1, 256)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return x

model = LeNet5()
torch.manual_seed(2)
for p in model.parameters(): p.data.uniform_(-0.1, 0.1)
model.eval()
output = model(torch.rand(3, 1, 28, 28))
print(output.size(), [round(v, 2) for v in output[0].tolist()], output.max(dim=1)[1].tolist())
"""

SLIDES = {
    "a picture classified": CLASSIFY,
    "a picture classified, some years before": CLASSIFY_OLD,
    "any size": CONVOLUTIONIZE + ANY_SIZE,
    "any size, some years before": CONVOLUTIONIZE_OLD + ANY_SIZE,
    "a residual network": RESNET_BLOCK,
    "LeNet-5": LENET,
}


@pytest.fixture(scope="module")
def alexnet() -> dict[str, np.ndarray]:
    """Weights to stand for the published ones: drawn, with a wider last layer, so that scores differ."""
    state = models.alexnet().state_dict()
    return {
        name: np.asarray(value) * (4 if name.startswith("classifier.6") else 1)
        for name, value in state.items()
    }


@pytest.fixture
def slides(tmp_path, monkeypatch, alexnet):
    """A folder with a picture and the names of classes; AlexNet's published weights are `alexnet`."""
    y, x = np.mgrid[0:1:224j, 0:1:224j]
    waves = np.stack([np.sin(40 * x), np.cos(30 * x * y), np.sin(9 * y)], -1)
    Image.fromarray((127 + 127 * waves).astype(np.uint8)).save(tmp_path / "picture.png")
    names = {at: f"class number {at}" for at in range(1000)}
    names[258] = "Samoyed, Samoyede"
    (tmp_path / "imagenet1000_clsidx_to_labels.txt").write_text(repr(names))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models.AlexNet_Weights, "get_state_dict", lambda self, *a, **k: alexnet)

    def run(library: str, slide: str) -> tuple[str, dict]:
        namespace: dict = {}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(IMPORTS[library] + SLIDES[slide], "slide", "exec"), namespace)
        return printed.getvalue(), namespace

    return run


@pytest.mark.parametrize("slide", SLIDES)
def test_slides_run_and_print_what_torch_prints(slide, slides, alexnet, monkeypatch, torch):
    import torchvision

    weights = {name: torch.from_numpy(np.array(value)) for name, value in alexnet.items()}
    monkeypatch.setattr(torchvision.models.AlexNet_Weights, "get_state_dict", lambda self, *a, **k: weights)
    found, ours = slides("rvision", slide)
    # torch's Variable has had no `volatile` for years, and warns.
    old = SLIDES[slide].replace(", volatile = True", "")
    monkeypatch.setitem(SLIDES, slide, old)
    expected, theirs = slides("torch", slide)
    assert found.replace("Size([", "torch.Size([") == expected
    np.testing.assert_allclose(
        ours["output"], theirs["output"].detach().numpy(), rtol=1e-3, atol=1e-4 * float(ours["output"].max())
    )


@pytest.mark.parametrize("slide", ["a picture classified", "a picture classified, some years before"])
def test_the_highest_scores_are_printed(slide, slides):
    found, namespace = slides("rvision", slide)
    scores = np.asarray(namespace["output"])[0]
    best = int(scores.argmax())
    name = "Samoyed, Samoyede" if best == 258 else f"class number {best}"
    brackets = ("(", ")") if "before" in slide else ("", "")
    assert found.splitlines()[0] == f"#1 {brackets[0]}{scores[best]:.02f}{brackets[1]} {name}"
    assert len(found.splitlines()) in (12, 15)


@pytest.mark.parametrize("slide", ["any size", "any size, some years before"])
def test_the_network_for_any_size_is_that_of_dense_prediction(slide, slides):
    found, namespace = slides("rvision", slide)
    assert "Size([1, 1000, 1, 8])" in found
    output = namespace["output"]
    same = rvision.convolutionize(models.alexnet(weights="IMAGENET1K_V1"), (224, 224))
    picture = rvision.cat((namespace["img"][..., :224],) * 2, 3)
    np.testing.assert_allclose(output, same(picture), rtol=1e-4, atol=1e-4)
