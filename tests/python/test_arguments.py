"""Every argument has an effect, is refused, or is known to have no effect."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import dense, models, nn, transforms, utils
from rvision.errors import ArgumentError

PACKAGE = Path(rvision.__file__).parent

# Parameters that a body need not read, wherever they stand, and why.
EVERYWHERE = {
    "inplace": "a result is a new array; what aliases is told by the trace",
    "metadata": "a hook's signature: not every network's names have changed",
    "memo": "copy's protocol",
}
# Function or class, parameter, and why it has no effect at inference. Each docstring says so.
WITHOUT_EFFECT = {
    ("weights._fetch.load_state_dict_from_url", "weights_only"): "files are data, always",
    ("hub.list", "force_reload"): "no code is downloaded",
    ("hub.list", "options"): "no code is downloaded",
    ("hub.help", "force_reload"): "no code is downloaded",
    ("hub.help", "options"): "no code is downloaded",
    ("utils.data._loader.DataLoader", "in_order"): "the order is always kept",
    ("utils.data._loader.DataLoader", "persistent_workers"): "threads are cheap to start",
    ("utils.data._loader.DataLoader", "pin_memory"): "there is no other device",
    ("weights._files.load", "weights_only"): "files are data, always",
    ("weights._files.load", "mmap"): "the engine maps files itself",
    ("models.googlenet.GoogLeNet", "init_weights"): "chooses between ways to start training",
    ("models.inception.Inception3", "init_weights"): "chooses between ways to start training",
    ("models.vgg.VGG", "init_weights"): "chooses between ways to start training",
    ("models.resnet.ResNet", "zero_init_residual"): "chooses between ways to start training",
    ("nn.functional.batch_norm", "momentum"): "of the statistics of training",
    ("nn.functional.instance_norm", "momentum"): "of the statistics of training",
    ("_modes.set_grad_enabled.__new__", "mode"): "there are no gradients",
    ("autograd.Variable", "volatile"): "there are no gradients",
    ("_tensor._base.Tensor.backward", "args"): "raises",
    ("_tensor._base.Tensor.backward", "kwargs"): "raises",
    ("_tensor._base.Tensor.cuda", "args"): "raises",
    ("_tensor._base.Tensor.cuda", "kwargs"): "raises",
    ("_tensor._base.Tensor.type", "non_blocking"): "of copies between devices",
    ("_tensor._writes.Writes.copy_", "non_blocking"): "of copies between devices",
    ("_tensor._values.Values.topk", "sorted"): "False allows any order",
    ("_tensor._values.Values.unique", "sorted"): "False allows any order",
    ("nn._functions.argsort", "stable"): "the order is always stable",
    ("nn._functions.sort", "stable"): "the order is always stable",
    ("nn._hooks.Hooked.register_forward_hook", "always_call"): "after an error there are no values",
    ("nn._hooks.Hooked.register_full_backward_hook", "args"): "raises",
    ("nn._hooks.Hooked.register_full_backward_hook", "kwargs"): "raises",
    ("models.feature_extraction.create_feature_extractor", "suppress_diff_warning"): "there is one mode",
    ("models.feature_extraction.get_graph_node_names", "suppress_diff_warning"): "there is one mode",
    ("nn.module.Module.state_dict", "keep_vars"): "for gradients",
    ("nn.module.Module.forward", "args"): "raises",
    ("nn.module.Module.forward", "kwargs"): "raises",
    ("nn.module.Module.cuda", "device"): "raises",
    ("nn.parameter.Constant.__new__", "requires_grad"): "torch's default is True, so it cannot be refused",
    ("nn.shaping.Identity", "args"): "torch's Identity takes anything, to take another layer's place",
    ("nn.shaping.Identity", "kwargs"): "torch's Identity takes anything, to take another layer's place",
}


def unread_parameters() -> Iterator[tuple[str, str]]:
    """Yield public functions and classes with the parameters that their code never reads."""
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        yield from _unread(ast.parse(file.read_text(encoding="utf-8")), place)


def _unread(tree: ast.AST, place: str) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _unread(node, f"{place}.{node.name}")
        elif isinstance(node, ast.FunctionDef) and _is_public(node) and not _is_stub(node):
            arguments = node.args
            names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            names += [each.arg for each in (arguments.vararg, arguments.kwarg) if each is not None]
            read = {each.id for line in node.body for each in ast.walk(line) if isinstance(each, ast.Name)}
            where = place if node.name == "__init__" else f"{place}.{node.name}"
            yield from ((where, name) for name in names if name not in read | {"self", "cls"})


def _is_public(node: ast.FunctionDef) -> bool:
    return not node.name.startswith("_") or node.name in ("__init__", "__call__", "__new__")


def _is_stub(node: ast.FunctionDef) -> bool:
    """Tell whether it is an overload or a protocol's method: a docstring or dots only."""
    return all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in node.body)


