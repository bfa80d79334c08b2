"""Make the weight files of this folder, with real torch and safetensors.

Run with torch 2.14.1: ``python tests/data/make_files.py``. The files are committed, so that the tests
need no torch; ``expected.npz`` has the values that each is to give, under ``FILE:NAME``.
"""

from __future__ import annotations

import argparse
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
TYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)


class Net(nn.Module):
    """A network small enough to commit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)


def numbers(*shape: int) -> torch.Tensor:
    n = int(np.prod(shape)) if shape else 1
    return (torch.arange(n, dtype=torch.float32) * 0.37 - 1.5).reshape(shape)


def types() -> dict[str, torch.Tensor]:
    named = {}
    for dtype in TYPES:
        values = torch.tensor([[0, 1, 2], [3, 100, 5]])
        if dtype.is_floating_point:
            values = values * 0.3 - 1
        named[str(dtype).removeprefix("torch.")] = values.to(dtype)
    return named


def views() -> dict[str, torch.Tensor]:
    base = numbers(4, 6)
    weight = numbers(2, 3, 4, 5)
    return {
        "base": base,
        "rows": base[1:3],
        "transposed": base.t(),
        "columns": base[:, ::2],
        "diagonal": base.diagonal(),
        "expanded": numbers(1, 3).expand(5, 3),
        "channels_last": weight.to(memory_format=torch.channels_last),
        "permuted": weight.permute(3, 1, 0, 2),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False, True])[1:],
    }


def parameters() -> dict[str, torch.Tensor]:
    plain = nn.Parameter(numbers(2, 2))
    marked = nn.Parameter(numbers(3), requires_grad=False)
    marked.note = "an attribute of the parameter"
    return OrderedDict(plain=plain, marked=marked, tied=plain)


def training(net: Net) -> dict[str, object]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    sum(p.sum() for p in net.parameters()).backward()
    optimizer.step()
    return {
        "epoch": 12,
        "arch": "net",
        "best_acc1": torch.tensor(71.5),
        "best_numpy": np.float64(0.25),
        "history": [1.0, 2.0, None, True, -(2**70)],
        "rng": np.arange(3, dtype=np.uint32),
        "args": argparse.Namespace(lr=0.1),
        "path": Path("runs/1"),
        "optimizer": optimizer.state_dict(),
        "state_dict": nn.DataParallel(net).state_dict(),
    }


def no_source(*_: object, **__: object) -> None:
    """Keep the legacy stream from carrying the source code of the modules it pickles."""
    raise OSError("left out")


def main() -> None:
    warnings.simplefilter("ignore")
    torch.serialization.get_source_lines_and_file = no_source
    torch.manual_seed(0)
    expected: dict[str, np.ndarray] = {}

    def keep(file: str, named: dict[str, torch.Tensor]) -> None:
        for name, tensor in named.items():
            values = tensor.detach()
            values = values.float() if values.dtype == torch.bfloat16 else values
            expected[f"{file}:{name}"] = values.numpy().copy()

    def save(
        file: str, what: object, named: dict[str, torch.Tensor] | None = None, **options: object
    ) -> None:
        torch.save(what, HERE / file, **options)
        if named is not None:
            keep(file, named)

    net = Net().eval()
    state = net.state_dict()
    old = {"_use_new_zipfile_serialization": False}
    save("net.pth", state, state)
    save("net_legacy.pth", state, state, **old)
    for protocol in (3, 4, 5):
        save(f"net_protocol{protocol}.pth", state, state, pickle_protocol=protocol)
    save("types.pth", types(), types())
    # The legacy stream has no storages of these.
    some = {name: tensor for name, tensor in types().items() if name not in ("uint16", "uint32", "uint64")}
    save("types_legacy.pth", some, some, **old)
    save("views.pth", views(), views())
    save("views_legacy.pth", views(), views(), **old)
    save("parameters.pth", parameters(), parameters())
    save("module.pth", net)
    save("module_legacy.pth", net, **old)
    save("training.pth", training(net), net.state_dict())
    save("training_legacy.pth", training(net), net.state_dict(), **old)
    two = {"model": {"w": numbers(2)}, "ema": {"w": numbers(3)}}
    save("two.pth", two, two["model"])
    save("nested.pth", {"ema": {"module": {"w": numbers(2)}}}, {"w": numbers(2)})
    save("gan.pth", {"generator": {"w": numbers(2)}, "discriminator": {"w": numbers(3)}})
    save("complex.pth", {"w": torch.ones(2, dtype=torch.complex64)})
    save("quantised.pth", {"w": torch.quantize_per_tensor(numbers(4), 0.1, 0, torch.qint8)})
    save("sparse.pth", {"w": torch.eye(3).to_sparse()})
    save("no_tensors.pth", {"lr": 0.1, "name": "net"})
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "f": np.asfortranarray(np.eye(2, 3))}
    save("arrays.pth", arrays, {name: torch.from_numpy(array) for name, array in arrays.items()})
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), HERE / "script.pt")
    named = {name: t for name, t in types().items() if name not in ("uint16", "uint32", "uint64")}
    save_file(named, HERE / "types.safetensors", {"format": "pt"})
    keep("types.safetensors", named)
    np.savez_compressed(HERE / "expected.npz", **expected)


if __name__ == "__main__":
    main()
