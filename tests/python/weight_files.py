"""Hand-made weight files: pickles of names that cannot be imported, in each container."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import rvision


class Runs:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Storage:
    def __init__(self, kind, key, count):
        self.id = ("storage", kind, key, "cpu", count)


class Named:
    """Pickles as the global of this name."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __reduce__(self):
        raise AssertionError("written by Assembler only")


def dumps(thing, protocol=2) -> bytes:
    """Pickle, writing `Named` as globals whether or not they can be imported."""
    file = io.BytesIO()
    pickler = Assembler(file, protocol)
    pickler.dump(thing)
    return file.getvalue()


class Assembler(pickle._Pickler):
    def persistent_id(self, thing):
        return thing.id if isinstance(thing, Storage) else None

    def save(self, thing, *arguments, **options):
        known = self.memo.get(id(thing)) if isinstance(thing, Object) else None
        if known is not None:
            self.write(self.get(known[0]))
            return
        if isinstance(thing, Named):
            self.write(b"c" + thing.module.encode() + b"\n" + thing.name.encode() + b"\n")
            return
        if isinstance(thing, Calls):
            self.save(thing.function)
            self.save(thing.arguments)
            self.write(b"R")
            return
        if isinstance(thing, Object):
            self.save(thing.kind)
            self.write(b")\x81")
            # Before its state, which may lead back to it.
            self.memoize(thing)
            self.save(thing.state)
            self.write(b"b")
            return
        super().save(thing, *arguments, **options)


class Object:
    """Pickles as an object of this class with this state."""

    def __init__(self, kind, state):
        self.kind, self.state = kind, state


def module(parameters=(), buffers=(), children=(), *, kind="mylib.Net", transient=(), **attributes):
    """Return the pickled form of a `torch.nn.Module`."""
    state = {
        "training": True,
        "_parameters": OrderedDict(parameters),
        "_buffers": OrderedDict(buffers),
        "_non_persistent_buffers_set": set(transient),
        "_backward_hooks": OrderedDict(),
        "_state_dict_hooks": OrderedDict(),
        "_modules": OrderedDict(children),
    }
    return Object(Named(*kind.rsplit(".", 1)), state | attributes)


class Calls:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


FLOAT = Named("torch", "FloatStorage")
REBUILD = Named("torch._utils", "_rebuild_tensor_v2")
REBUILD_V1 = Named("torch._utils", "_rebuild_tensor")


def tensor(shape, strides, *, key="0", count=6, offset=0, kind=FLOAT, rebuild=REBUILD):
    storage = Storage(kind, key, count)
    if rebuild is REBUILD_V1:
        return Calls(rebuild, storage, offset, shape, strides)
    return Calls(rebuild, storage, offset, shape, strides, False, OrderedDict())


def zipped(thing, records=None, compression=zipfile.ZIP_STORED, prefix="archive/") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{prefix}data.pkl", thing if isinstance(thing, bytes) else dumps(thing))
        archive.writestr(f"{prefix}byteorder", "little")
        for name, data in (records or {}).items():
            archive.writestr(f"{prefix}data/{name}", data)
    return file.getvalue()


def legacy(thing, storages=(), protocol=2) -> bytes:
    parts = [
        dumps(0x1950A86A20F9469CFC6C, protocol),
        dumps(1001, protocol),
        dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, protocol),
        thing if isinstance(thing, bytes) else dumps(thing, protocol),
        dumps([key for key, _ in storages], protocol),
    ]
    for _, array in storages:
        parts.append(struct.pack("<q", array.size) + array.tobytes())
    return b"".join(parts)


def bare(thing) -> bytes:
    return thing if isinstance(thing, bytes) else dumps(thing)


FORMATS = {"zip": zipped, "legacy": legacy, "pickle": bare}
SIX = np.arange(6, dtype=np.float32)


def load(data: bytes, **options):
    return rvision.load(io.BytesIO(data), **options)
