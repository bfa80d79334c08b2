"""Ten ordinary inference scripts, as PyTorch's and torchvision's tutorials teach them, with new imports.

Each leaves numbers in `result`. Where torch is installed, it runs the same script on the same files.
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
import rvision as torch
import rvision as torchvision
from rvision import nn, hub, datasets, models, transforms
from rvision.nn import functional as F
from rvision.io import read_image, decode_image
from rvision.models import resnet18, ResNet18_Weights
from rvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from rvision.utils import make_grid, save_image
from rvision.utils.data import DataLoader, Dataset
"""
TORCHS = """
import torch
import torchvision
from torch import nn, hub
from torchvision import datasets, models, transforms
from torch.nn import functional as F
from torchvision.io import read_image, decode_image
from torchvision.models import resnet18, ResNet18_Weights
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from torchvision.utils import make_grid, save_image
from torch.utils.data import DataLoader, Dataset
"""

CLASSIFY_WITH_WEIGHTS = """
img = read_image("dog.jpg")

# Step 1: the model with the best available weights
weights = ResNet18_Weights.DEFAULT
model = resnet18(weights=weights)
model.eval()

# Step 2: the transforms that belong to them
preprocess = weights.transforms()

# Step 3: a batch of one
batch = preprocess(img).unsqueeze(0)

# Step 4: the category
prediction = model(batch).squeeze(0).softmax(0)
class_id = prediction.argmax().item()
score = prediction[class_id].item()
category_name = weights.meta["categories"][class_id]
print(f"{category_name}: {100 * score:.1f}%")
result = [prediction, score, class_id]
"""

HUB = """
from PIL import Image

model = torch.hub.load("pytorch/vision:v0.10.0", "resnet18", pretrained=True)
model.eval()
input_image = Image.open("dog.jpg")
preprocess = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
])
input_tensor = preprocess(input_image)
input_batch = input_tensor.unsqueeze(0)

if torch.cuda.is_available():
    input_batch = input_batch.to("cuda")
    model.to("cuda")

with torch.no_grad():
    output = model(input_batch)
print(output[0].shape)
probabilities = torch.nn.functional.softmax(output[0], dim=0)
categories = [f"category {k}" for k in range(1000)]
top5_prob, top5_catid = torch.topk(probabilities, 5)
for i in range(top5_prob.size(0)):
    print(categories[top5_catid[i]], round(top5_prob[i].item(), 4))
result = [top5_prob, top5_catid]
"""

HOOKS = """
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = models.resnet18(weights="IMAGENET1K_V1").to(device).eval()
activation = {}

def get_activation(name):
    def hook(model, input, output):
        activation[name] = output.detach()
    return hook

handles = [
    model.layer1.register_forward_hook(get_activation("layer1")),
    model.avgpool.register_forward_hook(get_activation("avgpool")),
]
x = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64).to(device)
with torch.inference_mode():
    output = model(x)
for handle in handles:
    handle.remove()
features = activation["avgpool"].flatten(1).cpu().numpy()
print(activation["layer1"].shape[1], features.shape)
result = [activation["layer1"].mean(dim=(2, 3)), features, output]
"""

EXTRACTOR = """
model = resnet18(weights=ResNet18_Weights.IMAGENET1K_V1)
train_nodes, eval_nodes = get_graph_node_names(resnet18())
return_nodes = {"layer1.1.relu_1": "low", "layer4": "high", "flatten": "features"}
extractor = create_feature_extractor(model, return_nodes=return_nodes)
extractor.eval()
x = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)
with torch.no_grad():
    out = extractor(x)
print([(name, tuple(value.shape)) for name, value in out.items()])
print(len(eval_nodes), eval_nodes[-1])
result = list(out.values())
"""

FREEZE = """
model = models.resnet18(weights="IMAGENET1K_V1")
for param in model.parameters():
    param.requires_grad = False
num_ftrs = model.fc.in_features
model.fc = nn.Linear(num_ftrs, 10)
state = torch.load("mine.pth", map_location=torch.device("cpu"), weights_only=True)
model.load_state_dict(state)
model = model.to("cpu")
model.eval()
total = sum(p.numel() for p in model.parameters())
trainable = [name for name, p in model.named_parameters() if "fc" in name]
print(total, trainable)
with torch.no_grad():
    outputs = model(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64))
    _, preds = torch.max(outputs, 1)
print(preds.item(), preds[0].item())
result = [outputs, preds]
"""

