"""The exporter's settings: every key is explained, flags go first, mistakes are one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from extender.exporter.settings import ConfigurationSource, Flags, Serve, Settings, settings
from extender.settings_file import SettingsError, load, options, read

CONFIG = Path(__file__).resolve().parents[2] / "config" / "exporter.yaml"


def test_the_sample_has_every_key_with_its_default() -> None:
    """config/exporter.yaml is the defaults, and names each key once with a comment above it."""
    assert Settings() == load(Settings, CONFIG)
    text = CONFIG.read_text()
    for key, _, _ in options(Settings()):
        name = key.partition(".")[2]
        assert re.search(rf"^  #.*\n  {name}:", text, re.MULTILINE), key


def test_flags_go_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line says counts, then the file, then the environment."""
    monkeypatch.setenv("NODE_NAME", "from-environment")
    file = tmp_path / "exporter.yaml"
    file.write_text("node: {stateDir: /from/file, sysfs: /from/file/sys}\nkubelet: {configuration: file}\n")
    chosen = settings(str(file), Flags(sysfs="/from/flag/sys", kubeconfig="/from/flag/kubeconfig"))

    assert ("from-environment", Path("/from/flag/sys"), Path("/from/file/pod-resources/kubelet.sock")) == (
        chosen.places.node,
        chosen.places.sysfs,
        chosen.places.socket,
    )
    assert (ConfigurationSource.FILE, Path("/from/file/config.yaml"), "/from/flag/kubeconfig") == (
        chosen.kubelet.configuration,
        chosen.configuration_file,
        chosen.cluster.kubeconfig,
    )


def test_the_nodes_name_is_the_hosts_without_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name anywhere, the Node is named as the kubelet would name it."""
    monkeypatch.delenv("NODE_NAME", raising=False)
    monkeypatch.setattr("socket.gethostname", lambda: "Worker-1")

    assert "worker-1" == settings(None, Flags()).places.node


ADDRESSES = [
    pytest.param("", None, "https://127.0.0.1:10250/configz", id="this host's"),
    pytest.param("", "10.1.2.3", "https://10.1.2.3:10250/configz", id="the node's"),
    pytest.param("", "fd00::1", "https://[fd00::1]:10250/configz", id="the node's, of version 6"),
    pytest.param("https://x/configz", "10.1.2.3", "https://x/configz", id="the one that is set"),
]


@pytest.mark.parametrize(("url", "node_ip", "expected"), ADDRESSES)
def test_the_kubelet_is_asked_at_the_nodes_address(
    monkeypatch: pytest.MonkeyPatch, url: str, node_ip: str | None, expected: str
) -> None:
    """In a pod, the node's address is in the environment."""
    monkeypatch.delenv("NODE_IP", raising=False)
    if node_ip is not None:
        monkeypatch.setenv("NODE_IP", node_ip)

    assert expected == read(Settings, {"kubelet": {"url": url}}).configz


MISTAKES = [
    pytest.param(
        [1], "the file must be a mapping with keys node, kubelet, cluster, publish, serve, log, not [1]", id="a list"
    ),
    pytest.param(
        {"nodes": {}},
        "nodes is not a setting; allowed here: node, kubelet, cluster, publish, serve, log",
        id="no section",
    ),
    pytest.param(
        {"serve": {"host": "x"}}, "serve.host is not a setting; allowed here: address, port", id="an unknown key"
    ),
    pytest.param(
        {"kubelet": {"configuration": "guess"}},
        "kubelet.configuration must be one of kubelet, api-server, file, not 'guess'",
        id="not a choice",
    ),
    pytest.param(
        {"publish": {"heartbeatSeconds": 0}},
        "publish.heartbeatSeconds must be from 1 to 3600, not 0",
        id="out of range",
    ),
    pytest.param(
        {"publish": {"touchNode": "yes"}}, "publish.touchNode must be true or false, not 'yes'", id="text for truth"
    ),
    pytest.param({"node": {"name": 7}}, "node.name must be text, not 7", id="a number for text"),
]


@pytest.mark.parametrize(("document", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(document: Any, sentence: str) -> None:
    """It names the key, what is allowed, and the value."""
    with pytest.raises(SettingsError) as raised:
        read(Settings, document)

    assert sentence == str(raised.value)


def test_a_longest_wait_below_the_quiet_one_is_a_mistake(tmp_path: Path) -> None:
    """Two settings that contradict each other are named together."""
    file = tmp_path / "exporter.yaml"
    file.write_text("publish: {quietMilliseconds: 400}")

    with pytest.raises(SettingsError) as raised:
        settings(str(file), Flags())

    assert "publish.longestMilliseconds must be at least publish.quietMilliseconds (400), not 300" == str(raised.value)


FILES = [
    pytest.param(None, "{file}: No such file or directory", id="no file"),
    pytest.param("node: [", "{file}: not YAML: ", id="no YAML"),
    pytest.param("node: 7", "{file}: node must be a mapping with keys name", id="a wrong section"),
]


@pytest.mark.parametrize(("content", "sentence"), FILES)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, sentence: str) -> None:
    """The sentence begins with the file's path."""
    file = tmp_path / "exporter.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as raised:
        settings(str(file), Flags())

    assert str(raised.value).startswith(sentence.format(file=file))


@pytest.mark.parametrize(
    ("written", "environment", "address"),
    [
        pytest.param("127.0.0.1", {"POD_IP": "10.0.0.7"}, "127.0.0.1", id="an address"),
        pytest.param("", {"POD_IP": "fd00::7"}, "fd00::7", id="the pod's own"),
        pytest.param("", {}, "127.0.0.1", id="loopback, outside of pods"),
    ],
)
def test_the_pages_are_at_the_pods_address(
    monkeypatch: pytest.MonkeyPatch, written: str, environment: dict[str, str], address: str
) -> None:
    """An empty address is that of the pod, where kubelet and Prometheus look."""
    monkeypatch.delenv("POD_IP", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert address == Settings(serve=Serve(address=written)).serve_address
