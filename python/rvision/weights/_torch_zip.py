"""Writing of PyTorch's zip format, the files of `torch.save` that `torch.load(weights_only=True)` reads.

A file is a zip archive without compression. Its `data.pkl` is a pickle of protocol 2 in which a tensor is a
call of `torch._utils._rebuild_tensor_v2` on a storage, and a storage is the name of a record `data/0`,
`data/1`, ... of the archive. The pickle is emitted here, opcode by opcode, and has only tensors, plain
containers, text and numbers.
"""

from __future__ import annotations

import itertools
import os
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from rvision.errors import UnsupportedError

__all__ = ["write"]

# torch's storages by NumPy's types. The unsigned types above 8 bits have none.
_STORAGES = {
    "bool": "BoolStorage",
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
}

# torch's name of the archive's folder where a file has no name; the bytes do not depend on the path.
_FOLDER = "archive"

# torch maps records into memory, at addresses that are multiples of this.
_ALIGNMENT = 64

# Bytes of a local header of a zip file before its name, of the head of an extra field, and of the extra field
# that zipfile adds to large files.
_LOCAL_HEADER, _EXTRA_HEAD, _ZIP64_EXTRA = 30, 4, 20

# Deeper nesting would exhaust Python's stack.
_DEPTH = 100

_counter = itertools.count()


def write(content: Any, target: Any) -> None:
    """Write tensors and plain containers as `torch.save` does.

    Parameters
    ----------
    content : dict, list, tuple, array, str, int, float, bool or None
        What to write, nested.
    target : str or file object
        The path of a file, which appears complete or not at all; or an object with ``write()``.

    Raises
    ------
    UnsupportedError
        A value is something else; the message has its place.
    OSError
        From the system.
    """
    pickle = _Pickle("<file object>" if hasattr(target, "write") else target)
    pickle.top(content)
    if hasattr(target, "write"):
        _archive(target, pickle)
        return
    temporary, file = _create_beside(Path(target))
    try:
        with file:
            _archive(file, pickle)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _create_beside(path: Path) -> tuple[Path, Any]:
    """Create a file in the folder of `path`, under a name of its own and with the usual permissions."""
    while True:
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_counter)}.tmp")
        try:
            return temporary, temporary.open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            error.filename = str(path)
            raise


def _archive(file: Any, pickle: _Pickle) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:

        def record(name: str, data: Any) -> None:
            # The date is zipfile's first one, so that the same content has the same bytes.
            info = zipfile.ZipInfo(f"{_FOLDER}/{name}")
            info.extra = _padding(archive.start_dir, len(info.filename), memoryview(data).nbytes)
            archive.writestr(info, data)

        record("data.pkl", bytes(pickle.code))
        record(".format_version", b"1")
        record(".storage_alignment", str(_ALIGNMENT).encode())
        record("byteorder", b"little")
        for key, data in enumerate(pickle.records):
            record(f"data/{key}", data)
        record("version", b"3\n")


def _padding(start: int, name: int, size: int) -> bytes:
    """Return the extra field, as torch's, after which a record's data are aligned."""
    large = _ZIP64_EXTRA if size * 1.05 > zipfile.ZIP64_LIMIT else 0
    data = start + _LOCAL_HEADER + name + large + _EXTRA_HEAD
    fill = -data % _ALIGNMENT
    return b"FB" + struct.pack("<H", fill) + b"Z" * fill


