"""Weight files: reading and writing state dicts."""

from __future__ import annotations

import os
import stat
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import numpy as np

from rvision import _rvision
from rvision._frames import ends_at_caller, warn
from rvision._tensor import Tensor, cpu_only
from rvision.errors import ArgumentError, StateDictError, UnsupportedError, WeightFileError

__all__ = ["Source", "StateDict", "load", "load_parameters", "save"]

# Prefixes of every key in wrapped models: DataParallel, torch.compile.
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")

# The entry of a safetensors header that keeps torch's `_metadata`.
_METADATA_ENTRY = "torch_metadata"

# File endings of PyTorch's zip format.
_TORCH_ENDINGS = {".pth", ".pt"}

# File endings that other programs would take for another format.
_FOREIGN_ENDINGS = {".bin", ".ckpt", ".tar", ".npz", ".npy", ".onnx", ".pkl"}


@dataclass(frozen=True)
class Source:
    """The origin of a state dict, and the changes made while loading it.

    Attributes
    ----------
    path : str
        The file's path, or the name of a file object.
    format : str
        ``"PyTorch zip"``, ``"PyTorch legacy stream"``, ``"safetensors"`` or ``"pickle"``.
    key : str
        The keys that led to the state dict, joined by dots: ``"state_dict"`` for a file that holds
        ``{"state_dict": ...}``; empty if the file itself is the state dict.
    alternatives : tuple of str
        Keys of other state dicts in the file, for ``load(path, key=...)``.
    prefix : str
        The prefix that a wrapper (``DataParallel``, ``torch.compile``) had put before every key, or
        empty.
    stripped : str
        The prefix that ``strip_prefix`` removed.
    widened : tuple of str
        Names of bfloat16 tensors, which were widened to float32.
    refused_globals : tuple of str
        Functions and classes that the file names and that were not loaded, such as an optimizer's.
    module : str
        The class of the pickled module whose weights these are (``torch.save(model)``); empty if
        the file holds a state dict.
    """

    path: str
    format: str
    key: str = ""
    alternatives: tuple[str, ...] = ()
    prefix: str = ""
    stripped: str = ""
    widened: tuple[str, ...] = ()
    refused_globals: tuple[str, ...] = ()
    module: str = ""


