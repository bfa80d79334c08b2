"""Convolutionization of a list of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rvision import nn
from rvision._trace import Mask, Symbol, Tracer
from rvision.errors import ShapeError, UnsupportedError
from rvision.nn import Module
from rvision.nn.parameter import Held, Parameter

__all__ = ["convolutionize_layers"]


def convolutionize_layers(layers: Sequence[Module], size: tuple[int, int, int]) -> list[Module]:
    """Return the same number of convolutional layers, given the classifier's window (C, H, W)."""
    tracer = Tracer({}, "convolutionize")
    x = tracer.input("x", (1, *size), (True,) * 4)
    # The distance between a window's positions on the map, after a pool whose stride was removed.
    spread = (1, 1)
    result: list[Module] = []
    before = len(tracer.builder.nodes())
    for place, layer in enumerate(layers):
        where = f"convolutionize: layer {place} ({type(layer).__name__})"
        if x.ndim != 4:
            raise UnsupportedError(
                f"{where}: expected a map (N, C, H, W) from the layers before it, got {x.traced_shape}; "
                "give the whole model instead of its layers"
            )
        new, spread = _converted(layer, x, spread, where)
        result.append(new)
        # The layer's output for a window, which the new layer computes at each position.
        sides = x.traced_shape[2:]
        x = _seen(layer, x, where)
        nodes = tracer.builder.nodes()
        if new is layer and any(layer.children()):
            _check_inside(nodes[before:], sides, where)
        before = len(nodes)
    if x.ndim != 4:
        raise UnsupportedError(
            f"convolutionize: the last layer returns {x.traced_shape}, not a map; give the whole model, or "
            "the layers in it one by one"
        )
    return result


def _check_inside(
    nodes: Sequence[tuple[str, str, tuple[int, ...], int]], size: Sequence[int], where: str
) -> None:
    """Raise if a layer with children depends on its whole map, as squeeze and excitation does."""
    for _, operation, shape, _ in nodes:
        point = len(shape) == 2 or tuple(shape[2:]) == (1, 1)
        if (
            operation in ("adaptive_avg_pool2d", "adaptive_max_pool2d", "mean")
            and point
            and tuple(size) != (1, 1)
        ):
            raise UnsupportedError(
                f"{where}: depends on its whole map, and is not a pool but contains one; give the layers in "
                "it one by one, or the whole model, with squeeze='global' for squeeze and excitation"
            )


def _converted(
    layer: Module, x: Symbol, spread: tuple[int, int], where: str
) -> tuple[Module, tuple[int, int]]:
    _, channels, height, width = x.traced_shape
    if isinstance(layer, nn.Linear):
        if layer.in_features != channels * height * width:
            raise ShapeError(
                f"{where}: its weight expects {layer.in_features} features, and a window's map has "
                f"{channels} x {height} x {width}; is input_size the classifier's?"
            )
        return _convolution(layer, (height, width), spread), (1, 1)
    if isinstance(layer, nn.Flatten):
        return nn.Identity(), spread
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        return _pool(layer, (height, width), spread, where)
    if spread != (1, 1) and any(hasattr(child, "kernel_size") for child in layer.modules()):
        raise UnsupportedError(
            f"{where}: a window over maps after an adaptive pool needs a dilation; "
            "give the whole model instead of its layers"
        )
    return layer, spread


def _convolution(layer: nn.Linear, size: tuple[int, int], spread: tuple[int, int]) -> nn.Conv2d:
    """Return the convolution equal to a linear layer on a map of this size; it shares the weights."""
    outputs = layer.out_features
    channels = layer.in_features // (size[0] * size[1])
    new = nn.Conv2d(channels, outputs, size, dilation=spread, bias=layer.bias is not None)
    handle = layer._constant("weight").reshaped((outputs, channels, *size))
    new._put("_parameters", "weight", Held(Parameter, handle))
    if layer.bias is not None:
        new.bias = layer.bias
    return new


def _pool(
    layer: nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d,
    size: tuple[int, int],
    spread: tuple[int, int],
    where: str,
) -> tuple[Module, tuple[int, int]]:
    wanted = layer.output_size
    pair = wanted if isinstance(wanted, Sequence) else (wanted, wanted)
    target = tuple(own if goal is None else goal for goal, own in zip(pair, size, strict=True))
    if target == size:
        return nn.Identity(), spread
    if any(own % goal for own, goal in zip(size, target, strict=True)) or spread != (1, 1):
        raise UnsupportedError(
            f"{where}: a pool from {size[0]} x {size[1]} to {target[0]} x {target[1]} has areas of different "
            "sizes, which no window that slides has; give the whole model instead of its layers"
        )
    window = (size[0] // target[0], size[1] // target[1])
    kind: Callable[..., Module] = nn.AvgPool2d if isinstance(layer, nn.AdaptiveAvgPool2d) else nn.MaxPool2d
    return kind(window, stride=1), (1, 1) if target == (1, 1) else window


def _seen(layer: Module, x: Symbol, where: str) -> Symbol:
    """Return a layer's output for a window, as a map."""
    if isinstance(layer, nn.Flatten):
        return x
    if isinstance(layer, nn.Linear):
        return layer(x.flatten(1)).unflatten(1, (-1, 1, 1))
    output = layer(x)
    if not isinstance(output, Symbol):
        found = "a mask (bool)" if isinstance(output, Mask) else type(output).__name__
        raise UnsupportedError(f"{where}: returns {found}, not one value of floats")
    return output
