"""The code of the slides on image networks of EE-559 (deep learning), lecture 7, pasted as it is printed.

Only the imports differ: `import rvision as torch, rvision as torchvision`. Each slide runs with rvision,
and where torch is installed with torch on the same weights; then the results are compared.
"""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout

import numpy as np
import pytest
import rvision
from models_drawn import pictures, uniform
from PIL import Image
from rvision import models

OURS = """
import rvision as torch, rvision as torchvision
from rvision import nn
from rvision.nn import functional as F
from rvision.autograd import Variable
from rvision import transforms
"""
TORCHS = """
import torch, torchvision
from torch import nn
from torch.nn import functional as F
from torch.autograd import Variable
from torchvision import transforms
"""

# Loading and normalising a picture; AlexNet's scores.
CLASSIFY = """
import PIL

# Load and normalize the image
to_tensor = torchvision.transforms.ToTensor()
img = to_tensor(PIL.Image.open('blacklab.jpg'))
img = img.unsqueeze(0)
img = 0.5 + 0.5 * (img - img.mean()) / img.std()

# Load and evaluate the network
alexnet = torchvision.models.alexnet(weights = 'IMAGENET1K_V1')
alexnet.eval()

output = alexnet(img)

# Prints the classes
scores, indexes = output.view(-1).sort(descending = True)

class_names = eval(open('imagenet1000_clsid_to_human.txt', 'r').read())

for k in range(12):
    print(f'#{k+1} {scores[k].item():.02f} {class_names[indexes[k].item()]}')
"""

# The first version of that slide, of the time of Variables.
CLASSIFY_OF_2018 = """
from PIL import Image

# Imagenet class names
class_names = eval(open('imagenet1000_clsid_to_human.txt', 'r').read())

# Load and normalize the image
img = transforms.ToTensor()(Image.open('blacklab.jpg'))
img = img.view(1, img.size(0), img.size(1), img.size(2))
img = 0.5 + 0.5 * (img - img.mean()) / img.std()

# Load an already trained network and compute its prediction
alexnet = torchvision.models.alexnet(pretrained = True)
alexnet.eval()
output = alexnet(Variable(img))

# Prints the classes
scores, indexes = output.data.view(-1).sort(descending = True)

for k in range(15):
    print('#{:d} ({:.02f}) {:s}'.format(k + 1, scores[k], class_names[int(indexes[k])]))
"""

# The same with ImageNet's means and deviations.
CLASSIFY_WITH_STATISTICS = """
from PIL import Image

img = transforms.ToTensor()(Image.open('blacklab.jpg'))
mean = torch.tensor([0.485, 0.456, 0.406])
std = torch.tensor([0.229, 0.224, 0.225])
img = (img - mean.view(3, 1, 1)) / std.view(-1, 1, 1)
alexnet.train(False)
with torch.no_grad():
    output = alexnet(img[None, :])
class_names = eval(open('imagenet1000_clsid_to_human.txt', 'r').read())
scores, indexes = output.view(-1).sort(descending=True)
for k in range(5):
    print('#{:d} ({:.02f}) {:s}'.format(k + 1, scores.data[k], class_names[indexes[k].item()]))
"""

CONVOLUTIONIZE = """
def convolutionize(layers, input_size):
    result_layers = []
    x = torch.zeros((1, ) + input_size)

    for m in layers:
        if isinstance(m, torch.nn.Linear):
            n = torch.nn.Conv2d(in_channels = x.size(1),
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

CONVOLUTIONIZE_OF_2018 = """
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

SCALES = """
from PIL import Image

model = torchvision.models.alexnet(weights = 'IMAGENET1K_V1')
model.eval()

layers = convolutionize(list(model.features) + list(model.classifier), (3, 224, 224))
model = nn.Sequential(*layers)

img = transforms.ToTensor()(Image.open('blacklab.jpg'))
img = img.view(1, img.size(0), img.size(1), img.size(2))
img = 0.5 + 0.5 * (img - img.mean()) / img.std()

output = model(Variable(img))
values, indexes = output.max(dim = 1)
best = output.view(output.size(1), -1).max(dim = 1)[0].sort(descending = True)[1]
for k in range(3):
    print('#{:d} {:s}'.format(k + 1, class_names[best[k].item()]))
print(output.size(0), output.size(1), output.size(2), output.size(3))
"""

