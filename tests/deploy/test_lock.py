"""What is installed is locked, and known."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
COMMON = PROJECT["project"]["dependencies"]
WANTED = {
    "extender": COMMON + EXTRAS["extender"],
    "exporter": COMMON + EXTRAS["exporter"],
    "build": GROUPS["build"] + PROJECT["build-system"]["requires"],
    "dev": COMMON + EXTRAS["extender"] + EXTRAS["exporter"] + GROUPS["dev"] + GROUPS["build"],
}


def name_of(requirement: str) -> str:
    """A distribution's name in its normal form."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def locked(lock: str) -> dict[str, set[str]]:
    """What a lock says of each distribution: for some of them, a version for each range of Pythons."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    found: dict[str, set[str]] = {}
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE):
        if "==" in entry:
            found.setdefault(name_of(entry), set()).add(entry)
    return found


def versions(entries: set[str]) -> set[str]:
    return {re.split(r"[=; \\]+", entry)[1] for entry in entries}


@pytest.mark.parametrize("lock", list(WANTED))
def test_every_dependency_is_locked_with_hashes(lock: str) -> None:
    """A lock has each dependency that pyproject.toml names, and a hash for each of its lines."""
    entries = locked(lock)

    assert set() == {name_of(one) for one in WANTED[lock]} - entries.keys()
    assert [] == [name for name, found in entries.items() if not all("--hash=sha256:" in entry for entry in found)]


@pytest.mark.parametrize("lock", ["extender", "exporter", "build"])
def test_what_is_tested_is_what_is_shipped(lock: str) -> None:
    """The lock for development has the very versions of the images' locks."""
    developed = locked("dev")

    assert {} == {name: entry for name, entry in locked(lock).items() if developed.get(name) != entry}


def test_every_licence_is_listed() -> None:
    """docs/licences.md has each package of the images, in a version of the locks."""
    text = (ROOT / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| (\S+) \| ([0-9]\S*) \|", text, re.MULTILINE)
    wanted = {
        name: versions(entries)
        for lock in ("extender", "exporter")
        for name, entries in locked(lock).items()
        if not all("sys_platform == 'win32'" in entry for entry in entries)
    }

    assert wanted.keys() == {name_of(name) for name, _ in rows}
    assert [] == [(name, version) for name, version in rows if version not in wanted[name_of(name)]]
