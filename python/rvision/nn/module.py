"""The base class of layers and networks: torch's `nn.Module`, for inference.

A module keeps parameters, buffers and other modules that are assigned to its attributes. Calling it runs
its `forward`: with arrays through a traced graph (see :mod:`rvision.nn._run`), with symbols by adding nodes
to the graph of the module that was called first.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, overload

import numpy as np

from rvision import _sizes, _trace
from rvision._frames import hide_frames
from rvision._tensor import Tensor
from rvision.errors import ShapeError, UnsupportedError
from rvision.nn import _hooks, _run, _state
from rvision.nn._links import Links
from rvision.nn._tree import REGISTRIES
from rvision.nn._watch import is_own
from rvision.nn.parameter import Buffer, Constant, Drawn, Held, Parameter

__all__ = ["Module"]

M = TypeVar("M", bound="Module")


class Module(_hooks.Hooked["Module"]):
    """Base class of layers and networks; the same as `torch.nn.Module` for inference.

    A subclass calls ``super().__init__()``, assigns its parts to attributes and defines `forward`, which is
    written once for arrays and pictures of every size::

        class Block(nn.Module):
            def __init__(self, channels):
                super().__init__()
                self.conv = nn.Conv2d(channels, channels, 3, padding=1)
                self.relu = nn.ReLU(inplace=True)

            def forward(self, x):
                return self.relu(self.conv(x)) + x

    A call takes anything that `np.asarray` or DLPack takes (NumPy arrays, PyTorch CPU tensors) and
    returns float32 arrays in the structure that `forward` returns. Arguments are never written to,
    even if `forward` changes its input in place. If a layer for pictures is given an input (C, H,
    W), it is one picture, and the outputs have no batch dimension either.

    Notes
    -----
    `forward` is traced once and not run again until the module or something in it changes: an
    attribute assigned or deleted, a layer replaced, a state dict loaded, or anything else its code
    reads: containers and objects that the module references, globals, class attributes. It must not
    draw random numbers, and other sources (the time, files, the environment) are read once.
    Parameters and buffers cannot be changed in place; assign an array to them
    (``conv.weight = conv.weight * 2``).

    Examples
    --------
    >>> class Twice(nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Twice()(np.float32([1, 2])).tolist()
    [2.0, 4.0]
    """

    _spatial: bool = False
    """Whether the layer or network is for pictures (N, C, H, W), so an input (C, H, W) is one picture."""

    input_size: tuple[int, int, int] | None = None
    """(C, H, W) of the pictures that a network is made for, if known."""

    # ---- running ----

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; every subclass that is called defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    @overload
    def __call__(self, x: _trace.Symbol, /, *args: Any, **kwargs: Any) -> Any: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> Tensor: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module on arrays, or add its nodes to the network that is being traced."""
        tracer = _trace.tracer_of(args, kwargs)
        if tracer is None:
            try:
                return _run.call_module(self, args, kwargs)
            except Exception as error:
                hide_frames(error)
                raise
        return self._add_nodes(tracer, args, kwargs)

    def _add_nodes(self, tracer: _trace.Tracer, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call `forward` with symbols of the network that is being traced."""
        if self._spatial:
            for value in args:
                if isinstance(value, _trace.Symbol):
                    tracer.takes_picture(value)
        hooked = "_hooks" in self.__dict__
        if hooked:
            _hooks.note(tracer, self, args, kwargs, before=True)
        with tracer.inside(self, self._is_leaf()):
            if tracer.listeners:
                result = _hooks.heard(tracer, self, args, kwargs)
            else:
                result = self.forward(*args, **kwargs)
            if tracer.check is not None and not is_own(self):
                tracer.check(tracer.where)
        if hooked:
            _hooks.note(tracer, self, args, kwargs, before=False, result=result)
        return result

    def _is_leaf(self) -> bool:
        """Whether the module is a layer of rvision.nn, whose node has the module's own name."""
        return type(self).__module__.startswith("rvision.nn.")

    # ---- the registry ----

    def register_parameter(self, name: str, param: Parameter | Drawn | None) -> None:
        """Add a parameter.

        Parameters
        ----------
        name : str
            The name of its attribute.
        param : Parameter or None
            None stands for an optional parameter that this module does not have, such as a missing
            bias.
        """
        if param is not None and not isinstance(param, Parameter | Drawn):
            raise TypeError(
                f"{type(self).__name__}.{name}: a parameter must be an nn.Parameter or None, got "
                f"{type(param).__name__}"
            )
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Add a buffer: an array that is not a parameter.

        Parameters
        ----------
        name : str
            The name of its attribute.
        tensor : array_like or None
            Floats become a :class:`Buffer`; integers and bool stay as they are.
        persistent : bool
            Whether it is part of the state dict.
        """
        self._register("_buffers", name, _as_buffer(tensor))
        (self._transient.discard if persistent else self._transient.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}.{name}: a submodule must be an nn.Module or None, got "
                f"{type(module).__name__}"
            )
        self._register("_modules", name, module)

    add_module = register_module

    def _register(self, registry: str, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(
                f"call super().__init__() in {type(self).__name__}.__init__ before assigning {name!r}"
            )
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(
                f"{type(self).__name__}: {name!r} cannot be a name here: it must be text without '.'"
            )
        if hasattr(type(self), name) or (name in self.__dict__ or self._elsewhere(registry, name)):
            raise KeyError(f"{type(self).__name__}: attribute {name!r} exists already")
        self._put(registry, name, value)

    def _elsewhere(self, registry: str, name: str) -> bool:
        return any(name in self.__dict__[other] for other in REGISTRIES if other != registry)

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, Parameter | Module | Drawn):
            registry = "_modules" if isinstance(value, Module) else "_parameters"
            if registry not in attributes:
                raise AttributeError(
                    f"call super().__init__() in {type(self).__name__}.__init__ before assigning {name!r}"
                )
            attributes.pop(name, None)
            for other in REGISTRIES:
                if other != registry:
                    attributes[other].pop(name, None)
            self._put(registry, name, value)
            return
        if isinstance(value, _trace.Traced):
            raise UnsupportedError(
                f"{type(self).__name__}.{name}: a value of forward cannot be kept in an attribute, "
                "since forward is traced and not run on each call; return it from forward"
            )
        if "_links" in attributes:
            for registry in REGISTRIES:
                if name in attributes[registry]:
                    self._put(registry, name, self._replacement(registry, name, value))
                    return
        object.__setattr__(self, name, _sizes.plain(value))
        if "_links" in attributes:
            self._links.changed()

    def _replacement(self, registry: str, name: str, value: Any) -> Any:
        """Convert a value that is assigned to a registered name into the value that is stored."""
        if value is None:
            return None
        where = f"{type(self).__name__}.{name}"
        if registry == "_modules":
            raise TypeError(f"{where}: expected an nn.Module or None, got {type(value).__name__}")
        new = Parameter(value) if registry == "_parameters" else _as_buffer(value)
        old = self.__dict__[registry][name]
        if isinstance(old, Held | Drawn) and isinstance(new, Constant):
            new = new._as(old.dtype)
        if old is not None and tuple(old.shape) != tuple(new.shape):
            advice = "; for another shape assign nn.Parameter(array)" if registry == "_parameters" else ""
            raise ShapeError(
                f"{where}: expected an array of shape {tuple(old.shape)}, got {tuple(new.shape)}{advice}"
            )
        return new

    def __getattr__(self, name: str) -> Any:
        # Only called for names that are not plain attributes.
        attributes = self.__dict__
        for registry in REGISTRIES:
            found = attributes.get(registry)
            if found is not None and name in found:
                value = found[name]
                if isinstance(value, Drawn):
                    value = self._made(registry, name, value)
                return self._array(name, value) if isinstance(value, Held) else value
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for registry in REGISTRIES:
            if name in self.__dict__[registry]:
                del self.__dict__[registry][name]
                self._arrays.pop(name, None)
                self._transient.discard(name)
                break
        else:
            object.__delattr__(self, name)
        self._links.changed()

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    # ---- the state dict ----

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Tensor]:
        """Return parameters and persistent buffers by name.

        Its `_metadata` holds the version of each module's names, as in torch. Values are read-only
        arrays, except for integer buffers, which are copies. `keep_vars` is torch's, for gradients,
        and has no effect.
        """
        return _state.save(self, prefix, destination)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _state.IncompatibleKeys:
        """Load parameters and buffers by name.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            From :func:`rvision.load`, another module, or torch (CPU tensors). Values of any real type
            become what the module has: float32, or float16 after :meth:`half`.
        strict : bool
            Whether names must fit exactly.
        assign : bool
            Whether float16 values stay float16 in any module, as in torch. All others become
            float32.

        Returns
        -------
        NamedTuple
            `missing_keys` and `unexpected_keys`, both empty if `strict`.

        Raises
        ------
        StateDictError
            If names (with `strict`) or shapes do not fit. In this case nothing is changed.
        """
        try:
            return _state.load(self, state_dict, strict, assign)
        except Exception as error:
            hide_frames(error)
            raise

    # ---- modes, devices and types: one mode, one device, two types of weights ----

    def eval(self: M) -> M:
        """Return the module: it is always in evaluation mode."""
        return self

    def train(self: M, mode: bool = True) -> M:
        """Accept False.

        Raises
        ------
        UnsupportedError
            For True: rvision is for inference only.
        """
        if mode:
            raise UnsupportedError(
                f"{type(self).__name__}.train(): rvision is for inference only; train in PyTorch and "
                f"load the state dict"
            )
        return self

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Accept False: there are no gradients."""
        if requires_grad:
            raise UnsupportedError(f"{type(self).__name__}.requires_grad_(): rvision is for inference only")
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Store the weights in another type, as :meth:`half` and :meth:`float` do, and return the module.

        Parameters
        ----------
        *args, **kwargs
            A dtype of NumPy or torch, or its name: float32 or float16. The CPU as a device is
            accepted; `memory_format` and `non_blocking` are ignored: the engine chooses its own.

        Raises
        ------
        UnsupportedError
            For any other device or type.
        """
        for name in ("memory_format", "non_blocking"):
            kwargs.pop(name, None)
        if unknown := kwargs.keys() - {"device", "dtype", "tensor"}:
            raise TypeError(f"{type(self).__name__}.to() got an unexpected keyword argument {min(unknown)!r}")
        dtype: type[np.floating[Any]] | None = None
        for wish in [*args, *kwargs.values()]:
            if wish is None or isinstance(wish, bool):
                continue
            name = wish if isinstance(wish, str) else _type_name(wish)
            if re.fullmatch(r"(torch\.)?(float32|float)", name):
                dtype = np.float32
            elif re.fullmatch(r"(torch\.)?(float16|half)", name):
                dtype = np.float16
            elif not re.fullmatch(r"cpu(:0)?", name):
                raise UnsupportedError(
                    f"{type(self).__name__}.to({name}): rvision computes in float32 on the CPU and stores "
                    f"weights in float32 or float16"
                )
        return self if dtype is None else self._store(dtype)

    def _store(self: M, dtype: type[np.floating[Any]]) -> M:
        """Convert every float parameter and buffer of the tree; shared ones stay shared."""
        places: dict[int, list[tuple[Module, str, str]]] = {}
        for module in self.modules():
            for registry in ("_parameters", "_buffers"):
                for name, value in module.__dict__[registry].items():
                    if isinstance(value, Held | Drawn) and value.dtype != dtype:
                        places.setdefault(id(value), []).append((module, registry, name))
        # One by one, so that at most one value exists in both types.
        for same in places.values():
            module, registry, name = same[0]
            value = module.__dict__[registry][name]._as(dtype)
            for module, registry, name in same:
                module._put(registry, name, value)
        return self

    def cpu(self: M) -> M:
        """Return the module: it is always on the CPU."""
        return self

    def float(self: M) -> M:
        """Store the weights in float32 again, and return the module.

        Rounded values stay rounded; to get the old ones back, load them again.
        """
        return self._store(np.float32)

    def cuda(self: M, device: Any = None) -> M:
        """Raise UnsupportedError: there is only the CPU."""
        return self.to("cuda")

    def half(self: M) -> M:
        """Store the weights in float16, and return the module.

        All float parameters and buffers are rounded, as in torch, and take half the memory. Inputs,
        outputs and everything between them stay float32, while torch computes in float16: the
        results are those of the same float32 module with rounded weights. Layers that are bound by
        reading their weights, mainly linear layers on a few pictures, become faster.

        Notes
        -----
        Values beyond 65504 become infinite. Values loaded later are rounded too.
        """
        return self._store(np.float16)

    def bfloat16(self: M) -> M:
        """Raise UnsupportedError: weights are stored in float32 or float16."""
        return self.to("bfloat16")

    def double(self: M) -> M:
        """Raise UnsupportedError: weights are stored in float32 or float16."""
        return self.to("float64")

    # ---- copies and text ----

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_links"], state["_arrays"]
        # A shallow copy gets its own registry.
        for registry in (*REGISTRIES, "_transient"):
            state[registry] = state[registry].copy()
        # A copy has the same random numbers in any tree.
        for name, value in self._parameters.items():
            if isinstance(value, Drawn) and value.name is None:
                state["_parameters"][name] = replace(value, name=self._full_name(name))
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["_links"] = Links()
        self.__dict__["_arrays"] = {}
        for value in self._buffers.values():
            # A deep copy of an array is writable; keep it read-only here.
            if type(value) is np.ndarray:
                value.flags.writeable = False
        for module in self._modules.values():
            if module is not None:
                module._links.add_parent(self)

    def extra_repr(self) -> str:
        """Return what `repr` shows besides the children."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def _child_lines(self) -> Iterable[str]:
        return [_indented(f"({name}): {module!r}") for name, module in self._modules.items()]

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = list(self._child_lines())
        if not children and "\n" not in extra:
            return f"{self._get_name()}({extra})"
        lines = [*(extra.split("\n") if extra else []), *children]
        return "\n  ".join([f"{self._get_name()}(", *lines]) + "\n)"

    def _repr_html_(self) -> str:
        from rvision.nn._shown import as_html

        return as_html(self)


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _as_buffer(value: Any) -> Any:
    if value is None or isinstance(value, Buffer | Drawn):
        return value
    array = value if isinstance(value, np.ndarray) else None
    if array is None:
        tensor = value.detach().cpu() if hasattr(value, "detach") else value
        if "bfloat16" in str(getattr(tensor, "dtype", "")):
            return Buffer(tensor)
        array = np.asarray(tensor)
    if array.dtype.kind not in "iub":
        return Buffer(array)
    # Like all others it is changed by assigning another array, which is detected.
    own = np.array(array)
    own.flags.writeable = False
    return own


def _type_name(wish: Any) -> str:
    if hasattr(wish, "type") and hasattr(wish, "index") and isinstance(wish.type, str):
        return wish.type  # torch.device
    try:
        return np.dtype(wish).name
    except TypeError:
        return str(wish)
