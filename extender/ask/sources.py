"""
Where the nodes of a question on the command line come from: a cluster, or objects recorded from one.

``kubectl get nodes,pods,noderesourcetopologies -A -o json`` records a cluster; without pods, what they ask for is
rebuilt from what they hold.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from extender.ask.manifests import documents
from extender.ask.sites import sites_of
from extender.feeds import NodeReader, PodReader, ReportReader
from extender.inventory.live import Inventory
from extender.kube import Cluster, KubeError, connect
from extender.metrics import Metrics
from extender.what_if.site import Site
from extender.wire.fields import WireError

Object = dict[str, Any]
STDIN = "-"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SourceError(Exception):
    """Nodes, pods or a change cannot be had; the message is one sentence that names the file or the server."""


def from_files(paths: Sequence[str]) -> list[Site]:
    """
    Returns the nodes of recorded objects: files, folders, or ``-`` for standard input.

    Raises:
        SourceError: something cannot be read, or there is no report of a node in it.
    """
    objects = [item for path in paths for item in _objects(path)]
    by_kind: dict[str, list[Object]] = {}
    for item in objects:
        by_kind.setdefault(str(item.get("kind")), []).append(item)
    reports = by_kind.get("NodeResourceTopology", [])
    if not reports:
        raise SourceError(f"{', '.join(paths)}: there is no NodeResourceTopology among {len(objects)} objects")
    return _sites(by_kind.get("Node", ()), reports, by_kind.get("Pod", ()), live=False)


def from_cluster(kubeconfig: str | None, context: str | None) -> list[Site]:
    """
    Returns the nodes of a cluster, as its API server tells of them now.

    Raises:
        SourceError: it cannot be asked.
    """
    try:
        cluster = connect(kubeconfig or _usual_kubeconfig(), context)
        listed = [_list(cluster, reader) for reader in (NodeReader, ReportReader, PodReader)]
    except KubeError as error:
        raise SourceError(str(error)) from None
    return _sites(*listed, live=True)


def _usual_kubeconfig() -> str:
    """Kubectl's: the variable, the file at home, or the service account."""
    home = Path.home() / ".kube" / "config"
    return os.environ.get("KUBECONFIG") or (str(home) if home.is_file() else "")


def _list(cluster: Cluster, reader: type[NodeReader | ReportReader | PodReader]) -> list[Object]:
    return cluster.list(reader.path)


def _sites(nodes: Iterable[Object], reports: Iterable[Object], pods: Iterable[Object], *, live: bool) -> list[Site]:
    inventory, metrics = Inventory(), Metrics()
    NodeReader(inventory).replace(nodes)
    ReportReader(inventory, metrics, live=live).replace(reports)
    PodReader(inventory, metrics).replace(pods)
    return sites_of(inventory.all_nodes())


def _objects(path: str) -> list[Object]:
    if path == STDIN:
        return _parsed("standard input", sys.stdin.read())
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix in {".yaml", ".yml", ".json"})
        return [item for file in files for item in _parsed(str(file), _text(file))]
    return _parsed(path, _text(place))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{file}: this is no text in UTF-8") from None


def _parsed(name: str, text: str) -> list[Object]:
    """Objects of a file that its owner trusts, of whatever size; Lists are unpacked."""
    try:
        found = [orjson.loads(text)] if text.lstrip().startswith("{") else list(yaml.load_all(text, Loader=_LOADER))
    except (yaml.YAMLError, orjson.JSONDecodeError, ValueError) as error:
        raise SourceError(f"{name}: not YAML or JSON: {' '.join(str(error).split())[:200]}") from None
    return [item for document in found if document is not None for item in _unpacked(document, name)]


def _unpacked(document: object, name: str) -> list[Object]:
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        return [item for each in document["items"] for item in _unpacked(each, name)]
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        raise SourceError(f"{name}: {str(document)[:60]!r} is no Kubernetes object with metadata")
    return [document]


def manifests(paths: Sequence[str]) -> list[tuple[str, list[object]]]:
    """
    Returns the documents of manifests by the name of their file: files, folders, or ``-`` for standard input.

    Raises:
        SourceError: a file cannot be read or is no YAML.
    """
    files = [file for path in paths for file in _files(path)]
    return [("standard input" if file == STDIN else file, _manifest(file)) for file in files]


def _files(path: str) -> list[str]:
    place = Path(path)
    if path == STDIN or not place.is_dir():
        return [path]
    return sorted(str(file) for file in place.iterdir() if file.suffix in {".yaml", ".yml", ".json"})


def _manifest(path: str) -> list[object]:
    name = "standard input" if path == STDIN else path
    text = sys.stdin.read() if path == STDIN else _text(Path(path))
    try:
        return documents(text, name)
    except WireError as error:
        raise SourceError(str(error)) from None


def document(path: str) -> object:
    """
    Returns the only document of a file.

    Raises:
        SourceError: it cannot be read, is no YAML, or has not exactly one document.
    """
    found = _manifest(path)
    if len(found) != 1:
        raise SourceError(f"{path}: there are {len(found)} documents where one is needed")
    return found[0]
