"""Write the fingerprints (shapes) of every network, by which the command line recognises weight files.

    python tools/export_fingerprints.py python/rvision/cli/fingerprints.json

Run it when a network is added or changed; a test compares the file with the networks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rvision.cli._architecture import fingerprint
from rvision.models import list_models


def main() -> None:
    """Write one line per network."""
    lines = [f"{json.dumps(name)}: {json.dumps(fingerprint(name))}" for name in list_models()]
    Path(sys.argv[1]).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
