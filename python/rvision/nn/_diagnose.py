"""Why a state dict does not fit a module: first a reason, then a few names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["diagnose_state_dict", "guess_architecture"]

Shapes = Mapping[str, tuple[int, ...]]

# Number of names listed below the reason.
_LISTED = 10

# Entries of training checkpoints that may hold the state dict.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "ema")

# Wrappers that add a part to names: before all of them, or after the name of the wrapped module.
_WRAPPER_ORIGINS = {
    "module": "DataParallel put it there",
    "_orig_mod": "torch.compile put it there",
    "model": "a training wrapper put it there",
}

# Those that may also be in the middle: `layer1._orig_mod.0.conv1.weight`,
# `features.module.0.weight`.
_INNER_WRAPPERS = ("_orig_mod", "module")

# Names that only one other library uses, by library.
_LIBRARIES = (
    (
        "timm's",
        r"(timm_model\.)?(blocks\.0\.(0\.)?(attn|conv_dw|conv|norm1)\.|stages\.0\.blocks\.0\.|patch_embed\.proj\."
        r"|pre_logits\.fc1\.|s1\.b1\.conv1\.|conv1\.0\.|layer1\.0\.(se|eca)\.)",
    ),
    (
        "Hugging Face's",
        r"(\w+\.)?(embeddings\.(patch_embeddings|convolution)\.|embedder\.embedder\.|conv_stem\.first_conv\.)",
    ),
)

# A guess must explain at least this fraction of the model's names.
_CONVINCING = 0.5

# With a smaller fraction of common names than this, the networks are different.
_RELATED = 0.1


def diagnose_state_dict(
    model_name: str, expected: Shapes, found: Shapes, *, strict: bool = True, nested: Sequence[str] = ()
) -> str:
    """Return a message that says why a state dict does not fit.

    Parameters
    ----------
    model_name : str
        The module's class.
    expected : mapping of str to tuple of int
        Names and shapes of the module's parameters and buffers.
    found : mapping of str to tuple of int
        Names and shapes in the state dict.
    strict : bool
        Whether missing and unexpected names are errors; shapes always are.
    nested : sequence of str
        Names in `found` whose values are mappings or modules instead of arrays.

    Returns
    -------
    str
        What does not fit, the likely reason and the remedy, then at most ten names.
    """
    missing = [name for name in expected if name not in found] if strict else []
    unexpected = [name for name in found if name not in expected] if strict else []
    if not any(map(_is_counter, found)):
        # Older files have no counters: these are reported only if nothing else is wrong.
        missing = [name for name in missing if not _is_counter(name)] or (missing if not unexpected else [])
    misfits = [name for name in expected if name in found and expected[name] != found[name]]
    missing.sort(key=_is_counter)
    unexpected.sort(key=_is_counter)
    counts = [
        _count(len(misfits), "shape differs", "shapes differ"),
        _count(len(missing), "name is missing", "names are missing"),
        _count(len(unexpected), "name is unexpected", "names are unexpected"),
    ]
    lines = [f"the state dict does not fit {model_name}: {', '.join(c for c in counts if c)}"]
    reason = _reason(expected, found, missing, unexpected, misfits, nested)
    if reason:
        lines.append(f"likely reason: {reason}")
    details = [
        *(f"{name}: the model has {expected[name]}, the state dict {found[name]}" for name in misfits),
        *(f"{name}: missing, the model has {expected[name]}" for name in missing),
        *(f"{name}: unexpected, the state dict has {_what(name, found, nested)}" for name in unexpected),
    ]
    shown = _spread(details, (len(misfits), len(missing), len(unexpected)))
    lines += [f"  {detail}" for detail in shown]
    if len(details) > len(shown):
        lines.append(f"  ... and {len(details) - len(shown)} more")
    return "\n".join(lines)


def _what(name: str, found: Shapes, nested: Sequence[str]) -> str:
    return "entries below it" if name in nested else str(found[name])


def _is_counter(name: str) -> bool:
    """Whether it is batch norm's counter, which files before PyTorch 0.4.1 lack and inference ignores."""
    return name.endswith("num_batches_tracked")


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}" if n else ""


def _spread(details: list[str], sizes: tuple[int, ...]) -> list[str]:
    """Select `_LISTED` of the details, some of each kind."""
    kinds = []
    start = 0
    for size in sizes:
        kinds.append(details[start : start + size])
        start += size
    shares = [0] * len(kinds)
    while sum(shares) < min(_LISTED, len(details)):
        for i, kind in enumerate(kinds):
            if shares[i] < len(kind) and sum(shares) < _LISTED:
                shares[i] += 1
    return [detail for kind, share in zip(kinds, shares, strict=True) for detail in kind[:share]]


