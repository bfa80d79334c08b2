"""Executing a notebook of `examples/` as a reader would."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import rvision
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass
class Executed:
    """What the cells of a notebook gave, by their ids.

    Attributes
    ----------
    printed : dict of str to str
        What each cell printed.
    shown : dict of str to list of PIL.Image.Image
        The pictures that it displayed.
    alternatives : dict of str to list of str
        Their alternative texts; empty ones for pictures without.
    text, html : dict of str to str
        The results that it displayed, as text and in HTML.
    """

    printed: dict[str, str] = field(default_factory=dict)
    shown: dict[str, list[Image.Image]] = field(default_factory=dict)
    alternatives: dict[str, list[str]] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    html: dict[str, str] = field(default_factory=dict)


def execute(name: str, folder: Path, *needed: str) -> Executed:
    """Run a notebook in a folder; skip without what it needs.

    An exception in a cell is raised here, with the cell and its traceback.
    """
    nbclient = pytest.importorskip("nbclient", reason="needs the extra [examples]")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [examples]")
    for package in ("ipykernel", "skimage", *needed):
        pytest.importorskip(package, reason="needs the extra [examples]")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    # Another folder is another place to look for a relative path; the package is the one that is tested.
    package = str(Path(rvision.__file__).resolve().parents[1])
    client.execute(env={**os.environ, "PYTHONPATH": package})
    found = Executed()
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        found.printed[cell.id] = "".join(out.text for out in outputs if out.output_type == "stream")
        pictures = [out for out in outputs if out.output_type == "display_data"]
        found.shown[cell.id] = [
            Image.open(io.BytesIO(base64.b64decode(out.data["image/png"]))) for out in pictures
        ]
        found.alternatives[cell.id] = [out.metadata.get("image/png", {}).get("alt", "") for out in pictures]
        for out in outputs:
            if out.output_type == "execute_result":
                found.text[cell.id] = out.data["text/plain"]
                found.html[cell.id] = out.data.get("text/html", "")
    return found
