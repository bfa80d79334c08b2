"""Convolutionization: a classifier as a fully convolutional network with the same parameters."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal, overload

from rvision import _rvision
from rvision._frames import ends_at_caller
from rvision._sizes import resized
from rvision._trace import Mask, Symbol, Tracer
from rvision.dense._layers import convolutionize_layers
from rvision.dense._map import ReceptiveField
from rvision.dense._refusals import SMALLER_STRIDE, NoDenseForm, refusal_of
from rvision.dense._repr import as_it_runs
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn import Conv2d, Module, Sequential
from rvision.nn._state import undrawn

__all__ = ["Convolutionized", "Size", "convolutionize", "receptive_field", "stride_pair", "window_size"]

Size = int | Sequence[int]

# Where the search for a possible stride begins, if the network's own is not possible.
_FINEST = 65


@overload
def convolutionize(
    model: Module, input_size: Size | None = None, *, stride: Size | None = None, squeeze: str | None = None
) -> Convolutionized: ...


@overload
def convolutionize(
    model: Sequence[Module],
    input_size: Size | None = None,
    *,
    stride: None = None,
    squeeze: None = None,
) -> list[Module]: ...


@ends_at_caller
def convolutionize(
    model: Module | Sequence[Module],
    input_size: Size | None = None,
    *,
    stride: Size | None = None,
    squeeze: str | None = None,
) -> Convolutionized | list[Module]:
    """Turn a classifier into a fully convolutional network with the same parameters.

    The result takes pictures (N, C, H, W) of any size from `input_size` on and returns a map (N,
    classes, rows, columns): cell (i, j) is the output for the window that begins at pixel (i, j) *
    stride. For a picture of `input_size` it is the classifier's output, (N, classes, 1, 1). Linear
    layers become convolutions, and operations on a whole map become sliding windows. Rows and
    columns beyond ``(H - window) // stride + 1`` stand for windows that extend beyond the picture's
    edge; `dense.predict` omits them.

    In a network with padding, a window's cell sees the picture's pixels where the classifier, given
    the window alone, sees zeros; see `dense.predict` for exact windows.

    Parameters
    ----------
    model : Module, or sequence of Module
        A classifier: pictures (N, C, H, W) to logits (N, classes). Or a list of layers, such as
        ``[*model.features, *model.classifier]``, which gives a list of the same length: `Linear`
        becomes `Conv2d`, `Flatten` and adaptive pools whose input already has the target size
        become `Identity`, a pool to one pixel becomes a sliding pool, the others stay. A layer that
        contains others stays too, and is refused if it depends on its whole map.
    input_size : int, (H, W) or (C, H, W), optional
        The size of the classifier's window in pixels; by default that of its attribute `input_size`, which
        networks made by `rvision.models` have.
    stride : int or (vertical, horizontal), optional
        Pixels from one window to the next, by default the network's own (32 for most). Any number
        from 1: if it is finer than the network's, strides are removed and the layers after them are
        dilated.
    squeeze : str, optional
        For networks with squeeze and excitation (MobileNetV3, EfficientNet, RegNetY), whose inner
        layers depend on the whole window: ``"global"`` squeezes the whole picture instead. Without
        it they are refused.

    Returns
    -------
    Convolutionized, or list of Module
        It shares the parameters and their packed forms with `model` and follows its changes; a list
        of layers keeps the current parameters. Printed, it shows the convolutions and windows that
        run.

    Raises
    ------
    UnsupportedError
        If a layer has no dense form (attention, squeeze and excitation); the message names it and
        the reason.
    ArgumentError
        If an argument is out of range, or `input_size` is not known.
    ShapeError
        If a layer cannot take the shape that reaches it.

    Notes
    -----
    The conversion is LeCun et al.'s (1998, space displacement networks), Sermanet et al.'s (OverFeat,
    arXiv:1312.6229) and Long, Shelhamer and Darrell's (arXiv:1411.4038); strides are removed as in Giusti et
    al. (arXiv:1302.1700), "filter rarefaction" or "a trous".

    Examples
    --------
    >>> dense = rvision.convolutionize(models.alexnet())
    >>> dense(np.zeros((1, 3, 451, 451), np.float32)).shape
    (1, 1000, 8, 8)
    """
    if isinstance(model, Module):
        return Convolutionized(model, input_size, stride=stride, squeeze=squeeze)
    layers = list(model)
    if stride is not None or squeeze is not None:
        raise ArgumentError("convolutionize: stride and squeeze need a classifier, not a list of its layers")
    return convolutionize_layers(layers, _channels_and_size(layers, input_size))


class Convolutionized(Module):
    """A classifier as a network for pictures of any size: (N, C, H, W) to (N, classes, rows, columns).

    Made by :func:`rvision.convolutionize`, which describes the parameters.

    Attributes
    ----------
    model : Module
        The classifier.
    """

    _spatial = True

    def __init__(
        self,
        model: Module,
        input_size: Size | None = None,
        *,
        stride: Size | None = None,
        squeeze: str | None = None,
    ) -> None:
        super().__init__()
        if squeeze not in (None, "global"):
            raise ArgumentError(f"convolutionize: squeeze: expected None or 'global', got {squeeze!r}")
        self.model = model
        self._channels, self._window = window_size(model, input_size)
        self._wanted_stride = None if stride is None else stride_pair(stride)
        self._squeeze = squeeze
        self._known = _Known()
        # Report a missing dense form here, not at the first picture.
        if self._channels is not None:
            self.geometry()

    @property
    def window_size(self) -> tuple[int, int]:
        """Height and width of the classifier's window in pixels."""
        return self._window

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels from one cell's window to the next, vertically and horizontally."""
        return self.geometry().stride

    @property
    def squeeze(self) -> str | None:
        """The `squeeze` argument."""
        return self._squeeze

    def geometry(self) -> _rvision.DenseGraph:
        """Return the dense graph of the model's current state."""
        if self._channels is None:
            raise ArgumentError(
                "convolutionize: the number of channels is not known before a picture has come; "
                "give input_size as (C, H, W)"
            )
        return self._dense(self._channels)

    def _dense(self, channels: int) -> _rvision.DenseGraph:
        state = self.model._links.state
        if self._known.state is not state or self._known.channels != channels:
            graph = _trace(self.model, (channels, *self._window), self._wanted_stride, self._squeeze)
            self._known.keep(state, channels, graph)
            return graph
        return self._known.graph

    def forward(self, x: Symbol) -> Symbol:
        """Return the map."""
        if x.ndim != 4:
            raise ShapeError(
                f"Convolutionized: expected pictures (N, C, H, W) or (C, H, W), got {x.traced_shape}"
            )
        dense = self._dense(x.shape[1])
        value = x.tracer.builder.inline(dense, x.value_of(x.tracer))
        return Symbol(x.tracer, value, (x.fixed[0], True, *(resized(flag) for flag in x.fixed[2:])))

    def __repr__(self) -> str:
        """Show the convolutions that run, in the classifier's modules."""
        graph = self._shown_graph()
        if graph is None:
            return super().__repr__()
        twin: Module = object.__new__(_Text)
        twin.__dict__.update(self.__dict__)
        twin.__dict__["_modules"] = {"model": as_it_runs(self.model, graph.describe())}
        return repr(twin)

    def _shown_graph(self) -> _rvision.DenseGraph | None:
        """Return the dense graph, or None if it is not known or no longer exists."""
        channels = self._channels or self._known.channels
        try:
            return self._dense(channels) if channels else None
        except Exception:
            # A model can be printed after any change.
            return None

    def extra_repr(self) -> str:
        """Return the arguments."""
        parts = [f"window_size={self._window}"]
        graph = self._shown_graph()
        if graph is not None:
            parts.append(f"stride={graph.stride}")
        if self._squeeze is not None:
            parts.append(f"squeeze={self._squeeze!r}")
        return ", ".join(parts)