def test_every_parameter_is_read():
    unread = {
        (where, name)
        for where, name in unread_parameters()
        if name not in EVERYWHERE and not where.startswith("_trace.Symbol")
    }
    assert sorted(unread - WITHOUT_EFFECT.keys()) == []
    # A reason outlives its parameter otherwise.
    assert sorted(WITHOUT_EFFECT.keys() - unread) == []


# ---- arguments that have an effect with another one only ----


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


PICTURE = np.zeros((3, 20, 20), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "pattern"),
    [
        (
            lambda: utils.make_grid(np.zeros((2, 3, 4, 4)), value_range=(0, 1)),
            ArgumentError,
            "value_range .*normalize=True",
        ),
        (
            lambda: utils.make_grid(np.zeros((2, 3, 4, 4)), scale_each=True),
            ArgumentError,
            "scale_each .*normalize=True",
        ),
        (
            lambda: dense.predict(small(), PICTURE, input_size=16, padding="per_window", squeeze="global"),
            ArgumentError,
            "padding='per_window'.* squeeze='global'.*leave out one",
        ),
        (
            lambda: dense.ten_crop(small(), PICTURE, input_size=16, padding="per_window", squeeze="global"),
            ArgumentError,
            "leave out one",
        ),
        (
            lambda: dense.receptive_field(rvision.convolutionize(small(), 16), 32),
            ArgumentError,
            "input_size belongs to convolutionize",
        ),
        (
            lambda: rvision.load("none.pth", unwrap=False, key="model"),
            ArgumentError,
            "key is for state dicts",
        ),
        (
            lambda: rvision.load("none.pth", unwrap=False, strip_prefix="module."),
            ArgumentError,
            "strip_prefix is for state dicts",
        ),
        (lambda: nn.Conv2dSame(3, 4, 3, padding=1), ArgumentError, "padding: follows the input, got 1"),
        (lambda: models.convnext_tiny(dropout=0.5), TypeError, "dropout"),
        (lambda: small().to(dtyp="float16"), TypeError, "unexpected keyword argument 'dtyp'"),
    ],
)
def test_an_argument_that_would_be_ignored_is_refused(call, error, pattern):
    with pytest.raises(error, match=pattern):
        call()


def test_what_belongs_to_it_is_taken():
    grid = np.asarray(utils.make_grid(np.ones((2, 3, 4, 4)), normalize=True, value_range=(0, 2), padding=1))
    assert grid[2, 2].tolist() == [128] * 3
    nn.Conv2dSame(3, 4, 3, padding=0), nn.Conv2dSame(3, 4, 3, padding="same")
    small().to("cpu", dtype="float32", non_blocking=True)


def test_a_preset_says_that_it_always_antialiases():
    preset = transforms.ImageClassification(crop_size=4, resize_size=4, antialias=False)
    with pytest.warns(UserWarning, match="antialias=False is ignored"):
        preset(PICTURE)


@pytest.mark.parametrize("options", [["--crop", "20"], ["--crop", "none", "--resize", "20"]])
def test_digits_are_not_cropped_on_the_command_line(options, tmp_path, capsys):
    from PIL import Image
    from rvision.cli import main

    file = tmp_path / "digit.png"
    Image.new("L", (28, 28)).save(file)
    assert main(["classify", "--model", "lenet5", "--weights", "MNIST", str(file), *options]) == 2
    assert "crop" in capsys.readouterr().err