class StateDict(OrderedDict[str, Tensor]):
    """An ordered dict of arrays by name, as torch's ``state_dict()`` is.

    Attributes
    ----------
    source : Source or None
        Its origin.
    _metadata : OrderedDict
        torch's versions of the modules, by module name; kept by :func:`save`.
    """

    source: Source | None = None
    _metadata: OrderedDict[str, dict[str, Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._metadata = OrderedDict()

    def __missing__(self, name: str) -> StateDict:
        """Return the state dict itself for the entry of the checkpoint that it was found under.

        So ``load(path)["state_dict"]`` is what it is in torch, where a file holds more than weights.

        Raises
        ------
        KeyError
            For any other name.
        """
        key = "" if self.source is None else self.source.key
        if not key:
            raise KeyError(name)
        if name == key or name in key.split("."):
            return self
        raise KeyError(
            f"{name}: these are the weights under {key!r}; rvision.load(path, unwrap=False) returns all that "
            "the file holds"
        )


@overload
def load(
    path: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    *,
    key: str | None = None,
    strip_prefix: str | None = None,
    unwrap: Literal[True] = True,
) -> StateDict: ...
@overload
def load(
    path: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    *,
    key: str | None = None,
    strip_prefix: str | None = None,
    unwrap: bool,
) -> Any: ...
@ends_at_caller
def load(
    path: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    *,
    key: str | None = None,
    strip_prefix: str | None = None,
    unwrap: bool = True,
) -> Any:
    """Read a state dict from a ``.pth``, ``.pt`` or ``.safetensors`` file.

    Replaces ``torch.load(path, weights_only=True)``. The file's content determines the format, not
    its name. A file is data: its pickle is read by an interpreter that knows only tensors and
    containers, and never calls anything. Of a whole pickled module (``torch.save(model)``) it reads
    the weights, under the names of its ``state_dict()``; the module's class, which defines the
    architecture, is neither imported nor run.

    Parameters
    ----------
    path : path or binary file object
        The file. An object with ``read()`` is read to its end.
    map_location : str, device, dict or callable, optional
        The CPU, where everything is loaded to anyway: "cpu", a dict whose values are "cpu", or a
        function, which is not called.
    weights_only : bool, optional
        No effect: nothing in a file is ever executed, also with False.
    mmap : bool, optional
        No effect: the engine maps files into memory itself where that helps.
    key : str, optional
        The checkpoint's entry that is the state dict; dots separate nested keys. By default it is
        found under the names that training programs use (``state_dict``, ``model``, ``net``, ...).
        It may also name attributes of objects and submodules of a module.
    strip_prefix : str, optional
        A prefix to remove from the names that begin with it, such as ``"module."``.
    unwrap : bool
        ``False`` returns everything that was saved in its original structure, with a placeholder
        (:class:`rvision._rvision.NotLoaded`) for objects that are not data. Not with `key` and
        `strip_prefix`.

    Returns
    -------
    StateDict
        Writable tensors by name, with the dtypes of the file; numpy has no bfloat16, so it is
        widened to float32. ``.source`` describes the origin, ``._metadata`` has torch's module
        versions.

    Raises
    ------
    WeightFileError
        The file is damaged, is something else (an HTML page, a Git LFS pointer, ...), holds no
        state dict, or has a pickled object that is not data in place of the weights; the message
        names that object's class.
    UnsupportedError
        TorchScript, quantised, sparse and complex tensors, PyTorch's tar format of 2016; a
        `map_location` that is not the CPU.
    StateDictError
        ``strip_prefix`` matches no name or makes two names equal.
    OSError
        From the system: ``FileNotFoundError``, ``PermissionError``, ...

    Warns
    -----
    UserWarning
        Some tensors were bfloat16; every name has a wrapper's prefix that was not stripped; the
        file holds several state dicts, or a whole module, whose architecture is not in it.

    Examples
    --------
    >>> rvision.save({"conv1.weight": np.ones((64, 3, 7, 7), np.float32)}, "mine.safetensors")
    >>> weights = rvision.load("mine.safetensors")
    >>> weights["conv1.weight"].shape
    (64, 3, 7, 7)
    """
    if not unwrap and (key is not None or strip_prefix is not None):
        name = "strip_prefix" if key is None else "key"
        raise ArgumentError(f"load: {name} is for state dicts, and unwrap=False returns all that was saved")
    _check_location(map_location)
    checkpoint = _open(path)
    if not unwrap:
        return _as_tensors(checkpoint.content(), {})
    return _state_dict(checkpoint, key, lambda _, found: _read_tensors(found), strip_prefix)


def _check_location(map_location: Any) -> None:
    """Raise unless `map_location` maps to the CPU; a function is not called, since nothing is moved."""
    if isinstance(map_location, Mapping):
        for place in map_location.values():
            cpu_only(place, "load: map_location")
    elif not callable(map_location) or hasattr(map_location, "type"):
        cpu_only(map_location, "load: map_location")


def _read_tensors(found: _rvision.FoundStateDict) -> list[tuple[str, Any]]:
    return [
        (name, value.view(Tensor) if isinstance(value, np.ndarray) else value) for name, value in found.read()
    ]


def _as_tensors(value: Any, seen: dict[int, Any]) -> Any:
    """Return a file's content with its arrays as tensors. Containers may be shared; they change in place."""
    if isinstance(value, np.ndarray):
        return value.view(Tensor)
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    # The object is kept beside its replacement, or its address could be used again.
    seen[id(value)] = value, value
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _as_tensors(item, seen)
    elif isinstance(value, list):
        value[:] = [_as_tensors(item, seen) for item in value]
    else:
        items = [_as_tensors(item, seen) for item in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            seen[id(value)] = value, tuple(items)
    return seen[id(value)][1]


@ends_at_caller
def load_parameters(path: str | os.PathLike[str], *, key: str | None = None) -> StateDict:
    """Read a state dict whose float32 and float16 values are the engine's parameters, without a copy.

    Otherwise as :func:`load`. As long as parameters of a file are in use, and the file has not changed, the
    same ones are returned: networks with the same weights share them and their packed forms.
    """
    before = _identity(path)
    return _state_dict(
        _open(path), key, lambda checkpoint, found: _read_parameters(checkpoint, found, before)
    )


# Identifies a file's content: device, inode, size and times.
_Identity = tuple[int, int, int, int, int]

# The parameters of files that have been read and are in use, by file, entry and name.
_in_use: weakref.WeakValueDictionary[tuple[_Identity, str, str], _rvision.Parameter] = (
    weakref.WeakValueDictionary()
)

# A file that was written less than this long ago could be written again without a new time.
_SETTLED_NS = 2_000_000_000


def _identity(path: str | os.PathLike[str]) -> _Identity | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    settled = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS
    if not settled or not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read_parameters(
    checkpoint: _rvision.Checkpoint, found: _rvision.FoundStateDict, identity: _Identity | None
) -> list[tuple[str, Any]]:
    """Read tensors as parameters. `identity` is the file's from before it was opened.

    If the path names another file by now, it is not known which of the two was opened.
    """
    if identity is None or _identity(checkpoint.path) != identity:
        return found.read(True)
    known = {}
    for name, _, _ in found.tensors():
        value = _in_use.get((identity, found.key, name))
        if value is not None:
            known[name] = value
    read = found.read(True, known)
    if _identity(checkpoint.path) == identity:
        for name, value in read:
            if isinstance(value, _rvision.Parameter):
                _in_use[identity, found.key, name] = value
    return read


def _state_dict(
    checkpoint: _rvision.Checkpoint,
    key: str | None,
    read: Callable[[_rvision.Checkpoint, _rvision.FoundStateDict], list[tuple[str, Any]]],
    strip_prefix: str | None = None,
) -> StateDict:
    found = checkpoint.state_dict(key)
    result = StateDict(read(checkpoint, found))
    result._metadata = _metadata(checkpoint, found)
    prefix = next((p for p in _WRAPPER_PREFIXES if result and all(k.startswith(p) for k in result)), "")
    if strip_prefix:
        result = _strip(result, strip_prefix)
    result.source = Source(
        path=checkpoint.path,
        format=checkpoint.format,
        key=found.key,
        alternatives=tuple(found.alternatives),
        prefix=prefix,
        stripped=strip_prefix or "",
        widened=tuple(name for name, dtype, _ in found.tensors() if dtype == "bfloat16"),
        refused_globals=tuple(checkpoint.refused_globals),
        module=found.module or "",
    )
    _warn(result.source, hooked=found.hooked)
    return result


def _open(path: str | os.PathLike[str] | BinaryIO) -> _rvision.Checkpoint:
    read = getattr(path, "read", None)
    if read is None:
        return _rvision.Checkpoint.open(os.fspath(path))  # type: ignore[arg-type]
    data = read()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"a file opened in binary mode is needed, its read() gave {type(data).__name__}")
    name = getattr(path, "name", None)
    return _rvision.Checkpoint.from_bytes(name if isinstance(name, str) else "<file object>", bytes(data))


def _metadata(checkpoint: _rvision.Checkpoint, found: _rvision.FoundStateDict) -> OrderedDict[str, Any]:
    text = checkpoint.header.get(_METADATA_ENTRY)
    if text is None:
        metadata = found.metadata()
    else:
        import json

        try:
            metadata = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WeightFileError(
                f"{checkpoint.path}: {_METADATA_ENTRY} in the header is not JSON: {error}"
            ) from None
    return OrderedDict(metadata) if isinstance(metadata, dict) else OrderedDict()


def _strip(state_dict: StateDict, prefix: str) -> StateDict:
    if not any(name.startswith(prefix) for name in state_dict):
        some = ", ".join(list(state_dict)[:3])
        raise StateDictError(f"strip_prefix={prefix!r}: no name begins with it (they are {some}, ...)")
    stripped = StateDict()
    for name, value in state_dict.items():
        short = name.removeprefix(prefix)
        if short in stripped:
            raise StateDictError(f"strip_prefix={prefix!r}: {short!r} and {name!r} would be one name")
        stripped[short] = value
    module = prefix.removesuffix(".")
    for name, versions in state_dict._metadata.items():
        short = "" if name == module else name.removeprefix(prefix)
        # The wrapper's own entry, "", is replaced by that of the wrapped module.
        if name or short not in stripped._metadata:
            stripped._metadata[short] = versions
    return stripped


def _warn(source: Source, *, hooked: bool) -> None:
    if source.module:
        names = (
            "; it has hooks on its state_dict(), which may rename weights and were not run: compare the names"
            if hooked
            else ""
        )
        warn(
            f"{source.path}: a whole pickled module ({source.module}); its weights were read as data, and "
            f"none of its code was run. The architecture is not in the file{names}",
        )
    if source.prefix and not source.stripped:
        warn(
            f"{source.path}: every name begins with {source.prefix!r}, which a wrapper put there; "
            f"rvision.load(..., strip_prefix={source.prefix!r}) removes it",
        )
    if source.widened:
        warn(
            f"{source.path}: {len(source.widened)} bfloat16 tensors were widened to float32, "
            "since numpy has no bfloat16",
        )
    if source.alternatives:
        warn(
            f"{source.path}: took {source.key!r}; the file also holds {', '.join(source.alternatives)} "
            "(choose with key=)",
        )


@ends_at_caller
def save(state_dict: Any, path: str | os.PathLike[str] | BinaryIO) -> None:
    """Write a state dict to a safetensors file, or to a ``.pth`` file that PyTorch reads.

    Replaces ``torch.save(model.state_dict(), path)``. The file's ending determines the format: ``.pth``
    and ``.pt`` are PyTorch's zip format, for ``torch.load(path, weights_only=True)``; anything else is
    safetensors, for ``safetensors.torch.load_file``. The write is atomic: a temporary file next to
    ``path`` is written and renamed.

    Parameters
    ----------
    state_dict : mapping of str to array, or module
        Arrays (or anything ``np.asarray`` takes, such as PyTorch CPU tensors) by name, or a module
        whose ``state_dict()`` is saved. torch's ``_metadata`` is kept. A ``.pth`` file also takes
        other checkpoints: arrays, str, int, float, bool and None, nested in dict, OrderedDict, list and
        tuple. Arrays of the same memory are written once.
    path : path or binary file object
        The file, by convention ``*.safetensors`` or ``*.pth``. To an object with ``write()`` PyTorch's
        format is written.

    Raises
    ------
    ArgumentError
        ``path`` has the ending of another format.
    UnsupportedError
        A value has a type that the format does not support; the message names the entry.
    TypeError
        ``state_dict`` is neither a mapping nor a module, or a name is not a string (safetensors).
    OSError
        From the system.

    Examples
    --------
    >>> model = rvision.models.resnet18(num_classes=10)
    >>> rvision.save(model.state_dict(), "mine.safetensors")
    >>> rvision.load("mine.safetensors")["fc.weight"].shape
    (10, 512)
    >>> import io
    >>> file = io.BytesIO()
    >>> rvision.save({"weight": rvision.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> rvision.load(file, unwrap=False)["epoch"]
    3
    """
    to_object = hasattr(path, "write")
    target = "<file object>" if to_object else os.fspath(path)  # type: ignore[arg-type]
    ending = Path(target).suffix.lower()
    if ending in _FOREIGN_ENDINGS:
        raise ArgumentError(
            f"{target}: rvision writes safetensors and PyTorch's zip format, and {ending} would be taken for "
            "something else; call the file *.safetensors or *.pth"
        )
    if hasattr(state_dict, "state_dict"):
        state_dict = state_dict.state_dict()
    if to_object or ending in _TORCH_ENDINGS:
        # Imported here: zipfile takes time.
        from rvision.weights._torch_zip import write

        write(state_dict, path if to_object else target)
        return
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"expected a state dict or a module, got {type(state_dict).__name__}")
    header = {"format": "pt"}
    metadata = getattr(state_dict, "_metadata", None)
    if metadata:
        import json

        header[_METADATA_ENTRY] = json.dumps(metadata)
    _rvision.write_safetensors(target, list(_described(state_dict, target)), header)


def _described(state_dict: Mapping[str, Any], path: str) -> Iterable[tuple[str, str, list[int], np.ndarray]]:
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise TypeError(f"names must be strings, got {name!r}")
        if hasattr(value, "detach"):
            value = value.detach()
        try:
            array = np.asarray(value, order="C")
        except (TypeError, RuntimeError) as error:
            raise UnsupportedError(f"{path}: {name!r} cannot be made an array: {error}") from error
        if array.dtype.hasobject or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise UnsupportedError(
                f"{path}: {name!r} has type {array.dtype}, which safetensors does not know"
            )
        little = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        yield name, array.dtype.name, list(array.shape), little.reshape(-1).view(np.uint8)
