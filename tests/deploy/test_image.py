"""
The image's steps without an image builder: the commands of deploy/Dockerfile run in a fresh folder, and the programs
start with the arguments, settings and environment of the manifests.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
FOLDERS = ("/src", "/build", "/wheels", "/app")
PROGRAMS = {"extender": "numa-extender", "exporter": "numa-exporter"}
FOREIGN = {"extender": {"grpc", "inotify_simple"}, "exporter": {"flask", "numpy", "kubernetes", "gunicorn"}}
"""What the other program has and this one must not."""

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, those of the stage that it starts from included."""
    made: dict[str, list[tuple[str, str]]] = {}
    lines: list[tuple[str, str]] = []
    for word, rest in re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            made[name] = lines = list(made.get(base, []))
        else:
            lines.append((word, rest))
    return made


@pytest.fixture(scope="module", params=list(PROGRAMS))
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a program and the folder in which its stage of the Dockerfile has been carried out."""
    folder = tmp_path_factory.mktemp(request.param)

    def moved(words: str) -> str:
        return re.sub(rf"(?<!\S)({'|'.join(FOLDERS)})(?=[\s/]|$)", rf"{folder}\1", words)

    for word, rest in stages()[f"{request.param}-files"]:
        if word == "COPY":
            *sources, target = moved(rest).split()
            for source in sources:
                copy(ROOT / source, Path(target), many=len(sources) > 1)
        elif word == "RUN" and not rest.startswith("apt-get"):
            command = re.sub(r"^python3 ", f"{sys.executable} ", moved(rest))
            subprocess.run(command, shell=True, check=True, cwd=folder)
    return request.param, folder


def copy(source: Path, target: Path, *, many: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        place = target / source.name if many else target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


def container(file: str, name: str) -> dict[str, Any]:
    """A container of a manifest."""
    for item in yaml.safe_load_all((ROOT / "deploy" / file).read_text()):
        spec = item["spec"]["template"]["spec"]
        for one in [*spec.get("initContainers", []), *spec["containers"]]:
            if one["name"] == name:
                return dict(one)
    raise AssertionError(name)


def test_the_programs_carry_only_their_own(image: tuple[str, Path]) -> None:
    """Each image has its program and not the libraries of the other one."""
    name, folder = image
    (libraries,) = (folder / "app" / "lib").glob("python3.*/site-packages")
    present = {path.name for path in libraries.iterdir()}

    assert set() == FOREIGN[name] & present
    assert {"extender", "orjson", "yaml"} <= present
    assert not (libraries / "pip").exists()
    assert f'ENTRYPOINT ["/app/bin/{PROGRAMS[name]}"]' in DOCKERFILE


def answers(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.fixture
def settings(image: tuple[str, Path], tmp_path: Path) -> tuple[list[str], str]:
    """A program's command line as in the manifests, and where its health is; its settings are those of deploy/."""
    name, folder = image
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if name == "extender":
        one = container("overlays/secondary-scheduler/scheduler-deployment.yaml", "extender")
        file = ROOT / "deploy" / "overlays" / "secondary-scheduler" / "extender.yaml"
        change = {"health": {"port": port}, "listen": {"port": port + 1}, "whatIf": {"port": port + 2}}
    else:
        one = container("base/exporter.yaml", "exporter")
        file = ROOT / "deploy" / "base" / "exporter-settings.yaml"
        change = {"serve": {"port": port}}
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"server": "https://127.0.0.1:1"}
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
        )
    )
    document = yaml.safe_load(file.read_text())
    change["inventory" if name == "extender" else "cluster"] = {"kubeconfig": str(kubeconfig)}
    for section, values in change.items():
        document[section] = {**document.get(section, {}), **values}
    changed = tmp_path / "settings.yaml"
    changed.write_text(yaml.safe_dump(document))
    arguments = [str(changed) if argument.startswith("/etc/") else argument for argument in one["args"]]
    return [str(folder / "app" / "bin" / PROGRAMS[name]), *arguments], f"http://127.0.0.1:{port}"


def test_the_programs_start_as_in_the_manifests(settings: tuple[list[str], str], tmp_path: Path) -> None:
    """With the arguments and settings of the manifests each program starts and is alive, and not ready without a cluster."""
    command, url = settings
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"POD_IP": "127.0.0.1", "NODE_NAME": "n"})
    try:
        deadline = time.monotonic() + 60
        while answers(f"{url}/healthz") != 200:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        assert 503 == answers(f"{url}/readyz")
        process.terminate()
        assert 0 == process.wait(30)
    finally:
        process.kill()
        process.wait()
