"""Run a torch classifier convolutionally, whatever its layers are. Needs torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_FLATTEN = (torch.flatten, torch.Tensor.flatten)
_POOL = (F.adaptive_avg_pool2d,)
_MEAN = (torch.mean, torch.Tensor.mean)


class _Windows(TorchFunctionMode):
    """Records the sizes of the maps that pools, means and linear layers see for one window."""

    def __init__(self) -> None:
        self.seen: list[torch.Size] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (*_FLATTEN, *_POOL, *_MEAN, F.linear):
            self.seen.append(args[0].shape)
        return func(*args, **(kwargs or {}))


class _Convolutional(TorchFunctionMode):
    """Replaces these operations by sliding windows of the recorded sizes."""

    def __init__(self, seen: list[torch.Size]) -> None:
        self.seen = list(seen)
        self.flat: torch.Size | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in (*_FLATTEN, *_POOL, *_MEAN, F.linear):
            return func(*args, **kwargs)
        shape, x = self.seen.pop(0), args[0]
        if func is F.linear:
            if len(shape) == 4:
                return func(*args, **kwargs)
            weight, bias = args[1], args[2] if len(args) > 2 else kwargs.get("bias")
            size = self.flat[2:] if self.flat is not None else (1, 1)
            self.flat = None
            return F.conv2d(x, weight.reshape(len(weight), -1, *size), bias)
        if func in _FLATTEN:
            if len(shape) != 4:
                return func(*args, **kwargs)
            self.flat = shape
            return x
        if func in _POOL:
            output = args[1] if len(args) > 1 else kwargs["output_size"]
            output = (output, output) if isinstance(output, int) else tuple(output)
            if output == tuple(shape[2:]):
                return x
            assert output == (1, 1)
        return F.avg_pool2d(x, tuple(shape[2:]), stride=1)


def convolutional(model: torch.nn.Module, x: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Return the map (N, classes, rows, columns) of a picture for windows of that size."""
    with torch.inference_mode():
        record = _Windows()
        with record:
            model(torch.zeros(1, x.shape[1], *window))
        with _Convolutional(record.seen):
            return model(torch.from_numpy(x)).numpy()
