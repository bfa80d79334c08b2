"""Values inside a network by name: `torchvision.models.feature_extraction`.

>>> from rvision.models.feature_extraction import create_feature_extractor
>>> extractor = create_feature_extractor(resnet18(), {"layer1": "low", "layer4": "high"})
>>> extractor(x)["high"].shape
(1, 512, 7, 7)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from rvision import nn, ops
from rvision._frames import ends_at_caller
from rvision._trace import Tracer, Unbatched, tracer_of
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn._nodes import Node, Nodes
from rvision.nn._state import undrawn

__all__ = ["FeatureExtractor", "create_feature_extractor", "get_graph_node_names"]

# The blocks that torchvision's extractor does not look into.
_BLOCKS = (ops.Conv2dNormActivation, ops.SqueezeExcitation, ops.MLP, ops.Permute, ops.StochasticDepth)


@ends_at_caller
def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: Mapping[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: Mapping[str, Any] | None = None,
    *,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
) -> tuple[list[str], list[str]]:
    """Return the names of the values in a network, in the order in which they are computed.

    Parameters
    ----------
    model : Module
        The network. It is not run, and unused weights are not initialised.
    tracer_kwargs : dict, optional
        ``{"leaf_modules": [...]}``: further modules that are one node. What else torch.fx takes has
        no effect.
    suppress_diff_warning : bool
        Has no effect: there is one mode, so the lists do not differ.
    concrete_args : dict, optional
        Arguments of `forward` by name that are not arrays.
    input_size : sequence of int, or a sequence of these, optional
        The shape of the input, (N, C, H, W); by default that of the pictures that the network is made
        for, or one picture of 224x224 with the channels of the first convolution.

    Returns
    -------
    train_nodes, eval_nodes : list of str
        The same names twice: torchvision's, see :func:`create_feature_extractor`.

    Raises
    ------
    ArgumentError
        If the network cannot be traced with this size; the message says why.

    Examples
    --------
    >>> get_graph_node_names(resnet18())[1][:4]
    ['x', 'conv1', 'bn1', 'relu']
    """
    names = [node.name for node in _listed(model, _blocks(tracer_kwargs), concrete_args, input_size).coarse]
    return names, list(names)


@ends_at_caller
def create_feature_extractor(
    model: nn.Module,
    return_nodes: Sequence[str] | Mapping[str, str] | None = None,
    train_return_nodes: Sequence[str] | Mapping[str, str] | None = None,
    eval_return_nodes: Sequence[str] | Mapping[str, str] | None = None,
    tracer_kwargs: Mapping[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: Mapping[str, Any] | None = None,
    *,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
) -> FeatureExtractor:
    """Return a network that computes values inside `model` in one run, and nothing that they do not need.

    It shares the parameters with `model`, and follows changes of them.

    Parameters
    ----------
    model : Module
        The network.
    return_nodes : list of str, or dict of str to str
        Names from :func:`get_graph_node_names`, or the beginning of one: ``"layer4"`` is the last value
        computed in it. A dict's values are the keys of the result. Names of operations within a block
        of `rvision.ops` (``"features.0.1"``) work too.
    train_return_nodes, eval_return_nodes : list of str, or dict of str to str
        Both, instead of `return_nodes`; those for evaluation are used.
    tracer_kwargs, suppress_diff_warning, concrete_args, input_size
        See :func:`get_graph_node_names`; `input_size` is only used to check names here. The extractor
        takes all sizes that the network takes.

    Returns
    -------
    FeatureExtractor
        A module; a call returns a dict of arrays, in the order in which they are computed.

    Raises
    ------
    ArgumentError
        If the network has no such node; the message has similar names.
    ValueError
        If no names are given, or both kinds.

    Notes
    -----
    A value is what the operation computed. torchvision returns a value after layers that work in place
    have overwritten it: there, ``"bn1"`` of a ResNet is the same as ``"relu"``. It also gives a node to
    one name only, so that ``"layer4"`` beside ``"layer4.1.relu_1"`` is an earlier node there.
    """
    if return_nodes is None and train_return_nodes is None and eval_return_nodes is None:
        raise ValueError(
            "create_feature_extractor: give return_nodes, or train_return_nodes and eval_return_nodes"
        )
    if (train_return_nodes is None) != (eval_return_nodes is None):
        raise ValueError("create_feature_extractor: give both train_return_nodes and eval_return_nodes")
    if return_nodes is not None and eval_return_nodes is not None:
        raise ValueError("create_feature_extractor: give return_nodes or eval_return_nodes, not both")
    wanted = _wanted(return_nodes if return_nodes is not None else eval_return_nodes)
    blocks = _blocks(tracer_kwargs)
    try:
        nodes = _listed(model, blocks, concrete_args, input_size)
    except ArgumentError:
        if input_size is not None:
            raise
        # Names are checked in the first call, which has an input.
    else:
        _selected(nodes, wanted, type(model).__name__)
    return FeatureExtractor(model, wanted, blocks, concrete_args)


class FeatureExtractor(nn.Module):
    """Values inside a network, see :func:`create_feature_extractor`.

    Parameters
    ----------
    model : Module
        The network; its layers, parameters and buffers are those of the extractor.
    return_nodes : dict of str to str
        The keys of the result by node.
    blocks : tuple of type
        Modules that are one node.
    concrete_args : dict, optional
        Arguments of the network's `forward`.
    """

    def __init__(
        self,
        model: nn.Module,
        return_nodes: Mapping[str, str],
        blocks: tuple[type, ...] = _BLOCKS,
        concrete_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        # Not a submodule: names are those of the network.
        self.__dict__["_model"] = model
        self.return_nodes = dict(return_nodes)
        self._blocks = blocks
        self._concrete = dict(concrete_args or {})
        self._share()

    def _share(self) -> None:
        model = self.__dict__["_model"]
        for registry in ("_parameters", "_buffers", "_modules", "_transient"):
            self.__dict__[registry] = model.__dict__[registry]
        # A change of the network changes the extractor.
        model._links.add_parent(self)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _put(self, registry: str, name: str, value: Any) -> None:
        self.__dict__["_model"]._put(registry, name, value)

    def named_modules(
        self, memo: set[nn.Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        """Yield the extractor, the network under the same name, and all modules below it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        yield from self.__dict__["_model"].named_modules(memo, prefix, remove_duplicate)

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the values by key."""
        tracer = tracer_of(args, kwargs)
        model = self.__dict__["_model"]
        if tracer is None:
            raise ArgumentError("FeatureExtractor: expected an array, got none")
        nodes = Nodes(tracer, self._blocks)
        nodes.inputs(_arguments(model, args, kwargs))
        kwargs = {**self._concrete, **kwargs}
        with nodes.listening():
            try:
                model(*args, **kwargs)
            except ShapeError:
                # A picture may be too small for layers that nothing here needs.
                if not all(_found(nodes, query) for query in self.return_nodes):
                    raise
        return _selected(nodes, self.return_nodes, type(model).__name__)


def _wanted(names: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    if isinstance(names, str) or names is None:
        raise ArgumentError(f"return_nodes: expected a list or dict of names, got {names!r}")
    pairs = names.items() if isinstance(names, Mapping) else zip(names, names, strict=True)
    return {str(name): str(key) for name, key in pairs}


def _blocks(tracer_kwargs: Mapping[str, Any] | None) -> tuple[type, ...]:
    return (*_BLOCKS, *(tracer_kwargs or {}).get("leaf_modules", ()))


def _arguments(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by the names of the parameters of `forward`."""
    try:
        return dict(inspect.signature(model.forward).bind_partial(*args, **kwargs).arguments)
    except TypeError:
        return {}


