"""What one run of the lab owns: a folder, ports, processes. Whoever closes it leaves nothing running."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from lab.errors import LabError
from lab.keeper import Keeper
from lab.ports import Ports
from lab.process import Process

REPOSITORY = Path(__file__).resolve().parents[3]
BINARIES = REPOSITORY / "build" / "cluster"
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-scheduler",
    "kubectl",
    "kubelet-on-machine",
    "container-runtime",
    "device-plugin",
)


def missing_binaries() -> list[str]:
    """The names of the programs that `tests/cluster/build.sh` has not built yet."""
    return [name for name in PROGRAMS if not (BINARIES / name).exists()]


class Workspace:
    """
    A short folder of its own (a unix socket's path has at most 107 bytes), free ports, and the processes started
    here.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="numa-lab-"))
        self.ports = Ports()
        self.keeper = Keeper()
        self._processes: list[Process] = []

    def process(
        self,
        name: str,
        command: Sequence[str | PathLike[str]],
        *,
        ready: Callable[[], bool] = lambda: True,
        ready_seconds: float = 30,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Prepares a process whose log is `logs/NAME.log` of the folder; starting it is left to the caller."""
        process = Process(
            name,
            command,
            log=self.folder / "logs" / f"{name}.log",
            keeper=self.keeper,
            ready=ready,
            ready_seconds=ready_seconds,
            environment=environment,
        )
        self._processes.append(process)
        return process

    @staticmethod
    def binary(name: str) -> Path:
        """The path of a program that build.sh made."""
        path = BINARIES / name
        if not path.exists():
            raise LabError(f"{path} is missing: run tests/cluster/build.sh.")
        return path

    def close(self, *, keep: bool) -> None:
        """Stops what still runs, the last prepared first, and removes the folder unless it is to be kept."""
        for process in reversed(self._processes):
            process.ask()
        for process in reversed(self._processes):
            process.stop(seconds=3)
        self.keeper.close()
        self.ports.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