class _Pickle:
    """An emitter of pickles of protocol 2.

    Attributes
    ----------
    code : bytearray
        The pickle.
    records : list of numpy.ndarray
        uint8 (n,): the storages.
    """

    def __init__(self, path: str) -> None:
        self.code = bytearray()
        self.records: list[np.ndarray] = []
        self._path = path
        self._memo: dict[Any, int] = {}
        self._storages: dict[tuple[int, int, str], int] = {}
        self._open: list[int] = []
        # Addresses identify objects, which therefore must outlive the pickle.
        self._kept: list[Any] = []

    def top(self, content: Any) -> None:
        """Emit a whole pickle."""
        self.code += b"\x80\x02"
        self._value(content, "")
        self.code += b"."

    def _value(self, value: Any, place: str) -> None:
        # NumPy's numbers are tensors without dimensions: np.float64 is a float too.
        if hasattr(value, "dtype") and hasattr(value, "__array__"):
            self._tensor(value, place)
        elif value is None:
            self.code += b"N"
        elif isinstance(value, bool):
            self.code += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._integer(int(value), place)
        elif isinstance(value, float):
            self.code += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self._text(str.__str__(value))
        elif isinstance(value, dict | list | tuple):
            self._container(value, place)
        else:
            self._refuse(value, place)

    def _refuse(self, value: Any, place: str) -> None:
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        advice = "a file of weights has tensors, dict, list, tuple, str, int, float, bool and None"
        if hasattr(value, "state_dict"):
            advice = "save its state_dict()"
        raise UnsupportedError(
            f"{self._path}: {_at(place)} is of type {kind}, which cannot be saved; {advice}"
        )

    def _integer(self, value: int, place: str) -> None:
        if 0 <= value < 256:
            self.code += b"K" + struct.pack("<B", value)
        elif -(2**31) <= value < 2**31:
            self.code += b"J" + struct.pack("<i", value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(data) > 255:
                raise UnsupportedError(
                    f"{self._path}: {_at(place)} is an integer of {len(data)} bytes, more than the 255 that "
                    "can be saved"
                )
            self.code += b"\x8a" + struct.pack("<B", len(data)) + data

    def _text(self, text: str) -> None:
        if self._known(text):
            return
        data = text.encode("utf-8", "surrogatepass")
        self.code += b"X" + struct.pack("<I", len(data)) + data
        self._remember(text)

    def _known(self, key: Any) -> bool:
        """Emit what has been emitted before, and return whether it has been."""
        index = self._memo.get(key)
        if index is None:
            return False
        self.code += b"h" + struct.pack("<B", index) if index < 256 else b"j" + struct.pack("<I", index)
        return True

    def _remember(self, key: Any) -> None:
        index = self._memo[key] = len(self._memo)
        self.code += b"q" + struct.pack("<B", index) if index < 256 else b"r" + struct.pack("<I", index)

    def _name(self, module: str, name: str) -> None:
        """Emit the name of a function or class."""
        if not self._known((module, name)):
            self.code += f"c{module}\n{name}\n".encode()
            self._remember((module, name))

    def _container(self, value: Any, place: str) -> None:
        if not value and isinstance(value, tuple):
            self.code += b")"
            return
        if self._known(id(value)):
            return
        if id(value) in self._open:
            raise UnsupportedError(f"{self._path}: {_at(place)} is a container that contains itself")
        if len(self._open) >= _DEPTH:
            raise UnsupportedError(f"{self._path}: {_at(place)} is nested deeper than {_DEPTH} containers")
        self._open.append(id(value))
        self._kept.append(value)
        if isinstance(value, dict):
            self._dict(value, place)
        else:
            self.code += b"(" if isinstance(value, tuple) else b"](" if value else b"]"
            for index, item in enumerate(value):
                self._value(item, f"{place}[{index}]")
            self.code += b"t" if isinstance(value, tuple) else b"e" if value else b""
            self._remember(id(value))
        self._open.pop()

    def _dict(self, value: dict[Any, Any], place: str) -> None:
        ordered = isinstance(value, OrderedDict)
        if ordered:
            self._name("collections", "OrderedDict")
            self.code += b")R"
        else:
            self.code += b"}"
        if value:
            self.code += b"("
            for key, item in value.items():
                if not isinstance(key, str | int | float | tuple | None):
                    self._refuse(key, f"{place}, a key {key!r},")
                self._value(key, f"{place}, a key {key!r},")
                self._value(item, f"{place}[{key!r}]")
            self.code += b"u"
        metadata = getattr(value, "_metadata", None) if ordered else None
        if metadata is not None:
            self.code += b"}"
            self._text("_metadata")
            self._value(metadata, f"{place}._metadata")
            self.code += b"sb"
        self._remember(id(value))

    def _tensor(self, value: Any, place: str) -> None:
        if hasattr(value, "detach"):
            value = value.detach()
        try:
            array = np.asarray(value)
        except (TypeError, RuntimeError) as error:
            raise UnsupportedError(f"{self._path}: {_at(place)} cannot be made an array: {error}") from error
        storage = _STORAGES.get(array.dtype.name)
        if storage is None:
            raise UnsupportedError(
                f"{self._path}: {_at(place)} has type {array.dtype}, which torch's files of weights do not "
                f"know; convert it to one of {', '.join(_STORAGES)}"
            )
        little = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        key = self._storage(little)
        self._name("torch._utils", "_rebuild_tensor_v2")
        self.code += b"(("
        self._text("storage")
        self._name("torch", storage)
        self._text(str(key))
        self._text("cpu")
        self._integer(little.size, place)
        self.code += b"tQK\x00"
        self._sizes(little.shape)
        self._sizes(tuple(step // little.itemsize for step in _steps(little)))
        self.code += b"\x89"  # requires_grad
        self._name("collections", "OrderedDict")  # no hooks
        self.code += b")RtR"

    def _storage(self, array: np.ndarray) -> int:
        """Return the record of an array; arrays of the same memory share one."""
        place = (array.__array_interface__["data"][0], array.nbytes, array.dtype.name)
        if array.nbytes and place in self._storages:
            return self._storages[place]
        self._kept.append(array)
        self.records.append(array.reshape(-1).view(np.uint8))
        key = self._storages[place] = len(self.records) - 1
        return key

    def _sizes(self, sizes: tuple[int, ...]) -> None:
        self.code += b"(" if sizes else b")"
        for size in sizes:
            self._integer(size, "")
        self.code += b"t" if sizes else b""


def _steps(array: np.ndarray) -> tuple[int, ...]:
    """Return the strides in bytes of a dense array; NumPy's own are arbitrary in empty ones."""
    steps, step = [], array.itemsize
    for size in reversed(array.shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def _at(place: str) -> str:
    return f"entry {place}" if place else "what is to be saved"
