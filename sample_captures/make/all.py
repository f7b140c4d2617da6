"""Make every sample anew, one after the other: ``python -m sample_captures.make.all [FOLDER]`` (root; some fifteen minutes).

A sample is whatever has a ground truth in sample_captures; its script has its name.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from sample_captures.make.recording import FOLDER


def scripts() -> list[str]:
    """The scripts' module names: NAME of NAME.json, or its first word where one script makes several."""
    here = Path(__file__).parent
    found = set()
    for truth in FOLDER.glob("*.json"):
        whole, first = truth.stem.replace("-", "_"), truth.stem.split("-")[0]
        found.add(whole if (here / f"{whole}.py").exists() else first)
    return sorted(found)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    for name in scripts():
        began = time.monotonic()
        importlib.import_module(f"sample_captures.make.{name}").make(folder)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