SMALL = """
model = nn.Sequential(
    nn.Conv2d(1, 6, kernel_size = 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, kernel_size = 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
)
"""

SMALL_SCALES = """
layers = convolutionize(list(model), (1, 32, 32))
fully = nn.Sequential(*layers)
torch.manual_seed(1)
x = Variable(torch.randn(2, 1, 44, 60))
output = fully(x)
window = fully(x[:, :, 8:40, 12:44])
print(output.size(0), output.size(1), output.size(2), output.size(3))
"""

# A slide's network with parameters that rvision and torch draw alike; their default ones differ.
DRAW = """
torch.manual_seed(0)
for p in model.parameters(): p.data.uniform_(-0.2, 0.2)
"""

LENET = """
class LeNet5(nn.Module):
    def __init__(self):
        super(LeNet5, self).__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size = 5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size = 5)
        self.fc1 = nn.Linear(256, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), kernel_size = 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = self.fc3(x)
        return x

model = LeNet5()
print(model)
# --
print(sum(p.numel() for p in model.parameters()))
for name, p in model.named_parameters():
    print(name, list(p.size()))
output = model(torch.randn(5, 1, 28, 28))
print(output.size())
"""

RESNET = """
class ResBlock(nn.Module):
    def __init__(self, nb_channels, kernel_size):
        super().__init__()
        self.conv1 = nn.Conv2d(nb_channels, nb_channels, kernel_size, padding = (kernel_size - 1) // 2)
        self.bn1 = nn.BatchNorm2d(nb_channels)
        self.conv2 = nn.Conv2d(nb_channels, nb_channels, kernel_size, padding = (kernel_size - 1) // 2)
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
        self.conv0 = nn.Conv2d(1, nb_channels, kernel_size = 1)
        self.resblocks = nn.Sequential(
            *(ResBlock(nb_channels, kernel_size) for _ in range(nb_blocks))
        )
        self.avg = nn.AvgPool2d(kernel_size = 28)
        self.fc = nn.Linear(nb_channels, 10)

    def forward(self, x):
        x = F.relu(self.conv0(x))
        x = self.resblocks(x)
        x = F.relu(self.avg(x))
        x = x.view(x.size(0), -1)
        x = self.fc(x)
        return x

model = ResNet(8, 3, 3)
model.eval()
print(model)
# --
output = model(torch.randn(2, 1, 28, 28))
print(output.size())
"""

# What the slides show of torchvision's network.
PRINTED = """
alexnet = torchvision.models.alexnet()
print(alexnet)
for p in alexnet.classifier[1].parameters(): print(p.size())
filters = alexnet.features[0].weight.data
print(filters.size(), filters.dim(), filters.numel())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder with a picture, class names, and AlexNet's weights drawn at random in the cache."""
    folder = tmp_path_factory.mktemp("slides")
    levels = np.clip(128 + 60 * pictures((1, 3, 300, 360))[0], 0, 255).astype(np.uint8)
    Image.fromarray(levels.transpose(1, 2, 0)).save(folder / "blacklab.jpg", quality=95)
    names = {k: f"class {k}" for k in range(1000)}
    (folder / "imagenet1000_clsid_to_human.txt").write_text(repr(names))
    # A prime number of values, so that rows of weights are not periodic.
    values = uniform("alexnet", (1_000_003,), -1, 1)
    state = {}
    for name, value in models.alexnet().named_parameters():
        bound = (6 / np.prod(value.shape[1:])) ** 0.5 if len(value.shape) > 1 else 0.3
        state[name] = np.resize(np.float32(bound) * values, value.shape)
    cache = folder / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    rvision.save(state, cache / models.AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2])
    return folder


