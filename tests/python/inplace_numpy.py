"""torch's tensors modelled by NumPy arrays, whose views share memory, to test in-place operations.

Only what those tests use is implemented. NumPy's `reshape` returns a view where the order of
elements allows it, as torch's does, and its operators keep the order of dimensions in memory, as
torch's do.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


class Array(np.ndarray):
    """An array with torch's methods."""

    def __getitem__(self, index):
        # With an ellipsis NumPy returns a view where it would return a number otherwise.
        index = index if isinstance(index, tuple) else (index,)
        return super().__getitem__(index if any(item is ... for item in index) else (*index, ...))

    def relu(self):
        return np.maximum(self, np.float32(0))

    def relu_(self):
        return np.maximum(self, np.float32(0), out=self)

    def sigmoid_(self):
        self[...] = 1 / (1 + np.exp(-self))
        return self

    def tanh_(self):
        return np.tanh(self, out=self)

    def clamp_(self, min=-np.inf, max=np.inf):
        return np.clip(self, np.float32(min), np.float32(max), out=self)

    def add_(self, other, *, alpha=1):
        self += other if alpha == 1 else np.float32(alpha) * other
        return self

    def sub_(self, other, *, alpha=1):
        self -= other if alpha == 1 else np.float32(alpha) * other
        return self

    def mul_(self, other):
        self *= other
        return self

    def div_(self, other):
        self /= other
        return self

    def clone(self):
        return self.copy(order="K")

    def contiguous(self):
        return self if self.flags.c_contiguous else self.copy()

    def detach(self):
        return self

    float = detach

    def flatten(self, start_dim=0, end_dim=-1):
        start, end = start_dim % self.ndim, end_dim % self.ndim
        return self.reshape(*self.shape[:start], -1, *self.shape[end + 1 :])

    def view(self, *shape):
        if not isinstance(shape[0], int):
            return super().view(*shape)  # NumPy's own method
        result = self.reshape(*shape)
        if not np.shares_memory(result, self):
            raise ValueError("view size is not compatible with the array's strides")
        return result

    def unflatten(self, dim, sizes):
        dim %= self.ndim
        return self.reshape(*self.shape[:dim], *sizes, *self.shape[dim + 1 :])

    def permute(self, *dims):
        return np.transpose(np.asarray(self), dims).view(Array)

    def transpose(self, dim0, dim1):
        return np.swapaxes(np.asarray(self), dim0, dim1).view(Array)

    def unsqueeze(self, dim):
        return np.expand_dims(self, dim)

    def expand(self, *sizes):
        own = (1,) * (len(sizes) - self.ndim) + self.shape
        shape = [old if size == -1 else size for size, old in zip(sizes, own, strict=True)]
        return np.broadcast_to(self, shape, subok=True)

    def expand_as(self, other):
        return np.broadcast_to(self, other.shape, subok=True)

    def split(self, size, dim=0):
        return tuple(np.split(self, range(size, self.shape[dim], size), dim))

    def chunk(self, chunks, dim=0):
        return self.split(-(-self.shape[dim] // chunks), dim)

    def unbind(self, dim=0):
        first = np.moveaxis(np.asarray(self), dim, 0)
        return tuple(first[place, ...].view(Array) for place in range(len(first)))

    def mean(self, dim=None, keepdim=False):
        return np.asarray(np.mean(np.asarray(self), dim, keepdims=keepdim)).view(Array)

    def softmax(self, dim):
        powers = np.exp(np.ascontiguousarray(self))
        return (powers / powers.sum(dim, keepdims=True)).view(Array)


def _relu(input, inplace=False):
    return input.relu_() if inplace else input.relu()


def _relu6(input, inplace=False):
    return np.clip(input, np.float32(0), np.float32(6), out=input if inplace else None)


def _leaky_relu(input, negative_slope=0.01, inplace=False):
    return np.multiply(
        input, np.where(input > 0, np.float32(1), np.float32(negative_slope)), out=input if inplace else None
    )


def _hardswish(input, inplace=False):
    return np.multiply(input, np.clip(input + 3, 0, 6) / np.float32(6), out=input if inplace else None)


def _silu(input, inplace=False):
    return np.divide(input, 1 + np.exp(-input), out=input if inplace else None)


F = SimpleNamespace(
    relu=_relu,
    relu_=lambda input: _relu(input, True),
    relu6=_relu6,
    leaky_relu=_leaky_relu,
    hardtanh=lambda x, low=-1.0, high=1.0, inplace=False: np.clip(
        x, np.float32(low), np.float32(high), out=x if inplace else None
    ),
    hardswish=_hardswish,
    silu=_silu,
    dropout=lambda input, p, training, inplace=False: input,
)


def cat(arrays: Any, dim: int = 0) -> Any:
    return np.ascontiguousarray(np.concatenate([np.asarray(array) for array in arrays], dim)).view(Array)


def layers(weight: Any) -> SimpleNamespace:
    """Return the tests' layers as functions; `weight` (C', C) is that of a 1x1 convolution."""

    def conv(x: Any) -> Any:
        out = np.einsum("oc,nchw->nohw", weight, np.asarray(x), dtype=np.float32)
        return np.ascontiguousarray(out).view(Array)

    def head(x: Any) -> Any:
        return conv(_relu(x, True))

    return SimpleNamespace(
        conv=conv,
        relu=lambda x: _relu(x, True),
        copying=_relu,
        relu6=lambda x: _relu6(x, True),
        silu=lambda x: _silu(x, True),
        hardswish=lambda x: _hardswish(x, True),
        leaky=lambda x: _leaky_relu(x, 0.1, True),
        hardtanh=lambda x: F.hardtanh(x, -0.5, 0.5, True),
        dropout=lambda x: x,
        identity=lambda x: x,
        head=head,
        scale=np.arange(1, 4, dtype=np.float32).reshape(3, 1, 1),
    )