class _Text(Convolutionized):
    """The printed form of a convolutionized network."""

    __repr__ = Module.__repr__

    def _get_name(self) -> str:
        return "Convolutionized"


class _Known:
    """The dense graph of a model's state. It is not copied or pickled, but rebuilt."""

    def __init__(self) -> None:
        self.state: object = None
        self.channels = 0
        self.graph: Any = None

    def keep(self, state: object, channels: int, graph: _rvision.DenseGraph) -> None:
        self.state, self.channels, self.graph = state, channels, graph

    def __reduce__(self) -> tuple[type[_Known], tuple[()]]:
        return _Known, ()


@ends_at_caller
def receptive_field(model: Module, input_size: Size | None = None) -> ReceptiveField:
    """Return the receptive field of one output of a classifier's dense form.

    This is not the window, i.e. the classifier's input: AlexNet's window is 224 pixels wide, and
    its receptive field 355, since pixels take the place of its padding.

    Parameters
    ----------
    model : Module
        A classifier, or a result of `convolutionize`.
    input_size : int, (H, W) or (C, H, W), optional
        The classifier's window, as for `convolutionize`; not for a result of `convolutionize`.

    Returns
    -------
    ReceptiveField
        In pixels.

    Raises
    ------
    UnsupportedError, ArgumentError, ShapeError
        As `convolutionize`.
    """
    if isinstance(model, Convolutionized):
        if input_size is not None:
            raise ArgumentError(
                "receptive_field: input_size belongs to convolutionize(), which made this; leave it out"
            )
        dense = model.geometry()
    else:
        channels, window = window_size(model, input_size)
        # Only sizes matter, so weights need not exist.
        try:
            dense = _trace(undrawn(model), (3 if channels is None else channels, *window), None, None)
        except NoDenseForm as refusal:
            raise refusal.for_("receptive_field") from None
    (top, height), (left, width) = dense.receptive_field
    return ReceptiveField(size=(height, width), start=(top, left), stride=dense.stride)