EVALUATE = """
device = "cuda:0" if torch.cuda.is_available() else "cpu"
transform = transforms.Compose([
    transforms.Resize((64, 64)),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
dataset = datasets.ImageFolder(root="val", transform=transform)
loader = DataLoader(dataset, batch_size=4, shuffle=False, num_workers=0)
class_names = dataset.classes
model = models.resnet18(num_classes=len(class_names))
model.load_state_dict(torch.load("three.pth", map_location=device))
model.to(device)
model.eval()

correct = 0
total = 0
test_loss = 0.0
correct_pred = {classname: 0 for classname in class_names}
all_preds = []
with torch.no_grad():
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        outputs = model(images)
        _, predicted = torch.max(outputs, 1)
        pred = outputs.argmax(1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
        assert (pred == predicted).all()
        all_preds.append(predicted.cpu())
        for label, prediction in zip(labels, predicted):
            if label == prediction:
                correct_pred[class_names[label]] += 1
all_preds = torch.cat(all_preds)
print(f"Accuracy: {100 * correct / total:.2f} % of {total} ({len(loader)} batches of {len(loader.dataset)})")
print(correct_pred)
result = [all_preds, correct]
"""

SEARCH = """
import glob
from PIL import Image

weights = ResNet18_Weights.IMAGENET1K_V1
model = resnet18(weights=weights)
model.fc = nn.Identity()
model.eval()
to_input = transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()])
files = sorted(glob.glob("val/*/*.png"))
batch = torch.stack([to_input(Image.open(f).convert("RGB")) for f in files])
with torch.no_grad():
    features = torch.cat([model(part) for part in batch.split(4)], dim=0)
query = features[0:1]
similarity = F.cosine_similarity(query, features, dim=1)
values, order = similarity.topk(3)
unit = F.normalize(features, p=2, dim=1)
matrix = unit @ unit.T
print([files[i] for i in order.tolist()])
result = [features, similarity, matrix]
"""

GRID = """
images = [read_image(f"val/cat/{k}.png") for k in range(3)]
images = torch.stack([image.float() / 255 for image in images])
grid = make_grid(images, nrow=2, padding=1)
save_image(images, "grid.png", nrow=2, padding=1)
saved = read_image("grid.png")
print(saved.shape[0], saved.shape[1:], saved.dtype in (torch.uint8,))
result = [saved]
"""

CIFAR = """
from collections import OrderedDict

class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_planes, planes, stride=1):
        super(BasicBlock, self).__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, self.expansion * planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(self.expansion * planes),
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)

class ResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=10):
        super(ResNet, self).__init__()
        self.in_planes = 16
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._make_layer(block, 16, num_blocks[0], stride=1)
        self.layer2 = self._make_layer(block, 32, num_blocks[1], stride=2)
        self.layer3 = self._make_layer(block, 64, num_blocks[2], stride=2)
        self.linear = nn.Linear(64, num_classes)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make_layer(self, block, planes, num_blocks, stride):
        strides = [stride] + [1] * (num_blocks - 1)
        layers = []
        for stride in strides:
            layers.append(block(self.in_planes, planes, stride))
            self.in_planes = planes * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer1(out)
        out = self.layer2(out)
        out = self.layer3(out)
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        out = self.linear(out)
        return out

def resnet20():
    return ResNet(BasicBlock, [3, 3, 3])

net = resnet20()
checkpoint = torch.load("cifar.pth", map_location=lambda storage, loc: storage)
new_state_dict = OrderedDict()
for k, v in checkpoint["state_dict"].items():
    name = k[7:] if k.startswith("module.") else k
    new_state_dict[name] = v
print(net.load_state_dict(new_state_dict, strict=True))
net.eval()
classes = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
x = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
with torch.no_grad():
    logits = net(x)
    probs = F.softmax(logits, dim=-1)
conf, predicted = probs.max(dim=1)
print(" ".join(f"{classes[predicted[j]]:5s}" for j in range(2)))
result = [logits, conf, predicted]
"""

SERVICE = """
import io
import json
from PIL import Image

imagenet_class_index = {str(k): [f"n{k:08d}", f"name {k}"] for k in range(1000)}
model = models.resnet18(weights="IMAGENET1K_V1")
model.eval()

def transform_image(image_bytes):
    my_transforms = transforms.Compose([
        transforms.Resize(80),
        transforms.CenterCrop(64),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])
    image = Image.open(io.BytesIO(image_bytes))
    return my_transforms(image).unsqueeze(0)

def get_prediction(image_bytes):
    tensor = transform_image(image_bytes=image_bytes)
    outputs = model.forward(tensor)
    _, y_hat = outputs.max(dim=1)
    predicted_idx = str(y_hat.item())
    return imagenet_class_index[predicted_idx], outputs

with open("dog.jpg", "rb") as f:
    image_bytes = f.read()
(class_id, class_name), outputs = get_prediction(image_bytes=image_bytes)
scores = torch.nn.functional.softmax(outputs, dim=1)[0]
answer = json.dumps({"class_id": class_id, "class_name": class_name, "scores": scores[:3].tolist()})
print(json.loads(answer)["class_name"])
result = [outputs, json.loads(answer)["scores"]]
"""

TUTORIALS = {
    "classify with weights": CLASSIFY_WITH_WEIGHTS,
    "the hub's page": HUB,
    "forward hooks": HOOKS,
    "feature extractor": EXTRACTOR,
    "frozen, with a new head": FREEZE,
    "evaluation": EVALUATE,
    "similarity search": SEARCH,
    "a grid": GRID,
    "a CIFAR checkpoint": CIFAR,
    "a web service": SERVICE,
}