def _listed(
    model: nn.Module,
    blocks: tuple[type, ...],
    concrete: Mapping[str, Any] | None,
    input_size: Sequence[Any] | None,
) -> Nodes:
    """Trace a copy of a network for its names."""
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model: expected an rvision network, got {type(model).__name__}")
    twin = undrawn(model)
    if input_size is None:
        input_size = _usual_size(model)
    sizes = [input_size] if isinstance(input_size[0], int) else list(input_size)
    paths = {id(child): name for name, child in twin.named_modules()}

    def trace(sizes: Sequence[Sequence[int]], pictures: bool) -> Nodes:
        tracer = Tracer(paths, type(model).__name__, pictures)
        symbols = [tracer.input("input", size, (True,) * len(size)) for size in sizes]
        nodes = Nodes(tracer, blocks)
        nodes.inputs(_arguments(twin, symbols, {}))
        with nodes.listening():
            twin(*symbols, **(concrete or {}))
        return nodes

    try:
        try:
            return trace(sizes, pictures=True)
        except Unbatched:
            return trace([(1, *size) for size in sizes], pictures=False)
    except (ShapeError, UnsupportedError, TypeError) as error:
        raise ArgumentError(
            f"{type(model).__name__}: its nodes were listed for an input of {', '.join(map(str, sizes))}, "
            f"and {error}; give input_size=, such as (1, 3, 224, 224)"
        ) from None


def _usual_size(model: nn.Module) -> tuple[int, ...]:
    size = getattr(model, "input_size", None)
    if size is not None:
        return (1, *size)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return (1, module.in_channels, 224, 224)
        if isinstance(module, nn.Linear):
            return (1, module.in_features)
    return (1, 3, 224, 224)


def _last(nodes: Sequence[Node], query: str) -> int | None:
    """Return the position of the last node that is `query` or below it."""
    depth = query.count(".") + 1
    matches: Callable[[Node], bool] = lambda node: ".".join(node.name.split(".")[:depth]) == query  # noqa: E731
    return next((at for at in range(len(nodes) - 1, -1, -1) if matches(nodes[at])), None)


def _found(nodes: Nodes, query: str) -> tuple[int, Any] | None:
    """Return the time and value of the node that `query` selects."""
    for known in (nodes.coarse, nodes.fine):
        at = _last(known, query)
        if at is not None:
            return known[at].time, known[at].value
    return None


def _selected(nodes: Nodes, wanted: Mapping[str, str], owner: str) -> dict[str, Any]:
    found: list[tuple[int, str, Any]] = []
    for query, key in wanted.items():
        place = _found(nodes, query)
        if place is None:
            names = [node.name for node in nodes.coarse]
            starts = {
                ".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2)
            }
            similar = get_close_matches(query, sorted(starts), n=3, cutoff=0.5)
            hint = f" (similar: {', '.join(map(repr, similar))})" if similar else ""
            raise ArgumentError(
                f"{owner} has no node {query!r}{hint}; get_graph_node_names(model) lists all {len(names)}"
            )
        found.append((place[0], key, place[1]))
    return {key: value for _, key, value in sorted(found, key=lambda each: each[0])}
