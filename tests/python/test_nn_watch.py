"""State other than attributes: changes are detected, and random numbers are refused."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import random
import threading
import types
from collections import deque

import numpy as np
import pytest
import rvision
from rvision import models, nn
from rvision.nn import functional as F

X = np.array([[1.0, -2.0, 4.0]], np.float32)

# Read by the networks below, and changed by the tests.
SCALE = 1.0
TABLE = {"scale": 1.0}
SETTINGS = types.ModuleType("settings_of_a_test")
SETTINGS.SCALE = 1.0


def scaled(x):
    return x * SCALE


def by_table(x, table=TABLE):
    return x * table["scale"]


class Slotted:
    __slots__ = ("scale",)

    def __init__(self):
        self.scale = 1.0


class Config:
    scale = 1.0

    def factor(self):
        return self.scale

    @property
    def doubled(self):
        return 2 * self.scale


@dataclasses.dataclass
class Settings:
    scale: float = 1.0
    inner: dict = dataclasses.field(default_factory=lambda: {"list": [1.0]})


class Net(nn.Module):
    """Multiplies by the value that `read` finds in `held`."""

    def __init__(self, held, read):
        super().__init__()
        self.held = held
        self.read = read

    def forward(self, x):
        return x * self.read(self.held)


def cycle():
    value = [1.0]
    value.append(value)
    return value


def setter(name, value):
    return lambda held: setattr(held, name, value)


def item(key, value):
    return lambda held: held.__setitem__(key, value)


# What hangs on the network, how forward reads it, and what makes it 3 instead of 1.
HELD = {
    "namespace": (argparse.Namespace(scale=1.0), lambda h: h.scale, setter("scale", 3.0)),
    "simple namespace": (types.SimpleNamespace(scale=1.0), lambda h: h.scale, setter("scale", 3.0)),
    "dataclass": (Settings(), lambda h: h.scale, setter("scale", 3.0)),
    "nested": (Settings(), lambda h: h.inner["list"][0], lambda h: item(0, 3.0)(h.inner["list"])),
    "list": ([1.0], lambda h: h[0], item(0, 3.0)),
    "longer list": ([1.0], lambda h: 2 * len(h) - 1, lambda h: h.append(0)),
    "dict": ({"scale": 1.0}, lambda h: h["scale"], item("scale", 3.0)),
    "new key": ({}, lambda h: h.get("scale", 1.0), item("scale", 3.0)),
    "set": ({1}, lambda h: sum(h), lambda h: h.add(2)),
    "deque": (deque([1.0]), lambda h: h[0], item(0, 3.0)),
    "tuple of lists": (([1.0], "a"), lambda h: h[0][0], lambda h: item(0, 3.0)(h[0])),
    "cycle": (cycle(), lambda h: h[1][1][0], item(0, 3.0)),
    "slots": (Slotted(), lambda h: h.scale, setter("scale", 3.0)),
    "array": (np.ones(2, np.float32), lambda h: float(h[1]), item(1, 3.0)),
    "array of objects": (np.array([1.0, None], object), lambda h: h[0], item(0, 3.0)),
    "array in a dict": ({"a": np.ones(1)}, lambda h: h["a"], lambda h: item(0, 3.0)(h["a"])),
    "method of an object": (Config(), lambda h: h.factor(), setter("scale", 3.0)),
    "property": (Config(), lambda h: h.doubled / 2, setter("scale", 3.0)),
    "vars": (argparse.Namespace(scale=1.0), lambda h: sum(vars(h).values()), setter("other", 2.0)),
    "getattr": (types.SimpleNamespace(scale=1.0), lambda h: getattr(h, "scale"), setter("scale", 3.0)),  # noqa: B009
    "bytearray": (bytearray(b"\1"), lambda h: h[0], item(0, 3)),
    "partial": (
        functools.partial(dict.get, {"scale": 1.0}),
        lambda h: h("scale"),
        lambda h: item("scale", 3.0)(h.args[0]),
    ),
}


@pytest.mark.parametrize(("held", "read", "change"), HELD.values(), ids=HELD)
def test_what_hangs_on_a_module_is_seen(held, read, change):
    net = Net(held, read)
    outer = nn.Sequential(nn.Identity(), net)
    assert np.array_equal(net(X), X) and np.array_equal(outer(X), X)
    trace = outer._links.traces[0]
    assert np.array_equal(outer(X), X) and outer._links.traces[0] is trace, "nothing has changed"
    change(held)
    assert np.array_equal(net(X), 3 * X) and np.array_equal(outer(X), 3 * X)


def test_equal_values_are_no_change():
    config = argparse.Namespace(scale=float("1.5"), size=(2, 1.0), bad=float("nan"))
    net = Net(config, lambda h: h.scale * h.size[0] + 0 * len(repr(h.bad)))
    net(X)
    trace = net._links.traces[0]
    config.scale, config.size, config.bad = float("1.5"), (2, float("1")), float("nan")
    net(X)
    assert net._links.traces == [trace]
    config.size = (2.0, 1.0)
    net(X)
    assert net._links.traces != [trace]


def test_globals_are_seen(monkeypatch):
    class Flag(nn.Module):
        def forward(self, x):
            return x * SCALE

    for forward in (Flag(), Net(None, lambda h: SCALE), Net(None, lambda h: sum(SCALE for _ in range(1)))):
        assert np.array_equal(forward(X), X)
        monkeypatch.setitem(globals(), "SCALE", 3.0)
        assert np.array_equal(forward(X), 3 * X)
        monkeypatch.setitem(globals(), "SCALE", 1.0)
        assert np.array_equal(forward(X), X)


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.inner(x)

    def inner(self, x):
        return self.function(x)


def test_what_functions_read_is_seen(monkeypatch):
    by_module = functools.partial(lambda scale, x: x * SETTINGS.SCALE, None)
    nets = [
        Calls(scaled),
        Calls(by_table),
        Calls(by_module),
        Calls(functools.lru_cache(scaled)),
        Calls(lambda x: scaled(x)),
    ]
    for net in nets:
        assert np.array_equal(net(X), X)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    monkeypatch.setitem(TABLE, "scale", 3.0)
    monkeypatch.setattr(SETTINGS, "SCALE", 3.0)
    for net in nets:
        assert np.array_equal(net(X), 3 * X)
    monkeypatch.setitem(globals(), "scaled", lambda x: x * 5)
    assert np.array_equal(nets[-1](X), 5 * X)


def test_variables_of_enclosing_functions_are_seen():
    scale, table = 1.0, [1.0]

    class Inner(nn.Module):
        def forward(self, x):
            return x * scale * table[0]

    net = Inner()
    assert np.array_equal(net(X), X)
    scale = 3.0
    assert np.array_equal(net(X), 3 * X)
    table[0] = 2.0
    assert np.array_equal(net(X), 6 * X)


def test_classes_are_seen():
    class Base(nn.Module):
        scale = 1.0

        def factor(self):
            return self.scale * self.other.scale

        @staticmethod
        def extra():
            return 1.0

        def forward(self, x):
            return x * self.factor() * self.extra()

    class Derived(Base):
        other = Config

    net = nn.Sequential(Derived())
    assert np.array_equal(net(X), X)
    Base.scale = 3.0
    assert np.array_equal(net(X), 3 * X)
    Derived.scale = 5.0
    assert np.array_equal(net(X), 5 * X)
    Derived.extra = staticmethod(lambda: 2.0)
    assert np.array_equal(net(X), 10 * X)
    Derived.factor = lambda self: 1.0
    assert np.array_equal(net(X), 2 * X)
    Derived.forward = lambda self, x: x
    assert np.array_equal(net(X), X)


def test_a_class_that_holds_settings(monkeypatch):
    net = Net(Config, lambda h: h.scale)
    other = Net(Config(), lambda h: h.scale)
    assert np.array_equal(net(X), X) and np.array_equal(other(X), X)
    monkeypatch.setattr(Config, "scale", 3.0)
    assert np.array_equal(net(X), 3 * X) and np.array_equal(other(X), 3 * X)


def test_modules_that_are_not_registered_are_seen():
    hidden = nn.Linear(3, 3)
    net = Net([hidden], lambda h: h[0].weight[0, 0])
    second = Calls(lambda x: hidden(x))
    hidden.weight = np.eye(3)
    hidden.bias = np.zeros(3)
    assert np.array_equal(net(X), X) and np.array_equal(second(X), X)
    hidden.weight = 3 * np.eye(3)
    assert np.array_equal(net(X), 3 * X) and np.array_equal(second(X), 3 * X)


def test_arguments_that_hold_something_are_seen():
    class Given(nn.Module):
        def forward(self, x, by):
            return by(x) if isinstance(by, nn.Module) else x * by.scale

    net, by, layer = Given(), Config(), nn.PReLU()
    assert np.array_equal(net(X, by), X)
    by.scale = 3.0
    assert np.array_equal(net(X, by), 3 * X)
    layer.weight = [1.0]
    assert np.array_equal(net(X, layer), X)
    layer.weight = [0.5]
    assert np.array_equal(net(X, layer), np.where(X < 0, X / 2, X))


def test_buffers_of_integers_can_not_be_written_to():
    net = nn.Sequential()
    net.register_buffer("index", np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        net.index[0] = 5


def test_tensors_changed_in_place_are_seen():
    torch = pytest.importorskip("torch")
    scale = torch.ones(1)
    net = Net(scale, lambda h: h.numpy().copy())
    assert np.array_equal(net(X), X)
    scale.mul_(3)
    assert np.array_equal(net(X), 3 * X)


def test_what_forward_itself_changes_is_not_kept():
    net = Net({"calls": 0}, lambda h: h.__setitem__("calls", h["calls"] + 1) or h["calls"])
    assert [float(net(X)[0, 0]) for _ in range(3)] == [1, 2, 3]
    memo = Net({}, lambda h: h.setdefault("scale", 3.0))
    for _ in range(3):
        assert np.array_equal(memo(X), 3 * X)
    trace = memo._links.traces[0]
    memo(X)
    assert memo._links.traces == [trace]


def test_what_forward_does_not_mention_costs_no_new_trace():
    net = Net([1.0], lambda h: h[0])
    net.history = []
    net(X)
    trace = net._links.traces[0]
    for _ in range(3):
        net.history.append(net(X))
        assert net._links.traces == [trace]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_16", "swin_t", "googlenet"])
def test_rvisions_networks_have_nothing_to_compare(name):
    from rvision.nn._state import undrawn
    from rvision.nn._watch import watch

    model = undrawn(models.get_model(name))
    assert watch(model, ()) is None
    assert watch(nn.Sequential(model), ()) is None


def test_dense_forms_follow_what_a_classifier_reads():
    config = argparse.Namespace(scale=1.0)

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 4)
            self.config = config

        def forward(self, x):
            return (self.conv(x) * self.config.scale).flatten(1)

    dense = rvision.convolutionize(Small(), (1, 4, 4))
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 6)).astype(np.float32)
    before = dense(x)
    config.scale = 3.0
    np.testing.assert_allclose(dense(x), 3 * before, rtol=1e-6)


# ---- random numbers ----

RANDOM = {
    "numpy's": lambda h: np.random.rand(),  # noqa: NPY002
    "numpy's by name": lambda h: np.random.standard_normal(3),  # noqa: NPY002
    "python's": lambda h: random.random(),
    "a generator": lambda h: h["generator"].standard_normal(),
    "an old generator": lambda h: h["state"].uniform(),
    "python's own": lambda h: h["python"].choice([1.0, 2.0]),
    "a method": lambda h: h["draw"](),
}


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM)
def test_random_numbers_in_forward_are_refused(draw):
    held = {
        "generator": np.random.default_rng(0),
        "state": np.random.RandomState(0),
        "python": random.Random(0),
        "draw": random.Random(1).random,
    }
    net = nn.Sequential(nn.ReLU(), nn.Sequential(Net(held, draw)))
    with pytest.raises(rvision.UnsupportedError, match=r"^1\.0: random numbers .* pass them as an input"):
        net(X)


def test_random_numbers_of_torch_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(rvision.UnsupportedError, match=r"^Net: random numbers"):
        Net(None, lambda h: float(torch.rand(1)))(X)


def test_random_numbers_of_other_threads_do_not_matter():
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            np.random.bytes(1)  # noqa: NPY002

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(20):
            assert np.array_equal(Net([1.0], lambda h: h[0])(X), X)
    finally:
        stop.set()
        thread.join()


def test_numbers_drawn_when_a_network_is_made_are_fine():
    class Made(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = np.random.default_rng(0).standard_normal()

        def forward(self, x):
            return F.dropout(x, training=self.training) * self.scale

    net = Made()
    assert np.array_equal(net(X), X * np.float32(net.scale))
