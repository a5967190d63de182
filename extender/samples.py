"""Where the samples of config/ are: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path


def sample(name: str) -> Path:
    """Returns the path of a sample file or folder."""
    package = Path(__file__).parent
    installed = package / "_config"
    return (installed if installed.is_dir() else package.parent / "config") / name