def _reason(
    expected: Shapes,
    found: Shapes,
    missing: list[str],
    unexpected: list[str],
    misfits: list[str],
    nested: Sequence[str],
) -> str:
    if not found:
        return "it is empty"
    common = sum(name in found for name in expected)
    if not common:
        wrapper = _entry(found, nested)
        if wrapper:
            return (
                f"this is a training checkpoint, whose state dict is its entry {wrapper!r}: "
                f"pass checkpoint[{wrapper!r}] (rvision.load finds it by itself)"
            )
    if missing:
        for guess in (
            _prefix_in_file(expected, found),
            _prefix_in_model(expected, found),
            _inner_wrapper(expected, found),
        ):
            if guess:
                return guess
    library = _library(found)
    if library and missing and not _library(expected):
        return (
            f"the names are {library}: rvision.models.convert_state_dict(state_dict, model) maps them to "
            "this network's where it is the same network, and says why where it is not"
        )
    shapes = _shapes(expected, found, misfits)
    layers = _architecture(expected, found, missing, unexpected, common, explained=bool(shapes))
    return "; ".join(reason for reason in (shapes, layers) if reason)


def _library(names: Iterable[str]) -> str:
    names = list(names)
    return next((who for who, mark in _LIBRARIES if any(re.match(mark, name) for name in names)), "")


def _entry(found: Shapes, nested: Sequence[str]) -> str:
    """Return the entry of a checkpoint that is probably the state dict."""
    known = [name for name in _WRAPPERS if name in found and (not nested or name in nested)]
    if known:
        return known[0]
    # Optimizers, schedulers, arguments and histories are mappings too.
    other = [name for name in nested if re.search(r"model|net|state|weights|params|encoder|backbone", name)]
    other = [name for name in other if not re.search(r"optim|sched|scaler|rng", name)]
    return next(iter(other or nested), "") if len(nested) == 1 or other else ""


def _prefix_in_file(expected: Shapes, found: Shapes) -> str:
    prefix = _best_prefix(expected, found)
    if not prefix:
        return ""
    carrying = [name for name in found if name.startswith(prefix)]
    stripped = {name.removeprefix(prefix): found[name] for name in carrying}
    every = (
        "every name carries"
        if len(carrying) == len(found)
        else f"{len(carrying)} of {len(found)} names carry"
    )
    origin = _origin(prefix.removesuffix(".").split("."))
    return (
        f"{every} the prefix {prefix!r}{f' ({origin})' if origin else ''}: "
        f"load the file with rvision.load(path, strip_prefix={prefix!r}){_remainder(expected, stripped)}"
    )


def _prefix_in_model(expected: Shapes, found: Shapes) -> str:
    prefix = _best_prefix(found, expected)
    if not prefix:
        return ""
    inner = {name.removeprefix(prefix): shape for name, shape in expected.items() if name.startswith(prefix)}
    return (
        f"the model's names carry the prefix {prefix!r} and the state dict's do not: "
        f"load it into model.{prefix.removesuffix('.')}{_remainder(inner, found)}"
    )


def _best_prefix(plain: Shapes, prefixed: Shapes) -> str:
    """Find the prefix of `plain`'s names in `prefixed`, if it explains most of either."""
    prefixes: Counter[str] = Counter()
    for name in prefixed:
        at = name.find(".")
        while at >= 0:
            if name[at + 1 :] in plain:
                prefixes[name[: at + 1]] += 1
                break
            at = name.find(".", at + 1)
    if not prefixes:
        return ""
    prefix, count = prefixes.most_common(1)[0]
    return prefix if count >= _CONVINCING * len(plain) and count > sum(n in plain for n in prefixed) else ""


def _origin(parts: Iterable[str]) -> str:
    return ", ".join(_WRAPPER_ORIGINS[part] for part in dict.fromkeys(parts) if part in _WRAPPER_ORIGINS)


def _inner_wrapper(expected: Shapes, found: Shapes) -> str:
    """Find the wrapper of only a part of the network: `layer1._orig_mod.0.conv1.weight`."""
    for wrapper in _INNER_WRAPPERS:
        pattern = rf"(?:^|(?<=\.)){wrapper}\."
        carrying = [name for name in found if name not in expected and re.search(pattern, name)]
        explained = [name for name in carrying if re.sub(pattern, "", name) in expected]
        if explained and len(explained) >= _CONVINCING * len(carrying):
            wrapped = dict.fromkeys(re.split(pattern, name)[0].removesuffix(".") for name in explained)
            stripped = {re.sub(pattern, "", name): shape for name, shape in found.items()}
            return (
                f"{len(carrying)} of {len(found)} names carry {wrapper + '.'!r} "
                f"({_origin([wrapper])}: {_listed(filter(None, wrapped))} was wrapped alone): "
                f"load {{name.replace({wrapper + '.'!r}, ''): value for name, value in state_dict.items()}}"
                f"{_remainder(expected, stripped)}"
            )
    return ""