def drawn(shapes):
    """Return a state dict of random values that keep a signal's size."""
    values = uniform("tutorials", (100_003,), -1, 1)
    state = {}
    for name, shape in shapes:
        if name.endswith("num_batches_tracked"):
            state[name] = np.int64(0).reshape(())
        elif name.endswith("running_var"):
            state[name] = np.resize(1 + 0.5 * values, shape).astype(np.float32)
        elif len(shape) == 1:
            state[name] = np.resize((0.5 if name.endswith("weight") else 0) + 0.2 * values, shape).astype(
                np.float32
            )
        else:
            state[name] = np.resize(values * np.float32((6 / np.prod(shape[1:])) ** 0.5), shape)
    return state


def shapes_of(model):
    return [(name, value.shape) for name, value in model.state_dict().items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder of pictures, checkpoints, and ResNet-18's weights in the cache, all drawn at random."""
    folder = tmp_path_factory.mktemp("tutorials")

    def save(name, size, color):
        levels = np.clip(128 + 60 * pictures((1, 3, *size), name)[0] + color, 0, 255).astype(np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.transpose(1, 2, 0)).save(folder / name)

    save("dog.jpg", (270, 300), 0)
    for index, kind in enumerate(["cat", "dog", "owl"]):
        for k in range(3):
            save(f"val/{kind}/{k}.png", (40, 50), 50 * (index - 1))
    shapes = shapes_of(models.resnet18())
    cache = folder / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    url = models.ResNet18_Weights.IMAGENET1K_V1.url
    rvision.save(drawn(shapes), cache / url.rpartition("/")[2])
    for name, classes in (("mine.pth", 10), ("three.pth", 3)):
        rvision.save(
            drawn([(n, (classes, *s[1:]) if n.startswith("fc.") else s) for n, s in shapes]), folder / name
        )
    names = {}
    exec(OURS + CIFAR.partition("net = resnet20()")[0], names)
    state = drawn(shapes_of(names["resnet20"]()))
    checkpoint = {"epoch": 164, "best_acc": 91.25, "state_dict": {f"module.{n}": v for n, v in state.items()}}
    rvision.save(checkpoint, folder / "cifar.pth")
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")
    # The weights are not those that the name's hash is of.
    monkeypatch.setattr("rvision.weights._cache.verify", lambda *_: None)

    def script(imports, lines):
        names = {"__name__": "tutorial"}
        printed = io.StringIO()
        with redirect_stdout(printed), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "(The parameter 'pretrained'|Arguments other than a weight enum)"
            )
            warnings.filterwarnings("ignore", "The image decoding", DeprecationWarning)
            # The script removes the prefix by hand; rvision says that its `load` can.
            warnings.filterwarnings("ignore", r"cifar\.pth: every name begins with 'module\.'")
            exec(compile(imports + lines, "tutorial", "exec"), names)
        return names["result"], printed.getvalue()

    return script


# What each prints without depending on the values.
PRINTS = {
    "classify with weights": "%\n",
    "the hub's page": "(1000,)\ncategory ",
    "forward hooks": "64 (1, 512)\n",
    "feature extractor": "('low', (2, 64, 16, 16)), ('high', (2, 512, 2, 2)), ('features', (2, 512))]\n",
    "frozen, with a new head": "11181642 ['fc.weight', 'fc.bias']\n",
    "evaluation": "of 9 (3 batches of 9)\n",
    "similarity search": "['val/cat/0.png', ",
    "a grid": "3 (83, 103) True\n",
    "a CIFAR checkpoint": "<All keys matched successfully>\n",
    "a web service": "name ",
}


@pytest.mark.parametrize("name", TUTORIALS)
def test_it_runs(run, name):
    result, printed = run(OURS, TUTORIALS[name])
    assert PRINTS[name] in printed
    assert all(np.isfinite(np.asarray(value)).all() for value in result)


@pytest.mark.parametrize("name", TUTORIALS)
def test_it_is_torchs(torch, run, monkeypatch, name):
    ours, printed = run(OURS, TUTORIALS[name])
    # torch.hub downloads the repository; torchvision's builder is what it then calls.
    monkeypatch.setattr(
        "torch.hub.load",
        lambda _, model, **options: __import__("torchvision").models.get_model(model, **options),
    )
    theirs, expected = run(TORCHS, TUTORIALS[name])
    assert printed == expected.replace("torch.Size([1000])", "(1000,)").replace(
        "torch.Size([83, 103])", "(83, 103)"
    )
    for found, right in zip(ours, theirs, strict=True):
        right = np.asarray(right.detach() if hasattr(right, "detach") else right)
        assert np.shape(found) == right.shape
        assert np.abs(np.asarray(found) - right).max() <= 1e-4 * np.abs(right).max()