def window_size(model: Module, input_size: Size | None) -> tuple[int | None, tuple[int, int]]:
    """Return the channels, if known, and height and width of a classifier's window."""
    if input_size is None:
        known = model.input_size
        if known is None:
            raise ArgumentError(
                f"convolutionize: {type(model).__name__} does not say which size of pictures it is made for; "
                "give input_size, such as 224"
            )
        return known[0], known[1:]
    sizes = [input_size] if isinstance(input_size, int) else list(input_size)
    try:
        sizes = [operator.index(size) for size in sizes]
    except TypeError:
        sizes = []
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise ArgumentError(
            "convolutionize: input_size: expected pixels such as 224, (H, W) or (C, H, W), got "
            f"{input_size!r}"
        )
    channels = sizes[0] if len(sizes) == 3 else _channels(model)
    return channels, (sizes[-2] if len(sizes) > 1 else sizes[0], sizes[-1])


def _channels(model: Module) -> int | None:
    """Return the channels that a network takes, if it or its first convolution states them."""
    if model.input_size is not None:
        return model.input_size[0]
    return next((module.in_channels for module in model.modules() if isinstance(module, Conv2d)), None)


def _channels_and_size(layers: Sequence[Module], input_size: Size | None) -> tuple[int, int, int]:
    if input_size is None:
        raise ArgumentError("convolutionize: a list of layers needs input_size, such as (3, 224, 224)")
    channels, window = window_size(Sequential(*layers), input_size)
    return (3 if channels is None else channels, *window)


def stride_pair(stride: Size) -> tuple[int, int]:
    """Return a stride as (vertical, horizontal)."""
    try:
        sides = (stride, stride) if isinstance(stride, int) else tuple(map(operator.index, stride))
    except TypeError:
        sides = ()
    if len(sides) != 2 or min(sides) < 1:
        raise ArgumentError(
            f"convolutionize: stride: expected pixels from 1, or (vertical, horizontal), got {stride!r}"
        )
    return sides


def _trace(
    model: Module, size: tuple[int, int, int], stride: tuple[int, int] | None, squeeze: str | None
) -> _rvision.DenseGraph:
    """Trace a classifier for one window, and make its dense graph."""
    owner = type(model).__name__
    tracer = Tracer({id(child): name for name, child in model.named_modules()}, owner)
    symbol = tracer.input("x", (1, *size), (False, True, False, False))
    output = model(symbol)
    if not isinstance(output, Symbol):
        found = "a mask (bool)" if isinstance(output, Mask) else type(output).__name__
        raise UnsupportedError(
            f"convolutionize: {owner} returns {found}; a classifier returns logits (N, classes)"
        )
    tracer.builder.output(output.value_of(tracer))
    how: Literal["refused", "global"] = "refused" if squeeze is None else "global"
    try:
        return tracer.builder.convolutionize(stride, how)
    except UnsupportedError as error:
        text = str(error)
        if not text.endswith(SMALLER_STRIDE):
            raise refusal_of(error) from None
    # Not every smaller stride is possible, but 1 always is.
    possible = _largest_stride(tracer.builder, (_FINEST if stride is None else min(stride)) - 1, how)
    raise UnsupportedError(f"{text.removesuffix(SMALLER_STRIDE)}; choose stride={possible}")


def _largest_stride(builder: _rvision.GraphBuilder, most: int, squeeze: Literal["refused", "global"]) -> int:
    """Return the largest stride up to `most` at which a network has a dense form."""
    for stride in range(most, 1, -1):
        try:
            builder.convolutionize((stride, stride), squeeze)
        except UnsupportedError:
            continue
        return stride
    return 1