def _remainder(expected: Shapes, found: Shapes) -> str:
    """Describe what would still not fit."""
    wrong = [name for name in expected if not _is_counter(name) and found.get(name) != expected[name]]
    wrong += [name for name in found if not _is_counter(name) and name not in expected]
    if not wrong:
        return ""
    more = ", ..." if len(wrong) > 3 else ""
    return f"; {len(wrong)} names or shapes will still differ ({', '.join(wrong[:3])}{more})"


def _shapes(expected: Shapes, found: Shapes, misfits: list[str]) -> str:
    """Explain shapes that differ in a network's input channels or classes."""
    stem = next((name for name, shape in expected.items() if len(shape) == 4), None)
    first = _first_layer(expected, found, stem) if stem in misfits else ""
    rest = [name for name in misfits if name != stem] if first else misfits
    last = _class_count(expected, found, rest) if rest else ""
    if rest and not last:
        return ""
    return "; ".join(reason for reason in (last, first) if reason)


def _class_count(expected: Shapes, found: Shapes, misfits: list[str]) -> str:
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in misfits))
    pairs = {(expected[name][:1], found[name][:1]) for name in misfits}
    rest_fits = all(expected[name][1:] == found[name][1:] and expected[name] for name in misfits)
    # GoogLeNet has three classifiers, its own and two auxiliary ones.
    if len(pairs) != 1 or not rest_fits or len(layers) > 3:
        return ""
    (mine,), (theirs,) = pairs.pop()
    return (
        f"another number of classes: the state dict has {theirs}, the model {mine} ({', '.join(layers)}); "
        f"build the model with num_classes={theirs}, or leave {', '.join(layers)} out of the state dict "
        "and load it with strict=False"
    )


def _first_layer(expected: Shapes, found: Shapes, name: str) -> str:
    mine, theirs = expected[name], found[name]
    if len(theirs) != 4 or mine[0] != theirs[0]:
        return ""
    if mine[2:] != theirs[2:]:
        return f"another first layer: the state dict has {theirs}, the model {mine} ({name})"
    return f"another number of input channels: the state dict has {theirs[1]}, the model {mine[1]} ({name})"


def _architecture(
    expected: Shapes,
    found: Shapes,
    missing: list[str],
    unexpected: list[str],
    common: int,
    explained: bool,
) -> str:
    mine, theirs = guess_architecture(expected), guess_architecture(found)
    if theirs and theirs != mine and not (explained and not missing and not unexpected):
        mine = mine or "none that is known"
        return f"another architecture: the state dict looks like {theirs}, the model like {mine}"
    if common < _RELATED * max(1, len(expected)):
        return "another architecture, or other names for its layers: hardly a name is in both"
    if missing and not unexpected:
        return (
            f"the model has layers that the state dict lacks ({_layers(missing)}){_auxiliary(missing, False)}"
        )
    if unexpected and not missing:
        lacked = f"the state dict has layers that the model lacks ({_layers(unexpected)})"
        return lacked + _auxiliary(unexpected, True)
    if missing and len({name.partition(".")[0] for name in (*missing, *unexpected)}) == 1:
        return (
            f"another {missing[0].partition('.')[0]}: the state dict has {_layers(unexpected)} there, "
            f"the model {_layers(missing)}; build the same in the model before loading"
        )
    return ""


def _auxiliary(names: Iterable[str], wanted: bool) -> str:
    """Return advice if all layers belong to GoogLeNet's or Inception's auxiliary classifiers."""
    auxiliary = all(re.search(r"(?:^|\.)(?:aux[12]|AuxLogits)\.", name) for name in names)
    return f", its auxiliary classifiers: build the model with aux_logits={wanted}" if auxiliary else ""


def _layers(names: Iterable[str]) -> str:
    return _listed(dict.fromkeys(name.rpartition(".")[0] or name for name in names))


def _listed(layers: Iterable[str]) -> str:
    layers = list(layers)
    return ", ".join(layers[:3]) + (", ..." if len(layers) > 3 else "")


# Blocks in each stage, whether they are bottlenecks.
_RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}

