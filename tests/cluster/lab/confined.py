"""
Runs one program as a pod's container would run it, without a container engine: `python confined.py FILE.json`.

The file holds a `Confinement`. Started in a mount namespace of its own, the program sees the host's file system as an
overlay that it cannot change for others, with its volumes at their places; read-only if it is to be; as its user, without
capabilities, and without the way to any. It is a stand-in for an image: what is on the host is what it has.
"""

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
LAST_CAPABILITY = 63


@dataclass(frozen=True)
class Confinement:
    """How a program runs."""

    command: list[str]
    work: str
    """A folder that is a mount point for the overlay."""
    environment: dict[str, str] = field(default_factory=dict)
    volumes: list[tuple[str, str]] = field(default_factory=list)
    """Folders or files of the host, and where the program sees them, read-only."""
    scratch: list[str] = field(default_factory=list)
    """Empty folders that it may write to."""
    shared: list[str] = field(default_factory=list)
    """Folders of the host that have to be there at the same place: the programs themselves."""
    hosts: dict[str, str] = field(default_factory=dict)
    """Further names in /etc/hosts."""
    read_only: bool = True
    user: int = 0
    group: int = 0


def confine(confinement: Confinement) -> None:
    """Becomes the program."""
    root = _overlay(Path(confinement.work), confinement.read_only, _prepare(confinement))
    for path in ("/proc", "/dev", "/sys"):
        _mount("--rbind", path, str(_within(root, path)))
    for target in confinement.scratch:
        _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(_within(root, target)))
    for path in confinement.shared:
        _within(root, path).mkdir(parents=True, exist_ok=True)  # it may be below a scratch folder
        _mount("--bind", path, str(_within(root, path)))
    for source, target in confinement.volumes:
        _mount("--rbind", source, str(_within(root, target)))
        _mount("-o", "remount,bind,ro", str(_within(root, target)))
    os.chroot(root)
    os.chdir("/")
    _drop_privileges(confinement)
    os.execvpe(confinement.command[0], confinement.command, confinement.environment)


def _prepare(confinement: Confinement) -> Any:
    """Returns what makes the places in the overlay, before it may become read-only."""

    def prepare(root: Path) -> None:
        for target in [*confinement.scratch, *confinement.shared]:
            _within(root, target).mkdir(parents=True, exist_ok=True)
        for source, target in confinement.volumes:
            place = _within(root, target)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch() if Path(source).is_file() else place.mkdir(exist_ok=True)
        # The interpreter may be in root's home, which an image would not have closed.
        for target in confinement.shared:
            for folder in Path(target).parents:
                place = _within(root, str(folder))
                place.chmod(place.stat().st_mode | 0o055)
        with Path(f"{root}/etc/hosts").open("a") as hosts:
            hosts.writelines(f"{address} {name}\n" for name, address in confinement.hosts.items())

    return prepare


def _within(root: Path, path: str) -> Path:
    """Where the program will see a path: links are the host's, and would lead out of the overlay."""
    return Path(f"{root}{os.path.realpath(path)}")


def _overlay(work: Path, read_only: bool, prepare: Any) -> Path:
    """Lays a layer of its own over the host's file system and returns where."""
    _mount("-t", "tmpfs", "tmpfs", str(work))
    upper, scratch, root = (work / name for name in ("upper", "work", "root"))
    for folder in (upper, scratch, root):
        folder.mkdir()
    _mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={scratch}", "overlay", str(root))
    prepare(root)
    if read_only:
        _mount("-o", "remount,ro", str(root))
    return root


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _drop_privileges(confinement: Confinement) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that this kernel does not know are no loss
    os.setgroups([])
    os.setgid(confinement.group)
    os.setuid(confinement.user)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")


if __name__ == "__main__":
    confine(Confinement(**json.loads(Path(sys.argv[1]).read_text())))
