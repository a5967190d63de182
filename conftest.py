"""Puts tests/ on the path, so that test modules in its folders share the builders there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests"))