# Channels of the first bottleneck's 3x3 convolution: per group, in total.
_RESNET_WIDTHS = {
    ("resnet50", 4, 128): "resnext50_32x4d",
    ("resnet101", 8, 256): "resnext101_32x8d",
    ("resnet101", 4, 256): "resnext101_64x4d",
    ("resnet50", 128, 128): "wide_resnet50_2",
    ("resnet101", 128, 128): "wide_resnet101_2",
}

# Convolutions of a VGG.
_VGGS = {8: "vgg11", 10: "vgg13", 13: "vgg16", 16: "vgg19"}

_DENSENETS = {
    (6, 12, 24, 16): "densenet121",
    (6, 12, 32, 32): "densenet169",
    (6, 12, 48, 32): "densenet201",
    (6, 12, 36, 24): "densenet161",
}

# A name and its shape that only one network has; `None` for any shape.
_MARKERS: tuple[tuple[str, tuple[int, ...] | None, str], ...] = (
    ("features.0.weight", (64, 3, 11, 11), "alexnet"),
    ("features.3.squeeze.weight", (16, 96, 1, 1), "squeezenet1_0"),
    ("features.3.squeeze.weight", (16, 64, 1, 1), "squeezenet1_1"),
    ("features.18.0.weight", (1280, 320, 1, 1), "mobilenet_v2"),
    ("features.16.0.weight", (960, 160, 1, 1), "mobilenet_v3_large"),
    ("features.12.0.weight", (576, 96, 1, 1), "mobilenet_v3_small"),
    ("inception3a.branch3.0.conv.weight", (16, 192, 1, 1), "googlenet"),
    ("inception3a.branch3.0.conv.weight", (64, 192, 1, 1), "bn_inception"),
    ("Mixed_5b.branch1x1.conv.weight", None, "inception_v3"),
    ("conv_proj.weight", (768, 3, 16, 16), "vit_b_16"),
    ("features.1.0.block.0.weight", (96, 1, 7, 7), "convnext"),
    ("_blocks.0._depthwise_conv.weight", None, "efficientnet (lukemelas' names)"),
    ("conv_stem.weight", None, "a timm network"),
    ("stage2.0.branch2.0.weight", None, "shufflenet_v2"),
    ("layers.alpha", None, "mnasnet"),
)


def guess_architecture(shapes: Shapes) -> str | None:
    """Return the torchvision network of a state dict by names and shapes; None if unknown.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Names and shapes of a state dict.
    """
    resnet = _guess_resnet(shapes)
    if resnet:
        return resnet
    for name, shape, network in _MARKERS:
        if name in shapes and (shape is None or tuple(shapes[name]) == shape):
            return network
    blocks = _blocks(shapes, r"features\.denseblock(\d+)\.denselayer(\d+)\.")
    if blocks in _DENSENETS:
        return _DENSENETS[blocks]
    if "classifier.6.weight" in shapes and tuple(shapes.get("features.0.weight", ())) == (64, 3, 3, 3):
        kernels = [n for n, s in shapes.items() if re.fullmatch(r"features\.\d+\.weight", n) and len(s) == 4]
        vgg = _VGGS.get(len(kernels))
        return vgg and vgg + ("_bn" if "features.1.running_mean" in shapes else "")
    return None


def _blocks(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """Count the blocks of each stage; the pattern finds the numbers of stage and block."""
    matches = (re.match(pattern, name) for name in shapes)
    blocks = {(int(m[1]), int(m[2])) for m in matches if m}
    stages = Counter(stage for stage, _ in blocks)
    return tuple(stages[stage] for stage in sorted(stages))


def _guess_resnet(shapes: Shapes) -> str | None:
    blocks = _blocks(shapes, r"layer(\d+)\.(\d+)\.conv1\.")
    bottleneck = "layer1.0.conv3.weight" in shapes
    stages = {name.partition(".")[0] for name in shapes if re.match(r"layer\d+\.", name)}
    if len(stages) != len(blocks):
        return None  # a stage whose blocks have other names
    # A batch norm after the first convolution: pre-activation and wide networks have none.
    narrow = stages == {"layer1", "layer2", "layer3"} and not bottleneck and "bn1.weight" in shapes
    if narrow and len(set(blocks)) == 1:
        return f"a CIFAR resnet{6 * blocks[0] + 2}"
    name = _RESNETS.get((blocks, bottleneck))
    if name and bottleneck:
        width = tuple(shapes.get("layer1.0.conv2.weight", ()))
        if len(width) == 4:
            return _RESNET_WIDTHS.get((name, width[1], width[0]), name)
    return name