@pytest.fixture(scope="module")
def slides(folder):
    """Return a function that runs slides one after the other, once; it returns their names and the text."""
    done = {}

    def run(imports, *parts):
        key = (imports, *parts)
        if key in done:
            return done[key]
        names = {"__name__": "slide"}
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), warnings.catch_warnings():
            patch.chdir(folder)
            patch.setenv("TORCH_HOME", str(folder / "torch"))
            # The weights are not those that the name's hash is of.
            patch.setattr("rvision.weights._cache.verify", lambda *_: None)
            # The slides do not close the file of class names.
            warnings.filterwarnings("ignore", category=ResourceWarning)
            warnings.filterwarnings(
                "ignore", "(The parameter 'pretrained'|Arguments other than a weight enum)"
            )
            for part in key:
                exec(compile(part, "slide", "exec"), names)
        done[key] = names, printed.getvalue()
        return done[key]

    return run


ALEXNET = (CLASSIFY, CLASSIFY_WITH_STATISTICS, CONVOLUTIONIZE, SCALES)
OF_2018 = (CLASSIFY_OF_2018, CONVOLUTIONIZE_OF_2018, SMALL, DRAW, SMALL_SCALES)


def close(ours, theirs):
    expected = theirs if isinstance(theirs, np.ndarray) else theirs.detach().numpy()
    assert ours.shape == expected.shape
    # img.std() is NumPy's, of the population, and torch's is of a sample: 2e-6 of it.
    assert np.abs(ours - expected).max() <= 1e-5 * np.abs(expected).max()


def test_scores_are_sorted_and_printed(slides):
    names, printed = slides(OURS, *ALEXNET)
    rows = printed.splitlines()
    assert len(rows) == 12 + 5 + 3 + 1 and rows[-1] == "1 1000 3 5"
    scores = names["alexnet"](names["img"][:, :, :224, :224]).view(-1)
    # The convolutionized network on one window, whose borders are then those of the picture.
    close(names["model"](names["img"][:, :, :224, :224]).view(-1), np.asarray(scores))
    assert [type(m).__name__ for m in names["layers"]].count("Conv2d") == 8
    assert type(names["scores"]) is rvision.Tensor

    names, printed = slides(OURS, *OF_2018)
    logits = np.asarray(names["alexnet"](names["img"]))[0]
    for k, row in enumerate(printed.splitlines()[:15]):
        best = np.argsort(-logits)[k]
        assert row == f"#{k + 1} ({logits[best]:.2f}) class {best}"
    assert printed.splitlines()[15:] == ["2 10 4 8"]
    # No padding: each place of the map is the network on its window, 4 pixels from the next.
    close(names["output"][:, :, 2:3, 3:4], np.asarray(names["window"]))


@pytest.mark.parametrize("lines", [ALEXNET, OF_2018])
def test_scores_and_maps_are_torchs(torch, slides, lines):
    ours, printed = slides(OURS, *lines)
    theirs, expected = slides(TORCHS, *lines)
    close(ours["output"], theirs["output"])
    if lines is ALEXNET:
        assert np.array_equal(ours["indexes"], theirs["indexes"].numpy())
    # The order of the scores, and two digits of each.
    assert printed == expected


def test_the_printed_network(slides):
    _, printed = slides(OURS, PRINTED)
    assert "(0): Conv2d(3, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))" in printed
    assert "(6): Linear(in_features=4096, out_features=1000, bias=True)" in printed
    assert "4 23232" in printed


def test_class_definitions(slides):
    names, printed = slides(OURS, *with_drawn(LENET))
    assert "44426\n" in printed and "(conv2): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))" in printed
    assert names["output"].shape == (5, 10)
    names, printed = slides(OURS, *with_drawn(RESNET))
    assert names["output"].shape == (2, 10)
    assert printed.count("(bn1): BatchNorm2d(8, eps=1e-05, momentum=0.1") == 3


def with_drawn(lines):
    before, after = lines.split("# --\n")
    return before, DRAW, after


@pytest.mark.parametrize("lines", [LENET, RESNET])
def test_class_definitions_are_torchs(torch, slides, lines):
    ours, printed = slides(OURS, *with_drawn(lines))
    theirs, expected = slides(TORCHS, *with_drawn(lines))
    assert sizes(printed) == sizes(expected)
    close(ours["output"], theirs["output"])


def test_the_printed_network_is_torchs(torch, slides):
    assert sizes(slides(OURS, PRINTED)[1]) == sizes(slides(TORCHS, PRINTED)[1])


def sizes(printed):
    return printed.replace("torch.Size(", "Size(")
